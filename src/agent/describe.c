/* agent/describe.c: libvirt's XML of a volume, a pool or a machine as it is this moment.
 *
 *     {"method":"xml","volume":ROW}   -> {"result":{"xml":TEXT}}
 *     {"method":"xml","pool":ROW}
 *     {"method":"xml","vm":ROW,"inactive":false}     as libvirt tells it: without passwords
 *     {"method":"look","pool":ROW,"name":N}   -> {"result":{"found":true}}, and soon there is a row
 *
 * Rows hold what people sort and wait by; times, owners and what an image's header says beyond
 * that are read from the file when somebody asks. */
#include "agent/service_i.h"

#include "json/decode.h"
#include "store/code.h"
#include "store/poolxml.h"
#include "store/volxml.h"

static void
send_xml(struct request *r, const char *xml)
{
    struct json answer = json_object(), result = json_object();
    CLEANUP(buf_done) struct buf line = BUF_INIT;

    json_put(&r->arena, &result, "xml", json_string(&r->arena, xml));
    json_put(&r->arena, &answer, "result", result);
    json_print(&answer, 0, &line);
    service_send_line(r->fd, &line);
}

static void
vol_serve(struct request *r)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    struct err *e = stored_call(r->agent->stored, &r->priv, -1, NULL, &r->reply);

    if (!e && r->reply.vols.vols.n != 1) {
        e = err_new(ERR_BUG, "%zu volumes were described", r->reply.vols.vols.n);
    }
    if (e) {
        service_send_error(r->fd, e);
        err_free(e);
        return;
    }
    volxml_format(&r->reply.vols.vols.v[0], r->pool.type, &xml);
    send_xml(r, buf_cstr(&xml));
}

static void
pool_serve(struct request *r)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;

    poolxml_format(&r->pool, &xml);
    send_xml(r, buf_cstr(&xml));
}

static void
vm_serve(struct request *r)
{
    CLEANUP(free_drop) char *xml = NULL;
    struct err *e = virt_xml(r->agent->virt, &r->domain, r->guest.inactive, &xml);

    if (e) {
        service_send_error(r->fd, e);
        err_free(e);
        return;
    }
    send_xml(r, xml);
}

static struct err *
not_here(const char *noun, const char *name)
{
    return err_hint(err_new(ERR_CONSTRAINT, "%s %s is not on this host", noun, name),
                    "run the command on the host of its pool");
}

static struct err *
vol_prepare(struct request *r, const struct uuid *uuid)
{
    const struct row_volume *vol = row_volume_find(r->agent->replica, uuid);
    const struct row_pool *pool = vol ? row_volume_get_pool(vol) : NULL;

    if (!pool || !agent_is_own(r->agent, &pool->hostnode)) {
        return not_here("volume", vol ? vol->name : "of that row");
    } else if (!pool_ready(pool, pool_obj_of(r->agent, pool))) {
        return err_hint(err_new(ERR_CONSTRAINT, "pool %s is not running", pool->name),
                        "byre pool start %s", pool->name);
    }
    TRY(pool_model(pool, &r->pool));
    vol_init(&r->vol);
    r->vol.name = arena_str(&r->vol.arena, vol->name);
    r->vol.target.path = vol->filepath ? arena_str(&r->vol.arena, vol->filepath) : NULL;
    r->vol.target.format = vol->format ? arena_str(&r->vol.arena, vol->format) : NULL;
    r->has_models = true;
    priv_reply_init(&r->reply);
    r->priv =
        (struct priv_request){ .verb = PRIV_VOL_STAT, .pool = &r->pool, .vol = &r->vol };
    r->run = vol_serve;
    return NULL;
}

