/* sql/store.c: slots in, in one transaction with the readings they end with; hours and days made of them;
 * what is old goes. */
#include "sql/driver_i.h"

#include "base/str.h"
#include "base/vec.h"

/* How far back hours, and days, are looked for that were not made. */
#define CATCH_UP_HOURS 48
#define CATCH_UP_DAYS 33

int64_t
sql_slot_s(enum sql_table table)
{
    return table == SQL_MINUTES ? STAT_SLOT_S
           : table == SQL_HOURS ? STAT_HOUR_S
                                : STAT_DAY_S;
}

static struct err *
connect(struct sql *sql, const char *rest)
{
    TRY(sql->driver->open(rest, &sql->handle));
    return sql_make_tables(sql);
}

struct err *
sql_open(const char *url, struct sql **ret)
{
    static const struct sql_driver *const drivers[] = { &sql_lite, &sql_maria };
    static const char *const prefixes[] = { "sqlite:", "mariadb:", "mysql:" };

    for (size_t i = 0; i < N_ELEMS(prefixes); i++) {
        if (!str_starts(url, prefixes[i])) {
            continue;
        }
        struct sql *sql = NEW(struct sql);
        sql->driver = drivers[i > 0];
        struct err *e = connect(sql, url + strlen(prefixes[i]));
        if (e) {
            e = err_wrap(e, "statistics in %s", sql->driver->name);
            sql_close(sql);
            return e;
        }
        *ret = sql;
        return NULL;
    }
    return err_hint(err_new(ERR_SYNTAX, "\"%.*s\" names no kind of database",
                            (int) strcspn(url, ":"), url),
                    "sqlite:PATH or mariadb://USER@HOST/DATABASE");
}

void
sql_close(struct sql *sql)
{
    if (!sql) {
        return;
    }
    HMAP_FOR_EACH_SAFE (struct sql_vm, vm, node, &sql->vms) {
        hmap_remove(&sql->vms, &vm->node);
        free(vm->name);
        free(vm);
    }
    hmap_done(&sql->vms);
    if (sql->handle) {
        sql->driver->close(sql->handle);
    }
    free(sql);
}

void
sql_drop(struct sql **sql)
{
    sql_close(*sql);
}

struct err *
sql_exec(struct sql *sql, const char *fmt, ...)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    return sql->driver->exec(sql->handle, buf_cstr(&text));
}

struct err *
sql_query(struct sql *sql, sql_each *each, void *aux, const char *fmt, ...)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    return sql->driver->query(sql->handle, buf_cstr(&text), each, aux);
}

struct err *
sql_begin(struct sql *sql)
{
    return sql->driver->exec(sql->handle, "BEGIN");
}

struct err *
sql_end(struct sql *sql, struct err *e)
{
    if (!e) {
        return sql->driver->exec(sql->handle, "COMMIT");
    }
    err_free(sql->driver->exec(sql->handle, "ROLLBACK"));
    return e;
}

/* Machines have numbers. */

static struct sql_vm *
vm_find(struct sql *sql, const struct uuid *uuid)
{
    HMAP_FOR_EACH_HASH (struct sql_vm, vm, node, uuid_hash(uuid), &sql->vms) {
        if (uuid_eq(&vm->uuid, uuid)) {
            return vm;
        }
    }
    return NULL;
}

static struct err *
on_vm(void *aux, const char *const *cells, const size_t *n_bytes UNUSED)
{
    struct sql *sql = aux;
    struct uuid uuid;
    int64_t id;
    if (!cells[1] || !uuid_parse(cells[1], &uuid) ||
        !str_to_i64(cells[0] ? cells[0] : "", &id)) {
        return err_new(ERR_SYNTAX, "table machine has a row that is none of ours");
    } else if (!vm_find(sql, &uuid)) {
        struct sql_vm *vm = NEW(struct sql_vm);
        vm->uuid = uuid;
        vm->id = id;
        vm->name = str_dup(cells[2] ? cells[2] : "");
        hmap_insert(&sql->vms, &vm->node, uuid_hash(&uuid));
    }
    return NULL;
}

