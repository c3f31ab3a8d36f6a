/* wire/stream.h: byte streams over sockets: connecting, listening, reading, queued writing.
 *
 * Output.  stream_send() queues a block and tries to write at once; stream_cork() holds writing
 *          back while several blocks are queued.  Nothing limits the queue here; its length is
 *          stream_backlog_bytes().
 * Input.   Bytes come through a callback; while paused they stay in the kernel, so the peer
 *          feels it.
 * Memory.  A stream may be freed from within its own callbacks; nothing comes after that.
 * TLS.     For remotes with a 'tls' (wire/remote.h); 'connected' comes after the handshake.  A
 *          stream that was accepted may be used at once; its output waits for the handshake. */
#ifndef WIRE_STREAM_H
#define WIRE_STREAM_H 1

#include <sys/socket.h>

#include "base/base.h"
#include "base/bytes.h"
#include "wire/remote.h"

struct loop;
struct stream;
struct listener;

struct stream_events {
    void (*connected)(void *aux); /* Of stream_connect(): it can be used now. */
    void (*bytes)(void *aux, const char *bytes,
                  size_t n_bytes); /* Borrowed; n_bytes > 0. */
    /* The peer closed (e NULL) or the connection failed.  Takes 'e'.  Comes at most once; the
     * stream is dead and waits for stream_free(). */
    void (*closed)(void *aux, struct err *e);
    void (*progress)(void *aux); /* Queued output went out; may be NULL. */
};

/* Fails at once only if the remote makes no sense; else 'connected' or 'closed' comes later. */
struct err *stream_connect(struct loop *, const struct remote *,
                           const struct stream_events *, void *aux,
                           struct stream **ret) MUST_CHECK;
/* A connected socket.  Takes 'fd'.  Reads nothing before stream_set_events(). */
struct stream *stream_new(struct loop *, int fd, const char *name);
void stream_set_events(struct stream *, const struct stream_events *, void *aux);
void stream_free(struct stream *); /* Drops unsent output.  NULL is fine. */

void stream_send(struct stream *, struct bytes *); /* Takes the reference. */
void stream_cork(struct stream *, bool corked);    /* Uncorking writes. */
void stream_pause(struct stream *, bool paused);   /* No 'bytes' while paused. */
size_t stream_backlog_bytes(const struct stream *);
/* The kernel took no more: 'progress' comes when it does again. */
bool stream_is_full(const struct stream *);
const char *
stream_name(const struct stream *); /* "unix#3", "tcp:10.0.0.1:4711": for logs. */
void stream_set_dscp(struct stream *, int dscp); /* 0 to 63; TCP only.  Best effort. */
struct loop *stream_loop(const struct stream *);
/* The name in the peer's certificate; NULL without one, or before the handshake. */
const char *stream_peer_id(const struct stream *);
/* Who is at the other end of a unix socket (SO_PEERCRED); false for TCP. */
bool stream_peer_cred(const struct stream *, struct ucred *ret);

/* Listens; 'accepted' owns the stream it gets.  A stale unix socket is replaced, a live one is
 * ERR_BUSY.  The socket file gets 'mode' (0: as umask says) and is removed at listener_free(). */
struct err *listener_new(struct loop *, const struct remote *, mode_t mode,
                         void (*accepted)(void *aux, struct stream *), void *aux,
                         struct listener **ret) MUST_CHECK;
uint16_t listener_port(const struct listener *);    /* The real one; 0 for unix. */
const char *listener_name(const struct listener *); /* "ptcp:6640:127.0.0.1" */
void listener_free(struct listener *);

#endif /* wire/stream.h */
