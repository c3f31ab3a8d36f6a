/* wire/session_io.c: a session's socket, clock and open requests.
 *
 * Callbacks only feed events to the pure machine (wire/session.c) and do what it says.  A session
 * may be freed within its callbacks, hence the holds. */
#include "wire/session_io.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "loop/loop.h"
#include "wire/session.h"

struct request {
    struct hmap_node node; /* In struct session_io's 'requests', by id. */
    int64_t id;
    bool sent; /* Else it is to fail with ERR_BUSY. */
    session_reply_fn *fn;
    void *aux;
};

struct session_io {
    struct loop *loop;
    const struct session_io_events *events;
    void *aux;
    struct strvec remotes;
    size_t remote_now; /* Index of the one in use or tried. */
    int64_t probe_ms;  /* -1: as the kind of remote says. */
    struct tls *tls;   /* Borrowed; may be NULL. */
    bool once, judged;
    size_t max_message_bytes;

    struct session s;
    struct loop_timer *timer; /* For s.wake_ms. */
    struct loop_timer *later; /* Fails the requests that were not sent. */
    struct stream *stream;    /* While connecting. */
    struct jsonrpc *conn;     /* While connected. */
    struct hmap requests;
    int64_t last_id;

    bool over; /* 'once', and it is lost. */
    bool freed;
    unsigned int n_holds;
};

static void
hold(struct session_io *io)
{
    io->n_holds++;
}

static void
let_go(struct session_io *io)
{
    if (--io->n_holds == 0 && io->freed) {
        hmap_done(&io->requests);
        free(io);
    }
}

/* Requests. */

static struct request *
request_find(const struct session_io *io, int64_t id)
{
    HMAP_FOR_EACH_HASH (struct request, r, node, (uint32_t) id, &io->requests) {
        if (r->id == id) {
            return r;
        }
    }
    return NULL;
}

/* Takes both; one is NULL. */
static void
request_finish(struct session_io *io, struct request *r, struct jsonrpc_msg *reply,
               struct err *e)
{
    hmap_remove(&io->requests, &r->node);
    session_reply_fn *fn = r->fn;
    void *aux = r->aux;
    free(r);
    if (fn) {
        fn(aux, reply, e);
    } else {
        jsonrpc_msg_free(reply);
        err_free(e);
    }
}

/* Callbacks may forget others and make new ones: so look anew each time, and at no request that
 * is younger than this call. */
static void
fail_requests(struct session_io *io, bool sent_too, enum err_kind kind, const char *why)
{
    int64_t youngest = io->last_id;
    struct request *victim;
    do {
        victim = NULL;
        HMAP_FOR_EACH (struct request, r, node, &io->requests) {
            if (r->id <= youngest && (sent_too || !r->sent)) {
                victim = r;
                break;
            }
        }
        if (victim) {
            request_finish(io, victim, NULL, err_new(kind, "%s", why));
        }
    } while (victim);
}

static void
on_later(void *io_)
{
    struct session_io *io = io_;
    hold(io);
    fail_requests(io, false, ERR_BUSY, "not connected");
    let_go(io);
}

/* Events of the connection. */

static void drive(struct session_io *, enum session_event);

/* Takes 'why'.  The connection, or the attempt, is over. */
static void
lost(struct session_io *io, struct err *why)
{
    jsonrpc_free(TAKE(io->conn));
    stream_free(TAKE(io->stream));
    if (!why) {
        why = err_new(ERR_IO, "%s: the peer closed the connection", session_io_remote(io));
    }
    fail_requests(io, true, ERR_TIMEOUT, "the connection was lost before the answer came");
    if (io->once) {
        io->over = true;
        loop_timer_clear(io->timer);
    }
    if (!io->freed && io->events->disconnected) {
        io->events->disconnected(io->aux, why);
    }
    err_free(why);
    if (!io->freed) {
        io->remote_now = (io->remote_now + 1) % io->remotes.n;
        drive(io, EV_LOST);
    }
}

