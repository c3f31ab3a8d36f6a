/* sql/parcel.c: see parcel.h. */
#include "sql/parcel.h"

#include <stdio.h>

#include "base/str.h"
#include "base/vec.h"
#include "sql/driver_i.h"

#define MAGIC "byre-history-1"
#define N_NUMBERS (SQL_N_COLUMNS - 1) /* Of a row in a parcel: all but the machine. */
#define MAX_NAME_CHARS 255
#define MAX_LINE_CHARS 400
#define MAX_VALUE (INT64_C(1) << 50) /* Of one slot: so that no sum of them overflows. */
#define TAKEN_DAYS 90                /* Whoever sends a parcel once more does so earlier. */

static const char kinds[N_SQL_TABLES] = { 'm', 'h', 'd' };

struct row {
    int64_t n[N_NUMBERS]; /* begin, count, samples, mem_sum, mem_max, counters. */
};
struct rows {
    struct row *v; /* By 'begin'. */
    size_t n, cap;
};

bool
sql_is_own(const char *url)
{
    return str_starts(url, "sqlite:");
}

void
sql_parcel_done(struct sql_parcel *p)
{
    free(p->text);
    memset(p, 0, sizeof *p);
}

/* What there is. */

struct finding {
    void (*each)(void *aux, const struct uuid *);
    void *aux;
};

static struct err *
on_machine(void *aux, const char *const *cells, const size_t *n_bytes UNUSED)
{
    struct finding *f = aux;
    struct uuid uuid;

    if (!cells[0] || !uuid_parse(cells[0], &uuid)) {
        return err_new(ERR_SYNTAX, "table machine has a row that is none of ours");
    }
    f->each(f->aux, &uuid);
    return NULL;
}

struct err *
sql_machines(struct sql *sql, void (*each)(void *aux, const struct uuid *), void *aux)
{
    struct finding f = { each, aux };
    return err_wrap(sql_query(sql, on_machine, &f, "SELECT uuid FROM machine"), "history");
}

/* Packing. */

static struct err *
on_row(void *aux, const char *const *cells, const size_t *n_bytes UNUSED)
{
    struct row *row = VEC_ADD((struct rows *) aux);

    for (size_t i = 0; i < N_NUMBERS; i++) {
        const char *cell = cells[i ? i + 1 : 0]; /* The second is the machine. */
        if (!cell || !str_to_i64(cell, &row->n[i])) {
            return err_new(ERR_SYNTAX, "a row of statistics is damaged");
        }
    }
    return NULL;
}

static bool
any_in(const struct rows *rows, int64_t from_s, int64_t length_s)
{
    for (size_t i = 0; i < rows->n && rows->v[i].n[0] < from_s + length_s; i++) {
        if (rows->v[i].n[0] >= from_s) {
            return true;
        }
    }
    return false;
}

static int64_t
whole_since(int64_t now_s, int days, int64_t length_s)
{
    int64_t kept_s = now_s - (int64_t) days * STAT_DAY_S;
    return kept_s <= 0 ? 0 : (kept_s + length_s - 1) / length_s * length_s;
}

/* Are the rows of [begin, begin + length) told by a finer table? */
static bool
is_told(const struct rows rows[N_SQL_TABLES], enum sql_table table, int64_t begin_s,
        const int64_t since_s[N_SQL_TABLES])
{
    for (int finer = 0; finer < (int) table; finer++) {
        if (begin_s >= since_s[finer] && any_in(&rows[finer], begin_s, sql_slot_s(table))) {
            return true;
        }
    }
    return begin_s < since_s[table];
}

static struct err *
post(struct sql *sql, const struct uuid *vm, const struct uuid *host,
     const struct buf *text)
{
    CLEANUP(buf_done) struct buf quoted = BUF_INIT;
    struct uuid id;

    uuid_random(&id);
    sql->driver->quote(sql->handle, &quoted, text->data, text->n);
    return sql_exec(
        sql, "INSERT INTO outgoing (id, vm, host, parcel) VALUES ('%s', '%s', '%s', %s)",
        UUID_TEXT(&id), UUID_TEXT(vm), UUID_TEXT(host), buf_cstr(&quoted));
}

static struct err *
pack_rows(struct sql *sql, const struct uuid *vm, const char *name, const struct uuid *host,
          const struct rows rows[N_SQL_TABLES], const int64_t since_s[N_SQL_TABLES])
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    for (int t = 0; t < N_SQL_TABLES; t++) {
        for (size_t i = 0; i < rows[t].n; i++) {
            const struct row *row = &rows[t].v[i];
            if (is_told(rows, t, row->n[0], since_s)) {
                continue;
            } else if (text.n == 0) {
                buf_printf(&text, "%s %s %s\n", MAGIC, UUID_TEXT(vm), name);
            }
            buf_char(&text, kinds[t]);
            for (size_t k = 0; k < N_NUMBERS; k++) {
                buf_char(&text, ' ');
                buf_i64(&text, row->n[k]);
            }
            buf_char(&text, '\n');
            if (text.n > SQL_PARCEL_MAX_BYTES - MAX_LINE_CHARS) {
                TRY(post(sql, vm, host, &text));
                buf_clear(&text);
            }
        }
    }
    return text.n ? post(sql, vm, host, &text) : NULL;
}

