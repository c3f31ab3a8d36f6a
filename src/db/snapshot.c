/* db/snapshot.c: what a watch shows of all rows: the first thing that its clients get.
 *
 * A snapshot is a list of pieces, each with the rows of some buckets of the table.  It stays for the
 * next client, even if the last one has gone: a changed row drops its own piece, and only the pieces
 * that are not there are made again.  Several clients that come at once share the bytes.
 * Bounds.  SNAPSHOTS_MAX of a table, the oldest goes; and db_forget_snapshots() drops those that
 *          nobody asked for since it was last called.
 * Where the condition names rows, by _uuid or through an index, they are looked up and nothing is
 * kept. */
#include "db/monitor_i.h"

#define PIECE_BUCKETS 256
#define ROWS_AHEAD 12 /* Buckets. */
#define FIELDS_AHEAD 6
#define SNAPSHOTS_MAX 8

struct snapshot {
    struct list in_table; /* In watch_table's 'snapshots', the oldest first. */
    struct watch *watch;  /* Held. */
    uint32_t mask;        /* Of the table's rows when the pieces were cut. */
    size_t n_pieces;
    struct bytes **pieces; /* ,"<uuid>":{...},...  NULL: to be made. */
    bool is_used;
};

static void
drop_pieces(struct snapshot *s)
{
    for (size_t i = 0; i < s->n_pieces; i++) {
        bytes_unref(s->pieces[i]);
    }
    free(TAKE(s->pieces));
    s->n_pieces = 0;
}

static void
snapshot_free(struct snapshot *s)
{
    drop_pieces(s);
    list_remove(&s->in_table);
    s->watch->snapshot = NULL;
    watch_unref(s->watch->shape->table->db, s->watch);
    free(s);
}

void
snapshots_change(const struct change *ch)
{
    const struct table *t = ch->row->table;
    LIST_FOR_EACH (struct snapshot, s, in_table, &t->watches->snapshots) {
        if (s->mask != t->rows.mask) {
            drop_pieces(s);
        } else if (s->n_pieces) {
            bytes_drop(&s->pieces[(ch->row->node.hash & s->mask) / PIECE_BUCKETS]);
        }
    }
}

void
db_forget_snapshots(struct db *db)
{
    for (size_t i = 0; i < db->schema->n_tables; i++) {
        LIST_FOR_EACH_SAFE (struct snapshot, s, in_table,
                            &db->tables[i].watches->snapshots) {
            if (!s->is_used) {
                snapshot_free(s);
            } else {
                s->is_used = false;
            }
        }
    }
}

void
snapshots_done(struct watch_table *wt)
{
    LIST_FOR_EACH_SAFE (struct snapshot, s, in_table, &wt->snapshots) {
        snapshot_free(s);
    }
}

static struct snapshot *
snapshot_get(struct watch *w)
{
    struct table *t = w->shape->table;
    struct watch_table *wt = t->watches;
    struct snapshot *s = w->snapshot;

    if (!s) {
        size_t n = 0;
        LIST_FOR_EACH (struct snapshot, other, in_table, &wt->snapshots) {
            n++;
        }
        if (n >= SNAPSHOTS_MAX) {
            snapshot_free(CONTAINER_OF(wt->snapshots.next, struct snapshot, in_table));
        }
        s = w->snapshot = NEW(struct snapshot);
        s->watch = w;
        w->n_refs++;
        list_init(&s->in_table);
    }
    list_remove(&s->in_table);
    list_push_back(&wt->snapshots, &s->in_table);
    s->is_used = true;
    if (s->n_pieces == 0 || s->mask != t->rows.mask) {
        drop_pieces(s);
        s->mask = t->rows.mask;
        s->n_pieces = t->rows.buckets ? s->mask / PIECE_BUCKETS + 1 : 0;
        s->pieces = xcalloc(s->n_pieces + 1, sizeof *s->pieces);
    }
    return s;
}

static void
add_row(const struct watch *w, const struct row *row, struct buf *rows)
{
    if (rows->n == 0) {
        buf_char(rows, ' '); /* So that a comma comes first. */
    }
    update_print_row(w->shape, row, ROW_INITIAL, rows);
}

/* Rows lie all over the memory, and so do their strings: the row that comes in some buckets' time, and what the
 * row before it refers to, are asked for early. */
static void
prefetch(const struct table *t, size_t bucket)
{
    const struct hmap_node *row =
        bucket + ROWS_AHEAD <= t->rows.mask ? t->rows.buckets[bucket + ROWS_AHEAD] : NULL;
    const struct hmap_node *fields = bucket + FIELDS_AHEAD <= t->rows.mask
                                         ? t->rows.buckets[bucket + FIELDS_AHEAD]
                                         : NULL;
    if (row) {
        row_prefetch(CONTAINER_OF(row, struct row, node), t);
    }
    if (fields) {
        row_prefetch_fields(CONTAINER_OF(fields, struct row, node));
    }
}

