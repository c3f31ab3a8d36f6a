/* agent/vms.c: virtual machines: what their rows want, the steps in threads, their facts. */
#define LOG_MODULE "vm"
#include <stdio.h>
#include <unistd.h>

#include "agent/install_i.h"
#include "agent/jobs_i.h"
#include "agent/migrate_i.h"

#include "base/clock.h"
#include "base/log.h"
#include "virt/hot.h"

/* One step, or only a look (VM_DO_NOTHING), in a worker thread.  Owns all it points to. */
struct vm_job {
    struct agent *agent;
    struct vm_obj *obj; /* NULL: a look at a domain that is nobody's. */
    enum vm_step step;
    struct uuid domain;
    char *name;
    char *xml;             /* VM_DO_DEFINE. */
    struct virt_diff diff; /* VM_DO_CHANGE ... */
    bool has_diff;
    bool asked; /* ... and it was tried before. */
    char *
        console_log; /* VM_DO_UNDEFINE for good: goes with the domain; NULL: another name. */
    volatile int cancel; /* The want changed before the step began. */
    struct vm_want want; /* For the memo; its 'print' points to: */
    char print[VIRT_PRINT_CHARS + 1], guard[VIRT_PRINT_CHARS + 1];
    struct model_vm model; /* VM_DO_GUARD: what it shall be; else empty. */
    struct vm_memo before; /* What the step was decided on; borrows its 'error'. */

    bool skipped;
    struct err *e, *look_e;
    struct virt_dom dom;
};

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

/* The domain may have changed: look at it. */
static void
look_at(struct agent *a, const struct uuid *domain)
{
    struct vm_job *job = NEW(struct vm_job);

    job->agent = a;
    job->domain = *domain;
    job_submit(job);
}

void
vm_obj_free(struct vm_obj *obj)
{
    vm_memo_done(&obj->memo);
    obj_done(&obj->o);
    free(obj);
}

void
vm_obj_orphan(struct vm_obj *obj)
{
    obj->o.row = NULL;
    if (!obj->o.busy) {
        vm_obj_free(obj);
    }
}

void
vm_obj_release(struct vm_obj *obj)
{
    obj->o.busy = false;
    if (!obj->o.row) {
        vm_obj_free(obj);
    }
}

struct vm_obj *
vm_obj_of(struct agent *a, const struct row_vm *row)
{
    struct replica_row *base = (struct replica_row *) &row->base;

    if (!base->user) {
        struct vm_obj *obj = NEW(struct vm_obj);
        obj_init(&obj->o, a, base);
        base->user = obj;
    }
    return base->user;
}

struct row_vm *
vm_row_of(const struct agent *a, const struct uuid *domain)
{
    ROW_FOR_EACH_OF (struct row_vm, row, row_vm_table(a->replica), ROW_VM_UUID, domain) {
        return row;
    }
    struct row_vm *row = row_vm_find(a->replica, domain); /* Without a UUID of its own. */
    return row && uuid_is_zero(&row->uuid) ? row : NULL;
}

struct vm_obj *
vm_obj_find(struct agent *a, const struct uuid *domain)
{
    const struct row_vm *row = vm_row_of(a, domain);
    return row ? row->base.user : NULL;
}

void
vm_event(struct agent *a, const struct virt_event *event)
{
    struct vm_obj *obj = vm_obj_find(a, &event->domain);

    if (obj) {
        vm_memo_event(&obj->memo, event->kind, event->reason, agent_now_ms(a));
        if (obj->o.row) {
            install_event(a, row_vm_of(obj->o.row), event->kind);
        }
    }
    migrates_event(a, event);
    if (a->listed) {
        look_at(a, &event->domain);
    }
}

bool
vms_is_on(const struct virt_dom *dom)
{
    return dom && dom->state != VIRT_SHUTOFF;
}

bool
vms_has_disks(const struct virt_dom *dom)
{
    return vms_is_on(dom) || (dom && dom->saved);
}

/* A disk whose row is gone stays in use until the guest has given it back. */
static const char *
live_user_of(struct agent *a, const char *path)
{
    HMAP_FOR_EACH (struct seen, seen, node, &a->seen) {
        const struct virt_live *live = seen->gone ? NULL : seen->dom.live;
        for (size_t i = 0; live && i < live->d.n_disks; i++) {
            if (str_eq(live->d.disks[i].path, path)) {
                return seen->dom.name;
            }
        }
    }
    return NULL;
}

const char *
vms_user_of(struct agent *a, const struct uuid *volume)
{
    const struct row_volume *row = row_volume_find(a->replica, volume);
    const char *user = row && row->filepath ? live_user_of(a, row->filepath) : NULL;

    if (user) {
        return user;
    }
    ROW_FOR_EACH_OF (struct row_device, device, row_device_table(a->replica),
                     ROW_DEVICE_VOLUME, volume) {
        struct row_vm *vm = row_device_get_vm(device);
        if (vm) {
            struct uuid domain = model_vm_uuid(vm);
            if (vms_has_disks(host_seen(a, &domain))) {
                return vm->name;
            }
        }
    }
    return NULL;
}

