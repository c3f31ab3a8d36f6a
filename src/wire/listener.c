/* wire/listener.c: waits for clients. */
#include "wire/stream_i.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "loop/loop.h"
#include "wire/connect_i.h"

#define BACKLOG 1024
#define ACCEPTS_AT_ONCE 16 /* Then others have their turn. */
#define STARVED_MS 1000    /* Out of descriptors: wait so long. */

struct listener {
    struct loop *loop;
    struct remote remote;
    char *name;
    int fd;
    struct loop_fd *watch;
    struct loop_timer *starved;
    dev_t dev; /* The socket file that is ours to remove. */
    ino_t ino;
    unsigned int n_accepted;
    void (*accepted)(void *aux, struct stream *);
    void *aux;
};

/* Somebody listens there: then a connection works. */
static bool
unix_is_live(const struct sockaddr_un *address)
{
    CLEANUP(fd_done)
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd >= 0 &&
           (connect(fd, (const struct sockaddr *) address, sizeof *address) == 0 ||
            errno == EAGAIN || errno == EACCES);
}

static struct err *
unix_bind(struct listener *l, mode_t mode)
{
    const char *path = l->remote.path;
    struct sockaddr_un address;
    struct stat st;
    unix_address(path, &address);
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        return err_io(errno, "socket");
    }
    int code = bind(l->fd, (struct sockaddr *) &address, sizeof address);
    if (code < 0 && errno == EADDRINUSE) {
        if (unix_is_live(&address)) {
            return err_hint(err_new(ERR_BUSY, "another process listens on %s", path),
                            "stop that process or use another socket");
        }
        if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
            return err_new(ERR_EXISTS, "%s exists and is no socket", path);
        }
        unlink(path);
        code = bind(l->fd, (struct sockaddr *) &address, sizeof address);
    }
    if (code < 0) {
        return err_io(errno, "bind %s", path);
    }
    if (stat(path, &st) == 0) {
        l->dev = st.st_dev;
        l->ino = st.st_ino;
    }
    if (mode != 0 && chmod(path, mode) < 0) { /* Nobody can connect before listen(). */
        return err_io(errno, "chmod %s", path);
    }
    return NULL;
}

static struct err *
tcp_bind(struct listener *l)
{
    char port[8];
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                              .ai_family = l->remote.host ? AF_UNSPEC : AF_INET,
                              .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV };
    struct addrinfo *a = NULL;
    snprintf(port, sizeof port, "%u", l->remote.port);
    int code = getaddrinfo(l->remote.host, port, &hints, &a);
    if (code != 0) {
        return err_hint(err_new(ERR_SYNTAX, "%s is no address of this host: %s",
                                l->remote.host, gai_strerror(code)),
                        "to listen, give an IP address and no name");
    }
    struct err *e = NULL;
    int on = 1, off = 0;
    l->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        e = err_io(errno, "socket");
    } else {
        setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (a->ai_family == AF_INET6) {
            setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        }
        if (bind(l->fd, a->ai_addr, a->ai_addrlen) < 0) {
            e = err_io(errno, "bind");
        }
    }
    freeaddrinfo(a);
    return e;
}

/* The port that the kernel chose. */
static void
learn_port(struct listener *l)
{
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    if (getsockname(l->fd, (struct sockaddr *) &address, &n) == 0) {
        l->remote.port = ntohs(address.ss_family == AF_INET6
                                   ? ((struct sockaddr_in6 *) &address)->sin6_port
                                   : ((struct sockaddr_in *) &address)->sin_port);
    }
}

static char *
peer_name(struct listener *l, const struct sockaddr_storage *address, socklen_t n)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    const char *scheme = l->remote.secure ? "ssl" : "tcp";
    if (l->remote.kind == REMOTE_UNIX) {
        return str_dupf("unix#%u", l->n_accepted);
    } else if (getnameinfo((const struct sockaddr *) address, n, host, sizeof host, port,
                           sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return str_dupf("%s#%u", scheme, l->n_accepted);
    }
    return str_dupf(strchr(host, ':') ? "%s:[%s]:%s" : "%s:%s:%s", scheme, host, port);
}

