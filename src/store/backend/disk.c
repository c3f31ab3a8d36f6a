/* store/backend/disk.c: partitions of a disk.  Command: parted(8).
 *
 * `parted --script --json DEVICE unit B print free` tells the table, its partitions and what is
 * free; the last byte is included, and "path" is the device with its links resolved:
 *   {"disk": {"path": "/dev/sdc", "size": "536870912B", "label": "msdos", "partitions": [
 *     {"number": 1, "start": "1048576B", "end": "20971519B", "type": "primary"},
 *     {"number": 2, "start": "20971520B", "end": "419430399B", "type": "extended"},
 *     {"number": 0, "start": "52428800B", "end": "419430399B", "type": "free"}, ...]}}
 * Where a new partition goes is decided when that is known: in the smallest free stretch that
 * holds it, beginning at a whole MiB (libvirt aligns to nothing). */
#include "base/str.h"
#include "json/json.h"
#include "store/backend/blank_i.h"
#include "store/backend/block_i.h"
#include "store/code.h"
#include "store/pool_ops.h"

#define ALIGN_BYTES MIB
#define SECTOR_BYTES 4096 /* Sizes are whole ones, also where the disk's are smaller. */
#define MAX_PARTITIONS 1024
#define DOS_PRIMARIES 4
#define PARTED_FAILED 1 /* Also if there is no table. */

enum part_kind { PART_PRIMARY, PART_EXTENDED, PART_LOGICAL, PART_FREE };

struct part {
    enum part_kind kind;
    int number;         /* 0: free. */
    int64_t start, end; /* [start, end). */
    bool inside;        /* Free: of the extended partition. */
};

struct table {
    const char *path, *label;
    struct part *parts;
    size_t n;
};

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

/* "1048576B" */
static int64_t
bytes_of(const struct json *object, const char *member)
{
    const char *text = json_get_string(object, member);
    uint64_t value;
    CLEANUP(free_drop) char *digits = str_dup(text ? text : "");
    size_t n = strlen(digits);
    if (n && digits[n - 1] == 'B') {
        digits[n - 1] = '\0';
    }
    return str_to_u64(digits, &value) && value < INT64_MAX ? (int64_t) value : -1;
}

static struct err *
part_read(const struct json *j, struct part *ret)
{
    const char *type = json_get_string(j, "type");
    int64_t number = 0;
    json_get_int(j, "number", &number);
    *ret = (struct part){
        .kind = str_eq(type, "free")       ? PART_FREE
                : str_eq(type, "extended") ? PART_EXTENDED
                : str_eq(type, "logical")  ? PART_LOGICAL
                                           : PART_PRIMARY,
        .number = (int) clamp64(number, 0, INT32_MAX),
        .start = bytes_of(j, "start"),
        .end = bytes_of(j, "end") + 1,
    };
    if (ret->start < 0 || ret->end <= ret->start) {
        return err_new(ERR_SYNTAX, "parted tells of a partition from nowhere");
    }
    return NULL;
}

static const struct part *
find_extended(const struct table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->parts[i].kind == PART_EXTENDED) {
            return &t->parts[i];
        }
    }
    return NULL;
}

static struct err *
table_read(struct arena *arena, const struct plan_seen *seen, struct table *ret)
{
    const char *text = strchr(plan_seen_text(seen, "parted"), '{');
    struct json *j = ARENA_NEW(arena, struct json);
    if (!text) {
        return err_new(ERR_SYNTAX, "parted printed no table");
    }
    TRY(err_wrap(json_parse_str(arena, text, j), "what parted printed"));
    const struct json *disk = json_is(j, JSON_OBJECT) ? json_get(j, "disk") : NULL;
    if (!json_is(disk, JSON_OBJECT) || !json_get_string(disk, "path") ||
        !json_get_string(disk, "label")) {
        return err_new(ERR_SYNTAX, "parted printed no disk");
    }
    const struct json *parts = json_get(disk, "partitions");
    *ret = (struct table){ json_get_string(disk, "path"), json_get_string(disk, "label"),
                           NULL, 0 };
    size_t n = json_is(parts, JSON_ARRAY) ? parts->n : 0;
    if (n > MAX_PARTITIONS) {
        return err_new(ERR_CONSTRAINT, "the disk has more than %d partitions",
                       MAX_PARTITIONS);
    }
    ret->parts = arena_zalloc(arena, (n + 1) * sizeof *ret->parts);
    for (size_t i = 0; i < n; i++) {
        if (!json_is(&parts->elems[i], JSON_OBJECT)) {
            return err_new(ERR_SYNTAX, "parted printed no partition");
        }
        TRY(part_read(&parts->elems[i], &ret->parts[ret->n++]));
    }
    const struct part *extended = find_extended(ret);
    for (size_t i = 0; i < n && extended; i++) {
        struct part *p = &ret->parts[i];
        p->inside =
            p->kind == PART_FREE && p->start >= extended->start && p->end <= extended->end;
    }
    return NULL;
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
    plan_add(plan, STEP_LOOK, NULL)->dir = arena_str(&plan->arena, d->pool->target.path);
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
    report(plan, pool);
    plan_parse(plan, parse_check, enter(pool, NULL, plan), "compare the type of its table");
    return NULL;
}

