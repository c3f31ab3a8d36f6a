/* priv/codec_pool.c: a pool as JSON. */
#include "base/str.h"
#include "priv/codec_i.h"

#define MAX_LIST 256 /* Hosts, devices, mount options. */

static const char *const tristate_names[] = { NULL, "yes", "no" };

void
put_string(struct arena *arena, struct json *object, const char *name, const char *value)
{
    if (value) {
        json_put(arena, object, name, json_string(arena, value));
    }
}

void
put_int(struct arena *arena, struct json *object, const char *name, int64_t value,
        int64_t absent)
{
    if (value != absent) {
        json_put(arena, object, name, json_int(value));
    }
}

void
put_true(struct arena *arena, struct json *object, const char *name, bool value)
{
    if (value) {
        json_put(arena, object, name, json_bool(true));
    }
}

void
put_perms(struct arena *arena, struct json *object, const struct perms *perms)
{
    put_int(arena, object, "mode", perms->mode, -1);
    put_int(arena, object, "owner", perms->owner, -1);
    put_int(arena, object, "group", perms->group, -1);
    put_string(arena, object, "label", perms->label);
}

void
get_perms(struct decode *d, struct perms *ret)
{
    ret->mode = (int) decode_int(d, "mode", DECODE_OPTIONAL, -1, -1, 0777);
    ret->owner = decode_int(d, "owner", DECODE_OPTIONAL, -1, -1, UINT32_MAX - 1);
    ret->group = decode_int(d, "group", DECODE_OPTIONAL, -1, -1, UINT32_MAX - 1);
    ret->label = get_string(d, "label");
}

static void
put_tristate(struct arena *arena, struct json *object, const char *name,
             enum tristate value)
{
    put_string(arena, object, name, tristate_names[value]);
}

static enum tristate
get_tristate(struct decode *d, const char *name)
{
    const char *text = get_string(d, name);
    for (int i = TRI_YES; text && i <= TRI_NO; i++) {
        if (str_eq(text, tristate_names[i])) {
            return (enum tristate) i;
        }
    }
    if (text) {
        decode_fail(d, err_new(ERR_SYNTAX, "member '%s' must be yes or no", name));
    }
    return TRI_ABSENT;
}

static struct json
adapter_encode(struct arena *arena, const struct pool_adapter *a)
{
    struct json j = json_object();
    put_string(arena, &j, "type", a->type == ADAPTER_FC_HOST ? "fc_host" : "scsi_host");
    put_string(arena, &j, "name", a->name);
    if (a->has_parentaddr) {
        json_put(arena, &j, "domain", json_int(a->domain));
        json_put(arena, &j, "bus", json_int(a->bus));
        json_put(arena, &j, "slot", json_int(a->slot));
        json_put(arena, &j, "function", json_int(a->function));
        json_put(arena, &j, "unique_id", json_int(a->unique_id));
    }
    put_string(arena, &j, "wwnn", a->wwnn);
    put_string(arena, &j, "wwpn", a->wwpn);
    put_string(arena, &j, "parent", a->parent);
    put_string(arena, &j, "parent_wwnn", a->parent_wwnn);
    put_string(arena, &j, "parent_wwpn", a->parent_wwpn);
    put_string(arena, &j, "parent_fabric_wwn", a->parent_fabric_wwn);
    put_tristate(arena, &j, "managed", a->managed);
    return j;
}

static struct err *
adapter_decode(const struct json *j, struct pool_adapter *a)
{
    struct decode d;
    decode_begin(&d, j, "adapter");
    const char *type = decode_string(&d, "type", 0, NULL);
    a->type = str_eq(type, "fc_host") ? ADAPTER_FC_HOST : ADAPTER_SCSI_HOST;
    if (type && a->type == ADAPTER_SCSI_HOST && !str_eq(type, "scsi_host")) {
        decode_fail(&d, err_new(ERR_SYNTAX, "unknown type of adapter '%s'", type));
    }
    a->name = get_string(&d, "name");
    a->unique_id = (int) decode_int(&d, "unique_id", DECODE_OPTIONAL, -1, -1, INT32_MAX);
    a->has_parentaddr = a->unique_id >= 0;
    a->domain = (uint32_t) decode_int(&d, "domain", DECODE_OPTIONAL, 0, 0, UINT16_MAX);
    a->bus = (uint32_t) decode_int(&d, "bus", DECODE_OPTIONAL, 0, 0, UINT8_MAX);
    a->slot = (uint32_t) decode_int(&d, "slot", DECODE_OPTIONAL, 0, 0, 31);
    a->function = (uint32_t) decode_int(&d, "function", DECODE_OPTIONAL, 0, 0, 7);
    a->wwnn = get_string(&d, "wwnn");
    a->wwpn = get_string(&d, "wwpn");
    a->parent = get_string(&d, "parent");
    a->parent_wwnn = get_string(&d, "parent_wwnn");
    a->parent_wwpn = get_string(&d, "parent_wwpn");
    a->parent_fabric_wwn = get_string(&d, "parent_fabric_wwn");
    a->managed = get_tristate(&d, "managed");
    return decode_end(&d);
}

