/* priv/line.c: lines over a socket. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "priv/line_i.h"

#define SLICE_MS 200 /* How soon a raised cancel flag is seen. */
#define READ_BYTES 65536
#define MAX_FDS 4 /* More in one message are closed by the kernel. */

void
line_reader_init(struct line_reader *r, int fd, size_t max_bytes)
{
    *r = (struct line_reader){
        .fd = fd, .max_bytes = max_bytes, .in = BUF_INIT, .passed_fd = -1
    };
}

void
line_reader_done(struct line_reader *r)
{
    buf_done(&r->in);
    fd_done(&r->passed_fd);
}

/* Keeps the first descriptor; closes all others. */
static void
take_fds(struct line_reader *r, struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (r->passed_fd < 0) {
                r->passed_fd = fd;
            } else {
                close(fd);
            }
        }
    }
}

/* One recvmsg(2), appended.  *ret_n 0: the end. */
static struct err *
receive(struct line_reader *r, size_t *ret_n)
{
    char *at = buf_reserve(&r->in, READ_BYTES);
    union {
        char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { at, READ_BYTES };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = sizeof control };
    ssize_t n = recvmsg(r->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0) {
        *ret_n = 1; /* Not the end: look again. */
        return errno == EAGAIN || errno == EINTR ? NULL : err_io(errno, "receive");
    }
    take_fds(r, &msg);
    r->in.n += (size_t) n;
    *ret_n = (size_t) n;
    return NULL;
}

struct err *
line_read(struct line_reader *r, int64_t until_ms, const volatile int *cancel,
          struct buf *ret_line)
{
    size_t seen = 0;
    for (;;) {
        const char *end =
            r->in.n > seen ? memchr(r->in.data + seen, '\n', r->in.n - seen) : NULL;
        if (end) {
            size_t n = (size_t) (end - r->in.data);
            buf_clear(ret_line);
            buf_add(ret_line, r->in.data, n);
            buf_drop_front(&r->in, n + 1);
            return NULL;
        }
        seen = r->in.n;
        if (r->in.n > r->max_bytes) {
            return err_new(ERR_CONSTRAINT, "a line is longer than %zu bytes", r->max_bytes);
        } else if (cancel && *cancel) {
            return err_new(ERR_CANCELED, "canceled");
        }
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0) {
            return err_new(ERR_TIMEOUT, "no answer in time");
        }
        struct pollfd p = { r->fd, POLLIN, 0 };
        if (poll(&p, 1, (int) min64(left_ms, SLICE_MS)) > 0) {
            size_t n;
            TRY(receive(r, &n));
            if (n == 0) {
                return err_new(ERR_IO, "the connection ended");
            }
        }
    }
}

struct err *
line_write(int fd, const char *bytes, size_t n_bytes, int pass_fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { { 0 } };
    while (n_bytes > 0) {
        struct iovec iov = { (char *) bytes, n_bytes };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        if (pass_fd >= 0) {
            msg.msg_control = &control;
            msg.msg_controllen = CMSG_SPACE(sizeof(int));
            struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(c), &pass_fd, sizeof pass_fd);
        }
        ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return err_io(errno, "send");
        } else if (n > 0) {
            bytes += n;
            n_bytes -= (size_t) n;
            pass_fd = -1;
        }
    }
    return NULL;
}
