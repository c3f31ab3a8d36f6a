/* data/schema_json.c: writing a schema in its canonical form, and sets of columns. */
#include "data/schema.h"

#include "data/rfc7047.h"

static struct json
column_json(struct arena *arena, const struct column *c)
{
    struct json j = json_object();
    json_put(arena, &j, "type", type_json(arena, &c->type));
    if (!c->is_mutable) {
        json_put(arena, &j, "mutable", json_bool(false));
    }
    if (!c->persistent) {
        json_put(arena, &j, "ephemeral", json_bool(true));
    }
    return j;
}

static struct json
index_json(struct arena *arena, const struct index_schema *index)
{
    struct json j = json_array();
    for (size_t i = 0; i < index->n_columns; i++) {
        json_add(arena, &j, json_string_ref(index->columns[i]->name));
    }
    return j;
}

static struct json
table_json(struct arena *arena, const struct table_schema *t, bool all_roots)
{
    struct json columns = json_object();
    for (size_t i = N_SPECIAL_COLUMNS; i < t->n_columns; i++) {
        json_put(arena, &columns, t->columns[i].name, column_json(arena, &t->columns[i]));
    }
    struct json j = json_object();
    json_put(arena, &j, "columns", columns);
    if (!t->is_mutable) {
        json_put(arena, &j, "mutable", json_bool(false));
    }
    if (t->max_rows != UINT32_MAX) {
        json_put(arena, &j, "maxRows", json_int(t->max_rows));
    }
    if (t->is_root && !all_roots) {
        json_put(arena, &j, "isRoot", json_bool(true));
    }
    if (t->n_indexes) {
        struct json indexes = json_array();
        for (size_t i = 0; i < t->n_indexes; i++) {
            json_add(arena, &indexes, index_json(arena, &t->indexes[i]));
        }
        json_put(arena, &j, "indexes", indexes);
    }
    return j;
}

struct json
schema_json(struct arena *arena, const struct schema *s)
{
    bool all_roots = true;
    for (size_t i = 0; i < s->n_tables; i++) {
        all_roots = all_roots && s->tables[i].counts_as_root;
    }

    struct json tables = json_object();
    for (size_t i = 0; i < s->n_tables; i++) {
        json_put(arena, &tables, s->tables[i].name,
                 table_json(arena, &s->tables[i], all_roots));
    }
    struct json j = json_object();
    json_put(arena, &j, "name", json_string(arena, s->name));
    if (*s->version) {
        json_put(arena, &j, "version", json_string(arena, s->version));
    }
    if (*s->cksum) {
        json_put(arena, &j, "cksum", json_string(arena, s->cksum));
    }
    json_put(arena, &j, "tables", tables);
    return j;
}

void
schema_print(const struct schema *s, struct buf *buf)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j = schema_json(&arena, s);
    json_print(&j, JSON_SORTED | JSON_15G, buf);
}

bool
schema_eq(const struct schema *a, const struct schema *b)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json ja = schema_json(&arena, a), jb = schema_json(&arena, b);
    return json_eq(&ja, &jb);
}

struct err *
schema_parse_columns(struct arena *arena, const struct table_schema *t,
                     const struct json *j, const struct column ***ret, size_t *ret_n)
{
    if (!j) {
        const struct column **all = arena_alloc(arena, t->n_columns * sizeof *all);
        for (size_t i = 0; i < t->n_columns; i++) {
            all[i] = &t->columns[i];
        }
        *ret = all;
        *ret_n = t->n_columns;
        return NULL;
    }
    if (j->type != JSON_ARRAY) {
        return rfc_syntax(j, "array of distinct column names expected");
    }

    const struct column **v = arena_alloc(arena, (j->n + 1) * sizeof *v);
    bool *seen = arena_zalloc(arena, t->n_columns);
    for (uint32_t i = 0; i < j->n; i++) {
        if (j->elems[i].type != JSON_STRING) {
            return rfc_syntax(j, "array of distinct column names expected");
        }
        v[i] = schema_find_column(t, j->elems[i].string);
        if (!v[i]) {
            return rfc_syntax(j, "%s is not a valid column name", j->elems[i].string);
        } else if (seen[v[i]->index]) {
            return rfc_syntax(j, "array of distinct column names expected");
        }
        seen[v[i]->index] = true;
    }
    *ret = v;
    *ret_n = j->n;
    return NULL;
}
