/* cli/args.c: one command's words into positionals and options.
 *
 * Options may stand anywhere and may be written "--name value", "--name=value", "-n
 * value" or "-nvalue".  A lone "-" is a positional (standard input).  There is no "--"
 * that ends options: it joins commands, as in ovs-vsctl. */
#include "cli/command_i.h"

#include "cli/suggest_i.h"

void
args_done(struct args *a)
{
    strvec_done(&a->pos);
    VEC_FOR_EACH (struct opt_value *o, &a->opts) {
        free(o->value);
    }
    VEC_DONE(&a->opts);
}

static const struct opt_spec *
find_opt(const struct opt_spec *specs, const char *name, size_t n, char letter)
{
    for (const struct opt_spec *s = specs; s && s->name; s++) {
        if (name ? strlen(s->name) == n && strncmp(s->name, name, n) == 0
                 : letter && s->letter == letter) {
            return s;
        }
    }
    return NULL;
}

/* Looks in the global options, in those of lists, and in the command's own. */
static const struct opt_spec *
lookup(const struct command *c, const char *word)
{
    bool is_long = str_starts(word, "--");
    const char *name = is_long ? word + 2 : NULL;
    size_t n = is_long ? strcspn(name, "=") : 0;
    char letter = is_long ? 0 : word[1];

    const struct opt_spec *s = find_opt(opts_global, name, n, letter);
    if (!s && (!c || c->flags & CMD_LIST)) {
        s = find_opt(opts_list, name, n, letter);
    }
    if (!s && c) {
        s = find_opt(c->opts, name, n, letter);
    }
    return s;
}

static void
add_names(struct strvec *names, const struct opt_spec *specs)
{
    for (const struct opt_spec *s = specs; s && s->name; s++) {
        strvec_addf(names, "--%s", s->name);
    }
}

static struct err *
unknown_option(const struct command *c, const char *word)
{
    struct strvec names = STRVEC_INIT;
    add_names(&names, opts_global);
    add_names(&names, c && c->flags & CMD_LIST ? opts_list : NULL);
    add_names(&names, c ? c->opts : NULL);

    CLEANUP(free_drop) char *name = str_dup_n(word, strcspn(word, "="));
    CLEANUP(free_drop) char *command = c ? command_name(c) : str_dup("help");
    const char *near = suggest(name, &names);
    struct err *e = err_new(ERR_SYNTAX, "unknown option %s", name);
    if (near) {
        e = err_hint(e, "did you mean: %s", near);
    } else {
        e = err_hint(e, "byre %s --help lists the options", command);
    }
    strvec_done(&names);
    return e;
}

/* Takes the option at words[*i] and its value; moves *i on the last word used. */
static struct err *
take_option(struct args *a, char *const *words, size_t n_words, size_t *i, bool lenient)
{
    const char *word = words[*i];
    const struct opt_spec *spec = lookup(a->command, word);
    const char *inlined = NULL;
    if (str_starts(word, "--")) {
        inlined = strchr(word, '=');
        inlined = inlined ? inlined + 1 : NULL;
    } else if (word[1] && word[2]) {
        inlined = word + 2;
    }

    if (!spec) {
        return lenient ? NULL : unknown_option(a->command, word);
    } else if (!spec->arg) {
        if (inlined && !lenient) {
            return err_new(ERR_SYNTAX, "option --%s takes no value", spec->name);
        }
        *VEC_ADD(&a->opts) = (struct opt_value){ spec, NULL };
        return NULL;
    } else if (!inlined) {
        if (*i + 1 >= n_words) {
            return lenient ? NULL
                           : err_hint(err_new(ERR_SYNTAX, "option --%s needs a value",
                                              spec->name),
                                      "--%s %s: %s", spec->name, spec->arg, spec->help);
        }
        inlined = words[++*i];
    }
    *VEC_ADD(&a->opts) = (struct opt_value){ spec, str_dup(inlined) };
    return NULL;
}

static bool
is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

/* Finds the command from the first words that are no options.  Those options that
 * precede it are global ones, so their values can be told apart. */