/* The rows of a piece as ",row,row"; none: no bytes. */
static struct bytes *
make_piece(const struct watch *w, const struct table *t, size_t piece)
{
    struct buf rows = BUF_INIT;
    size_t end = (piece + 1) * PIECE_BUCKETS;
    for (size_t i = piece * PIECE_BUCKETS; i < end && i <= t->rows.mask; i++) {
        prefetch(t, i);
        for (struct hmap_node *node = t->rows.buckets[i]; node; node = node->next) {
            struct row *row = CONTAINER_OF(node, struct row, node);
            if (watch_matches(w, row, false)) {
                add_row(w, row, &rows);
            }
        }
    }
    if (rows.n) {
        buf_drop_front(&rows, 1);
        rows.data = xrealloc(rows.data, rows.n + 1);
        rows.cap = rows.n + 1;
    }
    return bytes_take(&rows);
}

static void
add_pieces(struct watch *w, struct bytes_vec *out)
{
    struct snapshot *s = snapshot_get(w);
    for (size_t i = 0; i < s->n_pieces; i++) {
        if (!s->pieces[i]) {
            s->pieces[i] = make_piece(w, w->shape->table, i);
        }
        if (s->pieces[i]->n) {
            *VEC_ADD(&out->v) = bytes_ref(s->pieces[i]);
        }
    }
}

/* Can the rows that meet each clause be looked up? */
static bool
is_lookup(const struct watch *w)
{
    const struct table_schema *ts = w->shape->table->schema;
    for (size_t i = 0; i < w->n_clauses; i++) {
        const struct clause *cl = &w->clauses[i];
        bool found = cl->op == COND_EQ && cl->column->index == COLUMN_UUID;
        for (size_t k = 0; k < ts->n_indexes && cl->op == COND_EQ; k++) {
            found = found || (ts->indexes[k].n_columns == 1 &&
                              ts->indexes[k].columns[0] == cl->column);
        }
        if (!found) {
            return false;
        }
    }
    return !w->all;
}

static bool
holds_before(const struct watch *w, size_t n, const struct row *row)
{
    struct datum room;
    for (size_t i = 0; i < n; i++) {
        if (clause_holds(&w->clauses[i], row_get(row, w->clauses[i].column, &room))) {
            return true;
        }
    }
    return false;
}

static void
look_up(struct watch *w, struct bytes_vec *out)
{
    struct buf rows = BUF_INIT;
    for (size_t i = 0; i < w->n_clauses; i++) {
        CLEANUP(row_vec_done) struct row_vec found = ROW_VEC_INIT;
        struct cond cond = { &w->clauses[i], 1 };
        query(w->shape->table, &cond, &found);
        VEC_FOR_EACH (struct row **row, &found.rows) {
            if (!holds_before(w, i, *row)) { /* Else an earlier clause found it. */
                add_row(w, *row, &rows);
            }
        }
    }
    if (rows.n) {
        buf_drop_front(&rows, 1);
        *VEC_ADD(&out->v) = bytes_take(&rows);
    }
}

/* "T":{row,row,...} of a watch; nothing if it shows none. */
static void
add_watch(struct watch *w, bool first_table, struct bytes_vec *out)
{
    CLEANUP(buf_done) struct buf head = BUF_INIT;
    size_t before = out->v.n;

    *VEC_ADD(&out->v) = NULL; /* The head's place. */
    if (is_lookup(w)) {
        look_up(w, out);
    } else {
        add_pieces(w, out);
    }
    if (out->v.n == before + 1) {
        out->v.n--;
        return;
    }
    struct bytes **first = &out->v.v[before + 1];
    buf_printf(&head, "%s\"%s\":{", first_table ? "" : ",", w->shape->table->schema->name);
    buf_add(&head, (*first)->data + 1, (*first)->n - 1); /* Less its comma. */
    bytes_unref(*first);
    *first = bytes_new("}", 1);
    out->v.v[before] = bytes_take(&head);
    struct bytes *end = *first; /* Goes to where it belongs. */
    memmove(first, first + 1, (out->v.n - before - 2) * sizeof *first);
    out->v.v[out->v.n - 1] = end;
}

void
monitor_initial_pieces(struct monitor *m, struct bytes_vec *out)
{
    const struct kind *k = m->kind;
    bool first = true;

    *VEC_ADD(&out->v) = bytes_new("{", 1);
    for (size_t i = 0; i < k->n_links; i++) {
        struct watch *w = k->links[i].watch;
        size_t n = out->v.n;
        if (w->shape->select & SELECT_INITIAL) {
            add_watch(w, first, out);
            first = first && out->v.n == n;
        }
    }
    *VEC_ADD(&out->v) = bytes_new("}", 1);
}

struct bytes *
monitor_initial(struct monitor *m)
{
    struct bytes_vec pieces = { VEC_INIT };
    struct buf all = BUF_INIT;

    monitor_initial_pieces(m, &pieces);
    VEC_FOR_EACH (struct bytes **piece, &pieces.v) {
        buf_add(&all, (*piece)->data, (*piece)->n);
        bytes_unref(*piece);
    }
    VEC_DONE(&pieces.v);
    return bytes_take(&all);
}