static struct json
auth_encode(struct arena *arena, const struct pool_auth *a)
{
    struct json j = json_object();
    put_string(arena, &j, "type", a->type);
    put_string(arena, &j, "username", a->username);
    put_string(arena, &j, "secret_uuid", a->secret_uuid);
    put_string(arena, &j, "secret_usage", a->secret_usage);
    put_string(arena, &j, "secret_type", a->secret_type);
    put_string(arena, &j, "password", a->password);
    return j;
}

static struct err *
auth_decode(const struct json *j, struct pool_auth *a)
{
    struct decode d;
    decode_begin(&d, j, "auth");
    a->type = decode_string(&d, "type", 0, NULL);
    a->username = decode_string(&d, "username", 0, NULL);
    a->secret_uuid = get_string(&d, "secret_uuid");
    a->secret_usage = get_string(&d, "secret_usage");
    a->secret_type = get_string(&d, "secret_type");
    a->password = get_string(&d, "password");
    return decode_end(&d);
}

struct json
source_encode(struct arena *arena, const struct pool_source *s)
{
    struct json j = json_object();
    struct json hosts = json_array(), devices = json_array();
    for (size_t i = 0; i < s->n_hosts; i++) {
        struct json host = json_object();
        put_string(arena, &host, "name", s->hosts[i].name);
        put_int(arena, &host, "port", s->hosts[i].port, 0);
        json_add(arena, &hosts, host);
    }
    for (size_t i = 0; i < s->n_devices; i++) {
        struct json device = json_object();
        put_string(arena, &device, "path", s->devices[i].path);
        put_tristate(arena, &device, "part_separator", s->devices[i].part_separator);
        json_add(arena, &devices, device);
    }
    if (s->n_hosts) {
        json_put(arena, &j, "hosts", hosts);
    }
    if (s->n_devices) {
        json_put(arena, &j, "devices", devices);
    }
    if (s->adapter.type != ADAPTER_NONE) {
        json_put(arena, &j, "adapter", adapter_encode(arena, &s->adapter));
    }
    if (s->auth.type) {
        json_put(arena, &j, "auth", auth_encode(arena, &s->auth));
    }
    put_string(arena, &j, "dir", s->dir);
    put_string(arena, &j, "name", s->name);
    put_string(arena, &j, "initiator", s->initiator);
    put_string(arena, &j, "format", s->format);
    put_string(arena, &j, "protocol_ver", s->protocol_ver);
    put_string(arena, &j, "vendor", s->vendor);
    put_string(arena, &j, "product", s->product);
    return j;
}

/* A list of at most MAX_LIST elements, or none. */
static uint32_t
list_length(struct decode *d, const struct json *list, const char *name)
{
    if (list && list->n > MAX_LIST) {
        decode_fail(d, err_new(ERR_CONSTRAINT, "member '%s' has more than %d elements",
                               name, MAX_LIST));
        return 0;
    }
    return list ? list->n : 0;
}

static void
hosts_decode(struct arena *arena, struct decode *d, struct pool_source *s)
{
    const struct json *list = decode_member(d, "hosts", DECODE_ARRAY | DECODE_OPTIONAL);
    s->n_hosts = list_length(d, list, "hosts");
    s->hosts = arena_zalloc(arena, s->n_hosts * sizeof *s->hosts);
    for (size_t i = 0; i < s->n_hosts; i++) {
        struct decode host;
        decode_begin(&host, &list->elems[i], "host");
        s->hosts[i].name = decode_string(&host, "name", 0, NULL);
        s->hosts[i].port =
            (int) decode_int(&host, "port", DECODE_OPTIONAL, 0, 0, UINT16_MAX);
        decode_fail(d, decode_end(&host));
    }
}