static struct err *
pack(struct sql *sql, const struct uuid *vm, const struct uuid *host, int64_t now_s,
     const struct sql_keep *keep, struct rows rows[N_SQL_TABLES])
{
    CLEANUP(buf_done) struct buf columns = BUF_INIT;
    CLEANUP(free_drop) char *name = NULL;
    int64_t hours_s = whole_since(now_s, keep->hour_days, STAT_DAY_S);
    int64_t since_s[N_SQL_TABLES] = {
        max64(whole_since(now_s, keep->minute_days, STAT_HOUR_S), hours_s), hours_s, 0
    };
    int64_t number;

    TRY(sql_roll_up(sql, now_s)); /* What is dropped below is in the coarser tables then. */
    TRY(sql_machine_find(sql, vm, &number, &name));
    if (!name) {
        return NULL; /* Another process has packed it. */
    }
    sql_columns(&columns);
    for (int t = 0; t < N_SQL_TABLES; t++) {
        TRY(sql_query(sql, on_row, &rows[t],
                      "SELECT %s FROM %s WHERE vm = %" PRId64 " ORDER BY begin",
                      buf_cstr(&columns), sql_table_names[t], number));
    }
    TRY(pack_rows(sql, vm, name, host, rows, since_s));
    for (int t = 0; t < N_SQL_TABLES; t++) {
        TRY(sql_exec(sql, "DELETE FROM %s WHERE vm = %" PRId64, sql_table_names[t],
                     number));
    }
    return sql_machine_forget(sql, vm);
}

struct err *
sql_pack(struct sql *sql, const struct uuid *vm, const struct uuid *host, int64_t now_s,
         const struct sql_keep *keep)
{
    struct rows rows[N_SQL_TABLES] = { { NULL, 0, 0 } };

    TRY(sql_begin(sql));
    struct err *e = sql_end(sql, pack(sql, vm, host, now_s, keep, rows));
    for (int t = 0; t < N_SQL_TABLES; t++) {
        VEC_DONE(&rows[t]);
    }
    return err_wrap(e, "history");
}

/* Sending. */

static struct err *
on_parcel(void *aux, const char *const *cells, const size_t *n_bytes)
{
    struct sql_parcel *p = aux;

    if (!cells[0] || !uuid_parse(cells[0], &p->id) || !cells[1] ||
        !uuid_parse(cells[1], &p->host) || !cells[2]) {
        return err_new(ERR_SYNTAX, "table outgoing has a row that is none of ours");
    }
    free(p->text);
    p->text = str_dupf("%.*s", (int) n_bytes[2], cells[2]);
    return NULL;
}

struct err *
sql_parcel_next(struct sql *sql, const struct uuid *skipped, size_t n_skipped,
                struct sql_parcel *ret)
{
    CLEANUP(buf_done) struct buf where = BUF_INIT;

    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < n_skipped; i++) {
        buf_printf(&where, "%s host <> '%s'", i ? " AND" : " WHERE",
                   UUID_TEXT(&skipped[i]));
    }
    struct err *e =
        sql_query(sql, on_parcel, ret, "SELECT id, host, parcel FROM outgoing%s LIMIT 1",
                  where.n ? buf_cstr(&where) : "");
    if (e) {
        sql_parcel_done(ret);
    }
    return err_wrap(e, "history");
}

struct err *
sql_parcel_drop(struct sql *sql, const struct uuid *id)
{
    return err_wrap(sql_exec(sql, "DELETE FROM outgoing WHERE id = '%s'", UUID_TEXT(id)),
                    "history");
}

/* Taking. */

struct taking {
    struct uuid vm;
    char *name;
    struct rows rows[N_SQL_TABLES];
};

static void
taking_done(struct taking *t)
{
    free(t->name);
    for (int i = 0; i < N_SQL_TABLES; i++) {
        VEC_DONE(&t->rows[i]);
    }
}

/* An hour or a day that has not ended here would keep those of other machines from being made. */
static bool
is_past(enum sql_table table, int64_t begin_s, int64_t now_s)
{
    return begin_s <=
           (table == SQL_MINUTES ? now_s + STAT_HOUR_S : now_s - sql_slot_s(table));
}

static bool
parse_row(struct taking *t, char *line, int64_t now_s)
{
    int table = 0;
    char *rest = NULL;

    while (table < N_SQL_TABLES && kinds[table] != line[0]) {
        table++;
    }
    if (table == N_SQL_TABLES || line[1] != ' ') {
        return false;
    }
    struct row *row = VEC_ADD(&t->rows[table]);
    char *word = strtok_r(line + 2, " ", &rest);
    for (size_t i = 0; i < N_NUMBERS; i++, word = strtok_r(NULL, " ", &rest)) {
        if (!word || !str_to_i64(word, &row->n[i]) || row->n[i] < 0 ||
            row->n[i] > MAX_VALUE) {
            return false;
        }
    }
    return !word && row->n[0] % sql_slot_s(table) == 0 && is_past(table, row->n[0], now_s);
}

