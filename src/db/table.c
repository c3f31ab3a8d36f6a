/* db/table.c: the memory of tables, and rows as clients write them. */
#include "db/table_i.h"

#include "data/rfc7047.h"

void
table_init(struct table *t, struct db *db, const struct table_schema *schema)
{
    *t = (struct table){ .schema = schema, .db = db };
    t->n_fields = schema->n_columns - N_SPECIAL_COLUMNS;
    row_layout_init(&t->layout, schema);
    t->indexes = xcalloc(schema->n_indexes + 1, sizeof *t->indexes);
    t->defaults = xcalloc(t->n_fields + 1, sizeof *t->defaults);
    t->default_is_bad = xcalloc(t->n_fields + 1, sizeof *t->default_is_bad);
    t->is_indexed = xcalloc(t->n_fields + 1, sizeof *t->is_indexed);
    for (size_t i = 0; i < schema->n_indexes; i++) {
        for (size_t k = 0; k < schema->indexes[i].n_columns; k++) {
            uint32_t c = schema->indexes[i].columns[k]->index;
            if (c >= N_SPECIAL_COLUMNS) {
                t->is_indexed[c - N_SPECIAL_COLUMNS] = true;
            }
        }
    }
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct type *type = &schema->columns[i + N_SPECIAL_COLUMNS].type;
        t->has_refs =
            t->has_refs || base_type_ref(&type->key) || base_type_ref(&type->value);
        datum_default(&t->defaults[i], type);
        struct err *e = datum_check(&t->defaults[i], type);
        t->default_is_bad[i] = e != NULL;
        err_free(e);
    }
}

void
table_done(struct table *t)
{
    HMAP_FOR_EACH_SAFE (struct row, row, node, &t->rows) {
        row_free(row);
    }
    hmap_done(&t->rows);
    hmap_done(&t->deleted);
    if (t->blank) {
        row_free(t->blank);
    }
    row_layout_done(&t->layout);
    for (size_t i = 0; i < t->schema->n_indexes; i++) {
        hmap_done(&t->indexes[i]);
    }
    for (size_t i = 0; i < t->n_fields; i++) {
        datum_done(&t->defaults[i], &t->schema->columns[i + N_SPECIAL_COLUMNS].type);
    }
    free(t->indexes);
    free(t->defaults);
    free(t->default_is_bad);
    free(t->is_indexed);
}

static struct row *
find_in(const struct hmap *map, const struct uuid *uuid)
{
    HMAP_FOR_EACH_HASH (struct row, row, node, uuid_hash(uuid), map) {
        if (uuid_eq(&row->uuid, uuid)) {
            return row;
        }
    }
    return NULL;
}

struct row *
table_find(const struct table *t, const struct uuid *uuid)
{
    return find_in(&t->rows, uuid);
}

struct row *
table_find_deleted(const struct table *t, const struct uuid *uuid)
{
    return t->deleted.n ? find_in(&t->deleted, uuid) : NULL;
}

struct row *
table_find_any(const struct table *t, const struct uuid *uuid)
{
    struct row *row = find_in(&t->rows, uuid);
    return row ? row : table_find_deleted(t, uuid);
}

void
cells_done(struct cells *cells)
{
    for (size_t i = 0; cells->table && i < cells->table->schema->n_columns; i++) {
        if (cells->given[i]) {
            datum_done(&cells->v[i], &cells->table->schema->columns[i].type);
        }
    }
    *cells = CELLS_INIT;
}

static struct err *
parse_members(struct cells *cells, const struct json *j, struct symtab *symbols)
{
    const struct table_schema *ts = cells->table->schema;
    for (uint32_t i = 0; i < j->n; i++) {
        const struct json_member *m = &j->members[i];
        const struct column *c = schema_find_column(ts, m->name);
        if (!c) {
            return rfc_err_json(RFC_UNKNOWN_COLUMN, j, "No column %s in table %s.", m->name,
                                ts->name);
        }
        TRY(datum_parse(&cells->v[c->index], &c->type, &m->value, symbols, DATUM_SIZED));
        cells->given[c->index] = true;
    }
    return NULL;
}

struct err *
cells_parse(struct cells *ret, struct arena *arena, const struct table *t,
            const struct json *j, struct symtab *symbols)
{
    if (j->type != JSON_OBJECT) {
        return rfc_syntax(j, "row must be JSON object");
    }
    size_t n = t->schema->n_columns;
    struct cells cells = { arena_zalloc(arena, n * sizeof *cells.v),
                           arena_zalloc(arena, n * sizeof *cells.given), t };
    struct err *e = parse_members(&cells, j, symbols);
    if (e) {
        cells_done(&cells);
        return e;
    }
    *ret = cells;
    return NULL;
}
