/* base/base.c: allocation that cannot fail, assertions, and the room behind VEC(). */
#include "base/base.h"

#include <stdio.h>

#include "base/vec.h"

void
assert_failed(const char *where, const char *text)
{
    fprintf(stderr, "%s: assertion failed: %s\n", where, text);
    fflush(stderr);
    abort();
}

static void NORETURN
out_of_memory(size_t n_bytes)
{
    fprintf(stderr, "out of memory (%zu bytes asked)\n", n_bytes);
    fflush(stderr);
    abort();
}

void *
xmalloc(size_t n_bytes)
{
    void *p = malloc(n_bytes ? n_bytes : 1);
    if (!p) {
        out_of_memory(n_bytes);
    }
    return p;
}

void *
xcalloc(size_t n, size_t elem_bytes)
{
    void *p = calloc(n ? n : 1, elem_bytes ? elem_bytes : 1);
    if (!p) {
        out_of_memory(n * elem_bytes);
    }
    return p;
}

void *
xrealloc(void *old, size_t n_bytes)
{
    void *p = realloc(old, n_bytes ? n_bytes : 1);
    if (!p) {
        out_of_memory(n_bytes);
    }
    return p;
}

void *
xrealloc_array(void *old, size_t n, size_t elem_bytes)
{
    size_t n_bytes;
    if (__builtin_mul_overflow(n, elem_bytes, &n_bytes)) {
        out_of_memory(SIZE_MAX);
    }
    return xrealloc(old, n_bytes);
}

void *
xmemdup(const void *p, size_t n_bytes)
{
    void *copy = xmalloc(n_bytes);
    return n_bytes ? memcpy(copy, p, n_bytes) : copy;
}

void
vec_reserve_(void **v, size_t n, size_t *cap, size_t elem_bytes)
{
    if (n > *cap) {
        *cap = n > 2 * *cap ? n : 2 * *cap;
        *cap = *cap < 8 ? 8 : *cap;
        *v = xrealloc_array(*v, *cap, elem_bytes);
    }
}
