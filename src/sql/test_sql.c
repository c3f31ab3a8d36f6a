/* sql/test_sql.c: the same tests for every database: SQLite in a file, or what $BYRE_TEST_SQL names, which
 * must be empty. */
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
