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

const struct pool_ops pool_dir_ops = {
    .type = POOL_DIR,
    FILE_POOL_OPS,
    .check = dir_check,
    .build = dir_build,
};
