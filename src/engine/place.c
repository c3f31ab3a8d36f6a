/* engine/place.c: names: the pool's directory, temporaries, publishing, removal.
 *
 * The pool's directory is opened once (symbolic links on the way to it are the administrator's
 * choice); everything else is one name relative to it, opened without following links.
 * Locks.  A worker locks one byte far beyond the end of the file it works on.  A temporary without
 *         such a lock belongs to nobody alive and is removed by the next scan; a volume with
 *         one is busy.  Not flock(2): over NFS that locks all bytes, and qemu-img could not
 *         take its own then.  QEMU's are looked at too, never taken. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "engine/engine_i.h"
#include "engine/mounts_i.h"
#include "store/code.h"
#include "store/gate.h"

#define BTRFS_MAGIC 0x9123683E
#define TEMP_TRIES 100
#define LOCK_BYTE (INT64_C(1) << 62)

int
place_open(int dir, const char *name, int flags)
{
    struct open_how how = {
        .flags = (uint64_t) (flags | O_CLOEXEC | O_NOFOLLOW),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    if (flags & O_CREAT) {
        how.mode = 0600;
    }
    int fd = (int) syscall(SYS_openat2, dir, name, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        /* An old kernel, or a filter that does not know the call.  'name' is one component, so
         * this does the same. */
        fd = openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    return fd;
}

static struct err *
check_real(const char *path, const char *real)
{
    if (pool_path_is_system(real)) {
        return store_err(VE_INVALID_ARG,
                         "target path '%s' is the directory '%s' of the system", path,
                         real);
    }
    return NULL;
}

/* Refuses a path that, links resolved, is a directory of the system.  The last parts may not
 * exist yet.  Names can change meanwhile: check_opened() has the last word. */
static struct err *
check_place(const char *path)
{
    CLEANUP(free_drop) char *existing = str_dup(path);
    CLEANUP(free_drop) char *real = NULL;
    while (!(real = realpath(existing, NULL)) && errno == ENOENT &&
           strcmp(existing, "/") != 0) {
        char *parent = path_dir(existing);
        free(existing);
        existing = parent;
    }
    if (!real) {
        return engine_io(errno, "cannot resolve path '%s'", path);
    }
    CLEANUP(free_drop)
    char *whole = str_dupf("%s%s", str_eq(real, "/") ? "" : real,
                           path + strlen(existing) - (strcmp(existing, "/") == 0));
    return check_real(path, whole);
}

/* The same of an open directory, or of its entry 'name' (NULL: itself). */
static struct err *
check_opened(int fd, const char *name, const char *path)
{
    char link[64], real[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, real, sizeof real - 1);
    if (n < 0 || n == (ssize_t) sizeof real - 1) {
        return engine_io(n < 0 ? errno : ENAMETOOLONG, "cannot resolve path '%s'", path);
    }
    real[n] = '\0';
    CLEANUP(free_drop) char *whole = name ? path_join(real, name) : str_dup(real);
    return check_real(path, whole);
}

static struct err *
open_dir(const char *path, int *ret_fd)
{
    *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd >= 0) {
        return check_opened(*ret_fd, NULL, path);
    } else {
        struct err *e = engine_io(errno, "cannot open directory '%s'", path);
        return err_is(e, ERR_NOT_FOUND)
                   ? err_hint(e, "build the pool: byre pool build NAME")
                   : e;
    }
    return NULL;
}

struct err *
place_root(struct engine *engine, const struct plan_step *step)
{
    TRY(check_place(step->name));
    engine->root_path = step->name;
    TRY(open_dir(step->name, &engine->root));
    return step->dir ? mounts_guard(engine->root, step->name, step->dir) : NULL;
}

struct err *
place_check(struct engine *engine, const struct plan_step *step)
{
    struct stat st;
    engine->ret->active = stat(step->name, &st) == 0 && S_ISDIR(st.st_mode);
    return NULL;
}

bool
place_lock(int fd, bool alone)
{
    struct flock lock = { .l_type = alone ? F_WRLCK : F_RDLCK,
                          .l_whence = SEEK_SET,
                          .l_start = LOCK_BYTE,
                          .l_len = 1 };
    return fcntl(fd, F_OFD_SETLK, &lock) == 0 || errno == ENOLCK || errno == EOPNOTSUPP;
}

