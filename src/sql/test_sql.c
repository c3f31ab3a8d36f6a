/* sql/test_sql.c: the same tests for every database: SQLite in a file, or what $BYRE_TEST_SQL names, which
 * must be empty. */
#include "sql/parcel.h"
#include "sql/sql.h"

#include <stdio.h>

#include "base/str.h"
#include "base/vec.h"
#include "test.h"

#define T0 1400025600 /* Midnight UTC, and so the begin of an hour and of a slot. */
#define N_VMS 3

static const char *
url(void)
{
    static char text[512];
    const char *given = getenv("BYRE_TEST_SQL");
    if (given) {
        return given;
    } else if (!text[0]) {
        snprintf(text, sizeof text, "sqlite:%s/stats.db", test_dir());
    }
    return text;
}

static struct sql *
open_fresh(int64_t about)
{
    struct sql *sql = NULL;
    CHECK_OK("opens", sql_open(url(), &sql));
    /* Tests share a database: what an earlier one left is old. */
    CHECK_OK("expires", sql_roll(sql, about + 4000 * (int64_t) STAT_DAY_S, &SQL_KEEP_INIT));
    return sql;
}

static struct uuid
machine(int i)
{
    return (struct uuid){ { 0xaa, [15] = (uint8_t) i } };
}

static void
put_slot(struct sql *sql, int64_t begin, int vm, const char *name, uint64_t rx)
{
    CLEANUP(buf_done) struct buf saved = BUF_INIT;
    struct sql_row row = { .uuid = machine(vm),
                           .name = name,
                           .slot = { .begin_s = begin,
                                     .samples = 30,
                                     .mem_sum_kib = 30 * 500,
                                     .mem_max_kib = 600 } };
    row.slot.sums[STAT_RX] = rx;
    row.slot.sums[STAT_RD_REQ] = 7;
    buf_printf(&saved, "until %" PRId64 "%cand a zero", begin, '\0');
    CHECK_OK("stores", sql_put(sql, &row, 1, "host1", &saved));
}

struct seen {
    int n;
    int64_t begin[2000], count[2000];
    uint64_t rx;
    char name[64];
    struct stat_slot last;
};

static struct err *
look(void *aux, const struct sql_got *got)
{
    struct seen *s = aux;
    if (s->n < (int) N_ELEMS(s->begin)) {
        s->begin[s->n] = got->slot.begin_s;
        s->count[s->n] = got->count;
    }
    s->n++;
    s->rx += got->slot.sums[STAT_RX];
    s->last = got->slot;
    snprintf(s->name, sizeof s->name, "%s", got->name);
    return NULL;
}

TEST(slots_come_back)
{
    CLEANUP(sql_drop) struct sql *sql = open_fresh(T0);
    CLEANUP(buf_done) struct buf saved = BUF_INIT;
    struct seen seen = { 0 };
    struct uuid one = machine(1);
    for (int i = 0; i < 5; i++) {
        put_slot(sql, T0 + i * STAT_SLOT_S, 1, "web1", 100);
        put_slot(sql, T0 + i * STAT_SLOT_S, 2, "it's", 1000);
    }
    CHECK_OK("reads", sql_read(sql, SQL_MINUTES, &one, T0 + STAT_SLOT_S,
                               T0 + 4 * STAT_SLOT_S, look, &seen));
    CHECK_INT("from is in, to is not", seen.n, 3);
    CHECK_INT("oldest first", seen.begin[0], T0 + STAT_SLOT_S);
    CHECK_INT("sums", (int64_t) seen.rx, 300);
    CHECK_INT("gauges", seen.last.mem_sum_kib / seen.last.samples, 500);
    CHECK_STR("by name", seen.name, "web1");
    memset(&seen, 0, sizeof seen);
    CHECK_OK("all machines",
             sql_read(sql, SQL_MINUTES, NULL, T0, T0 + 5 * STAT_SLOT_S, look, &seen));
    CHECK_INT("ten", seen.n, 10);
    CHECK_OK("saved with them", sql_saved(sql, "host1", &saved));
    CHECK_INT("to the byte", (int64_t) saved.n, (int64_t) strlen("until 1400026800") + 11);
    CHECK("another host has its own", sql_saved(sql, "ho'st2", &saved) == NULL);
}

TEST(a_machine_that_moved_adds_up)
{
    CLEANUP(sql_drop) struct sql *sql = open_fresh(T0);
    struct seen seen = { 0 };
    struct uuid one = machine(1);
    put_slot(sql, T0, 1, "web1", 100);
    put_slot(sql, T0, 1, "web1", 23);
    CHECK_OK("reads", sql_read(sql, SQL_MINUTES, &one, T0, T0 + 300, look, &seen));
    CHECK_INT("one row", seen.n, 1);
    CHECK_INT("both parts", (int64_t) seen.rx, 123);
}

