/* db/weak.c: weak references.  They never keep a row alive, and none of them points to a missing
 * row after a commit.
 *
 * db's 'weak_refs' knows for each row who refers to it, as of the last commit; so a deletion finds
 * the cells that it makes stale, and a commit costs what it changed. */
#include "data/rfc7047.h"
#include "db/txn_i.h"

static bool
has_weak_ref(const struct type *type)
{
    return base_type_ref(&type->key) == REF_WEAK || base_type_ref(&type->value) == REF_WEAK;
}

static bool
is_stale(const struct db *db, const struct base_type *base, const union atom *a)
{
    return base_type_ref(base) == REF_WEAK &&
           !table_find(db_ref_table((struct db *) db, base), &a->uuid);
}

static struct err *
emptied(const struct row *row, const struct column *c, uint32_t n_stale, bool zero)
{
    bool inserted = row->change && row->change->inserted;
    const char *new = inserted ? "(inserted within this transaction) " : "";
    if (zero && inserted) {
        return rfc_err(
            RFC_CONSTRAINT,
            "Weak reference column \"%s\" in \"%s\" row %s (inserted within this "
            "transaction) contained all-zeros UUID (probably as the default value "
            "for this column) but deleting this value caused a constraint volation "
            "because this column is not allowed to be empty.",
            c->name, row->table->schema->name, UUID_TEXT(&row->uuid));
    }
    return rfc_err(
        RFC_CONSTRAINT,
        "Deletion of %" PRIu32 " weak reference(s) to deleted (or never-existing) "
        "rows from column \"%s\" in \"%s\" row %s %scaused this column to become "
        "empty, but constraints on this column disallow an empty column.",
        n_stale, c->name, row->table->schema->name, UUID_TEXT(&row->uuid), new);
}

/* Removes the elements of one cell that point to missing rows. */
static struct err *
prune_cell(struct txn *txn, struct row *row, const struct column *c)
{
    size_t field = c->index - N_SPECIAL_COLUMNS;
    struct datum room;
    const struct datum *d = row_field(row, field, &room);
    uint32_t n_stale = 0;
    bool zero = false;

    for (uint32_t i = 0; i < d->n; i++) {
        bool stale = is_stale(txn->db, &c->type.key, datum_key(d, i)) ||
                     (d->map && is_stale(txn->db, &c->type.value, datum_value(d, i)));
        n_stale += stale;
        zero = zero || (stale && uuid_is_zero(&datum_key(d, i)->uuid));
    }
    if (n_stale == 0) {
        return NULL;
    }

    struct datum kept = DATUM_EMPTY;
    for (uint32_t i = 0; i < d->n; i++) {
        if (!is_stale(txn->db, &c->type.key, datum_key(d, i)) &&
            !(d->map && is_stale(txn->db, &c->type.value, datum_value(d, i)))) {
            union atom value = { 0 };
            if (d->map) {
                value = atom_dup(datum_value(d, i), c->type.value.type);
            }
            datum_add(&kept, &c->type, atom_dup(datum_key(d, i), c->type.key.type), &value,
                      false);
        }
    }
    if (kept.n < c->type.n_min) {
        return emptied(row, c, n_stale, zero);
    }
    txn_set(txn, row, field, kept);
    return NULL;
}

static bool
still_refers(const struct row *src, uint32_t column, const struct uuid *dst)
{
    const struct column *c = &src->table->schema->columns[column];
    struct datum room;
    const struct datum *d = row_get(src, c, &room);
    if (base_type_ref(&c->type.key) == REF_WEAK) {
        union atom key = { .uuid = *dst };
        if (datum_find(d, &key, ATOM_UUID) >= 0) {
            return true;
        }
    }
    for (uint32_t i = 0; i < d->n && base_type_ref(&c->type.value) == REF_WEAK; i++) {
        if (uuid_eq(&datum_value(d, i)->uuid, dst)) {
            return true;
        }
    }
    return false;
}

