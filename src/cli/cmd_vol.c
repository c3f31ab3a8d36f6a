/* cli/cmd_vol.c: storage volumes, by virsh's verbs.  A volume is named POOL/NAME.
 *
 * What can be seen to be impossible (a name with a slash, more bytes than the pool has)
 * is refused here by the same gate that the host uses, before a row is written. */
#include "cli/job_i.h"
#include "cli/list_i.h"
#include "cli/vol_i.h"
#include "store/gate.h"
#include "store/volxml.h"

#define LONG_BYTES (64 * MIB) /* To be allocated: then it is worth a job. */

/* The pool must be in use, or about to be by this very line. */
struct err *
vol_check_pool(const struct storage_pool *s, const struct vol *v)
{
    const char *state = row_string(s->pool.row, "state");
    bool on = str_eq(state, "running") || str_eq(state, "degraded");
    if (!on && !row_bool(s->pool.row, "active")) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "storage pool '%s' is not active", s->value.name),
            "byre pool start %s", s->pool.label);
    }
    int64_t capacity = s->value.capacity;
    bool is_thin = pool_is_sparse(&s->value) && !pool_type_is_files(s->value.type);
    if (!is_thin && capacity > 0 && v->capacity > capacity) {
        CLEANUP(free_drop) char *asked = str_from_bytes(v->capacity);
        CLEANUP(free_drop) char *has = str_from_bytes(capacity);
        struct err *e =
            err_new(ERR_NO_SPACE, "%s asked (%" PRId64 " bytes), the pool has %s in all",
                    asked, v->capacity, has);
        return err_hint(e, "take a smaller disk, or another pool: byre pool list");
    }
    if (s->value.available > 0 && v->allocation > s->value.available) {
        CLEANUP(free_drop) char *asked = str_from_bytes(v->allocation);
        CLEANUP(free_drop) char *has = str_from_bytes(s->value.available);
        return err_hint(
            err_new(ERR_NO_SPACE, "%s to be allocated, the pool has %s free", asked, has),
            "leave out --allocation: then blocks are taken as they are written");
    }
    return NULL;
}

