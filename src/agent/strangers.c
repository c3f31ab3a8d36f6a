/* agent/strangers.c: domains that libvirt has and no row asked for.
 *
 * Without Byre's mark they are somebody else's: a vm row with source=libvirt shows them, and nothing
 * ever touches them.  With the mark but without the row, a machine of Byre's has lost its row (a
 * restored old database, say): an alarm says so; it is not for a program to decide whether to stop it. */
#define LOG_MODULE "vm"
#include <stdio.h>

#include "agent/agent_i.h"

#include "base/clock.h"
#include "base/log.h"

/* The schema's ranges: a stranger beyond them must not make the whole report fail. */
#define MEM_MAX_MIB 16777216
#define VCPU_MAX 4096
#define ALARM_KIND "domain-without-row"

static bool
name_is_taken(const struct agent *a, const char *name)
{
    ROW_FOR_EACH (struct row_vm, row, row_vm_table(a->replica)) {
        if (str_eq(row->name, name)) {
            return true;
        }
    }
    return false;
}

/* libvirt's names are unique on a host, rows' in the cluster. */
static void
show(struct agent *a, const struct row_hostnode *own, const struct virt_dom *dom)
{
    struct txn_row *row = txn_insert(report_txn(a), "vm");
    CLEANUP(free_drop)
    char *longer = str_dupf("%.200s.%.8s", dom->name, UUID_TEXT(&dom->uuid));

    txn_set_string(row, "name", name_is_taken(a, dom->name) ? longer : dom->name);
    txn_set_string(row, "source", "libvirt");
    txn_set_uuid(row, "uuid", &dom->uuid);
    txn_set_uuid(row, "hostnode", &own->base.uuid);
    txn_set_int(row, "mem", clamp64(dom->mem_mib, 1, MEM_MAX_MIB));
    txn_set_int(row, "vcpu", clamp64(dom->vcpus, 1, VCPU_MAX));
    txn_set_bool(row, "autostart", dom->autostart);
    txn_set_string(row, "status", virt_state_name(dom->state));
    if (dom->domid >= 0) {
        txn_set_int(row, "domid", dom->domid);
    }
    txn_set_int(row, "observed_at", clock_wall_ms());
}

static void
update(struct agent *a, const struct row_vm *row, const struct virt_dom *dom)
{
    struct facts f = facts_begin(a, &row->base);

    facts_string(&f, "status", row->status, virt_state_name(dom->state));
    facts_opt_int(&f, "domid", &row->domid, dom->domid);
    facts_int(&f, "mem", row->mem, clamp64(dom->mem_mib, 1, MEM_MAX_MIB));
    facts_int(&f, "vcpu", row->vcpu, clamp64(dom->vcpus, 1, VCPU_MAX));
    facts_bool(&f, "autostart", row->autostart, dom->autostart);
    facts_int(&f, "observed_generation", row->observed_generation, row->generation);
    facts_string(
        &f, "error", row->error,
        row->state
            ? "the machine is libvirt's, not Byre's\nByre shows such a machine and never touches it\n"
              "use virsh, or clear the column state"
            : NULL);
    facts_end(&f);
}

static void
raise_alarm(struct agent *a, const struct row_hostnode *own, const struct virt_dom *dom)
{
    struct alarm_object object = { "vm", dom->uuid, own->base.uuid };
    CLEANUP(free_drop)
    char *text = str_dupf(
        "domain %s (%s) was made by Byre and has no row any more\nit is left as it is\nremove it "
        "by virsh, or make a vm with this uuid",
        dom->name, UUID_TEXT(&dom->uuid));
    alarm_set(a, &object, ALARM_KIND, text);
}

/* Alarms end with their condition. */
static void
clear_alarms(struct agent *a)
{
    ROW_FOR_EACH (struct row_alarm, alarm, row_alarm_table(a->replica)) {
        if (str_eq(alarm->kind, ALARM_KIND) && agent_is_own(a, &alarm->hostnode) &&
            (!host_seen(a, &alarm->object) || vm_row_of(a, &alarm->object))) {
            txn_delete(report_txn(a), "alarm", &alarm->base.uuid);
        }
    }
}

void
strangers_pass(struct agent *a, struct row_hostnode *own)
{
    if (!a->listed) {
        ROW_FOR_EACH (struct row_vm, row, row_vm_table(a->replica)) {
            if (str_eq(row->source, "libvirt") && agent_is_own(a, &row->hostnode)) {
                struct facts f = facts_begin(a, &row->base);
                facts_string(&f, "status", row->status, "unknown");
                facts_end(&f);
            }
        }
        return;
    }
    HMAP_FOR_EACH (struct seen, seen, node, &a->seen) {
        const struct virt_dom *dom = &seen->dom;
        const struct row_vm *row = seen->gone ? NULL : vm_row_of(a, &dom->uuid);
        if (seen->gone) {
            continue;
        } else if (row && str_eq(row->source, "libvirt") &&
                   agent_is_own(a, &row->hostnode)) {
            update(a, row, dom);
        } else if (!row && dom->marked) {
            raise_alarm(a, own, dom);
        } else if (!row) {
            show(a, own, dom);
        }
    }
    ROW_FOR_EACH (struct row_vm, row, row_vm_table(a->replica)) {
        if (str_eq(row->source, "libvirt") && agent_is_own(a, &row->hostnode) &&
            !host_seen(a, &row->uuid)) {
            txn_delete(report_txn(a), "vm", &row->base.uuid);
        }
    }
    clear_alarms(a);
}
