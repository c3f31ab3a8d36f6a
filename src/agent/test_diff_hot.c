/* agent/test_diff_hot.c: what to do next about the hardware of a machine that is on, as a table.  A row is a test. */
#include "agent/test_diff_i.h"

#define LATE "the guest does not give back disk vdb\nit was asked\nend its use"

/* The hardware of what runs differs from that of the row; 'h' says how. */
#define HOT(h, ...) WANT(RUNNING, .generation = 3, .hot = VIRT_HOT_##h, ##__VA_ARGS__)
#define VIRT_HOT_NONE VM_HOT_NONE
#define VIRT_HOT_NOW VM_HOT_NOW
#define VIRT_HOT_GUEST VM_HOT_GUEST, .hot_late = LATE

/* It was asked for that first and last so long ago. */
#define ASKED(first, last, ...)                                                            \
    {                                                                                      \
        .hot_print = P, .hot_generation = 3, .hot_ms = NOW - (first),                      \
        .hot_last_ms = NOW - (last), ##__VA_ARGS__                                         \
    }

static const struct hot_case {
    const char *why;
    struct vm_want want;
    const struct virt_dom *seen;
    struct vm_memo memo;
    const char *step;
    bool settled;
    const char *error; /* Begins with this; NULL: none. */
    int64_t wake_ms;
} cases[] = {
    /* clang-format off */
    { "nothing differs", HOT(NONE), DOM(RUNNING), {}, "nothing", true, NULL, 0 },
    { "libvirt can do it", HOT(NOW), DOM(RUNNING), {}, "change", false, NULL, 0 },
    { "of an idle machine, too", HOT(NOW), DOM(IDLE), {}, "change", false, NULL, 0 },
    { "of a paused one, too", WANT(PAUSED, .hot = VM_HOT_NOW), DOM(PAUSED), {}, "change", false, NULL, 0 },
    { "what is off is defined, not changed", HOT(NOW), DOM(SHUTOFF), {}, "start", false, NULL, 0 },
    { "first it is as wanted, then its hardware", HOT(NOW), DOM(PAUSED), {}, "resume", false, NULL, 0 },
    { "the reboot that was asked for comes first", HOT(NOW, .reboots = 1), DOM(RUNNING), {}, "reboot", false, NULL, 0 },
    { "done, and does not show yet: again", HOT(NOW), DOM(RUNNING), ASKED(10, 10, .hot_tries = 1), "change", false, NULL, 0 },
    { "done, and never shows", HOT(NOW), DOM(RUNNING), ASKED(10, 10, .hot_tries = HOT_TRIES), "nothing", true,
      "the running machine could not be changed\n", 0 },
    { "other tries were for other hardware", HOT(NOW), DOM(RUNNING),
      ASKED(10, 10, .hot_tries = HOT_TRIES, .hot_print = Q), "change", false, NULL, 0 },
    { "or for an older want", HOT(NOW), DOM(RUNNING), ASKED(10, 10, .hot_tries = HOT_TRIES, .hot_generation = 2), "change",
      false, NULL, 0 },
    { "libvirt refused it: said, not repeated", HOT(NOW), DOM(RUNNING),
      { .failed = true, .tried = { .state = VM_RUNNING, .generation = 3, .print = P }, .error = (char *) "no free slot" },
      "nothing", true, "no free slot", 0 },
    { "given again, tried again", HOT(NOW, .generation = 4), DOM(RUNNING),
      { .failed = true, .tried = { .state = VM_RUNNING, .generation = 3, .print = P }, .error = (char *) "no free slot" },
      "change", false, NULL, 0 },

    { "the guest is asked", HOT(GUEST), DOM(RUNNING), {}, "change", false, NULL, 0 },
    { "and waited for", HOT(GUEST), DOM(RUNNING), ASKED(3000, 3000), "nothing", false, NULL, NOW - 3000 + ASK_AGAIN_MS },
    { "asked again", HOT(GUEST), DOM(RUNNING), ASKED(ASK_AGAIN_MS, ASK_AGAIN_MS), "change", false, NULL, 0 },
    { "the last wait ends when it is given up", HOT(GUEST), DOM(RUNNING), ASKED(GIVE_UP_MS - 1000, 2000), "nothing", false, NULL,
      NOW + 1000 },
    { "given up: said", HOT(GUEST), DOM(RUNNING), ASKED(GIVE_UP_MS, 5000), "nothing", true, LATE, 0 },
    { "not waited for twice", HOT(GUEST), DOM(RUNNING), ASKED(3000, 3000, .hot_late = LATE), "nothing", true, LATE, 0 },
    { "but for something else", HOT(GUEST), DOM(RUNNING), ASKED(3000, 3000, .hot_late = "the guest does not give back disk vdc"),
      "nothing", false, NULL, NOW - 3000 + ASK_AGAIN_MS },
    { "a new command asks anew", HOT(GUEST, .generation = 4), DOM(RUNNING), ASKED(GIVE_UP_MS, 5000, .hot_late = LATE), "change",
      false, NULL, 0 },
    { "a paused guest is asked all the same", WANT(PAUSED, .generation = 3, .hot = VM_HOT_GUEST, .hot_late = LATE), DOM(PAUSED), {},
      "change", false, NULL, 0 },
    { "and cannot answer", WANT(PAUSED, .generation = 3, .hot = VM_HOT_GUEST, .hot_late = LATE), DOM(PAUSED), ASKED(10, 10),
      "nothing", true, "the machine is paused\n", 0 },

    { "the row cannot be built: said, what runs stays", HOT(NOW, .print = NULL, .error = "bad disk"), DOM(RUNNING), {}, "nothing",
      true, "bad disk", 0 },
    { "its new disk is being made", HOT(NOW, .waits = "waits for volume p/d", .waits_for_job = true), DOM(RUNNING), {}, "nothing",
      false, "waits for volume p/d", 0 },
    { "its new disk is not there, and nobody makes it: it runs", HOT(NOW, .waits = "volume p/d is missing"), DOM(RUNNING), {},
      "nothing", true, NULL, 0 },

    { "its addresses changed: so do the filters", HOT(NONE, .guard = Q), DOM(RUNNING, .live_guard = P), {}, "guard", false, NULL, 0 },
    { "before its hardware", HOT(NOW, .guard = Q), DOM(RUNNING, .live_guard = P), {}, "guard", false, NULL, 0 },
    { "the filters are as they should be", HOT(NONE, .guard = P), DOM(RUNNING, .live_guard = P), {}, "nothing", true, NULL, 0 },
    /* clang-format on */
};

