/* dbserver/output.c: what waits to be sent, and who is written to when.
 *
 * Order.   Whatever goes to a client goes through its queue: an update before the reply of the
 *          transaction that made it, nothing before the disk has what it tells of.
 * Rounds.  Who waits for a reply is written to at once, with all that lies before the reply.  Those
 *          that only watch come in rounds, each of which takes as many turns as it needs while
 *          requests are served in between; and after a round the next one waits until rounds take
 *          no more than an eighth of the time (ROUND_MAX_US at most, nothing below ROUND_MIN_US).  So when it is calm a
 *          watcher hears at once, and under load one write carries what many transactions changed.
 * Bounds.  While a client's socket is full nothing more is written to it, and of its updates at
 *          most LAG_BYTES are kept.  Then its monitors only remember where they stopped: further
 *          commits do nothing for them, and when the client reads again it is told the difference,
 *          as if one transaction had made it.  If the history no longer reaches back it is cut off. */
#define LOG_MODULE "dbserver"
#include "base/clock.h"
#include "base/log.h"
#include "dbserver/linger.h"
#include "dbserver/peer_i.h"

#define LAG_BYTES ((size_t) MIB)
#define OUT_PAUSE_BYTES (8 * DBSERVER_PAUSE_BYTES) /* Waiting for the disk. */
#define TURN_MIN_US 50 /* Of a round, before others have their turn. */
#define TURN_MAX_US 5000
#define ROUND_SHARE 8
#define ROUND_MIN_US 1000 /* The loop's timers wait no less. */
#define ROUND_MAX_US                                                                       \
    10000 /* From one round's begin to the next one's, but for its own work. */

/* A piece of a message; the pieces of one message lie next to each other. */
struct outgoing {
    enum outgoing_kind kind;
    bool more;         /* The next one belongs to the same message. */
    struct served *on; /* NULL: depends on nothing. */
    uint64_t seq;      /* Must be durable first. */
    struct bytes *bytes;
    struct peer_monitor *monitor; /* Of updates that may be made again; else NULL. */
    uint64_t before;              /* db_seq() that such an update begins with. */
};

static struct outgoing *
first(const struct peer *p)
{
    return &p->out.v[p->out.head];
}

static bool
is_empty(const struct peer *p)
{
    return p->out.head == p->out.n;
}

/* The piece is gone from the queue's end or beginning: sent, or not wanted any more. */
static void
forget(struct peer *p, struct outgoing *o)
{
    p->out_bytes -= o->bytes->n;
    p->update_bytes -= o->kind == OUT_UPDATE ? o->bytes->n : 0;
    p->n_urgent -= o->kind != OUT_UPDATE;
}

static void
shrink(struct peer *p)
{
    if (is_empty(p)) {
        p->out.head = p->out.n = 0;
        if (p->out.cap > 64) { /* Most clients are idle most of the time. */
            free(p->out.v);
            p->out.v = NULL;
            p->out.cap = 0;
        }
    }
}

void
output_init(struct peer *p)
{
    list_init(&p->flow);
    p->out.v = NULL;
}

void
output_done(struct peer *p)
{
    while (!is_empty(p)) {
        bytes_unref(first(p)->bytes);
        p->out.head++;
    }
    free(p->out.v);
    list_remove(&p->flow);
}

/* Stops to read from who does not read. */
static void
set_paused(struct peer *p)
{
    size_t backlog = jsonrpc_backlog_bytes(p->conn);
    size_t waiting = jsonrpc_is_full(p->conn) ? backlog + p->out_bytes : backlog;
    bool pause =
        p->paused ? waiting > DBSERVER_PAUSE_BYTES / 4 || p->out_bytes > OUT_PAUSE_BYTES / 4
                  : waiting > DBSERVER_PAUSE_BYTES || p->out_bytes > OUT_PAUSE_BYTES;

    if (pause != p->paused) {
        p->paused = pause;
        jsonrpc_pause(p->conn, pause);
    }
}

void
output_schedule(struct peer *p)
{
    struct dbserver *s = p->server;
    if (p->closed || jsonrpc_is_full(p->conn) || (is_empty(p) && !p->n_lagging)) {
        return;
    }
    if (p->n_urgent && (!p->is_urgent || list_empty(&p->flow))) {
        list_remove(&p->flow);
        list_push_back(&s->ready, &p->flow);
    } else if (list_empty(&p->flow)) {
        list_push_back(&s->watching, &p->flow);
    }
    p->is_urgent = p->n_urgent > 0;
}

