/* agent/test_diff_store.c: what to do next about a volume and a pool, as tables.  A row is a test. */
#include "agent/test_diff_i.h"

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
