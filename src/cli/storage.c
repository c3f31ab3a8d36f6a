/* cli/storage.c: pools and volumes between rows and room store's values.
 *
 * From rows is room model's work; this file writes them. */
#include "cli/storage_i.h"

#include <errno.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/typed_i.h"
#include "model/storage.h"
#include "store/code.h"
#include "store/plan.h"

#define XML_MAX_BYTES ((size_t) 1 << 20)

static struct json
opt_string(struct arena *a, const char *text)
{
    return text ? json_string(a, text) : q_unset(a);
}

static struct json
opt_int(struct arena *a, int64_t value)
{
    return value >= 0 ? json_int(value) : q_unset(a);
}

static struct json
set_of(struct arena *a, struct json elems)
{
    return elems.n == 1 ? elems.elems[0] : json_pair(a, json_string_ref("set"), elems);
}

static struct json
opt_mode(struct arena *a, int mode)
{
    return mode >= 0 ? json_stringf(a, "0%o", (unsigned) mode) : q_unset(a);
}

static struct json
hosts_json(struct arena *a, const struct pool *p)
{
    struct json hosts = json_array();
    for (size_t i = 0; i < p->source.n_hosts; i++) {
        const struct pool_host *h = &p->source.hosts[i];
        bool v6 = strchr(h->name, ':') != NULL;
        json_add(a, &hosts,
                 h->port ? json_stringf(a, v6 ? "[%s]:%d" : "%s:%d", h->name, h->port)
                         : json_string(a, h->name));
    }
    return set_of(a, hosts);
}

struct details {
    struct arena *arena;
    struct json pairs;
};

static void
put_detail(void *aux, const char *key, const char *value)
{
    struct details *d = aux;
    json_add(d->arena, &d->pairs,
             json_pair(d->arena, json_string(d->arena, key), json_string(d->arena, value)));
}

static struct json
details_json(struct arena *a, const struct pool *p)
{
    struct details d = { a, json_array() };
    model_details_put(p, put_detail, &d);
    return json_pair(a, json_string_ref("map"), d.pairs);
}

struct json
storage_metapool_row(struct cli *cli, const struct pool *p)
{
    static const char *const adapters[] = { NULL, "scsi_host", "fc_host" };
    struct arena *a = &cli->arena;
    struct json row = json_object();
    struct json devices = json_array();

    json_put(a, &row, "name", json_string(a, p->name));
    json_put(a, &row, "type", json_string(a, pool_type_name(p->type)));
    for (size_t i = 0; i < N_MODEL_POOL_TEXTS; i++) {
        const struct model_pool_text *t = &model_pool_texts[i];
        const char *text =
            *(const char *const *) (const void *) ((const char *) p + t->in_pool);
        json_put(a, &row, t->column, opt_string(a, text));
    }
    for (size_t i = 0; i < p->source.n_devices; i++) {
        json_add(a, &devices, json_string(a, p->source.devices[i].path));
    }
    json_put(a, &row, "source_devices", set_of(a, devices));
    json_put(a, &row, "source_hosts", hosts_json(a, p));
    json_put(a, &row, "source_adapter_type",
             opt_string(a, adapters[p->source.adapter.type]));
    json_put(a, &row, "source_adapter_managed",
             json_bool(p->source.adapter.managed == TRI_YES));
    json_put(a, &row, "details", details_json(a, p));
    json_put(a, &row, "target_mode", opt_mode(a, p->target.perms.mode));
    json_put(a, &row, "target_owner", opt_int(a, p->target.perms.owner));
    json_put(a, &row, "target_group", opt_int(a, p->target.perms.group));
    if (p->mount_opts) {
        CLEANUP(buf_done) struct buf b = BUF_INIT;
        for (const char **o = p->mount_opts; *o; o++) {
            buf_printf(&b, "%s%s", b.n ? "," : "", *o);
        }
        json_put(a, &row, "mount_options", json_string(a, buf_cstr(&b)));
    } else {
        json_put(a, &row, "mount_options", q_unset(a));
    }
    return row;
}

void
storage_pool_done(struct storage_pool *s)
{
    pool_done(&s->value);
}

struct err *
storage_pool_find(struct cli *cli, const char *spec, struct storage_pool *ret)
{
    struct uuid metapool;
    struct named named;
    pool_init(&ret->value);
    TRY(names_find(cli, "pool", spec, NULL, &ret->pool));
    if (!row_ref(ret->pool.row, "metapool", &metapool)) {
        return err_new(ERR_BUG, "pool %s has no metapool", spec);
    }
    TRY(names_find(cli, "metapool", UUID_TEXT(&metapool), NULL, &named));
    ret->metapool = named.row;
    CLEANUP(typed_row_drop)
    struct replica_row *m = typed_row_new(cli, &row_metapool_class, ret->metapool);
    CLEANUP(typed_row_drop)
    struct replica_row *p = typed_row_new(cli, &row_pool_class, ret->pool.row);
    return err_wrap(model_pool(row_metapool_of(m), row_pool_of(p), &ret->value), "pool %s",
                    spec);
}

