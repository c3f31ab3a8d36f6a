/* agent/vol_use.c: who has a volume in use at the moment.
 *
 * Everything that writes to a volume, or reads what must not change meanwhile, asks here first;
 * so the answer names the user.  byre-stored's locks and QEMU's are the last line behind this:
 * they also see those that the database knows nothing of. */
#include "agent/jobs_i.h"
#include "agent/ticket_i.h"

/* A machine that is on and has it; one that cannot write to it counts only for writers. */
static const char *
machine_of(struct agent *a, const struct uuid *volume, bool writes)
{
    ROW_FOR_EACH_OF (struct row_device, device, row_device_table(a->replica),
                     ROW_DEVICE_VOLUME, volume) {
        struct row_vm *vm = row_device_get_vm(device);
        bool only_reads = device->readonly || str_eq(device->type, "cdrom");
        if (vm && (writes || !only_reads)) {
            struct uuid domain = model_vm_uuid(vm);
            if (vms_has_disks(host_seen(a, &domain))) {
                return vm->name;
            }
        }
    }
    return NULL;
}

/* A move between its two halves has no ticket, only its row. */
static const char *
move_of(struct agent *a, const struct uuid *volume, const struct uuid *but)
{
    ROW_FOR_EACH (struct row_job, row, row_job_table(a->replica)) {
        bool moves = str_eq(row->kind, "vol.move") || str_eq(row->kind, JOB_DISK_MOVE);
        if (job_is_open(row) && moves && str_eq(row->state, "running") &&
            uuid_eq(&row->source, volume) && !(but && uuid_eq(&row->base.uuid, but))) {
            return row->kind;
        }
    }
    return NULL;
}

struct err *
vol_refuse_used(struct agent *a, const struct row_volume *volume, bool writes,
                const struct uuid *but)
{
    const struct uuid *uuid = &volume->base.uuid;
    const char *machine = machine_of(a, uuid, writes);

    if (machine) {
        return err_hint(
            err_new(ERR_BUSY, "machine %s runs with volume %s", machine, volume->name),
            "stop the machine first: byre vm shutdown %s", machine);
    }
    const char *job = ticket_user_of(a, uuid, writes, but);
    if (!job && writes &&
        !volume->deleted) { /* Else it has moved, and this is what is left. */
        job = move_of(a, uuid, but);
    }
    if (job) {
        return err_hint(err_new(ERR_BUSY, "job %s has volume %s in use", job, volume->name),
                        "wait for it or cancel it: byre job list");
    }
    return NULL;
}

char *
vol_used_text(struct agent *a, const struct row_volume *volume, bool writes,
              const struct uuid *but)
{
    CLEANUP(err_drop) struct err *e = vol_refuse_used(a, volume, writes, but);
    return e ? str_dupf("the volume is in use\n%s\n%s", err_why(e), err_next(e)) : NULL;
}

char *
vols_job_text(struct agent *a, const struct row_vm *vm)
{
    struct uuid domain = model_vm_uuid(vm);

    if (vms_is_on(host_seen(a, &domain))) {
        return NULL;
    }
    ROW_FOR_EACH_OF (struct row_device, device, row_device_table(a->replica), ROW_DEVICE_VM,
                     &vm->base.uuid) {
        const struct row_volume *volume = row_device_get_volume(device);
        if (!volume) {
            continue;
        }
        bool writes = !device->readonly && !str_eq(device->type, "cdrom");
        const char *job = ticket_user_of(a, &volume->base.uuid, writes, NULL);
        job = job || !writes ? job : move_of(a, &volume->base.uuid, NULL);
        if (job) {
            return str_dupf("the machine waits for its disks\njob %s has volume %s in "
                            "use\nbyre job list shows how far it is",
                            job, volume->name);
        }
    }
    return NULL;
}
