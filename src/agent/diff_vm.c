/* agent/diff_vm.c: the next step for a virtual machine.
 *
 * The want is the truth: a domain that somebody stopped behind Byre's back is started again, with
 * one exception.  When the guest itself switched off (an operator inside typed "poweroff"), that
 * is a wish too, and the newer one: the row's want becomes "stopped", unless the row was
 * changed meanwhile.  A crash is no wish. */
#include "agent/diff.h"

#include <stdio.h>

#include "base/str.h"

static const char *const step_names[N_VM_STEPS] = {
    [VM_DO_NOTHING] = "nothing",
    [VM_DO_DEFINE] = "define",
    [VM_DO_START] = "start",
    [VM_DO_START_PAUSED] = "start-paused",
    [VM_DO_SHUTDOWN] = "shutdown",
    [VM_DO_DESTROY] = "destroy",
    [VM_DO_SUSPEND] = "suspend",
    [VM_DO_RESUME] = "resume",
    [VM_DO_REBOOT] = "reboot",
    [VM_DO_RESET] = "reset",
    [VM_DO_UNDEFINE] = "undefine",
    [VM_DO_SAVE] = "save",
    [VM_DO_FORGET_SAVED] = "forget-saved",
    [VM_DO_CHANGE] = "change",
    [VM_DO_GUARD] = "guard",
    [VM_DO_ROW_STOPPED] = "row-stopped",
    [VM_DO_ROW_REBOOTED] = "row-rebooted",
    [VM_DO_ROW_DELETE] = "row-delete",
};

const char *
vm_step_name(enum vm_step step)
{
    return step_names[step];
}

static struct vm_decision
take(enum vm_step step)
{
    return (struct vm_decision){ .step = step };
}

static struct vm_decision
settled(const char *error)
{
    return (struct vm_decision){ .settled = true, .error = error };
}

static struct vm_decision
waiting(const char *error, int64_t wake_ms)
{
    return (struct vm_decision){ .error = error, .wake_ms = wake_ms };
}

static bool
is_off(const struct virt_dom *seen)
{
    return seen->state == VIRT_SHUTOFF;
}

/* The definition on file must become that of the row.  Only for a domain that is off (or not
 * there at all): what runs is left as it is. */
static struct vm_decision
define(const struct vm_want *want, const struct virt_dom *seen)
{
    if (!want->print) {
        return settled(want->error);
    } else if (want->waits) {
        return waiting(want->waits, 0);
    } else if (seen && !str_eq(seen->name, want->name) && want->has_snapshots) {
        return settled(
            "libvirt keeps the machine under its old name\nit has snapshots, which belong to that "
            "name\ndelete them (byre vm snapshot delete), or name it as before");
    } else if (seen && !str_eq(seen->name, want->name)) {
        return take(VM_DO_UNDEFINE); /* libvirt renames nothing by defining. */
    }
    return take(VM_DO_DEFINE);
}

static bool
is_defined(const struct vm_want *want, const struct virt_dom *seen)
{
    return want->print && str_eq(seen->mark.print, want->print) &&
           (!want->guard || str_eq(seen->mark.guard, want->guard)) &&
           str_eq(seen->name, want->name);
}

/* Do its packet filters let pass what they should?  They follow its addresses while it runs. */
static bool
is_guarded(const struct vm_want *want, const struct virt_dom *seen)
{
    return !want->guard || seen->state == VIRT_SHUTOFF ||
           str_eq(seen->live_guard, want->guard);
}

static struct vm_decision
want_deleted(const struct virt_dom *seen)
{
    if (!seen) {
        return take(VM_DO_ROW_DELETE);
    } else if (!is_off(seen)) {
        return take(VM_DO_DESTROY);
    }
    return take(VM_DO_UNDEFINE);
}

/* Graceful: the power button, again and again for those who did not hear it, then a complaint.
 * A guest that is paused can hear nothing. */
static struct vm_decision
want_off_gracefully(const struct vm_want *want, const struct virt_dom *seen,
                    const struct vm_memo *memo, int64_t now_ms)
{
    bool asked = memo->asked_ms > 0 && memo->asked_generation == want->generation;

    if (seen->state == VIRT_PAUSED || seen->state == VIRT_SUSPENDED) {
        return take(VM_DO_RESUME);
    } else if (!asked) {
        return take(VM_DO_SHUTDOWN);
    } else if (now_ms - memo->asked_ms >= GIVE_UP_MS) {
        return settled(
            "the guest was asked to shut down\nit did not within 45 s\nlook at its console "
            "(byre vm console), or stop it with --force");
    } else if (now_ms - memo->asked_last_ms >= ASK_AGAIN_MS) {
        return take(VM_DO_SHUTDOWN);
    }
    return waiting(NULL,
                   min64(memo->asked_last_ms + ASK_AGAIN_MS, memo->asked_ms + GIVE_UP_MS));
}

