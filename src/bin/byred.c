/* bin/byred.c: starts and watches Byre's programs; man page docs/man/byred.8.
 *
 * The main thread has one loop: SIGTERM and SIGINT end the programs and then byred, SIGHUP opens
 * the logs anew, all else is in room super.  With --detach a parent stays until the programs
 * answer, so that its exit status tells whether Byre is up. */
#define LOG_MODULE "byred"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "loop/loop.h"
#include "super/control.h"
#include "super/detach.h"
#include "super/super.h"
#include "super/tree.h"

struct byred {
    struct place place;
    struct config config;
    struct loop *loop;
    struct super *super;
    int parent_fd;  /* Of --detach: gets the error text, then is closed; -1: none. */
    bool is_failed; /* Exit status. */
};

enum mode { MODE_RUN, MODE_DETACH, MODE_STOP, MODE_STATUS, MODE_HELP, MODE_VERSION };

static const char usage[] =
    "usage: byred --state DIR [--config FILE] [--detach | --stop | --status]\n"
    "Starts byre-dbd, byre-stored, byre-agentd and byre-webd with all they keep below DIR,\n"
    "and starts one that dies again.\n"
    "  --state DIR    the state directory; made if it is not there\n"
    "  --config FILE  settings (INI), see byred(8)\n"
    "  --detach       go to the background; returns when all programs answer\n"
    "  --stop         end the byred of DIR and its programs; machines stay as they are\n"
    "  --status       tell whether they run; exit status 0 if all do, else 3\n"
    "  --help, --version\n";

static void
on_started(void *aux, struct err *e)
{
    struct byred *b = aux;
    bool was_detached = b->parent_fd >= 0;

    detach_tell(&b->parent_fd, e);
    if (!e) {
        log_info("all programs are up");
        return;
    }
    log_failure(LOG_ERR, LOG_MODULE, e);
    if (was_detached) { /* Who asked was told no; nothing half alive may stay. */
        b->is_failed = true;
        super_end(b->super);
    }
}

static void
on_ended(void *aux)
{
    loop_stop(((struct byred *) aux)->loop);
}

static void
on_term(void *aux)
{
    struct byred *b = aux;
    log_info("told to end");
    super_end(b->super);
}

static void
on_hup(void *aux)
{
    struct byred *b = aux;
    log_failure(LOG_ERR, LOG_MODULE, log_reopen());
    super_reopen_logs(b->super);
}

static MUST_CHECK struct err *
run(struct byred *b, bool is_detached)
{
    CLEANUP(fd_done) int pid_fd = -1;
    TRY(tree_take(&b->place, &pid_fd));
    CLEANUP(free_drop) char *log_file = place_path(&b->place, "log/byred.log");
    TRY(log_open(log_file));
    log_set_level(LOG_INFO, is_detached ? LOG_OFF : LOG_INFO);
    TRY(tree_make_database(&b->place));
    TRY(loop_new(&b->loop));

    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
    struct loop_signal *handlers[N_ELEMS(signals)] = { NULL };
    struct super_events events = { on_started, on_ended, b };
    struct err *e = super_new(b->loop, &b->place, &b->config, &events, &b->super);
    for (size_t i = 0; i < N_ELEMS(signals) && !e; i++) {
        loop_fn *fn = signals[i] == SIGHUP ? on_hup : on_term;
        e = loop_signal_new(b->loop, signals[i], fn, b, &handlers[i]);
    }
    if (!e) {
        log_info("state directory %s", b->place.state_dir);
        super_begin(b->super);
        loop_run(b->loop);
        log_info("all programs have ended");
    }
    for (size_t i = 0; i < N_ELEMS(signals); i++) {
        loop_signal_free(handlers[i]);
    }
    super_free(b->super);
    loop_free(b->loop);
    return e;
}

static MUST_CHECK struct err *
read_config(const char *path, struct config *ret)
{
    if (!path) {
        return NULL;
    }
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct err *e = fs_read(path, CONFIG_FILE_MAX_BYTES, &text);
    return err_wrap(e ? e : config_parse(path, buf_cstr(&text), ret), "config file");
}

/* The directory of the program that runs, "" if it cannot be known. */
static char *
own_dir(void)
{
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n < 0) {
        return str_dup("");
    }
    exe[n] = '\0';
    return path_dir(exe);
}

static enum mode
parse_options(int argc, char **argv, const char **ret_state, const char **ret_config)
{
    static const struct option options[] = {
        { "state", required_argument, NULL, 's' },
        { "config", required_argument, NULL, 'c' },
        { "detach", no_argument, NULL, 'd' },
        { "stop", no_argument, NULL, 'k' },
        { "status", no_argument, NULL, 'q' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    enum mode mode = MODE_RUN;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 's': *ret_state = optarg; break;
        case 'c': *ret_config = optarg; break;
        case 'd': mode = MODE_DETACH; break;
        case 'k': mode = MODE_STOP; break;
        case 'q': mode = MODE_STATUS; break;
        case 'h': return MODE_HELP;
        case 'V': return MODE_VERSION;
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (optind < argc || !*ret_state) {
        fputs(usage, stderr);
        exit(2);
    }
    return mode;
}

int
main(int argc, char **argv)
{
    const char *state = NULL, *config_file = NULL;
    enum mode mode = parse_options(argc, argv, &state, &config_file);
    if (mode == MODE_HELP || mode == MODE_VERSION) {
        fputs(mode == MODE_HELP ? usage : "byred " BYRE_VERSION "\n", stdout);
        return 0;
    }

    umask(022);
    CLEANUP(free_drop) char *state_dir = path_absolute(state);
    CLEANUP(free_drop) char *bin_dir = own_dir();
    struct byred b = {
        { state_dir, bin_dir, geteuid() }, CONFIG_INIT, NULL, NULL, -1, false
    };
    CLEANUP(err_drop) struct err *e = read_config(config_file, &b.config);
    if (!e && mode == MODE_STOP) {
        return control_stop(&b.place);
    } else if (!e && mode == MODE_STATUS) {
        return control_status(&b.place);
    }
    if (!e && mode == MODE_DETACH) {
        e = detach(&b.place, &b.parent_fd);
    }
    if (!e) {
        e = run(&b, mode == MODE_DETACH);
    }
    if (e) {
        detach_tell(&b.parent_fd, e);
        failure_print(stderr, e);
    }
    config_done(&b.config);
    return e || b.is_failed ? 1 : 0;
}
