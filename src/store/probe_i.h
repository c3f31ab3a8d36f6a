/* store/probe_i.h: bounded access to the bytes of an image's header.  What lies beyond the
 * bytes at hand reads as 0, so a reader needs no checks of its own. */
#ifndef STORE_PROBE_I_H
#define STORE_PROBE_I_H 1

#include "store/probe.h"

struct probe_in {
    struct arena *arena;
    const uint8_t *head;
    size_t n_head;
    const uint8_t *tail;
    size_t n_tail;
    int64_t file_bytes;
    const char *unknown; /* Set to the format whose version nobody knows. */
};

static inline bool
in_has(const struct probe_in *in, uint64_t at, uint64_t n)
{
    return at <= in->n_head && n <= in->n_head - at;
}

static inline bool
in_match(const struct probe_in *in, uint64_t at, const char *magic, size_t n)
{
    return in_has(in, at, n) && memcmp(in->head + at, magic, n) == 0;
}

/* Unsigned big-endian number of 'n' bytes, up to 8. */
static inline uint64_t
in_be(const struct probe_in *in, uint64_t at, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; in_has(in, at, n) && i < n; i++) {
        value = value << 8 | in->head[at + i];
    }
    return value;
}

static inline uint64_t
in_le(const struct probe_in *in, uint64_t at, size_t n)
{
    uint64_t value = 0;
    for (size_t i = n; in_has(in, at, n) && i > 0; i--) {
        value = value << 8 | in->head[at + i - 1];
    }
    return value;
}

static inline uint16_t
in_be16(const struct probe_in *in, uint64_t at)
{
    return (uint16_t) in_be(in, at, 2);
}
static inline uint32_t
in_be32(const struct probe_in *in, uint64_t at)
{
    return (uint32_t) in_be(in, at, 4);
}
static inline uint64_t
in_be64(const struct probe_in *in, uint64_t at)
{
    return in_be(in, at, 8);
}
static inline uint32_t
in_le32(const struct probe_in *in, uint64_t at)
{
    return (uint32_t) in_le(in, at, 4);
}
static inline uint64_t
in_le64(const struct probe_in *in, uint64_t at)
{
    return in_le(in, at, 8);
}

/* Up to 'n' bytes at 'at' as a string that ends at a NUL, copied; NULL if it is empty or lies
 * outside of what was read. */
static inline const char *
in_string(const struct probe_in *in, uint64_t at, uint64_t n)
{
    if (!in_has(in, at, n)) {
        return NULL;
    }
    n = strnlen((const char *) in->head + at, n);
    return n ? arena_dup(in->arena, (const char *) in->head + at, n) : NULL;
}

/* A version out of [min, max] makes the file raw, with a warning that names 'format'. */
void probe_version(struct probe_in *, const char *format, uint32_t version, uint32_t min,
                   uint32_t max);
/* Sets the capacity, unless it is 0 or does not fit. */
void probe_capacity(struct probe *ret, uint64_t units, uint64_t unit_bytes);

/* qcow.c: version 1 is qcow, 2 and 3 are qcow2. */
bool probe_qcow(struct probe_in *, struct probe *ret);

#endif /* store/probe_i.h */
