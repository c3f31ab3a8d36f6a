/* dbserver/replication.c: active-backup: this server's database is the other's, in a file of its own.
 *
 *     CONNECTING --get_server_id--> --get_schema--> --monitor--> REPLICATING
 *         ^___________________________lost__________________________|
 *
 * While it lasts the database is read-only for its clients.  What the active server tells is written
 * to the journal as any transaction, as the difference to what is there (db/follow.c): a backup that
 * comes back writes what it missed and no more.
 *
 * What cannot work, such as a schema that does not fit, ends it: then the database is active, and,
 * if all follow one server, all are.  Logs and status have ovsdb-server's words.
 * Source.  ovsdb(7), "Active-Backup Database Service Model"; ovsdb-server(1), --sync-from. */
#include "dbserver/replication_i.h"

#define LOG_MODULE "replication"
#include "base/clock.h"
#include "base/log.h"
#include "data/rfc7047.h"
#include "wire/session_io.h"

enum replication_state { REPLICATION_CONNECTING, REPLICATION_REPLICATING };

struct replication {
    struct served *served;
    struct session_io *session;
    struct loop_timer *start, *end; /* The session begins; all of it ends. */
    enum replication_state state;
    char *remotes;
    struct strvec exclude; /* Tables. */
    int64_t probe_ms;
    bool from_config;
};

void
sync_init(struct sync *s)
{
    *s = (struct sync){ .probe_ms = REPLICATION_PROBE_MS };
}

void
sync_done(struct sync *s)
{
    free(s->from);
    strvec_done(&s->exclude);
}

/* Takes 'why'.  It cannot work: the database is active from the next turn on. */
static void
fail(struct replication *r, struct err *why)
{
    log_failure(LOG_ERR, LOG_MODULE, err_wrap(why, "database %s", r->served->name));
    loop_timer_set(r->end, 0);
}

static void
on_end(void *replication)
{
    struct replication *r = replication;
    struct dbserver *server = r->served->server;

    r->served->sync_failed = true;
    if (r->from_config) {
        replication_stop(r->served);
        return;
    }
    server->sync->backup = false;
    MAP_FOR_EACH (entry, &server->dbs) {
        struct served *s = entry->value;
        if (s->backup && !s->backup->from_config) {
            replication_stop(s);
        }
    }
}

/* False: there was no answer (the session says that, too), or the server refused: 'ret' says why. */
static bool
has_answer(const struct jsonrpc_msg *msg, struct err *e, struct err **ret)
{
    *ret = NULL;
    if (e) {
        err_free(e);
        return false;
    } else if (msg->kind == JSONRPC_ERROR) {
        *ret = rfc_parse(&msg->error);
        return false;
    }
    return true;
}

static void
take_updates(struct replication *r, const struct json *updates, bool whole)
{
    struct served *s = r->served;
    CLEANUP(free_drop)
    char *author = str_dupf("replicated from %s", session_io_remote(r->session));
    struct db_follow how = { .whole = whole, .exclude = &r->exclude };
    struct db_ctx ctx = { .wall_ms = clock_wall_ms(), .author = author };
    struct txn *txn;

    struct err *e = db_follow(s->db, updates, &how, &ctx, &txn);
    if (e) {
        fail(r, e);
        return;
    } else if (txn) {
        served_commit(s, txn, NULL);
        if (s->write_failed) { /* What we have is not what was told: all anew. */
            session_io_reconnect(r->session,
                                 err_new(ERR_IO, "%s cannot be written", s->path));
        }
        transact_rerun(s);
    }
    server_flush(s->server);
}

static void
on_content(void *replication, struct jsonrpc_msg *reply, struct err *error)
{
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = reply;
    struct replication *r = replication;
    struct err *e;

    if (!has_answer(msg, error, &e)) {
        if (e) {
            fail(r, e);
        }
        return;
    }
    log_info("Monitor request received. Resetting the database");
    r->state = REPLICATION_REPLICATING;
    take_updates(r, &msg->result, true);
}

static bool
is_excluded(const struct replication *r, const struct table_schema *t)
{
    return strvec_has(&r->exclude, t->name);
}

