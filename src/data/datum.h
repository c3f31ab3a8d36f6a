/* data/datum.h: the value of one column of one row: a scalar, a set or a map of atoms.
 *
 * Shape.  Keys are unique and sorted; equal values are equal element by element.  One key of a set
 *         lies in the struct itself, so scalars and most optional values cost no memory besides;
 *         larger sets and all maps lie in a shared block that is copied when it changes.
 * Types.  A datum does not know its type; the column's type goes along.
 * Deltas. What two values of a column with n_max > 1 differ in is written, in database files and
 *         in monitor updates of the second kind, as a delta (datum_diff, datum_apply).
 * Errors. Those of data/rfc7047.h. */
#ifndef DATA_DATUM_H
#define DATA_DATUM_H 1

#include "base/base.h"
#include "base/buf.h"
#include "data/atom.h"
#include "data/type.h"

struct datum_block {
    uint32_t n_refs;
    uint32_t cap; /* Room for so many keys (and as many values in a map). */
    uint64_t
        atoms[]; /* 'cap' keys, then 'cap' values in a map; see struct datum's steps. */
};

struct datum {
    uint32_t n;    /* Elements. */
    uint8_t block; /* The elements lie in '*many', not in 'one'. */
    uint8_t map;   /* The block has values.  An empty map has no block. */
    /* Bytes from one key, or value, to the next in the block: those of a union atom, or those that
     * the type needs (atom_n_bytes()) in a block that datum_pack() made, which nobody changes. */
    uint8_t key_step, value_step;
    union {
        union atom one;           /* If n == 1 and !block. */
        struct datum_block *many; /* If block. */
    };
};
#define DATUM_EMPTY ((struct datum){ .n = 0 })

/* Element i.  Only the member of its type may be read; atom_dup() copies. */
static inline const union atom *
datum_key(const struct datum *d, uint32_t i)
{
    return d->block ? (const union atom *) (const void *) ((const char *) d->many->atoms +
                                                           (size_t) i * d->key_step)
                    : &d->one;
}

static inline const union atom *
datum_value(const struct datum *d, uint32_t i) /* Maps only. */
{
    return (const union atom *) (const void *) ((const char *) d->many->atoms +
                                                (size_t) d->many->cap * d->key_step +
                                                (size_t) i * d->value_step);
}

/* All of them as arrays; not of a datum that lies in a database's row.  NULL: no values. */
const union atom *datum_keys(const struct datum *);
const union atom *datum_values(const struct datum *);

void datum_default(struct datum *ret,
                   const struct type *); /* Empty, or one default atom. */
bool datum_is_default(const struct datum *, const struct type *);
void datum_done(struct datum *, const struct type *); /* It is then empty. */
struct datum datum_dup(const struct datum *, const struct type *);
static inline void
datum_swap(struct datum *a, struct datum *b)
{
    struct datum t = *a;
    *a = *b;
    *b = t;
}

static inline struct datum
datum_take(struct datum *d) /* Ownership leaves: it is then empty. */
{
    struct datum t = *d;
    *d = DATUM_EMPTY;
    return t;
}

/* How a row keeps a set or a map (takes 'd'): a block with just its elements, cap == n, each as
 * long as its type needs; NULL if it has none.  As a datum again it is { .n = cap, .block = 1,
 * .many = it } with these steps. */
struct datum_block *datum_pack(struct datum d, const struct type *);

/* Making values by hand; strings are copied. */
struct datum datum_of_int(int64_t);
struct datum datum_of_real(double);
struct datum datum_of_bool(bool);
struct datum datum_of_string(const char *);
struct datum datum_of_uuid(const struct uuid *);
/* Adds one element; false if the key is there already (then a map keeps its old value, unless
 * 'replace').  Takes 'key' and '*value' ('value' NULL for sets) in every case. */
bool datum_add(struct datum *, const struct type *, union atom key, union atom *value,
               bool replace);
/* A set of 'n' keys in any order.  Takes the keys (not the array).  False if two are equal: then
 * 'ret' is empty. */
