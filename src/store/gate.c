/* store/gate.c: the only caller of a pool_ops. */
#include "store/gate.h"

#include "base/str.h"
#include "store/code.h"
#include "store/conflict.h"
#include "store/fetch.h"
#include "store/grow.h"
#include "store/pool_ops.h"

/* Backends that exist; a type without one is refused by name. */
static const struct pool_ops *const backends[] = { &pool_dir_ops,   &pool_fs_ops,
                                                   &pool_netfs_ops, &pool_logical_ops,
                                                   &pool_disk_ops,  &pool_iscsi_ops,
                                                   &pool_scsi_ops,  &pool_mpath_ops };

const struct pool_ops *
pool_ops_find(enum pool_type type)
{
    for (size_t i = 0; i < N_ELEMS(backends); i++) {
        if (backends[i]->type == type) {
            return backends[i];
        }
    }
    return NULL;
}

bool
pool_path_is_system(const char *path)
{
    /* Below these nothing is anybody's to fill, build or delete ... */
    static const char *const trees[] = { "/bin",  "/boot",  "/dev",   "/etc",
                                         "/lib",  "/lib32", "/lib64", "/proc",
                                         "/sbin", "/sys",   "/usr" };
    /* ... and these hold others' things; directories below them are fine. */
    static const char *const tops[] = { "/",        "/home",   "/media",   "/mnt",
                                        "/opt",     "/root",   "/run",     "/srv",
                                        "/tmp",     "/var",    "/var/lib", "/var/log",
                                        "/var/run", "/var/tmp" };
    for (size_t i = 0; i < N_ELEMS(trees); i++) {
        size_t n = strlen(trees[i]);
        if (str_starts(path, trees[i]) && (!path[n] || path[n] == '/')) {
            return !str_starts(path, "/dev/shm/");
        }
    }
    for (size_t i = 0; i < N_ELEMS(tops); i++) {
        if (str_eq(path, tops[i])) {
            return true;
        }
    }
    return false;
}

static struct err *
no_backend(const struct pool *pool)
{
    return err_hint(
        store_err(VE_INTERNAL, "missing backend for pool type %d (%s)", (int) pool->type,
                  pool_type_name(pool->type)),
        "use a pool of type dir, fs, netfs, logical, disk, iscsi, scsi or mpath");
}

/* A directory that root will work in: absolute, no "..", one line. */
static struct err *
check_target(const struct pool *pool)
{
    const char *path = pool->target.path;
    if (!path || path[0] != '/') {
        return err_hint(store_err(VE_INVALID_ARG,
                                  "target path '%s' of pool '%s' is not absolute",
                                  path ? path : "", pool->name),
                        "begin the path with '/'");
    }
    for (const char *p = path; *p; p++) {
        if ((uint8_t) *p < 0x20 || *p == 0x7f) {
            return store_err(VE_INVALID_ARG,
                             "target path of pool '%s' has a control character",
                             pool->name);
        } else if (str_starts(p, "/..") && (!p[3] || p[3] == '/')) {
            return store_err(VE_INVALID_ARG, "target path '%s' of pool '%s' contains '..'",
                             path, pool->name);
        }
    }
    if (pool_path_is_system(path[1] == '/' ? path + 1 : path)) {
        return err_hint(
            store_err(VE_INVALID_ARG,
                      "target path '%s' of pool '%s' is a directory of the system", path,
                      pool->name),
            "use a directory of its own, such as /var/lib/byre/pools/%s", pool->name);
    }
    return NULL;
}

/* A place for nodes, which is only looked at. */
static struct err *
check_device_target(const struct pool *pool)
{
    const char *path = pool->target.path;
    for (const char *p = path ? path : ""; *p; p++) {
        if ((uint8_t) *p < 0x20 || *p == 0x7f) {
            return store_err(VE_INVALID_ARG,
                             "target path of pool '%s' has a control character",
                             pool->name);
        }
    }
    return path && path[0] == '/'
               ? NULL
               : err_hint(store_err(VE_INVALID_ARG,
                                    "target path '%s' of pool '%s' is not absolute",
                                    path ? path : "", pool->name),
                          "begin the path with '/', such as /dev/disk/by-id");
}

