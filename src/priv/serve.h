/* priv/serve.h: the root side: one forked worker a connection. */
#ifndef PRIV_SERVE_H
#define PRIV_SERVE_H 1

#include <sys/types.h>

#include "base/base.h"

struct priv_serve_config {
    const char *socket_path;
    uid_t allow_uid; /* May ask, besides root and the server's own user. */
    const char
        *scan_dir;   /* Where scans are written down for the next ones; NULL: nowhere. */
    int max_workers; /* More at a time are answered ERR_BUSY; 0: PRIV_MAX_WORKERS. */
};
#define PRIV_MAX_WORKERS 64

/* Listens and serves until SIGTERM or SIGINT, then cancels its workers and waits for them.
 * Must be the process's only thread. */
struct err *priv_serve(const struct priv_serve_config *) MUST_CHECK;

#endif /* priv/serve.h */
