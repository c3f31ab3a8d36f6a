/* loop/loop.c: see loop.h.  Each handle is a small heap object around libuv's; libuv needs a
 * turn of the loop to close one, so freeing means closing and the close callback frees. */
#include "loop/loop.h"

#include <pthread.h>

#include <uv.h>

#include "base/vec.h"

struct posted {
    loop_fn *fn;
    void *aux;
};

struct loop {
    uv_loop_t uv;
    uv_async_t async; /* Wakes the loop for 'posted'. */
    uv_timer_t turn;  /* Ends loop_turn(). */
    unsigned int n_holds;
    pthread_mutex_t lock; /* For 'posted'. */
    VEC(struct posted) posted;
};

struct loop_idle {
    uv_idle_t uv;
    loop_fn *fn;
    void *aux;
};

struct loop_timer {
    uv_timer_t uv;
    loop_fn *fn;
    void *aux;
};

struct loop_signal {
    uv_signal_t uv;
    loop_fn *fn;
    void *aux;
};

struct loop_fd {
    uv_poll_t uv;
    int wanted;
    void (*fn)(void *aux, int ready);
    void *aux;
};

/* The errno of libuv's code. */
static struct err *
uv_err(int code, const char *what)
{
    return err_io(-code, "%s", what);
}

static void
on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Posted calls run in the order they came; what they post themselves waits for the next turn. */
static void
on_async(uv_async_t *async)
{
    struct loop *loop = async->data;
    pthread_mutex_lock(&loop->lock);
    struct posted *calls = loop->posted.v;
    size_t n = loop->posted.n;
    loop->posted.v = NULL;
    loop->posted.n = loop->posted.cap = 0;
    pthread_mutex_unlock(&loop->lock);

    for (size_t i = 0; i < n; i++) {
        calls[i].fn(calls[i].aux);
    }
    free(calls);
}

static void
on_turn_end(uv_timer_t *timer UNUSED)
{
}

struct err *
loop_new(struct loop **ret)
{
    struct loop *loop = NEW(struct loop);
    int code = uv_loop_init(&loop->uv);
    if (code < 0) {
        free(loop);
        return uv_err(code, "event loop");
    }
    code = uv_async_init(&loop->uv, &loop->async, on_async);
    ASSERT(code == 0);
    loop->async.data = loop;
    uv_unref((uv_handle_t *) &loop->async);
    uv_timer_init(&loop->uv, &loop->turn);
    pthread_mutex_init(&loop->lock, NULL);
    *ret = loop;
    return NULL;
}

void
loop_free(struct loop *loop)
{
    if (!loop) {
        return;
    }
    on_async(&loop->async); /* What was posted may own memory. */
    uv_close((uv_handle_t *) &loop->async, NULL);
    uv_close((uv_handle_t *) &loop->turn, NULL);
    int code;
    for (int turns = 0; (code = uv_loop_close(&loop->uv)) == UV_EBUSY && turns < 100;
         turns++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT); /* The close callbacks. */
    }
    ASSERT(code == 0); /* Else a handle was not freed. */
    VEC_DONE(&loop->posted);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

void
loop_drop(struct loop **loop)
{
    loop_free(*loop);
    *loop = NULL;
}

void
loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void
loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

void
loop_turn(struct loop *loop, int64_t wait_ms)
{
    if (wait_ms <= 0) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        return;
    }
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->turn, on_turn_end, (uint64_t) wait_ms, 0);
    uv_run(&loop->uv, UV_RUN_ONCE);
    uv_timer_stop(&loop->turn);
}

int64_t
loop_now_ms(const struct loop *loop)
{
    return (int64_t) uv_now(&loop->uv);
}

struct uv_loop_s *
loop_uv(struct loop *loop)
{
    return &loop->uv;
}

void
loop_post(struct loop *loop, loop_fn *fn, void *aux)
{
    pthread_mutex_lock(&loop->lock);
    *VEC_ADD(&loop->posted) = (struct posted){ fn, aux };
    pthread_mutex_unlock(&loop->lock);
    uv_async_send(&loop->async);
}

void
loop_hold(struct loop *loop)
{
    if (loop->n_holds++ == 0) {
        uv_ref((uv_handle_t *) &loop->async);
    }
}

void
loop_release(struct loop *loop)
{
    ASSERT(loop->n_holds > 0);
    if (--loop->n_holds == 0) {
        uv_unref((uv_handle_t *) &loop->async);
    }
}

/* Timers. */

static void
on_timer(uv_timer_t *uv)
{
    struct loop_timer *timer = uv->data;
    timer->fn(timer->aux);
}