static struct err *
check_definition(const struct pool *pool, const struct pool_ops *ops)
{
    TRY(ops->is_files ? check_target(pool) : check_device_target(pool));
    return ops->valid ? ops->valid(pool) : NULL;
}

/* What is common to all: there is a backend, a name, a place. */
static struct err *
enter(const struct pool *pool, const struct pool_ops **ret_ops)
{
    if (!pool->name || !*pool->name || strchr(pool->name, '/')) {
        return store_err(VE_XML_ERROR, "missing pool source name element");
    }
    *ret_ops = pool_ops_find(pool->type);
    if (!*ret_ops) {
        return no_backend(pool);
    }
    return check_definition(pool, *ret_ops);
}

struct err *
gate_pool_define(const struct pool *pool)
{
    const struct pool_ops *ops;
    return enter(pool, &ops);
}

/* Every plan does something; an empty one is a backend's mistake. */
static struct err *
leave(struct err *e, const struct plan *plan)
{
    ASSERT(e || plan->steps.n > 0);
    return e;
}

struct err *
gate_find_sources(const struct pool *spec, struct plan *plan)
{
    const struct pool_ops *ops = pool_ops_find(spec->type);
    if (!ops) {
        return no_backend(spec);
    } else if (!ops->find_sources) {
        return store_err(VE_NO_SUPPORT, "pool type '%s' does not support source discovery",
                         pool_type_name(spec->type));
    }
    return leave(ops->find_sources(spec, plan), plan);
}

struct err *
gate_pool_check(const struct pool *pool, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter(pool, &ops));
    return leave(ops->check(pool, plan), plan);
}

struct err *
gate_pool_build(const struct pool *pool, int flags, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter(pool, &ops));
    if (flags & ~(BUILD_OVERWRITE | BUILD_NO_OVERWRITE)) {
        return store_err(VE_INVALID_ARG,
                         "unsupported flags (0x%x) in function gate_pool_build",
                         (unsigned) flags);
    } else if (flags == (BUILD_OVERWRITE | BUILD_NO_OVERWRITE)) {
        return store_err(VE_INVALID_ARG,
                         "overwrite and no-overwrite flags are mutually exclusive");
    }
    return ops->build ? leave(ops->build(pool, flags, plan), plan) : NULL;
}

struct err *
gate_pool_start(const struct pool *pool, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter(pool, &ops));
    if (ops->start) {
        TRY(ops->start(pool, plan));
    }
    /* A pool has started when it can be listed. */
    return leave(ops->scan(pool, plan), plan);
}

struct err *
gate_pool_distinct(const struct pool *pool, const struct pool *const *others,
                   size_t n_others, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter(pool, &ops));
    for (size_t i = 0; i < n_others; i++) {
        TRY(enter(others[i], &ops));
    }
    TRY(conflict_check(pool, others, n_others));
    conflict_plan(pool, others, n_others, plan);
    return NULL;
}

struct err *
gate_pool_stop(const struct pool *pool, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter(pool, &ops));
    return ops->stop ? leave(ops->stop(pool, plan), plan) : NULL;
}

struct err *
gate_pool_refresh(const struct pool *pool, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter(pool, &ops));
    return leave(ops->scan(pool, plan), plan);
}

struct err *
gate_pool_watch(const struct pool *pool, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter(pool, &ops));
    if (!ops->watch) {
        return store_err(VE_NO_SUPPORT, "storage pool does not support watching");
    }
    return leave(ops->watch(pool, plan), plan);
}

struct err *
gate_pool_grow_look(const struct pool *pool, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter(pool, &ops));
    plan_of_pool(plan, STEP_GROW_LOOK, pool);
    return NULL;
}

/* What follows from the look, and a look at what came of it. */
static struct err *
then_grow(const struct plan_seen *seen, const void *aux, struct plan *plan,
          struct err *(*go_on)(const struct grow_look *, struct plan *) )
{
    const char *text = plan_seen_text(seen, "look");
    CLEANUP(grow_look_done) struct grow_look look = GROW_LOOK_INIT;
    struct json j;
    TRY(json_parse(&plan->arena, text, strcspn(text, "\n"), &j));
    TRY(grow_look_decode(&j, &look));
    TRY(go_on(&look, plan));
    plan_of_pool(plan, STEP_GROW_LOOK, aux);
    return NULL;
}

