/* base/fs.c: see fs.h. */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

void
fd_done(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

struct err *
fd_read_exact(int fd, void *bytes, size_t n_bytes)
{
    for (size_t n = 0; n < n_bytes;) {
        ssize_t got = read(fd, (char *) bytes + n, n_bytes - n);
        if (got == 0) {
            return err_new(ERR_IO, "end of file after %zu of %zu bytes", n, n_bytes);
        } else if (got > 0) {
            n += (size_t) got;
        } else if (errno != EINTR) {
            return err_io(errno, "read");
        }
    }
    return NULL;
}

struct err *
fd_write_all(int fd, const void *bytes, size_t n_bytes)
{
    for (size_t n = 0; n < n_bytes;) {
        ssize_t put = write(fd, (const char *) bytes + n, n_bytes - n);
        if (put >= 0) {
            n += (size_t) put;
        } else if (errno != EINTR) {
            return err_io(errno, "write");
        }
    }
    return NULL;
}

struct err *
fd_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return err_io(errno, "set O_NONBLOCK");
    }
    return NULL;
}

char *
path_join(const char *dir, const char *name)
{
    return str_dupf("%s%s%s", dir, *dir && !str_ends(dir, "/") ? "/" : "", name);
}

const char *
path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *
path_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    return !slash          ? str_dup(".")
           : slash == path ? str_dup("/")
                           : str_dup_n(path, (size_t) (slash - path));
}

char *
path_absolute(const char *path)
{
    if (*path == '/') {
        return str_dup(path);
    }
    CLEANUP(free_drop) char *cwd = getcwd(NULL, 0);
    return path_join(cwd ? cwd : ".", str_starts(path, "./") ? path + 2 : path);
}

bool
fs_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

struct err *
fs_mkdirs(const char *path, mode_t mode)
{
    CLEANUP(free_drop) char *copy = str_dup(path);
    for (char *p = copy + 1; *copy; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char was = *p;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST) {
            return err_io(errno, "mkdir %s", copy);
        }
        *p = was;
        if (!was) {
            break;
        }
    }
    struct stat st;
    if (stat(path, &st) < 0) {
        return err_io(errno, "stat %s", path);
    }
    return S_ISDIR(st.st_mode) ? NULL : err_io(ENOTDIR, "%s", path);
}

struct err *
fs_sync_dir(const char *path)
{
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_io(errno, "open directory %s", path);
    }
    return fsync(fd) < 0 ? err_io(errno, "fsync directory %s", path) : NULL;
}

struct err *
fs_read(const char *path, size_t limit, struct buf *ret)
{
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_io(errno, "open %s", path);
    }
    size_t before = ret->n;
    for (;;) {
        ssize_t got = read(fd, buf_reserve(ret, 16384), 16384);
        if (got == 0) {
            break;
        } else if (got < 0 && errno != EINTR) {
            return err_io(errno, "read %s", path);
        } else if (got > 0) {
            ret->n += (size_t) got;
        }
        if (ret->n - before > limit) {
            return err_new(ERR_CONSTRAINT, "%s is larger than %zu bytes", path, limit);
        }
    }
    buf_cstr(ret);
    return NULL;
}

struct err *
fs_write_atomic(const char *path, const void *bytes, size_t n_bytes, mode_t mode)
{
    CLEANUP(free_drop) char *dir = path_dir(path);
    CLEANUP(free_drop) char *tmp = str_dupf("%s.new-XXXXXX", path);
    CLEANUP(fd_done) int fd = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0) {
        return err_io(errno, "create %s", tmp);
    }

    struct err *e = fd_write_all(fd, bytes, n_bytes);
    if (!e && (fchmod(fd, mode) < 0 || fsync(fd) < 0)) {
        e = err_io(errno, "sync");
    }
    if (!e && rename(tmp, path) < 0) {
        e = err_io(errno, "rename to %s", path);
    }
    if (e) {
        unlink(tmp);
        return err_wrap(e, "%s", tmp);
    }
    return fs_sync_dir(dir);
}

struct err *
pidfile_take(const char *path, int *ret_fd)
{
    CLEANUP(fd_done) int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_io(errno, "open pid file %s", path);
    }
    /* Who may read it may lock it for reading, and keep everybody else from starting. */
    if (fchmod(fd, 0600) < 0) {
        return err_io(errno, "set mode of pid file %s", path);
    }
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(fd, F_SETLK, &whole) < 0) {
        struct flock held = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        pid_t holder =
            fcntl(fd, F_GETLK, &held) == 0 && held.l_type != F_UNLCK ? held.l_pid : 0;
        return err_new(ERR_BUSY, "%s is locked by process %d", path, (int) holder);
    }

    char text[32];
    int n = snprintf(text, sizeof text, "%d\n", (int) getpid());
    if (ftruncate(fd, 0) < 0) {
        return err_io(errno, "truncate %s", path);
    }
    struct err *e = fd_write_all(fd, text, (size_t) n);
    if (e) {
        unlink(path); /* It is ours; without a number it would help nobody. */
        return err_wrap(e, "write pid file %s", path);
    }
    *ret_fd = fd_take(&fd);
    return NULL;
}

pid_t
pidfile_holder(const char *path)
{
    CLEANUP(fd_done) int fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock held = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fd < 0 || fcntl(fd, F_GETLK, &held) < 0 || held.l_type == F_UNLCK) {
        return 0;
    }
    return held.l_pid;
}