TEST(hours_and_days)
{
    CLEANUP(sql_drop) struct sql *sql = open_fresh(T0);
    struct seen seen = { 0 };
    struct uuid one = machine(1);
    /* Two days and a bit; the slot at 05:10 of the first day is missing. */
    for (int64_t s = 0; s < 2 * STAT_DAY_S + 2 * STAT_HOUR_S + 600; s += STAT_SLOT_S) {
        if (s != 5 * STAT_HOUR_S + 600) {
            put_slot(sql, T0 + s, 1, "web1", 1);
        }
        if (s % STAT_HOUR_S == 0) {
            CHECK_OK("rolls as time goes by", sql_roll(sql, T0 + s, &SQL_KEEP_INIT));
        }
    }
    CHECK_OK("hours", sql_read(sql, SQL_HOURS, &one, T0, T0 + 3 * STAT_DAY_S, look, &seen));
    CHECK_INT("with the one that goes on", seen.n, 51);
    CHECK_INT("a whole one", seen.count[4], 12);
    CHECK_INT("one that lacks a slot shows it", seen.count[5], 11);
    CHECK_INT("the latest has two slots", seen.count[50], 2);
    CHECK_INT("all of it", (int64_t) seen.rx, 2 * 288 + 24 + 2 - 1);
    memset(&seen, 0, sizeof seen);
    CHECK_OK("days", sql_read(sql, SQL_DAYS, &one, T0, T0 + 3 * STAT_DAY_S, look, &seen));
    CHECK_INT("with today", seen.n, 3);
    CHECK_INT("a whole day has 24 hours", seen.count[0], 24);
    CHECK_INT("today has two whole hours and a bit", seen.count[2], 3);
    CHECK_INT("its sum, with the hour that goes on", (int64_t) seen.rx,
              2 * 288 + 24 + 2 - 1);
    CHECK_OK("again", sql_roll(sql, T0 + 2 * STAT_DAY_S + 2 * STAT_HOUR_S, &SQL_KEEP_INIT));
    memset(&seen, 0, sizeof seen);
    CHECK_OK("days", sql_read(sql, SQL_DAYS, &one, T0, T0 + 2 * STAT_DAY_S, look, &seen));
    CHECK_INT("nothing counts twice", (int64_t) seen.rx, 2 * 288 - 1);
}

/* The source's rows of a machine, and the same read elsewhere. */
struct told {
    struct seen tables[N_SQL_TABLES];
};

static void
read_all(struct sql *sql, int vm, int64_t now_s, struct told *ret)
{
    static const int days[N_SQL_TABLES] = { 4, 32, 4000 };
    struct uuid uuid = machine(vm);

    memset(ret, 0, sizeof *ret);
    for (int t = 0; t < N_SQL_TABLES; t++) {
        CHECK_OK("reads", sql_read(sql, t, &uuid, now_s - days[t] * (int64_t) STAT_DAY_S,
                                   now_s + 1, look, &ret->tables[t]));
    }
}

static void
check_told(const struct told *is, const struct told *should, uint64_t more_rx)
{
    for (int t = 0; t < N_SQL_TABLES; t++) {
        CHECK_INT("rows", is->tables[t].n, should->tables[t].n);
        CHECK_INT("sum", (int64_t) is->tables[t].rx,
                  (int64_t) (should->tables[t].rx + more_rx));
        for (int i = 0; i < is->tables[t].n - 1; i++) { /* The last goes on. */
            CHECK_INT("begin", is->tables[t].begin[i], should->tables[t].begin[i]);
            CHECK_INT("count", is->tables[t].count[i], should->tables[t].count[i]);
        }
    }
}

static void
note_machine(void *aux, const struct uuid *uuid)
{
    char *names = aux;
    names[uuid->b[15]] = 'x';
}

/* Slots each so and so many seconds of 'n_days', rolled up as time goes by. */
static void
fill(struct sql *sql, int n_days, int64_t pace_s, int vm, int other)
{
    int64_t end = T0 + n_days * (int64_t) STAT_DAY_S + STAT_HOUR_S + 900;

    for (int64_t s = T0; s < end; s += pace_s) {
        put_slot(sql, s, vm, "mover", 3);
        if (other) {
            put_slot(sql, s, other, "stays", 5);
        }
        if ((s - T0) % (6 * STAT_HOUR_S) == 0) {
            CHECK_OK("rolls", sql_roll(sql, s, &SQL_KEEP_INIT));
        }
    }
}

