/* cli/vol_copy.c: `vol clone`, `vol create-from`, `vol move` and `vm disk move`.
 *
 * The new volume's row names the one that it begins as a copy of; a job beside it tells how far
 * the copy is and takes a cancel.  Both are written in one transaction.  If a running machine has
 * the old one, the new one begins empty and that machine's QEMU fills it. */
#include "cli/job_i.h"
#include "cli/vol_i.h"
#include "store/gate.h"
#include "store/volxml.h"

/* A copy that is wanted. */
struct copy {
    const char *kind; /* Of the job. */
    struct storage_pool from_pool, to_pool;
    struct named from;
    struct vol source; /* As observed. */
    struct vol vol;    /* The new one. */
    bool live, moves;
    int64_t bandwidth; /* Bytes/s; 0: no limit. */
    int flags;         /* enum vol_flags */
    struct json options;
    const char *label, *said;
};

static void
copy_init(struct copy *c, const char *kind)
{
    memset(c, 0, sizeof *c);
    c->kind = kind;
    c->options = json_array();
    pool_init(&c->from_pool.value);
    pool_init(&c->to_pool.value);
    vol_init(&c->source);
    vol_init(&c->vol);
}

static void
copy_done(struct copy *c)
{
    vol_done(&c->vol);
    vol_done(&c->source);
    storage_pool_done(&c->from_pool);
    storage_pool_done(&c->to_pool);
}

static struct err *
read_source(struct cli *cli, const char *spec, struct copy *c)
{
    TRY(vol_find(cli, spec, &c->from, &c->from_pool));
    TRY(storage_volume(cli, &c->from_pool, c->from.row, &c->source));
    const char *state = row_string(c->from.row, "state");
    if (!str_eq(state, "ready")) {
        return err_hint(err_new(ERR_CONSTRAINT, "volume %s is %s, not ready", c->from.label,
                                state ? state : "not there yet"),
                        "byre vol info %s", c->from.label);
    }
    return c->live ? vol_check_no_jobs(cli, &c->from) : vol_check_at_rest(cli, &c->from);
}

static struct err *
check_same_node(const struct copy *c)
{
    struct uuid a = { { 0 } }, b = { { 0 } };
    row_ref(c->from_pool.pool.row, "hostnode", &a);
    row_ref(c->to_pool.pool.row, "hostnode", &b);
    return uuid_eq(&a, &b)
               ? NULL
               : err_hint(err_new(ERR_UNSUPPORTED, "pools %s and %s are on different hosts",
                                  c->from_pool.pool.label, c->to_pool.pool.label),
                          "copy through a pool that both hosts have, or by byre vol "
                          "download and upload");
}

static struct err *
plan_copy(const struct copy *c, struct plan *plan)
{
    return c->live ? gate_vol_create(&c->to_pool.value, &c->vol, c->flags, plan)
                   : gate_vol_clone(&c->to_pool.value, &c->vol, &c->from_pool.value,
                                    &c->source, c->flags, plan);
}