bool datum_of_keys(struct datum *ret, const struct type *, const union atom *keys,
                   uint32_t n);
bool datum_remove_at(struct datum *, const struct type *, uint32_t i); /* Always true. */

/* Reading scalars without ceremony.  An empty datum reads as the default. */
static inline int64_t
datum_int(const struct datum *d)
{
    return d->n ? datum_key(d, 0)->integer : 0;
}
static inline double
datum_real(const struct datum *d)
{
    return d->n ? datum_key(d, 0)->real : 0;
}
static inline bool
datum_bool(const struct datum *d)
{
    return d->n && datum_key(d, 0)->boolean;
}
static inline const char *
datum_string(const struct datum *d)
{
    return d->n ? datum_key(d, 0)->string->s : "";
}
static inline struct uuid
datum_uuid(const struct datum *d)
{
    return d->n ? datum_key(d, 0)->uuid : (struct uuid){ { 0 } };
}
const char *datum_map_string(const struct datum *,
                             const char *key); /* string map; or NULL. */

/* By number of elements, then keys, then values. */
int datum_cmp(const struct datum *, const struct datum *, const struct type *);
bool datum_eq(const struct datum *, const struct datum *, const struct type *);
uint32_t datum_hash(const struct datum *, const struct type *, uint32_t basis);
/* Index of the key, or -1. */
int64_t datum_find(const struct datum *, const union atom *key, enum atom_type);
/* Is each element of 'a' in 'b' (a map's value included)?  Is none? */
bool datum_includes_all(const struct datum *a, const struct datum *b, const struct type *);
bool datum_excludes_all(const struct datum *a, const struct datum *b, const struct type *);

/* a |= b, keeping a's values; a -= b, where 'b_type' may be a set of keys though 'a' is a map. */
void datum_union(struct datum *a, const struct datum *b, const struct type *);
void datum_subtract(struct datum *a, const struct type *a_type, const struct datum *b,
                    const struct type *b_type);

/* n_max <= 1: the new value itself.  Else the elements that only one side has, and of a map the
 * keys whose values differ with the new value. */
void datum_diff(struct datum *ret, const struct datum *old, const struct datum *new,
                const struct type *);
/* Applies a delta.  A result of a forbidden size is a constraint violation (text of
 * ovsdb-server). */
struct err *datum_apply(struct datum *ret, const struct datum *old,
                        const struct datum *delta, const struct type *) MUST_CHECK;

/* How strict datum_parse() is about the number of elements. */
enum datum_sizes {
    DATUM_SIZED,   /* As the type says. */
    DATUM_ANY_SIZE /* Any number: deltas, arguments of "delete". */
};

/* JSON in all forms that RFC 7047 allows; constraints of the base types are checked.  'symbols'
 * may be NULL. */
struct err *datum_parse(struct datum *ret, const struct type *, const struct json *,
                        struct symtab *symbols, enum datum_sizes) MUST_CHECK;
/* Canonical JSON straight into the buf: 5, "a", ["set",[1,2]], ["map",[["k","v"]]]. */
void datum_print(const struct datum *, const struct type *, struct buf *);
struct json datum_json(struct arena *, const struct datum *, const struct type *);
/* Constraints of all elements, for values that were not parsed (defaults, results). */
struct err *datum_check(const struct datum *, const struct type *) MUST_CHECK;
/* "Attempted to store N elements in <english type>." */
struct err *datum_check_size(const struct datum *, const struct type *) MUST_CHECK;

/* For people, as ovs-vsctl has it: `5`, `web`, `"a b"`, `[1, 2]`, `[]`, `{k=v, "k 2"=w}`.  A set of
 * at most one element prints without brackets when it is not empty. */
void datum_print_text(const struct datum *, const struct type *, struct buf *);
/* Brackets and braces may be left out on input: `1,2`, `k=v`.  The whole of 'text' is read. */
struct err *datum_parse_text(struct datum *ret, const struct type *, const char *text,
                             struct symtab *symbols) MUST_CHECK;

#endif /* data/datum.h */
