/* data/atom.h: one value of RFC 7047: an integer, a real, a boolean, a string or a UUID.
 *
 * Shape.  16 bytes without a tag; whoever holds an atom knows its type.  A string atom owns one
 *         reference of an istring.
 * Order.  Integers and reals by value, false before true, strings by bytes, UUIDs as big-endian
 *         numbers.
 * Errors. Constraint and syntax errors of data/rfc7047.h. */
#ifndef DATA_ATOM_H
#define DATA_ATOM_H 1

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/uuid.h"
#include "data/istring.h"
#include "json/json.h"

enum atom_type {
    ATOM_VOID, /* No value: the value side of a set. */
    ATOM_INTEGER,
    ATOM_REAL,
    ATOM_BOOLEAN,
    ATOM_STRING,
    ATOM_UUID,
    N_ATOM_TYPES,
};

union atom {
    int64_t integer;
    double real;
    bool boolean;
    struct istring *string;
    struct uuid uuid;
};

/* The names that one transaction gives to rows it inserts.  A name gets its UUID when it is first
 * seen, so a reference may come before its "insert". */
struct symbol {
    struct hmap_node node; /* In struct symtab's 'symbols'. */
    struct uuid uuid;
    bool created; /* An "insert" with this "uuid-name" was there. */
    char name[];
};

struct symtab {
    struct hmap symbols;
    struct arena *arena; /* The transaction's: holds the symbols. */
};
#define SYMTAB_INIT(arena) ((struct symtab){ HMAP_INIT, (arena) })

void symtab_done(struct symtab *);
struct symbol *symtab_find(const struct symtab *, const char *name); /* NULL if none. */
struct symbol *symtab_get(struct symtab *, const char *name);        /* Made if needed. */

const char *atom_type_name(enum atom_type);                 /* "integer" */
bool atom_type_find(const char *name, enum atom_type *ret); /* Not "void". */

union atom atom_default(enum atom_type); /* 0, 0.0, false, "", all zeros. */
bool atom_is_default(const union atom *, enum atom_type);
union atom atom_of_string(const char *); /* Owned by the caller. */

/* What an atom of the type needs of a union atom's 16 bytes, from its beginning. */
static inline uint8_t
atom_n_bytes(enum atom_type type)
{
    return type == ATOM_UUID ? sizeof(struct uuid) : sizeof(int64_t);
}

static inline void
atom_done(union atom *a, enum atom_type type)
{
    if (type == ATOM_STRING) {
        istring_unref(a->string);
    }
}

static inline union atom
atom_dup(const union atom *a, enum atom_type type)
{
    union atom copy; /* There may be no more than it needs. */
    memcpy(&copy, a, atom_n_bytes(type));
    if (type == ATOM_STRING) {
        istring_ref(copy.string);
    }
    return copy;
}

int atom_cmp(const union atom *, const union atom *, enum atom_type); /* <0, 0, >0 */
bool atom_eq(const union atom *, const union atom *, enum atom_type);
uint32_t atom_hash(const union atom *, enum atom_type, uint32_t basis);

/* 'symbols' may be NULL: then ["named-uuid", ...] is an error.  Strings are checked to be UTF-8;
 * constraints of a base type are not checked here (base_type_check()).  'alone': a string that is
 * hardly worth interning (istring.h). */
struct err *atom_parse(union atom *ret, enum atom_type, bool alone, const struct json *,
                       struct symtab *symbols) MUST_CHECK;
void atom_print(const union atom *, enum atom_type, struct buf *); /* Its JSON. */
struct json atom_json(struct arena *, const union atom *, enum atom_type);

/* For people: a string that looks like an identifier is bare, others are JSON strings; a UUID is
 * its bare text. */
void atom_print_text(const union atom *, enum atom_type, struct buf *);
/* Reads one atom from text; *text is moved behind it.  A bare word ends at any of ",= ]}[{" or
 * white space, or only at the end when 'whole' is true (so `set vm web name="a b"` needs no second
 * pair of quotes).  ERR_SYNTAX with the text at fault. */
struct err *atom_parse_text(union atom *ret, enum atom_type, const char **text, bool whole,
                            struct symtab *symbols) MUST_CHECK;

#endif /* data/atom.h */
