/* agent/diff_store.c: the next step for a volume. */
#include "agent/diff.h"

#include "base/str.h"

/* Formats, LVM's extents and cylinders round capacities up; that is no wish to shrink. */
#define SHRINK_SLACK_BYTES MIB
#define DEVICE_SLACK_BYTES (64 * MIB)

const char *
vol_state_name(enum vol_state state)
{
    static const char *const names[N_VOL_STATES] = {
        [VOL_IS_UNKNOWN] = "unknown", [VOL_IS_CREATING] = "creating",
        [VOL_IS_READY] = "ready",     [VOL_IS_MISSING] = "missing",
        [VOL_IS_FAILED] = "failed",
    };
    return names[state];
}

const char *
vol_step_name(enum vol_step step)
{
    static const char *const names[N_VOL_STEPS] = {
        [VOL_DO_NOTHING] = "nothing",       [VOL_DO_CREATE] = "create",
        [VOL_DO_RESIZE] = "resize",         [VOL_DO_DELETE] = "delete",
        [VOL_DO_ROW_DELETE] = "row-delete",
    };
    return names[step];
}

static bool
vol_has_failed(const struct vol_memo *memo, const struct vol_want *want)
{
    return memo->failed && memo->failed_generation == want->generation &&
           memo->failed_capacity == want->wanted_capacity &&
           memo->failed_deleted == want->deleted;
}

/* No step; the row's state stays unless the caller changes it. */
static struct vol_decision
vol_rest(const struct vol_want *want, bool is_settled, const char *error)
{
    return (
        struct vol_decision){ .settled = is_settled, .state = want->state, .error = error };
}

static struct vol_decision
vol_take(const struct vol_want *want, enum vol_step step)
{
    enum vol_state state = step == VOL_DO_CREATE ? VOL_IS_CREATING : want->state;
    return (struct vol_decision){ .step = step, .state = state };
}

static struct vol_decision
vol_removal(const struct vol_want *want, const struct vol_memo *memo)
{
    /* A file of that name may be another's: creation may have failed because of just that. */
    bool never_made = !memo->made && !want->had_file &&
                      (want->state == VOL_IS_UNKNOWN || want->state == VOL_IS_FAILED);

    if (memo->gone || never_made) {
        return vol_take(want, VOL_DO_ROW_DELETE);
    } else if (want->in_use) {
        return vol_rest(want, true, want->in_use);
    } else if (vol_has_failed(memo, want)) {
        return vol_rest(want, true, memo->error);
    } else if (!want->pool_ready) {
        return vol_rest(want, want->pool_error != NULL, want->pool_error);
    }
    return vol_take(want, VOL_DO_DELETE);
}

/* The file is there, and it is this row's. */
static struct vol_decision
vol_present(const struct vol_want *want, const struct vol_memo *memo)
{
    struct vol_decision d = vol_rest(want, true, NULL);
    int64_t slack = want->is_device ? DEVICE_SLACK_BYTES : SHRINK_SLACK_BYTES;

    d.state = VOL_IS_READY;
    if (want->wanted_capacity < 0 || want->capacity < 0) {
        return d;
    } else if (want->wanted_capacity > want->capacity) {
        if (!vol_has_failed(memo, want)) {
            return vol_take(want, VOL_DO_RESIZE);
        }
        d.error = memo->error;
    } else if (want->wanted_capacity <= want->capacity - slack) {
        d.error =
            "the volume is larger than wanted_capacity says\nshrinking would cut off data, so Byre does not\n"
            "set wanted_capacity back, or make a new volume and copy";
    }
    return d;
}

struct vol_decision
vol_decide(const struct vol_want *want, const struct vol_memo *memo)
{
    if (want->deleted) {
        return vol_removal(want, memo);
    } else if (!want->pool_ready) {
        bool ready = want->state == VOL_IS_READY || want->state == VOL_IS_MISSING;
        return vol_rest(want, ready || want->pool_error,
                        ready ? want->row_error : want->pool_error);
    }

    switch (want->state) {
    case VOL_IS_READY:
    case VOL_IS_MISSING:
        /* Data that was there is never made up anew: an empty disk in its place would look
         * like the loss of everything on it. */
        if (memo->scanned && !memo->present) {
            struct vol_decision d = vol_rest(
                want, true,
                "the volume's file is gone\nit was there before, and Byre did not remove it\nput it "
                "back and refresh the pool, or delete the volume");
            d.state = VOL_IS_MISSING;
            return d;
        }
        return memo->present || want->state == VOL_IS_READY
                   ? vol_present(want, memo)
                   : vol_rest(want, true, want->row_error);
    case VOL_IS_FAILED:
        if (want->generation <= want->observed_generation) {
            return vol_rest(want, true, want->row_error);
        }
        break;
    default:
        if (memo->made) {
            return vol_present(want, memo);
        }
        break;
    }

    if (vol_has_failed(memo, want)) {
        struct vol_decision d = vol_rest(want, true, memo->error);
        d.state = VOL_IS_FAILED;
        return d;
    } else if (want->waits) {
        return vol_rest(want, false, want->waits);
    }
    return vol_take(want, VOL_DO_CREATE);
}

void
vol_memo_failed(struct vol_memo *memo, const struct vol_want *want, const char *error)
{
    memo->failed = true;
    memo->failed_generation = want->generation;
    memo->failed_capacity = want->wanted_capacity;
    memo->failed_deleted = want->deleted;
    free(memo->error);
    memo->error = str_dup(error);
}

void
vol_memo_done(struct vol_memo *memo)
{
    free(memo->error);
    memset(memo, 0, sizeof *memo);
}
