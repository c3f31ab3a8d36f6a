/* bin/dbd.c: the database server; man page docs/man/byre-dbd.8.
 *
 * The main thread has one loop: SIGTERM and SIGINT end the server, SIGHUP opens the log
 * anew, all else is in room dbserver.  With --detach a parent stays until databases and
 * sockets are open, so that its exit status tells. */
#define LOG_MODULE "dbd"
#include "bin/dbd_i.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/log_syslog.h"
#include "dbserver/server.h"
#include "loop/child.h"
#include "loop/loop.h"
#include "wire/tls.h"

struct dbd {
    struct loop *loop;
    struct dbserver *server;
    struct child *child; /* Of --run. */
    const char *run;     /* Its command. */
    struct err *end;     /* Why it must end with a failure, or NULL. */
};

static void
on_term(void *aux)
{
    struct dbd *d = aux;
    log_info("told to end");
    loop_stop(d->loop);
}

static void
on_hup(void *aux UNUSED)
{
    log_failure(LOG_ERR, LOG_MODULE, log_reopen());
}

static void
on_server_stop(void *aux, struct err *e)
{
    struct dbd *d = aux;
    if (d->end) {
        err_free(e);
    } else {
        d->end = e;
    }
    loop_stop(d->loop);
}

static void
on_child_done(void *aux, struct child_result *result)
{
    struct dbd *d = aux;
    d->child = NULL;
    if (result->exit_status != 0 && !result->canceled) {
        d->end = result->signal ? err_new(ERR_CANCELED, "%s: child exited, killed (%s)",
                                          d->run, strsignal(result->signal))
                                : err_new(ERR_CANCELED, "%s: child exited, exit status %d",
                                          d->run, result->exit_status);
    }
    loop_stop(d->loop);
}

/* --run: the command has our input and output.  It is no job of a terminal: reading from one would
 * stop it. */
static MUST_CHECK struct err *
run_command(struct dbd *d, const char *command)
{
    const char *argv[] = { "/bin/sh", "-c", command, NULL };
    static const int in = STDIN_FILENO, out = STDOUT_FILENO, err = STDERR_FILENO;
    struct child_spec spec = { .argv = argv,
                               .stdin_fd = isatty(in) ? NULL : &in,
                               .stdout_fd = &out,
                               .stderr_fd = &err };
    d->run = command;
    return err_wrap(child_start(d->loop, &spec, on_child_done, d, &d->child), "--run");
}

static MUST_CHECK struct err *
open_ctl(struct dbd *d, const struct options *o)
{
    if (o->unixctl) {
        return str_eq(o->unixctl, "none") ? NULL
                                          : dbserver_serve_ctl(d->server, o->unixctl);
    }
    /* Nobody asked for it: without a run directory it is missed, not needed. */
    CLEANUP(free_drop) char *ctl = str_dupf("%s.%ld.ctl", o->name, (long) getpid());
    struct err *e = dbserver_serve_ctl(d->server, ctl);
    if (e) {
        log_info("no control socket: %s", err_text(e));
        err_free(e);
    }
    return NULL;
}

/* The control socket before the remotes: who can reach the database can ask about it. */
static MUST_CHECK struct err *
open_all(struct dbd *d, const struct options *o)
{
    TRY(dbserver_set_sync(d->server, o->sync_from, o->sync_exclude, o->active));
    for (size_t i = 0; i < o->databases.n; i++) {
        TRY(dbserver_add_db(d->server, o->databases.v[i]));
    }
    struct tls_config tls = { o->private_key,      o->certificate,   o->ca_cert,
                              o->peer_ca_cert,     o->ssl_protocols, o->ssl_ciphers,
                              o->ssl_ciphersuites, o->bootstrap_ca };
    TRY(dbserver_set_tls(d->server, &tls));
    if (o->config_file) {
        TRY(dbserver_set_config_file(d->server, o->config_file));
    }
    TRY(open_ctl(d, o));
    for (size_t i = 0; i < o->remotes.n; i++) {
        TRY(dbserver_add_remote(d->server, o->remotes.v[i]));
    }
    return dbserver_check_tls(d->server);
}

/* Tells the waiting parent that all is open, or why not. */
static void
tell_parent(int *fd, const char *text)
{
    if (*fd >= 0) {
        ssize_t n = write(*fd, text, strlen(text));
        (void) n; /* A parent that was killed needs no answer. */
        fd_done(fd);
    }
}

