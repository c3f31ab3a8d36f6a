/* store/backend/logical_vol.c: logical volumes.  Commands: lvcreate(8), lvextend(8), lvremove(8).
 *
 * Clones are written under a temporary name and renamed, so that a half-written volume is never
 * seen.  Who writes one shares a lock; a scan that gets the lock alone removes what the dead
 * left behind. */
#include "base/str.h"
#include "json/json.h"
#include "store/backend/block_i.h"
#include "store/backend/logical_i.h"
#include "store/code.h"

#define VOL_MODE 0600
#define TEMP_SUFFIX VOL_TEMP_INFIX "000000"
#define SNAPSHOT_MIN_KIB 1

const char *
logical_vol_path(const struct pool *pool, const struct vol *vol, struct arena *arena)
{
    const char *name = pool->source.name;
    return arena_printf(arena, "/dev/%.*s/%s", (int) strcspn(name, "/"), name, vol->name);
}

static void
plan_kib(struct plan *plan, const char *option, int64_t bytes, int64_t at_least)
{
    plan_arg(plan, option);
    plan_argf(plan, "%" PRId64 "K",
              max64((int64_t) div_up((uint64_t) bytes, 1024), at_least));
}

/* lvcreate of what 'vol' says under 'name'; its undo. */
static struct err *
plan_make(struct plan *plan, const struct logical *l, const struct vol *vol,
          const char *name)
{
    int64_t allocation = vol_wanted_allocation(vol);
    const char *origin = vol->backing.path;
    CLEANUP(free_drop) char *group = str_dupf("/dev/%s/", l->source.vg);
    if (origin && !(str_starts(origin, group) && lvm_is_name(origin + strlen(group)))) {
        return err_hint(store_err(VE_CONFIG_UNSUPPORTED,
                                  "backing volume '%s' is not of volume group '%s'", origin,
                                  l->source.vg),
                        "a snapshot lies in the group of its origin: %sNAME", group);
    }
    plan_cmd(plan, "lvcreate", "--name", name);
    if (l->source.thin && origin) { /* As large as its origin, and it takes no room. */
        plan_arg(plan, "-s");
        plan_arg(plan, "-kn");
        plan_arg(plan, "-ay");
        plan_arg(plan, logical_lv(plan, l, origin + strlen(group)));
    } else if (l->source.thin) {
        plan_kib(plan, "-V", vol->capacity, 1);
        plan_arg(plan, "--thinpool");
        plan_arg(plan, logical_lv(plan, l, l->source.thin));
    } else if (origin) {
        plan_kib(plan, "-L", allocation, SNAPSHOT_MIN_KIB);
        plan_arg(plan, "-s");
        plan_arg(plan, origin);
    } else if (allocation < vol->capacity) {
        plan_kib(plan, "-L", allocation, SNAPSHOT_MIN_KIB);
        plan_arg(plan, "--type");
        plan_arg(plan, "snapshot");
        plan_kib(plan, "--virtualsize", vol->capacity, 1);
        plan_arg(plan, l->source.vg);
    } else {
        plan_kib(plan, "-L", vol->capacity, 1);
        plan_arg(plan, l->source.vg);
    }
    plan_arg(plan, "--yes");
    plan_undo(plan, "lvremove", "-f", logical_lv(plan, l, name));
    return NULL;
}

/* Owner and mode of its node, which hold until the host boots again. */
static void
plan_node_perms(struct plan *plan, const struct logical *l, const struct vol *vol,
                const char *name)
{
    struct perms perms = vol->target.perms;
    perms.mode = perms.mode < 0 ? VOL_MODE : perms.mode;
    plan_add(plan, STEP_NODE, logical_node(plan, l, name));
    plan_device(plan, logical_node(plan, l, name), true);
    plan_perms(plan, &perms);
}

/* The row of the volume in "lvs", or NULL. */
static struct err *
find_row(struct arena *arena, const struct plan_seen *seen, const struct logical *l,
         const struct json **ret)
{
    const struct json *rows;
    *ret = NULL;
    TRY(lvm_rows(arena, plan_seen_text(seen, "lvs"), "lv", &rows));
    JSON_FOR_EACH (row, rows) {
        if (str_eq(lvm_cell(row, "lv_name"), l->name)) {
            *ret = row;
        }
    }
    return NULL;
}

