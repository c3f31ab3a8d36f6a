/* super/spawn.c: fork, exec, and looks at processes. */
#include "super/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

#define STDERR_MAX_BYTES (1 * MIB) /* Beyond this it begins anew at the next start. */

static void NORETURN
child_main(char *const *argv, int stderr_fd, pid_t parent)
{
    /* Signals were blocked over the fork: the parent's handlers, run in here, would write to
     * the pipe they share with the parent. */
    sigset_t none;
    for (int signum = 1; signum < NSIG; signum++) {
        signal(signum, SIG_DFL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    /* The parent may have died before the request took effect. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent) {
        _exit(127);
    }
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* What we got from whoever started us. */
    int null_fd = open("/dev/null", O_RDWR);
    if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 ||
        dup2(stderr_fd, 2) < 0) {
        _exit(127);
    }
    if (null_fd > 2) {
        close(null_fd);
    }
    execvp(argv[0], argv);
    dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

struct err *
spawn(char *const *argv, const char *stderr_path, pid_t *ret_pid, int64_t *ret_offset)
{
    CLEANUP(fd_done)
    int fd = open(stderr_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_io(errno, "open %s", stderr_path);
    }
    if (st.st_size > STDERR_MAX_BYTES && ftruncate(fd, 0) == 0) {
        st.st_size = 0;
    }

    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t pid = fork();
    int fork_errno = errno;
    if (pid == 0) {
        child_main(argv, fd, parent);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        return err_io(fork_errno, "start %s", argv[0]);
    }
    *ret_pid = pid;
    *ret_offset = st.st_size;
    return NULL;
}

bool
spawn_answers(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof sa.sun_path) {
        return false;
    }
    strcpy(sa.sun_path, path);
    CLEANUP(fd_done)
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *) &sa, sizeof sa) == 0;
}

bool
spawn_is_program(pid_t pid, const char *name)
{
    char link[64], exe[4096];
    snprintf(link, sizeof link, "/proc/%d/exe", (int) pid);
    ssize_t n = readlink(link, exe, sizeof exe - 1);
    if (n < 0) {
        return false;
    }
    exe[n] = '\0';
    /* A program that was replaced while it runs reads "/usr/sbin/byre-dbd (deleted)". */
    const char *base = path_base(exe);
    size_t n_name = strlen(name);
    return strncmp(base, name, n_name) == 0 &&
           (base[n_name] == '\0' || base[n_name] == ' ');
}
