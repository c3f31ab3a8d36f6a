/* cli/cmd_pool.c: storage pools, by virsh's verbs.
 *
 * A pool is two rows: the template (metapool), which is the same on all hosts, and the
 * pool on one host.  `define` writes both; `start` and `stop` say what the pool shall
 * be; what is no state (build, refresh, delete) is a job that the host's agent runs. */
#include "cli/job_i.h"
#include "cli/list_i.h"
#include "cli/pool_i.h"
#include "cli/storage_i.h"
#include "store/gate.h"
#include "store/poolxml.h"

/* One job for the pool's agent, and the plan it will run. */
static struct err *
add_job(struct cli *cli, const struct storage_pool *s, const char *kind, const char *said,
        const char *overwrite, struct plan *plan, struct uuid *ret_job)
{
    struct arena *a = &cli->arena;
    struct json row = job_row(cli, kind, "pool", &s->pool.uuid, s->pool.row);
    struct uuid uuid;
    const char *label = arena_printf(a, "pool %s", s->pool.label);
    if (plan && cli->dry_run) {
        show_plan(cli, label, plan);
    }
    if (overwrite) {
        json_put(a, &row, "overwrite", json_string_ref(overwrite));
    }
    change_insert(cli, "job", row, &uuid);
    change_await_state(cli, GOAL_JOB, "job", &uuid, label, said);
    job_await(cli, &uuid);
    if (ret_job) {
        *ret_job = uuid;
    }
    return NULL;
}

struct err *
pool_add_job(struct cli *cli, const struct storage_pool *s, const char *kind,
             const char *said, struct uuid *ret_job)
{
    return add_job(cli, s, kind, said, NULL, NULL, ret_job);
}

/* Runs fn for each pool that the positionals mean. */
static struct err *
each_pool(struct cli *cli, const struct args *args,
          struct err *(*fn)(struct cli *, const struct args *, struct storage_pool *) )
{
    struct named_list pools = VEC_INIT;
    struct err *e = names_match(cli, "pool", args->pos.v, args->pos.n, "_uuid", &pools);
    for (size_t i = 0; i < pools.n && !e; i++) {
        CLEANUP(storage_pool_done) struct storage_pool s;
        e = storage_pool_find(cli, UUID_TEXT(&pools.v[i].uuid), &s);
        if (!e) {
            e = fn(cli, args, &s);
        }
    }
    VEC_DONE(&pools);
    return e;
}

static struct err *
build_one(struct cli *cli, const struct args *args, struct storage_pool *s)
{
    bool over = args_has(args, "overwrite");
    bool no_over = args_has(args, "no-overwrite");
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    if (over && no_over) {
        return err_new(ERR_SYNTAX, "--overwrite and --no-overwrite exclude each other");
    }
    int flags = over ? BUILD_OVERWRITE : no_over ? BUILD_NO_OVERWRITE : 0;
    TRY(storage_refusal(gate_pool_build(&s->value, flags, &plan), "pool %s",
                        s->pool.label));
    return add_job(cli, s, "pool.build", "built",
                   over      ? "overwrite"
                   : no_over ? "no-overwrite"
                             : "none",
                   &plan, NULL);
}

static struct err *
refresh_one(struct cli *cli, const struct args *args, struct storage_pool *s)
{
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    if (!row_bool(s->pool.row, "active")) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "storage pool '%s' is not active", s->value.name),
            "byre pool start %s", s->pool.label);
    }
    TRY(storage_refusal(gate_pool_refresh(&s->value, &plan), "pool %s", s->pool.label));
    return add_job(cli, s, "pool.refresh", "refreshed", NULL, &plan, NULL);
}

static struct err *
delete_one(struct cli *cli, const struct args *args, struct storage_pool *s)
{
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    if (row_bool(s->pool.row, "active")) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "storage pool '%s' is still active", s->value.name),
            "byre pool stop %s", s->pool.label);
    }
    TRY(storage_refusal(gate_pool_delete(&s->value, &plan), "pool %s", s->pool.label));
    return add_job(cli, s, "pool.delete", "deleted", NULL, &plan, NULL);
}

