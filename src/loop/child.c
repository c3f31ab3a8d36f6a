/* loop/child.c: runs a child beside everything else that the loop does. */
#include "loop/child_i.h"

#include "base/clock.h"
#include "loop/loop.h"

struct child {
    struct child_run run;
    struct loop_fd *exit_watch, *out_watch, *err_watch; /* NULL: not watched (any more). */
    struct loop_timer *timer;
    child_done_fn *done;
    void *aux;
};

static void
child_free(struct child *c)
{
    loop_fd_free(c->exit_watch);
    loop_fd_free(c->out_watch);
    loop_fd_free(c->err_watch);
    loop_timer_free(c->timer);
    child_run_done(&c->run);
    free(c);
}

/* After each event: stops watching what ended, sets the next alarm, or ends it all. */
static void
child_settle(struct child *c)
{
    if (c->run.stage == CHILD_OVER) {
        c->done(c->aux, &c->run.result);
        child_free(c);
        return;
    }
    if (c->run.wake_ms == INT64_MAX) {
        loop_timer_clear(c->timer);
    } else {
        loop_timer_set(c->timer, c->run.wake_ms - clock_mono_ms());
    }
}

/* Reading may close the descriptor, and the watch must go first: so it pauses meanwhile. */
static void
on_output(struct child *c, struct loop_fd **watch, const int *fd, bool is_stderr)
{
    loop_fd_set(*watch, 0);
    child_run_read(&c->run, is_stderr);
    if (*fd < 0) {
        loop_fd_free(TAKE(*watch));
    } else {
        loop_fd_set(*watch, LOOP_READ);
    }
}

static void
on_out(void *c_, int ready UNUSED)
{
    struct child *c = c_;
    on_output(c, &c->out_watch, &c->run.out_fd, false);
}

static void
on_err(void *c_, int ready UNUSED)
{
    struct child *c = c_;
    on_output(c, &c->err_watch, &c->run.err_fd, true);
}

static void
on_exit_ready(void *c_, int ready UNUSED)
{
    struct child *c = c_;
    loop_fd_free(TAKE(c->out_watch));
    loop_fd_free(TAKE(c->err_watch));
    child_run_reap(&c->run);
    child_settle(c);
}

static void
on_timer(void *c_)
{
    struct child *c = c_;
    child_run_wake(&c->run, clock_mono_ms());
    child_settle(c);
}

static struct err *
watch(struct loop *loop, int fd, void (*fn)(void *, int), struct child *c,
      struct loop_fd **ret)
{
    if (fd >= 0) {
        TRY(loop_fd_new(loop, fd, fn, c, ret));
        loop_fd_set(*ret, LOOP_READ);
    }
    return NULL;
}

struct err *
child_start(struct loop *loop, const struct child_spec *spec, child_done_fn *done,
            void *aux, struct child **ret)
{
    struct child *c = NEW(struct child);
    c->done = done;
    c->aux = aux;
    c->timer = loop_timer_new(loop, on_timer, c);
    struct err *e = child_run_start(&c->run, spec, clock_mono_ms());
    if (!e) {
        e = watch(loop, c->run.pidfd, on_exit_ready, c, &c->exit_watch);
    }
    if (!e) {
        e = watch(loop, c->run.out_fd, on_out, c, &c->out_watch);
    }
    if (!e) {
        e = watch(loop, c->run.err_fd, on_err, c, &c->err_watch);
    }
    if (e) {
        child_free(c);
        return e;
    }
    child_settle(c);
    *ret = c;
    return NULL;
}

void
child_cancel(struct child *c)
{
    child_run_cancel(&c->run, clock_mono_ms());
    child_settle(c);
}
