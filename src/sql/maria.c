/* sql/maria.c: MariaDB and MySQL.  The only file that sees their library. */
#include "sql/driver_i.h"

#include <mysql.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

#define TIMEOUT_S 30
#define ROWS_A_STATEMENT 1000 /* Well below max_allowed_packet. */
#define PASSWORD_MAX_BYTES 1024

/* What a URL says.  Strings are owned. */
struct address {
    char *user, *host, *database, *socket, *password_file;
    unsigned int port;
};

static void
address_done(struct address *a)
{
    free(a->user);
    free(a->host);
    free(a->database);
    free(a->socket);
    free(a->password_file);
}

static struct err *
bad_url(const char *why)
{
    return err_hint(
        err_new(ERR_SYNTAX, "the URL %s", why),
        "mariadb://USER@HOST[:PORT]/DATABASE[?socket=PATH][&password-file=FILE]");
}

static struct err *
parse_option(struct address *a, const char *option)
{
    if (str_starts(option, "socket=")) {
        a->socket = str_dup(option + 7);
    } else if (str_starts(option, "password-file=")) {
        a->password_file = str_dup(option + 14);
    } else {
        return bad_url("has an option that is neither socket nor password-file");
    }
    return NULL;
}

/* "//USER@HOST:PORT/DATABASE?OPTIONS" */
static struct err *
parse_url(const char *rest, struct address *a)
{
    if (!str_starts(rest, "//")) {
        return bad_url("does not go on with //");
    }
    rest += 2;
    size_t n = strcspn(rest, "/");
    CLEANUP(free_drop) char *place = str_dup_n(rest, n);
    const char *path = rest[n] ? rest + n + 1 : "";
    char *at = strrchr(place, '@');
    if (at && memchr(place, ':', (size_t) (at - place))) {
        return err_hint(bad_url("holds a password, which others could read"),
                        "put it into a file of mode 0600: ?password-file=FILE");
    } else if (at) {
        *at = '\0';
        a->user = str_dup(place);
    }
    const char *host = at ? at + 1 : place;
    size_t n_host = strcspn(host, ":");
    int64_t port = 0;
    if (host[n_host] &&
        (!str_to_i64(host + n_host + 1, &port) || port < 1 || port > 65535)) {
        return bad_url("has a port that is none");
    }
    a->port = (unsigned int) port;
    a->host = n_host ? str_dup_n(host, n_host) : NULL;
    size_t n_database = strcspn(path, "?");
    a->database = str_dup_n(path, n_database);
    if (!str_is_name(a->database)) {
        return bad_url("names no database");
    }
    struct strvec options = STRVEC_INIT;
    struct err *e = NULL;
    strvec_split(&options, path[n_database] ? path + n_database + 1 : "", "&");
    for (size_t i = 0; i < options.n && !e; i++) {
        e = parse_option(a, options.v[i]);
    }
    strvec_done(&options);
    return e;
}

/* The first line.  Others must not be able to read it. */
static struct err *
read_password(const char *path, struct buf *ret)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return err_io(errno, "password file %s", path);
    } else if (st.st_mode & 077) {
        return err_hint(err_new(ERR_DENIED, "password file %s can be read by others", path),
                        "chmod 600 %s", path);
    }
    TRY(fs_read(path, PASSWORD_MAX_BYTES, ret));
    ret->n = strcspn(buf_cstr(ret), "\r\n");
    return NULL;
}

static struct err *
maria_err(MYSQL *db)
{
    unsigned int code = mysql_errno(db);
    enum err_kind kind = code == 1021 || code == 1114 ? ERR_NO_SPACE
                         : code == 1205 || code == 1213
                             ? ERR_BUSY /* Lock wait, deadlock. */
                         : code == 1044 || code == 1045 || code == 1142 ? ERR_DENIED
                                                                        : ERR_IO;
    struct err *e = err_new(kind, "%s", mysql_error(db));
    return kind == ERR_DENIED
               ? err_hint(e, "GRANT ALL ON DATABASE.* TO the user of the URL")
               : e;
}

static struct err *
maria_exec(void *handle, const char *text)
{
    if (mysql_query(handle, text) != 0) {
        return maria_err(handle);
    }
    MYSQL_RES *result = mysql_store_result(handle);
    mysql_free_result(result);
    return NULL;
}

