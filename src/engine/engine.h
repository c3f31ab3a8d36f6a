/* engine/engine.h: runs plans.  Blocking; made for a forked worker with one thread.
 *
 * Steps run in order.  When one fails, when the deadline passes or the caller cancels, the
 * undos of those that worked run, last first, and the error of the failed step is returned; an
 * undo that fails is told in its hint.  Entries are reached by openat2(2) beneath the pool's
 * directory and never through a symbolic link.
 * Errors.  ERR_CANCELED, ERR_TIMEOUT; ERR_NO_SPACE; ERR_NOT_FOUND; ERR_EXISTS; ERR_IO ...,
 *          with libvirt's code where libvirt has one for it. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H 1

#include "store/plan.h"
#include "store/sources.h"
#include "store/volume.h"

/* What a run tells somebody who watches it from outside of its process. */
struct engine_watch {
    _Atomic int64_t
        due_ms;       /* clock_mono_ms() by which there should be life; 0: no limit. */
    int64_t begun_ms; /* When the running step began. */
    char doing[200];  /* That step. */
};

/* How far a run is. */
struct engine_progress {
    double fraction;     /* 0..1, of the whole plan. */
    int64_t done, total; /* Bytes of the running step; 'total' 0: it moves none. */
    const char *message; /* That step. */
};

struct engine_env {
    int64_t deadline_ms;             /* clock_mono_ms() at which to give up; 0: never. */
    int cancel_fd;                   /* Readable or hung up: cancel.  -1: none. */
    const volatile int *cancel_flag; /* Nonzero: cancel.  NULL: none. */
    int data_fd;                     /* For STEP_RECEIVE and STEP_SEND; -1: none. */
    /* Told seldom (10 times a second at most) and once a step.  May be NULL. */
    void (*progress)(void *aux, const struct engine_progress *);
    void *aux;
    struct engine_watch *watch; /* Told what runs; NULL: nobody watches. */
    int64_t stall_ms;           /* How long one file operation may take; 0: for ever. */
    const char *scan_cache;     /* File where a scan writes what it found; NULL: nowhere. */
    int64_t
        scan_since; /* The scan (vol_list.scan) whose list the requester has; 0: none. */
};
#define ENGINE_ENV_INIT ((struct engine_env){ .cancel_fd = -1, .data_fd = -1 })

struct engine_result {
    bool active; /* Of STEP_CHECK, STEP_MOUNTED, STEP_PARSE. */
    bool has_stat;
    struct pool_stat stat; /* Of STEP_SCAN, _STAT, _PARSE; strings in vols.arena. */
    struct vol_list vols;
    int64_t n_bytes; /* Of STEP_RECEIVE and STEP_SEND; of STEP_WATCH: inotify's number. */
    struct source_list sources; /* Of a search. */
    const char *note; /* What is worth saying of what was done, in vols.arena; or NULL. */
};
void engine_result_init(struct engine_result *);
void engine_result_done(struct engine_result *); /* For CLEANUP(). */

/* '*ret' must be initialised; it may hold something after a failure too. */
struct err *engine_run(struct plan *, const struct engine_env *,
                       struct engine_result *ret) MUST_CHECK;

#endif /* engine/engine.h */