/* Checks the copy as the host will, and adds rows and goal to the change. */
static struct err *
copy_add(struct cli *cli, struct copy *c, bool if_not_exists)
{
    struct arena *a = &cli->arena;
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    struct uuid uuid, job;
    bool there;

    c->label = arena_printf(a, "vol %s/%s", c->to_pool.pool.label, c->vol.name);
    struct err *e = storage_refusal(vol_name_check(c->vol.name), "%s", c->label);
    if (e) {
        return fail_as(e, EXIT_USAGE);
    }
    TRY(check_same_node(c));
    TRY(err_wrap(vol_check_new(cli, &c->to_pool, c->vol.name, if_not_exists, &there), "%s",
                 c->label));
    if (there) {
        return NULL;
    }
    TRY(err_wrap(vol_check_pool(&c->to_pool, &c->vol), "%s", c->label));
    TRY(storage_refusal(plan_copy(c, &plan), "%s", c->label));
    if (cli->dry_run) {
        show_plan(cli, c->label, &plan);
    }
    struct json row = storage_volume_row(cli, &c->vol);
    json_put(a, &row, "pool", q_uuid(a, &c->to_pool.pool.uuid));
    if (!c->live) {
        json_put(a, &row, "source", q_uuid(a, &c->from.uuid));
    }
    json_put(a, &row, "generation", json_int(1));
    change_insert(cli, "volume", row, &uuid);

    struct json job_json = job_row(cli, c->kind, "volume", &uuid, c->to_pool.pool.row);
    json_put(a, &job_json, "source", q_uuid(a, &c->from.uuid));
    json_put(a, &job_json, "options", json_pair(a, json_string_ref("set"), c->options));
    if (c->bandwidth) {
        json_put(a, &job_json, "bandwidth", json_int(c->bandwidth));
    }
    change_insert(cli, "job", job_json, &job);
    if (c->moves) {
        change_await_state(cli, GOAL_JOB, "job", &job, c->label, c->said);
    } else {
        change_await(cli, GOAL_APPLIED, "volume", &uuid, 1, c->label, c->said);
        change_take_back(cli, vol_forget_failed(a, &uuid));
    }
    job_await(cli, &job);
    return NULL;
}

static void
add_option(struct cli *cli, struct copy *c, const char *name, int flag)
{
    json_add(&cli->arena, &c->options, json_string_ref(name));
    c->flags |= flag;
}

static void
read_flags(struct cli *cli, const struct args *args, struct copy *c)
{
    if (args_has(args, "reflink")) {
        add_option(cli, c, "reflink", VOL_REFLINK);
    }
    if (args_has(args, "prealloc-metadata")) {
        add_option(cli, c, "metadata", VOL_PREALLOC_METADATA);
    }
}

/* A partition is not "raw", nor a file "linux": another kind of pool has formats of its own. */
static const char *
format_there(const struct copy *c)
{
    enum pool_type from = c->from_pool.value.type, to = c->to_pool.value.type;
    return from == to || (pool_type_is_files(from) && pool_type_is_files(to))
               ? c->source.target.format
               : pool_traits(to)->default_vol_format;
}

/* The new one is what the old one is, under another name. */
static void
like_source(struct copy *c, const char *name)
{
    c->vol.name = name;
    c->vol.capacity = c->source.capacity;
    c->vol.allocation = min64(max64(c->source.allocation, 0), c->source.capacity);
    c->vol.target.format = format_there(c);
    c->vol.target.perms = c->source.target.perms;
    if (c->vol.target.format == c->source.target.format) {
        c->vol.target.compat = c->source.target.compat;
    }
}

static struct err *
clone(struct cli *cli, const struct args *args, struct copy *c)
{
    const char *spec = NULL, *pool = args_get(args, "pool");
    TRY(vol_name_arg(cli, args, 1, &spec));
    TRY(read_source(cli, spec, c));
    TRY(storage_pool_find(cli, pool ? pool : UUID_TEXT(&c->from_pool.pool.uuid),
                          &c->to_pool));
    like_source(c, args->pos.v[args->pos.n - 1]);
    if (args_get(args, "format")) {
        c->vol.target.format = args_get(args, "format");
    }
    TRY(vol_check_format(&c->to_pool, &c->vol));
    TRY(args_size(args, "capacity", 1, &c->vol.capacity));
    TRY(args_size(args, "allocation", 1, &c->vol.allocation));
    if (c->vol.capacity < c->source.capacity) {
        return err_hint(err_new(ERR_CONSTRAINT,
                                "a copy has %" PRId64 " bytes at least, as its source has",
                                c->source.capacity),
                        "leave out --capacity");
    }
    read_flags(cli, args, c);
    c->said = "cloned";
    return copy_add(cli, c, args_has(args, "if-not-exists"));
}

struct err *
vol_clone(struct cli *cli, const struct args *args)
{
    CLEANUP(copy_done) struct copy c;
    copy_init(&c, "vol.clone");
    return clone(cli, args, &c);
}

