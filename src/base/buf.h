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
void buf_clear(struct buf *);                    /* n = 0, keeps the memory. */
char *buf_reserve(struct buf *, size_t n_bytes); /* Room for n more; where they begin. */
void buf_add(struct buf *, const void *, size_t n_bytes);
void buf_str(struct buf *, const char *);
void buf_printf(struct buf *, const char *fmt, ...) PRINTF(2, 3);
void buf_vprintf(struct buf *, const char *fmt, va_list) PRINTF(2, 0);
void buf_i64(struct buf *, int64_t);               /* Decimal, quicker than printf. */
void buf_drop_front(struct buf *, size_t n_bytes); /* Removes the first n bytes. */
const char *buf_cstr(struct buf *); /* NUL-terminated, borrowed until the next change. */
char *buf_take(struct buf *);       /* The string, the caller frees it; the buf is empty. */

static inline void
buf_char(struct buf *b, char c)
{
    if (UNLIKELY(b->n + 1 >= b->cap)) {
        buf_reserve(b, 1);
    }
    b->data[b->n++] = c;
}

#endif /* base/buf.h */
