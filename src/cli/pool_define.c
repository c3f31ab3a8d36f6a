/* cli/pool_define.c: a pool by libvirt's XML or by virsh's options: its template and its
 * row. */
#include "cli/pool_i.h"
#include "cli/storage_i.h"
#include "store/code.h"
#include "store/conflict.h"
#include "store/gate.h"
#include "store/poolxml.h"

static struct err *
as_usage(struct err *e)
{
    return e ? fail_as(e, EXIT_USAGE) : NULL;
}

/* A row of 'table' by its exact name; *ret_row NULL: none. */
static struct err *
find_row(struct cli *cli, const char *table, const char *name, const struct json **ret_row)
{
    struct named named;
    bool exact = cli->exact;
    cli->exact = true;
    struct err *e = names_find(cli, table, name, NULL, &named);
    cli->exact = exact;
    *ret_row = e ? NULL : named.row;
    if (err_is(e, ERR_NOT_FOUND)) {
        err_free(e);
        return NULL;
    }
    return e;
}

/* Two pools of one host must not claim one source: libvirt's rules, its words. */
static struct err *
check_conflict(struct cli *cli, const struct pool *pool, const struct uuid *node)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    json_add(a, &where, q_clause(a, "hostnode", "==", q_uuid(a, node)));
    json_add(a, &ops, q_select(a, "pool", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));

    const struct json *rows = q_rows(&results, 0);
    struct storage_pool *others = arena_zalloc(a, (rows->n + 1) * sizeof *others);
    const struct pool **values = arena_zalloc(a, (rows->n + 1) * sizeof *values);
    struct err *e = NULL;
    size_t n = 0;
    while (n < rows->n && !e) {
        struct uuid uuid = row_uuid(&rows->elems[n]);
        e = storage_pool_find(cli, UUID_TEXT(&uuid), &others[n]);
        values[n] = &others[n].value;
        n++;
    }
    if (!e) {
        e = storage_refusal(conflict_check(pool, values, n), "pool %s", pool->name);
    }
    while (n > 0) {
        storage_pool_done(&others[--n]);
    }
    return e;
}

/* A name and a UUID belong together.  A definition that says no UUID keeps the one there is:
 * libvirt makes up a new one, and then refuses it. */
static struct err *
check_identity(struct cli *cli, const struct pool *pool, const struct uuid *node)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), where = json_array(), results;
    if (uuid_is_zero(&pool->uuid)) {
        return NULL;
    }
    json_add(a, &where, q_clause(a, "hostnode", "==", q_uuid(a, node)));
    json_add(a, &ops, q_select(a, "pool", where, "_uuid,name,uuid"));
    TRY(db_transact(cli, &ops, &results));

    const struct json *rows = q_rows(&results, 0);
    for (uint32_t i = 0; i < rows->n; i++) {
        const char *name = row_string(&rows->elems[i], "name");
        struct uuid uuid;
        if (!row_ref(&rows->elems[i], "uuid", &uuid)) {
            uuid = row_uuid(&rows->elems[i]);
        }
        bool same_name = str_eq(name, pool->name), same_uuid = uuid_eq(&uuid, &pool->uuid);
        if (same_uuid && !same_name) {
            return storage_refusal(store_err(VE_OPERATION_FAILED,
                                             "pool '%s' is already defined with uuid %s",
                                             name, UUID_TEXT(&uuid)),
                                   "pool %s", pool->name);
        } else if (same_name && !same_uuid) {
            return storage_refusal(store_err(VE_OPERATION_FAILED,
                                             "pool '%s' already exists with uuid %s", name,
                                             UUID_TEXT(&uuid)),
                                   "pool %s", pool->name);
        }
    }
    return NULL;
}

