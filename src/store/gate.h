/* store/gate.h: the one way to a backend: every argument is checked here, then it plans.
 *
 * Pure.  Each function appends to 'plan' (PLAN_INIT) or fails with libvirt's code and text and
 * leaves nothing to run.  A backend that lacks an operation answers VE_NO_SUPPORT, a pool type
 * without a backend VE_INTERNAL "missing backend for pool type 9 (rbd)".
 * What only the machine knows (is there room, does the name exist) is a step of the plan. */
#ifndef STORE_GATE_H
#define STORE_GATE_H 1

#include "store/plan.h"
#include "store/pool.h"
#include "store/volume.h"

enum build_flags { BUILD_NO_OVERWRITE = 4, BUILD_OVERWRITE = 8 }; /* libvirt's values. */

enum vol_flags {
    VOL_PREALLOC_METADATA = 1,
    VOL_REFLINK = 2,
    VOL_ALLOCATE = 8,    /* Resize: have blocks for all of it. */
    VOL_SHRINK = 16,     /* Resize: may lose data. */
    VOL_OVERCOMMIT = 32, /* A capacity beyond the pool's is fine. */
};

/* clang-format off */
enum wipe_algorithm { WIPE_ZERO, WIPE_NNSA, WIPE_DOD, WIPE_BSI, WIPE_GUTMANN, WIPE_SCHNEIER,
                      WIPE_PFITZNER7, WIPE_PFITZNER33, WIPE_RANDOM, WIPE_TRIM,
                      N_WIPE_ALGORITHMS };
/* clang-format on */
const char *wipe_algorithm_name(enum wipe_algorithm); /* "pfitzner7" */
bool wipe_algorithm_parse(const char *, enum wipe_algorithm *ret);

/* May this pool be defined at all: is there a backend, is the target no system directory? */
struct err *gate_pool_define(const struct pool *) MUST_CHECK;
/* 'spec' is a pool of which only type and source count; the name may be missing. */
struct err *gate_find_sources(const struct pool *spec, struct plan *) MUST_CHECK;
struct err *gate_pool_check(const struct pool *, struct plan *) MUST_CHECK;
struct err *gate_pool_build(const struct pool *, int build_flags, struct plan *) MUST_CHECK;
struct err *gate_pool_start(const struct pool *, struct plan *) MUST_CHECK;
/* Before any of 'others' on this host: none may have the same source, however it is spelled. */
struct err *gate_pool_distinct(const struct pool *, const struct pool *const *others,
                               size_t n_others, struct plan *) MUST_CHECK;
struct err *gate_pool_stop(const struct pool *, struct plan *) MUST_CHECK;
struct err *gate_pool_refresh(const struct pool *, struct plan *) MUST_CHECK;
/* VE_NO_SUPPORT if the pool's volumes are no files. */
struct err *gate_pool_watch(const struct pool *, struct plan *) MUST_CHECK;
/* A larger LUN (store/grow.h): only looks; has this host know the size; grows what lies on it. */
struct err *gate_pool_grow_look(const struct pool *, struct plan *) MUST_CHECK;
struct err *gate_pool_grow_host(const struct pool *, struct plan *) MUST_CHECK;
struct err *gate_pool_grow_top(const struct pool *, struct plan *) MUST_CHECK;
struct err *gate_pool_delete(const struct pool *, struct plan *) MUST_CHECK;

struct err *gate_vol_create(const struct pool *, const struct vol *, int vol_flags,
                            struct plan *) MUST_CHECK;
/* 'vol' is the new one; 'source' an existing one of 'source_pool' with format, capacity and
 * allocation as observed. */
struct err *gate_vol_clone(const struct pool *, const struct vol *vol,
                           const struct pool *source_pool, const struct vol *source,
                           int vol_flags, struct plan *) MUST_CHECK;
/* Of an existing 'vol' these need the name and the format. */
struct err *gate_vol_stat(const struct pool *, const struct vol *,
                          struct plan *) MUST_CHECK;
struct err *gate_vol_delete(const struct pool *, const struct vol *,
                            struct plan *) MUST_CHECK;
struct err *gate_vol_resize(const struct pool *, const struct vol *, int64_t capacity,
                            int vol_flags, struct plan *) MUST_CHECK;
/* A new volume with what 'url' sends (fetch_url_check()); 'sha256' may be NULL. */
struct err *gate_vol_fetch(const struct pool *, const struct vol *, const char *url,
                           const char *sha256, struct plan *) MUST_CHECK;
/* 'length' 0: all that comes, to the end. */
struct err *gate_vol_upload(const struct pool *, const struct vol *, int64_t offset,
                            int64_t length, struct plan *) MUST_CHECK;
struct err *gate_vol_download(const struct pool *, const struct vol *, int64_t offset,
                              int64_t length, struct plan *) MUST_CHECK;
struct err *gate_vol_wipe(const struct pool *, const struct vol *, enum wipe_algorithm,
                          struct plan *) MUST_CHECK;

/* Directories that no pool may have as its target: "/", "/etc", "/usr" ...  'path' is tidy
 * and has its links resolved. */
bool pool_path_is_system(const char *path);

#endif /* store/gate.h */
