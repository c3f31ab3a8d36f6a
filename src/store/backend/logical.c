/* store/backend/logical.c: LVM2.  Commands: vgcreate(8), lvcreate(8) and their kin.
 *
 * The source's name is a volume group, as libvirt has it; or GROUP/POOL, which libvirt does not
 * know: a thin pool of the group, whose thin volumes are the pool's.  So one group may be a
 * pool, and each of its thin pools another, each with its own space.
 * Clones are written under a temporary name and renamed, so that a half-written volume is never
 * seen.  Who writes one shares a lock; a scan that gets the lock alone removes what the dead
 * left behind. */
#include "base/str.h"
#include "json/json.h"
#include "store/backend/blank_i.h"
#include "store/backend/block_i.h"
#include "store/backend/lvm_i.h"
#include "store/code.h"
#include "store/pool_ops.h"
#include "store/sources.h"

#define VOL_MODE 0600
#define LVM_FAILED 5 /* Exit status: also if what was asked about is not there. */
#define TEMP_SUFFIX VOL_TEMP_INFIX "000000"
#define SNAPSHOT_MIN_KIB 1

/* What parsing and deciding need; in the plan's arena. */
struct logical {
    const struct pool *pool;
    struct lvm_source source;
    const char *name; /* Of a volume; NULL: all. */
    int64_t capacity; /* Resize. */
    bool shrink;
};

static struct logical *
enter(const struct pool *pool, const struct vol *vol, struct plan *plan)
{
    struct logical *l = ARENA_NEW(&plan->arena, struct logical);
    l->pool = pool;
    l->name = vol ? arena_str(&plan->arena, vol->name) : NULL;
    struct err *e = lvm_source_parse(&plan->arena, pool->source.name, &l->source);
    ASSERT(!e); /* The gate has asked logical_valid(). */
    return l;
}

static struct err *
logical_valid(const struct pool *pool)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct lvm_source source;
    for (size_t i = 0; i < pool->source.n_devices; i++) {
        TRY(device_path_check(pool->source.devices[i].path));
    }
    return lvm_source_parse(&arena, pool->source.name, &source);
}

static const char *
lv(struct plan *plan, const struct logical *l, const char *name)
{
    return arena_printf(&plan->arena, "%s/%s", l->source.vg, name);
}

static const char *
node(struct plan *plan, const struct logical *l, const char *name)
{
    return arena_printf(&plan->arena, "/dev/%s/%s", l->source.vg, name);
}

static const char *
logical_vol_path(const struct pool *pool, const struct vol *vol, struct arena *arena)
{
    const char *name = pool->source.name;
    return arena_printf(arena, "/dev/%.*s/%s", (int) strcspn(name, "/"), name, vol->name);
}

/* `lvs` or `vgs` with these columns, of a group or a volume; the output is kept by that name. */
static struct plan_step *
report(struct plan *plan, const char *program, const char *columns, const char *what)
{
    struct plan_step *step = plan_cmd(plan, program, "--reportformat", "json", "--units",
                                      "b", "--nosuffix", "-o", columns);
    if (what) {
        plan_arg(plan, what);
    }
    step->output = program;
    return step;
}

static struct err *
parse(const struct plan_seen *seen, const void *aux, const struct plan_found *found)
{
    const struct logical *l = aux;
    return lvm_parse(seen, &l->source, l->pool->name, l->name, found);
}

/* Shared by those who write clones, held alone by who removes dead ones. */
static struct plan_step *
plan_lock(struct plan *plan, const struct logical *l, bool alone)
{
    struct plan_step *step =
        plan_add(plan, STEP_LOCK, arena_printf(&plan->arena, "lvm-%s", l->source.vg));
    step->write = alone;
    return step;
}

/* What is there now: the group, and one volume or all. */
static void
plan_list(struct plan *plan, const struct logical *l)
{
    plan_add(plan, STEP_SETTLE, NULL);
    report(plan, "vgs", LVM_VGS_COLUMNS, l->source.vg)->ok_exits = PLAN_EXIT(LVM_FAILED);
    report(plan, "lvs", LVM_LVS_COLUMNS, l->source.vg)->ok_exits = PLAN_EXIT(LVM_FAILED);
    plan_parse(plan, parse, l, l->name ? "find the volume" : "list the volumes");
    plan_add(plan, STEP_LOOK, NULL);
}

