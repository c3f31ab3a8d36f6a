/* cli/fail_i.h: failures as a person reads them, and as a script does (exit codes). */
#ifndef CLI_FAIL_I_H
#define CLI_FAIL_I_H 1

#include <stdio.h>

#include "base/base.h"
#include "cli/cli.h"

/* Takes 'e' and fixes the exit code that it leads to, whatever its kind. */
struct err *fail_as(struct err *e, enum exit_code) MUST_CHECK;

/* The code that was fixed, else the one that fits the kind. */
enum exit_code fail_exit_code(const struct err *);

/* str_check_name() as a usage error. */
struct err *fail_unless_name(const char *noun, const char *name) MUST_CHECK;

/* Three lines: what, why, what next.  'command' ("vm start") is named where the error
 * has no more to say. */
void fail_print(const struct err *, const char *command, FILE *);

#endif /* cli/fail_i.h */