static struct json
keep_active(struct arena *a, const struct uuid *pool)
{
    struct json op = json_object(), row = json_object();
    json_put(a, &op, "op", json_string_ref("update"));
    json_put(a, &op, "table", json_string_ref("pool"));
    json_put(a, &op, "where", q_where_uuid(a, pool));
    json_put(a, &row, "active", json_bool(true));
    json_put(a, &op, "row", row);
    return op;
}

static struct err *
set_active(struct cli *cli, struct storage_pool *s, bool active)
{
    struct json row = json_object();
    const char *label = arena_printf(&cli->arena, "pool %s", s->pool.label);
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    TRY(storage_refusal(active ? gate_pool_start(&s->value, &plan)
                               : gate_pool_stop(&s->value, &plan),
                        "pool %s", s->pool.label));
    if (cli->dry_run) {
        show_plan(cli, label, &plan);
    }
    json_put(&cli->arena, &row, "active", json_bool(active));
    change_update(cli, "pool", &s->pool.uuid, row);
    change_await(cli, GOAL_APPLIED, "pool", &s->pool.uuid, -1, label,
                 active ? "started" : "stopped");
    if (!active && row_bool(s->pool.row, "active")) { /* It must not vanish later. */
        change_take_back(cli, keep_active(&cli->arena, &s->pool.uuid));
    }
    return NULL;
}

static struct err *
start_one(struct cli *cli, const struct args *args, struct storage_pool *s)
{
    if (args_has(args, "build")) {
        TRY(build_one(cli, args, s));
        TRY(change_step(cli));
    }
    return set_active(cli, s, true);
}

static struct err *
stop_one(struct cli *cli, const struct args *args, struct storage_pool *s)
{
    return set_active(cli, s, false);
}

/* The rows go, the files stay. */
static struct err *
undefine_one(struct cli *cli, const struct args *args, struct storage_pool *s)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json of_pool = json_array();
    struct json of_metapool = json_array();
    struct uuid metapool = row_uuid(s->metapool);

    const char *state = row_string(s->pool.row, "state");
    if (row_bool(s->pool.row, "active") || str_eq(state, "running") ||
        str_eq(state, "degraded")) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "storage pool '%s' is still active", s->value.name),
            "byre pool stop %s", s->pool.label);
    }
    json_add(a, &of_pool, q_clause(a, "pool", "==", q_uuid(a, &s->pool.uuid)));
    json_add(a, &of_metapool, q_clause(a, "metapool", "==", q_uuid(a, &metapool)));
    json_add(a, &ops, q_select(a, "volume", of_pool, "_uuid,name"));
    json_add(a, &ops, q_select(a, "pool", of_metapool, "_uuid"));
    json_add(a, &ops, q_select(a, "device", json_array(), "volume,vm"));
    TRY(db_transact(cli, &ops, &results));

    const struct json *volumes = q_rows(&results, 0);
    const struct json *devices = q_rows(&results, 2);
    for (uint32_t v = 0; v < volumes->n; v++) {
        struct uuid volume = row_uuid(&volumes->elems[v]);
        for (uint32_t d = 0; d < devices->n; d++) {
            struct uuid used;
            if (row_ref(&devices->elems[d], "volume", &used) && uuid_eq(&used, &volume)) {
                return err_hint(err_new(ERR_BUSY, "a vm uses volume %s/%s", s->pool.label,
                                        row_string(&volumes->elems[v], "name")),
                                "byre list device --where volume=%s/%s", s->pool.label,
                                row_string(&volumes->elems[v], "name"));
            }
        }
        change_delete(cli, "volume", &volume);
    }
    change_delete(cli, "pool", &s->pool.uuid);
    if (q_rows(&results, 1)->n <= 1) { /* No other host has one. */
        change_delete(cli, "metapool", &metapool);
    }
    change_say(cli, "pool %s: undefined", s->pool.label);
    return NULL;
}

static struct err *
autostart_one(struct cli *cli, const struct args *args, struct storage_pool *s)
{
    struct json row = json_object();
    json_put(&cli->arena, &row, "autostart", json_bool(!args_has(args, "disable")));
    change_update(cli, "pool", &s->pool.uuid, row);
    return NULL;
}

