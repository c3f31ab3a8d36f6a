/* engine/engine.c: the loop over a plan's steps, and its way back. */
#include "engine/engine.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "engine/engine_i.h"
#include "engine/luns_i.h"
#include "engine/mounts_i.h"
#include "loop/child.h"
#include "store/code.h"

#define RESCAN_MS 100000 /* An adapter asks each of hundreds of targets. */
#define COMMAND_GRACE_MS (4 * CHILD_GRACE_MS) /* For a command to be ended. */
#define PROGRESS_EVERY_MS 100
#define WAIT_SLICE_MS 200 /* How soon a raised cancel flag is seen while waiting. */

void
engine_result_init(struct engine_result *result)
{
    *result = (struct engine_result){ .vols = VOL_LIST_INIT, .sources = SOURCE_LIST_INIT };
    result->stat.perms = PERMS_INIT;
}

void
engine_result_done(struct engine_result *result)
{
    vol_list_done(&result->vols);
    source_list_done(&result->sources);
    engine_result_init(result);
}

/* There is life: whoever watches may wait for so long again. */
static void
beat(const struct engine *engine)
{
    const struct engine_env *env = engine->env;
    if (env->watch && env->stall_ms) {
        env->watch->due_ms = clock_mono_ms() + max64(env->stall_ms, engine->slow_ms);
    }
}

/* Before a step.  A command has the plan's deadline, and ends by it. */
static void
watch_step(struct engine *engine, const struct plan_step *step)
{
    const struct engine_env *env = engine->env;
    if (!env->watch) {
        return;
    }
    CLEANUP(free_drop) char *text = step_text(step);
    snprintf(env->watch->doing, sizeof env->watch->doing, "%s", text);
    env->watch->begun_ms = clock_mono_ms();
    engine->slow_ms = step->kind == STEP_RESCAN ? RESCAN_MS : 0;
    beat(engine);
    if (step->kind == STEP_COMMAND || step->kind == STEP_SETTLE) {
        env->watch->due_ms = env->deadline_ms ? env->deadline_ms + COMMAND_GRACE_MS : 0;
    }
}

struct err *
engine_interrupted(const struct engine *engine)
{
    beat(engine);
    return engine_ended(engine);
}

struct err *
engine_ended(const struct engine *engine)
{
    const struct engine_env *env = engine->env;
    if (engine->undoing) {
        return NULL;
    }
    struct pollfd p = { env->cancel_fd, POLLIN | POLLRDHUP, 0 };
    if ((env->cancel_flag && *env->cancel_flag) ||
        (env->cancel_fd >= 0 && poll(&p, 1, 0) > 0)) {
        return err_new(ERR_CANCELED, "canceled");
    } else if (env->deadline_ms && clock_mono_ms() >= env->deadline_ms) {
        return err_hint(err_new(ERR_TIMEOUT, "it took too long"),
                        "try again with more time, or look whether the storage answers");
    }
    return NULL;
}

/* Does its time go with the bytes? */
static bool
is_long(const struct plan_step *step)
{
    switch (step->kind) {
    case STEP_ALLOCATE:
    case STEP_COPY:
    case STEP_RECEIVE:
    case STEP_SEND:
    case STEP_FETCH:
    case STEP_WIPE: return true;
    case STEP_COMMAND: return step->percent;
    default: return false;
    }
}

/* What share of the whole a step is, so that the bar follows the clock. */
static double
step_weight(const struct plan_step *step)
{
    return is_long(step) ? 1000 : step->kind == STEP_COMMAND ? 20 : 1;
}

void
engine_progress(struct engine *engine, int64_t done, int64_t total)
{
    int64_t now_ms = clock_mono_ms();
    if (!engine->env->progress || engine->undoing ||
        (done && now_ms - engine->progress_ms < PROGRESS_EVERY_MS)) {
        return;
    }
    engine->progress_ms = now_ms;
    double before = 0, all = 0, part = total > 0 ? (double) done / (double) total : 0;
    for (size_t i = 0; i < engine->plan->steps.n; i++) {
        double weight = step_weight(engine->plan->steps.v[i]);
        before += i < engine->i_step ? weight : i == engine->i_step ? weight * part : 0;
        all += weight;
    }
    CLEANUP(free_drop) char *text = step_text(engine->plan->steps.v[engine->i_step]);
    struct engine_progress progress = { .fraction = before / all, .message = text };
    if (is_long(engine->plan->steps.v[engine->i_step])) {
        progress.done = done;
        progress.total = total;
    }
    engine->env->progress(engine->env->aux, &progress);
}

