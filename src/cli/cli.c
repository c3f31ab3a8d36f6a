/* cli/cli.c: one run of `byre`: split the line at "--", parse each command, run them,
 * commit once, wait, and end with the exit code that tells. */
#include "cli/cli.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/cli_i.h"
#include "cli/complete_i.h"
#include "cli/help_i.h"
#include "cli/xm_i.h"
#include "loop/loop.h"

#define SYSTEM_DB "unix:/run/byre/db.sock"
#define COMMANDS_MAX 256

struct line {
    struct args commands[COMMANDS_MAX];
    size_t n;
};

static void
line_done(struct line *line)
{
    for (size_t i = 0; i < line->n; i++) {
        args_done(&line->commands[i]);
    }
}

/* Splits at "--" and parses each part. */
static struct err *
line_parse(struct line *line, char **words, size_t n_words)
{
    for (size_t start = 0, i = 0; i <= n_words; i++) {
        if (i < n_words && !str_eq(words[i], "--")) {
            continue;
        } else if (line->n == COMMANDS_MAX) {
            return err_new(ERR_SYNTAX, "more than %d commands in one line", COMMANDS_MAX);
        }
        TRY(args_parse(&line->commands[line->n++], words + start, i - start, false));
        start = i + 1;
    }
    return NULL;
}

/* Options count for the whole line, wherever they stand. */
static const char *
line_get(const struct line *line, const char *opt)
{
    const char *value = NULL;
    for (size_t i = 0; i < line->n; i++) {
        const char *here = args_get(&line->commands[i], opt);
        value = here ? here : value;
    }
    return value;
}

static struct err *
read_options(struct cli *cli, const struct line *line)
{
    const char *db = line_get(line, "db");
    const char *env = getenv("BYRE_DB");
    const char *format = line_get(line, "output");
    int64_t timeout_s = TIMEOUT_MS_DEFAULT / 1000;

    cli->remote = db && db[0] ? db : env && env[0] ? env : SYSTEM_DB;
    if (cli->remote[0] == '/' || cli->remote[0] == '.') { /* A bare path is meant as one. */
        cli->remote = arena_printf(&cli->arena, "unix:%s", cli->remote);
    }
    if (format && !out_format_parse(format, &cli->format)) {
        return err_hint(err_new(ERR_SYNTAX, "-o %s is no format", format), OUT_FORMATS);
    }
    for (size_t i = 0; i < line->n; i++) {
        TRY(args_int(&line->commands[i], "timeout", 0, 86400 * 365, &timeout_s));
    }
    cli->timeout_ms = timeout_s * 1000;
    cli->timeout_said = line_get(line, "timeout") != NULL;
    cli->no_wait = line_get(line, "no-wait");
    cli->dry_run = line_get(line, "dry-run");
    cli->quiet = line_get(line, "quiet");
    cli->exact = line_get(line, "exact");
    cli->raw = line_get(line, "raw");
    return NULL;
}

static void
look_at_terminal(struct cli *cli)
{
    struct winsize size;
    cli->tty_in = isatty(STDIN_FILENO);
    cli->tty_out = isatty(STDOUT_FILENO);
    cli->tty_err = isatty(STDERR_FILENO);
    if (cli->tty_err && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0) {
        cli->columns_out = size.ws_col;
    }
}

struct out_style
cli_style(const struct cli *cli, const struct args *args)
{
    return (struct out_style){ .format = cli->format,
                               .no_headers = args_has(args, "no-headers"),
                               .is_tty = cli->tty_out };
}

void
cli_say(const struct cli *cli, const char *fmt, ...)
{
    va_list args;
    if (!cli->quiet) {
        va_start(args, fmt);
        vprintf(fmt, args);
        va_end(args);
        putchar('\n');
    }
}

/* "byre vm create; vm start": what the log of the database tells.  No values: they may
 * be secret. */
static const char *
comment_of(struct cli *cli, const struct line *line)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    if (cli->as) {
        return cli->as;
    }
    buf_str(&b, "byre");
    for (size_t i = 0; i < line->n; i++) {
        CLEANUP(free_drop) char *name = command_name(line->commands[i].command);
        buf_printf(&b, "%s %s", i ? ";" : "", name);
    }
    return arena_str(&cli->arena, buf_cstr(&b));
}

static struct err *
check_joined(const struct line *line)
{
    for (size_t i = 0; i < line->n && line->n > 1; i++) {
        const struct command *c = line->commands[i].command;
        if (!(c->flags & CMD_CHANGE)) {
            CLEANUP(free_drop) char *name = command_name(c);
            return err_hint(err_new(ERR_SYNTAX, "%s is no change", name),
                            "only changes are joined by --; run it by itself");
        }
    }
    return NULL;
}

