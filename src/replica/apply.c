/* replica/apply.c: rows, and how updates change them.
 *
 * A batch first applies everything and remembers what each row was; then it calls back.  Both
 * kinds of updates are understood, whichever the server sends:
 *
 *     RFC 7047 4.1.6    {"new": row}  {"old": .., "new": row}  {"old": row}
 *     monitor_cond      {"initial": row}  {"insert": row}  {"modify": deltas}  {"delete": null}
 *
 * "initial" and "insert" leave out columns with default values; "new" has all. */
#include "replica/replica_i.h"

/* Rows. */

static struct replica_row *
row_new(struct replica_table *t, const struct uuid *uuid)
{
    struct replica_row *row = xcalloc(1, t->class ? t->class->n_bytes : sizeof *row);
    row->uuid = *uuid;
    row->table = t;
    row->columns = xcalloc(t->schema->n_columns, sizeof *row->columns);
    for (size_t i = 0; i < t->schema->n_columns; i++) {
        datum_default(&row->columns[i], &t->schema->columns[i].type);
    }
    datum_done(&row->columns[COLUMN_UUID], &t->schema->columns[COLUMN_UUID].type);
    row->columns[COLUMN_UUID] = datum_of_uuid(uuid);
    hmap_insert(&t->rows, &row->node, uuid_hash(uuid));
    return row;
}

/* It is not in its table any more. */
static void
row_free(struct replica_row *row)
{
    const struct table_schema *schema = row->table->schema;
    for (size_t i = 0; i < schema->n_columns; i++) {
        datum_done(&row->columns[i], &schema->columns[i].type);
    }
    free(row->columns);
    free(row->refs);
    free(row);
}

static void
table_free(struct replica_table *t)
{
    HMAP_FOR_EACH_SAFE (struct replica_row, row, node, &t->rows) {
        hmap_remove(&t->rows, &row->node);
        row_free(row);
    }
    hmap_done(&t->rows);
    refs_done(t);
    free(t->watched);
    free(t->fields);
    free(t);
}

/* Batches. */

void
batch_init(struct batch *b, struct replica *r)
{
    ASSERT(!r->in_batch); /* A callback must not run the loop. */
    r->in_batch = true;
    *b = (struct batch){ .replica = r };
}

static struct change *
batch_change(struct batch *b, enum replica_kind kind, struct replica_row *row)
{
    size_t n = row->table->schema->n_columns;
    struct change *c = VEC_ADD(&b->changes);
    c->kind = kind;
    c->row = row;
    c->old = kind == REPLICA_MODIFIED ? xcalloc(n, sizeof *c->old) : NULL;
    c->changed = arena_zalloc(&b->arena, (n + 63) / 64 * sizeof *c->changed);
    return c;
}

static bool
change_has(const struct change *c, uint32_t column)
{
    return c->changed[column / 64] >> (column % 64) & 1;
}

/* Takes '*value': the row's new value, whose old one the change keeps. */
static void
change_set(struct change *c, const struct column *column, struct datum *value)
{
    struct datum *now = &c->row->columns[column->index];
    if (datum_eq(now, value, &column->type)) {
        datum_done(value, &column->type);
        return;
    }
    ASSERT(!change_has(c, column->index)); /* Member names are unique. */
    c->changed[column->index / 64] |= UINT64_C(1) << (column->index % 64);
    if (c->old) {
        c->old[column->index] = *now;
    } else {
        datum_done(now, &column->type);
    }
    *now = *value;
    *value = DATUM_EMPTY;
}

static void
change_done(struct change *c)
{
    const struct table_schema *schema = c->row->table->schema;
    for (uint32_t i = 0; c->old && i < schema->n_columns; i++) {
        if (change_has(c, i)) {
            datum_done(&c->old[i], &schema->columns[i].type);
        }
    }
    free(c->old);
    if (c->kind == REPLICA_DELETED) {
        row_free(c->row);
    }
}

/* All of a change is in the row. */
static void
change_settle(const struct change *c)
{
    if (c->row->table->class) {
        typed_fill(c->row);
    }
    refs_update(c->row, c->kind == REPLICA_INSERTED ? NULL : c->changed);
}

static bool
change_is_empty(const struct change *c)
{
    uint64_t any = 0;
    for (size_t i = 0; i < (c->row->table->schema->n_columns + 63) / 64; i++) {
        any |= c->changed[i];
    }
    return any == 0;
}

