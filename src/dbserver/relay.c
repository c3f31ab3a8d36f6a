/* dbserver/relay.c: following another server's database.
 *
 *     OFFLINE --connected--> SCHEMA ----------------------> MONITOR --content--> READY
 *        ^                      \__ PROBING, after a break __/                     |
 *        |______________________________lost____________________________________   |
 *                                SCHEMA <--the source's monitor was canceled______\|
 *
 * What the source's monitor tells is applied as a difference (db/follow.c), whether it is what we
 * missed or all that there is: our own clients keep their connections and their monitors over any
 * break.  Only another schema is another database: it is loaded beside the old one and then takes
 * its place, and clients are told as for a "convert" here.
 *
 * States have the source's names, so that a client may change from one relay of a source to another
 * and hear only what it missed.
 *
 * No way back.  A member of a cluster, or another relay, may be behind what we have seen.  The
 * index in its _Server must not be smaller than ours; and a source that does not know our state is
 * asked again until it has caught up, or RELAY_CATCH_UP_MS are over: then the others are asked, and
 * if none of them knows it, it is forgotten everywhere and what there is is taken.
 *
 * Not followed: _version, which is each server's own.
 * Source.  ovsdb(7), "Relay Service Model"; ovsdb-server(7) 4.1.14 for monitor_cond_since. */
#include "dbserver/relay_i.h"

#include <malloc.h>

#define LOG_MODULE "relay"
#include "base/log.h"
#include "data/rfc7047.h"

#define TRIM_BYTES ((size_t) (64 * MIB)) /* Of updates: worth giving memory back. */

/* The methods that a source may know, best first; from a server that knows none of _Server, none but
 * the last. */
static const struct dialect {
    const char *method;
    bool since; /* Has a last parameter, and a reply [found, id, updates]. */
} dialects[] = {
    { "monitor_cond_since", true },
    { "monitor_cond", false },
    { "monitor", false },
};

static void ask_schema(struct relay *);
static void ask_content(struct relay *);
static session_reply_fn on_same_schema;
static void request_schema(struct relay *, session_reply_fn *);

/* Takes 'why'.  The source broke the rules, or is not one that we may follow. */
static void
give_up(struct relay *r, struct err *why)
{
    session_io_reconnect(r->session, why);
}

/* Takes 'e': there was no answer, but the session says that, too. */
static bool
no_answer(struct err *e)
{
    err_free(e);
    return e != NULL;
}

/* Content. */

/* Another database takes the place of what was served so far, if anything was. */
static void
swap(struct relay *r)
{
    struct served *s = r->served;
    struct db *old = s->db;

    monitors_cancel(s);
    transact_cancel_all(s);
    s->db = TAKE(r->next);
    db_free(old);
    forward_answer_converts(s, false);
    self_update(s->server, s);
    server_flush(s->server);
    server_drop_unaware(s->server,
                        old ? "a database was converted" : "a database got its schema");
}

/* Makes 'updates' part of the content, and 'id' (zero: none) its name. */
static struct err *
take_updates(struct relay *r, const struct json *updates, bool whole, const struct uuid *id)
{
    struct served *s = r->served;
    struct db *db = r->next ? r->next : s->db;
    struct db_follow how = { .whole = whole };
    struct txn *txn;

    TRY(db_follow(db, updates, &how, NULL, &txn));
    bool named = !uuid_is_zero(id);
    if (txn) {
        if (named) {
            db_txn_set_id(txn, id);
        }
        db_txn_commit(txn, monitors_deliver, NULL);
        monitors_delivered(s->server);
    }
    if (named) {
        db_set_last_id(db, id);
    }
    r->last_id = *id;
    if (r->next) {
        swap(r);
    }
    transact_rerun(s);
    dbremotes_changed(s->server);
    return NULL;
}

void
relay_trim(struct relay *r)
{
    if (r->n_bytes_since_trim >= TRIM_BYTES) {
        r->n_bytes_since_trim = 0;
        malloc_trim(0);
    }
}

static void
ready(struct relay *r)
{
    struct served *s = r->served;

    r->phase = RELAY_READY;
    r->patient = true;
    r->catch_up_until_ms = 0;
    r->n_behind = 0;
    loop_timer_clear(r->patience);
    relay_note_index(r);
    session_io_settled(r->session);
    free(TAKE(r->last_why));
    log_info("%s: following %s", s->name, session_io_remote(r->session));
    self_update(s->server, s);
    forward_answer_converts(s, false);
    forward_flush(s);
    relay_trim(r);
    server_flush(s->server);
}

