/* cli/help.c: help, made from the table of commands, so that it cannot be out of date. */
#include "cli/help_i.h"

#include "cli/cli_i.h"

#ifndef BYRE_VERSION
#define BYRE_VERSION "0"
#endif

#define HELP_COLUMN 38 /* Where the one-line help begins. */

static void
put_entry(const char *left, const char *help, FILE *file)
{
    if (strlen(left) > HELP_COLUMN - 2) {
        fprintf(file, "  %s\n  %*s%s\n", left, HELP_COLUMN, "", help);
    } else {
        fprintf(file, "  %-*s%s\n", HELP_COLUMN, left, help);
    }
}

static void
put_command(const struct command *c, FILE *file)
{
    CLEANUP(free_drop) char *name = command_name(c);
    CLEANUP(free_drop)
    char *left = str_dupf("%s%s%s", name, c->args[0] ? " " : "", c->args);
    put_entry(left, c->help, file);
}

static void
put_options(const struct opt_spec *specs, FILE *file)
{
    for (const struct opt_spec *s = specs; s && s->name; s++) {
        char letter[] = { '-', s->letter, ',', ' ', '\0' };
        CLEANUP(free_drop)
        char *left = str_dupf("%s--%s%s%s", s->letter ? letter : "    ", s->name,
                              s->arg ? " " : "", s->arg ? s->arg : "");
        put_entry(left, s->help, file);
    }
}

void
help_overview(FILE *file)
{
    fputs(
        "byre: virtual machines and storage pools, by a database.\n\n"
        "usage: byre [OPTION...] COMMAND [ARG...] [-- COMMAND [ARG...]]...\n\n"
        "Changes joined by -- are one transaction.  A change waits until the host has made it\n"
        "true.  Names may be patterns ('web*').\n",
        file);
    const struct command *c;
    const char *noun = "";
    for (size_t i = 0; (c = command_at(i)); i++) {
        if (c->flags & CMD_HIDDEN) {
            continue;
        }
        const char *group = c->noun ? c->noun : "any table";
        if (!str_eq(noun, group)) {
            fprintf(file, "\n%s\n", group);
            noun = group;
        }
        put_command(c, file);
    }
    fputs("\noptions of every command\n", file);
    put_options(opts_global, file);
    fputs(
        "\nexit codes: 0 done, 1 refused, 2 usage, 3 not found, 4 no permission, 5 committed but\n"
        "not applied, 6 timed out while waiting, 7 the database cannot be reached.\n"
        "See byre(1).  byre COMMAND --help explains one command.\n",
        file);
}

void
help_version(FILE *file)
{
    fprintf(file, "byre %s\n", BYRE_VERSION);
}

bool
help_noun(const char *noun, FILE *file)
{
    const struct command *c;
    bool found = false;
    for (size_t i = 0; (c = command_at(i)); i++) {
        if (str_eq(c->noun, noun)) {
            put_command(c, file);
            found = true;
        }
    }
    if (found) {
        fprintf(file, "\nbyre %s VERB --help explains one of them.\n", noun);
    }
    return found;
}

void
help_command(const struct command *c, FILE *file)
{
    CLEANUP(free_drop) char *name = command_name(c);
    fprintf(file, "byre %s: %s\n\nusage: byre %s%s%s%s\n", name, c->help, name,
            c->opts || c->flags & CMD_LIST ? " [OPTION...]" : "", c->args[0] ? " " : "",
            c->args);
    if (c->more) {
        fprintf(file, "\n%s", c->more);
    }
    if (c->opts) {
        fputs("\noptions\n", file);
        put_options(c->opts, file);
    }
    if (c->flags & CMD_LIST) {
        fputs("\noptions of lists\n", file);
        put_options(opts_list, file);
    }
    fputs("\noptions of every command\n", file);
    put_options(opts_global, file);
}
