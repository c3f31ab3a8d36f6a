/* agent/jobs.c: rows of the table job.
 *
 *     kind             target   who acts
 *     pool.build       pool     here: makes the pool's target; 'overwrite' as libvirt's flags
 *     pool.refresh     pool     here: scans it
 *     pool.delete      pool     here: removes the target; the pool must not be active
 *     pool.grow.*      pool     here: look, host, top: the stages of "byre pool grow"
 *     vol.wipe         volume   here: overwrites it; 'algorithm'
 *     vol.resize       volume   here: to 'length' bytes; 'options' allocate, shrink
 *     vol.create       volume   vols.c, because the volume's row wants it
 *     vol.clone        volume   vols.c likewise
 *     vol.fetch        volume   vols.c likewise
 *     vol.move         volume   vols.c makes the new one, then move.c
 *     vm.disk.move     volume   vols.c makes the new one, then move.c and disk_live.c
 *     vm.disk.resize   volume   disk_live.c
 *     vol.upload ...   volume   request.c, while a client is connected
 *     vm.migrate       vm       migrate.c: it goes to another host
 *     vm.receive       vm       receive.c: it comes to this one
 *     vm.revert        vm       vm_jobs.c
 *
 * A job goes queued -> running -> done, failed or cancelled.  A job found running that this agent
 * did not begin was interrupted: those that may be run twice are run again, those of a volume's
 * row go on by themselves, the others fail. */
#define LOG_MODULE "job"
#include <stdio.h>

#include "agent/jobs_i.h"
#include "agent/migrate_i.h"

#include "base/clock.h"
#include "base/log.h"

#define KEEP_MS                                                                            \
    (INT64_C(7) * 24 * 60 * 60 * 1000) /* Then what has ended is forgotten, ... */
#define KEEP_MAX 200                   /* ... and all but so many. */

enum driver {
    BY_THIS,
    BY_VOLUME,
    BY_MOVE,
    BY_REQUEST,
    BY_MIGRATE,
    BY_RECEIVE,
    BY_MACHINE,
    BY_DISK
};

struct job_kind {
    const char *name;
    enum driver driver;
    enum priv_verb verb; /* BY_THIS: doing it again after half of it does no harm. */
    bool of_volume;
};
static const struct job_kind kinds[] = {
    { "pool.build", BY_THIS, PRIV_POOL_BUILD, false },
    { "pool.refresh", BY_THIS, PRIV_POOL_REFRESH, false },
    { "pool.delete", BY_THIS, PRIV_POOL_DELETE, false },
    { "pool.grow.look", BY_THIS, PRIV_POOL_GROW_LOOK, false },
    { "pool.grow.host", BY_THIS, PRIV_POOL_GROW_HOST, false },
    { "pool.grow.top", BY_THIS, PRIV_POOL_GROW_TOP, false },
    { "vol.wipe", BY_THIS, PRIV_VOL_WIPE, true },
    { "vol.resize", BY_THIS, PRIV_VOL_RESIZE, true },
    { "vol.create", BY_VOLUME, PRIV_VOL_CREATE, true },
    { "vol.clone", BY_VOLUME, PRIV_VOL_CLONE, true },
    { "vol.fetch", BY_VOLUME, PRIV_VOL_FETCH, true },
    { "vol.move", BY_MOVE, PRIV_VOL_CLONE, true },
    { JOB_DISK_MOVE, BY_MOVE, PRIV_VOL_CREATE, true },
    { "vm.disk.resize", BY_DISK, PRIV_VOL_RESIZE, true },
    { "vol.upload", BY_REQUEST, PRIV_VOL_UPLOAD, true },
    { "vol.download", BY_REQUEST, PRIV_VOL_DOWNLOAD, true },
    { "vm.migrate", BY_MIGRATE, PRIV_VOL_CLONE, false },
    { "vm.receive", BY_RECEIVE, PRIV_VOL_CLONE, false },
    { "vm.revert", BY_MACHINE, 0, false },
};

/* One job, in a worker thread. */
struct job_work {
    struct list node; /* In struct agent's 'feeding'. */
    struct agent *agent;
    struct ticket *ticket;
    const struct job_kind *kind;
    struct uuid pool_row, vol_row;
    struct pool pool;
    struct vol vol;
    bool has_vol;
    struct pool_others others; /* PRIV_POOL_BUILD */
    struct priv_request request;
    int64_t begun_tick;
    struct err *e;
    struct priv_reply reply;
};

/* A job whose row is gone is cancelled: nobody waits for it. */
void
job_row_deleted(struct agent *a, const struct uuid *job)
{
    ticket_orphan(a, job);
}

