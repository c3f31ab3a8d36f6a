/* base/arena.c: chunks that double up to 1 MiB; a big allocation gets a chunk of its own. */
#include "base/arena.h"

#include <stdio.h>

#define FIRST_BYTES ((size_t) 4096)
#define CHUNK_MAX_BYTES ((size_t) 1 << 20)

struct arena_chunk {
    struct arena_chunk *next;
    size_t n_bytes; /* Of the data that follows. */
    char data[] __attribute__((aligned(16)));
};

static struct arena_chunk *
chunk_new(struct arena *a, size_t n_bytes)
{
    struct arena_chunk *chunk = xmalloc(sizeof *chunk + n_bytes);
    chunk->n_bytes = n_bytes;
    a->n_bytes += n_bytes;
    return chunk;
}

void *
arena_slow_(struct arena *a, size_t n_bytes)
{
    size_t next = a->chunks ? a->chunks->n_bytes * 2 : FIRST_BYTES;
    next = next > CHUNK_MAX_BYTES ? CHUNK_MAX_BYTES : next;

    if (n_bytes > next / 4 && a->chunks) { /* Keep the rest of the current chunk in use. */
        struct arena_chunk *big = chunk_new(a, n_bytes);
        big->next = a->chunks->next;
        a->chunks->next = big;
        return big->data;
    }
    struct arena_chunk *chunk = chunk_new(a, n_bytes > next ? n_bytes : next);
    chunk->next = a->chunks;
    a->chunks = chunk;
    a->at = chunk->data + n_bytes;
    a->end = chunk->data + chunk->n_bytes;
    return chunk->data;
}

void
arena_done(struct arena *a)
{
    for (struct arena_chunk *chunk = a->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    *a = ARENA_INIT;
}

void
arena_adopt(struct arena *a, struct arena *from)
{
    struct arena_chunk **last = &a->chunks;
    if (!a->chunks) {
        *a = *from;
        *from = ARENA_INIT;
        return;
    }
    while (*last) {
        last = &(*last)->next;
    }
    *last = from->chunks;
    a->n_bytes += from->n_bytes;
    *from = ARENA_INIT;
}

void
arena_reset(struct arena *a)
{
    struct arena_chunk *keep = a->chunks;
    if (!keep) {
        return;
    }
    for (struct arena_chunk *chunk = keep->next, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    keep->next = NULL;
    a->n_bytes = keep->n_bytes;
    a->at = keep->data;
    a->end = keep->data + keep->n_bytes;
}

void *
arena_zalloc(struct arena *a, size_t n_bytes)
{
    return memset(arena_alloc(a, n_bytes), 0, n_bytes);
}

char *
arena_dup(struct arena *a, const char *s, size_t n_bytes)
{
    char *copy = arena_alloc(a, n_bytes + 1);
    memcpy(copy, s, n_bytes);
    copy[n_bytes] = '\0';
    return copy;
}

char *
arena_str(struct arena *a, const char *s)
{
    return arena_dup(a, s, strlen(s));
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    ASSERT(n >= 0);
    char *s = arena_alloc(a, (size_t) n + 1);
    vsnprintf(s, (size_t) n + 1, fmt, again);
    va_end(again);
    va_end(args);
    return s;
}
