/* db/row_i.h: a row, packed.
 *
 *     +--------+---------------------+-------+----------------------------------------+
 *     | header | booleans, flags     | nodes | numbers, strings, UUIDs, sets and maps |
 *     | 68     | 1 each              | 16    | 8, 8, 16, 8                            |
 *     +--------+---------------------+-------+----------------------------------------+
 *
 * One allocation holds it all: a number or a UUID lies in the row itself, a string is a pointer to
 * its istring (NULL: absent), a set or a map a pointer to a block with just its elements (NULL:
 * empty).  A boolean is a byte; numbers and UUIDs that may be absent have a flag, a byte too.
 * Nobody sees this but row.c: others read a cell with row_field(), which makes a datum that borrows
 * from the row, and replace it with row_take() and row_put(). */
#ifndef DB_ROW_I_H
#define DB_ROW_I_H 1

#include "base/base.h"
#include "base/map.h"
#include "base/uuid.h"
#include "data/datum.h"
#include "data/schema.h"

struct change;
struct table;
struct weak_ref;

struct row {
    struct hmap_node
        node; /* In table's 'rows'; once a transaction deleted it, 'deleted'. */
    struct table *table;
    struct change *change; /* What the running transaction did to it, or NULL. */
    struct uuid uuid;
    uint64_t version;         /* row_version_uuid() makes _version of it. */
    struct weak_ref *weak_in; /* Weak references to it, as of the last commit. */
    uint32_t n_refs;          /* Strong references from other rows. */
    uint8_t bytes[];          /* As table's 'layout' says. */
};

enum cell_form { CELL_NUMBER, CELL_BOOLEAN, CELL_UUID, CELL_STRING, CELL_BLOCK };
#define CELL_ABSENT 2 /* A boolean that is not there. */

/* Where a row holds a field; offsets from its beginning. */
struct cell_place {
    uint32_t at;
    uint32_t flag_at; /* Of an optional number or UUID. */
    uint8_t form;     /* enum cell_form. */
    bool optional, map;
    uint8_t key_step, value_step; /* Of a block. */
};

struct row_layout {
    struct cell_place *cells; /* By field; owned. */
    uint32_t index_at;        /* The hash nodes of the indexes. */
    uint32_t n_bytes;         /* Of a row. */
};
void row_layout_init(struct row_layout *, const struct table_schema *);
void row_layout_done(struct row_layout *);

struct row *row_new(struct table *, const struct uuid *); /* All defaults, in no table. */
void row_free(struct row *);

/* 'field' is column->index - N_SPECIAL_COLUMNS. */
/* The value, in 'room'; it borrows from the row: nothing to free, datum_dup() keeps it. */
const struct datum *row_field(const struct row *, size_t field, struct datum *room);
/* Who goes through many rows asks for them before he needs them: first for the row, of which nothing is read, then, once it
 * is likely to be there, for what its fields point to. */
void row_prefetch(const struct row *, const struct table *);
void row_prefetch_fields(const struct row *);
struct datum row_take(struct row *, size_t field); /* Then row_put() must follow. */
void row_put(struct row *, size_t field,
             struct datum); /* Takes it, forgets what was there. */
void row_set(struct row *, size_t field,
             struct datum); /* Takes it, frees what was there. */

uint64_t row_next_version(void);
struct uuid row_version_uuid(uint64_t version);

#endif /* db/row_i.h */
