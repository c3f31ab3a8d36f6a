/* loop/child_run.c: the life of a child from start to result, without waiting.
 *
 *     RUNNING --deadline, cancel--> TERMINATED --grace--> KILLED --grace--> OVER (stuck)
 *        \____________________________\__________________\____exits_______> OVER */
#include "loop/child_i.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"

#define READ_BYTES (64 * 1024)
#define READS_AT_ONCE                                                                      \
    16 /* So that a chatty child cannot keep its owner from its deadline. */

struct err *
child_run_start(struct child_run *run, const struct child_spec *spec, int64_t now_ms)
{
    *run = (struct child_run){
        .pidfd = -1,
        .out_fd = -1,
        .err_fd = -1,
        .stage = CHILD_RUNNING,
        .wake_ms = spec->deadline_ms > 0 ? now_ms + spec->deadline_ms : INT64_MAX,
        .result = CHILD_RESULT_INIT,
        .out_max_bytes =
            spec->stdout_max_bytes ? spec->stdout_max_bytes : CHILD_OUTPUT_MAX_BYTES,
        .err_max_bytes =
            spec->stderr_max_bytes ? spec->stderr_max_bytes : CHILD_OUTPUT_MAX_BYTES,
        .on_output = spec->on_output,
        .aux = spec->aux,
    };
    TRY(child_spawn(run, spec));
    if (run->out_fd >= 0) {
        TRY(fd_nonblock(run->out_fd));
    }
    return run->err_fd >= 0 ? fd_nonblock(run->err_fd) : NULL;
}

static void
keep(struct child_run *run, bool is_stderr, const char *bytes, size_t n_bytes)
{
    struct buf *kept = is_stderr ? &run->result.err : &run->result.out;
    size_t max = is_stderr ? run->err_max_bytes : run->out_max_bytes;
    size_t n_kept = n_bytes < max - kept->n ? n_bytes : max - kept->n;

    if (run->on_output) {
        run->on_output(run->aux, is_stderr, bytes, n_bytes);
    }
    buf_add(kept, bytes, n_kept);
    if (n_kept < n_bytes) {
        *(is_stderr ? &run->result.stderr_cut : &run->result.stdout_cut) = true;
    }
}

/* True if there may be more to read at once. */
static bool
read_some(struct child_run *run, bool is_stderr)
{
    int *fd = is_stderr ? &run->err_fd : &run->out_fd;
    char bytes[READ_BYTES];
    if (*fd < 0) {
        return false;
    }
    ssize_t n = read(*fd, bytes, sizeof bytes);
    if (n > 0) {
        keep(run, is_stderr, bytes, (size_t) n);
        return true;
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return errno == EINTR;
    }
    fd_done(fd);
    return false;
}

void
child_run_read(struct child_run *run, bool is_stderr)
{
    for (int i = 0; i < READS_AT_ONCE && read_some(run, is_stderr); i++) {
    }
}

/* What it wrote is in the pipes; grandchildren may keep these open, so don't wait for their
 * end. */
static void
drain(struct child_run *run)
{
    for (int is_stderr = 0; is_stderr < 2; is_stderr++) {
        int limit = 1024; /* Against a grandchild that writes without end: 64 MiB. */
        while (limit-- > 0 && read_some(run, is_stderr)) {
        }
    }
}

void
child_run_reap(struct child_run *run)
{
    siginfo_t info = { 0 };
    if (waitid(P_PIDFD, (id_t) run->pidfd, &info, WEXITED | WNOHANG) == 0 &&
        info.si_pid == 0) {
        return; /* Not yet. */
    }
    if (info.si_code == CLD_EXITED) {
        run->result.exit_status = info.si_status;
    } else if (info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) {
        run->result.signal = info.si_status;
    }
    drain(run);
    run->stage = CHILD_OVER;
    run->wake_ms = INT64_MAX;
}

static void
terminate(struct child_run *run, int64_t now_ms)
{
    kill(-run->pid, SIGTERM);
    kill(-run->pid, SIGCONT); /* A stopped process takes no signal. */
    run->stage = CHILD_TERMINATED;
    run->wake_ms = now_ms + CHILD_GRACE_MS;
}

void
child_run_wake(struct child_run *run, int64_t now_ms)
{
    if (now_ms < run->wake_ms) {
        return;
    }
    switch (run->stage) {
    case CHILD_RUNNING:
        run->result.timed_out = true;
        terminate(run, now_ms);
        break;
    case CHILD_TERMINATED:
        kill(-run->pid, SIGKILL);
        run->stage = CHILD_KILLED;
        run->wake_ms = now_ms + CHILD_GRACE_MS;
        break;
    case CHILD_KILLED:
        child_abandon(run->pid);
        drain(run);
        run->result.stuck = true;
        run->stage = CHILD_OVER;
        run->wake_ms = INT64_MAX;
        break;
    case CHILD_OVER: break;
    }
}

void
child_run_cancel(struct child_run *run, int64_t now_ms)
{
    if (run->stage == CHILD_RUNNING) {
        run->result.canceled = true;
        terminate(run, now_ms);
    }
}

void
child_run_done(struct child_run *run)
{
    fd_done(&run->pidfd);
    fd_done(&run->out_fd);
    fd_done(&run->err_fd);
    child_result_done(&run->result);
}