/* ["DB","DB",{"T":[{"columns":[...]}],...}] */
static void
ask_content(struct replication *r, const struct schema *active)
{
    CLEANUP(buf_done) struct buf params = BUF_INIT;
    bool first = true;

    buf_printf(&params, "[\"%s\",\"%s\",{", r->served->name, r->served->name);
    for (size_t i = 0; i < active->n_tables; i++) {
        const struct table_schema *t = &active->tables[i];
        if (is_excluded(r, t)) {
            continue;
        }
        buf_printf(&params, "%s\"%s\":[{\"columns\":[", first ? "" : ",", t->name);
        first = false;
        for (size_t k = N_SPECIAL_COLUMNS; k < t->n_columns; k++) {
            buf_printf(&params, "%s\"%s\"", k > N_SPECIAL_COLUMNS ? "," : "",
                       t->columns[k].name);
        }
        buf_str(&params, "]}]");
    }
    buf_str(&params, "}]");
    session_io_request_text(r->session, "monitor", buf_cstr(&params), on_content, r);
}

/* Ours must have all that the active server's has. */
static bool
fits(const struct replication *r, const struct schema *active)
{
    const struct schema *ours = db_schema(r->served->db);
    bool ok = true;

    for (size_t i = 0; i < active->n_tables; i++) {
        const struct table_schema *t = &active->tables[i];
        const struct table_schema *o = schema_find_table(ours, t->name);
        if (is_excluded(r, t)) {
            continue;
        } else if (!o) {
            log_info("Table %s not present in the local db schema", t->name);
            ok = false;
        }
        for (size_t k = N_SPECIAL_COLUMNS; o && k < t->n_columns; k++) {
            const struct column *c = schema_find_column(o, t->columns[k].name);
            if (!c || !type_eq(&c->type, &t->columns[k].type)) {
                log_info("Column %s not present in the local db schema table %s",
                         t->columns[k].name, t->name);
                ok = false;
            }
        }
    }
    return ok;
}

static void
on_schema(void *replication, struct jsonrpc_msg *reply, struct err *error)
{
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = reply;
    CLEANUP(schema_drop) struct schema *active = NULL;
    struct replication *r = replication;
    const char *name = r->served->name;
    struct err *e;

    if (has_answer(msg, error, &e)) {
        e = schema_parse(&msg->result, &active);
    } else if (!e) {
        return;
    }
    if (!e && !schema_eq(active, db_schema(r->served->db))) {
        log_info("Schema version mismatch, checking if %s can still be replicated or not.",
                 name);
        bool ok = fits(r, active);
        log_info("%s %s be replicated.", name, ok ? "can" : "cannot");
        e = ok ? NULL : err_new(ERR_CONSTRAINT, "Nothing to replicate.");
    }
    if (e) {
        fail(r, e);
    } else {
        ask_content(r, active);
    }
}

static void
on_server_id(void *replication, struct jsonrpc_msg *reply, struct err *error)
{
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = reply;
    struct replication *r = replication;
    struct uuid id;
    struct err *e;

    if (!has_answer(msg, error, &e)) {
        if (e) { /* It does not know the method: then it is not us. */
            err_free(e);
        }
    } else if (msg->result.type == JSON_STRING && uuid_parse(msg->result.string, &id) &&
               uuid_eq(&id, &r->served->server->id)) {
        fail(r, err_new(ERR_CONSTRAINT,
                        "Server ID check failed: Self replicating is not allowed"));
        return;
    }
    if (!session_io_connected(r->session)) {
        return;
    }
    CLEANUP(free_drop) char *params = str_dupf("[\"%s\"]", r->served->name);
    session_io_request_text(r->session, "get_schema", params, on_schema, r);
}

static void
on_connected(void *replication)
{
    struct replication *r = replication;

    log_info("%s: connected", session_io_remote(r->session));
    session_io_request_text(r->session, "get_server_id", "[]", on_server_id, r);
}

static void
on_disconnected(void *replication, const struct err *why)
{
    struct replication *r = replication;

    if (r->state == REPLICATION_REPLICATING) {
        log_info("%s: connection closed: %s", session_io_remote(r->session), err_text(why));
    }
    r->state = REPLICATION_CONNECTING;
}

