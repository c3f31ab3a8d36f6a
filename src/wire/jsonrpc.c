/* wire/jsonrpc.c: a connection that speaks JSON-RPC.
 *
 * Bytes collect in 'in'; the framer has seen the first 'n_framed' of them, and the message being
 * framed begins at 'start'.  A dead connection (closed, or doomed to it) hands out no message
 * any more.  Callbacks may free the connection, hence holds as in wire/stream.c. */
#include "wire/jsonrpc.h"

#include "base/clock.h"
#include "loop/loop.h"
#include "wire/session.h"

#define IN_KEEP_BYTES 4096 /* An empty input buffer above this goes back. */

struct jsonrpc {
    struct stream *stream;
    const struct jsonrpc_events *events;
    void *aux;

    struct buf in;
    struct json_framer framer;
    size_t start, n_framed;
    size_t max_message_bytes, max_backlog_bytes;
    struct jsonrpc_room *room; /* Or NULL. */
    size_t n_room;             /* What it takes of it: the capacity of 'in'. */
    int64_t unfinished_ms;     /* When the message that is not complete began; 0: none. */

    struct loop_timer *later; /* Tells 'doom', or hands out what came while paused. */
    struct err *doom;         /* Why it ends; not yet told. */
    struct loop_timer *probe_timer;
    struct session probe;

    bool paused, corked, dead, freed;
    bool feeding; /* Messages that came together are being handed out. */
    unsigned int n_holds;
};

static void
hold(struct jsonrpc *c)
{
    c->n_holds++;
}

static void
let_go(struct jsonrpc *c)
{
    if (--c->n_holds == 0 && c->freed) {
        free(c);
    }
}

/* Takes 'e'. */
static void
die(struct jsonrpc *c, struct err *e)
{
    if (c->dead) {
        err_free(e);
        return;
    }
    c->dead = true;
    stream_pause(c->stream, true);
    loop_timer_clear(c->probe_timer);
    c->events->closed(c->aux, e);
}

/* As die(), but not within the caller's turn.  Takes 'e'. */
static void
doom(struct jsonrpc *c, struct err *e)
{
    if (c->doom || c->dead) {
        err_free(e);
        return;
    }
    c->doom = e;
    loop_timer_set(c->later, 0);
}

/* Input. */

static void
take_message(struct jsonrpc *c)
{
    struct jsonrpc_msg *msg;
    struct err *e = jsonrpc_msg_parse(c->in.data + c->start, c->n_framed - c->start, &msg);
    c->start = c->n_framed;
    if (e) {
        die(c, e);
    } else {
        c->events->message(c->aux, msg);
    }
}

static bool
may_take(const struct jsonrpc *c)
{
    return !c->paused && !c->dead && !c->doom && !c->freed;
}

/* Hands out the messages that are complete. */
static void
feed(struct jsonrpc *c)
{
    while (may_take(c) && c->n_framed < c->in.n) {
        size_t used;
        bool complete;
        struct err *e = json_frame(&c->framer, c->in.data + c->n_framed,
                                   c->in.n - c->n_framed, &used, &complete);
        if (e) {
            die(c, err_wrap(e, "error parsing stream"));
            break;
        }
        c->n_framed += used;
        if (c->n_framed - c->start > c->max_message_bytes) {
            die(c, err_new(ERR_CONSTRAINT, "a message is longer than %zu bytes",
                           c->max_message_bytes));
        } else if (complete) {
            take_message(c);
        }
    }
}

static void
drop_taken(struct jsonrpc *c)
{
    if (c->start == c->in.n) {
        buf_clear(&c->in);
        if (c->in.cap > IN_KEEP_BYTES) {
            buf_done(&c->in);
        }
    } else if (c->start > 0) {
        buf_drop_front(&c->in, c->start);
    }
    c->n_framed -= c->start;
    c->start = 0;
}