bool
place_is_btrfs(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type == BTRFS_MAGIC;
}

struct err *
place_nocow(int fd)
{
    int flags;
    if (!place_is_btrfs(fd)) {
        return err_io(ENOSYS, "not btrfs");
    } else if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) {
        return err_io(errno, "FS_IOC_GETFLAGS");
    }
    flags |= FS_NOCOW_FL;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? err_io(errno, "FS_IOC_SETFLAGS") : NULL;
}

static struct err *
set_dir_perms(int fd, const char *path, const struct perms *perms, int mode)
{
    if ((perms->owner >= 0 || perms->group >= 0) &&
        fchown(fd, perms->owner >= 0 ? (uid_t) perms->owner : (uid_t) -1,
               perms->group >= 0 ? (gid_t) perms->group : (gid_t) -1) < 0) {
        return engine_io(errno, "cannot chown '%s' to (%" PRId64 ", %" PRId64 ")", path,
                         perms->owner, perms->group);
    } else if (mode >= 0 && fchmod(fd, (mode_t) mode) < 0) {
        return engine_io(errno, "cannot set mode of '%s' to %04o", path, (unsigned) mode);
    }
    return NULL;
}

/* Opens the directory that 'path' lies in. */
static struct err *
open_parent(const char *path, int *ret_fd)
{
    CLEANUP(free_drop) char *parent = path_dir(path);
    *ret_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd < 0 ? engine_io(errno, "cannot open directory '%s'", parent)
                       : check_opened(*ret_fd, path_base(path), path);
}

struct err *
place_mkdirs(struct engine *engine UNUSED, const struct plan_step *step)
{
    TRY(check_place(step->name));
    CLEANUP(free_drop) char *parent = path_dir(step->name);
    TRY(err_tag(fs_mkdirs(parent, 0777), VE_SYSTEM_ERROR));
    CLEANUP(fd_done) int in = -1, fd = -1;
    TRY(open_parent(step->name, &in));
    bool is_new = mkdirat(in, path_base(step->name), 0700) == 0;
    if (!is_new && errno != EEXIST) {
        return engine_io(errno, "cannot create path '%s'", step->name);
    } else if (!is_new) {
        TRY(open_dir(step->name, &fd));
    } else if ((fd = place_open(in, path_base(step->name), O_RDONLY | O_DIRECTORY)) < 0) {
        return engine_io(errno, "cannot open directory '%s'", step->name);
    }
    int mode = step->perms.mode >= 0 ? step->perms.mode : is_new ? step->default_mode : -1;
    struct err *e = set_dir_perms(fd, step->name, &step->perms, mode);
    if (!e && step->cow != TRI_YES) {
        e = place_nocow(fd);
        if (e && (step->cow == TRI_ABSENT || place_is_btrfs(fd))) {
            err_free(TAKE(e)); /* Only asked for by default, or refused by the kernel. */
        }
    }
    if (e && is_new) {
        unlinkat(in, path_base(step->name), AT_REMOVEDIR);
    }
    if (e && err_errno(e) == ENOSYS) {
        err_free(e);
        return engine_io(ENOSYS, "unable to control COW flag on '%s', not btrfs",
                         step->name);
    }
    return e               ? e
           : fsync(in) < 0 ? engine_io(errno, "cannot sync directory '%s'", parent)
                           : NULL;
}

struct err *
place_rmdir_root(struct engine *engine UNUSED, const struct plan_step *step)
{
    TRY(check_place(step->name));
    CLEANUP(fd_done) int in = -1;
    struct err *absent = open_parent(step->name, &in);
    if (err_is(absent, ERR_NOT_FOUND)) {
        err_free(absent);
        return NULL;
    }
    TRY(absent);
    if (unlinkat(in, path_base(step->name), AT_REMOVEDIR) < 0 && errno != ENOENT) {
        struct err *e = engine_io(errno, "failed to remove pool '%s'", step->name);
        return err_errno(e) == ENOTEMPTY ? err_hint(e, "delete the pool's volumes first")
                                         : e;
    }
    return fsync(in) < 0 ? engine_io(errno, "cannot sync the directory of '%s'", step->name)
                         : NULL;
}

