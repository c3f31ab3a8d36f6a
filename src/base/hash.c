/* base/hash.c: 16 bytes a step. */
#include "base/hash.h"

#include <errno.h>
#include <sys/random.h>

uint64_t hash_keys[HASH_KEYS];

__attribute__((constructor)) static void
make_keys(void)
{
    for (size_t n = 0; n < sizeof hash_keys;) {
        ssize_t got = getrandom((char *) hash_keys + n, sizeof hash_keys - n, 0);
        ASSERT(got > 0 || errno == EINTR);
        n += got > 0 ? (size_t) got : 0;
    }
}

static inline uint64_t
read_8(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static inline uint64_t
read_4(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

uint32_t
hash_secret(const void *bytes, size_t n_bytes)
{
    const uint8_t *p = bytes;
    size_t n = n_bytes;

    uint64_t h = hash_keys[0] ^ n_bytes, a = 0, b = 0;
    for (; n > 16; p += 16, n -= 16) {
        h = hash_fold(read_8(p) ^ hash_keys[1], read_8(p + 8) ^ h);
    }
    if (n >= 8) { /* What is left, from both ends: the middle may count twice. */
        a = read_8(p);
        b = read_8(p + n - 8);
    } else if (n >= 4) {
        a = read_4(p);
        b = read_4(p + n - 4);
    } else if (n > 0) {
        a = (uint64_t) p[0] << 16 | (uint64_t) p[n / 2] << 8 | p[n - 1];
    }
    h = hash_fold(hash_fold(a ^ hash_keys[2], b ^ h), hash_keys[3]);
    return (uint32_t) (h ^ h >> 32);
}
