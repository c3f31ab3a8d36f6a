/* cli/query_i.h: questions to the database, and rows as select gives them.
 *
 * A row is the JSON object of a "select" result:
 * {"_uuid":["uuid",...],"name":"demo",...}, in cli->arena.  Optional scalars that are
 * unset are ["set",[]]. */
#ifndef CLI_QUERY_I_H
#define CLI_QUERY_I_H 1

#include "cli/cli_i.h"

/* Tables go by the schema's names and by those of the nouns ("vol", "node").  ERR_SYNTAX
 * with a suggestion. */
struct err *db_table(struct cli *, const char *name,
                     const struct table_schema **ret) MUST_CHECK;
struct err *db_column(const struct table_schema *, const char *name,
                      const struct column **ret) MUST_CHECK;
const char *table_of_noun(const char *noun); /* "vol" -> "volume"; else 'noun' itself. */
const char *noun_of_table(const char *table);

/* Making operations.  Arrays and objects are in 'arena'; names must be literals or
 * outlive it. */
struct json q_uuid(struct arena *, const struct uuid *); /* ["uuid", "..."] */
struct json q_unset(struct arena *);                     /* ["set", []] */
struct json q_clause(struct arena *, const char *column, const char *function, struct json);
struct json q_where_uuid(struct arena *, const struct uuid *); /* [["_uuid","==",...]] */
struct json q_columns(struct arena *, const char *comma_list); /* ["a","b"] */
/* 'columns' NULL: all. */
struct json q_select(struct arena *, const char *table, struct json where,
                     const char *columns);

/* Runs operations as one transaction.  *ret_results: one result an operation.  The first
 * failed operation, or a failed commit, is the error; then nothing was changed. */
struct err *db_transact(struct cli *, const struct json *ops,
                        struct json *ret_results) MUST_CHECK;
/* The rows of the i-th result, which was a select. */
const struct json *q_rows(const struct json *results, size_t i);

/* Reading rows; an absent or unset column reads as the default. */
struct uuid row_uuid(const struct json *row);
const char *row_string(const struct json *row, const char *column); /* NULL: unset. */
int64_t row_int(const struct json *row, const char *column, int64_t absent);
double row_real(const struct json *row, const char *column, double absent);
bool row_bool(const struct json *row, const char *column);
bool row_ref(const struct json *row, const char *column,
             struct uuid *ret);                                       /* False: unset. */
const char *row_ref_text(const struct json *row, const char *column); /* NULL: unset. */
/* The scalar inside an optional's ["set",[x]], or the value itself; NULL: unset. */
const struct json *row_value(const struct json *row, const char *column);

/* A value in RFC 7047's tagged form as plain JSON: null, arrays, objects, UUIDs as
 * strings. */
struct json q_plain(struct arena *, const struct json *value, const struct type *);

#endif /* cli/query_i.h */
