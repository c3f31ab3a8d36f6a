/* loop/child_i.h: a running child, as both ways of waiting for it see it.
 *
 * A 'struct child_run' is driven from outside: its owner waits until one of its descriptors is
 * readable or child_run_wake_ms() has come and then calls the matching function.  Time is an
 * argument (monotonic, milliseconds). */
#ifndef LOOP_CHILD_I_H
#define LOOP_CHILD_I_H 1

#include "loop/child.h"

enum child_stage { CHILD_RUNNING, CHILD_TERMINATED, CHILD_KILLED, CHILD_OVER };

struct child_run {
    pid_t pid;                 /* Also its process group. */
    int pidfd, out_fd, err_fd; /* -1: not there (any more). */
    enum child_stage stage;
    int64_t wake_ms; /* Deadline or the next kill; INT64_MAX: none. */
    struct child_result result;
    size_t out_max_bytes, err_max_bytes;
    void (*on_output)(void *aux, bool is_stderr, const char *bytes, size_t n_bytes);
    void *aux;
};

struct err *child_run_start(struct child_run *, const struct child_spec *,
                            int64_t now_ms) MUST_CHECK;
void child_run_read(struct child_run *,
                    bool is_stderr);     /* When out_fd or err_fd is readable. */
void child_run_reap(struct child_run *); /* When pidfd is readable: it is over. */
void child_run_wake(struct child_run *, int64_t now_ms); /* At wake_ms or later. */
void child_run_cancel(struct child_run *, int64_t now_ms);
void child_run_done(struct child_run *); /* Closes all; the result too. */

/* child_spawn.c: fork and exec.  Fills pid and the descriptors. */
struct err *child_spawn(struct child_run *, const struct child_spec *) MUST_CHECK;
void child_abandon(pid_t); /* Still to be reaped, whenever it dies. */

#endif /* loop/child_i.h */
