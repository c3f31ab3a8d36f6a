/* agent/vm_steps.c: the steps of virtual machines: begun here, done in a thread, and what came of them.
 *
 * A step is decided by diff_vm.c.  Its thread gets copies of all it needs; before it begins it looks whether the row
 * still wants it, and after it, whatever came of it, it looks at the domain. */
#define LOG_MODULE "vm"
#include <stdio.h>
#include <unistd.h>

#include "agent/install_i.h"
#include "agent/vms_i.h"
#include "base/log.h"

static bool
failed_but_gone(struct err **e)
{
    if (err_is(*e, ERR_NOT_FOUND)) {
        err_free(TAKE(*e));
        return true;
    }
    return false;
}

static struct err *
step_run(struct vm_job *job)
{
    struct virt *v = job->agent->virt;
    struct err *e = NULL;

    switch (job->step) {
    case VM_DO_DEFINE: return virt_define(v, job->xml);
    case VM_DO_START: return virt_start(v, &job->domain, false);
    case VM_DO_START_PAUSED: return virt_start(v, &job->domain, true);
    case VM_DO_SHUTDOWN: return virt_shutdown(v, &job->domain);
    case VM_DO_SUSPEND: return virt_suspend(v, &job->domain);
    case VM_DO_RESUME: return virt_resume(v, &job->domain);
    case VM_DO_REBOOT: return virt_reboot(v, &job->domain);
    case VM_DO_RESET: return virt_reset(v, &job->domain);
    case VM_DO_SAVE: return virt_save(v, &job->domain);
    case VM_DO_FORGET_SAVED: return virt_forget_saved(v, &job->domain);
    case VM_DO_CHANGE: return virt_apply(v, &job->domain, &job->diff, job->asked);
    case VM_DO_GUARD:
        return virt_guards_set(v, &job->domain, job->model.domain.nics,
                               job->model.domain.n_nics, job->guard);
    case VM_DO_DESTROY:
        e = virt_destroy(v, &job->domain);
        failed_but_gone(&e);
        return e;
    case VM_DO_UNDEFINE:
        e = job->console_log ? virt_undefine(v, &job->domain)
                             : virt_undefine_for_now(v, &job->domain);
        failed_but_gone(&e);
        if (!e && job->console_log) {
            unlink(job->console_log); /* May be another user's; then it stays. */
            install_forget(job->agent, &job->domain);
        }
        return e;
    default: return NULL;
    }
}

static void
job_run(void *aux)
{
    struct vm_job *job = aux;

    if (job->cancel) {
        job->skipped = true;
        return;
    }
    job->e = step_run(job);
    job->look_e = virt_look(job->agent->virt, &job->domain, &job->dom);
}

static void
job_free(struct vm_job *job)
{
    err_free(job->e);
    err_free(job->look_e);
    virt_dom_done(&job->dom);
    model_vm_done(&job->model);
    free(job->name);
    free(job->xml);
    free(job->console_log);
    if (job->has_diff) {
        virt_diff_done(&job->diff);
    }
    free(job);
}

static const char *
step_failed_text(enum vm_step step)
{
    static const char *const texts[N_VM_STEPS] = {
        [VM_DO_DEFINE] = "libvirt does not accept the machine",
        [VM_DO_START] = "the machine could not be started",
        [VM_DO_START_PAUSED] = "the machine could not be started",
        [VM_DO_SHUTDOWN] = "the guest could not be asked to shut down",
        [VM_DO_DESTROY] = "the machine could not be stopped",
        [VM_DO_SUSPEND] = "the machine could not be paused",
        [VM_DO_RESUME] = "the machine could not be resumed",
        [VM_DO_REBOOT] = "the guest could not be asked to reboot",
        [VM_DO_RESET] = "the machine could not be reset",
        [VM_DO_UNDEFINE] = "libvirt could not forget the machine",
        [VM_DO_SAVE] = "the machine could not be saved",
        [VM_DO_FORGET_SAVED] = "what was saved could not be thrown away",
        [VM_DO_CHANGE] = "the running machine could not be changed",
        [VM_DO_GUARD] =
            "what keeps the machine from spoofing could not follow its addresses",
    };
    return texts[step] ? texts[step] : "the machine could not be changed";
}

