/* dbserver/remotes.c: where clients come from: sockets to listen on, and peers that we
 * call.  Who wants them is people (the command line, ovs-appctl) or rows (dbremotes.c). */
#define LOG_MODULE "dbserver"
#include "dbserver/remotes_i.h"

#include "base/fs.h"
#include "base/log.h"

#define SOCKET_MODE 0660

struct remote_entry *
remote_find(const struct dbserver *s, const char *name)
{
    LIST_FOR_EACH (struct remote_entry, r, node, &s->remotes) {
        if (str_eq(r->name, name)) {
            return r;
        }
    }
    return NULL;
}

void
remote_free(struct remote_entry *r)
{
    list_remove(&r->node);
    listener_free(r->listener);
    while (!list_empty(&r->peers)) {
        struct peer *p = CONTAINER_OF(r->peers.next, struct peer, in_remote);
        list_remove(&p->in_remote);
        p->remote = NULL;
        p->gone = NULL;
        peer_close(p, "remote removed");
    }
    stream_free(r->connecting);
    loop_timer_free(r->again);
    remote_done(&r->remote);
    free(r->options.role);
    free(r->last_error);
    free(r->name);
    free(r);
}

static void
note_error(struct remote_entry *r, const struct err *e)
{
    free(r->last_error);
    r->last_error = !e             ? NULL
                    : err_errno(e) ? str_dup(strerror(err_errno(e)))
                                   : str_dup(err_why(e));
}

static void
on_accepted(void *entry, struct stream *stream)
{
    struct remote_entry *r = entry;
    peer_new(r, stream);
    r->connected_ms = loop_now_ms(r->server->loop);
}

static void
connect_later(struct remote_entry *r)
{
    r->backoff_ms = clamp64(2 * r->backoff_ms, REMOTE_BACKOFF_MIN_MS,
                            max64(r->options.max_backoff_ms, REMOTE_BACKOFF_MIN_MS));
    loop_timer_set(r->again, r->backoff_ms);
}

static void
on_peer_gone(void *entry)
{
    struct remote_entry *r = entry;

    r->peer = NULL;
    if (!r->server->closing) {
        r->disconnected_ms = loop_now_ms(r->server->loop);
        connect_later(r);
    }
}

static void
on_connected(void *entry)
{
    struct remote_entry *r = entry;

    log_info("%s: connected", r->name);
    note_error(r, NULL);
    r->backoff_ms = 0;
    r->connected_ms = loop_now_ms(r->server->loop);
    r->peer = peer_new(r, TAKE(r->connecting));
    r->peer->gone = on_peer_gone;
    r->peer->gone_aux = r;
}

static void
on_connect_failed(void *entry, struct err *e)
{
    struct remote_entry *r = entry;

    if (r->backoff_ms < REMOTE_BACKOFF_MAX_MS) { /* Then it has been said often enough. */
        log_info("%s: connection attempt failed%s%s", r->name, e ? ": " : "",
                 e ? err_text(e) : "");
    }
    note_error(r, e);
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
    if (remote->kind == REMOTE_UNIX && remote->path && remote->path[0] != '/') {
        char *path = path_join(dbserver_rundir(), remote->path);
        free(remote->path);
        remote->path = path;
    }
}

struct err *
remotes_resolve(const char *list, char **ret)
{
    CLEANUP(strvec_done) struct strvec names = STRVEC_INIT;
    CLEANUP(strvec_done) struct strvec full = STRVEC_INIT;

    strvec_split(&names, list, ",");
    for (size_t i = 0; i < names.n; i++) {
        CLEANUP(remote_done) struct remote remote = { 0 };
        TRY(remote_parse(names.v[i], &remote));
        if (remote.passive) {
            return err_hint(
                err_new(ERR_SYNTAX, "%s is to listen on, not to connect to", names.v[i]),
                "leave out the 'p' at its beginning");
        }
        resolve_path(&remote);
        if (remote.kind == REMOTE_UNIX) {
            strvec_take(&full, str_dupf("unix:%s", remote.path));
        } else {
            strvec_add(&full, names.v[i]);
        }
    }
    if (full.n == 0) {
        return err_new(ERR_SYNTAX, "no remote to connect to is given");
    }
    *ret = strvec_join(&full, ",");
    return NULL;
}