static enum vm_state
state_of(const char *state)
{
    return str_eq(state, "running")   ? VM_RUNNING
           : str_eq(state, "stopped") ? VM_STOPPED
           : str_eq(state, "paused")  ? VM_PAUSED
           : str_eq(state, "saved")   ? VM_SAVED
           : str_eq(state, "deleted") ? VM_DELETED
                                      : VM_UNSET;
}

/* A row's want, with what it takes to define the domain.  The strings of the want live in it. */
struct wanted {
    struct vm_want want;
    struct model_vm model;
    bool built; /* The model holds something. */
    char print[VIRT_PRINT_CHARS + 1];
    char *error, *waits, *late;
    struct virt_diff diff; /* Against what runs. */
    bool has_diff;
    char guard[VIRT_PRINT_CHARS + 1];
};

static void
wanted_done(struct wanted *w)
{
    free(w->waits);
    free(w->late);
    if (w->has_diff) {
        virt_diff_done(&w->diff);
    }
    if (w->built) {
        model_vm_done(&w->model);
    }
    free(w->error);
}

/* What the row is told when the guest keeps something. */
static char *
late_text(const struct virt_diff *diff)
{
    for (size_t i = 0; i < diff->n; i++) {
        const struct virt_change *c = &diff->v[i];
        if (c->by_guest && c->kind == VIRT_CH_DETACH) {
            return str_dupf(
                "the guest does not give back %s\nit was asked, and did not within "
                "45 s\nend its use in the guest (umount) and give the command again, or "
                "stop the machine",
                c->what);
        } else if (c->by_guest) {
            return str_dupf(
                "the guest does not follow a change of %s\nit was asked, and did not "
                "within 45 s\nlook whether it has a driver for that (balloon, CPU "
                "hot-plug), or stop and start the machine",
                c->what);
        }
    }
    return NULL;
}

/* Machines whose mark says that they run with just this hardware are not looked at closer. */
static void
compare(const struct virt_dom *seen, struct wanted *w)
{
    if (!seen || !seen->live || w->want.waits || str_eq(seen->live_print, w->print)) {
        return;
    }
    virt_diff(seen->live, &w->model.domain, &w->diff);
    w->has_diff = true;
    w->late = late_text(&w->diff);
    w->want.hot_late = w->late;
    w->want.hot = w->diff.n == 0                   ? VM_HOT_NONE
                  : w->diff.n > w->diff.n_by_guest ? VM_HOT_NOW
                                                   : VM_HOT_GUEST;
}

static void
wanted_of(struct agent *a, const struct row_vm *row, const struct virt_dom *seen,
          struct wanted *w)
{
    struct model_vm_host host = host_model(a);

    memset(w, 0, sizeof *w);
    w->want = (struct vm_want){
        .name = row->name,
        .state = state_of(row->state),
        .force = str_eq(row->how, "force"),
        .generation = row->generation,
        .observed_generation = row->observed_generation,
        .reboots = row->reboots,
        .reboots_done = row->reboots_done,
        .restart_on_crash = !row->on_crash || strstr(row->on_crash, "restart"),
        .was_on = str_eq(row->status, "running") || str_eq(row->status, "idle"),
        .has_snapshots = /* Only then does it matter. */
        seen && !str_eq(seen->name, row->name) && vm_has_snapshots(a, row),
    };
    if (!a->probed) {
        w->want.waits =
            "the machine waits for this host's probe\nit is being tried whether KVM works\nit takes "
            "some seconds";
        w->want.waits_for_job = true;
    }
    struct err *e = model_vm(row, &host, &w->model);
    if (e) {
        e = err_wrap(e, "the machine cannot be built as its row says");
        w->error = error_text(e);
        w->want.error = w->error;
        err_free(e);
        return;
    }
    w->built = true;
    live_disks_where_they_are(a, seen, &w->model.domain);
    w->waits = vols_job_text(a, row);
    w->waits = w->waits ? w->waits : install_pass(a, vm_obj_of(a, row), row);
    if (w->model.waits) {
        w->want.waits = w->model.waits;
        w->want.waits_for_job = w->model.waits_for_job;
    } else if (w->waits) {
        w->want.waits = w->waits;
        w->want.waits_for_job = true;
    }
    virt_domain_print(&w->model.domain, w->print);
    w->want.print = w->print;
    if (w->model.domain.n_nics && w->model.domain.kind == VIRT_KIND_QEMU) {
        virt_domain_guard(&w->model.domain, w->guard);
        w->want.guard = w->guard;
    }
    compare(seen, w);
}

