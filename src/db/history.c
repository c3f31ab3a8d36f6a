/* db/history.c: see history_i.h. */
#include "db/history_i.h"

void
history_init(struct db *db)
{
    struct history *h = NEW(struct history);
    *h = (struct history){ .by_id = HMAP_INIT, .n_max = HISTORY_MAX };
    list_init(&h->entries);
    list_init(&h->holds);
    uuid_random(&h->base_id);
    h->last_id = h->base_id;
    db->history = h;
}

static const struct type *
field_type(const struct table *t, size_t field)
{
    return &t->schema->columns[field + N_SPECIAL_COLUMNS].type;
}

void
past_row_done(struct past_row *r)
{
    for (uint32_t i = 0; i < r->n_cells; i++) {
        datum_done(&r->cells[i].old, field_type(r->table, r->cells[i].field));
    }
    free(r->cells);
    if (r->deleted) {
        row_free(r->deleted);
    }
}

static void
past_free(struct history *h, struct past *p)
{
    hmap_remove(&h->by_id, &p->node);
    list_remove(&p->in_order);
    h->cost -= p->cost;
    for (size_t i = 0; i < p->n_rows; i++) {
        past_row_done(&p->rows[i]);
    }
    folded_done(p);
    free(p);
}

static struct past *
oldest(const struct history *h)
{
    return list_empty(&h->entries) ? NULL
                                   : CONTAINER_OF(h->entries.next, struct past, in_order);
}

static struct past *
newest(const struct history *h)
{
    return list_empty(&h->entries) ? NULL
                                   : CONTAINER_OF(h->entries.prev, struct past, in_order);
}

static void
drop_oldest(struct history *h)
{
    struct past *p = oldest(h);
    h->base_id = p->id;
    h->base_is_old = p->is_old;
    h->base_seq = p->seq;
    past_free(h, p);
    __builtin_prefetch(oldest(h)); /* The next transaction's turn. */
}

void
history_clear(struct db *db)
{
    while (!list_empty(&db->history->entries)) {
        drop_oldest(db->history);
    }
}

void
history_done(struct db *db)
{
    ASSERT(list_empty(&db->history->holds));
    history_clear(db);
    hmap_done(&db->history->by_id);
    free(db->history);
}

const struct uuid *
db_last_id(const struct db *db)
{
    return &db->history->last_id;
}

void
db_set_last_id(struct db *db, const struct uuid *id)
{
    struct history *h = db->history;
    struct past *p = newest(h);
    h->last_id = *id;
    if (!p) {
        h->base_id = *id;
        h->base_is_old = true;
        return;
    }
    hmap_remove(&h->by_id, &p->node);
    p->id = *id;
    p->is_old = true;
    hmap_insert(&h->by_id, &p->node, uuid_hash(id));
}

static uint64_t
datum_cost(const struct datum *d, const struct type *type)
{
    uint64_t cost = d->n * (d->map ? 2 : 1);
    for (uint32_t i = 0; type->key.type == ATOM_STRING && i < d->n; i++) {
        cost += datum_key(d, i)->string->n / 16;
    }
    for (uint32_t i = 0; d->map && type->value.type == ATOM_STRING && i < d->n; i++) {
        cost += datum_value(d, i)->string->n / 16;
    }
    return cost;
}

static uint64_t
change_cost(const struct change *ch)
{
    const struct table *t = ch->row->table;
    uint64_t cost = 1;
    for (size_t i = 0; i < t->n_fields && !ch->inserted; i++) {
        if (change_has(ch, i)) {
            cost += 1 + datum_cost(&ch->saved[i], field_type(t, i));
        }
        if (ch->deleted) {
            struct datum room;
            cost += 1 + datum_cost(row_field(ch->row, i, &room), field_type(t, i));
        }
    }
    return cost;
}

uint64_t
past_row_cost(const struct past_row *r)
{
    uint64_t cost = 1;
    for (uint32_t i = 0; i < r->n_cells; i++) {
        cost += 1 + datum_cost(&r->cells[i].old, field_type(r->table, r->cells[i].field));
    }
    for (size_t i = 0; r->deleted && i < r->table->n_fields; i++) {
        struct datum room;
        cost += 1 + datum_cost(row_field(r->deleted, i, &room), field_type(r->table, i));
    }
    return cost;
}

