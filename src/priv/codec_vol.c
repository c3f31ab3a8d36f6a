/* priv/codec_vol.c: a volume as JSON.  The value of no secret is ever in one. */
#include "base/str.h"
#include "priv/codec_i.h"

#define MAX_EXTENTS 100000
#define MAX_SECRETS 16

static struct json
time_encode(struct arena *arena, const struct vol_time *t)
{
    return json_pair(arena, json_int(t->sec), json_int(t->nsec));
}

static void
target_encode(struct arena *arena, struct json *j, const struct vol_target *t)
{
    put_string(arena, j, "path", t->path);
    put_string(arena, j, "format", t->format);
    put_perms(arena, j, &t->perms);
    if (t->has_times) {
        struct json times = json_array();
        json_add(arena, &times, time_encode(arena, &t->atime));
        json_add(arena, &times, time_encode(arena, &t->mtime));
        json_add(arena, &times, time_encode(arena, &t->ctime));
        json_add(arena, &times, time_encode(arena, &t->btime));
        json_put(arena, j, "times", times);
    }
    put_string(arena, j, "compat", t->compat);
    put_int(arena, j, "cluster_bytes", t->cluster_bytes, 0);
    put_true(arena, j, "nocow", t->nocow);
    put_true(arena, j, "features", t->has_features);
    put_true(arena, j, "lazy_refcounts", t->lazy_refcounts);
    put_true(arena, j, "extended_l2", t->extended_l2);
}

static void
time_decode(struct decode *d, const struct json *j, struct vol_time *ret)
{
    if (!json_is(j, JSON_ARRAY) || j->n != 2 || !json_is(&j->elems[0], JSON_INTEGER) ||
        !json_is(&j->elems[1], JSON_INTEGER)) {
        decode_fail(d, err_new(ERR_SYNTAX, "a time must be [seconds, nanoseconds]"));
        return;
    }
    ret->sec = j->elems[0].integer;
    ret->nsec = clamp64(j->elems[1].integer, -1, 999999999);
}

static void
target_decode(struct decode *d, struct vol_target *t)
{
    t->path = get_string(d, "path");
    t->format = get_string(d, "format");
    get_perms(d, &t->perms);
    const struct json *times = decode_member(d, "times", DECODE_ARRAY | DECODE_OPTIONAL);
    if (times && times->n != 4) {
        decode_fail(d, err_new(ERR_SYNTAX, "member 'times' must have 4 elements"));
    } else if (times) {
        t->has_times = true;
        time_decode(d, &times->elems[0], &t->atime);
        time_decode(d, &times->elems[1], &t->mtime);
        time_decode(d, &times->elems[2], &t->ctime);
        time_decode(d, &times->elems[3], &t->btime);
    }
    t->compat = get_string(d, "compat");
    t->cluster_bytes = get_int(d, "cluster_bytes", 0);
    t->nocow = decode_bool(d, "nocow", DECODE_OPTIONAL, false);
    t->has_features = decode_bool(d, "features", DECODE_OPTIONAL, false);
    t->lazy_refcounts = decode_bool(d, "lazy_refcounts", DECODE_OPTIONAL, false);
    t->extended_l2 = decode_bool(d, "extended_l2", DECODE_OPTIONAL, false);
}

static struct json
crypt_encode(struct arena *arena, const struct vol_crypt *c)
{
    struct json j = json_object();
    put_string(arena, &j, "format", c->format);
    put_string(arena, &j, "engine", c->engine);
    struct json secrets = json_array();
    for (size_t i = 0; i < c->n_secrets; i++) {
        struct json secret = json_object();
        put_string(arena, &secret, "uuid", c->secrets[i].uuid);
        put_string(arena, &secret, "usage", c->secrets[i].usage);
        json_add(arena, &secrets, secret);
    }
    if (c->n_secrets) {
        json_put(arena, &j, "secrets", secrets);
    }
    put_string(arena, &j, "cipher_name", c->cipher_name);
    put_int(arena, &j, "cipher_size", c->cipher_size, 0);
    put_string(arena, &j, "cipher_mode", c->cipher_mode);
    put_string(arena, &j, "cipher_hash", c->cipher_hash);
    put_string(arena, &j, "ivgen_name", c->ivgen_name);
    put_string(arena, &j, "ivgen_hash", c->ivgen_hash);
    return j;
}

