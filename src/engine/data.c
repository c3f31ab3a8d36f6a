/* engine/data.c: size and content of the file in work. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/engine_i.h"
#include "store/code.h"

struct err *
data_size(struct engine *engine, const struct plan_step *step)
{
    if (ftruncate(engine->file, step->size) < 0) {
        return engine_io(errno, "cannot extend file '%s'", engine->plan->file);
    }
    return NULL;
}

static struct err *
write_at(struct engine *engine, const void *bytes, size_t n, int64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t rc = pwrite(engine->file, (const char *) bytes + done, n - done,
                            at + (int64_t) done);
        if (rc < 0 && errno != EINTR) {
            return engine_io(errno, "cannot write to file '%s'", engine->plan->file);
        }
        done += rc > 0 ? (size_t) rc : 0;
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
        TRY(write_at(engine, block, n, at));
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

/* [start, stop) of the source to the file, in the kernel if it can. */
static struct err *
copy_extent(struct engine *engine, int64_t start, int64_t stop, int64_t total)
{
    CLEANUP(free_drop) char *block = NULL;
    while (start < stop) {
        TRY(engine_interrupted(engine));
        engine_progress(engine, start, total);
        if (!block) {
            off_t in = start, out = start;
            ssize_t n =
                copy_file_range(engine->source, &in, engine->file, &out,
                                (size_t) min64(ENGINE_BIG_CHUNK_BYTES, stop - start), 0);
            if (n > 0) {
                start += n;
                continue;
            } else if (n < 0 && errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP &&
                       errno != ENOSYS && errno != EINTR) {
                return engine_io(errno, "cannot copy '%s' to '%s'", engine->plan->source,
                                 engine->plan->file);
            }
            block = xmalloc(ENGINE_CHUNK_BYTES); /* From here on by hand. */
        }
        ssize_t n = pread(engine->source, block,
                          (size_t) min64(ENGINE_CHUNK_BYTES, stop - start), start);
        if (n < 0) {
            return engine_io(errno, "failed reading from file '%s'", engine->plan->source);
        } else if (n == 0) {
            return NULL; /* It became shorter meanwhile. */
        }
        TRY(write_at(engine, block, (size_t) n, start));
        start += n;
    }
    return NULL;
}

struct err *
data_copy(struct engine *engine, const struct plan_step *step)
{
    struct stat st;
    if (fstat(engine->source, &st) < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->source);
    }
    bool whole = st.st_size <= step->size;
    int64_t size = min64(st.st_size, step->size);
    /* Shared blocks are not allocated ones: only where holes would do as well. */
    if (step->reflink || (step->sparse && whole)) {
        if (ioctl(engine->file, FICLONE, engine->source) == 0) {
            return NULL;
        } else if (step->reflink) {
            return engine_io(errno, "failed to clone files from '%s'",
                             engine->plan->source);
        }
    }
    int64_t start, stop;
    for (int64_t at = 0; data_next_extent(engine->source, at, size, &start, &stop);
         at = stop) {
        TRY(copy_extent(engine, start, stop, size));
    }
    return NULL;
}

struct err *
data_wipe(struct engine *engine, const struct plan_step *step UNUSED)
{
    struct stat st;
    if (fstat(engine->file, &st) < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->file);
    }
    CLEANUP(free_drop) char *zeros = xcalloc(1, ENGINE_CHUNK_BYTES);
    int64_t start, stop, size = st.st_size;
    bool sparse = st.st_blocks * INT64_C(512) < size;
    for (int64_t at = 0; data_next_extent(engine->file, at, size, &start, &stop);
         at = stop) {
        while (start < stop) {
            TRY(engine_interrupted(engine));
            engine_progress(engine, start, size);
            int64_t n = min64(ENGINE_CHUNK_BYTES, stop - start);
            TRY(write_at(engine, zeros, (size_t) n, start));
            start += n;
        }
    }
    if (fdatasync(engine->file) < 0) {
        return engine_io(errno, "cannot sync data to volume with path '%s'",
                         engine->plan->file);
    }
    /* A sparse one stays sparse: its blocks, now zeros, go back. */
    if (sparse && (ftruncate(engine->file, 0) < 0 || ftruncate(engine->file, size) < 0)) {
        return engine_io(errno, "Failed to truncate volume with path '%s'",
                         engine->plan->file);
    }
    return NULL;
}
