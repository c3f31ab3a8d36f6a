/* base/hash.h: a hash of bytes that strangers choose.
 *
 * Keyed with random numbers of this process: whoever does not know them finds no strings that collide,
 * so a table keeps its speed whatever is put in.  The price is that it differs from run to run: not for
 * what is kept, nor for a table whose order somebody sees (base/map.h has hash_bytes()).
 *
 * Threads.  Any. */
#ifndef BASE_HASH_H
#define BASE_HASH_H 1

#include "base/base.h"

#define HASH_KEYS 4

extern uint64_t hash_keys[HASH_KEYS]; /* Filled before main(). */

uint32_t hash_secret(const void *, size_t n_bytes);

__extension__ typedef unsigned __int128 hash_wide; /* gcc and clang have it on 64 bits. */

/* A multiplication whose 128 bits are folded into 64.  Both factors must hold secret bits: with a known
 * one a stranger could choose bytes that make it 0, and with it the product. */
static inline uint64_t
hash_fold(uint64_t a, uint64_t b)
{
    hash_wide product = (hash_wide) a * b;
    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

#endif /* base/hash.h */
