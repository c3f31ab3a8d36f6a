/* db/replay.c: applying a record of the journal, or of another server, to the content. */
#include "data/rfc7047.h"
#include "db/txn_i.h"

#define NAMES_AHEAD 8

struct replay {
    struct txn *txn;
    bool diff;  /* Cells of rows that are there are deltas. */
    bool fresh; /* No row may be there. */
};

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

/* Records hold columns by name, as the schema does: so the next one is behind the last one. */
static const struct column *
find_column(const struct table_schema *ts, const char *name, size_t *at)
{
    for (size_t i = *at; i < ts->n_columns; i++) {
        int cmp = strcmp(ts->columns[i].name, name);
        if (cmp == 0) {
            *at = i + 1;
            return &ts->columns[i];
        } else if (cmp > 0) {
            break;
        }
    }
    return schema_find_column(ts, name);
}

static struct err *
set_cells(struct txn *txn, struct row *row, const struct json_member *m, bool delta)
{
    const struct table_schema *ts = row->table->schema;
    size_t at = N_SPECIAL_COLUMNS;
    for (uint32_t i = 0; i < m->value.n; i++) {
        const struct json_member *cell = &m->value.members[i];
        const struct column *c = find_column(ts, cell->name, &at);
        if (!c) {
            return rfc_err_json(RFC_UNKNOWN_COLUMN, &m->value, "No column %s in table %s.",
                                cell->name, ts->name);
        } else if (c->index >= N_SPECIAL_COLUMNS) {
            struct err *e = set_cell(txn, row, c, &cell->value, delta);
            if (UNLIKELY(e)) {
                return err_wrap(e, "table %s row %s column %s", ts->name, m->name, c->name);
            }
        }
    }
    return NULL;
}

/* A row's name, parsed some rows before its turn: where the table would have it is not in the
 * processor's cache. */
struct row_name {
    struct uuid uuid;
    bool ok;
};

static struct row_name
name_ahead(const struct table *t, const struct json *rows, uint32_t i)
{
    struct row_name name = { .ok = false };
    if (i < rows->n && uuid_parse(rows->members[i].name, &name.uuid)) {
        name.ok = true;
        hmap_prefetch_bucket(&t->rows, uuid_hash(&name.uuid));
    }
    return name;
}

static struct err *
replay_row(const struct replay *r, struct table *t, const struct row_name *name,
           const struct json_member *m)
{
    if (!name->ok) {
        return rfc_syntax(&m->value, "\"%s\" is not a valid UUID", m->name);
    }
    struct uuid uuid = name->uuid;
    struct row *row = table_find(t, &uuid);
    if (r->fresh && row) {
        return rfc_syntax(NULL, "row %s is there", m->name);
    } else if (m->value.type == JSON_NULL) {
        if (!row) {
            return rfc_syntax(NULL, "deletion of row %s, which is not in table %s", m->name,
                              t->schema->name);
        }
        txn_delete(r->txn, row);
        return NULL;
    } else if (m->value.type != JSON_OBJECT) {
        return rfc_syntax(&m->value, "row must be JSON object");
    } else if (!row && t->deleted.n && table_find_any(t, &uuid)) {
        return rfc_syntax(NULL, "row %s of table %s is there twice", m->name,
                          t->schema->name);
    }
    bool delta = r->diff && row;
    return set_cells(r->txn, row ? row : txn_insert(r->txn, t, &uuid), m, delta);
}

static struct err *
replay_member(const struct replay *r, const struct json *record,
              const struct json_member *m)
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

    struct table *t = db_table(r->txn->db, m->name);
    if (!t) {
        return rfc_err_json(RFC_UNKNOWN_TABLE, record, "No table named %s.", m->name);
    } else if (m->value.type != JSON_OBJECT) {
        return rfc_syntax(&m->value, "object expected");
    }
    if (t->rows.n == 0) {
        hmap_reserve(&t->rows, m->value.n);
    }
    struct row_name names[NAMES_AHEAD];
    for (uint32_t i = 0; i < NAMES_AHEAD; i++) {
        names[i] = name_ahead(t, &m->value, i);
    }
    for (uint32_t i = 0; i < m->value.n; i++) {
        struct row_name *name = &names[i % NAMES_AHEAD];
        const struct row_name *soon = &names[(i + NAMES_AHEAD / 2) % NAMES_AHEAD];
        if (soon->ok) {
            hmap_prefetch_node(&t->rows, uuid_hash(&soon->uuid));
        }
        TRY(replay_row(r, t, name, &m->value.members[i]));
        *name = name_ahead(t, &m->value, i + NAMES_AHEAD);
    }
    return NULL;
}

static struct err *
replay_members(const struct replay *r, const struct json *record)
{
    if (record->type != JSON_OBJECT) {
        return rfc_syntax(record, "object expected");
    }
    for (uint32_t i = 0; i < record->n; i++) {
        TRY(replay_member(r, record, &record->members[i]));
    }
    return NULL;
}

/* Takes 'txn'; 'e' is what became of it so far. */
static struct err *
finish(struct txn *txn, struct err *e, db_deliver_fn *deliver, void *aux)
{
    e = e ? e : commit_prepare(txn);
    if (e || commit_is_empty(txn)) {
        txn_undo(txn);
    } else {
        db_txn_commit(txn, deliver, aux);
    }
    return e;
}

struct err *
db_replay_deliver(struct db *db, const struct json *record, db_deliver_fn *deliver,
                  void *aux)
{
    struct replay r = { .txn = txn_begin(db) };
    r.diff =
        record->type == JSON_OBJECT && json_is(json_get(record, "_is_diff"), JSON_TRUE);
    return finish(r.txn, replay_members(&r, record), deliver, aux);
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

struct txn *
db_load_begin(struct db *db)
{
    return txn_begin(db);
}

struct err *
db_load_part(struct txn *txn, const struct json *part)
{
    struct replay r = { .txn = txn, .fresh = true };
    return replay_members(&r, part);
}

struct err *
db_load_end(struct txn *txn)
{
    return finish(txn, NULL, tell_nobody, NULL);
}

void
db_load_abort(struct txn *txn)
{
    if (txn) {
        txn_undo(txn);
    }
}
