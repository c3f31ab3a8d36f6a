/* agent/eta.c: see eta.h. */
#include "agent/eta.h"

#define ETA_MAX_MS (INT64_C(30) * 24 * 3600 * 1000) /* Beyond a month nobody knows. */

int64_t
eta_left_ms(struct eta *eta, int64_t now_ms, double fraction)
{
    if (!eta->begun || fraction < eta->last) { /* Also when it begins once more. */
        *eta = (struct eta){ true, now_ms, now_ms, fraction, fraction, fraction };
        return -1;
    } else if (now_ms - eta->mid_ms >= ETA_WINDOW_MS / 2) {
        eta->old = eta->mid;
        eta->old_ms = eta->mid_ms;
        eta->mid = fraction;
        eta->mid_ms = now_ms;
    }
    eta->last = fraction;
    int64_t spent_ms = now_ms - eta->old_ms;
    double done = fraction - eta->old;
    if (spent_ms < ETA_FIRST_MS || done <= 0) {
        return -1;
    }
    double left_ms = (double) spent_ms * (1 - fraction) / done;
    return left_ms < 0 || left_ms > (double) ETA_MAX_MS ? -1 : (int64_t) left_ms;
}
