/* store/poolxml.c: reads pool definitions.
 *
 * The order of the checks is libvirt's (virStoragePoolDefParseXML), because a definition with
 * two faults must be answered with the same one: type, source, name, uuid, features, what the
 * type requires of the source, target, refresh, namespace. */
#include "store/poolxml.h"

#include "base/str.h"
#include "store/adapter_i.h"
#include "store/code.h"
#include "store/xmlparts_i.h"

#define NS_FS "http://libvirt.org/schemas/storagepool/fs/1.0"

static struct err *
parse_hosts(struct arena *arena, const struct xml_node *node, struct pool_source *source)
{
    source->hosts = arena_zalloc(arena, xml_count(node, "host") * sizeof *source->hosts);
    for (const struct xml_node *x = xml_find(node, "host"); x; x = xml_next(x)) {
        struct pool_host *host = &source->hosts[source->n_hosts++];
        if (!xml_attr(x, "name")) {
            return store_err(VE_XML_ERROR, "missing storage pool host name");
        }
        host->name = arena_str(arena, xml_attr(x, "name"));
        TRY(parts_int(x, "port", &host->port));
    }
    return NULL;
}

static struct err *
parse_devices(struct arena *arena, const struct xml_node *node, struct pool_source *source)
{
    source->devices =
        arena_zalloc(arena, xml_count(node, "device") * sizeof *source->devices);
    for (const struct xml_node *x = xml_find(node, "device"); x; x = xml_next(x)) {
        struct pool_device *device = &source->devices[source->n_devices++];
        if (!xml_attr(x, "path")) {
            return store_err(VE_XML_ERROR, "missing storage pool source device path");
        }
        device->path = arena_str(arena, xml_attr(x, "path"));
        TRY(parts_tristate(x, "part_separator", &device->part_separator));
    }
    return NULL;
}

static struct err *
parse_auth(struct arena *arena, const struct xml_node *node, struct pool_auth *ret)
{
    static const char *const types[] = { "chap", "ceph", NULL };
    const char *type = xml_attr(node, "type");
    const char *username = xml_attr(node, "username");
    if (!username) {
        return store_err(VE_XML_ERROR, "missing username for auth");
    } else if (type && parts_index(types, type) < 0) {
        return store_err(VE_CONFIG_UNSUPPORTED, "unknown auth type '%s'", type);
    }
    const struct xml_node *secret = xml_find(node, "secret");
    if (!secret) {
        return store_err(VE_XML_ERROR, "Missing <secret> element in auth");
    }
    ret->secret_type = parts_dup(arena, xml_attr(secret, "type"));
    TRY(parts_secret(arena, secret, &ret->secret_uuid, &ret->secret_usage));
    if (!type) {
        return store_err(VE_CONFIG_UNSUPPORTED, "storage pool missing auth type");
    }
    ret->type = arena_str(arena, type);
    ret->username = arena_str(arena, username);
    return NULL;
}

static struct err *
parse_format(const struct pool_traits *traits, const struct xml_node *node,
             struct pool_source *source, int *ret_index)
{
    const char *format = xml_string(node, "format/@type");
    if (!format) {
        source->format = traits->default_format;
        *ret_index = parts_index(traits->formats, source->format);
        return NULL;
    }
    *ret_index = parts_index(traits->formats, format);
    if (*ret_index < 0) {
        return store_err(VE_CONFIG_UNSUPPORTED, "unknown pool format type %s", format);
    }
    source->format = traits->formats[*ret_index];
    return NULL;
}

static struct err *
parse_protocol(struct arena *arena, const struct xml_node *node, int format_index,
               struct pool_source *source)
{
    const char *ver = xml_string(node, "protocol/@ver");
    if (!ver) {
        return NULL;
    } else if (format_index > 1) { /* Neither auto nor nfs, whatever the type of pool. */
        const char *const *names = pool_traits(POOL_NETFS)->formats;
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "storage pool protocol ver unsupported for pool type '%s'",
                         format_index < 4 ? names[format_index] : "(null)");
    } else if (strchr(ver, ',')) {
        return store_err(VE_XML_DETAIL,
                         "storage pool protocol ver '%s' must not contain ','", ver);
    }
    source->protocol_ver = arena_str(arena, ver);
    return NULL;
}

