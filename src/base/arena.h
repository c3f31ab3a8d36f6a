/* base/arena.h: memory that is freed as a whole: a request, a document, a plan. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H 1

#include "base/base.h"

struct arena_chunk;
struct arena {
    char *at, *end;             /* Free part of the newest chunk. */
    struct arena_chunk *chunks; /* Newest first. */
    size_t n_bytes;             /* Allocated from the system, for limits and figures. */
};
#define ARENA_INIT ((struct arena){ NULL, NULL, NULL, 0 })

void *arena_slow_(struct arena *, size_t n_bytes);
void arena_done(struct arena *); /* Frees all; the arena is then empty.  For CLEANUP(). */
/* Moves all of 'from' into the other one, addresses and all; 'from' is then empty. */
void arena_adopt(struct arena *, struct arena *from);
void arena_reset(struct arena *); /* Frees all but one chunk, for the next request. */

/* 16-byte aligned, not zeroed. */
static inline void *
arena_alloc(struct arena *a, size_t n_bytes)
{
    n_bytes = (n_bytes + !n_bytes + 15) & ~(size_t) 15; /* Never NULL, even for 0. */
    if (LIKELY((size_t) (a->end - a->at) >= n_bytes)) {
        void *p = a->at;
        a->at += n_bytes;
        return p;
    }
    return arena_slow_(a, n_bytes);
}

void *arena_zalloc(struct arena *, size_t n_bytes);
char *arena_dup(struct arena *, const char *, size_t n_bytes); /* Adds a NUL. */
char *arena_str(struct arena *, const char *);
char *arena_printf(struct arena *, const char *fmt, ...) PRINTF(2, 3);
#define ARENA_NEW(arena, type) ((type *) arena_zalloc(arena, sizeof(type)))

#endif /* base/arena.h */
