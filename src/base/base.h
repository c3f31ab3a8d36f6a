/* base/base.h: what every file of Byre may count on.  No Byre words in this room.
 *
 * Memory.  Allocation never fails: x*alloc() abort, because no caller could do better.  Sizes
 *          from outside are limited by their decoders before they get here.
 * Scope.   CLEANUP(fn) runs fn(&var) when the variable leaves its scope; TAKE(var) hands the
 *          value over and leaves NULL (or 0) behind. */
#ifndef BASE_BASE_H
#define BASE_BASE_H 1

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define N_ELEMS(array) (sizeof(array) / sizeof((array)[0]))
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* The struct of 'type' whose 'member' 'pointer' points to. */
#define CONTAINER_OF(pointer, type, member)                                                \
    ((type *) (void *) ((char *) (pointer) -offsetof(type, member)))

/* Hands over a pointer: evaluates to its value and leaves NULL behind. */
#define TAKE(pointer)                                                                      \
    ({                                                                                     \
        __typeof__(pointer) take_ = (pointer);                                             \
        (pointer) = NULL;                                                                  \
        take_;                                                                             \
    })

/* A broken invariant of ours.  Always on; says where and aborts. */
#define ASSERT(cond) (LIKELY(cond) ? (void) 0 : assert_failed(WHERE, #cond))
#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)
#define WHERE __FILE__ ":" STRINGIFY(__LINE__)
void assert_failed(const char *where, const char *text) NORETURN;

void *xmalloc(size_t n_bytes) __attribute__((malloc));
void *xcalloc(size_t n, size_t elem_bytes) __attribute__((malloc));
void *xrealloc(void *, size_t n_bytes);
void *xrealloc_array(void *, size_t n, size_t elem_bytes); /* Checks the product. */
void *xmemdup(const void *, size_t n_bytes);
#define NEW(type) ((type *) xcalloc(1, sizeof(type)))

/* For CLEANUP() of a malloc()ed pointer of any type: CLEANUP(free_drop) char *s = ... */
static inline void
free_drop(void *pointer_to_pointer)
{
    free(*(void **) pointer_to_pointer);
}

static inline int64_t
min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t
max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t
clamp64(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static inline uint64_t
div_up(uint64_t x, uint64_t unit)
{
    return x / unit + (x % unit != 0);
}

#include "base/err.h"

#endif /* base/base.h */
