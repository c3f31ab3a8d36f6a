/* sched/place.c: see place.h. */
#include "sched/place.h"

int
place_pick(struct place_host *hosts, size_t n_hosts, int64_t mem_mib, const char **ret_why)
{
    bool any = false, any_place = false;
    int best = -1;

    for (size_t i = 0; i < n_hosts; i++) {
        const struct place_host *h = &hosts[i];
        bool has_place = h->usable && (h->max_vms == 0 || h->n_vms < h->max_vms);
        any |= h->usable;
        any_place |= has_place;
        if (has_place && h->mem_free >= mem_mib &&
            (best < 0 || h->mem_free > hosts[best].mem_free)) {
            best = (int) i;
        }
    }
    if (best >= 0) {
        hosts[best].mem_free -= mem_mib;
        hosts[best].n_vms++;
        return best;
    }
    *ret_why = !any         ? "no other host is online and open for machines"
               : !any_place ? "the other hosts have as many machines as they may"
                            : "no other host has so much memory free";
    return -1;
}
