/* wire/stream_i.h: what a kind of stream does by itself (the seam for TLS). */
#ifndef WIRE_STREAM_I_H
#define WIRE_STREAM_I_H 1

#include <sys/types.h>
#include <sys/uio.h>

#include "wire/stream.h"

struct stream_class {
    /* As readv(2)/writev(2) on a non-blocking socket: -1 with errno, EAGAIN to be asked again. */
    ssize_t (*read)(int fd, void *state, void *bytes, size_t n_bytes);
    ssize_t (*write)(int fd, void *state, const struct iovec *, int n_iov);
    void (*free)(void *state);
    /* The rest may be NULL.  Before the first read or write: 0 done, else -1 with errno; with
     * EAGAIN again when what wants() says (LOOP_READ or LOOP_WRITE) is there. */
    int (*handshake)(void *state);
    int (*wants)(void *state);
    const char *(*why)(void *state); /* Of a failure, if errno does not tell it; or NULL. */
    const char *(*id)(void *state);  /* The other side's name, or NULL. */
};

extern const struct stream_class stream_plain_class;

/* As stream_new(), with TLS.  Takes 'fd', on failure too. */
struct err *stream_new_tls(struct loop *, int fd, const char *name, struct tls *,
                           struct stream **ret) MUST_CHECK;

#endif /* wire/stream_i.h */
