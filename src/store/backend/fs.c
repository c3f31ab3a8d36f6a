/* store/backend/fs.c: a file system on a block device.  Commands: mount(8), umount(8), blkid(8),
 * mkfs.TYPE(8).
 *
 * The mount's arguments are libvirt's.  Making the file system is mkfs.TYPE itself and not
 * mkfs(8), so that one that is not installed can be named. */
#include "base/str.h"
#include "store/backend/blank_i.h"
#include "store/backend/file_i.h"
#include "store/backend/mount_i.h"
#include "store/code.h"

/* How each format is made without a question.  A format without a row has no such program. */
static const struct mkfs_row {
    const char *format, *program, *options[5];
} makers[] = {
    { "ext2", "mkfs.ext2", { "-q", "-F" } },
    { "ext3", "mkfs.ext3", { "-q", "-F" } },
    { "ext4", "mkfs.ext4", { "-q", "-F" } },
    { "xfs", "mkfs.xfs", { "-q", "-f" } },
    { "vfat", "mkfs.vfat", { "-I" } },
    { "udf", "mkfs.udf", { NULL } },
    { "hfs+", "mkfs.hfsplus", { NULL } },
    { "ocfs2", "mkfs.ocfs2", { "-q", "-F" } },
    { "gfs2", "mkfs.gfs2", { "-q", "-O", "-p", "lock_nolock" } },
    { "ufs", "mkfs.ufs", { NULL } },
    { "gfs", "mkfs.gfs", { "-q", "-O", "-p", "lock_nolock" } },
};

static struct err *
fs_valid(const struct pool *pool)
{
    for (size_t i = 0; i < pool->source.n_devices; i++) {
        TRY(device_path_check(pool->source.devices[i].path));
    }
    return NULL;
}

static struct err *
check_source(const struct pool *pool)
{
    return pool->source.n_devices == 1
               ? NULL
               : store_err(VE_CONFIG_UNSUPPORTED,
                           "expected exactly 1 device for the storage pool");
}

static struct err *
fs_check(const struct pool *pool, struct plan *plan)
{
    TRY(check_source(pool));
    TRY(mount_check(pool, plan));
    plan_add(plan, STEP_ALIVE, pool->source.devices[0].path);
    plan_when(plan, STEP_IF_ACTIVE); /* The mount alone may be answered from memory. */
    return NULL;
}

static struct err *
plan_mkfs(const struct pool *pool, struct plan *plan)
{
    const char *format = pool->source.format;
    for (size_t i = 0; i < N_ELEMS(makers); i++) {
        const struct mkfs_row *row = &makers[i];
        if (!str_eq(format, row->format)) {
            continue;
        }
        plan_cmd(plan, row->program);
        for (size_t o = 0; o < N_ELEMS(row->options) && row->options[o]; o++) {
            plan_arg(plan, row->options[o]);
        }
        plan_arg(plan, pool->source.devices[0].path);
        return NULL;
    }
    return err_hint(store_err(VE_CONFIG_UNSUPPORTED,
                              "a file system of format '%s' cannot be made", format),
                    "give the pool a format, such as ext4 or xfs: --source-format ext4");
}

static struct err *
fs_build(const struct pool *pool, int flags, struct plan *plan)
{
    TRY(file_build(pool, plan));
    if (!flags) {
        return NULL;
    } else if (pool->source.n_devices == 0) {
        return store_err(VE_OPERATION_INVALID,
                         "No source device specified when formatting pool '%s'",
                         pool->name);
    }
    const char *device = pool->source.devices[0].path;
    struct plan_step *step = plan_device(plan, device, true); /* Nobody may have it. */
    step->strict = true;
    if (flags & BUILD_NO_OVERWRITE) {
        plan_blank(plan, device, pool->source.format);
    }
    return plan_mkfs(pool, plan);
}

static struct err *
fs_start(const struct pool *pool, struct plan *plan)
{
    TRY(check_source(pool));
    plan_add(plan, STEP_ALIVE, pool->source.devices[0].path);
    TRY(mount_check(pool, plan));
    plan->steps.v[plan->steps.n - 1]->strict = true;
    plan_cmd(plan, "mount");
    TRY(mount_options(pool, "", plan));
    plan_arg(plan, "-t");
    plan_arg(plan, pool->source.format);
    plan_arg(plan, pool->source.devices[0].path);
    plan_arg(plan, pool->target.path);
    plan_when(plan, STEP_IF_INACTIVE);
    plan_undo(plan, "umount", pool->target.path);
    return NULL;
}

static struct err *
fs_stop(const struct pool *pool, struct plan *plan)
{
    TRY(check_source(pool));
    return mount_stop(pool, plan);
}

const struct pool_ops pool_fs_ops = {
    .type = POOL_FS,
    FILE_POOL_OPS,
    .valid = fs_valid,
    .check = fs_check,
    .build = fs_build,
    .start = fs_start,
    .stop = fs_stop,
};