TEST(hardware_of_what_runs)
{
    for (const struct hot_case *c = cases; c < cases + N_ELEMS(cases); c++) {
        struct vm_decision d = vm_decide(&c->want, c->seen, &c->memo, NOW);
        CHECK_STR(c->why, vm_step_name(d.step), c->step);
        CHECK_INT(c->why, d.settled, c->settled);
        CHECK_INT(c->why, d.wake_ms, c->wake_ms);
        if (!begins(d.error, c->error)) {
            CHECK_STR(c->why, d.error, c->error);
        }
    }
}

/* From the first question to what the row is told, as the agent plays it; then what runs is as wanted again. */
TEST(a_guest_that_never_answers)
{
    struct vm_want want = HOT(GUEST);
    struct vm_memo memo = { 0 };
    struct vm_decision d = { 0 };
    int64_t now = NOW;
    int n_asked = 0;

    while (!d.settled && now < NOW + 2 * GIVE_UP_MS) {
        d = vm_decide(&want, DOM(RUNNING), &memo, now);
        if (d.step == VM_DO_CHANGE) {
            n_asked++;
            vm_memo_begin(&memo, d.step, &want, now);
        } else if (!d.settled) {
            CHECK("it says when to look again", d.wake_ms > now);
            now = d.wake_ms;
        }
    }
    CHECK_INT("asked every 10 s", n_asked, 1 + (GIVE_UP_MS - 1) / ASK_AGAIN_MS);
    CHECK_INT("given up in time", now - NOW, GIVE_UP_MS);
    CHECK_STR("and said", d.error, LATE);
    vm_memo_told(&memo, &want, &d);
    memo.hot_ms = now; /* Another change of the same want begins ... */
    CHECK("nobody waits for that guest again",
          vm_decide(&want, DOM(RUNNING), &memo, now).settled);
    want.hot = VM_HOT_NONE;
    vm_memo_follow(&memo, &want);
    CHECK_STR("forgotten once it is as wanted", memo.hot_late, "");
    vm_memo_done(&memo);
}
