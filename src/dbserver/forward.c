/* dbserver/forward.c: transactions of a relay's clients, on their way to the source.
 *
 * What only reads runs here.  What writes first runs here too, as far as its operations go: a wait
 * that does not hold parks it here, and an operation that fails is answered here.  Then the request
 * goes to the source as it came, and the source's answer goes back under the client's own id.  The
 * source sends the update before the reply, so it arrives in that order here and leaves so.
 *
 *     held ──> QUEUED ──runs──> parked (transact.c) ──> SENT ──> answered
 *
 * Order.   A client's requests happen in their order: what it sends while something of it is under
 *          way follows at once if it only writes, and else is queued until the answer is there.  While
 *          there is no source, what writes is queued, and what reads is answered from what there is.
 * Loss.    When the source is lost, nobody knows what became of what was sent: "canceled".
 * Locks.   Are this server's own: "assert" holds here and fails at the source.
 * Rights.  A client with a role, or one that may only read, is always checked here: at the source all
 *          of us are one client. */
#include "dbserver/relay_i.h"

#define LOG_MODULE "relay"
#include "base/log.h"
#include "base/str.h"
#include "data/rfc7047.h"

/* So long after the source's answer a convert may take to be seen.  Some that are answered well are
 * never seen: a cluster of 3.1 forgets a schema with ephemeral columns. */
#define CONVERT_MS 2000
/* A member of a cluster of 3.1 that becomes its leader may never answer what it had sent to the one
 * before; then we do. */
#define STUCK_MS 15000

static bool
has_op(const struct jsonrpc_msg *msg, const char *const *names)
{
    for (uint32_t i = 1; i < msg->params.n; i++) {
        const struct json *op = &msg->params.elems[i];
        const char *name = op->type == JSON_OBJECT ? json_get_string(op, "op") : NULL;
        for (const char *const *n = names; name && *n; n++) {
            if (str_eq(name, *n)) {
                return true;
            }
        }
    }
    return false;
}

bool
forward_writes(const struct jsonrpc_msg *msg)
{
    static const char *const writes[] = { "insert", "update", "mutate",
                                          "delete", "commit", NULL };
    return has_op(msg, writes);
}

static bool
waits(const struct jsonrpc_msg *msg)
{
    static const char *const names[] = { "wait", "assert", NULL };
    return has_op(msg, names);
}

static bool
is_convert(const struct pending *p)
{
    return str_eq(p->msg->method, "convert");
}

/* May it follow what is under way without being run here? */
static bool
may_follow(const struct pending *p)
{
    bool trusted = !p->peer->read_only && (!p->peer->role || !*p->peer->role);
    return is_convert(p) || (trusted && !waits(p->msg));
}

static void
count(const struct peer *peer, const struct served *s, size_t *ret_queued, size_t *ret_sent)
{
    *ret_queued = *ret_sent = 0;
    LIST_FOR_EACH (struct pending, p, in_peer, &peer->pending) {
        *ret_queued += p->served == s && p->state == PENDING_QUEUED;
        *ret_sent += p->served == s && p->state == PENDING_SENT;
    }
}

/* Answers. */

static void
answer(struct pending *p, const struct json *result, const struct json *error)
{
    struct buf out = BUF_INIT;

    if (error) {
        buf_str(&out, "{\"id\":");
        json_print(&p->msg->id, JSON_15G, &out);
        buf_str(&out, ",\"error\":");
        json_print(error, JSON_15G, &out);
        buf_char(&out, '}');
    } else {
        jsonrpc_begin_reply(&out, &p->msg->id);
        json_print(result, JSON_15G, &out);
        jsonrpc_end_reply(&out);
    }
    peer_queue(p->peer, OUT_REPLY, p->served, &out, NULL, "");
}

static void flush_peer(struct peer *, struct served *);

static void
on_answer(void *pending, struct jsonrpc_msg *reply, struct err *e)
{
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = reply;
    struct pending *p = pending;
    struct peer *peer = p->peer;
    struct served *s = p->served;
    struct json canceled = json_string_ref("canceled");

    p->sent_id = 0;
    if (e) {
        err_free(e);
        answer(p, NULL, &canceled);
    } else if (msg->kind == JSONRPC_REPLY && is_convert(p)) {
        p->state = PENDING_CONVERTED;  /* Answered when our own schema is the new one. */
        if (!s->relay->source.known) { /* It will not tell us. */
            s->relay->n_cancels++;
            relay_resync(s->relay);
        } else if (relay_is_ready(s->relay)) {
            forward_answer_converts(s, false);
        }
        flush_peer(peer, s);
        server_flush(peer->server);
        return;
    } else if (msg->kind == JSONRPC_REPLY) {
        answer(p, &msg->result, NULL);
    } else if (!p->canceled || peer->aware || !json_eq(&msg->error, &canceled)) {
        answer(p, NULL, &msg->error);
    } /* Else it gets no answer, as from ovsdb-server. */
    pending_free(p);
    flush_peer(peer, s);
    server_flush(peer->server);
}

