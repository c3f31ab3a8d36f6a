/* agent/vm_jobs.c: rows of table job that are about a machine.
 *
 *     vm.revert    target: the machine, source: the snapshot     goes back to it
 *
 * Who asks for one says in the same transaction what the machine shall be doing after it (vm.state).  So while such a
 * row is open the machine is held: nothing of what its own row wants is done, or it would be done to the machine as
 * it was.  An agent that is killed in the middle leaves the row open, and the next one does it again: going back to
 * a snapshot a second time costs the guest the seconds in between. */
#define LOG_MODULE "job"
#include <stdio.h>

#include "agent/jobs_i.h"
#include "agent/ticket_i.h"

#include "base/log.h"
#include "virt/snapshot.h"

struct vm_work {
    struct agent *agent;
    struct vm_obj *obj;
    struct ticket *ticket;
    struct uuid domain;
    char *snapshot;
    struct err *e, *look_e;
    struct virt_dom dom;
};

bool
vm_jobs_are_open(struct agent *a)
{
    ROW_FOR_EACH (struct row_job, row, row_job_table(a->replica)) {
        if (job_is_open(row) && str_eq(row->kind, "vm.revert")) {
            return true;
        }
    }
    return false;
}

bool
vm_is_held(struct agent *a, const struct row_vm *vm)
{
    if (!a->holding) { /* As a rule; so ten thousand machines cost one look. */
        return false;
    }
    ROW_FOR_EACH (struct row_job, row, row_job_table(a->replica)) {
        if (job_is_open(row) && str_eq(row->kind, "vm.revert") &&
            uuid_eq(&row->target, &vm->base.uuid) && agent_is_own(a, &row->hostnode)) {
            return true;
        }
    }
    return false;
}

static void
revert_run(void *aux)
{
    struct vm_work *w = aux;

    w->e = virt_snapshot_revert(w->agent->virt, &w->domain, w->snapshot);
    w->look_e = virt_look(w->agent->virt, &w->domain, &w->dom);
}

static void
revert_done(void *aux, bool dropped)
{
    struct vm_work *w = aux;

    if (dropped) {
        ticket_release(w->ticket);
    } else {
        if (!w->look_e) {
            host_learn(w->agent, &w->domain, &w->dom);
        }
        /* The guest's counters begin anew, and so does what was asked of it. */
        vm_memo_done(&w->obj->memo);
        w->e = err_wrap(TAKE(w->e), "vm.revert");
        ticket_end(w->ticket, w->e, NULL);
        agent_touch(w->agent);
    }
    vm_obj_release(w->obj);
    err_free(w->e);
    err_free(w->look_e);
    virt_dom_done(&w->dom);
    free(w->snapshot);
    free(w);
}

static struct err *
revert_check(struct agent *a, const struct row_vm *vm, const struct row_snapshot *snapshot)
{
    struct uuid domain = model_vm_uuid(vm);
    const struct virt_dom *seen = host_seen(a, &domain);

    if (!snapshot || !uuid_eq(&snapshot->vm, &vm->base.uuid)) {
        return err_new(ERR_NOT_FOUND, "machine %s has no such snapshot", vm->name);
    } else if (!str_eq(snapshot->state, "ready") || snapshot->deleted) {
        return err_hint(err_new(ERR_CONSTRAINT, "snapshot %s is %s, not ready",
                                snapshot->name,
                                snapshot->state ? snapshot->state : "not there yet"),
                        "byre vm snapshot list %s", vm->name);
    } else if (!seen || !seen->marked) {
        return err_new(ERR_NOT_FOUND, "libvirt has no machine %s of ours", vm->name);
    } else if (seen->saved) {
        return err_hint(err_new(ERR_CONSTRAINT, "machine %s is saved", vm->name),
                        "start it first, or throw its memory away: byre vm stop %s --force",
                        vm->name);
    }
    return NULL;
}

void
vm_job_pass(struct agent *a, const struct row_job *row)
{
    const struct row_vm *vm = row_vm_find(a->replica, &row->target);
    const struct row_snapshot *snapshot = row_snapshot_find(a->replica, &row->source);

    if (!vm || !agent_is_own(a, &vm->hostnode)) {
        job_refuse(a, row, err_new(ERR_NOT_FOUND, "this host has no such machine"));
        return;
    }
    struct vm_obj *obj = vm_obj_of(a, vm);
    if (!a->listed || vm->migrate || obj->o.busy) {
        a->unsettled = true; /* The end of that calls for the next pass. */
        return;
    }
    struct err *e = revert_check(a, vm, snapshot);
    if (e) {
        job_refuse(a, row, err_wrap(e, "%s", row->kind));
        return;
    }
    struct vm_work *w = NEW(struct vm_work);
    char key[UUID_CHARS + 8];
    w->agent = a;
    w->obj = obj;
    w->ticket = ticket_take(a, row);
    w->domain = model_vm_uuid(vm);
    w->snapshot = str_dup(snapshot->name);
    obj->o.busy = true;
    a->unsettled = true;
    log_info("%s: back to snapshot %s", vm->name, snapshot->name);
    snprintf(key, sizeof key, "vm/%s", UUID_TEXT(&w->domain));
    work_submit(a->slow, key, revert_run, revert_done, w);
}
