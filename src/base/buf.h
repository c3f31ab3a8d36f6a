/* base/buf.h: bytes that grow at the end; the one way to build a string. */
#ifndef BASE_BUF_H
#define BASE_BUF_H 1

#include "base/base.h"

struct buf {
    char *data; /* NULL while empty.  Always room for a NUL after 'n' once not NULL. */
    size_t n;   /* Bytes in use. */
    size_t cap; /* Bytes allocated. */
};
#define BUF_INIT ((struct buf){ NULL, 0, 0 })

void buf_done(struct buf *); /* Frees the content; the buf is then empty.  For CLEANUP(). */
void buf_clear(struct buf *); /* n = 0, keeps the memory. */
void buf_printf(struct buf *, const char *fmt, ...) PRINTF(2, 3);
void buf_vprintf(struct buf *, const char *fmt, va_list) PRINTF(2, 0);
void buf_i64(struct buf *, int64_t);               /* Decimal, quicker than printf. */
void buf_drop_front(struct buf *, size_t n_bytes); /* Removes the first n bytes. */
const char *buf_cstr(struct buf *); /* NUL-terminated, borrowed until the next change. */
char *buf_take(struct buf *);       /* The string, the caller frees it; the buf is empty. */
char *buf_grow_(struct buf *, size_t n_bytes);

/* Room for n more; where they begin. */
static inline char *
buf_reserve(struct buf *b, size_t n_bytes)
{
    return LIKELY(n_bytes < b->cap - b->n) ? b->data + b->n : buf_grow_(b, n_bytes);
}

static inline void
buf_add(struct buf *b, const void *bytes, size_t n_bytes)
{
    if (n_bytes) {
        memcpy(buf_reserve(b, n_bytes), bytes, n_bytes);
        b->n += n_bytes;
    }
}

static inline void
buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

static inline void
buf_char(struct buf *b, char c)
{
    if (UNLIKELY(b->n + 1 >= b->cap)) {
        buf_reserve(b, 1);
    }
    b->data[b->n++] = c;
}

#endif /* base/buf.h */
