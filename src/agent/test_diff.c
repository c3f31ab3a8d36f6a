/* agent/test_diff.c: what to do next, as tables.  A row is a test. */
#include "agent/diff.h"

#include "base/str.h"
#include "test.h"

/* A case says what differs from the usual. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define P "0123456789abcdef" /* The wanted hardware ... */
#define Q "fedcba9876543210" /* ... and another one. */
#define NOW 1000000

/* Short names for what libvirt may show. */
#define DOM(st, ...)                                                                       \
    &(const struct virt_dom)                                                               \
    {                                                                                      \
        .name = "a", .state = VIRT_##st, .persistent = true, .marked = true,               \
        .mark.print = P, ##__VA_ARGS__                                                     \
    }
#define WANT(st, ...)                                                                      \
    {                                                                                      \
        .name = "a", .state = VM_##st, .print = P, ##__VA_ARGS__                           \
    }
#define WHY(r) .reason = VIRT_WHY_##r

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

static bool
begins(const char *got, const char *want)
{
    return got && want ? str_starts(got, want) : got == want;
}

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

#define VOL(st, ...)                                                                       \
    {                                                                                      \
        .state = VOL_IS_##st, .wanted_capacity = -1, .capacity = -1, .pool_ready = true,   \
        ##__VA_ARGS__                                                                      \
    }

static const struct vol_case {
    const char *why;
    struct vol_want want;
    struct vol_memo memo;
    const char *step;
    bool settled;
    const char *state, *error;
} vol_cases[] = {
    { "a new row is made", VOL(UNKNOWN), {}, "create", false, "creating", NULL },
    { "a creation that was killed goes on",
      VOL(CREATING),
      {},
      "create",
      false,
      "creating",
      NULL },
    { "made, though the row does not say so yet",
      VOL(CREATING),
      { .scanned = true, .present = true, .made = true },
      "nothing",
      true,
      "ready",
      NULL },
    { "a file that only a scan saw may be another's",
      VOL(UNKNOWN),
      { .scanned = true, .present = true },
      "create",
      false,
      "creating",
      NULL },
    { "the pool comes first",
      VOL(UNKNOWN, .pool_ready = false),
      {},
      "nothing",
      false,
      "unknown",
      NULL },
    { "the pool will not come",
      VOL(UNKNOWN, .pool_ready = false, .pool_error = "pool p is off"),
      {},
      "nothing",
      true,
      "unknown",
      "pool p is off" },
    { "the backing comes first",
      VOL(UNKNOWN, .waits = "waits for base"),
      {},
      "nothing",
      false,
      "unknown",
      "waits for base" },
    { "ready",
      VOL(READY),
      { .scanned = true, .present = true },
      "nothing",
      true,
      "ready",
      NULL },
    { "ready while the pool is off stays so",
      VOL(READY, .pool_ready = false, .pool_error = "pool p is off"),
      {},
      "nothing",
      true,
      "ready",
      NULL },
    { "gone: said, not made again",
      VOL(READY),
      { .scanned = true },
      "nothing",
      true,
      "missing",
      "the volume's file is gone" },
    { "missing stays missing",
      VOL(MISSING),
      { .scanned = true },
      "nothing",
      true,
      "missing",
      "the volume's file is gone" },
    { "missing, and back",
      VOL(MISSING),
      { .scanned = true, .present = true },
      "nothing",
      true,
      "ready",
      NULL },
    { "failed before",
      VOL(FAILED, .row_error = "no space"),
      {},
      "nothing",
      true,
      "failed",
      "no space" },
    { "failed, asked again",
      VOL(FAILED, .generation = 2, .observed_generation = 1),
      {},
      "create",
      false,
      "creating",
      NULL },
    { "failed now",
      VOL(CREATING, .generation = 2),
      { .failed = true,
        .failed_generation = 2,
        .failed_capacity = -1,
        .error = (char *) "no space" },
      "nothing",
      true,
      "failed",
      "no space" },
    { "grow",
      VOL(READY, .wanted_capacity = 2 * GIB, .capacity = GIB),
      { .scanned = true, .present = true },
      "resize",
      false,
      "ready",
      NULL },
    { "grown",
      VOL(READY, .wanted_capacity = GIB, .capacity = GIB),
      { .scanned = true, .present = true },
      "nothing",
      true,
      "ready",
      NULL },
    { "a little more is no shrinking",
      VOL(READY, .wanted_capacity = GIB, .capacity = GIB + 512),
      { .scanned = true, .present = true },
      "nothing",
      true,
      "ready",
      NULL },
    { "shrinking is refused",
      VOL(READY, .wanted_capacity = GIB, .capacity = 2 * GIB),
      { .scanned = true, .present = true },
      "nothing",
      true,
      "ready",
      "the volume is larger" },
    { "growing failed",
      VOL(READY, .generation = 2, .wanted_capacity = 2 * GIB, .capacity = GIB),
      { .scanned = true,
        .present = true,
        .failed = true,
        .failed_generation = 2,
        .failed_capacity = 2 * GIB,
        .error = (char *) "no space" },
      "nothing",
      true,
      "ready",
      "no space" },
    { "delete",
      VOL(READY, .deleted = true),
      { .scanned = true, .present = true },
      "delete",
      false,
      "ready",
      NULL },
    { "delete what was never made: only the row",
      VOL(UNKNOWN, .deleted = true),
      {},
      "row-delete",
      false,
      "unknown",
      NULL },
    { "delete what could not be made: the file may be another's",
      VOL(FAILED, .deleted = true),
      {},
      "row-delete",
      false,
      "failed",
      NULL },
    { "failed, but it had a file",
      VOL(FAILED, .deleted = true, .had_file = true),
      {},
      "delete",
      false,
      "failed",
      NULL },
    { "delete what may have been made",
      VOL(CREATING, .deleted = true),
      {},
      "delete",
      false,
      "creating",
      NULL },
    { "delete needs the pool",
      VOL(READY, .deleted = true, .pool_ready = false, .pool_error = "pool p is off"),
      {},
      "nothing",
      true,
      "ready",
      "pool p is off" },
    { "not while a guest uses it",
      VOL(READY, .deleted = true, .in_use = "vm a runs with it"),
      {},
      "nothing",
      true,
      "ready",
      "vm a runs with it" },
    { "deleted: the row follows",
      VOL(READY, .deleted = true),
      { .gone = true },
      "row-delete",
      false,
      "ready",
      NULL },
};

