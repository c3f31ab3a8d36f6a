/* engine/mounts.c: what is mounted where, by /proc/self/mountinfo.
 *
 * Nothing here touches the file systems that it asks about: a server that is gone would keep
 * us.  So a path is resolved up to its last part only, and an open directory is known by the
 * number of its mount.
 *
 *     36 35 98:0 / /mnt/a\040b rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue
 *     57 28 0:49 / /srv/nf rw,nosuid,nodev,noexec - nfs4 127.0.0.1:/srv/x rw,vers=4.2,...
 *     id parent dev root point options [fields] - type source options
 *
 * A source is the same when its text is, or when both are block devices of one number: the
 * kernel tells /dev/dm-0 or /dev/mapper/x as it likes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "engine/engine_i.h"
#include "engine/mounts_i.h"
#include "store/code.h"

#define MOUNTINFO_MAX_BYTES (16 * MIB)
#define MAX_USERS 8 /* Processes that are named when a mount is busy. */
#define FDINFO_MAX_BYTES 4096

/* "\040" and its like, in place. */
static void
unescape(char *s)
{
    char *out = s;
    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *out++ = (char) ((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        } else {
            *out++ = *s;
        }
    }
    *out = '\0';
}

/* The line's fields, pointing into it.  False: not such a line. */
static bool
parse_line(char *line, struct mount_entry *ret)
{
    char *fields[64];
    size_t n = 0, dash = 0;
    for (char *save = NULL, *f = strtok_r(line, " ", &save); f && n < N_ELEMS(fields);
         f = strtok_r(NULL, " ", &save)) {
        if (!dash && n >= 6 && str_eq(f, "-")) {
            dash = n;
        }
        fields[n++] = f;
    }
    unsigned major, minor;
    if (!dash || n < dash + 3 || sscanf(fields[2], "%u:%u", &major, &minor) != 2) {
        return false;
    }
    *ret = (struct mount_entry){ .id = atoi(fields[0]),
                                 .dev = makedev(major, minor),
                                 .point = fields[4],
                                 .type = fields[dash + 1],
                                 .source = fields[dash + 2] };
    unescape(fields[4]);
    unescape(fields[dash + 2]);
    return true;
}

struct err *
mounts_find(const char *point, int id, struct buf *text, struct mount_entry *ret,
            bool *ret_found)
{
    *ret_found = false;
    TRY(fs_read("/proc/self/mountinfo", MOUNTINFO_MAX_BYTES, text));
    char *save = NULL;
    for (char *line = strtok_r(text->data, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        struct mount_entry entry;
        if (parse_line(line, &entry) &&
            (point ? str_eq(entry.point, point) : entry.id == id)) {
            *ret = entry; /* The last one lies on top. */
            *ret_found = true;
        }
    }
    return NULL;
}

/* "h:/x/" is "h:/x". */
static bool
same_text(const char *a, const char *b)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    while (n_a > 1 && a[n_a - 1] == '/' && a[n_a - 2] != ':') {
        n_a--;
    }
    while (n_b > 1 && b[n_b - 1] == '/' && b[n_b - 2] != ':') {
        n_b--;
    }
    return n_a == n_b && memcmp(a, b, n_a) == 0;
}

bool
mounts_is_source(const struct mount_entry *entry, const char *source)
{
    struct stat wanted, there;
    if (same_text(entry->source, source)) {
        return true;
    } else if (!str_starts(source, "/") || str_starts(source, "//") ||
               stat(source, &wanted) < 0 || !S_ISBLK(wanted.st_mode)) {
        return false;
    }
    return entry->dev == wanted.st_rdev ||
           (str_starts(entry->source, "/dev/") && stat(entry->source, &there) == 0 &&
            S_ISBLK(there.st_mode) && there.st_rdev == wanted.st_rdev);
}

/* The path with its directory's links resolved, but not its own: that would ask a server. */
static char *
resolved(const char *path)
{
    CLEANUP(free_drop) char *parent = path_dir(path);
    CLEANUP(free_drop) char *real = realpath(parent, NULL);
    return real ? path_join(real, path_base(path)) : str_dup(path);
}

/* Looks up what lies on 'path', which may be a link to the mount point. */
static struct err *
find_on(const char *path, struct buf *text, struct mount_entry *ret, bool *ret_found)
{
    CLEANUP(free_drop) char *first = resolved(path);
    TRY(mounts_find(first, 0, text, ret, ret_found));
    char link[PATH_MAX];
    if (*ret_found || readlink(first, link, sizeof link) < 0) {
        return NULL;
    }
    CLEANUP(free_drop) char *real = realpath(first, NULL);
    buf_clear(text);
    return real ? mounts_find(real, 0, text, ret, ret_found) : NULL;
}