struct err *
place_room(struct engine *engine, const struct plan_step *step)
{
    struct statvfs fs;
    if (fstatvfs(engine->root, &fs) < 0) {
        return engine_io(errno, "cannot statvfs path '%s'", engine->root_path);
    }
    uint64_t total = fs.f_blocks * (uint64_t) fs.f_frsize;
    uint64_t avail = (geteuid() == 0 ? fs.f_bfree : fs.f_bavail) * (uint64_t) fs.f_frsize;
    if (total == 0) {
        return NULL; /* The file system does not tell. */
    }
    if (!step->overcommit && (uint64_t) step->size > total) {
        CLEANUP(free_drop) char *size = str_from_bytes(step->size);
        CLEANUP(free_drop) char *pool = str_from_bytes((int64_t) total);
        struct err *e = err_new(ERR_NO_SPACE,
                                "capacity %" PRId64 " bytes (%s) is larger than the "
                                "pool's %" PRIu64 " bytes (%s)",
                                step->size, size, total, pool);
        return err_hint(err_tag(e, VE_OPERATION_FAILED),
                        "choose at most %" PRIu64 " bytes, or allow overcommit", total);
    } else if ((uint64_t) step->length > avail) {
        struct err *e = err_new(ERR_NO_SPACE,
                                "Not enough space left in storage pool: %" PRId64
                                " bytes are needed, %" PRIu64 " are free",
                                step->length, avail);
        return err_hint(err_tag(e, VE_OPERATION_FAILED),
                        "make room in the pool, or choose a smaller allocation");
    }
    return NULL;
}

static struct err *
exists_already(const char *name)
{
    return err_hint(store_err(VE_VOL_EXISTS, "storage volume '%s' exists already", name),
                    "choose another name, or delete that volume first");
}

/* ".NAME.new-RANDOM"; a long name is cut where a character ends. */
static char *
temp_name(const char *name)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    uint8_t random[6];
    char tail[7] = "";
    if (getrandom(random, sizeof random, 0) != (ssize_t) sizeof random) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof random; i++) {
        tail[i] = letters[random[i] % 36];
    }
    size_t n = strlen(name), max = VOL_NAME_MAX - 1 - strlen(VOL_TEMP_INFIX) - 6;
    if (n > max) {
        for (n = max; n > 0 && ((uint8_t) name[n] & 0xc0) == 0x80;) {
            n--;
        }
    }
    return str_dupf(".%.*s%s%s", (int) n, name, VOL_TEMP_INFIX, tail);
}

struct err *
place_temp(struct engine *engine, const struct plan_step *step)
{
    struct stat st;
    if (!step->write && fstatat(engine->root, step->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        return exists_already(step->name);
    }
    for (int i = 0; i < TEMP_TRIES; i++) {
        CLEANUP(free_drop) char *name = temp_name(step->name);
        if (!name) {
            return engine_io(errno, "getrandom");
        }
        CLEANUP(fd_done) int fd = place_open(engine->root, name, O_RDWR | O_CREAT | O_EXCL);
        if (fd < 0 && errno == EEXIST) {
            continue;
        } else if (fd < 0) {
            return engine_io(errno, "cannot create file '%s'",
                             engine_path(engine, step->name));
        }
        /* Between the two a scan may have taken it for a dead one: then once more. */
        if (place_lock(fd, true) && fstat(fd, &st) == 0 && st.st_nlink > 0) {
            engine->file = fd_take(&fd);
            engine->temp_name = TAKE(name);
            return NULL;
        }
    }
    return engine_io(EBUSY, "cannot create file '%s'", engine_path(engine, step->name));
}

/* Does another program hold a lock on the file, as QEMU does on images it runs from? */
static bool
is_locked(int fd)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Does QEMU write to it?  It marks the rights that it has, and those that it denies others, by
 * locks on bytes from 100 and from 200 on: reading whole is the first, writing the second. */
bool
place_is_written(int fd)
{
    struct flock writes = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 101, .l_len = 1
    };
    struct flock denies = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 200, .l_len = 1
    };
    return (fcntl(fd, F_OFD_GETLK, &writes) == 0 && writes.l_type != F_UNLCK) ||
           (fcntl(fd, F_OFD_GETLK, &denies) == 0 && denies.l_type != F_UNLCK);
}

