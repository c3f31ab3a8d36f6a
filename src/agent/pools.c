/* agent/pools.c: storage pools: checked, started, scanned and stopped through byre-stored. */
#define LOG_MODULE "pool"
#include <stdio.h>

#include "agent/agent_i.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/code.h"

#define MAX_OTHERS 1000 /* Pools that a new one is compared with. */
#define ALARM_DEGRADED "pool-degraded"
#define MAX_USERS 8 /* That are named when a pool may not stop. */

/* One step, in a worker thread. */
struct pool_job {
    struct agent *agent;
    struct pool_obj *obj;
    enum pool_step step;
    struct pool_want want;
    int64_t begun_tick, since;
    struct pool pool;
    struct pool_others others; /* POOL_DO_START: those that run. */
    struct err *e;
    struct priv_reply reply;
};

bool
trouble_may_pass(const struct err *e)
{
    return err_is(e, ERR_BUSY) || err_is(e, ERR_TIMEOUT) || err_is(e, ERR_CANCELED);
}

struct err *
stored_call(const char *socket, const struct priv_request *request, int fd,
            const struct priv_watch *watch, struct priv_reply *ret)
{
    struct err *e = priv_call(socket, request, fd, watch, ret);
    /* What storage itself says carries libvirt's code; without one, it is the way that failed. */
    if (err_is(e, ERR_IO) && err_code(e) == 0) {
        struct err *passing = err_new(ERR_BUSY, "%s", err_text(e));
        err_free(e);
        return err_hint(passing, "wait until byred has started it again");
    }
    return e;
}

struct err *
pool_model(const struct row_pool *row, struct pool *ret)
{
    const struct row_metapool *metapool = row_pool_get_metapool(row);

    if (!metapool) {
        return err_new(ERR_NOT_FOUND, "pool %s has no template", row->name);
    }
    TRY(model_pool(metapool, row, ret));
    const struct row_secret *secret = row_metapool_get_auth_secret(metapool);
    if (secret && secret->value) {
        ret->source.auth.password = arena_str(&ret->arena, secret->value);
    }
    return NULL;
}

struct pool_obj *
pool_obj_of(struct agent *a, const struct row_pool *row)
{
    struct replica_row *base = (struct replica_row *) &row->base;

    if (!base->user) {
        struct pool_obj *obj = NEW(struct pool_obj);
        obj_init(&obj->o, a, base);
        list_init(&obj->feeds);
        base->user = obj;
    }
    return base->user;
}

static void
pool_obj_free(struct pool_obj *obj)
{
    pool_memo_done(&obj->memo);
    free(obj->free);
    free(obj->degraded);
    strvec_done(&obj->warnings);
    strvec_done(&obj->touched);
    watch_pool_done(obj);
    obj_done(&obj->o);
    free(obj);
}

void
pool_obj_orphan(struct pool_obj *obj)
{
    obj->o.row = NULL;
    if (!obj->o.busy && !obj->watch.busy && !feed_under_way(obj)) {
        pool_obj_free(obj);
    }
}

void
pool_touched(struct agent *a, const struct uuid *pool_row, const char *name)
{
    struct row_pool *row = row_pool_find(a->replica, pool_row);

    if (row && row->base.user) {
        struct pool_obj *obj = row->base.user;
        if (obj->n_scans) {
            strvec_add(&obj->touched, name);
        }
    }
}

void
pool_scan_begin(struct pool_obj *obj)
{
    obj->n_scans++;
}

void
pool_scan_end(struct pool_obj *obj)
{
    if (--obj->n_scans == 0) {
        strvec_done(&obj->touched);
    }
}

bool
pool_ready(const struct row_pool *row, const struct pool_obj *obj)
{
    return row->active && obj->memo.active && obj->memo.scanned;
}

void
pool_stat_set(struct pool_obj *obj, const struct priv_reply *reply)
{
    if (reply->has_stat) {
        obj->has_stat = true;
        obj->stat = reply->stat;
        obj->stat.perms.label = NULL; /* Borrowed from the reply, and of no use here. */
        free(obj->degraded);
        obj->degraded = reply->stat.degraded ? str_dup(reply->stat.degraded) : NULL;
        obj->stat.degraded = NULL;
        free(obj->free);
        obj->n_free = reply->stat.n_free;
        obj->free = xcalloc(obj->n_free + 1, sizeof *obj->free);
        if (obj->n_free) {
            memcpy(obj->free, reply->stat.free, obj->n_free * sizeof *obj->free);
        }
        obj->stat.free = NULL;
        obj->stat.n_free = 0;
    }
}

