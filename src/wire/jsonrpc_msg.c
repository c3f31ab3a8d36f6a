/* wire/jsonrpc_msg.c: one message: its rules and its shapes.
 *
 * The rules are ovsdb-server's: a null member is as good as absent; 'result' makes it a reply,
 * else 'error' an error, else 'id' a request, else it is a notification; and a kind has no
 * members of another. */
#include "wire/jsonrpc.h"

void
jsonrpc_msg_free(struct jsonrpc_msg *msg)
{
    if (msg) {
        arena_done(&msg->arena);
        free(msg);
    }
}

void
jsonrpc_msg_drop(struct jsonrpc_msg **msg)
{
    jsonrpc_msg_free(*msg);
    *msg = NULL;
}

static bool
present(const struct json *j)
{
    return j->type != JSON_NULL;
}

/* Sorts the members out; *ret_method NULL if absent. */
static struct err *
take_members(struct jsonrpc_msg *msg, const struct json *object)
{
    if (!json_is(object, JSON_OBJECT)) {
        return err_new(ERR_SYNTAX, "received a message that is no JSON-RPC object");
    }
    msg->params = msg->id = msg->result = msg->error = json_null();
    JSON_FOR_EACH_MEMBER (m, object) {
        if (strcmp(m->name, "method") == 0) {
            if (m->value.type != JSON_STRING) {
                return err_new(ERR_SYNTAX, "JSON-RPC method must be a string");
            }
            msg->method = m->value.string;
        } else if (strcmp(m->name, "params") == 0) {
            msg->params = m->value;
        } else if (strcmp(m->name, "id") == 0) {
            msg->id = m->value;
        } else if (strcmp(m->name, "result") == 0) {
            msg->result = m->value;
        } else if (strcmp(m->name, "error") == 0) {
            msg->error = m->value;
        } else {
            return err_new(ERR_SYNTAX, "JSON-RPC message has unexpected member \"%s\"",
                           m->name);
        }
    }
    return NULL;
}

static const struct kind_rule {
    const char *name;
    /* Each -1 must be absent, 1 must be present. */
    int8_t method, params, id, result, error;
} rules[] = {
    [JSONRPC_REQUEST] = { "request", 1, 1, 1, -1, -1 },
    [JSONRPC_NOTIFICATION] = { "notification", 1, 1, -1, -1, -1 },
    [JSONRPC_REPLY] = { "reply", -1, -1, 1, 1, -1 },
    [JSONRPC_ERROR] = { "error", -1, -1, 1, -1, 1 },
};

static struct err *
check_member(const char *kind, const char *member, bool is_present, int8_t rule)
{
    if (is_present == (rule > 0)) {
        return NULL;
    }
    return err_new(ERR_SYNTAX, "JSON-RPC %s must%s have \"%s\"", kind,
                   rule > 0 ? "" : " not", member);
}

static struct err *
check_kind(struct jsonrpc_msg *msg)
{
    msg->kind = present(&msg->result)  ? JSONRPC_REPLY
                : present(&msg->error) ? JSONRPC_ERROR
                : present(&msg->id)    ? JSONRPC_REQUEST
                                       : JSONRPC_NOTIFICATION;
    const struct kind_rule *r = &rules[msg->kind];
    TRY(check_member(r->name, "method", msg->method != NULL, r->method));
    TRY(check_member(r->name, "params", present(&msg->params), r->params));
    TRY(check_member(r->name, "result", present(&msg->result), r->result));
    TRY(check_member(r->name, "error", present(&msg->error), r->error));
    TRY(check_member(r->name, "id", present(&msg->id), r->id));
    if (r->params > 0 && msg->params.type != JSON_ARRAY) {
        return err_new(ERR_SYNTAX, "JSON-RPC \"params\" must be a JSON array");
    }
    return NULL;
}

struct err *
jsonrpc_msg_parse(const char *text, size_t n_bytes, struct jsonrpc_msg **ret)
{
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = NEW(struct jsonrpc_msg);
    struct json object;
    msg->n_bytes = n_bytes;
    TRY(err_wrap(json_parse(&msg->arena, text, n_bytes, &object), "error parsing stream"));
    TRY(take_members(msg, &object));
    TRY(check_kind(msg));
    *ret = TAKE(msg);
    return NULL;
}

/* Shapes. */

void
jsonrpc_print_request(struct buf *out, const struct json *id, const char *method,
                      const struct json *params)
{
    buf_str(out, "{\"id\":");
    json_print(id, 0, out);
    buf_str(out, ",\"method\":");
    json_print_string(method, strlen(method), out);
    buf_str(out, ",\"params\":");
    json_print(params, 0, out);
    buf_char(out, '}');
}

void
jsonrpc_print_notification(struct buf *out, const char *method, const struct json *params)
{
    struct json none = json_null();
    jsonrpc_print_request(out, &none, method, params);
}

void
jsonrpc_begin_reply(struct buf *out, const struct json *id)
{
    buf_str(out, "{\"id\":");
    json_print(id, JSON_15G, out);
    buf_str(out, ",\"result\":");
}

void
jsonrpc_end_reply(struct buf *out)
{
    buf_str(out, ",\"error\":null}");
}

void
jsonrpc_print_reply(struct buf *out, const struct json *id, const struct json *result)
{
    jsonrpc_begin_reply(out, id);
    json_print(result, JSON_15G, out);
    jsonrpc_end_reply(out);
}

void
jsonrpc_print_error(struct buf *out, const struct json *id, const struct json *error)
{
    buf_str(out, "{\"id\":");
    json_print(id, JSON_15G, out);
    buf_str(out, ",\"error\":");
    json_print(error, JSON_15G, out);
    buf_char(out, '}');
}
