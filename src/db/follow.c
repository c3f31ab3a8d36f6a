/* db/follow.c: the content of another server, as its monitor tells it, becomes ours.
 *
 * All kinds of updates are understood, whichever the server sends:
 *
 *     RFC 7047 4.1.6    {"new": row}  {"old": .., "new": row}  {"old": row}
 *     monitor_cond      {"initial": row}  {"insert": row}  {"modify": deltas}  {"delete": null}
 *
 * "initial" and "insert" leave out columns with default values, and so a column that is not there
 * has its default.  What is told goes through the whole commit pipeline: only what really differs
 * is a change, so that telling all again costs our own clients nothing. */
#include "base/str.h"
#include "data/rfc7047.h"
#include "db/txn_i.h"

static struct err *
set_whole(struct txn *txn, struct row *row, const struct column *c, const struct json *j)
{
    struct datum value;
    if (j) {
        TRY(datum_parse(&value, &c->type, j, NULL, DATUM_SIZED));
    } else {
        datum_default(&value, &c->type);
    }
    txn_set(txn, row, c->index - N_SPECIAL_COLUMNS, value);
    return NULL;
}

static struct err *
set_delta(struct txn *txn, struct row *row, const struct column *c, const struct json *j)
{
    size_t field = c->index - N_SPECIAL_COLUMNS;
    struct datum delta, applied, room;
    if (c->type.n_max <= 1) {
        return set_whole(txn, row, c, j);
    }
    TRY(datum_parse(&delta, &c->type, j, NULL, DATUM_ANY_SIZE));
    struct err *e = datum_apply(&applied, row_field(row, field, &room), &delta, &c->type);
    datum_done(&delta, &c->type);
    TRY(e);
    txn_set(txn, row, field, applied);
    return NULL;
}

static struct err *
check_columns(const struct table *t, const struct json *columns)
{
    if (columns->type != JSON_OBJECT) {
        return rfc_syntax(columns, "row must be JSON object");
    }
    JSON_FOR_EACH_MEMBER (m, columns) {
        if (!schema_find_column(t->schema, m->name)) {
            return rfc_err_json(RFC_UNKNOWN_COLUMN, columns, "No column %s in table %s.",
                                m->name, t->schema->name);
        }
    }
    return NULL;
}

/* A row as it is now, new or known. */
static struct err *
follow_whole(struct txn *txn, struct table *t, struct row *row, const struct uuid *uuid,
             const struct json *columns)
{
    TRY(check_columns(t, columns));
    if (!row && table_find_any(t, uuid)) {
        return rfc_syntax(columns, "a row that went and came at once");
    } else if (!row) { /* It has its defaults already. */
        row = txn_insert(txn, t, uuid);
        JSON_FOR_EACH_MEMBER (m, columns) {
            const struct column *c = schema_find_column(t->schema, m->name);
            if (c->index >= N_SPECIAL_COLUMNS) {
                TRY(err_wrap(set_whole(txn, row, c, &m->value), "column %s", c->name));
            }
        }
        return NULL;
    }
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct column *c = &t->schema->columns[i + N_SPECIAL_COLUMNS];
        TRY(err_wrap(set_whole(txn, row, c, json_get(columns, c->name)), "column %s",
                     c->name));
    }
    return NULL;
}

static struct err *
follow_deltas(struct txn *txn, struct table *t, struct row *row, const struct json *columns)
{
    TRY(check_columns(t, columns));
    JSON_FOR_EACH_MEMBER (m, columns) {
        const struct column *c = schema_find_column(t->schema, m->name);
        if (c->index >= N_SPECIAL_COLUMNS) {
            TRY(err_wrap(set_delta(txn, row, c, &m->value), "column %s", m->name));
        }
    }
    return NULL;
}

static struct err *
follow_row(struct txn *txn, struct table *t, const struct uuid *uuid,
           const struct json *update)
{
    if (update->type != JSON_OBJECT) {
        return rfc_syntax(update, "object expected");
    }
    const struct json *columns = json_get(update, "initial");
    columns = columns ? columns : json_get(update, "insert");
    columns = columns ? columns : json_get(update, "new");
    struct row *row = table_find(t, uuid);
    if (columns && columns->type != JSON_NULL) {
        return follow_whole(txn, t, row, uuid, columns);
    } else if (!row) {
        return rfc_syntax(update, "an update of a row that is not there");
    }
    const struct json *deltas = json_get(update, "modify");
    if (deltas) {
        return follow_deltas(txn, t, row, deltas);
    } else if (json_get(update, "delete") || json_get(update, "old")) {
        txn_delete(txn, row);
        return NULL;
    }
    return rfc_syntax(update, "an update that is none");
}

static struct err *
follow_table(struct txn *txn, struct table *t, const struct json *rows)
{
    if (rows->type != JSON_OBJECT) {
        return rfc_syntax(rows, "object expected");
    }
    JSON_FOR_EACH_MEMBER (m, rows) {
        struct uuid uuid;
        if (!uuid_parse(m->name, &uuid)) {
            return rfc_syntax(rows, "\"%s\" is not a valid UUID", m->name);
        }
        TRY(err_wrap(follow_row(txn, t, &uuid, &m->value), "row %s", m->name));
    }
    return NULL;
}

/* Each row that was told has a change by now, if only an idle one. */
static void
delete_untold(struct txn *txn, const struct strvec *exclude)
{
    for (size_t i = 0; i < txn->db->schema->n_tables; i++) {
        struct table *t = &txn->db->tables[i];
        if (exclude && strvec_has(exclude, t->schema->name)) {
            continue;
        }
        HMAP_FOR_EACH_SAFE (struct row, row, node, &t->rows) {
            if (!row->change) {
                txn_delete(txn, row);
            }
        }
    }
}

static struct err *
follow_all(struct txn *txn, const struct json *updates, const struct db_follow *how)
{
    if (updates->type != JSON_OBJECT) {
        return rfc_syntax(updates, "table-updates must be an object");
    }
    JSON_FOR_EACH_MEMBER (m, updates) {
        struct table *t = db_table(txn->db, m->name);
        if (!t) {
            return rfc_err_json(RFC_UNKNOWN_TABLE, updates, "No table named %s.", m->name);
        } else if (how->exclude && strvec_has(how->exclude, m->name)) {
            continue;
        }
        TRY(err_wrap(follow_table(txn, t, &m->value), "update of table %s", m->name));
    }
    if (how->whole) {
        delete_untold(txn, how->exclude);
    }
    return commit_prepare(txn);
}

struct err *
db_follow(struct db *db, const struct json *updates, const struct db_follow *how,
          const struct db_ctx *ctx, struct txn **ret_txn)
{
    struct txn *txn = txn_begin(db);
    struct err *e = follow_all(txn, updates, how);

    *ret_txn = NULL;
    if (e || commit_is_empty(txn)) {
        txn_undo(txn);
        return e;
    }
    if (ctx) {
        record_print(txn, ctx);
    }
    *ret_txn = txn;
    return NULL;
}
