/* replica/replica.c: the life of a replica: connect, schema, monitor, updates, and again.
 *
 *     OFFLINE --connected--> SCHEMA --get_schema--> MONITOR --monitor_cond--> READY
 *        ^                      \______refused________|__________> FAILED --later--> SCHEMA
 *        \______________________________lost___________________________________________/
 *
 * A new replica_watch() goes back to MONITOR: the whole is monitored anew under another id, and
 * what the old monitor still sends is ignored. */
#include "replica/replica_i.h"

#include "data/rfc7047.h"
#include "loop/loop.h"
#include "wire/session_io.h"

#define RETRY_MS 2000 /* After the server refused. */

static const struct replica_events no_events;

void
replica_hold(struct replica *r)
{
    r->n_holds++;
}

static void
watch_free(struct watch *w)
{
    strvec_done(&w->columns);
    free(w->where);
    free(w);
}

void
replica_let_go(struct replica *r)
{
    if (--r->n_holds > 0 || !r->freed) {
        return;
    }
    tables_free(r);
    schema_unref(r->schema);
    MAP_FOR_EACH (entry, &r->watches) {
        watch_free(entry->value);
    }
    map_done(&r->watches);
    err_free(r->last_error);
    free(r->database);
    free(r);
}

struct err *
replica_err_dup(const struct err *e)
{
    struct err *copy = err_tag(err_new(err_kind(e), "%s", err_text(e)), err_code(e));
    return err_next(e) ? err_hint(copy, "%s", err_next(e)) : copy;
}

/* Takes 'e'.  The server refused something: later again. */
static void
refused(struct replica *r, struct err *e)
{
    r->phase = PHASE_FAILED;
    err_free(r->last_error);
    r->last_error = e;
    if (r->events->disconnected) {
        r->events->disconnected(r->aux, e);
    }
    if (!r->once && !r->freed) {
        loop_timer_set(r->later, RETRY_MS);
    }
}

static struct err *
reply_error(const struct jsonrpc_msg *reply)
{
    return reply->kind == JSONRPC_ERROR ? rfc_parse(&reply->error) : NULL;
}

/* Monitoring. */

/* {table: [{"columns": [...], "where": [...]}]} */
static void
print_monitor_requests(const struct replica *r, struct buf *out)
{
    bool first = true;
    buf_char(out, '{');
    MAP_FOR_EACH (entry, &r->tables) {
        const struct replica_table *t = entry->value;
        const struct watch *w = map_get(&r->watches, entry->key);
        buf_str(out, first ? "" : ",");
        first = false;
        json_print_string(entry->key, strlen(entry->key), out);
        buf_str(out, ":[{\"columns\":[");
        for (size_t i = 0; i < t->n_watched; i++) {
            buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", t->watched[i]->name);
        }
        buf_char(out, ']');
        if (w->where && !r->plain_monitor) {
            buf_printf(out, ",\"where\":%s", w->where);
        }
        buf_str(out, "}]");
    }
    buf_char(out, '}');
}

static void
ready(struct replica *r)
{
    r->phase = PHASE_READY;
    err_free(TAKE(r->last_error));
    if (r->events->ready) {
        r->events->ready(r->aux);
    }
}

static void send_monitor(struct replica *);

static void
on_monitor_reply(void *r_, struct jsonrpc_msg *reply, struct err *e)
{
    struct replica *r = r_;
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = reply;
    CLEANUP(err_drop) struct err *lost = e; /* The session tells of that. */
    if (--r->n_monitors > 0 || lost || r->phase != PHASE_MONITOR ||
        loop_timer_is_set(r->later)) {
        return;
    }
    e = reply_error(msg);
    if (e && !r->plain_monitor && json_is(&msg->error, JSON_STRING)) {
        err_free(e); /* "unknown method": an old server. */
        r->plain_monitor = true;
        send_monitor(r);
        return;
    }
    replica_hold(r);
    if (!e) {
        struct batch b;
        batch_init(&b, r);
        e = batch_sync(&b, &msg->result);
        batch_finish(&b);
    }
    if (r->freed) {
        err_free(e);
    } else if (e) {
        refused(r, err_wrap(e, "monitor"));
    } else if (r->phase == PHASE_MONITOR && !loop_timer_is_set(r->later)) {
        ready(r);
    }
    replica_let_go(r);
}