/* With the lock held alone, no clone has a writer. */
static struct err *
reap(const struct plan_seen *seen, const void *aux, struct plan *plan)
{
    const struct logical *l = aux;
    const struct json *rows;
    TRY(lvm_rows(&plan->arena, plan_seen_text(seen, "lvs"), "lv", &rows));
    JSON_FOR_EACH (row, rows) {
        const char *name = lvm_cell(row, "lv_name");
        if (vol_name_is_temporary(name)) {
            plan_cmd(plan, "lvremove", "-f", lv(plan, l, name))->or_so =
                "a half-made clone stays";
        }
    }
    return NULL;
}

/* Is there a half-made clone?  Then look again under the lock. */
static struct err *
look_for_dead(const struct plan_seen *seen, const void *aux, struct plan *plan)
{
    const struct logical *l = aux;
    const struct json *rows;
    TRY(lvm_rows(&plan->arena, plan_seen_text(seen, "lvs"), "lv", &rows));
    JSON_FOR_EACH (row, rows) {
        if (vol_name_is_temporary(lvm_cell(row, "lv_name"))) {
            plan_lock(plan, l, true)->strict = true;
            report(plan, "lvs", "lv_name", l->source.vg);
            plan_then(plan, reap, l, "remove clones whose writers are dead");
            return NULL;
        }
    }
    return NULL;
}

static struct err *
logical_scan(const struct pool *pool, struct plan *plan)
{
    const struct logical *l = enter(pool, NULL, plan);
    plan_list(plan, l);
    plan_then(plan, look_for_dead, l, "remove clones that were never finished");
    return NULL;
}

static struct err *
parse_sources(const struct plan_seen *seen, const void *aux UNUSED,
              const struct plan_found *found)
{
    const struct json *rows;
    struct arena *arena = &found->sources->arena;
    TRY(lvm_rows(arena, plan_seen_text(seen, "pvs"), "pv", &rows));
    JSON_FOR_EACH (row, rows) {
        const char *vg = lvm_cell(row, "vg_name");
        struct pool_source *source = NULL;
        if (!*vg) {
            continue;
        }
        for (size_t i = 0; i < found->sources->v.n && !source; i++) {
            source =
                str_eq(found->sources->v.v[i].name, vg) ? &found->sources->v.v[i] : NULL;
        }
        if (!source) {
            source = source_list_add(found->sources);
            source->name = vg;
            source->format = "lvm2";
            source->devices = arena_zalloc(arena, rows->n * sizeof *source->devices);
        }
        source->devices[source->n_devices++].path = lvm_cell(row, "pv_name");
    }
    return NULL;
}

static struct err *
logical_find_sources(const struct pool *spec UNUSED, struct plan *plan)
{
    plan_add(plan, STEP_SETTLE, NULL);
    report(plan, "pvs", "pv_name,vg_name", NULL);
    plan_parse(plan, parse_sources, NULL, "list the volume groups");
    return NULL;
}

/* Rows of "lvs" that are in the pool's charge when it starts and stops. */
static bool
is_own(const struct json *row, const struct logical *l)
{
    return !l->source.thin || str_eq(lvm_cell(row, "pool_lv"), l->source.thin) ||
           str_eq(lvm_cell(row, "lv_name"), l->source.thin);
}

static void
report_activity(struct plan *plan, const struct logical *l)
{
    report(plan, "lvs", "lv_name,lv_active,lv_device_open,pool_lv,lv_attr", l->source.vg)
        ->ok_exits = PLAN_EXIT(LVM_FAILED);
}

static struct err *
parse_active(const struct plan_seen *seen, const void *aux, const struct plan_found *found)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct logical *l = aux;
    const struct json *rows;
    TRY(lvm_rows(&arena, plan_seen_text(seen, "lvs"), "lv", &rows));
    JSON_FOR_EACH (row, rows) {
        *found->active |= is_own(row, l) && *lvm_cell(row, "lv_active");
    }
    return NULL;
}

