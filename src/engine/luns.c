/* engine/luns.c: LUNs of SCSI hosts: found, listed, opened.
 *
 *     /sys/bus/scsi/devices/2:0:0:1/{type,block/sdb,rescan}
 *     /run/udev/data/b8:16: "E:ID_SERIAL=36001405..." which is what scsi_id says
 *
 * A volume is called unit:BUS:TARGET:LUN, without the host, whose number changes from boot to
 * boot.  Its path is a link in the pool's target directory that leads to the device; of several the
 * first by name, so that it stays the same.  What is no disk or cannot be reached is not
 * listed, with a warning; nothing is ever taken away from the kernel here. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/luns_i.h"
#include "engine/scsi_i.h"
#include "store/code.h"

#define LUNS_MAX 16384
#define UDEV_MAX_BYTES (1 * MIB)
#define READY_MS 5000
#define TYPE_DISK 0
#define TYPE_ROM 5

struct lun {
    unsigned host, bus, target;
    uint64_t lun;
    char node[64]; /* "sdb" */
};

struct lun_list {
    VEC(struct lun) v;
};

static int
by_address(const void *a_, const void *b_)
{
    const struct lun *a = a_, *b = b_;
    return a->host != b->host       ? (a->host < b->host ? -1 : 1)
           : a->bus != b->bus       ? (a->bus < b->bus ? -1 : 1)
           : a->target != b->target ? (a->target < b->target ? -1 : 1)
           : a->lun != b->lun       ? (a->lun < b->lun ? -1 : 1)
                                    : 0;
}

static char *
device_path(const char *address, const char *name)
{
    return str_dupf("%s/bus/scsi/devices/%s/%s", luns_roots.sys, address, name);
}

/* Disks and CD drives that have a node, of these hosts. */
static void
find_luns(const struct strvec *hosts, struct lun_list *ret)
{
    CLEANUP(free_drop) char *dir = str_dupf("%s/bus/scsi/devices", luns_roots.sys);
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && ret->v.n < LUNS_MAX && (entry = readdir(d));) {
        struct lun lun;
        char end, host[16];
        if (sscanf(entry->d_name, "%u:%u:%u:%" SCNu64 "%c", &lun.host, &lun.bus,
                   &lun.target, &lun.lun, &end) != 4) {
            continue;
        }
        snprintf(host, sizeof host, "%u", lun.host);
        CLEANUP(free_drop) char *type_path = device_path(entry->d_name, "type");
        CLEANUP(free_drop) char *block_path = device_path(entry->d_name, "block");
        CLEANUP(free_drop) char *type = sys_read(type_path);
        CLEANUP(strvec_done) struct strvec nodes = sys_list(block_path);
        if (strvec_has(hosts, host) && type &&
            (atoi(type) == TYPE_DISK || atoi(type) == TYPE_ROM) && nodes.n > 0) {
            snprintf(lun.node, sizeof lun.node, "%s", nodes.v[0]);
            *VEC_ADD(&ret->v) = lun;
        }
    }
    if (d) {
        closedir(d);
    }
    if (ret->v.n) {
        qsort(ret->v.v, ret->v.n, sizeof *ret->v.v, by_address);
    }
}

struct err *
luns_rescan(struct engine *engine, const struct plan_step *step)
{
    CLEANUP(strvec_done) struct strvec hosts = STRVEC_INIT;
    struct lun_list luns = { VEC_INIT };
    TRY(hosts_of(step->aux, &hosts));
    for (size_t i = 0; i < hosts.n; i++) {
        CLEANUP(free_drop)
        char *path = str_dupf("%s/class/scsi_host/host%s/scan", luns_roots.sys, hosts.v[i]);
        TRY(engine_interrupted(engine));
        struct err *e = sys_write(path, "- - -");
        if (e) {
            return err_hint(e, "Could not trigger a scan of host%s", hosts.v[i]);
        }
    }
    find_luns(&hosts, &luns);
    struct err *e = NULL;
    for (size_t i = 0; i < luns.v.n && !e; i++) { /* Their sizes may have changed. */
        const struct lun *lun = &luns.v.v[i];
        CLEANUP(free_drop)
        char *path = str_dupf("%s/bus/scsi/devices/%u:%u:%u:%" PRIu64 "/rescan",
                              luns_roots.sys, lun->host, lun->bus, lun->target, lun->lun);
        err_free(sys_write(path, "1"));
        e = engine_interrupted(engine);
    }
    VEC_DONE(&luns.v);
    return e;
}