static void
batch_delete(struct batch *b, struct replica_row *row)
{
    hmap_remove(&row->table->rows, &row->node);
    refs_remove(row);
    batch_change(b, REPLICA_DELETED, row);
}

void
batch_clear(struct batch *b, struct replica_table *t)
{
    HMAP_FOR_EACH_SAFE (struct replica_row, row, node, &t->rows) {
        batch_delete(b, row);
    }
}

/* Values.  'deltas': as "modify" has them; else whole values. */

static struct err *
apply_value(struct change *c, const struct column *column, const struct json *j,
            bool deltas)
{
    struct datum value = DATUM_EMPTY;
    if (!deltas) {
        TRY(datum_parse(&value, &column->type, j, NULL, DATUM_SIZED));
    } else {
        struct datum delta = DATUM_EMPTY;
        TRY(datum_parse(&delta, &column->type, j, NULL, DATUM_ANY_SIZE));
        struct err *e =
            datum_apply(&value, &c->row->columns[column->index], &delta, &column->type);
        datum_done(&delta, &column->type);
        TRY(e);
    }
    change_set(c, column, &value);
    return NULL;
}

static struct err *
apply_columns(struct change *c, const struct json *columns, bool deltas)
{
    const struct replica_table *t = c->row->table;
    if (columns->type != JSON_OBJECT) {
        return err_new(ERR_SYNTAX, "a row must be an object");
    }
    JSON_FOR_EACH_MEMBER (m, columns) {
        const struct column *column = schema_find_column(t->schema, m->name);
        if (!column || column->index == COLUMN_UUID) {
            continue; /* Not asked for; harmless. */
        }
        TRY(err_wrap(apply_value(c, column, &m->value, deltas), "column %s", m->name));
    }
    return NULL;
}

/* The columns that a whole row leaves out have their defaults; so have those that are not watched
 * any more. */
static void
apply_defaults(struct change *c, const struct json *columns)
{
    const struct table_schema *schema = c->row->table->schema;
    for (size_t i = N_SPECIAL_COLUMNS; i < schema->n_columns; i++) {
        if (!json_get(columns, schema->columns[i].name)) {
            struct datum value;
            datum_default(&value, &schema->columns[i].type);
            change_set(c, &schema->columns[i], &value);
        }
    }
}

/* A row as it is now, new or known. */
static struct err *
apply_whole(struct batch *b, struct replica_table *t, const struct uuid *uuid,
            const struct json *columns)
{
    struct replica_row *row = replica_row(t, uuid);
    bool is_new = !row;
    if (is_new) {
        row = row_new(t, uuid);
    }
    row->seen = t->replica->sync;
    struct change *c = batch_change(b, is_new ? REPLICA_INSERTED : REPLICA_MODIFIED, row);
    struct err *e = apply_columns(c, columns, false);
    if (!e && !is_new) { /* A new row has its defaults already. */
        apply_defaults(c, columns);
    }
    if (!is_new && change_is_empty(c)) {
        change_done(c);
        b->changes.n--;
    } else {
        change_settle(c);
    }
    return e;
}

static struct err *
apply_deltas(struct batch *b, struct replica_row *row, const struct json *columns)
{
    struct change *c = batch_change(b, REPLICA_MODIFIED, row);
    struct err *e = apply_columns(c, columns, true);
    if (change_is_empty(c)) {
        change_done(c);
        b->changes.n--;
    } else {
        change_settle(c);
    }
    return e;
}

static struct err *
apply_row(struct batch *b, struct replica_table *t, const struct uuid *uuid,
          const struct json *update)
{
    const struct json *whole = json_get(update, "initial");
    whole = whole ? whole : json_get(update, "insert");
    whole = whole ? whole : json_get(update, "new");
    if (json_is(whole, JSON_OBJECT)) {
        return apply_whole(b, t, uuid, whole);
    }

    struct replica_row *row = replica_row(t, uuid);
    const struct json *deltas = json_get(update, "modify");
    if (!row) {
        return err_new(ERR_SYNTAX, "an update of a row that was not there");
    } else if (json_is(deltas, JSON_OBJECT)) {
        return apply_deltas(b, row, deltas);
    } else if (json_get(update, "delete") || json_get(update, "old")) {
        batch_delete(b, row);
        return NULL;
    }
    return err_new(ERR_SYNTAX, "an update that is none");
}

