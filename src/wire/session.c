/* wire/session.c: see session.h.  wire/session_io.c owns the real socket and clock. */
#include "wire/session.h"

/* Waits that are not constants. */
#define GROWING (-1) /* backoff_ms, grown first. */
#define PROBING (-2) /* probe_ms. */

/* The whole machine.  A (state, event) pair without a row is ignored. */
static const struct move {
    enum session_state next;
    int64_t wait_ms; /* Until the next EV_WAKE. */
    enum session_action action;
} machine[N_STATES][N_EVENTS] = {
    /* clang-format off */
    [S_BACKOFF]    = { [EV_WAKE]      = { S_CONNECTING, SESSION_CONNECT_MS, DO_CONNECT } },
    [S_CONNECTING] = { [EV_CONNECTED] = { S_ACTIVE,     PROBING, DO_NOTHING },
                       [EV_WAKE]      = { S_BACKOFF,    GROWING, DO_CLOSE },   /* Too slow. */
                       [EV_LOST]      = { S_BACKOFF,    GROWING, DO_CLOSE } },
    [S_ACTIVE]     = { [EV_BYTES]     = { S_ACTIVE,     PROBING, DO_NOTHING },
                       [EV_WAKE]      = { S_PROBING,    PROBING, DO_ECHO },    /* Silent. */
                       [EV_LOST]      = { S_BACKOFF,    GROWING, DO_CLOSE } },
    [S_PROBING]    = { [EV_BYTES]     = { S_ACTIVE,     PROBING, DO_NOTHING },
                       [EV_WAKE]      = { S_BACKOFF,    GROWING, DO_CLOSE },   /* Dead. */
                       [EV_LOST]      = { S_BACKOFF,    GROWING, DO_CLOSE } },
    /* clang-format on */
};

static int64_t
wait_of(const struct session *s, const struct move *m)
{
    switch (m->wait_ms) {
    case GROWING: return s->backoff_ms;
    case PROBING: return s->probe_ms > 0 ? s->probe_ms : INT64_MAX;
    default: return m->wait_ms;
    }
}

enum session_action
session_step(struct session *s, enum session_event ev, int64_t now_ms)
{
    const struct move *m = &machine[s->state][ev];

    if (m->wait_ms == 0 || (ev == EV_WAKE && now_ms < s->wake_ms)) {
        return DO_NOTHING;
    } else if (ev == EV_BYTES) {
        s->backoff_ms = 0; /* The peer works: forget old failures. */
    } else if (m->wait_ms == GROWING) {
        s->backoff_ms =
            clamp64(2 * s->backoff_ms, SESSION_MIN_BACKOFF_MS, SESSION_MAX_BACKOFF_MS);
    }
    int64_t wait_ms = wait_of(s, m);
    s->state = m->next;
    s->wake_ms = wait_ms == INT64_MAX ? INT64_MAX : now_ms + wait_ms;
    return m->action;
}
