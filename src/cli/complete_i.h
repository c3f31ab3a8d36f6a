/* cli/complete_i.h: what may come next on a command line; for the shell's completion. */
#ifndef CLI_COMPLETE_I_H
#define CLI_COMPLETE_I_H 1

#include <stdio.h>

#include "cli/cli_i.h"

/* 'words' are those behind "byre", the last one being typed (maybe empty).  Prints one
 * candidate a line; names come live from the database.  Never fails: nothing to say is
 * no output. */
void complete(struct cli *, char **words, size_t n_words, FILE *);

#endif /* cli/complete_i.h */