/* [found, id, updates], or updates alone. */
static struct err *
read_content(struct relay *r, const struct json *result)
{
    struct uuid id = { { 0 } };
    bool whole = true;

    if (dialects[r->dialect].since) {
        if (result->type != JSON_ARRAY || result->n != 3 ||
            !json_is_bool(&result->elems[0]) || result->elems[1].type != JSON_STRING ||
            !uuid_parse(result->elems[1].string, &id)) {
            return err_new(ERR_SYNTAX,
                           "the answer to monitor_cond_since has another shape");
        }
        whole = result->elems[0].type == JSON_FALSE;
        result = &result->elems[2];
    }
    return take_updates(r, result, whole, &id);
}

/* Takes 'e'.  What we have and what the source tells do not fit: all anew. */
static void
content_failed(struct relay *r, struct err *e)
{
    r->last_id = (struct uuid){ { 0 } };
    db_free(TAKE(r->next));
    give_up(r,
            err_wrap(e, "%s: database %s", session_io_remote(r->session), r->served->name));
}

static void
on_content(void *relay, struct jsonrpc_msg *reply, struct err *e)
{
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = reply;
    struct relay *r = relay;

    if (no_answer(e)) {
        return;
    } else if (msg->kind == JSONRPC_ERROR && r->dialect + 1 < N_ELEMS(dialects)) {
        r->dialect++; /* Perhaps it knows another. */
        ask_content(r);
        return;
    } else if (msg->kind == JSONRPC_ERROR) {
        content_failed(r, rfc_parse(&msg->error));
        return;
    }
    r->n_bytes_since_trim += msg->n_bytes;
    e = read_content(r, &msg->result);
    if (e) {
        content_failed(r, e);
    } else {
        ready(r);
    }
}

/* {"T":[{"columns":[...]}],...}: everything but _uuid, which comes anyway, and _version. */
static void
print_requests(const struct schema *schema, struct buf *out)
{
    for (size_t i = 0; i < schema->n_tables; i++) {
        const struct table_schema *t = &schema->tables[i];
        buf_printf(out, "%s\"%s\":[{\"columns\":[", i ? "," : "{", t->name);
        for (size_t k = N_SPECIAL_COLUMNS; k < t->n_columns; k++) {
            buf_printf(out, "%s\"%s\"", k > N_SPECIAL_COLUMNS ? "," : "",
                       t->columns[k].name);
        }
        buf_str(out, "]}]");
    }
    buf_str(out, schema->n_tables ? "}" : "{}");
}

/* ["DB","byre-relay-5", */
static void
begin_monitor(struct relay *r, struct buf *params)
{
    r->monitor_no++;
    buf_printf(params, "[\"%s\",\"byre-relay-%" PRId64 "\",", r->served->name,
               r->monitor_no);
}

static void
ask_content(struct relay *r)
{
    CLEANUP(buf_done) struct buf params = BUF_INIT;
    const struct dialect *d = &dialects[r->dialect];

    r->phase = RELAY_MONITOR;
    begin_monitor(r, &params);
    print_requests(db_schema(r->next ? r->next : r->served->db), &params);
    if (d->since) {
        struct uuid none = { { 0 } };
        buf_printf(&params, ",\"%s\"", UUID_TEXT(r->next ? &none : &r->last_id));
    }
    buf_char(&params, ']');
    session_io_request_text(r->session, d->method, buf_cstr(&params), on_content, r);
    request_schema(r, on_same_schema);
}

/* Does the source know our state? */

static void
cancel_monitor(struct relay *r)
{
    CLEANUP(free_drop) char *id = str_dupf("[\"byre-relay-%" PRId64 "\"]", r->monitor_no);
    session_io_request_text(r->session, "monitor_cancel", id, NULL, NULL);
}

static unsigned
n_remotes(const struct relay *r)
{
    unsigned n = 1;
    for (const char *p = r->remotes; *p; p++) {
        n += *p == ',';
    }
    return n;
}

static void
on_probe(void *relay, struct jsonrpc_msg *reply, struct err *e)
{
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = reply;
    struct relay *r = relay;

    if (no_answer(e)) {
        return;
    }
    const struct json *result = &msg->result;
    bool found = msg->kind == JSONRPC_REPLY && result->type == JSON_ARRAY && result->n &&
                 result->elems[0].type == JSON_TRUE;
    if (msg->kind == JSONRPC_REPLY) {
        cancel_monitor(r);
    }
    bool late = loop_now_ms(r->served->server->loop) >= r->catch_up_until_ms;
    if (late && !found && ++r->n_behind < n_remotes(r)) {
        give_up(r,
                err_new(ERR_BUSY, "%s: does not know the state of database %s that we have",
                        session_io_remote(r->session), r->served->name));
    } else if (found || late || msg->kind == JSONRPC_ERROR) { /* Late: nobody knows it. */
        ask_content(r);
    } else {
        loop_timer_set(r->again, RELAY_ASK_AGAIN_MS);
    }
}

