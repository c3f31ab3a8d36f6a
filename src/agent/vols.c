/* agent/vols.c: volumes: made, grown and removed through byre-stored; what a scan of a pool found.
 *
 * Creation survives a kill at any moment.  The row says "creating" before byre-stored is asked; the
 * file appears whole or not at all.  Whoever finds a row that says "creating" asks again, and takes a
 * file that is there already for its own if it is what the row wants. */
#define LOG_MODULE "volume"
#include <stdio.h>

#include "agent/jobs_i.h"
#include "agent/ticket_i.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/code.h"

#define LONG_BYTES (64 * MIB) /* To be allocated: then somebody may want to see it. */

struct vol_job {
    struct agent *agent;
    struct ticket
        *ticket; /* Of a step that takes long, or that a job asked for; else NULL. */
    struct vol_obj *obj;
    enum vol_step step;
    struct vol_want want;
    struct uuid pool_row;
    bool begun; /* An earlier attempt may have made the file. */
    struct pool pool;
    struct vol vol;
    char *url, *sha256; /* It begins with what a server sends; NULL: not. */
    bool has_source;    /* It begins as a copy of: */
    struct pool source_pool;
    struct vol source;
    int vol_flags;
    bool unknown; /* Nobody knows whether it happened. */
    struct err *e;
    struct priv_reply reply;
};

struct vol_obj *
vol_obj_of(struct agent *a, const struct row_volume *row)
{
    struct replica_row *base = (struct replica_row *) &row->base;

    if (!base->user) {
        struct vol_obj *obj = NEW(struct vol_obj);
        obj_init(&obj->o, a, base);
        base->user = obj;
    }
    return base->user;
}

static void
info_done(struct vol_info *info)
{
    free(info->type);
    free(info->key);
    free(info->path);
    free(info->format);
    free(info->error);
    memset(info, 0, sizeof *info);
}

static void
vol_obj_free(struct vol_obj *obj)
{
    vol_memo_done(&obj->memo);
    info_done(&obj->info);
    obj_done(&obj->o);
    free(obj);
}

void
vol_obj_orphan(struct vol_obj *obj)
{
    obj->o.row = NULL;
    obj->o.agent->vol_deletions += !obj->memo.gone;
    if (!obj->o.busy) {
        vol_obj_free(obj);
    }
}

void
vol_learn(struct vol_obj *obj, const struct vol *vol)
{
    info_done(&obj->info);
    obj->info = (struct vol_info){ .known = true,
                                   .type = str_dup(vol_type_name(vol->type)),
                                   .key = str_dup(vol->key),
                                   .path = str_dup(vol->target.path),
                                   .format = str_dup(vol->target.format),
                                   .error = str_dup(vol->error),
                                   .capacity = vol->capacity,
                                   .allocation = vol->allocation,
                                   .physical = vol->physical };
    obj->memo.scanned = obj->memo.present = true;
    obj->tick = ++obj->o.agent->tick;
}

/* The file exists.  Is it the one that an earlier attempt made, whose answer was lost? */
static struct err *
adopt(struct vol_job *job, struct err *exists)
{
    struct priv_request stat = { .verb = PRIV_VOL_STAT,
                                 .pool = &job->pool,
                                 .vol = &job->vol };

    if (job->has_source && job->pool.type == POOL_DISK) {
        /* A partition cannot be filled under another name first: nobody knows how much of the
         * copy is there. */
        return err_hint(exists,
                        "the copy was interrupted and may be half there: delete the "
                        "partition, then give the command again");
    }
    struct err *e = stored_call(job->agent->stored, &stat, -1, NULL, &job->reply);
    const struct vol *found = job->reply.vols.vols.n == 1 ? job->reply.vols.vols.v : NULL;
    bool same = !e && found && found->capacity >= job->vol.capacity &&
                (found->type == VOL_BLOCK || /* What a device holds says nothing of it. */
                 str_eq(found->target.format, job->vol.target.format));
    if (e || same) {
        err_free(exists);
        return e;
    }
    return exists;
}

