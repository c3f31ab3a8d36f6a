/* loop/child.h: runs a program with a deadline, and takes what it prints.
 *
 * What.    No shell: argv goes to execve(2); argv[0] without a '/' is looked up in PATH.  The
 *          child has its own process group, the C locale (LC_ALL=C), default signals, and no
 *          descriptor but 0, 1 and 2.
 * Ending.  At the deadline, at a cancel, or when the caller goes away, the whole group gets
 *          SIGTERM and CHILD_GRACE_MS later SIGKILL.  A child in an uninterruptible sleep (a
 *          dead NFS server) is left behind: the caller gets its result all the same, with
 *          'stuck' set.
 * Two ways. child_start() belongs to a loop and calls back; child_run_blocking() needs no loop
 *          and is safe in a forked worker that has one thread.
 * Errors.  A program that fails is no error of these functions: look at the result, or turn it
 *          into an error by child_result_check().  ERR_NOT_FOUND no such program, ERR_DENIED,
 *          ERR_IO fork or pipe. */
#ifndef LOOP_CHILD_H
#define LOOP_CHILD_H 1

#include "base/base.h"
#include "base/buf.h"

#define CHILD_GRACE_MS 2000 /* From SIGTERM to SIGKILL; from that to 'stuck'. */
#define CHILD_OUTPUT_MAX_BYTES                                                             \
    (16 * MIB) /* Captured of each stream unless the spec says. */

struct loop;

/* For programs that read what strangers made.  Each 0: no limit.  One that is killed for its
 * limit ends by a signal (SIGXCPU, SIGXFSZ) or fails with "out of memory". */
struct child_limits {
    int64_t memory_bytes; /* Address space. */
    int64_t cpu_s;        /* Processor time. */
    int64_t file_bytes;   /* Length of any file that it writes. */
};

struct child_spec {
    const char *const *argv; /* NULL-terminated. */
    const char *const *env;  /* "NAME=value"s in addition; NULL-terminated or NULL. */
    const char *dir;         /* To run in; NULL: the caller's. */
    const struct child_limits
        *limits;             /* Then it gains no rights by what it executes, either, and
                                        * dumps no core.  NULL: none. */
    int64_t deadline_ms;     /* From the start; 0: none. */
    const int *stdin_fd;     /* Borrowed; NULL: /dev/null. */
    const int *stdout_fd;    /* Borrowed; NULL: captured. */
    const int *stderr_fd;    /* Borrowed; NULL: captured. */
    size_t stdout_max_bytes; /* What comes beyond is dropped; 0: CHILD_OUTPUT_MAX_BYTES. */
    size_t stderr_max_bytes;
    /* Sees the bytes as they come, besides the capture; may be NULL.  For progress. */
    void (*on_output)(void *aux, bool is_stderr, const char *bytes, size_t n_bytes);
    /* child_run_blocking() asks it every 200 ms and after output: false cancels.  May be NULL. */
    bool (*go_on)(void *aux);
    void *aux; /* For both. */
};

struct child_result {
    int exit_status; /* 0-255, or -1 if it did not exit by itself. */
    int signal;      /* That killed it, or 0. */
    bool timed_out, canceled;
    bool stuck; /* Killed, but has not died yet. */
    bool stdout_cut, stderr_cut;
    struct buf out, err;
};
#define CHILD_RESULT_INIT                                                                  \
    ((struct child_result){ -1, 0, false, false, false, false, false, BUF_INIT, BUF_INIT })

void child_result_done(struct child_result *); /* For CLEANUP(). */
/* NULL if it exited with 0.  Else ERR_TIMEOUT, ERR_CANCELED or ERR_IO: "lvcreate failed
 * (exit status 5): <last line of its standard error>"; err_code() is the exit status. */
struct err *child_result_check(const struct child_result *,
                               const struct child_spec *) MUST_CHECK;
/* The command as a person would type it, quoted for a shell.  The caller frees it. */
char *child_text(const char *const *argv);

/* Runs the program and waits.  *ret must be CHILD_RESULT_INIT.  The child is canceled when
 * 'cancel_fd' becomes readable or is hung up (-1: never) or when *cancel_flag becomes nonzero
 * (NULL: never; looked at when a signal interrupts, and every 200 ms). */
struct err *child_run_blocking(const struct child_spec *, int cancel_fd,
                               const volatile int *cancel_flag,
                               struct child_result *ret) MUST_CHECK;

/* Starts it; 'done' gets the result once, from the loop, never from within child_start().  It
 * may move 'out' and 'err' out of the result.  '*ret' is valid until 'done' returns. */
struct child;
typedef void child_done_fn(void *aux, struct child_result *);
struct err *child_start(struct loop *, const struct child_spec *, child_done_fn *done,
                        void *aux, struct child **ret) MUST_CHECK;
void child_cancel(struct child *); /* 'done' comes later, with 'canceled'. */

#endif /* loop/child.h */
