/* bin/dbd_process.c: byre-dbd as a process: in the background, watched over, another user. */
#define LOG_MODULE "daemon_unix"
#include "bin/dbd_i.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#define RESTART_MS 10000 /* Not more often than that. */

/* A large database lies in huge pages then, and the fork of its compaction copies a page table of a few
 * kilobytes instead of megabytes: the server hardly stops for it.  glibc reads this from the environment,
 * once, before main(): so the program starts itself again with it, as the same process. */
void
process_want_huge_pages(char **argv)
{
    static const char wish[] = "glibc.malloc.hugetlb=";
    const char *others = getenv("GLIBC_TUNABLES");
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if ((others && strstr(others, wish)) || n <= 0) {
        prctl(PR_SET_NAME, program_invocation_short_name); /* As if it were the first. */
        return;
    }
    self[n] = '\0';
    CLEANUP(free_drop)
    char *all =
        str_dupf("%s%s%s1", others ? others : "", others && *others ? ":" : "", wish);
    if (setenv("GLIBC_TUNABLES", all, 1) == 0) {
        execv(self, argv);
    }
    errno = 0; /* Then without. */
}

/* Would a program end so by its own fault? */
static bool
is_crash(int status)
{
    static const int signals[] = { SIGABRT, SIGALRM, SIGBUS,  SIGFPE, SIGILL,
                                   SIGPIPE, SIGSEGV, SIGXCPU, SIGXFSZ };

    for (size_t i = 0; WIFSIGNALED(status) && i < N_ELEMS(signals); i++) {
        if (WTERMSIG(status) == signals[i]) {
            return true;
        }
    }
    return false;
}

/* In the process that watches: waits for the server to end.  True: it crashed. */
static bool
watch(pid_t pid, int64_t start_ms, int *ret_status)
{
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR) {
    }
    if (!is_crash(*ret_status)) {
        return false;
    }
    log_err("%ld died, killed (%s), restarting", (long) pid,
            strsignal(WTERMSIG(*ret_status)));
    int64_t left_ms = start_ms + RESTART_MS - clock_mono_ms();
    if (left_ms > 0) {
        struct timespec pause = { left_ms / 1000, left_ms % 1000 * 1000000 };
        nanosleep(&pause, NULL);
    }
    return true;
}

/* --monitor: returns in a server; the watching process lives as long as it, and starts another one
 * after a crash.  Only the first has a parent that waits. */
static MUST_CHECK struct err *
monitor(const struct options *o, int *parent_fd)
{
    for (bool first = true;; first = false) {
        int64_t start_ms = clock_mono_ms();
        int status = 0;
        pid_t watcher = getpid();
        pid_t pid = fork();
        if (pid < 0) {
            return err_io(errno, "fork");
        } else if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM); /* Who ends the watcher means us. */
            return getppid() == watcher
                       ? NULL
                       : err_new(ERR_CANCELED, "the watching process died");
        }
        if (first) { /* The log is the server's; two that append to it do not harm each other. */
            prctl(PR_SET_NAME, "monitor");
            fd_done(parent_fd);
            if (o->detach) {
                process_close_terminal();
            }
            log_failure(LOG_ERR, LOG_MODULE, log_open(o->log_file));
        }
        if (!watch(pid, start_ms, &status)) {
            _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
        }
    }
}

/* Returns in the child, with what tell_parent() needs; the parent waits and exits. */
static MUST_CHECK struct err *
leave(const struct options *o, int *ret_parent_fd)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        return err_io(errno, "pipe");
    }
    pid_t pid = fork();
    if (pid < 0) {
        return err_io(errno, "fork");
    } else if (pid > 0) {
        close(fds[1]);
        char verdict = 'n';
        ssize_t n = read(fds[0], &verdict, 1); /* The child printed its reasons itself. */
        exit(n == 1 && verdict == 'y' ? 0 : 1);
    }
    close(fds[0]);
    *ret_parent_fd = fds[1];
    setsid();
    if (o->chdir && chdir("/") < 0) {
        return err_io(errno, "chdir");
    }
    return NULL;
}

struct err *
process_detach(const struct options *o, int *ret_parent_fd)
{
    if (o->detach) {
        TRY(leave(o, ret_parent_fd));
    }
    return o->monitor ? monitor(o, ret_parent_fd) : NULL;
}

/* Lets go of the terminal, once nothing can fail any more. */
void
process_close_terminal(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        dup2(fd, STDIN_FILENO);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        close(fd);
    }
}

/* A descriptor a client: as many as we may have. */
void
process_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
            log_info("at most %lu clients: the limit of open files cannot be raised",
                     (unsigned long) limit.rlim_cur);
        }
    }
}

bool
process_ignores(int signal)
{
    struct sigaction now;
    return sigaction(signal, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

void
process_remove_pidfile(const char *path, int fd)
{
    struct stat ours, there;
    if (fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev &&
        ours.st_ino == there.st_ino) {
        unlink(path);
    }
}

/* "USER", "USER:" (its own group), "USER:GROUP", ":GROUP" (the user stays). */
struct err *
process_become(const char *text)
{
    const char *colon = strchr(text, ':');
    CLEANUP(free_drop)
    char *user = str_dup_n(text, colon ? (size_t) (colon - text) : strlen(text));
    const struct passwd *pw = *user ? getpwnam(user) : getpwuid(getuid());
    if (!pw) {
        return err_new(ERR_NOT_FOUND, "--user: there is no user %s", user);
    }
    uid_t uid = pw->pw_uid;
    gid_t gid = pw->pw_gid;
    if (colon && colon[1]) {
        const struct group *gr = getgrnam(colon + 1);
        if (!gr) {
            return err_new(ERR_NOT_FOUND, "--user: there is no group %s", colon + 1);
        }
        gid = gr->gr_gid;
    }
    if (uid == geteuid() && gid == getegid()) {
        return NULL;
    }
    if ((*user && initgroups(user, gid) < 0) || setresgid(gid, gid, gid) < 0 ||
        setresuid(uid, uid, uid) < 0) {
        return err_io(errno, "--user: become %s", text);
    }
    return NULL;
}
