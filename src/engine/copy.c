/* engine/copy.c: one open file or device into another, as fast as the storage allows.
 *
 * Three ways, the best first.
 * Share.  FICLONE: the new file refers to the old one's blocks (btrfs, XFS, OCFS2).
 * Ask.    copy_file_range(2), where it is the server or the file system that copies; elsewhere
 *         it is a slow copy through a pipe, one page after the other, so it is not used there.
 * Copy.   Some threads take chunks in turn: read through the page cache (what was used lately
 *         is there), write around it (O_DIRECT), so that the file is on the disk when the copy
 *         is, and a copy of 100 GB does not throw everybody's cache out.
 * Holes.  Those of the source are not read.  In the copy zeros stay holes if 'sparse'.  A device
 *         has no holes: what is to read as zeros there is told to the device (BLKZEROOUT). */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "engine/engine_i.h"
#include "store/code.h"

#define COPY_THREADS 4
#define COPY_CHUNK_BYTES (4 * MIB)
#define DIRECT_BYTES 4096         /* Enough for any disk's sectors and any page. */
#define ZERO_RUN_BYTES (64 * KIB) /* So many zeros are worth a hole. */
#define LOOK_MS 100               /* How often progress and cancel are looked at. */

#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xFF534D42
#endif
#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xFE534D42
#endif
#ifndef CEPH_SUPER_MAGIC
#define CEPH_SUPER_MAGIC 0x00c36400
#endif

struct copy {
    int in, out;
    int direct; /* 'out' once more, around the page cache; -1: it cannot. */
    bool sparse, to_device;
    int64_t size;
    pthread_mutex_t lock;
    pthread_cond_t over;   /* A thread has ended. */
    int64_t from, stop;    /* The rest of the stretch of data that is being given out. */
    int64_t at;            /* All before is given out. */
    int64_t n_done;        /* Bytes copied or skipped. */
    int n_running, errnum; /* The first failure ends all. */
    bool read_failed, canceled;
};

