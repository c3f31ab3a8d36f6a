/* agent/service.c: DIR/run/agent.sock: what is no row: probe, console, upload, download.
 *
 * One request a connection: a line of JSON, perhaps with one descriptor; then lines of JSON back, or
 * the console's bytes.  The request is read on the loop; a worker thread then owns the connection.
 * Only root and the user the agent runs as are let in (SO_PEERCRED). */
#define LOG_MODULE "service"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/service_i.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"

#define REQUEST_MAX_BYTES (64 * KIB)
#define REQUEST_MS 10000    /* For the request's line to come. */
#define ACCEPT_PAUSE_MS 500 /* When there is no descriptor left. */
#define CLIENTS_MAX 64

struct service {
    struct agent *agent;
    char *path;
    int fd;
    struct loop_fd *watch;
    struct loop_timer *pause; /* Ends a pause in accepting. */
    struct list clients;      /* Of struct client: those whose request is not complete. */
    unsigned n_clients;       /* And those that are being served. */
};

/* A connection whose request is being read. */
struct client {
    struct list node; /* In struct service's 'clients'. */
    struct service *service;
    int fd, passed_fd;
    uid_t peer;
    struct loop_fd *watch;
    struct loop_timer *timer;
    struct buf line;
};

static void
client_free(struct client *c)
{
    list_remove(&c->node);
    loop_fd_free(c->watch);
    loop_timer_free(c->timer);
    fd_done(&c->fd);
    fd_done(&c->passed_fd);
    buf_done(&c->line);
    free(c);
}

/* Best effort: a client that does not take the answer has gone. */
static void
send_line(int fd, struct buf *line, int flags)
{
    buf_char(line, '\n');
    for (size_t at = 0; at < line->n;) {
        ssize_t n = send(fd, line->data + at, line->n - at, MSG_NOSIGNAL | flags);
        if (n <= 0 && errno != EINTR) {
            return;
        }
        at += n > 0 ? (size_t) n : 0;
    }
}

static void
send_error(int fd, const struct err *e, int flags)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    struct json answer = priv_error_encode(&arena, e);

    json_print(&answer, 0, &line);
    send_line(fd, &line, flags);
}

void
service_send_line(int fd, struct buf *line)
{
    send_line(fd, line, 0);
}

void
service_send_error(int fd, const struct err *e)
{
    send_error(fd, e, 0);
}

/* On the loop, which waits for nobody. */
static void
refuse(struct client *c, struct err *e)
{
    send_error(c->fd, e, MSG_DONTWAIT);
    err_free(e);
    c->service->n_clients--;
    client_free(c);
}

void
service_request_done(struct service *s)
{
    s->n_clients--;
}

/* The line is complete.  The connection goes on in a thread, where it may block. */
static void
serve(struct client *c)
{
    struct request *request = NEW(struct request);

    request->agent = c->service->agent;
    request->service = c->service;
    request->arena = ARENA_INIT;
    request->passed_fd = fd_take(&c->passed_fd);
    struct err *e = json_parse(&request->arena, c->line.data, c->line.n, &request->json);
    if (!e) {
        e = request_prepare(request);
    }
    if (e) {
        request_free(request);
        refuse(c, e);
        return;
    }
    loop_fd_free(TAKE(c->watch)); /* It had the socket not block. */
    (void) fcntl(c->fd, F_SETFL, 0);
    request->fd = fd_take(&c->fd);
    request->peer = c->peer;
    client_free(c);
    request_submit(request);
}

/* One descriptor at most may come along; more are closed. */
static void
take_descriptors(struct client *c, struct msghdr *msg)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            fd_done(&c->passed_fd);
            c->passed_fd = fd;
        }
    }
}

static void
on_client(void *aux, int ready UNUSED)
{
    struct client *c = aux;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec iov = { buf_reserve(&c->line, 4096), 4096 };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.room,
                          .msg_controllen = sizeof control.room };

    ssize_t n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    } else if (n <= 0) {
        c->service->n_clients--;
        client_free(c);
        return;
    }
    take_descriptors(c, &msg);
    c->line.n += (size_t) n;
    char *end = memchr(c->line.data, '\n', c->line.n);
    if (end) {
        c->line.n = (size_t) (end - c->line.data);
        serve(c);
    } else if (c->line.n > REQUEST_MAX_BYTES) {
        refuse(c, err_new(ERR_CONSTRAINT, "a request has at most %d bytes",
                          (int) REQUEST_MAX_BYTES));
    }
}