/* Counts what the input takes, and since when a message has been incomplete. */
static void
account(struct jsonrpc *c)
{
    if (c->room) {
        c->room->n_bytes += c->in.cap - c->n_room;
        c->n_room = c->in.cap;
    }
    if (c->in.n == 0) {
        c->unfinished_ms = 0;
    } else if (c->unfinished_ms == 0 || c->paused) { /* While paused it is we who wait. */
        c->unfinished_ms = clock_mono_ms();
    }
}

/* Answers to messages that came together go out together. */
static void
feed_corked(struct jsonrpc *c)
{
    stream_cork(c->stream, true);
    c->feeding = true;
    size_t begin = c->start;
    feed(c);
    if (!c->freed && c->start > begin && c->events->batch_end) {
        c->events->batch_end(c->aux);
    }
    c->feeding = false;
    if (!c->freed) {
        if (c->start > 0) { /* Another one begins. */
            c->unfinished_ms = 0;
        }
        drop_taken(c);
        account(c);
        stream_cork(c->stream, c->corked);
    }
}

static void
arm_probe(struct jsonrpc *c)
{
    if (c->probe.wake_ms == INT64_MAX) {
        loop_timer_clear(c->probe_timer);
    } else {
        loop_timer_set(c->probe_timer, c->probe.wake_ms - clock_mono_ms());
    }
}

/* The timer is not moved for each byte: it looks at wake_ms when it fires. */
static void
note_activity(struct jsonrpc *c)
{
    if (c->probe.probe_ms > 0) {
        session_step(&c->probe, EV_BYTES, clock_mono_ms());
    }
}

static void
on_bytes(void *c_, const char *bytes, size_t n_bytes)
{
    struct jsonrpc *c = c_;
    hold(c);
    note_activity(c);
    if (c->events->activity) {
        c->events->activity(c->aux);
    }
    if (!c->freed) {
        buf_add(&c->in, bytes, n_bytes);
        account(c);
        feed_corked(c);
    }
    if (!c->freed && c->room && c->room->n_bytes > c->room->max_bytes &&
        c->in.cap > JSONRPC_SMALL_BYTES) {
        die(c,
            err_new(ERR_BUSY,
                    "%zu bytes of a message have come, and no room is left: the messages "
                    "under way take %zu bytes",
                    c->in.n, c->room->n_bytes));
    }
    let_go(c);
}

static void
on_closed(void *c_, struct err *e)
{
    struct jsonrpc *c = c_;
    hold(c);
    if (c->doom) {
        err_free(e);
        e = TAKE(c->doom);
    }
    die(c, e);
    let_go(c);
}

static void
on_progress(void *c_)
{
    struct jsonrpc *c = c_;
    hold(c);
    note_activity(c);
    if (c->events->progress && !c->dead && !c->doom) {
        c->events->progress(c->aux);
    }
    let_go(c);
}

static const struct stream_events stream_events = {
    .bytes = on_bytes,
    .closed = on_closed,
    .progress = on_progress,
};

static void
on_later(void *c_)
{
    struct jsonrpc *c = c_;
    hold(c);
    if (c->doom) {
        die(c, TAKE(c->doom));
    } else if (may_take(c)) {
        feed_corked(c);
    }
    let_go(c);
}

static void
on_probe(void *c_)
{
    struct jsonrpc *c = c_;
    hold(c);
    if (c->paused) { /* It is we who do not read. */
        note_activity(c);
    }
    switch (session_step(&c->probe, EV_WAKE, clock_mono_ms())) {
    case DO_ECHO: {
        struct buf echo = BUF_INIT;
        buf_str(&echo, "{\"id\":\"echo\",\"method\":\"echo\",\"params\":[]}");
        jsonrpc_send_buf(c, &echo);
        arm_probe(c);
        break;
    }
    case DO_CLOSE:
        die(c,
            err_new(ERR_TIMEOUT, "%s: no response to inactivity probe after %" PRId64 " ms",
                    stream_name(c->stream), c->probe.probe_ms));
        break;
    case DO_CONNECT:
    case DO_NOTHING: arm_probe(c); break;
    }
    let_go(c);
}

/* Life and settings. */