static struct err *
run_line(struct cli *cli, const struct line *line)
{
    TRY(check_joined(line));
    cli->change.comment = comment_of(cli, line);
    cli->joined = line->n > 1;
    for (size_t i = 0; i < line->n; i++) {
        const struct command *c = line->commands[i].command;
        if (!(c->flags & CMD_OFFLINE)) {
            TRY(cli_connect(cli));
        }
        TRY(c->run(cli, &line->commands[i]));
    }
    TRY(change_commit(cli));
    return change_wait(cli);
}

/* What failed, when the error does not say: the command, or the first two of several. */
static char *
line_name(const struct line *line, char **words, size_t n_words)
{
    if (line->n == 0 || !line->commands[0].command) { /* Nothing that is known. */
        return str_dupf("%s%s%s", n_words ? words[0] : "", n_words > 1 ? " " : "",
                        n_words > 1 ? words[1] : "");
    }
    CLEANUP(free_drop) char *name = command_name(line->commands[0].command);
    const struct strvec *pos = &line->commands[0].pos;
    return str_dupf("%s%s%s%s", name, pos->n ? " " : "", pos->n ? pos->v[0] : "",
                    line->n > 1 ? " --..." : "");
}

static enum exit_code
run(struct cli *cli, struct line *line, char **words, size_t n_words)
{
    struct err *e = line_parse(line, words, n_words);
    if (!e) {
        e = read_options(cli, line);
    }
    if (!e && line_get(line, "help")) {
        help_command(line->commands[0].command, stdout);
        return EXIT_DONE;
    }
    if (!e) {
        e = run_line(cli, line);
    }
    if (!e && fflush(stdout) != 0 && errno != EPIPE) {
        e = err_io(errno, "write the output");
    }
    enum exit_code code = fail_exit_code(e);
    if (e) {
        fflush(stdout);
        CLEANUP(free_drop) char *name = line_name(line, words, n_words);
        if (code == EXIT_USAGE && line->n && line->commands[0].command) {
            CLEANUP(free_drop) char *command = command_name(line->commands[0].command);
            e = err_hint(e, "byre %s --help explains it", command);
        }
        fail_print(e, name, stderr);
        err_free(e);
    }
    return code;
}

struct err *
cli_run_words(struct cli *cli, char **words, size_t n_words)
{
    struct line *line = NEW(struct line);
    bool quiet = cli->quiet;
    struct err *e = line_parse(line, words, n_words);
    e = e ? e : read_options(cli, line);
    cli->quiet |= quiet;
    e = e ? e : run_line(cli, line);
    line_done(line);
    free(line);
    return e;
}

void
cli_init(struct cli *cli)
{
    const char *env = getenv("BYRE_DB");
    *cli = (struct cli){ .arena = ARENA_INIT,
                         .patience_ms = PATIENCE_MS,
                         .timeout_ms = TIMEOUT_MS_DEFAULT,
                         .remote = env && env[0] ? env : SYSTEM_DB };
    look_at_terminal(cli);
}

void
cli_done(struct cli *cli)
{
    change_done(&cli->change);
    err_free(cli->lost);
    schema_unref(cli->schema);
    replica_free(cli->replica);
    loop_free(cli->loop);
    arena_done(&cli->arena);
}

/* "--help" or "--version" before any command, or nothing at all. */
static bool
answer_without_command(int argc, char **argv, enum exit_code *ret)
{
    *ret = EXIT_DONE;
    if (argc < 2) {
        help_overview(stderr);
        *ret = EXIT_USAGE;
        return true;
    } else if (str_eq(argv[1], "--version") || str_eq(argv[1], "-V")) {
        help_version(stdout);
        return true;
    } else if (argc == 2 && (str_eq(argv[1], "--help") || str_eq(argv[1], "-h"))) {
        help_overview(stdout);
        return true;
    } else if (argc == 3 && (str_eq(argv[2], "--help") || str_eq(argv[2], "-h")) &&
               help_noun(argv[1], stdout)) {
        return true;
    }
    return false;
}

int
cli_main(int argc, char **argv)
{
    enum exit_code code;
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) { /* Names are UTF-8, whatever the caller's locale says or not. */
        setlocale(LC_CTYPE, "C.UTF-8");
    }
    if (argc > 0 && str_eq(path_base(argv[0]), "xm")) {
        return xm_main(argc, argv);
    } else if (answer_without_command(argc, argv, &code)) {
        return code;
    }
    struct cli cli;
    cli_init(&cli);
    if (str_eq(argv[1], "--complete")) {
        complete(&cli, argv + 2, (size_t) argc - 2, stdout);
        cli_done(&cli);
        return EXIT_DONE;
    }
    struct line *line = NEW(struct line);
    code = run(&cli, line, argv + 1, (size_t) argc - 1);
    line_done(line);
    free(line);
    cli_done(&cli);
    return (int) code;
}
