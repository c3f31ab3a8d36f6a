/* cli/cmd_table.c: the generic verbs, for every table of the live schema.  They change
 * the database and nothing else; whoever wants to wait for an effect uses the nouns, or
 * `byre wait`. */
#include "cli/cli_i.h"
#include "cli/list_i.h"
#include "cli/table_i.h"
#include "cli/watch_i.h"

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

/* A thing's own UUID, where it has one, is made here: it is unique, and two rows without
 * would clash. */
static void
identify(struct cli *cli, const struct table_schema *table, struct json *row)
{
    const struct column *column = schema_find_column(table, "uuid");
    struct uuid uuid;
    if (column && type_is_optional_scalar(&column->type) &&
        column->type.key.type == ATOM_UUID && !json_get(row, "uuid")) {
        uuid_random(&uuid);
        json_put(&cli->arena, row, "uuid", q_uuid(&cli->arena, &uuid));
    }
}

static struct err *
cmd_create(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct json row = json_object();
    struct uuid uuid;
    TRY(db_table(cli, args->pos.v[0], &table));
    for (size_t i = 1; i < args->pos.n; i++) {
        TRY(table_assign(cli, table, args->pos.v[i], &row));
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
    identify(cli, table, &row);
    change_insert(cli, table->name, row, &uuid);
    change_say(cli, "%s", UUID_TEXT(&uuid));
    return NULL;
}

static struct err *
cmd_destroy(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct named_list rows = VEC_INIT;
    struct err *e = table_rows(cli, args, args->pos.n - 1, &table, &rows);
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
    { NULL, "get", "TABLE ROW [COLUMN[:KEY]...]", "values of a row, one a line", table_get,
      0, opts_if_exists, "table row column" },
    { NULL, "set", "TABLE ROW COLUMN[:KEY]=VALUE...", "sets columns", table_set, CMD_CHANGE,
      opts_if_exists, "table row assignment",
      "COLUMN:KEY=VALUE sets one pair of a map.  VALUE: 5, text, \"quoted text\", a,b,c for sets, k=v,k2=v2 for maps, [] for none; a size may\n"
      "have a unit (2G); a reference is a name.\n" },
    { NULL, "add", "TABLE ROW COLUMN VALUE...", "adds to a set or a map", table_add,
      CMD_CHANGE, opts_if_exists, "table row column" },
    { NULL, "remove", "TABLE ROW COLUMN VALUE...", "removes from a set or a map",
      table_remove, CMD_CHANGE, opts_if_exists, "table row column" },
    { NULL, "clear", "TABLE ROW COLUMN...", "unsets columns", table_clear, CMD_CHANGE,
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