static void
job_run(void *aux)
{
    struct vol_job *job = aux;
    struct priv_request request = { .pool = &job->pool,
                                    .vol = &job->vol,
                                    .source_pool = &job->source_pool,
                                    .source = &job->source,
                                    .vol_flags = job->vol_flags };
    struct priv_watch watch = { .progress = NULL };

    switch (job->step) {
    case VOL_DO_CREATE:
        request.verb = job->url          ? PRIV_VOL_FETCH
                       : job->has_source ? PRIV_VOL_CLONE
                                         : PRIV_VOL_CREATE;
        request.url = job->url;
        request.sha256 = job->sha256;
        break;
    case VOL_DO_DELETE: request.verb = PRIV_VOL_DELETE; break;
    default:
        request.verb = PRIV_VOL_RESIZE;
        request.capacity = job->want.wanted_capacity;
        break;
    }
    if (job->ticket) {
        watch = (struct priv_watch){ .progress = ticket_progress,
                                     .aux = job->ticket,
                                     .cancel = ticket_flag(job->ticket) };
    }
    job->e = stored_call(job->agent->stored, &request, -1, &watch, &job->reply);
    job->unknown = job->e && trouble_may_pass(job->e);
    if (job->step == VOL_DO_CREATE && job->begun && err_is(job->e, ERR_EXISTS)) {
        job->e = adopt(job, TAKE(job->e));
    } else if (job->step == VOL_DO_DELETE && err_code(job->e) == VE_NO_VOL) {
        err_free(TAKE(job->e)); /* It is gone: that was wanted. */
    }
}

static void
step_worked(struct vol_job *job)
{
    struct vol_obj *obj = job->obj;

    obj->memo.failed = false;
    obj_fine(&obj->o);
    if (job->step == VOL_DO_DELETE) {
        obj->memo.gone = true;
    } else {
        if (job->reply.vols.vols.n == 1) {
            vol_learn(obj, &job->reply.vols.vols.v[0]);
        }
        obj->memo.made = true;
    }
    obj->tick = ++job->agent->tick;

    struct row_pool *pool = row_pool_find(job->agent->replica, &job->pool_row);
    if (pool) {
        pool_stat_set(pool_obj_of(job->agent, pool), &job->reply);
    }
}

static void
step_failed(struct vol_job *job)
{
    static const char *const texts[N_VOL_STEPS] = {
        [VOL_DO_CREATE] = "the volume could not be made",
        [VOL_DO_RESIZE] = "the volume could not be resized",
        [VOL_DO_DELETE] = "the volume could not be deleted",
    };
    struct err *e = err_wrap(TAKE(job->e), "%s", texts[job->step]);
    bool is_wish = err_is(e, ERR_CANCELED) && job->ticket && *ticket_flag(job->ticket);

    job->obj->begun |= job->unknown;
    if (job->ticket && (is_wish || !trouble_may_pass(e))) {
        ticket_end(TAKE(job->ticket), e, NULL);
    }
    if (trouble_may_pass(e) && !is_wish) {
        obj_trouble(&job->obj->o, e);
        return;
    }
    CLEANUP(free_drop) char *text = error_text(e);
    log_failure(LOG_WARN, LOG_MODULE, err_wrap(e, "%s/%s", job->pool.name, job->vol.name));
    vol_memo_failed(&job->obj->memo, &job->want, text);
}

static void
job_free(struct vol_job *job)
{
    if (job->ticket) { /* It is tried again; or jobs.c ends it once the volume's row says so. */
        ticket_release(job->ticket);
    }
    if (job->has_source) {
        vol_done(&job->source);
        pool_done(&job->source_pool);
    }
    free(job->url);
    free(job->sha256);
    err_free(job->e);
    priv_reply_done(&job->reply);
    vol_done(&job->vol);
    pool_done(&job->pool);
    free(job);
}

static void
job_done(void *aux, bool dropped)
{
    struct vol_job *job = aux;
    struct vol_obj *obj = job->obj;
    struct agent *a = job->agent;

    obj->o.busy = false;
    if (!dropped) {
        pool_touched(a, &job->pool_row, job->vol.name);
        if (job->e) {
            step_failed(job);
        } else {
            step_worked(job);
        }
        agent_touch(a);
    }
    if (!obj->o.row) {
        vol_obj_free(obj);
    }
    job_free(job);
}

