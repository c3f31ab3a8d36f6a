/* agent/jobs.c: what is asked for once: rows of the table job.
 *
 *     kind           target   does
 *     pool.build     pool     makes the pool's target; 'overwrite' as libvirt's flags
 *     pool.refresh   pool     scans it
 *     pool.delete    pool     removes the target; the pool must not be active
 *     vol.wipe       volume   overwrites it; 'algorithm'
 *
 * A job goes queued -> running -> done, failed or cancelled.  A job found running that this agent
 * did not begin was interrupted: those that may be run twice are run again, the others fail. */
#define LOG_MODULE "job"
#include <stdio.h>

#include "agent/agent_i.h"

#include "base/clock.h"
#include "base/log.h"

#define PROGRESS_MS 500                            /* Not told more often. */
#define KEEP_MS (INT64_C(7) * 24 * 60 * 60 * 1000) /* Then what has ended is forgotten. */

struct job_kind {
    const char *name;
    enum priv_verb verb;
    bool of_volume;
    bool repeatable; /* Doing it again after half of it does no harm. */
};
static const struct job_kind kinds[] = {
    { "pool.build", PRIV_POOL_BUILD, false, true },
    { "pool.refresh", PRIV_POOL_REFRESH, false, true },
    { "pool.delete", PRIV_POOL_DELETE, false, true },
    { "vol.wipe", PRIV_VOL_WIPE, true, true },
};

/* One job, in a worker thread. */
struct job_work {
    struct agent *agent;
    struct job_obj *obj;
    const struct job_kind *kind;
    struct uuid pool_row, vol_row;
    struct pool pool;
    struct vol vol;
    bool has_vol;
    struct priv_request request;
    int64_t begun_tick;
    bool feeding; /* Done, but its rows are still being written. */
    volatile int cancel;
    int64_t told_ms; /* The worker's: when progress was last posted. */
    struct err *e;
    struct priv_reply reply;
};

static struct job_obj *
job_obj_of(struct agent *a, const struct row_job *row)
{
    struct replica_row *base = (struct replica_row *) &row->base;

    if (!base->user) {
        struct job_obj *obj = NEW(struct job_obj);
        obj_init(&obj->o, a, base);
        base->user = obj;
    }
    return base->user;
}

static void
job_obj_free(struct job_obj *obj)
{
    obj_done(&obj->o);
    free(obj);
}

static void
work_done_free(struct job_work *w)
{
    err_free(w->e);
    priv_reply_done(&w->reply);
    if (w->has_vol) {
        vol_done(&w->vol);
    }
    pool_done(&w->pool);
    free(w);
}

/* A job whose row is gone is cancelled: nobody waits for it. */
void
job_obj_orphan(struct job_obj *obj)
{
    obj->o.row = NULL;
    if (obj->work && obj->work->feeding) {
        obj->o.busy = false;
        work_done_free(TAKE(obj->work));
    } else if (obj->work) {
        obj->work->cancel = 1;
    }
    if (!obj->o.busy) {
        job_obj_free(obj);
    }
}

/* The row's new state; nothing else of this agent writes a job. */
static void
on_told(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct job_obj *obj = aux;
    struct agent *a = obj->o.agent;

    obj->o.busy = obj->work != NULL;
    if (e) {
        obj->ended = false;
        obj_trouble(&obj->o, err_wrap(e, "the job's row could not be changed"));
    }
    if (!obj->o.row && !obj->o.busy) {
        job_obj_free(obj);
    }
    agent_touch_jobs(a);
}

static void
tell_end(struct job_obj *obj, const char *state, const struct err *error)
{
    struct agent *a = obj->o.agent;
    struct txn *txn = txn_new(replica_database(a->replica));
    struct txn_row *row = txn_update(txn, "job", &obj->o.uuid);

    txn_set_string(row, "state", state);
    txn_set_int(row, "ended_at", clock_wall_ms());
    if (error) {
        CLEANUP(free_drop) char *text = error_text(error);
        txn_set_string(row, "error", text);
    } else {
        txn_set_real(row, "progress", 1.0);
    }
    obj->o.busy = obj->ended = true;
    txn_commit(txn, replica_session(a->replica), on_told, obj);
}

/* Ends a job that never began.  Takes 'e'. */
static void
refuse(struct job_obj *obj, struct err *e)
{
    log_info("job %s: %s", UUID_TEXT(&obj->o.uuid), err_text(e));
    tell_end(obj, "failed", e);
    err_free(e);
}

/* Progress on its way to the loop. */
struct progress {
    struct agent *agent;
    struct uuid job;
    double fraction;
    char message[128];
};

