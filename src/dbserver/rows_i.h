/* dbserver/rows_i.h: reads configuration that is in the databases we serve ("db:DB,TABLE,COLUMN")
 * with "select", and writes with "update", as a client would; so nothing here knows how a database
 * keeps its rows. */
#ifndef DBSERVER_ROWS_I_H
#define DBSERVER_ROWS_I_H 1

#include "dbserver/server_i.h"

/* What "db:DB,TABLE,COLUMN" names. */
struct db_column {
    char *name; /* The whole text. */
    char *db, *table, *column;
};
void db_column_done(struct db_column *); /* For CLEANUP(). */
struct err *db_column_parse(const char *name, struct db_column *ret) MUST_CHECK;
/* ERR_NOT_FOUND with ovsdb-server's words if there is none (now). */
struct err *db_column_find(const struct dbserver *, const struct db_column *,
                           struct served **ret_served,
                           const struct column **ret_column) MUST_CHECK;

/* Runs operations of our own, params[1..]; what they write is committed. */
void rows_run(struct served *, const struct json *params, bool writes, struct buf *reply);
/* All rows of a table; an empty array if that cannot be. */
struct json rows_select(struct served *, struct arena *, const char *table);
/* The first string in the column that is not empty, or NULL.  The caller frees it. */
char *rows_first_string(const struct dbserver *, const struct db_column *);

/* The elements of a value, be it a set or one atom. */
const struct json *value_elements(const struct json *value, uint32_t *ret_n);
/* The first element of a row's column, or NULL: columns may be missing or empty. */
const struct json *value_first(const struct json *row, const char *column);
/* A value of a column of string pairs, or NULL. */
const char *value_of_key(const struct json *row, const char *column, const char *key);

#endif /* dbserver/rows_i.h */
