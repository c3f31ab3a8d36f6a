/* cli/vol_change.c: `vol wipe`, `vol resize` and `vm disk resize`.
 *
 * Plain growth is a want of the volume's row: it stays true whatever happens.  What loses data
 * (wiping, shrinking) or takes long (blocks for all of it) is asked for once, by a job; and so is what only the
 * QEMU of a running machine can do. */
#include "cli/job_i.h"
#include "cli/vol_i.h"
#include "store/gate.h"

/* A volume that a command changes. */
struct target {
    struct named named;
    struct storage_pool s;
    struct vol v; /* As observed. */
    const char *label;
};

static void
target_done(struct target *t)
{
    vol_done(&t->v);
    storage_pool_done(&t->s);
}

static struct err *
target_find(struct cli *cli, const char *name, bool live, struct target *t)
{
    TRY(vol_find(cli, name, &t->named, &t->s));
    TRY(storage_volume(cli, &t->s, t->named.row, &t->v));
    t->label = arena_printf(&cli->arena, "vol %s", t->named.label);
    return live ? vol_check_no_jobs(cli, &t->named) : vol_check_at_rest(cli, &t->named);
}

static void
target_init(struct target *t)
{
    memset(t, 0, sizeof *t);
    pool_init(&t->s.value);
    vol_init(&t->v);
}

static struct err *
target_of_args(struct cli *cli, const struct args *args, size_t n_tail, struct target *t)
{
    const char *name = NULL;
    target_init(t);
    TRY(vol_name_arg(cli, args, n_tail, &name));
    return target_find(cli, name, false, t);
}

static void
add_job(struct cli *cli, const struct target *t, struct json row, const char *said)
{
    struct uuid job;
    change_insert(cli, "job", row, &job);
    change_await_state(cli, GOAL_JOB, "job", &job, t->label, said);
    job_await(cli, &job);
}

struct err *
vol_wipe(struct cli *cli, const struct args *args)
{
    CLEANUP(target_done) struct target t;
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    const char *name = args_get(args, "algorithm");
    enum wipe_algorithm algorithm = WIPE_ZERO;
    TRY(target_of_args(cli, args, 0, &t));
    if (name && !wipe_algorithm_parse(name, &algorithm)) {
        return err_hint(err_new(ERR_SYNTAX, "Unsupported algorithm '%s'", name),
                        "one of: zero, nnsa, dod, bsi, gutmann, schneier, pfitzner7, "
                        "pfitzner33, random, trim");
    }
    TRY(storage_refusal(gate_vol_wipe(&t.s.value, &t.v, algorithm, &plan), "%s", t.label));
    if (cli->dry_run) {
        show_plan(cli, t.label, &plan);
    }
    struct json row = job_row(cli, "vol.wipe", "volume", &t.named.uuid, t.s.pool.row);
    json_put(&cli->arena, &row, "algorithm",
             json_string_ref(wipe_algorithm_name(algorithm)));
    add_job(cli, &t, row, "wiped");
    return NULL;
}

static struct json
old_value(struct arena *a, const struct json *row, const char *column)
{
    const struct json *value = json_get(row, column);
    return value ? json_copy(a, value) : q_unset(a);
}

/* A size that was refused is not wanted any more: else it would come when nobody expects it. */
static struct json
old_size(struct arena *a, const struct json *row, const struct uuid *uuid)
{
    struct json op = json_object(), values = json_object();
    json_put(a, &values, "wanted_capacity", old_value(a, row, "wanted_capacity"));
    json_put(a, &values, "size", old_value(a, row, "size"));
    json_put(a, &op, "op", json_string_ref("update"));
    json_put(a, &op, "table", json_string_ref("volume"));
    json_put(a, &op, "where", q_where_uuid(a, uuid));
    json_put(a, &op, "row", values);
    return op;
}