static void
on_progress(void *aux)
{
    struct progress *p = aux;
    struct agent *a = p->agent;

    if (replica_is_ready(a->replica) && row_job_find(a->replica, &p->job)) {
        struct txn *txn = txn_new(replica_database(a->replica));
        struct txn_row *row = txn_update(txn, "job", &p->job);
        txn_set_real(row, "progress",
                     p->fraction < 0   ? 0
                     : p->fraction > 1 ? 1
                                       : p->fraction);
        txn_set_string(row, "message", p->message[0] ? p->message : NULL);
        txn_commit(txn, replica_session(a->replica), NULL,
                   NULL); /* The next one is as good. */
    }
    free(p);
}

static void
progress_post(void *aux, const struct priv_progress *now)
{
    struct job_work *w = aux;

    if (clock_mono_ms() - w->told_ms < PROGRESS_MS) {
        return;
    }
    struct progress *p = NEW(struct progress);
    w->told_ms = clock_mono_ms();
    p->agent = w->agent;
    p->job = w->obj->o.uuid;
    p->fraction = now->fraction;
    snprintf(p->message, sizeof p->message, "%s", now->message);
    loop_post(w->agent->loop, on_progress, p);
}

static void
work_run(void *aux)
{
    struct job_work *w = aux;
    struct priv_watch watch = { .progress = progress_post, .aux = w, .cancel = &w->cancel };

    w->e = stored_call(w->agent->stored, &w->request, -1, &watch, &w->reply);
}

/* What the outcome means for the pool and the volume. */
static void
apply(struct job_work *w)
{
    struct row_pool *row = row_pool_find(w->agent->replica, &w->pool_row);
    struct pool_obj *pool = row ? pool_obj_of(w->agent, row) : NULL;

    if (!pool) {
        return;
    }
    pool->refreshing = false;
    if (!w->e && w->request.verb == PRIV_POOL_REFRESH) {
        pool_refreshed(pool, w->begun_tick, &w->reply);
    } else if (!w->e && w->request.verb == PRIV_POOL_DELETE) {
        pool->memo.active = pool->memo.scanned = false;
    } else if (!w->e) {
        pool_stat_set(pool, &w->reply);
    } else if (w->request.verb == PRIV_POOL_REFRESH && !err_is(w->e, ERR_CANCELED)) {
        pool->memo.scanned = false; /* The pool itself looks again, and its row tells. */
    }
    if (w->kind->verb == PRIV_POOL_BUILD) {
        pool_memo_worked(&pool->memo); /* Its start may work now. */
    }
    strvec_done(&pool->touched);
}

/* A refresh has ended when its rows are there for everybody. */
static bool
is_feeding(const struct job_work *w)
{
    struct row_pool *row = row_pool_find(w->agent->replica, &w->pool_row);

    return w->request.verb == PRIV_POOL_REFRESH && !w->e && row &&
           feed_under_way(pool_obj_of(w->agent, row));
}

static void work_end(struct job_work *);

static void
work_done(void *aux, bool dropped)
{
    struct job_work *w = aux;
    struct job_obj *obj = w->obj;

    obj->work = NULL;
    obj->o.busy = false;
    if (dropped) {
        if (!obj->o.row) {
            job_obj_free(obj);
        }
        work_done_free(w);
        return;
    }
    apply(w);
    w->feeding = is_feeding(w);
    if (w->feeding) {
        obj->work = w;
        obj->o.busy = true;
    } else {
        work_end(w);
    }
}

static void
work_end(struct job_work *w)
{
    struct job_obj *obj = w->obj;

    if (!obj->o.row) {
        job_obj_free(obj);
    } else if (w->e) {
        struct err *e = err_wrap(TAKE(w->e), "%s", w->kind->name);
        log_info("%s", err_text(e));
        tell_end(obj, err_is(e, ERR_CANCELED) ? "cancelled" : "failed", e);
        err_free(e);
    } else {
        tell_end(obj, "done", NULL);
    }
    agent_touch(w->agent);
    work_done_free(w);
}

static struct err *
work_of_pool(struct job_work *w, const struct row_pool *pool)
{
    if (w->kind->verb == PRIV_POOL_DELETE && pool->active) {
        return err_hint(err_new(ERR_CONSTRAINT, "pool %s is active", pool->name),
                        "stop it first: byre pool stop %s", pool->name);
    } else if (w->kind->verb == PRIV_POOL_REFRESH && !pool->active) {
        return err_hint(err_new(ERR_CONSTRAINT, "pool %s is not active", pool->name),
                        "start it first: byre pool start %s", pool->name);
    }
    w->pool_row = pool->base.uuid;
    return pool_model(pool, &w->pool);
}

static struct err *
work_of_vol(struct job_work *w, const struct row_job *row, const struct row_volume *vol)
{
    const struct row_pool *pool = row_volume_get_pool(vol);
    const char *user = vms_user_of(w->agent, &vol->base.uuid);

    if (row->algorithm && !wipe_algorithm_parse(row->algorithm, &w->request.algorithm)) {
        return err_new(ERR_CONSTRAINT, "'%s' is not a way to wipe", row->algorithm);
    } else if (!pool || !str_eq(vol->state, "ready")) {
        return err_hint(err_new(ERR_CONSTRAINT, "volume %s is not ready", vol->name),
                        "byre vol info tells why");
    } else if (user) {
        return err_hint(
            err_new(ERR_BUSY, "machine %s runs with volume %s", user, vol->name),
            "stop the machine first");
    }
    w->vol_row = vol->base.uuid;
    w->pool_row = pool->base.uuid;
    TRY(pool_model(pool, &w->pool));
    struct err *e = model_vol(vol, NULL, w->pool.type, &w->vol);
    w->has_vol = !e;
    return e;
}

