/* store/backend/disk.c: partitions of a disk.  Command: parted(8).
 *
 * What is on the disk is read by table.c; what a new partition will be, and where, is decided when
 * that is known. */
#include "base/str.h"
#include "store/backend/blank_i.h"
#include "store/backend/block_i.h"
#include "store/backend/table_i.h"
#include "store/code.h"
#include "store/pool_ops.h"

#define SECTOR_BYTES 4096 /* Sizes are whole ones, also where the disk's are smaller. */
#define NODES_MS 5000     /* For nodes that udev is making anew. */
#define PARTED_FAILED 1   /* Also if there is no table. */

/* What parsing and deciding need; in the plan's arena. */
struct disk {
    const struct pool *pool;
    const char *name, *format; /* Of a volume. */
    int64_t size;
    const struct vol *vol;    /* Create: its perms. */
    const struct vol *source; /* Clone: of what; NULL: no clone. */
};

/* libvirt's name of a table to parted's. */
static const char *
label_of(const struct pool *pool)
{
    const char *format = pool->source.format;
    return !format || str_eq(format, "unknown") || str_eq(format, "dos") ? "msdos" : format;
}

static const char *
device_of(const struct pool *pool)
{
    return pool->source.devices[0].path;
}

static struct err *
disk_valid(const struct pool *pool)
{
    if (pool->source.n_devices == 0) {
        return store_err(VE_XML_ERROR, "missing storage pool source device name");
    }
    return device_path_check(device_of(pool));
}

static struct disk *
enter(const struct pool *pool, const struct vol *vol, struct plan *plan)
{
    struct disk *d = ARENA_NEW(&plan->arena, struct disk);
    d->pool = pool;
    d->vol = vol;
    if (vol) {
        d->name = arena_str(&plan->arena, vol->name);
        d->format =
            vol->target.format ? arena_str(&plan->arena, vol->target.format) : "none";
        d->size = max64(vol_wanted_allocation(vol), vol->capacity);
    }
    return d;
}

/* The node of a partition: "p" stands between where the disk's name ends in a digit. */
static const char *
node_of(struct arena *arena, const struct pool *pool, const char *path, int number)
{
    size_t n = strlen(path);
    bool digit = n && path[n - 1] >= '0' && path[n - 1] <= '9';
    bool wanted = str_starts(path, "/dev/mapper/") &&
                  pool->source.devices[0].part_separator == TRI_YES;
    return arena_printf(arena, "%s%s%d", path, digit || wanted ? "p" : "", number);
}

static const char *
base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const char *
disk_vol_path(const struct pool *pool, const struct vol *vol, struct arena *arena)
{
    bool mapped = str_starts(device_of(pool), "/dev/mapper/");
    return arena_printf(arena, "%s/%s", mapped ? "/dev/mapper" : "/dev", vol->name);
}

static void
report(struct plan *plan, const struct pool *pool)
{
    struct plan_step *step = plan_cmd(plan, "parted", "--script", "--json", device_of(pool),
                                      "unit", "B", "print", "free");
    step->output = "parted";
    step->ok_exits = PLAN_EXIT(PARTED_FAILED);
}

static struct err *
check_label(const struct pool *pool, const struct table *t)
{
    if (str_eq(t->label, "unknown")) {
        return err_hint(store_err(VE_PROBE_FAILED,
                                  "Device '%s' is unrecognized, requires build",
                                  device_of(pool)),
                        "byre pool build %s", pool->name);
    } else if (!str_eq(t->label, label_of(pool))) {
        return err_hint(store_err(VE_OPERATION_INVALID,
                                  "Format of device '%s' does not match the expected "
                                  "format '%s'",
                                  device_of(pool), pool->source.format),
                        "it has a table of type %s", t->label);
    }
    return NULL;
}

static void
stat_table(const struct table *t, const struct plan_found *found)
{
    struct pool_stat *stat = found->stat;
    *stat = (struct pool_stat){ .perms = PERMS_INIT };
    stat->free = arena_zalloc(&found->vols->arena, (t->n + 1) * sizeof *stat->free);
    for (size_t i = 0; i < t->n; i++) {
        const struct part *p = &t->parts[i];
        stat->capacity = max64(stat->capacity, p->end);
        if (p->kind == PART_FREE) {
            stat->available += p->end - p->start;
            stat->free[stat->n_free++] =
                (struct pool_extent){ max64(p->start, 512), p->end };
        } else if (p->kind != PART_EXTENDED) {
            stat->allocation += p->end - p->start;
        }
    }
    *found->has_stat = true;
}