/* A monitor that shows nothing costs nothing. */
static void
ask_probe(void *relay)
{
    struct relay *r = relay;
    CLEANUP(buf_done) struct buf params = BUF_INIT;
    const struct schema *schema = db_schema(r->served->db);

    if (!session_io_connected(r->session)) {
        return;
    }
    r->phase = RELAY_PROBING;
    begin_monitor(r, &params);
    buf_printf(&params, "{\"%s\":[{\"columns\":[\"%s\"],\"where\":[false]}]},\"%s\"]",
               schema->tables[0].name, schema->tables[0].columns[N_SPECIAL_COLUMNS].name,
               UUID_TEXT(&r->last_id));
    session_io_request_text(r->session, "monitor_cond_since", buf_cstr(&params), on_probe,
                            r);
}

/* Schema. */

static struct err *
take_schema(struct relay *r, const struct json *json)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    struct served *s = r->served;

    TRY(schema_parse(json, &schema));
    if (!str_eq(schema->name, s->name)) {
        return err_new(ERR_CONSTRAINT, "the schema's name is %s", schema->name);
    }
    db_free(TAKE(r->next));
    if (!s->db || !schema_eq(schema, db_schema(s->db))) {
        r->next = db_new(schema);
    }
    return NULL;
}

static void
on_schema(void *relay, struct jsonrpc_msg *reply, struct err *e)
{
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = reply;
    struct relay *r = relay;

    if (no_answer(e)) {
        return;
    }
    e = relay_judge_source(r); /* _Server's answer came before. */
    if (!e) {
        e = msg->kind == JSONRPC_ERROR ? rfc_parse(&msg->error)
                                       : take_schema(r, &msg->result);
        e = err_wrap(e, "%s: database %s", session_io_remote(r->session), r->served->name);
    }
    if (e) {
        give_up(r, e);
        return;
    }
    const struct schema *schema = r->served->db ? db_schema(r->served->db) : NULL;
    if (!r->next && schema->n_tables && !uuid_is_zero(&r->last_id) && r->source.known &&
        !r->source.alone && r->catch_up_until_ms) {
        ask_probe(r);
    } else {
        ask_content(r);
    }
}

static void
request_schema(struct relay *r, session_reply_fn *done)
{
    CLEANUP(free_drop) char *params = str_dupf("[\"%s\"]", r->served->name);
    session_io_request_text(r->session, "get_schema", params, done, r);
}

static void
ask_schema(struct relay *r)
{
    r->phase = RELAY_SCHEMA;
    request_schema(r, on_schema);
}

/* Asked behind the monitor: a source that was converted after it had told its schema and before it made
 * the monitor cancels nothing, and the columns of the old schema may be in the new one, too. */
static void
on_same_schema(void *relay, struct jsonrpc_msg *reply, struct err *e)
{
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = reply;
    CLEANUP(schema_drop) struct schema *schema = NULL;
    struct relay *r = relay;

    if (no_answer(e) || r->phase != RELAY_READY || msg->kind == JSONRPC_ERROR) {
        return; /* Or there was no content; or the monitor's end has told already. */
    }
    e = schema_parse(&msg->result, &schema);
    if (e || !schema_eq(schema, db_schema(r->served->db))) {
        err_free(e);
        r->n_cancels++;
        relay_resync(r);
    }
}

void
relay_resync(struct relay *r)
{
    if (r->phase == RELAY_READY && session_io_connected(r->session)) {
        cancel_monitor(r);
        ask_schema(r);
    }
}

/* Events of the session. */

static void
on_connected(void *relay)
{
    struct relay *r = relay;

    r->dialect = 0;
    r->catch_up_until_ms = loop_now_ms(r->served->server->loop) + RELAY_CATCH_UP_MS;
    relay_ask_self(r);
    ask_schema(r);
}

static void
on_patience_over(void *relay)
{
    struct relay *r = relay;

    r->patient = false;
    log_warn("%s: no source for %d s: told to clients as not connected", r->served->name,
             RELAY_PATIENCE_MS / 1000);
    self_update(r->served->server, r->served);
    server_flush(r->served->server);
}

static void
on_disconnected(void *relay, const struct err *why)
{
    struct relay *r = relay;
    struct served *s = r->served;

    if (!r->last_why || !str_eq(r->last_why, err_text(why))) {
        log_info("%s: the source is lost: %s", s->name, err_text(why));
        free(r->last_why);
        r->last_why = str_dup(err_text(why));
    }
    if (r->patient && !loop_timer_is_set(r->patience)) {
        loop_timer_set(r->patience, RELAY_PATIENCE_MS);
    }
    r->phase = RELAY_OFFLINE;
    loop_timer_clear(r->again);
    db_free(TAKE(r->next));
    forward_answer_converts(s, true);
    forward_flush(s);
    server_flush(s->server);
}

