/* sql/read.c: slots out, oldest first.  Hours and days that nobody has made yet are made of the finer
 * table while reading, so that the latest one shows, with a count below that of a whole one. */
#include "sql/driver_i.h"

#include "base/str.h"

struct reader {
    struct err *(*each)(void *aux, const struct sql_got *);
    void *aux;
};

static struct err *
on_row(void *aux, const char *const *cells, const size_t *n_bytes UNUSED)
{
    struct reader *r = aux;
    struct sql_got got = { .name = cells[0], .uuid = cells[1] };
    int64_t n[SQL_N_COLUMNS] = { 0 };

    for (size_t i = 0; i < SQL_N_COLUMNS - 1; i++) { /* All but 'vm'. */
        const char *text = cells[2 + i];
        /* MariaDB's SUM() is a decimal number, but a whole one. */
        if (text && !str_to_i64(text, &n[i])) {
            return err_new(ERR_SYNTAX, "\"%s\" is no number", text);
        }
    }
    got.slot.begin_s = n[0];
    got.count = n[1];
    got.slot.samples = n[2];
    got.slot.mem_sum_kib = n[3];
    got.slot.mem_max_kib = n[4];
    for (int i = 0; i < N_STAT_COUNTERS; i++) {
        got.slot.sums[i] = (uint64_t) n[5 + i];
    }
    return r->each(r->aux, &got);
}

/* "SELECT n.name, n.uuid, BEGIN, count, samples, ... FROM TABLE s JOIN ..." */
static void
stored(struct buf *text, enum sql_table table, const char *machine, int64_t from_s,
       int64_t to_s)
{
    buf_str(
        text,
        "SELECT n.name AS name, n.uuid AS uuid, s.begin AS begin, s.count AS count, s.samples AS samples, "
        "s.mem_sum AS mem_sum, s.mem_max AS mem_max");
    for (int i = 0; i < N_STAT_COUNTERS; i++) {
        buf_printf(text, ", s.%s AS %s", stat_counter_names[i], stat_counter_names[i]);
    }
    buf_printf(text,
               " FROM %s s JOIN machine n ON n.id = s.vm WHERE s.begin >= %" PRId64
               " AND s.begin < %" PRId64 "%s",
               sql_table_names[table], from_s, to_s, machine);
}

static struct err *
on_end(void *aux, const char *const *cells, const size_t *n_bytes UNUSED)
{
    return cells[0] && !str_to_i64(cells[0], aux)
               ? err_new(ERR_SYNTAX, "\"%s\" is no number", cells[0])
               : NULL;
}

/* Where the rows of 'table' that are made end, 'from_s' at least. */
static struct err *
made_until(struct sql *sql, enum sql_table table, int64_t from_s, int64_t *ret)
{
    int64_t last = -1;
    TRY(sql_query(sql, on_end, &last, "SELECT MAX(begin) FROM %s", sql_table_names[table]));
    *ret = last < 0 ? from_s : max64(from_s, last + sql_slot_s(table));
    return NULL;
}

/* " FROM (rows of the finer table, and for days of the finest behind those) s" */
static struct err *
finer_rows(struct sql *sql, enum sql_table table, int64_t from_s, int64_t to_s,
           struct buf *text)
{
    buf_str(text, " FROM (SELECT ");
    sql_columns(text);
    buf_printf(text, " FROM %s WHERE begin >= %" PRId64 " AND begin < %" PRId64,
               sql_table_names[table - 1], from_s, to_s);
    if (table == SQL_DAYS) {
        int64_t hours_end;
        TRY(made_until(sql, SQL_HOURS, from_s, &hours_end));
        buf_str(text, " UNION ALL SELECT ");
        sql_columns(text);
        buf_printf(text, " FROM slot_min WHERE begin >= %" PRId64 " AND begin < %" PRId64,
                   hours_end, to_s);
    }
    buf_str(text, ") s");
    return NULL;
}

/* The same shape as stored(), made of finer rows.  'count' is the number of the next finer slots that have something. */
static struct err *
made(struct sql *sql, struct buf *text, enum sql_table table, const char *machine,
     int64_t from_s, int64_t to_s)
{
    int64_t length = sql_slot_s(table), finer = sql_slot_s(table - 1), since;
    TRY(made_until(sql, table, from_s, &since));
    buf_printf(text,
               "SELECT n.name, n.uuid, s.begin - s.begin %% %" PRId64
               ", COUNT(DISTINCT s.begin - s.begin %% %" PRId64
               "), SUM(s.samples), SUM(s.mem_sum), MAX(s.mem_max)",
               length, finer);
    for (int i = 0; i < N_STAT_COUNTERS; i++) {
        buf_printf(text, ", SUM(s.%s)", stat_counter_names[i]);
    }
    TRY(finer_rows(sql, table, since, to_s, text));
    buf_printf(
        text,
        " JOIN machine n ON n.id = s.vm WHERE 1 = 1%s GROUP BY n.name, n.uuid, s.begin - s.begin %% %" PRId64,
        machine, length);
    return NULL;
}

/* Slots of one machine in the finest table, which has no index for that: one look-up a slot instead of
 * a walk over all machines. */
static struct err *
read_slot_by_slot(struct sql *sql, const char *machine, int64_t from_s, int64_t to_s,
                  struct reader *r)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    buf_printf(&text,
               "WITH RECURSIVE t(b) AS (SELECT %" PRId64
               " UNION ALL SELECT b + %d FROM t WHERE b + %d < %" PRId64 ") ",
               from_s - from_s % STAT_SLOT_S + (from_s % STAT_SLOT_S ? STAT_SLOT_S : 0),
               STAT_SLOT_S, STAT_SLOT_S, to_s);
    buf_str(&text,
            "SELECT n.name, n.uuid, s.begin, s.count, s.samples, s.mem_sum, s.mem_max");
    for (int i = 0; i < N_STAT_COUNTERS; i++) {
        buf_printf(&text, ", s.%s", stat_counter_names[i]);
    }
    buf_printf(
        &text,
        " FROM t CROSS JOIN machine n JOIN slot_min s ON s.begin = t.b AND s.vm = n.id WHERE 1 = 1%s AND t.b < %" PRId64
        " ORDER BY s.begin",
        machine, to_s);
    return sql->driver->query(sql->handle, buf_cstr(&text), on_row, r);
}

struct err *
sql_read(struct sql *sql, enum sql_table table, const struct uuid *uuid, int64_t from_s,
         int64_t to_s, struct err *(*each)(void *aux, const struct sql_got *), void *aux)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT, machine = BUF_INIT;
    struct reader r = { each, aux };

    if (uuid) {
        buf_printf(&machine, " AND n.uuid = '%s'", UUID_TEXT(uuid));
    }
    if (table == SQL_MINUTES && uuid &&
        (to_s - from_s) / STAT_SLOT_S < sql->driver->max_looked_up) {
        return err_wrap(read_slot_by_slot(sql, buf_cstr(&machine), from_s, to_s, &r),
                        "statistics");
    }
    from_s = (int64_t) div_up((uint64_t) max64(from_s, 0), (uint64_t) sql_slot_s(table)) *
             sql_slot_s(table);
    stored(&text, table, buf_cstr(&machine), from_s, to_s);
    if (table != SQL_MINUTES) {
        buf_str(&text, " UNION ALL ");
        TRY(made(sql, &text, table, buf_cstr(&machine), from_s, to_s));
    }
    buf_str(&text, " ORDER BY begin, name");
    return err_wrap(sql->driver->query(sql->handle, buf_cstr(&text), on_row, &r),
                    "statistics");
}