static struct err *
open_volume(int dir, const char *dir_path, const char *name, bool write, int *ret_fd)
{
    CLEANUP(fd_done)
    int fd = place_open(dir, name, (write ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) {
        return err_hint(store_err(VE_NO_VOL, "no storage vol with matching path '%s/%s'",
                                  dir_path, name),
                        "refresh the pool to see what is there");
    } else if (fd < 0) {
        return engine_io(errno, "cannot open volume '%s/%s'", dir_path, name);
    }
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return engine_io(errno, "cannot stat '%s/%s'", dir_path, name);
    } else if (S_ISDIR(st.st_mode)) {
        return engine_io(EISDIR, "Unable to open stream for '%s/%s'", dir_path, name);
    } else if (!S_ISREG(st.st_mode)) {
        return store_err(VE_OPERATION_INVALID, "volume '%s/%s' is not a regular file",
                         dir_path, name);
    } else if ((write ? is_locked(fd) : place_is_written(fd)) || !place_lock(fd, write)) {
        return engine_busy(name);
    }
    *ret_fd = fd_take(&fd);
    return NULL;
}

struct err *
place_open_file(struct engine *engine, const struct plan_step *step)
{
    return open_volume(engine->root, engine->root_path, step->name, step->write,
                       &engine->file);
}

struct err *
place_open_source(struct engine *engine, const struct plan_step *step)
{
    TRY(check_place(step->dir));
    CLEANUP(fd_done) int dir = -1;
    TRY(open_dir(step->dir, &dir));
    TRY(open_volume(dir, step->dir, step->name, step->write, &engine->source));
    return step->format ? image_check(dir, engine->source, engine->plan->source,
                                      step->format, step->backing)
                        : NULL;
}

struct err *
place_backing(struct engine *engine, const struct plan_step *step)
{
    struct stat st;
    CLEANUP(fd_done) int fd = -1, dir = -1;
    CLEANUP(free_drop)
    char *path = step->name[0] == '/' ? str_dup(step->name)
                                      : path_join(engine->root_path, step->name);
    CLEANUP(free_drop) char *parent = path_dir(path);
    if (fstatat(engine->root, step->name, &st, 0) == 0 && !S_ISREG(st.st_mode) &&
        !S_ISBLK(st.st_mode)) { /* Opening another kind may do things, or wait. */
        return store_err(VE_OPERATION_INVALID, "backing store volume %s is not a file",
                         step->name);
    }
    fd = openat(engine->root, step->name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    dir = fd < 0 ? -1 : open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return err_hint(
            engine_io(errno, "inaccessible backing store volume %s", step->name),
            "create or upload that volume first");
    }
    return image_check(dir, fd, path, step->format, NULL);
}

struct err *
place_publish(struct engine *engine, const struct plan_step *step)
{
    if (fsync(engine->file) < 0) {
        return engine_io(errno, "cannot sync data to file '%s'", engine->plan->file);
    }
    int rc = renameat2(engine->root, engine->temp_name, engine->root, step->name,
                       RENAME_NOREPLACE);
    if (rc < 0 && (errno == EINVAL || errno == ENOSYS)) {
        /* Not every file system can; a link never replaces either. */
        rc = linkat(engine->root, engine->temp_name, engine->root, step->name, 0);
        if (rc == 0) {
            unlinkat(engine->root, engine->temp_name, 0);
        }
    }
    if (rc < 0 && errno == EEXIST) {
        return exists_already(step->name);
    } else if (rc < 0) {
        return engine_io(errno, "cannot name the volume '%s'", engine->plan->file);
    }
    free(TAKE(engine->temp_name));
    if (fsync(engine->root) < 0) {
        return engine_io(errno, "cannot sync directory '%s'", engine->root_path);
    }
    return NULL;
}

struct err *
place_like(struct engine *engine, const struct plan_step *step)
{
    struct stat st;
    int flags;
    if (fstat(engine->source, &st) < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->source);
    } else if (fchown(engine->file, st.st_uid, st.st_gid) < 0) {
        return engine_io(errno, "cannot chown '%s'", engine->plan->file);
    } else if (fchmod(engine->file, st.st_mode & 07777) < 0) {
        return engine_io(errno, "cannot set mode of '%s'", engine->plan->file);
    }
    if (ioctl(engine->source, FS_IOC_GETFLAGS, &flags) == 0 && flags & FS_NOCOW_FL) {
        err_free(place_nocow(engine->file)); /* It only makes it slower. */
    }
    bool has_blocks = st.st_size > 0 && st.st_blocks * INT64_C(512) >= st.st_size;
    struct plan_step all = { .kind = STEP_ALLOCATE, .size = st.st_size };
    return has_blocks && step->bounded ? data_allocate(engine, &all) : NULL;
}