static void
take_change(struct past_row *r, struct change *ch)
{
    struct table *t = ch->row->table;
    size_t n = 0;
    for (size_t i = 0; ch->changed && i < t->n_fields; i++) {
        n += change_has(ch, i);
    }
    *r = (struct past_row){ .table = t,
                            .uuid = ch->row->uuid,
                            .old_version = ch->old_version,
                            .inserted = ch->inserted,
                            .deleted = ch->deleted ? ch->row : NULL };
    r->cells = n ? xcalloc(n, sizeof *r->cells) : NULL;
    for (size_t i = 0; n && i < t->n_fields; i++) {
        if (change_has(ch, i)) {
            r->cells[r->n_cells++] = (struct past_cell){ (uint32_t) i, ch->saved[i] };
        }
    }
    ch->changed = NULL; /* What it saved is ours now, and so is a row that went. */
    ch->is_kept = ch->deleted;
}

static uint64_t
cost_max(const struct db *db)
{
    uint64_t n_rows = 0;
    for (size_t i = 0; i < db->schema->n_tables; i++) {
        n_rows += db->tables[i].rows.n;
    }
    return n_rows / 8 > HISTORY_COST ? n_rows / 8 : HISTORY_COST;
}

void
history_keep(struct txn *txn)
{
    struct db *db = txn->db;
    struct history *h = db->history;
    uint64_t cost = 1, max = cost_max(db);
    size_t n = 0;

    if (h->by_id.n >= h->n_max) {
        hmap_prefetch_bucket(&h->by_id, oldest(h)->node.hash);
    }
    TXN_FOR_EACH (ch, txn) {
        cost += change_cost(ch);
        n++;
    }
    if (cost > (list_empty(&h->holds) ? max : HISTORY_HELD * max)) {
        history_clear(db);
        h->base_id = txn->id;
        h->base_is_old = false;
        h->base_seq = db->seq;
        return;
    }
    struct past *p = xmalloc(sizeof *p + n * sizeof *p->rows);
    *p = (struct past){ .id = txn->id, .seq = db->seq, .cost = cost, .n_rows = n };
    n = 0;
    TXN_FOR_EACH (taken, txn) {
        take_change(&p->rows[n++], taken);
    }
    hmap_insert(&h->by_id, &p->node, uuid_hash(&p->id));
    list_push_back(&h->entries, &p->in_order);
    h->cost += cost;
}

void
history_trim(struct db *db)
{
    struct history *h = db->history;
    uint64_t max = cost_max(db);

    while (h->cost > max || h->by_id.n > h->n_max) {
        if (!history_needs(h, oldest(h))) {
            drop_oldest(h);
        } else if (!history_fold(h)) {
            break;
        }
    }
    while (h->cost > HISTORY_HELD * max) {
        drop_oldest(h);
    }
}

void
history_figures(const struct db *db, struct db_figures *ret)
{
    ret->n_history = db->history->by_id.n;
    ret->n_history_atoms = db->history->cost;
}

struct gather {
    const struct db *db;
    struct arena *arena;
    struct hmap by_uuid;
    struct missed **tables;
};

static struct missed *
missed_get(struct gather *g, const struct past_row *r, bool *ret_new)
{
    uint32_t hash = uuid_hash(&r->uuid);
    HMAP_FOR_EACH_HASH (struct missed, m, node, hash, &g->by_uuid) {
        if (m->change.row->table == r->table && uuid_eq(&m->change.row->uuid, &r->uuid)) {
            *ret_new = false;
            return m;
        }
    }
    struct missed *new = ARENA_NEW(g->arena, struct missed);
    /* Until its fate is known, any row that is called so. */
    new->change.row = ARENA_NEW(g->arena, struct row);
    *new->change.row = (struct row){ .table = r->table, .uuid = r->uuid };
    new->change.old_version = r->old_version;
    new->change.inserted = r->inserted;
    hmap_insert(&g->by_uuid, &new->node, hash);
    struct missed **head = &g->tables[r->table->schema->index];
    new->next = *head;
    *head = new;
    *ret_new = true;
    return new;
}

/* The first word about a cell is what it was. */
static void
save_cell(struct gather *g, struct change *ch, size_t n_fields, size_t field,
          const struct datum *old)
{
    if (!ch->changed) {
        ch->changed = arena_zalloc(g->arena, (n_fields + 63) / 64 * sizeof *ch->changed);
        ch->saved = arena_zalloc(g->arena, n_fields * sizeof *ch->saved);
    }
    if (!change_has(ch, field)) {
        ch->changed[field / 64] |= UINT64_C(1) << (field % 64);
        ch->saved[field] = *old;
    }
}

