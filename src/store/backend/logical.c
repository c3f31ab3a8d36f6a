/* store/backend/logical.c: LVM2.  Commands: vgcreate(8), lvcreate(8) and their kin.
 *
 * The source's name is a volume group, as libvirt has it; or GROUP/POOL, which libvirt does not
 * know: a thin pool of the group, whose thin volumes are the pool's.  So one group may be a
 * pool, and each of its thin pools another, each with its own space.
 * What becomes of its volumes is in logical_vol.c. */
#include "base/str.h"
#include "json/json.h"
#include "store/backend/blank_i.h"
#include "store/backend/logical_i.h"
#include "store/code.h"
#include "store/sources.h"

/* Else one group's suspended disk would keep the reports of all groups. */
#define IGNORE "devices/ignore_suspended_devices=1"
#define REPORT_MS 60000 /* A group may be locked for a while. */

struct logical *
logical_enter(const struct pool *pool, const struct vol *vol, struct plan *plan)
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

const char *
logical_lv(struct plan *plan, const struct logical *l, const char *name)
{
    return arena_printf(&plan->arena, "%s/%s", l->source.vg, name);
}

const char *
logical_node(struct plan *plan, const struct logical *l, const char *name)
{
    return arena_printf(&plan->arena, "/dev/%s/%s", l->source.vg, name);
}

/* `lvs` or `vgs` with these columns, of a group or a volume; the output is kept by that name. */
struct plan_step *
logical_report(struct plan *plan, const char *program, const char *columns,
               const char *what)
{
    struct plan_step *step = plan_cmd(plan, program, "--config", IGNORE, "--reportformat",
                                      "json", "--units", "b", "--nosuffix", "-o", columns);
    if (what) {
        plan_arg(plan, what);
    }
    step->output = program;
    step->timeout_ms = REPORT_MS;
    return step;
}

static struct err *
parse(const struct plan_seen *seen, const void *aux, const struct plan_found *found)
{
    const struct logical *l = aux;
    return lvm_parse(seen, &l->source, l->pool->name, l->name, found);
}

/* Shared by those who write clones, held alone by who removes dead ones. */
struct plan_step *
logical_lock(struct plan *plan, const struct logical *l, bool alone)
{
    struct plan_step *step =
        plan_add(plan, STEP_LOCK, arena_printf(&plan->arena, "lvm-%s", l->source.vg));
    step->write = alone;
    return step;
}

/* What is there now: the group, and one volume or all. */
void
logical_list(struct plan *plan, const struct logical *l)
{
    plan_add(plan, STEP_SETTLE, NULL);
    logical_report(plan, "vgs", LVM_VGS_COLUMNS, l->source.vg)->ok_exits =
        PLAN_EXIT(LVM_FAILED);
    logical_report(plan, "lvs", LVM_LVS_COLUMNS, l->source.vg)->ok_exits =
        PLAN_EXIT(LVM_FAILED);
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
            plan_cmd(plan, "lvremove", "-f", logical_lv(plan, l, name))->or_so =
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
            logical_lock(plan, l, true)->strict = true;
            logical_report(plan, "lvs", "lv_name", l->source.vg);
            plan_then(plan, reap, l, "remove clones whose writers are dead");
            return NULL;
        }
    }
    return NULL;
}

static struct err *
logical_scan(const struct pool *pool, struct plan *plan)
{
    const struct logical *l = logical_enter(pool, NULL, plan);
    logical_list(plan, l);
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
    logical_report(plan, "pvs", "pv_name,vg_name", NULL);
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

void
logical_activity(struct plan *plan, const struct logical *l)
{
    logical_report(plan, "lvs", "lv_name,lv_active,lv_device_open,pool_lv,lv_attr",
                   l->source.vg)
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

/* LVM reads its disks past all caches, and waits for ever: so they are asked one by one before. */
static void
disks_alive(const struct pool *pool, struct plan *plan)
{
    for (size_t i = 0; i < pool->source.n_devices; i++) {
        plan_add(plan, STEP_ALIVE, pool->source.devices[i].path);
    }
}

/* Nobody asks a thin pool before its guests write: so each look at it tells how full it is. */
static struct err *
parse_check(const struct plan_seen *seen, const void *aux, const struct plan_found *found)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct logical *l = aux;
    const struct json *rows;
    TRY(parse_active(seen, aux, found));
    TRY(lvm_rows(&arena, plan_seen_text(seen, "lvs"), "lv", &rows));
    JSON_FOR_EACH (row, rows) {
        if (l->source.thin && str_eq(lvm_cell(row, "lv_name"), l->source.thin)) {
            lvm_thin_stat(row, found);
        }
    }
    return NULL;
}

static struct err *
logical_check(const struct pool *pool, struct plan *plan)
{
    disks_alive(pool, plan);
    const struct logical *l = logical_enter(pool, NULL, plan);
    logical_report(
        plan, "lvs",
        "lv_name,lv_active,pool_lv,lv_attr,lv_size,data_percent,metadata_percent,lv_health_status",
        l->source.vg)
        ->ok_exits = PLAN_EXIT(LVM_FAILED);
    plan_parse(plan, parse_check, l, "see whether volumes are active");
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
    const struct logical *l = logical_enter(pool, NULL, plan);
    disks_alive(pool, plan);
    plan_add(plan, STEP_SETTLE, NULL);
    logical_report(plan, "vgs", "vg_name", l->source.vg)->ok_exits = PLAN_EXIT(LVM_FAILED);
    plan_parse(plan, parse_group, l, "make sure that the group is there");
    if (pool->source.n_devices) {
        logical_report(plan, "pvs", "pv_name,vg_name", NULL)->ok_exits =
            PLAN_EXIT(LVM_FAILED);
        for (size_t i = 0; i < pool->source.n_devices; i++) {
            plan_arg(plan, pool->source.devices[i].path);
        }
        plan_parse(plan, parse_devices, l, "make sure that a device is of the group");
    }
    if (l->source.thin) {
        plan_cmd(plan, "lvchange", "-aly", logical_lv(plan, l, l->source.thin));
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
    plan_cmd(plan, "lvchange", "-aln", logical_lv(plan, l, l->source.thin));
    return NULL;
}

static struct err *
logical_stop(const struct pool *pool, struct plan *plan)
{
    const struct logical *l = logical_enter(pool, NULL, plan);
    logical_activity(plan, l);
    plan_then(plan, stop, l, "deactivate the volumes unless one is in use");
    return NULL;
}

static struct err *
logical_build(const struct pool *pool, int flags, struct plan *plan)
{
    const struct logical *l = logical_enter(pool, NULL, plan);
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
    const struct logical *l = logical_enter(pool, NULL, plan);
    if (l->source.thin && pool->source.n_devices == 0) {
        plan_cmd(plan, "lvremove", "-f", logical_lv(plan, l, l->source.thin));
        return NULL;
    }
    plan_cmd(plan, "vgremove", "-f", l->source.vg);
    for (size_t i = 0; i < pool->source.n_devices; i++) {
        plan_cmd(plan, "pvremove", "--yes", pool->source.devices[i].path)->or_so =
            "a device keeps its LVM label";
    }
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
