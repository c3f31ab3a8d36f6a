/* bin/webd.c: byre-webd, HTTP for the cluster; a client of the database like any other. */
#define LOG_MODULE "webd"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "loop/loop.h"
#include "web/health.h"
#include "web/http.h"
#include "web/install.h"
#include "web/metrics.h"

struct options {
    const char *listen, *db, *agent, *pidfile, *log_file;
};

struct webd {
    struct loop *loop;
    struct health *health;
    struct install *install;
    struct metrics *metrics;
    struct http *http;
};

static const char usage[] =
    "usage: byre-webd --listen unix:PATH|tcp:IPV4:PORT --db REMOTE [--agent PATH]\n"
    "                 [--pidfile FILE] [--log-file FILE]\n"
    "Serves GET /healthz: 200 if the database server at REMOTE answers, else 503; and the agent?\n"
    "GET /metrics: for Prometheus, with what the agent at PATH has measured;\n"
    "POST /install/KEY: a guest tells that its system is installed.\n";

static void
on_request(void *aux, struct http_request *request, bool is_post, const char *path)
{
    struct webd *w = aux;
    bool is_install = str_starts(path, INSTALL_PATH);
    if (is_post != is_install) {
        http_answer(request, is_install || str_eq(path, "/healthz") ? 405 : 404,
                    "text/plain", is_install ? "only POST\n" : "not found\n");
    } else if (is_install) {
        install_ask(w->install, request, path + strlen(INSTALL_PATH));
    } else if (str_eq(path, "/metrics")) {
        metrics_ask(w->metrics, request);
    } else if (str_eq(path, "/healthz")) {
        health_ask(w->health, request);
    } else {
        http_answer(request, 404, "text/plain", "not found\n");
    }
}

static void
on_gone(void *aux, struct http_request *request)
{
    struct webd *w = aux;
    health_forget(w->health, request);
    install_forget(w->install, request);
    metrics_forget(w->metrics, request);
}

static void
on_term(void *aux)
{
    loop_stop(((struct webd *) aux)->loop);
}

static void
on_hup(void *aux UNUSED)
{
    log_failure(LOG_ERR, LOG_MODULE, log_reopen());
}

static MUST_CHECK struct err *
serve(struct webd *w, const struct options *o)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
    struct loop_signal *handlers[N_ELEMS(signals)] = { NULL };
    struct http_events events = { on_request, on_gone, w };

    struct err *e = health_new(w->loop, o->db, o->agent, &w->health);
    if (!e) {
        w->install = install_new(w->loop, health_session(w->health));
    }
    e = e ? e : metrics_new(w->loop, o->db, o->agent, &w->metrics);
    e = e ? e : http_new(w->loop, o->listen, &events, &w->http);
    for (size_t i = 0; i < N_ELEMS(signals) && !e; i++) {
        loop_fn *fn = signals[i] == SIGHUP ? on_hup : on_term;
        e = loop_signal_new(w->loop, signals[i], fn, w, &handlers[i]);
    }
    if (!e) {
        log_info("listening on %s", o->listen);
        loop_run(w->loop);
        log_info("ending");
    }
    for (size_t i = 0; i < N_ELEMS(signals); i++) {
        loop_signal_free(handlers[i]);
    }
    http_free(w->http);
    metrics_free(w->metrics);
    install_free(w->install);
    health_free(w->health);
    return e;
}

static MUST_CHECK struct err *
run(const struct options *o)
{
    CLEANUP(fd_done) int pid_fd = -1;
    if (o->pidfile) {
        TRY(pidfile_take(o->pidfile, &pid_fd));
    }
    TRY(log_open(o->log_file));
    struct webd w = { NULL };
    TRY(loop_new(&w.loop));
    struct err *e = serve(&w, o);
    loop_free(w.loop);
    return e;
}

static struct options
parse_options(int argc, char **argv)
{
    static const struct option options[] = {
        { "listen", required_argument, NULL, 'l' },
        { "db", required_argument, NULL, 'd' },
        { "agent", required_argument, NULL, 'a' },
        { "pidfile", required_argument, NULL, 'p' },
        { "log-file", required_argument, NULL, 'f' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    struct options o = { NULL };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'l': o.listen = optarg; break;
        case 'd': o.db = optarg; break;
        case 'a': o.agent = optarg; break;
        case 'p': o.pidfile = optarg; break;
        case 'f': o.log_file = optarg; break;
        case 'h': fputs(usage, stdout); exit(0);
        case 'V': puts("byre-webd " BYRE_VERSION); exit(0);
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (optind < argc || !o.listen || !o.db) {
        fputs(usage, stderr);
        exit(2);
    }
    return o;
}

int
main(int argc, char **argv)
{
    struct options o = parse_options(argc, argv);
    struct err *e = run(&o);
    if (e) {
        const char *next = err_next(e);
        fprintf(stderr, "byre-webd: %s%s%s\n", err_text(e), next ? "\nnext: " : "",
                next ? next : "");
        err_free(e);
        return 1;
    }
    return 0;
}
