/* cli/query.c: questions to the database, and rows as select gives them. */
#include "cli/query_i.h"

#include "cli/suggest_i.h"
#include "data/rfc7047.h"

/* The first one of a table is what errors call it. */
static const char *const nouns[][2] = {
    { "node", "hostnode" }, { "vol", "volume" },    { "vmi", "vmi" },
    { "image", "vmi" },     { "host", "hostnode" },
};

const char *
table_of_noun(const char *noun)
{
    for (size_t i = 0; i < N_ELEMS(nouns); i++) {
        if (str_eq(noun, nouns[i][0])) {
            return nouns[i][1];
        }
    }
    return noun;
}

const char *
noun_of_table(const char *table)
{
    for (size_t i = 0; i < N_ELEMS(nouns); i++) {
        if (str_eq(table, nouns[i][1])) {
            return nouns[i][0];
        }
    }
    return table;
}

struct err *
db_table(struct cli *cli, const char *name, const struct table_schema **ret)
{
    *ret = schema_find_table(cli->schema, table_of_noun(name));
    if (*ret) {
        return NULL;
    }
    struct strvec names = STRVEC_INIT;
    for (size_t i = 0; i < cli->schema->n_tables; i++) {
        strvec_add(&names, cli->schema->tables[i].name);
    }
    const char *near = suggest(name, &names);
    CLEANUP(free_drop) char *all = strvec_join(&names, ", ");
    struct err *e = err_new(ERR_SYNTAX, "there is no table \"%s\"", name);
    e = near ? err_hint(e, "did you mean: %s", near) : err_hint(e, "one of: %s", all);
    strvec_done(&names);
    return e;
}

struct err *
db_column(const struct table_schema *table, const char *name, const struct column **ret)
{
    *ret = schema_find_column(table, name);
    if (*ret) {
        return NULL;
    }
    struct strvec names = STRVEC_INIT;
    for (size_t i = 0; i < table->n_columns; i++) {
        strvec_add(&names, table->columns[i].name);
    }
    const char *near = suggest(name, &names);
    struct err *e = err_new(ERR_SYNTAX, "table %s has no column \"%s\"", table->name, name);
    e = near ? err_hint(e, "did you mean: %s", near)
             : err_hint(e, "byre explain %s lists its columns", noun_of_table(table->name));
    strvec_done(&names);
    return e;
}

struct json
q_uuid(struct arena *a, const struct uuid *uuid)
{
    return json_pair(a, json_string_ref("uuid"), json_string(a, UUID_TEXT(uuid)));
}

struct json
q_unset(struct arena *a)
{
    return json_pair(a, json_string_ref("set"), json_array());
}

struct json
q_clause(struct arena *a, const char *column, const char *function, struct json value)
{
    struct json clause = json_array();
    json_add(a, &clause, json_string_ref(column));
    json_add(a, &clause, json_string_ref(function));
    json_add(a, &clause, value);
    return clause;
}

struct json
q_where_uuid(struct arena *a, const struct uuid *uuid)
{
    struct json where = json_array();
    json_add(a, &where, q_clause(a, "_uuid", "==", q_uuid(a, uuid)));
    return where;
}

struct json
q_columns(struct arena *a, const char *comma_list)
{
    struct strvec names = STRVEC_INIT;
    strvec_split(&names, comma_list, ",");
    struct json columns = json_array();
    for (size_t i = 0; i < names.n; i++) {
        bool twice = false;
        for (uint32_t k = 0; k < columns.n; k++) {
            twice |= str_eq(columns.elems[k].string, names.v[i]);
        }
        if (!twice) {
            json_add(a, &columns, json_string(a, names.v[i]));
        }
    }
    strvec_done(&names);
    return columns;
}

struct json
q_select(struct arena *a, const char *table, struct json where, const char *columns)
{
    struct json op = json_object();
    json_put(a, &op, "op", json_string_ref("select"));
    json_put(a, &op, "table", json_string_ref(table));
    json_put(a, &op, "where", where);
    if (columns) {
        json_put(a, &op, "columns", q_columns(a, columns));
    }
    return op;
}

