/* db/txn.c: changing rows so that it can be undone.
 *
 * The first change of a cell moves its old value into the row's struct change; a deleted row waits
 * in its table's 'deleted'.  Undoing puts both back. */
#include "db/txn_i.h"

#define SPARE_BYTES                                                                        \
    ((size_t) (64 * KIB)) /* Of memory that the next transaction inherits. */

static const struct type *
field_type(const struct table *t, size_t field)
{
    return &t->schema->columns[field + N_SPECIAL_COLUMNS].type;
}

struct txn *
txn_begin(struct db *db)
{
    ASSERT(!db->txn);
    struct txn *txn = db->spare_txn ? TAKE(db->spare_txn) : NEW(struct txn);
    txn->db = db;
    txn->last = &txn->first;
    txn->symbols = SYMTAB_INIT(&txn->arena);
    db->txn = txn;
    for (size_t i = 0; i < db->schema->n_tables; i++) {
        db->tables[i].was_read = false;
    }
    return txn;
}

static struct change *
change_of(struct txn *txn, struct row *row)
{
    if (row->change) {
        return row->change;
    }
    struct change *ch = ARENA_NEW(&txn->arena, struct change);
    ch->row = row;
    ch->old_version = row->version;
    ch->next_in_table = row->table->changes;
    row->table->changes = ch;
    *txn->last = ch;
    txn->last = &ch->next;
    row->change = ch;
    return ch;
}

struct row *
txn_insert(struct txn *txn, struct table *t, const struct uuid *uuid)
{
    struct row *row = row_new(t, uuid);
    row->version = row_next_version();
    hmap_insert(&t->rows, &row->node, uuid_hash(uuid));
    struct change *ch = change_of(txn, row);
    ch->inserted = true;
    index_touch(ch);
    return row;
}

void
txn_set(struct txn *txn, struct row *row, size_t field, struct datum new)
{
    struct change *ch = change_of(txn, row);
    struct table *t = row->table;

    if (ch->inserted || change_has(ch, field)) {
        row_set(row, field, new);
    } else {
        if (!ch->changed) {
            ch->changed =
                arena_zalloc(&txn->arena, (t->n_fields + 63) / 64 * sizeof *ch->changed);
            ch->saved = arena_alloc(&txn->arena, t->n_fields * sizeof *ch->saved);
        }
        ch->gone = false;
        ch->changed[field / 64] |= UINT64_C(1) << (field % 64);
        ch->saved[field] = row_take(row, field);
        row_put(row, field, new);
    }
    txn_touch(row, field);
}

void
txn_touch(struct row *row, size_t field)
{
    if (row->table->is_indexed[field]) {
        index_touch(row->change);
    }
}

void
txn_delete(struct txn *txn, struct row *row)
{
    struct change *ch = change_of(txn, row);
    ch->deleted = true;
    ch->gone = false;
    index_touch(ch);
    hmap_remove(&row->table->rows, &row->node);
    hmap_insert(&row->table->deleted, &row->node, uuid_hash(&row->uuid));
}

static void
undo_change(struct change *ch)
{
    struct row *row = ch->row;
    struct table *t = row->table;

    index_undo(ch);
    if (ch->deleted) {
        hmap_remove(&t->deleted, &row->node);
    } else if (ch->inserted) {
        hmap_remove(&t->rows, &row->node);
    }
    if (ch->inserted) {
        row_free(row);
        return;
    }
    if (ch->deleted) {
        hmap_insert(&t->rows, &row->node, uuid_hash(&row->uuid));
    }
    for (size_t i = 0; i < t->n_fields && ch->changed; i++) {
        if (change_has(ch, i)) {
            row_set(row, i, ch->saved[i]);
        }
    }
    row->version = ch->old_version;
    row->change = NULL;
}

static void
txn_free(struct txn *txn)
{
    for (size_t i = 0; i < txn->db->schema->n_tables; i++) {
        txn->db->tables[i].changes = NULL;
        txn->db->tables[i].stale = NULL;
    }
    txn->db->txn = NULL;
    symtab_done(&txn->symbols);
    VEC_DONE(&txn->ref_steps);
    VEC_DONE(&txn->orphans);
    if (txn->arena.n_bytes > SPARE_BYTES || txn->record.cap > SPARE_BYTES ||
        txn->comment.cap > SPARE_BYTES) {
        arena_done(&txn->arena);
        buf_done(&txn->record);
        buf_done(&txn->comment);
    }
    struct txn blank = { .arena = txn->arena,
                         .record = txn->record,
                         .comment = txn->comment };
    txn->db->spare_txn = txn;
    *txn = blank;
    arena_reset(&txn->arena);
    buf_clear(&txn->record);
    buf_clear(&txn->comment);
}

void
txn_drop_spare(struct db *db)
{
    struct txn *txn = TAKE(db->spare_txn);
    if (txn) {
        arena_done(&txn->arena);
        buf_done(&txn->record);
        buf_done(&txn->comment);
        free(txn);
    }
}

void
txn_undo(struct txn *txn)
{
    for (size_t i = txn->ref_steps.n; i-- > 0;) {
        txn->ref_steps.v[i].row->n_refs -= (uint32_t) txn->ref_steps.v[i].delta;
    }
    for (struct change *ch = txn->first, *next; ch; ch = next) {
        next = ch->next;
        undo_change(ch);
    }
    txn_free(txn);
}

static void
finish_change(struct change *ch)
{
    struct row *row = ch->row;
    struct table *t = row->table;

    for (size_t i = 0; i < t->n_fields && ch->changed; i++) {
        if (change_has(ch, i)) {
            datum_done(&ch->saved[i], field_type(t, i));
        }
    }
    row->change = NULL;
    if (ch->deleted) {
        hmap_remove(&t->deleted, &row->node);
        if (!ch->is_kept) {
            row_free(row);
        }
    }
}

void
txn_finish(struct txn *txn)
{
    for (struct change *ch = txn->first, *next; ch; ch = next) {
        next = ch->next;
        finish_change(ch);
    }
    txn_free(txn);
}
