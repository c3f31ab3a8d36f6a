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

/* Is [at, at + n) a hole, or beyond the end? */
static bool
is_hole(int fd, int64_t at, int64_t n)
{
    int64_t data = lseek(fd, at, SEEK_DATA);
    return data < 0 ? errno == ENXIO : data >= at + n;
}

struct err *
stream_put(struct engine *engine, const char *bytes, size_t n, int64_t at)
{
    for (size_t i = 0; i < n; i += HOLE_BYTES) {
        size_t part = (size_t) min64(HOLE_BYTES, (int64_t) (n - i));
        int64_t there = at + (int64_t) i;
        if (data_is_zero(bytes + i, part) && is_hole(engine->file, there, (int64_t) part)) {
            continue; /* Reads as zeros already; the length is set at the end. */
        }
        int errnum = data_write(engine->file, -1, bytes + i, part, there);
        if (errnum) {
            return engine_io(errnum, "cannot write to file '%s'", engine->plan->file);
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

/* A transfer into the file in work. */
struct receipt {
    int64_t begin, at, end; /* In the volume. */
    int64_t limit;          /* Not a byte at or behind this. */
    int64_t expected;       /* Bytes, for the progress. */
    bool is_file;           /* What comes is a file, which can have holes. */
};

static struct err *
too_much(struct engine *engine, const struct receipt *r)
{
    struct err *e = store_err(VE_INVALID_ARG,
                              "there is more data than volume '%s' holds: it ends at byte "
                              "%" PRId64,
                              engine->plan->file, r->limit);
    return err_hint(e, "resize the volume first, or send less (--length)");
}

/* [at, at + n) is to read as zeros. */
static struct err *
put_hole(struct engine *engine, int64_t at, int64_t n)
{
    int64_t length = data_length(engine->file);
    int64_t inside = min64(n, max64(length - at, 0));
    struct stat st;
    if (inside == 0 || is_hole(engine->file, at, inside)) {
        return NULL;
    } else if (fstat(engine->file, &st) == 0 && S_ISREG(st.st_mode) &&
               fallocate(engine->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
                         inside) == 0) {
        return NULL;
    }
    return data_zero_range(engine, engine->file, at, at + inside);
}

/* A hole in the file that comes is not read.  *ret: its length; 0: data follow. */
static struct err *
skip_hole(struct engine *engine, const struct receipt *r, int64_t *ret)
{
    int fd = engine->env->data_fd;
    int64_t here = r->is_file ? lseek(fd, 0, SEEK_CUR) : -1;
    *ret = 0;
    if (here < 0) {
        return NULL;
    }
    int64_t length = data_length(fd), data = lseek(fd, here, SEEK_DATA);
    if (data < 0) {
        data = errno == ENXIO ? max64(length, here) : here;
    }
    *ret = min64(data - here, r->end - r->at);
    if (*ret > 0 && *ret > r->limit - r->at) {
        return too_much(engine, r);
    } else if (*ret > 0) {
        TRY(put_hole(engine, r->at, *ret));
    }
    return lseek(fd, here + *ret, SEEK_SET) < 0 ? engine_io(errno, "cannot seek") : NULL;
}

static struct err *
receive_all(struct engine *engine, struct receipt *r)
{
    CLEANUP(free_drop) char *block = data_block(ENGINE_CHUNK_BYTES);
    while (r->at < r->end) {
        int64_t hole;
        TRY(skip_hole(engine, r, &hole));
        size_t n = 0;
        if (hole == 0) {
            TRY(get_some(engine, block, (size_t) min64(ENGINE_CHUNK_BYTES, r->end - r->at),
                         &n));
        }
        if (n == 0 && hole == 0) {
            return NULL;
        } else if ((int64_t) n > r->limit - r->at) {
            return too_much(engine, r);
        }
        TRY(stream_put(engine, block, n, r->at));
        r->at += (int64_t) n + hole;
        engine->ret->n_bytes = r->at - r->begin;
        engine_progress(engine, min64(r->at - r->begin, r->expected), r->expected);
    }
    return NULL;
}

/* How much is going to come, as far as it can be known. */
static int64_t
expected_bytes(int fd, const struct plan_step *step, int64_t limit)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        int64_t rest = max64(st.st_size - lseek(fd, 0, SEEK_CUR), 0);
        return max64(step->length ? min64(step->length, rest) : rest, 1);
    }
    return max64(step->length ? step->length : limit - step->offset, 1);
}

struct err *
stream_receive(struct engine *engine, const struct plan_step *step)
{
    int fd = engine->env->data_fd;
    struct stat st;
    if (fd < 0) {
        return store_err(VE_INVALID_ARG, "no data came with the request");
    }
    int64_t length = data_length(engine->file);
    int64_t limit = data_length(engine->source >= 0 ? engine->source : engine->file);
    if (length < 0 || limit < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->file);
    }
    struct receipt r = {
        .begin = step->offset,
        .at = step->offset,
        .end = step->length ? step->offset + step->length : INT64_MAX,
        .limit = step->bounded ? limit : INT64_MAX,
        .expected = expected_bytes(fd, step, limit),
        .is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode),
    };
    if (r.at > r.limit) {
        return too_much(engine, &r);
    }
    TRY(receive_all(engine, &r));
    if (step->length && r.at < r.end) {
        return err_hint(store_err(VE_SYSTEM_ERROR,
                                  "the data ended after %" PRId64 " of %" PRId64 " bytes",
                                  r.at - step->offset, step->length),
                        "send it again: the volume holds a part of the data");
    } else if (r.at > length && ftruncate(engine->file, r.at) < 0) {
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
    int64_t length = data_length(engine->file);
    if (length < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->file);
    }
    int fd = engine->env->data_fd;
    bool skip = takes_holes(fd);
    CLEANUP(free_drop) char *block = data_block(ENGINE_CHUNK_BYTES);
    int64_t begin = min64(step->offset, length);
    int64_t end = step->length ? begin + min64(step->length, length - begin) : length;
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