void
pool_refreshed(struct pool_obj *obj, int64_t begun_tick, struct priv_reply *reply)
{
    pool_stat_set(obj, reply);
    obj->memo.checked = obj->memo.active = true;
    obj->refreshed_at = clock_wall_ms();
    strvec_done(&obj->warnings);
    for (size_t i = 0; i < reply->vols.warnings.n; i++) {
        if (!strvec_has(&obj->warnings,
                        reply->vols.warnings.v[i])) { /* A set, in the row. */
            strvec_add(&obj->warnings, reply->vols.warnings.v[i]);
        }
    }
    if (obj->o.row) {
        feed_begin(obj, begun_tick, &reply->vols);
    }
}

static void
job_run(void *aux)
{
    static const enum priv_verb verbs[N_POOL_STEPS] = {
        [POOL_DO_CHECK] = PRIV_POOL_CHECK,
        [POOL_DO_START] = PRIV_POOL_START,
        [POOL_DO_STOP] = PRIV_POOL_STOP,
        [POOL_DO_REFRESH] = PRIV_POOL_REFRESH,
    };
    struct pool_job *job = aux;
    struct priv_request request = { .verb = verbs[job->step],
                                    .pool = &job->pool,
                                    .since = job->since,
                                    .others =
                                        (const struct pool *const *) job->others.pools.v,
                                    .n_others = job->others.pools.n };

    job->e = stored_call(job->agent->stored, &request, -1, NULL, &job->reply);
}

static void
step_worked(struct pool_job *job)
{
    struct pool_memo *memo = &job->obj->memo;

    pool_memo_worked(memo);
    obj_fine(&job->obj->o);
    memo->look_at_ms = agent_now_ms(job->agent) + POOL_LOOK_MS;
    switch (job->step) {
    case POOL_DO_CHECK:
        memo->checked = true;
        memo->active = job->reply.active;
        memo->scanned &= memo->active;        /* Gone: it is to be started again. */
        pool_stat_set(job->obj, &job->reply); /* Thin pools fill by themselves. */
        break;
    case POOL_DO_START:
    case POOL_DO_REFRESH:
        memo->started |= job->step == POOL_DO_START;
        pool_refreshed(job->obj, job->begun_tick, &job->reply);
        break;
    case POOL_DO_STOP: memo->active = memo->started = memo->scanned = false; break;
    default: break;
    }
}

static void
step_failed(struct pool_job *job)
{
    struct err *e =
        err_wrap(TAKE(job->e), "%s of the pool failed", pool_step_name(job->step));

    if (err_is(e, ERR_BUSY) || err_is(e, ERR_CANCELED)) { /* Not the storage's fault. */
        obj_trouble(&job->obj->o, e);
        return;
    }
    CLEANUP(free_drop) char *text = error_text(e);
    obj_fine(&job->obj->o);
    log_failure(LOG_WARN, LOG_MODULE, err_wrap(e, "%s", job->pool.name));
    pool_memo_failed(&job->obj->memo, &job->want, text, agent_now_ms(job->agent));
}

static bool
is_scan(enum pool_step step)
{
    return step == POOL_DO_REFRESH || step == POOL_DO_START;
}

/* A pool that runs was looked at, and still does: no volume could have anything to do. */
static bool
is_no_news(const struct pool_job *job)
{
    const struct pool_memo *memo = &job->obj->memo;

    return job->step == POOL_DO_CHECK && !job->e && job->reply.active && memo->active &&
           memo->scanned && !memo->failed;
}

static void
job_done(void *aux, bool dropped)
{
    struct pool_job *job = aux;
    struct pool_obj *obj = job->obj;
    struct agent *a = job->agent;
    bool no_news = is_no_news(job);

    obj->o.busy = false;
    if (!dropped && job->e) {
        step_failed(job);
    } else if (!dropped) {
        step_worked(job);
    }
    if (is_scan(job->step)) {
        pool_scan_end(obj);
    }
    if (!obj->o.row) {
        pool_obj_orphan(obj);
    }
    if (!dropped && no_news) {
        agent_touch_jobs(a);
    } else if (!dropped) {
        agent_touch(a);
    }
    err_free(job->e);
    priv_reply_done(&job->reply);
    pool_others_done(&job->others);
    pool_done(&job->pool);
    free(job);
}