/* The links of a directory by the node they lead to: "sdb" -> the first name. */
struct link {
    char node[64];
    char *name;
};
struct links {
    VEC(struct link) v;
};

static void
links_done(struct links *links)
{
    VEC_FOR_EACH (struct link *link, &links->v) {
        free(link->name);
    }
    VEC_DONE(&links->v);
}

static void
links_add(struct links *links, const char *node, const char *name)
{
    VEC_FOR_EACH (struct link *link, &links->v) {
        if (str_eq(link->node, node)) {
            if (strcmp(name, link->name) < 0) {
                free(link->name);
                link->name = str_dup(name);
            }
            return;
        }
    }
    struct link *link = VEC_ADD(&links->v);
    snprintf(link->node, sizeof link->node, "%s", node);
    link->name = str_dup(name);
}

/* Below /dev but not /dev itself: there are links. */
static bool
has_links(const char *target)
{
    return str_starts(target, "/dev/") && target[5];
}

static void
read_links(const char *target, struct links *ret)
{
    DIR *d = opendir(target);
    for (struct dirent *entry; d && ret->v.n < LUNS_MAX && (entry = readdir(d));) {
        char to[PATH_MAX];
        ssize_t n = readlinkat(dirfd(d), entry->d_name, to, sizeof to - 1);
        if (n > 0) {
            to[n] = '\0';
            links_add(ret, path_base(to), entry->d_name);
        }
    }
    if (d) {
        closedir(d);
    }
}

/* NULL: there is no link to this node. */
static const char *
path_of(struct arena *arena, const struct links *links, const char *target,
        const char *node)
{
    if (!has_links(target)) {
        return arena_printf(arena, "/dev/%s", node);
    }
    VEC_FOR_EACH (const struct link *link, &links->v) {
        if (str_eq(link->node, node)) {
            return arena_printf(arena, "%s/%s", target, link->name);
        }
    }
    return NULL;
}

/* What udev keeps of the node: the value of 'name', or NULL. */
static const char *
udev_value(struct arena *arena, dev_t dev, const char *name)
{
    CLEANUP(free_drop)
    char *path = str_dupf("%s/b%u:%u", luns_roots.udev, major(dev), minor(dev));
    CLEANUP(free_drop) char *key = str_dupf("E:%s=", name);
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct err *e = fs_read(path, UDEV_MAX_BYTES, &text);
    if (e) {
        err_free(e);
        return NULL;
    }
    CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT;
    strvec_split(&lines, text.data, "\n");
    for (size_t i = 0; i < lines.n; i++) {
        if (str_starts(lines.v[i], key)) {
            const char *value = lines.v[i] + strlen(key);
            return *value ? arena_str(arena, value) : NULL;
        }
    }
    return NULL;
}

/* TEST UNIT READY: is there still a LUN, and does it take commands?  NULL: yes, or the device
 * cannot be asked so.  Else why not. */
static const char *
not_ready(struct arena *arena, int fd)
{
    static const uint8_t command[6] = { 0 };
    for (int tries = 0; tries < 4; tries++) {
        struct scsi_answer a = scsi_ask(fd, command, sizeof command, NULL, 0, READY_MS);
        if (a.errnum || a.ok) {
            return NULL;
        } else if (a.host_status) {
            return arena_printf(arena, "the transport fails (host status %u)",
                                a.host_status);
        } else if (a.key == 6) { /* UNIT ATTENTION: something has happened; ask again. */
            continue;
        } else if (a.key == 5 && a.asc == 0x25) {
            return "the target has no such LUN any more";
        } else if (a.key == 2) {
            return arena_printf(arena, "it is not ready (sense %x/%02x/%02x)", a.key, a.asc,
                                a.ascq);
        }
        return NULL;
    }
    return NULL;
}

static void
skip(struct vol_list *list, const struct lun *lun, const char *why)
{
    vol_list_warn(list, "LUN %u:%u:%u:%" PRIu64 " (%s) is not listed: %s", lun->host,
                  lun->bus, lun->target, lun->lun, lun->node, why);
}

