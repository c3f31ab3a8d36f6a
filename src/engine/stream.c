/* engine/stream.c: bytes between a volume and the requester's descriptor, which may be a file,
 * a pipe or a socket.  Holes stay holes where both ends can have them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/engine_i.h"
#include "store/code.h"

#define HOLE_BYTES (64 * KIB) /* So many zeros are worth a hole. */

static bool
is_zero(const char *bytes, size_t n)
{
    return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

/* Is [at, at + n) a hole, or beyond the end? */
static bool
is_hole(int fd, int64_t at, int64_t n)
{
    int64_t data = lseek(fd, at, SEEK_DATA);
    return data < 0 ? errno == ENXIO : data >= at + n;
}

static struct err *
put_at(struct engine *engine, const char *bytes, size_t n, int64_t at)
{
    if (is_zero(bytes, n) && is_hole(engine->file, at, (int64_t) n)) {
        return NULL; /* Reads as zeros already; the length is set at the end. */
    }
    while (n > 0) {
        ssize_t rc = pwrite(engine->file, bytes, n, at);
        if (rc < 0 && errno != EINTR) {
            return engine_io(errno, "cannot write to file '%s'", engine->plan->file);
        } else if (rc > 0) {
            bytes += rc;
            at += rc;
            n -= (size_t) rc;
        }
    }
    return NULL;
}

/* Reads what is there, up to a chunk; 0 at the end. */
static struct err *
get_some(struct engine *engine, char *block, size_t max, size_t *ret_n)
{
    for (;;) {
        TRY(engine_wait(engine, engine->env->data_fd, POLLIN));
        ssize_t n = read(engine->env->data_fd, block, max);
        if (n >= 0) {
            *ret_n = (size_t) n;
            return NULL;
        } else if (errno != EINTR && errno != EAGAIN) {
            return engine_io(errno, "cannot read the data for '%s'", engine->plan->file);
        }
    }
}

struct err *
stream_receive(struct engine *engine, const struct plan_step *step)
{
    if (engine->env->data_fd < 0) {
        return store_err(VE_INVALID_ARG, "no data came with the request");
    }
    struct stat st;
    if (fstat(engine->file, &st) < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->file);
    }
    CLEANUP(free_drop) char *block = xmalloc(ENGINE_CHUNK_BYTES);
    int64_t at = step->offset;
    int64_t end = step->length ? step->offset + step->length : INT64_MAX;
    int64_t expected = step->length ? step->length : max64(st.st_size - at, 1);
    while (at < end) {
        size_t n = 0;
        TRY(get_some(engine, block, (size_t) min64(ENGINE_CHUNK_BYTES, end - at), &n));
        if (n == 0) {
            break;
        }
        for (size_t i = 0; i < n; i += HOLE_BYTES) {
            TRY(put_at(engine, block + i, (size_t) min64(HOLE_BYTES, (int64_t) (n - i)),
                       at + (int64_t) i));
        }
        at += (int64_t) n;
        engine->ret->n_bytes += (int64_t) n;
        engine_progress(engine, min64(at - step->offset, expected), expected);
    }
    if (step->length && at < end) {
        return err_hint(store_err(VE_SYSTEM_ERROR,
                                  "the data ended after %" PRId64 " of %" PRId64 " bytes",
                                  at - step->offset, step->length),
                        "upload it again: the volume holds a part of the data");
    } else if (at > st.st_size && ftruncate(engine->file, at) < 0) {
        return engine_io(errno, "cannot extend file '%s'", engine->plan->file);
    } else if (fsync(engine->file) < 0) {
        return engine_io(errno, "cannot sync data to file '%s'", engine->plan->file);
    }
    return NULL;
}

/* A pipe that poll(2) calls writable has room for a page: more would wait where no deadline and
 * no cancel can reach.  O_NONBLOCK is not ours to set: the requester shares it. */
static struct err *
give(struct engine *engine, const char *bytes, size_t n)
{
    struct stat st;
    bool is_file = fstat(engine->env->data_fd, &st) == 0 && S_ISREG(st.st_mode);
    while (n > 0) {
        TRY(engine_wait(engine, engine->env->data_fd, POLLOUT));
        ssize_t rc = write(engine->env->data_fd, bytes,
                           is_file        ? n
                           : n < PIPE_BUF ? n
                                          : PIPE_BUF);
        if (rc < 0 && errno != EINTR && errno != EAGAIN) {
            return engine_io(errno, "cannot write the data of '%s'", engine->plan->file);
        } else if (rc > 0) {
            bytes += rc;
            n -= (size_t) rc;
            engine->ret->n_bytes += rc;
        }
    }
    return NULL;
}

/* Zeros for a hole: skipped in a new file, written elsewhere. */
static struct err *
give_hole(struct engine *engine, char *block, int64_t n, bool skip)
{
    if (skip) {
        if (n > 0 && lseek(engine->env->data_fd, n, SEEK_CUR) < 0) {
            return engine_io(errno, "cannot seek");
        }
        engine->ret->n_bytes += n;
        return NULL;
    }
    memset(block, 0, (size_t) min64(n, ENGINE_CHUNK_BYTES));
    while (n > 0) {
        int64_t part = min64(n, ENGINE_CHUNK_BYTES);
        TRY(give(engine, block, (size_t) part));
        n -= part;
    }
    return NULL;
}

/* Can the receiver have holes: is it an empty file that is not written by appending? */
static bool
takes_holes(int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 && flags >= 0 &&
           !(flags & O_APPEND) && lseek(fd, 0, SEEK_CUR) == 0;
}

struct err *
stream_send(struct engine *engine, const struct plan_step *step)
{
    if (engine->env->data_fd < 0) {
        return store_err(VE_INVALID_ARG, "the request brought nothing to write to");
    }
    struct stat st;
    if (fstat(engine->file, &st) < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->file);
    }
    int fd = engine->env->data_fd;
    bool skip = takes_holes(fd);
    CLEANUP(free_drop) char *block = xmalloc(ENGINE_CHUNK_BYTES);
    int64_t begin = min64(step->offset, st.st_size);
    int64_t end = step->length ? min64(begin + step->length, st.st_size) : st.st_size;
    int64_t at = begin, start, stop;
    while (data_next_extent(engine->file, at, end, &start, &stop)) {
        TRY(give_hole(engine, block, start - at, skip));
        for (at = start; at < stop;) {
            engine_progress(engine, at - begin, end - begin);
            ssize_t n = pread(engine->file, block,
                              (size_t) min64(ENGINE_CHUNK_BYTES, stop - at), at);
            if (n < 0) {
                return engine_io(errno, "cannot read file '%s'", engine->plan->file);
            } else if (n == 0) {
                return store_err(VE_SYSTEM_ERROR, "'%s' became shorter while it was read",
                                 engine->plan->file);
            }
            TRY(give(engine, block, (size_t) n));
            at += n;
        }
    }
    TRY(give_hole(engine, block, end - at, skip));
    if (skip && ftruncate(fd, end - begin) < 0) {
        return engine_io(errno, "cannot extend the receiving file");
    }
    return NULL;
}
