/* sql/sql.h: statistics in SQLite or MariaDB.
 *
 * Shape.   Three tables of slots: 300 s, hour, day (UTC).  A row is one machine in one slot: its sums, and
 *          'count', the number of rows of the finer table that it is made of (samples in the finest).  An hour
 *          with 12, a day with 24 is whole.
 * URLs.    "sqlite:PATH", or "mariadb://USER@HOST[:PORT]/DATABASE[?socket=PATH][&password-file=FILE]": no password
 *          in a URL, because command lines and logs show it; FILE must be readable by its owner alone.
 * Once.    A call of sql_put() is one transaction: slots and the readings that they end with are both stored or
 *          neither.  A second row for one machine and slot (it moved between hosts) is added to the first.
 * Errors.  ERR_SYNTAX a bad URL; ERR_IO the database, with its own words; ERR_NO_SPACE; ERR_BUSY. */
#ifndef SQL_SQL_H
#define SQL_SQL_H 1

#include "base/buf.h"
#include "stat/stat.h"

struct sql;

enum sql_table { SQL_MINUTES, SQL_HOURS, SQL_DAYS, N_SQL_TABLES };
int64_t sql_slot_s(enum sql_table); /* 300, 3600, 86400. */

/* Connects; makes what is missing. */
struct err *sql_open(const char *url, struct sql **ret) MUST_CHECK;
void sql_close(struct sql *); /* NULL is fine. */
void sql_drop(struct sql **); /* For CLEANUP(). */

struct sql_row {
    struct uuid uuid;
    const char *name; /* Of the machine now; renames it in all its rows. */
    struct stat_slot slot;
};

/* Stores slots of 300 s and, under 'host', the meter's 'saved' readings. */
struct err *sql_put(struct sql *, const struct sql_row *, size_t n_rows, const char *host,
                    const struct buf *saved) MUST_CHECK;
/* What sql_put() saved for 'host' last; empty if nothing. */
struct err *sql_saved(struct sql *, const char *host, struct buf *ret) MUST_CHECK;

struct sql_keep {
    int minute_days, hour_days, day_days;
};
#define SQL_KEEP_INIT ((struct sql_keep){ 5, 33, 730 })

/* Makes hours and days of what has ended before 'now_s' and is not made yet, and drops what is too old. */
struct err *sql_roll(struct sql *, int64_t now_s, const struct sql_keep *) MUST_CHECK;

struct sql_got {
    const char *name, *uuid; /* Valid during the call. */
    int64_t count;
    struct stat_slot slot;
};

/* Slots of [from_s, to_s), oldest first, of one machine ('uuid') or of all (NULL).  Hours and days that are going on are
 * made of what there is.  'each' may end it with an error. */
struct err *sql_read(struct sql *, enum sql_table, const struct uuid *, int64_t from_s,
                     int64_t to_s, struct err *(*each)(void *aux, const struct sql_got *),
                     void *aux) MUST_CHECK;

#endif /* sql/sql.h */
