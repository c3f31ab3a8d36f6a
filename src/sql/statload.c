/* sql/statload.c: fills a store with slots of many machines and says how long a round took.
 *
 *     statload URL MACHINES ROUNDS        a line for each kind of work: its name, n, median and worst in ms
 *
 * Machine I (from 1) receives 1001 * I bytes a slot and sends 2002 * I. */
#include "sql/sql.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/str.h"

#define T0 1400025600 /* Midnight UTC. */
#define MAX_MACHINES 1000000
#define MAX_ROUNDS 100000

static void
fill(struct sql_row *row, int64_t i, int64_t begin)
{
    uint64_t n = (uint64_t) i + 1;
    row->slot = (struct stat_slot){
        .begin_s = begin, .samples = 30, .mem_sum_kib = 30 << 20, .mem_max_kib = 1 << 20
    };
    row->slot.sums[STAT_RX] = 1001 * n;
    row->slot.sums[STAT_TX] = 2002 * n;
    row->slot.sums[STAT_CPU_MS] = 30000 + n;
    row->slot.sums[STAT_RD_REQ] = n;
    row->slot.sums[STAT_WR_BYTES] = n << 30;
}

static int
by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;
    return x < y ? -1 : x > y;
}

static void
tell(const char *what, int64_t *ns, size_t n)
{
    qsort(ns, n, sizeof *ns, by_time);
    printf("%s %zu %.3f %.3f\n", what, n, (double) ns[n / 2] / 1e6,
           (double) ns[n - 1] / 1e6);
}

static struct err *
load(struct sql *sql, int64_t n_machines, int64_t n_rounds)
{
    CLEANUP(free_drop) struct sql_row *rows = xcalloc((size_t) n_machines, sizeof *rows);
    CLEANUP(free_drop) char(*names)[32] = xcalloc((size_t) n_machines, sizeof *names);
    CLEANUP(free_drop)
    int64_t *put = xcalloc((size_t) n_rounds, sizeof *put),
            *roll = xcalloc((size_t) n_rounds, sizeof *roll);
    CLEANUP(buf_done) struct buf saved = BUF_INIT;
    CLEANUP(meter_done) struct meter meter = METER_INIT;
    size_t n_rolls = 0;

    for (int64_t i = 0; i < n_machines; i++) {
        struct stat_reading reading = { .at_ms = T0 * INT64_C(1000), .started = 1 };
        snprintf(names[i], sizeof names[i], "vm%" PRId64, i + 1);
        rows[i].name = names[i];
        memcpy(rows[i].uuid.b, &i, sizeof i);
        meter_read(&meter, &rows[i].uuid, &reading);
    }
    meter_save(&meter, &saved); /* As large as the real thing. */
    for (int64_t round = 0; round < n_rounds; round++) {
        int64_t begin = T0 + round * STAT_SLOT_S, t = clock_mono_ns();
        for (int64_t i = 0; i < n_machines; i++) {
            fill(&rows[i], i, begin);
        }
        t = clock_mono_ns();
        TRY(sql_put(sql, rows, (size_t) n_machines, "host1", &saved));
        put[round] = clock_mono_ns() - t;
        if ((begin + STAT_SLOT_S) % STAT_HOUR_S == 0) {
            t = clock_mono_ns();
            TRY(sql_roll(sql, begin + STAT_SLOT_S, &SQL_KEEP_INIT));
            roll[n_rolls++] = clock_mono_ns() - t;
        }
    }
    tell("put", put, (size_t) n_rounds);
    if (n_rolls) {
        tell("roll", roll, n_rolls);
    }
    return NULL;
}

int
main(int argc, char **argv)
{
    int64_t n_machines, n_rounds;
    struct sql *sql;

    if (argc != 4 || !str_to_i64(argv[2], &n_machines) || n_machines < 1 ||
        n_machines > MAX_MACHINES || !str_to_i64(argv[3], &n_rounds) || n_rounds < 1 ||
        n_rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: statload URL MACHINES ROUNDS\n");
        return 2;
    }
    struct err *e = sql_open(argv[1], &sql);
    if (!e) {
        e = load(sql, n_machines, n_rounds);
        sql_close(sql);
    }
    if (e) {
        fprintf(stderr, "statload: %s\n", err_text(e));
        err_free(e);
        return 1;
    }
    return 0;
}
