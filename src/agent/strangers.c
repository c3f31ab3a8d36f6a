/* agent/strangers.c: domains that libvirt has and no row asked for.
 *
 * Without Byre's mark they are somebody else's: a vm row with source=libvirt shows them, and nothing
 * ever touches them.  With the mark but without the row, a machine of Byre's has lost its row (a
 * restored old database, say): an alarm says so; it is not for a program to decide whether to stop it.
 * The same if the row says that the machine is another host's, and it runs here: on two hosts, perhaps. */
#define LOG_MODULE "vm"
#include <stdio.h>

#include "agent/agent_i.h"

#include "base/clock.h"
#include "base/log.h"

/* The schema's ranges: a stranger beyond them must not make the whole report fail. */
#define MEM_MAX_MIB 16777216
#define VCPU_MAX 4096
#define ALARM_KIND "domain-without-row"
#define ALARM_TWICE "vm-runs-elsewhere"

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

/* Does a machine run here that is another host's?  One that comes may, after a switch to post-copy. */
static bool
runs_twice(const struct agent *a, const struct row_vm *row)
{
    struct uuid domain = model_vm_uuid(row);
    const struct virt_dom *dom = host_seen(a, &domain);

    return dom && dom->marked && uuid_eq(&dom->mark.row, &row->base.uuid) &&
           vms_is_on(dom) && dom->state != VIRT_PAUSED && !uuid_is_zero(&row->hostnode) &&
           !agent_is_own(a, &row->hostnode) &&
           !(row->migrate && agent_is_own(a, &row->migrate_to));
}

static void
alarm_twice(struct agent *a, const struct row_hostnode *own, const struct row_vm *row)
{
    struct alarm_object object = { "vm", row->base.uuid, own->base.uuid };
    const struct row_hostnode *other = row_vm_get_hostnode(row);
    const char *name = other ? other->name : "?";
    bool both = str_eq(row->status, "running") || str_eq(row->status, "idle");

    if (!runs_twice(a, row)) {
        return;
    }
    CLEANUP(free_drop)
    char *text = str_dupf(
        "machine %s runs on host %s%s\nits row says that it is on host %s; it is left as it is\n"
        "find out which is the right one: byre set vm %s hostnode=%s, or there: virsh destroy %s",
        row->name, own->name, both ? ", and on another one too" : "", name, row->name,
        own->name, row->name);
    alarm_set(a, &object, ALARM_TWICE, text);
}

/* Alarms end with their condition. */
static void
clear_alarms(struct agent *a)
{
    ROW_FOR_EACH (struct row_alarm, alarm, row_alarm_table(a->replica)) {
        if (str_eq(alarm->kind, ALARM_KIND) && agent_is_own(a, &alarm->hostnode) &&
            (!host_seen(a, &alarm->object) || vm_row_of(a, &alarm->object))) {
            txn_delete(report_txn(a), "alarm", &alarm->base.uuid);
        } else if (str_eq(alarm->kind, ALARM_TWICE) && agent_is_own(a, &alarm->hostnode)) {
            const struct row_vm *row = row_vm_find(a->replica, &alarm->object);
            if (!row || !runs_twice(a, row)) {
                txn_delete(report_txn(a), "alarm", &alarm->base.uuid);
            }
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
        } else if (!agent_is_own(a, &row->hostnode)) {
            alarm_twice(a, own, row);
        }
    }
    clear_alarms(a);
}
