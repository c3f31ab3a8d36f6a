/* bin/agentd.c: byre-agentd: makes this host match the database; man page docs/man/byre-agentd.8.
 *
 * One loop; all else is in room agent.  SIGTERM and SIGINT end it, SIGHUP opens the log anew.  The
 * machines go on without it. */
#define LOG_MODULE "agentd"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "loop/loop.h"

#define END_S 10 /* For calls under way; whoever is still in libvirt then is left there. */

static const char usage[] =
    "usage: byre-agentd --db REMOTE --state DIR [--libvirt URI] [--stored SOCKET]\n"
    "                   [--stats URL] [--pidfile FILE] [--log-file FILE] [--verbose]\n"
    "Makes this host match the database at REMOTE (unix:PATH, tcp:HOST:PORT).\n"
    "  --libvirt URI    qemu:///system, or qemu:///session without root\n"
    "  --stored SOCKET  of byre-stored; DIR/run/stored.sock\n"
    "  --stats URL      where statistics go: sqlite:PATH, mariadb://USER@HOST/DATABASE, or none;\n"
    "                   sqlite:DIR/stats.db\n";

struct options {
    struct agent_options agent;
    const char *pidfile, *log_file;
    bool verbose;
};

struct agentd {
    struct loop *loop;
    struct agent *agent;
    struct loop_signal *term, *interrupt, *hup;
};

static MUST_CHECK struct err *
parse(int argc, char *argv[], struct options *o)
{
    enum {
        DB = 256,
        STATE,
        LIBVIRT,
        STORED,
        STATS,
        PIDFILE,
        LOG_FILE,
        VERBOSE,
        HELP,
        VERSION
    };
    static const struct option longs[] = {
        { "db", required_argument, NULL, DB },
        { "state", required_argument, NULL, STATE },
        { "libvirt", required_argument, NULL, LIBVIRT },
        { "stored", required_argument, NULL, STORED },
        { "stats", required_argument, NULL, STATS },
        { "pidfile", required_argument, NULL, PIDFILE },
        { "log-file", required_argument, NULL, LOG_FILE },
        { "verbose", no_argument, NULL, VERBOSE },
        { "help", no_argument, NULL, HELP },
        { "version", no_argument, NULL, VERSION },
        { NULL, 0, NULL, 0 },
    };
    o->agent.uri = geteuid() == 0 ? "qemu:///system" : "qemu:///session";
    for (int c; (c = getopt_long(argc, argv, "hv", longs, NULL)) != -1;) {
        switch (c) {
        case DB: o->agent.db = optarg; break;
        case STATE: o->agent.state = optarg; break;
        case LIBVIRT: o->agent.uri = optarg; break;
        case STORED: o->agent.stored = optarg; break;
        case STATS: o->agent.stats = optarg; break;
        case PIDFILE: o->pidfile = optarg; break;
        case LOG_FILE: o->log_file = optarg; break;
        case 'v':
        case VERBOSE: o->verbose = true; break;
        case 'h':
        case HELP: fputs(usage, stdout); exit(0);
        case VERSION: puts("byre-agentd " BYRE_VERSION); exit(0);
        default: return err_hint(err_new(ERR_SYNTAX, "wrong option"), "byre-agentd --help");
        }
    }
    if (optind < argc || !o->agent.db || !o->agent.state) {
        const char *why = optind < argc  ? "too many arguments"
                          : !o->agent.db ? "--db is missing"
                                         : "--state is missing";
        return err_hint(err_new(ERR_SYNTAX, "%s", why), "byre-agentd --help");
    }
    return NULL;
}

static void
on_left(void *aux)
{
    struct agentd *d = aux;
    loop_stop(d->loop);
}

static void
on_term(void *aux)
{
    struct agentd *d = aux;

    log_info("told to end");
    agent_leave(d->agent, on_left, d);
}

static void
on_hup(void *aux UNUSED)
{
    log_failure(LOG_ERR, LOG_MODULE, log_reopen());
}

static MUST_CHECK struct err *
serve(struct agentd *d, const struct options *o)
{
    TRY(loop_signal_new(d->loop, SIGTERM, on_term, d, &d->term));
    TRY(loop_signal_new(d->loop, SIGINT, on_term, d, &d->interrupt));
    TRY(loop_signal_new(d->loop, SIGHUP, on_hup, d, &d->hup));
    TRY(agent_new(d->loop, &o->agent, &d->agent));
    log_info("pid %d, database %s, libvirt %s", (int) getpid(), o->agent.db, o->agent.uri);
    loop_run(d->loop);
    return NULL;
}

static MUST_CHECK struct err *
run(struct options *o)
{
    CLEANUP(fd_done) int pid_fd = -1;
    CLEANUP(free_drop) char *stored = path_join(o->agent.state, "run/stored.sock");
    CLEANUP(free_drop) char *stats = str_dupf("sqlite:%s/stats.db", o->agent.state);
    struct agentd d = { .loop = NULL };

    TRY(log_open(o->log_file));
    log_set_level(o->verbose ? LOG_DBG : LOG_INFO, o->verbose ? LOG_DBG : LOG_WARN);
    if (o->pidfile) {
        TRY(pidfile_take(o->pidfile, &pid_fd));
    }
    if (!o->agent.stored) {
        o->agent.stored = stored;
    }
    if (!o->agent.stats) {
        o->agent.stats = stats;
    } else if (str_eq(o->agent.stats, "none")) {
        o->agent.stats = NULL;
    }
    TRY(loop_new(&d.loop));
    struct err *e = serve(&d, o);
    alarm(END_S);
    agent_free(d.agent);
    loop_signal_free(d.term);
    loop_signal_free(d.interrupt);
    loop_signal_free(d.hup);
    loop_free(d.loop);
    return e;
}

int
main(int argc, char *argv[])
{
    struct options o = { .pidfile = NULL };

    signal(SIGPIPE, SIG_IGN);
    struct err *e = parse(argc, argv, &o);
    e = e ? e : run(&o);
    if (e) {
        fprintf(stderr, "byre-agentd: %s\n", err_text(e));
        if (err_next(e)) {
            fprintf(stderr, "  next: %s\n", err_next(e));
        }
        int status = err_is(e, ERR_SYNTAX) ? 2 : 1;
        err_free(e);
        return status;
    }
    return 0;
}
