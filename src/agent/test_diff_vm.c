/* agent/test_diff_vm.c: what to do next about a machine, as a table.  A row is a test. */
#include "agent/test_diff_i.h"

static const struct vm_case {
    const char *why;
    struct vm_want want;
    const struct virt_dom *seen; /* NULL: libvirt has none. */
    struct vm_memo memo;
    const char *step;
    bool settled;
    const char *error; /* Begins with this; NULL: none. */
    int64_t wake_ms;
} vm_cases[] = {
    { "nothing asked, nothing done", WANT(UNSET), NULL, {}, "nothing", true, NULL, 0 },
    { "a row becomes a definition", WANT(STOPPED), NULL, {}, "define", false, NULL, 0 },
    { "stopped and defined", WANT(STOPPED), DOM(SHUTOFF), {}, "nothing", true, NULL, 0 },
    { "define before start", WANT(RUNNING), NULL, {}, "define", false, NULL, 0 },
    { "start", WANT(RUNNING), DOM(SHUTOFF), {}, "start", false, NULL, 0 },
    { "running", WANT(RUNNING), DOM(RUNNING), {}, "nothing", true, NULL, 0 },
    { "idle is running", WANT(RUNNING), DOM(IDLE), {}, "nothing", true, NULL, 0 },
    { "start paused", WANT(PAUSED), DOM(SHUTOFF), {}, "start-paused", false, NULL, 0 },
    { "pause", WANT(PAUSED), DOM(RUNNING), {}, "suspend", false, NULL, 0 },
    { "paused", WANT(PAUSED), DOM(PAUSED), {}, "nothing", true, NULL, 0 },
    { "resume", WANT(RUNNING), DOM(PAUSED), {}, "resume", false, NULL, 0 },
    { "libvirt pauses while it starts",
      WANT(RUNNING),
      DOM(PAUSED, WHY(TRANSIENT)),
      {},
      "nothing",
      false,
      NULL,
      0 },
    { "a full disk pauses; resuming would loop",
      WANT(RUNNING),
      DOM(PAUSED, WHY(IO_ERROR)),
      {},
      "nothing",
      true,
      "the machine is paused\n",
      0 },
    { "changed hardware is defined when off",
      WANT(STOPPED),
      DOM(SHUTOFF, .mark.print = Q),
      {},
      "define",
      false,
      NULL,
      0 },
    { "changed hardware is defined before a start",
      WANT(RUNNING),
      DOM(SHUTOFF, .mark.print = Q),
      {},
      "define",
      false,
      NULL,
      0 },
    { "changed hardware waits while it runs",
      WANT(RUNNING),
      DOM(RUNNING, .mark.print = Q),
      {},
      "nothing",
      true,
      NULL,
      0 },
    { "a new name needs a new definition",
      WANT(STOPPED),
      DOM(SHUTOFF, .name = "b"),
      {},
      "undefine",
      false,
      NULL,
      0 },
    { "save", WANT(SAVED), DOM(RUNNING), {}, "save", false, NULL, 0 },
    { "save what is paused", WANT(SAVED), DOM(PAUSED), {}, "save", false, NULL, 0 },
    { "being saved already",
      WANT(SAVED),
      DOM(PAUSED, WHY(TRANSIENT)),
      {},
      "nothing",
      false,
      NULL,
      0 },
    { "saved", WANT(SAVED), DOM(SHUTOFF, .saved = true), {}, "nothing", true, NULL, 0 },
    { "nothing to save",
      WANT(SAVED),
      DOM(SHUTOFF),
      {},
      "nothing",
      true,
      "the machine is off\n",
      0 },
    { "to be saved, not there yet", WANT(SAVED), NULL, {}, "define", false, NULL, 0 },
    { "a start goes on from what was saved",
      WANT(RUNNING, .generation = 2),
      DOM(SHUTOFF, .saved = true),
      {},
      "start",
      false,
      NULL,
      0 },
    { "and keeps the hardware it was saved with",
      WANT(RUNNING),
      DOM(SHUTOFF, .saved = true, .mark.print = Q),
      {},
      "start",
      false,
      NULL,
      0 },
    { "its disks are being made",
      WANT(RUNNING, .waits = "waits for volume p/d"),
      DOM(SHUTOFF, .saved = true),
      {},
      "nothing",
      false,
      "waits for volume p/d",
      0 },
    { "to be paused, was saved",
      WANT(PAUSED),
      DOM(SHUTOFF, .saved = true),
      {},
      "start-paused",
      false,
      NULL,
      0 },
    { "what was saved is not thrown away by asking",
      WANT(STOPPED),
      DOM(SHUTOFF, .saved = true),
      {},
      "nothing",
      true,
      "the machine is saved, not shut down\n",
      0 },
    { "but by force",
      WANT(STOPPED, .force = true),
      DOM(SHUTOFF, .saved = true),
      {},
      "forget-saved",
      false,
      NULL,
      0 },
    { "and with the machine",
      WANT(DELETED),
      DOM(SHUTOFF, .saved = true),
      {},
      "undefine",
      false,
      NULL,
      0 },
    { "a new name would lose the snapshots",
      WANT(STOPPED, .has_snapshots = true),
      DOM(SHUTOFF, .name = "b"),
      {},
      "nothing",
      true,
      "libvirt keeps the machine under its old name\n",
      0 },
    { "a volume is being made",
      WANT(RUNNING, .waits = "waits for volume p/d"),
      NULL,
      {},
      "nothing",
      false,
      "waits for volume p/d",
      0 },
    { "being off waits for nothing",
      WANT(STOPPED, .waits = "waits for volume p/d"),
      NULL,
      {},
      "nothing",
      false,
      "waits for volume p/d",
      0 },
    { "hardware that cannot be built",
      WANT(RUNNING, .print = NULL, .error = "bad disk"),
      NULL,
      {},
      "nothing",
      true,
      "bad disk",
      0 },
    { "it can still be stopped",
      WANT(STOPPED, .print = NULL, .error = "bad disk", .force = true),
      DOM(RUNNING),
      {},
      "destroy",
      false,
      NULL,
      0 },
    { "and is then off",
      WANT(STOPPED, .print = NULL, .error = "bad disk"),
      DOM(SHUTOFF),
      {},
      "nothing",
      true,
      "bad disk",
      0 },

    { "graceful stop",
      WANT(STOPPED, .generation = 2),
      DOM(RUNNING),
      {},
      "shutdown",
      false,
      NULL,
      0 },
    { "asked, waiting",
      WANT(STOPPED, .generation = 2),
      DOM(RUNNING),
      { .asked_ms = NOW - 5000, .asked_last_ms = NOW - 5000, .asked_generation = 2 },
      "nothing",
      false,
      NULL,
      NOW + 5000 },
    { "asked again",
      WANT(STOPPED, .generation = 2),
      DOM(RUNNING),
      { .asked_ms = NOW - 20000,
        .asked_last_ms = NOW - ASK_AGAIN_MS,
        .asked_generation = 2 },
      "shutdown",
      false,
      NULL,
      0 },
    { "ignored: a complaint, no violence",
      WANT(STOPPED, .generation = 2),
      DOM(RUNNING),
      { .asked_ms = NOW - GIVE_UP_MS, .asked_last_ms = NOW - 3000, .asked_generation = 2 },
      "nothing",
      true,
      "the guest was asked to shut down\n",
      0 },
    { "an older question does not count",
      WANT(STOPPED, .generation = 3),
      DOM(RUNNING),
      { .asked_ms = NOW - GIVE_UP_MS, .asked_last_ms = NOW - 3000, .asked_generation = 2 },
      "shutdown",
      false,
      NULL,
      0 },
    { "forced stop",
      WANT(STOPPED, .force = true),
      DOM(RUNNING),
      {},
      "destroy",
      false,
      NULL,
      0 },
    { "a paused guest hears no button",
      WANT(STOPPED),
      DOM(PAUSED),
      {},
      "resume",
      false,
      NULL,
      0 },
    { "a preserved crash is ended",
      WANT(STOPPED),
      DOM(CRASHED),
      {},
      "destroy",
      false,
      NULL,
      0 },

    { "the guest switched itself off",
      WANT(RUNNING, .was_on = true),
      DOM(SHUTOFF, WHY(GUEST_POWEROFF)),
      {},
      "row-stopped",
      false,
      NULL,
      0 },
    { "but a newer start counts more",
      WANT(RUNNING, .was_on = true, .generation = 3, .observed_generation = 2),
      DOM(SHUTOFF, WHY(GUEST_POWEROFF)),
      {},
      "start",
      false,
      NULL,
      0 },
    { "nor if we had asked it to",
      WANT(RUNNING, .was_on = true),
      DOM(SHUTOFF, WHY(GUEST_POWEROFF)),
      { .stop_ours = true },
      "start",
      false,
      NULL,
      0 },
    { "nor if it was not known to run",
      WANT(RUNNING),
      DOM(SHUTOFF, WHY(GUEST_POWEROFF)),
      {},
      "start",
      false,
      NULL,
      0 },
    { "off again at once, before it was told to run",
      WANT(RUNNING, .generation = 3, .observed_generation = 2),
      DOM(SHUTOFF, WHY(GUEST_POWEROFF)),
      { .started = true, .started_of = 3 },
      "row-stopped",
      false,
      NULL,
      0 },
    { "crashed at once: no faster than others",
      WANT(RUNNING, .generation = 3, .restart_on_crash = true),
      DOM(SHUTOFF, WHY(CRASHED)),
      { .started = true, .started_of = 3, .not_before_ms = NOW + 9 },
      "nothing",
      false,
      "the guest crashed",
      NOW + 9 },
    { "after a reboot of the host it starts",
      WANT(RUNNING, .was_on = true),
      DOM(SHUTOFF),
      {},
      "start",
      false,
      NULL,
      0 },
    { "destroyed behind our back: it should run",
      WANT(RUNNING, .was_on = true),
      DOM(SHUTOFF, WHY(DESTROYED)),
      {},
      "start",
      false,
      NULL,
      0 },
    { "crashed, to be kept off",
      WANT(RUNNING, .was_on = true),
      DOM(SHUTOFF, WHY(CRASHED)),
      {},
      "nothing",
      true,
      "the guest crashed\nit is kept off",
      0 },
    { "crashed, to be started",
      WANT(RUNNING, .was_on = true, .restart_on_crash = true),
      DOM(SHUTOFF, WHY(CRASHED)),
      {},
      "start",
      false,
      NULL,
      0 },
    { "crashed too often",
      WANT(RUNNING, .was_on = true, .restart_on_crash = true),
      DOM(SHUTOFF, WHY(CRASHED)),
      { .not_before_ms = NOW + 4000 },
      "nothing",
      false,
      "the guest crashed\n",
      NOW + 4000 },
    { "who asks now need not wait",
      WANT(RUNNING, .generation = 1),
      DOM(SHUTOFF, WHY(CRASHED)),
      { .not_before_ms = NOW + 4000 },
      "start",
      false,
      NULL,
      0 },
    { "preserved crash",
      WANT(RUNNING),
      DOM(CRASHED),
      {},
      "nothing",
      true,
      "the guest crashed\nit is preserved",
      0 },
    { "on its way down", WANT(RUNNING), DOM(SHUTDOWN), {}, "nothing", false, NULL, 0 },

    { "a failed start is not tried again",
      WANT(RUNNING, .generation = 4),
      DOM(SHUTOFF),
      { .failed = true,
        .tried = { VM_RUNNING, false, 4, 0, P },
        .error = (char *) "no kernel" },
      "nothing",
      true,
      "no kernel",
      0 },
    { "a new generation tries again",
      WANT(RUNNING, .generation = 5),
      DOM(SHUTOFF),
      { .failed = true,
        .tried = { VM_RUNNING, false, 4, 0, P },
        .error = (char *) "no kernel" },
      "start",
      false,
      NULL,
      0 },
    { "new hardware tries again",
      WANT(RUNNING, .generation = 4),
      DOM(SHUTOFF),
      { .failed = true,
        .tried = { VM_RUNNING, false, 4, 0, Q },
        .error = (char *) "no kernel" },
      "start",
      false,
      NULL,
      0 },
    { "another state tries again",
      WANT(STOPPED, .generation = 4),
      DOM(RUNNING),
      { .failed = true,
        .tried = { VM_RUNNING, false, 4, 0, P },
        .error = (char *) "no kernel" },
      "shutdown",
      false,
      NULL,
      0 },
    { "somebody else started it: all is well",
      WANT(RUNNING, .generation = 4),
      DOM(RUNNING),
      { .failed = true,
        .tried = { VM_RUNNING, false, 4, 0, P },
        .error = (char *) "no kernel" },
      "nothing",
      true,
      NULL,
      0 },

    { "reboot",
      WANT(RUNNING, .reboots = 3, .reboots_done = 2),
      DOM(RUNNING),
      {},
      "reboot",
      false,
      NULL,
      0 },
    { "reboot, asked",
      WANT(RUNNING, .reboots = 3, .reboots_done = 2),
      DOM(RUNNING),
      { .reboot_ms = NOW - 1000, .reboot_of = 3 },
      "nothing",
      false,
      NULL,
      NOW - 1000 + GIVE_UP_MS },
    { "reboot, seen",
      WANT(RUNNING, .reboots = 3, .reboots_done = 2),
      DOM(RUNNING),
      { .reboot_ms = NOW - 1000, .reboot_of = 3, .rebooted = true },
      "row-rebooted",
      false,
      NULL,
      0 },
    { "reboot, ignored",
      WANT(RUNNING, .reboots = 3, .reboots_done = 2),
      DOM(RUNNING),
      { .reboot_ms = NOW - GIVE_UP_MS, .reboot_of = 3 },
      "nothing",
      true,
      "the guest was asked to reboot\n",
      0 },
    { "reset",
      WANT(RUNNING, .reboots = 3, .reboots_done = 2, .force = true),
      DOM(RUNNING),
      {},
      "reset",
      false,
      NULL,
      0 },
    { "an ignored reboot may be forced",
      WANT(RUNNING, .reboots = 3, .reboots_done = 2, .force = true),
      DOM(RUNNING),
      { .reboot_ms = NOW - 1000, .reboot_of = 3 },
      "reset",
      false,
      NULL,
      0 },
    { "what is off needs no reboot",
      WANT(STOPPED, .reboots = 3, .reboots_done = 2),
      DOM(SHUTOFF),
      {},
      "row-rebooted",
      false,
      NULL,
      0 },

    { "delete what runs", WANT(DELETED), DOM(RUNNING), {}, "destroy", false, NULL, 0 },
    { "delete what is off", WANT(DELETED), DOM(SHUTOFF), {}, "undefine", false, NULL, 0 },
    { "delete what is gone", WANT(DELETED), NULL, {}, "row-delete", false, NULL, 0 },
    { "delete, though its hardware cannot be built",
      WANT(DELETED, .print = NULL, .error = "bad"),
      NULL,
      {},
      "row-delete",
      false,
      NULL,
      0 },

    { "another's domain is not started",
      WANT(RUNNING),
      DOM(SHUTOFF, .marked = false),
      {},
      "nothing",
      true,
      "libvirt has a domain",
      0 },
    { "another's domain is not stopped",
      WANT(STOPPED, .force = true),
      DOM(RUNNING, .marked = false),
      {},
      "nothing",
      true,
      "libvirt has a domain",
      0 },
    { "another's domain is not deleted",
      WANT(DELETED),
      DOM(RUNNING, .marked = false),
      {},
      "nothing",
      true,
      "libvirt has a domain",
      0 },
};

