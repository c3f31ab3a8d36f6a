/* cli/table_edit.c: the generic verbs that change a row: set, clear, add, remove. */
#include "cli/table_i.h"

static const char *const assign[] = { "=", NULL };

/* A name goes into paths, XML and host names elsewhere: refused here already. */
static struct err *
check_value(const struct table_schema *table, const char *column, const struct json *value)
{
    if (!str_eq(column, "name") || value->type != JSON_STRING ||
        str_eq(table->name, "volume")) {
        return NULL;
    }
    return fail_unless_name(noun_of_table(table->name), value->string);
}

/* "col=value" into 'row'. */
struct err *
table_assign(struct cli *cli, const struct table_schema *table, const char *text,
             struct json *row)
{
    CLEANUP(free_drop) char *name = NULL;
    const char *op, *value_text;
    const struct column *column;
    struct json value;
    TRY(split_assignment(text, assign, &name, &op, &value_text));
    TRY(db_column(table, name, &column));
    if (column->index < N_SPECIAL_COLUMNS) {
        return err_new(ERR_SYNTAX, "column %s is the database's own", name);
    } else if (json_get(row, name)) {
        return err_new(ERR_SYNTAX, "column %s is given twice", name);
    }
    TRY(value_parse(cli, table, column, value_text, &value));
    TRY(check_value(table, name, &value));
    json_put(&cli->arena, row, column->name, value);
    return NULL;
}

/* The rows that a changing verb means: ROW may be a pattern. */
struct err *
table_rows(struct cli *cli, const struct args *args, size_t n_specs,
           const struct table_schema **ret_table, struct named_list *ret)
{
    TRY(db_table(cli, args->pos.v[0], ret_table));
    struct err *e =
        names_match(cli, (*ret_table)->name, args->pos.v + 1, n_specs, "_uuid", ret);
    if (err_is(e, ERR_NOT_FOUND) && args_has(args, "if-exists")) {
        err_free(e);
        return NULL;
    }
    return e;
}

/* "external_ids:owner=ann": one pair of a map, whatever else it holds.  *ret_is: it is
 * of that form. */
static struct err *
set_pair(struct cli *cli, const struct table_schema *table, const char *text,
         const struct named_list *rows, bool *ret_is)
{
    size_t n_name =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    const char *equals = strchr(text, '=');
    *ret_is = text[n_name] == ':' && equals;
    if (!*ret_is) {
        return NULL;
    }
    struct arena *a = &cli->arena;
    const char *name = arena_dup(a, text, n_name);
    const char *key =
        arena_dup(a, text + n_name + 1, (size_t) (equals - text) - n_name - 1);
    const struct column *column;
    TRY(db_column(table, name, &column));
    if (!type_is_map(&column->type) || column->type.key.type != ATOM_STRING ||
        column->type.value.type != ATOM_STRING) {
        return err_hint(
            err_new(ERR_SYNTAX, "column %s.%s is no map of text", table->name, name),
            "byre set %s ROW %s=VALUE", table->name, name);
    }
    struct json keys = json_array();
    struct json pairs = json_array();
    json_add(a, &keys, json_string_ref(key));
    json_add(a, &pairs, json_pair(a, json_string_ref(key), json_string(a, equals + 1)));
    for (size_t i = 0; i < rows->n; i++) {
        change_mutate(cli, table->name, &rows->v[i].uuid, column->name, "delete",
                      json_pair(a, json_string_ref("set"), keys));
        change_mutate(cli, table->name, &rows->v[i].uuid, column->name, "insert",
                      json_pair(a, json_string_ref("map"), pairs));
    }
    return NULL;
}

struct err *
table_set(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct named_list rows = VEC_INIT;
    struct json row = json_object();
    struct err *e = table_rows(cli, args, 1, &table, &rows);
    for (size_t i = 2; i < args->pos.n && !e; i++) {
        bool is_pair = false;
        e = set_pair(cli, table, args->pos.v[i], &rows, &is_pair);
        if (!e && !is_pair) {
            e = table_assign(cli, table, args->pos.v[i], &row);
        }
    }
    for (size_t i = 0; i < rows.n && row.n && !e; i++) {
        change_update(cli, table->name, &rows.v[i].uuid, row);
    }
    VEC_DONE(&rows);
    return e;
}

struct err *
table_clear(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct named_list rows = VEC_INIT;
    struct json row = json_object();
    struct err *e = table_rows(cli, args, 1, &table, &rows);
    for (size_t i = 2; i < args->pos.n && !e; i++) {
        const struct column *column;
        e = db_column(table, args->pos.v[i], &column);
        if (!e && column->type.n_min > 0) {
            e = err_hint(err_new(ERR_SYNTAX, "column %s.%s always has a value", table->name,
                                 column->name),
                         "set it to something else");
        }
        if (!e && !json_get(&row, column->name)) {
            const char *tag = type_is_map(&column->type) ? "map" : "set";
            json_put(&cli->arena, &row, column->name,
                     json_pair(&cli->arena, json_string_ref(tag), json_array()));
        }
    }
    for (size_t i = 0; i < rows.n && !e; i++) {
        change_update(cli, table->name, &rows.v[i].uuid, row);
    }
    VEC_DONE(&rows);
    return e;
}

/* add and remove: values of a set, pairs of a map. */
static struct err *
mutate_set(struct cli *cli, const struct args *args, const char *mutator)
{
    const struct table_schema *table;
    const struct column *column;
    struct named_list rows = VEC_INIT;
    struct err *e = table_rows(cli, args, 1, &table, &rows);
    if (!e) {
        e = db_column(table, args->pos.v[2], &column);
    }
    if (!e && type_is_scalar(&column->type)) {
        e = err_hint(err_new(ERR_SYNTAX, "column %s.%s holds one value, no set",
                             table->name, column->name),
                     "byre set %s %s %s=VALUE", table->name, args->pos.v[1], column->name);
    }
    for (size_t i = 3; i < args->pos.n && !e; i++) {
        struct json value;
        const char *text = args->pos.v[i];
        if (type_is_map(&column->type) && str_eq(mutator, "delete") && !strchr(text, '=')) {
            value = json_pair(&cli->arena, json_string_ref("set"), json_array());
            json_add(&cli->arena, &value.elems[1], json_string(&cli->arena, text));
        } else {
            e = value_parse(cli, table, column, text, &value);
        }
        for (size_t k = 0; k < rows.n && !e; k++) {
            change_mutate(cli, table->name, &rows.v[k].uuid, column->name, mutator, value);
        }
    }
    VEC_DONE(&rows);
    return e;
}

struct err *
table_add(struct cli *cli, const struct args *args)
{
    return mutate_set(cli, args, "insert");
}

struct err *
table_remove(struct cli *cli, const struct args *args)
{
    return mutate_set(cli, args, "delete");
}
