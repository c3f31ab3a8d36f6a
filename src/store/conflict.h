/* store/conflict.h: do two pools claim the same source?  libvirt's rules; pure. */
#ifndef STORE_CONFLICT_H
#define STORE_CONFLICT_H 1

#include "store/pool.h"

/* VE_OPERATION_FAILED "Storage source conflict with pool: 'NAME'" for the first of 'others'
 * that shares its source with 'pool'.  One with the same name is skipped. */
struct err *conflict_check(const struct pool *pool, const struct pool *const *others,
                           size_t n_others) MUST_CHECK;

/* What text cannot tell: links, several names of a device, several names of a host.  Adds the steps
 * that look at the machine. */
struct plan;
void conflict_plan(const struct pool *pool, const struct pool *const *others,
                   size_t n_others, struct plan *);

#endif /* store/conflict.h */