struct jsonrpc *
jsonrpc_new(struct stream *stream, const struct jsonrpc_events *events, void *aux)
{
    struct jsonrpc *c = NEW(struct jsonrpc);
    c->stream = stream;
    c->events = events;
    c->aux = aux;
    c->max_message_bytes = JSONRPC_MAX_MESSAGE_BYTES;
    c->later = loop_timer_new(stream_loop(stream), on_later, c);
    c->probe_timer = loop_timer_new(stream_loop(stream), on_probe, c);
    stream_set_events(stream, &stream_events, c);
    return c;
}

void
jsonrpc_free(struct jsonrpc *c)
{
    if (!c) {
        return;
    }
    hold(c);
    c->freed = true;
    stream_free(TAKE(c->stream));
    loop_timer_free(c->later);
    loop_timer_free(c->probe_timer);
    err_free(TAKE(c->doom));
    buf_done(&c->in);
    account(c);
    let_go(c);
}

void
jsonrpc_set_limits(struct jsonrpc *c, size_t max_message_bytes, size_t max_backlog_bytes)
{
    c->max_message_bytes =
        max_message_bytes ? max_message_bytes : JSONRPC_MAX_MESSAGE_BYTES;
    c->max_backlog_bytes = max_backlog_bytes;
}

void
jsonrpc_set_room(struct jsonrpc *c, struct jsonrpc_room *room)
{
    ASSERT(c->in.cap == 0);
    c->room = room;
}

int64_t
jsonrpc_unfinished_ms(const struct jsonrpc *c)
{
    return c->unfinished_ms && !c->paused ? clock_mono_ms() - c->unfinished_ms : 0;
}

void
jsonrpc_set_probe(struct jsonrpc *c, int64_t interval_ms)
{
    c->probe = SESSION_ACCEPTED(clock_mono_ms(), interval_ms);
    arm_probe(c);
}

void
jsonrpc_pause(struct jsonrpc *c, bool paused)
{
    c->paused = paused;
    if (!c->dead) {
        stream_pause(c->stream, paused);
        if (!paused && c->in.n > 0) {
            loop_timer_set(c->later, 0);
        }
    }
}

void
jsonrpc_cork(struct jsonrpc *c, bool corked)
{
    c->corked = corked;
    stream_cork(c->stream, corked || c->feeding);
}

size_t
jsonrpc_backlog_bytes(const struct jsonrpc *c)
{
    return stream_backlog_bytes(c->stream);
}

bool
jsonrpc_is_full(const struct jsonrpc *c)
{
    return stream_is_full(c->stream);
}

struct stream *
jsonrpc_stream(const struct jsonrpc *c)
{
    return c->stream;
}

/* Output. */

static void
check_backlog(struct jsonrpc *c)
{
    size_t backlog = stream_backlog_bytes(c->stream);
    if (c->max_backlog_bytes > 0 && backlog > c->max_backlog_bytes && !c->dead &&
        !c->doom && !(c->events->overflow && c->events->overflow(c->aux, backlog))) {
        doom(c,
             err_new(ERR_BUSY, "%s: the peer reads too slowly: %zu bytes wait to be sent",
                     stream_name(c->stream), backlog));
    }
}

void
jsonrpc_send(struct jsonrpc *c, struct bytes *b)
{
    stream_send(c->stream, b);
    check_backlog(c);
}

void
jsonrpc_send_buf(struct jsonrpc *c, struct buf *b)
{
    jsonrpc_send(c, bytes_take(b));
}

bool
jsonrpc_handle_echo(struct jsonrpc *c, struct jsonrpc_msg *msg)
{
    if (msg->kind == JSONRPC_REQUEST && strcmp(msg->method, "echo") == 0) {
        struct buf reply = BUF_INIT;
        jsonrpc_print_reply(&reply, &msg->id, &msg->params);
        jsonrpc_send_buf(c, &reply);
    } else if (msg->kind != JSONRPC_REPLY || msg->id.type != JSON_STRING ||
               strcmp(msg->id.string, "echo") != 0) {
        return false;
    }
    jsonrpc_msg_free(msg);
    return true;
}
