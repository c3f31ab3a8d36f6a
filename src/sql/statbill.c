/* sql/statbill.c: plays days of a few machines' counters through a meter into a store: what a bill is made of.
 *
 *     statbill URL DAYS       from midnight of 14 May 2014 UTC
 *
 * Each machine is read every 100 s and receives at its own rate; it sends half of that.
 *
 *     whole     700 bytes a second
 *     gaps      likewise; nobody reads it from 05:10 to 05:40, its counters go on meanwhile
 *     reboots   likewise; begins anew every noon, its counters with it
 *     wraps     7,000,000 bytes a second in counters of 32 bits
 *     short     700 bytes a second, on from 10:20 to 14:40 only, each time a new run
 *
 * So by the last reading each has received its rate times the seconds that it ran between readings. */
#include "sql/sql.h"

#include <stdio.h>

#include "base/str.h"
#include "base/vec.h"

#define T0 1400025600 /* Midnight UTC. */
#define EVERY_S 100
#define MAX_DAYS 400
#define MINUTES(h, m) (((h) *60 + (m)) * 60)

static const struct player {
    const char *name;
    uint64_t rate;
    int off_from_s, off_to_s; /* Of each day: not read. */
    int reboot_s;             /* Of each day: counters are 0 then; -1: never. */
    bool wraps;
} players[] = {
    { "whole", 700, 0, 0, -1, false },
    { "gaps", 700, MINUTES(5, 10), MINUTES(5, 40), -1, false },
    { "reboots", 700, 0, 0, MINUTES(12, 0), false },
    { "wraps", 7000000, 0, 0, -1, true },
    { "short", 700, MINUTES(14, 40) + 1, MINUTES(10, 20), MINUTES(10, 20), false },
};

static bool
is_off(const struct player *p, int64_t of_day_s)
{
    return p->off_from_s <= p->off_to_s
               ? of_day_s >= p->off_from_s && of_day_s < p->off_to_s
               : of_day_s >= p->off_from_s || of_day_s < p->off_to_s;
}

/* The reading at the moment of a reboot is still of the old run, unless the machine was off before. */
static void
read_player(struct meter *m, size_t i, int64_t at_s)
{
    const struct player *p = &players[i];
    int64_t since_s = at_s - T0, day = since_s / STAT_DAY_S,
            of_day_s = since_s % STAT_DAY_S;
    struct stat_reading r = { .at_ms = at_s * 1000, .started = 1, .mem_kib = 1 << 20 };
    struct uuid uuid = { { 0xb1, [15] = (uint8_t) i } };
    bool cold = p->off_from_s > p->off_to_s;

    if (is_off(p, of_day_s)) {
        return;
    } else if (p->reboot_s >= 0) {
        bool after = of_day_s > p->reboot_s || (cold && of_day_s == p->reboot_s);
        int64_t run = day + after;
        int64_t begun_s = run ? (run - 1) * STAT_DAY_S + p->reboot_s : 0;
        r.started = 1 + run;
        since_s -= begun_s;
    }
    r.counters[STAT_RX] = (uint64_t) since_s * p->rate;
    r.counters[STAT_TX] = (uint64_t) since_s * p->rate / 2;
    r.counters[STAT_CPU_MS] = (uint64_t) since_s * 10;
    if (p->wraps) {
        r.counters[STAT_RX] &= UINT32_MAX;
        r.counters[STAT_TX] &= UINT32_MAX;
    }
    meter_read(m, &uuid, &r);
}

struct rows {
    VEC(struct sql_row) rows;
};

static void
on_slot(void *aux, const struct uuid *uuid, const struct stat_slot *slot)
{
    struct rows *rows = aux;
    struct sql_row *row = VEC_ADD(&rows->rows);
    *row = (struct sql_row){ *uuid, players[uuid->b[15]].name, *slot };
}

static MUST_CHECK struct err *
put(struct sql *sql, struct meter *m, struct rows *rows, int64_t now_s)
{
    CLEANUP(buf_done) struct buf saved = BUF_INIT;
    meter_save(m, &saved);
    TRY(sql_put(sql, rows->rows.v, rows->rows.n, "host1", &saved));
    rows->rows.n = 0;
    return sql_roll(sql, now_s, &SQL_KEEP_INIT);
}

/* Slots are stored by the hour, to be quick. */
static MUST_CHECK struct err *
play(struct sql *sql, int64_t days)
{
    CLEANUP(meter_done) struct meter meter = METER_INIT;
    struct rows rows = { VEC_INIT };
    struct err *e = NULL;

    for (int64_t at_s = T0; at_s <= T0 + days * STAT_DAY_S && !e; at_s += EVERY_S) {
        meter_cut(&meter, at_s - at_s % STAT_SLOT_S, on_slot, &rows);
        if (at_s % STAT_HOUR_S == 0) {
            e = put(sql, &meter, &rows, at_s);
        }
        for (size_t i = 0; i < N_ELEMS(players); i++) {
            read_player(&meter, i, at_s);
        }
    }
    VEC_DONE(&rows.rows);
    return e;
}

int
main(int argc, char **argv)
{
    int64_t days;
    struct sql *sql;

    if (argc != 3 || !str_to_i64(argv[2], &days) || days < 1 || days > MAX_DAYS) {
        fprintf(stderr, "usage: statbill URL DAYS\n");
        return 2;
    }
    struct err *e = sql_open(argv[1], &sql);
    if (!e) {
        e = play(sql, days);
        sql_close(sql);
    }
    if (e) {
        fprintf(stderr, "statbill: %s\n", err_text(e));
        err_free(e);
        return 1;
    }
    return 0;
}
