/* dbserver/commands.c: the commands of ovs-appctl as one table.
 * Source.  ovs-appctl(8), ovsdb-server(1); texts as ovsdb-server has them. */
#define LOG_MODULE "dbserver"
#include "base/log.h"
#include "base/str.h"
#include "dbserver/commands_i.h"

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
        struct db_figures f = { 0 };
        if (served->db) {
            db_figures(served->db, &f);
        }
        all.n_atoms += f.n_atoms;
        all.n_cells += f.n_cells;
        all.n_rows += f.n_rows;
        all.n_monitors += f.n_monitors;
        all.n_monitor_kinds += f.n_monitor_kinds;
        all.n_weak_refs += f.n_weak_refs;
        all.n_history += f.n_history;
        all.n_history_atoms += f.n_history_atoms;
        LIST_FOR_EACH (struct pending, p, in_served, &served->parked) {
            n_parked += p->served == served;
        }
    }
    LIST_FOR_EACH (struct peer, p, in_server, &s->peers) {
        n_queued += p->out_bytes + jsonrpc_backlog_bytes(p->conn);
    }
    buf_printf(out,
               "atoms:%" PRIu64 " backlog:%zu cells:%" PRIu64 " json-caches:%" PRIu64
               " monitors:%" PRIu64 " n-weak-refs:%" PRIu64 " rows:%" PRIu64
               " sessions:%zu triggers:%zu txn-history:%" PRIu64
               " txn-history-atoms:%" PRIu64,
               all.n_atoms, n_queued, all.n_cells, all.n_monitor_kinds, all.n_monitors,
               all.n_weak_refs, all.n_rows, s->n_peers, n_parked, all.n_history,
               all.n_history_atoms);
    return NULL;
}

static struct err *
do_vlog_set(struct dbserver *s UNUSED, const char **argv, size_t argc,
            struct buf *out UNUSED)
{
    for (size_t i = 0; i < argc; i++) {
        TRY(log_set_spec(argv[i]));
    }
    return argc == 0 ? log_set_spec("dbg") : NULL;
}

static struct err *
do_vlog_list(struct dbserver *s UNUSED, const char **argv UNUSED, size_t argc UNUSED,
             struct buf *out)
{
    log_list(out);
    return NULL;
}

static struct err *
do_vlog_list_pattern(struct dbserver *s UNUSED, const char **argv UNUSED,
                     size_t argc UNUSED, struct buf *out)
{
    buf_str(out, "         prefix                            format\n"
                 "         ------                            ------\n"
                 "SYSLOG   <%B>                              "
                 "ovs|%05N|%c|%p|%m\n"
                 "CONSOLE  none                              "
                 "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c|%p|%m\n"
                 "FILE     none                              "
                 "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c|%p|%m");
    return NULL;
}

static struct err *
do_vlog_close(struct dbserver *s UNUSED, const char **argv UNUSED, size_t argc UNUSED,
              struct buf *out UNUSED)
{
    log_close();
    return NULL;
}

static struct err *
do_vlog_reopen(struct dbserver *s UNUSED, const char **argv UNUSED, size_t argc UNUSED,
               struct buf *out UNUSED)
{
    return log_has_file() ? log_reopen()
                          : err_new(ERR_NOT_FOUND, "Logging to file not configured");
}

static struct err *
do_nothing(struct dbserver *s UNUSED, const char **argv UNUSED, size_t argc UNUSED,
           struct buf *out UNUSED)
{
    return NULL;
}

/* Nothing is ever left out of the log; but a wrong name is told. */
static struct err *
do_rate_limit(struct dbserver *s UNUSED, const char **argv, size_t argc,
              struct buf *out UNUSED)
{
    for (size_t i = 0; i < argc; i++) {
        if (strcasecmp(argv[i], "any") != 0 && !log_is_module(argv[i])) {
            return err_new(ERR_NOT_FOUND, "unknown module");
        }
    }
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
    TRY(config_refuse(s));
    if (str_starts(argv[0], "pfd:")) {
        return err_new(ERR_UNSUPPORTED,
                       "%s: a descriptor is handed over on the command "
                       "line only",
                       argv[0]);
    }
    return dbserver_add_remote(s, argv[0]);
}

static struct err *
do_remove_remote(struct dbserver *s, const char **argv, size_t argc UNUSED,
                 struct buf *out UNUSED)
{
    TRY(config_refuse(s));
    return dbserver_remove_remote(s, argv[0]);
}

static struct err *
do_add_db(struct dbserver *s, const char **argv, size_t argc UNUSED, struct buf *out UNUSED)
{
    TRY(config_refuse(s));
    return dbserver_add_db(s, argv[0]);
}

