/* virt/console.c: joins a guest's serial console to a socket.
 *
 * Everything after virt_console() runs in libvirt's event thread: the stream's callback and the
 * socket's watch feed each other, and neither ever blocks.  One buffer a direction; a side is
 * only watched for what can be done with it now, so a reader that does not read stops the stream
 * instead of filling memory. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "virt/conn_i.h"

#define PIPE_BYTES 16384
#define LOG_LAG_US 20000 /* QEMU -> virtlogd -> file. */

struct half {
    char bytes[PIPE_BYTES];
    size_t begin, end; /* What has been read and not yet written. */
};

/* Who holds it: the socket's watch, which frees it.  (libvirt 9.0 never calls the free function of
 * a stream's callback.)  Both callbacks run in one thread, so none is under way by then. */
struct console {
    virStreamPtr stream; /* NULL once ended. */
    int fd;
    int watch; /* libvirt's number of the socket's watch. */
    bool over;
    pthread_mutex_t lock; /* Held by each callback, and while both are being set up. */
    struct half to_user, to_guest;
};

static size_t
half_room(const struct half *h)
{
    return h->begin == h->end ? PIPE_BYTES
                              : 0; /* Filled only when empty: simple, and enough. */
}

static void
console_free(void *aux)
{
    struct console *c = aux;

    pthread_mutex_lock(&c->lock); /* virt_console() may not be through with it. */
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_destroy(&c->lock);
    close(c->fd);
    free(c);
}

/* Both callbacks are taken away; libvirt frees the console later. */
static void
console_end(struct console *c)
{
    if (c->over) {
        return;
    }
    c->over = true;
    shutdown(c->fd, SHUT_RDWR);
    virEventRemoveHandle(c->watch);
    virStreamEventRemoveCallback(c->stream);
    virStreamAbort(c->stream);
    virStreamFree(c->stream);
    c->stream = NULL;
}

static void
console_rewatch(struct console *c)
{
    int on_stream = 0, on_fd = 0;

    if (c->over) {
        return;
    }
    on_stream |= half_room(&c->to_user) ? VIR_STREAM_EVENT_READABLE : 0;
    on_stream |= half_room(&c->to_guest) ? 0 : VIR_STREAM_EVENT_WRITABLE;
    on_fd |= half_room(&c->to_guest) ? VIR_EVENT_HANDLE_READABLE : 0;
    on_fd |= half_room(&c->to_user) ? 0 : VIR_EVENT_HANDLE_WRITABLE;
    virStreamEventUpdateCallback(c->stream, on_stream);
    virEventUpdateHandle(c->watch, on_fd);
}

static void
stream_ready(struct console *c, int events)
{
    if ((events & VIR_STREAM_EVENT_READABLE) && half_room(&c->to_user)) {
        int n = virStreamRecv(c->stream, c->to_user.bytes, PIPE_BYTES);
        if (n == 0 || n == -1) { /* The guest is off, or the stream broke.  -2: not now. */
            console_end(c);
            return;
        }
        c->to_user.begin = 0;
        c->to_user.end = n > 0 ? (size_t) n : 0;
    }
    if ((events & VIR_STREAM_EVENT_WRITABLE) && !half_room(&c->to_guest)) {
        struct half *h = &c->to_guest;
        int n = virStreamSend(c->stream, h->bytes + h->begin, h->end - h->begin);
        if (n == -1) {
            console_end(c);
            return;
        }
        h->begin += n > 0 ? (size_t) n : 0;
    }
    if (events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP)) {
        console_end(c);
        return;
    }
    console_rewatch(c);
}

static void
on_stream(virStreamPtr stream UNUSED, int events, void *aux)
{
    struct console *c = aux;

    pthread_mutex_lock(&c->lock);
    if (!c->over) {
        stream_ready(c, events);
    }
    pthread_mutex_unlock(&c->lock);
}

static void
socket_ready(struct console *c, int events)
{
    if ((events & VIR_EVENT_HANDLE_READABLE) && half_room(&c->to_guest)) {
        ssize_t n = recv(c->fd, c->to_guest.bytes, PIPE_BYTES, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            console_end(c);
            return;
        }
        c->to_guest.begin = 0;
        c->to_guest.end = n > 0 ? (size_t) n : 0;
    }
    if ((events & VIR_EVENT_HANDLE_WRITABLE) && !half_room(&c->to_user)) {
        struct half *h = &c->to_user;
        ssize_t n = send(c->fd, h->bytes + h->begin, h->end - h->begin, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            console_end(c);
            return;
        }
        h->begin += n > 0 ? (size_t) n : 0;
    }
    if (events & (VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP)) {
        console_end(c);
        return;
    }
    console_rewatch(c);
}

static void
on_socket(int watch UNUSED, int fd UNUSED, int events, void *aux)
{
    struct console *c = aux;

    pthread_mutex_lock(&c->lock);
    if (!c->over) {
        socket_ready(c, events);
    }
    pthread_mutex_unlock(&c->lock);
}

/* Opens the stream.  The domain's reference on the connection lives on in the stream. */
static struct err *
stream_open(struct virt *v, const struct uuid *uuid, virStreamPtr *ret)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    TRY(virt_dom_take(v, uuid, &dom));

    virStreamPtr stream = virStreamNew(virDomainGetConnect(dom), VIR_STREAM_NONBLOCK);
    if (!stream) {
        return virt_last_error(v, "make a stream");
    }
    if (virDomainOpenConsole(dom, NULL, stream, VIR_DOMAIN_CONSOLE_FORCE) < 0) {
        struct err *e = virt_last_error(v, "open the console");
        virStreamFree(stream);
        return e;
    }
    *ret = stream;
    return NULL;
}

/* The end of the log goes before the stream.  It is read after the stream was opened: what the
 * guest says in between comes twice rather than not at all. */
static void
tail_add(const char *path, struct half *h)
{
    CLEANUP(fd_done) int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0) {
        return; /* virtlogd's files are root's; without them the console begins now. */
    }
    usleep(LOG_LAG_US);
    off_t size = lseek(fd, 0, SEEK_END), room = (off_t) (PIPE_BYTES - h->end);
    ssize_t n = pread(fd, h->bytes + h->end, (size_t) room, size > room ? size - room : 0);
    h->end += n > 0 ? (size_t) n : 0;
}

static void
greeting_add(const char *greeting, struct half *h)
{
    size_t n = greeting ? strlen(greeting) : 0;

    ASSERT(n <= PIPE_BYTES);
    memcpy(h->bytes, greeting ? greeting : "", n);
    h->end = n;
}

struct err *
virt_console(struct virt *v, const struct uuid *uuid, const char *greeting,
             const char *log_path, int fd_taken)
{
    CLEANUP(fd_done) int fd = fd_taken;
    virStreamPtr stream = NULL;
    TRY(fd_nonblock(fd));
    TRY(stream_open(v, uuid, &stream));

    struct console *c = NEW(struct console);
    pthread_mutex_init(&c->lock, NULL);
    c->stream = stream;
    c->fd = fd_take(&fd);
    greeting_add(greeting, &c->to_user);
    tail_add(log_path, &c->to_user);

    struct err *e = NULL;
    pthread_mutex_lock(&c->lock);
    c->watch = virEventAddHandle(c->fd, 0, on_socket, c, console_free);
    ASSERT(c->watch >= 0);
    if (virStreamEventAddCallback(stream, 0, on_stream, c, NULL) == 0) {
        console_rewatch(c);
    } else {
        e = virt_last_error(v, "watch the console");
        console_end(c);
    }
    pthread_mutex_unlock(&c->lock);
    return e;
}
