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

static bool
writes(const struct pending *p)
{
    return is_convert(p) || forward_writes(p->msg);
}

/* Lanes: what one client has under way to one source.  There while something is. */

struct lane {
    struct list in_peer; /* In the peer's 'lanes'. */
    const struct served *served;
    struct list reads, writes; /* Of struct pending, by 'in_lane': queued, as they came. */
    size_t n_sent;
};

static struct lane *
lane_find(const struct peer *peer, const struct served *s)
{
    LIST_FOR_EACH (struct lane, l, in_peer, &peer->lanes) {
        if (l->served == s) {
            return l;
        }
    }
    return NULL;
}

void
forward_leave(struct pending *p)
{
    struct lane *l = TAKE(p->lane);

    if (l) {
        l->n_sent -= p->state == PENDING_SENT;
        list_remove(&p->in_lane);
        if (l->n_sent == 0 && list_empty(&l->reads) && list_empty(&l->writes)) {
            list_remove(&l->in_peer);
            free(l);
        }
    }
}

/* Queued, or sent. */
static void
enter(struct pending *p, enum pending_state state)
{
    struct lane *l = lane_find(p->peer, p->served);

    if (!l) {
        l = NEW(struct lane);
        l->served = p->served;
        list_init(&l->reads);
        list_init(&l->writes);
        list_push_back(&p->peer->lanes, &l->in_peer);
    }
    ASSERT(!p->lane);
    p->lane = l;
    p->state = state;
    if (state == PENDING_SENT) {
        l->n_sent++;
        return;
    }
    struct list *queue = writes(p) ? &l->writes : &l->reads, *at = queue;
    while (at->prev != queue &&
           CONTAINER_OF(at->prev, struct pending, in_lane)->no > p->no) {
        at = at->prev; /* It was parked, and others have come since. */
    }
    list_insert_before(at, &p->in_lane);
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
        forward_leave(p);
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
    enter(p, PENDING_SENT);
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
    forward_leave(p);
    list_remove(&p->in_served);
    list_push_back(&p->served->forwarded, &p->in_served);
    if (relay_is_ready(p->served->relay)) {
        send_it(p);
    } else {
        enter(p, PENDING_QUEUED);
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

static struct pending *
first_of(const struct list *queue)
{
    return list_empty(queue) ? NULL : CONTAINER_OF(queue->next, struct pending, in_lane);
}

/* The first that may go; NULL if none may.  Nothing overtakes another one, but what reads overtakes
 * what writes while there is no source. */
static struct pending *
find_runnable(const struct lane *l, const struct served *s)
{
    struct pending *r = first_of(&l->reads), *w = first_of(&l->writes);
    bool ready = relay_is_ready(s->relay);

    if (r && (!w || r->no < w->no || !ready)) {
        return l->n_sent == 0 ? r : NULL;
    }
    return w && ready && (l->n_sent == 0 || may_follow(w)) ? w : NULL;
}

static void
flush_peer(struct peer *peer, struct served *s)
{
    struct lane *l;
    struct pending *p;

    while (!peer->closed && (l = lane_find(peer, s)) && (p = find_runnable(l, s))) {
        run_queued(p, l->n_sent);
    }
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
    enter(p, PENDING_QUEUED);
    return p;
}

bool
forward_hold(struct peer *peer, struct served *s, struct jsonrpc_msg *msg)
{
    if (!lane_find(peer, s)) {
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
    bool sent = p->state == PENDING_SENT && p->sent_id;

    forward_leave(p);
    if (sent) {
        forward_cancel(p); /* If it waits there, it need not. */
        session_io_forget(p->served->relay->session, p->sent_id);
    }
}