bool
data_is_zero(const char *bytes, size_t n)
{
    return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

int
data_open_direct(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

int
data_write(int fd, int direct, const char *bytes, size_t n, int64_t at)
{
    bool aligned =
        direct >= 0 && at % DIRECT_BYTES == 0 && (uintptr_t) bytes % DIRECT_BYTES == 0;
    while (n > 0) {
        bool around = aligned && n >= DIRECT_BYTES;
        ssize_t rc = pwrite(around ? direct : fd, bytes,
                            around ? n / DIRECT_BYTES * DIRECT_BYTES : n, at);
        if (rc < 0 && errno == EINVAL && around) {
            aligned = false; /* Stricter than we know: through the cache then. */
        } else if (rc < 0 && errno != EINTR) {
            return errno;
        } else if (rc > 0) {
            bytes += rc;
            at += rc;
            n -= (size_t) rc;
            aligned = aligned && rc % DIRECT_BYTES == 0;
        }
    }
    return 0;
}

char *
data_block(size_t n)
{
    void *block = NULL;
    ASSERT(posix_memalign(&block, DIRECT_BYTES, n) == 0);
    return block;
}

/* The next chunk to copy; false: none is left.  Holes before it count as done. */
static bool
next_chunk(struct copy *c, int64_t *ret_at, size_t *ret_n)
{
    bool any = false;
    pthread_mutex_lock(&c->lock);
    if (!c->errnum && !c->canceled) {
        if (c->from >= c->stop) {
            int64_t start, stop;
            if (data_next_extent(c->in, c->at, c->size, &start, &stop)) {
                c->n_done += start - c->at;
                c->from = start;
                c->stop = stop;
            }
        }
        any = c->from < c->stop;
    }
    if (any) {
        /* Chunks end where others begin: at multiples of their size. */
        int64_t end = (c->from / COPY_CHUNK_BYTES + 1) * COPY_CHUNK_BYTES;
        *ret_at = c->from;
        *ret_n = (size_t) (min64(end, c->stop) - c->from);
        c->from += (int64_t) *ret_n;
        c->at = c->from;
    }
    pthread_mutex_unlock(&c->lock);
    return any;
}

static void
chunk_failed(struct copy *c, int errnum, bool reading)
{
    pthread_mutex_lock(&c->lock);
    if (!c->errnum) {
        c->errnum = errnum;
        c->read_failed = reading;
    }
    pthread_mutex_unlock(&c->lock);
}

/* All of [at, at + n), without the zeros in it if the copy is sparse.  0 or an errno. */
static int
write_chunk(struct copy *c, const char *block, size_t n, int64_t at)
{
    if (!c->sparse || c->to_device) {
        return data_write(c->out, c->direct, block, n, at);
    }
    for (size_t i = 0; i < n;) {
        size_t run = i;
        while (run < n && !data_is_zero(block + run, (size_t) min64(ZERO_RUN_BYTES,
                                                                    (int64_t) (n - run)))) {
            run += ZERO_RUN_BYTES;
        }
        run = run < n ? run : n;
        int errnum = data_write(c->out, c->direct, block + i, run - i, at + (int64_t) i);
        if (errnum) {
            return errnum;
        }
        i = run < n ? run + ZERO_RUN_BYTES : n;
    }
    return 0;
}

static void *
copy_thread(void *aux)
{
    struct copy *c = aux;
    CLEANUP(free_drop) char *block = data_block(COPY_CHUNK_BYTES);
    int64_t at;
    size_t n;
    while (next_chunk(c, &at, &n)) {
        size_t got = 0;
        while (got < n) {
            ssize_t rc = pread(c->in, block + got, n - got, at + (int64_t) got);
            if (rc < 0 && errno != EINTR) {
                chunk_failed(c, errno, true);
                break;
            } else if (rc == 0) {
                break; /* It became shorter meanwhile. */
            }
            got += rc > 0 ? (size_t) rc : 0;
        }
        int errnum = write_chunk(c, block, got, at);
        if (errnum) {
            chunk_failed(c, errnum, false);
        }
        pthread_mutex_lock(&c->lock);
        c->n_done += (int64_t) n;
        pthread_mutex_unlock(&c->lock);
    }
    pthread_mutex_lock(&c->lock);
    c->n_running--;
    pthread_cond_signal(&c->over);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* Waits for the threads; tells how far they are and whether they are to end. */
static struct err *
copy_watch(struct engine *engine, struct copy *c)
{
    struct err *e = NULL;
    pthread_mutex_lock(&c->lock);
    while (c->n_running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        int64_t ns = until.tv_nsec + LOOK_MS * INT64_C(1000000);
        until.tv_sec += ns / 1000000000;
        until.tv_nsec = ns % 1000000000;
        pthread_cond_timedwait(&c->over, &c->lock, &until);
        int64_t n_done = c->n_done;
        pthread_mutex_unlock(&c->lock);
        engine_progress(engine, n_done, c->size);
        if (!e) {
            e = engine_interrupted(engine);
        }
        pthread_mutex_lock(&c->lock);
        c->canceled = e != NULL;
    }
    pthread_mutex_unlock(&c->lock);
    return e;
}

static struct err *
copy_parallel(struct engine *engine, struct copy *c)
{
    pthread_t threads[COPY_THREADS];
    int n_threads = 0;
    posix_fadvise(c->in, 0, 0, POSIX_FADV_SEQUENTIAL);
    CLEANUP(fd_done) int direct = data_open_direct(c->out);
    c->direct = direct;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->over, NULL);
    c->n_running = COPY_THREADS;
    while (n_threads < COPY_THREADS &&
           pthread_create(&threads[n_threads], NULL, copy_thread, c) == 0) {
        n_threads++;
    }
    pthread_mutex_lock(&c->lock);
    c->n_running -= COPY_THREADS - n_threads;
    pthread_mutex_unlock(&c->lock);
    struct err *e = n_threads == 0 ? engine_io(EAGAIN, "cannot start a thread") : NULL;
    if (!e) {
        e = copy_watch(engine, c);
    }
    for (int i = 0; i < n_threads; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->over);
    if (!e && c->errnum) {
        e = c->read_failed
                ? engine_io(c->errnum, "failed reading from file '%s'",
                            engine->plan->source)
                : engine_io(c->errnum, "cannot write to file '%s'", engine->plan->file);
    }
    return e;
}

/* Does somebody else than this processor copy? */
static bool
kernel_copies(int in, int out)
{
    struct statfs a, b;
    if (fstatfs(in, &a) != 0 || fstatfs(out, &b) != 0 || a.f_type != b.f_type) {
        return false;
    }
    switch ((uint32_t) a.f_type) {
    case NFS_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case CEPH_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case OCFS2_SUPER_MAGIC: return true;
    default: return false;
    }
}

/* *ret_at: how far it came; the rest is to be copied by hand. */
static struct err *
copy_by_kernel(struct engine *engine, const struct copy *c, int64_t *ret_at)
{
    int64_t start, stop;
    *ret_at = 0;
    while (data_next_extent(c->in, *ret_at, c->size, &start, &stop)) {
        *ret_at = start;
        while (*ret_at < stop) {
            TRY(engine_interrupted(engine));
            engine_progress(engine, *ret_at, c->size);
            off_t in = *ret_at, out = *ret_at;
            ssize_t n =
                copy_file_range(c->in, &in, c->out, &out,
                                (size_t) min64(ENGINE_BIG_CHUNK_BYTES, stop - *ret_at), 0);
            if (n > 0) {
                *ret_at += n;
            } else if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO)) {
                return engine_io(errno, "cannot copy '%s' to '%s'", engine->plan->source,
                                 engine->plan->file);
            } else if (n == 0 || errno != EINTR) {
                return NULL;
            }
        }
    }
    *ret_at = c->size;
    return NULL;
}