static struct vm_decision
want_stopped(const struct vm_want *want, const struct virt_dom *seen,
             const struct vm_memo *memo, int64_t now_ms)
{
    if (!is_off(seen)) {
        return want->force || seen->state == VIRT_CRASHED
                   ? take(VM_DO_DESTROY)
                   : want_off_gracefully(want, seen, memo, now_ms);
    } else if (seen->saved && want->force) {
        return take(VM_DO_FORGET_SAVED);
    } else if (seen->saved) {
        return settled(
            "the machine is saved, not shut down\nits memory waits on disk for the next "
            "start\nstart it and shut it down, or throw its memory away: stop it with "
            "--force");
    } else if (want->reboots > want->reboots_done) {
        return take(VM_DO_ROW_REBOOTED); /* Nothing to reboot. */
    } else if (!is_defined(want, seen)) {
        /* A machine that is to be off is off, whatever its definition waits for. */
        struct vm_decision d = define(want, seen);
        return d.step == VM_DO_NOTHING && !d.settled ? settled(NULL) : d;
    }
    return settled(NULL);
}

/* What is being saved or migrated is left to it; what is off has nothing to be saved. */
static struct vm_decision
want_saved(const struct vm_want *want, const struct virt_dom *seen)
{
    if (is_off(seen)) {
        return settled(
            seen->saved
                ? NULL
                : "the machine is off\nso it has no memory that could be saved\nstart it");
    } else if (seen->state == VIRT_CRASHED) {
        return settled(
            "the guest crashed\nso there is nothing worth saving\nstop it with --force, "
            "then start it again");
    } else if (seen->state == VIRT_SHUTDOWN ||
               (seen->state == VIRT_PAUSED && seen->reason == VIRT_WHY_TRANSIENT)) {
        return waiting(NULL, 0);
    }
    return take(VM_DO_SAVE);
}

/* It is off and should run. */
static struct vm_decision
start(const struct vm_want *want, const struct virt_dom *seen, const struct vm_memo *memo,
      int64_t now_ms)
{
    /* Started for just this want, it may be off again before anybody could say that it was on. */
    bool tried_it = memo->started && memo->started_of == want->generation;
    bool newer =
        want->generation > want->observed_generation && !tried_it; /* Asked for now. */

    if (seen->saved) { /* With the hardware that it was saved with. */
        return want->waits                ? waiting(want->waits, 0)
               : want->state == VM_PAUSED ? take(VM_DO_START_PAUSED)
                                          : take(VM_DO_START);
    } else if (!newer && want->state == VM_RUNNING && (want->was_on || tried_it) &&
               !memo->stop_ours && seen->reason == VIRT_WHY_GUEST_POWEROFF) {
        return take(VM_DO_ROW_STOPPED);
    } else if (!newer && seen->reason == VIRT_WHY_CRASHED && !want->restart_on_crash) {
        return settled(
            "the guest crashed\nit is kept off, as on_crash says\nlook at its console log, then "
            "start it again");
    } else if (!is_defined(want, seen)) {
        return define(want, seen);
    } else if (want->waits) {
        return waiting(want->waits, 0);
    } else if (!newer && now_ms < memo->not_before_ms) {
        return waiting(
            "the guest crashed\nit is started again after a pause, longer each time\nlook at "
            "its console log",
            memo->not_before_ms);
    }
    return take(want->state == VM_PAUSED ? VM_DO_START_PAUSED : VM_DO_START);
}

/* A reboot is asked for and the machine is on. */
static struct vm_decision
reboot(const struct vm_want *want, const struct vm_memo *memo, int64_t now_ms)
{
    bool asked = memo->reboot_ms > 0 && memo->reboot_of == want->reboots;

    if (asked && memo->rebooted) {
        return take(VM_DO_ROW_REBOOTED);
    } else if (want->force) {
        return take(VM_DO_RESET);
    } else if (!asked) {
        return take(VM_DO_REBOOT);
    } else if (now_ms - memo->reboot_ms < GIVE_UP_MS) {
        return waiting(NULL, memo->reboot_ms + GIVE_UP_MS);
    }
    return settled(
        "the guest was asked to reboot\nit did not within 45 s\nlook at its console (byre vm "
        "console), or reboot it with --force");
}

static bool
is_hot_asked(const struct vm_memo *memo, const struct vm_want *want)
{
    return memo->hot_ms > 0 && memo->hot_generation == want->generation &&
           str_eq(memo->hot_print, want->print);
}

static bool
is_late(const struct vm_memo *memo, const struct vm_want *want)
{
    return memo->hot_late[0] && want->hot_late &&
           strncmp(memo->hot_late, want->hot_late, HOT_LATE_CHARS) == 0;
}