static struct err *
cmd_build(struct cli *cli, const struct args *args)
{
    return each_pool(cli, args, build_one);
}

static struct err *
cmd_start(struct cli *cli, const struct args *args)
{
    return each_pool(cli, args, start_one);
}

static struct err *
cmd_stop(struct cli *cli, const struct args *args)
{
    return each_pool(cli, args, stop_one);
}

static struct err *
cmd_refresh(struct cli *cli, const struct args *args)
{
    return each_pool(cli, args, refresh_one);
}

static struct err *
cmd_delete(struct cli *cli, const struct args *args)
{
    return each_pool(cli, args, delete_one);
}

static struct err *
cmd_undefine(struct cli *cli, const struct args *args)
{
    return each_pool(cli, args, undefine_one);
}

static struct err *
cmd_autostart(struct cli *cli, const struct args *args)
{
    return each_pool(cli, args, autostart_one);
}

static struct err *
cmd_list(struct cli *cli, const struct args *args)
{
    return list_noun(cli, args, "pool");
}

static struct err *
cmd_info(struct cli *cli, const struct args *args)
{
    return info_noun(cli, args, "pool", NULL);
}

static struct err *
cmd_dumpxml(struct cli *cli, const struct args *args)
{
    CLEANUP(storage_pool_done) struct storage_pool s;
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    TRY(storage_pool_find(cli, args->pos.v[0], &s));
    const char *live = NULL;
    if (!args_has(args, "inactive")) {
        TRY(live_xml(cli, "pool", &s.pool.uuid, args->pos.v[0], &live));
    }
    if (live) {
        fputs(live, stdout);
        return NULL;
    }
    poolxml_format(&s.value, &xml);
    fputs(buf_cstr(&xml), stdout);
    return NULL;
}

static struct err *
cmd_event(struct cli *cli, const struct args *args)
{
    TRY(cli_connect(cli));
    struct list l = { .names = args->pos.v, .n_names = args->pos.n, .action = true };
    TRY(db_table(cli, "pool", &l.table));
    return list_run(cli, args, &l);
}

static struct err *
cmd_name(struct cli *cli, const struct args *args)
{
    CLEANUP(storage_pool_done) struct storage_pool s;
    struct arena *a = &cli->arena;
    struct uuid uuid;
    pool_init(&s.value);
    if (uuid_parse(args->pos.v[0], &uuid)) { /* libvirt's, not the row's, if it has one. */
        struct json ops = json_array(), where = json_array(), results;
        TRY(cli_connect(cli));
        json_add(a, &where, q_clause(a, "uuid", "==", q_uuid(a, &uuid)));
        json_add(a, &ops, q_select(a, "pool", where, "name"));
        TRY(db_transact(cli, &ops, &results));
        const struct json *rows = q_rows(&results, 0);
        if (rows->n == 1) {
            puts(row_string(&rows->elems[0], "name"));
            return NULL;
        }
    }
    TRY(storage_pool_find(cli, args->pos.v[0], &s));
    puts(s.value.name);
    return NULL;
}

static struct err *
cmd_uuid(struct cli *cli, const struct args *args)
{
    CLEANUP(storage_pool_done) struct storage_pool s;
    TRY(storage_pool_find(cli, args->pos.v[0], &s));
    puts(UUID_TEXT(&s.value.uuid));
    return NULL;
}

static struct err *
cmd_capabilities(struct cli *cli UNUSED, const struct args *args UNUSED)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    poolcaps_format(&xml);
    fputs(buf_cstr(&xml), stdout);
    return NULL;
}

static const struct opt_spec opts_build[] = {
    { "overwrite", NULL, "even if something is there" },
    { "no-overwrite", NULL, "only if nothing is there" },
    { NULL },
};
static const struct opt_spec opts_start[] = {
    { "build", NULL, "build it first" },
    { "overwrite", NULL, "with --build: even if something is there" },
    { "no-overwrite", NULL, "with --build: only if nothing is there" },
    { NULL },
};
static const struct opt_spec opts_dumpxml[] = {
    { "inactive", NULL, "as it is defined, not as it is" },
    { NULL },
};
static const struct opt_spec opts_autostart[] = {
    { "disable", NULL, "do not" },
    { NULL },
};