static void
on_notification(void *replication, struct jsonrpc_msg *note)
{
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = note;
    struct replication *r = replication;

    if (r->state == REPLICATION_REPLICATING && str_eq(msg->method, "update") &&
        msg->params.n == 2 && !loop_timer_is_set(r->end)) {
        take_updates(r, &msg->params.elems[1], false);
    }
}

static const struct session_io_events replication_events = {
    .connected = on_connected,
    .disconnected = on_disconnected,
    .notification = on_notification,
};

static void
on_start(void *replication)
{
    struct replication *r = replication;
    struct dbserver *server = r->served->server;
    struct session_io_options options = { .remote = r->remotes,
                                          .probe_ms = r->probe_ms,
                                          .max_message_bytes = CLIENT_MESSAGE_BYTES,
                                          .judged = true,
                                          .tls = secure_tls(server) };

    struct err *e =
        session_io_new(server->loop, &options, &replication_events, r, &r->session);
    ASSERT(!e); /* replication_start() looked at the remotes. */
}

struct err *
replication_start(struct served *s, const char *remotes, const struct strvec *exclude,
                  int64_t probe_ms, bool from_config)
{
    CLEANUP(free_drop) char *full = NULL;

    replication_stop(s);
    TRY(remotes_resolve(remotes, &full));
    struct replication *r = NEW(struct replication);
    *r = (struct replication){
        .served = s, .remotes = TAKE(full), .probe_ms = probe_ms, .from_config = from_config
    };
    for (size_t i = 0; i < exclude->n; i++) {
        strvec_add(&r->exclude, exclude->v[i]);
    }
    r->start = loop_timer_new(s->server->loop, on_start, r);
    r->end = loop_timer_new(s->server->loop, on_end, r);
    loop_timer_set(r->start, 0); /* Keys are set after databases. */
    s->backup = r;
    s->sync_failed = false;
    return NULL;
}

void
replication_stop(struct served *s)
{
    struct replication *r = TAKE(s->backup);

    if (r) {
        session_io_free(r->session);
        loop_timer_free(r->start);
        loop_timer_free(r->end);
        strvec_done(&r->exclude);
        free(r->remotes);
        free(r);
    }
}

void
replication_set_probe(struct served *s, int64_t probe_ms)
{
    if (s->backup) {
        s->backup->probe_ms = probe_ms;
        if (s->backup->session) {
            session_io_set_probe(s->backup->session, probe_ms);
        }
    }
}

bool
replication_is_running(const struct served *s)
{
    return s->backup->state == REPLICATION_REPLICATING;
}

void
replication_status(const struct served *s, struct buf *out)
{
    const struct replication *r = s->backup;

    buf_printf(out, "database: %s\nstate: %s", s->name, r ? "backup" : "active");
    if (!r) {
        return;
    }
    bool there = replication_is_running(s);
    buf_printf(out, "\n%s: %s", there ? "replicating" : "connecting",
               r->session ? session_io_remote(r->session) : r->remotes);
    for (size_t i = 0; there && i < r->exclude.n; i++) {
        buf_printf(out, "%s%s:%s", i ? "," : "\nexclude: ", s->name, r->exclude.v[i]);
    }
}

struct err *
replication_apply(struct served *s)
{
    const struct sync *sync = s->server->sync;
    CLEANUP(strvec_done) struct strvec tables = STRVEC_INIT;
    size_t n = strlen(s->name);

    if (s->relay || !s->journal || (s->backup && s->backup->from_config)) {
        return NULL;
    } else if (!sync->backup) {
        replication_stop(s);
        return NULL;
    }
    for (size_t i = 0; i < sync->exclude.n; i++) {
        const char *name = sync->exclude.v[i];
        if (strncmp(name, s->name, n) == 0 && name[n] == ':') {
            strvec_add(&tables, name + n + 1);
        }
    }
    return replication_start(s, sync->from, &tables, sync->probe_ms, false);
}

struct err *
replication_apply_all(struct dbserver *server)
{
    MAP_FOR_EACH (entry, &server->dbs) {
        TRY(replication_apply(entry->value));
    }
    return NULL;
}
