/* engine/device.c: block devices, as volumes and as what pools are made of. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "engine/engine_i.h"
#include "loop/child.h"
#include "store/code.h"

#define SETTLE_MS 30000
#define NODE_MS 30000
#define NODE_POLL_MS 20
#define REREAD_MS 10000 /* As long as that, what holds a partition may be udev. */
#define ENDS_BYTES MIB  /* Where labels, superblocks and LVM's metadata lie. */
#define LOCK_DIR "/run/byre"

struct err *
device_settle(struct engine *engine, const struct plan_step *step)
{
    char timeout[48];
    int64_t limit_ms = step->size ? step->size : SETTLE_MS;
    snprintf(timeout, sizeof timeout, "--timeout=%" PRId64,
             div_up((uint64_t) limit_ms, 1000));
    const char *const argv[] = { "/usr/bin/udevadm", "settle", timeout, NULL };
    struct child_spec spec = { .argv = argv, .deadline_ms = limit_ms + 2000 };
    CLEANUP(child_result_done) struct child_result result = CHILD_RESULT_INIT;
    err_free(child_run_blocking(&spec, engine->env->cancel_fd, engine->env->cancel_flag,
                                &result)); /* A busy udev hinders nobody. */
    return engine_interrupted(engine);
}

struct err *
device_node(struct engine *engine, const struct plan_step *step)
{
    struct stat st;
    int64_t until_ms = clock_mono_ms() + (step->size ? step->size : NODE_MS);
    while (stat(step->name, &st) < 0 || !S_ISBLK(st.st_mode)) {
        TRY(engine_interrupted(engine));
        if (clock_mono_ms() >= until_ms) {
            return err_hint(
                err_tag(err_new(ERR_TIMEOUT, "the device %s does not appear", step->name),
                        VE_SYSTEM_ERROR),
                "see what udev does: udevadm monitor, dmesg");
        }
        poll(NULL, 0, NODE_POLL_MS);
    }
    return NULL;
}

int64_t
device_size(int fd, const struct stat *st)
{
    return S_ISBLK(st->st_mode) ? max64(lseek(fd, 0, SEEK_END), 0) : st->st_size;
}

static bool
is_locked(int fd)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* O_EXCL on a block device fails while a file system, LVM, md or another such opener has it;
 * QEMU is seen by its locks.  Who only looks whether he could write ('look') does not open it for
 * writing: udev probes a device that such an opener has closed, and would itself keep parted
 * from a partition that is to go. */
static struct err *
open_device(const char *path, bool write, bool look, int *ret_fd)
{
    int flags = write && !look ? O_RDWR : O_RDONLY;
    CLEANUP(fd_done)
    int fd = open(path, flags | (write ? O_EXCL : 0) | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 && errno == EBUSY) {
        return err_hint(store_err(VE_OPERATION_INVALID, "device '%s' is in use", path),
                        "see who has it: lsblk %s; fuser -v %s", path, path);
    } else if (fd < 0 && errno == ENOENT) {
        return err_hint(store_err(VE_INVALID_ARG, "device path '%s' doesn't exist", path),
                        "lsblk lists the devices of this host");
    } else if (fd < 0) {
        return engine_io(errno, "cannot open '%s'", path);
    } else if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode)) {
        return store_err(VE_OPERATION_INVALID, "'%s' is not a block device", path);
    } else if ((write ? is_locked(fd) : place_is_written(fd)) ||
               (!look && !place_lock(fd, write))) {
        return engine_busy(path_base(path));
    }
    *ret_fd = fd_take(&fd);
    return NULL;
}

struct err *
device_open(struct engine *engine, const struct plan_step *step)
{
    fd_done(&engine->file);
    TRY(open_device(step->name, step->write, step->strict, &engine->file));
    if (step->strict) {
        fd_done(&engine->file);
    }
    return NULL;
}

struct err *
device_open_source(struct engine *engine, const struct plan_step *step)
{
    return open_device(step->name, false, false, &engine->source);
}

/* Has the kernel read the table anew, which it will not while somebody, such as udev, looks into a
 * partition.  It may have no table to read: all the same. */
static struct err *
read_table_anew(struct engine *engine)
{
    int64_t until_ms = clock_mono_ms() + REREAD_MS;
    while (ioctl(engine->file, BLKRRPART) < 0 && errno == EBUSY &&
           clock_mono_ms() < until_ms) {
        TRY(engine_interrupted(engine));
        poll(NULL, 0, NODE_POLL_MS);
    }
    return NULL;
}

struct err *
device_zero_ends(struct engine *engine, const struct plan_step *step UNUSED)
{
    struct stat st;
    CLEANUP(free_drop) char *zeros = xcalloc(1, ENDS_BYTES);
    if (fstat(engine->file, &st) < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->file);
    }
    int64_t size = device_size(engine->file, &st);
    int64_t n = min64(size, ENDS_BYTES);
    int64_t ends[] = { 0, size - n };
    for (size_t i = 0; i < N_ELEMS(ends); i++) {
        if (pwrite(engine->file, zeros, (size_t) n, ends[i]) != n) {
            return engine_io(errno, "failed to clear '%s'", engine->plan->file);
        }
    }
    if (fsync(engine->file) < 0) {
        return engine_io(errno, "cannot sync data to '%s'", engine->plan->file);
    }
    TRY(read_table_anew(engine));
    fd_done(&engine->file); /* Others want it for themselves. */
    return NULL;
}

