/* loop/child_blocking.c: runs a child and waits, with poll(2) and no loop. */
#include "loop/child_i.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"

#define FLAG_LOOK_MS 200 /* How often the cancel flag is looked at. */

static bool
canceled(const struct pollfd *cancel, const volatile int *flag)
{
    return (flag && *flag) || cancel->revents != 0;
}

static int
poll_ms(const struct child_run *run, bool look, int64_t now_ms)
{
    int64_t wait_ms = run->wake_ms == INT64_MAX ? -1 : max64(run->wake_ms - now_ms, 0);
    if (look && run->stage == CHILD_RUNNING && (wait_ms < 0 || wait_ms > FLAG_LOOK_MS)) {
        wait_ms = FLAG_LOOK_MS;
    }
    return wait_ms > INT32_MAX ? INT32_MAX : (int) wait_ms;
}

struct err *
child_run_blocking(const struct child_spec *spec, int cancel_fd,
                   const volatile int *cancel_flag, struct child_result *ret)
{
    CLEANUP(child_run_done) struct child_run run;
    TRY(child_run_start(&run, spec, clock_mono_ms()));

    while (run.stage != CHILD_OVER) {
        struct pollfd fds[] = {
            { .fd = run.pidfd, .events = POLLIN },
            { .fd = run.out_fd, .events = POLLIN },
            { .fd = run.err_fd, .events = POLLIN },
            /* Once canceled it would stay readable and keep poll() from waiting. */
            { .fd = run.stage == CHILD_RUNNING ? cancel_fd : -1, .events = POLLIN },
        };
        int n = poll(fds, N_ELEMS(fds),
                     poll_ms(&run, cancel_flag || spec->go_on, clock_mono_ms()));
        if (n < 0) {
            ASSERT(errno == EINTR);
            for (size_t i = 0; i < N_ELEMS(fds); i++) {
                fds[i].revents = 0;
            }
        }
        if (fds[1].revents) {
            child_run_read(&run, false);
        }
        if (fds[2].revents) {
            child_run_read(&run, true);
        }
        if (canceled(&fds[3], cancel_flag) ||
            (run.stage == CHILD_RUNNING && spec->go_on && !spec->go_on(spec->aux))) {
            child_run_cancel(&run, clock_mono_ms());
        }
        if (fds[0].revents) {
            child_run_reap(&run);
        }
        child_run_wake(&run, clock_mono_ms());
    }
    *ret = run.result;
    run.result = CHILD_RESULT_INIT;
    return NULL;
}