struct err *
weak_prune(struct txn *txn)
{
    /* The list grows: cells that are pruned here belong to changed rows, too. */
    TXN_FOR_EACH (ch, txn) {
        struct row *row = ch->row;
        if (ch->deleted) {
            for (struct weak_ref *w = row->weak_in; w; w = w->next) {
                if (!(w->src->change && w->src->change->deleted) &&
                    still_refers(w->src, w->column, &row->uuid)) {
                    TRY(prune_cell(txn, w->src,
                                   &w->src->table->schema->columns[w->column]));
                }
            }
            continue;
        }
        for (size_t i = 0; row->table->has_refs && i < row->table->n_fields; i++) {
            const struct column *c = &row->table->schema->columns[i + N_SPECIAL_COLUMNS];
            if (change_touches(ch, i) && has_weak_ref(&c->type)) {
                TRY(prune_cell(txn, row, c));
            }
        }
    }
    return NULL;
}

static uint32_t
ref_hash(const struct uuid *src, uint32_t column, const struct uuid *dst)
{
    return (uuid_hash(src) * 31 + column) * UINT32_C(0x9e3779b1) ^ uuid_hash(dst);
}

static struct weak_ref *
find_ref(struct db *db, const struct row *src, uint32_t column, const struct uuid *dst)
{
    uint32_t hash = ref_hash(&src->uuid, column, dst);
    HMAP_FOR_EACH_HASH (struct weak_ref, w, node, hash, &db->weak_refs) {
        if (w->src == src && w->column == column && uuid_eq(&w->dst->uuid, dst)) {
            return w;
        }
    }
    return NULL;
}

static void
forget_ref(struct db *db, struct weak_ref *w)
{
    *w->prev = w->next;
    if (w->next) {
        w->next->prev = w->prev;
    }
    hmap_remove(&db->weak_refs, &w->node);
    free(w);
}

static void
add_ref(struct db *db, struct row *src, const struct column *c,
        const struct base_type *base, const struct uuid *to)
{
    struct row *dst = table_find(db_ref_table(db, base), to);
    ASSERT(dst); /* weak_prune() left no other. */
    struct weak_ref *w = find_ref(db, src, c->index, to);
    if (w) {
        w->n++;
        return;
    }
    w = NEW(struct weak_ref);
    *w = (struct weak_ref){ .src = src,
                            .dst = dst,
                            .column = c->index,
                            .n = 1,
                            .next = dst->weak_in,
                            .prev = &dst->weak_in };
    if (w->next) {
        w->next->prev = &w->next;
    }
    dst->weak_in = w;
    hmap_insert(&db->weak_refs, &w->node, ref_hash(&src->uuid, c->index, to));
}

static void
drop_ref(struct db *db, const struct row *src, const struct column *c,
         const struct uuid *to)
{
    struct weak_ref *w = find_ref(db, src, c->index, to);
    ASSERT(w);
    if (--w->n == 0) {
        forget_ref(db, w);
    }
}

static void
move_keys(struct db *db, struct row *row, const struct column *c, const struct datum *old,
          const struct datum *new)
{
    for (struct ref_keys k = { old, new }; ref_keys_next(&k);) {
        if (k.added) {
            add_ref(db, row, c, &c->type.key, k.to);
        } else {
            drop_ref(db, row, c, k.to);
        }
    }
}

static void
commit_cell(struct db *db, struct row *row, const struct column *c, const struct datum *old,
            const struct datum *new)
{
    if (base_type_ref(&c->type.key) == REF_WEAK) {
        move_keys(db, row, c, old, new);
    }
    if (base_type_ref(&c->type.value) == REF_WEAK) {
        for (uint32_t i = 0; i < new->n; i++) {
            add_ref(db, row, c, &c->type.value, &datum_value(new, i)->uuid);
        }
        for (uint32_t i = 0; i < old->n; i++) {
            drop_ref(db, row, c, &datum_value(old, i)->uuid);
        }
    }
}

void
weak_commit(struct txn *txn)
{
    static const struct datum empty;
    TXN_FOR_EACH (ch, txn) {
        struct table *t = ch->row->table;
        for (size_t i = 0; t->has_refs && i < t->n_fields; i++) {
            const struct column *c = &t->schema->columns[i + N_SPECIAL_COLUMNS];
            if (has_weak_ref(&c->type) && change_touches(ch, i)) {
                struct datum ro, rn;
                commit_cell(txn->db, ch->row, c,
                            ch->inserted ? &empty : change_old(ch, i, &ro),
                            ch->deleted ? &empty : row_field(ch->row, i, &rn));
            }
        }
    }
}

void
weak_forget(struct db *db)
{
    HMAP_FOR_EACH_SAFE (struct weak_ref, w, node, &db->weak_refs) {
        free(w);
    }
    hmap_done(&db->weak_refs);
}
