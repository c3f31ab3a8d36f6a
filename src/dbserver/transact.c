/* dbserver/transact.c: the life of a "transact" request: run, commit, answer; or wait and
 * run again when a table that it read has changed or its time is up. */
#include "base/clock.h"
#include "base/str.h"
#include "dbserver/peer_i.h"

void
pending_free(struct pending *p)
{
    p->peer->n_pending--;
    list_remove(&p->in_peer);
    list_remove(&p->in_served);
    loop_timer_free(p->timer);
    db_wait_done(&p->wait);
    jsonrpc_msg_free(p->msg);
    free(p);
}

/* Runs it once.  False: it has to wait for '*ret_wait'.  Else the reply is queued. */
static bool
run_once(struct peer *peer, struct served *served, const struct jsonrpc_msg *msg,
         int64_t came_ms, struct db_wait *ret_wait)
{
    struct db_ctx ctx = {
        .read_only = served == peer->server->self || peer->read_only,
        .locks = &peer->locks,
        .elapsed_ms = loop_now_ms(peer->server->loop) - came_ms,
        .wall_ms = clock_wall_ms(),
        .author = peer_author(peer),
        .role = peer->role,
        .id = peer_id(peer),
    };
    struct buf reply = BUF_INIT;
    struct buf out = BUF_INIT;
    struct txn *txn;

    switch (db_transact(served->db, &msg->params, &ctx, &reply, &txn, ret_wait)) {
    case DB_PARKED: buf_done(&reply); return false;
    case DB_PREPARED: served_commit(served, txn, &reply); break;
    case DB_CHECKED:
    case DB_DONE: break;
    }
    jsonrpc_begin_reply(&out, &msg->id);
    buf_add(&out, reply.data, reply.n);
    jsonrpc_end_reply(&out);
    buf_done(&reply);
    peer_queue(peer, OUT_REPLY, served, &out, NULL, "");
    return true;
}

static void
on_timeout(void *pending)
{
    struct pending *p = pending;
    struct served *served = p->served;
    struct dbserver *server = served->server;
    struct db_wait wait;

    if (run_once(p->peer, served, p->msg, p->came_ms, &wait)) {
        pending_free(p);
        transact_rerun(served);
    } else { /* Another "wait" of it has a longer time-out. */
        db_wait_done(&p->wait);
        p->wait = wait;
        if (wait.timeout_ms >= 0) {
            int64_t left = p->came_ms + wait.timeout_ms - loop_now_ms(server->loop);
            loop_timer_set(p->timer, max64(left, 1));
        }
    }
    server_flush(server);
}

static void
park(struct peer *peer, struct served *served, struct jsonrpc_msg *msg, int64_t came_ms,
     struct db_wait wait)
{
    struct pending *p = NEW(struct pending);

    *p = (struct pending){
        .peer = peer, .served = served, .msg = msg, .wait = wait, .came_ms = came_ms
    };
    peer->n_pending++;
    list_push_back(&peer->pending, &p->in_peer);
    list_push_back(&served->parked, &p->in_served);
    p->timer = loop_timer_new(peer->server->loop, on_timeout, p);
    if (wait.timeout_ms >= 0) {
        int64_t left = came_ms + wait.timeout_ms - loop_now_ms(peer->server->loop);
        loop_timer_set(p->timer, max64(left, 1));
    }
}

void
transact_run(struct peer *peer, struct served *served, struct jsonrpc_msg *msg)
{
    int64_t now_ms = loop_now_ms(peer->server->loop);
    struct db_wait wait;

    if (run_once(peer, served, msg, now_ms, &wait)) {
        jsonrpc_msg_free(msg);
        transact_rerun(served);
    } else if (peer->n_pending >= PEER_PENDING_MAX) {
        db_wait_done(&wait);
        jsonrpc_msg_free(msg);
        peer_close(peer, "too many waiting transactions");
    } else {
        park(peer, served, msg, now_ms, wait);
    }
}

/* One that is due, or NULL. */
static struct pending *
find_due(struct served *served)
{
    LIST_FOR_EACH (struct pending, p, in_served, &served->parked) {
        if (!p->peer->closed && db_wait_due(served->db, &p->wait)) {
            return p;
        }
    }
    return NULL;
}

void
transact_rerun(struct served *served)
{
    struct pending *p;

    /* Each pass finishes a transaction or makes it wait for what comes after now; so it
     * ends. */
    while ((p = find_due(served)) != NULL) {
        struct db_wait wait;
        if (run_once(p->peer, served, p->msg, p->came_ms, &wait)) {
            pending_free(p);
        } else {
            db_wait_done(&p->wait);
            p->wait = wait;
        }
    }
}

void
transact_cancel(struct peer *peer, const struct json *id)
{
    LIST_FOR_EACH_SAFE (struct pending, p, in_peer, &peer->pending) {
        if (json_eq(&p->msg->id, id)) {
            if (peer->aware) { /* Others get no answer at all, as from ovsdb-server. */
                struct buf out = BUF_INIT;
                buf_str(&out, "{\"id\":");
                json_print(id, JSON_15G, &out);
                buf_str(&out, ",\"error\":\"canceled\"}");
                peer_queue(peer, OUT_REPLY, NULL, &out, NULL, "");
            }
            pending_free(p);
            return;
        }
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
