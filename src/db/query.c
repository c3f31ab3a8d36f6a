/* db/query.c: finding rows.  By _uuid if the condition names it, through an index if it names all
 * of its columns, else by looking at every row. */
#include "db/cond_i.h"

static const struct clause *
equality_on(const struct cond *cond, const struct column *c)
{
    for (size_t i = 0; i < cond->n; i++) {
        const struct clause *cl = &cond->clauses[i];
        if (cl->op == COND_EQ && cl->column == c) {
            return cl;
        }
    }
    return NULL;
}

static void
add_if(struct row *row, const struct cond *cond, struct row_vec *ret)
{
    if (cond_holds(cond, row)) {
        *VEC_ADD(&ret->rows) = row;
    }
}

static bool
by_index(struct table *t, size_t i, const struct cond *cond, struct row_vec *ret)
{
    const struct index_schema *index = &t->schema->indexes[i];
    const struct datum *values[16];
    if (index->n_columns > N_ELEMS(values)) {
        return false;
    }
    for (size_t k = 0; k < index->n_columns; k++) {
        const struct clause *cl = equality_on(cond, index->columns[k]);
        if (!cl) {
            return false;
        }
        values[k] = &cl->arg;
    }

    index_flush(t);
    uint32_t hash = index_hash(index, values);
    for (struct hmap_node *node = hmap_first_with_hash(&t->indexes[i], hash); node;
         node = hmap_next_with_hash(node)) {
        add_if(row_of_index_node(t, node, i), cond, ret);
    }
    return true;
}

void
query(struct table *t, const struct cond *cond, struct row_vec *ret)
{
    t->was_read = true;

    const struct clause *uuid = equality_on(cond, &t->schema->columns[COLUMN_UUID]);
    if (uuid) {
        struct row *row = table_find(t, &datum_key(&uuid->arg, 0)->uuid);
        if (row) {
            add_if(row, cond, ret);
        }
        return;
    }
    for (size_t i = 0; i < t->schema->n_indexes && cond->n; i++) {
        if (by_index(t, i, cond, ret)) {
            return;
        }
    }
    HMAP_FOR_EACH (struct row, row, node, &t->rows) {
        add_if(row, cond, ret);
    }
}
