/* store/backend/mount_i.h: what fs and netfs share beyond file_i.h: the mount. */
#ifndef STORE_BACKEND_MOUNT_I_H
#define STORE_BACKEND_MOUNT_I_H 1

#include "store/pool_ops.h"

/* Adds "-o" and the pool's mount options, libvirt's first, 'more' (",x=y" or "") last. */
struct err *mount_options(const struct pool *, const char *more, struct plan *) MUST_CHECK;
/* Is the pool's source mounted on its target? */
struct err *mount_check(const struct pool *, struct plan *) MUST_CHECK;
struct err *mount_stop(const struct pool *, struct plan *) MUST_CHECK;

#endif /* store/backend/mount_i.h */
