/* db/weak.c: weak references.  They never keep a row alive, and none of them points to a missing
 * row after a commit.
 *
 * db's 'weak_refs' knows for each row who refers to it, as of the last commit; so a deletion finds
 * the cells that it makes stale, and a commit costs what it changed. */
#include "data/rfc7047.h"
#include "db/txn_i.h"

static const struct datum no_elements;

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

/* As is_stale(), of what was there before the transaction: nothing but its deletions makes that stale. */
static bool
became_stale(const struct db *db, const struct base_type *base, const union atom *a)
{
    return base_type_ref(base) == REF_WEAK &&
           table_find_deleted(db_ref_table((struct db *) db, base), &a->uuid) &&
           is_stale(db, base, a);
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

typedef bool stale_fn(const struct db *, const struct base_type *, const union atom *);

/* Does element 'i' point to a missing row?  Then '*zero' says if to the one that defaults name. */
static bool
element_is_stale(const struct db *db, stale_fn *stale, const struct type *t,
                 const struct datum *d, uint32_t i, bool *zero)
{
    bool key = stale(db, &t->key, datum_key(d, i));
    bool value = d->map && stale(db, &t->value, datum_value(d, i));
    *zero = (key && uuid_is_zero(&datum_key(d, i)->uuid)) ||
            (value && uuid_is_zero(&datum_value(d, i)->uuid));
    return key || value;
}

/* Removes the elements of one cell that point to missing rows. */
static struct err *
prune_cell(struct txn *txn, struct row *row, const struct column *c)
{
    size_t field = c->index - N_SPECIAL_COLUMNS;
    struct datum room;
    const struct datum *d = row_field(row, field, &room);
    bool changed = row->change && change_touches(row->change, field);
    stale_fn *stale = changed ? is_stale : became_stale;
    struct datum gone = DATUM_EMPTY; /* The keys of what points to missing rows. */
    struct type keys = { .key = c->type.key, .n_max = TYPE_UNLIMITED };
    base_type_init(&keys.value, ATOM_VOID);
    bool zero, any_zero = false;

    for (uint32_t i = 0; i < d->n; i++) {
        if (element_is_stale(txn->db, stale, &c->type, d, i, &zero)) {
            datum_add(&gone, &keys, atom_dup(datum_key(d, i), keys.key.type), NULL, false);
        }
        any_zero = any_zero || zero;
    }
    uint32_t n_stale = gone.n;
    if (n_stale == 0) {
        return NULL;
    }

    struct datum kept = datum_dup(d, &c->type);
    datum_subtract(&kept, &c->type, &gone, &keys);
    datum_done(&gone, &keys);
    if (kept.n < c->type.n_min) {
        return emptied(row, c, n_stale, any_zero);
    }
    txn_set(txn, row, field, kept);
    return NULL;
}

/* Once is enough for a cell, however many of the rows go that it points to: all have gone by now. */
static struct err *
prune_once(struct txn *txn, struct row *row, const struct column *c)
{
    size_t field = c->index - N_SPECIAL_COLUMNS;
    uint64_t bit = UINT64_C(1) << (field % 64);
    if (row->change && row->change->pruned && row->change->pruned[field / 64] & bit) {
        return NULL;
    }
    TRY(prune_cell(txn, row, c));
    struct change *ch = row->change;
    if (ch && !ch->pruned) {
        ch->pruned = arena_zalloc(&txn->arena,
                                  (row->table->n_fields + 63) / 64 * sizeof *ch->pruned);
    }
    if (ch) {
        ch->pruned[field / 64] |= bit;
    }
    return NULL;
}

/* Does a changed cell point to a missing row that it did not point to before? */
static bool
gained_stale(const struct db *db, const struct change *ch, const struct column *c)
{
    size_t field = c->index - N_SPECIAL_COLUMNS;
    struct datum ro, rn;
    const struct datum *was = ch->inserted ? &no_elements : change_old(ch, field, &ro);
    const struct datum *now = row_field(ch->row, field, &rn);

    if (base_type_ref(&c->type.key) == REF_WEAK) {
        for (struct ref_keys k = { was, now }; ref_keys_next(&k);) {
            union atom a = { .uuid = *k.to };
            if (k.added && is_stale(db, &c->type.key, &a)) {
                return true;
            }
        }
    }
    for (uint32_t i = 0; i < now->n && now->map; i++) {
        if (is_stale(db, &c->type.value, datum_value(now, i))) {
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
        for (struct weak_ref *w = ch->deleted ? row->weak_in : NULL; w; w = w->next) {
            if (!(w->src->change && w->src->change->deleted)) {
                TRY(prune_once(txn, w->src, &w->src->table->schema->columns[w->column]));
            }
        }
        for (size_t i = 0; !ch->deleted && row->table->has_refs && i < row->table->n_fields;
             i++) {
            const struct column *c = &row->table->schema->columns[i + N_SPECIAL_COLUMNS];
            if (has_weak_ref(&c->type) && change_touches(ch, i) &&
                gained_stale(txn->db, ch, c)) {
                TRY(prune_once(txn, row, c));
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

/* The table counts, too: a map's key and value may name rows of two tables with one UUID. */
static struct weak_ref *
find_ref(struct db *db, const struct row *src, uint32_t column, const struct table *table,
         const struct uuid *dst)
{
    uint32_t hash = ref_hash(&src->uuid, column, dst);
    HMAP_FOR_EACH_HASH (struct weak_ref, w, node, hash, &db->weak_refs) {
        if (w->src == src && w->column == column && w->dst->table == table &&
            uuid_eq(&w->dst->uuid, dst)) {
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
    struct weak_ref *w = find_ref(db, src, c->index, dst->table, to);
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
         const struct base_type *base, const struct uuid *to)
{
    struct weak_ref *w = find_ref(db, src, c->index, db_ref_table(db, base), to);
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
            drop_ref(db, row, c, &c->type.key, k.to);
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
            drop_ref(db, row, c, &c->type.value, &datum_value(old, i)->uuid);
        }
    }
}

void
weak_commit(struct txn *txn)
{
    TXN_FOR_EACH (ch, txn) {
        struct table *t = ch->row->table;
        for (size_t i = 0; t->has_refs && i < t->n_fields; i++) {
            const struct column *c = &t->schema->columns[i + N_SPECIAL_COLUMNS];
            if (has_weak_ref(&c->type) && change_touches(ch, i)) {
                struct datum ro, rn;
                commit_cell(txn->db, ch->row, c,
                            ch->inserted ? &no_elements : change_old(ch, i, &ro),
                            ch->deleted ? &no_elements : row_field(ch->row, i, &rn));
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