static struct err *
create_from(struct cli *cli, const struct args *args, struct copy *c)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    const char *input_pool = args_get(args, "inputpool");
    const char *spec = args->pos.v[2];
    if (input_pool && !strchr(spec, '/')) {
        spec = arena_printf(&cli->arena, "%s/%s", input_pool, spec);
    }
    TRY(read_source(cli, spec, c));
    TRY(storage_pool_find(cli, args->pos.v[0], &c->to_pool));
    TRY(read_input(args->pos.v[1], &text));
    struct err *e = storage_refusal(
        volxml_parse(text.data, text.n, c->to_pool.value.type, VOLXML_NO_CAPACITY, &c->vol),
        "the XML of %s", args->pos.v[1]);
    if (e) {
        return fail_as(e, EXIT_USAGE);
    }
    c->vol.capacity = max64(c->vol.capacity, c->source.capacity);
    if (c->vol.allocation < 0) {
        c->vol.allocation = vol_wanted_allocation(&c->vol);
    }
    read_flags(cli, args, c);
    c->said = "created";
    return copy_add(cli, c, args_has(args, "if-not-exists"));
}

struct err *
vol_create_from(struct cli *cli, const struct args *args)
{
    CLEANUP(copy_done) struct copy c;
    copy_init(&c, "vol.clone");
    return create_from(cli, args, &c);
}

/* An overlay names its backing file in itself. */
static struct err *
check_no_overlay(struct cli *cli, const struct copy *c)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), where = json_array();
    struct json results;
    json_add(a, &where, q_clause(a, "backing", "==", q_uuid(a, &c->from.uuid)));
    json_add(a, &ops, q_select(a, "volume", where, "name"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    return rows->n == 0 ? NULL
                        : err_hint(err_new(ERR_BUSY, "volume %s lies on it",
                                           row_string(&rows->elems[0], "name")),
                                   "move or delete that one first");
}

static struct err *
move(struct cli *cli, const char *spec, const char *to, const char *name, struct copy *c)
{
    c->moves = true;
    TRY(read_source(cli, spec, c));
    TRY(storage_pool_find(cli, to, &c->to_pool));
    TRY(err_wrap(check_no_overlay(cli, c), "vol %s", c->from.label));
    if (uuid_eq(&c->to_pool.pool.uuid, &c->from_pool.pool.uuid)) {
        return err_hint(err_new(ERR_CONSTRAINT, "volume %s is in pool %s already",
                                c->from.label, c->to_pool.pool.label),
                        "byre vol clone makes a second one");
    }
    like_source(c, name ? name : row_string(c->from.row, "name"));
    if (c->live) {
        c->vol.allocation = pool_type_is_files(c->to_pool.value.type) ? 0 : -1;
    }
    c->said = arena_printf(&cli->arena, "moved from %s", c->from.label);
    return copy_add(cli, c, false);
}

struct err *
vol_move(struct cli *cli, const struct args *args)
{
    CLEANUP(copy_done) struct copy c;
    const char *spec = NULL, *to = args_get(args, "to");
    copy_init(&c, "vol.move");
    if (!to) {
        return err_hint(err_new(ERR_SYNTAX, "vol move needs a pool to move to"),
                        "byre vol move POOL/VOLUME --to POOL");
    }
    TRY(vol_name_arg(cli, args, 0, &spec));
    return move(cli, spec, to, args_get(args, "name"), &c);
}

struct err *
vol_move_disk(struct cli *cli, const struct uuid *volume, const char *pool,
              const char *name, int64_t bandwidth, bool keep, bool live)
{
    CLEANUP(copy_done) struct copy c;
    copy_init(&c, live ? "vm.disk.move" : "vol.move");
    c.live = live;
    c.bandwidth = bandwidth;
    if (keep) {
        add_option(cli, &c, "keep", 0);
    }
    return move(cli, UUID_TEXT(volume), pool, name, &c);
}