static void
send_all(struct sql *from, struct sql *to, int64_t now_s, int times, int *ret_n)
{
    for (*ret_n = 0;; ++*ret_n) {
        CLEANUP(sql_parcel_done) struct sql_parcel p;
        CHECK_OK("next", sql_parcel_next(from, NULL, 0, &p));
        if (!p.text) {
            return;
        }
        CHECK("not too long", strlen(p.text) <= SQL_PARCEL_MAX_BYTES);
        for (int i = 0; i < times; i++) {
            CHECK_OK("takes", sql_take(to, &p.id, p.text, now_s));
        }
        CHECK_OK("drops", sql_parcel_drop(from, &p.id));
    }
}

TEST(history_goes_after_its_machine)
{
    enum { DAYS = 40, VM = 7, STAYS = 8, OWN = 9 };
    const int64_t now_s = T0 + DAYS * (int64_t) STAT_DAY_S + STAT_HOUR_S + 900;
    CLEANUP(buf_done) struct buf source = BUF_INIT;
    CLEANUP(sql_drop) struct sql *here = NULL, *there = open_fresh(T0);
    struct uuid vm = machine(VM), host = machine(200);
    struct told before, stays, after;
    char names[256] = "";
    int n;

    buf_printf(&source, "sqlite:%s/source.db", test_dir());
    CHECK_OK("opens", sql_open(buf_cstr(&source), &here));
    fill(here, DAYS, 900, VM, STAYS);
    fill(there, 2, 3600, OWN, 0);
    put_slot(there, now_s - now_s % STAT_SLOT_S, VM, "mover",
             1000); /* It runs there already. */
    read_all(here, VM, now_s, &before);
    read_all(here, STAYS, now_s, &stays);
    CHECK("something of each", before.tables[0].n > 100 && before.tables[1].n > 500 &&
                                   before.tables[2].n == DAYS + 1);

    CHECK_OK("packs", sql_pack(here, &vm, &host, now_s, &SQL_KEEP_INIT));
    CHECK_OK("machines", sql_machines(here, note_machine, names));
    CHECK("it is gone from here", !names[VM] && names[STAYS]);
    read_all(here, VM, now_s, &after);
    CHECK_INT("with all its rows",
              after.tables[0].n + after.tables[1].n + after.tables[2].n, 0);
    read_all(here, STAYS, now_s, &after);
    check_told(&after, &stays, 0);

    CLEANUP(sql_parcel_done) struct sql_parcel none;
    CHECK_OK("nothing for others", sql_parcel_next(here, &host, 1, &none));
    CHECK("none", !none.text);
    send_all(here, there, now_s, 2, &n);
    CHECK("several parcels", n > 1);
    read_all(there, VM, now_s, &after);
    before.tables[0].n++; /* The slot that it has there already. */
    check_told(&after, &before, 1000);

    CHECK_OK("time goes by there", sql_roll(there, now_s + STAT_DAY_S, &SQL_KEEP_INIT));
    read_all(there, VM, now_s, &after);
    CHECK_INT("days", (int64_t) after.tables[SQL_DAYS].rx,
              (int64_t) before.tables[SQL_DAYS].rx + 1000);

    /* Its last slot comes late. */
    put_slot(here, now_s - now_s % STAT_SLOT_S - STAT_SLOT_S, VM, "mover", 50);
    CHECK_OK("packs", sql_pack(here, &vm, &host, now_s, &SQL_KEEP_INIT));
    send_all(here, there, now_s + STAT_DAY_S, 1, &n);
    CHECK_INT("one parcel", n, 1);
    read_all(there, VM, now_s, &after);
    for (int t = 0; t < N_SQL_TABLES; t++) {
        CHECK_INT("in each table", (int64_t) after.tables[t].rx,
                  (int64_t) before.tables[t].rx + 1050);
    }
}

TEST(what_is_no_history)
{
    static const char uuid[] = "aa000000-0000-4000-8000-000000000001";
    static const char *const texts[] = {
        "",
        "\n",
        "byre-history-2 aa000000-0000-4000-8000-000000000001 web\n",
        "byre-history-1 x web\n",
        "byre-history-1 aa000000-0000-4000-8000-000000000001\n",
        "byre-history-1 aa000000-0000-4000-8000-000000000001 web\nm 300 1\n",
        "byre-history-1 aa000000-0000-4000-8000-000000000001 web\nm 301 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n",
        "byre-history-1 aa000000-0000-4000-8000-000000000001 web\nm 300 1 1 1 1 1 1 1 1 1 1 1 1 1 -1\n",
        "byre-history-1 aa000000-0000-4000-8000-000000000001 web\nm 300 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n",
        "byre-history-1 aa000000-0000-4000-8000-000000000001 web\nh 1400025600 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n",
        "byre-history-1 aa000000-0000-4000-8000-000000000001 web\nm 1400029500 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n",
        "byre-history-1 aa000000-0000-4000-8000-000000000001 web\nw 300 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n",
        "byre-history-1 aa000000-0000-4000-8000-000000000001 web\nm 300 1 1 1 1 1 1 1 1 1 1 1 1 1 9999999999999999999\n",
    };
    CLEANUP(sql_drop) struct sql *sql = open_fresh(T0);
    struct uuid id;
    char names[256] = "";

    CHECK("id", uuid_parse(uuid, &id));
    for (size_t i = 0; i < N_ELEMS(texts); i++) {
        CHECK_ERR(texts[i], sql_take(sql, &id, texts[i], T0), ERR_SYNTAX);
    }
    CHECK_OK("a good one",
             sql_take(sql, &id,
                      "byre-history-1 aa000000-0000-4000-8000-0000000000f0 it's\n"
                      "m 300 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n",
                      T0));
    CHECK_OK("machines", sql_machines(sql, note_machine, names));
    CHECK("is stored", names[0xf0]);
}