static bool
parse_head(struct taking *t, char *line)
{
    char *rest = NULL;
    const char *magic = strtok_r(line, " ", &rest), *uuid = strtok_r(NULL, " ", &rest);

    if (!magic || !str_eq(magic, MAGIC) || !uuid || !uuid_parse(uuid, &t->vm) || !rest ||
        !*rest || strlen(rest) > MAX_NAME_CHARS) {
        return false;
    }
    t->name = str_dup(rest);
    return true;
}

static struct err *
parse(const char *text, int64_t now_s, struct taking *t)
{
    CLEANUP(free_drop) char *copy = str_dup(text);
    char *rest = NULL;
    bool ok = strlen(text) <= SQL_PARCEL_MAX_BYTES;

    for (char *line = ok ? strtok_r(copy, "\n", &rest) : NULL; ok && line;
         line = strtok_r(NULL, "\n", &rest)) {
        ok = t->name ? parse_row(t, line, now_s) : parse_head(t, line);
    }
    return ok && t->name
               ? NULL
               : err_new(ERR_SYNTAX, "that is no history of a machine, or a damaged one");
}

/* Rows of the coarser table that had been made without the new ones; their begins go to 'ret'. */
static struct err *
make_anew(struct sql *sql, enum sql_table table, int64_t number, const struct rows *finer,
          int64_t now_s, struct rows *ret)
{
    int64_t length_s = sql_slot_s(table), last = -1;

    for (size_t i = 0; i < finer->n; i++) {
        int64_t begin_s = finer->v[i].n[0] - finer->v[i].n[0] % length_s;
        if (begin_s != last && begin_s < now_s - now_s % length_s) {
            TRY(sql_roll_slot(sql, table, begin_s, &number));
            VEC_ADD(ret)->n[0] = begin_s;
        }
        last = begin_s;
    }
    return NULL;
}

static struct err *
take_rows(struct sql *sql, const struct taking *t, int64_t now_s, struct rows *made)
{
    int64_t number;

    TRY(sql_machine_number(sql, &t->vm, t->name, &number));
    for (int table = 0; table < N_SQL_TABLES; table++) {
        const struct rows *rows = &t->rows[table];
        CLEANUP(free_drop)
        int64_t *cells = xcalloc(rows->n + 1, SQL_N_COLUMNS * sizeof *cells);
        for (size_t i = 0; i < rows->n; i++) {
            int64_t *at = cells + i * SQL_N_COLUMNS;
            at[0] = rows->v[i].n[0];
            at[1] = number;
            memcpy(at + 2, rows->v[i].n + 1, (N_NUMBERS - 1) * sizeof *at);
        }
        TRY(rows->n ? sql_add_rows(sql, table, cells, rows->n) : NULL);
    }
    TRY(make_anew(sql, SQL_HOURS, number, &t->rows[SQL_MINUTES], now_s, made));
    for (size_t i = 0; i < t->rows[SQL_HOURS].n; i++) {
        *VEC_ADD(made) = t->rows[SQL_HOURS].v[i];
    }
    struct rows days = { NULL, 0, 0 };
    struct err *e = make_anew(sql, SQL_DAYS, number, made, now_s, &days);
    VEC_DONE(&days);
    return e;
}

static struct err *
on_found(void *aux, const char *const *cells UNUSED, const size_t *n_bytes UNUSED)
{
    *(bool *) aux = true;
    return NULL;
}

static struct err *
take(struct sql *sql, const struct uuid *id, const struct taking *t, int64_t now_s)
{
    bool taken = false;
    struct rows made = { NULL, 0, 0 };

    TRY(sql_query(sql, on_found, &taken, "SELECT id FROM taken WHERE id = '%s'",
                  UUID_TEXT(id)));
    if (taken) {
        return NULL;
    }
    TRY(sql_exec(sql, "INSERT INTO taken (id, at) VALUES ('%s', %" PRId64 ")",
                 UUID_TEXT(id), now_s));
    TRY(sql_exec(sql, "DELETE FROM taken WHERE at < %" PRId64,
                 now_s - (int64_t) TAKEN_DAYS * STAT_DAY_S));
    TRY(sql_roll_up(
        sql, now_s)); /* Else rows made now would hide that others' are not made yet. */
    struct err *e = take_rows(sql, t, now_s, &made);
    VEC_DONE(&made);
    return e;
}

struct err *
sql_take(struct sql *sql, const struct uuid *id, const char *text, int64_t now_s)
{
    CLEANUP(taking_done) struct taking t = { .name = NULL };

    TRY(err_wrap(parse(text, now_s, &t), "history"));
    TRY(sql_begin(sql));
    return err_wrap(sql_end(sql, take(sql, id, &t, now_s)), "history");
}
