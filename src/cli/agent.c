/* cli/agent.c: requests to the agent of this host. */
#include "cli/agent_i.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cli/job_i.h"

#define LINE_MAX_BYTES ((size_t) 64 << 20) /* `top` of a very large host. */

static struct err *
agent_missing(const char *path, int errnum)
{
    struct err *e =
        err_wrap(err_io(errnum, "connect %s", path), "this host's agent does not answer");
    if (errnum == EACCES || errnum == EPERM) {
        return fail_as(err_hint(e, "run byre as the user who runs byred, or as root"),
                       EXIT_DENIED);
    }
    return fail_as(
        err_hint(e, "is byred running?  byre-agentd's log tells why the agent is not"),
        EXIT_UNREACHABLE);
}

static struct err *
agent_connect(const char *path, int *ret_fd)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof addr.sun_path) {
        return agent_missing(path, ENAMETOOLONG);
    }
    memcpy(addr.sun_path, path, strlen(path) + 1);
    CLEANUP(fd_done) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_io(errno, "socket");
    }
    int64_t give_up_ms = clock_mono_ms() + PATIENCE_MS;
    while (connect(fd, (struct sockaddr *) &addr, sizeof addr) < 0) {
        if (errno != ECONNREFUSED || clock_mono_ms() > give_up_ms) {
            return agent_missing(path, errno);
        }
        poll(NULL, 0, 50); /* The socket is there: the agent is just being restarted. */
    }
    *ret_fd = fd_take(&fd);
    return NULL;
}

/* The first byte carries the descriptor. */
static struct err *
send_line(int fd, const struct buf *line, int pass_fd)
{
    struct iovec iov = { line->data, line->n };
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { .head = { 0 } };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    if (pass_fd >= 0) {
        msg.msg_control = control.room;
        msg.msg_controllen = sizeof control.room;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &pass_fd, sizeof pass_fd);
    }
    for (size_t sent = 0; sent < line->n;) {
        ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            return NULL; /* It may have refused us unread: its answer tells why. */
        } else if (n < 0 && errno != EINTR) {
            return err_io(errno, "send to the agent");
        }
        sent += n > 0 ? (size_t) n : 0;
        iov = (struct iovec){ line->data + sent, line->n - sent };
        if (n > 0) { /* The descriptor went with the first byte. */
            msg.msg_control = NULL;
            msg.msg_controllen = 0;
        }
    }
    return NULL;
}

/* Reads up to a newline and not a byte more: what follows may be a console. */
static struct err *
read_line(int fd, int64_t deadline_ms, struct buf *line)
{
    buf_clear(line);
    for (;;) {
        int64_t left_ms = deadline_ms ? max64(deadline_ms - clock_mono_ms(), 0) : -1;
        struct pollfd pfd = { fd, POLLIN, 0 };
        int n_ready = poll(&pfd, 1, (int) min64(left_ms, INT32_MAX));
        if (n_ready == 0) {
            return fail_as(err_new(ERR_TIMEOUT, "the agent does not answer in time"),
                           EXIT_TIMED_OUT);
        } else if (n_ready < 0) {
            continue; /* EINTR */
        }
        char peeked[4096];
        ssize_t n = recv(fd, peeked, sizeof peeked, MSG_PEEK);
        if (n < 0 && errno == EINTR) {
            continue;
        } else if (n <= 0) {
            return err_hint(err_new(ERR_IO, "the agent closed the connection"),
                            "give the command again");
        }
        char *end = memchr(peeked, '\n', (size_t) n);
        size_t n_take = end ? (size_t) (end - peeked) + 1 : (size_t) n;
        TRY(fd_read_exact(fd, peeked, n_take));
        buf_add(line, peeked, n_take);
        if (end) {
            return NULL;
        } else if (line->n > LINE_MAX_BYTES) {
            return err_new(ERR_SYNTAX, "the agent sends a line without end");
        }
    }
}

static struct err *
agent_error(const struct json *error)
{
    enum err_kind kind = ERR_IO;
    const char *kind_name = json_get_string(error, "kind");
    const char *text = json_get_string(error, "text");
    const char *hint = json_get_string(error, "hint");
    if (kind_name && !err_kind_parse(kind_name, &kind)) {
        kind = ERR_IO;
    }
    const char *what = json_get_string(error, "what");
    struct err *e = err_new(kind, "%s", text ? text : "the agent gave no reason");
    if (what && what[0]) {
        e = err_wrap(e, "%s", what);
    }
    if (hint && hint[0]) {
        e = err_hint(e, "%s", hint);
    }
    return e;
}

static int64_t
int_in(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, name);
    return value && value->type == JSON_INTEGER ? value->integer : 0;
}

static void
show_progress(const struct cli *cli, const char *label, const struct json *answer,
              int64_t spent_ms)
{
    const struct json *progress = json_get(answer, "progress");
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    if (!cli->tty_err || cli->quiet || !progress) {
        return;
    }
    struct bar bar = { .done = int_in(answer, "done"),
                       .total = int_in(answer, "total"),
                       .left_ms = -1 };
    bar.fraction =
        progress->type == JSON_REAL ? progress->real : (double) progress->integer;
    if (bar.fraction > 0.01 && spent_ms > 1000) {
        bar.left_ms = (int64_t) ((double) spent_ms * (1 - bar.fraction) / bar.fraction);
    }
    bar_print(&b, &bar);
    fprintf(stderr, "\r\033[K%s: %s", label, buf_cstr(&b));
}

struct err *
agent_call(struct cli *cli, const struct json *request, int pass_fd, int64_t deadline_ms,
           const char *label, struct json *ret_result, int *ret_fd)
{
    CLEANUP(free_drop) char *path = NULL;
    CLEANUP(fd_done) int fd = -1;
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    int64_t start_ms = clock_mono_ms();
    TRY(cli_agent_socket(cli, &path));
    TRY(agent_connect(path, &fd));
    json_print(request, 0, &line);
    buf_char(&line, '\n');
    TRY(send_line(fd, &line, pass_fd));

    for (;;) {
        struct json answer;
        TRY(read_line(fd, deadline_ms, &line));
        TRY(err_wrap(json_parse(&cli->arena, line.data, line.n, &answer),
                     "the agent's answer"));
        const struct json *error = json_get(&answer, "error");
        const struct json *result = json_get(&answer, "result");
        if (error || result) {
            if (cli->tty_err && !cli->quiet) {
                fputs("\r\033[K", stderr);
            }
            if (error) {
                return agent_error(error);
            }
            *ret_result = *result;
            if (ret_fd) {
                *ret_fd = fd_take(&fd);
            }
            return NULL;
        }
        show_progress(cli, label, &answer, clock_mono_ms() - start_ms);
    }
}