static struct err *
vm_add(struct sql *sql, const struct uuid *uuid, const char *called)
{
    CLEANUP(buf_done) struct buf name = BUF_INIT;
    sql->driver->quote(sql->handle, &name, called, strlen(called));
    /* Another host may have added it meanwhile: then its number stands. */
    TRY(sql_exec(sql, "%s INTO machine (uuid, name) VALUES ('%s', %s)",
                 sql->driver->insert_new, UUID_TEXT(uuid), buf_cstr(&name)));
    return sql_query(sql, on_vm, sql,
                     "SELECT id, uuid, name FROM machine WHERE uuid = '%s'",
                     UUID_TEXT(uuid));
}

static struct err *
vm_rename(struct sql *sql, struct sql_vm *vm, const char *to)
{
    CLEANUP(buf_done) struct buf name = BUF_INIT;
    sql->driver->quote(sql->handle, &name, to, strlen(to));
    TRY(sql_exec(sql, "UPDATE machine SET name = %s WHERE id = %" PRId64, buf_cstr(&name),
                 vm->id));
    free(vm->name);
    vm->name = str_dup(to);
    return NULL;
}

static struct err *
vm_known(struct sql *sql, const struct uuid *uuid, struct sql_vm **ret)
{
    if (hmap_first(&sql->vms) == NULL) {
        TRY(sql_query(sql, on_vm, sql, "SELECT id, uuid, name FROM machine"));
    }
    *ret = vm_find(sql, uuid);
    return NULL;
}

static struct err *
vm_get(struct sql *sql, const struct uuid *uuid, const char *name, struct sql_vm **ret)
{
    TRY(vm_known(sql, uuid, ret));
    if (!*ret) {
        TRY(vm_add(sql, uuid, name));
        *ret = vm_find(sql, uuid);
        ASSERT(*ret);
    }
    return NULL;
}

static struct err *
vm_number(struct sql *sql, const struct sql_row *row, int64_t *ret)
{
    struct sql_vm *vm;

    TRY(vm_get(sql, &row->uuid, row->name, &vm));
    if (!str_eq(vm->name, row->name)) {
        TRY(vm_rename(sql, vm, row->name));
    }
    *ret = vm->id;
    return NULL;
}

struct err *
sql_machine_number(struct sql *sql, const struct uuid *uuid, const char *name, int64_t *ret)
{
    struct sql_vm *vm;

    TRY(vm_get(sql, uuid, name, &vm));
    *ret = vm->id;
    return NULL;
}

struct err *
sql_machine_find(struct sql *sql, const struct uuid *uuid, int64_t *ret_number,
                 char **ret_name)
{
    struct sql_vm *vm;

    TRY(vm_known(sql, uuid, &vm));
    if (!vm) { /* Somebody else may have added it. */
        TRY(sql_query(sql, on_vm, sql,
                      "SELECT id, uuid, name FROM machine WHERE uuid = '%s'",
                      UUID_TEXT(uuid)));
        vm = vm_find(sql, uuid);
    }
    *ret_number = vm ? vm->id : 0;
    *ret_name = vm ? str_dup(vm->name) : NULL;
    return NULL;
}

struct err *
sql_machine_forget(struct sql *sql, const struct uuid *uuid)
{
    struct sql_vm *vm = vm_find(sql, uuid);

    if (vm) {
        hmap_remove(&sql->vms, &vm->node);
        free(vm->name);
        free(vm);
    }
    return sql_exec(sql, "DELETE FROM machine WHERE uuid = '%s'", UUID_TEXT(uuid));
}

/* Slots in. */

static int
by_number(const void *a, const void *b)
{
    const int64_t *x = a, *y = b; /* begin, vm. */
    int order = x[0] < y[0] ? -1 : x[0] > y[0];
    return order ? order : x[1] < y[1] ? -1 : x[1] > y[1];
}