TEST(vm)
{
    for (const struct vm_case *c = vm_cases; c < vm_cases + N_ELEMS(vm_cases); c++) {
        struct vm_decision d = vm_decide(&c->want, c->seen, &c->memo, NOW);
        CHECK_STR(c->why, vm_step_name(d.step), c->step);
        CHECK_INT(c->why, d.settled, c->settled);
        CHECK_INT(c->why, d.wake_ms, c->wake_ms);
        if (!begins(d.error, c->error)) {
            CHECK_STR(c->why, d.error, c->error);
        }
    }
}

/* Plays a domain that obeys: whatever is wanted and seen, the steps come to an end. */
static void
play(struct virt_dom *dom, bool *exists, enum vm_step step)
{
    switch (step) {
    case VM_DO_DEFINE:
        *exists = true;
        memcpy(dom->mark.print, P, sizeof P);
        dom->name = (char *) "a";
        dom->state = VIRT_SHUTOFF;
        break;
    case VM_DO_START:
    case VM_DO_RESUME:
        dom->state = VIRT_RUNNING;
        dom->saved = false;
        break;
    case VM_DO_START_PAUSED:
    case VM_DO_SUSPEND:
        dom->state = VIRT_PAUSED;
        dom->saved = false;
        break;
    case VM_DO_SAVE:
        dom->state = VIRT_SHUTOFF;
        dom->saved = true;
        break;
    case VM_DO_FORGET_SAVED: dom->saved = false; break;
    case VM_DO_SHUTDOWN:
    case VM_DO_DESTROY: dom->state = VIRT_SHUTOFF; break;
    case VM_DO_UNDEFINE: *exists = false; break;
    default: break;
    }
}