static struct err *
then_grow_host(const struct plan_seen *seen, const void *aux, struct plan *plan)
{
    return then_grow(seen, aux, plan, grow_plan_host);
}

static struct err *
then_grow_top(const struct plan_seen *seen, const void *aux, struct plan *plan)
{
    return then_grow(seen, aux, plan, grow_plan_top);
}

struct err *
gate_pool_grow_host(const struct pool *pool, struct plan *plan)
{
    TRY(gate_pool_grow_look(pool, plan));
    plan_then(plan, then_grow_host, pool, "rescan its disks and resize its maps");
    return NULL;
}

struct err *
gate_pool_grow_top(const struct pool *pool, struct plan *plan)
{
    TRY(gate_pool_grow_look(pool, plan));
    plan_then(plan, then_grow_top, pool, "grow what lies on them");
    return NULL;
}

struct err *
gate_pool_delete(const struct pool *pool, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter(pool, &ops));
    if (!ops->delete) {
        return store_err(VE_NO_SUPPORT, "pool does not support pool deletion");
    }
    return leave(ops->delete (pool, plan), plan);
}

/* A volume of such a pool, by its name; and what messages call it. */
static struct err *
enter_vol(const struct pool *pool, const struct vol *vol, struct plan *plan,
          const struct pool_ops **ret_ops)
{
    TRY(enter(pool, ret_ops));
    TRY(vol_check(vol, pool->type));
    plan->noun =
        arena_printf(&plan->arena, "volume '%s' of pool '%s'", vol->name, pool->name);
    return NULL;
}

static struct err *
check_flags(int flags, int known, const char *function)
{
    if (flags & ~known) {
        return store_err(VE_INVALID_ARG, "unsupported flags (0x%x) in function %s",
                         (unsigned) (flags & ~known), function);
    }
    return NULL;
}

struct err *
gate_vol_create(const struct pool *pool, const struct vol *vol, int flags,
                struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter_vol(pool, vol, plan, &ops));
    TRY(check_flags(flags, VOL_PREALLOC_METADATA | VOL_OVERCOMMIT, "gate_vol_create"));
    if (!ops->vol_create) {
        return store_err(VE_NO_SUPPORT, "storage pool does not support volume creation");
    } else if (vol->capacity < 0 && !vol->backing.path) {
        return store_err(VE_XML_ERROR, "missing capacity element");
    }
    return leave(ops->vol_create(pool, vol, flags, plan), plan);
}

/* A device is a row of bytes, whatever its partition's type says ("none", "linux"). */
static const struct vol *
bytes_of(const struct vol *source, struct plan *plan)
{
    struct vol *vol = ARENA_NEW(&plan->arena, struct vol);
    *vol = *source;
    vol->arena = ARENA_INIT;
    vol->target.format = "raw";
    return vol;
}

struct err *
gate_vol_clone(const struct pool *pool, const struct vol *vol,
               const struct pool *source_pool, const struct vol *source, int flags,
               struct plan *plan)
{
    const struct pool_ops *ops, *source_ops;
    TRY(enter_vol(source_pool, source, plan, &source_ops));
    TRY(enter_vol(pool, vol, plan, &ops));
    TRY(check_flags(flags, VOL_PREALLOC_METADATA | VOL_REFLINK | VOL_OVERCOMMIT,
                    "gate_vol_clone"));
    if (!ops->vol_clone) {
        return store_err(VE_NO_SUPPORT,
                         "storage pool does not support volume creation from an "
                         "existing volume");
    } else if (str_eq(vol->name, source->name) &&
               str_eq(pool->target.path, source_pool->target.path)) {
        return store_err(VE_INTERNAL, "storage volume name '%s' already in use.",
                         vol->name);
    }
    if (!source_ops->is_files) {
        source = bytes_of(source, plan);
    }
    return leave(ops->vol_clone(pool, vol, source_pool, source, flags, plan), plan);
}

struct err *
gate_vol_fetch(const struct pool *pool, const struct vol *vol, const char *url,
               const char *sha256, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter_vol(pool, vol, plan, &ops));
    TRY(fetch_check(url, sha256));
    if (!ops->vol_fetch) {
        return err_hint(
            store_err(VE_NO_SUPPORT, "storage pool does not support volumes from a URL"),
            "fetch it into a pool of type dir, fs or netfs and clone it from there");
    }
    return leave(ops->vol_fetch(pool, vol, url, sha256, plan), plan);
}

