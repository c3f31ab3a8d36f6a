/* sched/converge.h: how a live migration by pre-copy will go.
 *
 * All used pages are sent while the guest runs and dirties some; those are sent again, and so
 * on, until what is left goes over within the allowed pause.  With r = dirty rate / bandwidth each
 * pass leaves r times what the one before left:
 *
 *     left after k passes   memory * r^k
 *     ends when             left / bandwidth <= downtime
 *
 * r >= 1 never ends: then the guest must be slowed (auto-converge), or moved first and its pages
 * fetched (post-copy), or paused.  A disk that is copied too must converge in the same way. */
#ifndef SCHED_CONVERGE_H
#define SCHED_CONVERGE_H 1

#include "base/base.h"
#include "base/buf.h"

#define CONVERGE_MAX_PASSES 100 /* More are as good as never. */

struct converge_in {
    int64_t memory;     /* Bytes of pages in use. */
    int64_t disk;       /* Bytes of disks that are copied; 0: shared storage. */
    int64_t bandwidth;  /* Bytes/s of the link; > 0. */
    int64_t dirty_rate; /* Bytes/s that the guest dirties of its memory. */
    int64_t write_rate; /* Bytes/s that it writes to those disks. */
    int64_t downtime_ms;
};

struct converge {
    bool ends;      /* Without help. */
    int n_passes;   /* Over memory after the first one; 0 unless it ends. */
    double ratio;   /* r. */
    double seconds; /* All of it; without an end: one pass. */
    double
        pause_ms; /* The guest stands still for so long, besides its devices' 20-100 ms. */
    int64_t sent; /* Bytes over the link. */
    double throttle;    /* Share of the CPU (0..1) to take away so that it ends; 0: none. */
    const char *advice; /* What to do if it does not end; NULL if it does. */
};

struct converge converge_forecast(const struct converge_in *);

/* For people, some lines.  False: that figure is a guess. */
void converge_explain(struct buf *, const struct converge_in *, const struct converge *,
                      bool dirty_known, bool link_known);

#endif /* sched/converge.h */
