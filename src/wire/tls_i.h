/* wire/tls_i.h: TLS as a kind of stream. */
#ifndef WIRE_TLS_I_H
#define WIRE_TLS_I_H 1

#include "wire/stream_i.h"
#include "wire/tls.h"

extern const struct stream_class stream_tls_class;

/* The state for stream_tls_class over a connected socket. */
struct err *tls_stream_new(struct tls *, int fd, bool client, void **ret_state) MUST_CHECK;

#endif /* wire/tls_i.h */