static const struct job_kind *
kind_find(const char *name)
{
    for (size_t i = 0; i < N_ELEMS(kinds); i++) {
        if (str_eq(name, kinds[i].name)) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* From rows to a request that can cross to a thread. */
static struct err *
work_of(struct job_work *w, const struct row_job *row)
{
    struct agent *a = w->agent;

    w->kind = kind_find(row->kind);
    if (!w->kind) {
        return err_hint(
            err_new(ERR_UNSUPPORTED, "this agent knows no job of kind '%s'", row->kind),
            "pool.build, pool.refresh, pool.delete and vol.wipe are known");
    }
    w->request.verb = w->kind->verb;
    w->request.build_flags = str_eq(row->overwrite, "overwrite")      ? BUILD_OVERWRITE
                             : str_eq(row->overwrite, "no-overwrite") ? BUILD_NO_OVERWRITE
                                                                      : 0;
    struct row_pool *pool =
        w->kind->of_volume ? NULL : row_pool_find(a->replica, &row->target);
    struct row_volume *vol =
        w->kind->of_volume ? row_volume_find(a->replica, &row->target) : NULL;
    if (!pool && !vol) {
        return err_new(ERR_NOT_FOUND, "the job's target does not exist");
    }
    TRY(pool ? work_of_pool(w, pool) : work_of_vol(w, row, vol));
    w->request.pool = &w->pool;
    w->request.vol = w->has_vol ? &w->vol : NULL;
    return NULL;
}

static void
begin(struct agent *a, struct job_obj *obj, const struct row_job *row)
{
    struct job_work *w = NEW(struct job_work);
    char key[UUID_CHARS + 8];

    w->agent = a;
    w->obj = obj;
    pool_init(&w->pool);
    priv_reply_init(&w->reply);
    struct err *e = work_of(w, row);
    if (e) {
        work_done_free(w);
        refuse(obj, err_wrap(e, "%s", row->kind));
        return;
    }
    struct txn *txn = txn_new(replica_database(a->replica));
    struct txn_row *out = txn_update(txn, "job", &row->base.uuid);
    txn_set_string(out, "state", "running");
    txn_set_int(out, "started_at", clock_wall_ms());
    txn_commit(txn, replica_session(a->replica), NULL, NULL);

    w->begun_tick = a->tick;
    if (w->request.verb == PRIV_POOL_REFRESH) {
        struct pool_obj *pool = pool_obj_of(a, row_pool_find(a->replica, &w->pool_row));
        pool->refreshing = true;
        w->request.since = feed_since(pool);
    }
    obj->work = w;
    obj->o.busy = true;
    log_info("%s of %s begins", row->kind, w->has_vol ? w->vol.name : w->pool.name);
    snprintf(key, sizeof key, "pool/%s", UUID_TEXT(&w->pool_row));
    work_submit(a->slow, key, work_run, work_done, w);
}

static void
job_pass(struct agent *a, const struct row_job *row)
{
    struct job_obj *obj = job_obj_of(a, row);
    bool running = str_eq(row->state, "running");

    if (obj->work && obj->work->feeding && !is_feeding(obj->work)) {
        struct job_work *w = TAKE(obj->work);
        obj->o.busy = false;
        work_end(w);
    } else if (obj->work) {
        a->unsettled = true;
        obj->work->cancel |= row->cancel;
    } else if (obj->o.busy || obj->ended) {
        return; /* Its end is on its way. */
    } else if (obj_must_wait(&obj->o)) {
        return;
    } else if (row->cancel) {
        struct err *e = err_new(ERR_CANCELED, "it was cancelled before it began");
        tell_end(obj, "cancelled", e);
        err_free(e);
    } else if (running && !(kind_find(row->kind) && kind_find(row->kind)->repeatable)) {
        refuse(obj,
               err_hint(err_new(ERR_IO, "it was interrupted"), "give the command again"));
    } else {
        begin(a, obj, row);
    }
}

void
jobs_pass(struct agent *a)
{
    ROW_FOR_EACH (struct row_job, row, row_job_table(a->replica)) {
        bool open =
            !row->state || str_eq(row->state, "queued") || str_eq(row->state, "running");
        if (!agent_is_own(a, &row->hostnode)) {
            continue;
        } else if (open) {
            job_pass(a, row);
        } else if (row->ended_at.has && row->ended_at.v < clock_wall_ms() - KEEP_MS) {
            txn_delete(report_txn(a), "job", &row->base.uuid);
        }
    }
}
