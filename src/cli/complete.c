/* cli/complete.c: what may come next on a command line.
 *
 * Names come from one select of the column that names a table's rows; a database that
 * does not answer at once gives none, for a shell must not hang on Tab. */
#include "cli/complete_i.h"

#include "cli/names_i.h"

#define PATIENCE_MS_TAB 300
#define CANDIDATES_MAX                                                                     \
    2000 /* Nobody reads more; the shell asks again with a longer prefix. */

struct completion {
    struct cli *cli;
    const char *prefix; /* The word being typed. */
    FILE *file;
    size_t n;
};

static void
offer(struct completion *c, const char *word)
{
    if (word && str_starts(word, c->prefix) && c->n++ < CANDIDATES_MAX) {
        fprintf(c->file, "%s\n", word);
    }
}

static void
offer_options(struct completion *c, const struct opt_spec *specs)
{
    for (const struct opt_spec *s = specs; s && s->name; s++) {
        CLEANUP(free_drop) char *word = str_dupf("--%s", s->name);
        offer(c, word);
    }
}

/* Of verbs with two words the first, once; behind it ('group') the second. */
static void
offer_verb(struct completion *c, const char *verb, const char *group, struct strvec *told)
{
    const char *rest = strchr(verb, ' ');
    size_t n_first = rest ? (size_t) (rest - verb) : strlen(verb);
    if (group) {
        bool in_it = rest && strlen(group) == n_first && str_starts(verb, group);
        offer(c, in_it ? rest + 1 : NULL);
        return;
    }
    CLEANUP(free_drop) char *first = str_dup_n(verb, n_first);
    for (size_t i = 0; i < told->n; i++) {
        if (str_eq(told->v[i], first)) {
            return;
        }
    }
    strvec_add(told, first);
    offer(c, first);
}

static void
offer_commands(struct completion *c, const char *noun, const char *group)
{
    const struct command *command;
    const char *last = "";
    struct strvec told = STRVEC_INIT;
    for (size_t i = 0; (command = command_at(i)); i++) {
        if (noun && str_eq(command->noun, noun)) {
            offer_verb(c, command->verb, group, &told);
        } else if (noun) {
            continue;
        } else if (!(command->flags & CMD_HIDDEN)) {
            const char *word = command->noun ? command->noun : command->verb;
            offer(c, str_eq(word, last) ? NULL : word);
            last = word;
        }
    }
    strvec_done(&told);
}

static void
offer_words(struct completion *c, const char *words)
{
    struct strvec list = STRVEC_INIT;
    strvec_split(&list, words, "|");
    for (size_t i = 0; i < list.n; i++) {
        offer(c, list.v[i]);
    }
    strvec_done(&list);
}

static void
offer_columns(struct completion *c, const char *table_name, const char *suffix)
{
    struct err *e = cli_connect(c->cli);
    const struct table_schema *table = NULL;
    if (!e) {
        table = schema_find_table(c->cli->schema, table_of_noun(table_name));
    }
    err_free(e);
    for (size_t i = N_SPECIAL_COLUMNS; table && i < table->n_columns; i++) {
        CLEANUP(free_drop) char *word = str_dupf("%s%s", table->columns[i].name, suffix);
        offer(c, word);
    }
}

static void
offer_rows(struct completion *c, const char *table_name)
{
    const struct table_schema *table;
    struct err *e = cli_connect(c->cli);
    if (!e) {
        e = db_table(c->cli, table_name, &table);
    }
    struct json ops = json_array();
    struct json results;
    struct labels labels = LABELS_INIT;
    size_t next = 0;
    if (!e) {
        labels_ask(c->cli, table, &ops);
        e = ops.n ? db_transact(c->cli, &ops, &results) : NULL;
    }
    if (!e && ops.n) {
        bool is_volume =
            str_eq(table->name, "volume"); /* Its labels come with those of pools. */
        labels_read(c->cli, &labels, table, &results, &next);
        struct strvec names = STRVEC_INIT;
        MAP_FOR_EACH (entry, &labels.by_uuid) {
            if (!is_volume || strchr(entry->value, '/')) {
                strvec_add(&names, entry->value);
            }
        }
        strvec_sort(&names);
        for (size_t i = 0; i < names.n; i++) {
            offer(c, names.v[i]);
        }
        strvec_done(&names);
    }
    labels_done(&labels);
    err_free(e);
}

