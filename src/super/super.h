/* super/super.h: starts the programs in their order, watches them, ends them.
 *
 * Threads. One: the loop's; children die with the thread that made them.
 * Signals. Takes SIGCHLD of the whole process: no other children may be waited for meanwhile. */
#ifndef SUPER_SUPER_H
#define SUPER_SUPER_H 1

#include "base/base.h"
#include "super/program.h"

struct loop;
struct super; /* super_new(), super_free(). */

struct super_events {
    /* Once: all answer (NULL); or one dies again and again, or does not answer in
     * SUPER_START_MS; it is tried on.  The callee owns the error. */
    void (*on_started)(void *aux, struct err *);
    void (*on_ended)(void *aux); /* All are gone, after super_end(). */
    void *aux;
};
#define SUPER_START_MS 30000 /* For all of them together. */

/* 'place' and 'config' are borrowed until super_free(). */
struct err *super_new(struct loop *, const struct place *, const struct config *,
                      const struct super_events *, struct super **ret) MUST_CHECK;
void super_begin(struct super *);
void super_end(struct super *); /* Backwards, one after the other; again does nothing. */
void super_reopen_logs(struct super *); /* SIGHUP to all. */
void super_free(struct super *);        /* All must be gone; NULL is fine. */

#endif /* super/super.h */