static void
gather_row(void *gather, const struct past_row *r)
{
    struct gather *g = gather;
    bool is_new;
    struct missed *m = missed_get(g, r, &is_new);
    struct change *ch = &m->change;
    if (ch->inserted) { /* It was not there: whatever it was later does not matter. */
        return;
    }
    for (uint32_t i = 0; i < r->n_cells; i++) {
        save_cell(g, ch, r->table->n_fields, r->cells[i].field, &r->cells[i].old);
    }
    for (size_t i = 0; r->deleted && i < r->table->n_fields; i++) {
        struct datum room;
        save_cell(g, ch, r->table->n_fields, i, row_field(r->deleted, i, &room));
    }
}

/* A row stands in for one that went.  All its cells are in 'saved'. */
static struct row *
stand_in(struct gather *g, const struct change *ch)
{
    const struct table *t = ch->row->table;
    struct row *row = arena_zalloc(g->arena, t->layout.n_bytes);
    *row = (struct row){ .table = ch->row->table,
                         .uuid = ch->row->uuid,
                         .version = ch->old_version };
    return row;
}

/* Compares what was with what is. */
static void
settle(struct gather *g, struct change *ch)
{
    struct table *t = ch->row->table;
    struct row *now = table_find(t, &ch->row->uuid);

    if (!now) {
        ch->row = ch->inserted ? NULL : stand_in(g, ch);
        ch->deleted = true;
        return;
    }
    ch->row = now;
    for (size_t i = 0; ch->changed && i < t->n_fields; i++) {
        struct datum room;
        if (change_has(ch, i) &&
            datum_eq(&ch->saved[i], row_field(now, i, &room), field_type(t, i))) {
            ch->changed[i / 64] &= ~(UINT64_C(1) << (i % 64));
        }
    }
}

/* The entry after state 'id'; false if nobody remembers it.  NULL: nothing came after. */
static bool
find_state(const struct history *h, const struct uuid *id, const struct list **ret_after,
           bool *ret_is_old)
{
    HMAP_FOR_EACH_HASH (struct past, p, node, uuid_hash(id), &h->by_id) {
        if (uuid_eq(&p->id, id)) {
            *ret_after = p->in_order.next;
            *ret_is_old = p->is_old;
            return true;
        }
    }
    *ret_after = h->entries.next;
    *ret_is_old = h->base_is_old;
    return uuid_eq(&h->base_id, id);
}

/* What became of the rows that the entries from 'at' on speak of. */
static struct missed **
gather(const struct db *db, const struct list *at, struct arena *arena)
{
    size_t n_tables = db->schema->n_tables;
    struct gather g = { db, arena, HMAP_INIT, NULL };
    g.tables = arena_zalloc(arena, (n_tables + 1) * sizeof(struct missed *));
    for (; at != &db->history->entries; at = at->next) {
        const struct past *p = CONTAINER_OF(at, struct past, in_order);
        for (size_t i = 0; i < p->n_rows; i++) {
            gather_row(&g, &p->rows[i]);
        }
        folded_each(p, gather_row, &g);
    }
    hmap_done(&g.by_uuid);
    for (size_t i = 0; i < n_tables; i++) {
        for (struct missed *m = g.tables[i]; m; m = m->next) {
            settle(&g, &m->change);
        }
    }
    return g.tables;
}

struct missed **
history_since(const struct db *db, const struct uuid *id, struct arena *arena,
              bool *ret_is_old)
{
    const struct list *at;
    return find_state(db->history, id, &at, ret_is_old) ? gather(db, at, arena) : NULL;
}

struct missed **
history_since_seq(const struct db *db, uint64_t seq, struct arena *arena)
{
    const struct history *h = db->history;
    const struct list *at = &h->entries;
    while (at->prev != &h->entries &&
           CONTAINER_OF(at->prev, struct past, in_order)->seq > seq) {
        at = at->prev;
    }
    /* Not a state in the middle of what was folded. */
    uint64_t before = at->prev == &h->entries
                          ? h->base_seq
                          : CONTAINER_OF(at->prev, struct past, in_order)->seq;
    return before == seq ? gather(db, at, arena) : NULL;
}
