/* super/program.h: the four programs that byred starts, and where everything is.  Pure.
 *
 * The state directory is absolute.  Unix sockets have at most SUPER_SOCKET_MAX bytes of path, so
 * a deep state directory is refused at the door and not by each program in its own words. */
#ifndef SUPER_PROGRAM_H
#define SUPER_PROGRAM_H 1

#include "base/base.h"
#include "base/str.h"
#include "super/config.h"

#define SUPER_SOCKET_MAX 107

/* In the order of their start. */
enum program { PROGRAM_DBD, PROGRAM_STORED, PROGRAM_AGENTD, PROGRAM_WEBD, N_PROGRAMS };

struct place {
    const char *state_dir; /* Absolute. */
    const char *bin_dir;   /* Of byred itself; "" to look the others up in PATH. */
    unsigned uid;          /* The programs' user. */
};

const char *program_name(enum program); /* "byre-dbd" */
/* Where it listens, NULL if nowhere that can be knocked at.  The caller frees it. */
char *program_socket(enum program, const struct place *, const struct config *);
char *program_pidfile(enum program, const struct place *);
char *program_stderr(enum program, const struct place *); /* What it prints goes there. */
/* argv[0] is a path, or a name for PATH. */
void program_argv(enum program, const struct place *, const struct config *,
                  struct strvec *ret_argv);
/* "BIN/NAME" if bin_dir is set and holds it, else NAME.  The caller frees it. */
char *program_path(const char *name, const struct place *);
/* "STATE/rest".  The caller frees it. */
char *place_path(const struct place *, const char *rest);
struct err *place_check(const struct place *) MUST_CHECK; /* ERR_CONSTRAINT: too deep. */

#endif /* super/program.h */