/* The volume that it begins as a copy of. */
static struct err *
model_source(struct vol_job *job, const struct row_volume *row)
{
    struct agent *a = job->agent;
    struct row_volume *from = row_volume_find(a->replica, &row->source);
    struct row_pool *pool = from ? row_volume_get_pool(from) : NULL;

    if (!pool || from->deleted) {
        return err_hint(err_new(ERR_NOT_FOUND, "the volume to copy does not exist"),
                        "name another one, or make an empty volume");
    } else if (!agent_is_own(a, &pool->hostnode)) {
        return err_hint(
            err_new(ERR_UNSUPPORTED, "volume %s is on another host", from->name),
            "copy it through a pool that both hosts have");
    } else if (!str_eq(from->state, "ready") || !pool_ready(pool, pool_obj_of(a, pool))) {
        return err_hint(err_new(ERR_CONSTRAINT, "volume %s is not ready", from->name),
                        "byre vol info tells why");
    }
    TRY(vol_refuse_used(a, from, false, job->ticket ? ticket_job(job->ticket) : NULL));
    TRY(pool_model(pool, &job->source_pool));
    struct err *e =
        model_vol(from, row_volume_get_backing(from), job->source_pool.type, &job->source);
    if (e) {
        pool_done(&job->source_pool);
        return e;
    }
    job->source.capacity = from->capacity.has ? from->capacity.v : job->source.capacity;
    job->source.allocation = from->allocation.has ? from->allocation.v : 0;
    job->source.target.path =
        from->filepath ? arena_str(&job->source.arena, from->filepath) : NULL;
    job->has_source = true;
    return NULL;
}

/* What is wanted, as room store's values. */
static struct err *
model(struct vol_job *job, const struct row_volume *row, const struct row_pool *pool)
{
    TRY(pool_model(pool, &job->pool));
    struct err *e = model_vol(row, row_volume_get_backing(row), job->pool.type, &job->vol);
    if (e) {
        pool_done(&job->pool);
        pool_init(&job->pool);
        vol_init(&job->vol);
        return e;
    }
    if (job->step != VOL_DO_CREATE) {
        return NULL;
    } else if (row->url) {
        job->url = str_dup(row->url);
        job->sha256 = str_dup(row->sha256);
        if (!row->format) { /* Whatever it is; the scan tells. */
            job->vol.target.format = NULL;
        }
        return NULL;
    }
    return uuid_is_zero(&row->source) ? NULL : model_source(job, row);
}

/* The ticket of what takes long, or of what somebody asked for by a job. */
static struct ticket *
ticket_of(struct agent *a, struct vol_job *job, const struct row_volume *row)
{
    const struct row_job *asked =
        job->step == VOL_DO_CREATE ? job_of_volume(a, &row->base.uuid) : NULL;
    bool is_copy = !uuid_is_zero(&row->source);
    bool is_long = is_copy || row->url ||
                   (row->wanted_allocation.has && row->wanted_allocation.v >= LONG_BYTES);

    if (asked) {
        job->vol_flags =
            (typed_set_has(&asked->options, "reflink") ? VOL_REFLINK : 0) |
            (typed_set_has(&asked->options, "metadata") ? VOL_PREALLOC_METADATA : 0);
        return ticket_take(a, asked);
    } else if (job->step != VOL_DO_CREATE || !is_long) {
        return NULL;
    }
    return ticket_new(a,
                      is_copy    ? "vol.clone"
                      : row->url ? "vol.fetch"
                                 : "vol.create",
                      "volume", &row->base.uuid, &row->source, NULL);
}

static void
begin(struct agent *a, struct vol_obj *obj, enum vol_step step, const struct vol_want *want,
      const struct row_volume *row, const struct row_pool *pool)
{
    struct vol_job *job = NEW(struct vol_job);
    char key[UUID_CHARS + 8];

    job->agent = a;
    job->obj = obj;
    job->step = step;
    job->want = *want;
    job->pool_row = pool->base.uuid;
    job->begun = obj->begun;
    priv_reply_init(&job->reply);
    job->ticket = ticket_of(a, job, row);
    struct err *e = model(job, row, pool);
    if (e) {
        e = err_wrap(e, "the volume cannot be made as its row says");
        CLEANUP(free_drop) char *text = error_text(e);
        vol_memo_failed(&obj->memo, want, text);
        if (job->ticket) {
            ticket_end(TAKE(job->ticket), e, NULL);
        }
        err_free(e);
        job_free(job);
        agent_touch(a);
        return;
    }
    obj->o.busy = true;
    pool_touched(a, &pool->base.uuid, row->name);
    log_info("%s/%s: %s", pool->name, row->name, vol_step_name(step));
    snprintf(key, sizeof key, "vol/%s", UUID_TEXT(&row->base.uuid));
    work_submit(job->ticket ? a->slow : a->work, key, job_run, job_done, job);
}