struct err *
gate_vol_stat(const struct pool *pool, const struct vol *vol, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter_vol(pool, vol, plan, &ops));
    if (!ops->vol_stat) {
        return store_err(VE_NO_SUPPORT, "storage pool does not support volume refresh");
    }
    return leave(ops->vol_stat(pool, vol, plan), plan);
}

struct err *
gate_vol_delete(const struct pool *pool, const struct vol *vol, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter_vol(pool, vol, plan, &ops));
    if (!ops->vol_delete) {
        return store_err(VE_NO_SUPPORT, "storage pool does not support vol deletion");
    }
    return leave(ops->vol_delete(pool, vol, plan), plan);
}

struct err *
gate_vol_resize(const struct pool *pool, const struct vol *vol, int64_t capacity, int flags,
                struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter_vol(pool, vol, plan, &ops));
    TRY(check_flags(flags, VOL_ALLOCATE | VOL_SHRINK | VOL_OVERCOMMIT, "gate_vol_resize"));
    if (!ops->vol_resize) {
        return store_err(VE_NO_SUPPORT,
                         "storage pool does not support changing of volume capacity");
    } else if (capacity <= 0 && !(flags & VOL_SHRINK)) {
        return store_err(VE_INVALID_ARG,
                         "capacity in virStorageVolResize cannot be zero without "
                         "'delta' or 'shrink' flags set");
    } else if (capacity < 0) {
        return store_err(VE_INVALID_ARG, "capacity cannot be negative");
    }
    return leave(ops->vol_resize(pool, vol, capacity, flags, plan), plan);
}

static struct err *
check_range(int64_t offset, int64_t length)
{
    if (offset < 0 || length < 0 || offset > INT64_MAX - length) {
        return store_err(VE_INVALID_ARG,
                         "offset %" PRId64 " and length %" PRId64 " are no range", offset,
                         length);
    }
    return NULL;
}

struct err *
gate_vol_upload(const struct pool *pool, const struct vol *vol, int64_t offset,
                int64_t length, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter_vol(pool, vol, plan, &ops));
    TRY(check_range(offset, length));
    if (!ops->vol_upload) {
        return store_err(VE_NO_SUPPORT, "storage pool doesn't support volume upload");
    }
    return leave(ops->vol_upload(pool, vol, offset, length, plan), plan);
}

struct err *
gate_vol_download(const struct pool *pool, const struct vol *vol, int64_t offset,
                  int64_t length, struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter_vol(pool, vol, plan, &ops));
    TRY(check_range(offset, length));
    if (!ops->vol_download) {
        return store_err(VE_NO_SUPPORT, "storage pool doesn't support volume download");
    }
    return leave(ops->vol_download(pool, vol, offset, length, plan), plan);
}

static const char *const wipe_names[N_WIPE_ALGORITHMS] = {
    "zero",     "nnsa",      "dod",        "bsi",    "gutmann",
    "schneier", "pfitzner7", "pfitzner33", "random", "trim"
};

const char *
wipe_algorithm_name(enum wipe_algorithm algorithm)
{
    ASSERT(algorithm < N_WIPE_ALGORITHMS);
    return wipe_names[algorithm];
}

bool
wipe_algorithm_parse(const char *name, enum wipe_algorithm *ret)
{
    for (int i = 0; i < N_WIPE_ALGORITHMS; i++) {
        if (str_eq(wipe_names[i], name)) {
            *ret = (enum wipe_algorithm) i;
            return true;
        }
    }
    return false;
}

struct err *
gate_vol_wipe(const struct pool *pool, const struct vol *vol, enum wipe_algorithm algorithm,
              struct plan *plan)
{
    const struct pool_ops *ops;
    TRY(enter_vol(pool, vol, plan, &ops));
    if (algorithm >= N_WIPE_ALGORITHMS) {
        return store_err(VE_INVALID_ARG, "wiping algorithm %d not supported",
                         (int) algorithm);
    } else if (!ops->vol_wipe) {
        return store_err(VE_NO_SUPPORT, "storage pool doesn't support volume wiping");
    }
    return leave(ops->vol_wipe(pool, vol, algorithm, plan), plan);
}
