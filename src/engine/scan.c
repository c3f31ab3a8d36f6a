/* engine/scan.c: what is in a pool of files.
 *
 * An entry that cannot be read becomes a volume with 'error' set, or a warning if not even its
 * kind can be told; it neither hides the others nor fails the pool.  Links are followed here,
 * because libvirt lists what they lead to; but only regular files and block devices are then
 * opened, since opening some character devices (a watchdog, a tape) does things. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "engine/engine_i.h"
#include "store/code.h"
#include "store/probe.h"

#define LABEL_MAX_BYTES 256

void
scan_describe(struct arena *arena, int fd, const struct stat *st, struct vol_target *target)
{
    target->perms.mode = (int) (st->st_mode & 0777);
    target->perms.owner = st->st_uid;
    target->perms.group = st->st_gid;
    char label[LABEL_MAX_BYTES];
    ssize_t n = fd >= 0 ? fgetxattr(fd, "security.selinux", label, sizeof label - 1) : -1;
    if (n > 0) {
        target->perms.label = arena_dup(arena, label, strnlen(label, (size_t) n));
    }
    target->has_times = true;
    target->atime = (struct vol_time){ st->st_atim.tv_sec, st->st_atim.tv_nsec };
    target->mtime = (struct vol_time){ st->st_mtim.tv_sec, st->st_mtim.tv_nsec };
    target->ctime = (struct vol_time){ st->st_ctim.tv_sec, st->st_ctim.tv_nsec };
    target->btime = (struct vol_time){ 0, 0 }; /* As libvirt on Linux. */
}

/* Opens for reading what 'path_fd' (O_PATH) stands for. */
static int
reopen(int path_fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", path_fd);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOATIME);
    return fd < 0 && errno == EPERM
               ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
               : fd;
}

static int64_t
size_of(int fd, const struct stat *st)
{
    return S_ISBLK(st->st_mode) ? max64(lseek(fd, 0, SEEK_END), 0) : st->st_size;
}

/* Reads and probes an open image of 'size' bytes.  errno on failure. */
static int
probe_fd(struct arena *arena, int fd, int64_t size, struct probe *ret)
{
    uint8_t head[PROBE_HEAD_BYTES], tail[PROBE_TAIL_BYTES];
    ssize_t n_head = pread(fd, head, sizeof head, 0);
    ssize_t n_tail = 0;
    if (n_head >= 0 && size >= PROBE_TAIL_BYTES) {
        n_tail = pread(fd, tail, sizeof tail, size - PROBE_TAIL_BYTES);
    }
    if (n_head < 0 || n_tail < 0) {
        return errno;
    }
    probe_image(arena, head, (size_t) n_head, tail, (size_t) n_tail, size, ret);
    return 0;
}

int
scan_probe(struct arena *arena, int fd, const struct stat *st, struct probe *ret)
{
    return probe_fd(arena, fd, size_of(fd, st), ret);
}

/* What can be said about the backing file; failing is fine. */
static void
describe_backing(struct engine *engine, const struct probe *probe, struct vol *vol)
{
    struct arena *arena = &engine->ret->vols.arena;
    const char *said = probe->backing;
    vol->backing.format = probe->backing_format ? probe->backing_format : "raw";
    bool auto_format = str_eq(vol->backing.format, "auto");
    if (said[strcspn(said, ":/")] == ':') { /* "json:", "nbd://": no file of ours. */
        vol->backing.path = said;
        vol->backing.format = "raw";
        return;
    }
    vol->backing.path =
        said[0] == '/' ? said : arena_printf(arena, "%s/%s", engine->root_path, said);
    if (auto_format) {
        vol->backing.format = "raw";
    }
    struct stat st;
    CLEANUP(fd_done) int path_fd = openat(engine->root, said, O_PATH | O_CLOEXEC);
    if (path_fd < 0 || fstat(path_fd, &st) < 0 ||
        !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
        return;
    }
    CLEANUP(fd_done) int fd = reopen(path_fd);
    scan_describe(arena, fd, &st, &vol->backing);
    struct probe below;
    if (auto_format && fd >= 0 && probe_fd(arena, fd, size_of(fd, &st), &below) == 0) {
        vol->backing.format = below.format;
    }
}

static void
describe_probe(struct engine *engine, const char *name, const struct probe *probe,
               struct vol *vol)
{
    vol->target.format = probe->format;
    vol->capacity = probe->capacity;
    vol->target.compat = probe->compat;
    vol->target.cluster_bytes = probe->cluster_bytes;
    vol->target.has_features = probe->has_features;
    vol->target.lazy_refcounts = probe->lazy_refcounts;
    vol->target.extended_l2 = probe->extended_l2;
    vol->target.crypt.format = probe->crypt;
    if (probe->backing) {
        describe_backing(engine, probe, vol);
    }
    if (probe->warning) {
        vol_list_warn(&engine->ret->vols, "volume '%s': %s", name, probe->warning);
    }
}

/* An entry that is there but cannot be read whole. */
static void
mark_unreadable(struct engine *engine, struct vol *vol, int errnum)
{
    vol->error = arena_printf(&engine->ret->vols.arena, "cannot read '%s': %s",
                              vol->target.path, strerror(errnum));
    vol_list_warn(&engine->ret->vols, "%s", vol->error);
}

/* Adds the entry to the result.  False if there is no such volume: vanished, or of a kind that
 * is none. */
