/* db/db.c: the database as a whole; the end of a transaction's life. */
#include "db/db.h"

#include "data/rfc7047.h"
#include "db/history_i.h"
#include "db/monitor_i.h"
#include "db/txn_i.h"

struct db *
db_new(struct schema *schema)
{
    struct db *db = NEW(struct db);
    db->schema = schema_ref(schema);
    db->tables = xcalloc(schema->n_tables + 1, sizeof *db->tables);
    for (size_t i = 0; i < schema->n_tables; i++) {
        table_init(&db->tables[i], db, &schema->tables[i]);
    }
    watches_init(db);
    history_init(db);
    return db;
}

void
db_free(struct db *db)
{
    if (!db) {
        return;
    }
    ASSERT(!db->txn);
    txn_drop_spare(db);
    watches_done(db);
    history_done(db);
    weak_forget(db);
    for (size_t i = 0; i < db->schema->n_tables; i++) {
        table_done(&db->tables[i]);
    }
    free(db->tables);
    schema_unref(db->schema);
    free(db);
}

void
db_drop(struct db **db)
{
    db_free(TAKE(*db));
}

struct schema *
db_schema(const struct db *db)
{
    return db->schema;
}

uint64_t
db_seq(const struct db *db)
{
    return db->seq;
}

struct table *
db_table(struct db *db, const char *name)
{
    const struct table_schema *ts = schema_find_table(db->schema, name);
    return ts ? &db->tables[ts->index] : NULL;
}

struct table *
db_ref_table(struct db *db, const struct base_type *base)
{
    return &db->tables[base->uuid.ref_table->index];
}

void
db_wait_done(struct db_wait *w)
{
    free(w->tables);
    *w = (struct db_wait){ 0 };
}

bool
db_wait_due(const struct db *db, const struct db_wait *w)
{
    if (w->any_commit) {
        return db->seq > w->seq;
    }
    for (size_t i = 0; i < w->n_tables; i++) {
        if (db->tables[w->tables[i]].last_seq > w->seq) {
            return true;
        }
    }
    return false;
}

const struct buf *
db_txn_record(const struct txn *txn)
{
    return &txn->record;
}

bool
db_txn_durable(const struct txn *txn)
{
    return txn->durable;
}

void
db_txn_set_id(struct txn *txn, const struct uuid *id)
{
    txn->id = *id;
}

void
db_txn_commit(struct txn *txn, db_deliver_fn *deliver, void *aux)
{
    struct db *db = txn->db;
    db->seq++;
    TXN_FOR_EACH (ch, txn) {
        ch->row->table->last_seq = db->seq;
    }
    weak_commit(txn);
    if (uuid_is_zero(&txn->id)) {
        uuid_random(&txn->id);
    }
    db->history->last_id = txn->id;
    watches_deliver(txn, deliver, aux);
    history_keep(txn);
    txn_finish(txn);
    history_trim(db);
}

void
db_txn_abort(struct txn *txn, const struct err *why, struct buf *reply)
{
    txn_undo(txn);
    if (reply) {
        ASSERT(reply->n > 0 && reply->data[reply->n - 1] == ']');
        reply->n--;
        if (reply->data[reply->n - 1] != '[') {
            buf_char(reply, ',');
        }
        rfc_print(why, reply);
        buf_char(reply, ']');
    }
}

void
db_figures(const struct db *db, struct db_figures *ret)
{
    *ret = (struct db_figures){ 0 };
    for (size_t i = 0; i < db->schema->n_tables; i++) {
        const struct table *t = &db->tables[i];
        ret->n_rows += t->rows.n;
        ret->n_cells += t->rows.n * t->schema->n_columns;
        HMAP_FOR_EACH (struct row, row, node, &t->rows) {
            ret->n_atoms += N_SPECIAL_COLUMNS;
            for (size_t k = 0; k < t->n_fields; k++) {
                struct datum room;
                const struct datum *d = row_field(row, k, &room);
                ret->n_atoms += d->n * (d->map ? 2 : 1);
            }
        }
    }
    ret->n_weak_refs = db->weak_refs.n;
    watches_count(db, ret);
    history_figures(db, ret);
}