static void
send_monitor(struct replica *r)
{
    CLEANUP(buf_done) struct buf params = BUF_INIT;
    if (map_count(&r->tables) == 0) { /* Nothing is watched: all of that is there. */
        ready(r);
        return;
    }
    if (r->monitor_id > 0) {
        buf_printf(&params, "[%" PRId64 "]", r->monitor_id);
        session_io_request_text(r->session, "monitor_cancel", buf_cstr(&params), NULL,
                                NULL);
        buf_clear(&params);
    }
    buf_char(&params, '[');
    json_print_string(r->database, strlen(r->database), &params);
    buf_printf(&params, ",%" PRId64 ",", ++r->monitor_id);
    print_monitor_requests(r, &params);
    buf_char(&params, ']');
    r->n_monitors++;
    session_io_request_text(r->session, r->plain_monitor ? "monitor" : "monitor_cond",
                            buf_cstr(&params), on_monitor_reply, r);
}

/* Reports all rows as deleted and forgets the tables. */
static void
clear_tables(struct replica *r)
{
    struct batch b;
    batch_init(&b, r);
    MAP_FOR_EACH (entry, &r->tables) {
        batch_clear(&b, entry->value);
    }
    batch_finish(&b);
    if (!r->freed) {
        tables_free(r);
    }
}

static void
start_monitor(struct replica *r)
{
    r->phase = PHASE_MONITOR;
    loop_timer_clear(r->later);
    if (tables_must_go(r)) {
        clear_tables(r);
    }
    if (!r->freed) {
        tables_update(r);
        send_monitor(r);
    }
}

/* The schema. */

/* Takes 'schema'. */
static void
take_schema(struct replica *r, struct schema *schema)
{
    if (r->schema && schema_eq(r->schema, schema)) {
        schema_unref(schema);
    } else {
        clear_tables(r);
        if (r->freed) {
            schema_unref(schema);
            return;
        }
        schema_unref(r->schema);
        r->schema = schema;
    }
    if (r->events->schema) {
        r->events->schema(r->aux, r->schema);
    }
}

static void
on_schema_reply(void *r_, struct jsonrpc_msg *reply, struct err *e)
{
    struct replica *r = r_;
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = reply;
    CLEANUP(err_drop) struct err *lost = e; /* The session tells of that. */
    if (lost || r->phase != PHASE_SCHEMA) {
        return;
    }
    struct schema *schema = NULL;
    e = reply_error(msg);
    if (!e) {
        e = schema_parse(&msg->result, &schema);
    }
    replica_hold(r);
    if (e) {
        refused(r, err_wrap(e, "database %s", r->database));
    } else {
        take_schema(r, schema);
        if (!r->freed) {
            start_monitor(r);
        }
    }
    replica_let_go(r);
}

static void
send_get_schema(struct replica *r)
{
    CLEANUP(buf_done) struct buf params = BUF_INIT;
    r->phase = PHASE_SCHEMA;
    buf_char(&params, '[');
    json_print_string(r->database, strlen(r->database), &params);
    buf_char(&params, ']');
    session_io_request_text(r->session, "get_schema", buf_cstr(&params), on_schema_reply,
                            r);
}

/* Events of the session. */

static void
on_connected(void *r_)
{
    struct replica *r = r_;
    r->monitor_id = 0;
    r->plain_monitor = false;
    send_get_schema(r);
}

static void
on_disconnected(void *r_, const struct err *why)
{
    struct replica *r = r_;
    r->phase = PHASE_OFFLINE;
    loop_timer_clear(r->later);
    err_free(r->last_error);
    r->last_error = replica_err_dup(why);
    if (r->events->disconnected) {
        r->events->disconnected(r->aux, why);
    }
}

/* "update" [id, updates] and "update2" alike. */
static void
on_notification(void *r_, struct jsonrpc_msg *msg_)
{
    struct replica *r = r_;
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = msg_;
    if (!str_starts(msg->method, "update") || msg->params.n < 2 ||
        r->phase != PHASE_READY || !json_is(&msg->params.elems[0], JSON_INTEGER) ||
        msg->params.elems[0].integer != r->monitor_id) {
        return;
    }
    replica_hold(r);
    struct batch b;
    batch_init(&b, r);
    struct err *e = batch_updates(&b, &msg->params.elems[1]);
    batch_finish(&b);
    if (e && !r->freed) { /* What we have may be wrong: begin again. */
        session_io_reconnect(r->session, e);
    } else {
        err_free(e);
    }
    replica_let_go(r);
}

