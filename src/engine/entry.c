/* engine/entry.c: one entry of a pool of files: what it is and what its header says.
 *
 * Links are followed, because libvirt lists what they lead to; but only regular files and block
 * devices are then opened, since opening some character devices (a watchdog, a tape) does things:
 * what is no link is opened without following one, what is one is looked at before it is opened.
 *
 * Little is read: most images are told apart, and described whole, by their first page and the
 * one sector where an ISO's name is.  What may say more than that is read as far as a header
 * goes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "engine/scan_i.h"
#include "store/probe.h"

#define LABEL_MAX_BYTES 256
#define FIRST_BYTES 4096 /* Most headers. */
#define ISO_AT 32768     /* An ISO's volume descriptor. */
#define ISO_BYTES (PROBE_HEAD_BYTES - ISO_AT)

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

/* Reading must not count as use; only the owner may ask for that. */
static int
open_quietly(int dir, const char *name, int flags)
{
    flags |= O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = openat(dir, name, flags | O_NOATIME);
    return fd < 0 && errno == EPERM ? openat(dir, name, flags) : fd;
}

/* Opens for reading what 'path_fd' (O_PATH) stands for. */
static int
reopen(int path_fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", path_fd);
    return open_quietly(AT_FDCWD, path, 0);
}

static int64_t
size_of(int fd, const struct stat *st)
{
    return S_ISBLK(st->st_mode) ? max64(lseek(fd, 0, SEEK_END), 0) : st->st_size;
}

static int
probe_whole(struct arena *arena, int fd, int64_t size, struct probe *ret)
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

/* By the first page, the ISO's sector and the tail, with nothing between.  False: there may be
 * more to know in what was not read. */
static bool
probe_little(struct arena *arena, int fd, int64_t size, struct probe *ret)
{
    uint8_t head[PROBE_HEAD_BYTES];
    uint8_t tail[PROBE_TAIL_BYTES];
    if (size < PROBE_HEAD_BYTES || pread(fd, head, FIRST_BYTES, 0) != FIRST_BYTES ||
        pread(fd, head + ISO_AT, ISO_BYTES, ISO_AT) != ISO_BYTES) {
        return false;
    }
    memset(head + FIRST_BYTES, 0, ISO_AT - FIRST_BYTES);
    probe_image(arena, head, sizeof head, NULL, 0, size, ret);
    if (str_eq(ret->format, "qcow2")) {
        return !ret->has_backing && !ret->warning;
    } else if (!str_eq(ret->format, "raw") || ret->warning) {
        return false;
    } else if (pread(fd, tail, sizeof tail, size - PROBE_TAIL_BYTES) != sizeof tail) {
        return false;
    }
    probe_image(arena, head, sizeof head, tail, sizeof tail, size, ret);
    return str_eq(ret->format, "raw") && !ret->warning;
}

/* Reads and probes an open image of 'size' bytes.  errno on failure. */
static int
probe_fd(struct arena *arena, int fd, int64_t size, struct probe *ret)
{
    return probe_little(arena, fd, size, ret) ? 0 : probe_whole(arena, fd, size, ret);
}

int
scan_probe(struct arena *arena, int fd, const struct stat *st, struct probe *ret)
{
    return probe_fd(arena, fd, size_of(fd, st), ret);
}

