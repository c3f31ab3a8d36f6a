/* priv/verb.c: requests and answers, in and out of JSON. */
#include "priv/verb.h"

#include "base/str.h"
#include "json/decode.h"
#include "priv/codec_i.h"

#define MAX_OTHERS 1024
#define MAX_TIMEOUT_MS (INT64_C(7) * 24 * 3600 * 1000)

enum member {
    HAS_VOL = 1,
    HAS_SOURCE = 2,
    HAS_BUILD_FLAGS = 4,
    HAS_VOL_FLAGS = 8,
    HAS_CAPACITY = 16,
    HAS_RANGE = 32,
    HAS_ALGORITHM = 64,
    HAS_SINCE = 128,
    HAS_OTHERS = 256,
    HAS_URL = 512
};

/* What each verb carries besides the pool. */
static const struct verb_row {
    const char *name;
    int members;
} verbs[N_PRIV_VERBS] = {
    [PRIV_POOL_CHECK] = { "pool_check", 0 },
    [PRIV_POOL_BUILD] = { "pool_build", HAS_BUILD_FLAGS | HAS_OTHERS },
    [PRIV_POOL_START] = { "pool_start", HAS_OTHERS },
    [PRIV_POOL_STOP] = { "pool_stop", 0 },
    [PRIV_POOL_REFRESH] = { "pool_refresh", HAS_SINCE },
    [PRIV_POOL_WATCH] = { "pool_watch", 0 }, /* With inotify's descriptor. */
    [PRIV_POOL_DELETE] = { "pool_delete", 0 },
    [PRIV_POOL_GROW_LOOK] = { "pool_grow_look", 0 },
    [PRIV_POOL_GROW_HOST] = { "pool_grow_host", 0 },
    [PRIV_POOL_GROW_TOP] = { "pool_grow_top", 0 },
    [PRIV_FIND_SOURCES] = { "find_sources", 0 },
    [PRIV_VOL_CREATE] = { "vol_create", HAS_VOL | HAS_VOL_FLAGS },
    [PRIV_VOL_CLONE] = { "vol_clone", HAS_VOL | HAS_SOURCE | HAS_VOL_FLAGS },
    [PRIV_VOL_STAT] = { "vol_stat", HAS_VOL },
    [PRIV_VOL_DELETE] = { "vol_delete", HAS_VOL },
    [PRIV_VOL_RESIZE] = { "vol_resize", HAS_VOL | HAS_CAPACITY | HAS_VOL_FLAGS },
    [PRIV_VOL_UPLOAD] = { "vol_upload", HAS_VOL | HAS_RANGE },
    [PRIV_VOL_DOWNLOAD] = { "vol_download", HAS_VOL | HAS_RANGE },
    [PRIV_VOL_WIPE] = { "vol_wipe", HAS_VOL | HAS_ALGORITHM },
    [PRIV_VOL_FETCH] = { "vol_fetch", HAS_VOL | HAS_URL },
};

const char *
priv_verb_name(enum priv_verb verb)
{
    ASSERT(verb < N_PRIV_VERBS);
    return verbs[verb].name;
}

void
priv_reply_init(struct priv_reply *reply)
{
    *reply = (struct priv_reply){ .vols = VOL_LIST_INIT, .sources = SOURCE_LIST_INIT };
    reply->stat.perms = PERMS_INIT;
}

void
priv_reply_done(struct priv_reply *reply)
{
    vol_list_done(&reply->vols);
    source_list_done(&reply->sources);
    priv_reply_init(reply);
}

struct json
priv_request_encode(struct arena *arena, const struct priv_request *r)
{
    int members = verbs[r->verb].members;
    struct json j = json_object();
    json_put(arena, &j, "verb", json_string_ref(verbs[r->verb].name));
    put_int(arena, &j, "timeout_ms", r->timeout_ms, 0);
    json_put(arena, &j, "pool", pool_encode(arena, r->pool));
    if (members & HAS_VOL) {
        json_put(arena, &j, "vol", vol_encode(arena, r->vol));
    }
    if (members & HAS_SOURCE) {
        json_put(arena, &j, "source_pool", pool_encode(arena, r->source_pool));
        json_put(arena, &j, "source", vol_encode(arena, r->source));
    }
    if (members & HAS_BUILD_FLAGS) {
        put_int(arena, &j, "build_flags", r->build_flags, 0);
    }
    if (members & HAS_VOL_FLAGS) {
        put_int(arena, &j, "vol_flags", r->vol_flags, 0);
    }
    if (members & HAS_CAPACITY) {
        json_put(arena, &j, "capacity", json_int(r->capacity));
    }
    if (members & HAS_RANGE) {
        put_int(arena, &j, "offset", r->offset, 0);
        put_int(arena, &j, "length", r->length, 0);
    }
    if (members & HAS_ALGORITHM) {
        json_put(arena, &j, "algorithm",
                 json_string_ref(wipe_algorithm_name(r->algorithm)));
    }
    if (members & HAS_URL) {
        put_string(arena, &j, "url", r->url);
        put_string(arena, &j, "sha256", r->sha256);
    }
    if (members & HAS_SINCE) {
        put_int(arena, &j, "since", r->since, 0);
    }
    if (members & HAS_OTHERS && r->n_others) {
        struct json others = json_array();
        for (size_t i = 0; i < r->n_others; i++) {
            json_add(arena, &others, pool_encode(arena, r->others[i]));
        }
        json_put(arena, &j, "others", others);
    }
    return j;
}