/* To look at devices never hangs, however long their pool has been stopped. */
static bool
is_of_devices(const struct pool *pool)
{
    return pool->type == POOL_FS || pool->type == POOL_LOGICAL || pool->type == POOL_DISK;
}

void
pool_others_take(struct agent *a, const struct row_pool *row, bool stopped,
                 struct pool_others *ret)
{
    ROW_FOR_EACH (struct row_pool, other, row_pool_table(a->replica)) {
        bool runs = other->active && pool_obj_of(a, other)->memo.scanned;
        if (other == row || !agent_is_own(a, &other->hostnode) ||
            ret->pools.n >= MAX_OTHERS || !(runs || stopped)) {
            continue;
        }
        struct pool *pool = NEW(struct pool);
        struct err *e = pool_model(other, pool);
        if (e) {
            err_free(e);
            free(pool);
        } else if (!runs && !is_of_devices(pool)) {
            pool_done(pool);
            free(pool);
        } else {
            pool->source.auth.password = NULL; /* Nobody needs it for that. */
            *VEC_ADD(&ret->pools) = pool;
        }
    }
}

void
pool_others_done(struct pool_others *others)
{
    VEC_FOR_EACH (struct pool **pool, &others->pools) {
        pool_done(*pool);
        free(*pool);
    }
    VEC_DONE(&others->pools);
}

static void
begin(struct agent *a, struct pool_obj *obj, enum pool_step step,
      const struct pool_want *want, const struct row_pool *row)
{
    struct pool_job *job = NEW(struct pool_job);
    char key[UUID_CHARS + 8];

    struct err *e = pool_model(row, &job->pool);
    if (e) {
        e = err_wrap(e, "the pool cannot be used as its rows say");
        CLEANUP(free_drop) char *text = error_text(e);
        err_free(e);
        pool_memo_failed(&obj->memo, want, text, agent_now_ms(a));
        free(job);
        agent_touch(a);
        return;
    }
    job->agent = a;
    job->obj = obj;
    job->step = step;
    job->want = *want;
    job->begun_tick = a->tick;
    job->since = feed_since(obj);
    priv_reply_init(&job->reply);
    if (step == POOL_DO_START) {
        pool_others_take(a, row, false, &job->others);
    }
    obj->o.busy = true;
    if (is_scan(step)) {
        pool_scan_begin(obj);
    }
    if (step != POOL_DO_CHECK) { /* That happens all the time. */
        log_info("%s: %s", row->name, pool_step_name(step));
    }
    snprintf(key, sizeof key, "pool/%s", UUID_TEXT(&row->base.uuid));
    work_submit(a->pools, key, job_run, job_done, job);
}

/* What will hurt guests soon, though all works now: a thin pool that fills, a disk that is missing. */
static void
pool_alarm(struct agent *a, const struct row_pool *row, const struct pool_obj *obj,
           const char *state)
{
    struct alarm_object object = { "pool", row->base.uuid, row->hostnode };
    CLEANUP(free_drop) char *text = NULL;

    if (obj->degraded && str_eq(state, "degraded")) {
        text = str_dupf("pool %s is degraded\n%s\nbyre pool info %s tells more", row->name,
                        obj->degraded, row->name);
    }
    alarm_set(a, &object, ALARM_DEGRADED, text);
}

static void
figures(struct facts *f, const struct row_pool *row, const struct pool_obj *obj)
{
    if (obj->has_stat) {
        facts_opt_int(f, "capacity", &row->capacity, obj->stat.capacity);
        facts_opt_int(f, "allocation", &row->allocation, obj->stat.allocation);
        facts_opt_int(f, "available", &row->available, obj->stat.available);
        if (obj->stat.metadata_permille || row->metadata_percent.has) {
            facts_opt_int(f, "metadata_percent", &row->metadata_percent,
                          (int64_t) div_up((uint64_t) obj->stat.metadata_permille, 10));
        }
    }
    if (obj->refreshed_at) {
        facts_opt_int(f, "refreshed_at", &row->refreshed_at, obj->refreshed_at);
        facts_strings(f, "warnings", &row->warnings, &obj->warnings);
    }
}

