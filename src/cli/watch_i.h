/* cli/watch_i.h: a list that goes on, fed by the monitor; and waiting for a row to be
 * so. */
#ifndef CLI_WATCH_I_H
#define CLI_WATCH_I_H 1

#include "cli/list_i.h"

/* Prints the rows, then each change, until it is interrupted or --timeout (given)
 * passes.  On a terminal a table is drawn anew; else a line a change, with a first
 * column "action": initial, insert, modify, delete. */
struct err *watch_run(struct cli *, const struct args *, const struct list *,
                      const struct filter *, const char *columns) MUST_CHECK;

/* Waits until the row named 'spec' fits 'filter' ('gone': until there is no such row).
 * The row need not exist yet.  ERR_TIMEOUT says how it is instead. */
struct err *watch_until(struct cli *, const struct table_schema *, const char *spec,
                        const struct filter *, bool gone) MUST_CHECK;

#endif /* cli/watch_i.h */