/* libvirt does not read the format back: all are "none". */
static void
add_volume(const struct disk *d, const struct table *t, const struct part *p,
           const struct plan_found *found)
{
    struct arena *arena = &found->vols->arena;
    const char *node = node_of(arena, d->pool, t->path, p->number);
    struct vol *vol = vol_list_add(found->vols);
    vol->type = VOL_BLOCK;
    vol->name = base_of(node);
    vol->target.path = node;
    vol->target.format = "none";
    vol->capacity = p->end - p->start;
    vol->allocation = vol->capacity;
    vol->extents = ARENA_NEW(arena, struct vol_extent);
    vol->extents[0] =
        (struct vol_extent){ arena_str(arena, device_of(d->pool)), p->start, p->end };
    vol->n_extents = 1;
    if (p->kind == PART_EXTENDED) { /* In use is what its logical partitions take. */
        vol->allocation = 0;
        for (size_t i = 0; i < t->n; i++) {
            const struct part *other = &t->parts[i];
            vol->allocation += other->kind == PART_LOGICAL ? other->end - other->start : 0;
        }
    }
}

static struct err *
parse(const struct plan_seen *seen, const void *aux, const struct plan_found *found)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct disk *d = aux;
    struct table t;
    TRY(table_read(&arena, seen, &t));
    TRY(check_label(d->pool, &t));
    stat_table(&t, found);
    for (size_t i = 0; i < t.n; i++) {
        if (t.parts[i].kind == PART_FREE) {
            continue;
        }
        const char *node = node_of(&arena, d->pool, t.path, t.parts[i].number);
        if (!d->name || str_eq(base_of(node), d->name)) {
            add_volume(d, &t, &t.parts[i], found);
        }
    }
    if (d->name && found->vols->vols.n == 0) {
        return err_hint(
            store_err(VE_NO_VOL, "no storage vol with matching name '%s'", d->name),
            "refresh the pool to see what is there");
    }
    vol_list_sort(found->vols);
    *found->active = true;
    return NULL;
}

static void
plan_list(struct plan *plan, const struct disk *d)
{
    plan_add(plan, STEP_SETTLE, NULL);
    report(plan, d->pool);
    plan_parse(plan, parse, d, d->name ? "find the partition" : "list the partitions");
    struct plan_step *step = plan_add(plan, STEP_LOOK, NULL);
    step->dir = arena_str(&plan->arena, d->pool->target.path);
    step->size = NODES_MS;
}

static struct err *
disk_scan(const struct pool *pool, struct plan *plan)
{
    plan_list(plan, enter(pool, NULL, plan));
    return NULL;
}

static struct err *
parse_check(const struct plan_seen *seen, const void *aux, const struct plan_found *found)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct disk *d = aux;
    struct table t;
    CLEANUP(err_drop) struct err *e = table_read(&arena, seen, &t);
    *found->active = !e && str_eq(t.label, label_of(d->pool));
    return NULL;
}

static struct err *
disk_check(const struct pool *pool, struct plan *plan)
{
    plan_add(plan, STEP_ALIVE, device_of(pool));
    report(plan, pool);
    plan_parse(plan, parse_check, enter(pool, NULL, plan), "compare the type of its table");
    return NULL;
}

static struct err *
disk_start(const struct pool *pool, struct plan *plan)
{
    plan_add(plan, STEP_ALIVE, device_of(pool));
    plan_add(plan, STEP_SETTLE, NULL);
    plan_device(plan, device_of(pool), false)->strict = true;
    return NULL;
}

/* blkid does not know all kinds of table that parted does. */
static struct err *
parse_no_table(const struct plan_seen *seen, const void *aux,
               const struct plan_found *found UNUSED)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct disk *d = aux;
    struct table t;
    TRY(table_read(&arena, seen, &t));
    if (!str_eq(t.label, "unknown")) {
        return err_hint(store_err(VE_POOL_BUILT, "Device '%s' already formatted using '%s'",
                                  device_of(d->pool), t.label),
                        "--overwrite destroys what is there");
    }
    return NULL;
}

