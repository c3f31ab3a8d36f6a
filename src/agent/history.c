/* agent/history.c: what a machine has used follows it to another host.
 *
 * The agent whose store has rows of a machine that is elsewhere now packs them (sql/parcel.h) and sends parcel
 * after parcel to that host's agent, through table `history`, because the database is the one thing that agents
 * share.  The other agent stores a parcel and deletes the row: that is the answer.
 *
 *     source: store -> parcels           (one transaction of SQL)
 *     source: row with the parcel's id   ->  target: stores it, notes the id  (one transaction of SQL)
 *     source: drops the parcel           <-  target: deletes the row
 *
 * Whatever dies between, the source sends again what it has not dropped, and the target stores no id twice.
 * Nothing is asked of the move itself: what the store still has of a machine that is elsewhere is found after each
 * store, so the last slot, which ends after the move, follows too, and so does all that a dead host has left
 * once it is back.  A parcel goes to the host it was packed for even if the machine has moved on: from there it is
 * packed anew.  A store that hosts share (MariaDB) has nothing to send. */
#define LOG_MODULE "stats"
#include "agent/stats_i.h"

#include "base/clock.h"
#include "base/log.h"

#define ANSWER_MS 60000 /* Then the next host's parcels have their turn. */
#define REFUSED_MAX 1000

enum step { FIND, PACK, DROP, TAKE_BACK, TAKE_IN };
static const char *const step_names[] = { [FIND] = "looking for history",
                                          [PACK] = "packing history",
                                          [DROP] = "history that arrived",
                                          [TAKE_BACK] = "taking history back",
                                          [TAKE_IN] = "taking history in" };

/* In the thread that stores. */
struct history_job {
    struct stats *stats;
    enum step step;
    struct uuid id, vm, host;
    char *text;
    int64_t now_s;
    struct sql_keep keep;
    struct uuids skipped, machines;
    struct sql_parcel parcel;
    struct err *e;
};

static void
on_machine(void *aux, const struct uuid *uuid)
{
    *VEC_ADD((struct uuids *) aux) = *uuid;
}

static struct err *
step_run(struct history_job *job, struct sql *sql)
{
    switch (job->step) {
    case FIND:
        TRY(sql_parcel_next(sql, job->skipped.v, job->skipped.n, &job->parcel));
        return job->parcel.text ? NULL : sql_machines(sql, on_machine, &job->machines);
    case PACK: return sql_pack(sql, &job->vm, &job->host, job->now_s, &job->keep);
    case TAKE_BACK:
        TRY(sql_take(sql, &job->id, job->text, job->now_s));
        return sql_parcel_drop(sql, &job->id);
    case TAKE_IN: return sql_take(sql, &job->id, job->text, job->now_s);
    default: return sql_parcel_drop(sql, &job->id);
    }
}

static void
job_run(void *aux)
{
    struct history_job *job = aux;
    struct stats *s = job->stats;

    job->e = s->sql ? NULL : sql_open(s->url, &s->sql);
    job->e = job->e ? job->e : step_run(job, s->sql);
    if (job->e) {
        sql_close(TAKE(s->sql)); /* The connection may be what is broken. */
    }
}

static void
forget_parcel(struct history *h)
{
    sql_parcel_done(&h->parcel);
    h->posted = false;
    h->give_up_ms = 0;
}

/* It is answered by its row's end. */
static void
taken_in(struct stats *s, const struct uuid *id)
{
    struct agent *a = s->agent;
    struct txn *txn = txn_new(replica_database(a->replica));

    txn_delete(txn, "history", id);
    txn_comment(txn, "byre-agentd: history of a machine that came");
    txn_commit(txn, replica_session(a->replica), NULL, NULL);
}

static const struct row_vm *
elsewhere(const struct agent *a, const struct uuid *domain)
{
    const struct row_vm *row = vm_row_of(a, domain);
    bool is = row && !row->migrate && row_vm_get_hostnode(row) &&
              !agent_is_own(a, &row->hostnode);
    return is ? row : NULL;
}

