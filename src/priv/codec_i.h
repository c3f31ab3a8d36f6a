/* priv/codec_i.h: pools, volumes and permissions as JSON, for both directions. */
#ifndef PRIV_CODEC_I_H
#define PRIV_CODEC_I_H 1

#include "json/decode.h"
#include "json/json.h"
#include "priv/verb.h"

struct json pool_encode(struct arena *, const struct pool *);
struct err *pool_decode(struct arena *, const struct json *, struct pool *ret) MUST_CHECK;
struct json source_encode(struct arena *, const struct pool_source *);
struct err *source_decode(struct arena *, const struct json *,
                          struct pool_source *ret) MUST_CHECK;
struct json vol_encode(struct arena *, const struct vol *);
/* A volume in a request, or one of a scan: the members are the same. */
struct err *vol_decode(struct arena *, const struct json *, struct vol *ret) MUST_CHECK;

/* Members that are left out when they say nothing. */
void put_string(struct arena *, struct json *object, const char *name, const char *value);
void put_int(struct arena *, struct json *object, const char *name, int64_t value,
             int64_t absent);
void put_true(struct arena *, struct json *object, const char *name, bool value);
void put_perms(struct arena *, struct json *object, const struct perms *);
void get_perms(struct decode *, struct perms *ret);
static inline const char *
get_string(struct decode *d, const char *name)
{
    return decode_string(d, name, DECODE_OPTIONAL, NULL);
}
static inline int64_t
get_int(struct decode *d, const char *name, int64_t absent)
{
    return decode_int(d, name, DECODE_OPTIONAL, absent, min64(absent, 0), INT64_MAX);
}

#endif /* priv/codec_i.h */