/* The capacity that the arguments mean. */
static struct err *
read_capacity(const struct args *args, const struct target *t, int64_t *ret)
{
    const char *size = args->pos.v[args->pos.n - 1];
    bool shrink = args_has(args, "shrink");
    int64_t has = t->v.capacity;
    TRY(parse_size("capacity", size, 1, ret));
    if (args_has(args, "delta") && shrink) {
        *ret = max64(has - *ret, 0);
    } else if (args_has(args, "delta")) {
        if (*ret > INT64_MAX - has) {
            return err_new(ERR_SYNTAX, "--delta %s is too much", size);
        }
        *ret += has;
    }
    if (*ret < has && !shrink) {
        struct err *e =
            err_new(ERR_CONSTRAINT,
                    "it has %" PRId64 " bytes; %" PRId64 " would cut off data", has, *ret);
        return err_hint(err_wrap(e, "%s", t->label),
                        "--shrink, if the data behind that may be lost");
    }
    return NULL;
}

static void
grow(struct cli *cli, const struct target *t, int64_t bytes)
{
    struct arena *a = &cli->arena;
    struct json row = json_object();
    json_put(a, &row, "wanted_capacity", json_int(bytes));
    json_put(a, &row, "size", json_int((int64_t) div_up((uint64_t) bytes, MIB)));
    change_update(cli, "volume", &t->named.uuid, row);
    change_await(cli, GOAL_APPLIED, "volume", &t->named.uuid, -1, t->label, "resized");
    change_take_back(cli, old_size(a, t->named.row, &t->named.uuid));
}

struct err *
vol_resize(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    CLEANUP(target_done) struct target t;
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    struct json options = json_array();
    int64_t bytes;
    int flags = 0;
    TRY(target_of_args(cli, args, 1, &t));
    TRY(read_capacity(args, &t, &bytes));
    if (args_has(args, "shrink") && bytes < t.v.capacity) {
        json_add(a, &options, json_string_ref("shrink"));
        flags |= VOL_SHRINK;
    }
    if (args_has(args, "allocate")) {
        json_add(a, &options, json_string_ref("allocate"));
        flags |= VOL_ALLOCATE;
    }
    t.v.capacity = bytes;
    TRY(err_wrap(vol_check_pool(&t.s, &t.v), "%s", t.label));
    TRY(storage_refusal(gate_vol_resize(&t.s.value, &t.v, bytes, flags, &plan), "vol %s/%s",
                        t.s.pool.label, t.v.name));
    if (cli->dry_run) {
        show_plan(cli, t.label, &plan);
    }
    if (!flags) {
        grow(cli, &t, bytes);
        return NULL;
    }
    struct json row = job_row(cli, "vol.resize", "volume", &t.named.uuid, t.s.pool.row);
    json_put(a, &row, "length", json_int(bytes));
    json_put(a, &row, "options", json_pair(a, json_string_ref("set"), options));
    add_job(cli, &t, row, "resized");
    return NULL;
}

/* A machine that goes off before the job begins has it refused: the command says so. */
static void
grow_live(struct cli *cli, const struct target *t, int64_t bytes)
{
    struct json row =
        job_row(cli, "vm.disk.resize", "volume", &t->named.uuid, t->s.pool.row);
    json_put(&cli->arena, &row, "length", json_int(bytes));
    add_job(cli, t, row, "resized");
}

struct err *
vol_resize_disk(struct cli *cli, const struct uuid *volume, const char *size, bool live)
{
    CLEANUP(target_done) struct target t;
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    int64_t bytes;
    target_init(&t);
    TRY(target_find(cli, UUID_TEXT(volume), live, &t));
    TRY(parse_size("size", size, 1, &bytes));
    if (bytes < t.v.capacity) {
        struct err *e = err_new(ERR_CONSTRAINT,
                                "it has %" PRId64 " bytes; %" PRId64 " would cut off data",
                                t.v.capacity, bytes);
        return err_hint(
            err_wrap(e, "%s", t.label),
            "stop the machine, then byre vol resize --shrink, if the data behind "
            "that may be lost");
    }
    t.v.capacity = bytes;
    TRY(err_wrap(vol_check_pool(&t.s, &t.v), "%s", t.label));
    TRY(storage_refusal(gate_vol_resize(&t.s.value, &t.v, bytes, 0, &plan), "%s", t.label));
    if (cli->dry_run && !live) {
        show_plan(cli, t.label, &plan);
    }
    if (live) {
        grow_live(cli, &t, bytes);
    } else {
        grow(cli, &t, bytes);
    }
    return NULL;
}