static void
maria_close(void *handle)
{
    mysql_close(handle);
}

static struct err *
connect_to(MYSQL *db, const struct address *a)
{
    CLEANUP(buf_done) struct buf password = BUF_INIT;
    unsigned int seconds = TIMEOUT_S;

    if (a->password_file) {
        TRY(read_password(a->password_file, &password));
    }
    mysql_options(db, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(db, MYSQL_OPT_READ_TIMEOUT, &seconds);
    mysql_options(db, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
    mysql_options(db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (!mysql_real_connect(db, a->host, a->user, password.n ? buf_cstr(&password) : NULL,
                            a->database, a->port, a->socket, 0)) {
        return err_wrap(maria_err(db), "%s",
                        a->socket ? a->socket
                        : a->host ? a->host
                                  : "localhost");
    }
    if (password.data) {
        explicit_bzero(password.data, password.cap);
    }
    return NULL;
}

static struct err *
maria_open(const char *rest, void **ret)
{
    CLEANUP(address_done) struct address a = { 0 };
    TRY(parse_url(rest, &a));
    MYSQL *db = mysql_init(NULL);
    ASSERT(db);
    struct err *e = connect_to(db, &a);
    if (e) {
        mysql_close(db);
        return e;
    }
    *ret = db;
    return NULL;
}

static struct err *
walk(MYSQL *db, MYSQL_RES *result, sql_each *each, void *aux)
{
    unsigned int n = mysql_num_fields(result);
    size_t n_bytes[SQL_MAX_CELLS];
    MYSQL_ROW row;

    ASSERT(n <= SQL_MAX_CELLS);
    while ((row = mysql_fetch_row(result)) != NULL) {
        const unsigned long *lengths = mysql_fetch_lengths(result);
        for (unsigned int i = 0; i < n; i++) {
            n_bytes[i] = lengths[i];
        }
        TRY(each(aux, (const char *const *) row, n_bytes));
    }
    return mysql_errno(db) ? maria_err(db) : NULL;
}

static struct err *
maria_query(void *handle, const char *text, sql_each *each, void *aux)
{
    if (mysql_query(handle, text) != 0) {
        return maria_err(handle);
    }
    MYSQL_RES *result = mysql_use_result(handle); /* Row by row: an answer may be large. */
    if (!result) {
        return maria_err(handle);
    }
    struct err *e = walk(handle, result, each, aux);
    mysql_free_result(result); /* Reads what is left, too. */
    return e;
}

static struct err *
maria_bulk(void *handle, const char *head, const char *tail, size_t n_columns,
           const int64_t *cells, size_t n_rows)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    for (size_t row = 0; row < n_rows;) {
        buf_clear(&text);
        buf_printf(&text, "%s VALUES ", head);
        for (size_t i = 0; i < ROWS_A_STATEMENT && row < n_rows; i++, row++) {
            buf_str(&text, i ? ",(" : "(");
            for (size_t c = 0; c < n_columns; c++) {
                if (c) {
                    buf_char(&text, ',');
                }
                buf_i64(&text, cells[row * n_columns + c]);
            }
            buf_char(&text, ')');
        }
        buf_str(&text, tail);
        TRY(maria_exec(handle, buf_cstr(&text)));
    }
    return NULL;
}

static void
maria_quote(void *handle, struct buf *ret, const void *text, size_t n_bytes)
{
    buf_char(ret, '\'');
    char *to = buf_reserve(ret, 2 * n_bytes + 1);
    ret->n += mysql_real_escape_string(handle, to, text, n_bytes);
    buf_char(ret, '\'');
}

#define TABLE_OPTIONS " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"

const struct sql_driver sql_maria = {
    "MariaDB",       TABLE_OPTIONS,
    TABLE_OPTIONS,   "BIGINT AUTO_INCREMENT",
    "VARCHAR(64)",   "VARCHAR(255)",
    "LONGBLOB",      "ON DUPLICATE KEY UPDATE",
    "VALUES(",       ")",
    "INSERT IGNORE", 0,
    maria_open,      maria_close,
    maria_exec,      maria_query,
    maria_bulk,      maria_quote,
};
