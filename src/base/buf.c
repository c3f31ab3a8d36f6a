/* base/buf.c: growth by doubling; see buf.h. */
#include "base/buf.h"

#include <stdio.h>

void
buf_done(struct buf *b)
{
    free(b->data);
    *b = BUF_INIT;
}

void
buf_clear(struct buf *b)
{
    b->n = 0;
}

char *
buf_grow_(struct buf *b, size_t n_bytes)
{
    size_t need;
    ASSERT(!__builtin_add_overflow(b->n, n_bytes, &need) && need < SIZE_MAX / 2);
    if (need + 1 > b->cap) { /* One more for the NUL of buf_cstr(). */
        size_t cap = b->cap ? b->cap : 64;
        while (cap < need + 1) {
            cap *= 2;
        }
        b->data = xrealloc(b->data, cap);
        b->cap = cap;
    }
    return b->data + b->n;
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    buf_reserve(b, 64);
    int n = vsnprintf(b->data + b->n, b->cap - b->n, fmt, args);
    ASSERT(n >= 0);
    if ((size_t) n >= b->cap - b->n) {
        buf_reserve(b, (size_t) n);
        vsnprintf(b->data + b->n, b->cap - b->n, fmt, again);
    }
    va_end(again);
    b->n += (size_t) n;
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(b, fmt, args);
    va_end(args);
}

void
buf_i64(struct buf *b, int64_t x)
{
    char digits[20], *p = digits + sizeof digits;
    uint64_t u = x < 0 ? 0 - (uint64_t) x : (uint64_t) x;
    do {
        *--p = (char) ('0' + u % 10);
        u /= 10;
    } while (u);
    if (x < 0) {
        buf_char(b, '-');
    }
    buf_add(b, p, (size_t) (digits + sizeof digits - p));
}

void
buf_drop_front(struct buf *b, size_t n_bytes)
{
    ASSERT(n_bytes <= b->n);
    if (n_bytes) {
        memmove(b->data, b->data + n_bytes, b->n - n_bytes);
        b->n -= n_bytes;
    }
}

const char *
buf_cstr(struct buf *b)
{
    *buf_reserve(b, 0) = '\0';
    return b->data;
}

char *
buf_take(struct buf *b)
{
    buf_cstr(b);
    char *s = b->data;
    *b = BUF_INIT;
    return s;
}