static void
devices_decode(struct arena *arena, struct decode *d, struct pool_source *s)
{
    const struct json *list = decode_member(d, "devices", DECODE_ARRAY | DECODE_OPTIONAL);
    s->n_devices = list_length(d, list, "devices");
    s->devices = arena_zalloc(arena, s->n_devices * sizeof *s->devices);
    for (size_t i = 0; i < s->n_devices; i++) {
        struct decode device;
        decode_begin(&device, &list->elems[i], "device");
        s->devices[i].path = decode_string(&device, "path", 0, NULL);
        s->devices[i].part_separator = get_tristate(&device, "part_separator");
        decode_fail(d, decode_end(&device));
    }
}

struct err *
source_decode(struct arena *arena, const struct json *j, struct pool_source *s)
{
    struct decode d;
    decode_begin(&d, j, "source");
    hosts_decode(arena, &d, s);
    devices_decode(arena, &d, s);
    const struct json *adapter =
        decode_member(&d, "adapter", DECODE_OBJECT | DECODE_OPTIONAL);
    if (adapter) {
        decode_fail(&d, adapter_decode(adapter, &s->adapter));
    }
    const struct json *auth = decode_member(&d, "auth", DECODE_OBJECT | DECODE_OPTIONAL);
    if (auth) {
        decode_fail(&d, auth_decode(auth, &s->auth));
    }
    s->dir = get_string(&d, "dir");
    s->name = get_string(&d, "name");
    s->initiator = get_string(&d, "initiator");
    s->format = get_string(&d, "format");
    s->protocol_ver = get_string(&d, "protocol_ver");
    s->vendor = get_string(&d, "vendor");
    s->product = get_string(&d, "product");
    return decode_end(&d);
}

struct json
pool_encode(struct arena *arena, const struct pool *pool)
{
    struct json j = json_object();
    json_put(arena, &j, "type", json_string_ref(pool_type_name(pool->type)));
    put_string(arena, &j, "name", pool->name);
    if (!uuid_is_zero(&pool->uuid)) {
        json_put(arena, &j, "uuid", json_string(arena, UUID_TEXT(&pool->uuid)));
    }
    put_tristate(arena, &j, "cow", pool->cow);
    struct json source = source_encode(arena, &pool->source);
    if (source.n) {
        json_put(arena, &j, "source", source);
    }
    put_string(arena, &j, "target_path", pool->target.path);
    put_perms(arena, &j, &pool->target.perms);
    if (pool->mount_opts) {
        struct json opts = json_array();
        for (const char **opt = pool->mount_opts; *opt; opt++) {
            json_add(arena, &opts, json_string(arena, *opt));
        }
        json_put(arena, &j, "mount_opts", opts);
    }
    return j;
}

struct err *
pool_decode(struct arena *arena, const struct json *j, struct pool *ret)
{
    pool_init(ret);
    struct decode d;
    decode_begin(&d, j, "pool");
    const char *type = decode_string(&d, "type", 0, NULL);
    if (type && !pool_type_parse(type, &ret->type)) {
        decode_fail(&d, err_new(ERR_SYNTAX, "unknown type of pool '%s'", type));
    }
    ret->name = decode_string(&d, "name", 0, NULL);
    const char *uuid = get_string(&d, "uuid");
    if (uuid && !uuid_parse(uuid, &ret->uuid)) {
        decode_fail(&d, err_new(ERR_SYNTAX, "'%s' is not a UUID", uuid));
    }
    ret->cow = get_tristate(&d, "cow");
    const struct json *source =
        decode_member(&d, "source", DECODE_OBJECT | DECODE_OPTIONAL);
    if (source) {
        decode_fail(&d, source_decode(arena, source, &ret->source));
    }
    ret->target.path = pool_path_tidy(arena, get_string(&d, "target_path"));
    get_perms(&d, &ret->target.perms);
    const struct json *opts =
        decode_member(&d, "mount_opts", DECODE_ARRAY | DECODE_OPTIONAL);
    uint32_t n = list_length(&d, opts, "mount_opts");
    ret->mount_opts = n ? arena_zalloc(arena, (n + 1) * sizeof *ret->mount_opts) : NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (!json_is(&opts->elems[i], JSON_STRING)) {
            decode_fail(&d, err_new(ERR_SYNTAX, "a mount option must be a string"));
            ret->mount_opts[i] = "";
        } else {
            ret->mount_opts[i] = opts->elems[i].string;
        }
    }
    return decode_end(&d);
}
