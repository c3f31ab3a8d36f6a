/* sql/lite.c: SQLite: one file, no server.  The only file that sees its library.
 *
 * WAL and synchronous=NORMAL: a power cut may take the last transactions, never the file; what they counted is then
 * counted again from the readings, which were stored in the same transactions. */
#include "sql/driver_i.h"

#include <sqlite3.h>
#include <sys/stat.h>

#define WAIT_MS 10000 /* For another process that writes. */

static struct err *
lite_err(sqlite3 *db, int code)
{
    enum err_kind kind = code == SQLITE_FULL                               ? ERR_NO_SPACE
                         : code == SQLITE_BUSY || code == SQLITE_LOCKED    ? ERR_BUSY
                         : code == SQLITE_PERM || code == SQLITE_READONLY  ? ERR_DENIED
                         : code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? ERR_SYNTAX
                                                                           : ERR_IO;
    struct err *e = err_new(kind, "%s", sqlite3_errmsg(db));
    return kind == ERR_SYNTAX
               ? err_hint(
                     e,
                     "move the file away: a new one is made, with its history lost; or restore it")
           : kind == ERR_NO_SPACE ? err_hint(e, "make room on its file system")
                                  : e;
}

static struct err *
lite_exec(void *handle, const char *text)
{
    int code = sqlite3_exec(handle, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? NULL : lite_err(handle, code);
}

static void
lite_close(void *handle)
{
    sqlite3_close(handle);
}

static struct err *
lite_open(const char *path, void **ret)
{
    sqlite3 *db = NULL;
    mode_t old = umask(077);
    int code = sqlite3_open_v2(
        path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    struct err *e = code == SQLITE_OK ? NULL : err_wrap(lite_err(db, code), "%s", path);
    if (!e) {
        sqlite3_busy_timeout(db, WAIT_MS);
        e = err_wrap(
            lite_exec(
                db,
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16384"),
            "%s", path);
    }
    umask(old);
    if (e) {
        sqlite3_close(db);
        return e;
    }
    *ret = db;
    return NULL;
}

/* Steps through the answer. */
static struct err *
walk(sqlite3 *db, sqlite3_stmt *statement, sql_each *each, void *aux)
{
    const char *cells[SQL_MAX_CELLS];
    size_t n_bytes[SQL_MAX_CELLS];
    int n = sqlite3_column_count(statement), code;

    ASSERT(n <= SQL_MAX_CELLS);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < n; i++) {
            bool blob = sqlite3_column_type(statement, i) == SQLITE_BLOB;
            cells[i] = blob ? sqlite3_column_blob(statement, i)
                            : (const char *) sqlite3_column_text(statement, i);
            n_bytes[i] = (size_t) sqlite3_column_bytes(statement, i);
        }
        TRY(each(aux, cells, n_bytes));
    }
    return code == SQLITE_DONE ? NULL : lite_err(db, code);
}

static struct err *
lite_query(void *handle, const char *text, sql_each *each, void *aux)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(handle, text, -1, &statement, NULL);
    if (code != SQLITE_OK) {
        return lite_err(handle, code);
    }
    struct err *e = walk(handle, statement, each, aux);
    sqlite3_finalize(statement);
    return e;
}

static struct err *
bind_and_step(sqlite3 *db, sqlite3_stmt *statement, size_t n_columns, const int64_t *cells,
              size_t n_rows)
{
    for (size_t row = 0; row < n_rows; row++) {
        for (size_t i = 0; i < n_columns; i++) {
            sqlite3_bind_int64(statement, (int) i + 1, cells[row * n_columns + i]);
        }
        int code = sqlite3_step(statement);
        if (code != SQLITE_DONE) {
            return lite_err(db, code);
        }
        sqlite3_reset(statement);
    }
    return NULL;
}

static struct err *
lite_bulk(void *handle, const char *head, const char *tail, size_t n_columns,
          const int64_t *cells, size_t n_rows)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    sqlite3_stmt *statement;

    buf_printf(&text, "%s VALUES (?", head);
    for (size_t i = 1; i < n_columns; i++) {
        buf_str(&text, ", ?");
    }
    buf_printf(&text, ")%s", tail);
    int code = sqlite3_prepare_v2(handle, buf_cstr(&text), -1, &statement, NULL);
    if (code != SQLITE_OK) {
        return lite_err(handle, code);
    }
    struct err *e = bind_and_step(handle, statement, n_columns, cells, n_rows);
    sqlite3_finalize(statement);
    return e;
}

static void
lite_quote(void *handle UNUSED, struct buf *ret, const void *text, size_t n_bytes)
{
    buf_char(ret, '\'');
    for (size_t i = 0; i < n_bytes; i++) {
        char c = ((const char *) text)[i];
        if (c == '\'') {
            buf_char(ret, c);
        }
        buf_char(ret, c);
    }
    buf_char(ret, '\'');
}

const struct sql_driver sql_lite = {
    "SQLite",
    "",
    " WITHOUT ROWID",
    "INTEGER",
    "TEXT",
    "TEXT",
    "BLOB",
    "ON CONFLICT (begin, vm) DO UPDATE SET",
    "excluded.",
    "",
    "INSERT OR IGNORE",
    3000, /* Ten days; beyond it one walk is the cheaper way. */
    lite_open,
    lite_close,
    lite_exec,
    lite_query,
    lite_bulk,
    lite_quote,
};
