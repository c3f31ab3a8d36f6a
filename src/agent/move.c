/* agent/move.c: a volume goes to another pool, in steps that a kill cannot tear apart.
 *
 *     rows                                         so the next step is
 *     new one not ready                            vols.c makes it: a copy of the old one, or (vm.disk.move) empty
 *     ... and it is to be moved while in use       disk_live.c copies, and QEMU goes on with the new one
 *     new one failed, or the job is cancelled      the new one is marked as deleted; the end
 *     new one ready, old one not marked            one transaction: all that used the old one uses
 *                                                  the new one, and the old one is deleted
 *     old one marked                               vols.c removes it
 *     old one gone, or it is to be kept            done
 *
 * Each pass reads the rows and does the one step, so whoever comes after a kill goes on. */
#define LOG_MODULE "job"
#include "agent/jobs_i.h"
#include "agent/ticket_i.h"

#include "base/log.h"

void
move_forget(struct agent *a, const struct row_volume *new)
{
    struct txn *txn = txn_new(replica_database(a->replica));
    struct txn_row *out = txn_update(txn, "volume", &new->base.uuid);

    txn_set_bool(out, "deleted", true);
    txn_set_int(out, "generation", new->generation + 1);
    txn_commit(txn, replica_session(a->replica), NULL, NULL);
}

/* The new one goes, and the job ends with 'e'.  Takes it. */
static void
give_up(struct agent *a, const struct row_job *row, const struct row_volume *new,
        struct err *e)
{
    if (new && !new->deleted) {
        move_forget(a, new);
    }
    job_refuse(a, row, err_wrap(e, "%s", row->kind));
}

/* Overlays name their backing file in themselves: it cannot move away below them. */
static struct err *
check_overlays(struct agent *a, const struct row_volume *old)
{
    ROW_FOR_EACH (struct row_volume, v, row_volume_table(a->replica)) {
        if (uuid_eq(&v->backing, &old->base.uuid)) {
            return err_hint(
                err_new(ERR_CONSTRAINT, "volume %s lies on volume %s", v->name, old->name),
                "move or delete %s first", v->name);
        }
    }
    return NULL;
}

static bool
is_live(const struct row_job *row)
{
    return str_eq(row->kind, JOB_DISK_MOVE);
}

static struct err *
check_switch(struct agent *a, const struct row_job *row, const struct row_volume *old,
             const struct row_volume *new)
{
    TRY(check_overlays(a, old));
    if (!is_live(row)) {
        TRY(vol_refuse_used(a, old, true, &row->base.uuid));
    }
    if (!new->capacity.has || !old->capacity.has || new->capacity.v < old->capacity.v) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "the copy is smaller than volume %s", old->name),
            "the old one stays as it is; look at byre vol info");
    }
    return NULL;
}

static void
on_switched(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct agent *a = aux;

    if (e) {
        log_failure(LOG_INFO, LOG_MODULE, err_wrap(e, "vol.move"));
        agent_wake(a, agent_now_ms(a) + RETRY_MIN_MS);
    }
    a->switching = false;
    agent_touch(a);
}