static struct err *
disk_build(const struct pool *pool, int flags, struct plan *plan)
{
    const char *label = label_of(pool);
    if (str_eq(label, "lvm2")) {
        return err_hint(
            store_err(VE_CONFIG_UNSUPPORTED, "a table of format 'lvm2' cannot be made"),
            "a volume group is a pool of type logical");
    }
    plan_device(plan, device_of(pool), true)->strict = true;
    if (!(flags & BUILD_OVERWRITE)) { /* libvirt looks without flags, too. */
        const char *format = str_eq(label, "msdos") ? "dos" : label;
        plan_blank(plan, device_of(pool), format);
        report(plan, pool);
        plan_parse(plan, parse_no_table, enter(pool, NULL, plan),
                   "make sure that there is no table");
    }
    plan_clear(plan, device_of(pool));
    plan_cmd(plan, "parted", "--script", device_of(pool), "mklabel", label);
    plan_add(plan, STEP_SETTLE, NULL);
    return NULL;
}

static struct err *
disk_delete(const struct pool *pool, struct plan *plan)
{
    plan_clear(plan, device_of(pool));
    plan_add(plan, STEP_SETTLE, NULL);
    return NULL;
}

/* Which kind it will be.  For dos the first four are primary or extended; a name that says a
 * higher number means a logical one, if there can be one. */
static struct err *
choose_kind(const struct disk *d, const struct table *t, struct arena *arena,
            enum part_kind *ret)
{
    bool extended = table_extended(t), dos = str_eq(t->label, "msdos");
    size_t n_primary = 0;
    for (size_t i = 0; i < t->n; i++) {
        n_primary += t->parts[i].kind == PART_PRIMARY || t->parts[i].kind == PART_EXTENDED;
    }
    *ret = PART_PRIMARY;
    if (str_eq(d->format, "extended")) {
        if (!dos) {
            return store_err(VE_CONFIG_UNSUPPORTED,
                             "a table of format '%s' has no extended partitions", t->label);
        } else if (extended) {
            return store_err(VE_INTERNAL, "extended partition already exists");
        }
        *ret = PART_EXTENDED;
    } else if (dos && extended) {
        bool named_primary = false;
        for (int n = 1; n <= TABLE_DOS_PRIMARIES; n++) {
            named_primary |= str_eq(base_of(node_of(arena, d->pool, t->path, n)), d->name);
        }
        *ret = n_primary >= TABLE_DOS_PRIMARIES || !named_primary ? PART_LOGICAL
                                                                  : PART_PRIMARY;
    }
    if (dos && *ret != PART_LOGICAL && n_primary >= TABLE_DOS_PRIMARIES) {
        return err_hint(store_err(VE_INTERNAL, "no extended partition found and no primary "
                                               "partition available"),
                        "a disk with a table of format gpt takes more partitions");
    }
    return NULL;
}

static void
plan_mkpart(struct plan *plan, const struct disk *d, const struct table *t,
            enum part_kind kind, int number, int64_t start)
{
    static const struct {
        const char *format, *fs, *flag;
    } words[] = {
        { "fat16", "fat16", NULL },           { "fat32", "fat32", NULL },
        { "linux-swap", "linux-swap", NULL }, { "linux-lvm", "ext2", "lvm" },
        { "linux-raid", "ext2", "raid" },
    };
    static const char *const kinds[] = { "primary", "extended", "logical" };
    bool takes_kind = !str_eq(t->label, "bsd") && !str_eq(t->label, "sun");
    const char *fs = "ext2", *flag = NULL;
    for (size_t i = 0; i < N_ELEMS(words); i++) {
        if (str_eq(d->format, words[i].format)) {
            fs = words[i].fs;
            flag = words[i].flag;
        }
    }
    plan_cmd(plan, "parted", "--script", device_of(d->pool), "mkpart");
    if (takes_kind) {
        plan_arg(plan, kinds[kind]);
    }
    if (kind != PART_EXTENDED) {
        plan_arg(plan, fs);
    }
    plan_argf(plan, "%" PRId64 "B", start);
    plan_argf(plan, "%" PRId64 "B", start + d->size - 1);
    plan_undo(plan, "parted", "--script", device_of(d->pool), "rm",
              arena_printf(&plan->arena, "%d", number));
    if (flag) {
        plan_cmd(plan, "parted", "--script", device_of(d->pool), "set",
                 arena_printf(&plan->arena, "%d", number), flag, "on");
        plan->steps.v[plan->steps.n - 1]->or_so = "the partition's type is not set";
    }
}