static void
cells_of(const struct stat_slot *slot, int64_t vm, int64_t *cells)
{
    const int64_t head[] = { slot->begin_s,     vm,
                             slot->samples,     slot->samples,
                             slot->mem_sum_kib, slot->mem_max_kib };
    memcpy(cells, head, sizeof head);
    for (int i = 0; i < N_STAT_COUNTERS; i++) {
        cells[N_ELEMS(head) + (size_t) i] = (int64_t) slot->sums[i];
    }
}

/* " ON CONFLICT (begin, vm) DO UPDATE SET count = count + excluded.count, ..." */
static void
add_to_clashing(const struct sql *sql, const char *table, struct buf *ret)
{
    static const char *const sums[] = { "count", "samples", "mem_sum" };
    buf_printf(ret, " %s ", sql->driver->upsert);
    for (size_t i = 0; i < N_ELEMS(sums) + N_STAT_COUNTERS; i++) {
        const char *name =
            i < N_ELEMS(sums) ? sums[i] : stat_counter_names[i - N_ELEMS(sums)];
        buf_printf(ret, "%s%s = %s.%s + %s%s%s", i ? ", " : "", name, table, name,
                   sql->driver->new_prefix, name, sql->driver->new_suffix);
    }
}

struct err *
sql_add_rows(struct sql *sql, enum sql_table table, const int64_t *cells, size_t n_rows)
{
    CLEANUP(buf_done) struct buf head = BUF_INIT, tail = BUF_INIT;

    buf_printf(&head, "INSERT INTO %s (", sql_table_names[table]);
    sql_columns(&head);
    buf_str(&head, ")");
    add_to_clashing(sql, sql_table_names[table], &tail);
    return sql->driver->bulk(sql->handle, buf_cstr(&head), buf_cstr(&tail), SQL_N_COLUMNS,
                             cells, n_rows);
}

static struct err *
put_slots(struct sql *sql, const struct sql_row *rows, size_t n_rows)
{
    CLEANUP(free_drop) int64_t *cells = xcalloc(n_rows, SQL_N_COLUMNS * sizeof *cells);

    for (size_t i = 0; i < n_rows; i++) {
        int64_t vm;
        TRY(vm_number(sql, &rows[i], &vm));
        cells_of(&rows[i].slot, vm, cells + i * SQL_N_COLUMNS);
    }
    qsort(cells, n_rows, SQL_N_COLUMNS * sizeof *cells,
          by_number); /* The table's own order. */
    return sql_add_rows(sql, SQL_MINUTES, cells, n_rows);
}

static struct err *
put_saved(struct sql *sql, const char *host, const struct buf *saved)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    buf_str(&text, "REPLACE INTO reading (host, saved) VALUES (");
    sql->driver->quote(sql->handle, &text, host, strlen(host));
    buf_str(&text, ", ");
    CLEANUP(buf_done) struct buf hex = BUF_INIT;
    for (size_t i = 0; i < saved->n; i++) {
        static const char digits[] = "0123456789ABCDEF";
        uint8_t byte = (uint8_t) saved->data[i];
        buf_char(&hex, digits[byte >> 4]);
        buf_char(&hex, digits[byte & 15]);
    }
    buf_printf(&text, "x'%s')", saved->n ? buf_cstr(&hex) : "");
    return sql->driver->exec(sql->handle, buf_cstr(&text));
}

static struct err *
put_all(struct sql *sql, const struct sql_row *rows, size_t n_rows, const char *host,
        const struct buf *saved)
{
    if (n_rows) {
        TRY(put_slots(sql, rows, n_rows));
    }
    return put_saved(sql, host, saved);
}

struct err *
sql_put(struct sql *sql, const struct sql_row *rows, size_t n_rows, const char *host,
        const struct buf *saved)
{
    TRY(sql_begin(sql));
    return err_wrap(sql_end(sql, put_all(sql, rows, n_rows, host, saved)), "statistics");
}

