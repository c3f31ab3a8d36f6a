/* replica/refs.c: which rows refer to a row: an index of a column that holds a UUID.
 *
 * An index is made when it is asked for the first time, and kept current from then on.  A row that refers
 * to anything has room for the nodes of all indexes that there may be, so that nodes never move. */
#include "replica/replica_i.h"

static size_t
index_of(const struct replica_table *t, const struct column *column)
{
    size_t i = 0;
    while (i < t->n_indexes && t->indexes[i].column != column->index) {
        i++;
    }
    return i;
}

static void
ref_remove(struct replica_row *row, size_t i)
{
    if (row->refs && row->refs[i].row) {
        hmap_remove(&row->table->indexes[i].refs, &row->refs[i].node);
        row->refs[i].row = NULL;
    }
}

static void
ref_put(struct replica_row *row, size_t i)
{
    struct replica_index *index = &row->table->indexes[i];
    struct uuid to = datum_uuid(&row->columns[index->column]);

    ref_remove(row, i);
    if (!uuid_is_zero(&to)) {
        row->refs = row->refs ? row->refs : xcalloc(REPLICA_MAX_INDEXES, sizeof *row->refs);
        row->refs[i].row = row;
        hmap_insert(&index->refs, &row->refs[i].node, uuid_hash(&to));
    }
}

void
refs_update(struct replica_row *row, const uint64_t *changed)
{
    for (size_t i = 0; i < row->table->n_indexes; i++) {
        uint32_t column = row->table->indexes[i].column;
        if (!changed || changed[column / 64] >> (column % 64) & 1) {
            ref_put(row, i);
        }
    }
}

void
refs_remove(struct replica_row *row)
{
    for (size_t i = 0; i < row->table->n_indexes; i++) {
        ref_remove(row, i);
    }
}

void
refs_done(struct replica_table *t)
{
    for (size_t i = 0; i < t->n_indexes; i++) {
        hmap_done(&t->indexes[i].refs);
    }
}

static void
index_make(struct replica_table *t, const struct column *column)
{
    ASSERT(t->n_indexes < REPLICA_MAX_INDEXES);
    size_t i = t->n_indexes++;
    t->indexes[i] = (struct replica_index){ column->index, HMAP_INIT };
    HMAP_FOR_EACH (struct replica_row, row, node, &t->rows) {
        ref_put(row, i);
    }
}

/* The first from this node on that refers to 'to': others may have the same hash. */
static struct replica_row *
row_at(struct hmap_node *node, uint32_t column, const struct uuid *to)
{
    for (; node; node = hmap_next_with_hash(node)) {
        struct replica_row *row = CONTAINER_OF(node, struct replica_ref, node)->row;
        struct uuid uuid = datum_uuid(&row->columns[column]);
        if (uuid_eq(&uuid, to)) {
            return row;
        }
    }
    return NULL;
}

struct replica_row *
typed_first_of(struct replica_table *t, int field, const struct uuid *to)
{
    const struct column *column = t ? t->fields[field] : NULL;
    if (!column || uuid_is_zero(to)) {
        return NULL;
    }
    ASSERT(t->class->fields[field].kind == TYPED_UUID);
    size_t i = index_of(t, column);
    if (i == t->n_indexes) {
        index_make(t, column);
    }
    return row_at(hmap_first_with_hash(&t->indexes[i].refs, uuid_hash(to)), column->index,
                  to);
}

struct replica_row *
typed_next_of(const struct replica_row *row, int field)
{
    const struct column *column = row->table->fields[field];
    const struct replica_ref *ref = &row->refs[index_of(row->table, column)];
    struct uuid to = datum_uuid(&row->columns[column->index]);
    return row_at(hmap_next_with_hash(&ref->node), column->index, &to);
}
