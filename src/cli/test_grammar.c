/* cli/test_grammar.c: command lines: what they mean, and what is said about those that mean
 * nothing. */
#include "test.h"

#include "cli/command_i.h"
#include "cli/fail_i.h"
#include "cli/suggest_i.h"
#include "cli/values_i.h"

static const struct {
    const char *line;
    const char *want; /* "COMMAND|positional|...|--opt=value..." or the error. */
    const char *next; /* The hint of an error; NULL: not looked at. */
} lines[] = {
    /* clang-format off */
    { "vm start demo", "vm start|demo", NULL },
    { "vm start a b c", "vm start|a|b|c", NULL },
    { "-o json vm list", "vm list|--output=json", NULL },
    { "vm list -ojson --sort -mem -w", "vm list|--output=json|--sort=-mem|--watch=", NULL },
    { "vm list --where=mem>5 --where x", "vm list|--where=mem>5|--where=x", NULL },
    { "volume info x", "vol info|x", NULL },
    { "vm ls", "vm list", NULL },
    { "vm rm x", "vm delete|x", NULL },
    { "vm rm x --volumes", "vm delete|x|--volumes=", NULL },
    { "--db unix:x vm start demo", "vm start|demo|--db=unix:x", NULL },
    { "pool define -", "pool define|-", NULL },
    { "set vm demo mem=5", "set|vm|demo|mem=5", NULL },
    { "vm wait", "2: vm wait needs NAME...", "usage: byre vm wait NAME..." },
    { "cluster init a b", "2: cluster init does not take \"b\"", "usage: byre cluster init [NAME]" },
    { "vm strat demo", "2: vm has no verb \"strat\"", "did you mean: byre vm start" },
    { "vn list", "2: there is no command \"vn\"", "did you mean: byre vm" },
    { "start vm demo", "2: there is no command \"start\"", "byre vm start: the noun comes first" },
    { "start demo", "2: there is no command \"start\"", "did you mean: byre vm start" },
    { "vm list --colums x", "2: unknown option --colums", "did you mean: --columns" },
    { "vm start --where x", "2: unknown option --where", NULL },
    { "vm list --output", "2: option --output needs a value", NULL },
    { "vm stop x --force=1", "2: option --force takes no value", NULL },
    { "vm", "2: vm needs a verb", NULL },
    { "vm snapshot create web s1", "vm snapshot create|web|s1", NULL },
    { "vm snapshot ls web", "vm snapshot list|web", NULL },
    { "vm snapshot", "2: vm snapshot needs a verb", NULL },
    { "", "2: no command was given", "byre help" },
    /* clang-format on */
};

static void
describe(const struct args *a, struct buf *b)
{
    CLEANUP(free_drop) char *name = command_name(a->command);
    buf_str(b, name);
    for (size_t i = 0; i < a->pos.n; i++) {
        buf_printf(b, "|%s", a->pos.v[i]);
    }
    for (size_t i = 0; i < a->opts.n; i++) {
        const char *value = a->opts.v[i].value;
        buf_printf(b, "|--%s=%s", a->opts.v[i].spec->name, value ? value : "");
    }
}

TEST(command_lines)
{
    for (size_t i = 0; i < N_ELEMS(lines); i++) {
        struct strvec words = STRVEC_INIT;
        struct args args = { 0 };
        CLEANUP(buf_done) struct buf got = BUF_INIT;
        strvec_split(&words, lines[i].line, " ");
        struct err *e = args_parse(&args, words.v, words.n, false);
        if (e) {
            buf_printf(&got, "%d: %s", (int) fail_exit_code(e), err_text(e));
            if (lines[i].next) {
                CHECK_STR(lines[i].line, err_next(e), lines[i].next);
            }
            err_free(e);
        } else {
            describe(&args, &got);
        }
        CHECK_STR(lines[i].line, buf_cstr(&got), lines[i].want);
        args_done(&args);
        strvec_done(&words);
    }
}

/* The table of commands itself: each can be found by its own words, and has what help
 * needs. */
