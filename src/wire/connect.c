/* wire/connect.c: see connect_i.h.  Names are looked up in libuv's threads; addresses are tried
 * in the resolver's order until one answers. */
#include "wire/connect_i.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <uv.h>

#include "base/fs.h"
#include "base/str.h"
#include "loop/loop.h"

struct connect {
    struct loop *loop;
    void (*done)(void *aux, int fd, struct err *e);
    void *aux;
    char *path, *host; /* One of them. */
    char port[8];
    uv_getaddrinfo_t *lookup;      /* While running. */
    struct addrinfo *addrs, *next; /* Found; the next to try. */
    int fd;                        /* Being connected, or connected. */
    struct loop_fd *watch;
    struct loop_timer *later; /* Calls 'done' outside of the caller's turn. */
    int errnum;               /* Of the last try. */
};

void
unix_address(const char *path, struct sockaddr_un *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->sun_family = AF_UNIX;
    ASSERT(strlen(path) < sizeof ret->sun_path);
    memcpy(ret->sun_path, path, strlen(path));
}

void
tcp_tune(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static void
finish(struct connect *c, struct err *e)
{
    loop_fd_free(TAKE(c->watch));
    c->done(c->aux, e ? -1 : fd_take(&c->fd), e);
}

static void
finish_errno(struct connect *c, int errnum)
{
    struct err *e = err_io(errnum, "connect");
    if (c->path && errnum == ENOENT) {
        e = err_hint(e, "is the server running?  It makes the socket %s", c->path);
    } else if (errnum == ECONNREFUSED) {
        e = err_hint(e, "is the server running?");
    }
    finish(c, e);
}

static void try_next(struct connect *);

static void
on_writable(void *c_, int ready UNUSED)
{
    struct connect *c = c_;
    int errnum = 0;
    socklen_t n = sizeof errnum;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &errnum, &n);
    if (errnum == 0) {
        finish(c, NULL);
        return;
    }
    c->errnum = errnum;
    loop_fd_free(TAKE(c->watch));
    fd_done(&c->fd);
    try_next(c);
}

/* True if the attempt is under way (or has worked); else errnum says why not. */
static bool
try_address(struct connect *c, const struct sockaddr *address, socklen_t n)
{
    c->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        c->errnum = errno;
        return false;
    }
    if (address->sa_family != AF_UNIX) {
        tcp_tune(c->fd);
    }
    /* A unix socket whose backlog is full says EAGAIN, and never becomes writable. */
    if (connect(c->fd, address, n) < 0 && errno != EINPROGRESS) {
        c->errnum = errno;
        fd_done(&c->fd);
        return false;
    }
    struct err *e = loop_fd_new(c->loop, c->fd, on_writable, c, &c->watch);
    ASSERT(!e);
    loop_fd_set(c->watch, LOOP_WRITE);
    return true;
}

static void
try_next(struct connect *c)
{
    while (c->next) {
        const struct addrinfo *a = c->next;
        c->next = a->ai_next;
        if (try_address(c, a->ai_addr, a->ai_addrlen)) {
            return;
        }
    }
    finish_errno(c, c->errnum);
}

static void
on_lookup(uv_getaddrinfo_t *lookup, int status, struct addrinfo *addrs)
{
    struct connect *c = lookup->data;
    free(lookup);
    if (!c) { /* Freed meanwhile. */
        uv_freeaddrinfo(addrs);
        return;
    }
    c->lookup = NULL;
    if (status < 0) {
        finish(c, err_hint(err_new(ERR_NOT_FOUND, "look up host %s: %s", c->host,
                                   uv_strerror(status)),
                           "check the host's name"));
        return;
    }
    c->addrs = c->next = addrs;
    try_next(c);
}

/* The first step, in a turn of its own. */
static void
on_start(void *c_)
{
    struct connect *c = c_;
    if (c->path) {
        struct sockaddr_un address;
        unix_address(c->path, &address);
        if (!try_address(c, (struct sockaddr *) &address, sizeof address)) {
            finish_errno(c, c->errnum);
        }
        return;
    }
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    c->lookup = NEW(uv_getaddrinfo_t);
    c->lookup->data = c;
    int code =
        uv_getaddrinfo(loop_uv(c->loop), c->lookup, on_lookup, c->host, c->port, &hints);
    if (code < 0) {
        free(TAKE(c->lookup));
        finish(c, err_io(-code, "look up host %s", c->host));
    }
}

struct connect *
connect_new(struct loop *loop, const struct remote *remote,
            void (*done)(void *aux, int fd, struct err *e), void *aux)
{
    struct connect *c = NEW(struct connect);
    c->loop = loop;
    c->done = done;
    c->aux = aux;
    c->fd = -1;
    c->path = str_dup(remote->path);
    c->host = str_dup(remote->host);
    snprintf(c->port, sizeof c->port, "%u", remote->port);
    c->later = loop_timer_new(loop, on_start, c);
    loop_timer_set(c->later, 0);
    return c;
}

void
connect_free(struct connect *c)
{
    if (!c) {
        return;
    }
    if (c->lookup) {
        c->lookup->data = NULL;
        uv_cancel((uv_req_t *) c->lookup); /* Its callback comes in any case. */
    }
    uv_freeaddrinfo(c->addrs);
    loop_fd_free(c->watch);
    loop_timer_free(c->later);
    fd_done(&c->fd);
    free(c->path);
    free(c->host);
    free(c);
}
