/* web/ask.c: see ask.h. */
#include "web/ask.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fs.h"
#include "loop/loop.h"

#define READ_BYTES (256 * KIB)

struct ask {
    struct loop_fd *watch; /* NULL: it was answered. */
    int fd;
    struct buf line;
    size_t max_bytes;
    void (*answered)(void *aux, const char *line);
    void *aux;
};

void
ask_free(struct ask *a)
{
    if (a) {
        loop_fd_free(a->watch);
        fd_done(&a->fd);
        buf_done(&a->line);
        free(a);
    }
}

static void
on_agent(void *aux, int ready UNUSED)
{
    struct ask *a = aux;
    ssize_t n = recv(a->fd, buf_reserve(&a->line, READ_BYTES), READ_BYTES, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    char *end = n > 0 ? memchr(a->line.data + a->line.n, '\n', (size_t) n) : NULL;
    a->line.n += n > 0 ? (size_t) n : 0;
    if (end) {
        *end = '\0';
    }
    if (n <= 0 || end || a->line.n > a->max_bytes) {
        loop_fd_free(a->watch);
        a->watch = NULL;
        a->answered(a->aux, end ? a->line.data : NULL);
    }
}

struct err *
ask_new(struct loop *loop, const char *agent, const char *question, size_t max_bytes,
        void (*answered)(void *aux, const char *line), void *aux, struct ask **ret)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t n = strlen(question);

    if (!agent || strlen(agent) >= sizeof address.sun_path) {
        return err_new(ERR_NOT_FOUND, "no agent");
    }
    memcpy(address.sun_path, agent, strlen(agent) + 1);
    struct ask *a = NEW(struct ask);
    a->max_bytes = max_bytes;
    a->answered = answered;
    a->aux = aux;
    a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct err *e = NULL;
    if (a->fd < 0 || connect(a->fd, (struct sockaddr *) &address, sizeof address) < 0 ||
        send(a->fd, question, n, MSG_NOSIGNAL) != (ssize_t) n) {
        e = err_io(errno, "connect to %s", agent);
    }
    e = e ? e : loop_fd_new(loop, a->fd, on_agent, a, &a->watch);
    if (e) {
        ask_free(a);
        return e;
    }
    loop_fd_set(a->watch, LOOP_READ);
    *ret = a;
    return NULL;
}
