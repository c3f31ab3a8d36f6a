/* sched/place.h: which host takes a machine?  The one with most memory left of those that may.
 *
 * Only a first choice: the host itself says yes or no (sched/admit.h there).  Pure. */
#ifndef SCHED_PLACE_H
#define SCHED_PLACE_H 1

#include "base/base.h"

struct place_host {
    const char *name;
    bool usable;      /* Online, not in maintenance, to be chosen automatically. */
    int64_t mem_free; /* MiB; what is placed here is taken off. */
    int64_t n_vms;    /* Counts up likewise. */
    int64_t max_vms;  /* 0: no limit. */
};

/* The index of the host, which has the machine from now on; -1: none has room.  '*ret_why' then says so in
 * a few words (static). */
int place_pick(struct place_host *hosts, size_t n_hosts, int64_t mem_mib,
               const char **ret_why);

#endif /* sched/place.h */