static void begin(struct stats *, struct history_job *);

static struct history_job *
job_new(struct stats *s, enum step step)
{
    struct history_job *job = NEW(struct history_job);

    job->stats = s;
    job->step = step;
    job->now_s = clock_wall_ms() / 1000;
    job->keep = stats_keep(s->agent);
    return job;
}

/* What was found: a parcel to send, or a machine to pack. */
static void
found(struct stats *s, struct history_job *job)
{
    struct history *h = &s->history;

    if (job->parcel.text) {
        h->parcel = job->parcel;
        memset(&job->parcel, 0, sizeof job->parcel);
        return;
    }
    h->look = false;
    for (size_t i = 0; i < job->machines.n; i++) {
        const struct row_vm *row = elsewhere(s->agent, &job->machines.v[i]);
        if (row) {
            struct history_job *pack = job_new(s, PACK);
            pack->vm = job->machines.v[i];
            pack->host = row->hostnode;
            log_info("%s: its history follows it", row->name);
            begin(s, pack);
            return;
        }
    }
}

static void
job_failed(struct stats *s, struct history_job *job)
{
    struct history *h = &s->history;

    if (job->step == TAKE_IN && err_is(job->e, ERR_SYNTAX)) {
        if (h->refused.n < REFUSED_MAX) {
            *VEC_ADD(&h->refused) = job->id;
        }
    } else {
        h->retry_at_ms = agent_now_ms(s->agent) + RETRY_MAX_MS;
    }
    log_failure(LOG_WARN, LOG_MODULE, err_wrap(TAKE(job->e), "%s", step_names[job->step]));
}

static void
job_done(void *aux, bool dropped)
{
    struct history_job *job = aux;
    struct stats *s = job->stats;

    s->storing = false;
    if (dropped) {
        err_free(TAKE(job->e));
    } else if (job->e) {
        job_failed(s, job);
    } else if (job->step == FIND) {
        found(s, job);
    } else if (job->step == PACK) {
        s->history.look = true;
    } else if (job->step == TAKE_IN) {
        taken_in(s, &job->id);
    } else {
        forget_parcel(&s->history);
    }
    if (!dropped) {
        agent_touch_jobs(s->agent);
    }
    sql_parcel_done(&job->parcel);
    VEC_DONE(&job->skipped);
    VEC_DONE(&job->machines);
    free(job->text);
    free(job);
}

static void
begin(struct stats *s, struct history_job *job)
{
    s->storing = true; /* The connection is this thread's now. */
    work_submit(s->work, "store", job_run, job_done, job);
}

/* Sending. */

/* Its host does not take it now: others' parcels first. */
static void
skip(struct history *h)
{
    *VEC_ADD(&h->skipped) = h->parcel.host;
    forget_parcel(h);
}

static void
on_posted(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct agent *a = aux;

    if (a->leaving) { /* The statistics may be gone already. */
        err_free(e);
        return;
    }
    struct history *h = &a->stats->history;
    h->posting = false;
    if (e) {
        log_failure(LOG_INFO, LOG_MODULE, err_wrap(e, "sending history"));
        skip(h);
    } else {
        h->posted = true;
        h->give_up_ms = agent_now_ms(a) + ANSWER_MS;
    }
    agent_touch_jobs(a);
}

/* An insertion of the parcel's own UUID; a row of that UUID that lost its text gets it again. */
static void
post(struct stats *s, const struct row_history *row)
{
    struct agent *a = s->agent;
    struct history *h = &s->history;
    struct txn *txn = txn_new(replica_database(a->replica));
    struct arena *arena = txn_arena(txn);
    struct json op = json_object(), values = json_object();

    if (row) {
        txn_set_string(txn_update(txn, "history", &h->parcel.id), "parcel", h->parcel.text);
    } else {
        json_put(arena, &values, "hostnode",
                 json_pair(arena, json_string_ref("uuid"),
                           json_string(arena, UUID_TEXT(&h->parcel.host))));
        json_put(arena, &values, "parcel", json_string(arena, h->parcel.text));
        json_put(arena, &values, "created_at", json_int(clock_wall_ms()));
        json_put(arena, &op, "op", json_string_ref("insert"));
        json_put(arena, &op, "table", json_string_ref("history"));
        json_put(arena, &op, "uuid", json_string(arena, UUID_TEXT(&h->parcel.id)));
        json_put(arena, &op, "row", values);
        txn_op(txn, op);
    }
    txn_comment(txn, "byre-agentd: history of a machine that moved");
    h->posting = true;
    txn_commit(txn, replica_session(a->replica), on_posted, a);
}