static const struct pool *
get_pool(struct arena *arena, struct decode *d, const char *name)
{
    struct pool *pool = ARENA_NEW(arena, struct pool);
    const struct json *j = decode_member(d, name, DECODE_OBJECT);
    decode_fail(d, j ? pool_decode(arena, j, pool) : NULL);
    return pool;
}

static const struct vol *
get_vol(struct arena *arena, struct decode *d, const char *name)
{
    struct vol *vol = ARENA_NEW(arena, struct vol);
    const struct json *j = decode_member(d, name, DECODE_OBJECT);
    decode_fail(d, j ? vol_decode(arena, j, vol) : NULL);
    return vol;
}

static void
get_others(struct arena *arena, struct decode *d, struct priv_request *ret)
{
    const struct json *j = decode_member(d, "others", DECODE_ARRAY | DECODE_OPTIONAL);
    size_t n = j ? j->n : 0;
    if (n > MAX_OTHERS) {
        decode_fail(d, err_new(ERR_SYNTAX, "more than %d other pools", MAX_OTHERS));
        return;
    }
    const struct pool **others = arena_zalloc(arena, (n + 1) * sizeof *others);
    for (size_t i = 0; i < n; i++) {
        struct pool *pool = ARENA_NEW(arena, struct pool);
        decode_fail(d, pool_decode(arena, &j->elems[i], pool));
        others[i] = pool;
    }
    ret->others = others;
    ret->n_others = n;
}

static enum priv_verb
get_verb(struct decode *d)
{
    const char *name = decode_string(d, "verb", 0, NULL);
    for (int i = 0; name && i < N_PRIV_VERBS; i++) {
        if (str_eq(verbs[i].name, name)) {
            return (enum priv_verb) i;
        }
    }
    decode_fail(d, name ? err_new(ERR_SYNTAX, "unknown verb '%s'", name) : NULL);
    return N_PRIV_VERBS;
}

struct err *
priv_request_decode(struct arena *arena, const struct json *j, struct priv_request *ret)
{
    struct decode d;
    *ret = (struct priv_request){ 0 };
    decode_begin(&d, j, "request");
    ret->verb = get_verb(&d);
    if (ret->verb == N_PRIV_VERBS) {
        decode_ignore_rest(&d);
        TRY(decode_end(&d));
        return err_new(ERR_SYNTAX, "no verb");
    }
    int members = verbs[ret->verb].members;
    ret->timeout_ms = decode_int(&d, "timeout_ms", DECODE_OPTIONAL, 0, 0, MAX_TIMEOUT_MS);
    ret->pool = get_pool(arena, &d, "pool");
    if (members & HAS_VOL) {
        ret->vol = get_vol(arena, &d, "vol");
    }
    if (members & HAS_SOURCE) {
        ret->source_pool = get_pool(arena, &d, "source_pool");
        ret->source = get_vol(arena, &d, "source");
    }
    if (members & HAS_BUILD_FLAGS) {
        ret->build_flags = (int) decode_int(&d, "build_flags", DECODE_OPTIONAL, 0, 0, 255);
    }
    if (members & HAS_VOL_FLAGS) {
        ret->vol_flags = (int) decode_int(&d, "vol_flags", DECODE_OPTIONAL, 0, 0, 255);
    }
    if (members & HAS_CAPACITY) {
        ret->capacity = decode_int(&d, "capacity", 0, 0, 0, INT64_MAX);
    }
    if (members & HAS_RANGE) {
        ret->offset = get_int(&d, "offset", 0);
        ret->length = get_int(&d, "length", 0);
    }
    if (members & HAS_ALGORITHM) {
        const char *name = decode_string(&d, "algorithm", 0, NULL);
        if (name && !wipe_algorithm_parse(name, &ret->algorithm)) {
            decode_fail(&d, err_new(ERR_SYNTAX, "unknown algorithm '%s'", name));
        }
    }
    if (members & HAS_URL) {
        ret->url = decode_string(&d, "url", 0, NULL);
        ret->sha256 = get_string(&d, "sha256");
    }
    if (members & HAS_SINCE) {
        ret->since = get_int(&d, "since", 0);
    }
    if (members & HAS_OTHERS) {
        get_others(arena, &d, ret);
    }
    return decode_end(&d);
}

