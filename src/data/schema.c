/* data/schema.c: reading a schema. */
#include "data/schema.h"

#include <ctype.h>

#include "base/str.h"
#include "data/rfc7047.h"
#include "json/decode.h"

bool
schema_version_is_valid(const char *s)
{
    for (int i = 0; i < 3; i++) {
        if (!isdigit((unsigned char) *s)) {
            return false;
        }
        uint64_t number = 0;
        while (isdigit((unsigned char) *s)) {
            number = number * 10 + (uint64_t) (*s++ - '0');
            if (number > UINT32_MAX) {
                return false;
            }
        }
        if (*s++ != (i < 2 ? '.' : '\0')) {
            return false;
        }
    }
    return true;
}

static struct err *
check_name(const struct json *whole, const char *name)
{
    if (name[0] == '_') {
        return rfc_syntax(whole, "names beginning with \"_\" are reserved");
    }
    return json_is_id(name) ? NULL : rfc_syntax(whole, "name must be a valid id");
}

static int
member_cmp(const void *a, const void *b)
{
    return strcmp((*(const struct json_member *const *) a)->name,
                  (*(const struct json_member *const *) b)->name);
}

/* The members of an object by name. */
static const struct json_member **
sorted_members(struct arena *arena, const struct json *j)
{
    const struct json_member **v = arena_alloc(arena, (j->n + 1) * sizeof(void *));
    for (uint32_t i = 0; i < j->n; i++) {
        v[i] = &j->members[i];
    }
    qsort(v, j->n, sizeof *v, member_cmp);
    return v;
}

static void
add_column(struct table_schema *t, const char *name, bool persistent)
{
    struct column *c = &t->columns[t->n_columns];
    c->name = name;
    c->index = (uint32_t) t->n_columns++;
    c->persistent = persistent;
    type_init_scalar(&c->type, ATOM_UUID);
    map_put(&t->by_name, name, c);
}

static struct err *
parse_column(struct column *c, const struct json *j)
{
    struct decode d;
    decode_begin(&d, j, "schema for column %s", c->name);
    c->is_mutable = decode_bool(&d, "mutable", DECODE_OPTIONAL, true);
    c->persistent = !decode_bool(&d, "ephemeral", DECODE_OPTIONAL, false);
    const struct json *type = decode_member(&d, "type", DECODE_STRING | DECODE_OBJECT);
    TRY(rfc_decode_end(&d, j));
    TRY(type_parse(&c->type, type));
    if (base_type_ref(&c->type.key) == REF_WEAK ||
        base_type_ref(&c->type.value) == REF_WEAK) {
        c->is_mutable = true; /* The server itself must be able to change it. */
    }
    return NULL;
}

static struct err *
parse_columns(struct schema *s, struct table_schema *t, const struct json *columns,
              const struct json *whole)
{
    const struct json_member **members = sorted_members(&s->arena, columns);
    t->columns =
        arena_zalloc(&s->arena, (columns->n + N_SPECIAL_COLUMNS) * sizeof *t->columns);
    add_column(t, "_uuid", true);
    add_column(t, "_version", false);
    for (uint32_t i = 0; i < columns->n; i++) {
        TRY(check_name(whole, members[i]->name));
        add_column(t, arena_str(&s->arena, members[i]->name), true);
        TRY(parse_column(&t->columns[t->n_columns - 1], &members[i]->value));
    }
    return NULL;
}

static struct err *
parse_index(struct schema *s, struct table_schema *t, const struct json *j,
            const struct json *whole)
{
    struct index_schema *index = &t->indexes[t->n_indexes];
    TRY(schema_parse_columns(&s->arena, t, j, &index->columns, &index->n_columns));
    if (index->n_columns == 0) {
        return rfc_syntax(whole, "index must have at least one column");
    }
    for (size_t i = 0; i < index->n_columns; i++) {
        if (!index->columns[i]->persistent) {
            return rfc_syntax(whole, "ephemeral columns (such as %s) may not be indexed",
                              index->columns[i]->name);
        }
    }
    if (index->n_columns == 1) {
        t->columns[index->columns[0]->index].type.key.unique = true;
    }
    t->n_indexes++;
    return NULL;
}

static struct err *
parse_table(struct schema *s, struct table_schema *t, const struct json *j)
{
    struct decode d;
    decode_begin(&d, j, "table schema for table %s", t->name);
    const struct json *columns = decode_member(&d, "columns", DECODE_OBJECT);
    t->is_mutable = decode_bool(&d, "mutable", DECODE_OPTIONAL, true);
    const struct json *max_rows =
        decode_member(&d, "maxRows", DECODE_INTEGER | DECODE_OPTIONAL);
    t->is_root = decode_bool(&d, "isRoot", DECODE_OPTIONAL, false);
    const struct json *indexes =
        decode_member(&d, "indexes", DECODE_ARRAY | DECODE_OPTIONAL);
    bool bad_max = max_rows && max_rows->integer <= 0;
    if (bad_max && !decode_failed(&d)) {
        err_free(decode_end(&d));
        return rfc_syntax(j, "maxRows must be at least 1");
    }
    TRY(rfc_decode_end(&d, j));

    t->max_rows = max_rows ? (uint32_t) min64(max_rows->integer, UINT32_MAX) : UINT32_MAX;
    if (columns->n == 0) {
        return rfc_syntax(j, "table must have at least one column");
    }
    TRY(parse_columns(s, t, columns, j));

    if (indexes) {
        t->indexes = arena_zalloc(&s->arena, (indexes->n + 1) * sizeof *t->indexes);
        for (uint32_t i = 0; i < indexes->n; i++) {
            TRY(parse_index(s, t, &indexes->elems[i], j));
        }
    }
    return NULL;
}

