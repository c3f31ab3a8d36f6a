/* agent/diff_pool.c: the next step for a pool.
 *
 * A pool that runs is looked at now and then: is it still there, does it answer?  Whatever fails
 * makes it inaccessible, with the reason, and unknown: then it is started again after a growing
 * pause.  Starting does what is missing (perhaps nothing) and scans; it never undoes anything.  So
 * what comes back by itself is found, and what guests may be using is never taken away.  */
#include "agent/diff.h"

#include "base/str.h"

const char *
pool_step_name(enum pool_step step)
{
    static const char *const names[N_POOL_STEPS] = {
        [POOL_DO_NOTHING] = "nothing", [POOL_DO_CHECK] = "check",
        [POOL_DO_START] = "start",     [POOL_DO_STOP] = "stop",
        [POOL_DO_REFRESH] = "refresh",
    };
    return names[step];
}

static bool
has_failed(const struct pool_want *want, const struct pool_memo *memo)
{
    return memo->failed && memo->failed_generation == want->generation &&
           memo->failed_active == want->active;
}

static struct pool_decision
to_be_on(const struct pool_memo *memo, int64_t now_ms)
{
    struct pool_decision d = { .step = POOL_DO_NOTHING };

    if (!memo->active || !memo->started) {
        d.step = POOL_DO_START;
    } else if (!memo->scanned) {
        d.step = POOL_DO_REFRESH;
    } else {
        d.state = "running";
        d.step = now_ms >= memo->look_at_ms ? POOL_DO_CHECK : POOL_DO_NOTHING;
        d.wake_ms = memo->look_at_ms;
    }
    return d;
}

static struct pool_decision
to_be_off(const struct pool_want *want, const struct pool_memo *memo)
{
    struct pool_decision d = { .step = POOL_DO_NOTHING };

    if (!memo->checked) {
        d.step = POOL_DO_CHECK;
    } else if (memo->active && want->generation == 0) {
        /* Nobody asked for anything since it was defined: that its group is active or its
         * file system mounted is the administrator's doing, and no matter of ours yet. */
        d.state = "inactive";
    } else if (memo->active && want->users) {
        d.error = want->users;
        d.state = memo->scanned ? "running" : NULL;
    } else if (memo->active) {
        d.step = POOL_DO_STOP;
    } else {
        d.state = "inactive";
    }
    return d;
}

struct pool_decision
pool_decide(const struct pool_want *want, const struct pool_memo *memo, int64_t now_ms)
{
    struct pool_decision d = want->active ? to_be_on(memo, now_ms) : to_be_off(want, memo);

    d.settled = d.step == POOL_DO_NOTHING;
    if (!d.settled && has_failed(want, memo) && now_ms < memo->retry_at_ms) {
        d = (struct pool_decision){ .settled = true,
                                    .state = "inaccessible",
                                    .error = memo->error,
                                    .wake_ms = memo->retry_at_ms };
    }
    return d;
}

void
pool_memo_failed(struct pool_memo *memo, const struct pool_want *want, const char *error,
                 int64_t now_ms)
{
    memo->retry_ms = has_failed(want, memo)
                         ? clamp64(2 * memo->retry_ms, POOL_RETRY_MIN_MS, POOL_RETRY_MAX_MS)
                         : POOL_RETRY_MIN_MS;
    memo->retry_at_ms = now_ms + memo->retry_ms;
    memo->failed = true;
    memo->failed_generation = want->generation;
    memo->failed_active = want->active;
    memo->checked = memo->active = memo->started = memo->scanned =
        false; /* Nobody knows. */
    free(memo->error);
    memo->error = str_dup(error);
}

void
pool_memo_worked(struct pool_memo *memo)
{
    memo->failed = false;
    free(TAKE(memo->error));
}

void
pool_memo_done(struct pool_memo *memo)
{
    free(memo->error);
    memset(memo, 0, sizeof *memo);
}
