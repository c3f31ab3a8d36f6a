/* bin/dbd_i.h: what the files of byre-dbd share. */
#ifndef BIN_DBD_I_H
#define BIN_DBD_I_H 1

#include "dbserver/options.h"

/* --detach and --monitor.  Returns in the process that serves, with the descriptor on which the parent
 * waits for its verdict: "y" or "n"; -1: nobody waits. */
struct err *process_detach(const struct options *, int *ret_parent_fd) MUST_CHECK;
/* Before anything else: so that malloc uses huge pages. */
void process_want_huge_pages(char **argv);
void process_close_terminal(void); /* Once nothing can fail any more. */
void process_raise_file_limit(void);
bool process_ignores(int signal); /* Whoever started us wanted it so. */
/* Unless another process has put its own in its place; 'fd' is ours. */
void process_remove_pidfile(const char *path, int fd);
struct err *process_become(const char *user) MUST_CHECK; /* --user */

#endif /* bin/dbd_i.h */
