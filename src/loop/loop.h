/* loop/loop.h: a program's one event loop, on libuv.
 *
 * Threads. All functions belong to the loop's thread; only loop_post() may come from any.
 * Memory.  Handles are freed by their *_free(), also from within their own callback; a callback
 *          never comes after that.  Every handle must be freed before loop_free().
 * Time.    Milliseconds on the monotonic clock; loop_now_ms() is that of this turn. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H 1

#include "base/base.h"

struct loop;
struct uv_loop_s;

struct err *loop_new(struct loop **ret) MUST_CHECK;
void loop_free(struct loop *);  /* NULL is fine. */
void loop_drop(struct loop **); /* For CLEANUP(). */
void loop_run(struct loop *); /* Until loop_stop() or until nothing can happen any more. */
void loop_stop(struct loop *);
/* Handles what is ready, waiting up to 'wait_ms' for it; 0: does not wait. */
void loop_turn(struct loop *, int64_t wait_ms);
int64_t loop_now_ms(const struct loop *);
struct uv_loop_s *loop_uv(struct loop *); /* For the rooms that may see <uv.h>. */

typedef void loop_fn(void *aux);

/* Runs fn(aux) on the loop's thread, soon.  Calls from one thread run in their order.  The loop
 * must outlive the call, and does not stay alive for it without loop_hold(). */
void loop_post(struct loop *, loop_fn *, void *aux);
/* While held as often as not yet released, loop_run() does not end by itself. */
void loop_hold(struct loop *);
void loop_release(struct loop *);

struct loop_timer;
struct loop_timer *loop_timer_new(struct loop *, loop_fn *, void *aux);
void loop_timer_set(struct loop_timer *, int64_t after_ms);    /* Once; replaces. */
void loop_timer_repeat(struct loop_timer *, int64_t every_ms); /* First after 'every_ms'. */
void loop_timer_clear(struct loop_timer *);
bool loop_timer_is_set(const struct loop_timer *);
void loop_timer_free(struct loop_timer *); /* NULL is fine. */

/* While it is on, the loop does not wait: fn(aux) runs once in each turn, before what is ready is
 * handled.  For work that is cut into pieces so that others have their turn. */
struct loop_idle;
struct loop_idle *loop_idle_new(struct loop *, loop_fn *, void *aux);
void loop_idle_set(struct loop_idle *, bool on);
void loop_idle_free(struct loop_idle *); /* NULL is fine. */

struct loop_signal; /* Does not keep loop_run() alive. */
struct err *loop_signal_new(struct loop *, int signum, loop_fn *, void *aux,
                            struct loop_signal **ret) MUST_CHECK;
void loop_signal_free(struct loop_signal *);

/* Watches a descriptor that libuv does not own.  Free it before closing the descriptor. */
enum loop_poll { LOOP_READ = 1, LOOP_WRITE = 2 };
struct loop_fd;
struct err *loop_fd_new(struct loop *, int fd, void (*fn)(void *aux, int ready), void *aux,
                        struct loop_fd **ret) MUST_CHECK;
void loop_fd_set(struct loop_fd *, int wanted); /* Or-ed enum loop_poll; 0: nothing. */
void loop_fd_free(struct loop_fd *);

#endif /* loop/loop.h */
