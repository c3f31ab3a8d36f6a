/* super/unit.c: the table behind unit.h. */
#include "super/unit.h"

#define NEVER INT64_MAX
#define LOOK_MS 100
/* Waits that depend on the past. */
#define GROWING (-1) /* The back-off, grown first. */
#define SLOWER                                                                             \
    (-2) /* A quarter of the time since the start: quick at first, then patient. */
#define KNOCK_MIN_MS 50
#define KNOCK_MAX_MS 5000

/* The whole machine.  A (state, event) pair without a row is ignored. */
static const struct move {
    enum unit_state next;
    int64_t wait_ms; /* Until the next EV_WAKE; 0: no row. */
    enum unit_action action;
} machine[N_UNIT_STATES][N_UNIT_EVENTS] = {
    /* clang-format off */
    [U_OFF]      = { [EV_WANT]    = { U_WAITING,  LOOK_MS,      DO_LOOK } },
    [U_WAITING]  = { [EV_WAKE]    = { U_WAITING,  LOOK_MS,      DO_LOOK },
                     [EV_FREE]    = { U_STARTING, KNOCK_MIN_MS, DO_SPAWN },
                     [EV_END]     = { U_OFF,      NEVER,        DO_NOTHING } },
    [U_STARTING] = { [EV_WAKE]    = { U_STARTING, SLOWER,       DO_KNOCK },
                     [EV_ANSWERS] = { U_UP,       NEVER,        DO_NOTHING },
                     [EV_DIED]    = { U_BACKOFF,  GROWING,      DO_NOTHING },
                     [EV_END]     = { U_ENDING,   UNIT_TERM_MS, DO_TERM } },
    [U_UP]       = { [EV_DIED]    = { U_BACKOFF,  GROWING,      DO_NOTHING },
                     [EV_END]     = { U_ENDING,   UNIT_TERM_MS, DO_TERM } },
    [U_BACKOFF]  = { [EV_WAKE]    = { U_WAITING,  LOOK_MS,      DO_LOOK },
                     [EV_END]     = { U_OFF,      NEVER,        DO_NOTHING } },
    [U_ENDING]   = { [EV_WAKE]    = { U_ENDING,   UNIT_TERM_MS, DO_KILL },
                     [EV_DIED]    = { U_OFF,      NEVER,        DO_NOTHING } },
    /* clang-format on */
};

/* One that had run well starts from the shortest wait again. */
static void
grow_backoff(struct unit *u, int64_t now_ms)
{
    bool was_good = now_ms - u->started_ms >= UNIT_GOOD_MS;

    u->backoff_ms =
        was_good ? UNIT_BACKOFF_MIN_MS
                 : clamp64(2 * u->backoff_ms, UNIT_BACKOFF_MIN_MS, UNIT_BACKOFF_MAX_MS);
    u->n_deaths++;
}

enum unit_action
unit_step(struct unit *u, enum unit_event ev, int64_t now_ms)
{
    const struct move *m = &machine[u->state][ev];

    if (m->wait_ms == 0 || (ev == EV_WAKE && now_ms < u->wake_ms)) {
        return DO_NOTHING;
    }
    int64_t wait_ms = m->wait_ms;
    if (wait_ms == GROWING) {
        grow_backoff(u, now_ms);
        wait_ms = u->backoff_ms;
    } else if (wait_ms == SLOWER) {
        wait_ms = clamp64((now_ms - u->started_ms) / 4, KNOCK_MIN_MS, KNOCK_MAX_MS);
    }
    if (m->action == DO_SPAWN) {
        u->started_ms = now_ms;
    }
    u->state = m->next;
    u->wake_ms = wait_ms == NEVER ? NEVER : now_ms + wait_ms;
    return m->action;
}

const char *
unit_state_name(enum unit_state state)
{
    static const char *const names[] = {
        [U_OFF] = "off", [U_WAITING] = "waiting", [U_STARTING] = "starting",
        [U_UP] = "up",   [U_BACKOFF] = "backoff", [U_ENDING] = "ending"
    };
    return names[state];
}
