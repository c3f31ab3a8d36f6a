/* db/refs.c: strong references.  row->n_refs counts those from other rows; a row of a table that is
 * no root lives only as long as there is one. */
#include "data/rfc7047.h"
#include "db/txn_i.h"

struct ref_walk {
    struct txn *txn;
    struct row *src;
    const struct column *column;
};

static void
step(struct txn *txn, struct row *target, int32_t delta)
{
    target->n_refs += (uint32_t) delta;
    *VEC_ADD(&txn->ref_steps) = (struct ref_step){ target, delta };
    if (target->n_refs == 0 && !target->table->schema->counts_as_root) {
        *VEC_ADD(&txn->orphans) = target;
    }
}

/* A row's reference to itself counts for nothing.  As in the reference, the UUID alone decides it, even
 * if the column refers to another table: files with such rows exist. */
static struct err *
add_ref(struct ref_walk *w, const struct base_type *base, const struct uuid *to)
{
    if (uuid_eq(to, &w->src->uuid)) {
        return NULL;
    }
    struct table *t = db_ref_table(w->txn->db, base);
    struct row *target = table_find(t, to);
    if (!target) {
        return rfc_err(
            RFC_REFERENTIAL,
            "Table %s column %s row %s references nonexistent row %s in table %s.",
            w->src->table->schema->name, w->column->name, UUID_TEXT(&w->src->uuid),
            UUID_TEXT(to), t->schema->name);
    }
    step(w->txn, target, 1);
    return NULL;
}

static void
drop_ref(struct ref_walk *w, const struct base_type *base, const struct uuid *to)
{
    struct row *target = table_find_any(db_ref_table(w->txn->db, base), to);
    if (target && !uuid_eq(to, &w->src->uuid)) {
        step(w->txn, target, -1);
    }
}

static struct err *
add_values(struct ref_walk *w, const struct base_type *base, const struct datum *d)
{
    for (uint32_t i = 0; i < d->n; i++) {
        TRY(add_ref(w, base, &datum_value(d, i)->uuid));
    }
    return NULL;
}

static void
drop_values(struct ref_walk *w, const struct base_type *base, const struct datum *d)
{
    for (uint32_t i = 0; i < d->n; i++) {
        drop_ref(w, base, &datum_value(d, i)->uuid);
    }
}

bool
ref_keys_next(struct ref_keys *k)
{
    const struct datum *old = k->old, *new = k->new;

    while (k->i < old->n || k->j < new->n) {
        int cmp = k->i >= old->n ? 1
                  : k->j >= new->n
                      ? -1
                      : uuid_cmp(&datum_key(old, k->i)->uuid, &datum_key(new, k->j)->uuid);
        k->added = cmp > 0;
        k->to = cmp > 0 ? &datum_key(new, k->j)->uuid : &datum_key(old, k->i)->uuid;
        k->i += cmp <= 0;
        k->j += cmp >= 0;
        if (cmp) {
            return true;
        }
    }
    return false;
}

static struct err *
move_keys(struct ref_walk *w, const struct base_type *base, const struct datum *old,
          const struct datum *new)
{
    for (struct ref_keys k = { old, new }; ref_keys_next(&k);) {
        if (k.added) {
            TRY(add_ref(w, base, k.to));
        } else {
            drop_ref(w, base, k.to);
        }
    }
    return NULL;
}

static const struct datum empty;

static struct err *
count_column(struct ref_walk *w, const struct datum *old, const struct datum *new)
{
    const struct type *type = &w->column->type;
    if (base_type_ref(&type->key) == REF_STRONG) {
        TRY(move_keys(w, &type->key, old, new));
    }
    if (base_type_ref(&type->value) == REF_STRONG) {
        TRY(add_values(w, &type->value, new));
        drop_values(w, &type->value, old);
    }
    return NULL;
}

static bool
has_strong_ref(const struct type *type)
{
    return base_type_ref(&type->key) == REF_STRONG ||
           base_type_ref(&type->value) == REF_STRONG;
}

static struct err *
count_change(struct txn *txn, struct change *ch)
{
    struct table *t = ch->row->table;
    for (size_t i = 0; t->has_refs && i < t->n_fields; i++) {
        const struct column *c = &t->schema->columns[i + N_SPECIAL_COLUMNS];
        if (!has_strong_ref(&c->type) || !change_touches(ch, i)) {
            continue;
        }
        struct ref_walk w = { txn, ch->row, c };
        struct datum ro, rn;
        TRY(count_column(&w, ch->inserted ? &empty : change_old(ch, i, &ro),
                         ch->deleted ? &empty : row_field(ch->row, i, &rn)));
    }
    if (ch->inserted && ch->row->n_refs == 0 && !t->schema->counts_as_root) {
        *VEC_ADD(&txn->orphans) = ch->row; /* Unless a later row refers to it. */
    }
    return NULL;
}

struct err *
refs_count(struct txn *txn)
{
    TXN_FOR_EACH (ch, txn) {
        TRY(count_change(txn, ch));
    }
    TXN_FOR_EACH (ch, txn) {
        if (ch->deleted && ch->row->n_refs) {
            return rfc_err(
                RFC_REFERENTIAL,
                "cannot delete %s row %s because of %" PRIu32 " remaining reference(s)",
                ch->row->table->schema->name, UUID_TEXT(&ch->row->uuid), ch->row->n_refs);
        }
    }
    return NULL;
}

struct err *
refs_collect(struct txn *txn)
{
    /* Dropping a row's references may orphan others: the vector grows while it is read. */
    for (size_t k = 0; k < txn->orphans.n; k++) {
        struct row *row = txn->orphans.v[k];
        if (row->n_refs > 0 || (row->change && row->change->deleted)) {
            continue;
        }
        txn_delete(txn, row);
        for (size_t i = 0; i < row->table->n_fields; i++) {
            const struct column *c = &row->table->schema->columns[i + N_SPECIAL_COLUMNS];
            if (has_strong_ref(&c->type)) {
                struct ref_walk w = { txn, row, c };
                struct datum room;
                TRY(count_column(&w, row_field(row, i, &room), &empty));
            }
        }
    }
    return NULL;
}
