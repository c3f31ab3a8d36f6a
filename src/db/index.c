/* db/index.c: indexes: sets of columns whose values are unique in a table.
 *
 * The hash tables follow the rows' current values, but lazily: a row that changed is marked stale and
 * gets its place when somebody looks something up, or at the commit.  While a transaction runs
 * there may be duplicates; the commit checks the rows that it changed. */
#include "data/rfc7047.h"
#include "db/txn_i.h"

uint32_t
index_hash(const struct index_schema *index, const struct datum **values)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < index->n_columns; i++) {
        hash = datum_hash(values[i], &index->columns[i]->type, hash);
    }
    return hash;
}

static uint32_t
hash_row(const struct row *row, const struct index_schema *index)
{
    uint32_t hash = 0;
    struct datum room;
    for (size_t i = 0; i < index->n_columns; i++) {
        hash = datum_hash(row_get(row, index->columns[i], &room), &index->columns[i]->type,
                          hash);
    }
    return hash;
}

static bool
same_values(const struct row *a, const struct row *b, const struct index_schema *index)
{
    struct datum ra, rb;
    for (size_t i = 0; i < index->n_columns; i++) {
        const struct column *c = index->columns[i];
        if (!datum_eq(row_get(a, c, &ra), row_get(b, c, &rb), &c->type)) {
            return false;
        }
    }
    return true;
}

static bool
change_touches_index(const struct change *ch, const struct index_schema *index)
{
    if (ch->inserted || ch->deleted) {
        return true;
    }
    for (size_t i = 0; i < index->n_columns; i++) {
        uint32_t c = index->columns[i]->index;
        if (c >= N_SPECIAL_COLUMNS && change_has(ch, c - N_SPECIAL_COLUMNS)) {
            return true;
        }
    }
    return false;
}

/* (VALS): what the index columns hold, before the transaction or now. */
static void
print_values(const struct row *row, const struct index_schema *index, bool before,
             struct buf *buf)
{
    struct datum room;
    buf_char(buf, '(');
    for (size_t i = 0; i < index->n_columns; i++) {
        const struct column *c = index->columns[i];
        buf_str(buf, i ? ", " : "");
        datum_print_text(before ? change_old_cell(row->change, c, &room)
                                : row_get(row, c, &room),
                         &c->type, buf);
    }
    buf_char(buf, ')');
}

static void
print_state(const char *which, const struct row *row, const struct index_schema *index,
            struct buf *buf)
{
    const struct change *ch = row->change;
    buf_printf(buf, "  %s row, with UUID %s, ", which, UUID_TEXT(&row->uuid));
    if (!ch || ch->gone) {
        buf_str(buf,
                "existed in the database before this transaction and was not modified by "
                "the transaction.");
    } else if (ch->inserted) {
        buf_str(buf, "was inserted by this transaction.");
    } else if (change_touches_index(ch, index)) {
        buf_str(buf, "had the following index values before the transaction: ");
        print_values(row, index, true, buf);
        buf_char(buf, '.');
    } else {
        buf_str(buf,
                "existed in the database before this transaction, which modified some of "
                "the row's columns but not any columns in this index.");
    }
}

/* Over all columns, by name: only to make the text predictable. */
static int
row_cmp(const struct row *a, const struct row *b)
{
    for (size_t i = 0; i < a->table->n_fields; i++) {
        struct datum ra, rb;
        int cmp = datum_cmp(row_field(a, i, &ra), row_field(b, i, &rb),
                            &a->table->schema->columns[i + N_SPECIAL_COLUMNS].type);
        if (cmp) {
            return cmp;
        }
    }
    return 0;
}

