/* cli/list_i.h: rows of a table on the screen: once, or as they change. */
#ifndef CLI_LIST_I_H
#define CLI_LIST_I_H 1

#include "cli/values_i.h"

struct list {
    const struct table_schema *table;
    char *const *names; /* Only these rows (patterns); n_names 0: all. */
    size_t n_names;
    const char *columns; /* Comma separated; NULL: the table's usual ones. */
    const char *wide;    /* Besides for `-o wide`; NULL: none. */
    char *const *where;  /* Conditions. */
    size_t n_where;
    bool vertical; /* `info`: all columns, one a line. */
    bool action;   /* With a first column "action": `watch`. */
};

/* Prints it; honours -c, --where, --sort, -w of 'args'. */
struct err *list_run(struct cli *, const struct args *, struct list *) MUST_CHECK;
/* The same for a noun's list and info: table by name, positionals are names. */
struct err *list_noun(struct cli *, const struct args *, const char *table) MUST_CHECK;
struct err *info_noun(struct cli *, const struct args *, const char *table,
                      const char *columns) MUST_CHECK;

/* Fills the cells of one row: plain values, references by label unless --raw. */
void list_cells(struct cli *, const struct labels *, const struct column *const *columns,
                size_t n, const struct json *row, struct json *cells);
/* The columns that -c or the defaults name.  The array is in cli->arena. */
struct err *list_columns(struct cli *, const struct table_schema *, const char *comma_list,
                         const struct column ***ret, size_t *ret_n) MUST_CHECK;

#endif /* cli/list_i.h */