void
device_close(struct engine *engine)
{
    struct stat st;
    if (engine->file >= 0 && fstat(engine->file, &st) == 0 && S_ISBLK(st.st_mode)) {
        fd_done(&engine->file);
    }
}

struct err *
device_sync(struct engine *engine, const struct plan_step *step UNUSED)
{
    if (fsync(engine->file) < 0) {
        return engine_io(errno, "cannot sync data to '%s'", engine->plan->file);
    }
    fd_done(&engine->file);
    return NULL;
}

/* Nodes of partitions go and come again whenever somebody who could write to the disk, parted among
 * them, has closed it: udev has the table read anew. */
static void
await_node(const char *path, int64_t until_ms)
{
    while (access(path, F_OK) < 0 && errno == ENOENT && clock_mono_ms() < until_ms) {
        poll(NULL, 0, NODE_POLL_MS);
    }
}

static void
look_at(struct engine *engine, struct vol *vol)
{
    struct stat st;
    CLEANUP(fd_done)
    int fd = open(vol->target.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int errnum = fd < 0 || fstat(fd, &st) < 0 ? errno : S_ISBLK(st.st_mode) ? 0 : ENOTBLK;
    if (errnum) {
        vol->capacity = max64(vol->capacity, 0);
        vol->allocation = max64(vol->allocation, 0);
        if (!vol->error) {
            vol->error = arena_printf(&engine->ret->vols.arena, "cannot open '%s': %s",
                                      vol->target.path, strerror(errnum));
        }
        vol_list_warn(&engine->ret->vols, "volume '%s': %s", vol->name, vol->error);
        return;
    }
    scan_describe(&engine->ret->vols.arena, fd, &st, &vol->target);
    int64_t size = device_size(fd, &st);
    vol->capacity = vol->capacity < 0 ? size : vol->capacity;
    vol->allocation = vol->allocation < 0 ? size : vol->allocation;
    vol->physical = size;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The first link in 'dir' that leads to the volume's node becomes its path: libvirt takes the
 * first in the order of the directory, which changes from boot to boot. */
static void
use_links(struct engine *engine, const char *dir)
{
    struct dirent **entries = NULL;
    int n = str_eq(dir, "/dev") ? 0 : scandir(dir, &entries, NULL, by_name);
    for (int i = 0; i < n; i++) {
        CLEANUP(free_drop) char *link = path_join(dir, entries[i]->d_name);
        CLEANUP(free_drop)
        char *node = entries[i]->d_type == DT_LNK ? realpath(link, NULL) : NULL;
        for (size_t v = 0; node && v < engine->ret->vols.vols.n; v++) {
            struct vol *vol = &engine->ret->vols.vols.v[v];
            if (str_eq(vol->target.path, node)) {
                vol->target.path = arena_str(&engine->ret->vols.arena, link);
            }
        }
        free(entries[i]);
    }
    free(entries);
}

struct err *
device_look(struct engine *engine, const struct plan_step *step)
{
    int64_t until_ms = clock_mono_ms() + step->size;
    for (size_t i = 0; step->size && i < engine->ret->vols.vols.n; i++) {
        await_node(engine->ret->vols.vols.v[i].target.path, until_ms);
    }
    if (step->dir && str_starts(step->dir, "/dev")) {
        use_links(engine, step->dir);
    }
    for (size_t i = 0; i < engine->ret->vols.vols.n; i++) {
        struct vol *vol = &engine->ret->vols.vols.v[i];
        TRY(engine_interrupted(engine));
        vol->key = vol->key ? vol->key : vol->target.path;
        look_at(engine, vol);
    }
    return NULL;
}

/* One's own files in a directory that only root (or whoever runs this) can write to. */
struct err *
device_lock(struct engine *engine, const struct plan_step *step)
{
    CLEANUP(free_drop)
    char *dir = geteuid() == 0 ? str_dup(LOCK_DIR)
                               : str_dupf("/tmp/byre-locks-%u", (unsigned) geteuid());
    CLEANUP(free_drop) char *path = path_join(dir, step->name);
    TRY(fs_mkdirs(dir, 0700));
    CLEANUP(fd_done) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return engine_io(errno, "cannot open lock '%s'", path);
    }
    while (flock(fd, (step->write ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
        if (step->strict) {
            engine->finished = true;
            return NULL;
        }
        TRY(engine_interrupted(engine));
        poll(NULL, 0, NODE_POLL_MS);
    }
    engine->lock = fd_take(&fd); /* Until the run ends. */
    return NULL;
}