static void
offer_tables(struct completion *c)
{
    struct err *e = cli_connect(c->cli);
    for (size_t i = 0; !e && i < c->cli->schema->n_tables; i++) {
        offer(c, c->cli->schema->tables[i].name);
    }
    err_free(e);
}

/* 'what': "table", "row", "column", "file", words "a|b", or a table's name. */
static void
offer_kind(struct completion *c, const char *what, const struct args *args)
{
    const char *table = args->command && args->command->noun ? args->command->noun
                        : args->pos.n                        ? args->pos.v[0]
                                                             : NULL;
    if (!what || str_eq(what, "file")) {
        return; /* The shell completes files itself when nothing is offered. */
    } else if (strchr(what, '|')) {
        offer_words(c, what);
    } else if (str_eq(what, "table")) {
        offer_tables(c);
    } else if (str_eq(what, "row")) {
        if (table) {
            offer_rows(c, table);
        }
    } else if (str_eq(what, "column")) {
        if (table) {
            offer_columns(c, table, "");
        }
    } else if (str_eq(what, "assignment")) {
        if (table) {
            offer_columns(c, table, "=");
        }
    } else {
        offer_rows(c, what);
    }
}

/* The word of 'list' for the i-th positional; the last repeats. */
static char *
nth_kind(const char *list, size_t i)
{
    struct strvec kinds = STRVEC_INIT;
    strvec_split(&kinds, list ? list : "", " ");
    char *kind = kinds.n ? str_dup(kinds.v[i < kinds.n ? i : kinds.n - 1]) : NULL;
    strvec_done(&kinds);
    return kind;
}

static const struct opt_spec *
opt_by_word(const struct args *args, const char *word)
{
    const struct opt_spec *lists[] = { opts_global, opts_list,
                                       args->command ? args->command->opts : NULL };
    for (size_t i = 0; i < N_ELEMS(lists); i++) {
        for (const struct opt_spec *s = lists[i]; s && s->name; s++) {
            if ((str_starts(word, "--") && str_eq(word + 2, s->name)) ||
                (word[0] == '-' && s->letter && word[1] == s->letter && !word[2])) {
                return s;
            }
        }
    }
    return NULL;
}

void
complete(struct cli *cli, char **words, size_t n_words, FILE *file)
{
    for (size_t i = n_words; i-- > 0;) { /* Only the command being typed counts. */
        if (str_eq(words[i], "--") && i + 1 < n_words) {
            words += i + 1;
            n_words -= i + 1;
            break;
        }
    }
    struct completion c = { cli, n_words ? words[n_words - 1] : "", file, 0 };
    size_t n_before = n_words ? n_words - 1 : 0;
    const char *previous = n_before ? words[n_before - 1] : "";

    struct args args = { 0 };
    err_free(args_parse(&args, words, n_before, true));
    const char *db = args_get(&args, "db");
    cli->remote = db ? db : cli->remote;
    cli->patience_ms = PATIENCE_MS_TAB;
    const struct opt_spec *opt = opt_by_word(&args, previous);
    if (opt && opt->arg) {
        offer_kind(&c, opt->complete, &args);
    } else if (c.prefix[0] == '-') {
        offer_options(&c, opts_global);
        if (args.command && args.command->flags & CMD_LIST) {
            offer_options(&c, opts_list);
        }
        offer_options(&c, args.command ? args.command->opts : NULL);
    } else if (!args.command) {
        offer_commands(&c, args.pos.n ? args.pos.v[0] : NULL,
                       args.pos.n > 1 ? args.pos.v[1] : NULL);
    } else {
        CLEANUP(free_drop) char *kind = nth_kind(args.command->complete, args.pos.n);
        offer_kind(&c, kind, &args);
    }
    args_done(&args);
}
