/* store/backend/block.c: contents of volumes that are block devices. */
#include "store/backend/block_i.h"

#include "base/str.h"
#include "store/backend/blank_i.h"
#include "store/code.h"

static bool
is_raw(const struct vol *vol)
{
    return !vol->target.format || str_eq(vol->target.format, "raw") ||
           str_eq(vol->target.format, "iso") || str_eq(vol->target.format, "none");
}

struct err *
plan_clone_source(struct plan *plan, const struct pool *source_pool,
                  const struct vol *source)
{
    const struct pool_ops *ops = pool_ops_find(source_pool->type);
    if (source->type == VOL_DIR || str_eq(source->target.format, "dir")) {
        return store_err(VE_CONFIG_UNSUPPORTED, "a volume of format dir cannot be cloned");
    } else if (source->target.crypt.format) {
        return store_err(VE_CONFIG_UNSUPPORTED, "an encrypted volume cannot be cloned");
    } else if (ops->is_files) {
        struct plan_step *step = plan_source(plan, source_pool->target.path, source->name);
        if (!is_raw(source)) {
            step->format = arena_str(&plan->arena, source->target.format);
            step->backing =
                source->backing.path ? arena_str(&plan->arena, source->backing.path) : NULL;
        }
        return NULL;
    } else if (
        !ops->vol_path) { /* A LUN or a map, looked up again among those of its pool. */
        struct plan_step *step = plan_add(plan, STEP_SOURCE_LUN, source->name);
        step->aux = source_pool;
        plan->source = step->name;
        return NULL;
    }
    const char *path = ops->vol_path(source_pool, source, &plan->arena);
    TRY(device_path_check(path));
    plan_source_device(plan, path);
    return NULL;
}

void
plan_block_fill(struct plan *plan, const struct vol *source)
{
    if (is_raw(source)) {
        plan_size(plan, STEP_COPY, max64(source->capacity, 0));
        return;
    }
    struct plan_step *convert = plan_cmd(plan, "qemu-img", "convert", "-p", "-n", "-f",
                                         source->target.format, "-O", "raw");
    convert->percent = true;
    convert->size = max64(source->capacity, 0);
    plan_arg_source(plan);
    plan_arg_file(plan);
}

void
plan_block_upload(struct plan *plan, const char *path, int64_t offset, int64_t length)
{
    plan_add(plan, STEP_SETTLE, NULL); /* Nodes may be on their way. */
    plan_device(plan, path, true);
    struct plan_step *step = plan_add(plan, STEP_RECEIVE, NULL);
    step->offset = offset;
    step->length = length;
    step->bounded = true;
    plan_add(plan, STEP_SYNC, NULL);
}

void
plan_block_download(struct plan *plan, const char *path, int64_t offset, int64_t length)
{
    plan_add(plan, STEP_SETTLE, NULL); /* Nodes may be on their way. */
    plan_device(plan, path, false);
    struct plan_step *step = plan_add(plan, STEP_SEND, NULL);
    step->offset = offset;
    step->length = length;
}

void
plan_block_wipe(struct plan *plan, const char *path, enum wipe_algorithm algorithm)
{
    plan_add(plan, STEP_SETTLE, NULL); /* Nodes may be on their way. */
    plan_device(plan, path, true);
    plan_add(plan, STEP_WIPE, NULL)->algorithm = (int) algorithm;
    plan_add(plan, STEP_SYNC, NULL);
}