/* It is on as wanted.  Is what runs the hardware of its row?  What libvirt can change is changed;
 * the guest is asked for what it must give back, and that is waited for, not for ever. */
static struct vm_decision
hardware(const struct vm_want *want, const struct virt_dom *seen,
         const struct vm_memo *memo, int64_t now_ms)
{
    bool asked = want->print && is_hot_asked(memo, want);

    if (!want->print) {
        return settled(want->error);
    } else if (want->waits) {
        return want->waits_for_job ? waiting(want->waits, 0) : settled(NULL);
    } else if (want->hot == VM_HOT_NONE) {
        return settled(NULL);
    } else if (want->hot == VM_HOT_NOW) {
        return asked && memo->hot_tries >= HOT_TRIES
                   ? settled(
                         "the running machine could not be changed\nlibvirt took the change, and "
                         "it does not show\nstop and start the machine")
                   : take(VM_DO_CHANGE);
    } else if (!asked) {
        return take(VM_DO_CHANGE);
    } else if (seen->state == VIRT_PAUSED || seen->state == VIRT_SUSPENDED) {
        return settled(
            "the machine is paused\nits guest cannot give anything back until it goes on\nbyre "
            "vm resume");
    } else if (now_ms - memo->hot_ms >= GIVE_UP_MS || is_late(memo, want)) {
        return settled(want->hot_late);
    } else if (now_ms - memo->hot_last_ms >= ASK_AGAIN_MS) {
        return take(VM_DO_CHANGE);
    }
    return waiting(NULL,
                   min64(memo->hot_last_ms + ASK_AGAIN_MS, memo->hot_ms + GIVE_UP_MS));
}

static struct vm_decision
want_on(const struct vm_want *want, const struct virt_dom *seen, const struct vm_memo *memo,
        int64_t now_ms)
{
    if (is_off(seen)) {
        return start(want, seen, memo, now_ms);
    } else if (seen->state == VIRT_CRASHED) {
        return settled(
            "the guest crashed\nit is preserved as it was, as on_crash says\nstop it with --force, "
            "then start it again");
    } else if (seen->state == VIRT_SHUTDOWN) {
        return waiting(NULL, 0); /* On its way down; the event follows. */
    } else if (seen->state == VIRT_PAUSED && seen->reason == VIRT_WHY_IO_ERROR) {
        return settled(
            "the machine is paused\na disk of it could not be written\nmake room in its pool, then "
            "resume it by virsh");
    } else if (seen->state == VIRT_PAUSED && seen->reason == VIRT_WHY_TRANSIENT) {
        return waiting(
            NULL, 0); /* Starting, migrating, being saved: libvirt goes on by itself. */
    } else if (want->reboots > want->reboots_done && seen->state != VIRT_PAUSED) {
        return reboot(want, memo, now_ms);
    } else if (want->state == VM_RUNNING && seen->state == VIRT_PAUSED) {
        return take(VM_DO_RESUME);
    } else if (want->state == VM_PAUSED && seen->state != VIRT_PAUSED &&
               seen->state != VIRT_SUSPENDED) {
        return take(VM_DO_SUSPEND);
    }
    return is_guarded(want, seen) ? hardware(want, seen, memo, now_ms) : take(VM_DO_GUARD);
}

static struct vm_decision
decide(const struct vm_want *want, const struct virt_dom *seen, const struct vm_memo *memo,
       int64_t now_ms)
{
    if (want->state == VM_UNSET) {
        return settled(NULL);
    } else if (seen && !seen->marked) {
        /* Not even to delete the row: somebody may have wanted just that domain. */
        return settled(
            "libvirt has a domain with this machine's UUID that Byre did not make\nByre never touches "
            "such a domain\ngive the machine another uuid");
    } else if (want->state == VM_DELETED) {
        return want_deleted(seen);
    } else if (!seen) {
        return define(want, NULL);
    } else if (want->state == VM_STOPPED) {
        return want_stopped(want, seen, memo, now_ms);
    } else if (want->state == VM_SAVED) {
        return want_saved(want, seen);
    }
    return want_on(want, seen, memo, now_ms);
}

static struct vm_tried
tried(const struct vm_want *want)
{
    struct vm_tried t = { .state = want->state,
                          .force = want->force,
                          .generation = want->generation,
                          .reboots = want->reboots };

    if (want->print) {
        memcpy(t.print, want->print, VIRT_PRINT_CHARS);
    }
    if (want->guard) {
        memcpy(t.guard, want->guard, VIRT_PRINT_CHARS);
    }
    return t;
}

static bool
has_failed(const struct vm_memo *memo, const struct vm_want *want)
{
    struct vm_tried now = tried(want);
    const struct vm_tried *then = &memo->tried;

    return memo->failed && now.state == then->state && now.force == then->force &&
           now.generation == then->generation && now.reboots == then->reboots &&
           str_eq(now.print, then->print) && str_eq(now.guard, then->guard);
}

