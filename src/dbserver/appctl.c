/* dbserver/appctl.c: the socket of ovs-appctl: commands for people who run the server.  The
 * same JSON-RPC; parameters are strings, results are text.
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
};

struct ctl_wait {
    struct list node;
    struct ctl_client *client;
    struct jsonrpc_msg *msg;
};

/* Appends its text to 'out', or fails; 'argv' has as many strings as the table allows. */
typedef struct err *ctl_fn(struct dbserver *, const char **argv, size_t argc,
                           struct buf *out);

static struct err *
do_exit(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
        struct buf *out UNUSED)
{
    log_info("told to exit");
    s->config.stop(s->config.aux, NULL);
    return NULL;
}

static struct err *
do_version(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
           struct buf *out)
{
    buf_printf(out, "%s", s->config.name);
    return NULL;
}

static struct err *
do_memory(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED, struct buf *out)
{
    struct db_figures all = { 0 };
    size_t n_parked = 0, n_queued = 0;

    MAP_FOR_EACH (entry, &s->dbs) {
        struct served *served = entry->value;
        struct db_figures f;
        db_figures(served->db, &f);
        all.n_atoms += f.n_atoms;
        all.n_cells += f.n_cells;
        all.n_rows += f.n_rows;
        all.n_monitors += f.n_monitors;
        LIST_FOR_EACH (struct pending, p, in_served, &served->parked) {
            n_parked += p->served == served;
        }
    }
    LIST_FOR_EACH (struct peer, p, in_server, &s->peers) {
        n_queued += p->out_bytes + jsonrpc_backlog_bytes(p->conn);
    }
    buf_printf(out,
               "atoms:%" PRIu64 " backlog:%zu cells:%" PRIu64 " monitors:%" PRIu64
               " rows:%" PRIu64 " sessions:%zu triggers:%zu",
               all.n_atoms, n_queued, all.n_cells, all.n_monitors, all.n_rows, s->n_peers,
               n_parked);
    return NULL;
}

static struct err *
do_vlog_set(struct dbserver *s UNUSED, const char **argv, size_t argc,
            struct buf *out UNUSED)
{
    for (size_t i = 0; i < argc; i++) {
        log_set_spec(argv[i]);
    }
    if (argc == 0) {
        log_set_spec("dbg");
    }
    return NULL;
}

static struct err *
do_vlog_reopen(struct dbserver *s UNUSED, const char **argv UNUSED, size_t argc UNUSED,
               struct buf *out UNUSED)
{
    return log_reopen();
}

static struct err *
do_nothing(struct dbserver *s UNUSED, const char **argv UNUSED, size_t argc UNUSED,
           struct buf *out UNUSED)
{
    return NULL;
}

static void
print_lines(struct strvec *lines, struct buf *out)
{
    strvec_sort(lines);
    for (size_t i = 0; i < lines->n; i++) {
        buf_printf(out, "%s%s", i ? "\n" : "", lines->v[i]);
    }
    strvec_done(lines);
}

static struct err *
do_list_dbs(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
            struct buf *out)
{
    struct strvec names = STRVEC_INIT;

    MAP_FOR_EACH (entry, &s->dbs) {
        strvec_add(&names, entry->key);
    }
    print_lines(&names, out);
    return NULL;
}

static struct err *
do_list_remotes(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
                struct buf *out)
{
    struct strvec names = STRVEC_INIT;

    remotes_list(s, &names);
    print_lines(&names, out);
    return NULL;
}

static struct err *
do_add_remote(struct dbserver *s, const char **argv, size_t argc UNUSED,
              struct buf *out UNUSED)
{
    return dbserver_add_remote(s, argv[0]);
}

static struct err *
do_remove_remote(struct dbserver *s, const char **argv, size_t argc UNUSED,
                 struct buf *out UNUSED)
{
    return dbserver_remove_remote(s, argv[0]);
}

static struct err *
do_add_db(struct dbserver *s, const char **argv, size_t argc UNUSED, struct buf *out UNUSED)
{
    return dbserver_add_db(s, argv[0]);
}

static struct err *
do_remove_db(struct dbserver *s, const char **argv, size_t argc UNUSED,
             struct buf *out UNUSED)
{
    return dbserver_remove_db(s, argv[0]);
}

static struct err *
do_compact(struct dbserver *s, const char **argv, size_t argc, struct buf *out UNUSED)
{
    bool any = false;

    MAP_FOR_EACH (entry, &s->dbs) {
        struct served *served = entry->value;
        if (argc && !str_eq(served->name, argv[0])) {
            continue;
        }
        any = true;
        if (served->journal) {
            served->compact_failed = false;
            TRY(compact_start(served, "compacting database online"));
        } else if (argc) {
            return err_new(ERR_DENIED, "cannot compact built-in databases");
        }
    }
    return any ? NULL : err_new(ERR_NOT_FOUND, "no database by that name");
}

