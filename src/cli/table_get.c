/* cli/table_get.c: values of one row, bare, one a line: for shell scripts. */
#include "cli/list_i.h"
#include "cli/table_i.h"

/* COLUMN or COLUMN:KEY, as asked for. */
struct wanted {
    const char *column; /* In the arena. */
    const char *key;    /* Of a map; or NULL. */
};

static struct wanted
wanted_parse(struct cli *cli, const char *text)
{
    size_t n = strcspn(text, ":");
    return (struct wanted){ arena_dup(&cli->arena, text, n),
                            text[n] ? text + n + 1 : NULL };
}

/* One value, as `set` takes it; strings bare. */
static struct err *
print_value(const struct wanted *w, const struct json *cell)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    if (w->key) {
        cell = json_is(cell, JSON_OBJECT) ? json_get(cell, w->key) : NULL;
    }
    if (!cell) {
        return err_hint(err_new(ERR_NOT_FOUND, "%s has no key \"%s\"", w->column, w->key),
                        "byre get TABLE ROW %s shows all", w->column);
    } else if (cell->type == JSON_STRING) {
        buf_str(&b, cell->string);
    } else {
        out_plain_text(cell, &b);
    }
    printf("%s\n", buf_cstr(&b));
    return NULL;
}

/* The labels of all tables that the columns refer to. */
static struct err *
read_labels(struct cli *cli, const struct column *const *columns, size_t n,
            struct labels *labels)
{
    struct json ops = json_array();
    struct json results;
    size_t next = 0;
    for (size_t i = 0; i < n && !cli->raw; i++) {
        if (base_type_ref(&columns[i]->type.key) != REF_NONE) {
            labels_ask(cli, columns[i]->type.key.uuid.ref_table, &ops);
        }
    }
    if (ops.n == 0) {
        return NULL;
    }
    TRY(db_transact(cli, &ops, &results));
    for (size_t i = 0; i < n; i++) {
        if (base_type_ref(&columns[i]->type.key) != REF_NONE) {
            labels_read(cli, labels, columns[i]->type.key.uuid.ref_table, &results, &next);
        }
    }
    return NULL;
}

static struct err *
get_bare(struct cli *cli, const struct args *args, const struct table_schema *table)
{
    size_t n = args->pos.n - 2;
    struct wanted *wanted = arena_zalloc(&cli->arena, n * sizeof *wanted);
    CLEANUP(buf_done) struct buf names = BUF_INIT;
    for (size_t i = 0; i < n; i++) {
        wanted[i] = wanted_parse(cli, args->pos.v[i + 2]);
        buf_printf(&names, "%s%s", i ? "," : "", wanted[i].column);
    }
    const struct column **columns;
    struct named row;
    TRY(list_columns(cli, table, buf_cstr(&names), &columns, &n));
    TRY(names_find(cli, table->name, args->pos.v[1], buf_cstr(&names), &row));

    CLEANUP(labels_done) struct labels labels = LABELS_INIT;
    TRY(read_labels(cli, columns, n, &labels));
    struct json *cells = arena_zalloc(&cli->arena, n * sizeof *cells);
    list_cells(cli, &labels, columns, n, row.row, cells);
    for (size_t i = 0; i < n; i++) {
        TRY(print_value(&wanted[i], &cells[i]));
    }
    return NULL;
}

struct err *
table_get(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct err *e;
    TRY(db_table(cli, args->pos.v[0], &table));
    if (args->pos.n > 2 && cli->format == OUT_TABLE) {
        e = get_bare(cli, args, table);
    } else {
        struct strvec rest = { args->pos.v + 2, args->pos.n - 2, 0 };
        CLEANUP(free_drop) char *columns = args->pos.n > 2 ? strvec_join(&rest, ",") : NULL;
        struct list l = { .table = table,
                          .names = args->pos.v + 1,
                          .n_names = 1,
                          .columns = columns ? arena_str(&cli->arena, columns) : NULL,
                          .vertical = true };
        e = list_run(cli, args, &l);
    }
    if (err_is(e, ERR_NOT_FOUND) && args_has(args, "if-exists")) {
        err_free(e);
        e = NULL;
    }
    return e;
}