TEST(every_want_is_reached_from_everything_that_can_be_seen)
{
    static const enum virt_state states[] = { VIRT_RUNNING, VIRT_IDLE,    VIRT_PAUSED,
                                              VIRT_SHUTOFF, VIRT_CRASHED, VIRT_SUSPENDED };
    static const char *const prints[] = { P, Q };
    static const char *const names[] = { "a", "b" };

    for (enum vm_state goal = VM_RUNNING; goal <= VM_DELETED; goal++) {
        for (size_t i = 0; i < N_ELEMS(states) * 2 * 2 * 2 * 2; i++) {
            struct virt_dom dom = { .state = states[i / 16],
                                    .saved = states[i / 16] == VIRT_SHUTOFF && i >> 3 & 1,
                                    .marked = true,
                                    .persistent = true };
            dom.name = (char *) names[i & 1];
            memcpy(dom.mark.print, prints[i >> 1 & 1], sizeof P);
            bool exists = i >> 2 & 1, gone = false;
            struct vm_want want = WANT(RUNNING, .generation = 1);
            struct vm_memo memo = { 0 };
            struct vm_decision d = { 0 };
            int n_steps = 0;

            want.state = goal;
            for (; n_steps < 8 && !d.settled && !gone; n_steps++) {
                d = vm_decide(&want, exists ? &dom : NULL, &memo, NOW);
                vm_memo_begin(&memo, d.step, &want, NOW);
                play(&dom, &exists, d.step);
                gone = d.step == VM_DO_ROW_DELETE;
            }
            CHECK("it ends", n_steps < 8);
            CHECK("deleted means gone", (goal == VM_DELETED) == gone);
            CHECK("nothing is left of it", !gone || !exists);
            if (goal == VM_STOPPED) {
                CHECK_INT("stopped is off", dom.state, VIRT_SHUTOFF);
            }
            vm_memo_done(&memo);
        }
    }
}