struct loop_timer *
loop_timer_new(struct loop *loop, loop_fn *fn, void *aux)
{
    struct loop_timer *timer = NEW(struct loop_timer);
    uv_timer_init(&loop->uv, &timer->uv);
    timer->uv.data = timer;
    timer->fn = fn;
    timer->aux = aux;
    return timer;
}

/* libuv counts from the beginning of the turn, which may be long ago. */
static void
timer_start(struct loop_timer *timer, int64_t after_ms, int64_t every_ms)
{
    uv_update_time(timer->uv.loop);
    uv_timer_start(&timer->uv, on_timer, (uint64_t) max64(after_ms, 0),
                   (uint64_t) every_ms);
}

void
loop_timer_set(struct loop_timer *timer, int64_t after_ms)
{
    timer_start(timer, after_ms, 0);
}

void
loop_timer_repeat(struct loop_timer *timer, int64_t every_ms)
{
    timer_start(timer, every_ms, max64(every_ms, 1));
}

void
loop_timer_clear(struct loop_timer *timer)
{
    uv_timer_stop(&timer->uv);
}

bool
loop_timer_is_set(const struct loop_timer *timer)
{
    return uv_is_active((const uv_handle_t *) &timer->uv);
}

void
loop_timer_free(struct loop_timer *timer)
{
    if (timer) {
        uv_close((uv_handle_t *) &timer->uv, on_closed);
    }
}

static void
on_idle(uv_idle_t *uv)
{
    struct loop_idle *idle = uv->data;
    idle->fn(idle->aux);
}

struct loop_idle *
loop_idle_new(struct loop *loop, loop_fn *fn, void *aux)
{
    struct loop_idle *idle = NEW(struct loop_idle);
    uv_idle_init(&loop->uv, &idle->uv);
    idle->uv.data = idle;
    idle->fn = fn;
    idle->aux = aux;
    return idle;
}

void
loop_idle_set(struct loop_idle *idle, bool on)
{
    if (on) {
        uv_idle_start(&idle->uv, on_idle);
    } else {
        uv_idle_stop(&idle->uv);
    }
}

void
loop_idle_free(struct loop_idle *idle)
{
    if (idle) {
        uv_close((uv_handle_t *) &idle->uv, on_closed);
    }
}

/* Signals. */

static void
on_signal(uv_signal_t *uv, int signum UNUSED)
{
    struct loop_signal *s = uv->data;
    s->fn(s->aux);
}

struct err *
loop_signal_new(struct loop *loop, int signum, loop_fn *fn, void *aux,
                struct loop_signal **ret)
{
    struct loop_signal *s = NEW(struct loop_signal);
    uv_signal_init(&loop->uv, &s->uv);
    s->uv.data = s;
    s->fn = fn;
    s->aux = aux;
    int code = uv_signal_start(&s->uv, on_signal, signum);
    if (code < 0) {
        loop_signal_free(s);
        return uv_err(code, "signal handler");
    }
    uv_unref((uv_handle_t *) &s->uv);
    *ret = s;
    return NULL;
}

void
loop_signal_free(struct loop_signal *s)
{
    if (s) {
        uv_close((uv_handle_t *) &s->uv, on_closed);
    }
}

/* Descriptors. */

/* On an error libuv stops watching and says no more; whoever reads or writes will see it. */
static void
on_poll(uv_poll_t *uv, int status, int events)
{
    struct loop_fd *fd = uv->data;
    int ready = 0;
    if (status < 0) {
        ready = fd->wanted;
        fd->wanted = 0;
    } else {
        ready |= events & UV_READABLE ? LOOP_READ : 0;
        ready |= events & UV_WRITABLE ? LOOP_WRITE : 0;
    }
    fd->fn(fd->aux, ready);
}

struct err *
loop_fd_new(struct loop *loop, int raw_fd, void (*fn)(void *aux, int ready), void *aux,
            struct loop_fd **ret)
{
    struct loop_fd *fd = NEW(struct loop_fd);
    int code = uv_poll_init(&loop->uv, &fd->uv, raw_fd);
    if (code < 0) {
        free(fd);
        return uv_err(code, "watching a descriptor");
    }
    fd->uv.data = fd;
    fd->fn = fn;
    fd->aux = aux;
    *ret = fd;
    return NULL;
}

void
loop_fd_set(struct loop_fd *fd, int wanted)
{
    if (wanted == fd->wanted) {
        return;
    }
    fd->wanted = wanted;
    if (wanted == 0) {
        uv_poll_stop(&fd->uv);
    } else {
        int events = (wanted & LOOP_READ ? UV_READABLE : 0) |
                     (wanted & LOOP_WRITE ? UV_WRITABLE : 0);
        uv_poll_start(&fd->uv, events, on_poll);
    }
}

void
loop_fd_free(struct loop_fd *fd)
{
    if (fd) {
        uv_close((uv_handle_t *) &fd->uv, on_closed);
    }
}