static struct err *
parse_tables(struct schema *s, const struct json *tables, const struct json *whole)
{
    const struct json_member **members = sorted_members(&s->arena, tables);
    s->tables = arena_zalloc(&s->arena, (tables->n + 1) * sizeof *s->tables);
    for (uint32_t i = 0; i < tables->n; i++) {
        TRY(check_name(whole, members[i]->name));
        struct table_schema *t = &s->tables[s->n_tables];
        t->index = (uint32_t) s->n_tables++;
        t->name = arena_str(&s->arena, members[i]->name);
        map_put(&s->by_name, t->name, t);
        TRY(parse_table(s, t, &members[i]->value));
    }
    return NULL;
}

static struct err *
link_ref(const struct schema *s, struct column *c, struct base_type *b, const char *side)
{
    if (base_type_ref(b) == REF_NONE) {
        return NULL;
    }
    const struct table_schema *target = schema_find_table(s, b->uuid.ref_table_name);
    if (!target) {
        return rfc_err(RFC_SYNTAX, "column %s %s refers to undefined table %s", c->name,
                       side, b->uuid.ref_table_name);
    }
    b->uuid.ref_table = target;
    if (b->uuid.ref == REF_STRONG && !target->counts_as_root) {
        c->persistent = true; /* Else a restart would collect what it holds. */
    }
    return NULL;
}

static struct err *
link_tables(struct schema *s)
{
    size_t n_roots = 0;
    for (size_t i = 0; i < s->n_tables; i++) {
        n_roots += s->tables[i].is_root;
    }
    for (size_t i = 0; i < s->n_tables; i++) {
        s->tables[i].counts_as_root = n_roots == 0 || s->tables[i].is_root;
    }
    for (size_t i = 0; i < s->n_tables; i++) {
        struct table_schema *t = &s->tables[i];
        for (size_t k = N_SPECIAL_COLUMNS; k < t->n_columns; k++) {
            TRY(link_ref(s, &t->columns[k], &t->columns[k].type.key, "key"));
            TRY(link_ref(s, &t->columns[k], &t->columns[k].type.value, "value"));
        }
    }
    return NULL;
}

static struct err *
parse_schema(struct schema *s, const struct json *j)
{
    struct decode d;
    decode_begin(&d, j, "database schema");
    const char *name = decode_id(&d, "name");
    const struct json *version_json =
        decode_member(&d, "version", DECODE_STRING | DECODE_OPTIONAL);
    const char *version = version_json ? version_json->string : "";
    bool bad_version = version_json && !schema_version_is_valid(version);
    const char *cksum = decode_string(&d, "cksum", DECODE_OPTIONAL, "");
    const struct json *tables = decode_member(&d, "tables", DECODE_OBJECT);
    if (bad_version) {
        err_free(decode_end(&d));
        return rfc_syntax(j, "schema version \"%s\" not in format x.y.z", version);
    }
    TRY(rfc_decode_end(&d, j));

    s->name = arena_str(&s->arena, name);
    s->version = arena_str(&s->arena, version);
    s->cksum = arena_str(&s->arena, cksum);
    TRY(parse_tables(s, tables, j));
    return link_tables(s);
}

struct err *
schema_parse(const struct json *j, struct schema **ret)
{
    CLEANUP(schema_drop) struct schema *s = NEW(struct schema);
    s->n_refs = 1;
    TRY(parse_schema(s, j));
    *ret = TAKE(s);
    return NULL;
}

struct err *
schema_parse_text(const char *text, size_t n_bytes, struct schema **ret)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;
    TRY(json_parse(&arena, text, n_bytes, &j));
    return schema_parse(&j, ret);
}

struct schema *
schema_ref(struct schema *s)
{
    s->n_refs++;
    return s;
}

void
schema_unref(struct schema *s)
{
    if (!s || --s->n_refs > 0) {
        return;
    }
    for (size_t i = 0; i < s->n_tables; i++) {
        struct table_schema *t = &s->tables[i];
        for (size_t k = 0; k < t->n_columns; k++) {
            type_done(&t->columns[k].type);
        }
        map_done(&t->by_name);
    }
    map_done(&s->by_name);
    arena_done(&s->arena);
    free(s);
}

void
schema_drop(struct schema **s)
{
    schema_unref(TAKE(*s));
}

const struct table_schema *
schema_find_table(const struct schema *s, const char *name)
{
    return map_get(&s->by_name, name);
}

const struct column *
schema_find_column(const struct table_schema *t, const char *name)
{
    return map_get(&t->by_name, name);
}
