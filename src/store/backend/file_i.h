/* store/backend/file_i.h: volumes that are files in a directory: what dir, fs and netfs share. */
#ifndef STORE_BACKEND_FILE_I_H
#define STORE_BACKEND_FILE_I_H 1

#include "store/pool_ops.h"

/* What is mounted on the target of a pool of type fs or netfs, as mount(8) wants it; NULL for
 * other types.  In the arena. */
const char *file_mount_source(struct arena *, const struct pool *);

struct err *file_build(const struct pool *, struct plan *);  /* The directory. */
struct err *file_delete(const struct pool *, struct plan *); /* And nothing in it. */
struct err *file_scan(const struct pool *, struct plan *);
struct err *file_watch(const struct pool *, struct plan *);
struct err *file_vol_create(const struct pool *, const struct vol *, int vol_flags,
                            struct plan *);
struct err *file_vol_clone(const struct pool *, const struct vol *, const struct pool *,
                           const struct vol *source, int vol_flags, struct plan *);
struct err *file_vol_fetch(const struct pool *, const struct vol *, const char *url,
                           const char *sha256, struct plan *);
struct err *file_vol_stat(const struct pool *, const struct vol *, struct plan *);
struct err *file_vol_delete(const struct pool *, const struct vol *, struct plan *);
struct err *file_vol_resize(const struct pool *, const struct vol *, int64_t capacity,
                            int vol_flags, struct plan *);
struct err *file_vol_upload(const struct pool *, const struct vol *, int64_t offset,
                            int64_t length, struct plan *);
struct err *file_vol_download(const struct pool *, const struct vol *, int64_t offset,
                              int64_t length, struct plan *);
struct err *file_vol_wipe(const struct pool *, const struct vol *, enum wipe_algorithm,
                          struct plan *);

/* The members of struct pool_ops that are the same for all of them. */
#define FILE_POOL_OPS                                                                      \
    .is_files = true, .delete = file_delete, .scan = file_scan, .watch = file_watch,       \
    .vol_create = file_vol_create, .vol_fetch = file_vol_fetch,                            \
    .vol_clone = file_vol_clone, .vol_stat = file_vol_stat, .vol_delete = file_vol_delete, \
    .vol_resize = file_vol_resize, .vol_upload = file_vol_upload,                          \
    .vol_download = file_vol_download, .vol_wipe = file_vol_wipe

#endif /* store/backend/file_i.h */