const struct command cmds_pool[] = {
    { "pool", "define", "FILE", "defines a pool by libvirt's XML; - is standard input",
      pool_define, CMD_CHANGE, opts_pool_define, "file" },
    { "pool", "define-as", "NAME [TYPE]", "defines a pool by options", pool_define_as,
      CMD_CHANGE, opts_pool_define_as, NULL,
      "byre pool define-as fast --target /srv/fast\n" },
    { "pool", "create", "FILE", "defines a pool by libvirt's XML and starts it",
      pool_define, CMD_CHANGE, opts_pool_define, "file",
      "It stays defined when it is stopped: there are no pools that live in memory only.\n" },
    { "pool", "create-as", "NAME [TYPE]", "defines a pool by options and starts it",
      pool_define_as, CMD_CHANGE, opts_pool_define_as, NULL,
      "byre pool create-as fast --target /srv/fast\n" },
    { "pool", "edit", "NAME", "its definition in an editor", pool_edit, CMD_CHANGE,
      opts_pool_define, "pool", "EDITOR=nano byre pool edit fast\n" },
    { "pool", "auth", "NAME", "sets the name and password of an iscsi pool", pool_auth,
      CMD_CHANGE, opts_pool_auth, "pool" },
    { "pool", "build", "NAME...", "makes what is underneath (a directory, a file system)",
      cmd_build, CMD_CHANGE, opts_build, "pool" },
    { "pool", "start", "NAME...", "makes it usable, and keeps it so", cmd_start, CMD_CHANGE,
      opts_start, "pool" },
    { "pool", "stop", "NAME...", "stops it; nothing is lost", cmd_stop, CMD_CHANGE, NULL,
      "pool" },
    { "pool", "destroy", "NAME...", "as stop; nothing is lost", cmd_stop, CMD_CHANGE, NULL,
      "pool" },
    { "pool", "refresh", "NAME...", "scans it for volumes", cmd_refresh, CMD_CHANGE, NULL,
      "pool" },
    { "pool", "grow", "NAME", "grows it on a LUN that grew, on all hosts", pool_grow,
      CMD_CHANGE, opts_pool_grow, "metapool", "byre pool grow shared --dry-run\n" },
    { "pool", "delete", "NAME...",
      "destroys what is underneath; it must be stopped and empty", cmd_delete, CMD_CHANGE,
      NULL, "pool" },
    { "pool", "undefine", "NAME...", "forgets it; its files stay", cmd_undefine, CMD_CHANGE,
      NULL, "pool" },
    { "pool", "autostart", "NAME...", "starts it when the host has booted", cmd_autostart,
      CMD_CHANGE, opts_autostart, "pool" },
    { "pool", "find-sources", "TYPE [FILE]",
      "what pools could be made of, by libvirt's <source>; - is standard input", pool_find,
      0, opts_pool_find_xml, NULL },
    { "pool", "find-sources-as", "TYPE [HOST]",
      "what pools could be made of: volume groups, exports and targets of HOST",
      pool_find_as, 0, opts_pool_find, NULL,
      "byre pool find-sources-as netfs nfs.example.com\nbyre pool find-sources-as logical\n" },
    { "pool", "list", "[NAME...]", "pools, and how full they are", cmd_list, CMD_LIST, NULL,
      "pool" },
    { "pool", "info", "NAME...", "all that is known of a pool", cmd_info, 0, NULL, "pool" },
    { "pool", "dumpxml", "NAME", "the pool as libvirt's XML", cmd_dumpxml, 0, opts_dumpxml,
      "pool" },
    { "pool", "name", "POOL", "the name of the pool with that UUID", cmd_name, 0, NULL,
      "pool" },
    { "pool", "uuid", "NAME", "its UUID", cmd_uuid, 0, NULL, "pool" },
    { "pool", "event", "[NAME...]", "what happens to pools, as it happens", cmd_event,
      CMD_LIST, NULL, "pool", "byre pool event --timeout 60\n" },
    { "pool", "capabilities", "", "the types of pools and their formats, as XML",
      cmd_capabilities, CMD_OFFLINE, NULL, NULL },
    { NULL },
};
