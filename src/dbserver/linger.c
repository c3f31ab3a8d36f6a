/* dbserver/linger.c: see linger.h. */
#include "dbserver/linger.h"

#include <sched.h>

#include "base/clock.h"
#include "loop/loop.h"

struct linger {
    struct loop_idle *idle;
    bool awake;
    int64_t until_ns;
    unsigned int asked;     /* Since the last answer. */
    unsigned int misses;    /* In a row. */
    unsigned int rest;      /* So many answers go without... */
    unsigned int next_rest; /* ... and so many when it has missed again. */
};

static void
set(struct linger *l, bool awake)
{
    if (l->awake != awake) {
        l->awake = awake;
        loop_idle_set(l->idle, awake);
    }
}

static void
on_idle(void *linger)
{
    struct linger *l = linger;

    if (clock_mono_ns() < l->until_ns) {
        return;
    }
    set(l, false);
    if (++l->misses >= LINGER_MISSES) {
        l->rest = l->next_rest;
        l->next_rest = l->next_rest < LINGER_REST_MAX ? 2 * l->next_rest : LINGER_REST_MAX;
    }
}

bool
linger_pays(void)
{
    cpu_set_t cpus;

    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) > 1;
}

struct linger *
linger_new(struct loop *loop)
{
    struct linger *l = NEW(struct linger);

    l->idle = loop_idle_new(loop, on_idle, l);
    l->next_rest = 1;
    return l;
}

void
linger_free(struct linger *l)
{
    if (l) {
        loop_idle_free(l->idle);
        free(l);
    }
}

void
linger_asked(struct linger *l)
{
    if (!l) {
        return;
    }
    l->asked++;
    if (l->awake) {
        set(l, false);
        l->misses = 0;
        l->next_rest = 1;
    }
}

void
linger_answered(struct linger *l)
{
    if (!l) {
        return;
    }
    unsigned int asked = l->asked;
    l->asked = 0;
    if (asked != 1) {
        return;
    } else if (l->rest) {
        l->rest--;
    } else {
        l->until_ns = clock_mono_ns() + LINGER_US * 1000;
        set(l, true);
    }
}

bool
linger_is_awake(const struct linger *l)
{
    return l && l->awake;
}