static struct err *
find_command(struct args *a, char *const *words, size_t n_words, size_t *ret_used)
{
    struct strvec plain = STRVEC_INIT;
    for (size_t i = 0; i < n_words && plain.n < 3; i++) {
        if (!is_option(words[i])) {
            strvec_add(&plain, words[i]);
            continue;
        }
        const struct opt_spec *spec = lookup(NULL, words[i]);
        bool inlined = str_starts(words[i], "--") ? strchr(words[i], '=') != NULL
                                                  : words[i][2] != '\0';
        i += spec && spec->arg && !inlined;
    }
    struct err *e = command_find(&plain, &a->command, ret_used);
    strvec_done(&plain);
    return e;
}

static struct err *
check_arity(const struct args *a)
{
    size_t min, max;
    command_arity(a->command, &min, &max);
    if (a->pos.n >= min && a->pos.n <= max) {
        return NULL;
    }
    CLEANUP(free_drop) char *name = command_name(a->command);
    struct err *e =
        a->pos.n < min
            ? err_new(ERR_SYNTAX, "%s needs %s", name, a->command->args)
            : err_new(ERR_SYNTAX, "%s does not take \"%s\"", name, a->pos.v[max]);
    return err_hint(e, "usage: byre %s %s", name, a->command->args);
}

struct err *
args_parse(struct args *a, char *const *words, size_t n_words, bool lenient)
{
    size_t n_name = 0;
    struct err *e = find_command(a, words, n_words, &n_name);
    if (e && !lenient) {
        return e;
    }
    err_free(e);

    for (size_t i = 0; i < n_words; i++) {
        if (is_option(words[i])) {
            TRY(take_option(a, words, n_words, &i, lenient));
        } else if (n_name) {
            n_name--;
        } else {
            strvec_add(&a->pos, words[i]);
        }
    }
    return lenient || args_has(a, "help") ? NULL : check_arity(a);
}

const char *
args_nth(const struct args *a, const char *opt, size_t nth)
{
    for (size_t i = 0; i < a->opts.n; i++) {
        if (str_eq(a->opts.v[i].spec->name, opt) && nth-- == 0) {
            return a->opts.v[i].value ? a->opts.v[i].value : "";
        }
    }
    return NULL;
}

bool
args_has(const struct args *a, const char *opt)
{
    return args_nth(a, opt, 0) != NULL;
}

const char *
args_get(const struct args *a, const char *opt)
{
    const char *last = NULL;
    const char *value;
    for (size_t i = 0; (value = args_nth(a, opt, i)); i++) {
        last = value;
    }
    return last;
}

struct err *
args_int(const struct args *a, const char *opt, int64_t min, int64_t max, int64_t *ret)
{
    const char *text = args_get(a, opt);
    int64_t value;
    if (!text) {
        return NULL;
    } else if (!str_to_i64(text, &value)) {
        return err_new(ERR_SYNTAX, "--%s must be a whole number, not \"%s\"", opt, text);
    } else if (value < min || value > max) {
        return err_new(ERR_SYNTAX, "--%s must be %" PRId64 " to %" PRId64 ", not %s", opt,
                       min, max, text);
    }
    *ret = value;
    return NULL;
}

struct err *
parse_size(const char *what, const char *text, int64_t unit, int64_t *ret_bytes)
{
    int64_t bytes;
    if (str_to_i64(text, &bytes) && bytes >= 0 && bytes <= INT64_MAX / unit) {
        *ret_bytes = bytes * unit;
        return NULL;
    }
    struct err *e = err_wrap(str_to_bytes(text, &bytes), "%s \"%s\"", what, text);
    if (e) {
        return err_hint(e, "a size is a whole number with a unit: 512M, 10G, 4096");
    }
    *ret_bytes = bytes;
    return NULL;
}

struct err *
args_size(const struct args *a, const char *opt, int64_t unit, int64_t *ret_bytes)
{
    const char *text = args_get(a, opt);
    if (!text) {
        return NULL;
    }
    CLEANUP(free_drop) char *what = str_dupf("--%s", opt);
    return parse_size(what, text, unit, ret_bytes);
}
