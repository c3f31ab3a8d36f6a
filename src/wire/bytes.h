/* wire/bytes.h: a block of bytes that several connections send without copying it.
 *
 * An update is serialised once and queued to many connections; each holds a reference until
 * its kernel has taken the last byte.  One thread (the loop's). */
#ifndef WIRE_BYTES_H
#define WIRE_BYTES_H 1

#include "base/base.h"
#include "base/buf.h"

struct bytes {
    uint32_t n_refs;
    size_t n;
    char *data; /* Owned. */
};

struct bytes *bytes_new(const void *, size_t n_bytes); /* Copies; one reference. */
struct bytes *bytes_take(struct buf *);                /* Takes the content, no copy. */
static inline struct bytes *
bytes_ref(struct bytes *b)
{
    b->n_refs++;
    return b;
}
void bytes_unref(struct bytes *); /* NULL is fine. */

#endif /* wire/bytes.h */