struct err *
engine_wait(struct engine *engine, int fd, short events)
{
    for (;;) {
        TRY(engine_interrupted(engine));
        struct pollfd p[2] = { { fd, events, 0 }, { engine->env->cancel_fd, POLLIN, 0 } };
        int n = poll(p, 2, WAIT_SLICE_MS);
        if (n > 0 && p[0].revents) {
            return NULL;
        } else if (n < 0 && errno != EINTR) {
            return err_io(errno, "poll");
        }
    }
}

const char *
engine_path(struct engine *engine, const char *name)
{
    CLEANUP(free_drop) char *path = path_join(engine->root_path, name);
    return arena_str(&engine->ret->vols.arena, path);
}

struct err *
engine_io(int errnum, const char *fmt, ...)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    struct err *e = store_err_io(errnum, "%s", buf_cstr(&text));
    if (err_is(e, ERR_NO_SPACE)) {
        e = err_hint(e, "make room in the pool, or choose a smaller allocation");
    } else if (errnum == EIO) {
        e = err_hint(e,
                     "the storage below the pool fails: look at the kernel's log (dmesg)");
    }
    return e;
}

struct err *
engine_busy(const char *name)
{
    return err_hint(err_tag(err_new(ERR_BUSY, "volume '%s' is still in use.", name),
                            VE_OPERATION_INVALID),
                    "stop the virtual machine or wait for the job that uses it");
}

static struct err *
set_owner(struct engine *engine, const struct plan_step *step)
{
    struct stat st;
    if (fstat(engine->file, &st) < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->file);
    }
    uid_t uid = step->perms.owner >= 0 ? (uid_t) step->perms.owner : (uid_t) -1;
    gid_t gid = step->perms.group >= 0 ? (gid_t) step->perms.group : (gid_t) -1;
    if ((uid == (uid_t) -1 || uid == st.st_uid) &&
        (gid == (gid_t) -1 || gid == st.st_gid)) {
        return NULL;
    } else if (fchown(engine->file, uid, gid) < 0) {
        return engine_io(errno, "cannot chown '%s' to (%" PRId64 ", %" PRId64 ")",
                         engine->plan->file, step->perms.owner, step->perms.group);
    }
    return NULL;
}

static struct err *
set_mode(struct engine *engine, const struct plan_step *step)
{
    if (fchmod(engine->file, (mode_t) step->perms.mode) < 0) {
        return engine_io(errno, "cannot set mode of '%s' to %04o", engine->plan->file,
                         (unsigned) step->perms.mode);
    }
    return NULL;
}

static struct err *
set_nocow(struct engine *engine, const struct plan_step *step UNUSED)
{
    err_free(place_nocow(engine->file)); /* Wished for, not required. */
    return NULL;
}

static struct err *
discard(struct engine *engine, const struct plan_step *step UNUSED)
{
    return place_discard(engine);
}

static struct err *
parse(struct engine *engine, const struct plan_step *step)
{
    struct engine_result *ret = engine->ret;
    struct plan_found found = { &ret->active, &ret->has_stat, &ret->stat, &ret->vols,
                                &ret->sources };
    return step->parse(&engine->seen, step->aux, &found);
}

/* The steps that follow go to the end of the plan, and their turn comes. */
static struct err *
then(struct engine *engine, const struct plan_step *step)
{
    ASSERT(engine->i_step + 1 == engine->plan->steps.n);
    return step->then(&engine->seen, step->aux, engine->plan);
}

