/* store/backend/dir.c: a directory that exists anyway; there is nothing to start or stop. */
#include "store/backend/file_i.h"
#include "store/code.h"

static struct err *
dir_check(const struct pool *pool, struct plan *plan)
{
    plan_add(plan, STEP_CHECK, pool->target.path);
    return NULL;
}

/* libvirt would run mkfs on a stray <device> of a dir pool here.  We never do. */
static struct err *
dir_build(const struct pool *pool, int flags, struct plan *plan)
{
    if (flags) {
        return err_hint(store_err(VE_OPERATION_INVALID,
                                  "No source device specified when formatting pool '%s'",
                                  pool->name),
                        "build a pool of type dir without overwrite or no-overwrite");
    }
    return file_build(pool, plan);
}

static struct err *
dir_delete(const struct pool *pool, struct plan *plan)
{
    plan_add(plan, STEP_RMDIR_ROOT, pool->target.path);
    return NULL;
}

const struct pool_ops pool_dir_ops = {
    .type = POOL_DIR,
    .is_files = true,
    .check = dir_check,
    .build = dir_build,
    .delete = dir_delete,
    .scan = file_scan,
    .watch = file_watch,
    .vol_create = file_vol_create,
    .vol_clone = file_vol_clone,
    .vol_fetch = file_vol_fetch,
    .vol_stat = file_vol_stat,
    .vol_delete = file_vol_delete,
    .vol_resize = file_vol_resize,
    .vol_upload = file_vol_upload,
    .vol_download = file_vol_download,
    .vol_wipe = file_vol_wipe,
};