struct err *
db_transact(struct cli *cli, const struct json *ops, struct json *ret_results)
{
    *ret_results = json_null();
    TRY(cli_connect(cli));
    struct arena *a = &cli->arena;
    struct json params = json_array();
    json_add(a, &params, json_string_ref(cli->schema->name));
    for (uint32_t i = 0; i < ops->n; i++) {
        json_add(a, &params, ops->elems[i]);
    }

    TRY(cli_call(cli, "transact", &params, ret_results));
    if (ret_results->type != JSON_ARRAY) {
        return err_new(ERR_IO, "database %s replied no array of results", cli->remote);
    }
    for (uint32_t i = 0; i < ret_results->n; i++) {
        const struct json *result = &ret_results->elems[i];
        if (json_is(result, JSON_OBJECT) && json_get(result, "error")) {
            return rfc_parse(result);
        }
    }
    return NULL;
}

const struct json *
q_rows(const struct json *results, size_t i)
{
    static const struct json none = { .type = JSON_ARRAY };
    const struct json *rows = i < results->n ? json_get(&results->elems[i], "rows") : NULL;
    return json_is(rows, JSON_ARRAY) ? rows : &none;
}

static bool
is_tagged(const struct json *j, const char *tag)
{
    return json_is(j, JSON_ARRAY) && j->n == 2 && json_is(&j->elems[0], JSON_STRING) &&
           str_eq(j->elems[0].string, tag);
}

const struct json *
row_value(const struct json *row, const char *column)
{
    const struct json *value = json_get(row, column);
    if (is_tagged(value, "set") && json_is(&value->elems[1], JSON_ARRAY)) {
        return value->elems[1].n ? &value->elems[1].elems[0] : NULL;
    }
    return value;
}

const char *
row_string(const struct json *row, const char *column)
{
    const struct json *value = row_value(row, column);
    return json_is(value, JSON_STRING) ? value->string : NULL;
}

int64_t
row_int(const struct json *row, const char *column, int64_t absent)
{
    const struct json *value = row_value(row, column);
    return json_is(value, JSON_INTEGER) ? value->integer : absent;
}

double
row_real(const struct json *row, const char *column, double absent)
{
    const struct json *value = row_value(row, column);
    return json_is(value, JSON_REAL)      ? value->real
           : json_is(value, JSON_INTEGER) ? (double) value->integer
                                          : absent;
}

bool
row_bool(const struct json *row, const char *column)
{
    return json_is(row_value(row, column), JSON_TRUE);
}

const char *
row_ref_text(const struct json *row, const char *column)
{
    const struct json *value = row_value(row, column);
    return is_tagged(value, "uuid") && json_is(&value->elems[1], JSON_STRING)
               ? value->elems[1].string
               : NULL;
}

bool
row_ref(const struct json *row, const char *column, struct uuid *ret)
{
    const char *text = row_ref_text(row, column);
    return text && uuid_parse(text, ret);
}

struct uuid
row_uuid(const struct json *row)
{
    struct uuid uuid = { { 0 } };
    row_ref(row, "_uuid", &uuid);
    return uuid;
}

static struct json
plain_atom(struct arena *a, const struct json *atom)
{
    return is_tagged(atom, "uuid") ? atom->elems[1] : *atom;
}

static struct json
plain_map(struct arena *a, const struct json *pairs)
{
    struct json object = json_object();
    for (uint32_t i = 0; i < pairs->n; i++) {
        const struct json *pair = &pairs->elems[i];
        if (!json_is(pair, JSON_ARRAY) || pair->n != 2) {
            continue;
        }
        struct json key = plain_atom(a, &pair->elems[0]);
        CLEANUP(free_drop)
        char *text = key.type == JSON_STRING ? str_dup(key.string) : json_text(&key, 0);
        json_put(a, &object, arena_str(a, text), plain_atom(a, &pair->elems[1]));
    }
    return object;
}

struct json
q_plain(struct arena *a, const struct json *value, const struct type *type)
{
    if (is_tagged(value, "map")) {
        return plain_map(a, &value->elems[1]);
    }
    bool is_set = is_tagged(value, "set");
    if (type->n_max == 1) {
        if (!is_set) {
            return plain_atom(a, value);
        }
        const struct json *elems = &value->elems[1];
        return elems->n ? plain_atom(a, &elems->elems[0]) : json_null();
    }
    struct json array = json_array();
    for (uint32_t i = 0; is_set && i < value->elems[1].n; i++) {
        json_add(a, &array, plain_atom(a, &value->elems[1].elems[i]));
    }
    if (!is_set) {
        json_add(a, &array, plain_atom(a, value));
    }
    return array;
}