/* Takes the reference.  The caller has looked at p->closed. */
static struct outgoing *
add(struct peer *p, enum outgoing_kind kind, struct served *on, struct bytes *bytes)
{
    if (p->out.n == p->out.cap) {
        if (p->out.head > p->out.n / 2) {
            p->out.n -= p->out.head;
            memmove(p->out.v, first(p), p->out.n * sizeof *p->out.v);
            p->out.head = 0;
        } else {
            p->out.cap = p->out.cap ? 2 * p->out.cap : 4;
            p->out.v = xrealloc_array(p->out.v, p->out.cap, sizeof *p->out.v);
        }
    }
    struct outgoing *o = &p->out.v[p->out.n++];
    *o = (struct outgoing){ .kind = kind,
                            .on = on && on->journal ? on : NULL,
                            .seq = on ? served_seq(on) : 0,
                            .bytes = bytes };
    p->out_bytes += bytes->n;
    p->update_bytes += kind == OUT_UPDATE ? bytes->n : 0;
    p->n_urgent += kind != OUT_UPDATE;
    return o;
}

/* The history must be able to tell what comes from this update on: the first one since something
 * was sent or came between that must not be overtaken. */
static void
hold(struct peer_monitor *m, uint64_t before)
{
    if (!m->hold) {
        m->hold = db_hold(m->served->db, before);
        m->held_seq = before;
        m->peer->n_holding += m->hold != NULL;
    }
}

static void
unhold(struct peer_monitor *m)
{
    m->peer->n_holding -= m->hold != NULL;
    db_unhold(m->served->db, TAKE(m->hold));
}

/* What waits now will be sent as it is. */
static void
unhold_all(struct peer *p)
{
    if (p->n_holding) {
        LIST_FOR_EACH (struct peer_monitor, m, in_peer, &p->monitors) {
            if (!m->lagging) {
                unhold(m);
            }
        }
    }
}

void
peer_queue(struct peer *p, enum outgoing_kind kind, struct served *on, struct buf *head,
           struct bytes *body, const char *tail)
{
    struct bytes_vec pieces = { VEC_INIT };

    if (body) {
        *VEC_ADD(&pieces.v) = body;
    } else {
        buf_str(head, tail);
    }
    peer_queue_pieces(p, kind, on, head, &pieces, body ? tail : "");
}

void
peer_queue_pieces(struct peer *p, enum outgoing_kind kind, struct served *on,
                  struct buf *head, struct bytes_vec *body, const char *tail)
{
    peer_catch_up(p);
    if (p->closed) {
        buf_done(head);
        VEC_FOR_EACH (struct bytes **piece, &body->v) {
            bytes_unref(*piece);
        }
    } else {
        unhold_all(p);
        add(p, kind, on, bytes_take(head))->more = *tail != '\0';
        VEC_FOR_EACH (struct bytes **piece, &body->v) {
            add(p, kind, on, *piece)->more = true;
        }
        if (*tail) {
            add(p, kind, on, bytes_new(tail, strlen(tail)));
        }
    }
    VEC_DONE(&body->v);
    output_schedule(p);
}

/* What waits for it is forgotten, back to the last message that is no update: that must come after
 * what lies before it. */
static void
start_to_lag(struct peer *p)
{
    log_info("%s: does not read: what changes is gathered for it",
             stream_name(jsonrpc_stream(p->conn)));
    while (!is_empty(p)) {
        struct outgoing *o = &p->out.v[p->out.n - 1];
        struct peer_monitor *m = o->monitor;
        if (!m || !m->hold || o->before < m->held_seq) {
            break;
        }
        p->n_lagging += !m->lagging;
        m->lagging = true;
        m->told_seq = o->before;
        forget(p, o);
        bytes_unref(o->bytes);
        p->out.n--;
    }
    shrink(p);
}

void
peer_queue_update(struct peer_monitor *m, struct bytes *head, struct bytes *body,
                  uint64_t before)
{
    struct peer *p = m->peer;
    struct peer_monitor *of = before == OUTPUT_UNIQUE ? NULL : m;

    if (!of) {
        unhold_all(p);
    } else if (jsonrpc_is_full(p->conn)) {
        hold(m, before);
    }
    if (head) {
        struct outgoing *o = add(p, OUT_UPDATE, m->served, head);
        o->monitor = of;
        o->before = before;
        o->more = true;
    }
    struct outgoing *o = add(p, OUT_UPDATE, m->served, body);
    o->monitor = of;
    o->before = before;
    if (p->update_bytes > LAG_BYTES && jsonrpc_is_full(p->conn)) {
        start_to_lag(p);
        if (p->update_bytes > DBSERVER_BACKLOG_BYTES) { /* What cannot be made again. */
            peer_close(p, "does not read");
        }
    }
    output_schedule(p);
}

void
peer_catch_up(struct peer *p)
{
    if (p->n_lagging == 0) {
        return;
    }
    LIST_FOR_EACH (struct peer_monitor, m, in_peer, &p->monitors) {
        if (m->lagging && !p->closed) {
            m->lagging = false;
            p->n_lagging--;
            struct bytes *missed = monitor_missed(m->monitor, m->told_seq);
            if (!missed) {
                peer_close(p, "did not read for too long: what it missed is forgotten");
            } else if (missed->n > 2) {
                monitors_send(m, missed, m->told_seq);
            }
            bytes_unref(missed);
        }
    }
}