static void
begin(struct agent *a, struct vm_obj *obj, enum vm_step step, struct wanted *w,
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

/* Steps that are but a transaction.  They hold only for the want that they were decided on. */
static void
begin_row_step(struct agent *a, struct vm_obj *obj, enum vm_step step,
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
             const struct wanted *w)
{
    const struct strvec none = STRVEC_INIT;

    if (seen && seen->live && (!w->want.print || w->want.waits)) {
        return;
    }
    const struct strvec *columns = w->has_diff ? &w->diff.reboot : &none;
    facts_bool(f, "needreboot", row->needreboot, columns->n > 0);
    facts_strings(f, "needreboot_columns", &row->needreboot_columns, columns);
}

static void
vm_facts(struct agent *a, const struct row_vm *row, const struct virt_dom *seen,
         const struct wanted *w, const struct vm_decision *d)
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

bool
vm_is_starting(const struct row_vm *row)
{
    const struct vm_obj *obj = row->base.user;
    return obj && obj->job &&
           (obj->job->step == VM_DO_START || obj->job->step == VM_DO_START_PAUSED);
}

/* A disk that others hold only the differences to must not change below them. */
static struct err *
check_not_a_base(struct agent *a, const struct row_vm *vm)
{
    ROW_FOR_EACH_OF (struct row_device, device, row_device_table(a->replica), ROW_DEVICE_VM,
                     &vm->base.uuid) {
        if (device->readonly || str_eq(device->type, "cdrom")) {
            continue;
        }
        ROW_FOR_EACH_OF (struct row_volume, over, row_volume_table(a->replica),
                         ROW_VOLUME_BACKING, &device->volume) {
            struct err *e = err_new(ERR_CONSTRAINT,
                                    "volume %s lies on its disk %s, which must not change",
                                    over->name, device->targetdev);
            return err_hint(err_wrap(e, "the machine must not be started"),
                            "delete %s first, or clone the machine without --linked",
                            over->name);
        }
    }
    return NULL;
}

/* Before a start: may it, and is there room?  If not, that is the answer to this want. */
static bool
is_refused(struct agent *a, struct vm_obj *obj, enum vm_step step, const struct wanted *w,
           const struct row_vm *row)
{
    bool starts = step == VM_DO_START || step == VM_DO_START_PAUSED;
    CLEANUP(err_drop) struct err *e = starts ? check_not_a_base(a, row) : NULL;
    if (starts && !e) {
        e = memory_admit(a, row);
    }
    if (!e) {
        return false;
    }
    CLEANUP(free_drop) char *text = error_text(e);
    log_info("%s: %s: %s", row->name, vm_step_name(step), err_text(e));
    vm_memo_failed(&obj->memo, &w->want, text);
    agent_touch(a); /* Its row tells in the next pass. */
    return true;
}

static void
vm_pass(struct agent *a, const struct row_vm *row)
{
    struct vm_obj *obj = vm_obj_of(a, row);
    struct uuid domain = model_vm_uuid(row);
    const struct virt_dom *seen = host_seen(a, &domain);
    struct wanted w;

    wanted_of(a, row, seen, &w);
    vm_memo_follow(&obj->memo, &w.want);
    const struct vm_memo *memo = obj->job ? &obj->job->before : &obj->memo;
    struct vm_decision d = vm_decide(&w.want, seen, memo, agent_now_ms(a));
    bool is_row_step = d.step >= VM_DO_ROW_STOPPED;

    vm_memo_told(&obj->memo, &w.want, &d);
    bool held = vm_is_held(a, row);

    if (!a->listed || row->migrate) { /* On its way: migrate.c alone acts. */
        vm_facts(a, row, seen, &w, NULL);
    } else if (held && !obj->o.busy) {
        vm_facts(a, row, seen, &w, NULL);
    } else if (obj->o.busy) {
        if (obj->job && d.step != obj->job->step) {
            obj->job->cancel =
                1; /* The row wants something else: if it has not begun, it never will. */
        }
        vm_facts(a, row, seen, &w, NULL);
    } else if (d.step == VM_DO_NOTHING) {
        vm_facts(a, row, seen, &w, &d);
    } else if (obj_must_wait(&obj->o)) {
        vm_facts(a, row, seen, &w, &(struct vm_decision){ .error = obj->o.trouble });
    } else if (is_row_step) {
        begin_row_step(a, obj, d.step, row);
    } else if (!is_refused(a, obj, d.step, &w, row)) {
        begin(a, obj, d.step, &w, row);
    }
    a->unsettled |= !d.settled || obj->o.busy || held;
    agent_wake(a, d.wake_ms);
    wanted_done(&w);
}

void
vms_pass(struct agent *a)
{
    a->holding = vm_jobs_are_open(a);
    a->moving = live_moves_are_open(a);
    ROW_FOR_EACH (struct row_vm, row, row_vm_table(a->replica)) {
        if (agent_is_own(a, &row->hostnode) && !str_eq(row->source, "libvirt")) {
            vm_pass(a, row);
        }
    }
}