static void
add_lun(struct engine *engine, const struct pool *pool, const struct links *links,
        const struct lun *lun)
{
    struct vol_list *list = &engine->ret->vols;
    struct arena *arena = &list->arena;
    const char *path = path_of(arena, links, pool->target.path, lun->node);
    if (!path) {
        skip(list, lun,
             arena_printf(arena, "no link in '%s' leads to it", pool->target.path));
        return;
    }
    CLEANUP(free_drop) char *node = str_dupf("/dev/%s", lun->node);
    CLEANUP(fd_done) int fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    uint64_t size;
    if (fd < 0 || fstat(fd, &st) < 0 || ioctl(fd, BLKGETSIZE64, &size) < 0) {
        skip(list, lun, strerror(errno));
        return;
    }
    const char *why = not_ready(arena, fd);
    if (why || size > INT64_MAX) {
        skip(list, lun, why ? why : "its size makes no sense");
        return;
    }
    struct vol *vol = vol_list_add(list);
    vol->type = VOL_BLOCK;
    vol->name = arena_printf(arena, "unit:%u:%u:%" PRIu64, lun->bus, lun->target, lun->lun);
    vol->target.path = path;
    const char *serial = udev_value(arena, st.st_rdev, "ID_SERIAL");
    const char *port = pool->source.adapter.type == ADAPTER_FC_HOST
                           ? udev_value(arena, st.st_rdev, "ID_TARGET_PORT")
                           : NULL;
    vol->key = !serial ? path
               : port  ? arena_printf(arena, "%s_PORT%s", serial, port)
                       : serial;
    vol->capacity = vol->allocation = vol->physical = (int64_t) size;
    scan_describe(arena, fd, &st, &vol->target);
    if (vol_list_find(list, vol->name) != vol) { /* A second session to the same target. */
        vol_list_warn(list, "LUN '%s' is there twice: only the first is listed", vol->name);
        list->vols.n--;
    }
}

struct err *
luns_scan(struct engine *engine, const struct plan_step *step)
{
    const struct pool *pool = step->aux;
    CLEANUP(strvec_done) struct strvec hosts = STRVEC_INIT;
    CLEANUP(links_done) struct links links = { VEC_INIT };
    struct lun_list luns = { VEC_INIT };
    TRY(hosts_of(pool, &hosts));
    if (hosts.n == 0) {
        CLEANUP(free_drop) char *what = pool_source_text(pool);
        return err_hint(store_err(VE_INTERNAL, "cannot find iscsiadm session: %s", what),
                        "start the pool again: byre pool start %s", pool->name);
    } else if (has_links(pool->target.path)) {
        read_links(pool->target.path, &links);
    }
    find_luns(&hosts, &luns);
    struct err *e = NULL;
    for (size_t i = 0; i < luns.v.n && !e; i++) {
        e = engine_interrupted(engine);
        if (!e) {
            add_lun(engine, pool, &links, &luns.v.v[i]);
        }
    }
    VEC_DONE(&luns.v);
    TRY(e);
    struct engine_result *ret = engine->ret;
    ret->stat = (struct pool_stat){ .perms = PERMS_INIT };
    VEC_FOR_EACH (const struct vol *vol, &ret->vols.vols) {
        ret->stat.capacity += vol->capacity;
    }
    ret->stat.allocation = ret->stat.capacity;
    ret->has_stat = ret->active = true;
    vol_list_sort(&ret->vols);
    return NULL;
}

/* Who has the node: a holder (LVM, multipath), or whoever opened it for itself. */
static char *
user_of_node(const char *node)
{
    CLEANUP(free_drop)
    char *holders_dir = str_dupf("%s/class/block/%s/holders", luns_roots.sys, node);
    CLEANUP(strvec_done) struct strvec holders = sys_list(holders_dir);
    if (holders.n) {
        CLEANUP(free_drop) char *names = strvec_join(&holders, ", ");
        return str_dupf("%s is part of %s", node, names);
    }
    CLEANUP(free_drop) char *path = str_dupf("/dev/%s", node);
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fd < 0 && errno == EBUSY) {
        return str_dupf("%s is mounted, or open for one program alone", node);
    } else if (fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
        return str_dupf("%s is a disk of a running machine", node);
    }
    return NULL;
}

