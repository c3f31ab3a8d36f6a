/* agent/ticket.c: a row of table job that tells of something which this agent is doing.
 *
 * What takes long has a ticket for as long as it runs: how far it is goes into the row, the
 * row's 'cancel' comes back as a flag, and the outcome ends the row.  The row may have been
 * there first (somebody asked by a job) or is made here (a volume's row wanted something that
 * takes long; an upload came).
 * Threads. ticket_progress() and the flag belong to the worker, all else to the loop.
 * Order.   Whoever hears that a job is done may look at once at what it did: so an outcome is
 *          told behind the pass's report, in which its facts are.
 * Loss.    An outcome that could not be told stays in the list, and is told again once the
 *          database is there.  A row that says "running" and has no ticket is of an agent that
 *          died: jobs.c decides what becomes of it. */
#define LOG_MODULE "job"
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/ticket_i.h"

#include "base/clock.h"
#include "base/log.h"

#define PROGRESS_MS 500 /* Not told more often. */
#define MESSAGE_CHARS 128

struct ticket {
    struct list node; /* In struct agent's 'tickets'. */
    struct agent *agent;
    struct uuid job, target, source;
    char *kind;
    volatile int cancel;
    /* The worker's. */
    int64_t told_ms;
    struct eta eta;
    /* The outcome, once there is one. */
    bool ended, telling;
    const char *state;
    char *error, *note;
    int64_t ended_at;
};

struct ticket *
ticket_find(const struct agent *a, const struct uuid *job)
{
    LIST_FOR_EACH (struct ticket, t, node, &a->tickets) {
        if (uuid_eq(&t->job, job)) {
            return t;
        }
    }
    return NULL;
}

static struct json
uuid_json(struct arena *arena, const struct uuid *uuid)
{
    return json_pair(arena, json_string_ref("uuid"), json_string(arena, UUID_TEXT(uuid)));
}

static struct ticket *
ticket_alloc(struct agent *a, const char *kind, const struct uuid *target,
             const struct uuid *source)
{
    struct ticket *t = NEW(struct ticket);
    t->agent = a;
    t->kind = str_dup(kind);
    t->target = target ? *target : (struct uuid){ { 0 } };
    t->source = source ? *source : (struct uuid){ { 0 } };
    list_push_back(&a->tickets, &t->node);
    return t;
}

static void
ticket_free(struct ticket *t)
{
    list_remove(&t->node);
    free(t->kind);
    free(t->error);
    free(t->note);
    free(t);
}

struct ticket *
ticket_new(struct agent *a, const char *kind, const char *table, const struct uuid *target,
           const struct uuid *source, const char *who)
{
    struct ticket *t = ticket_alloc(a, kind, target, source);
    struct txn *txn = txn_new(replica_database(a->replica));
    struct arena *arena = txn_arena(txn);
    struct json op = json_object(), row = json_object();
    int64_t now = clock_wall_ms();

    uuid_random(&t->job);
    json_put(arena, &row, "kind", json_string(arena, kind));
    json_put(arena, &row, "target", uuid_json(arena, target));
    json_put(arena, &row, "target_table", json_string(arena, table));
    if (source && !uuid_is_zero(source)) {
        json_put(arena, &row, "source", uuid_json(arena, source));
    }
    json_put(arena, &row, "hostnode", uuid_json(arena, &a->row));
    json_put(arena, &row, "state", json_string_ref("running"));
    json_put(arena, &row, "created_at", json_int(now));
    json_put(arena, &row, "started_at", json_int(now));
    if (who) {
        json_put(arena, &row, "asked_by", json_string(arena, who));
    }
    json_put(arena, &op, "op", json_string_ref("insert"));
    json_put(arena, &op, "table", json_string_ref("job"));
    json_put(arena, &op, "uuid", json_string(arena, UUID_TEXT(&t->job)));
    json_put(arena, &op, "row", row);
    txn_op(txn, op);
    txn_commit(txn, replica_session(a->replica), NULL, NULL);
    return t;
}

struct ticket *
ticket_take(struct agent *a, const struct row_job *row)
{
    struct ticket *t = ticket_alloc(a, row->kind, &row->target, &row->source);
    struct txn *txn = txn_new(replica_database(a->replica));
    struct txn_row *out = txn_update(txn, "job", &row->base.uuid);

    t->job = row->base.uuid;
    t->cancel = row->cancel;
    txn_set_string(out, "state", "running");
    if (!row->started_at.has) {
        txn_set_int(out, "started_at", clock_wall_ms());
    }
    txn_commit(txn, replica_session(a->replica), NULL, NULL);
    return t;
}

volatile int *
ticket_flag(struct ticket *t)
{
    return &t->cancel;
}

const struct uuid *
ticket_job(const struct ticket *t)
{
    return &t->job;
}

void
ticket_release(struct ticket *t)
{
    ticket_free(t);
}

/* Progress on its way to the loop. */
struct news {
    struct agent *agent;
    struct uuid job;
    double fraction;
    int64_t done, total, ends_at;
    char message[MESSAGE_CHARS];
};

