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
};

extern const struct stream_class stream_plain_class;

#endif /* wire/stream_i.h */
