/* store/backend/lun_i.h: volumes that are LUNs: what iscsi, scsi and mpath share. */
#ifndef STORE_BACKEND_LUN_I_H
#define STORE_BACKEND_LUN_I_H 1

#include "store/pool_ops.h"

struct err *lun_upload(const struct pool *, const struct vol *, int64_t offset,
                       int64_t length, struct plan *);
struct err *lun_download(const struct pool *, const struct vol *, int64_t offset,
                         int64_t length, struct plan *);
struct err *lun_wipe(const struct pool *, const struct vol *, enum wipe_algorithm,
                     struct plan *);

/* For tests: what find-sources and a scan make of what programs print. */
struct err *iscsi_parse_targets(const struct plan_seen *, const void *spec,
                                const struct plan_found *);
struct err *mpath_parse(const struct plan_seen *, const void *, const struct plan_found *);
struct err *netfs_parse_exports(const struct plan_seen *, const void *spec,
                                const struct plan_found *);

#endif /* store/backend/lun_i.h */
