/* cli/cli.h: the command line program `byre`, as a function.  Private headers of this
 * room end in _i.h; nobody else includes them.
 *
 * Exit codes (peers and scripts rely on them; byre(1) lists them): see enum exit_code. */
#ifndef CLI_CLI_H
#define CLI_CLI_H 1

#include "base/base.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,     /* The server, a limit or a conflict said no; nothing changed. */
    EXIT_USAGE = 2,       /* The command line makes no sense. */
    EXIT_NOT_FOUND = 3,   /* A thing that was named does not exist. */
    EXIT_DENIED = 4,      /* No permission. */
    EXIT_NOT_APPLIED = 5, /* Committed, but the agent could not make it true. */
    EXIT_TIMED_OUT = 6,   /* Committed, but not seen done in time. */
    EXIT_UNREACHABLE = 7, /* The database does not answer. */
};

/* Runs the command line; returns the exit code.  Prints on stdout and stderr. */
int cli_main(int argc, char **argv);

#endif /* cli/cli.h */