/* What a pool in use is made of must stay: its volumes' paths, and machines, depend on it. */
static struct err *
check_redefine(struct cli *cli, const struct json *metapool, const struct json *row,
               const char *name)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    struct uuid uuid = row_uuid(metapool);
    const char *changed = NULL;
    static const char *const fixed[] = { "target_path", "source_dir", "source_name",
                                         "source_format", "source_adapter_name" };
    for (size_t i = 0; i < N_ELEMS(fixed) && !changed; i++) {
        const char *is = row_string(metapool, fixed[i]);
        const char *shall = row_string(row, fixed[i]);
        changed = str_eq(is ? is : "", shall ? shall : "") ? NULL : fixed[i];
    }
    if (!changed) {
        return NULL;
    }
    json_add(a, &where, q_clause(a, "metapool", "==", q_uuid(a, &uuid)));
    json_add(a, &ops, q_select(a, "pool", where, "active,state"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *pools = q_rows(&results, 0);
    for (uint32_t i = 0; i < pools->n; i++) {
        if (row_bool(&pools->elems[i], "active")) {
            struct err *e = err_new(ERR_BUSY, "it is active; its %s cannot change from %s",
                                    changed, row_string(metapool, changed));
            return err_wrap(err_hint(e, "byre pool stop %s, or take another name", name),
                            "pool %s", name);
        }
    }
    return NULL;
}

static struct err *
define(struct cli *cli, const struct args *args, struct pool *pool)
{
    struct arena *a = &cli->arena;
    const struct json *metapool, *there;
    struct named node;
    struct uuid metapool_uuid, pool_uuid;
    bool starts = str_starts(args->command->verb, "create");

    TRY(fail_unless_name("pool", pool->name));
    TRY(storage_refusal(gate_pool_define(pool), "pool %s", pool->name));
    TRY(pick_node(cli, args, &node));
    TRY(check_conflict(cli, pool, &node.uuid));
    TRY(check_identity(cli, pool, &node.uuid));
    TRY(find_row(cli, "metapool", pool->name, &metapool));
    struct json row = storage_metapool_row(cli, pool);
    if (metapool) {
        metapool_uuid = row_uuid(metapool);
        if (!str_eq(row_string(metapool, "type"), pool_type_name(pool->type))) {
            return err_hint(err_new(ERR_EXISTS, "pool %s is there with type %s", pool->name,
                                    row_string(metapool, "type")),
                            "byre pool undefine %s, or take another name", pool->name);
        }
        TRY(check_redefine(cli, metapool, &row, pool->name));
        change_update(cli, "metapool", &metapool_uuid, row);
    } else {
        change_insert(cli, "metapool", row, &metapool_uuid);
    }

    CLEANUP(free_drop) char *spec = str_dupf("%s@%s", pool->name, node.label);
    TRY(find_row(cli, "pool", spec, &there));
    if (!there) {
        struct json p = json_object();
        json_put(a, &p, "metapool", q_uuid(a, &metapool_uuid));
        json_put(a, &p, "hostnode", q_uuid(a, &node.uuid));
        json_put(a, &p, "name", json_string(a, pool->name));
        if (!uuid_is_zero(&pool->uuid)) {
            json_put(a, &p, "uuid", q_uuid(a, &pool->uuid));
        }
        json_put(a, &p, "autostart", json_bool(args_has(args, "autostart")));
        if (starts) {
            json_put(a, &p, "active", json_bool(true));
            json_put(a, &p, "generation", json_int(1));
        }
        change_insert(cli, "pool", p, &pool_uuid);
    } else {
        pool_uuid = row_uuid(there);
    }
    if (starts && there) {
        struct json p = json_object();
        json_put(a, &p, "active", json_bool(true));
        change_update(cli, "pool", &pool_uuid, p);
    }
    change_say(cli, "pool %s: defined", pool->name);
    if (starts) {
        change_await(cli, GOAL_APPLIED, "pool", &pool_uuid, there ? -1 : 1,
                     arena_printf(a, "pool %s", pool->name), "started");
    }
    return NULL;
}

struct err *
pool_define(struct cli *cli, const struct args *args)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    TRY(read_input(args->pos.v[0], &text));
    CLEANUP(free_drop) char *what = str_dupf("the XML of %s", args->pos.v[0]);
    return pool_define_text(cli, args, what, &text);
}

struct err *
pool_define_text(struct cli *cli, const struct args *args, const char *what,
                 const struct buf *text)
{
    CLEANUP(pool_done) struct pool pool;
    pool_init(&pool);
    TRY(as_usage(storage_refusal(poolxml_parse(text->data, text->n, &pool), "%s", what)));
    return define(cli, args, &pool);
}

