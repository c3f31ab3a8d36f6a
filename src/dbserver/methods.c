/* dbserver/methods.c: the methods of RFC 7047 section 4 as one table.
 * Error texts are ovsdb-server's: some are bare strings, the others <error> objects. */
#define LOG_MODULE "dbserver"
#include "base/log.h"
#include "base/str.h"
#include "data/rfc7047.h"
#include "dbserver/relay_i.h"

/* What a method works on.  It answers with one of the reply_* functions, once; or takes
 * 'msg' away (TAKE()) and answers later. */
struct call {
    struct peer *peer;
    struct jsonrpc_msg *msg;
    const struct json *params; /* An array. */
    struct served *served;     /* Of methods with a database; else NULL. */
};

static void
reply_json(struct call *c, const char *result)
{
    struct buf out = BUF_INIT;

    jsonrpc_begin_reply(&out, &c->msg->id);
    buf_str(&out, result);
    jsonrpc_end_reply(&out);
    peer_queue(c->peer, OUT_REPLY, c->served, &out, NULL, "");
}

static void
reply_error_json(struct call *c, const char *error)
{
    struct buf out = BUF_INIT;

    buf_str(&out, "{\"id\":");
    json_print(&c->msg->id, JSON_15G, &out);
    buf_printf(&out, ",\"error\":%s}", error);
    peer_queue(c->peer, OUT_REPLY, c->served, &out, NULL, "");
}

/* 'text' is a literal that needs no escapes. */
static void
reply_error_text(struct call *c, const char *text)
{
    CLEANUP(free_drop) char *quoted = str_dupf("\"%s\"", text);
    reply_error_json(c, quoted);
}

/* Takes 'e'. */
static void
reply_err(struct call *c, struct err *e)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    rfc_print(e, &text);
    err_free(e);
    reply_error_json(c, buf_cstr(&text));
}

static void
do_list_dbs(struct call *c)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;

    MAP_FOR_EACH (entry, &c->peer->server->dbs) {
        buf_char(&out, out.n ? ',' : '[');
        json_print_string(entry->key, strlen(entry->key), &out);
    }
    buf_char(&out, ']');
    reply_json(c, buf_cstr(&out));
}

static void
do_get_schema(struct call *c)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;

    schema_print(db_schema(c->served->db), &out);
    reply_json(c, buf_cstr(&out));
}

/* Has the client another request with this id that waits?  Then this one is refused. */
static bool
refuse_duplicate(struct call *c)
{
    bool found = transact_find(c->peer, &c->msg->id) != NULL;
    if (found) {
        reply_err(c, rfc_syntax(c->params, "%s: duplicate request ID", c->msg->method));
    }
    return found;
}

static void
do_transact(struct call *c)
{
    if (!refuse_duplicate(c)) {
        transact_run(c->peer, c->served, TAKE(c->msg));
    }
}

/* The text that tells monitor ids apart: equal ids, equal texts. */
static char *
monitor_id(const struct json *id)
{
    return json_text(id, JSON_SORTED | JSON_15G);
}

static void
set_head(struct peer_monitor *m)
{
    static const char *const names[] = { "update", "update2", "update3" };
    enum monitor_version version = monitor_version(m->monitor);

    buf_clear(&m->head);
    buf_printf(&m->head, "{\"id\":null,\"method\":\"%s\",\"params\":[%s,", names[version],
               m->id);
}

static struct err *
parse_since(const struct json *last, struct uuid *ret)
{
    if (last->type != JSON_STRING) {
        return rfc_syntax(last, "last-txn-id must be string");
    } else if (!uuid_parse(last->string, ret)) {
        return rfc_syntax(last, "last-txn-id must be UUID format.");
    }
    return NULL;
}

/* "monitor", "monitor_cond", "monitor_cond_since": params[1] is the id, params[2] the
 * requests. */
