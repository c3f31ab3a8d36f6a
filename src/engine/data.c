/* engine/data.c: size and blocks of the file in work. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/engine_i.h"
#include "store/code.h"

int64_t
data_length(int fd)
{
    struct stat st;
    uint64_t bytes;
    if (fstat(fd, &st) < 0) {
        return -1;
    } else if (S_ISBLK(st.st_mode)) {
        return ioctl(fd, BLKGETSIZE64, &bytes) < 0 ? -1 : (int64_t) bytes;
    }
    return st.st_size;
}

struct err *
data_size(struct engine *engine, const struct plan_step *step)
{
    if (ftruncate(engine->file, step->size) < 0) {
        return engine_io(errno, "cannot extend file '%s'", engine->plan->file);
    }
    return NULL;
}

/* For file systems without fallocate(2): reads all and writes the same back. */
static struct err *
rewrite(struct engine *engine, int64_t size)
{
    CLEANUP(free_drop) char *block = xmalloc(ENGINE_CHUNK_BYTES);
    for (int64_t at = 0; at < size;) {
        TRY(engine_interrupted(engine));
        engine_progress(engine, at, size);
        size_t n = (size_t) min64(ENGINE_CHUNK_BYTES, size - at);
        memset(block, 0, n);
        ssize_t rc = pread(engine->file, block, n, at);
        if (rc < 0) {
            return engine_io(errno, "cannot read file '%s'", engine->plan->file);
        }
        int errnum = data_write(engine->file, -1, block, n, at);
        if (errnum) {
            return engine_io(errnum, "cannot write to file '%s'", engine->plan->file);
        }
        at += (int64_t) n;
    }
    return NULL;
}

struct err *
data_allocate(struct engine *engine, const struct plan_step *step)
{
    for (int64_t at = 0; at < step->size;) {
        TRY(engine_interrupted(engine));
        engine_progress(engine, at, step->size);
        int64_t n = min64(ENGINE_BIG_CHUNK_BYTES, step->size - at);
        if (fallocate(engine->file, 0, at, n) == 0) {
            at += n;
        } else if (errno == EOPNOTSUPP || errno == ENOSYS) {
            return rewrite(engine, step->size);
        } else if (errno != EINTR) {
            return engine_io(errno, "cannot allocate %" PRId64 " bytes in file '%s'",
                             step->size, engine->plan->file);
        }
    }
    return NULL;
}

bool
data_next_extent(int fd, int64_t from, int64_t end, int64_t *ret_start, int64_t *ret_stop)
{
    int64_t start = lseek(fd, from, SEEK_DATA);
    if (start < 0 && errno != ENXIO) {
        *ret_start = from;
        *ret_stop = end;
        return from < end;
    } else if (start < 0 || start >= end) {
        return false;
    }
    int64_t stop = lseek(fd, start, SEEK_HOLE);
    *ret_start = start;
    *ret_stop = stop < 0 ? end : min64(stop, end);
    return true;
}
