/* engine/grow.c: what lies below a pool, from the disks up, and how large each layer is.
 *
 *     /sys/class/block/dm-0/dm/uuid      mpath-36001..., part1-mpath-..., LVM-...
 *     /sys/class/block/dm-0/slaves/      sda sdb
 *     /sys/class/block/sda1/partition    1
 *     /sys/class/block/sda/size          in sectors of 512 bytes, as the kernel knows it
 *
 * What a disk itself says is asked of it (READ CAPACITY), because the kernel learns of a new size only
 * by a rescan.  Disks that take no SCSI commands (virtio, NVMe) tell their kernel by themselves. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/luns_i.h"
#include "engine/mounts_i.h"
#include "engine/scsi_i.h"
#include "json/json.h"
#include "store/code.h"
#include "store/grow.h"

#define ANSWER_MS 10000
#define DEPTH_MAX 8

static char *
block_path(const char *name, const char *rest)
{
    return str_dupf("%s/class/block/%s/%s", luns_roots.sys, name, rest);
}

static char *
block_read(const char *name, const char *rest)
{
    CLEANUP(free_drop) char *path = block_path(name, rest);
    return sys_read(path);
}

static int64_t
kernel_bytes(const char *name)
{
    CLEANUP(free_drop) char *sectors = block_read(name, "size");
    int64_t n;
    return sectors && str_to_i64(sectors, &n) && n >= 0 && n < INT64_MAX / 512 ? n * 512
                                                                               : 0;
}

static uint64_t
big_endian(const uint8_t *p, int n)
{
    uint64_t x = 0;
    for (int i = 0; i < n; i++) {
        x = x << 8 | p[i];
    }
    return x;
}

/* READ CAPACITY (16): last block and block size.  'fallback' if it is no SCSI disk. */
static const char *
disk_bytes(struct arena *arena, const char *node, int64_t fallback, int64_t *ret)
{
    static const uint8_t command[16] = { 0x9e, 0x10, [13] = 32 };
    uint8_t data[32] = { 0 };
    *ret = fallback;
    CLEANUP(fd_done) int fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return arena_printf(arena, "cannot open %s: %s", node, strerror(errno));
    }
    for (int tries = 0; tries < 4; tries++) {
        struct scsi_answer answer =
            scsi_ask(fd, command, sizeof command, data, sizeof data, ANSWER_MS);
        if (answer.errnum) {
            return answer.errnum == ENOTTY || answer.errnum == EINVAL
                       ? NULL
                       : arena_printf(arena, "%s does not answer: %s", node,
                                      strerror(answer.errnum));
        } else if (answer.ok) {
            uint64_t blocks = big_endian(data, 8) + 1, size = big_endian(data + 8, 4);
            if (!size || blocks > (uint64_t) INT64_MAX / size) {
                return arena_printf(arena, "%s tells a size that makes no sense", node);
            }
            *ret = (int64_t) (blocks * size);
            return NULL;
        } /* The first answer may be that something has changed. */
    }
    return arena_printf(arena, "%s does not tell its size", node);
}

static const char *
node_of(struct arena *arena, const char *name)
{
    CLEANUP(free_drop) char *dm = block_read(name, "dm/name");
    return dm ? arena_printf(arena, "/dev/mapper/%s", dm)
              : arena_printf(arena, "/dev/%s", name);
}

static bool
is_there(const struct grow_look *look, const char *node)
{
    VEC_FOR_EACH (const struct grow_layer *layer, &look->layers) {
        if (str_eq(layer->node, node) && layer->kind != GROW_PV) {
            return true;
        }
    }
    return false;
}

