/* data/istring.h: immutable strings that count their holders.
 *
 * Short ones are interned: equal strings are one object, so that a database that holds "running" in
 * 200,000 rows holds it once, and comparing two is comparing pointers.  Long ones, and those of a
 * column where no value occurs twice, would gain nothing: they are on their own, without the 16 bytes
 * and the look-up that interning costs.
 *
 * Threads. One: whichever thread owns the database or the replica. */
#ifndef DATA_ISTRING_H
#define DATA_ISTRING_H 1

#include "base/base.h"
#include "base/map.h"

#define ISTRING_SHARED_MAX 32 /* Bytes of the longest string that is interned. */

struct istring {
    uint32_t n_refs;
    uint32_t n : 31;       /* Bytes. */
    uint32_t interned : 1; /* A hash node lies before it. */
    char s[];              /* NUL-terminated besides. */
};

struct istring *istring_new(const char *, size_t n_bytes); /* One reference more. */
/* As istring_new(), for a string that hardly any other value is equal to. */
struct istring *istring_new_alone(const char *, size_t n_bytes);
void istring_free_(struct istring *);

static inline struct istring *
istring_ref(struct istring *s)
{
    s->n_refs++;
    return s;
}

static inline void
istring_unref(struct istring *s)
{
    if (--s->n_refs == 0) {
        istring_free_(s);
    }
}

static inline bool
istring_eq(const struct istring *a, const struct istring *b)
{
    return a == b ||
           (!(a->interned && b->interned) && a->n == b->n && memcmp(a->s, b->s, a->n) == 0);
}

uint32_t istring_hash(const struct istring *); /* Equal strings, equal hashes. */

size_t istring_count(void); /* Objects alive, for figures and leak tests. */

#endif /* data/istring.h */
