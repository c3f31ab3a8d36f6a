/* stat/test_stat.c: hours of readings in no time. */
#include "stat/stat.h"
#include "test.h"

#define T0 1400000100 /* 00:00 of some 300 s. */

static const struct uuid vm1 = { { 1 } }, vm2 = { { 2 } };

static struct stat_reading
reading(int64_t at, int64_t started, uint64_t rx)
{
    struct stat_reading r = { .at_ms = at * 1000, .started = started, .mem_kib = 1000 };
    r.counters[STAT_RX] = rx;
    return r;
}

static void
feed(struct meter *m, const struct uuid *uuid, int64_t at, int64_t started, uint64_t rx)
{
    struct stat_reading r = reading(at, started, rx);
    meter_read(m, uuid, &r);
}

struct taken {
    int n;
    struct stat_slot last;
    uint64_t rx;
};

static void
take(void *aux, const struct uuid *uuid UNUSED, const struct stat_slot *slot)
{
    struct taken *t = aux;
    t->n++;
    t->last = *slot;
    t->rx += slot->sums[STAT_RX];
}

TEST(differences)
{
    static const struct {
        const char *why;
        int64_t started[2];
        uint64_t rx[2], used;
    } cases[] = {
        { "it grows", { 1, 1 }, { 1000, 1500 }, 500 },
        { "it stands still", { 1, 1 }, { 1000, 1000 }, 0 },
        { "the machine was started anew", { 1, 2 }, { 1000, 300 }, 300 },
        { "anew, and used more than before", { 1, 2 }, { 1000, 3000 }, 3000 },
        { "a counter of 32 bits wraps", { 1, 1 }, { (UINT64_C(1) << 32) - 100, 50 }, 150 },
        { "a counter that was lost", { 1, 1 }, { 1000, 300 }, 0 },
        { "a large one that was lost", { 1, 1 }, { UINT64_C(1) << 40, 300 }, 0 },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(meter_done) struct meter m = METER_INIT;
        struct taken t = { 0 };
        feed(&m, &vm1, T0, cases[i].started[0], cases[i].rx[0]);
        feed(&m, &vm1, T0 + 10, cases[i].started[1], cases[i].rx[1]);
        meter_cut(&m, T0 + STAT_SLOT_S, take, &t);
        CHECK_INT(cases[i].why, (int64_t) t.rx, (int64_t) cases[i].used);
    }
}

TEST(a_day_of_readings)
{
    CLEANUP(meter_done) struct meter m = METER_INIT;
    struct taken t = { 0 };
    for (int64_t s = 0; s < STAT_DAY_S; s += 10) {
        meter_cut(&m, (T0 + s) - (T0 + s) % STAT_SLOT_S, take, &t);
        feed(&m, &vm1, T0 + s, 1, (uint64_t) s * 7);
    }
    meter_cut(&m, T0 + STAT_DAY_S, take, &t);
    CHECK_INT("slots", t.n, STAT_DAY_S / STAT_SLOT_S);
    CHECK_INT("readings of a full one", t.last.samples, STAT_SLOT_S / 10);
    CHECK_INT("memory's mean", t.last.mem_sum_kib / t.last.samples, 1000);
    CHECK_INT("nothing is lost between slots", (int64_t) t.rx, (STAT_DAY_S - 10) * 7);
}

TEST(first_sight_adds_nothing)
{
    CLEANUP(meter_done) struct meter m = METER_INIT;
    struct taken t = { 0 };
    feed(&m, &vm1, T0, 1, 123456789);
    meter_cut(&m, T0 + STAT_SLOT_S, take, &t);
    CHECK_INT("a slot", t.n, 1);
    CHECK_INT("with nothing in it", (int64_t) t.rx, 0);
}

TEST(a_slot_that_goes_on_is_not_cut)
{
    CLEANUP(meter_done) struct meter m = METER_INIT;
    struct taken t = { 0 };
    feed(&m, &vm1, T0, 1, 0);
    meter_cut(&m, T0, take, &t);
    CHECK_INT("none", t.n, 0);
}

TEST(rates)
{
    CLEANUP(meter_done) struct meter m = METER_INIT;
    feed(&m, &vm1, T0, 1, 0);
    feed(&m, &vm1, T0 + 10, 1, 5000);
    CHECK_INT("bytes a second", (int64_t) meter_find(&m, &vm1)->rates[STAT_RX], 500);
    CHECK("an unknown machine", !meter_find(&m, &vm2));
    struct stat_reading soon = reading(T0 + 11, 1, 5600);
    soon.at_ms += 500;
    meter_read(&m, &vm1, &soon);
    CHECK_INT("of a second and a half", (int64_t) meter_find(&m, &vm1)->rates[STAT_RX],
              400);
    feed(&m, &vm2, T0, 1, 77);
    CHECK("none of a single reading", !meter_find(&m, &vm2)->has_rates);
}

TEST(saved_readings_bridge_a_restart)
{
    CLEANUP(buf_done) struct buf saved = BUF_INIT;
    struct taken t = { 0 };
    {
        CLEANUP(meter_done) struct meter m = METER_INIT;
        feed(&m, &vm1, T0, 1, 1000);
        feed(&m, &vm2, T0, 5, 1);
        meter_save(&m, &saved);
    }
    CLEANUP(meter_done) struct meter m = METER_INIT;
    CHECK_OK("loads", meter_load(&m, saved.data, saved.n));
    feed(&m, &vm1, T0 + 600, 1, 1700);
    feed(&m, &vm2, T0 + 600, 6, 40);
    meter_cut(&m, T0 + 900, take, &t);
    CHECK_INT("what was used meanwhile", (int64_t) t.rx, 700 + 40);
    CHECK_ERR("a cut file", meter_load(&m, saved.data, saved.n - 1), ERR_SYNTAX);
    CHECK_ERR("another one", meter_load(&m, "x", 1), ERR_SYNTAX);
}

TEST(forgetting)
{
    CLEANUP(meter_done) struct meter m = METER_INIT;
    struct taken t = { 0 };
    feed(&m, &vm1, T0, 1, 0);
    meter_forget(&m, T0 + 1000);
    CHECK("not before its slot is stored", meter_find(&m, &vm1) != NULL);
    meter_cut(&m, T0 + 1000, take, &t);
    feed(&m, &vm2, T0 + 1000, 1, 0);
    meter_forget(&m, T0 + 1000);
    CHECK("gone", !meter_find(&m, &vm1));
    CHECK("the other stays", meter_find(&m, &vm2) != NULL);
}