static void
work_done_free(struct job_work *w)
{
    list_remove(&w->node);
    err_free(w->e);
    priv_reply_done(&w->reply);
    if (w->has_vol) {
        vol_done(&w->vol);
    }
    pool_others_done(&w->others);
    pool_done(&w->pool);
    free(w);
}

void
job_refuse(struct agent *a, const struct row_job *row, struct err *e)
{
    ticket_end(ticket_take(a, row), e, NULL);
    agent_touch(a);
    err_free(e);
}

static void
work_run(void *aux)
{
    struct job_work *w = aux;
    struct priv_watch watch = { .progress = ticket_progress,
                                .aux = w->ticket,
                                .cancel = ticket_flag(w->ticket) };

    w->e = stored_call(w->agent->stored, &w->request, -1, &watch, &w->reply);
}

void
job_tell_volume(struct agent *a, struct row_volume *row, const struct priv_reply *reply,
                int64_t wanted)
{
    struct txn *txn = txn_new(replica_database(a->replica));
    struct txn_row *out = txn_update(txn, "volume", &row->base.uuid);

    if (reply->vols.vols.n == 1) {
        const struct vol *vol = &reply->vols.vols.v[0];
        vol_learn(vol_obj_of(a, row), vol);
        txn_set_int(out, "capacity", max64(vol->capacity, 0));
        txn_set_int(out, "allocation", max64(vol->allocation, 0));
        txn_set_int(out, "physical", max64(vol->physical, 0));
    }
    if (wanted >= 0) { /* Or the volume would at once be resized back. */
        struct vol_obj *obj = vol_obj_of(a, row);
        obj->sized = true;
        obj->sized_to = wanted;
        obj->sized_generation = row->generation;
        txn_set_int(out, "wanted_capacity", wanted);
        txn_set_int(out, "size", (int64_t) div_up((uint64_t) wanted, MIB));
        txn_comment(txn, "byre-agentd: volume %s was resized", row->name);
    }
    txn_commit(txn, replica_session(a->replica), NULL, NULL);
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
    if (!w->e && w->request.verb == PRIV_POOL_REFRESH) {
        pool_refreshed(pool, w->begun_tick, &w->reply);
    } else if (!w->e && w->request.verb == PRIV_POOL_DELETE) {
        pool->memo.active = pool->memo.scanned = false;
    } else if (!w->e && w->request.verb == PRIV_POOL_GROW_TOP) {
        pool->memo.scanned = false; /* It has another size now. */
    } else if (!w->e) {
        pool_stat_set(pool, &w->reply);
    } else if (w->request.verb == PRIV_POOL_REFRESH && !err_is(w->e, ERR_CANCELED)) {
        pool->memo.scanned = false; /* The pool itself looks again, and its row tells. */
    }
    if (w->kind->verb == PRIV_POOL_BUILD) {
        pool_memo_worked(&pool->memo); /* Its start may work now. */
    }
    struct row_volume *vol =
        w->has_vol ? row_volume_find(w->agent->replica, &w->vol_row) : NULL;
    if (vol && !w->e) {
        job_tell_volume(w->agent, vol, &w->reply,
                        w->request.verb == PRIV_VOL_RESIZE ? w->request.capacity : -1);
    }
    if (w->request.verb == PRIV_POOL_REFRESH) {
        pool_scan_end(pool);
    }
}

/* A refresh has ended when its rows are there for everybody. */
static bool
is_feeding(const struct job_work *w)
{
    struct row_pool *row = row_pool_find(w->agent->replica, &w->pool_row);

    return w->request.verb == PRIV_POOL_REFRESH && !w->e && row &&
           feed_under_way(pool_obj_of(w->agent, row));
}

/* byre-stored is being restarted: nothing was wrong with the job, and it may be run twice. */
static bool
may_try_again(const struct job_work *w)
{
    return err_is(w->e, ERR_BUSY) && err_code(w->e) == 0 && !*ticket_flag(w->ticket);
}

static void
work_end(struct job_work *w)
{
    if (may_try_again(w)) {
        w->agent->jobs_at_ms = agent_now_ms(w->agent) + RETRY_MIN_MS;
        ticket_release(w->ticket);
        agent_touch_jobs(w->agent);
        work_done_free(w);
        return;
    }
    if (w->e) {
        w->e = err_wrap(TAKE(w->e), "%s", w->kind->name);
    }
    ticket_end(w->ticket, w->e, w->reply.note);
    if (w->request.verb == PRIV_POOL_REFRESH && !w->e) {
        agent_touch_jobs(w->agent); /* What it found is for feed.c to tell. */
    } else {
        agent_touch(w->agent);
    }
    work_done_free(w);
}