static struct err *
parse_absent(const struct plan_seen *seen, const void *aux,
             const struct plan_found *found UNUSED)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct logical *l = aux;
    const struct json *row;
    TRY(find_row(&arena, seen, l, &row));
    return row ? err_hint(store_err(VE_VOL_EXISTS, "storage volume '%s' exists already",
                                    l->name),
                          "choose another name, or delete that volume first")
               : NULL;
}

static void
plan_absent(struct plan *plan, const struct logical *l)
{
    logical_report(plan, "lvs", "lv_name", l->source.vg);
    plan_parse(plan, parse_absent, l, "make sure that there is no such volume");
}

static struct err *
check_new(const struct pool *pool, const struct vol *vol, int flags)
{
    TRY(lvm_name_check("volume", vol->name));
    if (flags & VOL_PREALLOC_METADATA) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "metadata preallocation is not supported for block volumes");
    } else if (vol->target.crypt.format) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "creation of encrypted volumes is not supported in pool '%s'",
                         pool->name);
    } else if (vol->capacity <= 0 && !vol->backing.path) {
        return store_err(VE_INVALID_ARG, "volume '%s' needs a capacity above 0", vol->name);
    }
    return NULL;
}

struct err *
logical_vol_create(const struct pool *pool, const struct vol *vol, int flags,
                   struct plan *plan)
{
    const struct logical *l = logical_enter(pool, vol, plan);
    TRY(check_new(pool, vol, flags));
    plan_absent(plan, l);
    TRY(plan_make(plan, l, vol, vol->name));
    plan_node_perms(plan, l, vol, vol->name);
    logical_list(plan, l);
    return NULL;
}

struct err *
logical_vol_clone(const struct pool *pool, const struct vol *vol,
                  const struct pool *source_pool, const struct vol *source, int flags,
                  struct plan *plan)
{
    const struct logical *l = logical_enter(pool, vol, plan);
    const char *temp = arena_printf(&plan->arena, ".%s%s", vol->name, TEMP_SUFFIX);
    struct vol wanted = *vol; /* A clone stands alone, and has all it needs. */
    wanted.arena = ARENA_INIT;
    wanted.backing = (struct vol_target){ .perms = PERMS_INIT };
    wanted.capacity = max64(vol->capacity, source->capacity);
    wanted.allocation = -1;
    TRY(check_new(pool, &wanted, flags & ~VOL_PREALLOC_METADATA));
    if (flags & (VOL_PREALLOC_METADATA | VOL_REFLINK)) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "metadata preallocation is not supported for block volumes");
    }
    plan_absent(plan, l);
    logical_lock(plan, l, false);
    TRY(plan_clone_source(plan, source_pool, source));
    TRY(plan_make(plan, l, &wanted, temp));
    plan_node_perms(plan, l, vol, temp);
    plan_block_fill(plan, source);
    plan_add(plan, STEP_SYNC, NULL);
    plan_cmd(plan, "lvrename", l->source.vg, temp, vol->name);
    plan_undo(plan, "lvrename", l->source.vg, vol->name, temp);
    logical_list(plan, l);
    return NULL;
}

struct err *
logical_vol_stat(const struct pool *pool, const struct vol *vol, struct plan *plan)
{
    logical_list(plan, logical_enter(pool, vol, plan));
    return NULL;
}

static struct err *
no_such_volume(const struct logical *l)
{
    return err_hint(store_err(VE_NO_VOL, "no storage vol with matching name '%s'", l->name),
                    "refresh the pool to see what is there");
}

static struct err *
parse_free(const struct plan_seen *seen, const void *aux,
           const struct plan_found *found UNUSED)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct logical *l = aux;
    const struct json *row;
    TRY(find_row(&arena, seen, l, &row));
    if (!row) {
        return no_such_volume(l);
    } else if (*lvm_cell(row, "lv_device_open")) {
        return err_hint(
            store_err(VE_OPERATION_INVALID, "volume '%s' is still in use.", l->name),
            "stop the machine or unmount it; lsblk shows who has it");
    }
    return NULL;
}