static struct json
extents_encode(struct arena *arena, const struct pool_stat *stat)
{
    struct json list = json_array();
    for (size_t i = 0; i < stat->n_free; i++) {
        json_add(
            arena, &list,
            json_pair(arena, json_int(stat->free[i].start), json_int(stat->free[i].end)));
    }
    return list;
}

static void
extents_decode(struct arena *arena, struct decode *d, struct pool_stat *ret)
{
    const struct json *list = decode_member(d, "free", DECODE_ARRAY | DECODE_OPTIONAL);
    ret->free = arena_zalloc(arena, (list ? list->n : 0) * sizeof *ret->free);
    for (uint32_t i = 0; list && i < list->n; i++) {
        const struct json *x = &list->elems[i];
        if (!json_is(x, JSON_ARRAY) || x->n != 2 || !json_is(&x->elems[0], JSON_INTEGER) ||
            !json_is(&x->elems[1], JSON_INTEGER)) {
            decode_fail(d, err_new(ERR_SYNTAX, "an extent must be [start, end]"));
            return;
        }
        ret->free[ret->n_free++] =
            (struct pool_extent){ x->elems[0].integer, x->elems[1].integer };
    }
}

struct json
priv_reply_encode(struct arena *arena, const struct priv_reply *reply)
{
    struct json result = json_object();
    put_true(arena, &result, "active", reply->active);
    if (reply->has_stat) {
        struct json stat = json_object();
        json_put(arena, &stat, "capacity", json_int(reply->stat.capacity));
        json_put(arena, &stat, "allocation", json_int(reply->stat.allocation));
        json_put(arena, &stat, "available", json_int(reply->stat.available));
        put_perms(arena, &stat, &reply->stat.perms);
        put_int(arena, &stat, "metadata_permille", reply->stat.metadata_permille, 0);
        put_string(arena, &stat, "degraded", reply->stat.degraded);
        if (reply->stat.n_free) {
            json_put(arena, &stat, "free", extents_encode(arena, &reply->stat));
        }
        json_put(arena, &result, "stat", stat);
    }
    struct json vols = json_array();
    for (size_t i = 0; i < reply->vols.vols.n; i++) {
        json_add(arena, &vols, vol_encode(arena, &reply->vols.vols.v[i]));
    }
    json_put(arena, &result, "vols", vols);
    struct json warnings = json_array();
    for (size_t i = 0; i < reply->vols.warnings.n; i++) {
        json_add(arena, &warnings, json_string(arena, reply->vols.warnings.v[i]));
    }
    json_put(arena, &result, "warnings", warnings);
    put_int(arena, &result, "scan", reply->vols.scan, 0);
    if (reply->vols.since) {
        struct json gone = json_array();
        for (size_t i = 0; i < reply->vols.gone.n; i++) {
            json_add(arena, &gone, json_string(arena, reply->vols.gone.v[i]));
        }
        json_put(arena, &result, "since", json_int(reply->vols.since));
        json_put(arena, &result, "gone", gone);
    }
    put_int(arena, &result, "n_bytes", reply->n_bytes, 0);
    if (reply->sources.v.n) {
        struct json sources = json_array();
        for (size_t i = 0; i < reply->sources.v.n; i++) {
            json_add(arena, &sources, source_encode(arena, &reply->sources.v.v[i]));
        }
        json_put(arena, &result, "sources", sources);
    }
    put_string(arena, &result, "note", reply->note);

    struct json j = json_object();
    json_put(arena, &j, "result", result);
    return j;
}

