/* model/storage.c: see storage.h.  Most columns are plain text on both sides: a table copies
 * them. */
#include "model/storage.h"

#include <stdlib.h>

#include "base/str.h"

/* clang-format off */
#define TEXT(column, member) \
    { #column, offsetof(struct row_metapool, column), offsetof(struct pool, member) }
/* clang-format on */
const struct model_pool_text model_pool_texts[N_MODEL_POOL_TEXTS] = {
    TEXT(source_name, source.name),
    TEXT(source_dir, source.dir),
    TEXT(source_format, source.format),
    TEXT(source_initiator, source.initiator),
    TEXT(source_protocol_ver, source.protocol_ver),
    TEXT(source_adapter_name, source.adapter.name),
    TEXT(source_adapter_parent, source.adapter.parent),
    TEXT(source_adapter_wwnn, source.adapter.wwnn),
    TEXT(source_adapter_wwpn, source.adapter.wwpn),
    TEXT(auth_type, source.auth.type),
    TEXT(auth_username, source.auth.username),
    TEXT(target_path, target.path),
};

static const char *
copy_text(struct arena *a, const char *text)
{
    return text && *text ? arena_str(a, text) : NULL;
}

static MUST_CHECK struct err *
mode_parse(const char *column, const char *text, int *ret)
{
    *ret = -1;
    if (!text) {
        return NULL;
    }
    char *end;
    unsigned long mode = strtoul(text, &end, 8);
    if (!*text || *end || mode > 0777) {
        return err_new(ERR_CONSTRAINT, "%s '%s' is not an octal mode up to 0777", column,
                       text);
    }
    *ret = (int) mode;
    return NULL;
}

static int64_t
or_unset(const struct typed_int *x)
{
    return x->has ? x->v : -1;
}

/* "name", "name:port", "[v6]", "[v6]:port"; a bare IPv6 address has more than one colon. */
static MUST_CHECK struct err *
host_parse(struct arena *a, const char *text, struct pool_host *ret)
{
    char *name = arena_str(a, *text == '[' ? text + 1 : text);
    char *port = NULL;
    char *bracket = *text == '[' ? strchr(name, ']') : NULL;

    if (bracket) {
        *bracket = '\0';
        port = bracket[1] == ':' ? bracket + 2 : NULL;
    } else {
        char *colon = strchr(name, ':');
        if (colon && !strchr(colon + 1, ':')) {
            *colon = '\0';
            port = colon + 1;
        }
    }
    uint64_t number = 0;
    if (port && (!str_to_u64(port, &number) || number < 1 || number > 65535)) {
        return err_new(ERR_CONSTRAINT, "source_hosts '%s' has no port from 1 to 65535",
                       text);
    }
    *ret = (struct pool_host){ name, (int) number };
    return NULL;
}

static MUST_CHECK struct err *
sources_from(const struct row_metapool *m, struct pool *p)
{
    p->source.n_hosts = m->source_hosts.n;
    p->source.hosts = arena_zalloc(&p->arena, m->source_hosts.n * sizeof *p->source.hosts);
    for (uint32_t i = 0; i < m->source_hosts.n; i++) {
        TRY(host_parse(&p->arena, m->source_hosts.v[i].string->s, &p->source.hosts[i]));
    }

    p->source.n_devices = m->source_devices.n;
    p->source.devices =
        arena_zalloc(&p->arena, m->source_devices.n * sizeof *p->source.devices);
    for (uint32_t i = 0; i < m->source_devices.n; i++) {
        p->source.devices[i].path = arena_str(&p->arena, m->source_devices.v[i].string->s);
    }

    struct pool_adapter *adapter = &p->source.adapter;
    adapter->type = str_eq(m->source_adapter_type, "fc_host")     ? ADAPTER_FC_HOST
                    : str_eq(m->source_adapter_type, "scsi_host") ? ADAPTER_SCSI_HOST
                                                                  : ADAPTER_NONE;
    adapter->managed = m->source_adapter_managed ? TRI_YES : TRI_ABSENT;
    return NULL;
}

/* "a,b" as the NULL-terminated list {"a", "b"}. */
static const char **
options_from(struct arena *a, const char *text)
{
    if (!text || !*text) {
        return NULL;
    }
    CLEANUP(strvec_done) struct strvec parts = STRVEC_INIT;
    strvec_split(&parts, text, ",");
    const char **list = arena_zalloc(a, (parts.n + 1) * sizeof *list);
    for (size_t i = 0; i < parts.n; i++) {
        list[i] = arena_str(a, parts.v[i]);
    }
    return list;
}

static MUST_CHECK struct err *
pool_from(const struct row_metapool *m, const struct row_pool *row, struct pool *p)
{
    if (!pool_type_parse(m->type, &p->type)) {
        return err_new(ERR_CONSTRAINT, "type '%s' is not a type of pool", m->type);
    }
    p->name = arena_str(&p->arena, row->name);
    p->uuid = uuid_is_zero(&row->uuid) ? row->base.uuid : row->uuid;
    for (size_t i = 0; i < N_MODEL_POOL_TEXTS; i++) {
        const struct model_pool_text *t = &model_pool_texts[i];
        const char *text =
            *(const char *const *) (const void *) ((const char *) m + t->in_row);
        *(const char **) (void *) ((char *) p + t->in_pool) = copy_text(&p->arena, text);
    }
    p->target.path = pool_path_tidy(&p->arena, p->target.path);
    p->target.perms.owner = or_unset(&m->target_owner);
    p->target.perms.group = or_unset(&m->target_group);
    p->mount_opts = options_from(&p->arena, m->mount_options);
    TRY(mode_parse("target_mode", m->target_mode, &p->target.perms.mode));
    TRY(sources_from(m, p));
    model_details_get(m, p);

    const struct pool_traits *traits = pool_traits(p->type);
    if (!p->source.format) {
        p->source.format = traits->default_format;
    }
    if (!p->source.name && traits->source_flags & SRC_NAME) {
        p->source.name = p->name;
    }
    p->capacity = row->capacity.v;
    p->allocation = row->allocation.v;
    p->available = row->available.v;
    return NULL;
}

struct err *
model_pool(const struct row_metapool *m, const struct row_pool *row, struct pool *ret)
{
    pool_init(ret);
    struct err *e = pool_from(m, row, ret);
    if (e) {
        pool_done(ret);
    }
    return e;
}

int64_t
model_vol_capacity(const struct row_volume *row)
{
    return row->wanted_capacity.has ? row->wanted_capacity.v
           : row->size.has          ? row->size.v * MIB
                                    : -1;
}

static MUST_CHECK struct err *
vol_from(const struct row_volume *row, const struct row_volume *backing,
         enum pool_type type, struct vol *v)
{
    v->name = arena_str(&v->arena, row->name);
    v->capacity = model_vol_capacity(row);
    /* A file is sparse unless something else is wanted, a device has room for all. */
    v->allocation = row->wanted_allocation.has ? row->wanted_allocation.v
                    : pool_type_is_files(type) ? 0
                                               : -1;

    const char *format = copy_text(&v->arena, row->format);
    v->target.format = format ? format : pool_traits(type)->default_vol_format;
    v->target.compat = copy_text(&v->arena, row->compat);
    v->target.cluster_bytes = row->cluster_size.has ? row->cluster_size.v : 0;
    v->target.lazy_refcounts = typed_set_has(&row->features, "lazy_refcounts");
    v->target.extended_l2 = typed_set_has(&row->features, "extended_l2");
    v->target.has_features = row->features.n > 0;
    v->target.nocow = row->nocow;
    v->target.perms.owner = or_unset(&row->owner);
    v->target.perms.group = or_unset(&row->group);
    TRY(mode_parse("mode", row->mode, &v->target.perms.mode));

    if (!uuid_is_zero(&row->backing) && (!backing || !backing->filepath)) {
        return err_hint(err_new(ERR_NOT_FOUND, "the backing volume has no file yet"),
                        "wait until it is ready");
    } else if (backing) {
        const char *backing_format =
            row->backing_format ? row->backing_format : backing->format;
        v->backing.path = arena_str(&v->arena, backing->filepath);
        v->backing.format = arena_str(&v->arena, backing_format ? backing_format : "raw");
    }
    return NULL;
}

struct err *
model_vol(const struct row_volume *row, const struct row_volume *backing,
          enum pool_type type, struct vol *ret)
{
    vol_init(ret);
    struct err *e = vol_from(row, backing, type, ret);
    if (e) {
        vol_done(ret);
    }
    return e;
}
