/* dbserver/transact.c: the life of a "transact" request: run, commit, answer; or wait and
 * run again when a table that it read has changed or its time is up. */
#include "base/clock.h"
#include "base/str.h"
#include "dbserver/relay_i.h"

#define REPLY_BYTES 200 /* Enough for most: a UUID or a count an operation. */

struct pending *
transact_find(const struct peer *peer, const struct json *id)
{
    if (peer->n_pending == 0) {
        return NULL;
    }
    HMAP_FOR_EACH_HASH (struct pending, p, by_id, json_hash(id, 0), &peer->pending_ids) {
        if (json_eq(&p->msg->id, id)) {
            return p;
        }
    }
    return NULL;
}

void
pending_free(struct pending *p)
{
    forward_forget(p);
    p->peer->n_pending--;
    hmap_remove(&p->peer->pending_ids, &p->by_id);
    p->peer->server->parked_bytes -= p->msg->n_bytes;
    list_remove(&p->in_peer);
    list_remove(&p->in_served);
    loop_timer_free(p->timer);
    db_wait_done(&p->wait);
    jsonrpc_msg_free(p->msg);
    free(p);
}

/* Runs it once.  DB_PARKED: it has to wait for '*ret_wait'.  DB_CHECKED: it may go to the source.
 * Else the reply is queued. */
static enum db_outcome
run_once(struct peer *peer, struct served *served, const struct jsonrpc_msg *msg,
         int64_t came_ms, struct db_wait *ret_wait)
{
    struct db_ctx ctx = {
        .read_only = served == peer->server->self || served->backup || peer->read_only,
        .locks = &peer->locks,
        .elapsed_ms = loop_now_ms(peer->server->loop) - came_ms,
        .wall_ms = clock_wall_ms(),
        .author = peer_author(peer),
        .role = peer->role,
        .id = peer_id(peer),
        .check_only = served->relay && forward_writes(msg),
    };
    struct buf out = BUF_INIT;
    struct txn *txn;

    buf_reserve(&out, REPLY_BYTES);
    jsonrpc_begin_reply(&out, &msg->id);
    switch (db_transact(served->db, &msg->params, &ctx, &out, &txn, ret_wait)) {
    case DB_PARKED: buf_done(&out); return DB_PARKED;
    case DB_CHECKED: buf_done(&out); return DB_CHECKED;
    case DB_PREPARED: served_commit(served, txn, &out); break;
    case DB_DONE: break;
    }
    jsonrpc_end_reply(&out);
    peer_queue(peer, OUT_REPLY, served, &out, NULL, "");
    return DB_DONE;
}

/* It waits for '*wait', which is taken. */
static void
park(struct pending *p, struct db_wait *wait)
{
    db_wait_done(&p->wait);
    p->wait = *wait;
    if (p->state != PENDING_PARKED) {
        forward_leave(p);
        p->state = PENDING_PARKED;
        list_remove(&p->in_served);
        list_push_back(&p->served->parked, &p->in_served);
    }
    if (wait->timeout_ms >= 0) {
        int64_t left = p->came_ms + wait->timeout_ms - loop_now_ms(p->peer->server->loop);
        loop_timer_set(p->timer, max64(left, 1));
    }
}

/* True if it is answered, and 'p' gone. */
static bool
resume(struct pending *p)
{
    struct db_wait wait;

    switch (run_once(p->peer, p->served, p->msg, p->came_ms, &wait)) {
    case DB_PARKED: park(p, &wait); return false;
    case DB_CHECKED:
        loop_timer_clear(p->timer);
        forward_submit(p);
        return false;
    case DB_PREPARED:
    case DB_DONE: break;
    }
    pending_free(p);
    return true;
}

void
transact_resume(struct pending *p)
{
    resume(p);
}

static void
on_timeout(void *pending)
{
    struct pending *p = pending;
    struct served *served = p->served;

    if (p->state != PENDING_PARKED) {
        forward_timeout(p);
    } else if (resume(p)) { /* Else another "wait" of it has a longer time-out. */
        transact_rerun(served);
    }
    server_flush(served->server);
}

struct pending *
pending_new(struct peer *peer, struct served *served, struct jsonrpc_msg *msg,
            int64_t came_ms)
{
    struct pending *p = NEW(struct pending);

    *p = (struct pending){ .peer = peer, .served = served, .msg = msg, .came_ms = came_ms };
    p->no = ++peer->n_requests;
    list_init(&p->in_lane);
    peer->n_pending++;
    hmap_insert(&peer->pending_ids, &p->by_id, json_hash(&msg->id, 0));
    peer->server->parked_bytes += msg->n_bytes;
    list_push_back(&peer->pending, &p->in_peer);
    list_push_back(&served->parked, &p->in_served);
    p->timer = loop_timer_new(peer->server->loop, on_timeout, p);
    return p;
}

void
transact_run(struct peer *peer, struct served *served, struct jsonrpc_msg *msg)
{
    int64_t now_ms = loop_now_ms(peer->server->loop);
    struct db_wait wait = { 0 };

    if (served->relay && forward_hold(peer, served, msg)) {
        return;
    }
    enum db_outcome outcome = run_once(peer, served, msg, now_ms, &wait);
    if (outcome == DB_DONE) {
        jsonrpc_msg_free(msg);
        transact_rerun(served);
    } else if (peer->n_pending >= PEER_PENDING_MAX ||
               peer->server->parked_bytes + msg->n_bytes > DBSERVER_PARKED_BYTES) {
        db_wait_done(&wait);
        jsonrpc_msg_free(msg);
        peer_close(peer, "too many waiting transactions");
    } else if (outcome == DB_PARKED) {
        park(pending_new(peer, served, msg, now_ms), &wait);
    } else {
        forward_submit(pending_new(peer, served, msg, now_ms));
    }
}

static bool
is_due(const struct pending *p)
{
    return !p->peer->closed && db_wait_due(p->served->db, &p->wait);
}

/* Gives each that is due one turn, in their order.  False: none was. */
static bool
rerun_round(struct served *served)
{
    size_t n = 0;
    bool any = false;

    LIST_FOR_EACH (struct pending, p, in_served, &served->parked) {
        any = any || is_due(p);
        n++;
    }
    for (; any && n > 0 && !list_empty(&served->parked); n--) {
        struct pending *p = CONTAINER_OF(served->parked.next, struct pending, in_served);
        list_remove(&p->in_served); /* To the end first: it may go, and others with it. */
        list_push_back(&served->parked, &p->in_served);
        if (is_due(p)) {
            resume(p);
        }
    }
    return any;
}

void
transact_rerun(struct served *served)
{
    /* What commits in a round may make another round due; what only waits again waits for what comes
     * after now.  So it ends, and without such commits after one round. */
    while (rerun_round(served)) {
    }
}

void
transact_cancel(struct peer *peer, const struct json *id)
{
    struct pending *p = transact_find(peer, id);

    if (p && p->state == PENDING_SENT) {
        forward_cancel(p);
    } else if (p) {
        if (peer->aware) { /* Others get no answer at all, as from ovsdb-server. */
            struct buf out = BUF_INIT;
            buf_str(&out, "{\"id\":");
            json_print(id, JSON_15G, &out);
            buf_str(&out, ",\"error\":\"canceled\"}");
            peer_queue(peer, OUT_REPLY, NULL, &out, NULL, "");
        }
        pending_free(p);
    }
}

void
transact_cancel_all(struct served *served)
{
    while (!list_empty(&served->parked)) {
        struct pending *p = CONTAINER_OF(served->parked.next, struct pending, in_served);
        transact_cancel(p->peer, &p->msg->id);
    }
}