static void
on_row_deleted(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct vol_obj *obj = aux;
    struct agent *a = obj->o.agent;

    obj->o.busy = false;
    if (e) {
        obj_trouble(&obj->o, err_wrap(e, "the volume's row could not be removed"));
    }
    if (!obj->o.row) {
        vol_obj_free(obj);
    }
    agent_touch(a);
}

static void
begin_row_delete(struct agent *a, struct vol_obj *obj, const struct row_volume *row)
{
    struct txn *txn = txn_new(replica_database(a->replica));

    txn_verify(txn, &row->base, "deleted");
    txn_delete(txn, "volume", &row->base.uuid);
    txn_comment(txn, "byre-agentd: volume %s is gone", row->name);
    obj->o.busy = true;
    txn_commit(txn, replica_session(a->replica), on_row_deleted, obj);
}

static enum vol_state
state_of(const char *text)
{
    for (enum vol_state state = 0; state < N_VOL_STATES; state++) {
        if (str_eq(text, vol_state_name(state))) {
            return state;
        }
    }
    return VOL_IS_UNKNOWN;
}

/* The texts that a want borrows; freed after the decision. */
struct texts {
    char *pool_error, *in_use, *waits;
};

static void
texts_done(struct texts *t)
{
    free(t->pool_error);
    free(t->in_use);
    free(t->waits);
}

/* 'size' is rounded up, and follows what was observed: only one that does not is a wish. */
static bool
has_wish(const struct row_volume *row)
{
    if (!row->wanted_capacity.has && !row->size.has) {
        return false; /* It is as large as what it is made of. */
    }
    return row->wanted_capacity.has || !row->capacity.has ||
           row->size.v != (int64_t) div_up((uint64_t) row->capacity.v, MIB);
}

/* What a job has just set counts, until the row says it too or somebody wants something new. */
static int64_t
wanted_capacity(const struct row_volume *row, const struct vol_obj *obj)
{
    if (obj->sized && row->generation == obj->sized_generation) {
        return obj->sized_to;
    } else if (str_eq(row->format, "dir")) {
        return -1; /* It has none. */
    }
    return has_wish(row) ? model_vol_capacity(row) : -1;
}

/* The pool of what it is to be a copy of is being looked at: after a start of the agent, say. */
static bool
waits_for_source(struct agent *a, const struct row_volume *row)
{
    const struct row_volume *from = row_volume_find(a->replica, &row->source);
    const struct row_pool *pool = from ? row_volume_get_pool(from) : NULL;

    if (!pool || !pool->active || !agent_is_own(a, &pool->hostnode)) {
        return false;
    }
    const struct pool_obj *obj = pool_obj_of(a, pool);
    return !pool_ready(pool, obj) && !obj->memo.failed;
}

static struct vol_want
want_of(struct agent *a, const struct row_volume *row, const struct row_pool *pool,
        const struct vol_obj *obj, struct texts *t)
{
    const struct pool_obj *pool_obj = pool_obj_of(a, pool);
    const struct row_volume *backing = row_volume_get_backing(row);
    int64_t capacity = row->capacity.has ? row->capacity.v : -1;

    if (!pool->active) {
        t->pool_error = str_dupf(
            "the volume's pool is not active\npool %s is to be off\nstart it: byre pool start %s",
            pool->name, pool->name);
    } else if (pool_obj->memo.failed) {
        t->pool_error =
            str_dupf("the volume's pool does not work\npool %s: %s\nbyre pool info %s",
                     pool->name, pool->error ? "see its error" : "it failed", pool->name);
    }
    if (row->deleted) {
        t->in_use = vol_used_text(a, row, true, NULL);
    }
    if (backing && !str_eq(backing->state, "ready")) {
        t->waits = str_dupf(
            "the volume waits for its backing volume\n%s is %s, not ready\nsee byre vol list",
            backing->name, backing->state ? backing->state : "unknown");
    } else if (waits_for_source(a, row)) {
        t->waits = str_dup("the volume waits for what it is a copy of\nits pool is being "
                           "looked at\nsee byre pool list");
    }
    return (struct vol_want){
        .state = state_of(row->state),
        .deleted = row->deleted,
        .generation = row->generation,
        .observed_generation = row->observed_generation,
        .wanted_capacity = wanted_capacity(row, obj),
        .capacity = obj->info.known ? obj->info.capacity : capacity,
        .pool_ready = pool_ready(pool, pool_obj),
        .pool_error = t->pool_error,
        .is_device = str_eq(obj->info.known ? obj->info.type : row->type, "block"),
        .had_file = row->filepath != NULL,
        .in_use = t->in_use,
        .waits = t->waits,
        .row_error = row->error,
    };
}