TEST(vol)
{
    for (const struct vol_case *c = vol_cases; c < vol_cases + N_ELEMS(vol_cases); c++) {
        struct vol_decision d = vol_decide(&c->want, &c->memo);
        CHECK_STR(c->why, vol_step_name(d.step), c->step);
        CHECK_INT(c->why, d.settled, c->settled);
        CHECK_STR(c->why, vol_state_name(d.state), c->state);
        if (!begins(d.error, c->error)) {
            CHECK_STR(c->why, d.error, c->error);
        }
    }
}

static const struct pool_case {
    const char *why;
    struct pool_want want;
    struct pool_memo memo;
    const char *step;
    bool settled;
    const char *state, *error;
    int64_t wake_ms;
} pool_cases[] = {
#define ON                                                                                 \
    {                                                                                      \
        .active = true, .generation = 1                                                    \
    }
#define OFF                                                                                \
    {                                                                                      \
        .active = false, .generation = 1                                                   \
    }
#define RUNS(...)                                                                          \
    {                                                                                      \
        .checked = true, .active = true, .started = true, .scanned = true, __VA_ARGS__     \
    }
#define FAILED(at)                                                                         \
    {                                                                                      \
        .failed = true, .failed_generation = 1, .failed_active = true,                     \
        .retry_at_ms = (at), .error = (char *) "x"                                         \
    }
    /* clang-format off */
    { "start", ON, { 0 }, "start", false, NULL, NULL, 0 },
    { "scan", ON, { .checked = true, .active = true, .started = true }, "refresh", false, NULL, NULL, 0 },
    { "found active: that may be another's", ON, { .checked = true, .active = true }, "start", false, NULL, NULL, 0 },
    { "running", ON, RUNS(.look_at_ms = NOW + 9), "nothing", true, "running", NULL, NOW + 9 },
    { "a look is due", ON, RUNS(.look_at_ms = NOW), "check", false, "running", NULL, NOW },
    { "to be off: look first", OFF, { 0 }, "check", false, NULL, NULL, 0 },
    { "to be off, is on", OFF, { .checked = true, .active = true }, "stop", false, NULL, NULL, 0 },
    { "only defined: what is there is left alone", { .generation = 0 }, { .checked = true, .active = true }, "nothing", true,
      "inactive", NULL, 0 },
    { "to be off, in use", { .generation = 1, .users = "by vm" }, RUNS(.look_at_ms = 1), "nothing", true, "running", "by vm", 0 },
    { "off, whoever would use it", { .generation = 1, .users = "by vm" }, { .checked = true }, "nothing", true, "inactive", NULL, 0 },
    { "off", OFF, { .checked = true }, "nothing", true, "inactive", NULL, 0 },
    { "failed: said, and tried again later", ON, FAILED(NOW + 5), "nothing", true, "inaccessible", "x", NOW + 5 },
    { "later is now", ON, FAILED(NOW), "start", false, NULL, NULL, 0 },
    { "asked again: at once", { .active = true, .generation = 2 }, FAILED(NOW + 5), "start", false, NULL, NULL, 0 },
    { "another want: at once", OFF, FAILED(NOW + 5), "check", false, NULL, NULL, 0 },
    /* clang-format on */
};

TEST(pool_failures)
{
    struct pool_want want = { .active = true, .generation = 1 };
    struct pool_memo memo = { .checked = true, .active = true, .scanned = true };
    pool_memo_failed(&memo, &want, "dead", NOW);
    CHECK("nobody knows now", !memo.checked && !memo.active && !memo.scanned);
    CHECK_INT("soon again", memo.retry_at_ms, NOW + POOL_RETRY_MIN_MS);
    pool_memo_failed(&memo, &want, "dead", NOW);
    CHECK_INT("then later", memo.retry_at_ms, NOW + 2 * POOL_RETRY_MIN_MS);
    for (int i = 0; i < 20; i++) {
        pool_memo_failed(&memo, &want, "dead", NOW);
    }
    CHECK_INT("never too late", memo.retry_at_ms, NOW + POOL_RETRY_MAX_MS);
    pool_memo_worked(&memo);
    CHECK("forgotten", !memo.failed && !memo.error);
    pool_memo_done(&memo);
}

TEST(pool)
{
    for (const struct pool_case *c = pool_cases; c < pool_cases + N_ELEMS(pool_cases);
         c++) {
        struct pool_decision d = pool_decide(&c->want, &c->memo, NOW);
        CHECK_STR(c->why, pool_step_name(d.step), c->step);
        CHECK_INT(c->why, d.settled, c->settled);
        CHECK_STR(c->why, d.state, c->state);
        CHECK_STR(c->why, d.error, c->error);
        CHECK_INT(c->why, d.wake_ms, c->wake_ms);
    }
}
