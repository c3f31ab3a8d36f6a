/* cli/table_i.h: the generic verbs that need a file of their own. */
#ifndef CLI_TABLE_I_H
#define CLI_TABLE_I_H 1

#include "cli/values_i.h"

/* table_edit.c */
struct err *table_set(struct cli *, const struct args *) MUST_CHECK;
struct err *table_clear(struct cli *, const struct args *) MUST_CHECK;
struct err *table_add(struct cli *, const struct args *) MUST_CHECK;
struct err *table_remove(struct cli *, const struct args *) MUST_CHECK;
/* "column=value" into 'row', checked by the schema. */
struct err *table_assign(struct cli *, const struct table_schema *, const char *text,
                         struct json *row) MUST_CHECK;
/* The table, and the rows that 'n_specs' positionals behind it mean (patterns too); with
 * --if-exists none is fine. */
struct err *table_rows(struct cli *, const struct args *, size_t n_specs,
                       const struct table_schema **ret_table,
                       struct named_list *ret) MUST_CHECK;

struct err *table_get(struct cli *, const struct args *) MUST_CHECK; /* table_get.c */

#endif /* cli/table_i.h */
