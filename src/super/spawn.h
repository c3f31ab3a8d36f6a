/* super/spawn.h: processes that outlive nothing but their parent's wish. */
#ifndef SUPER_SPAWN_H
#define SUPER_SPAWN_H 1

#include <sys/types.h>

#include "base/base.h"

/* Starts argv (NULL-terminated) in a session of its own, standard input and output from and to
 * /dev/null, standard error appended to 'stderr_path'.  It gets SIGTERM when this process ends for whatever reason.  If the program cannot be run the child exits with 127 and says so
 * there.  '*ret_offset' is the length of that file before. */
struct err *spawn(char *const *argv, const char *stderr_path, pid_t *ret_pid,
                  int64_t *ret_offset) MUST_CHECK;

/* Is somebody listening on the unix socket 'path'? */
bool spawn_answers(const char *path);

/* Is 'pid' a process of the program 'name'?  Guards against killing a stranger that got the pid
 * of a dead one. */
bool spawn_is_program(pid_t pid, const char *name);

#endif /* super/spawn.h */