static struct err *
crypt_decode(struct arena *arena, const struct json *j, struct vol_crypt *c)
{
    struct decode d;
    decode_begin(&d, j, "encryption");
    c->format = decode_string(&d, "format", 0, NULL);
    c->engine = get_string(&d, "engine");
    const struct json *secrets =
        decode_member(&d, "secrets", DECODE_ARRAY | DECODE_OPTIONAL);
    if (secrets && secrets->n > MAX_SECRETS) {
        decode_fail(&d, err_new(ERR_CONSTRAINT, "more than %d secrets", MAX_SECRETS));
        secrets = NULL;
    }
    c->n_secrets = secrets ? secrets->n : 0;
    c->secrets = arena_zalloc(arena, c->n_secrets * sizeof *c->secrets);
    for (size_t i = 0; i < c->n_secrets; i++) {
        struct decode secret;
        decode_begin(&secret, &secrets->elems[i], "secret");
        c->secrets[i].uuid = get_string(&secret, "uuid");
        c->secrets[i].usage = get_string(&secret, "usage");
        decode_fail(&d, decode_end(&secret));
    }
    c->cipher_name = get_string(&d, "cipher_name");
    c->cipher_size = (int) decode_int(&d, "cipher_size", DECODE_OPTIONAL, 0, 0, UINT16_MAX);
    c->cipher_mode = get_string(&d, "cipher_mode");
    c->cipher_hash = get_string(&d, "cipher_hash");
    c->ivgen_name = get_string(&d, "ivgen_name");
    c->ivgen_hash = get_string(&d, "ivgen_hash");
    return decode_end(&d);
}

static struct json
extents_encode(struct arena *arena, const struct vol *vol)
{
    struct json list = json_array();
    for (size_t i = 0; i < vol->n_extents; i++) {
        struct json x = json_array();
        json_add(arena, &x, json_string(arena, vol->extents[i].path));
        json_add(arena, &x, json_int(vol->extents[i].start));
        json_add(arena, &x, json_int(vol->extents[i].end));
        json_add(arena, &list, x);
    }
    return list;
}

static void
extents_decode(struct arena *arena, struct decode *d, struct vol *vol)
{
    const struct json *list = decode_member(d, "extents", DECODE_ARRAY | DECODE_OPTIONAL);
    if (list && list->n > MAX_EXTENTS) {
        decode_fail(d, err_new(ERR_CONSTRAINT, "more than %d extents", MAX_EXTENTS));
        return;
    }
    vol->n_extents = list ? list->n : 0;
    vol->extents = arena_zalloc(arena, vol->n_extents * sizeof *vol->extents);
    for (size_t i = 0; i < vol->n_extents; i++) {
        const struct json *x = &list->elems[i];
        if (!json_is(x, JSON_ARRAY) || x->n != 3 || !json_is(&x->elems[0], JSON_STRING) ||
            !json_is(&x->elems[1], JSON_INTEGER) || !json_is(&x->elems[2], JSON_INTEGER)) {
            decode_fail(d, err_new(ERR_SYNTAX, "an extent must be [path, start, end]"));
            vol->n_extents = 0;
            return;
        }
        vol->extents[i] = (struct vol_extent){ x->elems[0].string, x->elems[1].integer,
                                               x->elems[2].integer };
    }
}

struct json
vol_encode(struct arena *arena, const struct vol *vol)
{
    struct json j = json_object();
    put_string(arena, &j, "name", vol->name);
    json_put(arena, &j, "type", json_string_ref(vol_type_name(vol->type)));
    put_string(arena, &j, "key", vol->key);
    put_int(arena, &j, "capacity", vol->capacity, -1);
    put_int(arena, &j, "allocation", vol->allocation, -1);
    put_int(arena, &j, "physical", vol->physical, 0);
    if (vol->n_extents) {
        json_put(arena, &j, "extents", extents_encode(arena, vol));
    }
    target_encode(arena, &j, &vol->target);
    if (vol->target.crypt.format) {
        json_put(arena, &j, "encryption", crypt_encode(arena, &vol->target.crypt));
    }
    if (vol->backing.path) {
        struct json backing = json_object();
        target_encode(arena, &backing, &vol->backing);
        json_put(arena, &j, "backing", backing);
    }
    put_string(arena, &j, "error", vol->error);
    return j;
}

struct err *
vol_decode(struct arena *arena, const struct json *j, struct vol *ret)
{
    vol_init(ret);
    struct decode d;
    decode_begin(&d, j, "volume");
    ret->name = decode_string(&d, "name", 0, NULL);
    const char *type = get_string(&d, "type");
    if (type && !vol_type_parse(type, &ret->type)) {
        decode_fail(&d, err_new(ERR_SYNTAX, "unknown type of volume '%s'", type));
    }
    ret->key = get_string(&d, "key");
    ret->capacity = get_int(&d, "capacity", -1);
    ret->allocation = get_int(&d, "allocation", -1);
    ret->physical = get_int(&d, "physical", 0);
    extents_decode(arena, &d, ret);
    target_decode(&d, &ret->target);
    const struct json *crypt =
        decode_member(&d, "encryption", DECODE_OBJECT | DECODE_OPTIONAL);
    if (crypt) {
        decode_fail(&d, crypt_decode(arena, crypt, &ret->target.crypt));
    }
    const struct json *backing =
        decode_member(&d, "backing", DECODE_OBJECT | DECODE_OPTIONAL);
    if (backing) {
        struct decode b;
        decode_begin(&b, backing, "backing store");
        target_decode(&b, &ret->backing);
        if (!ret->backing.path) {
            decode_fail(&b, err_new(ERR_SYNTAX, "Required 'path' member is missing."));
        }
        decode_fail(&d, decode_end(&b));
    }
    ret->error = get_string(&d, "error");
    return decode_end(&d);
}