static void
withdraw(struct stats *s)
{
    struct agent *a = s->agent;
    struct txn *txn = txn_new(replica_database(a->replica));

    txn_delete(txn, "history", &s->history.parcel.id);
    txn_commit(txn, replica_session(a->replica), NULL, NULL); /* Or it was just taken. */
    skip(&s->history);
}

static void
send(struct stats *s)
{
    struct agent *a = s->agent;
    struct history *h = &s->history;
    const struct row_hostnode *host = row_hostnode_find(a->replica, &h->parcel.host);
    const struct row_history *row = row_history_find(a->replica, &h->parcel.id);

    if (h->posting) {
        return;
    } else if (!host || (h->posted && !row)) {
        /* There is no such host any more: nobody else can have taken it.  Or it has arrived. */
        struct history_job *job = job_new(s, host ? DROP : TAKE_BACK);
        job->id = h->parcel.id;
        job->text = str_dup(h->parcel.text);
        begin(s, job);
    } else if (!h->posted && str_eq(host->state, "offline")) {
        skip(h);
        agent_touch_jobs(a);
    } else if (!h->posted && row && row->parcel) { /* An earlier agent sent it. */
        h->posted = true;
        h->give_up_ms = agent_now_ms(a) + ANSWER_MS;
        agent_wake(a, h->give_up_ms + 1);
    } else if (!h->posted || !row->parcel) {
        post(s, row);
    } else if (agent_now_ms(a) > h->give_up_ms) {
        withdraw(s);
        agent_touch_jobs(a);
    } else {
        agent_wake(a, h->give_up_ms + 1);
    }
}

/* Taking in. */

static bool
is_refused(const struct history *h, const struct uuid *id)
{
    for (size_t i = 0; i < h->refused.n; i++) {
        if (uuid_eq(&h->refused.v[i], id)) {
            return true;
        }
    }
    return false;
}

static const struct row_history *
arrived(const struct stats *s)
{
    ROW_FOR_EACH (struct row_history, row, row_history_table(s->agent->replica)) {
        if (agent_is_own(s->agent, &row->hostnode) && row->parcel &&
            !is_refused(&s->history, &row->base.uuid)) {
            return row;
        }
    }
    return NULL;
}

void
history_look(struct stats *s)
{
    if (s->url && sql_is_own(s->url)) {
        s->history.look = true;
        s->history.skipped.n = 0;
        agent_touch_jobs(s->agent);
    }
}

void
history_pass(struct stats *s)
{
    if (!s || !s->url || !s->loaded || s->storing) {
        return;
    }
    struct history *h = &s->history;
    const struct row_history *row = arrived(s);

    if (agent_now_ms(s->agent) < h->retry_at_ms) {
        agent_wake(s->agent, h->retry_at_ms);
    } else if (row) {
        struct history_job *job = job_new(s, TAKE_IN);
        job->id = row->base.uuid;
        job->text = str_dup(row->parcel);
        begin(s, job);
    } else if (h->parcel.text) {
        send(s);
    } else if (h->look) {
        struct history_job *job = job_new(s, FIND);
        for (size_t i = 0; i < h->skipped.n; i++) {
            *VEC_ADD(&job->skipped) = h->skipped.v[i];
        }
        begin(s, job);
    }
}

void
history_done(struct stats *s)
{
    forget_parcel(&s->history);
    VEC_DONE(&s->history.skipped);
    VEC_DONE(&s->history.refused);
}