static void
vol_facts(struct agent *a, const struct row_volume *row, const struct row_pool *pool,
          const struct vol_obj *obj, const struct vol_decision *d)
{
    const struct vol_info *info = &obj->info;
    struct facts f = facts_begin(a, &row->base);

    facts_uuid(&f, "hostnode", &row->hostnode, &pool->hostnode);
    if (obj->sized && row->generation == obj->sized_generation) {
        facts_opt_int(&f, "wanted_capacity", &row->wanted_capacity, obj->sized_to);
    }
    facts_string(&f, "state", row->state, vol_state_name(d->state));
    if (info->known && d->state == VOL_IS_READY) {
        facts_string(&f, "type", row->type, info->type);
        facts_string(&f, "key", row->key, info->key);
        facts_string(&f, "filepath", row->filepath, info->path);
        facts_opt_int(&f, "capacity", &row->capacity, info->capacity);
        if (!has_wish(row)) {
            facts_opt_int(&f, "size", &row->size,
                          (int64_t) div_up((uint64_t) max64(info->capacity, 0), MIB));
        }
        facts_opt_int(&f, "allocation", &row->allocation, info->allocation);
        facts_opt_int(&f, "physical", &row->physical, info->physical);
        if (!row->format && info->format) {
            facts_string(&f, "format", row->format, info->format);
        }
    }
    /* Of a file that a scan found before us, the row alone knows what is wrong with it. */
    bool silent = !d->error && !info->known && d->state == VOL_IS_READY;
    if (!silent) {
        facts_string(&f, "error", row->error, d->error ? d->error : info->error);
    }
    if (d->settled) {
        facts_int(&f, "observed_generation", row->observed_generation, row->generation);
    }
    facts_end(&f);
}

static void
vol_pass(struct agent *a, const struct row_volume *row, const struct row_pool *pool)
{
    struct vol_obj *obj = vol_obj_of(a, row);
    struct texts texts = { NULL, NULL, NULL };

    if (!obj->met) { /* An agent before this one may have begun. */
        obj->met = true;
        obj->begun = str_eq(row->state, "creating");
    }
    if (obj->o.busy || !report_has_room(a)) {
        a->unsettled = true;
        return;
    }
    struct vol_want want = want_of(a, row, pool, obj, &texts);
    struct vol_decision d = vol_decide(&want, &obj->memo);
    bool said = d.step != VOL_DO_CREATE || want.state == VOL_IS_CREATING;

    if (d.step == VOL_DO_NOTHING || !said) {
        d.settled &= said; /* "creating" comes first; the next pass then creates. */
        vol_facts(a, row, pool, obj, &d);
    } else if (obj_must_wait(&obj->o)) {
        d = (struct vol_decision){ .state = d.state, .error = obj->o.trouble };
        vol_facts(a, row, pool, obj, &d);
    } else if (d.step == VOL_DO_ROW_DELETE) {
        begin_row_delete(a, obj, row);
    } else {
        begin(a, obj, d.step, &want, row, pool);
    }
    a->unsettled |= !d.settled;
    texts_done(&texts);
}

void
vols_pass(struct agent *a)
{
    const struct row_pool *pool = NULL;
    int64_t wake_ms = a->wake_ms;
    bool unsettled = a->unsettled;
    size_t n_reported = a->n_reported;

    if (a->vols_rest) {
        return;
    }
    a->vols_rest = true;
    a->wake_ms = 0;
    a->unsettled = false;
    ROW_FOR_EACH (struct row_volume, row, row_volume_table(a->replica)) {
        if (!pool || !uuid_eq(&row->pool, &pool->base.uuid)) { /* Mostly the same one. */
            pool = row_volume_get_pool(row);
        }
        if (pool && agent_is_own(a, &pool->hostnode)) {
            vol_pass(a, row, pool);
        }
    }
    a->vols_rest &= a->n_reported == n_reported && !a->unsettled && a->wake_ms == 0;
    a->unsettled |= unsettled;
    agent_wake(a, wake_ms);
}