static MUST_CHECK struct err *
listen_now(struct remote_entry *r)
{
    struct err *e = listener_new(r->server->loop, &r->remote, SOCKET_MODE, on_accepted, r,
                                 &r->listener);
    if (e) {
        r->listener = NULL;
        return err_wrap(e, "listen on %s", r->name);
    }
    if (r->remote.kind != REMOTE_UNIX) { /* Open vSwitch's tests look for these words. */
        const char *where = strchr(r->name, ':');
        log_write(LOG_INFO, "socket_util", "%s: listening on port %u",
                  where ? where + 1 : r->name, (unsigned) listener_port(r->listener));
    } else {
        log_info("listening on %s", r->remote.path ? r->remote.path : r->name);
    }
    return NULL;
}

struct err *
remote_add(struct dbserver *s, const char *name, struct remote_options *options,
           bool from_db, struct remote_entry **ret)
{
    struct remote remote;
    struct remote_options taken = *options;
    options->role = NULL;

    struct err *e = remote_parse(name, &remote);
    if (!e && remote.fd && from_db) { /* Rows are no command line. */
        e = err_new(ERR_DENIED, "a descriptor is handed over on the command line only");
    }
    if (e) {
        free(taken.role);
        return err_wrap(e, "remote %s", name);
    }
    resolve_path(&remote);
    remote.tls = secure_tls(s);
    struct remote_entry *r = NEW(struct remote_entry);
    *r = (struct remote_entry){ .server = s,
                                .name = str_dup(name),
                                .remote = remote,
                                .options = taken,
                                .from_db = from_db,
                                .wanted = from_db,
                                .connected_ms = -1,
                                .disconnected_ms = -1 };
    list_init(&r->peers);
    list_push_back(&s->remotes, &r->node);
    if (!remote.passive) {
        r->again = loop_timer_new(s->loop, connect_now, r);
        connect_now(r);
    } else {
        e = listen_now(r);
    }
    if (e && from_db) {
        note_error(r, e);
        log_failure(LOG_ERR, LOG_MODULE, e);
    } else if (e) {
        remote_free(r);
        return e;
    }
    *ret = r;
    return NULL;
}

void
remote_retry(struct remote_entry *r)
{
    if (r->remote.passive && !r->listener) {
        struct err *e = listen_now(r);
        note_error(r, e);
        err_free(e); /* Said the first time. */
    }
}

void
remote_set_options(struct remote_entry *r, struct remote_options *options)
{
    bool drop = !str_eq(r->options.role, options->role) || r->options.dscp != options->dscp;

    free(r->options.role);
    r->options = *options;
    options->role = NULL;
    LIST_FOR_EACH_SAFE (struct peer, p, in_remote, &r->peers) {
        if (drop) {
            peer_close(p, "the remote's role or dscp changed");
        } else {
            peer_apply_options(p);
        }
    }
}

bool
remote_is_connected(const struct remote_entry *r)
{
    return !list_empty(&r->peers);
}

static void
put(struct arena *arena, struct json *pairs, const char *key, const char *value)
{
    json_add(arena, pairs,
             json_pair(arena, json_string_ref(key), json_string(arena, value)));
}

static void
put_int(struct arena *arena, struct json *pairs, const char *key, int64_t value)
{
    json_add(
        arena, pairs,
        json_pair(arena, json_string_ref(key), json_stringf(arena, "%" PRId64, value)));
}

