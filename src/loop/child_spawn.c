/* loop/child_spawn.c: fork and exec.
 *
 * Between fork and exec only async-signal-safe calls are made, because the parent may have
 * threads: environment and descriptors are prepared before.  If the program cannot be executed
 * the child says so through a pipe that a successful exec closes, so a missing program is an
 * error of the start and not an exit status 127. */
#include "loop/child_i.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "base/vec.h"

/* What the child needs, all made before the fork. */
struct launch {
    const struct child_spec *spec;
    char **env;
    int fds[3];    /* To become 0, 1 and 2. */
    int report_fd; /* Gets an errno if there is no exec. */
    pid_t parent;
};

static pthread_mutex_t abandoned_lock = PTHREAD_MUTEX_INITIALIZER;
static VEC(pid_t) abandoned;

void
child_abandon(pid_t pid)
{
    pthread_mutex_lock(&abandoned_lock);
    *VEC_ADD(&abandoned) = pid;
    pthread_mutex_unlock(&abandoned_lock);
}

/* Children that would not die in time may have done so since. */
static void
reap_abandoned(void)
{
    pthread_mutex_lock(&abandoned_lock);
    for (size_t i = abandoned.n; i-- > 0;) {
        if (waitpid(abandoned.v[i], NULL, WNOHANG) != 0) {
            VEC_REMOVE_AT(&abandoned, i);
        }
    }
    pthread_mutex_unlock(&abandoned_lock);
}

static void
environment(struct strvec *env, const struct child_spec *spec)
{
    for (char **e = environ; *e; e++) {
        if (!str_starts(*e, "LC_ALL=")) {
            strvec_add(env, *e);
        }
    }
    strvec_add(env, "LC_ALL=C");
    for (const char *const *e = spec->env; e && *e; e++) {
        strvec_add(env, *e);
    }
}

static NORETURN void
give_up(const struct launch *l)
{
    int errnum = errno;
    ssize_t n UNUSED = write(l->report_fd, &errnum, sizeof errnum);
    _exit(127);
}

static void
limit_one(int resource, int64_t value)
{
    struct rlimit limit = { (rlim_t) value, (rlim_t) value };
    if (value > 0) {
        setrlimit((__rlimit_resource_t) resource, &limit); /* To lower one never fails. */
    }
}

static void
limit(const struct child_limits *limits)
{
    struct rlimit none = { 0, 0 };
    limit_one(RLIMIT_AS, limits->memory_bytes);
    limit_one(RLIMIT_CPU, limits->cpu_s);
    limit_one(RLIMIT_FSIZE, limits->file_bytes);
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static NORETURN void
run_child(const struct launch *l)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* A killed parent must not leave it behind. */
    if (getppid() != l->parent) {
        _exit(127);
    }

    /* Signals: as a shell would start it. */
    for (int signum = 1; signum < NSIG; signum++) {
        signal(signum, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    /* Descriptors: first out of the way of 0-2, then into their places. */
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = fcntl(l->fds[i], F_DUPFD_CLOEXEC, 3);
        if (fds[i] < 0) {
            give_up(l);
        }
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(fds[i], i) < 0) {
            give_up(l);
        }
    }
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
        for (int fd = 3; fd < 4096; fd++) {
            fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
    }

    if (l->spec->limits) {
        limit(l->spec->limits);
    }
    if (l->spec->dir && chdir(l->spec->dir) < 0) {
        give_up(l);
    }
    execvpe(l->spec->argv[0], (char *const *) (uintptr_t) l->spec->argv, l->env);
    give_up(l);
}

static pid_t
fork_child(struct launch *l)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* No handler of ours runs in the child. */
    l->parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        run_child(l);
    }
    int errnum = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = errnum;
    return pid;
}

struct pipes {
    int report[2], out[2], err[2];
};

static void
pipes_done(struct pipes *p)
{
    int *all[] = { p->report, p->out, p->err };
    for (size_t i = 0; i < N_ELEMS(all); i++) {
        fd_done(&all[i][0]);
        fd_done(&all[i][1]);
    }
}

/* Pipes above 2, so that dup2() in the child overwrites none of them. */
static struct err *
pipe_make(int fds[2])
{
    int raw[2];
    if (pipe2(raw, O_CLOEXEC) < 0) {
        return err_io(errno, "pipe");
    }
    for (int i = 0; i < 2; i++) {
        fds[i] = raw[i];
        if (raw[i] < 3) {
            fds[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, 3);
            close(raw[i]);
        }
    }
    return fds[0] < 0 || fds[1] < 0 ? err_io(errno, "pipe") : NULL;
}

/* Waits for the exec; its failure becomes the error. */
static struct err *
await_exec(int report_fd, pid_t pid, const struct child_spec *spec)
{
    int errnum = 0;
    ssize_t n;
    do {
        n = read(report_fd, &errnum, sizeof errnum);
    } while (n < 0 && errno == EINTR);
    if (n != sizeof errnum) {
        return NULL;
    }
    waitpid(pid, NULL, 0);
    struct err *e = err_io(errnum, "run %s", spec->argv[0]);
    return errnum == ENOENT
               ? err_hint(e, "install the program '%s' or correct PATH", spec->argv[0])
               : e;
}

struct err *
child_spawn(struct child_run *run, const struct child_spec *spec)
{
    ASSERT(spec->argv && spec->argv[0]);
    reap_abandoned();

    CLEANUP(pipes_done) struct pipes p = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
    CLEANUP(fd_done) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0) {
        return err_io(errno, "open /dev/null");
    }
    TRY(pipe_make(p.report));
    if (!spec->stdout_fd) {
        TRY(pipe_make(p.out));
    }
    if (!spec->stderr_fd) {
        TRY(pipe_make(p.err));
    }

    CLEANUP(strvec_done) struct strvec env = STRVEC_INIT;
    environment(&env, spec);
    struct launch launch = {
        .spec = spec,
        .env = env.v,
        .fds = { spec->stdin_fd ? *spec->stdin_fd : null_fd,
                 spec->stdout_fd ? *spec->stdout_fd : p.out[1],
                 spec->stderr_fd ? *spec->stderr_fd : p.err[1] },
        .report_fd = p.report[1],
    };
    pid_t pid = fork_child(&launch);
    if (pid < 0) {
        return err_io(errno, "fork");
    }
    fd_done(&p.report[1]);
    TRY(await_exec(p.report[0], pid, spec));

    run->pid = pid;
    run->pidfd = pidfd_open(pid, 0);
    if (run->pidfd < 0) {
        struct err *e = err_io(errno, "pidfd_open");
        kill(-pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return e;
    }
    run->out_fd = fd_take(&p.out[0]);
    run->err_fd = fd_take(&p.err[0]);
    return NULL;
}
