/* base/fs.h: files and descriptors, with errors that name the path. */
#ifndef BASE_FS_H
#define BASE_FS_H 1

#include <sys/types.h>

#include "base/base.h"
#include "base/buf.h"

void fd_done(int *fd); /* close() if >= 0, then -1.  For CLEANUP(). */
static inline int
fd_take(int *fd) /* Hands a descriptor over. */
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

struct err *fd_read_exact(int fd, void *, size_t n_bytes) MUST_CHECK; /* ERR_IO on EOF. */
struct err *fd_write_all(int fd, const void *, size_t n_bytes) MUST_CHECK;
struct err *fd_nonblock(int fd) MUST_CHECK;

char *path_join(const char *dir, const char *name); /* One '/' between. */
const char *path_base(const char *path);            /* Borrowed: after the last '/'. */
char *path_dir(const char *path);                   /* "." if there is no '/'. */
char *path_absolute(const char *path);              /* Against the current directory. */

bool fs_exists(const char *path);
struct err *fs_mkdirs(const char *path,
                      mode_t) MUST_CHECK; /* As mkdir -p; existing is fine. */
struct err *fs_sync_dir(const char *path) MUST_CHECK;
/* Whole file, NUL-terminated in the buf.  Above 'limit' bytes: ERR_CONSTRAINT. */
struct err *fs_read(const char *path, size_t limit, struct buf *ret) MUST_CHECK;
/* Readers see the old or the new content: temporary file, fsync, rename, fsync of the
 * directory. */
struct err *fs_write_atomic(const char *path, const void *, size_t n_bytes,
                            mode_t) MUST_CHECK;

/* A pid file that its live process keeps locked (fcntl), as ovs-appctl expects.  Held: ERR_BUSY
 * with the holder's pid in the text.  'ret_fd' keeps the lock; closing it gives it up. */
struct err *pidfile_take(const char *path, int *ret_fd) MUST_CHECK;
/* The process that keeps it locked; 0 if none, or if there is no such file.  Not for a pid file
 * that the caller itself holds: looking would give the lock up. */
pid_t pidfile_holder(const char *path);

#endif /* base/fs.h */