static MUST_CHECK struct err *
serve(struct dbd *d, const struct options *o, int *parent_fd)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
    struct loop_signal *handlers[N_ELEMS(signals)] = { NULL };
    struct dbserver_config config = { .no_durable = o->no_durable,
                                      .name = "byre-dbd " BYRE_VERSION,
                                      .relay_leader_only = o->relay_leader_only,
                                      .stop = on_server_stop,
                                      .aux = d };
    struct err *e = dbserver_new(d->loop, &config, &d->server);

    for (size_t i = 0; i < N_ELEMS(signals) && !e; i++) {
        loop_fn *fn = signals[i] == SIGHUP ? on_hup : on_term;
        if (signals[i] != SIGINT || !process_ignores(SIGINT)) { /* A script's "&". */
            e = loop_signal_new(d->loop, signals[i], fn, d, &handlers[i]);
        }
    }
    if (!e) {
        e = open_all(d, o);
    }
    if (!e && o->run) {
        e = run_command(d, o->run);
    }
    if (!e) {
        tell_parent(parent_fd, "y");
        if (o->detach) {
            process_close_terminal();
        }
        loop_run(d->loop);
        if (d->child) {
            child_cancel(d->child);
            loop_run(d->loop);
        }
        e = TAKE(d->end);
    }
    dbserver_free(d->server);
    for (size_t i = 0; i < N_ELEMS(signals); i++) {
        loop_signal_free(handlers[i]);
    }
    return e;
}

/* An address of syslog's that does not work is no reason to stay away. */
static MUST_CHECK struct err *
open_logs(const struct options *o)
{
    const char *method = o->syslog_method ? o->syslog_method : getenv("OVS_SYSLOG_METHOD");

    TRY(log_open(o->log_file));
    log_syslog_ident(o->name);
    struct err *e = method && *method ? log_syslog_method(method) : NULL;
    if (e && err_is(e, ERR_UNSUPPORTED)) {
        return e;
    }
    log_failure(LOG_ERR, LOG_MODULE, e);
    log_failure(LOG_ERR, LOG_MODULE,
                o->syslog_target ? log_syslog_target(o->syslog_target) : NULL);
    return NULL;
}

static MUST_CHECK struct err *
run(const struct options *o, int *parent_fd)
{
    CLEANUP(fd_done) int pid_fd = -1;
    struct dbd d = { 0 };

    if (o->pidfile) {
        if (o->overwrite_pidfile) {
            unlink(o->pidfile); /* Who has locked it keeps what has no name any more. */
        }
        TRY(pidfile_take(o->pidfile, &pid_fd));
    }
    if (o->user) {
        TRY(process_become(o->user));
    }
    TRY(open_logs(o));
    for (size_t i = 0; i < o->verbosity.n; i++) {
        struct err *unknown = log_set_spec(o->verbosity.v[i]); /* A script's: go on. */
        if (unknown) {
            log_info("-v: %s", err_text(unknown));
            err_free(unknown);
        }
    }
    signal(SIGPIPE, SIG_IGN);
    process_raise_file_limit();
    struct err *e = loop_new(&d.loop);
    if (!e) {
        e = serve(&d, o, parent_fd);
    }
    loop_free(d.loop);
    if (o->pidfile) {
        process_remove_pidfile(o->pidfile, pid_fd);
    }
    return e;
}

/* What, why and what next, a line each. */
static void
print_failure(const struct err *e)
{
    const char *what = err_what(e), *next = err_next(e);
    fprintf(stderr, "byre-dbd: %s\n", *what ? what : err_text(e));
    if (*what) {
        fprintf(stderr, "why:  %s\n", err_why(e));
    }
    if (next) {
        fprintf(stderr, "next: %s\n", next);
    }
}

int
main(int argc, char **argv)
{
    CLEANUP(options_done) struct options options = { 0 };
    CLEANUP(fd_done) int parent_fd = -1;
    process_want_huge_pages(argv);
    CLEANUP(err_drop) struct err *e = options_parse(argc, argv, &options);

    if (!e && options.mode != OPTIONS_RUN) {
        fputs(options.mode == OPTIONS_HELP ? options_usage : "byre-dbd " BYRE_VERSION "\n",
              stdout);
        return 0;
    }
    if (!e) {
        e = process_detach(&options, &parent_fd);
    }
    if (!e) {
        e = run(&options, &parent_fd);
    }
    if (e) {
        if (options.log_file) { /* Standard error gets it in three lines, not twice. */
            log_set_level(LOG_INFO, LOG_OFF);
            log_write(LOG_EMER, LOG_MODULE, "%s", err_text(e));
        }
        print_failure(e);
        tell_parent(&parent_fd, "n");
        return 1;
    }
    return 0;
}