void
forward_timeout(struct pending *p)
{
    struct peer *peer = p->peer;
    struct served *s = p->served;
    struct json canceled = json_string_ref("canceled");

    if (p->state == PENDING_CONVERTED) {
        forward_answer_converts(s, true);
    } else if (p->state == PENDING_SENT) {
        log_warn("%s: a transaction was not answered in %d s: canceled", s->name,
                 STUCK_MS / 1000);
        answer(p, NULL, &canceled);
        pending_free(p); /* And the source is told. */
    }
    flush_peer(peer, s);
}

void
forward_answer_converts(struct served *s, bool all)
{
    struct json done = json_object();

    LIST_FOR_EACH_SAFE (struct pending, p, in_served, &s->forwarded) {
        if (p->state == PENDING_CONVERTED && (all || p->n_cancels != s->relay->n_cancels)) {
            answer(p, &done, NULL);
            pending_free(p);
        }
    }
}

/* On its way. */

static void
send_it(struct pending *p)
{
    p->state = PENDING_SENT;
    p->n_cancels = p->served->relay->n_cancels;
    p->sent_id = session_io_request(p->served->relay->session, p->msg->method,
                                    &p->msg->params, on_answer, p);
    if (p->served->relay->source.cid[0] && !waits(p->msg)) {
        loop_timer_set(p->timer, STUCK_MS);
    }
}

void
forward_submit(struct pending *p)
{
    list_remove(&p->in_served);
    list_push_back(&p->served->forwarded, &p->in_served);
    if (relay_is_ready(p->served->relay)) {
        send_it(p);
    } else {
        p->state = PENDING_QUEUED;
    }
}

/* Its turn has come. */
static void
run_queued(struct pending *p, size_t n_sent)
{
    if (is_convert(p) || (n_sent > 0 && forward_writes(p->msg))) {
        forward_submit(p);
    } else {
        transact_resume(p);
    }
}

static bool
may_run(const struct pending *p, size_t n_sent)
{
    bool writes = is_convert(p) || forward_writes(p->msg);
    if (!writes) {
        return n_sent == 0;
    }
    return relay_is_ready(p->served->relay) && (n_sent == 0 || may_follow(p));
}

/* The first that may go; NULL if none may. */
static struct pending *
find_runnable(struct peer *peer, struct served *s, size_t n_sent)
{
    LIST_FOR_EACH (struct pending, p, in_peer, &peer->pending) {
        if (p->served != s || p->state != PENDING_QUEUED) {
            continue;
        } else if (may_run(p, n_sent)) {
            return p;
        } else if (relay_is_ready(s->relay) || n_sent > 0) {
            return NULL; /* Nothing overtakes it. */
        }
    }
    return NULL;
}

static void
flush_peer(struct peer *peer, struct served *s)
{
    size_t n_queued, n_sent;
    struct pending *p;

    do {
        count(peer, s, &n_queued, &n_sent);
        p = peer->closed || n_queued == 0 ? NULL : find_runnable(peer, s, n_sent);
        if (p) {
            run_queued(p, n_sent);
        }
    } while (p);
}

void
forward_flush(struct served *s)
{
    LIST_FOR_EACH (struct peer, peer, in_server, &s->server->peers) {
        flush_peer(peer, s);
    }
}

void
forward_cancel_all(struct served *s)
{
    struct json canceled = json_string_ref("canceled");

    while (!list_empty(&s->forwarded)) {
        struct pending *p = CONTAINER_OF(s->forwarded.next, struct pending, in_served);
        answer(p, NULL, &canceled);
        pending_free(p);
    }
}

static struct pending *
queue_up(struct peer *peer, struct served *s, struct jsonrpc_msg *msg)
{
    if (peer->n_pending >= PEER_PENDING_MAX) {
        jsonrpc_msg_free(msg);
        peer_close(peer, "too many waiting transactions");
        return NULL;
    }
    struct pending *p = pending_new(peer, s, msg, loop_now_ms(peer->server->loop));
    list_remove(&p->in_served);
    list_push_back(&s->forwarded, &p->in_served);
    p->state = PENDING_QUEUED;
    return p;
}

bool
forward_hold(struct peer *peer, struct served *s, struct jsonrpc_msg *msg)
{
    size_t n_queued, n_sent;

    count(peer, s, &n_queued, &n_sent);
    if (n_queued == 0 && n_sent == 0) {
        return false;
    } else if (queue_up(peer, s, msg)) {
        flush_peer(peer, s);
    }
    return true;
}

void
forward_convert(struct peer *peer, struct served *s, struct jsonrpc_msg *msg)
{
    if (queue_up(peer, s, msg)) {
        flush_peer(peer, s);
    }
}

void
forward_cancel(struct pending *p)
{
    struct json params = json_array();
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;

    json_add(&arena, &params, json_int(p->sent_id));
    session_io_notify(p->served->relay->session, "cancel", &params);
    p->canceled = true;
}

void
forward_forget(struct pending *p)
{
    if (p->state == PENDING_SENT && p->sent_id) {
        forward_cancel(p); /* If it waits there, it need not. */
        session_io_forget(p->served->relay->session, p->sent_id);
    }
}