static void
on_too_slow(void *aux)
{
    refuse(aux, err_new(ERR_TIMEOUT, "no request came within %d s", REQUEST_MS / 1000));
}

static struct err *
check_peer(int fd, uid_t *ret)
{
    struct ucred peer;
    socklen_t n = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0) {
        return err_io(errno, "SO_PEERCRED");
    } else if (peer.uid != 0 && peer.uid != geteuid()) {
        return err_hint(err_new(ERR_DENIED, "user %u may not ask this agent", peer.uid),
                        "run the command as root, or as the user that runs byred");
    }
    *ret = peer.uid;
    return NULL;
}

/* Takes 'fd'. */
static void
let_in(struct service *s, int fd)
{
    struct timeval patience = { .tv_sec = REQUEST_MS / 1000 };

    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    uid_t peer = 0;
    struct err *e = check_peer(fd, &peer);
    if (!e && s->n_clients >= CLIENTS_MAX) {
        e = err_hint(err_new(ERR_BUSY, "%u requests are open already", s->n_clients),
                     "try again later");
    }
    struct client *c = NEW(struct client);
    list_init(&c->node);
    c->service = s;
    c->fd = fd;
    c->passed_fd = -1;
    c->peer = peer;
    s->n_clients++;
    if (!e) {
        e = loop_fd_new(s->agent->loop, fd, on_client, c, &c->watch);
    }
    if (e) {
        refuse(c, e);
        return;
    }
    list_push_back(&s->clients, &c->node);
    loop_fd_set(c->watch, LOOP_READ);
    c->timer = loop_timer_new(s->agent->loop, on_too_slow, c);
    loop_timer_set(c->timer, REQUEST_MS);
}

static void
on_accept(void *aux, int ready UNUSED)
{
    struct service *s = aux;

    for (int i = 0; i < CLIENTS_MAX; i++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                loop_fd_set(s->watch,
                            0); /* Asking on at once would only burn the processor. */
                loop_timer_set(s->pause, ACCEPT_PAUSE_MS);
            }
            return; /* Else a client that went again. */
        }
        let_in(s, fd);
    }
}

static void
on_pause_over(void *aux)
{
    struct service *s = aux;

    loop_fd_set(s->watch, LOOP_READ);
}

/* The pid file's lock keeps a second agent out, so a socket that is there is a dead one's. */
static struct err *
listen_at(const char *path, int *ret)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    CLEANUP(fd_done)
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return err_io(errno, "socket");
    } else if (strlen(path) >= sizeof address.sun_path) {
        return err_hint(err_new(ERR_CONSTRAINT, "%s is too long for a socket's path", path),
                        "give --state a shorter path");
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    unlink(path);
    mode_t mask = umask(0077);
    int status = bind(fd, (struct sockaddr *) &address, sizeof address);
    int errnum = errno;
    umask(mask);
    if (status != 0 || listen(fd, CLIENTS_MAX) != 0) {
        return err_io(status != 0 ? errnum : errno, "listen on %s", path);
    }
    *ret = fd_take(&fd);
    return NULL;
}

struct err *
service_new(struct agent *a, struct service **ret)
{
    CLEANUP(free_drop) char *path = path_join(a->dir, "run/agent.sock");
    int fd = -1;
    TRY(listen_at(path, &fd));

    struct service *s = NEW(struct service);
    s->agent = a;
    s->path = TAKE(path);
    s->fd = fd;
    list_init(&s->clients);
    struct err *e = loop_fd_new(a->loop, s->fd, on_accept, s, &s->watch);
    if (e) {
        service_free(s);
        return e;
    }
    s->pause = loop_timer_new(a->loop, on_pause_over, s);
    loop_fd_set(s->watch, LOOP_READ);
    *ret = s;
    return NULL;
}

void
service_close(struct service *s)
{
    if (!s || s->fd < 0) {
        return;
    }
    while (!list_empty(&s->clients)) {
        client_free(CONTAINER_OF(s->clients.next, struct client, node));
    }
    loop_timer_free(s->pause);
    loop_fd_free(s->watch);
    fd_done(&s->fd);
    unlink(s->path);
}

void
service_free(struct service *s)
{
    if (s) {
        service_close(s);
        free(s->path);
        free(s);
    }
}
