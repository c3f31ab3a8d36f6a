/* cli/values_i.h: values as people write them, into RFC 7047's JSON. */
#ifndef CLI_VALUES_I_H
#define CLI_VALUES_I_H 1

#include "cli/names_i.h"

/* What a column's numbers mean, by its name. */
enum out_unit unit_of(const char *table, const char *column);

/* "an integer from 1 to 4096", "one of running, stopped, paused".  Caller frees. */
char *type_describe(const struct type *, enum out_unit);

/* The text form of ovs-vsctl; besides: sizes with units ("2G") where the column is a
 * size, names where it is a reference, nothing or [] for "unset".  ERR_SYNTAX that says
 * what is allowed. */
struct err *value_parse(struct cli *, const struct table_schema *, const struct column *,
                        const char *text, struct json *ret) MUST_CHECK;

/* "column=value", "column+=value"...: *ret_op is one of the operators given ("=", "!=",
 * "<=" ...), longest first at the first place where one stands; *ret_value points into
 * 'text'.  ERR_SYNTAX. */
struct err *split_assignment(const char *text, const char *const *operators,
                             char **ret_column, const char **ret_op,
                             const char **ret_value) MUST_CHECK;

/* Rows that fit conditions "col=val", and != < > <= >= ~REGEX. */
struct filter;
struct err *filter_new(struct cli *, const struct table_schema *, char *const *texts,
                       size_t n, struct filter **ret) MUST_CHECK;
void filter_free(struct filter *);
void filter_drop(struct filter **);
/* What the server can do of it, all and-ed, for select. */
struct json filter_where(struct cli *, const struct filter *);
/* Does the row fit all of it?  The row has all columns of the filter. */
bool filter_matches(struct cli *, const struct filter *, const struct json *row);
/* Can the server not do all of it? */
bool filter_is_partial(const struct filter *);
/* The columns it looks at are added to a comma-separated list. */
void filter_columns(const struct filter *, struct buf *list);

#endif /* cli/values_i.h */