static struct err *
do_remove_db(struct dbserver *s, const char **argv, size_t argc UNUSED,
             struct buf *out UNUSED)
{
    TRY(config_refuse(s));
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
        } else if (argc && !served->relay) { /* A relay has no file: it is compact. */
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

static struct err *
do_reload(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
          struct buf *out UNUSED)
{
    return config_reload(s);
}

/* For those whose clients choke on it. */
static struct err *
do_disable_monitor_cond(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
                        struct buf *out UNUSED)
{
    if (!s->no_cond) {
        s->no_cond = true;
        return do_reconnect(s, argv, argc, out);
    }
    return NULL;
}

static struct err *
do_memory_trim(struct dbserver *s UNUSED, const char **argv, size_t argc UNUSED,
               struct buf *out UNUSED)
{
    return str_eq(argv[0], "on") || str_eq(argv[0], "off")
               ? NULL
               : err_new(ERR_SYNTAX, "invalid argument");
}

static struct err *
do_perf_counters(struct dbserver *s UNUSED, const char **argv UNUSED, size_t argc UNUSED,
                 struct buf *out)
{
    buf_str(out, "performance counter is not supported on this platform");
    return NULL;
}

static struct err *
do_coverage(struct dbserver *s UNUSED, const char **argv UNUSED, size_t argc UNUSED,
            struct buf *out)
{
    buf_str(out, "no events are counted");
    return NULL;
}

static struct err *
do_read_counter(struct dbserver *s UNUSED, const char **argv UNUSED, size_t argc UNUSED,
                struct buf *out UNUSED)
{
    return err_new(ERR_NOT_FOUND, "No such counter");
}

static ctl_fn do_list_commands;

static const struct command {
    const char *name;
    const char *usage;
    size_t min_args, max_args;
    ctl_fn *run;
} commands[] = {
    /* clang-format off */
    { "coverage/read-counter",                "COUNTER",    1, 1, do_read_counter },
    { "coverage/show",                        "",           0, 0, do_coverage },
    { "exit",                                 "",           0, 1, do_exit },
    { "list-commands",                        "",           0, 0, do_list_commands },
    { "memory/show",                          "",           0, 0, do_memory },
    { "ovsdb-server/add-db",                  "DB",         1, 1, do_add_db },
    { "ovsdb-server/add-remote",              "REMOTE",     1, 1, do_add_remote },
    { "ovsdb-server/compact",                 "[DB]",       0, 1, do_compact },
    { "ovsdb-server/connect-active-ovsdb-server", "",       0, 0, do_connect_active },
    { "ovsdb-server/disable-monitor-cond",    "",           0, 0, do_disable_monitor_cond },
    { "ovsdb-server/disconnect-active-ovsdb-server", "",    0, 0, do_disconnect_active },
    { "ovsdb-server/get-active-ovsdb-server", "",           0, 0, do_get_active },
    { "ovsdb-server/get-db-storage-status",   "DB",         1, 1, do_storage_status },
    { "ovsdb-server/get-sync-exclude-tables", "",           0, 0, do_get_exclude },
    { "ovsdb-server/list-dbs",                "",           0, 0, do_list_dbs },
    { "ovsdb-server/list-remotes",            "",           0, 0, do_list_remotes },
    { "ovsdb-server/memory-trim-on-compaction", "on|off",   1, 1, do_memory_trim },
    { "ovsdb-server/perf-counters-clear",     "",           0, 0, do_nothing },
    { "ovsdb-server/perf-counters-show",      "",           0, 0, do_perf_counters },
    { "ovsdb-server/reconnect",               "",           0, 0, do_reconnect },
    { "ovsdb-server/reload",                  "",           0, 0, do_reload },
    { "ovsdb-server/remove-db",               "DB",         1, 1, do_remove_db },
    { "ovsdb-server/remove-remote",           "REMOTE",     1, 1, do_remove_remote },
    { "ovsdb-server/set-active-ovsdb-server", "REMOTE",     1, 1, do_set_active },
    { "ovsdb-server/set-active-ovsdb-server-probe-interval", "MSECS", 1, 1, do_set_active_probe },
    { "ovsdb-server/set-relay-source-probe-interval", "MSECS", 1, 1, do_set_relay_probe },
    { "ovsdb-server/set-sync-exclude-tables", "DB:TABLE,...", 1, 1, do_set_exclude },
    { "ovsdb-server/sync-status",             "",           0, 0, do_sync_status },
    { "ovsdb-server/tlog-list",               "",           0, 0, do_tlog_list },
    { "ovsdb-server/tlog-set",                "DB:TABLE on|off", 2, 2, do_tlog_set },
    { "set-options",                          "[--format text|json]", 0, 2, do_nothing }, /* appctl.c */
    { "version",                              "",           0, 0, do_version },
    { "vlog/close",                           "",           0, 0, do_vlog_close },
    { "vlog/disable-rate-limit",              "[module]...", 0, SIZE_MAX, do_rate_limit },
    { "vlog/enable-rate-limit",               "[module]...", 0, SIZE_MAX, do_rate_limit },
    { "vlog/list",                            "",           0, 0, do_vlog_list },
    { "vlog/list-pattern",                    "",           0, 0, do_vlog_list_pattern },
    { "vlog/reopen",                          "",           0, 0, do_vlog_reopen },
    { "vlog/set",                             "{spec | PATTERN:destination:pattern}", 0, SIZE_MAX, do_vlog_set },
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

struct err *
ctl_run(struct dbserver *s, const struct jsonrpc_msg *msg, struct buf *out)
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
