/* dbserver/peer.c: a client's connection: how it begins and ends, and who is at the other end.
 *
 * Freeing is put off to the loop (server_reap()), so a peer never vanishes under a function that
 * works on it. */
#include "dbserver/remotes_i.h"

#define LOG_MODULE "dbserver"
#include "base/log.h"
#include "base/str.h"
#include "dbserver/linger.h"

static void
peer_bury(struct peer *p)
{
    p->closed = true;
    list_remove(&p->flow);
    list_push_back(&p->server->dead, &p->flow);
    server_reap(p->server);
}

static void
on_message(void *peer, struct jsonrpc_msg *msg)
{
    struct peer *p = peer;

    linger_asked(p->server->linger);
    if (p->closed) {
        jsonrpc_msg_free(msg);
    } else if (!jsonrpc_handle_echo(p->conn, msg)) {
        methods_run(p, msg);
        if (p->out_bytes > DBSERVER_PAUSE_BYTES) { /* Enough to stop reading from it. */
            server_flush(p->server);
        }
    }
}

static void
on_batch_end(void *peer)
{
    struct dbserver *s = ((struct peer *) peer)->server;

    server_flush(s);
    if (list_empty(&s->blocked)) { /* Else the disk has the word: server_unblock(). */
        linger_answered(s->linger);
    }
}

static void
on_closed(void *peer, struct err *e)
{
    struct peer *p = peer;

    if (e && !p->closed) {
        log_info("%s: connection dropped: %s", stream_name(jsonrpc_stream(p->conn)),
                 err_text(e));
    }
    err_free(e);
    if (!p->closed) {
        peer_bury(p);
    }
}

static void
on_progress(void *peer)
{
    struct peer *p = peer;

    if (!p->closed) {
        output_progress(p);
    }
}

static const struct jsonrpc_events peer_events = {
    .message = on_message,
    .batch_end = on_batch_end,
    .closed = on_closed,
    .progress = on_progress,
};

void
peer_apply_options(struct peer *p)
{
    const struct remote_options *o = &p->remote->options;
    bool local = p->remote->remote.kind == REMOTE_UNIX;

    p->read_only = o->read_only;
    jsonrpc_set_probe(p->conn, o->probe_ms >= 0 ? o->probe_ms
                               : local          ? 0
                                                : REMOTE_PROBE_MS);
}

const char *
peer_id(const struct peer *p)
{
    return stream_peer_id(jsonrpc_stream(p->conn));
}

/* Made when it is first needed: by then a certificate has been seen. */
const char *
peer_author(struct peer *p)
{
    const struct stream *stream = jsonrpc_stream(p->conn);
    const char *id = peer_id(p);
    struct buf text = BUF_INIT;
    struct ucred cred;

    if (p->author) {
        return p->author;
    } else if (stream_peer_cred(stream, &cred)) {
        buf_printf(&text, "by uid %ld pid %ld %s", (long) cred.uid, (long) cred.pid,
                   stream_name(stream));
    } else {
        buf_printf(&text, "by %s", stream_name(stream));
    }
    if (id) { /* Quoted: it comes from outside, and this stays one line. */
        buf_str(&text, " id ");
        json_print_string(id, strlen(id), &text);
    }
    if (p->role) {
        buf_str(&text, " role ");
        json_print_string(p->role, strlen(p->role), &text);
    }
    p->author = buf_take(&text);
    return p->author;
}

struct peer *
peer_new(struct remote_entry *remote, struct stream *stream)
{
    struct peer *p = NEW(struct peer);
    struct dbserver *server = remote->server;
    const char *name = stream_name(stream);

    p->server = server;
    p->remote = remote;
    p->role = str_dup(remote->options.role);
    list_push_back(&remote->peers, &p->in_remote);
    output_init(p);
    list_init(&p->monitors);
    list_init(&p->pending);
    list_init(&p->lanes);
    lock_session_init(&p->locks, &server->locks, p);
    list_push_back(&server->peers, &p->in_server);
    server->n_peers++;
    p->conn = jsonrpc_new(stream, &peer_events, p);
    jsonrpc_set_limits(p->conn, DBSERVER_MESSAGE_BYTES, 0);
    jsonrpc_set_room(p->conn, &server->room);
    stream_set_dscp(stream, remote->options.dscp);
    peer_apply_options(p);
    log_dbg("%s: connected", name);
    return p;
}

void
peer_close(struct peer *p, const char *why)
{
    if (!p->closed) {
        if (why) {
            log_info("%s: connection dropped: %s", stream_name(jsonrpc_stream(p->conn)),
                     why);
        }
        peer_bury(p);
    }
}

void
peer_free(struct peer *p)
{
    CLEANUP(lock_notices_done) struct lock_notices notices = LOCK_NOTICES_INIT;

    p->closed = true;
    while (!list_empty(&p->pending)) {
        pending_free(CONTAINER_OF(p->pending.next, struct pending, in_peer));
    }
    hmap_done(&p->pending_ids);
    while (!list_empty(&p->monitors)) {
        peer_monitor_free(CONTAINER_OF(p->monitors.next, struct peer_monitor, in_peer));
    }
    lock_session_done(&p->locks, &notices);
    list_remove(&p->in_server);
    list_remove(&p->in_remote);
    output_done(p);
    p->server->n_peers--;
    jsonrpc_free(p->conn);
    if (!p->server->closing) {
        peer_send_notices(p->server, &notices);
    }
    if (p->gone) {
        p->gone(p->gone_aux);
    }
    free(p->author);
    free(p->role);
    free(p);
}

void
peer_notify(struct peer *p, const char *method, const char *param_json)
{
    struct buf head = BUF_INIT;

    buf_printf(&head, "{\"id\":null,\"method\":\"%s\",\"params\":[%s]}", method,
               param_json);
    peer_queue(p, OUT_OTHER, NULL, &head, NULL, "");
}

void
peer_send_notices(struct dbserver *server UNUSED, struct lock_notices *notices)
{
    VEC_FOR_EACH (struct lock_notice *n, &notices->v) {
        CLEANUP(buf_done) struct buf name = BUF_INIT;
        json_print_string(n->name, strlen(n->name), &name);
        peer_notify(n->to->user, n->stolen ? "stolen" : "locked", buf_cstr(&name));
    }
}