/* The locks of one client: held, waiting, lost. */
static void
put_locks(const struct peer *p, struct arena *arena, struct json *pairs)
{
    CLEANUP(strvec_done) struct strvec held = STRVEC_INIT;
    CLEANUP(strvec_done) struct strvec waiting = STRVEC_INIT;
    CLEANUP(strvec_done) struct strvec lost = STRVEC_INIT;
    const struct {
        const char *key;
        struct strvec *names;
    } rows[] = { { "locks_held", &held },
                 { "locks_waiting", &waiting },
                 { "locks_lost", &lost } };

    lock_session_names(&p->locks, &held, &waiting, &lost);
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        if (rows[i].names->n) {
            CLEANUP(free_drop) char *text = strvec_join(rows[i].names, " ");
            put(arena, pairs, rows[i].key, text);
        }
    }
}

/* Of a socket that we listen on.  The zeros are ovsdb-server's: it has many clients or none. */
static void
passive_status(const struct remote_entry *r, struct arena *arena, struct json *pairs)
{
    int64_t n_peers = 0;

    LIST_FOR_EACH (struct peer, p, in_remote, &r->peers) {
        n_peers += !p->closed;
    }
    put(arena, pairs, "sec_since_connect", "0");
    put(arena, pairs, "sec_since_disconnect", "0");
    if (n_peers > 1) {
        put_int(arena, pairs, "n_connections", n_peers);
    }
    if (r->listener && listener_port(r->listener)) {
        put_int(arena, pairs, "bound_port", listener_port(r->listener));
    }
}

static void
active_status(const struct remote_entry *r, struct arena *arena, struct json *pairs)
{
    int64_t now_ms = loop_now_ms(r->server->loop);

    put(arena, pairs, "state",
        r->peer         ? "ACTIVE"
        : r->connecting ? "CONNECTING"
                        : "BACKOFF");
    if (r->connected_ms >= 0) {
        put_int(arena, pairs, "sec_since_connect", (now_ms - r->connected_ms) / 1000);
    }
    if (r->disconnected_ms >= 0) {
        put_int(arena, pairs, "sec_since_disconnect", (now_ms - r->disconnected_ms) / 1000);
    }
    if (r->peer) {
        put_locks(r->peer, arena, pairs);
    }
}

void
remote_status(const struct remote_entry *r, struct arena *arena, struct json *pairs)
{
    if (r->remote.passive) {
        passive_status(r, arena, pairs);
    } else {
        active_status(r, arena, pairs);
    }
    if (r->last_error) {
        put(arena, pairs, "last_error", r->last_error);
    }
}

struct err *
dbserver_add_remote(struct dbserver *s, const char *name)
{
    struct remote_entry *r = remote_find(s, name);

    if (str_starts(name, "db:")) {
        return dbremotes_add(s, name);
    } else if (r) {
        r->from_db = false; /* Now people want it. */
        return NULL;
    }
    struct remote_options options = REMOTE_OPTIONS_INIT;
    return remote_add(s, name, &options, false, &r);
}

struct err *
dbserver_remove_remote(struct dbserver *s, const char *name)
{
    struct remote_entry *r = remote_find(s, name);

    if (dbremotes_remove(s, name)) {
        return NULL;
    } else if (!r || r->from_db) {
        return err_new(ERR_NOT_FOUND, "no such remote");
    } else if (r->wanted) {
        r->from_db = true; /* A row still wants it. */
    } else {
        remote_free(r);
    }
    return NULL;
}

void
remotes_list(const struct dbserver *s, struct strvec *out)
{
    LIST_FOR_EACH (struct remote_entry, r, node, &s->remotes) {
        if (!r->from_db) {
            strvec_add(out, r->name);
        }
    }
    dbremotes_list(s, out);
    strvec_sort(out);
}

void
remotes_free(struct dbserver *s)
{
    dbremotes_free(s);
    while (!list_empty(&s->remotes)) {
        remote_free(CONTAINER_OF(s->remotes.next, struct remote_entry, node));
    }
}
