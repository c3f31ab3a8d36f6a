/* store/backend/block_i.h: volumes that are block devices: what all such backends share. */
#ifndef STORE_BACKEND_BLOCK_I_H
#define STORE_BACKEND_BLOCK_I_H 1

#include "store/pool_ops.h"

/* Opens what is to be cloned: a file of a pool of files, or a device. */
struct err *plan_clone_source(struct plan *, const struct pool *source_pool,
                              const struct vol *source) MUST_CHECK;
/* Copies or converts it to the device in work, whole: no hole keeps what was there before. */
void plan_block_fill(struct plan *, const struct vol *source);

void plan_block_upload(struct plan *, const char *path, int64_t offset, int64_t length);
void plan_block_download(struct plan *, const char *path, int64_t offset, int64_t length);
void plan_block_wipe(struct plan *, const char *path, enum wipe_algorithm);

#endif /* store/backend/block_i.h */
