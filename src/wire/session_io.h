/* wire/session_io.h: a client's session: connects, connects again, probes, and matches replies
 * to requests.
 *
 * Replies. Each request's callback comes exactly once: with the reply, with the error that the
 *          peer sent, or with ERR_TIMEOUT when the connection broke (nobody knows whether it
 *          happened).  A request while not connected fails with ERR_BUSY.
 * Memory.  A session may be freed from within its callbacks; requests that are open then fail
 *          with ERR_CANCELED before session_io_free() returns. */
#ifndef WIRE_SESSION_IO_H
#define WIRE_SESSION_IO_H 1

#include "base/base.h"
#include "json/json.h"
#include "wire/jsonrpc.h"

struct session_io;

struct session_io_options {
    const char *remote; /* Or several with commas between; tried in turn. */
    int64_t probe_ms;   /* -1: SESSION_PROBE_MS for TCP, none for unix. */
    bool once;          /* Don't connect again: the first failure is the last event. */
    struct tls *tls;    /* For "ssl:"; NULL: such connections fail.  Borrowed. */
    size_t max_message_bytes; /* 0: JSONRPC_MAX_MESSAGE_BYTES. */
    /* That the peer talks does not make it a good one: the wait between attempts goes on growing
     * until session_io_settled(). */
    bool judged;
};

struct session_io_events {
    void (*connected)(void *aux);
    /* After 'connected', or instead of it when an attempt failed.  Open requests have had their
     * callbacks.  Borrows 'why'. */
    void (*disconnected)(void *aux, const struct err *why);
    void (*notification)(void *aux, struct jsonrpc_msg *); /* Takes it. */
};

/* Exactly one of 'reply' and 'e' is not NULL.  Takes both.  For an error that the peer sent, 'e'
 * is NULL and reply->kind JSONRPC_ERROR. */
typedef void session_reply_fn(void *aux, struct jsonrpc_msg *reply, struct err *e);

struct err *session_io_new(struct loop *, const struct session_io_options *,
                           const struct session_io_events *, void *aux,
                           struct session_io **ret) MUST_CHECK;
void session_io_free(struct session_io *);
bool session_io_connected(const struct session_io *);
const char *session_io_remote(const struct session_io *); /* The one in use or tried. */
/* Drops the connection (the peer broke the rules of a higher layer) and connects again.  Takes
 * 'why'. */
void session_io_reconnect(struct session_io *, struct err *why);

void session_io_settled(struct session_io *); /* The peer is a good one. */
void session_io_set_probe(struct session_io *, int64_t probe_ms); /* As in the options. */

/* Returns the request's id, for session_io_forget().  'fn' never runs within this call. */
int64_t session_io_request(struct session_io *, const char *method,
                           const struct json *params, session_reply_fn *fn, void *aux);
/* As above with the parameters' JSON text. */
int64_t session_io_request_text(struct session_io *, const char *method, const char *params,
                                session_reply_fn *fn, void *aux);
void session_io_forget(struct session_io *, int64_t id); /* Its callback will not come. */
void session_io_notify(struct session_io *, const char *method, const struct json *params);

#endif /* wire/session_io.h */