static void
get_stat(struct decode *d, struct priv_reply *ret)
{
    const struct json *j = decode_member(d, "stat", DECODE_OBJECT | DECODE_OPTIONAL);
    if (!j) {
        return;
    }
    struct decode stat;
    decode_begin(&stat, j, "stat");
    ret->has_stat = true;
    ret->stat.capacity = decode_int(&stat, "capacity", 0, 0, 0, INT64_MAX);
    ret->stat.allocation = decode_int(&stat, "allocation", 0, 0, 0, INT64_MAX);
    ret->stat.available = decode_int(&stat, "available", 0, 0, 0, INT64_MAX);
    get_perms(&stat, &ret->stat.perms);
    ret->stat.metadata_permille =
        (int) decode_int(&stat, "metadata_permille", DECODE_OPTIONAL, 0, 0, 1000);
    ret->stat.degraded = get_string(&stat, "degraded");
    extents_decode(&ret->vols.arena, &stat, &ret->stat);
    decode_fail(d, decode_end(&stat));
}

struct err *
priv_reply_decode(const struct json *borrowed, struct priv_reply *ret)
{
    /* The strings of the answer live as long as the reply. */
    struct arena *arena = &ret->vols.arena;
    struct json *copy = ARENA_NEW(arena, struct json);
    *copy = json_copy(arena, borrowed);
    struct decode outer, d;
    decode_begin(&outer, copy, "answer");
    const struct json *result = decode_member(&outer, "result", DECODE_OBJECT);
    TRY(decode_end(&outer));
    decode_begin(&d, result, "result");
    ret->active = decode_bool(&d, "active", DECODE_OPTIONAL, false);
    get_stat(&d, ret);
    const struct json *vols = decode_member(&d, "vols", DECODE_ARRAY);
    for (uint32_t i = 0; vols && i < vols->n; i++) {
        decode_fail(&d, vol_decode(arena, &vols->elems[i], vol_list_add(&ret->vols)));
    }
    const struct json *warnings = decode_member(&d, "warnings", DECODE_ARRAY);
    for (uint32_t i = 0; warnings && i < warnings->n; i++) {
        if (json_is(&warnings->elems[i], JSON_STRING)) {
            *VEC_ADD(&ret->vols.warnings) = warnings->elems[i].string;
        }
    }
    ret->vols.scan = get_int(&d, "scan", 0);
    ret->vols.since = get_int(&d, "since", 0);
    const struct json *gone = decode_member(&d, "gone", DECODE_ARRAY | DECODE_OPTIONAL);
    for (uint32_t i = 0; gone && i < gone->n; i++) {
        if (json_is(&gone->elems[i], JSON_STRING)) {
            *VEC_ADD(&ret->vols.gone) = gone->elems[i].string;
        }
    }
    ret->n_bytes = get_int(&d, "n_bytes", 0);
    const struct json *sources =
        decode_member(&d, "sources", DECODE_ARRAY | DECODE_OPTIONAL);
    for (uint32_t i = 0; sources && i < sources->n; i++) {
        decode_fail(
            &d, source_decode(arena, &sources->elems[i], source_list_add(&ret->sources)));
    }
    ret->note = get_string(&d, "note");
    return decode_end(&d);
}

/* 'what' and 'text' apart, so that the three lines for a person survive the way. */
struct json
priv_error_encode(struct arena *arena, const struct err *e)
{
    struct json error = json_object();
    json_put(arena, &error, "kind", json_string_ref(err_kind_name(err_kind(e))));
    json_put(arena, &error, "code", json_int(err_code(e)));
    const char *what = err_what(e);
    put_string(arena, &error, "what", what && *what ? what : NULL);
    json_put(arena, &error, "text", json_string(arena, err_why(e)));
    put_string(arena, &error, "hint", err_next(e));
    struct json j = json_object();
    json_put(arena, &j, "error", error);
    return j;
}

struct err *
priv_error_decode(const struct json *j)
{
    struct decode outer, d;
    decode_begin(&outer, j, "answer");
    const struct json *error = decode_member(&outer, "error", DECODE_OBJECT);
    TRY(decode_end(&outer));
    decode_begin(&d, error, "error");
    const char *kind_name = decode_string(&d, "kind", 0, "");
    int64_t code = decode_int(&d, "code", DECODE_OPTIONAL, 0, 0, INT32_MAX);
    const char *what = get_string(&d, "what");
    const char *text = decode_string(&d, "text", 0, "");
    const char *hint = get_string(&d, "hint");
    decode_ignore_rest(&d);
    TRY(decode_end(&d));
    enum err_kind kind;
    if (!err_kind_parse(kind_name, &kind)) {
        kind = ERR_IO;
    }
    struct err *e = err_tag(err_new(kind, "%s", text), (int) code);
    e = hint ? err_hint(e, "%s", hint) : e;
    return what ? err_wrap(e, "%s", what) : e;
}