static struct err *
logical_check(const struct pool *pool, struct plan *plan)
{
    const struct logical *l = enter(pool, NULL, plan);
    report_activity(plan, l);
    plan_parse(plan, parse_active, l, "see whether volumes are active");
    return NULL;
}

/* The group must be there; if devices are given, one of them at least must be of it. */
static struct err *
parse_devices(const struct plan_seen *seen, const void *aux,
              const struct plan_found *found UNUSED)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct logical *l = aux;
    const struct json *rows;
    TRY(lvm_rows(&arena, plan_seen_text(seen, "pvs"), "pv", &rows));
    JSON_FOR_EACH (row, rows) {
        if (str_eq(lvm_cell(row, "vg_name"), l->source.vg)) {
            return NULL;
        }
    }
    return err_hint(store_err(VE_CONFIG_UNSUPPORTED,
                              "cannot find any matching source devices for logical volume "
                              "group '%s'",
                              l->source.vg),
                    "pvs shows the devices of each group");
}

static struct err *
parse_group(const struct plan_seen *seen, const void *aux, const struct plan_found *found)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct logical *l = aux;
    const struct json *rows;
    TRY(lvm_rows(&arena, plan_seen_text(seen, "vgs"), "vg", &rows));
    return rows->n ? NULL
                   : err_hint(store_err(VE_CONFIG_UNSUPPORTED,
                                        "cannot find logical volume group name '%s'",
                                        l->source.vg),
                              "vgs lists the groups of this host; byre pool build %s makes "
                              "one",
                              l->pool->name);
}

static struct err *
logical_start(const struct pool *pool, struct plan *plan)
{
    const struct logical *l = enter(pool, NULL, plan);
    plan_add(plan, STEP_SETTLE, NULL);
    report(plan, "vgs", "vg_name", l->source.vg)->ok_exits = PLAN_EXIT(LVM_FAILED);
    plan_parse(plan, parse_group, l, "make sure that the group is there");
    if (pool->source.n_devices) {
        report(plan, "pvs", "pv_name,vg_name", NULL)->ok_exits = PLAN_EXIT(LVM_FAILED);
        for (size_t i = 0; i < pool->source.n_devices; i++) {
            plan_arg(plan, pool->source.devices[i].path);
        }
        plan_parse(plan, parse_devices, l, "make sure that a device is of the group");
    }
    if (l->source.thin) {
        plan_cmd(plan, "lvchange", "-aly", lv(plan, l, l->source.thin));
        plan_cmd(plan, "lvchange", "-aly", "-K", "--select",
                 arena_printf(&plan->arena, "vg_name=%s && pool_lv=%s", l->source.vg,
                              l->source.thin))
            ->or_so = "not all volumes could be activated";
    } else {
        plan_cmd(plan, "vgchange", "-aly", l->source.vg)->or_so =
            "not all volumes could be activated";
    }
    return NULL;
}

/* Nothing is deactivated unless all can be: a group half stopped serves nobody. */
static struct err *
stop(const struct plan_seen *seen, const void *aux, struct plan *plan)
{
    const struct logical *l = aux;
    CLEANUP(buf_done) struct buf users = BUF_INIT;
    const struct json *rows;
    bool active = false;
    TRY(lvm_rows(&plan->arena, plan_seen_text(seen, "lvs"), "lv", &rows));
    JSON_FOR_EACH (row, rows) {
        bool is_volume = lvm_cell(row, "lv_attr")[0] != 't';
        active |= is_own(row, l) && *lvm_cell(row, "lv_active");
        if (is_own(row, l) && is_volume && *lvm_cell(row, "lv_device_open")) {
            buf_printf(&users, "%s%s", users.n ? ", " : "", lvm_cell(row, "lv_name"));
        }
    }
    if (users.n) {
        return err_hint(store_err(VE_OPERATION_INVALID,
                                  "volumes of pool '%s' are in use: %s", l->pool->name,
                                  buf_cstr(&users)),
                        "stop the machines, or unmount what is mounted; lsblk shows who "
                        "has them");
    } else if (!active) {
        return NULL;
    } else if (!l->source.thin) {
        plan_cmd(plan, "vgchange", "-aln", l->source.vg);
        return NULL;
    }
    plan_cmd(plan, "lvchange", "-aln", "--select",
             arena_printf(&plan->arena, "vg_name=%s && pool_lv=%s", l->source.vg,
                          l->source.thin));
    plan_cmd(plan, "lvchange", "-aln", lv(plan, l, l->source.thin));
    return NULL;
}