static struct err *
parse_source(struct arena *arena, const struct xml_node *node, enum pool_type type,
             struct pool_source *source)
{
    const struct pool_traits *traits = pool_traits(type);
    source->name = parts_dup(arena, xml_string(node, "name"));
    if (type == POOL_RBD && !source->name) {
        return store_err(VE_XML_ERROR, "element 'name' is mandatory for RBD pool");
    }
    int format_index = 0;
    if (traits->formats) {
        TRY(parse_format(traits, node, source, &format_index));
    }
    TRY(parse_hosts(arena, node, source));
    source->initiator = parts_dup(arena, xml_string(node, "initiator/iqn/@name"));
    TRY(parse_devices(arena, node, source));
    source->dir = pool_path_tidy(arena, xml_string(node, "dir/@path"));
    if (!source->dir && type == POOL_GLUSTER) {
        source->dir = "/";
    }
    const struct xml_node *adapter = xml_find(node, "adapter");
    if (adapter) {
        TRY(adapter_parse(arena, adapter, &source->adapter));
    }
    const struct xml_node *auth = xml_find(node, "auth");
    if (auth) {
        TRY(parse_auth(arena, auth, &source->auth));
    }
    TRY(parse_protocol(arena, node, format_index, source));
    source->vendor = parts_dup(arena, xml_string(node, "vendor/@name"));
    source->product = parts_dup(arena, xml_string(node, "product/@name"));
    return NULL;
}

static struct err *
parse_name_and_uuid(const struct xml_node *root, const struct pool_traits *traits,
                    struct pool *pool)
{
    const char *name = xml_string(root, "name");
    if (!name && traits->source_flags & SRC_NAME) {
        name = pool->source.name;
    }
    if (!name) {
        return store_err(VE_XML_ERROR, "missing pool source name element");
    } else if (strchr(name, '/')) {
        return store_err(VE_XML_ERROR, "name %s cannot contain '/'", name);
    }
    pool->name = arena_str(&pool->arena, name);

    const char *uuid = xml_string(root, "uuid");
    if (uuid && !uuid_parse(uuid, &pool->uuid)) {
        return store_err(VE_XML_ERROR, "malformed uuid element");
    }
    return NULL;
}

static struct err *
parse_features(const struct xml_node *root, struct pool *pool)
{
    const struct xml_node *cow = xml_find(root, "features/cow");
    if (!cow) {
        return NULL;
    } else if (pool->type != POOL_DIR && pool->type != POOL_FS) {
        return store_err(VE_NO_SUPPORT,
                         "cow feature may only be used for 'fs' and 'dir' pools");
    }
    return parts_tristate(cow, "state", &pool->cow);
}

static struct err *
check_source(const struct pool_traits *traits, struct pool *pool)
{
    struct pool_source *source = &pool->source;
    if (traits->source_flags & SRC_HOST && !source->n_hosts) {
        return store_err(VE_XML_ERROR, "missing storage pool source host name");
    } else if (traits->source_flags & SRC_DIR && !source->dir) {
        return store_err(VE_XML_ERROR, "missing storage pool source path");
    }
    if (traits->source_flags & SRC_NAME && !source->name) {
        source->name = pool->name;
    }
    if (traits->source_flags & SRC_ADAPTER) {
        TRY(adapter_check(&source->adapter));
    }
    /* A device is only demanded where it is all that a source consists of. */
    if (traits->source_flags == SRC_DEVICE && !source->n_devices) {
        return store_err(VE_XML_ERROR, "missing storage pool source device name");
    }
    return NULL;
}

