/* bin/stored.c: byre-stored, the one program that touches storage, as root where there is one.
 *
 * It listens on a socket for typed requests of the agent, checks who asks, and forks a worker
 * for each (room priv).  It reads no configuration and keeps no state but what scans found. */
#define LOG_MODULE "stored"
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "priv/serve.h"

static const char usage[] =
    "usage: byre-stored --socket PATH [--allow-uid N] [--pidfile FILE] [--log-file FILE]\n"
    "                   [--scan-dir DIR] [--max-workers N]\n"
    "Runs storage plans for the user N (default: its own) and root.\n";

struct options {
    struct priv_serve_config serve;
    const char *pidfile, *log_file;
};

static MUST_CHECK struct err *
number(const char *name, const char *text, int64_t max, int64_t *ret)
{
    if (!str_to_i64(text, ret) || *ret < 0 || *ret > max) {
        return err_hint(err_new(ERR_SYNTAX, "%s: '%s' is no number from 0 to %" PRId64,
                                name, text, max),
                        "byre-stored --help");
    }
    return NULL;
}

static MUST_CHECK struct err *
parse(int argc, char *argv[], struct options *o)
{
    enum {
        SOCKET = 256,
        ALLOW_UID,
        PIDFILE,
        LOG_FILE,
        SCAN_DIR,
        MAX_WORKERS,
        HELP,
        VERSION
    };
    static const struct option longs[] = {
        { "socket", required_argument, NULL, SOCKET },
        { "allow-uid", required_argument, NULL, ALLOW_UID },
        { "pidfile", required_argument, NULL, PIDFILE },
        { "log-file", required_argument, NULL, LOG_FILE },
        { "scan-dir", required_argument, NULL, SCAN_DIR },
        { "max-workers", required_argument, NULL, MAX_WORKERS },
        { "help", no_argument, NULL, HELP },
        { "version", no_argument, NULL, VERSION },
        { NULL, 0, NULL, 0 }
    };
    o->serve.allow_uid = geteuid();
    int64_t n;
    for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
        switch (c) {
        case SOCKET: o->serve.socket_path = optarg; break;
        case ALLOW_UID:
            TRY(number("--allow-uid", optarg, UINT32_MAX - 1, &n));
            o->serve.allow_uid = (uid_t) n;
            break;
        case PIDFILE: o->pidfile = optarg; break;
        case LOG_FILE: o->log_file = optarg; break;
        case SCAN_DIR: o->serve.scan_dir = optarg; break;
        case MAX_WORKERS:
            TRY(number("--max-workers", optarg, 10000, &n));
            o->serve.max_workers = (int) n;
            break;
        case 'h':
        case HELP: fputs(usage, stdout); exit(0);
        case VERSION: puts("byre-stored " BYRE_VERSION); exit(0);
        default: return err_new(ERR_SYNTAX, "wrong option");
        }
    }
    if (optind < argc || !o->serve.socket_path) {
        return err_hint(
            err_new(ERR_SYNTAX, "%s",
                    optind < argc ? "too many arguments" : "--socket is missing"),
            "byre-stored --help");
    }
    return NULL;
}

static MUST_CHECK struct err *
run(const struct options *o)
{
    TRY(log_open(o->log_file));
    CLEANUP(fd_done) int pid_fd = -1;
    if (o->pidfile) {
        TRY(pidfile_take(o->pidfile, &pid_fd));
    }
    if (o->serve.scan_dir) {
        TRY(fs_mkdirs(o->serve.scan_dir, 0700));
    }
    struct err *e = priv_serve(&o->serve);
    if (o->pidfile) {
        unlink(o->pidfile);
    }
    return e;
}

int
main(int argc, char *argv[])
{
    struct options o = { 0 };
    struct err *e = parse(argc, argv, &o);
    int status = 2;
    if (!e) {
        e = run(&o);
        status = e ? 1 : 0;
    }
    if (e) {
        fprintf(stderr, "byre-stored: %s\n", err_text(e));
        if (err_next(e)) {
            fprintf(stderr, "%s\n", err_next(e));
        }
        err_free(e);
    }
    return status;
}
