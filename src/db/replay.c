/* db/replay.c: applying a record of the journal, or of another server, to the content. */
#include "data/rfc7047.h"
#include "db/txn_i.h"

static struct err *
set_cell(struct txn *txn, struct row *row, const struct column *c, const struct json *j,
         bool delta)
{
    size_t field = c->index - N_SPECIAL_COLUMNS;
    struct datum value, applied, room;

    if (!delta || c->type.n_max <= 1) {
        TRY(datum_parse(&value, &c->type, j, NULL, DATUM_SIZED));
        txn_set(txn, row, field, value);
        return NULL;
    }
    TRY(datum_parse(&value, &c->type, j, NULL, DATUM_ANY_SIZE));
    struct err *e = datum_apply(&applied, row_field(row, field, &room), &value, &c->type);
    datum_done(&value, &c->type);
    if (!e) {
        txn_set(txn, row, field, applied);
    }
    return e;
}

static struct err *
replay_row(struct txn *txn, struct table *t, const struct json_member *m, bool diff)
{
    struct uuid uuid;
    if (!uuid_parse(m->name, &uuid)) {
        return rfc_syntax(&m->value, "\"%s\" is not a valid UUID", m->name);
    }
    struct row *row = table_find(t, &uuid);
    if (m->value.type == JSON_NULL) {
        if (!row) {
            return rfc_syntax(NULL, "deletion of row %s, which is not in table %s", m->name,
                              t->schema->name);
        }
        txn_delete(txn, row);
        return NULL;
    } else if (m->value.type != JSON_OBJECT) {
        return rfc_syntax(&m->value, "row must be JSON object");
    } else if (!row && table_find_any(t, &uuid)) {
        return rfc_syntax(NULL, "row %s of table %s is there twice", m->name,
                          t->schema->name);
    }

    bool delta = diff && row;
    row = row ? row : txn_insert(txn, t, &uuid);
    for (uint32_t i = 0; i < m->value.n; i++) {
        const struct json_member *cell = &m->value.members[i];
        const struct column *c = schema_find_column(t->schema, cell->name);
        if (!c) {
            return rfc_err_json(RFC_UNKNOWN_COLUMN, &m->value, "No column %s in table %s.",
                                cell->name, t->schema->name);
        } else if (c->index >= N_SPECIAL_COLUMNS) {
            TRY(err_wrap(set_cell(txn, row, c, &cell->value, delta),
                         "table %s row %s column %s", t->schema->name, m->name, c->name));
        }
    }
    return NULL;
}

static struct err *
replay_member(struct txn *txn, const struct json *record, const struct json_member *m,
              bool diff)
{
    if (strcmp(m->name, "_date") == 0) {
        return m->value.type == JSON_INTEGER ? NULL
                                             : rfc_syntax(&m->value, "_date is no integer");
    } else if (strcmp(m->name, "_is_diff") == 0) {
        return json_is_bool(&m->value) ? NULL
                                       : rfc_syntax(&m->value, "_is_diff is no boolean");
    } else if (strcmp(m->name, "_comment") == 0) {
        return NULL;
    }

    struct table *t = db_table(txn->db, m->name);
    if (!t) {
        return rfc_err_json(RFC_UNKNOWN_TABLE, record, "No table named %s.", m->name);
    } else if (m->value.type != JSON_OBJECT) {
        return rfc_syntax(&m->value, "object expected");
    }
    for (uint32_t i = 0; i < m->value.n; i++) {
        TRY(replay_row(txn, t, &m->value.members[i], diff));
    }
    return NULL;
}

static struct err *
prepare(struct txn *txn, const struct json *record)
{
    if (record->type != JSON_OBJECT) {
        return rfc_syntax(record, "object expected");
    }
    const struct json *is_diff = json_get(record, "_is_diff");
    for (uint32_t i = 0; i < record->n; i++) {
        TRY(replay_member(txn, record, &record->members[i], json_is(is_diff, JSON_TRUE)));
    }
    return commit_prepare(txn);
}

struct err *
db_replay_deliver(struct db *db, const struct json *record, db_deliver_fn *deliver,
                  void *aux)
{
    struct txn *txn = txn_begin(db);
    struct err *e = prepare(txn, record);
    if (e || commit_is_empty(txn)) {
        txn_undo(txn);
    } else {
        db_txn_commit(txn, deliver, aux);
    }
    return e;
}

static void
tell_nobody(void *aux, struct monitor *m, struct bytes *updates)
{
}

struct err *
db_replay(struct db *db, const struct json *record)
{
    return db_replay_deliver(db, record, tell_nobody, NULL);
}
