/* net/range.c: see range.h.  Ranges of IPv6 are too long to walk: only what is taken is walked. */
#include "net/range.h"

#include <stdlib.h>

#include "base/err.h"

struct err *
net_range_parse(const char *first, const char *last, struct net_range *ret)
{
    struct net_range r;
    const char *wrong = !net_addr_parse(first, &r.first) ? first
                        : !net_addr_parse(last, &r.last) ? last
                                                         : NULL;
    if (wrong) {
        return err_hint(err_new(ERR_SYNTAX, "'%s' is no IP address", wrong),
                        "as 192.168.100.10 or 2001:db8::10");
    } else if (r.first.v6 != r.last.v6) {
        return err_new(ERR_CONSTRAINT, "%s and %s are of two families", first, last);
    } else if (net_addr_cmp(&r.first, &r.last) > 0) {
        return err_hint(err_new(ERR_CONSTRAINT, "%s is behind %s", first, last),
                        "the first address comes first");
    }
    *ret = r;
    return NULL;
}

bool
net_range_has(const struct net_range *r, const struct net_addr *a)
{
    return r->first.v6 == a->v6 && r->first.n <= a->n && a->n <= r->last.n;
}

bool
net_range_meets(const struct net_range *a, const struct net_range *b)
{
    return a->first.v6 == b->first.v6 && a->first.n <= b->last.n && b->first.n <= a->last.n;
}

uint64_t
net_range_size(const struct net_range *r)
{
    unsigned __int128 above_first = r->last.n - r->first.n;
    return above_first >= UINT64_MAX ? UINT64_MAX : (uint64_t) above_first + 1;
}

static int
by_number(const void *a, const void *b)
{
    return net_addr_cmp(a, b);
}

void
net_addrs_sort(struct net_addr *v, size_t n)
{
    if (n) {
        qsort(v, n, sizeof *v, by_number);
    }
}

/* The next taken address of the range from the i-th on, each once; false at its end. */
static bool
next_taken(const struct net_range *r, const struct net_addr *taken, size_t n, size_t *i)
{
    for (; *i < n; ++*i) {
        bool again = *i > 0 && net_addr_cmp(&taken[*i], &taken[*i - 1]) == 0;
        if (!again && net_range_has(r, &taken[*i])) {
            return true;
        }
    }
    return false;
}

uint64_t
net_range_used(const struct net_range *r, const struct net_addr *taken, size_t n)
{
    uint64_t used = 0;

    for (size_t i = 0; next_taken(r, taken, n, &i); i++) {
        used++;
    }
    return used;
}

bool
net_range_pick(const struct net_range *r, const struct net_addr *taken, size_t n,
               uint64_t skip, struct net_addr *ret)
{
    struct net_addr at = r->first; /* No address from here on was counted. */
    size_t i = 0;

    while (next_taken(r, taken, n, &i)) {
        unsigned __int128 gap = taken[i].n - at.n; /* Free ones before it. */
        if (skip < gap) {
            break;
        }
        skip -= (uint64_t) gap;
        if (taken[i].n == r->last.n) {
            return false;
        }
        at.n = taken[i].n + 1;
        i++;
    }
    if (r->last.n - at.n < skip) {
        return false;
    }
    at.n += skip;
    *ret = at;
    return true;
}