struct err *
vol_check_new(struct cli *cli, const struct storage_pool *s, const char *name,
              bool if_not_exists, bool *ret_there)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    *ret_there = false;
    json_add(a, &where, q_clause(a, "pool", "==", q_uuid(a, &s->pool.uuid)));
    json_add(a, &where, q_clause(a, "name", "==", json_string(a, name)));
    json_add(a, &ops, q_select(a, "volume", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    *ret_there = q_rows(&results, 0)->n > 0;
    if (*ret_there && !if_not_exists) {
        return err_hint(err_new(ERR_EXISTS, "storage volume '%s' exists already", name),
                        "byre vol info %s/%s", s->pool.label, name);
    }
    return NULL;
}

struct err *
vol_check_format(const struct storage_pool *s, const struct vol *v)
{
    const char *const *formats = pool_traits(s->value.type)->vol_formats;
    CLEANUP(strvec_done) struct strvec known = STRVEC_INIT;
    for (size_t i = 0; formats && formats[i]; i++) {
        if (str_eq(formats[i], v->target.format)) {
            return NULL;
        }
        strvec_add(&known, formats[i]);
    }
    if (!formats || !v->target.format) {
        return NULL;
    }
    CLEANUP(free_drop) char *all = strvec_join(&known, ", ");
    return err_hint(err_new(ERR_SYNTAX, "unknown volume format type %s", v->target.format),
                    "one of: %s", all);
}

/* The row of the backing volume: by its path, or by the name that was given for it. */
static struct err *
find_backing(struct cli *cli, const char *spec, struct vol *v, struct uuid *ret)
{
    struct named backing;
    TRY(err_wrap(names_find(cli, "volume", spec, NULL, &backing), "backing volume"));
    *ret = backing.uuid;
    const char *path = row_string(backing.row, "filepath");
    v->backing.path = path ? path : backing.label;
    if (!v->backing.format) {
        v->backing.format = row_string(backing.row, "format");
    }
    if (v->capacity < 0) {
        v->capacity = row_int(backing.row, "capacity", -1);
    }
    return NULL;
}

/* A volume that could not be made leaves no row, so that the name is free for another try. */
struct json
vol_forget_failed(struct arena *a, const struct uuid *uuid)
{
    struct json op = json_object(), where = q_where_uuid(a, uuid);
    json_add(a, &where, q_clause(a, "state", "==", json_string_ref("failed")));
    json_put(a, &op, "op", json_string_ref("delete"));
    json_put(a, &op, "table", json_string_ref("volume"));
    json_put(a, &op, "where", where);
    return op;
}

struct err *
vol_create(struct cli *cli, const struct storage_pool *s, struct vol *v,
           const char *backing, bool if_not_exists, struct uuid *ret_uuid)
{
    struct arena *a = &cli->arena;
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    struct uuid backing_uuid;
    bool there;

    if (backing) {
        TRY(find_backing(cli, backing, v, &backing_uuid));
    }
    const char *label = arena_printf(a, "vol %s/%s", s->pool.label, v->name);
    struct err *e =
        storage_refusal(vol_name_check(v->name), "vol %s/%s", s->pool.label, v->name);
    if (e) {
        return fail_as(e, EXIT_USAGE);
    }
    TRY(vol_check_format(s, v));
    TRY(err_wrap(vol_check_new(cli, s, v->name, if_not_exists, &there), "%s", label));
    if (there) {
        return NULL;
    }
    TRY(err_wrap(vol_check_pool(s, v), "%s", label));
    TRY(storage_refusal(gate_vol_create(&s->value, v, 0, &plan), "vol %s/%s", s->pool.label,
                        v->name));
    if (cli->dry_run) {
        show_plan(cli, label, &plan);
    }
    struct json row = storage_volume_row(cli, v);
    json_put(a, &row, "pool", q_uuid(a, &s->pool.uuid));
    json_put(a, &row, "generation", json_int(1));
    if (backing) {
        json_put(a, &row, "backing", q_uuid(a, &backing_uuid));
    }
    struct uuid uuid;
    change_insert(cli, "volume", row, &uuid);
    change_await(cli, GOAL_APPLIED, "volume", &uuid, 1, label, "created");
    change_take_back(cli, vol_forget_failed(a, &uuid));
    if (v->allocation >= LONG_BYTES) {
        struct uuid job;
        change_insert(cli, "job", job_row(cli, "vol.create", "volume", &uuid, s->pool.row),
                      &job);
        job_await(cli, &job);
    }
    if (ret_uuid) {
        *ret_uuid = uuid;
    }
    return NULL;
}

static struct err *
cmd_create(struct cli *cli, const struct args *args)
{
    CLEANUP(storage_pool_done) struct storage_pool s;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    CLEANUP(vol_done) struct vol v;
    vol_init(&v);
    TRY(storage_pool_find(cli, args->pos.v[0], &s));
    TRY(read_input(args->pos.v[1], &text));
    struct err *e = storage_refusal(volxml_parse(text.data, text.n, s.value.type, 0, &v),
                                    "the XML of %s", args->pos.v[1]);
    if (e) {
        return fail_as(e, EXIT_USAGE);
    }
    if (v.allocation < 0) {
        v.allocation = vol_wanted_allocation(&v);
    }
    const char *backing = v.backing.path;
    return vol_create(cli, &s, &v, backing ? arena_str(&cli->arena, backing) : NULL,
                      args_has(args, "if-not-exists"), NULL);
}

static struct err *
cmd_create_as(struct cli *cli, const struct args *args)
{
    CLEANUP(storage_pool_done) struct storage_pool s;
    CLEANUP(vol_done) struct vol v;
    const char *backing = args_get(args, "backing");
    vol_init(&v);
    TRY(storage_pool_find(cli, args->pos.v[0], &s));
    v.name = args->pos.v[1];
    v.allocation = pool_type_is_files(s.value.type) ? 0 : -1;
    v.target.format = args_get(args, "format")
                          ? args_get(args, "format")
                          : pool_traits(s.value.type)->default_vol_format;
    v.backing.format = args_get(args, "backing-format");
    if (args->pos.n > 2) {
        TRY(parse_size("capacity", args->pos.v[2], 1, &v.capacity));
    } else if (!backing) {
        return err_hint(err_new(ERR_SYNTAX, "vol create-as needs a capacity"),
                        "byre vol create-as %s %s 10G", args->pos.v[0], v.name);
    }
    TRY(args_size(args, "allocation", 1, &v.allocation));
    if (args_has(args, "mode")) {
        char *end;
        v.target.perms.mode = (int) strtol(args_get(args, "mode"), &end, 8);
        if (*end || v.target.perms.mode > 0777 || v.target.perms.mode < 0) {
            return err_new(ERR_SYNTAX, "--mode takes octal digits up to 777");
        }
    }
    return vol_create(cli, &s, &v, backing, args_has(args, "if-not-exists"), NULL);
}

static struct err *
cmd_list(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct list l = { 0 };
    char *where = NULL;
    if (args->pos.n) {
        where = arena_printf(&cli->arena, "pool=%s", args->pos.v[0]);
        l.where = &where;
        l.n_where = 1;
    }
    TRY(db_table(cli, "volume", &table));
    l.table = table;
    if (args_has(args, "details")) {
        l.columns = "name,pool,filepath,type,format,capacity,allocation,state";
    }
    return list_run(cli, args, &l);
}

/* The positionals that name volumes, the last 'n_tail' being something else: POOL/NAME
 * each, or a pool and then names in it, as virsh has it.  *ret is in the arena. */
static struct err *
volume_names(struct cli *cli, const struct args *args, size_t n_tail, struct strvec *ret)
{
    size_t n = args->pos.n - n_tail;
    struct named pool;
    *ret = (struct strvec){ args->pos.v, n, 0 };
    if (n < 2 || strchr(args->pos.v[0], '/') || strchr(args->pos.v[1], '/')) {
        return NULL;
    }
    bool exact = cli->exact;
    cli->exact = true;
    struct err *e = names_find(cli, "pool", args->pos.v[0], "_uuid", &pool);
    cli->exact = exact;
    if (e) { /* No pool, so it is the name of a volume. */
        bool none = err_is(e, ERR_NOT_FOUND);
        err_free(none ? e : NULL);
        return none ? NULL : e;
    }
    ret->n = n - 1;
    ret->v = arena_zalloc(&cli->arena, n * sizeof *ret->v);
    for (size_t i = 1; i < n; i++) {
        ret->v[i - 1] = arena_printf(&cli->arena, "%s/%s", args->pos.v[0], args->pos.v[i]);
    }
    return NULL;
}

/* The same where there must be one. */
struct err *
vol_name_arg(struct cli *cli, const struct args *args, size_t n_tail, const char **ret)
{
    struct strvec names;
    TRY(volume_names(cli, args, n_tail, &names));
    if (names.n != 1) {
        return err_hint(err_new(ERR_SYNTAX, "it takes one volume, not %zu", names.n),
                        "a volume is POOL/NAME, or POOL NAME");
    }
    *ret = names.v[0];
    return NULL;
}

static struct err *
cmd_info(struct cli *cli, const struct args *args)
{
    struct args same = *args;
    TRY(volume_names(cli, args, 0, &same.pos));
    return info_noun(cli, &same, "volume", NULL);
}

/* The volume's row and its pool. */
struct err *
vol_find(struct cli *cli, const char *spec, struct named *ret,
         struct storage_pool *ret_pool)
{
    struct uuid pool;
    pool_init(&ret_pool->value);
    TRY(names_find(cli, "volume", spec, NULL, ret));
    if (!row_ref(ret->row, "pool", &pool)) {
        return err_new(ERR_BUG, "volume %s has no pool", spec);
    }
    return storage_pool_find(cli, UUID_TEXT(&pool), ret_pool);
}

static struct err *
cmd_dumpxml(struct cli *cli, const struct args *args)
{
    struct named named;
    CLEANUP(storage_pool_done) struct storage_pool s;
    CLEANUP(vol_done) struct vol v;
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    vol_init(&v);
    const char *name = NULL;
    TRY(vol_name_arg(cli, args, 0, &name));
    TRY(vol_find(cli, name, &named, &s));
    const char *live;
    TRY(live_xml(cli, "volume", &named.uuid, name, &live));
    if (live) {
        fputs(live, stdout);
        return NULL;
    }
    TRY(storage_volume(cli, &s, named.row, &v));
    volxml_format(&v, s.value.type, &xml);
    fputs(buf_cstr(&xml), stdout);
    return NULL;
}

static struct err *
cmd_path(struct cli *cli, const struct args *args)
{
    struct named_list list = VEC_INIT;
    struct strvec names;
    TRY(volume_names(cli, args, 0, &names));
    struct err *e = names_match(cli, "volume", names.v, names.n, "filepath", &list);
    for (size_t i = 0; i < list.n && !e; i++) {
        const char *path = row_string(list.v[i].row, "filepath");
        if (path) {
            printf("%s\n", path);
        } else {
            e = err_hint(
                err_new(ERR_NOT_FOUND, "volume %s has no file yet", list.v[i].label),
                "byre vol info %s", list.v[i].label);
        }
    }
    VEC_DONE(&list);
    return e;
}

/* As names_match(); what no name or path fits may be a key. */
static struct err *
vol_match_keys(struct cli *cli, const struct strvec *specs, const char *columns,
               struct named_list *list)
{
    struct arena *a = &cli->arena;
    for (size_t i = 0; i < specs->n; i++) {
        struct json ops = json_array(), where = json_array();
        struct json results;
        char *spec = specs->v[i];
        json_add(a, &where, q_clause(a, "key", "==", json_string(a, spec)));
        json_add(a, &ops, q_select(a, "volume", where, "_uuid"));
        TRY(db_transact(cli, &ops, &results));
        const struct json *rows = q_rows(&results, 0);
        if (rows->n) {
            struct uuid uuid = row_uuid(&rows->elems[0]);
            spec = arena_printf(a, "%s", UUID_TEXT(&uuid));
        }
        TRY(names_match(cli, "volume", &spec, 1, columns, list));
    }
    return NULL;
}

/* Prints one thing of each volume that is named by path, key, name or UUID. */
static struct err *
print_each(struct cli *cli, const struct args *args, const char *columns,
           struct err *(*print)(struct cli *, const struct named *) )
{
    struct named_list list = VEC_INIT;
    struct strvec names;
    TRY(volume_names(cli, args, 0, &names));
    struct err *e = vol_match_keys(cli, &names, columns, &list);
    for (size_t i = 0; i < list.n && !e; i++) {
        e = print(cli, &list.v[i]);
    }
    VEC_DONE(&list);
    return e;
}

static struct err *
print_key(struct cli *cli UNUSED, const struct named *volume)
{
    const char *key = row_string(volume->row, "key");
    if (!key) {
        return err_hint(err_new(ERR_NOT_FOUND, "volume %s has no key yet", volume->label),
                        "byre vol info %s", volume->label);
    }
    printf("%s\n", key);
    return NULL;
}

static struct err *
print_name(struct cli *cli UNUSED, const struct named *volume)
{
    printf("%s\n", row_string(volume->row, "name"));
    return NULL;
}

static struct err *
print_pool(struct cli *cli, const struct named *volume)
{
    struct uuid uuid;
    struct named pool;
    if (!row_ref(volume->row, "pool", &uuid)) {
        return err_new(ERR_BUG, "volume %s has no pool", volume->label);
    }
    TRY(names_find(cli, "pool", UUID_TEXT(&uuid), "name", &pool));
    printf("%s\n", row_string(pool.row, "name"));
    return NULL;
}

static struct err *
cmd_key(struct cli *cli, const struct args *args)
{
    return print_each(cli, args, "key", print_key);
}

static struct err *
cmd_name(struct cli *cli, const struct args *args)
{
    return print_each(cli, args, "name", print_name);
}

static struct err *
cmd_pool_of(struct cli *cli, const struct args *args)
{
    return print_each(cli, args, "pool", print_pool);
}

/* What a kind of pool cannot do is refused before it is wished: a LUN that is marked as deleted
 * would stay, and be of no use any more. */
static struct err *
delete_check(struct cli *cli, const struct named *named, const char *label)
{
    CLEANUP(storage_pool_done) struct storage_pool s;
    CLEANUP(vol_done) struct vol v;
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    struct uuid pool;

    vol_init(&v);
    pool_init(&s.value);
    if (!row_ref(named->row, "pool", &pool)) {
        return NULL;
    }
    struct err *e = storage_pool_find(cli, UUID_TEXT(&pool), &s);
    if (!e) {
        e = storage_volume(cli, &s, named->row, &v);
    }
    if (e && !cli->dry_run) { /* A row without a pool can go all the same. */
        err_free(e);
        return NULL;
    }
    TRY(e);
    TRY(storage_refusal(gate_vol_delete(&s.value, &v, &plan), "vol %s/%s", s.pool.label,
                        v.name));
    if (cli->dry_run) {
        show_plan(cli, label, &plan);
    }
    return NULL;
}

static struct err *
delete_one(struct cli *cli, const struct named *named)
{
    struct arena *a = &cli->arena;
    struct json row = json_object();
    const char *label = arena_printf(a, "vol %s", named->label);

    TRY(delete_check(cli, named, label));
    json_put(a, &row, "deleted", json_bool(true));
    change_update(cli, "volume", &named->uuid, row);
    change_await(cli, GOAL_GONE, "volume", &named->uuid, -1, label, "deleted");
    return NULL;
}

static struct err *
cmd_delete(struct cli *cli, const struct args *args)
{
    struct named_list list = VEC_INIT;
    struct strvec names;
    TRY(volume_names(cli, args, 0, &names));
    struct err *e = names_match(cli, "volume", names.v, names.n, NULL, &list);
    if (err_is(e, ERR_NOT_FOUND) && args_has(args, "if-exists")) {
        err_free(e);
        e = NULL;
    }
    for (size_t i = 0; i < list.n && !e; i++) {
        e = delete_one(cli, &list.v[i]);
    }
    for (size_t i = 0; i < list.n && !e; i++) { /* All are marked: some may go together. */
        e = vol_check_unused(cli, &list.v[i]);
    }
    VEC_DONE(&list);
    return e;
}

static const struct opt_spec opts_create[] = {
    { "if-not-exists", NULL, "a volume of that name that is there already is no error" },
    { NULL },
};
static const struct opt_spec opts_create_as[] = {
    { "format", "FORMAT", "raw (default), qcow2 ...", "raw|qcow2|qcow|qed|vmdk|vdi|vpc" },
    { "allocation", "SIZE", "bytes to have blocks for at once (0)" },
    { "backing", "VOLUME", "holds only the differences to this one", "volume" },
    { "backing-format", "FORMAT", "of the backing volume (what its row says)" },
    { "mode", "OCTAL", "permissions of the file (0600)" },
    { "if-not-exists", NULL, "a volume of that name that is there already is no error" },
    { NULL },
};
static const struct opt_spec opts_resize[] = {
    { "delta", NULL, "CAPACITY is what to add, or with --shrink to take away" },
    { "shrink", NULL, "it may become smaller: the data behind are lost" },
    { "allocate", NULL, "have blocks for all of it" },
    { NULL },
};
static const struct opt_spec opts_list_vol[] = {
    { "details", NULL, "path and type too" },
    { NULL },
};
static const struct opt_spec opts_wipe[] = {
    { "algorithm", "NAME", "how (zero)",
      "zero|nnsa|dod|bsi|gutmann|schneier|pfitzner7|pfitzner33|random|trim" },
    { NULL },
};
static const struct opt_spec opts_clone[] = {
    { "pool", "POOL", "where the copy lies (beside its source)", "pool" },
    { "format", "FORMAT", "of the copy (its source's)", "raw|qcow2|qcow|qed|vmdk|vdi|vpc" },
    { "capacity", "SIZE", "of the copy, if it is to be larger" },
    { "allocation", "SIZE", "bytes to have blocks for (as its source)" },
    { "reflink", NULL, "share blocks with the source, or fail" },
    { "prealloc-metadata", NULL, "allocate the tables of a qcow2 at once" },
    { "if-not-exists", NULL, "a volume of that name that is there already is no error" },
    { NULL },
};
static const struct opt_spec opts_create_from[] = {
    { "inputpool", "POOL", "where the source lies, if VOLUME does not say", "pool" },
    { "reflink", NULL, "share blocks with the source, or fail" },
    { "prealloc-metadata", NULL, "allocate the tables of a qcow2 at once" },
    { "if-not-exists", NULL, "a volume of that name that is there already is no error" },
    { NULL },
};
static const struct opt_spec opts_move[] = {
    { "to", "POOL", "the pool to move to", "pool" },
    { "name", "NAME", "its name there (the same)" },
    { NULL },
};
static const struct opt_spec opts_delete[] = {
    { "if-exists", NULL, "a volume that is not there is no error" },
    { NULL },
};
static const struct opt_spec opts_transfer[] = {
    { "offset", "SIZE", "where in the volume to begin (0)" },
    { "length", "SIZE", "how much (all)" },
    { "force", NULL, "download: replace a file that is there" },
    { NULL },
};

const struct command cmds_vol[] = {
    { "vol", "create", "POOL FILE", "makes a volume by libvirt's XML; - is standard input",
      cmd_create, CMD_CHANGE, opts_create, "pool file" },
    { "vol", "create-as", "POOL NAME [CAPACITY]", "makes a volume by options",
      cmd_create_as, CMD_CHANGE, opts_create_as, "pool file",
      "byre vol create-as default db.qcow2 20G --format qcow2\n" },
    { "vol", "list", "[POOL]", "volumes", cmd_list, CMD_LIST, opts_list_vol, "pool" },
    { "vol", "info", "VOLUME...", "all that is known of a volume", cmd_info, 0, NULL,
      "volume", "VOLUME is POOL/NAME; POOL NAME... also does.\n" },
    { "vol", "dumpxml", "[POOL] VOLUME", "the volume as libvirt's XML", cmd_dumpxml, 0,
      NULL, "volume" },
    { "vol", "path", "VOLUME...", "its path on the host", cmd_path, 0, NULL, "volume" },
    { "vol", "key", "VOLUME...", "its key: what it is known by on the host", cmd_key, 0,
      NULL, "volume" },
    { "vol", "name", "VOLUME...", "its name, by path, key or UUID", cmd_name, 0, NULL,
      "volume" },
    { "vol", "pool", "VOLUME...", "the pool it lies in, by path, key or UUID", cmd_pool_of,
      0, NULL, "volume" },
    { "vol", "resize", "[POOL] VOLUME CAPACITY", "makes it larger, or smaller", vol_resize,
      CMD_CHANGE, opts_resize, "volume file" },
    { "vol", "wipe", "[POOL] VOLUME", "overwrites its data", vol_wipe, CMD_CHANGE,
      opts_wipe, "volume" },
    { "vol", "clone", "[POOL] VOLUME NEWNAME", "makes a copy", vol_clone, CMD_CHANGE,
      opts_clone, "volume file",
      "byre vol clone default/base.qcow2 web.qcow2 --capacity 40G\n" },
    { "vol", "create-from", "POOL FILE VOLUME",
      "makes a volume by XML, filled from another", vol_create_from, CMD_CHANGE,
      opts_create_from, "pool file volume" },
    { "vol", "move", "[POOL] VOLUME", "takes it to another pool, with its machine's disk",
      vol_move, CMD_CHANGE, opts_move, "volume",
      "byre vol move default/db.raw --to fast\n" },
    { "vol", "delete", "VOLUME...", "deletes the volume and its data", cmd_delete,
      CMD_CHANGE, opts_delete, "volume" },
    { "vol", "upload", "[POOL] VOLUME FILE", "a file's content into the volume", vol_upload,
      0, opts_transfer, "volume file" },
    { "vol", "download", "[POOL] VOLUME FILE", "the volume's content into a new file",
      vol_download, 0, opts_transfer, "volume file" },
    { NULL },
};