static struct err *(*const runners[N_STEP_KINDS])(struct engine *,
                                                  const struct plan_step *) = {
    [STEP_COMMAND] = command_run,
    [STEP_ROOT] = place_root,
    [STEP_CHECK] = place_check,
    [STEP_MKDIRS] = place_mkdirs,
    [STEP_RMDIR_ROOT] = place_rmdir_root,
    [STEP_SCAN] = scan_root,
    [STEP_WATCH] = scan_watch,
    [STEP_STAT] = scan_one,
    [STEP_ROOM] = place_room,
    [STEP_TEMP] = place_temp,
    [STEP_OPEN] = place_open_file,
    [STEP_SOURCE] = place_open_source,
    [STEP_BACKING] = place_backing,
    [STEP_NOCOW] = set_nocow,
    [STEP_SIZE] = data_size,
    [STEP_ALLOCATE] = data_allocate,
    [STEP_GROWS] = scan_grows,
    [STEP_COPY] = data_copy,
    [STEP_RECEIVE] = stream_receive,
    [STEP_SEND] = stream_send,
    [STEP_WIPE] = data_wipe,
    [STEP_OWNER] = set_owner,
    [STEP_MODE] = set_mode,
    [STEP_PUBLISH] = place_publish,
    [STEP_MKDIR] = place_mkdir,
    [STEP_UNLINK] = place_unlink,
    [STEP_RMDIR] = place_rmdir,
    [STEP_DISCARD] = discard,
    [STEP_PARSE] = parse,
    [STEP_THEN] = then,
    [STEP_SETTLE] = device_settle,
    [STEP_NODE] = device_node,
    [STEP_DEVICE] = device_open,
    [STEP_SOURCE_DEVICE] = device_open_source,
    [STEP_ZERO_ENDS] = device_zero_ends,
    [STEP_LOOK] = device_look,
    [STEP_LIKE] = place_like,
    [STEP_REST] = data_rest,
    [STEP_REPLACE] = place_replace,
    [STEP_MOUNTED] = mounts_check,
    [STEP_SESSION] = iscsi_session,
    [STEP_CHAP] = iscsi_chap,
    [STEP_ADAPTER] = hosts_check,
    [STEP_VPORT] = hosts_vport,
    [STEP_RESCAN] = luns_rescan,
    [STEP_LUNS] = luns_scan,
    [STEP_IDLE] = luns_idle,
    [STEP_LUN] = luns_open,
    [STEP_SOURCE_LUN] = luns_open_source,
    [STEP_DISTINCT] = distinct_check,
    [STEP_GROW_LOOK] = grow_look_step,
    [STEP_GROW_RESCAN] = grow_rescan_step,
    [STEP_LOCK] = device_lock,
    [STEP_SYNC] = device_sync,
    [STEP_FETCH] = fetch_run,
    [STEP_IMAGE] = fetch_look,
    [STEP_ALIVE] = alive_check,
};

/* Back through the steps before 'n', after 'cause'.  Takes and returns it. */
static struct err *
undo(struct engine *engine, size_t n, struct err *cause)
{
    engine->undoing = true;
    device_close(engine);
    while (n-- > 0) {
        const struct plan_step *done = engine->plan->steps.v[n];
        const struct plan_step *step = engine->ran.v[n] ? done->undo : NULL;
        CLEANUP(err_drop) struct err *e = step ? runners[step->kind](engine, step) : NULL;
        if (e) {
            CLEANUP(free_drop) char *text = step_text(step);
            cause = err_hint(cause, "clean up by hand, because this failed too: %s: %s",
                             text, err_text(e));
        }
    }
    return cause;
}

/* Does it apply, after what the steps before it have found? */
static bool
is_due(const struct engine *engine, const struct plan_step *step)
{
    return step->when == STEP_ALWAYS ||
           (step->when == STEP_IF_ACTIVE) == engine->ret->active;
}

static struct err *
run_steps(struct engine *engine)
{
    const struct plan *plan = engine->plan;
    for (size_t i = 0; i < plan->steps.n && !engine->finished; i++) {
        const struct plan_step *step = plan->steps.v[i]; /* It may add some. */
        bool due = is_due(engine, step);
        *VEC_ADD(&engine->ran) = due;
        engine->i_step = i;
        struct err *e = engine_interrupted(engine);
        if (!e && due) {
            engine_progress(engine, 0, 1);
            watch_step(engine, step);
            e = runners[step->kind](engine, step);
        }
        if (e) {
            return undo(engine, i, e);
        }
    }
    return NULL;
}

struct err *
engine_run(struct plan *plan, const struct engine_env *env, struct engine_result *ret)
{
    struct engine engine = { .plan = plan, .env = env, .ret = ret };
    engine.root = engine.file = engine.source = engine.lock = -1;

    struct err *e = run_steps(&engine);

    fd_done(&engine.file);
    fd_done(&engine.source);
    fd_done(&engine.root);
    fd_done(&engine.lock);
    free(engine.temp_name);
    VEC_DONE(&engine.ran);
    plan_seen_done(&engine.seen);
    return e && plan->noun ? err_wrap(e, "%s", plan->noun) : e;
}