static struct err *
create(const struct plan_seen *seen, const void *aux, struct plan *plan)
{
    struct disk *d = ARENA_NEW(&plan->arena, struct disk);
    *d = *(const struct disk *) aux;
    struct table t;
    enum part_kind kind;
    int64_t start = 0;
    d->size = table_align_up(max64(d->size, 1), SECTOR_BYTES);
    TRY(table_read(&plan->arena, seen, &t));
    TRY(check_label(d->pool, &t));
    for (size_t i = 0; i < t.n; i++) {
        const char *there = node_of(&plan->arena, d->pool, t.path, t.parts[i].number);
        if (t.parts[i].kind != PART_FREE && str_eq(base_of(there), d->name)) {
            return err_hint(
                store_err(VE_VOL_EXISTS, "storage volume '%s' exists already", d->name),
                "delete that partition first");
        }
    }
    TRY(choose_kind(d, &t, &plan->arena, &kind));
    int number = table_next_number(&t, kind);
    const char *node = node_of(&plan->arena, d->pool, t.path, number);
    if (!str_eq(base_of(node), d->name)) {
        return err_hint(store_err(VE_INVALID_ARG,
                                  "invalid partition name '%s', expected '%s'", d->name,
                                  base_of(node)),
                        "a partition has the name that the kernel gives it");
    }
    TRY(table_place(&t, kind, d->size, &start));
    plan_mkpart(plan, d, &t, kind, number, start);
    plan_add(plan, STEP_SETTLE, NULL);
    plan_add(plan, STEP_NODE, node);
    if (kind != PART_EXTENDED) {
        plan_device(plan, node, true);
        plan_perms(plan, &d->vol->target.perms);
        if (d->source) {
            plan_block_fill(plan, d->source);
        }
        plan_add(plan, STEP_SYNC, NULL);
    }
    plan_list(plan, d);
    return NULL;
}

static struct err *
check_new(const struct vol *vol, int flags)
{
    if (flags & VOL_PREALLOC_METADATA || vol->backing.path) {
        return store_err(VE_CONFIG_UNSUPPORTED, "%s is not supported for partitions",
                         vol->backing.path ? "a backing volume" : "metadata preallocation");
    } else if (vol->target.crypt.format) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "creation of encrypted volumes is not supported for partitions");
    }
    return NULL;
}

static struct err *
disk_vol_create(const struct pool *pool, const struct vol *vol, int flags,
                struct plan *plan)
{
    struct disk *d = enter(pool, vol, plan);
    TRY(check_new(vol, flags));
    report(plan, pool);
    plan_then(
        plan, create, d,
        arena_printf(&plan->arena,
                     "make a partition of %" PRId64
                     " bytes in the smallest free stretch that holds it, at a whole MiB",
                     d->size));
    return NULL;
}

static struct err *
disk_vol_clone(const struct pool *pool, const struct vol *vol,
               const struct pool *source_pool, const struct vol *source, int flags,
               struct plan *plan)
{
    struct disk *d = enter(pool, vol, plan);
    struct vol wanted = *vol;
    wanted.arena = ARENA_INIT;
    wanted.backing = (struct vol_target){ .perms = PERMS_INIT };
    TRY(check_new(&wanted, flags));
    if (str_eq(d->format, "extended")) {
        return store_err(VE_CONFIG_UNSUPPORTED, "an extended partition takes no data");
    }
    d->size = max64(vol->capacity, source->capacity);
    d->source = source;
    TRY(plan_clone_source(plan, source_pool, source));
    report(plan, pool);
    plan_then(plan, create, d,
              arena_printf(&plan->arena,
                           "make a partition of %" PRId64
                           " bytes and copy the source to it",
                           d->size));
    return NULL;
}

