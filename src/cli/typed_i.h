/* cli/typed_i.h: a selected row as one of the generated structs, for room model. */
#ifndef CLI_TYPED_I_H
#define CLI_TYPED_I_H 1

#include "cli/query_i.h"
#include "replica/typed.h"

/* The struct row_T of 'class', filled from a row of JSON; columns that it lacks read as
 * empty. Free it by typed_row_free(). */
struct replica_row *typed_row_new(struct cli *, const struct row_class *,
                                  const struct json *row);
void typed_row_free(struct replica_row *);  /* NULL is fine. */
void typed_row_drop(struct replica_row **); /* For CLEANUP(). */

#endif /* cli/typed_i.h */