static bool
examine(struct engine *engine, const char *name)
{
    struct vol_list *list = &engine->ret->vols;
    struct stat st;
    CLEANUP(fd_done) int path_fd = openat(engine->root, name, O_PATH | O_CLOEXEC);
    if (path_fd < 0 || fstat(path_fd, &st) < 0) {
        int errnum = errno;
        if (faccessat(engine->root, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
            vol_list_warn(list, "'%s' is not listed: %s", engine_path(engine, name),
                          strerror(errnum));
        }
        return false;
    } else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISBLK(st.st_mode)) {
        return false;
    }
    struct vol *vol = vol_list_add(list);
    vol->name = arena_str(&list->arena, name);
    vol->target.path = vol->key = engine_path(engine, name);
    vol->type = S_ISDIR(st.st_mode) ? VOL_DIR : VOL_FILE;
    if (S_ISDIR(st.st_mode)) {
        vol->target.format = "dir";
        vol->capacity = vol->allocation = 0;
        scan_describe(&list->arena, -1, &st, &vol->target);
        return true;
    }
    CLEANUP(fd_done) int fd = reopen(path_fd);
    int errnum = fd < 0 ? errno : 0;
    vol->physical = vol->capacity = fd < 0 ? st.st_size : size_of(fd, &st);
    vol->allocation = S_ISBLK(st.st_mode) ? vol->physical : st.st_blocks * INT64_C(512);
    scan_describe(&list->arena, fd, &st, &vol->target);
    struct probe probe;
    if (!errnum) {
        errnum = probe_fd(&list->arena, fd, vol->physical, &probe);
    }
    if (errnum) {
        mark_unreadable(engine, vol, errnum);
    } else {
        describe_probe(engine, name, &probe, vol);
    }
    return true;
}

static struct err *
stat_pool(struct engine *engine)
{
    struct statvfs fs;
    struct stat st;
    if (fstatvfs(engine->root, &fs) < 0) {
        return engine_io(errno, "cannot statvfs path '%s'", engine->root_path);
    } else if (fstat(engine->root, &st) < 0) {
        return engine_io(errno, "cannot stat path '%s'", engine->root_path);
    }
    struct pool_stat *stat = &engine->ret->stat;
    stat->capacity = (int64_t) (fs.f_blocks * (uint64_t) fs.f_frsize);
    stat->available = (int64_t) (fs.f_bfree * (uint64_t) fs.f_frsize);
    stat->allocation = stat->capacity - stat->available;
    struct vol_target target = { .perms = PERMS_INIT };
    scan_describe(&engine->ret->vols.arena, engine->root, &st, &target);
    stat->perms = target.perms;
    engine->ret->has_stat = true;
    return NULL;
}

/* Is 'name' one that rows and XML can hold? */
static bool
is_listable(struct engine *engine, const char *name)
{
    if (!str_is_utf8(name, strlen(name))) {
        vol_list_warn(&engine->ret->vols,
                      "an entry is not listed: its name is no valid UTF-8");
        return false;
    }
    for (const char *p = name; *p; p++) {
        if ((uint8_t) *p < 0x20 || *p == 0x7f) {
            vol_list_warn(
                &engine->ret->vols,
                "an entry is not listed: its name holds the control character 0x%02x",
                (uint8_t) *p);
            return false;
        }
    }
    return true;
}

static void
dir_drop(DIR **dir)
{
    if (*dir) {
        closedir(*dir);
    }
}

struct err *
scan_root(struct engine *engine, const struct plan_step *step UNUSED)
{
    struct vol_list *list = &engine->ret->vols;
    int fd = openat(engine->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(dir_drop) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int errnum = errno;
        fd_done(&fd);
        return engine_io(errnum, "cannot open directory '%s'", engine->root_path);
    }
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(dir))) {
        const char *name = entry->d_name;
        TRY(engine_interrupted(engine));
        if (str_eq(name, ".") || str_eq(name, "..")) {
            continue;
        } else if (vol_name_is_temporary(name)) {
            place_reap(engine, name);
        } else if (list->vols.n >= ENGINE_MAX_VOLS) {
            vol_list_warn(list, "more than %d volumes: the rest is not listed",
                          ENGINE_MAX_VOLS);
            break;
        } else if (is_listable(engine, name)) {
            examine(engine, name);
        }
    }
    if (!entry && errno) {
        return engine_io(errno, "cannot read directory '%s'", engine->root_path);
    }
    vol_list_sort(list);
    engine->ret->active = true;
    return stat_pool(engine);
}

struct err *
scan_one(struct engine *engine, const struct plan_step *step)
{
    if (!examine(engine, step->name)) {
        return err_hint(store_err(VE_NO_VOL, "no storage vol with matching path '%s'",
                                  engine_path(engine, step->name)),
                        "refresh the pool to see what is there");
    }
    return stat_pool(engine);
}

struct err *
scan_grows(struct engine *engine, const struct plan_step *step)
{
    struct arena *arena = &engine->ret->vols.arena;
    struct stat st;
    struct probe probe;
    if (fstat(engine->file, &st) < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->file);
    }
    int64_t capacity = st.st_size;
    if (!str_eq(step->format, "raw") && !str_eq(step->format, "iso")) {
        TRY(image_check(engine->root, engine->file, engine->plan->file, step->format,
                        step->backing));
        int errnum = probe_fd(arena, engine->file, st.st_size, &probe);
        if (errnum) {
            return engine_io(errnum, "cannot read '%s'", engine->plan->file);
        }
        capacity = probe.capacity;
    }
    if (step->size >= capacity) {
        return NULL;
    } else if (step->size < st.st_blocks * INT64_C(512) && str_eq(step->format, "raw")) {
        return store_err(VE_INVALID_ARG, "can't shrink capacity below existing allocation");
    } else if (!step->shrink) {
        return store_err(VE_INVALID_ARG,
                         "Can't shrink capacity below current capacity unless "
                         "shrink flag explicitly specified");
    }
    return NULL;
}
