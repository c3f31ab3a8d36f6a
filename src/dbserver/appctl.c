/* dbserver/appctl.c: the socket of ovs-appctl: commands for people who run the server.  The
 * same JSON-RPC; parameters are strings, results are text.  The commands are in commands.c.
 * Source.  ovs-appctl(8); texts as ovsdb-server has them. */
#define LOG_MODULE "dbserver"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "dbserver/peer_i.h"

#define CTL_MODE 0600 /* Whoever may command the server may stop it. */
#define CTL_MESSAGE_BYTES ((size_t) (64 * KIB))
#define CTL_CLIENTS_MAX 64

struct ctl {
    struct dbserver *server;
    struct list
        waiting; /* Of struct ctl_wait: answered when no database is being compacted. */
    struct listener *listener;
    struct list clients; /* Of struct ctl_client. */
    size_t n_clients;
};

struct ctl_client {
    struct list node; /* In the ctl's 'clients'. */
    struct ctl *ctl;
    struct jsonrpc *conn;
    bool json; /* "set-options --format json": replies are objects. */
};

struct ctl_wait {
    struct list node;
    struct ctl_client *client;
    struct jsonrpc_msg *msg;
};

static void
wait_free(struct ctl_wait *w)
{
    list_remove(&w->node);
    jsonrpc_msg_free(w->msg);
    free(w);
}

static void
client_free(struct ctl_client *c)
{
    LIST_FOR_EACH_SAFE (struct ctl_wait, w, node, &c->ctl->waiting) {
        if (w->client == c) {
            wait_free(w);
        }
    }
    list_remove(&c->node);
    c->ctl->n_clients--;
    jsonrpc_free(c->conn);
    free(c);
}

static bool
is_compacting(const struct dbserver *s)
{
    MAP_FOR_EACH (entry, &s->dbs) {
        if (((const struct served *) entry->value)->compaction) {
            return true;
        }
    }
    return false;
}

/* Takes 'e'. */
static void
answer(struct ctl_client *c, const struct json *id, struct buf *text, struct err *e)
{
    struct buf out = BUF_INIT;

    if (e) {
        buf_clear(text);
        buf_str(text, err_text(e));
        err_free(e);
        buf_char(text, '\n');
        struct json error = json_string_ref(buf_cstr(text));
        jsonrpc_print_error(&out, id, &error);
    } else {
        if (text->n) {
            buf_char(text, '\n');
        }
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        struct json result = json_string_ref(text->n ? buf_cstr(text) : "");
        if (c->json) {
            struct json object = json_object();
            json_put(&arena, &object, "reply-format", json_string_ref("plain"));
            json_put(&arena, &object, "reply", result);
            result = object;
        }
        jsonrpc_print_reply(&out, id, &result);
    }
    jsonrpc_send_buf(c->conn, &out);
}

void
ctl_compacted(struct dbserver *s)
{
    struct err *e = NULL;

    if (!s->ctl || is_compacting(s)) {
        return;
    }
    LIST_FOR_EACH_SAFE (struct ctl_wait, w, node, &s->ctl->waiting) {
        CLEANUP(buf_done) struct buf text = BUF_INIT;
        MAP_FOR_EACH (entry, &s->dbs) {
            const struct served *served = entry->value;
            if (served->compact_failed && !e) {
                e = err_new(ERR_IO, "database %s was not compacted; the log tells why",
                            served->name);
            }
        }
        answer(w->client, &w->msg->id, &text, TAKE(e));
        wait_free(w);
    }
}

/* "set-options [--format text|json]": of this connection. */
static struct err *
set_options(struct ctl_client *c, const struct json *params)
{
    bool json = c->json;

    for (uint32_t i = 0; i < params->n; i++) {
        const struct json *p = &params->elems[i];
        const char *word = p->type == JSON_STRING ? p->string : NULL;
        const char *value =
            word && str_starts(word, "--format=") ? strchr(word, '=') + 1 : NULL;
        if (word && str_eq(word, "--format") && i + 1 < params->n &&
            params->elems[i + 1].type == JSON_STRING) {
            value = params->elems[++i].string;
        }
        if (!value) {
            return err_new(ERR_SYNTAX, "\"set-options\": unknown option %s",
                           word ? word : "of another type");
        } else if (!str_eq(value, "json") && !str_eq(value, "text")) {
            return err_new(ERR_SYNTAX, "option format has invalid value %s", value);
        }
        json = str_eq(value, "json");
    }
    c->json = json;
    return NULL;
}

static void
on_ctl_message(void *client, struct jsonrpc_msg *msg)
{
    struct ctl_client *c = client;
    struct dbserver *s = c->ctl->server;
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    if (msg->kind != JSONRPC_REQUEST) {
        jsonrpc_msg_free(msg);
        return;
    }
    struct err *e = str_eq(msg->method, "set-options") ? set_options(c, &msg->params)
                                                       : ctl_run(s, msg, &text);
    if (!e && str_eq(msg->method, "ovsdb-server/compact") && is_compacting(s)) {
        struct ctl_wait *w = NEW(struct ctl_wait);
        w->client = c;
        w->msg = msg;
        list_push_back(&c->ctl->waiting, &w->node);
    } else {
        answer(c, &msg->id, &text, e);
        jsonrpc_msg_free(msg);
    }
    server_flush(s);
}

static void
on_ctl_closed(void *client, struct err *e)
{
    err_free(e);
    client_free(client);
}

static const struct jsonrpc_events ctl_events = {
    .message = on_ctl_message,
    .closed = on_ctl_closed,
};

static void
on_ctl_accepted(void *aux, struct stream *stream)
{
    struct ctl *ctl = aux;

    if (ctl->n_clients >= CTL_CLIENTS_MAX) {
        stream_free(stream);
        return;
    }
    struct ctl_client *c = NEW(struct ctl_client);
    c->ctl = ctl;
    list_push_back(&ctl->clients, &c->node);
    ctl->n_clients++;
    c->conn = jsonrpc_new(stream, &ctl_events, c);
    jsonrpc_set_limits(c->conn, CTL_MESSAGE_BYTES, 0);
}

struct err *
dbserver_serve_ctl(struct dbserver *s, const char *path)
{
    CLEANUP(free_drop)
    char *full = path[0] == '/' ? str_dup(path) : path_join(dbserver_rundir(), path);
    CLEANUP(free_drop) char *name = str_dupf("punix:%s", full);
    CLEANUP(remote_done) struct remote remote;
    TRY(remote_parse(name, &remote));

    struct ctl *ctl = NEW(struct ctl);
    ctl->server = s;
    list_init(&ctl->clients);
    list_init(&ctl->waiting);
    struct err *e =
        listener_new(s->loop, &remote, CTL_MODE, on_ctl_accepted, ctl, &ctl->listener);
    if (e) {
        free(ctl);
        return err_wrap(e, "control socket %s", full);
    }
    s->ctl = ctl;
    return NULL;
}

void
ctl_free(struct ctl *ctl)
{
    if (ctl) {
        while (!list_empty(&ctl->clients)) {
            client_free(CONTAINER_OF(ctl->clients.next, struct ctl_client, node));
        }
        listener_free(ctl->listener);
        free(ctl);
    }
}
