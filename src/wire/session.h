/* wire/session.h: keeps one session to a peer alive.  Pure: no socket and no clock. */
#ifndef WIRE_SESSION_H
#define WIRE_SESSION_H 1

#include "base/base.h"

#define SESSION_CONNECT_MS 10000
#define SESSION_MIN_BACKOFF_MS 100
#define SESSION_MAX_BACKOFF_MS 4000
#define SESSION_PROBE_MS 5000

enum session_state { S_BACKOFF, S_CONNECTING, S_ACTIVE, S_PROBING, N_STATES };
enum session_event { EV_WAKE, EV_CONNECTED, EV_BYTES, EV_LOST, N_EVENTS };
enum session_action { DO_NOTHING, DO_CONNECT, DO_ECHO, DO_CLOSE };

struct session {
    enum session_state state;
    int64_t wake_ms;    /* The next EV_WAKE is due then; INT64_MAX: never. */
    int64_t backoff_ms; /* Doubles with each failure, up to SESSION_MAX_BACKOFF_MS. */
    int64_t probe_ms;   /* Silence before an echo, and again before giving up; 0: never. */
};
/* Connects at once. */
#define SESSION_INIT(now_ms, probe_ms)                                                     \
    ((struct session){ S_BACKOFF, (now_ms), 0, (probe_ms) })
/* For the accepting side: a session that is connected already. */
#define SESSION_ACCEPTED(now_ms, probe_ms)                                                 \
    ((struct session){ S_ACTIVE, (probe_ms) ? (now_ms) + (probe_ms) : INT64_MAX, 0,        \
                       (probe_ms) })

/* Feeds one event.  Returns the one thing the caller must now do. */
enum session_action session_step(struct session *, enum session_event, int64_t now_ms);

#endif /* wire/session.h */