static struct err *
logical_stop(const struct pool *pool, struct plan *plan)
{
    const struct logical *l = enter(pool, NULL, plan);
    report_activity(plan, l);
    plan_then(plan, stop, l, "deactivate the volumes unless one is in use");
    return NULL;
}

static struct err *
logical_build(const struct pool *pool, int flags, struct plan *plan)
{
    const struct logical *l = enter(pool, NULL, plan);
    const struct pool_source *source = &pool->source;
    if (source->n_devices == 0 && !l->source.thin) {
        return err_hint(store_err(VE_CONFIG_UNSUPPORTED,
                                  "pool '%s' has no source devices to build it on",
                                  pool->name),
                        "give the pool devices: --source-dev /dev/disk/by-id/...");
    }
    for (size_t i = 0; i < source->n_devices; i++) {
        if (!(flags & BUILD_OVERWRITE)) { /* libvirt looks without flags, too. */
            plan_blank(plan, source->devices[i].path, "LVM2_member");
        }
    }
    for (size_t i = 0; i < source->n_devices; i++) {
        plan_clear(plan, source->devices[i].path);
        plan_cmd(plan, "pvcreate", "--yes", source->devices[i].path);
        plan_undo(plan, "pvremove", "--yes", source->devices[i].path);
    }
    if (source->n_devices) {
        plan_cmd(plan, "vgcreate", "--yes", l->source.vg);
        for (size_t i = 0; i < source->n_devices; i++) {
            plan_arg(plan, source->devices[i].path);
        }
        plan_undo(plan, "vgremove", "-f", l->source.vg);
    }
    if (l->source.thin) {
        plan_cmd(plan, "lvcreate", "--yes", "--type", "thin-pool", "--name", l->source.thin,
                 "-l", "100%FREE", l->source.vg);
    }
    return NULL;
}

static struct err *
logical_delete(const struct pool *pool, struct plan *plan)
{
    const struct logical *l = enter(pool, NULL, plan);
    if (l->source.thin && pool->source.n_devices == 0) {
        plan_cmd(plan, "lvremove", "-f", lv(plan, l, l->source.thin));
        return NULL;
    }
    plan_cmd(plan, "vgremove", "-f", l->source.vg);
    for (size_t i = 0; i < pool->source.n_devices; i++) {
        plan_cmd(plan, "pvremove", "--yes", pool->source.devices[i].path)->or_so =
            "a device keeps its LVM label";
    }
    return NULL;
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
        plan_arg(plan, lv(plan, l, origin + strlen(group)));
    } else if (l->source.thin) {
        plan_kib(plan, "-V", vol->capacity, 1);
        plan_arg(plan, "--thinpool");
        plan_arg(plan, lv(plan, l, l->source.thin));
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
    plan_undo(plan, "lvremove", "-f", lv(plan, l, name));
    return NULL;
}

