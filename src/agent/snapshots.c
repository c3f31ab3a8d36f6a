/* agent/snapshots.c: rows of table snapshot become snapshots in the machines' disks.
 *
 *     row                        so the next step is
 *     without state, creating    it is taken; if libvirt has one of that name it was, by an agent that was killed
 *     ready, failed              none
 *     deleted                    it is removed from the disks, then the row goes
 *
 * A snapshot lies in the disks themselves, so each must be qcow2; what is read-only needs none.  The machine is busy
 * meanwhile: nothing else is begun with it. */
#define LOG_MODULE "snapshot"
#include <stdio.h>

#include "agent/jobs_i.h"

#include "base/clock.h"
#include "base/log.h"
#include "virt/snapshot.h"

struct snap_work {
    struct agent *agent;
    struct vm_obj *obj;
    struct uuid row, domain;
    int64_t generation;
    char *name, *description;
    bool deletes;
    struct virt_snapshot_disk disks[VIRT_MAX_DISKS];
    size_t n_disks;
    struct err *e, *look_e;
    struct virt_snapshot_facts facts;
    struct virt_dom dom;
};

static void
work_free_all(struct snap_work *w)
{
    for (size_t i = 0; i < w->n_disks; i++) {
        free((char *) w->disks[i].target);
    }
    err_free(w->e);
    err_free(w->look_e);
    virt_dom_done(&w->dom);
    free(w->name);
    free(w->description);
    free(w);
}

bool
vm_has_snapshots(struct agent *a, const struct row_vm *vm)
{
    ROW_FOR_EACH_OF (struct row_snapshot, row, row_snapshot_table(a->replica),
                     ROW_SNAPSHOT_VM, &vm->base.uuid) {
        if (str_eq(row->state, "ready")) {
            return true;
        }
    }
    return false;
}

static void
snap_run(void *aux)
{
    struct snap_work *w = aux;
    struct virt *v = w->agent->virt;

    if (w->deletes) {
        w->e = virt_snapshot_delete(v, &w->domain, w->name);
        if (err_is(w->e, ERR_NOT_FOUND)) {
            err_free(TAKE(w->e));
        }
    } else {
        struct virt_snapshot snapshot = { w->name, w->description, w->disks, w->n_disks };
        w->e = virt_snapshot_create(v, &w->domain, &snapshot);
        if (err_is(w->e,
                   ERR_EXISTS)) { /* Taken by an agent that could not tell any more. */
            err_free(TAKE(w->e));
        }
        if (!w->e) {
            w->e = virt_snapshot_look(v, &w->domain, w->name, &w->facts);
        }
    }
    w->look_e = virt_look(v, &w->domain, &w->dom);
}

/* The row of the snapshot that this one builds on. */
static const struct row_snapshot *
parent_of(struct agent *a, const struct row_snapshot *of, const char *name)
{
    ROW_FOR_EACH (struct row_snapshot, row, row_snapshot_table(a->replica)) {
        if (uuid_eq(&row->vm, &of->vm) && str_eq(row->name, name)) {
            return row;
        }
    }
    return NULL;
}

/* The row says it now: the update came before the answer. */
static void
on_told(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct snap_work *w = aux;

    if (e) { /* What was done is found again by the next pass. */
        obj_trouble(&w->obj->o, err_wrap(e, "the snapshot's row could not be changed"));
    } else {
        obj_fine(&w->obj->o);
    }
    agent_touch(w->agent);
    vm_obj_release(w->obj);
    work_free_all(w);
}

static void
put_failure(struct txn *txn, struct snap_work *w, const struct row_snapshot *row)
{
    struct err *e = err_wrap(TAKE(w->e), "snapshot %s could not be %s", w->name,
                             w->deletes ? "deleted" : "taken");
    CLEANUP(free_drop) char *text = error_text(e);
    struct txn_row *out = txn_update(txn, "snapshot", &w->row);

    if (!str_eq(row->state, "ready")) { /* One that cannot be deleted is there still. */
        txn_set_string(out, "state", "failed");
    }
    txn_set_string(out, "error", text);
    txn_set_int(out, "observed_generation", w->generation);
    log_failure(LOG_WARN, LOG_MODULE, e);
}

static void
put_facts(struct txn *txn, struct snap_work *w, const struct row_snapshot *row)
{
    struct txn_row *out = txn_update(txn, "snapshot", &w->row);
    const struct row_snapshot *parent =
        w->facts.parent[0] ? parent_of(w->agent, row, w->facts.parent) : NULL;

    txn_set_string(out, "state", "ready");
    txn_set_string(out, "status", w->facts.status);
    txn_set_int(out, "created_at",
                w->facts.created_s ? w->facts.created_s * 1000 : clock_wall_ms());
    txn_set_string(out, "error", NULL);
    txn_set_int(out, "observed_generation", w->generation);
    if (parent) {
        txn_set_uuid(out, "parent", &parent->base.uuid);
    }
}

/* The outcome into the row; the machine stays busy until it is there. */
static void
tell(struct snap_work *w, const struct row_snapshot *row)
{
    struct txn *txn = txn_new(replica_database(w->agent->replica));

    if (w->e) {
        put_failure(txn, w, row);
    } else if (w->deletes) {
        txn_delete(txn, "snapshot", &w->row);
    } else {
        put_facts(txn, w, row);
    }
    txn_comment(txn, "byre-agentd: snapshot %s", w->name);
    txn_commit(txn, replica_session(w->agent->replica), on_told, w);
}

