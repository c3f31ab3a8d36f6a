/* super/detach.c: fork, and a pipe that carries the verdict. */
#include "super/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"

static void NORETURN
await_verdict(const struct place *place, int fd)
{
    CLEANUP(buf_done) struct buf said = BUF_INIT;
    ssize_t n;
    while ((n = read(fd, buf_reserve(&said, 512), 512)) > 0) {
        said.n += (size_t) n;
    }
    if (said.n == 0) {
        fprintf(stderr,
                "byred: it ended before anything was up\nnext: read %s/log/byred.log\n",
                place->state_dir);
    } else if (said.data[0] != 'y') {
        fputs(buf_cstr(&said) + 1, stderr);
    }
    exit(said.n > 0 && said.data[0] == 'y' ? 0 : 1);
}

struct err *
detach(const struct place *place, int *ret_parent_fd)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        return err_io(errno, "pipe");
    }
    pid_t pid = fork();
    if (pid < 0) {
        return err_io(errno, "fork");
    } else if (pid == 0) {
        close(pipe_fds[0]);
        *ret_parent_fd = pipe_fds[1];
        setsid();
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 ||
            dup2(null_fd, 2) < 0 || chdir("/") < 0) {
            return err_io(errno, "detach");
        }
        return NULL;
    }
    close(pipe_fds[1]);
    await_verdict(place, pipe_fds[0]);
}

void
detach_tell(int *parent_fd, const struct err *e)
{
    if (*parent_fd < 0) {
        return;
    }
    FILE *to = fdopen(fd_take(parent_fd), "w");
    if (to) {
        putc(e ? 'n' : 'y', to); /* The first byte decides; nothing at all is a death. */
        if (e) {
            failure_print(to, e);
        }
        fclose(to);
    }
}

void
failure_print(FILE *to, const struct err *e)
{
    const char *what = err_what(e), *next = err_next(e);
    fprintf(to, "byred: %s\n", *what ? what : err_text(e));
    if (*what) {
        fprintf(to, "why:  %s\n", err_why(e));
    }
    if (next) {
        fprintf(to, "next: %s\n", next);
    }
}