struct err *
place_replace(struct engine *engine, const struct plan_step *step)
{
    struct stat held, there;
    if (fsync(engine->file) < 0) {
        return engine_io(errno, "cannot sync data to file '%s'", engine->plan->file);
    } else if (is_locked(engine->source)) {
        return engine_busy(step->name); /* Somebody else has started a machine with it. */
    } else if (fstat(engine->source, &held) < 0 ||
               fstatat(engine->root, step->name, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
               held.st_ino != there.st_ino || held.st_dev != there.st_dev) {
        return err_hint(store_err(VE_OPERATION_INVALID,
                                  "'%s' was replaced or removed meanwhile",
                                  engine->plan->file),
                        "refresh the pool to see what is there");
    } else if (renameat(engine->root, engine->temp_name, engine->root, step->name) < 0) {
        return engine_io(errno, "cannot name the volume '%s'", engine->plan->file);
    }
    free(TAKE(engine->temp_name));
    return fsync(engine->root) < 0
               ? engine_io(errno, "cannot sync directory '%s'", engine->root_path)
               : NULL;
}

struct err *
place_discard(struct engine *engine)
{
    if (engine->temp_name && unlinkat(engine->root, engine->temp_name, 0) < 0) {
        return engine_io(errno, "cannot unlink '%s'", engine->temp_name);
    }
    return NULL;
}

void
place_reap(struct engine *engine, const char *name)
{
    struct stat held, there;
    CLEANUP(fd_done) int fd = place_open(engine->root, name, O_RDWR | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, &held) == 0 && S_ISREG(held.st_mode) && place_lock(fd, true) &&
        fstatat(engine->root, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        held.st_ino == there.st_ino && held.st_dev == there.st_dev) {
        unlinkat(engine->root, name, 0);
    }
}

struct err *
place_mkdir(struct engine *engine, const struct plan_step *step)
{
    const char *path = engine_path(engine, step->name);
    if (mkdirat(engine->root, step->name, 0700) < 0) {
        return errno == EEXIST ? exists_already(step->name)
                               : engine_io(errno, "cannot create path '%s'", path);
    }
    CLEANUP(fd_done) int fd = place_open(engine->root, step->name, O_RDONLY | O_DIRECTORY);
    struct err *e = fd < 0 ? engine_io(errno, "cannot open directory '%s'", path)
                           : set_dir_perms(fd, path, &step->perms, step->perms.mode);
    if (e) {
        unlinkat(engine->root, step->name, AT_REMOVEDIR);
        return e;
    }
    return fsync(engine->root) < 0
               ? engine_io(errno, "cannot sync directory '%s'", engine->root_path)
               : NULL;
}

struct err *
place_unlink(struct engine *engine, const struct plan_step *step)
{
    const char *path = engine_path(engine, step->name);
    /* Not to be opened is fine (a link, a device, no right to read): only a holder hinders. */
    CLEANUP(fd_done) int fd = place_open(engine->root, step->name, O_RDONLY | O_NONBLOCK);
    if (fd >= 0 && !engine->undoing && is_locked(fd)) {
        return engine_busy(step->name);
    }
    if (unlinkat(engine->root, step->name, 0) < 0 && errno != ENOENT) {
        return engine_io(errno, "cannot unlink file '%s'", path);
    } else if (fsync(engine->root) < 0) {
        return engine_io(errno, "cannot sync directory '%s'", engine->root_path);
    }
    return NULL;
}

struct err *
place_rmdir(struct engine *engine, const struct plan_step *step)
{
    if (unlinkat(engine->root, step->name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
        return engine_io(errno, "cannot remove directory '%s'",
                         engine_path(engine, step->name));
    }
    return fsync(engine->root) < 0
               ? engine_io(errno, "cannot sync directory '%s'", engine->root_path)
               : NULL;
}
