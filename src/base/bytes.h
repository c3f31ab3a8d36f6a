/* base/bytes.h: an immutable block of bytes that many hold: a serialised update on its way to a
 * thousand connections.  One thread. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H 1

#include "base/base.h"
#include "base/buf.h"

struct bytes {
    uint32_t n_refs;
    size_t n;
    char *data;
};

static inline struct bytes *
bytes_take(struct buf *b) /* Takes the buf's memory; the buf is then empty. */
{
    struct bytes *bytes = NEW(struct bytes);
    *bytes = (struct bytes){ 1, b->n, b->data };
    *b = BUF_INIT;
    return bytes;
}

static inline struct bytes *
bytes_new(const void *data, size_t n)
{
    struct bytes *bytes = NEW(struct bytes);
    *bytes = (struct bytes){ 1, n, (char *) xmemdup(data, n) };
    return bytes;
}

static inline struct bytes *
bytes_ref(struct bytes *bytes)
{
    bytes->n_refs++;
    return bytes;
}

static inline void
bytes_unref(struct bytes *bytes) /* NULL is fine. */
{
    if (bytes && --bytes->n_refs == 0) {
        free(bytes->data);
        free(bytes);
    }
}

static inline void
bytes_drop(struct bytes **bytes) /* For CLEANUP(). */
{
    bytes_unref(TAKE(*bytes));
}

#endif /* base/bytes.h */
