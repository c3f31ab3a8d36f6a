/* data/istring.c: the process's table of strings.  The hash has a random basis, because the strings
 * come from clients who might choose them to collide. */
#include "data/istring.h"

#include "base/uuid.h"

static struct hmap strings = { NULL, 0, 0 };

static uint32_t
hash_of(const char *s, size_t n_bytes)
{
    static uint32_t basis;
    if (UNLIKELY(basis == 0)) {
        struct uuid random;
        uuid_random(&random);
        basis = uuid_hash(&random) | 1;
    }
    return hash_bytes(s, n_bytes, basis);
}

static struct istring *
lookup(const char *s, size_t n_bytes, uint32_t hash)
{
    HMAP_FOR_EACH_HASH (struct istring, is, node, hash, &strings) {
        if (is->n == n_bytes && memcmp(is->s, s, n_bytes) == 0) {
            return is;
        }
    }
    return NULL;
}

struct istring *
istring_new(const char *s, size_t n_bytes)
{
    uint32_t hash = hash_of(s, n_bytes);
    struct istring *is = lookup(s, n_bytes, hash);
    if (is) {
        return istring_ref(is);
    }
    ASSERT(n_bytes < UINT32_MAX);
    is = xmalloc(sizeof *is + n_bytes + 1);
    is->n_refs = 1;
    is->n = (uint32_t) n_bytes;
    memcpy(is->s, s, n_bytes);
    is->s[n_bytes] = '\0';
    hmap_insert(&strings, &is->node, hash);
    return is;
}

void
istring_unref(struct istring *is)
{
    if (--is->n_refs == 0) {
        hmap_remove(&strings, &is->node);
        free(is);
        if (strings.n == 0) {
            hmap_done(&strings); /* So that a clean end has nothing left. */
        }
    }
}

const struct istring *
istring_find(const char *s, size_t n_bytes)
{
    return lookup(s, n_bytes, hash_of(s, n_bytes));
}

size_t
istring_count(void)
{
    return strings.n;
}
