/* cli/cmd_table.c: the generic verbs, for every table of the live schema.  They change the database
 * and nothing else; whoever wants to wait for an effect uses the nouns, or `byre wait`. */
#include "cli/cli_i.h"
#include "cli/list_i.h"
#include "cli/watch_i.h"

static const char *const assign[] = { "=", NULL };

/* A name goes into paths, XML and host names elsewhere: refused here already. */
static struct err *
check_value(const struct table_schema *table, const char *column, const struct json *value)
{
    if (!str_eq(column, "name") || value->type != JSON_STRING ||
        str_eq(table->name, "volume")) {
        return NULL;
    }
    return str_check_name(noun_of_table(table->name), value->string);
}

/* "col=value" into 'row'. */
static struct err *
assign_one(struct cli *cli, const struct table_schema *table, const char *text,
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

static struct err *
cmd_list(struct cli *cli, const struct args *args)
{
    struct list l = { .names = args->pos.v + 1, .n_names = args->pos.n - 1 };
    TRY(db_table(cli, args->pos.v[0], &l.table));
    return list_run(cli, args, &l);
}

static struct err *
cmd_find(struct cli *cli, const struct args *args)
{
    struct list l = { .where = args->pos.v + 1, .n_where = args->pos.n - 1 };
    TRY(db_table(cli, args->pos.v[0], &l.table));
    return list_run(cli, args, &l);
}

static struct err *
cmd_watch(struct cli *cli, const struct args *args)
{
    struct list l = { .where = args->pos.v + 1,
                      .n_where = args->pos.n - 1,
                      .action = true };
    TRY(db_table(cli, args->pos.v[0], &l.table));
    return list_run(cli, args, &l);
}

/* One value a line, as `set` takes it; strings bare. */
static void
print_values(struct cli *cli, const struct column *const *columns, size_t n,
             const struct json *cells)
{
    for (size_t i = 0; i < n; i++) {
        CLEANUP(buf_done) struct buf b = BUF_INIT;
        if (cells[i].type == JSON_STRING) {
            buf_str(&b, cells[i].string);
        } else {
            out_plain_text(&cells[i], &b);
        }
        printf("%s\n", buf_cstr(&b));
    }
}

static struct err *
cmd_get(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct named row;
    TRY(db_table(cli, args->pos.v[0], &table));
    if (args->pos.n == 2 || cli->format != OUT_TABLE) {
        struct strvec rest = { args->pos.v + 2, args->pos.n - 2, 0 };
        CLEANUP(free_drop) char *columns = args->pos.n > 2 ? strvec_join(&rest, ",") : NULL;
        struct list l = { .table = table,
                          .names = args->pos.v + 1,
                          .n_names = 1,
                          .columns = columns ? arena_str(&cli->arena, columns) : NULL,
                          .vertical = true };
        return list_run(cli, args, &l);
    }

    struct strvec rest = { args->pos.v + 2, args->pos.n - 2, 0 };
    CLEANUP(free_drop) char *joined = strvec_join(&rest, ",");
    const struct column **columns;
    size_t n;
    TRY(list_columns(cli, table, joined, &columns, &n));
    struct err *e = names_find(cli, table->name, args->pos.v[1], joined, &row);
    if (err_is(e, ERR_NOT_FOUND) && args_has(args, "if-exists")) {
        err_free(e);
        return NULL;
    } else if (e) {
        return e;
    }
    CLEANUP(labels_done) struct labels labels = LABELS_INIT;
    struct json ops = json_array();
    struct json results = json_array();
    for (size_t i = 0; i < n && !cli->raw; i++) {
        if (base_type_ref(&columns[i]->type.key) != REF_NONE) {
            labels_ask(cli, columns[i]->type.key.uuid.ref_table, &ops);
        }
    }
    if (ops.n) {
        TRY(db_transact(cli, &ops, &results));
    }
    size_t next = 0;
    for (size_t i = 0; i < n && ops.n; i++) {
        if (base_type_ref(&columns[i]->type.key) != REF_NONE) {
            labels_read(cli, &labels, columns[i]->type.key.uuid.ref_table, &results, &next);
        }
    }
    struct json *cells = arena_zalloc(&cli->arena, n * sizeof *cells);
    list_cells(cli, &labels, columns, n, row.row, cells);
    print_values(cli, columns, n, cells);
    return NULL;
}

/* The rows that a changing verb means: ROW may be a pattern. */
static struct err *
rows_to_change(struct cli *cli, const struct args *args, size_t n_specs,
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

static struct err *
cmd_set(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct named_list rows = VEC_INIT;
    struct json row = json_object();
    struct err *e = rows_to_change(cli, args, 1, &table, &rows);
    for (size_t i = 2; i < args->pos.n && !e; i++) {
        e = assign_one(cli, table, args->pos.v[i], &row);
    }
    for (size_t i = 0; i < rows.n && !e; i++) {
        change_update(cli, table->name, &rows.v[i].uuid, row);
    }
    VEC_DONE(&rows);
    return e;
}

static struct err *
cmd_clear(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct named_list rows = VEC_INIT;
    struct json row = json_object();
    struct err *e = rows_to_change(cli, args, 1, &table, &rows);
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
    struct err *e = rows_to_change(cli, args, 1, &table, &rows);
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

static struct err *
cmd_add(struct cli *cli, const struct args *args)
{
    return mutate_set(cli, args, "insert");
}

static struct err *
cmd_remove(struct cli *cli, const struct args *args)
{
    return mutate_set(cli, args, "delete");
}

static struct err *
cmd_create(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct json row = json_object();
    struct uuid uuid;
    TRY(db_table(cli, args->pos.v[0], &table));
    for (size_t i = 1; i < args->pos.n; i++) {
        TRY(assign_one(cli, table, args->pos.v[i], &row));
    }
    const char *column = names_column(table);
    const char *name = column ? row_string(&row, column) : NULL;
    if (column && !name) {
        return err_hint(err_new(ERR_SYNTAX, "a %s needs a %s", table->name, column),
                        "add %s=VALUE", column);
    }
    if (name && !str_eq(table->name, "volume") && !str_eq(table->name, "pool")) {
        struct named there;
        bool exact = cli->exact;
        cli->exact = true; /* A new name must not be taken for a prefix. */
        struct err *e = names_find(cli, table->name, name, "_uuid", &there);
        cli->exact = exact;
        if (!e && args_has(args, "if-not-exists")) {
            return NULL;
        } else if (!e) {
            return err_hint(
                err_new(ERR_EXISTS, "there is already a %s \"%s\"", table->name, name),
                "byre set %s %s changes it; --if-not-exists leaves it", table->name, name);
        } else if (!err_is(e, ERR_NOT_FOUND)) {
            return e;
        }
        err_free(e);
    }
    change_insert(cli, table->name, row, &uuid);
    if (!cli->quiet && !cli->dry_run) {
        printf("%s\n", UUID_TEXT(&uuid));
    }
    return NULL;
}

static struct err *
cmd_destroy(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct named_list rows = VEC_INIT;
    struct err *e = rows_to_change(cli, args, args->pos.n - 1, &table, &rows);
    for (size_t i = 0; i < rows.n && !e; i++) {
        change_delete(cli, table->name, &rows.v[i].uuid);
    }
    VEC_DONE(&rows);
    return e;
}

static struct err *
cmd_wait(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    CLEANUP(filter_drop) struct filter *filter = NULL;
    bool gone = args_has(args, "gone");
    TRY(db_table(cli, args->pos.v[0], &table));
    if (gone == (args->pos.n > 2)) {
        return err_hint(err_new(ERR_SYNTAX, "wait needs either conditions or --gone"),
                        "byre wait vm demo status=running");
    }
    TRY(filter_new(cli, table, args->pos.v + 2, args->pos.n - 2, &filter));
    return watch_until(cli, table, args->pos.v[1], filter, gone);
}

static const struct opt_spec opts_if_exists[] = {
    { "if-exists", NULL, "a row that is not there is no error" },
    { NULL },
};
static const struct opt_spec opts_create[] = {
    { "if-not-exists", NULL, "a row of that name that is there already is no error" },
    { NULL },
};
static const struct opt_spec opts_wait[] = {
    { "gone", NULL, "wait until there is no such row" },
    { NULL },
};

const struct command cmds_table[] = {
    { NULL, "list", "TABLE [NAME...]", "rows of any table", cmd_list, CMD_LIST, NULL,
      "table row",
      "byre list vm -c name,mem --where status=running --sort -mem -o json\n" },
    { NULL, "find", "TABLE COND...", "rows that fit conditions", cmd_find, CMD_LIST, NULL,
      "table assignment",
      "COND is COLUMN, one of = != < > <= >= ~, and a value; ~ is a regular\n"
      "expression.  On a set = means \"has\".\n" },
    { NULL, "get", "TABLE ROW [COLUMN...]", "values of a row, one a line", cmd_get, 0,
      opts_if_exists, "table row column" },
    { NULL, "set", "TABLE ROW COLUMN=VALUE...", "sets columns", cmd_set, CMD_CHANGE,
      opts_if_exists, "table row assignment",
      "VALUE: 5, text, \"quoted text\", a,b,c for sets, k=v,k2=v2 for maps, [] for none; a size may\n"
      "have a unit (2G); a reference is a name.\n" },
    { NULL, "add", "TABLE ROW COLUMN VALUE...", "adds to a set or a map", cmd_add,
      CMD_CHANGE, opts_if_exists, "table row column" },
    { NULL, "remove", "TABLE ROW COLUMN VALUE...", "removes from a set or a map",
      cmd_remove, CMD_CHANGE, opts_if_exists, "table row column" },
    { NULL, "clear", "TABLE ROW COLUMN...", "unsets columns", cmd_clear, CMD_CHANGE,
      opts_if_exists, "table row column" },
    { NULL, "create", "TABLE COLUMN=VALUE...", "a new row; prints its UUID", cmd_create,
      CMD_CHANGE, opts_create, "table assignment" },
    { NULL, "destroy", "TABLE ROW...", "deletes rows (of the database only)", cmd_destroy,
      CMD_CHANGE, opts_if_exists, "table row" },
    { NULL, "wait", "TABLE ROW [COND...]", "waits until a row is so", cmd_wait, 0,
      opts_wait, "table row assignment",
      "byre wait vm demo status=running --timeout 30\n" },
    { NULL, "watch", "TABLE [COND...]", "rows, then each change as it comes", cmd_watch,
      CMD_LIST, NULL, "table assignment" },
    { NULL },
};