static struct err *
disk_start(const struct pool *pool, struct plan *plan)
{
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

static bool
has_number(const struct table *t, int number)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->parts[i].kind != PART_FREE && t->parts[i].number == number) {
            return true;
        }
    }
    return false;
}

/* Which kind it will be.  For dos the first four are primary or extended; a name that says a
 * higher number means a logical one, if there can be one. */
static struct err *
choose_kind(const struct disk *d, const struct table *t, struct arena *arena,
            enum part_kind *ret)
{
    bool extended = find_extended(t), dos = str_eq(t->label, "msdos");
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
        for (int n = 1; n <= DOS_PRIMARIES; n++) {
            named_primary |= str_eq(base_of(node_of(arena, d->pool, t->path, n)), d->name);
        }
        *ret = n_primary >= DOS_PRIMARIES || !named_primary ? PART_LOGICAL : PART_PRIMARY;
    }
    if (dos && *ret != PART_LOGICAL && n_primary >= DOS_PRIMARIES) {
        return err_hint(store_err(VE_INTERNAL, "no extended partition found and no primary "
                                               "partition available"),
                        "a disk with a table of format gpt takes more partitions");
    }
    return NULL;
}

static int64_t
align_up(int64_t x, int64_t unit)
{
    return (int64_t) div_up((uint64_t) x, (uint64_t) unit) * unit;
}

/* The smallest free stretch that holds it; *ret_start is where it begins. */
static struct err *
choose_place(const struct disk *d, const struct table *t, enum part_kind kind,
             int64_t *ret_start)
{
    int64_t best = INT64_MAX, largest = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct part *p = &t->parts[i];
        if (p->kind != PART_FREE || p->inside != (kind == PART_LOGICAL)) {
            continue;
        }
        /* A logical one has a record of its own before it. */
        int64_t start =
            align_up(max64(p->start + (kind == PART_LOGICAL), ALIGN_BYTES), ALIGN_BYTES);
        largest = max64(largest, p->end - start);
        if (p->end - start >= d->size && p->end - p->start < best) {
            best = p->end - p->start;
            *ret_start = start;
        }
    }
    if (best < INT64_MAX) {
        return NULL;
    }
    CLEANUP(free_drop) char *text = str_from_bytes(largest);
    struct err *e =
        err_tag(err_new(ERR_NO_SPACE, "no large enough free extent"), VE_INTERNAL);
    return err_hint(e, "the largest that is free takes %" PRId64 " bytes (%s)", largest,
                    text);
}

static int
next_number(const struct table *t, enum part_kind kind)
{
    int number = kind == PART_LOGICAL ? DOS_PRIMARIES + 1 : 1;
    while (has_number(t, number)) {
        number++;
    }
    return number;
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
    d->size = align_up(max64(d->size, 1), SECTOR_BYTES);
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
    int number = next_number(&t, kind);
    const char *node = node_of(&plan->arena, d->pool, t.path, number);
    if (!str_eq(base_of(node), d->name)) {
        return err_hint(store_err(VE_INVALID_ARG,
                                  "invalid partition name '%s', expected '%s'", d->name,
                                  base_of(node)),
                        "a partition has the name that the kernel gives it");
    }
    TRY(choose_place(d, &t, kind, &start));
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