static struct err *
duplicate(const struct row *a, const struct row *b, const struct index_schema *index)
{
    const struct row *first = row_cmp(a, b) < 0 ? b : a;
    const struct row *second = first == a ? b : a;
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    buf_printf(&text,
               "Transaction causes multiple rows in \"%s\" table to have identical values ",
               a->table->schema->name);
    print_values(a, index, false, &text);
    buf_printf(&text, " for index on column%s ", index->n_columns == 1 ? "" : "s");
    for (size_t i = 0; i < index->n_columns; i++) {
        bool last = i + 1 == index->n_columns;
        buf_printf(&text, "%s\"%s\"",
                   i == 0                  ? ""
                   : !last                 ? ", "
                   : index->n_columns == 2 ? " and "
                                           : ", and ",
                   index->columns[i]->name);
    }
    buf_char(&text, '.');
    print_state("First", first, index, &text);
    print_state("Second", second, index, &text);
    return rfc_err(RFC_CONSTRAINT, "%s", buf_cstr(&text));
}

void
index_prefetch(const struct table *t, const struct cells *cells)
{
    for (size_t i = 0; i < t->schema->n_indexes; i++) {
        const struct index_schema *index = &t->schema->indexes[i];
        const struct column *c = index->columns[0];
        if (index->n_columns == 1 && cells->given[c->index] &&
            c->index >= N_SPECIAL_COLUMNS) {
            const struct datum *value = &cells->v[c->index];
            hmap_prefetch_bucket(&t->indexes[i], index_hash(index, &value));
        }
    }
}

void
index_touch(struct change *ch)
{
    struct table *t = ch->row->table;
    if (!ch->stale && t->schema->n_indexes) {
        ch->stale = true;
        ch->next_stale = t->stale;
        t->stale = ch;
    }
}

static void
flush_change(struct change *ch)
{
    struct table *t = ch->row->table;
    size_t n = t->schema->n_indexes;
    bool first = !ch->index_steps;

    if (first) {
        ch->index_steps = arena_zalloc(&t->db->txn->arena, n * sizeof *ch->index_steps);
    }
    for (size_t i = 0; i < n; i++) {
        struct index_step *step = &ch->index_steps[i];
        struct hmap_node *node = row_index_node(ch->row, i);
        if (first && !ch->inserted) {
            *step = (struct index_step){ true, true, node->hash };
        }
        if (step->is_in) {
            hmap_remove(&t->indexes[i], node);
        }
        step->is_in = !ch->deleted;
        if (step->is_in) {
            hmap_insert(&t->indexes[i], node, hash_row(ch->row, &t->schema->indexes[i]));
            __builtin_prefetch(node->next); /* The check will ask it. */
        }
    }
}

void
index_flush(struct table *t)
{
    while (t->stale) {
        struct change *ch = t->stale;
        t->stale = ch->next_stale;
        ch->stale = false;
        flush_change(ch);
    }
}

static struct err *
check_change(const struct change *ch)
{
    struct row *row = ch->row;
    struct table *t = row->table;
    for (size_t i = 0; i < t->schema->n_indexes && !ch->deleted; i++) {
        const struct index_schema *index = &t->schema->indexes[i];
        if (!change_touches_index(ch, index)) {
            continue;
        }
        uint32_t hash = row_index_node(row, i)->hash;
        for (struct hmap_node *node = hmap_first_with_hash(&t->indexes[i], hash); node;
             node = hmap_next_with_hash(node)) {
            struct row *other = row_of_index_node(t, node, i);
            if (other != row && same_values(row, other, index)) {
                return duplicate(row, other, index);
            }
        }
    }
    return NULL;
}

struct err *
index_check(struct txn *txn)
{
    for (size_t i = 0; i < txn->db->schema->n_tables; i++) {
        index_flush(&txn->db->tables[i]);
    }
    TXN_FOR_EACH (ch, txn) {
        TRY(check_change(ch));
    }
    return NULL;
}

void
index_undo(struct change *ch)
{
    struct table *t = ch->row->table;
    for (size_t i = 0; i < t->schema->n_indexes && ch->index_steps; i++) {
        struct hmap_node *node = row_index_node(ch->row, i);
        if (ch->index_steps[i].is_in) {
            hmap_remove(&t->indexes[i], node);
        }
        if (ch->index_steps[i].was_in) {
            hmap_insert(&t->indexes[i], node, ch->index_steps[i].old_hash);
        }
    }
}
