/* super/detach.h: going to the background, with an exit status that means something. */
#ifndef SUPER_DETACH_H
#define SUPER_DETACH_H 1

#include <stdio.h>

#include "base/base.h"
#include "super/program.h"

/* Forks.  The child returns, cut off from terminal and directory, with '*ret_parent_fd' for
 * detach_tell().  The parent waits for that, prints what went wrong if something did, and exits:
 * 0 told of success, 1 told of failure or the child died. */
struct err *detach(const struct place *, int *ret_parent_fd) MUST_CHECK;

/* Tells the parent, once; then '*parent_fd' is -1, for which this does nothing.  'e' is
 * borrowed; NULL: success. */
void detach_tell(int *parent_fd, const struct err *e);

/* What, why and what next, a line each. */
void failure_print(FILE *, const struct err *);

#endif /* super/detach.h */