struct vm_decision
vm_decide(const struct vm_want *want, const struct virt_dom *seen,
          const struct vm_memo *memo, int64_t now_ms)
{
    struct vm_decision d = decide(want, seen, memo, now_ms);
    bool is_row = d.step >= VM_DO_ROW_STOPPED;

    return d.step != VM_DO_NOTHING && !is_row && has_failed(memo, want)
               ? settled(memo->error)
               : d;
}

void
vm_memo_follow(struct vm_memo *memo, const struct vm_want *want)
{
    memo->failed = has_failed(memo, want);
    if (want->hot == VM_HOT_NONE) {
        memo->hot_ms = 0;
        memo->hot_late[0] = '\0';
    }
}

void
vm_memo_told(struct vm_memo *memo, const struct vm_want *want, const struct vm_decision *d)
{
    if (d->settled && d->error && d->error == want->hot_late) {
        snprintf(memo->hot_late, sizeof memo->hot_late, "%s", d->error);
    }
}

void
vm_memo_begin(struct vm_memo *memo, enum vm_step step, const struct vm_want *want,
              int64_t now_ms)
{
    switch (step) {
    case VM_DO_START:
    case VM_DO_START_PAUSED:
        memo->stop_ours = false;
        memo->asked_ms = 0;
        memo->started = true;
        memo->started_of = want->generation;
        break;
    case VM_DO_SHUTDOWN:
        if (memo->asked_ms == 0 || memo->asked_generation != want->generation) {
            memo->asked_ms = now_ms;
            memo->asked_generation = want->generation;
        }
        memo->asked_last_ms = now_ms;
        memo->stop_ours = true;
        break;
    case VM_DO_CHANGE:
        if (!is_hot_asked(memo, want)) {
            memcpy(memo->hot_print, want->print, VIRT_PRINT_CHARS + 1);
            memo->hot_generation = want->generation;
            memo->hot_ms = now_ms;
            memo->hot_tries = 0;
        }
        memo->hot_last_ms = now_ms;
        memo->hot_tries += want->hot == VM_HOT_NOW;
        break;
    case VM_DO_DESTROY:
    case VM_DO_SAVE: memo->stop_ours = true; break;
    case VM_DO_REBOOT:
    case VM_DO_RESET:
        memo->reboot_ms = now_ms;
        memo->reboot_of = want->reboots;
        memo->rebooted = step == VM_DO_RESET; /* That one does not ask the guest. */
        break;
    default: break;
    }
}

void
vm_memo_skipped(struct vm_memo *memo, const struct vm_memo *before)
{
    memo->asked_ms = before->asked_ms;
    memo->asked_last_ms = before->asked_last_ms;
    memo->asked_generation = before->asked_generation;
    memo->stop_ours = before->stop_ours;
    memo->reboot_ms = before->reboot_ms;
    memo->reboot_of = before->reboot_of;
    memo->rebooted = before->rebooted;
    memo->started = before->started;
    memo->started_of = before->started_of;
    memcpy(memo->hot_print, before->hot_print, sizeof memo->hot_print);
    memo->hot_generation = before->hot_generation;
    memo->hot_ms = before->hot_ms;
    memo->hot_last_ms = before->hot_last_ms;
    memo->hot_tries = before->hot_tries;
}

void
vm_memo_failed(struct vm_memo *memo, const struct vm_want *want, const char *error)
{
    memo->failed = true;
    memo->started = false;
    memo->tried = tried(want);
    free(memo->error);
    memo->error = str_dup(error);
}

void
vm_memo_event(struct vm_memo *memo, enum virt_event_kind kind, enum virt_reason reason,
              int64_t now_ms)
{
    switch (kind) {
    case VIRT_EV_STARTED:
        memo->started_ms = now_ms;
        memo->asked_ms = 0;
        break;
    case VIRT_EV_STOPPED:
        if (reason != VIRT_WHY_CRASHED && reason != VIRT_WHY_FAILED) {
            memo->backoff_ms = memo->not_before_ms = 0;
            break;
        }
        if (now_ms - memo->started_ms >= RESTART_GOOD_MS) {
            memo->backoff_ms = 0;
        }
        memo->backoff_ms = clamp64(2 * memo->backoff_ms, RESTART_MIN_MS, RESTART_MAX_MS);
        memo->not_before_ms = now_ms + memo->backoff_ms;
        break;
    case VIRT_EV_REBOOTED: memo->rebooted = true; break;
    default: break;
    }
}

void
vm_memo_done(struct vm_memo *memo)
{
    free(memo->error);
    memset(memo, 0, sizeof *memo);
}