TEST(a_failure_is_forgotten_with_its_want)
{
    struct vm_want want = WANT(RUNNING, .generation = 4);
    struct vm_memo memo = { 0 };

    vm_memo_failed(&memo, &want, "no disk");
    vm_memo_follow(&memo, &want);
    CHECK_INT("the same want", vm_decide(&want, DOM(SHUTOFF), &memo, NOW).step,
              VM_DO_NOTHING);
    want.print = NULL; /* The disk's volume is missing ... */
    vm_memo_follow(&memo, &want);
    want.print = P; /* ... and back. */
    vm_memo_follow(&memo, &want);
    CHECK_INT("tried again", vm_decide(&want, DOM(SHUTOFF), &memo, NOW).step, VM_DO_START);
    vm_memo_done(&memo);
}

TEST(crashes_are_answered_ever_more_slowly)
{
    struct vm_memo memo = { 0 };
    int64_t now = NOW, pauses[] = { 1000, 2000, 4000, 8000 };

    for (size_t i = 0; i < N_ELEMS(pauses); i++) {
        vm_memo_event(&memo, VIRT_EV_STARTED, VIRT_WHY_OTHER, now);
        now += 500;
        vm_memo_event(&memo, VIRT_EV_STOPPED, VIRT_WHY_CRASHED, now);
        CHECK_INT("doubles", memo.not_before_ms - now, pauses[i]);
    }
    vm_memo_event(&memo, VIRT_EV_STARTED, VIRT_WHY_OTHER, now);
    now += RESTART_GOOD_MS;
    vm_memo_event(&memo, VIRT_EV_STOPPED, VIRT_WHY_CRASHED, now);
    CHECK_INT("a good run is rewarded", memo.not_before_ms - now, RESTART_MIN_MS);
    for (int i = 0; i < 20; i++) {
        vm_memo_event(&memo, VIRT_EV_STOPPED, VIRT_WHY_CRASHED, now);
    }
    CHECK("it has an end", memo.not_before_ms - now <= RESTART_MAX_MS);
    vm_memo_event(&memo, VIRT_EV_STOPPED, VIRT_WHY_GUEST_POWEROFF, now);
    CHECK_INT("a clean end forgets", memo.not_before_ms, 0);
}
