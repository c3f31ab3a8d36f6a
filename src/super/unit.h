/* super/unit.h: the life of one supervised program, as a state machine.
 *
 * Pure: no process and no clock, so that a test plays an hour of crashes in a microsecond.
 * super/super.c owns the real ones: it feeds events and does the one thing that comes back.
 * Times are milliseconds of one monotonic clock. */
#ifndef SUPER_UNIT_H
#define SUPER_UNIT_H 1

#include "base/base.h"

#define UNIT_BACKOFF_MIN_MS 1000
#define UNIT_BACKOFF_MAX_MS 30000
#define UNIT_GOOD_MS 60000 /* Who ran this long has earned a quick restart. */
#define UNIT_TERM_MS 10000 /* From SIGTERM to SIGKILL. */

/* OFF: not wanted.  WAITING: for a predecessor that still holds the pid file.  STARTING: runs,
 * its socket does not answer yet.  BACKOFF: died, waits before the next try.  ENDING: was told
 * to end. */
enum unit_state { U_OFF, U_WAITING, U_STARTING, U_UP, U_BACKOFF, U_ENDING, N_UNIT_STATES };
/* FREE: no predecessor.  ANSWERS: its socket takes connections.  DIED: the process is gone, or
 * could not be made. */
enum unit_event { EV_WANT, EV_WAKE, EV_FREE, EV_ANSWERS, EV_DIED, EV_END, N_UNIT_EVENTS };
/* LOOK: whether a predecessor is there.  KNOCK: at its socket. */
enum unit_action { DO_NOTHING, DO_LOOK, DO_SPAWN, DO_KNOCK, DO_TERM, DO_KILL };

struct unit {
    enum unit_state state;
    int64_t wake_ms;    /* The next EV_WAKE is due then; INT64_MAX: never. */
    int64_t started_ms; /* When it was spawned last. */
    int64_t backoff_ms; /* Of the last restart; 0 at first. */
    unsigned n_deaths;  /* Not asked for, since it was made. */
};
#define UNIT_INIT ((struct unit){ U_OFF, INT64_MAX, 0, 0, 0 })

/* Feeds one event.  Returns the one thing the caller must now do. */
enum unit_action unit_step(struct unit *, enum unit_event, int64_t now_ms);
const char *unit_state_name(enum unit_state);

#endif /* super/unit.h */