static char *
user_of(const char *disk)
{
    char *user = user_of_node(disk);
    CLEANUP(free_drop) char *dir = str_dupf("%s/class/block/%s", luns_roots.sys, disk);
    CLEANUP(strvec_done) struct strvec names = sys_list(dir);
    for (size_t i = 0; i < names.n && !user; i++) {
        user = str_starts(names.v[i], disk) ? user_of_node(names.v[i]) : NULL;
    }
    return user;
}

struct err *
luns_idle(struct engine *engine, const struct plan_step *step)
{
    CLEANUP(strvec_done) struct strvec hosts = STRVEC_INIT;
    struct lun_list luns = { VEC_INIT };
    TRY(hosts_of(step->aux, &hosts));
    find_luns(&hosts, &luns);
    CLEANUP(strvec_done) struct strvec users = STRVEC_INIT;
    struct err *e = NULL;
    for (size_t i = 0; i < luns.v.n && !e; i++) {
        char *user = user_of(luns.v.v[i].node);
        if (user) {
            strvec_take(&users, user);
        }
        e = engine_interrupted(engine);
    }
    VEC_DONE(&luns.v);
    TRY(e);
    if (users.n == 0) {
        return NULL;
    }
    CLEANUP(free_drop) char *text = strvec_join(&users, "; ");
    return err_hint(err_tag(err_new(ERR_IO, "the pool's LUNs are in use: %s", text),
                            VE_OPERATION_INVALID),
                    "stop the machines, unmount, or deactivate what lies on them");
}

/* "dm-3" must be a multipath map. */
static struct err *
map_node(const char *name, char **ret)
{
    CLEANUP(free_drop)
    char *path = str_dupf("%s/class/block/%s/dm/uuid", luns_roots.sys, name);
    CLEANUP(free_drop)
    char *uuid = str_starts(name, "dm-") && !strchr(name, '/') ? sys_read(path) : NULL;
    *ret = uuid && str_starts(uuid, "mpath-") ? str_dup(name) : NULL;
    return NULL;
}

static struct err *
lun_node(const struct pool *pool, const char *name, char **ret)
{
    CLEANUP(strvec_done) struct strvec hosts = STRVEC_INIT;
    struct lun_list luns = { VEC_INIT };
    *ret = NULL;
    TRY(hosts_of(pool, &hosts));
    find_luns(&hosts, &luns);
    for (size_t i = 0; i < luns.v.n && !*ret; i++) {
        const struct lun *lun = &luns.v.v[i];
        CLEANUP(free_drop)
        char *its = str_dupf("unit:%u:%u:%" PRIu64, lun->bus, lun->target, lun->lun);
        *ret = str_eq(its, name) ? str_dup(lun->node) : NULL;
    }
    VEC_DONE(&luns.v);
    return NULL;
}

/* The node of a LUN or a map as it is called now. */
static struct err *
find_path(const struct plan_step *step, char **ret_path)
{
    const struct pool *pool = step->aux;
    CLEANUP(free_drop) char *node = NULL;
    TRY(pool->type == POOL_MPATH ? map_node(step->name, &node)
                                 : lun_node(pool, step->name, &node));
    if (!node) {
        return err_hint(
            store_err(VE_NO_VOL, "no storage vol with matching name '%s'", step->name),
            "refresh the pool to see what is there");
    }
    *ret_path = str_dupf("/dev/%s", node);
    return NULL;
}

struct err *
luns_open(struct engine *engine, const struct plan_step *step)
{
    CLEANUP(free_drop) char *path = NULL;
    TRY(find_path(step, &path));
    struct plan_step open_step = { .kind = STEP_DEVICE,
                                   .name = path,
                                   .write = step->write };
    return device_open(engine, &open_step);
}

struct err *
luns_open_source(struct engine *engine, const struct plan_step *step)
{
    CLEANUP(free_drop) char *path = NULL;
    TRY(find_path(step, &path));
    struct plan_step open_step = { .kind = STEP_SOURCE_DEVICE, .name = path };
    return device_open_source(engine, &open_step);
}
