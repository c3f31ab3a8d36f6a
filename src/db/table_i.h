/* db/table_i.h: tables and the database in memory.
 *
 * Values are changed in place; while a transaction runs, a row that it touched has a 'change' that
 * remembers what was there before (txn_i.h).  So a look-up always sees the transaction's own work,
 * and undoing it costs what it changed, not what there is. */
#ifndef DB_TABLE_I_H
#define DB_TABLE_I_H 1

#include "base/base.h"
#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"
#include "base/vec.h"
#include "data/datum.h"
#include "data/schema.h"
#include "db/db.h"
#include "db/row_i.h"

struct table {
    const struct table_schema *schema;
    struct db *db;
    struct hmap rows;    /* Of struct row, by UUID. */
    struct hmap deleted; /* Of struct row: by the running transaction. */
    struct hmap
        *indexes; /* Array of schema->n_indexes, by the hash of the indexed values. */
    size_t n_fields;
    struct row_layout layout;
    struct row *blank;      /* Of which new rows are copies; made with the first. */
    struct datum *defaults; /* n_fields. */
    bool *default_is_bad;   /* n_fields: the default breaks the column's own constraints. */
    uint64_t last_seq;      /* db's 'seq' after the last commit that changed this table. */
    bool was_read;          /* By the running transaction. */
    struct change *changes; /* By the running transaction, newest first. */
    struct change *stale;   /* Those whose index nodes lag behind (index.c). */
    bool *is_indexed;       /* n_fields: some index has the column. */
    bool has_refs;          /* Some column refers to rows. */
    struct watch_table *watches; /* monitor_i.h. */
};

/* One row's weak references to another row from one column. */
struct weak_ref {
    struct hmap_node node; /* In db's 'weak_refs'. */
    struct row *src, *dst;
    uint32_t column;               /* Of src. */
    uint32_t n;                    /* So many times. */
    struct weak_ref *next, **prev; /* In dst's 'weak_in'. */
};

struct db {
    struct schema *schema;
    struct table *tables; /* Array of schema->n_tables, same order. */
    struct hmap weak_refs;
    uint64_t seq;
    struct txn *txn;       /* The running one, or NULL. */
    struct txn *spare_txn; /* Memory for the next one, or NULL. */
    uint64_t n_atoms;
    struct watch_db *watches; /* monitor_i.h. */
    struct history *history;  /* history_i.h. */
};

/* db.c */
struct table *db_table(struct db *, const char *name); /* NULL if there is none. */
struct table *db_ref_table(struct db *, const struct base_type *); /* That it refers to. */

/* table.c */
void table_init(struct table *, struct db *, const struct table_schema *);
void table_done(struct table *);
struct row *table_find(const struct table *,
                       const struct uuid *); /* Not the deleted ones. */
struct row *table_find_deleted(const struct table *, const struct uuid *);
struct row *table_find_any(const struct table *, const struct uuid *);

static inline struct hmap_node *
row_index_node(struct row *row, size_t i)
{
    return (struct hmap_node *) (void *) ((char *) row + row->table->layout.index_at) + i;
}

static inline struct row *
row_of_index_node(const struct table *t, struct hmap_node *node, size_t i)
{
    return (struct row *) (void *) ((char *) (node - i) - t->layout.index_at);
}

/* A cell's value, of special columns too; in 'room', borrowed from the row. */
static inline const struct datum *
row_get(const struct row *row, const struct column *c, struct datum *room)
{
    if (LIKELY(c->index >= N_SPECIAL_COLUMNS)) {
        return row_field(row, c->index - N_SPECIAL_COLUMNS, room);
    }
    *room = (struct datum){ .n = 1 };
    room->one.uuid = c->index == COLUMN_UUID ? row->uuid : row_version_uuid(row->version);
    return room;
}

/* A value for each column of a table, as a client wrote it. */
struct cells {
    struct datum *v; /* schema->n_columns; those not 'given' are empty. */
    bool *given;
    const struct table *table;
};
#define CELLS_INIT ((struct cells){ NULL, NULL, NULL })
void cells_done(struct cells *);
/* RFC 7047 <row>. */
struct err *cells_parse(struct cells *ret, struct arena *, const struct table *,
                        const struct json *, struct symtab *) MUST_CHECK;

#endif /* db/table_i.h */
