/* db/commit.c: the commit pipeline.  Only the final state of a transaction counts; the passes bring
 * it about in this order and each may refuse it. */
#include "data/rfc7047.h"
#include "db/txn_i.h"

static struct err *drop_idle_cells(struct txn *);
static struct err *drop_idle_changes(struct txn *);
static struct err *check_max_rows(struct txn *);
static struct err *new_versions(struct txn *);

struct err *
commit_prepare(struct txn *txn)
{
    static struct err *(*const passes[])(struct txn *) = {
        drop_idle_changes, /* Cells, and rows, that are what they were. */
        refs_count,     /* Strong references: no dangling one, no referenced row deleted. */
        refs_collect,   /* Rows of non-root tables that nobody refers to go. */
        check_max_rows, /* maxRows of each table that changed. */
        weak_prune,     /* Weak references to missing rows go. */
        drop_idle_cells, /* Which may have left nothing of a change; the row still counts. */
        index_check,     /* Indexed values are unique. */
        new_versions,    /* _version of the rows that changed. */
    };
    for (size_t i = 0; i < N_ELEMS(passes); i++) {
        TRY(passes[i](txn));
    }
    return NULL;
}

bool
commit_is_empty(const struct txn *txn)
{
    TXN_FOR_EACH (ch, txn) {
        return false;
    }
    return true;
}

/* Puts back each cell that is what it was.  False if no other is left. */
static bool
drop_idle(struct change *ch)
{
    struct table *t = ch->row->table;
    bool any = false;
    for (size_t i = 0; i < t->n_fields && ch->changed; i++) {
        if (!change_has(ch, i)) {
            continue;
        }
        const struct type *type = &t->schema->columns[i + N_SPECIAL_COLUMNS].type;
        struct datum room;
        if (datum_eq(&ch->saved[i], row_field(ch->row, i, &room), type)) {
            row_set(ch->row, i, ch->saved[i]);
            ch->changed[i / 64] &= ~(UINT64_C(1) << (i % 64));
        } else {
            any = true;
        }
    }
    return any;
}

static struct err *
drop_idle_changes(struct txn *txn)
{
    TXN_FOR_EACH (ch, txn) {
        ch->gone = !ch->inserted && !ch->deleted && !drop_idle(ch);
    }
    return NULL;
}

static struct err *
drop_idle_cells(struct txn *txn)
{
    TXN_FOR_EACH (ch, txn) {
        if (!ch->inserted && !ch->deleted) {
            drop_idle(ch);
        }
    }
    return NULL;
}

static struct err *
check_max_rows(struct txn *txn)
{
    for (size_t i = 0; i < txn->db->schema->n_tables; i++) {
        const struct table *t = &txn->db->tables[i];
        if (t->changes && t->rows.n > t->schema->max_rows) {
            return rfc_err(
                RFC_CONSTRAINT,
                "transaction causes \"%s\" table to contain %zu rows, greater than "
                "the schema-defined limit of %" PRIu32 " row(s)",
                t->schema->name, t->rows.n, t->schema->max_rows);
        }
    }
    return NULL;
}

static struct err *
new_versions(struct txn *txn)
{
    TXN_FOR_EACH (ch, txn) {
        if (!ch->inserted && !ch->deleted) {
            ch->row->version = row_next_version();
        }
    }
    return NULL;
}
