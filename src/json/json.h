/* json/json.h: JSON values in an arena.
 *
 * Shape.   A value is 16 bytes and is passed by value; children of an array or an object lie
 *          next to each other in the arena.  Build inside out: a child is complete before it is
 *          added, because adding copies the 16 bytes.
 * Numbers. An integer is any number whose exact value is integral and fits int64 (1.0, 1e3,
 *          30e-1), as RFC 7047 and ovsdb-server have it; others are reals.
 * Strings. No NUL; 's' is NUL-terminated besides 'n'.  Bytes >= 0x80 are not validated here.
 * Errors.  ERR_SYNTAX with "line L, column C, byte B: ...".
 * Source.  RFC 8259; spec: Open vSwitch's lib/json.c behaviour (numbers, escapes, nesting). */
#ifndef JSON_JSON_H
#define JSON_JSON_H 1

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/map.h"

#define JSON_MAX_DEPTH 1000 /* Containers inside each other, the outermost included. */

/* clang-format off */
enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_INTEGER, JSON_REAL, JSON_STRING,
                 JSON_ARRAY, JSON_OBJECT };
/* clang-format on */

struct json_member;
struct json {
    uint8_t type; /* enum json_type. */
    uint8_t
        owned;  /* Container with room for a power of two of children: may grow in place. */
    uint32_t n; /* Bytes, elements or members. */
    union {
        int64_t integer;
        double real;
        const char *string;
        struct json *elems;
        struct json_member
            *members; /* In input order; names are unique, the last one won. */
    };
};

struct json_member {
    const char *name; /* NUL-terminated. */
    struct json value;
};

/* Parses exactly one value with optional white space around it.  Borrows 'text' only for the
 * call. */
struct err *json_parse(struct arena *, const char *text, size_t n_bytes,
                       struct json *ret) MUST_CHECK;
struct err *json_parse_str(struct arena *, const char *text, struct json *ret) MUST_CHECK;

/* Finds where a JSON text ends in a stream, without parsing it.  Feed it each byte once. */
struct json_framer {
    uint32_t depth;
    bool in_string, in_escape, started;
};
#define JSON_FRAMER_INIT ((struct json_framer){ 0, false, false, false })
/* Consumes up to 'n_bytes'; returns how many were consumed.  *ret_complete: an outermost
 * object or array ended with the last consumed byte (the framer is then fresh again).
 * ERR_SYNTAX when the outermost value is no object or array, or nests too deep. */
struct err *json_frame(struct json_framer *, const char *bytes, size_t n_bytes,
                       size_t *ret_consumed, bool *ret_complete) MUST_CHECK;

/* A long object in pieces, so that nobody needs memory for all of it at once.  Each piece is the text of
 * an object with one member of the whole; of a member that is an object itself, some of its
 * members: {"T":{"a":1,"b":2,"c":3},"n":4} may come as {"T":{"a":1,"b":2}}, {"T":{"c":3}}, {"n":4}.
 * JSON_SPLIT_BAD: it is no object, or one that cannot be split (a name that is there twice, ...):
 * parse it as a whole then. */
#define JSON_SPLIT_NAME_MAX 255
enum json_split_result { JSON_SPLIT_PIECE, JSON_SPLIT_LAST, JSON_SPLIT_BAD };
struct json_split {
    const char *at, *end; /* Of the text; borrowed. */
    bool bad;
    bool inside;      /* The member that is being split is an object... */
    const char *name; /* ... of this name, quotes included. */
    size_t n_name;
    struct map seen; /* Names. */
    struct buf piece;
};
void json_split_init(struct json_split *, const char *text, size_t n_bytes);
void json_split_done(struct json_split *);
/* Fills 'piece' with at least 'want_bytes' of members, if there are. */
enum json_split_result json_split_next(struct json_split *, size_t want_bytes);

/* Making values.  Strings are copied into the arena unless it says "ref". */
struct json json_null(void);
struct json json_bool(bool);
struct json json_int(int64_t);
struct json json_real(double); /* Becomes an integer if its value is one. */
struct json json_string(struct arena *, const char *);
struct json json_string_n(struct arena *, const char *, size_t n_bytes);
struct json json_stringf(struct arena *, const char *fmt, ...) PRINTF(2, 3);
struct json json_string_ref(const char *); /* Must outlive the value. */
struct json json_array(void);
struct json json_object(void);
void json_add(struct arena *, struct json *array, struct json value);
/* 'name' must be new to the object and outlive it (a literal, or in the arena). */
void json_put(struct arena *, struct json *object, const char *name, struct json value);
/* [a, b], the pair that RFC 7047 is made of: ["uuid", "..."], ["set", [...]]. */
struct json json_pair(struct arena *, struct json a, struct json b);
/* A copy that shares nothing with the old arena. */
struct json json_copy(struct arena *, const struct json *);

/* Looking.  The *_get functions return NULL (or false) when absent. */
const struct json *json_get(const struct json *object, const char *name);
const char *json_get_string(const struct json *object, const char *name);
bool json_get_int(const struct json *object, const char *name, int64_t *ret);
double json_get_number(const struct json *object,
                       const char *name);               /* 0: it is none; also of NULL. */
bool json_eq(const struct json *, const struct json *); /* Member order does not count. */
uint32_t json_hash(const struct json *, uint32_t basis);
static inline bool
json_is(const struct json *j, enum json_type type)
{
    return j && j->type == type;
}
static inline bool
json_is_bool(const struct json *j)
{
    return j && (j->type == JSON_FALSE || j->type == JSON_TRUE);
}

/* The children; 'var' is a const struct json *, or a const struct json_member *. */
#define JSON_FOR_EACH(var, array)                                                          \
    for (const struct json *var = (array)->elems,                                          \
                           *var##_end = (array)->n ? var + (array)->n : var;               \
         var < var##_end; var++)
#define JSON_FOR_EACH_MEMBER(var, object)                                                  \
    for (const struct json_member *var = (object)->members,                                \
                                  *var##_end = (object)->n ? var + (object)->n : var;      \
         var < var##_end; var++)

/* Printing.  Compact: no blanks.  Integers "%lld", reals the shortest text that reads back (see
 * JSON_15G), strings escaped only where they must be. */
enum json_style {
    JSON_SORTED = 1, /* Members by name, bytewise. */
    JSON_PRETTY = 2, /* Two blanks a level, for people. */
    JSON_15G = 4,    /* Reals as "%.15g", what ovsdb-server prints. */
};
void json_print(const struct json *, int style, struct buf *);
char *json_text(const struct json *, int style); /* The caller frees it. */
void json_print_string(const char *, size_t n_bytes, struct buf *); /* With quotes. */
void json_print_real(double, int style, struct buf *);

#endif /* json/json.h */