struct json
storage_volume_row(struct cli *cli, const struct vol *v)
{
    struct arena *a = &cli->arena;
    struct json row = json_object();
    json_put(a, &row, "name", json_string(a, v->name));
    if (v->capacity >= 0) {
        json_put(a, &row, "wanted_capacity", json_int(v->capacity));
        json_put(a, &row, "size", json_int((int64_t) div_up((uint64_t) v->capacity, MIB)));
    }
    if (v->allocation >= 0) {
        json_put(a, &row, "wanted_allocation", json_int(v->allocation));
    }
    json_put(a, &row, "format", opt_string(a, v->target.format));
    json_put(a, &row, "mode", opt_mode(a, v->target.perms.mode));
    json_put(a, &row, "owner", opt_int(a, v->target.perms.owner));
    json_put(a, &row, "group", opt_int(a, v->target.perms.group));
    json_put(a, &row, "compat", opt_string(a, v->target.compat));
    json_put(a, &row, "cluster_size",
             opt_int(a, v->target.cluster_bytes ? v->target.cluster_bytes : -1));
    struct json features = json_array();
    if (v->target.lazy_refcounts) {
        json_add(a, &features, json_string_ref("lazy_refcounts"));
    }
    if (v->target.extended_l2) {
        json_add(a, &features, json_string_ref("extended_l2"));
    }
    json_put(a, &row, "features", set_of(a, features));
    json_put(a, &row, "nocow", json_bool(v->target.nocow));
    if (v->backing.path) {
        json_put(a, &row, "backing_format", opt_string(a, v->backing.format));
    }
    return row;
}

struct err *
storage_volume(struct cli *cli, const struct storage_pool *s, const struct json *row,
               struct vol *ret)
{
    struct uuid uuid;
    struct named named;
    CLEANUP(typed_row_drop) struct replica_row *backing = NULL;
    CLEANUP(typed_row_drop)
    struct replica_row *v = typed_row_new(cli, &row_volume_class, row);
    if (row_ref(row, "backing", &uuid)) {
        TRY(names_find(cli, "volume", UUID_TEXT(&uuid), NULL, &named));
        backing = typed_row_new(cli, &row_volume_class, named.row);
    }
    TRY(model_vol(row_volume_of(v), backing ? row_volume_of(backing) : NULL, s->value.type,
                  ret));

    const char *type = row_string(row, "type"); /* Then what was observed, where it was. */
    if (type) {
        vol_type_parse(type, &ret->type);
    }
    ret->key = row_string(row, "key");
    ret->target.path = row_string(row, "filepath");
    ret->capacity = row_int(row, "capacity", max64(ret->capacity, 0));
    ret->allocation = row_int(row, "allocation", ret->allocation);
    ret->physical = row_int(row, "physical", 0);
    return NULL;
}

struct err *
storage_refusal(struct err *e, const char *what, ...)
{
    if (!e) {
        return NULL;
    }
    CLEANUP(free_drop) char *message = store_err_message(e);
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    va_list args;
    va_start(args, what);
    buf_vprintf(&b, what, args);
    va_end(args);
    struct err *said = err_wrap(err_new(err_kind(e), "%s", message), "%s", buf_cstr(&b));
    if (err_next(e)) {
        said = err_hint(said, "%s", err_next(e));
    }
    err_free(e);
    return fail_as(said, EXIT_REFUSED);
}

struct err *
pick_node(struct cli *cli, const struct args *args, struct named *ret)
{
    const char *spec = args_get(args, "node");
    if (spec) {
        return names_find(cli, "hostnode", spec, "_uuid", ret);
    }
    struct json ops = json_array();
    struct json results;
    json_add(&cli->arena, &ops,
             q_select(&cli->arena, "hostnode", json_array(), "_uuid,name"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    if (rows->n == 0) {
        return err_hint(err_new(ERR_NOT_FOUND, "the cluster has no node yet"),
                        "byre node add");
    } else if (rows->n > 1) {
        return err_hint(err_new(ERR_CONSTRAINT, "the cluster has %u nodes", rows->n),
                        "say which: --node NAME");
    }
    *ret = (struct named){ row_uuid(&rows->elems[0]), row_string(&rows->elems[0], "name"),
                           &rows->elems[0] };
    return NULL;
}

struct err *
read_input(const char *path, struct buf *ret)
{
    if (!str_eq(path, "-")) {
        return fs_read(path, XML_MAX_BYTES, ret);
    }
    for (;;) {
        ssize_t n = read(STDIN_FILENO, buf_reserve(ret, 65536), 65536);
        if (n < 0) {
            return err_io(errno, "read standard input");
        } else if (n == 0) {
            buf_cstr(ret);
            return NULL;
        }
        ret->n += (size_t) n;
        if (ret->n > XML_MAX_BYTES) {
            return err_new(ERR_CONSTRAINT, "standard input is larger than %zu bytes",
                           XML_MAX_BYTES);
        }
    }
}

void
show_plan(struct cli *cli, const char *label, struct plan *plan)
{
    struct strvec lines = STRVEC_INIT;
    strvec_split(&lines, plan_text(plan), "\n");
    buf_printf(&cli->change.plan, "  %s\n", label);
    for (size_t i = 0; i < lines.n; i++) {
        buf_printf(&cli->change.plan, "    %s\n", lines.v[i]);
    }
    strvec_done(&lines);
}
