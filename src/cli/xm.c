/* cli/xm.c: the personality xm: its subcommands, their arguments, and how it fails.  See xm_i.h. */
#include "cli/xm_i.h"

#include <unistd.h>

#include "base/clock.h"
#include "cli/agent_i.h"
#include "loop/loop.h"

#define SHELL_LINE_MAX 4096
#define SHELL_WORDS_MAX 64

struct xm_command {
    const char *name, *args, *help;
    size_t min, max;  /* Arguments. */
    const char *opts; /* "l,long p,port= ...": short, long, "=" if it takes a value. */
    struct err *(*run)(struct cli *, const struct xm_args *);
};

/* clang-format off */
static const struct xm_command commands[] = {
    { "console", "[-q|--quiet] <Domain>", "Attach to <Domain>'s console.", 1, 1, "q,quiet n,num=", xm_console },
    { "vncviewer", "[-a|--vncviewer-autopass] <Domain>", "Attach to <Domain>'s VNC server.", 1, 1,
      "a,vncviewer-autopass", xm_vncviewer },
    { "create", "<ConfigFile> [options] [vars]", "Create a domain based on <ConfigFile>.", 0, SIZE_MAX,
      "q,quiet f,defconfig= F,config= n,dryrun p,paused c,console_autoconnect P,path=", xm_create },
    { "new", "<ConfigFile> [options] [vars]", "Adds a domain to Xend domain management", 0, SIZE_MAX,
      "q,quiet f,defconfig= F,config= n,dryrun P,path=", xm_new },
    { "delete", "<DomainName>", "Remove a domain from Xend domain management.", 1, 1, "F,force", xm_delete },
    { "destroy", "<Domain>", "Terminate a domain immediately.", 1, 1, "", xm_destroy },
    { "dump-core", "[-L|--live] [-C|--crash] [-R|--reset] <Domain> [Filename]",
      "Dump core for a specific domain.", 1, 2, "L,live C,crash R,reset", xm_dump_core },
    { "help", "", "Display this message.", 0, 1, "l,long", NULL },
    { "list", "[options] [Domain, ...]", "List information about all/some domains.", 0, SIZE_MAX,
      "l,long L,label s,state=", xm_list },
    { "mem-set", "<Domain> <Mem>", "Set the current memory usage for a domain.", 2, 2, "", xm_mem_set },
    { "migrate", "[-l|--live] [-p|--port=PORT] [-n|--node=NODE] [-s|--ssl] [-c|--change_home_server] <Domain> <Host>",
      "Migrate a domain to another machine.", 2, 2, "l,live p,port= n,node= s,ssl c,change_home_server", xm_migrate },
    { "pause", "<Domain>", "Pause execution of a domain.", 1, 1, "", xm_pause },
    { "reboot", "[-a|--all] [-w|--wait] <Domain>", "Reboot a domain.", 0, 1, "a,all w,wait", xm_reboot },
    { "reset", "<Domain>", "Reset a domain.", 1, 1, "", xm_reset },
    { "restore", "<CheckpointFile> [-p]", "Restore a domain from a saved state.", 1, 1, "p,paused", xm_restore },
    { "resume", "[-p|--paused] <DomainName>", "Resume a Xend managed domain", 1, 1, "p,paused", xm_resume },
    { "save", "[-c] <Domain> <CheckpointFile>", "Save a domain state to restore later.", 2, 2,
      "c,checkpoint f,force", xm_save },
    { "shell", "", "Launch an interactive shell.", 0, 0, "", NULL },
    { "shutdown", "[-a|--all] [-w|--wait] [-R|--reboot] [-H|--halt] <Domain>", "Shutdown a domain.", 0, 1,
      "a,all w,wait R,reboot H,halt", xm_shutdown },
    { "start", "[-p|--paused] [-c|--console_autoconnect] <DomainName>", "Start a Xend managed domain", 1, 1,
      "p,paused c,console_autoconnect", xm_start },
    { "suspend", "<DomainName>", "Suspend a Xend managed domain", 1, 1, "", xm_suspend },
    { "top", "", "Monitor a host and the domains in real time.", 0, 0, "", xm_top },
    { "unpause", "<Domain>", "Unpause a paused domain.", 1, 1, "", xm_unpause },
    { "uptime", "[-s|--short] [Domain, ...]", "Print uptime for all/some domains.", 0, SIZE_MAX, "s,short",
      xm_uptime },
    { "usb-add", "<domain> <[host:bus.addr] [host:vendor_id:product_id]>", "Add the usb device to FV VM.", 2, 2, "",
      xm_usb_add },
    { "usb-del", "<domain> <[host:bus.addr] [host:vendor_id:product_id]>", "Delete the usb device to FV VM.", 2, 2,
      "", xm_usb_del },
    { "domstate", "<domain>", "get the state of a domain", 1, 1, "", xm_domstate },
    { "vcpu-set", "<Domain> <vCPUs>", "Set the number of active VCPUs allowed for the domain.", 2, 2, "",
      xm_vcpu_set },
    { "info", "[-c|--config]", "Get information about Xen host", 0, 0, "c,config", xm_info },
};
/* clang-format on */