static struct err *
apply_table(struct batch *b, struct replica_table *t, const struct json *rows)
{
    if (rows->type != JSON_OBJECT) {
        return err_new(ERR_SYNTAX, "an object expected");
    }
    JSON_FOR_EACH_MEMBER (m, rows) {
        struct uuid uuid;
        if (!uuid_parse(m->name, &uuid)) {
            return err_new(ERR_SYNTAX, "'%s' is no UUID", m->name);
        }
        TRY(err_wrap(apply_row(b, t, &uuid, &m->value), "row %s", m->name));
    }
    return NULL;
}

struct err *
batch_updates(struct batch *b, const struct json *updates)
{
    if (updates->type != JSON_OBJECT) {
        return err_new(ERR_SYNTAX, "table updates must be an object");
    }
    JSON_FOR_EACH_MEMBER (m, updates) {
        struct replica_table *t = replica_table(b->replica, m->name);
        if (t) {
            TRY(err_wrap(apply_table(b, t, &m->value), "update of table %s", m->name));
        }
    }
    return NULL;
}

struct err *
batch_sync(struct batch *b, const struct json *updates)
{
    b->replica->sync++;
    TRY(batch_updates(b, updates));
    MAP_FOR_EACH (entry, &b->replica->tables) {
        struct replica_table *t = entry->value;
        HMAP_FOR_EACH_SAFE (struct replica_row, row, node, &t->rows) {
            if (row->seen != b->replica->sync) {
                batch_delete(b, row);
            }
        }
    }
    return NULL;
}

void
batch_finish(struct batch *b)
{
    struct replica *r = b->replica;
    replica_hold(r);
    for (size_t i = 0; i < b->changes.n && !r->freed && r->events->changed; i++) {
        const struct change *c = &b->changes.v[i];
        struct replica_change change = { c->kind, c->row, c->old, c->changed };
        r->events->changed(r->aux, &change);
    }
    if (b->changes.n > 0 && !r->freed && r->events->batch_end) {
        r->events->batch_end(r->aux);
    }
    for (size_t i = 0; i < b->changes.n; i++) {
        change_done(&b->changes.v[i]);
    }
    VEC_DONE(&b->changes);
    arena_done(&b->arena);
    r->in_batch = false;
    replica_let_go(r);
}

/* Tables. */

static void
table_set_columns(struct replica_table *t, const struct watch *w)
{
    free(t->watched);
    t->watched = xcalloc(t->schema->n_columns, sizeof(*t->watched));
    t->n_watched = 0;
    for (size_t i = N_SPECIAL_COLUMNS; i < t->schema->n_columns; i++) {
        const struct column *column = &t->schema->columns[i];
        if (!w->some_columns || strvec_has(&w->columns, column->name)) {
            t->watched[t->n_watched++] = column;
        }
    }
}

static struct replica_table *
table_new(struct replica *r, const struct table_schema *schema,
          const struct row_class *class)
{
    struct replica_table *t = NEW(struct replica_table);
    t->replica = r;
    t->schema = schema;
    t->class = class;
    size_t n_fields = class ? class->n_fields : 0;
    t->fields = xcalloc(n_fields + 1, sizeof(*t->fields));
    for (size_t i = 0; i < n_fields; i++) {
        const struct column *column = schema_find_column(schema, class->fields[i].name);
        t->fields[i] =
            column && typed_fits(class->fields[i].kind, &column->type) ? column : NULL;
    }
    map_put(&r->tables, schema->name, t);
    return t;
}

bool
tables_must_go(const struct replica *r)
{
    MAP_FOR_EACH (entry, &r->tables) {
        const struct watch *w = map_get(&r->watches, entry->key);
        const struct replica_table *t = entry->value;
        if (w->class != t->class) {
            return true; /* Its rows have another shape. */
        }
    }
    return false;
}

void
tables_update(struct replica *r)
{
    MAP_FOR_EACH (entry, &r->watches) {
        const struct watch *w = entry->value;
        const struct table_schema *schema = schema_find_table(r->schema, entry->key);
        struct replica_table *t = map_get(&r->tables, entry->key);
        if (!t && schema) {
            t = table_new(r, schema, w->class);
        }
        if (t) {
            table_set_columns(t, w);
        }
    }
}

void
tables_free(struct replica *r)
{
    MAP_FOR_EACH (entry, &r->tables) {
        table_free(entry->value);
    }
    map_done(&r->tables);
}