void
output_forget_monitor(struct peer *p, struct peer_monitor *m)
{
    unhold(m);
    p->n_lagging -= m->lagging;
    for (size_t i = p->out.head; i < p->out.n; i++) {
        struct outgoing *o = &p->out.v[i];
        o->monitor = o->monitor == m ? NULL : o->monitor;
    }
}

/* All that waits.  True: the disk holds back the rest. */
static bool
send_all(struct peer *p)
{
    bool held = false;

    jsonrpc_cork(p->conn, true);
    while (!is_empty(p)) {
        struct outgoing *o = first(p);
        held = o->on && !served_is_durable(o->on, o->seq);
        if (held) {
            break;
        }
        forget(p, o);
        p->out.head++;
        jsonrpc_send(p->conn, o->bytes);
    }
    shrink(p);
    unhold_all(p);
    jsonrpc_cork(p->conn, false);
    return held;
}

/* False: the rest has to wait for the disk. */
static bool
send_queued(struct peer *p)
{
    bool held = false;

    while (!p->closed && !held && !jsonrpc_is_full(p->conn)) {
        if (is_empty(p)) {
            peer_catch_up(p);
        }
        if (is_empty(p)) {
            break;
        }
        held = send_all(p);
    }
    if (!p->closed) {
        set_paused(p);
    }
    return !held;
}

void
output_progress(struct peer *p)
{
    set_paused(p);
    output_schedule(p);
    server_flush(p->server);
}

void
peer_forget(struct peer *p, const struct served *served)
{
    for (size_t i = p->out.head; i < p->out.n; i++) {
        p->out.v[i].on = p->out.v[i].on == served ? NULL : p->out.v[i].on;
    }
    if (!p->closed) {
        list_remove(&p->flow);
        output_schedule(p);
    }
}

/* Sends to those in a list: to all, or until the time is over. */
static void
flush_list(struct dbserver *s, struct list *list, int64_t until_us)
{
    struct list *node;

    while ((node = list_pop_front(list)) != NULL) {
        struct peer *p = CONTAINER_OF(node, struct peer, flow);
        if (!send_queued(p)) {
            list_push_back(&s->blocked, &p->flow);
        }
        if (clock_mono_ns() / 1000 >= until_us) {
            break;
        }
    }
}

/* Begins a round for the watchers that wait, or sees to it that one begins when its time comes. */
static void
start_round(struct dbserver *s)
{
    int64_t now_us = clock_mono_ns() / 1000;

    if (now_us < s->next_round_us) {
        if (!loop_timer_is_set(s->round_later)) {
            loop_timer_set(s->round_later, (s->next_round_us - now_us + 999) / 1000);
        }
        return;
    }
    while (!list_empty(&s->watching)) {
        list_push_back(&s->round, list_pop_front(&s->watching));
    }
    s->round_us = s->turn_us = now_us;
    s->round_work_us = 0;
    loop_idle_set(s->fan_out, true);
}

void
server_flush(struct dbserver *s)
{
    if (s->flushing) {
        return;
    }
    s->flushing = true;
    served_write_all(s);
    flush_list(s, &s->ready, INT64_MAX);
    if (s->closing) {
        flush_list(s, &s->round, INT64_MAX);
        flush_list(s, &s->watching, INT64_MAX);
    } else if (!list_empty(&s->watching) && list_empty(&s->round)) {
        start_round(s);
    }
    s->flushing = false;
}

void
output_round_later(void *server)
{
    server_flush(server);
}

void
output_fan_out(void *server)
{
    struct dbserver *s = server;
    int64_t now_us = clock_mono_ns() / 1000;

    served_write_all(s);
    flush_list(s, &s->round,
               now_us + clamp64(now_us - s->turn_us, TURN_MIN_US, TURN_MAX_US));
    s->turn_us = clock_mono_ns() / 1000;
    s->round_work_us += s->turn_us - now_us;
    if (list_empty(&s->round)) {
        loop_idle_set(s->fan_out, false);
        int64_t pause_us = min64(ROUND_SHARE * s->round_work_us, ROUND_MAX_US);
        s->next_round_us = s->round_us + (pause_us < ROUND_MIN_US ? 0 : pause_us);
        server_flush(s);
    }
}

void
server_unblock(struct dbserver *s)
{
    struct list *node, blocked;

    list_init(&blocked);
    while ((node = list_pop_front(&s->blocked)) != NULL) {
        list_push_back(&blocked, node);
    }
    while ((node = list_pop_front(&blocked)) != NULL) {
        output_schedule(CONTAINER_OF(node, struct peer, flow));
    }
    server_flush(s);
    linger_answered(s->linger);
}