static void
usage(FILE *file)
{
    fputs("Usage: xm <subcommand> [args]\n\n"
          "Control, list, and manipulate Xen guest instances.\n\n"
          "Common 'xm' commands:\n\n",
          file);
    for (size_t i = 0; i < N_ELEMS(commands); i++) {
        fprintf(file, " %-12s %s\n", commands[i].name, commands[i].help);
    }
    fputs("\n<Domain> can either be the Domain Name or Id.\n"
          "For more help on 'xm' see the xm(1) man page.\n"
          "These are machines of Byre: byre help tells what else there is.\n",
          file);
}

static void
usage_of(const struct xm_command *c, FILE *file)
{
    fprintf(file, "Usage: xm %s %s\n\n%s\n", c->name, c->args, c->help);
}

bool
xm_has(const struct xm_args *args, const char *opt)
{
    for (size_t i = 0; i < args->opts.n; i++) {
        if (str_eq(args->opts.v[i], opt)) {
            return true;
        }
    }
    return false;
}

const char *
xm_get(const struct xm_args *args, const char *opt)
{
    size_t n = strlen(opt);
    const char *value = NULL;
    for (size_t i = 0; i < args->opts.n; i++) {
        if (str_starts(args->opts.v[i], opt) && args->opts.v[i][n] == '=') {
            value = args->opts.v[i] + n + 1;
        }
    }
    return value;
}

/* The specification "p,port=" of an option by its letter or its name; NULL: none. */
static const char *
find_opt(const char *specs, char letter, const char *name, size_t n)
{
    for (const char *at = specs; *at; at += strcspn(at, " "), at += *at == ' ') {
        size_t n_name = strcspn(at + 2, " =");
        if (letter ? at[0] == letter : n_name == n && strncmp(at + 2, name, n) == 0) {
            return at + 2;
        }
    }
    return NULL;
}

/* Options may stand behind arguments, as getopt's gnu way has it. */
static struct err *
parse(const struct xm_command *c, char **words, size_t n_words, struct xm_args *ret)
{
    for (size_t i = 0; i < n_words; i++) {
        const char *word = words[i];
        bool is_long = str_starts(word, "--");
        if (word[0] != '-' || !word[1]) {
            strvec_add(&ret->pos, word);
            continue;
        }
        const char *value = is_long ? strchr(word, '=') : NULL;
        const char *spec = is_long ? find_opt(c->opts, 0, word + 2, strcspn(word + 2, "="))
                                   : find_opt(c->opts, word[1], NULL, 0);
        if (!spec) {
            return err_new(ERR_SYNTAX, "option %s not recognized", word);
        }
        size_t n = strcspn(spec, " =");
        if (spec[n] != '=') {
            strvec_addf(&ret->opts, "%.*s", (int) n, spec);
            continue;
        }
        value = value ? value + 1 : !is_long && word[2] ? word + 2 : NULL;
        if (!value && ++i == n_words) {
            return err_new(ERR_SYNTAX, "option %s requires argument", word);
        }
        strvec_addf(&ret->opts, "%.*s=%s", (int) n, spec, value ? value : words[i]);
    }
    return NULL;
}

static const struct xm_command *
find_command(const char *name)
{
    for (size_t i = 0; i < N_ELEMS(commands); i++) {
        if (str_eq(name, commands[i].name)) {
            return &commands[i];
        }
    }
    return NULL;
}

/* This host's row: the only one, or the one that its agent knows itself by. */
struct err *
xm_own_node(struct cli *cli, struct uuid *ret)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), results, request = json_object(), probe;
    TRY(cli_connect(cli));
    json_add(a, &ops, q_select(a, "hostnode", json_array(), "_uuid,uid"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    const char *uid = NULL;
    if (rows->n > 1) {
        json_put(a, &request, "method", json_string_ref("probe"));
        TRY(agent_call(cli, &request, -1, clock_mono_ms() + CALL_MS, "probe", &probe,
                       NULL));
        uid = json_get_string(&probe, "uid");
    }
    for (uint32_t i = 0; i < rows->n; i++) {
        if (rows->n == 1 || str_eq(row_string(&rows->elems[i], "uid"), uid)) {
            *ret = row_uuid(&rows->elems[i]);
            return NULL;
        }
    }
    return err_hint(err_new(ERR_NOT_FOUND, "this host is in no cluster"), "byre node add");
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *) a)->label, ((const struct named *) b)->label);
}

struct err *
xm_domains(struct cli *cli, struct named_list *ret)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), where = json_array(), results;
    struct uuid node;
    TRY(xm_own_node(cli, &node));
    json_add(a, &where, q_clause(a, "hostnode", "==", q_uuid(a, &node)));
    json_add(a, &ops, q_select(a, "vm", where, NULL));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    for (uint32_t i = 0; i < rows->n; i++) {
        const struct json *row = &rows->elems[i];
        *VEC_ADD(ret) = (struct named){ row_uuid(row), row_string(row, "name"), row };
    }
    if (ret->n) {
        qsort(ret->v, ret->n, sizeof *ret->v, by_name);
    }
    return NULL;
}