static void
add_disk(struct grow_look *look, const char *name, const char *map)
{
    struct arena *a = &look->arena;
    struct grow_layer *disk = grow_look_add(look, GROW_DISK);
    CLEANUP(free_drop) char *state = block_read(name, "device/state");
    disk->name = arena_str(a, name);
    disk->node = node_of(a, name);
    disk->map = map ? arena_str(a, map) : NULL;
    disk->bytes = kernel_bytes(name);
    if (state && !str_eq(state, "running") && !str_eq(state, "live")) {
        disk->target_bytes = disk->bytes;
        disk->error = arena_printf(a, "the path is %s", state);
        return;
    }
    disk->error = disk_bytes(a, disk->node, disk->bytes, &disk->target_bytes);
}

/* "vg--0-lv" is "vg-0/lv". */
static const char *
lv_name(struct arena *arena, const char *dm)
{
    char *out = arena_str(arena, dm), *to = out;
    bool split = false;
    for (const char *p = dm; *p; p++) {
        if (p[0] == '-' && p[1] == '-') {
            *to++ = *p++;
        } else if (p[0] == '-' && !split) {
            *to++ = '/';
            split = true;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
    return out;
}

static struct err *walk(struct grow_look *, const char *name, const char *map, int depth);

static struct err *
walk_dm(struct grow_look *look, const char *name, const char *uuid, int depth)
{
    struct arena *a = &look->arena;
    CLEANUP(free_drop) char *slaves_dir = block_path(name, "slaves");
    CLEANUP(free_drop) char *dm = block_read(name, "dm/name");
    CLEANUP(strvec_done) struct strvec slaves = sys_list(slaves_dir);
    bool is_map = str_starts(uuid, "mpath-"), is_lv = str_starts(uuid, "LVM-");
    int number;
    bool is_part = sscanf(uuid, "part%d-", &number) == 1;
    if (!dm || slaves.n == 0 || !(is_map || is_lv || is_part)) {
        return err_new(ERR_UNSUPPORTED,
                       "%s is neither a multipath map nor a partition nor "
                       "an LV: it does not grow here",
                       dm ? dm : name);
    }
    for (size_t i = 0; i < slaves.n; i++) {
        TRY(walk(look, slaves.v[i], is_map ? dm : NULL, depth));
        if (is_lv) {
            CLEANUP(free_drop) char *below = block_read(slaves.v[i], "dm/uuid");
            if (below && str_starts(below, "LVM-")) {
                return err_new(ERR_UNSUPPORTED,
                               "%s is made of other LVs: lvextend it by hand", dm);
            }
            struct grow_layer *pv = grow_look_add(look, GROW_PV);
            pv->name = pv->node = node_of(a, slaves.v[i]);
            pv->bytes = kernel_bytes(slaves.v[i]);
        }
    }
    struct grow_layer *layer = grow_look_add(look, is_map  ? GROW_MAP
                                                   : is_lv ? GROW_LV
                                                           : GROW_PART);
    layer->name = is_lv ? lv_name(a, dm) : arena_str(a, dm);
    layer->node = node_of(a, name);
    layer->below = node_of(a, slaves.v[0]);
    layer->number = is_part ? number : 0;
    layer->bytes = kernel_bytes(name);
    return NULL;
}

static struct err *
walk_partition(struct grow_look *look, const char *name, int number, int depth)
{
    CLEANUP(free_drop) char *link = block_path(name, "");
    CLEANUP(free_drop) char *real = realpath(link, NULL);
    CLEANUP(free_drop) char *parent = real ? path_dir(real) : NULL;
    if (!parent) {
        return engine_io(errno, "cannot resolve '%s'", link);
    }
    TRY(walk(look, path_base(parent), NULL, depth));
    struct grow_layer *part = grow_look_add(look, GROW_PART);
    part->name = arena_str(&look->arena, name);
    part->node = node_of(&look->arena, name);
    part->below = node_of(&look->arena, path_base(parent));
    part->number = number;
    part->bytes = kernel_bytes(name);
    return NULL;
}

/* Adds the layers up to the block device 'name'. */
static struct err *
walk(struct grow_look *look, const char *name, const char *map, int depth)
{
    CLEANUP(free_drop) char *uuid = block_read(name, "dm/uuid");
    CLEANUP(free_drop) char *partition = block_read(name, "partition");
    if (is_there(look, node_of(&look->arena, name))) {
        return NULL;
    } else if (depth == 0 || look->layers.n >= GROW_MAX_LAYERS) {
        return err_new(ERR_CONSTRAINT, "too much lies below %s", name);
    } else if (uuid) {
        return walk_dm(look, name, uuid, depth - 1);
    } else if (partition) {
        return walk_partition(look, name, atoi(partition), depth - 1);
    }
    add_disk(look, name, map);
    return NULL;
}

static struct err *
walk_device(struct grow_look *look, const char *path)
{
    CLEANUP(free_drop) char *real = realpath(path, NULL);
    if (!real || !str_starts(real, "/dev/")) {
        return engine_io(real ? ENODEV : errno, "cannot find the device '%s'", path);
    }
    return walk(look, path_base(real), NULL, DEPTH_MAX);
}

static struct err *
add_filesystem(struct grow_look *look, const struct pool *pool)
{
    struct arena *a = &look->arena;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    CLEANUP(fd_done)
    int fd = open(pool->target.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct mount_entry entry;
    struct statvfs fs;
    if (fd < 0 || fstatvfs(fd, &fs) < 0) {
        return engine_io(errno, "cannot open directory '%s'", pool->target.path);
    }
    TRY(mounts_guard(fd, pool->target.path, pool->source.devices[0].path));
    TRY(mounts_of(fd, &text, &entry));
    struct grow_layer *top = &look->layers.v[look->layers.n - 1];
    const char *below = top->node;
    struct grow_layer *layer = grow_look_add(look, GROW_FS);
    layer->name = arena_str(a, entry.type);
    layer->node = arena_str(a, pool->target.path);
    layer->below = below;
    layer->bytes = (int64_t) (fs.f_blocks * (uint64_t) fs.f_frsize);
    return NULL;
}

static struct err *
look_at(const struct pool *pool, struct grow_look *look)
{
    if (pool->type != POOL_FS && pool->type != POOL_LOGICAL && pool->type != POOL_DISK) {
        return err_hint(err_new(ERR_UNSUPPORTED,
                                "a pool of type %s does not grow by itself",
                                pool_type_name(pool->type)),
                        pool->type == POOL_DIR || pool->type == POOL_NETFS
                            ? "grow the file system where it lies, then refresh the pool"
                            : "its LUNs have their new sizes after a refresh");
    } else if (pool->source.n_devices == 0) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "pool %s does not say its devices", pool->name),
            "add them to its definition: --source-dev");
    }
    for (size_t i = 0; i < pool->source.n_devices; i++) {
        TRY(walk_device(look, pool->source.devices[i].path));
        if (pool->type == POOL_LOGICAL) {
            const struct grow_layer *top = &look->layers.v[look->layers.n - 1];
            const char *node = top->node;
            int64_t bytes = top->bytes;
            struct grow_layer *pv = grow_look_add(look, GROW_PV);
            pv->name = pv->node = node;
            pv->bytes = bytes;
        }
    }
    return pool->type == POOL_FS ? add_filesystem(look, pool) : NULL;
}

struct err *
grow_look_step(struct engine *engine, const struct plan_step *step)
{
    struct arena *arena = &engine->ret->vols.arena;
    CLEANUP(grow_look_done) struct grow_look look = GROW_LOOK_INIT;
    struct utsname host;
    uname(&host);
    look.host = arena_str(&look.arena, host.nodename);
    TRY(look_at(step->aux, &look));
    struct json j = grow_look_encode(arena, &look);
    CLEANUP(free_drop) char *text = json_text(&j, 0);
    engine->ret->note = arena_str(arena, text);
    plan_seen_put(&engine->seen, "look", text, strlen(text));
    return NULL;
}

struct err *
grow_rescan_step(struct engine *engine UNUSED, const struct plan_step *step)
{
    CLEANUP(free_drop) char *path = block_path(step->name, "device/rescan");
    return sys_write(path, "1");
}
