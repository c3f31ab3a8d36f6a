/* json/decode.h: reads the members of an object in a straight line.
 *
 *     struct decode d;
 *     decode_begin(&d, json, "ovsdb operation");
 *     const char *op = decode_id(&d, "op");
 *     const struct json *where = decode_member(&d, "where", DECODE_ARRAY);
 *     bool durable = decode_bool(&d, "durable", DECODE_OPTIONAL, false);
 *     TRY(decode_end(&d));
 *
 * The decoder keeps the first error it meets and then hands out nulls.  decode_end() reports
 * it, or a member that nobody asked for; after it every value is typed and nothing ran before.
 * The texts are ovsdb-server's: "Parsing <what> failed: Required 'm' member is missing.",
 * "Type mismatch for member 'm'.", "Member 'x' is present but not allowed here.", "Member 'x'
 * and N other member(s) are present but not allowed here.", "Object expected." */
#ifndef JSON_DECODE_H
#define JSON_DECODE_H 1

#include "json/json.h"

/* What a member may be; or-ed.  DECODE_ID: a string of [A-Za-z_][A-Za-z0-9_]*. */
enum decode_types {
    DECODE_NULL = 1,
    DECODE_BOOL = 2,
    DECODE_INTEGER = 4,
    DECODE_REAL = 8,
    DECODE_STRING = 16,
    DECODE_ARRAY = 32,
    DECODE_OBJECT = 64,
    DECODE_ID = 128,
    DECODE_NUMBER = DECODE_INTEGER | DECODE_REAL,
    DECODE_ANY = 127,
    DECODE_OPTIONAL = 256, /* Absent is fine: NULL, or the default. */
};

struct decode {
    const struct json *object; /* NULL if the value is no object. */
    char *what;                /* "ovsdb operation 1 of 2", for texts; owned. */
    const char *nth_what;      /* Or "ovsdb operation", borrowed: one of... */
    uint32_t nth, nth_of;      /* ... so many. */
    struct err *error;         /* First failure, kind ERR_SYNTAX. */
    uint64_t used[4];          /* Bit i: member i was asked for. */
    uint32_t n_used;
};

void decode_begin(struct decode *, const struct json *, const char *what_fmt, ...)
    PRINTF(3, 4);
/* As decode_begin(d, json, "<what> %u of %u", i, n), which is printed only if something is wrong.
 * 'what' must outlive the decoder. */
void decode_begin_nth(struct decode *, const struct json *, const char *what, uint32_t i,
                      uint32_t n);
const struct json *decode_member(struct decode *, const char *name, int types);
const char *decode_string(struct decode *, const char *name, int flags, const char *absent);
const char *decode_id(struct decode *, const char *name);
int64_t decode_int(struct decode *, const char *name, int flags, int64_t absent,
                   int64_t min,
                   int64_t max); /* Out of range: ERR_SYNTAX "member 'm' must be A to B". */
bool decode_bool(struct decode *, const char *name, int flags, bool absent);
/* For the caller's own checks: keeps 'e' if it is the first.  Takes 'e'. */
void decode_fail(struct decode *, struct err *e);
bool decode_failed(const struct decode *);
struct err *decode_end(struct decode *) MUST_CHECK; /* The decoder is then done. */
void decode_ignore_rest(struct decode *); /* Unknown members are fine after all. */
bool json_is_id(const char *);

#endif /* json/decode.h */