static void
work_done(void *aux, bool dropped)
{
    struct job_work *w = aux;

    if (dropped) {
        ticket_release(w->ticket);
        work_done_free(w);
        return;
    }
    apply(w);
    if (is_feeding(w)) {
        list_push_back(&w->agent->feeding, &w->node);
    } else {
        work_end(w);
    }
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
    if (w->kind->verb == PRIV_POOL_BUILD) {
        pool_others_take(w->agent, pool, true, &w->others);
        w->request.others = (const struct pool *const *) w->others.pools.v;
        w->request.n_others = w->others.pools.n;
    }
    w->pool_row = pool->base.uuid;
    return pool_model(pool, &w->pool);
}

static struct err *
work_of_vol(struct job_work *w, const struct row_job *row, const struct row_volume *vol)
{
    const struct row_pool *pool = row_volume_get_pool(vol);

    if (row->algorithm && !wipe_algorithm_parse(row->algorithm, &w->request.algorithm)) {
        return err_new(ERR_CONSTRAINT, "'%s' is not a way to wipe", row->algorithm);
    } else if (!pool || !str_eq(vol->state, "ready")) {
        return err_hint(err_new(ERR_CONSTRAINT, "volume %s is not ready", vol->name),
                        "byre vol info tells why");
    } else if (!pool_ready(pool, pool_obj_of(w->agent, pool))) {
        return err_hint(err_new(ERR_CONSTRAINT, "pool %s is not running", pool->name),
                        "byre pool start %s", pool->name);
    } else if (w->kind->verb == PRIV_VOL_RESIZE && !row->length.has) {
        return err_new(ERR_CONSTRAINT, "the new capacity is not said (length)");
    }
    TRY(vol_refuse_used(w->agent, vol, true, &row->base.uuid));
    w->request.capacity = row->length.v;
    w->request.vol_flags = (typed_set_has(&row->options, "allocate") ? VOL_ALLOCATE : 0) |
                           (typed_set_has(&row->options, "shrink") ? VOL_SHRINK : 0);
    if (w->kind->verb != PRIV_VOL_RESIZE) {
        w->request.vol_flags = 0;
    }
    w->vol_row = vol->base.uuid;
    w->pool_row = pool->base.uuid;
    TRY(pool_model(pool, &w->pool));
    struct err *e = model_vol(vol, row_volume_get_backing(vol), w->pool.type, &w->vol);
    w->has_vol = !e;
    if (!e && vol->capacity.has) { /* What is there counts, not what is wanted. */
        w->vol.capacity = vol->capacity.v;
    }
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

/* Jobs of one volume, and those of one pool, come one after the other. */
static void
begin(struct agent *a, const struct row_job *row, const struct job_kind *kind)
{
    struct job_work *w = NEW(struct job_work);
    char key[UUID_CHARS + 8];

    list_init(&w->node);
    w->agent = a;
    w->kind = kind;
    pool_init(&w->pool);
    priv_reply_init(&w->reply);
    struct err *e = work_of(w, row);
    if (e) {
        work_done_free(w);
        job_refuse(a, row, err_wrap(e, "%s", row->kind));
        return;
    }
    w->ticket = ticket_take(a, row);
    w->begun_tick = a->tick;
    if (w->request.verb == PRIV_POOL_REFRESH) {
        struct pool_obj *pool = pool_obj_of(a, row_pool_find(a->replica, &w->pool_row));
        pool_scan_begin(pool);
        w->request.since = feed_since(pool);
    }
    log_info("%s of %s begins", row->kind, w->has_vol ? w->vol.name : w->pool.name);
    snprintf(key, sizeof key, "%s/%s", w->has_vol ? "vol" : "pool",
             UUID_TEXT(w->has_vol ? &w->vol_row : &w->pool_row));
    work_submit(a->slow, key, work_run, work_done, w);
}

/* The volume's own row says what is to be made; this row only tells of it.  If nobody does any
 * more, the outcome is to be seen in the volume. */
static void
follow_volume(struct agent *a, const struct row_job *row)
{
    const struct row_volume *vol = row_volume_find(a->replica, &row->target);
    bool settled = vol && vol->observed_generation >= vol->generation;
    bool ready = vol && str_eq(vol->state, "ready");

    if (!vol) {
        job_refuse(a, row, err_new(ERR_NOT_FOUND, "the volume was removed meanwhile"));
    } else if (settled && ready) {
        ticket_end(ticket_take(a, row), NULL, NULL);
        agent_touch(a);
    } else if (settled && vol->error) {
        struct strvec lines = STRVEC_INIT;
        strvec_split(&lines, vol->error, "\n");
        struct err *e = err_new(ERR_IO, "%s", lines.n > 1 ? lines.v[1] : vol->error);
        e = err_wrap(e, "%s", lines.n ? lines.v[0] : row->kind);
        job_refuse(a, row, lines.n > 2 ? err_hint(e, "%s", lines.v[2]) : e);
        strvec_done(&lines);
    } else {
        a->unsettled = true;
    }
}

static void
job_pass(struct agent *a, const struct row_job *row)
{
    const struct job_kind *kind = kind_find(row->kind);
    bool running = str_eq(row->state, "running");

    if (ticket_follow(a, row)) {
        a->unsettled = true;
    } else if (!kind) {
        job_refuse(
            a, row,
            err_hint(
                err_new(ERR_UNSUPPORTED, "this agent knows no job of kind '%s'", row->kind),
                "see byre list job kind: pool.build, pool.refresh, vol.wipe ..."));
    } else if (kind->driver == BY_MOVE) {
        move_pass(a, row);
    } else if (kind->driver == BY_MIGRATE) {
        migrate_begin(a, row);
    } else if (kind->driver == BY_RECEIVE) {
        receive_pass(a, row);
    } else if (kind->driver == BY_VOLUME && !(row->cancel && !running)) {
        follow_volume(a, row);
    } else if (row->cancel) {
        job_refuse(a, row, err_new(ERR_CANCELED, "it was cancelled before it began"));
    } else if (kind->driver == BY_MACHINE) {
        vm_job_pass(a, row);
    } else if (kind->driver == BY_DISK) {
        disk_resize_pass(a, row);
    } else if (kind->driver == BY_REQUEST) {
        job_refuse(a, row,
                   err_hint(err_new(ERR_IO, running ? "it was interrupted"
                                                    : "the data come by byre vol only"),
                            "give the command again: byre vol %s", row->kind + 4));
    } else if (a->jobs_at_ms > agent_now_ms(a)) {
        agent_wake(a, a->jobs_at_ms);
    } else {
        begin(a, row, kind);
    }
}

struct row_job *
job_of_volume(struct agent *a, const struct uuid *volume)
{
    ROW_FOR_EACH (struct row_job, row, row_job_table(a->replica)) {
        const struct job_kind *kind = kind_find(row->kind);
        if (job_is_open(row) && agent_is_own(a, &row->hostnode) && kind &&
            (kind->driver == BY_VOLUME || kind->driver == BY_MOVE) &&
            uuid_eq(&row->target, volume) && !ticket_find(a, &row->base.uuid)) {
            return row;
        }
    }
    return NULL;
}

bool
job_is_open(const struct row_job *row)
{
    return !row->state || str_eq(row->state, "queued") || str_eq(row->state, "running");
}

/* Old rows go, and of the others all but the youngest. */
static void
prune(struct agent *a, size_t n_ended)
{
    int64_t now = clock_wall_ms();
    while (n_ended > KEEP_MAX) {
        const struct row_job *oldest = NULL;
        ROW_FOR_EACH (struct row_job, row, row_job_table(a->replica)) {
            bool ended = agent_is_own(a, &row->hostnode) && !job_is_open(row);
            if (ended && (!oldest || row->ended_at.v < oldest->ended_at.v)) {
                oldest = row;
            }
        }
        if (!oldest) {
            return;
        }
        txn_delete(report_txn(a), "job", &oldest->base.uuid);
        agent_wake(a, agent_now_ms(a) + 1); /* One a pass: the replica still has it. */
        return;
    }
    ROW_FOR_EACH (struct row_job, row, row_job_table(a->replica)) {
        if (agent_is_own(a, &row->hostnode) && !job_is_open(row) && row->ended_at.has &&
            row->ended_at.v < now - KEEP_MS) {
            txn_delete(report_txn(a), "job", &row->base.uuid);
        }
    }
}

void
jobs_free(struct agent *a)
{
    LIST_FOR_EACH_SAFE (struct job_work, w, node, &a->feeding) {
        work_done_free(w); /* Its ticket goes with the others. */
    }
}

void
jobs_pass(struct agent *a)
{
    size_t n_ended = 0;
    LIST_FOR_EACH_SAFE (struct job_work, w, node, &a->feeding) {
        if (!is_feeding(w)) {
            work_end(w);
        }
    }
    ROW_FOR_EACH (struct row_job, row, row_job_table(a->replica)) {
        if (!agent_is_own(a, &row->hostnode)) {
            continue;
        } else if (job_is_open(row)) {
            job_pass(a, row);
        } else {
            n_ended++;
        }
    }
    prune(a, n_ended);
}
