/* data/istring.c: the process's table of strings. */
#include "data/istring.h"

#include "base/hash.h"

/* What an interned string is part of. */
struct shared {
    struct hmap_node node; /* In 'strings'; node.hash is the hash of the bytes. */
    struct istring string;
};

static struct hmap strings = { NULL, 0, 0 };
static size_t n_alone;

static struct shared *
shared_of(const struct istring *is)
{
    return (struct shared *) (void *) ((char *) is - offsetof(struct shared, string));
}

static void
fill(struct istring *is, const char *s, size_t n_bytes, bool interned)
{
    ASSERT(n_bytes < UINT32_MAX / 2);
    is->n_refs = 1;
    is->n = (uint32_t) n_bytes & INT32_MAX;
    is->interned = interned;
    memcpy(is->s, s, n_bytes);
    is->s[n_bytes] = '\0';
}

struct istring *
istring_new(const char *s, size_t n_bytes)
{
    if (n_bytes > ISTRING_SHARED_MAX) {
        return istring_new_alone(s, n_bytes);
    }
    uint32_t hash = hash_secret(s, n_bytes);
    HMAP_FOR_EACH_HASH (struct shared, there, node, hash, &strings) {
        if (there->string.n == n_bytes && memcmp(there->string.s, s, n_bytes) == 0) {
            return istring_ref(&there->string);
        }
    }
    struct shared *new = xmalloc(sizeof *new + n_bytes + 1);
    fill(&new->string, s, n_bytes, true);
    hmap_insert(&strings, &new->node, hash);
    return &new->string;
}

struct istring *
istring_new_alone(const char *s, size_t n_bytes)
{
    struct istring *is = xmalloc(sizeof *is + n_bytes + 1);
    fill(is, s, n_bytes, false);
    n_alone++;
    return is;
}

void
istring_free_(struct istring *is)
{
    if (!is->interned) {
        n_alone--;
        free(is);
        return;
    }
    struct shared *shared = shared_of(is);
    hmap_remove(&strings, &shared->node);
    free(shared);
    if (strings.n == 0) {
        hmap_done(&strings); /* So that a clean end has nothing left. */
    }
}

uint32_t
istring_hash(const struct istring *is)
{
    return is->interned ? shared_of(is)->node.hash : hash_secret(is->s, is->n);
}

size_t
istring_count(void)
{
    return strings.n + n_alone;
}
