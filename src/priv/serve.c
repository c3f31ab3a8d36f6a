/* priv/serve.c: listens, checks who asks, forks.
 *
 * The server itself touches no storage and decodes nothing: whatever a request does to a
 * worker, the next one gets a fresh one.  It owns the socket, the list of workers and the
 * signals, in one poll(2) loop. */
#include "priv/serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_MODULE "priv"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/vec.h"
#include "priv/watch_i.h"
#include "priv/worker_i.h"

#define BACKLOG 64
#define STARVED_MS 1000 /* Out of descriptors or memory: wait so long. */
#define STOP_MS 15000   /* For workers to undo in, before SIGKILL. */

struct server {
    const struct priv_serve_config *config;
    int listen_fd, signal_fd;
    struct watch watch;
    bool stop;
    bool starved; /* Accept nothing for STARVED_MS: polling for it would only turn. */
};

static struct err *
listen_at(const struct priv_serve_config *config, int *ret_fd)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    if (strlen(config->socket_path) >= sizeof sun.sun_path) {
        return err_hint(err_new(ERR_CONSTRAINT, "%s: the path is too long for a socket",
                                config->socket_path),
                        "choose a state directory with a shorter path");
    }
    strcpy(sun.sun_path, config->socket_path);
    CLEANUP(fd_done)
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_io(errno, "socket");
    }
    unlink(config->socket_path); /* Whoever holds the pid file's lock owns the path. */
    mode_t before = umask(0177);
    int rc = bind(fd, (const struct sockaddr *) &sun, sizeof sun);
    int errnum = errno;
    umask(before);
    if (rc < 0) {
        return err_io(errnum, "bind %s", config->socket_path);
    } else if (geteuid() == 0 && config->allow_uid != 0 &&
               chown(config->socket_path, config->allow_uid, (gid_t) -1) < 0) {
        return err_io(errno, "chown %s", config->socket_path);
    } else if (listen(fd, BACKLOG) < 0) {
        return err_io(errno, "listen %s", config->socket_path);
    }
    *ret_fd = fd_take(&fd);
    return NULL;
}

/* May the peer ask?  The permissions of the socket say the same; this holds without them. */
static struct err *
check_peer(const struct server *server, int fd, uid_t *ret_uid)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0) {
        return err_io(errno, "SO_PEERCRED");
    } else if (peer.uid != 0 && peer.uid != server->config->allow_uid &&
               peer.uid != geteuid()) {
        return err_new(ERR_DENIED, "user %u may not ask byre-stored", (unsigned) peer.uid);
    }
    *ret_uid = peer.uid;
    return NULL;
}

static int
max_workers(const struct server *server)
{
    return server->config->max_workers ? server->config->max_workers : PRIV_MAX_WORKERS;
}

static void
start_worker(struct server *server, int fd, uid_t uid)
{
    pid_t parent = getpid();
    struct watch_page *page = watch_page_new();
    pid_t pid = page ? fork() : -1;
    if (pid < 0) {
        worker_refuse(fd, err_io(errno, "fork"));
        close(fd);
        watch_page_free(page);
    } else if (pid == 0) {
        close(server->listen_fd);
        close(server->signal_fd);
        watch_forked(&server->watch);
        worker_run(server->config, fd, parent, uid, &server->watch, page);
    } else {
        watch_add(&server->watch, pid, fd, page);
    }
}

static void
reap(struct server *server)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        watch_buried(&server->watch, pid);
        if (WIFSIGNALED(status)) {
            log_warn("worker %d was killed by signal %d", (int) pid, WTERMSIG(status));
        }
    }
}

static void
on_connection(struct server *server)
{
    CLEANUP(fd_done) int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        server->starved =
            errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
        if (server->starved) {
            log_warn("cannot accept: %s", strerror(errno));
        }
        return; /* Else it went away again. */
    }
    reap(server); /* Those that just ended do not count. */
    uid_t uid = 0;
    struct err *e = check_peer(server, fd, &uid);
    size_t n = watch_n_working(&server->watch);
    if (!e && n >= (size_t) max_workers(server)) {
        e = err_hint(err_new(ERR_BUSY, "byre-stored is busy with %zu requests", n),
                     "try again when some of them are done");
    }
    if (e) {
        log_warn("refused: %s", err_text(e));
        worker_refuse(fd, e);
        return;
    }
    start_worker(server, fd_take(&fd), uid);
}

static void
on_signal(struct server *server)
{
    struct signalfd_siginfo info;
    while (read(server->signal_fd, &info, sizeof info) == (ssize_t) sizeof info) {
        switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT: server->stop = true; break;
        case SIGHUP: log_failure(LOG_WARN, LOG_MODULE, log_reopen()); break;
        default: break;
        }
    }
    reap(server);
}

static void
signal_workers(struct server *server, int signo)
{
    VEC_FOR_EACH (const struct watch_worker *w, &server->watch.workers) {
        kill(w->pid, signo);
    }
}

/* Cancels what runs and waits for the undos. */
static void
drain(struct server *server)
{
    int64_t until_ms = clock_mono_ms() + STOP_MS;
    signal_workers(server, SIGTERM);
    while (watch_n_working(&server->watch) > 0) {
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0) {
            signal_workers(server, SIGKILL);
            log_warn("%zu workers had to be killed", watch_n_working(&server->watch));
            return;
        }
        struct pollfd p = { server->signal_fd, POLLIN, 0 };
        poll(&p, 1, (int) min64(left_ms, 1000));
        on_signal(server);
    }
}

static struct err *
serve_loop(struct server *server)
{
    while (!server->stop) {
        struct pollfd p[2] = { { server->starved ? -1 : server->listen_fd, POLLIN, 0 },
                               { server->signal_fd, POLLIN, 0 } };
        int wait_ms = watch_wait_ms(&server->watch, clock_mono_ms());
        if (server->starved && (wait_ms < 0 || wait_ms > STARVED_MS)) {
            wait_ms = STARVED_MS;
        }
        if (poll(p, 2, wait_ms) < 0 && errno != EINTR) {
            return err_io(errno, "poll");
        }
        server->starved = false;
        if (p[1].revents) {
            on_signal(server);
        }
        if (p[0].revents) {
            on_connection(server);
        }
        watch_look(&server->watch, clock_mono_ms());
    }
    return NULL;
}

struct err *
priv_serve(const struct priv_serve_config *config)
{
    struct server server = { .config = config, .listen_fd = -1, .signal_fd = -1 };
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, &before);
    signal(SIGPIPE, SIG_IGN);

    struct err *e = NULL;
    server.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (server.signal_fd < 0) {
        e = err_io(errno, "signalfd");
    }
    if (!e) {
        e = listen_at(config, &server.listen_fd);
    }
    if (!e) {
        log_info("listening on %s for uid %u", config->socket_path,
                 (unsigned) config->allow_uid);
        e = serve_loop(&server);
        fd_done(&server.listen_fd);
        unlink(config->socket_path);
        drain(&server);
    }
    fd_done(&server.listen_fd);
    fd_done(&server.signal_fd);
    watch_done(&server.watch);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return e;
}
