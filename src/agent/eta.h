/* agent/eta.h: when will it be done?  Pure: time is an argument.
 *
 * The rate is that of the last some seconds, so that a slow start or a fast stretch of holes is
 * soon forgotten. */
#ifndef AGENT_ETA_H
#define AGENT_ETA_H 1

#include "base/base.h"

#define ETA_WINDOW_MS 10000
#define ETA_FIRST_MS 1000 /* Nothing is said before. */

struct eta { /* Zeros at first. */
    bool begun;
    int64_t old_ms, mid_ms; /* Two marks: the rate is measured from the older one. */
    double old, mid, last;
};

/* Milliseconds until 'fraction' will be 1; -1: cannot be said yet. */
int64_t eta_left_ms(struct eta *, int64_t now_ms, double fraction);

#endif /* agent/eta.h */