static struct err *
do_reconnect(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
             struct buf *out UNUSED)
{
    LIST_FOR_EACH_SAFE (struct peer, p, in_server, &s->peers) {
        peer_close(p, "told to reconnect");
    }
    return NULL;
}

static struct err *
do_sync_status(struct dbserver *s UNUSED, const char **argv UNUSED, size_t argc UNUSED,
               struct buf *out)
{
    buf_str(out, "state: active");
    return NULL;
}

static struct err *
do_storage_status(struct dbserver *s, const char **argv, size_t argc UNUSED,
                  struct buf *out)
{
    struct served *served = server_find_db(s, argv[0]);

    if (!served) {
        return err_new(ERR_NOT_FOUND, "Failed to find the database.");
    }
    buf_str(out, served->write_failed ? "status: the last write failed" : "status: ok");
    return NULL;
}

static ctl_fn do_list_commands;

static const struct command {
    const char *name;
    const char *usage;
    size_t min_args, max_args;
    ctl_fn *run;
} commands[] = {
    /* clang-format off */
    { "exit",                                 "",           0, 1, do_exit },
    { "list-commands",                        "",           0, 0, do_list_commands },
    { "memory/show",                          "",           0, 0, do_memory },
    { "ovsdb-server/add-db",                  "DB",         1, 1, do_add_db },
    { "ovsdb-server/add-remote",              "REMOTE",     1, 1, do_add_remote },
    { "ovsdb-server/compact",                 "[DB]",       0, 1, do_compact },
    { "ovsdb-server/get-db-storage-status",   "DB",         1, 1, do_storage_status },
    { "ovsdb-server/list-dbs",                "",           0, 0, do_list_dbs },
    { "ovsdb-server/list-remotes",            "",           0, 0, do_list_remotes },
    { "ovsdb-server/memory-trim-on-compaction", "on|off",   1, 1, do_nothing },
    { "ovsdb-server/reconnect",               "",           0, 0, do_reconnect },
    { "ovsdb-server/remove-db",               "DB",         1, 1, do_remove_db },
    { "ovsdb-server/remove-remote",           "REMOTE",     1, 1, do_remove_remote },
    { "ovsdb-server/sync-status",             "",           0, 0, do_sync_status },
    { "version",                              "",           0, 0, do_version },
    { "vlog/disable-rate-limit",              "[module]...", 0, SIZE_MAX, do_nothing },
    { "vlog/enable-rate-limit",               "[module]...", 0, SIZE_MAX, do_nothing },
    { "vlog/reopen",                          "",           0, 0, do_vlog_reopen },
    { "vlog/set",                             "[spec]...",  0, SIZE_MAX, do_vlog_set },
    /* clang-format on */
};

static struct err *
do_list_commands(struct dbserver *s UNUSED, const char **argv UNUSED, size_t argc UNUSED,
                 struct buf *out)
{
    buf_str(out, "The available commands are:");
    for (size_t i = 0; i < N_ELEMS(commands); i++) {
        buf_printf(out, "\n  %-23s %s", commands[i].name, commands[i].usage);
    }
    return NULL;
}

static struct err *
run_command(struct dbserver *s, const struct jsonrpc_msg *msg, struct buf *out)
{
    const struct command *c = NULL;
    const char **argv = NULL;
    size_t argc = msg->params.n;

    for (size_t i = 0; !c && i < N_ELEMS(commands); i++) {
        c = str_eq(commands[i].name, msg->method) ? &commands[i] : NULL;
    }
    if (!c) {
        return err_new(ERR_NOT_FOUND,
                       "\"%s\" is not a valid command (use \"list-commands\" to see "
                       "a list of valid commands)",
                       msg->method);
    } else if (argc < c->min_args) {
        return err_new(ERR_SYNTAX, "\"%s\" command requires at least %zu arguments",
                       c->name, c->min_args);
    } else if (argc > c->max_args) {
        return err_new(ERR_SYNTAX, "\"%s\" command takes at most %zu arguments", c->name,
                       c->max_args);
    }
    argv = xcalloc(argc + 1, sizeof *argv);
    struct err *e = NULL;
    for (size_t i = 0; i < argc && !e; i++) {
        const struct json *arg = &msg->params.elems[i];
        argv[i] = arg->type == JSON_STRING ? arg->string : NULL;
        if (!argv[i]) {
            e = err_new(ERR_SYNTAX, "\"%s\" command has non-string argument", c->name);
        }
    }
    if (!e) {
        e = c->run(s, argv, argc, out);
    }
    free(argv);
    return e;
}

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
        struct json result = json_string_ref(text->n ? buf_cstr(text) : "");
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
    struct err *e = run_command(s, msg, &text);
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