/* What can be said about the backing file; failing is fine. */
static void
describe_backing(const struct scan_place *place, struct arena *arena,
                 const struct probe *probe, struct vol *vol)
{
    const char *said = probe->backing;
    vol->backing.format = probe->backing_format ? probe->backing_format : "raw";
    bool auto_format = str_eq(vol->backing.format, "auto");
    if (said[strcspn(said, ":/")] == ':') { /* "json:", "nbd://": no file of ours. */
        vol->backing.path = said;
        vol->backing.format = "raw";
        return;
    }
    vol->backing.path =
        said[0] == '/' ? said : arena_printf(arena, "%s/%s", place->root_path, said);
    if (auto_format) {
        vol->backing.format = "raw";
    }
    struct stat st;
    CLEANUP(fd_done) int path_fd = openat(place->root, said, O_PATH | O_CLOEXEC);
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
describe_probe(const struct scan_place *place, struct arena *arena,
               const struct probe *probe, struct scan_entry *entry)
{
    struct vol *vol = entry->vol;
    vol->target.format = probe->format;
    vol->capacity = probe->capacity;
    vol->target.compat = probe->compat;
    if (str_eq(probe->format, "qcow2")) { /* libvirt tells of no other's. */
        vol->target.cluster_bytes = probe->cluster_bytes;
    }
    vol->target.has_features = probe->has_features;
    vol->target.lazy_refcounts = probe->lazy_refcounts;
    vol->target.extended_l2 = probe->extended_l2;
    vol->target.crypt.format = probe->crypt;
    if (probe->backing) {
        describe_backing(place, arena, probe, vol);
    }
    if (probe->warning) {
        entry->warning =
            arena_printf(arena, "volume '%s': %s", entry->name, probe->warning);
    }
}

static const struct stamp *
stamp_of(struct arena *arena, const struct stat *st)
{
    struct stamp *stamp = ARENA_NEW(arena, struct stamp);
    *stamp = (struct stamp){ .dev = st->st_dev,
                             .ino = st->st_ino,
                             .size = st->st_size,
                             .ctime_s = st->st_ctim.tv_sec,
                             .ctime_ns = (uint32_t) st->st_ctim.tv_nsec,
                             .mode = st->st_mode,
                             .blocks = st->st_blocks };
    return stamp;
}

static bool
is_same(const struct known_entry *old, const struct stat *st)
{
    const struct stamp *was = &old->stamp;
    return old->trusted && was->ino == st->st_ino && was->dev == st->st_dev &&
           was->size == st->st_size && was->ctime_s == st->st_ctim.tv_sec &&
           was->ctime_ns == st->st_ctim.tv_nsec && was->mode == st->st_mode;
}

static struct vol *
vol_begin(const struct scan_place *place, struct arena *arena,
          const struct scan_entry *entry, const struct stat *st)
{
    struct vol *vol = ARENA_NEW(arena, struct vol);
    vol_init(vol);
    vol->target.path = vol->key =
        arena_printf(arena, "%s/%s", place->root_path, entry->name);
    vol->name = vol->key + strlen(place->root_path) + 1; /* It outlives what is known. */
    vol->type = S_ISDIR(st->st_mode) ? VOL_DIR : VOL_FILE;
    vol->physical = vol->capacity = st->st_size;
    vol->allocation = st->st_blocks * INT64_C(512);
    return vol;
}

/* As it was: from what is known and what was just looked at. */
static void
take_known(const struct scan_place *place, struct arena *arena, const struct stat *st,
           struct scan_entry *entry)
{
    const struct known_entry *old = entry->old;
    entry->warning = known_warning(place->known, old, arena);
    entry->state = st->st_blocks == old->stamp.blocks ? ENTRY_SAME : ENTRY_NEW;
    if (entry->state == ENTRY_NEW) {
        entry->stamp = stamp_of(arena, st);
    } else if (!place->all) {
        return;
    }
    struct vol *vol = vol_begin(place, arena, entry, st);
    known_describe(place->known, old, arena, vol);
    scan_describe(arena, -1, st, &vol->target);
    entry->vol = vol;
}

static void
read_file(const struct scan_place *place, struct arena *arena, int fd, int errnum,
          const struct stat *st, struct scan_entry *entry)
{
    struct vol *vol = entry->vol = vol_begin(place, arena, entry, st);
    struct probe probe;
    if (fd >= 0) {
        vol->physical = vol->capacity = size_of(fd, st);
        errnum = probe_fd(arena, fd, vol->physical, &probe);
    }
    if (S_ISBLK(st->st_mode)) {
        vol->allocation = vol->physical;
    }
    scan_describe(arena, fd, st, &vol->target);
    if (errnum) {
        vol->error = entry->warning =
            arena_printf(arena, "cannot read '%s': %s", vol->target.path, strerror(errnum));
    } else {
        describe_probe(place, arena, &probe, entry);
    }
}

/* There, but nothing can be said of it; or gone. */
static void
cannot_tell(const struct scan_place *place, struct arena *arena, int errnum,
            struct scan_entry *entry)
{
    if (faccessat(place->root, entry->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        entry->warning = arena_printf(arena, "'%s/%s' is not listed: %s", place->root_path,
                                      entry->name, strerror(errnum));
    }
}

/* Through a link: nothing is opened but what was looked at. */
static void
examine_link(const struct scan_place *place, struct arena *arena, struct scan_entry *entry)
{
    struct stat st;
    CLEANUP(fd_done) int path_fd = openat(place->root, entry->name, O_PATH | O_CLOEXEC);
    if (path_fd < 0 || fstat(path_fd, &st) < 0) {
        cannot_tell(place, arena, errno, entry);
        return;
    } else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISBLK(st.st_mode)) {
        return;
    }
    entry->state = ENTRY_NEW;
    entry->stamp = stamp_of(arena, &st);
    if (S_ISDIR(st.st_mode)) {
        entry->vol = vol_begin(place, arena, entry, &st);
        entry->vol->target.format = "dir";
        entry->vol->capacity = entry->vol->allocation = entry->vol->physical = 0;
        scan_describe(arena, -1, &st, &entry->vol->target);
    } else if (S_ISREG(st.st_mode) && entry->old && is_same(entry->old, &st)) {
        take_known(place, arena, &st, entry);
    } else {
        CLEANUP(fd_done) int fd = reopen(path_fd);
        read_file(place, arena, fd, fd < 0 ? errno : 0, &st, entry);
    }
}

void
entry_examine(const struct scan_place *place, struct arena *arena, struct scan_entry *entry)
{
    struct stat st;
    entry->state = ENTRY_NONE;
    if (fstatat(place->root, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT) {
            cannot_tell(place, arena, errno, entry);
        }
        return;
    } else if (!S_ISREG(st.st_mode)) {
        examine_link(place, arena, entry);
        return;
    }
    if (entry->old && is_same(entry->old, &st)) {
        take_known(place, arena, &st, entry);
        return;
    }
    CLEANUP(fd_done) int fd = open_quietly(place->root, entry->name, O_NOFOLLOW);
    int errnum = fd < 0 ? errno : 0;
    if (errnum == ELOOP) { /* It became a link just now. */
        examine_link(place, arena, entry);
        return;
    } else if (errnum == ENOENT || (fd >= 0 && fstat(fd, &st) < 0)) {
        return;
    } else if (fd >= 0 &&
               !S_ISREG(st.st_mode)) { /* Exchanged in between: the next scan tells. */
        return;
    }
    entry->state = ENTRY_NEW;
    entry->stamp = stamp_of(arena, &st);
    read_file(place, arena, fd, errnum, &st, entry);
}