static void
snap_done(void *aux, bool dropped)
{
    struct snap_work *w = aux;
    struct agent *a = w->agent;
    const struct row_snapshot *row =
        dropped ? NULL : row_snapshot_find(a->replica, &w->row);

    if (!dropped && !w->look_e) {
        host_learn(a, &w->domain, &w->dom);
    }
    if (row && !(w->e && trouble_may_pass(w->e))) {
        tell(w, row);
        return;
    } else if (row) {
        obj_trouble(&w->obj->o, TAKE(w->e)); /* The next pass tries it again. */
    }
    if (!dropped) {
        agent_touch(a);
    }
    vm_obj_release(w->obj);
    work_free_all(w);
}

/* Which disks have a part in it.  ERR_UNSUPPORTED names the one that cannot. */
static struct err *
disks_of(struct agent *a, const struct row_vm *vm, struct snap_work *w)
{
    size_t n_kept = 0;
    ROW_FOR_EACH (struct row_device, device, row_device_table(a->replica)) {
        const struct row_volume *volume = row_device_get_volume(device);
        bool keep = !device->readonly && !str_eq(device->type, "cdrom");
        if (!uuid_eq(&device->vm, &vm->base.uuid) || w->n_disks == VIRT_MAX_DISKS) {
            continue;
        } else if (keep && !(volume && str_eq(volume->format, "qcow2") &&
                             str_eq(volume->type, "file"))) {
            return err_hint(
                err_new(ERR_UNSUPPORTED, "disk %s is %s, which cannot hold a snapshot",
                        device->targetdev,
                        volume && volume->format ? volume->format : "raw"),
                "a copy in qcow2 can: byre vol clone VOLUME NEW --format qcow2");
        }
        w->disks[w->n_disks++] =
            (struct virt_snapshot_disk){ str_dup(device->targetdev), keep };
        n_kept += keep;
    }
    return n_kept ? NULL
                  : err_hint(err_new(ERR_UNSUPPORTED, "machine %s has no disk", vm->name),
                             "a snapshot lies in a disk of format qcow2: give it one");
}

static struct err *
check(const struct row_snapshot *row, const struct row_vm *vm, const struct virt_dom *seen)
{
    if (!seen || !seen->marked) {
        return err_hint(
            err_new(ERR_NOT_FOUND, "libvirt does not have machine %s yet", vm->name),
            "byre vm why %s", vm->name);
    } else if (seen->saved) {
        return err_hint(err_new(ERR_CONSTRAINT, "machine %s is saved", vm->name),
                        "start it first: byre vm start %s", vm->name);
    } else if (!row->memory && vms_is_on(seen) && !row->deleted) {
        return err_hint(err_new(ERR_UNSUPPORTED,
                                "machine %s is on: its disks alone would be torn",
                                vm->name),
                        "take it with the memory, or shut the machine down first");
    }
    return NULL;
}

static void
begin(struct agent *a, const struct row_snapshot *row, const struct row_vm *vm,
      struct vm_obj *obj)
{
    struct snap_work *w = NEW(struct snap_work);
    char key[UUID_CHARS + 8];

    w->agent = a;
    w->obj = obj;
    w->row = row->base.uuid;
    w->domain = model_vm_uuid(vm);
    w->generation = row->generation;
    w->name = str_dup(row->name);
    w->description = row->description ? str_dup(row->description) : NULL;
    w->deletes = row->deleted;
    const struct virt_dom *seen = host_seen(a, &w->domain);
    if (!w->deletes || seen) {
        w->e = check(row, vm, seen);
    }
    if (!w->e && !w->deletes) {
        w->e = disks_of(a, vm, w);
    }
    obj->o.busy = true;
    if (w->e) {
        tell(w, row);
        return;
    }
    log_info("%s: snapshot %s is %s", vm->name, row->name,
             w->deletes ? "deleted" : "taken");
    snprintf(key, sizeof key, "vm/%s", UUID_TEXT(&w->domain));
    work_submit(a->slow, key, snap_run, snap_done, w);
}

static bool
has_something_to_do(const struct row_snapshot *row)
{
    bool answered = row->observed_generation >= row->generation && row->state;
    bool ended = str_eq(row->state, "ready") || str_eq(row->state, "failed");

    return row->deleted ? !answered || !row->error : !ended || !answered;
}

void
snapshots_pass(struct agent *a)
{
    ROW_FOR_EACH (struct row_snapshot, row, row_snapshot_table(a->replica)) {
        const struct row_vm *vm = row_snapshot_get_vm(row);
        if (!vm || !agent_is_own(a, &vm->hostnode) || str_eq(vm->state, "deleted") ||
            !has_something_to_do(row)) {
            continue;
        }
        struct vm_obj *obj = vm_obj_of(a, vm);
        a->unsettled = true;
        if (a->listed && !vm->migrate && !obj->o.busy && !obj_must_wait(&obj->o) &&
            !vm_is_held(a, vm)) {
            begin(a, row, vm, obj);
        }
    }
}
