/* agent/vm_rows.c: what becomes of a virtual machine's row: its facts, and the steps that are but a transaction. */
#define LOG_MODULE "vm"
#include <stdio.h>

#include "agent/vms_i.h"
#include "base/clock.h"
#include "base/log.h"

static void
on_row_step(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct vm_obj *obj = aux;
    struct agent *a = obj->o.agent;

    if (e) {
        obj_trouble(&obj->o, err_wrap(e, "the machine's row could not be changed"));
    } else {
        obj_fine(&obj->o);
    }
    vm_obj_release(obj);
    agent_touch(a);
}

/* The volumes that go with a vm: its disks that no other vm has.  CDs stay: images are shared. */
static void
mark_volumes(struct agent *a, const struct row_vm *row, struct txn *txn)
{
    struct replica_table *devices = row_device_table(a->replica);

    ROW_FOR_EACH_OF (struct row_device, device, devices, ROW_DEVICE_VM, &row->base.uuid) {
        struct row_volume *volume = row_device_get_volume(device);
        bool shared = false;

        if (!volume || !str_eq(device->type, "disk")) {
            continue;
        }
        ROW_FOR_EACH_OF (struct row_device, other, devices, ROW_DEVICE_VOLUME,
                         &volume->base.uuid) {
            shared |= !uuid_eq(&other->vm, &row->base.uuid);
        }
        if (!shared) {
            txn_set_bool(txn_update(txn, "volume", &volume->base.uuid), "deleted", true);
        }
    }
}

/* The row and what cannot be without it, if it is still to be deleted. */
static void
row_delete(struct agent *a, const struct row_vm *row, struct txn *txn)
{
    txn_verify(txn, &row->base, "state");
    if (row->delete_volumes) {
        mark_volumes(a, row, txn);
    }
    const struct uuid *uuid = &row->base.uuid;
    ROW_FOR_EACH_OF (struct row_device, device, row_device_table(a->replica), ROW_DEVICE_VM,
                     uuid) {
        txn_delete(txn, "device", &device->base.uuid);
    }
    ROW_FOR_EACH_OF (struct row_iface, iface, row_iface_table(a->replica), ROW_IFACE_VM,
                     uuid) {
        txn_delete(txn, "iface", &iface->base.uuid);
    }
    ROW_FOR_EACH_OF (struct row_ip, ip, row_ip_table(a->replica), ROW_IP_VM, uuid) {
        txn_delete(txn, "ip", &ip->base.uuid); /* Free from this very moment. */
    }
    ROW_FOR_EACH_OF (struct row_snapshot, snapshot, row_snapshot_table(a->replica),
                     ROW_SNAPSHOT_VM, uuid) {
        txn_delete(txn, "snapshot", &snapshot->base.uuid);
    }
    const struct uuid *secrets[] = { &row->opkey, &row->guest_password, &row->password };
    for (size_t i = 0; i < N_ELEMS(secrets); i++) {
        if (row_secret_find(a->replica, secrets[i])) {
            txn_delete(txn, "secret", secrets[i]);
        }
    }
    txn_delete(txn, "vm", &row->base.uuid);
}

void
vm_row_step(struct agent *a, struct vm_obj *obj, enum vm_step step,
            const struct row_vm *row)
{
    struct txn *txn = txn_new(replica_database(a->replica));

    if (step == VM_DO_ROW_DELETE) {
        row_delete(a, row, txn);
    } else if (step == VM_DO_ROW_STOPPED) {
        txn_verify(txn, &row->base, "state");
        txn_verify(txn, &row->base, "generation");
        txn_set_string(txn_update(txn, "vm", &row->base.uuid), "state", "stopped");
    } else {
        txn_verify(txn, &row->base, "reboots");
        txn_set_int(txn_update(txn, "vm", &row->base.uuid), "reboots_done", row->reboots);
    }
    txn_comment(txn, "byre-agentd: %s %s", vm_step_name(step), row->name);
    log_info("%s: %s", row->name, vm_step_name(step));
    obj->o.busy = true;
    txn_commit(txn, replica_session(a->replica), on_row_step, obj);
}

/* A row that cannot be built now says nothing about what runs. */
static void
reboot_facts(struct facts *f, const struct row_vm *row, const struct virt_dom *seen,
             const struct vm_wanted *w)
{
    const struct strvec none = STRVEC_INIT;

    if (seen && seen->live && (!w->want.print || w->want.waits)) {
        return;
    }
    const struct strvec *columns = w->has_diff ? &w->diff.reboot : &none;
    facts_bool(f, "needreboot", row->needreboot, columns->n > 0);
    facts_strings(f, "needreboot_columns", &row->needreboot_columns, columns);
}

void
vm_facts(struct agent *a, const struct row_vm *row, const struct virt_dom *seen,
         const struct vm_wanted *w, const struct vm_decision *d)
{
    struct facts f = facts_begin(a, &row->base);
    struct uuid uuid = model_vm_uuid(row);
    char vnc[32];

    facts_uuid(&f, "uuid", &row->uuid, &uuid);
    facts_string(&f, "source", row->source, "byre");
    if (row->migrate && a->listed && !seen) {
        facts_end(&f); /* It has moved; migrate.c is about to say so. */
        return;
    } else if (!a->listed) { /* Silence is not "stopped". */
        facts_string(&f, "status", row->status, "unknown");
        facts_end(&f);
        return;
    }
    snprintf(vnc, sizeof vnc, "127.0.0.1:%d", seen ? seen->vnc_port : 0);
    facts_string(&f, "status", row->status,
                 seen && seen->saved ? "saved"
                                     : virt_state_name(seen ? seen->state : VIRT_SHUTOFF));
    facts_opt_int(&f, "domid", &row->domid, seen ? seen->domid : -1);
    bool same_run =
        seen && row->started_at.has && row->domid.has && row->domid.v == seen->domid;
    facts_opt_int(&f, "started_at", &row->started_at,
                  !seen || seen->domid < 0 ? -1
                  : same_run               ? row->started_at.v
                                           : clock_wall_ms());
    facts_string(&f, "vnc", row->vnc, seen && seen->vnc_port > 0 ? vnc : NULL);
    facts_opt_int(&f, "mem_actual", &row->mem_actual,
                  seen && seen->live ? seen->live->d.mem_mib : -1);
    facts_opt_int(&f, "vcpu_actual", &row->vcpu_actual,
                  seen && seen->live ? seen->live->d.vcpus : -1);
    reboot_facts(&f, row, seen, w);
    if (d) {
        facts_string(&f, "error", row->error, d->error);
        if (d->settled) {
            facts_int(&f, "observed_generation", row->observed_generation, row->generation);
        }
    }
    facts_end(&f);
}