/* The options as a struct pool, then through XML and back: one set of checks for both
 * ways in. */
static struct err *
pool_from_options(struct cli *cli, const struct args *args, struct buf *xml)
{
    struct arena *a = &cli->arena;
    struct pool p;
    pool_init(&p);
    const char *type = args->pos.n > 1 ? args->pos.v[1] : args_get(args, "type");
    if (!pool_type_parse(type ? type : "dir", &p.type)) {
        return err_hint(err_new(ERR_SYNTAX, "there is no pool type \"%s\"", type),
                        "one of: dir, fs, netfs, logical, disk, iscsi, scsi, mpath");
    }
    p.name = args->pos.v[0];
    p.target.path = args_get(args, "target");
    p.source.dir = args_get(args, "source-path");
    p.source.name = args_get(args, "source-name");
    p.source.format = args_get(args, "source-format");
    p.source.initiator = args_get(args, "source-initiator");
    p.source.protocol_ver = args_get(args, "source-protocol-ver");
    p.source.adapter.name = args_get(args, "adapter-name");
    p.source.adapter.type = p.source.adapter.name ? ADAPTER_SCSI_HOST : ADAPTER_NONE;
    const char *value;
    while ((value = args_nth(args, "source-host", p.source.n_hosts))) {
        p.source.hosts = p.source.hosts ? p.source.hosts
                                        : arena_zalloc(a, 64 * sizeof(struct pool_host));
        if (p.source.n_hosts == 64) {
            return err_new(ERR_CONSTRAINT, "more than 64 hosts");
        }
        p.source.hosts[p.source.n_hosts++].name = value;
    }
    while ((value = args_nth(args, "source-dev", p.source.n_devices))) {
        p.source.devices = p.source.devices
                               ? p.source.devices
                               : arena_zalloc(a, 64 * sizeof(struct pool_device));
        if (p.source.n_devices == 64) {
            return err_new(ERR_CONSTRAINT, "more than 64 devices");
        }
        p.source.devices[p.source.n_devices++].path = value;
    }
    uuid_random(&p.uuid);
    poolxml_format(&p, xml);
    return NULL;
}

struct err *
pool_define_as(struct cli *cli, const struct args *args)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    CLEANUP(pool_done) struct pool pool;
    pool_init(&pool);
    TRY(fail_unless_name("pool", args->pos.v[0]));
    TRY(pool_from_options(cli, args, &xml));
    TRY(as_usage(
        storage_refusal(poolxml_parse(xml.data, xml.n, &pool), "pool %s", args->pos.v[0])));
    if (args_has(args, "print-xml")) {
        fputs(buf_cstr(&xml), stdout);
        return NULL;
    }
    pool.uuid = (struct uuid){ 0 }; /* Nobody asked for one: a pool keeps its own. */
    return define(cli, args, &pool);
}

#define OPT_NODE                                                                           \
    {                                                                                      \
        "node", "NODE", "on which host (the only one)", "hostnode"                         \
    }
const struct opt_spec opts_pool_define[] = {
    OPT_NODE,
    { "autostart", NULL, "start it when the host has booted" },
    { NULL },
};
const struct opt_spec opts_pool_define_as[] = {
    OPT_NODE,
    { "autostart", NULL, "start it when the host has booted" },
    { "type", "TYPE", "dir (default), fs, netfs, logical, disk, iscsi, scsi, mpath",
      "dir|fs|netfs|logical|disk|iscsi|scsi|mpath" },
    { "target", "PATH", "where it is on the host", "file" },
    { "source-host", "HOST", "server; may be repeated" },
    { "source-path", "PATH", "exported directory" },
    { "source-dev", "PATH", "device; may be repeated", "file" },
    { "source-name", "NAME", "volume group ..." },
    { "source-format", "FORMAT", "nfs, ext4, lvm2 ..." },
    { "source-initiator", "IQN", "of iscsi" },
    { "source-protocol-ver", "VERSION", "of NFS" },
    { "adapter-name", "HOST", "of scsi: host3" },
    { "print-xml", NULL, "print the XML instead of defining it" },
    { NULL },
};