static void
on_update(struct relay *r, const struct jsonrpc_msg *msg)
{
    CLEANUP(free_drop) char *ours = str_dupf("byre-relay-%" PRId64, r->monitor_no);
    const struct json *params = &msg->params;
    bool since = str_eq(msg->method, "update3");
    struct uuid id = { { 0 } };

    if (params->n < 2 || params->elems[0].type != JSON_STRING) {
        return;
    } else if (str_eq(params->elems[0].string, RELAY_SELF_MONITOR)) {
        relay_read_source(r, &params->elems[1]);
        struct err *e = r->phase == RELAY_READY ? relay_judge_source(r) : NULL;
        if (e) {
            give_up(r, e);
        } else if (r->phase == RELAY_READY) {
            relay_note_index(r);
        }
        return;
    } else if (!str_eq(params->elems[0].string, ours) || r->phase != RELAY_READY) {
        return; /* Of a monitor that we gave up. */
    }
    struct err *e = NULL;
    if (since && (params->n != 3 || params->elems[1].type != JSON_STRING ||
                  !uuid_parse(params->elems[1].string, &id))) {
        e = err_new(ERR_SYNTAX, "an update3 of another shape");
    }
    r->n_bytes_since_trim += msg->n_bytes;
    if (!e) {
        e = take_updates(r, &params->elems[params->n - 1], false, &id);
    }
    if (e) {
        content_failed(r, e);
    }
}

static void
on_notification(void *relay, struct jsonrpc_msg *note)
{
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = note;
    CLEANUP(free_drop) char *ours = NULL;
    struct relay *r = relay;

    log_write(LOG_DBG, "jsonrpc", "%s: received notification, method=\"%s\"",
              session_io_remote(r->session), msg->method);
    if (str_starts(msg->method, "update")) {
        on_update(r, msg);
    } else if (str_eq(msg->method, "monitor_canceled") && msg->params.n == 1 &&
               msg->params.elems[0].type == JSON_STRING) {
        ours = str_dupf("byre-relay-%" PRId64, r->monitor_no);
        if (str_eq(msg->params.elems[0].string, ours) && r->phase == RELAY_READY) {
            log_info("%s: the source's database was converted or removed", r->served->name);
            r->n_cancels++;
            ask_schema(r);
        }
    }
    server_flush(r->served->server);
}

static const struct session_io_events relay_events = {
    .connected = on_connected,
    .disconnected = on_disconnected,
    .notification = on_notification,
};

static void
on_start(void *relay)
{
    struct relay *r = relay;
    struct dbserver *server = r->served->server;
    struct session_io_options options = { .remote = r->remotes,
                                          .probe_ms = server->relay_probe_ms,
                                          .max_message_bytes = CLIENT_MESSAGE_BYTES,
                                          .judged = true,
                                          .tls = secure_tls(server) };
    struct err *e = session_io_new(server->loop, &options, &relay_events, r, &r->session);

    ASSERT(!e); /* relay_new() looked at the remotes. */
}

void
relay_set_probe(struct relay *r, int64_t probe_ms)
{
    if (r->session) {
        session_io_set_probe(r->session, probe_ms);
    }
}

bool
relay_is_ready(const struct relay *r)
{
    return r->phase == RELAY_READY && session_io_connected(r->session);
}

bool
relay_is_connected(const struct relay *r)
{
    return r->phase == RELAY_READY || r->patient;
}

struct err *
relay_new(struct dbserver *server, const char *name, const char *remotes, bool leader_only,
          struct served **ret)
{
    CLEANUP(free_drop) char *full = NULL;

    TRY(remotes_resolve(remotes, &full));
    struct relay *r = NEW(struct relay);
    *r = (struct relay){ .remotes = TAKE(full), .leader_only = leader_only };
    r->served = served_new_relay(server, name, r);
    r->served->path = str_dupf("relay:%s:%s", name, remotes);
    r->start = loop_timer_new(server->loop, on_start, r);
    r->patience = loop_timer_new(server->loop, on_patience_over, r);
    r->again = loop_timer_new(server->loop, ask_probe, r);
    loop_timer_set(r->start, 0);
    *ret = r->served;
    return NULL;
}

void
relay_free(struct relay *r)
{
    if (r) {
        session_io_free(r->session);
        loop_timer_free(r->start);
        loop_timer_free(r->patience);
        loop_timer_free(r->again);
        db_free(r->next);
        free(r->remotes);
        free(r->last_why);
        free(r);
    }
}