static struct err *
disk_vol_stat(const struct pool *pool, const struct vol *vol, struct plan *plan)
{
    plan_list(plan, enter(pool, vol, plan));
    return NULL;
}

static const struct part *
find_part(struct arena *arena, const struct disk *d, const struct table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct part *p = &t->parts[i];
        if (p->kind != PART_FREE &&
            str_eq(base_of(node_of(arena, d->pool, t->path, p->number)), d->name)) {
            return p;
        }
    }
    return NULL;
}

static struct err *
no_such_partition(const struct disk *d)
{
    return err_hint(store_err(VE_NO_VOL, "no storage vol with matching name '%s'", d->name),
                    "refresh the pool to see what is there");
}

static struct err *
delete_part(const struct plan_seen *seen, const void *aux, struct plan *plan)
{
    const struct disk *d = aux;
    struct table t;
    TRY(table_read(&plan->arena, seen, &t));
    const struct part *p = find_part(&plan->arena, d, &t);
    if (!p) {
        return no_such_partition(d);
    } else if (p->kind == PART_EXTENDED) {
        for (size_t i = 0; i < t.n; i++) {
            if (t.parts[i].kind == PART_LOGICAL) {
                return err_hint(store_err(VE_OPERATION_INVALID,
                                          "partition '%s' holds logical partitions",
                                          d->name),
                                "delete those first");
            }
        }
    } else {
        const char *node = node_of(&plan->arena, d->pool, t.path, p->number);
        plan_add(plan, STEP_SETTLE, NULL); /* parted has the nodes made anew. */
        plan_device(plan, node, true)->strict = true;
    }
    plan_cmd(plan, "parted", "--script", device_of(d->pool), "rm",
             arena_printf(&plan->arena, "%d", p->number));
    plan_add(plan, STEP_SETTLE, NULL);
    return NULL;
}

static struct err *
disk_vol_delete(const struct pool *pool, const struct vol *vol, struct plan *plan)
{
    report(plan, pool);
    plan_then(plan, delete_part, enter(pool, vol, plan),
              "remove the partition from the table");
    return NULL;
}

static struct err *
disk_vol_upload(const struct pool *pool, const struct vol *vol, int64_t offset,
                int64_t length, struct plan *plan)
{
    plan_block_upload(plan, disk_vol_path(pool, vol, &plan->arena), offset, length);
    plan_list(plan, enter(pool, vol, plan));
    return NULL;
}

static struct err *
disk_vol_download(const struct pool *pool, const struct vol *vol, int64_t offset,
                  int64_t length, struct plan *plan)
{
    plan_block_download(plan, disk_vol_path(pool, vol, &plan->arena), offset, length);
    return NULL;
}

static struct err *
parse_not_extended(const struct plan_seen *seen, const void *aux,
                   const struct plan_found *found UNUSED)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct disk *d = aux;
    struct table t;
    TRY(table_read(&arena, seen, &t));
    const struct part *p = find_part(&arena, d, &t);
    return !p ? no_such_partition(d)
           : p->kind == PART_EXTENDED
               ? store_err(VE_NO_SUPPORT, "cannot wipe extended partition '%s'", d->name)
               : NULL;
}

static struct err *
disk_vol_wipe(const struct pool *pool, const struct vol *vol, enum wipe_algorithm algorithm,
              struct plan *plan)
{
    report(plan, pool);
    plan_parse(plan, parse_not_extended, enter(pool, vol, plan),
               "make sure that it is no extended partition");
    plan_block_wipe(plan, disk_vol_path(pool, vol, &plan->arena), algorithm);
    plan_list(plan, enter(pool, vol, plan));
    return NULL;
}

const struct pool_ops pool_disk_ops = {
    .type = POOL_DISK,
    .valid = disk_valid,
    .check = disk_check,
    .build = disk_build,
    .start = disk_start,
    .delete = disk_delete,
    .scan = disk_scan,
    .vol_path = disk_vol_path,
    .vol_create = disk_vol_create,
    .vol_clone = disk_vol_clone,
    .vol_stat = disk_vol_stat,
    .vol_delete = disk_vol_delete,
    .vol_upload = disk_vol_upload,
    .vol_download = disk_vol_download,
    .vol_wipe = disk_vol_wipe,
};