static struct err *
pool_prepare(struct request *r, const struct uuid *uuid)
{
    const struct row_pool *pool = row_pool_find(r->agent->replica, uuid);

    if (!pool || !agent_is_own(r->agent, &pool->hostnode)) {
        return not_here("pool", pool ? pool->name : "of that row");
    }
    TRY(pool_model(pool, &r->pool));
    const struct pool_obj *obj = pool_obj_of(r->agent, pool);
    if (pool_ready(pool, obj) && obj->has_stat) {
        r->pool.target.perms = obj->stat.perms; /* As it is, not as it was asked for. */
        if (obj->n_free && r->pool.source.n_devices) {
            struct pool_device *device = &r->pool.source.devices[0];
            device->free = arena_alloc(&r->pool.arena, obj->n_free * sizeof *device->free);
            memcpy(device->free, obj->free, obj->n_free * sizeof *device->free);
            device->n_free = obj->n_free;
        }
    }
    vol_init(&r->vol);
    r->has_models = true;
    priv_reply_init(&r->reply);
    r->run = pool_serve;
    return NULL;
}

struct err *
describe_prepare(struct request *r, struct decode *d)
{
    const char *vm = decode_string(d, "vm", DECODE_OPTIONAL, NULL);
    const char *volume = decode_string(d, "volume", DECODE_OPTIONAL, NULL);
    const char *pool = decode_string(d, "pool", vm || volume ? DECODE_OPTIONAL : 0, NULL);
    struct uuid uuid;

    r->guest.inactive = decode_bool(d, "inactive", DECODE_OPTIONAL, false);
    TRY(decode_end(d));
    if (vm) {
        r->run = vm_serve;
        return request_find_vm(r, vm, NULL);
    }
    if (!uuid_parse(volume ? volume : pool, &uuid)) {
        return err_new(ERR_SYNTAX, "'%s' is no UUID of a row", volume ? volume : pool);
    }
    return volume ? vol_prepare(r, &uuid) : pool_prepare(r, &uuid);
}

static void
look_serve(struct request *r)
{
    struct json answer = json_object(), result = json_object();
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    struct err *e = stored_call(r->agent->stored, &r->priv, -1, NULL, &r->reply);

    if (e && err_code(e) != VE_NO_VOL) {
        service_send_error(r->fd, e);
        err_free(e);
        return;
    }
    r->worked = !e;
    err_free(e);
    json_put(&r->arena, &result, "found", json_bool(r->worked));
    json_put(&r->arena, &answer, "result", result);
    json_print(&answer, 0, &line);
    service_send_line(r->fd, &line);
}

/* What was found goes the way of a scan: it makes the row. */
static void
look_done(struct request *r)
{
    const struct row_pool *row = row_pool_find(r->agent->replica, &r->vol_row);

    if (r->worked && row && r->reply.vols.vols.n == 1) {
        struct pool_obj *obj = pool_obj_of(r->agent, row);
        int64_t since = feed_since(obj);
        r->reply.vols.since = since ? since : 1;
        r->reply.vols.scan = since;
        feed_begin(obj, r->agent->tick, &r->reply.vols);
    }
}

struct err *
look_prepare(struct request *r, struct decode *d)
{
    const char *text = decode_string(d, "pool", 0, NULL);
    const char *name = decode_string(d, "name", 0, NULL);
    struct uuid uuid;

    TRY(decode_end(d));
    const struct row_pool *pool =
        uuid_parse(text, &uuid) ? row_pool_find(r->agent->replica, &uuid) : NULL;
    if (!pool || !agent_is_own(r->agent, &pool->hostnode)) {
        return not_here("pool", pool ? pool->name : "of that row");
    } else if (!pool_ready(pool, pool_obj_of(r->agent, pool))) {
        return err_new(ERR_CONSTRAINT, "pool %s is not running", pool->name);
    }
    TRY(vol_name_check(name));
    TRY(pool_model(pool, &r->pool));
    vol_init(&r->vol);
    r->vol.name = arena_str(&r->vol.arena, name);
    r->vol.target.format = pool_traits(r->pool.type)->default_vol_format;
    r->has_models = true;
    r->vol_row = uuid;
    priv_reply_init(&r->reply);
    r->priv =
        (struct priv_request){ .verb = PRIV_VOL_STAT, .pool = &r->pool, .vol = &r->vol };
    r->run = look_serve;
    r->done = look_done;
    return NULL;
}
