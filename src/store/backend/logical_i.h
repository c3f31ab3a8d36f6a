/* store/backend/logical_i.h: what the pool (logical.c) and its volumes (logical_vol.c) share. */
#ifndef STORE_BACKEND_LOGICAL_I_H
#define STORE_BACKEND_LOGICAL_I_H 1

#include "store/backend/lvm_i.h"
#include "store/pool_ops.h"

#define LVM_FAILED 5 /* Exit status: also if what was asked about is not there. */

/* What parsing and deciding need; in the plan's arena. */
struct logical {
    const struct pool *pool;
    struct lvm_source source;
    const char *name; /* Of a volume; NULL: all. */
    int64_t capacity; /* Resize. */
    bool shrink;
};

/* In the plan's arena; 'vol' NULL: the pool as a whole. */
struct logical *logical_enter(const struct pool *, const struct vol *, struct plan *);
const char *logical_lv(struct plan *, const struct logical *,
                       const char *name); /* GROUP/NAME */
const char *logical_node(struct plan *, const struct logical *, const char *name);
/* `lvs`, `vgs` or `pvs` with these columns, of 'what' (NULL: all); the output is kept by the
 * program's name. */
struct plan_step *logical_report(struct plan *, const char *program, const char *columns,
                                 const char *what);
void logical_activity(struct plan *, const struct logical *); /* Active?  Open? */
/* What is there now: the group, and one volume or all. */
void logical_list(struct plan *, const struct logical *);
/* Shared by those who write clones, held alone by who removes dead ones. */
struct plan_step *logical_lock(struct plan *, const struct logical *, bool alone);

/* As in struct pool_ops. */
const char *logical_vol_path(const struct pool *pool, const struct vol *vol,
                             struct arena *arena);
struct err *logical_vol_create(const struct pool *pool, const struct vol *vol, int flags,
                               struct plan *plan) MUST_CHECK;
struct err *logical_vol_clone(const struct pool *pool, const struct vol *vol,
                              const struct pool *source_pool, const struct vol *source,
                              int flags, struct plan *plan) MUST_CHECK;
struct err *logical_vol_stat(const struct pool *pool, const struct vol *vol,
                             struct plan *plan) MUST_CHECK;
struct err *logical_vol_delete(const struct pool *pool, const struct vol *vol,
                               struct plan *plan) MUST_CHECK;
struct err *logical_vol_resize(const struct pool *pool, const struct vol *vol,
                               int64_t capacity, int flags, struct plan *plan) MUST_CHECK;
struct err *logical_vol_upload(const struct pool *pool, const struct vol *vol,
                               int64_t offset, int64_t length,
                               struct plan *plan) MUST_CHECK;
struct err *logical_vol_download(const struct pool *pool, const struct vol *vol,
                                 int64_t offset, int64_t length,
                                 struct plan *plan) MUST_CHECK;
struct err *logical_vol_wipe(const struct pool *pool, const struct vol *vol,
                             enum wipe_algorithm algorithm, struct plan *plan) MUST_CHECK;

#endif /* store/backend/logical_i.h */