struct err *
logical_vol_delete(const struct pool *pool, const struct vol *vol, struct plan *plan)
{
    const struct logical *l = logical_enter(pool, vol, plan);
    TRY(lvm_name_check("volume", vol->name));
    plan_add(plan, STEP_SETTLE, NULL);
    logical_activity(plan, l);
    plan_parse(plan, parse_free, l, "make sure that nobody uses the volume");
    plan_cmd(plan, "lvremove", "-f", logical_lv(plan, l, vol->name));
    return NULL;
}

static struct err *
resize(const struct plan_seen *seen, const void *aux, struct plan *plan)
{
    const struct logical *l = aux;
    const struct json *row;
    int64_t size, extent;
    TRY(find_row(&plan->arena, seen, l, &row));
    if (!row || !str_to_i64(lvm_cell(row, "lv_size"), &size)) {
        return no_such_volume(l);
    }
    if (!str_to_i64(lvm_cell(row, "vg_extent_size"), &extent)) {
        extent = 1;
    }
    bool grows = l->capacity > size, shrinks = l->capacity <= size - extent;
    if (grows) {
        plan_cmd(plan, "lvextend", "--yes");
    } else if (shrinks) {
        if (!l->shrink) {
            return store_err(VE_INVALID_ARG,
                             "Can't shrink capacity below current capacity unless "
                             "shrink flag explicitly specified");
        } else if (*lvm_cell(row, "lv_device_open")) {
            return parse_free(seen, l, NULL);
        }
        plan_cmd(plan, "lvreduce", "--yes", "-f");
    }
    if (grows || shrinks) {
        plan_kib(plan, "-L", l->capacity, 1);
        plan_arg(plan, logical_lv(plan, l, l->name));
    }
    logical_list(plan, l);
    return NULL;
}

/* libvirt cannot.  LVM can, also while a machine runs with the volume (but not to shrink). */
struct err *
logical_vol_resize(const struct pool *pool, const struct vol *vol, int64_t capacity,
                   int flags, struct plan *plan)
{
    struct logical *l = logical_enter(pool, vol, plan);
    TRY(lvm_name_check("volume", vol->name));
    l->capacity = capacity;
    l->shrink = flags & VOL_SHRINK;
    logical_report(plan, "lvs", "lv_name,lv_size,lv_device_open,vg_extent_size",
                   l->source.vg);
    plan_then(plan, resize, l,
              arena_printf(&plan->arena, "lvextend or lvreduce it to %" PRId64 " bytes",
                           capacity));
    return NULL;
}

struct err *
logical_vol_upload(const struct pool *pool, const struct vol *vol, int64_t offset,
                   int64_t length, struct plan *plan)
{
    const struct logical *l = logical_enter(pool, vol, plan);
    TRY(lvm_name_check("volume", vol->name));
    plan_block_upload(plan, logical_node(plan, l, vol->name), offset, length);
    logical_list(plan, l);
    return NULL;
}

struct err *
logical_vol_download(const struct pool *pool, const struct vol *vol, int64_t offset,
                     int64_t length, struct plan *plan)
{
    TRY(lvm_name_check("volume", vol->name));
    plan_block_download(plan, logical_node(plan, logical_enter(pool, vol, plan), vol->name),
                        offset, length);
    return NULL;
}

static struct err *
parse_not_sparse(const struct plan_seen *seen, const void *aux,
                 const struct plan_found *found UNUSED)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct logical *l = aux;
    const struct json *row;
    TRY(find_row(&arena, seen, l, &row));
    if (!row) {
        return no_such_volume(l);
    } else if (lvm_cell(row, "lv_attr")[0] == 's') {
        return store_err(VE_NO_SUPPORT,
                         "logical volume '%s' is sparse, volume wipe not supported",
                         l->name);
    }
    return NULL;
}

struct err *
logical_vol_wipe(const struct pool *pool, const struct vol *vol,
                 enum wipe_algorithm algorithm, struct plan *plan)
{
    const struct logical *l = logical_enter(pool, vol, plan);
    TRY(lvm_name_check("volume", vol->name));
    logical_report(plan, "lvs", "lv_name,lv_attr", l->source.vg);
    plan_parse(plan, parse_not_sparse, l, "make sure that the volume is not sparse");
    plan_block_wipe(plan, logical_node(plan, l, vol->name), algorithm);
    logical_list(plan, l);
    return NULL;
}
