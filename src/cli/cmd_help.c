/* cli/cmd_help.c: byre help, version, explain. */
#include "cli/cli_i.h"
#include "cli/help_i.h"
#include "cli/values_i.h"

static struct err *
cmd_help(struct cli *cli, const struct args *args)
{
    const struct command *c;
    size_t n_used;
    if (args->pos.n == 0) {
        help_overview(stdout);
        return NULL;
    } else if (args->pos.n == 1 && help_noun(args->pos.v[0], stdout)) {
        return NULL;
    }
    TRY(command_find(&args->pos, &c, &n_used));
    help_command(c, stdout);
    return NULL;
}

static struct err *
cmd_version(struct cli *cli, const struct args *args)
{
    help_version(stdout);
    return NULL;
}

/* "vm", "vm.mem" or "vm mem". */
static struct err *
cmd_explain(struct cli *cli, const struct args *args)
{
    CLEANUP(free_drop) char *name = str_dup(args->pos.v[0]);
    char *dot = strchr(name, '.');
    const char *only = args->pos.n > 1 ? args->pos.v[1] : dot ? dot + 1 : NULL;
    if (dot) {
        *dot = '\0';
    }
    const struct table_schema *table;
    const struct column *chosen = NULL;
    TRY(db_table(cli, name, &table));
    if (only) {
        TRY(db_column(table, only, &chosen));
    }

    CLEANUP(out_table_done) struct out_table out = OUT_TABLE_INIT;
    out_add_column(&out, "column", UNIT_NONE, false);
    out_add_column(&out, "takes", UNIT_NONE, false);
    for (size_t i = N_SPECIAL_COLUMNS; i < table->n_columns; i++) {
        const struct column *c = &table->columns[i];
        if (!chosen || c == chosen) {
            CLEANUP(free_drop)
            char *takes = type_describe(&c->type, unit_of(table->name, c->name));
            struct json *cells = out_add_row(&out, c->name);
            cells[0] = json_string(&out.arena, c->name);
            cells[1] = json_stringf(&out.arena, "%s%s", takes,
                                    c->is_mutable ? "" : "; fixed once the row is there");
        }
    }
    struct out_style style = cli_style(cli, args);
    out_print(&out, &style, stdout);
    return NULL;
}

const struct command cmds_help[] = {
    { NULL, "explain", "TABLE [COLUMN]", "the columns of a table and what they take",
      cmd_explain, 0, NULL, "table column",
      "The live schema tells.  byre explain vm; byre explain vm.mem\n" },
    { NULL, "help", "[NOUN] [VERB]", "this overview, or one noun, or one command", cmd_help,
      CMD_OFFLINE },
    { NULL, "version", "", "the version of this program", cmd_version,
      CMD_OFFLINE | CMD_HIDDEN },
    { NULL },
};