static bool
is_meant(const struct named *vm, const char *word, bool by_id)
{
    int64_t id;
    struct uuid uuid, its;
    if (by_id) {
        return str_to_i64(word, &id) && row_int(vm->row, "domid", -1) == id;
    }
    return str_eq(vm->label, word) ||
           (uuid_parse(word, &uuid) &&
            (uuid_eq(&uuid, &vm->uuid) ||
             (row_ref(vm->row, "uuid", &its) && uuid_eq(&uuid, &its))));
}

struct err *
xm_find(struct cli *cli, const char *word, struct named *ret)
{
    struct named_list domains = VEC_INIT;
    struct err *e = xm_domains(cli, &domains);
    bool found = false;
    for (int by_id = 1; by_id >= 0 && !e && !found; by_id--) {
        for (size_t i = 0; i < domains.n && !found; i++) {
            found = is_meant(&domains.v[i], word, by_id);
            if (found) {
                *ret = domains.v[i];
            }
        }
    }
    VEC_DONE(&domains);
    return e || found ? e : err_new(ERR_NOT_FOUND, "Domain '%s' does not exist.", word);
}

struct err *
xm_byre(struct cli *cli, const char *const *words)
{
    VEC(char *) line = VEC_INIT;
    for (size_t i = 0; words[i]; i++) {
        *VEC_ADD(&line) = (char *) words[i];
    }
    *VEC_ADD(&line) = (char *) "--exact";
    struct err *e = cli_run_words(cli, line.v, line.n);
    VEC_DONE(&line);
    return e;
}

struct err *
xm_sample(struct cli *cli, struct json *ret)
{
    struct json request = json_object();
    json_put(&cli->arena, &request, "method", json_string_ref("top"));
    return agent_call(cli, &request, -1, clock_mono_ms() + CALL_MS, "top", ret, NULL);
}

static int
fail(struct err *e)
{
    fflush(stdout);
    fprintf(stderr, "Error: %s\n", err_text(e));
    if (err_next(e)) {
        fprintf(stderr, "  next: %s\n", err_next(e));
    }
    err_free(e);
    return 1;
}

static int run(char **words, size_t n_words);

/* A line at a time, each as if it had been given to xm. */
static int
shell(void)
{
    char line[SHELL_LINE_MAX];
    bool tty = isatty(STDIN_FILENO);
    for (;;) {
        if (tty) {
            fputs("xm> ", stdout);
            fflush(stdout);
        }
        if (!fgets(line, sizeof line, stdin)) {
            return 0;
        }
        struct strvec words = STRVEC_INIT;
        strvec_split(&words, line, " \t\n");
        bool leave = words.n && (str_eq(words.v[0], "quit") || str_eq(words.v[0], "exit"));
        if (words.n && words.n <= SHELL_WORDS_MAX && !leave) {
            run(words.v, words.n);
            fflush(stdout);
        }
        strvec_done(&words);
        if (leave) {
            return 0;
        }
    }
}

static int
run_command(const struct xm_command *c, char **words, size_t n_words)
{
    struct xm_args args = { STRVEC_INIT, STRVEC_INIT };
    struct cli cli;
    cli_init(&cli);
    cli.as = arena_printf(&cli.arena, "xm %s", c->name);
    cli.quiet = true;
    struct err *e = parse(c, words, n_words, &args);
    bool wrong = e || args.pos.n < c->min || args.pos.n > c->max;
    if (wrong) {
        fprintf(stderr, "Error: %s\n", e ? err_why(e) : "Invalid number of arguments.");
        err_free(TAKE(e));
        usage_of(c, stderr);
    } else {
        e = c->run(&cli, &args);
    }
    int code = e ? fail(e) : wrong;
    strvec_done(&args.pos);
    strvec_done(&args.opts);
    cli_done(&cli);
    return code;
}

static int
run(char **words, size_t n_words)
{
    const struct xm_command *c = find_command(words[0]);
    bool wants_help = n_words > 1 && (str_eq(words[1], "-h") || str_eq(words[1], "--help"));
    if (str_eq(words[0], "--help") || str_eq(words[0], "-h") || str_eq(words[0], "help")) {
        const struct xm_command *of = n_words > 1 ? find_command(words[1]) : NULL;
        if (of) {
            usage_of(of, stdout);
        } else {
            usage(stdout);
        }
        return 0;
    } else if (!c) {
        fprintf(stderr, "Error: Subcommand %s not found!\n", words[0]);
        usage(stderr);
        return 1;
    } else if (wants_help) {
        usage_of(c, stdout);
        return 0;
    } else if (str_eq(c->name, "shell")) {
        return shell();
    }
    return run_command(c, words + 1, n_words - 1);
}

int
xm_main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stdout);
        return 1;
    }
    int code = run(argv + 1, (size_t) argc - 1);
    return fflush(stdout) == 0 ? code : 1;
}