static struct err *
on_saved(void *aux, const char *const *cells, const size_t *n_bytes)
{
    if (cells[0]) {
        buf_add(aux, cells[0], n_bytes[0]);
    }
    return NULL;
}

struct err *
sql_saved(struct sql *sql, const char *host, struct buf *ret)
{
    CLEANUP(buf_done) struct buf quoted = BUF_INIT;
    sql->driver->quote(sql->handle, &quoted, host, strlen(host));
    return sql_query(sql, on_saved, ret, "SELECT saved FROM reading WHERE host = %s",
                     buf_cstr(&quoted));
}

/* Hours and days. */

static struct err *
on_number(void *aux, const char *const *cells, const size_t *n_bytes UNUSED)
{
    int64_t *ret = aux;
    if (cells[0] && !str_to_i64(cells[0], ret)) {
        return err_new(ERR_SYNTAX, "\"%s\" is no number", cells[0]);
    }
    return NULL;
}

struct err *
sql_roll_slot(struct sql *sql, enum sql_table to, int64_t begin, const int64_t *vm)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    buf_printf(&text, "REPLACE INTO %s (", sql_table_names[to]);
    sql_columns(&text);
    buf_printf(&text,
               ") SELECT %" PRId64
               ", vm, COUNT(*), SUM(samples), SUM(mem_sum), MAX(mem_max)",
               begin);
    for (int i = 0; i < N_STAT_COUNTERS; i++) {
        buf_printf(&text, ", SUM(%s)", stat_counter_names[i]);
    }
    buf_printf(&text, " FROM %s WHERE begin >= %" PRId64 " AND begin < %" PRId64,
               sql_table_names[to - 1], begin, begin + sql_slot_s(to));
    if (vm) {
        buf_printf(&text, " AND vm = %" PRId64, *vm);
    }
    buf_str(&text, " GROUP BY vm");
    return sql->driver->exec(sql->handle, buf_cstr(&text));
}

/* From the last slot that was made (again: another host may have been late) to the last that has ended. */
static struct err *
roll_table(struct sql *sql, enum sql_table to, int64_t now_s)
{
    int64_t length = sql_slot_s(to), end = now_s - now_s % length, last = 0, first = 0;

    TRY(sql_query(sql, on_number, &last, "SELECT MAX(begin) FROM %s", sql_table_names[to]));
    TRY(sql_query(sql, on_number, &first, "SELECT MIN(begin) FROM %s",
                  sql_table_names[to - 1]));
    int64_t begin = last ? last : first - first % length;
    begin = max64(begin, end - (to == SQL_HOURS ? CATCH_UP_HOURS : CATCH_UP_DAYS * 24) *
                                   STAT_HOUR_S);
    for (; begin < end && first; begin += length) {
        TRY(sql_roll_slot(sql, to, begin, NULL));
    }
    return NULL;
}

struct err *
sql_roll_up(struct sql *sql, int64_t now_s)
{
    TRY(roll_table(sql, SQL_HOURS, now_s));
    return roll_table(sql, SQL_DAYS, now_s);
}

static struct err *
roll_all(struct sql *sql, int64_t now_s, const struct sql_keep *keep)
{
    const int days[N_SQL_TABLES] = { keep->minute_days, keep->hour_days, keep->day_days };

    TRY(sql_roll_up(sql, now_s));
    for (int i = 0; i < N_SQL_TABLES; i++) {
        TRY(sql_exec(sql, "DELETE FROM %s WHERE begin < %" PRId64, sql_table_names[i],
                     now_s - (int64_t) days[i] * STAT_DAY_S));
    }
    return NULL;
}

struct err *
sql_roll(struct sql *sql, int64_t now_s, const struct sql_keep *keep)
{
    TRY(sql_begin(sql));
    return err_wrap(sql_end(sql, roll_all(sql, now_s, keep)), "rolling up statistics");
}
