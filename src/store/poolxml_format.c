/* store/poolxml_format.c: prints pools.  The order is fixed (virStoragePoolDefFormat); parts
 * of the source that the type does not have are not printed, even if they were given. */
#include "store/adapter_i.h"
#include "store/poolxml.h"
#include "store/sources.h"
#include "store/xmlparts_i.h"

#define NS_FS "http://libvirt.org/schemas/storagepool/fs/1.0"

static void
put_device(struct xml_writer *w, const struct pool_device *device)
{
    xml_open(w, "device");
    xml_put(w, "path", device->path);
    parts_put_tristate(w, "part_separator", device->part_separator);
    for (size_t i = 0; i < device->n_free; i++) {
        xml_open(w, "freeExtent");
        xml_putf(w, "start", "%" PRId64, device->free[i].start);
        xml_putf(w, "end", "%" PRId64, device->free[i].end);
        xml_close(w);
    }
    xml_close(w);
}

static void
put_auth(struct xml_writer *w, const struct pool_auth *auth)
{
    if (!auth->type) {
        return;
    }
    xml_open(w, "auth");
    xml_put(w, "type", auth->type);
    xml_put(w, "username", auth->username);
    xml_open(w, "secret");
    xml_put(w, "type", auth->secret_type);
    xml_put(w, "uuid", auth->secret_uuid);
    xml_put(w, "usage", auth->secret_usage);
    xml_close(w);
    xml_close(w);
}

/* <name attr='value'/>, nothing if there is no value. */
static void
put_one(struct xml_writer *w, const char *name, const char *attr, const char *value)
{
    if (value) {
        xml_open(w, name);
        xml_put(w, attr, value);
        xml_close(w);
    }
}

static void
put_source(struct xml_writer *w, enum pool_type type, const struct pool_source *source)
{
    int flags = pool_traits(type)->source_flags;
    xml_open(w, "source");
    for (size_t i = 0; flags & SRC_HOST && i < source->n_hosts; i++) {
        xml_open(w, "host");
        xml_put(w, "name", source->hosts[i].name);
        if (source->hosts[i].port) {
            xml_putf(w, "port", "%d", source->hosts[i].port);
        }
        xml_close(w);
    }
    for (size_t i = 0; flags & SRC_DEVICE && i < source->n_devices; i++) {
        put_device(w, &source->devices[i]);
    }
    if (flags & SRC_DIR) {
        put_one(w, "dir", "path", source->dir);
    }
    if (flags & SRC_ADAPTER) {
        adapter_format(&source->adapter, w);
    }
    if (flags & SRC_NAME) {
        xml_leaf(w, "name", source->name);
    }
    if (flags & SRC_INITIATOR_IQN && source->initiator) {
        xml_open(w, "initiator");
        put_one(w, "iqn", "name", source->initiator);
        xml_close(w);
    }
    if (pool_traits(type)->formats) {
        put_one(w, "format", "type", source->format);
    }
    put_auth(w, &source->auth);
    put_one(w, "protocol", "ver", source->protocol_ver);
    put_one(w, "vendor", "name", source->vendor);
    put_one(w, "product", "name", source->product);
    xml_close_wide(w);
}

void
poolxml_format(const struct pool *pool, struct buf *out)
{
    const struct pool_traits *traits = pool_traits(pool->type);
    struct xml_writer w;
    xml_writer_init(&w, out);
    xml_open(&w, "pool");
    xml_put(&w, "type", traits->name);
    if (pool->mount_opts && pool->mount_opts[0]) {
        xml_put(&w, "xmlns:fs", NS_FS);
    }
    xml_leaf(&w, "name", pool->name);
    xml_leaf(&w, "uuid", UUID_TEXT(&pool->uuid));
    parts_put_bytes(&w, "capacity", pool->capacity);
    parts_put_bytes(&w, "allocation", pool->allocation);
    parts_put_bytes(&w, "available", pool->available);
    if (pool->cow != TRI_ABSENT) {
        xml_open(&w, "features");
        xml_open(&w, "cow");
        parts_put_tristate(&w, "state", pool->cow);
        xml_close(&w);
        xml_close(&w);
    }
    put_source(&w, pool->type, &pool->source);
    if (!traits->no_target) {
        xml_open(&w, "target");
        xml_leaf(&w, "path", pool->target.path);
        parts_put_perms(&w, &pool->target.perms);
        xml_close_wide(&w);
    }
    if (pool->refresh_allocation) {
        xml_open(&w, "refresh");
        xml_open(&w, "volume");
        xml_put(&w, "allocation", pool->refresh_allocation);
        xml_close(&w);
        xml_close(&w);
    }
    if (pool->mount_opts && pool->mount_opts[0]) {
        xml_open(&w, "fs:mount_opts");
        for (const char **opt = pool->mount_opts; *opt; opt++) {
            put_one(&w, "fs:option", "name", *opt);
        }
        xml_close(&w);
    }
    xml_close(&w);
}

void
source_list_done(struct source_list *list)
{
    VEC_DONE(&list->v);
    arena_done(&list->arena);
    *list = SOURCE_LIST_INIT;
}

struct pool_source *
source_list_add(struct source_list *list)
{
    struct pool_source *source = VEC_ADD(&list->v);
    *source = (struct pool_source){ .adapter.unique_id = -1 };
    return source;
}

void
source_list_format(const struct source_list *list, enum pool_type type, struct buf *out)
{
    struct xml_writer w;
    xml_writer_init(&w, out);
    xml_open(&w, "sources");
    for (size_t i = 0; i < list->v.n; i++) {
        put_source(&w, type, &list->v.v[i]);
    }
    xml_close_wide(&w);
}