static void
on_message(void *io_, struct jsonrpc_msg *msg)
{
    struct session_io *io = io_;
    if (jsonrpc_handle_echo(io->conn, msg)) {
        return;
    }
    hold(io);
    if (msg->kind == JSONRPC_REPLY || msg->kind == JSONRPC_ERROR) {
        struct request *r =
            msg->id.type == JSON_INTEGER ? request_find(io, msg->id.integer) : NULL;
        if (r) {
            request_finish(io, r, msg, NULL);
        } else {
            jsonrpc_msg_free(msg); /* Forgotten meanwhile. */
        }
    } else if (msg->kind == JSONRPC_NOTIFICATION && io->events->notification) {
        io->events->notification(io->aux, msg);
    } else {
        jsonrpc_msg_free(msg); /* Servers request nothing but echo. */
    }
    let_go(io);
}

static void
on_conn_closed(void *io_, struct err *e)
{
    struct session_io *io = io_;
    hold(io);
    lost(io, e);
    let_go(io);
}

static void
on_activity(void *io_)
{
    struct session_io *io = io_;
    int64_t backoff_ms = io->s.backoff_ms;
    session_step(&io->s, EV_BYTES, clock_mono_ms()); /* The timer looks when it fires. */
    if (io->judged) {
        io->s.backoff_ms = backoff_ms;
    }
}

static const struct jsonrpc_events conn_events = {
    .message = on_message,
    .closed = on_conn_closed,
    .activity = on_activity,
};

static void
set_probe(struct session_io *io, const struct stream *stream)
{
    struct ucred cred;
    io->s.probe_ms = io->probe_ms >= 0                 ? io->probe_ms
                     : stream_peer_cred(stream, &cred) ? 0
                                                       : SESSION_PROBE_MS;
}

static void
on_connected(void *io_)
{
    struct session_io *io = io_;
    hold(io);
    set_probe(io, io->stream);
    io->conn = jsonrpc_new(TAKE(io->stream), &conn_events, io);
    jsonrpc_set_limits(io->conn, io->max_message_bytes, 0);
    drive(io, EV_CONNECTED);
    if (io->events->connected) {
        io->events->connected(io->aux);
    }
    let_go(io);
}

static const struct stream_events stream_events = {
    .connected = on_connected,
    .closed = on_conn_closed,
};

/* The machine's actions. */

static void
io_connect(struct session_io *io)
{
    struct remote remote;
    struct err *e = remote_parse(session_io_remote(io), &remote);
    if (!e) {
        remote.tls = io->tls;
        e = stream_connect(io->loop, &remote, &stream_events, io, &io->stream);
        remote_done(&remote);
    }
    ASSERT(!e); /* Parsed once already. */
}

static void
io_echo(struct session_io *io)
{
    struct buf echo = BUF_INIT;
    buf_str(&echo, "{\"id\":\"echo\",\"method\":\"echo\",\"params\":[]}");
    jsonrpc_send_buf(io->conn, &echo);
}

/* After EV_LOST all is closed already; after EV_WAKE it is the peer that was too slow. */
static void
io_close(struct session_io *io, enum session_event ev)
{
    if (ev == EV_WAKE) {
        lost(io,
             err_new(ERR_TIMEOUT, "%s: the peer does not answer", session_io_remote(io)));
    }
}

static void
arm(struct session_io *io)
{
    if (io->over || io->s.wake_ms == INT64_MAX) {
        loop_timer_clear(io->timer);
    } else {
        loop_timer_set(io->timer, max64(io->s.wake_ms - clock_mono_ms(), 0));
    }
}

static void
drive(struct session_io *io, enum session_event ev)
{
    enum session_action action = session_step(&io->s, ev, clock_mono_ms());
    if (io->over) {
        return;
    }
    arm(io);
    switch (action) {
    case DO_CONNECT: io_connect(io); break;
    case DO_ECHO: io_echo(io); break;
    case DO_CLOSE: io_close(io, ev); break;
    case DO_NOTHING: break;
    }
}

static void
on_timer(void *io_)
{
    struct session_io *io = io_;
    hold(io);
    drive(io, EV_WAKE);
    let_go(io);
}

/* Public. */