/* What the row's error says: our own what and next, libvirt's why. */
static void
step_failed(struct vm_job *job)
{
    struct vm_obj *obj = job->obj;
    struct err *e = TAKE(job->e);

    if (trouble_may_pass(e)) {
        obj_trouble(&obj->o, e);
        return;
    }
    CLEANUP(free_drop) char *why = str_dup(err_why(e));
    CLEANUP(free_drop) char *next = err_next(e) ? str_dup(err_next(e)) : NULL;
    log_failure(LOG_WARN, LOG_MODULE,
                err_wrap(e, "%s: %s", job->name, vm_step_name(job->step)));
    struct err *told =
        err_hint(err_wrap(err_new(ERR_IO, "%s", why), "%s", step_failed_text(job->step)),
                 "%s", next ? next : "correct what it names, then give the command again");
    CLEANUP(free_drop) char *text = error_text(told);
    err_free(told);
    vm_memo_failed(&obj->memo, &job->want, text);
}

static void
job_done(void *aux, bool dropped)
{
    struct vm_job *job = aux;
    struct agent *a = job->agent;
    struct vm_obj *obj = job->obj;

    if (obj) {
        obj->job = NULL;
    }
    if (job->skipped && obj) {
        vm_memo_skipped(&obj->memo, &job->before);
    }
    if (!dropped && !job->skipped) {
        if (!job->look_e) {
            host_learn(a, &job->domain, &job->dom);
        } else if (err_is(job->look_e, ERR_NOT_FOUND)) {
            host_learn(a, &job->domain, NULL);
        } else {
            host_lost(a);
        }
        if (obj && job->e) {
            step_failed(job);
        } else if (obj) {
            obj_fine(&obj->o);
        }
    }
    if (obj) {
        vm_obj_release(obj);
    }
    if (!dropped) {
        agent_touch(a);
    }
    job_free(job);
}

static void
job_submit(struct vm_job *job)
{
    char key[UUID_CHARS + 8];
    struct work *work =
        job->step == VM_DO_SAVE ? job->agent->slow : job->agent->work; /* All its memory. */

    snprintf(key, sizeof key, "vm/%s", UUID_TEXT(&job->domain));
    work_submit(work, key, job_run, job_done, job);
}

void
vm_look_at(struct agent *a, const struct uuid *domain)
{
    struct vm_job *job = NEW(struct vm_job);

    job->agent = a;
    job->domain = *domain;
    job_submit(job);
}

void
vm_step_begin(struct agent *a, struct vm_obj *obj, enum vm_step step, struct vm_wanted *w,
              const struct row_vm *row)
{
    struct vm_job *job = NEW(struct vm_job);

    job->agent = a;
    job->obj = obj;
    job->step = step;
    job->domain = model_vm_uuid(row);
    job->name = str_dup(row->name);
    job->want = w->want;
    job->want.name = job->name;
    job->want.error = job->want.waits = job->want.hot_late = NULL;
    if (w->want.print) {
        memcpy(job->print, w->print, sizeof job->print);
        job->want.print = job->print;
    }
    if (w->want.guard) {
        memcpy(job->guard, w->guard, sizeof job->guard);
        job->want.guard = job->guard;
    }
    if (step == VM_DO_DEFINE) {
        CLEANUP(buf_done) struct buf xml = BUF_INIT;
        virt_domain_xml(&w->model.domain, &xml);
        job->xml = buf_take(&xml);
    } else if (step == VM_DO_UNDEFINE && w->want.state == VM_DELETED) {
        job->console_log = model_vm_console_log(a->console_dir, &job->domain);
    } else if (step == VM_DO_GUARD) {
        job->model = w->model;
        w->built = false; /* Taken. */
    }
    if (step == VM_DO_CHANGE) {
        job->diff = w->diff;
        job->has_diff = true;
        w->has_diff = false; /* Taken. */
        job->asked = obj->memo.hot_ms > 0 && str_eq(obj->memo.hot_print, w->print);
    }
    job->before = obj->memo;
    vm_memo_begin(&obj->memo, step, &w->want, agent_now_ms(a));
    obj->o.busy = true;
    obj->job = job;
    log_info("%s: %s", row->name, vm_step_name(step));
    job_submit(job);
}