TEST(every_command_is_whole)
{
    const struct command *c, *found;
    for (size_t i = 0; (c = command_at(i)); i++) {
        struct strvec words = STRVEC_INIT;
        size_t n_used, min, max;
        CLEANUP(free_drop) char *name = command_name(c);
        strvec_split(&words, name, " ");
        CHECK_OK(name, command_find(&words, &found, &n_used));
        CHECK(name, found == c && c->help && c->run && c->args);
        command_arity(c, &min, &max);
        CHECK(name, min <= max);
        for (const struct opt_spec *o = c->opts; o && o->name; o++) {
            CHECK(o->name, o->help && o->help[0]);
        }
        strvec_done(&words);
    }
}

static const struct {
    const char *word, *want;
} suggestions[] = {
    { "strat", "start" }, { "sta", "start" },      { "shutdwon", "shutdown" },
    { "xyzzy", NULL },    { "START", "start" },    { "pauze", "pause" },
    { "", NULL },         { "resumed", "resume" },
};

TEST(suggesting)
{
    struct strvec words = STRVEC_INIT;
    strvec_split(&words, "start stop shutdown pause resume", " ");
    for (size_t i = 0; i < N_ELEMS(suggestions); i++) {
        CHECK_STR(suggestions[i].word, suggest(suggestions[i].word, &words),
                  suggestions[i].want);
    }
    strvec_done(&words);
    CHECK_INT("a swap is one slip", edit_distance("ab", "ba"), 1);
    CHECK_INT("replace", edit_distance("abc", "abd"), 1);
    CHECK_INT("all", edit_distance("", "abc"), 3);
}

static const struct {
    const char *text, *want;
} assignments[] = {
    { "mem=5", "mem = 5" }, { "mem<=5", "mem <= 5" },
    { "mem<5", "mem < 5" }, { "name~^a=b", "name ~ ^a=b" },
    { "a!=b", "a != b" },   { "x=", "x = " },
    { "=5", NULL },         { "mem", NULL },
    { "a-b=c", NULL },
};

TEST(conditions)
{
    static const char *const ops[] = { "!=", "<=", ">=", "=", "<", ">", "~", NULL };
    for (size_t i = 0; i < N_ELEMS(assignments); i++) {
        CLEANUP(free_drop) char *column = NULL;
        const char *op, *value;
        struct err *e = split_assignment(assignments[i].text, ops, &column, &op, &value);
        if (!assignments[i].want) {
            CHECK_ERR(assignments[i].text, e, ERR_SYNTAX);
            continue;
        }
        CHECK_OK(assignments[i].text, e);
        CLEANUP(free_drop) char *got = str_dupf("%s %s %s", column, op, value);
        CHECK_STR(assignments[i].text, got, assignments[i].want);
    }
}

TEST(sizes)
{
    int64_t bytes = 0;
    CHECK_OK("units", parse_size("x", "2G", MIB, &bytes));
    CHECK_INT("units", bytes, 2 * GIB);
    CHECK_OK("no unit is the option's", parse_size("x", "512", MIB, &bytes));
    CHECK_INT("no unit is the option's", bytes, 512 * MIB);
    CHECK_ERR("words", parse_size("x", "big", 1, &bytes), ERR_SYNTAX);
    CHECK_ERR("negative", parse_size("x", "-1", 1, &bytes), ERR_SYNTAX);
}

TEST(failures_in_three_lines)
{
    char *text = NULL;
    size_t n;
    FILE *file = open_memstream(&text, &n);
    struct err *e =
        err_hint(err_wrap(err_new(ERR_NOT_FOUND, "there is no vol \"x\""), "vm web"),
                 "did you mean: y");
    fail_print(e, "vm create", file);
    fclose(file);
    CHECK_STR("lines", text,
              "byre: vm web\n  why:  there is no vol \"x\"\n  next: did you mean: y\n");
    CHECK_INT("code", fail_exit_code(e), EXIT_NOT_FOUND);
    free(text);
    err_free(e);

    file = open_memstream(&text, &n);
    e = fail_as(err_new(ERR_IO, "a\033[2J\nb"), EXIT_NOT_APPLIED);
    fail_print(e, "vm start", file);
    fclose(file);
    CHECK("no control bytes", !strchr(text, '\033'));
    CHECK_INT("a fixed code wins", fail_exit_code(e), EXIT_NOT_APPLIED);
    free(text);
    err_free(e);
}