static const struct session_io_events session_events = { on_connected, on_disconnected,
                                                         on_notification };

/* What is due later: a monitor for new watches, or another try. */
static void
on_later(void *r_)
{
    struct replica *r = r_;
    replica_hold(r);
    if (r->phase == PHASE_MONITOR) {
        start_monitor(r);
    } else if (r->phase == PHASE_FAILED) {
        send_get_schema(r);
    }
    replica_let_go(r);
}

/* Public. */

struct err *
replica_new(struct loop *loop, const struct replica_options *options,
            const struct replica_events *events, void *aux, struct replica **ret)
{
    struct replica *r = NEW(struct replica);
    r->loop = loop;
    r->events = events ? events : &no_events;
    r->aux = aux;
    r->database = str_dup(options->database ? options->database : "vmmgr");
    r->once = options->once;
    r->later = loop_timer_new(loop, on_later, r);
    struct session_io_options session = { .remote = options->remote,
                                          .probe_ms = options->probe_ms,
                                          .once = options->once };
    struct err *e = session_io_new(loop, &session, &session_events, r, &r->session);
    if (e) {
        replica_free(r);
        return e;
    }
    *ret = r;
    return NULL;
}

void
replica_free(struct replica *r)
{
    if (r) {
        replica_hold(r);
        r->freed = true;
        session_io_free(TAKE(r->session));
        loop_timer_free(r->later);
        replica_let_go(r);
    }
}

void
replica_drop(struct replica **r)
{
    replica_free(*r);
    *r = NULL;
}

void
replica_watch(struct replica *r, const char *table, const char *const *columns,
              const struct json *where, const struct row_class *class)
{
    struct watch *w = NEW(struct watch);
    w->some_columns = columns != NULL;
    for (; columns && *columns; columns++) {
        strvec_add(&w->columns, *columns);
    }
    w->where = where ? json_text(where, 0) : NULL;
    w->class = class;
    struct watch *replaced = map_put(&r->watches, table, w);
    if (replaced) {
        watch_free(replaced);
    }
    if (r->phase == PHASE_READY || r->phase == PHASE_MONITOR) {
        r->phase = PHASE_MONITOR;
        loop_timer_set(r->later, 0); /* Once for all watches of this turn. */
    }
}

bool
replica_is_connected(const struct replica *r)
{
    return session_io_connected(r->session);
}

bool
replica_is_ready(const struct replica *r)
{
    return r->phase == PHASE_READY;
}

const struct schema *
replica_schema(const struct replica *r)
{
    return r->schema;
}

const char *
replica_database(const struct replica *r)
{
    return r->database;
}

const char *
replica_remote(const struct replica *r)
{
    return session_io_remote(r->session);
}

struct session_io *
replica_session(struct replica *r)
{
    return r->session;
}

struct loop *
replica_loop(struct replica *r)
{
    return r->loop;
}

struct replica_table *
replica_table(const struct replica *r, const char *name)
{
    return map_get(&r->tables, name);
}

struct replica_row *
replica_row(const struct replica_table *t, const struct uuid *uuid)
{
    HMAP_FOR_EACH_HASH (struct replica_row, row, node, uuid_hash(uuid), &t->rows) {
        if (uuid_eq(&row->uuid, uuid)) {
            return row;
        }
    }
    return NULL;
}

struct replica_row *
replica_find(const struct replica *r, const char *table, const struct uuid *uuid)
{
    const struct replica_table *t = replica_table(r, table);
    return t ? replica_row(t, uuid) : NULL;
}

const struct datum *
replica_value(const struct replica_row *row, const char *name)
{
    const struct column *column = schema_find_column(row->table->schema, name);
    return column ? &row->columns[column->index] : NULL;
}

bool
replica_changed(const struct replica_change *c, const char *name)
{
    const struct column *column = schema_find_column(c->row->table->schema, name);
    return column && replica_has_changed(c, column);
}