struct err *
data_zero_range(struct engine *engine, int fd, int64_t from, int64_t to)
{
    CLEANUP(free_drop) char *zeros = NULL;
    while (from < to) {
        TRY(engine_interrupted(engine));
        int64_t n = min64(zeros ? COPY_CHUNK_BYTES : ENGINE_BIG_CHUNK_BYTES, to - from);
        uint64_t range[2] = { (uint64_t) from, (uint64_t) n };
        if (!zeros && ioctl(fd, BLKZEROOUT, range) < 0) {
            zeros = data_block(COPY_CHUNK_BYTES);
            memset(zeros, 0, COPY_CHUNK_BYTES);
            continue;
        } else if (zeros) {
            int errnum = data_write(fd, -1, zeros, (size_t) n, from);
            if (errnum) {
                return engine_io(errnum, "cannot write to file '%s'", engine->plan->file);
            }
        }
        from += n;
    }
    return NULL;
}

/* What of [0, size) the source does not give must be told to a device: it may hold anything. */
static struct err *
zero_the_holes(struct engine *engine, const struct copy *c, int64_t device_size)
{
    int64_t at = 0, start, stop;
    while (data_next_extent(c->in, at, c->size, &start, &stop)) {
        TRY(data_zero_range(engine, c->out, at, start));
        at = stop;
    }
    return data_zero_range(engine, c->out, at, device_size);
}

static struct err *
copy_to_device(struct engine *engine, struct copy *c)
{
    int64_t room = data_length(c->out);
    if (room < c->size) {
        return err_hint(store_err(VE_OPERATION_INVALID,
                                  "'%s' has %" PRId64 " bytes, the source has %" PRId64,
                                  engine->plan->file, room, c->size),
                        "choose a capacity of %" PRId64 " bytes at least", c->size);
    }
    TRY(zero_the_holes(engine, c, room));
    TRY(copy_parallel(engine, c));
    return fsync(c->out) < 0
               ? engine_io(errno, "cannot sync data to file '%s'", engine->plan->file)
               : NULL;
}

struct err *
data_copy(struct engine *engine, const struct plan_step *step)
{
    struct stat to;
    int64_t length = data_length(engine->source);
    if (length < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->source);
    } else if (fstat(engine->file, &to) < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->file);
    }
    struct copy c = { .in = engine->source,
                      .out = engine->file,
                      .sparse = step->sparse,
                      .to_device = S_ISBLK(to.st_mode),
                      .size = min64(length, step->size) };
    if (c.to_device) {
        return copy_to_device(engine, &c);
    }
    /* Shared blocks are not allocated ones: only where holes would do as well. */
    if (step->reflink || (step->sparse && length <= step->size)) {
        if (ioctl(engine->file, FICLONE, engine->source) == 0) {
            return NULL;
        } else if (step->reflink) {
            return err_hint(
                engine_io(errno, "failed to clone files from '%s'", engine->plan->source),
                "without --reflink the data is copied");
        }
    }
    /* Threads that write into a file of its final length do not wait for each other. */
    if (to.st_size < c.size && ftruncate(c.out, c.size) < 0) {
        return engine_io(errno, "cannot extend file '%s'", engine->plan->file);
    }
    int64_t done = 0;
    if (kernel_copies(c.in, c.out)) {
        TRY(copy_by_kernel(engine, &c, &done));
    }
    c.at = c.n_done = done;
    return done < c.size ? copy_parallel(engine, &c) : NULL;
}

struct err *
data_rest(struct engine *engine, const struct plan_step *step UNUSED)
{
    int64_t length = data_length(engine->source), from = engine->ret->n_bytes;
    struct copy c = { .in = engine->source,
                      .out = engine->file,
                      .sparse = true,
                      .size = length,
                      .at = from,
                      .n_done = from };
    if (length < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->source);
    } else if (from >= length) {
        return NULL;
    } else if (ftruncate(engine->file, length) < 0) {
        return engine_io(errno, "cannot extend file '%s'", engine->plan->file);
    }
    return copy_parallel(engine, &c);
}