static void
on_news(void *aux)
{
    struct news *n = aux;
    struct agent *a = n->agent;

    if (replica_is_ready(a->replica) && row_job_find(a->replica, &n->job)) {
        struct txn *txn = txn_new(replica_database(a->replica));
        struct txn_row *row = txn_update(txn, "job", &n->job);
        txn_set_real(row, "progress",
                     n->fraction < 0   ? 0
                     : n->fraction > 1 ? 1
                                       : n->fraction);
        txn_set_string(row, "message", n->message[0] ? n->message : NULL);
        if (n->total > 0) {
            txn_set_int(row, "bytes_done", n->done);
            txn_set_int(row, "bytes_total", n->total);
        }
        if (n->ends_at > 0) {
            txn_set_int(row, "ends_at", n->ends_at);
        } else {
            txn_clear(row, "ends_at");
        }
        txn_commit(txn, replica_session(a->replica), NULL, NULL); /* The next is as good. */
    }
    free(n);
}

void
ticket_progress(void *aux, const struct priv_progress *now)
{
    struct ticket *t = aux;
    int64_t now_ms = clock_mono_ms();
    int64_t left_ms = eta_left_ms(&t->eta, now_ms, now->fraction);

    if (now_ms - t->told_ms < PROGRESS_MS) {
        return;
    }
    struct news *n = NEW(struct news);
    t->told_ms = now_ms;
    n->agent = t->agent;
    n->job = t->job;
    n->fraction = now->fraction;
    n->done = now->done;
    n->total = now->total;
    n->ends_at = left_ms < 0 ? 0 : clock_wall_ms() + left_ms;
    snprintf(n->message, sizeof n->message, "%s", now->message);
    loop_post(t->agent->loop, on_news, n);
}

static void
on_told(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct ticket *t = aux;

    t->telling = false;
    if (!e || err_is(e, ERR_NOT_FOUND)) { /* Without a row nobody wants to know. */
        err_free(e);
        ticket_free(t);
    } else {
        log_failure(LOG_INFO, LOG_MODULE, err_wrap(e, "the end of a job"));
        agent_wake(t->agent, agent_now_ms(t->agent) + RETRY_MIN_MS);
    }
}

static void
tell(struct ticket *t)
{
    struct agent *a = t->agent;
    struct txn *txn = txn_new(replica_database(a->replica));
    struct txn_row *row = txn_update(txn, "job", &t->job);

    txn_set_string(row, "state", t->state);
    txn_set_int(row, "ended_at", t->ended_at);
    txn_set_string(row, "error", t->error);
    txn_set_string(row, "result", t->note);
    txn_clear(row, "ends_at");
    txn_clear(row, "message");
    if (!t->error) {
        txn_set_real(row, "progress", 1.0);
    }
    t->telling = true;
    txn_commit(txn, replica_session(a->replica), on_told, t);
}

void
ticket_end(struct ticket *t, const struct err *e, const char *note)
{
    if (t->agent->leaving) { /* Cut short by that; the next agent sees to it. */
        ticket_free(t);
        return;
    }
    t->ended = true;
    t->state = !e ? "done" : err_is(e, ERR_CANCELED) ? "cancelled" : "failed";
    t->error = e ? error_text(e) : NULL;
    t->note = note ? str_dup(note) : NULL;
    t->ended_at = clock_wall_ms();
    log_info("%s %s: %s", t->kind, UUID_TEXT(&t->job), e ? err_text(e) : t->state);
    agent_touch_jobs(t->agent); /* Who worked on volumes says so himself. */
}

void
tickets_tell(struct agent *a)
{
    LIST_FOR_EACH_SAFE (struct ticket, t, node, &a->tickets) {
        if (t->ended && !t->telling) {
            tell(t);
        }
    }
}

bool
ticket_follow(struct agent *a, const struct row_job *row)
{
    struct ticket *t = ticket_find(a, &row->base.uuid);

    if (!t) {
        return false;
    } else if (!t->ended && row->cancel) {
        t->cancel = 1;
    }
    return true;
}

void
ticket_orphan(struct agent *a, const struct uuid *job)
{
    struct ticket *t = ticket_find(a, job);
    if (t && !t->ended) {
        t->cancel = 1;
    } else if (t && !t->telling) {
        ticket_free(t);
    }
}

const char *
ticket_user_of(const struct agent *a, const struct uuid *object, bool writes,
               const struct uuid *but)
{
    LIST_FOR_EACH (struct ticket, t, node, &a->tickets) {
        bool is_target = uuid_eq(&t->target, object);
        bool is_written = is_target && !str_eq(t->kind, "vol.download");
        if (!t->ended && (is_target || uuid_eq(&t->source, object)) &&
            (writes || is_written) && !(but && uuid_eq(&t->job, but))) {
            return t->kind;
        }
    }
    return NULL;
}

void
tickets_cancel(struct agent *a)
{
    LIST_FOR_EACH (struct ticket, t, node, &a->tickets) {
        t->cancel = TICKET_LEAVE;
    }
}

void
tickets_free(struct agent *a)
{
    while (!list_empty(&a->tickets)) {
        ticket_free(CONTAINER_OF(a->tickets.next, struct ticket, node));
    }
}

const char *
ticket_who(uid_t uid, char *room, size_t n_room)
{
    struct passwd entry, *found = NULL;
    char text[1024];
    if (getpwuid_r(uid, &entry, text, sizeof text, &found) == 0 && found) {
        snprintf(room, n_room, "%s", found->pw_name);
    } else {
        snprintf(room, n_room, "uid %u", (unsigned) uid);
    }
    return room;
}