#define POINT(row, column)                                                                 \
    if (uuid_eq(&(row)->column, from)) {                                                   \
        txn_verify(txn, &(row)->base, #column);                                            \
        txn_set_uuid(txn_update(txn, table, &(row)->base.uuid), #column, to);              \
    }

/* All that refers to the old one. */
static void
point_all(struct agent *a, struct txn *txn, const struct uuid *from, const struct uuid *to)
{
    const char *table = "device";
    ROW_FOR_EACH (struct row_device, d, row_device_table(a->replica)) {
        POINT(d, volume);
    }
    table = "vm";
    ROW_FOR_EACH (struct row_vm, vm, row_vm_table(a->replica)) {
        POINT(vm, kernel);
        POINT(vm, initrd);
    }
    table = "vmi";
    ROW_FOR_EACH (struct row_vmi, vmi, row_vmi_table(a->replica)) {
        POINT(vmi, volume);
        POINT(vmi, kernel);
        POINT(vmi, initrd);
    }
}

static bool
is_used(struct agent *a, const struct uuid *volume)
{
    ROW_FOR_EACH (struct row_device, d, row_device_table(a->replica)) {
        if (uuid_eq(&d->volume, volume)) {
            return true;
        }
    }
    return false;
}

static void
switch_over(struct agent *a, const struct row_job *row, const struct row_volume *old,
            const struct row_volume *new)
{
    struct txn *txn = txn_new(replica_database(a->replica));
    struct txn_row *to = txn_update(txn, "volume", &new->base.uuid);
    struct txn_row *from = txn_update(txn, "volume", &old->base.uuid);

    txn_verify(txn, &row->base, "cancel");
    txn_verify(txn, &old->base, "deleted");
    txn_verify(txn, &new->base, "deleted");
    point_all(a, txn, &old->base.uuid, &new->base.uuid);
    txn_set_uuid(to, "vm", uuid_is_zero(&old->vm) ? NULL : &old->vm);
    txn_set_uuid(to, "device", uuid_is_zero(&old->device) ? NULL : &old->device);
    txn_set_string(to, "bus", old->bus);
    txn_set_string(to, "dev", old->dev);
    if (typed_set_has(&row->options, "keep")) {
        txn_set_uuid(from, "vm", NULL);
        txn_set_uuid(from, "device", NULL);
    } else {
        txn_set_bool(from, "deleted", true);
        txn_set_int(from, "generation", old->generation + 1);
    }
    txn_comment(txn, "byre-agentd: volume %s has moved", old->name);
    a->switching = true;
    txn_commit(txn, replica_session(a->replica), on_switched, a);
}

/* The copy is whole, or nearly: the disk is where its machine can use it. */
static void
go_over(struct agent *a, const struct row_job *row, const struct row_volume *old,
        struct row_volume *new)
{
    const struct vol_obj *obj = vol_obj_of(a, new);
    struct err *e = check_switch(a, row, old, new);

    if (!e && is_live(row) && !obj->taken) {
        e = a->listed ? disk_move_begin(a, row, old, new) : NULL;
    } else if (!e) {
        switch_over(a, row, old, new);
    }
    if (e) {
        give_up(a, row, new, e);
    }
}

void
move_pass(struct agent *a, const struct row_job *row)
{
    bool keep = typed_set_has(&row->options, "keep");
    struct row_volume *new = row_volume_find(a->replica, &row->target);
    const struct row_volume *old = row_volume_find(a->replica, &row->source);
    bool settled = new &&new->observed_generation >= new->generation;
    bool ready = new &&str_eq(new->state, "ready") && !new->deleted;

    a->unsettled = true;
    if (new &&keep && ready &&is_used(a, &new->base.uuid)) { /* It has moved. */
        ticket_end(ticket_take(a, row), NULL, NULL);
        agent_touch(a);
    } else if (!new || new->deleted) {
        job_refuse(a, row,
                   err_new(row->cancel ? ERR_CANCELED : ERR_NOT_FOUND,
                           "the new volume was removed meanwhile"));
    } else if (!old && ready) {
        ticket_end(ticket_take(a, row), NULL, NULL);
        agent_touch(a);
    } else if (!old) {
        give_up(a, row, new, err_new(ERR_NOT_FOUND, "the volume to move does not exist"));
    } else if (old->deleted && ready && !is_used(a, &old->base.uuid)) {
        /* It has moved; cancelling comes too late. */
        if (old->observed_generation >= old->generation && old->error) {
            struct err *e = err_new(ERR_IO, "volume %s could not be removed", old->name);
            job_refuse(a, row,
                       err_wrap(err_hint(e,
                                         "byre vol info %s tells why; the new one is in "
                                         "use already",
                                         old->name),
                                "%s", row->kind));
        }
    } else if (row->cancel && !vol_obj_of(a, new)->taken) {
        give_up(a, row, new, err_new(ERR_CANCELED, "it was cancelled"));
    } else if (settled && !ready) {
        give_up(a, row, new,
                err_new(ERR_IO, "%s", new->error ? new->error : "the copy failed"));
    } else if (settled && !a->switching) {
        go_over(a, row, old, new);
    }
}
