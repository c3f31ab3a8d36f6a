/* journal/archive.c: see archive.h.  zlib's fastest level: the text is repetitive, and whoever
 * compacts has little time. */
#include "journal/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fs.h"
#include "base/str.h"
#include "journal/journal_i.h"
#include "journal/record.h"

#define CHUNK_BYTES (64 * 1024)

char *
archive_path(const char *db_path)
{
    return str_dupf("%s.archive.gz", db_path);
}

/* Copies [from, to), or as much as there is, from a file to the beginning of another. */
static struct err *
copy_bytes(const char *path, int from_fd, int64_t from, int64_t to, int to_fd)
{
    char chunk[CHUNK_BYTES];
    for (int64_t done = 0; from + done < to;) {
        size_t want = (size_t) min64((int64_t) sizeof chunk, to - from - done);
        ssize_t n = pread(from_fd, chunk, want, from + done);
        if (n < 0) {
            return err_io(errno, "%s: read", path);
        } else if (n == 0) {
            break;
        }
        TRY(journal_pwrite(to_fd, path, done, chunk, (size_t) n));
        done += n;
    }
    return NULL;
}

/* Moves what is beyond 'n_bytes' out of the way. */
static struct err *
cut(const char *path, int fd, int64_t n_bytes, int64_t size)
{
    CLEANUP(free_drop) char *name = str_dupf("%s.cut-%" PRId64, path, n_bytes);
    CLEANUP(fd_done) int to = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0) {
        return err_io(errno, "create %s", name);
    }
    TRY(copy_bytes(path, fd, n_bytes, size, to));
    return fsync(to) == 0 && ftruncate(fd, n_bytes) == 0 ? NULL
                                                         : err_io(errno, "cut %s", path);
}

static struct err *
compress_bytes(gzFile gz, const char *path, const struct archive_part *part, int64_t from,
               int64_t to)
{
    char chunk[CHUNK_BYTES];
    while (from < to) {
        size_t want = (size_t) min64((int64_t) sizeof chunk, to - from);
        ssize_t n = pread(part->fd, chunk, want, from);
        if (n <= 0) {
            return err_io(n < 0 ? errno : EIO, "read what %s gets", path);
        } else if (gzwrite(gz, chunk, (unsigned) n) != n) {
            return err_io(errno ? errno : EIO, "%s: write failed", path);
        }
        from += n;
    }
    return NULL;
}

static struct err *
append_member(const char *path, int fd, const struct archive_part *part)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    gzFile gz = own < 0 ? NULL : gzdopen(own, "ab1");
    if (!gz) {
        fd_done(&own);
        return err_io(errno, "%s", path);
    }
    struct err *e = compress_bytes(gz, path, part, 0, part->schema_end);
    if (!e) {
        e = compress_bytes(gz, path, part, part->from, part->to);
    }
    int status = gzclose(gz);
    if (!e && status != Z_OK) {
        e = err_io(status == Z_ERRNO ? errno : EIO, "%s: write failed", path);
    }
    return e;
}

struct err *
archive_append(const char *db_path, int64_t n_bytes, const struct archive_part *part,
               int64_t *ret_n_bytes)
{
    CLEANUP(free_drop) char *path = archive_path(db_path);
    CLEANUP(free_drop) char *old = str_dupf("%s.old", path);
    CLEANUP(free_drop) char *dir = path_dir(path);
    struct stat st;

    if (part->from >= part->to) {
        *ret_n_bytes = n_bytes;
        return NULL;
    }
    if (n_bytes > ARCHIVE_BYTES_MAX) {
        if (rename(path, old) != 0 && errno != ENOENT) {
            return err_io(errno, "rename %s to %s", path, old);
        }
        n_bytes = 0;
    }
    CLEANUP(fd_done)
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return err_io(errno, "open %s", path);
    }
    if (st.st_size > n_bytes) {
        TRY(cut(path, fd, n_bytes, st.st_size));
    }
    journal_give_to_owner(fd, db_path);
    TRY(append_member(path, fd, part));
    if (fsync(fd) != 0 || fstat(fd, &st) != 0) {
        return err_io(errno, "fsync %s", path);
    }
    *ret_n_bytes = st.st_size;
    return fs_sync_dir(dir);
}