static struct err *
parse_target(const struct xml_node *root, const struct pool_traits *traits,
             struct pool *pool)
{
    struct arena *arena = &pool->arena;
    if (traits->no_target) {
        return NULL;
    }
    const char *path = xml_string(root, "target/path");
    if (pool->type == POOL_LOGICAL) {
        path = arena_printf(arena, "/dev/%s", pool->source.name);
    } else if (pool->type == POOL_ZFS) {
        path = arena_printf(arena, "/dev/zvol/%s", pool->source.name);
    } else if (!path) {
        return store_err(VE_XML_ERROR, "missing storage pool target path");
    }
    pool->target.path = pool_path_tidy(arena, path);
    return parts_perms(arena, root, "target/permissions", &pool->target.perms);
}

static struct err *
parse_refresh(const struct xml_node *root, struct pool *pool)
{
    static const char *const ways[] = { "default", "capacity", NULL };
    const char *way = xml_string(root, "refresh/volume/@allocation");
    if (!way) {
        return NULL;
    }
    int i = parts_index(ways, way);
    if (i < 0) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "unknown storage pool volume refresh allocation type %s", way);
    }
    pool->refresh_allocation = ways[i];
    return NULL;
}

static struct err *
parse_mount_opts(const struct xml_node *root, struct pool *pool)
{
    const struct xml_node *opts = xml_find_ns(root, NS_FS, "mount_opts");
    if (!opts || (pool->type != POOL_FS && pool->type != POOL_NETFS)) {
        return NULL;
    }
    size_t n = 0;
    for (const struct xml_node *x = xml_find_ns(opts, NS_FS, "option"); x;
         x = xml_next_ns(x)) {
        n++;
    }
    pool->mount_opts = arena_zalloc(&pool->arena, (n + 1) * sizeof *pool->mount_opts);
    n = 0;
    for (const struct xml_node *x = xml_find_ns(opts, NS_FS, "option"); x;
         x = xml_next_ns(x)) {
        const char *name = xml_attr(x, "name");
        if (!name || !*name) {
            return store_err(VE_XML_ERROR, "no fs mount option name specified");
        }
        pool->mount_opts[n++] = arena_str(&pool->arena, name);
    }
    return NULL;
}

struct err *
poolxml_parse(const char *text, size_t n_bytes, struct pool *pool)
{
    CLEANUP(arena_done) struct arena tree = ARENA_INIT;
    const struct xml_node *root;
    TRY(parts_document(&tree, text, n_bytes, "(storage_pool_definition)", "pool", &root));

    const char *type_names[N_POOL_TYPES + 1] = { NULL };
    for (int i = 0; i < N_POOL_TYPES; i++) {
        type_names[i] = pool_type_name((enum pool_type) i);
    }
    int type = 0;
    TRY(parts_enum(root, "type", type_names, true, &type));
    pool->type = (enum pool_type) type;
    const struct pool_traits *traits = pool_traits(pool->type);

    const struct xml_node *source = xml_find(root, "source");
    if (source) {
        TRY(parse_source(&pool->arena, source, pool->type, &pool->source));
    } else {
        pool->source.format = traits->default_format;
    }
    TRY(parse_name_and_uuid(root, traits, pool));
    TRY(parse_features(root, pool));
    TRY(check_source(traits, pool));
    TRY(parse_target(root, traits, pool));
    if (pool->type == POOL_ISCSI_DIRECT && !pool->source.initiator) {
        return store_err(VE_CONFIG_UNSUPPORTED, "missing initiator IQN");
    }
    TRY(parse_refresh(root, pool));
    TRY(parse_mount_opts(root, pool));
    /* libvirt refuses it when defining; what comes later trusts that names are one line. */
    if (strchr(pool->name, '\n')) {
        return store_err(VE_XML_DETAIL, "invalid char in name: \n");
    }
    return NULL;
}

struct err *
poolxml_parse_source(const char *text, size_t n_bytes, enum pool_type type,
                     struct pool *pool)
{
    CLEANUP(arena_done) struct arena tree = ARENA_INIT;
    const struct xml_node *root;
    TRY(parts_document(&tree, text, n_bytes, "(storage_source_specification)", "source",
                       &root));
    pool->type = type;
    return parse_source(&pool->arena, root, type, &pool->source);
}
