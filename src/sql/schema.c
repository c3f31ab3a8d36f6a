/* sql/schema.c: the tables, made where they are missing, and the views in VMmanager's words.
 *
 * The key of a slot table begins with the time: rows arrive in its order, and dropping old ones takes whole
 * pages.  One machine's rows are found by its own index, which the finest table does without: there the reader asks
 * slot by slot, and the writer, the one that has little time, is spared it. */
#include "sql/driver_i.h"

const char *const sql_table_names[N_SQL_TABLES] = { "slot_min", "slot_hr", "slot_day" };

void
sql_columns(struct buf *ret)
{
    buf_str(ret, "begin, vm, count, samples, mem_sum, mem_max");
    for (int i = 0; i < N_STAT_COUNTERS; i++) {
        buf_printf(ret, ", %s", stat_counter_names[i]);
    }
}

static struct err *
make_slots(struct sql *sql, const char *table, bool by_vm)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    buf_printf(&text,
               "CREATE TABLE IF NOT EXISTS %s (begin BIGINT NOT NULL, vm BIGINT NOT NULL, ",
               table);
    buf_str(
        &text,
        "count BIGINT NOT NULL, samples BIGINT NOT NULL, mem_sum BIGINT NOT NULL, mem_max BIGINT NOT NULL");
    for (int i = 0; i < N_STAT_COUNTERS; i++) {
        buf_printf(&text, ", %s BIGINT NOT NULL", stat_counter_names[i]);
    }
    buf_printf(&text, ", PRIMARY KEY (begin, vm))%s", sql->driver->slot_options);
    TRY(sql_exec(sql, "%s", buf_cstr(&text)));
    return by_vm ? sql_exec(sql, "CREATE INDEX IF NOT EXISTS %s_by_vm ON %s (vm, begin)",
                            table, table)
                 : NULL;
}

/* statmin, diskmin and so on.  'mem' is the mean in KiB, 'time' the slot's length. */
static struct err *
make_views(struct sql *sql, const char *suffix, const char *table, int64_t slot_s)
{
    TRY(sql_exec(
        sql,
        "CREATE VIEW IF NOT EXISTS stat%s AS SELECT n.name AS vm, n.uuid AS uuid, s.begin AS begin, s.count AS count, "
        "s.rx AS rx, s.tx AS tx, s.prx AS prx, s.ptx AS ptx, s.cpu_ms AS cpu_ms, "
        "CASE WHEN s.samples > 0 THEN s.mem_sum / s.samples ELSE 0 END AS mem, s.mem_max AS mem_max "
        "FROM %s s JOIN machine n ON n.id = s.vm",
        suffix, table));
    return sql_exec(
        sql,
        "CREATE VIEW IF NOT EXISTS disk%s AS SELECT n.name AS vm, n.uuid AS uuid, s.begin AS begin, s.count AS count, "
        "%" PRId64
        " AS time, s.rd_req AS rd_req, s.wr_req AS wr_req, s.rd_bytes AS rd_bytes, "
        "s.wr_bytes AS wr_bytes, s.errs AS errs FROM %s s JOIN machine n ON n.id = s.vm",
        suffix, slot_s, table);
}

struct err *
sql_make_tables(struct sql *sql)
{
    static const char *const suffixes[N_SQL_TABLES] = { "min", "hr", "day" };
    const struct sql_driver *d = sql->driver;

    TRY(sql_exec(
        sql,
        "CREATE TABLE IF NOT EXISTS machine (id %s PRIMARY KEY, uuid %s NOT NULL UNIQUE, name %s NOT NULL)%s",
        d->id_type, d->key_type, d->name_type, d->options));
    TRY(sql_exec(
        sql,
        "CREATE TABLE IF NOT EXISTS reading (host %s NOT NULL PRIMARY KEY, saved %s NOT NULL)%s",
        d->key_type, d->blob_type, d->options));
    TRY(sql_exec(
        sql,
        "CREATE TABLE IF NOT EXISTS outgoing (id %s NOT NULL PRIMARY KEY, vm %s NOT NULL, host %s NOT NULL, parcel %s NOT NULL)%s",
        d->key_type, d->key_type, d->key_type, d->blob_type, d->options));
    TRY(sql_exec(
        sql,
        "CREATE TABLE IF NOT EXISTS taken (id %s NOT NULL PRIMARY KEY, at BIGINT NOT NULL)%s",
        d->key_type, d->options));
    for (int i = 0; i < N_SQL_TABLES; i++) {
        TRY(make_slots(sql, sql_table_names[i], i != SQL_MINUTES));
        TRY(make_views(sql, suffixes[i], sql_table_names[i], sql_slot_s(i)));
    }
    return NULL;
}