static void
pool_facts(struct agent *a, const struct row_pool *row, const struct pool_obj *obj,
           const struct pool_decision *d)
{
    struct facts f = facts_begin(a, &row->base);
    const char *state =
        str_eq(d->state, "running") && obj->degraded ? "degraded" : d->state;

    if (state) {
        facts_string(&f, "state", row->state, state);
        if (!str_eq(row->state, state) || !row->state_since.has) {
            facts_opt_int(&f, "state_since", &row->state_since, clock_wall_ms());
        }
    }
    figures(&f, row, obj);
    facts_string(&f, "error", row->error, d->error);
    if (d->settled) {
        facts_int(&f, "observed_generation", row->observed_generation, row->generation);
    }
    facts_end(&f);
    if (state) {
        pool_alarm(a, row, obj, state);
    }
}

/* As long as libvirt has not told, what the row says counts. */
static bool
is_on(struct agent *a, const struct row_vm *vm)
{
    struct uuid domain = model_vm_uuid(vm);
    return a->listed ? vms_is_on(host_seen(a, &domain))
                     : vm->status && !str_eq(vm->status, "stopped");
}

/* Who must end before the pool may: three lines, or NULL.  Guests would lose their disks. */
static char *
users_of(struct agent *a, const struct row_pool *row)
{
    CLEANUP(buf_done) struct buf names = BUF_INIT;
    size_t n = 0;

    ROW_FOR_EACH (struct row_device, device, row_device_table(a->replica)) {
        const struct row_volume *volume = row_device_get_volume(device);
        const struct row_vm *vm = volume && uuid_eq(&volume->pool, &row->base.uuid)
                                      ? row_device_get_vm(device)
                                      : NULL;
        if (vm && is_on(a, vm) && n++ < MAX_USERS) {
            buf_printf(&names, "%smachine %s (%s)", names.n ? ", " : "", vm->name,
                       volume->name);
        }
    }
    ROW_FOR_EACH (struct row_job, job, row_job_table(a->replica)) {
        const struct row_volume *volume = row_volume_find(a->replica, &job->target);
        if (volume && uuid_eq(&volume->pool, &row->base.uuid) &&
            str_eq(job->state, "running") && n++ < MAX_USERS) {
            buf_printf(&names, "%sjob %s of %s", names.n ? ", " : "", job->kind,
                       volume->name);
        }
    }
    if (n > MAX_USERS) {
        buf_printf(&names, " and %zu more", n - MAX_USERS);
    }
    return n ? str_dupf(
                   "pool %s is in use\nby %s\nstop them first, or start the pool again: "
                   "byre pool start %s",
                   row->name, buf_cstr(&names), row->name)
             : NULL;
}

static void
pool_pass(struct agent *a, const struct row_pool *row)
{
    struct pool_obj *obj = pool_obj_of(a, row);
    CLEANUP(free_drop) char *users = row->active ? NULL : users_of(a, row);
    struct pool_want want = { .active = row->active,
                              .generation = row->generation,
                              .users = users };

    if (obj->o.busy || (feed_under_way(obj) && !obj->memo.scanned)) {
        struct facts f = facts_begin(a, &row->base);
        figures(&f, row, obj); /* What it will be waits; what was seen does not. */
        facts_end(&f);
        a->unsettled = true;
        return;
    }
    struct pool_decision d = pool_decide(&want, &obj->memo, agent_now_ms(a));
    if (d.step != POOL_DO_NOTHING && obj_must_wait(&obj->o)) {
        d = (struct pool_decision){ .error = obj->o.trouble };
    } else if (d.step != POOL_DO_NOTHING) {
        begin(a, obj, d.step, &want, row);
        a->unsettled = true;
        return;
    }
    agent_wake(a, d.wake_ms);
    a->unsettled |= !d.settled;
    pool_facts(a, row, obj, &d);
}

void
pools_pass(struct agent *a)
{
    ROW_FOR_EACH (struct row_pool, row, row_pool_table(a->replica)) {
        if (agent_is_own(a, &row->hostnode)) {
            pool_pass(a, row);
        }
    }
    ROW_FOR_EACH (struct row_alarm, alarm, row_alarm_table(a->replica)) {
        if (str_eq(alarm->kind, ALARM_DEGRADED) && agent_is_own(a, &alarm->hostnode) &&
            !row_pool_find(a->replica, &alarm->object)) {
            txn_delete(report_txn(a), "alarm", &alarm->base.uuid);
        }
    }
}