static struct err *
check_remotes(const struct strvec *remotes)
{
    if (remotes->n == 0) {
        return err_new(ERR_SYNTAX, "no remote to connect to is given");
    }
    for (size_t i = 0; i < remotes->n; i++) {
        struct remote remote;
        TRY(remote_parse(remotes->v[i], &remote));
        bool passive = remote.passive;
        remote_done(&remote);
        if (passive) {
            return err_hint(
                err_new(ERR_SYNTAX, "%s is to listen on, not to connect to", remotes->v[i]),
                "leave out the 'p' at its beginning");
        }
    }
    return NULL;
}

struct err *
session_io_new(struct loop *loop, const struct session_io_options *options,
               const struct session_io_events *events, void *aux, struct session_io **ret)
{
    CLEANUP(strvec_done) struct strvec remotes = STRVEC_INIT;
    strvec_split(&remotes, options->remote, ",");
    TRY(check_remotes(&remotes));

    struct session_io *io = NEW(struct session_io);
    io->loop = loop;
    io->events = events;
    io->aux = aux;
    io->remotes = remotes;
    remotes = STRVEC_INIT;
    io->probe_ms = options->probe_ms;
    io->once = options->once;
    io->judged = options->judged;
    io->max_message_bytes = options->max_message_bytes;
    io->tls = options->tls;
    io->s = SESSION_INIT(clock_mono_ms(), 0);
    io->timer = loop_timer_new(loop, on_timer, io);
    io->later = loop_timer_new(loop, on_later, io);
    loop_timer_set(io->timer, 0);
    *ret = io;
    return NULL;
}

void
session_io_free(struct session_io *io)
{
    if (!io) {
        return;
    }
    hold(io);
    io->freed = true;
    jsonrpc_free(TAKE(io->conn));
    stream_free(TAKE(io->stream));
    fail_requests(io, true, ERR_CANCELED, "the session was closed");
    loop_timer_free(io->timer);
    loop_timer_free(io->later);
    strvec_done(&io->remotes);
    let_go(io);
}

bool
session_io_connected(const struct session_io *io)
{
    return io->conn != NULL;
}

const char *
session_io_remote(const struct session_io *io)
{
    return io->remotes.v[io->remote_now];
}

void
session_io_reconnect(struct session_io *io, struct err *why)
{
    hold(io);
    if (io->conn) {
        lost(io, why);
    } else {
        err_free(why);
    }
    let_go(io);
}

void
session_io_settled(struct session_io *io)
{
    io->s.backoff_ms = 0;
}

void
session_io_set_probe(struct session_io *io, int64_t probe_ms)
{
    io->probe_ms = probe_ms;
    if (io->conn) {
        set_probe(io, jsonrpc_stream(io->conn));
        session_step(&io->s, EV_BYTES, clock_mono_ms()); /* From now on. */
        arm(io);
    }
}

int64_t
session_io_request_text(struct session_io *io, const char *method, const char *params,
                        session_reply_fn *fn, void *aux)
{
    struct request *r = NEW(struct request);
    r->id = ++io->last_id;
    r->fn = fn;
    r->aux = aux;
    r->sent = io->conn != NULL;
    hmap_insert(&io->requests, &r->node, (uint32_t) r->id);
    if (!r->sent) {
        loop_timer_set(io->later, 0);
        return r->id;
    }
    struct buf text = BUF_INIT;
    buf_printf(&text, "{\"id\":%" PRId64 ",\"method\":", r->id);
    json_print_string(method, strlen(method), &text);
    buf_str(&text, ",\"params\":");
    buf_str(&text, params);
    buf_char(&text, '}');
    jsonrpc_send_buf(io->conn, &text);
    return r->id;
}

int64_t
session_io_request(struct session_io *io, const char *method, const struct json *params,
                   session_reply_fn *fn, void *aux)
{
    CLEANUP(free_drop) char *text = json_text(params, 0);
    return session_io_request_text(io, method, text, fn, aux);
}

void
session_io_forget(struct session_io *io, int64_t id)
{
    struct request *r = request_find(io, id);
    if (r) {
        hmap_remove(&io->requests, &r->node);
        free(r);
    }
}

void
session_io_notify(struct session_io *io, const char *method, const struct json *params)
{
    if (io->conn) {
        struct buf text = BUF_INIT;
        jsonrpc_print_notification(&text, method, params);
        jsonrpc_send_buf(io->conn, &text);
    }
}
