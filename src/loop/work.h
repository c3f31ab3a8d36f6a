/* loop/work.h: a pool of threads for calls that may wait (libvirt, fdatasync, files).
 *
 * Jobs of one key run one after the other, in the order of their submission; jobs of different
 * keys run in parallel, at most 'n_threads' at a time.  So a host's hypervisor can be one key,
 * a VM another.  'run' is called on a thread of the pool and must not touch the loop; 'done'
 * is called on the loop's thread afterwards, in order for one key; the key's next job may have
 * begun by then.  Pending jobs keep loop_run() alive.  Submitting within work_free() is refused by
 * an assertion. */
#ifndef LOOP_WORK_H
#define LOOP_WORK_H 1

#include "base/base.h"

struct loop;
struct work;

struct work *work_new(struct loop *, unsigned n_threads);
/* Waits for the running jobs.  Jobs that have not begun are dropped: their 'done' is called all
 * the same, with 'dropped' true, because it may have to free. */
void work_free(struct work *);

/* 'key' is copied; NULL: no order at all.  'done' may be NULL.  Only from the loop's thread. */
void work_submit(struct work *, const char *key, void (*run)(void *aux),
                 void (*done)(void *aux, bool dropped), void *aux);
size_t work_n_pending(const struct work *);                      /* Not yet done. */
size_t work_n_pending_key(const struct work *, const char *key); /* Of this key. */

#endif /* loop/work.h */