static void
start_monitor(struct call *c, enum monitor_version version)
{
    const struct json *params = c->params;
    size_t want = version == MONITOR_V3 ? 4 : 3;

    if (params->n < want || (version != MONITOR_V1 && params->n != want)) {
        reply_err(c, rfc_syntax(params, "invalid parameters"));
        return;
    }
    const struct json *requests = &params->elems[2];
    CLEANUP(free_drop) char *id = monitor_id(&params->elems[1]);
    if (requests->type != JSON_OBJECT) {
        reply_err(c, rfc_syntax(requests, "monitor-requests must be object"));
        return;
    } else if (peer_monitor_find(c->peer, id)) {
        reply_err(c, rfc_syntax(&params->elems[1], "duplicate monitor ID"));
        return;
    }
    if (c->peer->n_monitors >= PEER_MONITORS_MAX) {
        reply_err(c, rfc_err(RFC_NOT_ALLOWED, "a client has at most %d monitors",
                             PEER_MONITORS_MAX));
        return;
    }
    struct peer_monitor *m = NEW(struct peer_monitor);
    struct uuid since;
    struct err *e = monitor_new(c->served->db, requests, version, m, &m->monitor);
    if (!e && version == MONITOR_V3) {
        e = parse_since(&params->elems[3], &since);
    }
    if (e) {
        monitor_free(m->monitor);
        free(m);
        reply_err(c, e);
        return;
    }
    m->peer = c->peer;
    m->served = c->served;
    m->id = TAKE(id);
    c->peer->n_monitors++;
    list_push_back(&c->peer->monitors, &m->in_peer);
    list_push_back(&c->served->monitors, &m->in_served);
    set_head(m);

    struct buf head = BUF_INIT;
    struct bytes_vec rows = { VEC_INIT };
    struct bytes *missed = NULL;
    jsonrpc_begin_reply(&head, &c->msg->id);
    if (version == MONITOR_V3) {
        missed = monitor_since(m->monitor, &since);
        buf_printf(&head, "[%s,\"%s\",", missed ? "true" : "false",
                   UUID_TEXT(db_last_id(c->served->db)));
    }
    if (missed) {
        *VEC_ADD(&rows.v) = missed;
    } else {
        monitor_initial_pieces(m->monitor, &rows);
    }
    peer_queue_pieces(c->peer, OUT_REPLY, c->served, &head, &rows,
                      version == MONITOR_V3 ? "],\"error\":null}" : ",\"error\":null}");
}

static void
do_monitor(struct call *c)
{
    start_monitor(c, MONITOR_V1);
}

static void
do_monitor_cond(struct call *c)
{
    start_monitor(c, MONITOR_V2);
}

static void
do_monitor_cond_since(struct call *c)
{
    start_monitor(c, MONITOR_V3);
}

static void
do_monitor_cond_change(struct call *c)
{
    const struct json *params = c->params;

    if (params->n != 3) {
        reply_err(c, rfc_syntax(params, "invalid parameters"));
        return;
    }
    CLEANUP(free_drop) char *old_id = monitor_id(&params->elems[0]);
    CLEANUP(free_drop) char *new_id = monitor_id(&params->elems[1]);
    struct peer_monitor *m = peer_monitor_find(c->peer, old_id);
    if (!m) {
        reply_err(c, rfc_syntax(&params->elems[0], "unknown monitor session"));
        return;
    } else if (!str_eq(old_id, new_id) && peer_monitor_find(c->peer, new_id)) {
        reply_err(c, rfc_syntax(&params->elems[1], "duplicate monitor ID"));
        return;
    } else if (params->elems[2].type != JSON_OBJECT) {
        reply_err(c, rfc_err(RFC_SYNTAX, "monitor-cond-change-requests must be object"));
        return;
    }

    peer_catch_up(c->peer); /* With what it asked for so far. */
    struct bytes *updates = NULL;
    struct err *e = monitor_change(m->monitor, &params->elems[2], &updates);
    if (e) {
        reply_err(c, e);
        return;
    }
    free(m->id);
    m->id = TAKE(new_id);
    set_head(m);
    c->served = m->served;
    if (updates) {
        monitors_send(m, updates, OUTPUT_UNIQUE);
        bytes_unref(updates);
    }
    reply_json(c, "{}");
}

static void
do_monitor_cancel(struct call *c)
{
    if (c->params->n != 1) {
        reply_error_text(c, "invalid parameters");
        return;
    }
    CLEANUP(free_drop) char *id = monitor_id(&c->params->elems[0]);
    struct peer_monitor *m = peer_monitor_find(c->peer, id);
    if (!m) {
        reply_error_text(c, "unknown monitor");
        return;
    }
    peer_monitor_free(m);
    reply_json(c, "{}");
}

/* True if it was refused. */
static bool
refuse_lock(struct call *c)
{
    if (c->peer->read_only) {
        reply_error_text(c, "lock and unlock methods not allowed, DB server is read only.");
    }
    return c->peer->read_only;
}

static void
take_lock(struct call *c, enum lock_mode mode)
{
    CLEANUP(lock_notices_done) struct lock_notices notices = LOCK_NOTICES_INIT;
    bool locked;
    if (refuse_lock(c)) {
        return;
    }
    struct err *e = lock_request(&c->peer->locks, c->params, mode, &locked, &notices);

    if (e) {
        reply_err(c, e);
    } else {
        reply_json(c, locked ? "{\"locked\":true}" : "{\"locked\":false}");
        peer_send_notices(c->peer->server, &notices);
    }
}

static void
do_lock(struct call *c)
{
    take_lock(c, LOCK_WAIT);
}

static void
do_steal(struct call *c)
{
    take_lock(c, LOCK_STEAL);
}

static void
do_unlock(struct call *c)
{
    CLEANUP(lock_notices_done) struct lock_notices notices = LOCK_NOTICES_INIT;
    if (refuse_lock(c)) {
        return;
    }
    struct err *e = lock_release(&c->peer->locks, c->params, &notices);

    if (e) {
        reply_err(c, e);
    } else {
        reply_json(c, "{}");
        peer_send_notices(c->peer->server, &notices);
    }
}