/* Owner and mode of its node, which hold until the host boots again. */
static void
plan_node_perms(struct plan *plan, const struct logical *l, const struct vol *vol,
                const char *name)
{
    struct perms perms = vol->target.perms;
    perms.mode = perms.mode < 0 ? VOL_MODE : perms.mode;
    plan_add(plan, STEP_NODE, node(plan, l, name));
    plan_device(plan, node(plan, l, name), true);
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
    report(plan, "lvs", "lv_name", l->source.vg);
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

static struct err *
logical_vol_create(const struct pool *pool, const struct vol *vol, int flags,
                   struct plan *plan)
{
    const struct logical *l = enter(pool, vol, plan);
    TRY(check_new(pool, vol, flags));
    plan_absent(plan, l);
    TRY(plan_make(plan, l, vol, vol->name));
    plan_node_perms(plan, l, vol, vol->name);
    plan_list(plan, l);
    return NULL;
}

static struct err *
logical_vol_clone(const struct pool *pool, const struct vol *vol,
                  const struct pool *source_pool, const struct vol *source, int flags,
                  struct plan *plan)
{
    const struct logical *l = enter(pool, vol, plan);
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
    plan_lock(plan, l, false);
    TRY(plan_clone_source(plan, source_pool, source));
    TRY(plan_make(plan, l, &wanted, temp));
    plan_node_perms(plan, l, vol, temp);
    plan_block_fill(plan, source);
    plan_add(plan, STEP_SYNC, NULL);
    plan_cmd(plan, "lvrename", l->source.vg, temp, vol->name);
    plan_undo(plan, "lvrename", l->source.vg, vol->name, temp);
    plan_list(plan, l);
    return NULL;
}

static struct err *
logical_vol_stat(const struct pool *pool, const struct vol *vol, struct plan *plan)
{
    plan_list(plan, enter(pool, vol, plan));
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

static struct err *
logical_vol_delete(const struct pool *pool, const struct vol *vol, struct plan *plan)
{
    const struct logical *l = enter(pool, vol, plan);
    TRY(lvm_name_check("volume", vol->name));
    plan_add(plan, STEP_SETTLE, NULL);
    report_activity(plan, l);
    plan_parse(plan, parse_free, l, "make sure that nobody uses the volume");
    plan_cmd(plan, "lvremove", "-f", lv(plan, l, vol->name));
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
        plan_arg(plan, lv(plan, l, l->name));
    }
    plan_list(plan, l);
    return NULL;
}

/* libvirt cannot.  LVM can, also while a machine runs with the volume (but not to shrink). */
static struct err *
logical_vol_resize(const struct pool *pool, const struct vol *vol, int64_t capacity,
                   int flags, struct plan *plan)
{
    struct logical *l = enter(pool, vol, plan);
    TRY(lvm_name_check("volume", vol->name));
    l->capacity = capacity;
    l->shrink = flags & VOL_SHRINK;
    report(plan, "lvs", "lv_name,lv_size,lv_device_open,vg_extent_size", l->source.vg);
    plan_then(plan, resize, l,
              arena_printf(&plan->arena, "lvextend or lvreduce it to %" PRId64 " bytes",
                           capacity));
    return NULL;
}

static struct err *
logical_vol_upload(const struct pool *pool, const struct vol *vol, int64_t offset,
                   int64_t length, struct plan *plan)
{
    const struct logical *l = enter(pool, vol, plan);
    TRY(lvm_name_check("volume", vol->name));
    plan_block_upload(plan, node(plan, l, vol->name), offset, length);
    plan_list(plan, l);
    return NULL;
}

static struct err *
logical_vol_download(const struct pool *pool, const struct vol *vol, int64_t offset,
                     int64_t length, struct plan *plan)
{
    TRY(lvm_name_check("volume", vol->name));
    plan_block_download(plan, node(plan, enter(pool, vol, plan), vol->name), offset,
                        length);
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

static struct err *
logical_vol_wipe(const struct pool *pool, const struct vol *vol,
                 enum wipe_algorithm algorithm, struct plan *plan)
{
    const struct logical *l = enter(pool, vol, plan);
    TRY(lvm_name_check("volume", vol->name));
    report(plan, "lvs", "lv_name,lv_attr", l->source.vg);
    plan_parse(plan, parse_not_sparse, l, "make sure that the volume is not sparse");
    plan_block_wipe(plan, node(plan, l, vol->name), algorithm);
    plan_list(plan, l);
    return NULL;
}

const struct pool_ops pool_logical_ops = {
    .type = POOL_LOGICAL,
    .valid = logical_valid,
    .find_sources = logical_find_sources,
    .check = logical_check,
    .build = logical_build,
    .start = logical_start,
    .stop = logical_stop,
    .delete = logical_delete,
    .scan = logical_scan,
    .vol_path = logical_vol_path,
    .vol_create = logical_vol_create,
    .vol_clone = logical_vol_clone,
    .vol_stat = logical_vol_stat,
    .vol_delete = logical_vol_delete,
    .vol_resize = logical_vol_resize,
    .vol_upload = logical_vol_upload,
    .vol_download = logical_vol_download,
    .vol_wipe = logical_vol_wipe,
};
