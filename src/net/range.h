/* net/range.h: which addresses of some ranges are free.
 *
 * "taken" is sorted by net_addrs_sort(); it may hold addresses twice and of elsewhere. */
#ifndef NET_RANGE_H
#define NET_RANGE_H 1

#include "net/addr.h"

struct net_range {
    struct net_addr first, last; /* Of one family, first <= last. */
};

/* ERR_SYNTAX, ERR_CONSTRAINT: no addresses, two families, the wrong way round. */
struct err *net_range_parse(const char *first, const char *last,
                            struct net_range *ret) MUST_CHECK;
bool net_range_has(const struct net_range *, const struct net_addr *);
bool net_range_meets(const struct net_range *, const struct net_range *);
/* How many addresses it has; beyond UINT64_MAX: that. */
uint64_t net_range_size(const struct net_range *);

void net_addrs_sort(struct net_addr *, size_t n);
/* How many addresses of the range are in 'taken', which is sorted. */
uint64_t net_range_used(const struct net_range *, const struct net_addr *taken, size_t n);
/* The free address of the range that has 'skip' free ones before it.  False: there is none.  'taken'
 * is sorted. */
bool net_range_pick(const struct net_range *, const struct net_addr *taken, size_t n,
                    uint64_t skip, struct net_addr *ret);

#endif /* net/range.h */
