/* store/pool_ops.h: what a pool backend is.  One of these tables a type, one file each.
 *
 * Members append to 'plan' what has to be done; they are pure: no I/O, no clock.  The gate has
 * checked every argument; don't check again.  A null member means that this type of pool
 * cannot do it (or has nothing to do); the gate answers so. */
#ifndef STORE_POOL_OPS_H
#define STORE_POOL_OPS_H 1

#include "store/gate.h"
#include "store/plan.h"
#include "store/pool.h"
#include "store/volume.h"

struct pool_ops {
    enum pool_type type;

    /* Volumes are files in the target, a directory in which root then works: the gate refuses
     * the system's own.  Else the target only says where the volumes' nodes are looked for. */
    bool is_files;
    /* Can a plan be made of this definition?  Devices, names and hosts come from outside: no
     * option may hide in one.  NULL: nothing to check. */
    struct err *(*valid)(const struct pool *);

    /* Sources of this type that this host, or the spec's host, offers: into the result's
     * 'sources'.  Of 'spec' only the source counts. */
    struct err *(*find_sources)(const struct pool *spec, struct plan *);
    /* Sets the result's 'active': does what start would bring about hold already? */
    struct err *(*check)(const struct pool *, struct plan *);
    struct err *(*build)(const struct pool *, int build_flags, struct plan *);
    struct err *(*start)(const struct pool *, struct plan *);
    struct err *(*stop)(const struct pool *, struct plan *);
    struct err *(*delete)(const struct pool *, struct plan *);

    /* Lists the volumes: commands whose output is kept and a plan_parse(), or STEP_SCAN. */
    struct err *(*scan)(const struct pool *, struct plan *);
    /* Has the kernel tell of names that change. */
    struct err *(*watch)(const struct pool *, struct plan *);

    /* Of devices: where the volume's node is.  In the arena. */
    const char *(*vol_path)(const struct pool *, const struct vol *, struct arena *);
    struct err *(*vol_create)(const struct pool *, const struct vol *, int vol_flags,
                              struct plan *);
    struct err *(*vol_clone)(const struct pool *, const struct vol *,
                             const struct pool *source_pool, const struct vol *source,
                             int vol_flags, struct plan *);
    /* What 'url' sends, as a new volume; 'sha256' may be NULL. */
    struct err *(*vol_fetch)(const struct pool *, const struct vol *, const char *url,
                             const char *sha256, struct plan *);
    struct err *(*vol_stat)(const struct pool *, const struct vol *, struct plan *);
    struct err *(*vol_delete)(const struct pool *, const struct vol *, struct plan *);
    struct err *(*vol_resize)(const struct pool *, const struct vol *, int64_t capacity,
                              int vol_flags, struct plan *);
    struct err *(*vol_upload)(const struct pool *, const struct vol *, int64_t offset,
                              int64_t length, struct plan *);
    struct err *(*vol_download)(const struct pool *, const struct vol *, int64_t offset,
                                int64_t length, struct plan *);
    struct err *(*vol_wipe)(const struct pool *, const struct vol *, enum wipe_algorithm,
                            struct plan *);
};

extern const struct pool_ops pool_dir_ops;
extern const struct pool_ops pool_fs_ops;
extern const struct pool_ops pool_netfs_ops;
extern const struct pool_ops pool_logical_ops;
extern const struct pool_ops pool_disk_ops;
extern const struct pool_ops pool_iscsi_ops;
extern const struct pool_ops pool_scsi_ops;
extern const struct pool_ops pool_mpath_ops;

/* NULL if Byre has no backend for this type. */
const struct pool_ops *pool_ops_find(enum pool_type);

#endif /* store/pool_ops.h */
