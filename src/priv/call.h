/* priv/call.h: asks byre-stored to do something, and waits.  For worker threads: it blocks.
 *
 * Thread-safe: each call is a connection of its own.
 * Errors.  What the other side answered, with kind, libvirt's code, text and hint; ERR_BUSY when
 *          byre-stored cannot be reached; ERR_IO without a code when it went away in the
 *          middle (a refresh then tells what came of it); ERR_CANCELED; ERR_TIMEOUT, also when
 *          it is there but silent (stopped, or the host is out of breath). */
#ifndef PRIV_CALL_H
#define PRIV_CALL_H 1

#include "priv/verb.h"

#define PRIV_ANSWER_MS                                                                     \
    60000 /* A worker tells of each step before it touches any storage. */

struct priv_watch {
    /* In the caller's thread, while it waits.  May be NULL. */
    void (*progress)(void *aux, const struct priv_progress *);
    void *aux;
    const volatile int *cancel; /* Set nonzero from any thread to give up; NULL: never.
                                 * Looked at every 200 ms. */
    int64_t answer_ms;          /* Until the first sign of life; 0: PRIV_ANSWER_MS. */
};

/* 'fd' goes along with vol_upload (read from), vol_download (written to) and pool_watch (an
 * inotify(7) descriptor); else -1.  'watch'
 * may be NULL.  '*ret' must be priv_reply_init()ed.  A vol_create that answers ERR_EXISTS may
 * be an earlier one whose answer was lost: vol_stat tells. */
struct err *priv_call(const char *socket_path, const struct priv_request *, int fd,
                      const struct priv_watch *, struct priv_reply *ret) MUST_CHECK;

#endif /* priv/call.h */
