/* cli/command.c: finds a command by its words, and says what was probably meant. */
#include "cli/command_i.h"

#include "cli/out_i.h"
#include "cli/suggest_i.h"

const struct opt_spec opts_global[] = {
    { "db", "REMOTE", "database: unix:PATH, tcp:HOST:PORT (else $BYRE_DB)", "file" },
    { "timeout", "SECONDS", "how long to wait for the effect of a change (60)" },
    { "no-wait", NULL, "return when the change is committed" },
    { "dry-run", NULL, "show what would change; change nothing" },
    { "output", "FORMAT", OUT_FORMATS, "table|wide|json|jsonl|csv|yaml|name", 'o' },
    { "quiet", NULL, "print nothing but errors and what was asked for", NULL, 'q' },
    { "exact", NULL, "take names literally: no unique prefixes, no patterns" },
    { "raw", NULL, "print references as UUIDs, not as names" },
    { "help", NULL, "explain the command", NULL, 'h' },
    { "version", NULL, "print the version" },
    { NULL },
};

const struct opt_spec opts_list[] = {
    { "columns", "A,B", "which columns, in this order", "column", 'c' },
    { "where", "COL=VAL", "only such rows; also != < > <= >= ~REGEX; may be repeated" },
    { "sort", "[-]COL", "by this column; - for descending" },
    { "no-headers", NULL, "leave out the line of headers" },
    { "watch", NULL, "go on printing what changes", NULL, 'w' },
    { NULL },
};

static const struct command *const command_files[] = {
    cmds_cluster, cmds_node, cmds_pool,     cmds_vol,     cmds_image, cmds_preset,
    cmds_vmi,     cmds_vm,   cmds_vm_parts, cmds_network, cmds_ip,    cmds_job,
    cmds_stats,   cmds_top,  cmds_table,    cmds_help,
};

const struct command *
command_at(size_t i)
{
    for (size_t f = 0; f < N_ELEMS(command_files); f++) {
        for (const struct command *c = command_files[f]; c->verb; c++) {
            if (i-- == 0) {
                return c;
            }
        }
    }
    return NULL;
}

char *
command_name(const struct command *c)
{
    return c->noun ? str_dupf("%s %s", c->noun, c->verb) : str_dup(c->verb);
}

void
command_arity(const struct command *c, size_t *ret_min, size_t *ret_max)
{
    struct strvec words = STRVEC_INIT;
    strvec_split(&words, c->args, " ");

    *ret_min = *ret_max = 0;
    for (size_t i = 0; i < words.n; i++) {
        *ret_min += words.v[i][0] != '[';
        *ret_max += *ret_max != SIZE_MAX;
        if (strstr(words.v[i], "...")) {
            *ret_max = SIZE_MAX;
        }
    }
    strvec_done(&words);
}

/* People say image, ls, rm; the table says vmi, list, delete. */
static const char *
noun_alias(const char *word)
{
    static const char *const aliases[][2] = {
        { "images", "image" },  { "volume", "vol" },  { "host", "node" },
        { "hostnode", "node" }, { "vms", "vm" },      { "pools", "pool" },
        { "volumes", "vol" },   { "domain", "vm" },   { "nodes", "node" },
        { "jobs", "job" },      { "instance", "vm" }, { "template", "vmi" },
    };
    for (size_t i = 0; i < N_ELEMS(aliases); i++) {
        if (str_eq(word, aliases[i][0])) {
            return aliases[i][1];
        }
    }
    return word;
}

static const char *
verb_alias(const char *word)
{
    static const char *const aliases[][2] = {
        { "ls", "list" },    { "rm", "delete" },     { "show", "info" },
        { "new", "create" }, { "dominfo", "info" },  { "suspend", "pause" },
        { "up", "start" },   { "down", "shutdown" },
    };
    for (size_t i = 0; i < N_ELEMS(aliases); i++) {
        if (str_eq(word, aliases[i][0])) {
            return aliases[i][1];
        }
    }
    return word;
}

static const struct command *
find_exact(const char *noun, const char *verb)
{
    const struct command *c;
    for (size_t i = 0; (c = command_at(i)); i++) {
        if (str_eq(c->noun, noun) && str_eq(c->verb, verb)) {
            return c;
        }
    }
    return NULL;
}

