/* db/convert.c: the rows of one schema under another. */
#include "data/rfc7047.h"
#include "db/txn_i.h"

static struct err *
convert_cell(struct txn *txn, struct row *to, const struct column *new,
             const struct datum *value, const struct column *old)
{
    size_t field = new->index - N_SPECIAL_COLUMNS;
    if (type_eq(&old->type, &new->type)) {
        txn_set(txn, to, field, datum_dup(value, &old->type));
        return NULL;
    }
    struct json j = datum_json(&txn->arena, value, &old->type);
    struct datum converted;
    TRY(datum_parse(&converted, &new->type, &j, NULL, DATUM_SIZED));
    txn_set(txn, to, field, converted);
    return NULL;
}

static struct err *
convert_table(struct txn *txn, const struct table *from, struct table *to)
{
    HMAP_FOR_EACH (struct row, row, node, &from->rows) {
        struct row *copy = txn_insert(txn, to, &row->uuid);
        for (size_t i = 0; i < to->n_fields; i++) {
            const struct column *new = &to->schema->columns[i + N_SPECIAL_COLUMNS];
            const struct column *old = schema_find_column(from->schema, new->name);
            struct datum room;
            if (old) {
                TRY(convert_cell(txn, copy, new, row_get(row, old, &room), old));
            }
        }
    }
    return NULL;
}

static struct err *
convert_all(struct txn *txn, const struct db *from)
{
    for (size_t i = 0; i < txn->db->schema->n_tables; i++) {
        struct table *to = &txn->db->tables[i];
        const struct table *old = db_table((struct db *) from, to->schema->name);
        if (old) {
            TRY(convert_table(txn, old, to));
        }
    }
    return commit_prepare(txn);
}

static void
tell_nobody(void *aux, struct monitor *m, struct bytes *updates)
{
}

struct err *
db_convert(const struct db *from, struct schema *schema, struct db **ret)
{
    CLEANUP(db_drop) struct db *db = db_new(schema);
    struct txn *txn = txn_begin(db);
    struct err *e = convert_all(txn, from);
    if (e || commit_is_empty(txn)) {
        txn_undo(txn);
    } else {
        db_txn_commit(txn, tell_nobody, NULL);
    }
    TRY(e);
    db->seq = from->seq + 1;
    *ret = TAKE(db);
    return NULL;
}