static struct err *
other_is_there(const char *point, const struct mount_entry *entry, const char *wanted)
{
    struct err *e =
        store_err(VE_OPERATION_FAILED, "'%s' is mounted on '%s' in place of '%s'",
                  entry->source, point, wanted);
    return err_hint(e, "unmount it, or give the pool another target: umount %s", point);
}

struct err *
mounts_check(struct engine *engine, const struct plan_step *step)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct mount_entry entry;
    bool found;
    TRY(find_on(step->name, &text, &entry, &found));
    engine->ret->active = found && mounts_is_source(&entry, step->dir);
    if (!found) {
        return NULL;
    } else if (!engine->ret->active) {
        return step->strict ? other_is_there(step->name, &entry, step->dir) : NULL;
    }
    struct statvfs fs;
    return statvfs(step->name, &fs) == 0
               ? NULL
               : engine_io(errno, "cannot statvfs path '%s'", step->name);
}

/* The number of the mount that an open descriptor is of: "mnt_id:\t29". */
static int
mount_id(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct err *e = fs_read(path, FDINFO_MAX_BYTES, &text);
    const char *at = e ? NULL : strstr(text.data, "mnt_id:");
    err_free(e);
    return at ? atoi(at + strlen("mnt_id:")) : -1;
}

struct err *
mounts_of(int fd, struct buf *text, struct mount_entry *ret)
{
    bool found;
    TRY(mounts_find(NULL, mount_id(fd), text, ret, &found));
    return found ? NULL : err_new(ERR_NOT_FOUND, "the mount of a directory is not listed");
}

struct err *
mounts_guard(int fd, const char *path, const char *source)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct mount_entry entry;
    bool found;
    char link[64], real[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, real, sizeof real - 1);
    real[n > 0 ? n : 0] = '\0';
    TRY(mounts_find(NULL, mount_id(fd), &text, &entry, &found));
    if (!found || !str_eq(entry.point, real)) {
        struct err *e =
            store_err(VE_OPERATION_INVALID, "'%s' is not mounted on '%s'", source, path);
        return err_hint(e, "start the pool again: byre pool start NAME");
    }
    return mounts_is_source(&entry, source) ? NULL : other_is_there(path, &entry, source);
}

/* Does this process use something below 'point'?  Links in /proc are read, never followed. */
static bool
uses(const char *pid, const char *point)
{
    static const char *const links[] = { "cwd", "root", "exe" };
    size_t n_point = strlen(point);
    char path[PATH_MAX], real[PATH_MAX];
    ssize_t n;
    for (size_t i = 0; i < N_ELEMS(links); i++) {
        snprintf(path, sizeof path, "/proc/%s/%s", pid, links[i]);
        n = readlink(path, real, sizeof real - 1);
        if (n >= (ssize_t) n_point && memcmp(real, point, n_point) == 0 &&
            (n == (ssize_t) n_point || real[n_point] == '/')) {
            return true;
        }
    }
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *dir = opendir(path);
    bool found = false;
    for (struct dirent *d; dir && !found && (d = readdir(dir));) {
        n = readlinkat(dirfd(dir), d->d_name, real, sizeof real - 1);
        found = n >= (ssize_t) n_point && memcmp(real, point, n_point) == 0 &&
                (n == (ssize_t) n_point || real[n_point] == '/');
    }
    if (dir) {
        closedir(dir);
    }
    return found;
}

char *
mounts_users(const char *path)
{
    CLEANUP(free_drop) char *point = resolved(path);
    CLEANUP(buf_done) struct buf users = BUF_INIT;
    DIR *proc = opendir("/proc");
    int n = 0;
    for (struct dirent *d; proc && n < MAX_USERS && (d = readdir(proc));) {
        if (d->d_name[0] < '1' || d->d_name[0] > '9' || atoi(d->d_name) == getpid() ||
            !uses(d->d_name, point)) {
            continue;
        }
        char comm_path[64];
        snprintf(comm_path, sizeof comm_path, "/proc/%.10s/comm", d->d_name);
        CLEANUP(buf_done) struct buf comm = BUF_INIT;
        err_free(fs_read(comm_path, 256, &comm));
        buf_printf(&users, "%s%.*s (process %s)", n++ ? ", " : "",
                   comm.n ? (int) strcspn(comm.data, "\n") : 1, comm.n ? comm.data : "?",
                   d->d_name);
    }
    if (proc) {
        closedir(proc);
    }
    return n ? buf_take(&users) : NULL;
}