/* "vm snapshot create": the verb has two words. */
static const struct command *
find_long(const char *noun, const struct strvec *words)
{
    if (words->n < 3) {
        return NULL;
    }
    CLEANUP(free_drop) char *verb = str_dupf("%s %s", words->v[1], words->v[2]);
    CLEANUP(free_drop)
    char *other = str_dupf("%s %s", words->v[1], verb_alias(words->v[2]));
    const struct command *c = find_exact(noun, verb);
    return c ? c : find_exact(noun, other);
}

static bool
is_noun(const char *word)
{
    const struct command *c;
    for (size_t i = 0; (c = command_at(i)); i++) {
        if (str_eq(c->noun, word)) {
            return true;
        }
    }
    return false;
}

/* 'word' is neither noun nor generic verb. */
static struct err *
no_such_command(const struct strvec *words)
{
    const char *word = words->v[0];
    struct strvec known = STRVEC_INIT;
    const struct command *c;
    struct err *e = err_new(ERR_SYNTAX, "there is no command \"%s\"", word);

    if (words->n > 1 && find_exact(noun_alias(words->v[1]), verb_alias(word))) {
        e = err_hint(e, "byre %s %s: the noun comes first", noun_alias(words->v[1]),
                     verb_alias(word));
        return e;
    }
    if (find_exact("vm", verb_alias(word))) { /* Most verbs are machines'. */
        return err_hint(e, "did you mean: byre vm %s", verb_alias(word));
    }
    for (size_t i = 0; (c = command_at(i)); i++) {
        if (!(c->flags & CMD_HIDDEN)) {
            strvec_add(&known, c->noun ? c->noun : c->verb);
        }
    }
    const char *near = suggest(word, &known);
    if (near) {
        e = err_hint(e, "did you mean: byre %s", near);
    } else {
        e = err_hint(e, "byre help lists the commands");
    }
    strvec_done(&known);
    return e;
}

static struct err *
no_such_verb(const char *noun, const char *verb)
{
    struct strvec known = STRVEC_INIT;
    const struct command *c;
    CLEANUP(free_drop) char *begin = str_dupf("%s ", verb ? verb : "");
    bool is_group = false; /* "vm snapshot" alone. */
    for (size_t i = 0; verb && (c = command_at(i)); i++) {
        is_group |= str_eq(c->noun, noun) && str_starts(c->verb, begin);
    }
    for (size_t i = 0; (c = command_at(i)); i++) {
        if (str_eq(c->noun, noun) && (!is_group || str_starts(c->verb, begin))) {
            strvec_add(&known, c->verb);
        }
    }
    const char *near = verb && !is_group ? suggest(verb, &known) : NULL;
    CLEANUP(free_drop) char *all = strvec_join(&known, ", ");

    struct err *e = is_group ? err_new(ERR_SYNTAX, "%s %s needs a verb", noun, verb)
                    : verb   ? err_new(ERR_SYNTAX, "%s has no verb \"%s\"", noun, verb)
                             : err_new(ERR_SYNTAX, "%s needs a verb", noun);
    if (near) {
        e = err_hint(e, "did you mean: byre %s %s", noun, near);
    } else {
        e = err_hint(e, "one of: %s", all);
    }
    strvec_done(&known);
    return e;
}

struct err *
command_find(const struct strvec *words, const struct command **ret, size_t *ret_used)
{
    if (words->n == 0) {
        return err_hint(err_new(ERR_SYNTAX, "no command was given"), "byre help");
    }
    const char *noun = noun_alias(words->v[0]);
    const struct command *c = find_exact(NULL, words->v[0]);
    if (c) {
        *ret = c;
        *ret_used = 1;
        return NULL;
    } else if (!is_noun(noun)) {
        return no_such_command(words);
    } else if (words->n < 2) {
        return no_such_verb(noun, NULL);
    }
    c = find_long(noun, words);
    if (c) {
        *ret = c;
        *ret_used = 3;
        return NULL;
    }
    c = find_exact(noun, words->v[1]);
    if (!c) {
        c = find_exact(noun, verb_alias(words->v[1]));
    }
    if (!c) {
        return no_such_verb(noun, words->v[1]);
    }
    *ret = c;
    *ret_used = 2;
    return NULL;
}
