/* sql/parcel.h: the history of a machine that has moved goes after it, from store to store.
 *
 * Pack.    One transaction takes a machine's rows out of this store and puts them, as text of at most
 *          SQL_PARCEL_MAX_BYTES each, into table `outgoing`: from then on they are parcels for one host.
 * Take.    One transaction adds a parcel's rows to the other store, makes the hours and days anew
 *          that they belong to, and notes the parcel's id in table `taken`.  The same parcel a second time does
 *          nothing.  So whatever dies between, each row is in one store in the end, once.
 * What.    Of the same time only the finest rows that are whole go: minutes; hours where minutes were dropped;
 *          days where hours were.
 * Text.    "byre-history-1 UUID NAME\n", then "m|h|d BEGIN COUNT SAMPLES ... \n", decimal, in the tables' order.
 *          It comes from another host: everything in it is checked.
 * Shared.  A store that all hosts share needs none of this: sql_is_own(). */
#ifndef SQL_PARCEL_H
#define SQL_PARCEL_H 1

#include "sql/sql.h"

#define SQL_PARCEL_MAX_BYTES 49152

bool sql_is_own(const char *url); /* Nobody else writes to that store. */

/* Machines that have rows in the store. */
struct err *sql_machines(struct sql *, void (*each)(void *aux, const struct uuid *),
                         void *aux) MUST_CHECK;

/* All that the store has of 'vm' becomes parcels for 'host'. */
struct err *sql_pack(struct sql *, const struct uuid *vm, const struct uuid *host,
                     int64_t now_s, const struct sql_keep *) MUST_CHECK;

struct sql_parcel {
    struct uuid id, host;
    char *text; /* NULL: there is no parcel. */
};
void sql_parcel_done(struct sql_parcel *); /* For CLEANUP(). */
/* The next one, but for those for the 'n_skipped' hosts. */
struct err *sql_parcel_next(struct sql *, const struct uuid *skipped, size_t n_skipped,
                            struct sql_parcel *ret) MUST_CHECK;
/* It has arrived. */
struct err *sql_parcel_drop(struct sql *, const struct uuid *id) MUST_CHECK;

/* ERR_SYNTAX: the text is no parcel; nothing of it was stored. */
struct err *sql_take(struct sql *, const struct uuid *id, const char *text,
                     int64_t now_s) MUST_CHECK;

#endif /* sql/parcel.h */
