/* priv/worker_i.h: one request, in a process of its own. */
#ifndef PRIV_WORKER_I_H
#define PRIV_WORKER_I_H 1

#include "priv/serve.h"
#include "priv/verb.h"
#include "store/plan.h"

/* Serves the connection and ends the process.  'parent' is the server's pid: the worker is
 * canceled when it dies.  'uid' is the requester's, for the log.  'page' is where it tells what
 * it does; 'watch' is the server's view at the fork. */
struct watch;
struct watch_page;
void worker_run(const struct priv_serve_config *, int fd, pid_t parent, uid_t uid,
                const struct watch *, struct watch_page *) NORETURN;

/* Answers with an error and nothing else; does not wait for a slow reader. */
void worker_refuse(int fd, struct err *e); /* Takes 'e'. */

/* What the request is to become.  Pure. */
struct err *worker_plan(const struct priv_request *, struct plan *) MUST_CHECK;

#endif /* priv/worker_i.h */
