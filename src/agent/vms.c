/* agent/vms.c: virtual machines: what their rows want, and what is done about it in a pass.  The steps are in
 * vm_steps.c, what becomes of the rows in vm_rows.c. */
#define LOG_MODULE "vm"
#include "agent/install_i.h"
#include "agent/jobs_i.h"
#include "agent/migrate_i.h"
#include "agent/vms_i.h"
#include "base/log.h"

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
        vm_look_at(a, &event->domain);
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

static void
wanted_done(struct vm_wanted *w)
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
compare(const struct virt_dom *seen, struct vm_wanted *w)
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
          struct vm_wanted *w)
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
is_refused(struct agent *a, struct vm_obj *obj, enum vm_step step,
           const struct vm_wanted *w, const struct row_vm *row)
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
    struct vm_wanted w;

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
        vm_row_step(a, obj, d.step, row);
    } else if (!is_refused(a, obj, d.step, &w, row)) {
        vm_step_begin(a, obj, d.step, &w, row);
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