static void
do_get_server_id(struct call *c)
{
    CLEANUP(free_drop) char *text = str_dupf("\"%s\"", UUID_TEXT(&c->peer->server->id));
    reply_json(c, text);
}

static void
do_set_db_change_aware(struct call *c)
{
    if (c->params->n != 1 || !json_is_bool(&c->params->elems[0])) {
        reply_err(c, rfc_syntax(c->params,
                                "set_db_change_aware: true or false parameter expected"));
        return;
    }
    c->peer->aware = c->params->elems[0].type == JSON_TRUE;
    reply_json(c, "{}");
}

static void
do_convert(struct call *c)
{
    const struct peer *p = c->peer;
    if (refuse_duplicate(c)) {
        return;
    } else if (p->role && *p->role) {
        reply_err(
            c, rfc_err(RFC_PERMISSION,
                       "RBAC rules for client \"%s\" role \"%s\" prohibit \"convert\" of "
                       "database %s (only the root role may convert databases)",
                       peer_id(p) ? peer_id(p) : "", p->role, c->served->name));
        return;
    } else if (c->params->n != 2) {
        reply_err(c, rfc_syntax(c->params, "array expected"));
        return;
    } else if (c->served->relay && !p->read_only) { /* The source does it, for all. */
        forward_convert(c->peer, c->served, TAKE(c->msg));
        return;
    }
    struct err *e =
        served_convert(c->served, &c->params->elems[1], p->read_only || c->served->backup);
    if (e) {
        reply_err(c, e);
        return;
    }
    reply_json(c, "{}");
    transact_cancel_all(c->served);
    server_flush(c->peer->server);
    server_drop_unaware(c->peer->server, "a database was converted");
}

static const struct method {
    const char *name;
    bool with_db; /* params[0] names a database. */
    bool cond;    /* Goes with "ovsdb-server/disable-monitor-cond". */
    void (*run)(struct call *);
} methods[] = {
    { "transact", true, false, do_transact },
    { "monitor", true, false, do_monitor },
    { "monitor_cond", true, true, do_monitor_cond },
    { "monitor_cond_since", true, true, do_monitor_cond_since },
    { "monitor_cond_change", false, false, do_monitor_cond_change },
    { "monitor_cancel", false, false, do_monitor_cancel },
    { "list_dbs", false, false, do_list_dbs },
    { "get_schema", true, false, do_get_schema },
    { "lock", false, false, do_lock },
    { "steal", false, false, do_steal },
    { "unlock", false, false, do_unlock },
    { "get_server_id", false, false, do_get_server_id },
    { "set_db_change_aware", false, false, do_set_db_change_aware },
    { "convert", true, false, do_convert },
};

/* Sets c->served, or answers with an error. */
static bool
find_db(struct call *c, const char *method)
{
    const struct json *params = c->params;

    if (params->n == 0 || params->elems[0].type != JSON_STRING) {
        reply_err(
            c, rfc_syntax(params, "%s request params must begin with <db-name>", method));
        return false;
    }
    struct served *served = server_find_db(c->peer->server, params->elems[0].string);
    if (!served) {
        reply_err(c, rfc_err_json(RFC_UNKNOWN_DATABASE, params,
                                  "%s request specifies unknown database %s", method,
                                  params->elems[0].string));
        return false;
    } else if (!served->db) {
        reply_err(c, rfc_err_json(RFC_NOT_AVAILABLE, params,
                                  "%s request specifies database %s which is not yet "
                                  "available because it has not completed joining its "
                                  "cluster",
                                  method, params->elems[0].string));
        return false;
    }
    c->served = served;
    return true;
}

static void
run_request(struct peer *peer, struct jsonrpc_msg *msg)
{
    struct call c = { .peer = peer, .msg = msg, .params = &msg->params };

    for (const struct method *m = methods; m < methods + N_ELEMS(methods); m++) {
        if (str_eq(m->name, msg->method) && !(m->cond && peer->server->no_cond)) {
            if (!m->with_db || find_db(&c, m->name)) {
                m->run(&c);
            }
            jsonrpc_msg_free(c.msg);
            return;
        }
    }
    reply_error_text(&c, "unknown method");
    jsonrpc_msg_free(c.msg);
}

void
methods_run(struct peer *peer, struct jsonrpc_msg *msg)
{
    switch (msg->kind) {
    case JSONRPC_REQUEST: run_request(peer, msg); return;
    case JSONRPC_NOTIFICATION:
        if (str_eq(msg->method, "cancel") && msg->params.n == 1) {
            transact_cancel(peer, &msg->params.elems[0]);
        }
        break;
    case JSONRPC_REPLY:
    case JSONRPC_ERROR: peer_close(peer, "sent a reply to no request"); break;
    }
    jsonrpc_msg_free(msg);
}
