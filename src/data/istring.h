/* data/istring.h: interned strings.  Equal strings are one object, so that a database that holds
 * "running" in 200,000 rows holds it once, and equality is comparing two pointers.
 *
 * Threads. One: whichever thread owns the database or the replica. */
#ifndef DATA_ISTRING_H
#define DATA_ISTRING_H 1

#include "base/base.h"
#include "base/map.h"

struct istring {
    struct hmap_node node; /* In the process's table; node.hash is the hash of the bytes. */
    uint32_t n_refs;
    uint32_t n; /* Bytes. */
    char s[];   /* NUL-terminated besides. */
};

struct istring *istring_new(const char *, size_t n_bytes); /* One reference more. */
void istring_unref(struct istring *);
const struct istring *istring_find(const char *, size_t n_bytes); /* Borrows, or NULL. */

static inline struct istring *
istring_ref(struct istring *s)
{
    s->n_refs++;
    return s;
}

size_t istring_count(void); /* Distinct strings alive, for figures and leak tests. */

#endif /* data/istring.h */
