/* super/tree.h: the state directory, made before anything starts. */
#ifndef SUPER_TREE_H
#define SUPER_TREE_H 1

#include "base/base.h"
#include "super/program.h"

/* Makes what is missing of DIR and its db, run, log, log/console and pools (what is there keeps
 * its permissions, but is refused when others could meddle: ERR_CONSTRAINT) and takes the pid
 * file: from then on this process is the one.  ERR_BUSY: another byred is. */
struct err *tree_take(const struct place *, int *ret_pid_fd) MUST_CHECK;

/* Makes the database file, by byre-dbtool, if there is none. */
struct err *tree_make_database(const struct place *) MUST_CHECK;

/* The last line that a dead program wrote to the file after 'offset', leaving out "why:" and
 * "next:" lines; "" if there is none.  The caller frees it. */
char *tree_last_line(const char *path, int64_t offset);

#endif /* super/tree.h */
