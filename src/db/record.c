/* db/record.c: what the journal gets: the changes of a transaction, or the whole content, as one
 * JSON object in the format of OVSDB files, serialised straight from the rows.
 *
 * A new row holds its persistent columns that are no default, a modified one those that changed: as
 * a delta where more than one element is allowed.  Ephemeral columns are never written. */
#include "db/txn_i.h"

#include "data/rfc7047.h"

static void
print_name(struct buf *buf, bool *first, const char *name)
{
    buf_str(buf, *first ? "\"" : ",\"");
    buf_str(buf, name);
    buf_add(buf, "\":", 2);
    *first = false;
}

static void
print_new_row(const struct row *row, struct buf *buf)
{
    bool first = true;
    buf_char(buf, '{');
    for (size_t i = 0; i < row->table->n_fields; i++) {
        const struct column *c = &row->table->schema->columns[i + N_SPECIAL_COLUMNS];
        struct datum room;
        const struct datum *d = row_field(row, i, &room);
        if (c->persistent && !datum_is_default(d, &c->type)) {
            print_name(buf, &first, c->name);
            datum_print(d, &c->type, buf);
        }
    }
    buf_char(buf, '}');
}

static bool
is_wide_delta(const struct change *ch, size_t field)
{
    const struct type *type =
        &ch->row->table->schema->columns[field + N_SPECIAL_COLUMNS].type;
    if (type->n_max <= 1 || type->n_max == TYPE_UNLIMITED || !change_has(ch, field)) {
        return false;
    }
    struct datum delta, room;
    datum_diff(&delta, &ch->saved[field], row_field(ch->row, field, &room), type);
    bool wide = delta.n > type->n_max;
    datum_done(&delta, type);
    return wide;
}

/* A delta may have more elements than the column itself.  Readers up to Open vSwitch 3.1 refuse such
 * a record and lose all that follows; so a transaction with one is written in full values. */
static bool
has_wide_delta(const struct txn *txn)
{
    TXN_FOR_EACH (ch, txn) {
        for (size_t i = 0; !ch->inserted && !ch->deleted && i < ch->row->table->n_fields;
             i++) {
            if (is_wide_delta(ch, i)) {
                return true;
            }
        }
    }
    return false;
}

static void
print_modified_row(const struct change *ch, bool as_delta, struct buf *buf)
{
    bool first = true;
    const struct row *row = ch->row;
    buf_char(buf, '{');
    for (size_t i = 0; i < row->table->n_fields; i++) {
        const struct column *c = &row->table->schema->columns[i + N_SPECIAL_COLUMNS];
        if (c->persistent && change_has(ch, i)) {
            struct datum room, delta;
            const struct datum *new = row_field(row, i, &room);
            print_name(buf, &first, c->name);
            if (!as_delta) {
                datum_print(new, &c->type, buf);
                continue;
            }
            datum_diff(&delta, &ch->saved[i], new, &c->type);
            datum_print(&delta, &c->type, buf);
            datum_done(&delta, &c->type);
        }
    }
    buf_char(buf, '}');
}

static bool
is_persistent(const struct change *ch)
{
    if (ch->inserted || ch->deleted) {
        return true;
    }
    for (size_t i = 0; i < ch->row->table->n_fields; i++) {
        if (change_has(ch, i) &&
            ch->row->table->schema->columns[i + N_SPECIAL_COLUMNS].persistent) {
            return true;
        }
    }
    return false;
}

static void
print_tail(struct buf *buf, bool *first, int64_t wall_ms, const char *comment,
           size_t n_comment)
{
    if (n_comment) {
        print_name(buf, first, "_comment");
        json_print_string(comment, n_comment, buf);
    }
    print_name(buf, first, "_date");
    buf_i64(buf, wall_ms);
}

static void
print_table(const struct table *t, bool as_delta, struct buf *buf, bool *first_table)
{
    bool first = true;
    for (const struct change *ch = t->changes; ch; ch = ch->next_in_table) {
        if (change_is_void(ch) || !is_persistent(ch)) {
            continue;
        }
        if (first) {
            print_name(buf, first_table, t->schema->name);
            buf_char(buf, '{');
        }
        print_name(buf, &first, UUID_TEXT(&ch->row->uuid));
        if (ch->deleted) {
            buf_str(buf, "null");
        } else if (ch->inserted) {
            print_new_row(ch->row, buf);
        } else {
            print_modified_row(ch, as_delta, buf);
        }
    }
    if (!first) {
        buf_char(buf, '}');
    }
}

void
record_print(struct txn *txn, const struct db_ctx *ctx)
{
    struct buf *buf = &txn->record;
    bool first = true, as_delta = !has_wide_delta(txn);

    buf_char(buf, '{');
    for (size_t i = 0; i < txn->db->schema->n_tables; i++) {
        if (txn->db->tables[i].changes) {
            print_table(&txn->db->tables[i], as_delta, buf, &first);
        }
    }
    if (first) { /* Only ephemeral columns. */
        buf_clear(buf);
        return;
    }
    if (ctx->author) {
        if (txn->comment.n) {
            buf_char(&txn->comment, '\n');
        }
        buf_str(&txn->comment, ctx->author);
    }
    print_tail(buf, &first, ctx->wall_ms, txn->comment.data, txn->comment.n);
    buf_str(buf, as_delta ? ",\"_is_diff\":true}" : "}");
}

void
db_snapshot(const struct db *db, int64_t wall_ms, const char *comment, struct buf *buf)
{
    bool first = true;
    buf_char(buf, '{');
    for (size_t i = 0; i < db->schema->n_tables; i++) {
        const struct table *t = &db->tables[i];
        if (t->rows.n == 0) {
            continue;
        }
        bool first_row = true;
        print_name(buf, &first, t->schema->name);
        buf_char(buf, '{');
        HMAP_FOR_EACH (struct row, row, node, &t->rows) {
            print_name(buf, &first_row, UUID_TEXT(&row->uuid));
            print_new_row(row, buf);
        }
        buf_char(buf, '}');
    }
    print_tail(buf, &first, wall_ms, comment ? comment : "", comment ? strlen(comment) : 0);
    buf_char(buf, '}');
}
