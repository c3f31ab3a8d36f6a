/* dbserver/remotes.c: where clients come from: sockets to listen on, and peers that we
 * call. */
#define LOG_MODULE "dbserver"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "dbserver/peer_i.h"

#define SOCKET_MODE 0660
#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 8000

struct remote_entry {
    struct list node; /* In the server's 'remotes'. */
    struct dbserver *server;
    char *name; /* As it was given. */
    struct remote remote;
    struct listener *listener; /* Passive. */

    /* Active: one of these three at a time. */
    struct stream *connecting;
    struct peer *peer;
    struct loop_timer *again;
    int64_t backoff_ms;
};

static struct remote_entry *
entry_find(const struct dbserver *s, const char *name)
{
    LIST_FOR_EACH (struct remote_entry, r, node, &s->remotes) {
        if (str_eq(r->name, name)) {
            return r;
        }
    }
    return NULL;
}

static void
entry_free(struct remote_entry *r)
{
    list_remove(&r->node);
    listener_free(r->listener);
    if (r->peer) {
        r->peer->gone = NULL;
        peer_close(r->peer, "remote removed");
    }
    stream_free(r->connecting);
    loop_timer_free(r->again);
    remote_done(&r->remote);
    free(r->name);
    free(r);
}

static void
on_accepted(void *entry, struct stream *stream)
{
    struct remote_entry *r = entry;
    peer_new(r->server, stream);
}

static void
connect_later(struct remote_entry *r)
{
    r->backoff_ms = clamp64(2 * r->backoff_ms, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
    loop_timer_set(r->again, r->backoff_ms);
}

static void
on_peer_gone(void *entry)
{
    struct remote_entry *r = entry;

    r->peer = NULL;
    if (!r->server->closing) {
        connect_later(r);
    }
}

static void
on_connected(void *entry)
{
    struct remote_entry *r = entry;

    log_info("%s: connected", r->name);
    r->backoff_ms = 0;
    r->peer = peer_new(r->server, TAKE(r->connecting));
    r->peer->gone = on_peer_gone;
    r->peer->gone_aux = r;
}

static void
on_connect_failed(void *entry, struct err *e)
{
    struct remote_entry *r = entry;

    if (r->backoff_ms < BACKOFF_MAX_MS) { /* Then it has been said often enough. */
        log_info("%s: connection attempt failed%s%s", r->name, e ? ": " : "",
                 e ? err_text(e) : "");
    }
    err_free(e);
    stream_free(TAKE(r->connecting));
    connect_later(r);
}

static const struct stream_events connect_events = {
    .connected = on_connected,
    .closed = on_connect_failed,
};

static void
connect_now(void *entry)
{
    struct remote_entry *r = entry;
    struct err *e =
        stream_connect(r->server->loop, &r->remote, &connect_events, r, &r->connecting);

    if (e) {
        r->connecting = NULL;
        on_connect_failed(r, e);
    }
}

/* Relative socket names are relative to the run directory, not to where we were started. */
static void
resolve_path(struct remote *remote)
{
    if (remote->kind == REMOTE_UNIX && remote->path[0] != '/') {
        char *path = path_join(dbserver_rundir(), remote->path);
        free(remote->path);
        remote->path = path;
    }
}

struct err *
dbserver_add_remote(struct dbserver *s, const char *name)
{
    struct remote remote;

    if (entry_find(s, name)) {
        return NULL;
    }
    if (str_starts(name, "db:")) {
        return err_hint(
            err_new(ERR_UNSUPPORTED,
                    "remote %s: remotes from the database are not supported", name),
            "give each remote with --remote=punix:PATH or --remote=ptcp:PORT:HOST");
    }
    TRY(err_wrap(remote_parse(name, &remote), "remote %s", name));
    resolve_path(&remote);

    struct remote_entry *r = NEW(struct remote_entry);
    r->server = s;
    r->name = str_dup(name);
    r->remote = remote;
    list_push_back(&s->remotes, &r->node);
    if (!remote.passive) {
        r->again = loop_timer_new(s->loop, connect_now, r);
        connect_now(r);
        return NULL;
    }
    struct err *e =
        listener_new(s->loop, &r->remote, SOCKET_MODE, on_accepted, r, &r->listener);
    if (e) {
        r->listener = NULL;
        entry_free(r);
        return err_wrap(e, "listen on %s", name);
    }
    if (remote.kind == REMOTE_TCP) { /* Open vSwitch's tests look for these words. */
        const char *where = strchr(name, ':');
        log_write(LOG_INFO, "socket_util", "%s: listening on port %u",
                  where ? where + 1 : name, (unsigned) listener_port(r->listener));
    } else {
        log_info("listening on %s", r->remote.path);
    }
    return NULL;
}

struct err *
dbserver_remove_remote(struct dbserver *s, const char *name)
{
    struct remote_entry *r = entry_find(s, name);

    if (!r) {
        return err_new(ERR_NOT_FOUND, "no such remote");
    }
    entry_free(r);
    return NULL;
}

void
remotes_list(const struct dbserver *s, struct strvec *out)
{
    LIST_FOR_EACH (struct remote_entry, r, node, &s->remotes) {
        strvec_add(out, r->name);
    }
    strvec_sort(out);
}

void
remotes_free(struct dbserver *s)
{
    while (!list_empty(&s->remotes)) {
        entry_free(CONTAINER_OF(s->remotes.next, struct remote_entry, node));
    }
}
