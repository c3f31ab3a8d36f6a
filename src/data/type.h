/* data/type.h: what a column may hold: base types with constraints, and how many of them.
 * Source.  RFC 7047 section 3.2 <type>, <base-type>; canonical form as ovsdb-server prints it. */
#ifndef DATA_TYPE_H
#define DATA_TYPE_H 1

#include "base/base.h"
#include "data/atom.h"
#include "json/json.h"

struct datum;
struct table_schema;

#define TYPE_UNLIMITED UINT32_MAX /* 'n_max' without a limit. */

enum ref_kind { REF_NONE, REF_STRONG, REF_WEAK };

struct base_type {
    enum atom_type type;
    bool unique; /* No two rows have the same: an index says so.  Not part of the type. */
    struct datum
        *choices; /* The "enum" constraint, a set of 'type'; NULL without.  Owned. */
    union {
        struct {
            int64_t min, max; /* INT64_MIN and INT64_MAX without a limit. */
        } integer;
        struct {
            double min, max; /* -DBL_MAX and DBL_MAX without a limit. */
        } real;
        struct {
            uint32_t min_chars, max_chars; /* 0 and UINT32_MAX without a limit. */
        } string;
        struct {
            char *ref_table_name; /* NULL for plain UUIDs.  Owned. */
            enum ref_kind ref;    /* REF_NONE for plain UUIDs. */
            /* Set when the whole schema has been read; borrowed. */
            const struct table_schema *ref_table;
        } uuid;
    };
};

struct type {
    struct base_type key;
    struct base_type value; /* ATOM_VOID: no map. */
    uint32_t n_min;         /* 0 or 1. */
    uint32_t n_max;         /* At least 1. */
};

static inline bool
type_is_scalar(const struct type *t)
{
    return t->n_min == 1 && t->n_max == 1 && t->value.type == ATOM_VOID;
}

static inline bool
type_is_optional_scalar(const struct type *t)
{
    return t->n_min == 0 && t->n_max == 1 && t->value.type == ATOM_VOID;
}

static inline bool
type_is_map(const struct type *t)
{
    return t->value.type != ATOM_VOID;
}

static inline enum ref_kind
base_type_ref(const struct base_type *b)
{
    return b->type == ATOM_UUID ? b->uuid.ref : REF_NONE;
}

void base_type_init(struct base_type *, enum atom_type); /* Without constraints. */
void base_type_done(struct base_type *);
void base_type_copy(struct base_type *ret, const struct base_type *);
struct err *base_type_parse(struct base_type *ret, const struct json *) MUST_CHECK;
struct json base_type_json(struct arena *, const struct base_type *);
/* Does the atom meet the constraints?  "constraint violation" in ovsdb-server's words. */
struct err *base_type_check(const struct base_type *, const union atom *) MUST_CHECK;

void type_init_scalar(struct type *, enum atom_type);
void type_done(struct type *);
void type_copy(struct type *ret, const struct type *);
struct err *type_parse(struct type *ret, const struct json *) MUST_CHECK;
struct json type_json(struct arena *,
                      const struct type *); /* Canonical: "integer", {...} */
bool type_eq(const struct type *, const struct type *);
void type_print_english(const struct type *, struct buf *); /* "set of up to 3 integers" */

#endif /* data/type.h */