TEST(old_rows_go)
{
    CLEANUP(sql_drop) struct sql *sql = open_fresh(T0);
    struct seen seen = { 0 };
    struct uuid one = machine(1);
    put_slot(sql, T0, 1, "web1", 5);
    CHECK_OK("rolls", sql_roll(sql, T0 + STAT_DAY_S, &SQL_KEEP_INIT));
    CHECK_OK("six days later", sql_roll(sql, T0 + 6 * STAT_DAY_S, &SQL_KEEP_INIT));
    CHECK_OK("reads", sql_read(sql, SQL_MINUTES, &one, T0, T0 + STAT_DAY_S, look, &seen));
    CHECK_INT("the minutes are gone", seen.n, 0);
    CHECK_OK("reads", sql_read(sql, SQL_HOURS, &one, T0, T0 + STAT_DAY_S, look, &seen));
    CHECK_INT("the hour is there", seen.n, 1);
    CHECK_OK("a year later",
             sql_roll(sql, T0 + 365 * (int64_t) STAT_DAY_S, &SQL_KEEP_INIT));
    memset(&seen, 0, sizeof seen);
    CHECK_OK("reads", sql_read(sql, SQL_DAYS, &one, T0, T0 + STAT_DAY_S, look, &seen));
    CHECK_INT("the day is there", (int64_t) seen.rx, 5);
}

TEST(a_renamed_machine_keeps_its_past)
{
    CLEANUP(sql_drop) struct sql *sql = open_fresh(T0);
    struct seen seen = { 0 };
    struct uuid one = machine(1);
    put_slot(sql, T0, 1, "old", 1);
    put_slot(sql, T0 + 300, 1, "new", 1);
    CHECK_OK("reads", sql_read(sql, SQL_MINUTES, &one, T0, T0 + 600, look, &seen));
    CHECK_INT("both", seen.n, 2);
    CHECK_STR("under the new name", seen.name, "new");
}

TEST(names_are_text_and_nothing_else)
{
    static const char *const names[] = { "x'); DROP TABLE machine; --", "\\",
                                         "\xd0\x92\xd0\x9c", "%s%n" };
    CLEANUP(sql_drop) struct sql *sql = open_fresh(T0);
    for (size_t i = 0; i < N_ELEMS(names); i++) {
        struct seen seen = { 0 };
        struct uuid vm = machine(50 + (int) i);
        put_slot(sql, T0, 50 + (int) i, names[i], 1);
        CHECK_OK("reads", sql_read(sql, SQL_MINUTES, &vm, T0, T0 + 300, look, &seen));
        CHECK_STR("as it was", seen.name, names[i]);
    }
}

TEST(bad_urls)
{
    static const struct {
        const char *url;
        enum err_kind kind;
    } cases[] = {
        { "postgres://x", ERR_SYNTAX },
        { "mariadb:x", ERR_SYNTAX },
        { "mariadb://u:secret@h/db", ERR_SYNTAX },
        { "mariadb://u@h:99999/db", ERR_SYNTAX },
        { "mariadb://u@h/", ERR_SYNTAX },
        { "mariadb://u@h/db?ssl=off", ERR_SYNTAX },
        { "mariadb://u@h/db?password-file=/nowhere/at/all", ERR_NOT_FOUND },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct sql *sql = NULL;
        struct err *e = sql_open(cases[i].url, &sql);
        CHECK(cases[i].url, e && !strstr(err_text(e), "secret"));
        CHECK_ERR(cases[i].url, e, cases[i].kind);
    }
}

TEST(a_file_that_is_no_database)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct sql *sql = NULL;
    buf_printf(&text, "%s/none.db", test_dir());
    FILE *f = fopen(buf_cstr(&text), "w");
    CHECK("made", f != NULL);
    for (int i = 0; i < 1000; i++) {
        fputs("this is no database\n", f);
    }
    fclose(f);
    buf_clear(&text);
    buf_printf(&text, "sqlite:%s/none.db", test_dir());
    CHECK_ERR("refused", sql_open(buf_cstr(&text), &sql), ERR_SYNTAX);
}