static void
on_ready(void *l_, int ready UNUSED)
{
    struct listener *l = l_;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        struct sockaddr_storage address;
        socklen_t n = sizeof address;
        int fd =
            accept4(l->fd, (struct sockaddr *) &address, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                loop_fd_set(l->watch, 0);
                loop_timer_set(l->starved, STARVED_MS);
            }
            return;
        }
        l->n_accepted++;
        if (l->remote.kind == REMOTE_TCP) {
            tcp_tune(fd);
        }
        CLEANUP(free_drop) char *name = peer_name(l, &address, n);
        struct stream *stream;
        if (!l->remote.secure) {
            stream = stream_new(l->loop, fd, name);
        } else {
            CLEANUP(err_drop)
            struct err *e = stream_new_tls(l->loop, fd, name, l->remote.tls, &stream);
            if (e) { /* No keys yet: the client finds the connection closed. */
                continue;
            }
        }
        l->accepted(l->aux, stream);
    }
}

static void
on_starved(void *l_)
{
    struct listener *l = l_;
    loop_fd_set(l->watch, LOOP_READ);
}

/* A socket that we were given. */
static struct err *
adopt(struct listener *l)
{
    int fd = l->remote.fd, on = 0, type = 0;
    socklen_t n = sizeof on;
    struct sockaddr_storage address;

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0) {
        return err_io(errno, "descriptor %d", fd);
    } else if (!on || type != SOCK_STREAM) {
        return err_new(ERR_CONSTRAINT, "descriptor %d is no listening stream socket", fd);
    }
    n = sizeof address;
    if (getsockname(fd, (struct sockaddr *) &address, &n) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return err_io(errno, "descriptor %d", fd);
    }
    l->remote.kind = address.ss_family == AF_UNIX ? REMOTE_UNIX : REMOTE_TCP;
    l->fd = fd;
    return NULL;
}

static struct err *
listener_open(struct listener *l, mode_t mode)
{
    TRY(l->remote.fd                    ? adopt(l)
        : l->remote.kind == REMOTE_UNIX ? unix_bind(l, mode)
                                        : tcp_bind(l));
    if (listen(l->fd, BACKLOG) < 0) {
        return err_io(errno, "listen");
    }
    if (l->remote.kind == REMOTE_TCP) {
        learn_port(l);
    }
    TRY(loop_fd_new(l->loop, l->fd, on_ready, l, &l->watch));
    loop_fd_set(l->watch, LOOP_READ);
    return NULL;
}

struct err *
listener_new(struct loop *loop, const struct remote *remote, mode_t mode,
             void (*accepted)(void *aux, struct stream *), void *aux, struct listener **ret)
{
    CLEANUP(free_drop) char *text = remote_text(remote);
    if (!remote->passive) {
        return err_hint(err_new(ERR_SYNTAX, "%s is to connect to, not to listen on", text),
                        "put a 'p' before it: p%s", text);
    }
    struct listener *l = NEW(struct listener);
    l->loop = loop;
    l->remote = *remote;
    l->remote.path = str_dup(remote->path);
    l->remote.host = str_dup(remote->host);
    l->fd = -1;
    l->accepted = accepted;
    l->aux = aux;
    l->starved = loop_timer_new(loop, on_starved, l);
    struct err *e = listener_open(l, mode);
    if (e) {
        listener_free(l);
        return err_wrap(e, "listen on %s", text);
    }
    l->name = remote_text(&l->remote);
    *ret = l;
    return NULL;
}

uint16_t
listener_port(const struct listener *l)
{
    return l->remote.port;
}

const char *
listener_name(const struct listener *l)
{
    return l->name;
}

void
listener_free(struct listener *l)
{
    struct stat st;
    if (!l) {
        return;
    }
    loop_fd_free(l->watch);
    loop_timer_free(l->starved);
    fd_done(&l->fd);
    if (l->ino && stat(l->remote.path, &st) == 0 && st.st_dev == l->dev &&
        st.st_ino == l->ino) {
        unlink(l->remote.path);
    }
    remote_done(&l->remote);
    free(l->name);
    free(l);
}
