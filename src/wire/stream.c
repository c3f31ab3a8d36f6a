/* wire/stream.c: a connected socket with a queue of output.  How it got connected is in
 * wire/connect.c.
 *
 * Callbacks may free the stream.  So whoever calls one holds it (stream_hold) and lets go
 * afterwards; the memory goes when nobody holds a freed stream. */
#include "wire/stream_i.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "base/vec.h"
#include "loop/loop.h"
#include "wire/connect_i.h"
#include "wire/tls_i.h"

#define READ_BYTES (64 * 1024)
#define READS_AT_ONCE 4 /* Then others have their turn. */
#define WRITE_BLOCKS 64 /* Of one sendmsg(2). */

struct stream {
    struct loop *loop;
    char *name;
    int fd; /* -1 while connecting, and once dead. */
    struct loop_fd *watch;
    const struct stream_class *class;
    void *class_state;
    struct tls *tls;         /* To be used once connected, or NULL. */
    bool secure;             /* Needs 'tls'. */
    bool handshaking;        /* Neither reads nor writes yet. */
    bool connecting;         /* 'connected' is to come. */
    struct connect *connect; /* While connecting. */
    struct loop_timer
        *later; /* Tells of writes outside of the caller's turn: that one failed... */
    bool tell_progress; /* ... or that output went out. */

    const struct stream_events *events;
    void *aux;

    VEC(struct bytes *) out;
    size_t out_head;  /* Index of the block being written... */
    size_t out_at;    /* ... and bytes of it that are out. */
    size_t n_backlog; /* Bytes. */

    int write_errno; /* Of a write that failed; not yet told. */
    bool full;       /* The kernel took no more; some is left. */
    bool corked, paused, closed, freed;
    unsigned int n_holds;
};

/* Plain sockets. */

static ssize_t
plain_read(int fd, void *state UNUSED, void *bytes, size_t n_bytes)
{
    return recv(fd, bytes, n_bytes, 0);
}

static ssize_t
plain_write(int fd, void *state UNUSED, const struct iovec *iov, int n_iov)
{
    struct msghdr msg = { .msg_iov = (struct iovec *) (uintptr_t) iov,
                          .msg_iovlen = (size_t) n_iov };
    return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

const struct stream_class stream_plain_class = { .read = plain_read, .write = plain_write };

/* Life. */

static void
stream_hold(struct stream *s)
{
    s->n_holds++;
}

/* False if the stream is gone. */
static bool
stream_let_go(struct stream *s)
{
    if (--s->n_holds > 0 || !s->freed) {
        return !s->freed;
    }
    free(s->name);
    free(s);
    return false;
}

/* Gives up the socket; tells nobody. */
static void
stream_shut(struct stream *s)
{
    connect_free(TAKE(s->connect));
    loop_fd_free(TAKE(s->watch));
    if (s->class && s->class->free) {
        s->class->free(s->class_state);
    }
    s->class = NULL;
    fd_done(&s->fd);
    for (size_t i = s->out_head; i < s->out.n; i++) {
        bytes_unref(s->out.v[i]);
    }
    VEC_DONE(&s->out);
    s->out_head = s->n_backlog = 0;
}

/* Takes 'e'.  The stream may be gone afterwards. */
static void
stream_die(struct stream *s, struct err *e)
{
    if (s->closed) {
        err_free(e);
        return;
    }
    s->closed = true;
    stream_shut(s);
    s->events->closed(s->aux, err_wrap(e, "%s", s->name));
}

static void
stream_watch(struct stream *s)
{
    if (s->watch && s->handshaking) {
        loop_fd_set(s->watch, s->class->wants(s->class_state));
    } else if (s->watch) {
        bool reading = s->events && !s->paused;
        bool writing = s->n_backlog > 0 && !s->corked && !s->write_errno;
        loop_fd_set(s->watch, (reading ? LOOP_READ : 0) | (writing ? LOOP_WRITE : 0));
    }
}

/* The reason of a failure: the class may know better than errno. */
static struct err *
io_error(struct stream *s, int errnum, const char *what)
{
    const char *why = s->class && s->class->why ? s->class->why(s->class_state) : NULL;
    return why ? err_new(ERR_IO, "%s: %s", what, why) : err_io(errnum, "%s", what);
}

/* Output. */

static void
drop_written(struct stream *s, size_t n_bytes)
{
    s->n_backlog -= n_bytes;
    s->full = s->full && s->n_backlog > 0;
    s->out_at += n_bytes;
    while (s->out_head < s->out.n && s->out_at >= s->out.v[s->out_head]->n) {
        s->out_at -= s->out.v[s->out_head]->n;
        bytes_unref(s->out.v[s->out_head++]);
    }
    if (s->out_head == s->out.n) {
        s->out.n = s->out_head = 0;
    } else if (s->out_head > 1024 && s->out_head > s->out.n / 2) {
        s->out.n -= s->out_head;
        memmove(s->out.v, s->out.v + s->out_head, s->out.n * sizeof *s->out.v);
        s->out_head = 0;
    }
}

/* Writes what the kernel takes.  A failure is told later. */
static void
stream_flush(struct stream *s)
{
    while (s->fd >= 0 && s->n_backlog > 0 && !s->write_errno && !s->handshaking) {
        struct iovec iov[WRITE_BLOCKS];
        int n_iov = 0;
        size_t at = s->out_at;
        for (size_t i = s->out_head; i < s->out.n && n_iov < WRITE_BLOCKS; i++) {
            iov[n_iov++] = (struct iovec){ s->out.v[i]->data + at, s->out.v[i]->n - at };
            at = 0;
        }
        ssize_t n = s->class->write(s->fd, s->class_state, iov, n_iov);
        if (n >= 0) {
            drop_written(s, (size_t) n);
        } else if (errno == EAGAIN) {
            s->full = true;
            break;
        } else if (errno != EINTR) {
            s->write_errno = errno;
            loop_timer_set(s->later, 0);
        }
    }
    stream_watch(s);
}

static void
on_later(void *s_)
{
    struct stream *s = s_;
    stream_hold(s);
    bool progress = s->tell_progress;
    s->tell_progress = false;
    if (s->write_errno) {
        stream_die(s, io_error(s, s->write_errno, "write"));
    } else if (progress && s->events->progress) {
        s->events->progress(s->aux);
    }
    stream_let_go(s);
}

void
stream_send(struct stream *s, struct bytes *b)
{
    if (s->closed || s->freed || b->n == 0) {
        bytes_unref(b);
        return;
    }
    *VEC_ADD(&s->out) = b;
    s->n_backlog += b->n;
    /* With older output waiting, the socket is full or the flush is due. */
    if (!s->corked && s->n_backlog == b->n) {
        stream_flush(s);
    }
}

void
stream_cork(struct stream *s, bool corked)
{
    size_t before = s->n_backlog;
    bool was_full = s->full;
    s->corked = corked;
    if (!corked && before > 0) {
        stream_flush(s);
        /* Whoever paused, or saw that it was full, may wait for just that. */
        if ((s->paused && s->n_backlog < before) || (was_full && !s->full)) {
            s->tell_progress = true;
            loop_timer_set(s->later, 0);
        }
    }
}

/* Input. */

static void
stream_read(struct stream *s)
{
    char bytes[READ_BYTES];
    for (int i = 0; i < READS_AT_ONCE && !s->freed && !s->closed && !s->paused; i++) {
        ssize_t n = s->class->read(s->fd, s->class_state, bytes, sizeof bytes);
        if (n > 0) {
            s->events->bytes(s->aux, bytes, (size_t) n);
        } else if (n == 0) {
            stream_die(s, NULL);
        } else if (errno != EINTR && errno != EAGAIN) {
            stream_die(s, io_error(s, errno, "read"));
        }
        if (n < (ssize_t) sizeof bytes) {
            break;
        }
    }
}

static void
stream_handshake(struct stream *s)
{
    if (s->class->handshake(s->class_state) < 0) {
        if (errno != EAGAIN) {
            stream_die(s, io_error(s, errno, "handshake"));
        }
        return;
    }
    s->handshaking = false;
    if (s->connecting) {
        s->connecting = false;
        s->events->connected(s->aux);
    }
    if (!s->freed && !s->closed) {
        stream_flush(s);
    }
}

static void
on_ready(void *s_, int ready)
{
    struct stream *s = s_;
    stream_hold(s);
    if (s->handshaking) {
        stream_handshake(s);
        ready = 0;
    }
    if (ready & LOOP_WRITE) {
        size_t before = s->n_backlog;
        stream_flush(s);
        if (s->n_backlog < before && s->events->progress) {
            s->events->progress(s->aux);
        }
    }
    if (ready & LOOP_READ) {
        stream_read(s);
    }
    if (!s->freed && !s->closed) {
        stream_watch(s);
    }
    stream_let_go(s);
}

/* Making. */

static struct stream *
stream_make(struct loop *loop, const char *name)
{
    struct stream *s = NEW(struct stream);
    s->loop = loop;
    s->name = str_dup(name);
    s->fd = -1;
    s->later = loop_timer_new(loop, on_later, s);
    return s;
}

/* Takes 'fd', on failure too. */
static MUST_CHECK struct err *
stream_adopt(struct stream *s, int fd, bool client)
{
    s->fd = fd;
    if (s->secure) {
        TRY(tls_stream_new(s->tls, fd, client, &s->class_state));
        s->class = &stream_tls_class;
        s->handshaking = true;
    } else {
        s->class = &stream_plain_class;
    }
    struct err *e = loop_fd_new(s->loop, fd, on_ready, s, &s->watch);
    ASSERT(!e); /* It is a socket. */
    return NULL;
}

struct stream *
stream_new(struct loop *loop, int fd, const char *name)
{
    struct stream *s = stream_make(loop, name);
    struct err *e = stream_adopt(s, fd, false);
    ASSERT(!e); /* Without TLS nothing can fail. */
    return s;
}

struct err *
stream_new_tls(struct loop *loop, int fd, const char *name, struct tls *tls,
               struct stream **ret)
{
    struct stream *s = stream_make(loop, name);
    s->tls = tls;
    s->secure = true;
    struct err *e = stream_adopt(s, fd, false);
    if (e) {
        stream_free(s);
        return e;
    }
    *ret = s;
    return NULL;
}

static void
on_connected(void *s_, int fd, struct err *e)
{
    struct stream *s = s_;
    stream_hold(s);
    connect_free(TAKE(s->connect));
    if (!e) {
        e = stream_adopt(s, fd, true);
    }
    if (e) {
        stream_die(s, e);
    } else if (s->handshaking) {
        s->connecting = true;
        stream_watch(s);
    } else {
        stream_flush(s);
        s->events->connected(s->aux);
    }
    stream_let_go(s);
}

struct err *
stream_connect(struct loop *loop, const struct remote *remote,
               const struct stream_events *events, void *aux, struct stream **ret)
{
    if (remote->passive) {
        return err_new(ERR_SYNTAX, "a passive remote is to listen on, not to connect to");
    }
    CLEANUP(free_drop) char *name = remote_text(remote);
    struct stream *s = stream_make(loop, name);
    s->events = events;
    s->aux = aux;
    s->secure = remote->secure;
    s->tls = remote->tls;
    s->connect = connect_new(loop, remote, on_connected, s);
    *ret = s;
    return NULL;
}

void
stream_set_events(struct stream *s, const struct stream_events *events, void *aux)
{
    s->events = events;
    s->aux = aux;
    stream_watch(s);
}

void
stream_free(struct stream *s)
{
    if (s) {
        stream_hold(s);
        s->freed = true;
        stream_shut(s);
        loop_timer_free(TAKE(s->later));
        stream_let_go(s);
    }
}

void
stream_pause(struct stream *s, bool paused)
{
    s->paused = paused;
    stream_watch(s);
}

size_t
stream_backlog_bytes(const struct stream *s)
{
    return s->n_backlog;
}

bool
stream_is_full(const struct stream *s)
{
    return s->full;
}

const char *
stream_name(const struct stream *s)
{
    return s->name;
}

const char *
stream_peer_id(const struct stream *s)
{
    return s->class && s->class->id && !s->handshaking ? s->class->id(s->class_state)
                                                       : NULL;
}

void
stream_set_dscp(struct stream *s, int dscp)
{
    int tos = dscp << 2;
    if (s->fd >= 0) { /* The one that is not its family's fails, and that is fine. */
        setsockopt(s->fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
        setsockopt(s->fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
    }
}

struct loop *
stream_loop(const struct stream *s)
{
    return s->loop;
}

bool
stream_peer_cred(const struct stream *s, struct ucred *ret)
{
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    if (s->fd < 0 || getsockname(s->fd, (struct sockaddr *) &address, &n) < 0 ||
        address.ss_family != AF_UNIX) {
        return false;
    }
    n = sizeof *ret;
    return getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, ret, &n) == 0;
}
