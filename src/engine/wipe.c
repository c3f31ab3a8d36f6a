/* engine/wipe.c: overwrites the volume in work, and says honestly what that was worth.
 *
 * Each pass goes over all that was ever written to the volume, around the page cache, and is on
 * the disk before the next one begins.  Holes have no blocks, so there is nothing to overwrite;
 * the note that the result carries says how much was.  What a file system that copies on write,
 * a thin pool or a solid-state disk keeps of the old blocks nobody above them can reach; the
 * note says that too where it can be seen. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "engine/engine_i.h"
#include "store/code.h"
#include "store/wipe.h"

#define WIPE_CHUNK_BYTES (4 * MIB)

struct wiping {
    struct engine *engine;
    int direct;
    char *block;
    int64_t size;
    int64_t data;        /* Bytes of it that are data. */
    int64_t done, total; /* Of all passes. */
};

static struct err *
fill_random(char *block, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t rc = getrandom(block + done, n - done, 0);
        if (rc < 0 && errno != EINTR) {
            return engine_io(errno, "getrandom");
        }
        done += rc > 0 ? (size_t) rc : 0;
    }
    return NULL;
}

/* Reads [at, at + n) back and compares it with what 'pass' should have left there. */
static struct err *
verify(struct wiping *w, const struct wipe_pass *pass, size_t n, int64_t at)
{
    const char *path = w->engine->plan->file;
    char *got = w->block, *want = w->block + WIPE_CHUNK_BYTES;
    bool around = w->direct >= 0 && n % 4096 == 0 && at % 4096 == 0;
    for (size_t done = 0; done < n;) {
        ssize_t rc = pread(around ? w->direct : w->engine->file, got + done, n - done,
                           at + (int64_t) done);
        if (rc < 0 && errno != EINTR) {
            return engine_io(errno, "cannot read file '%s'", path);
        } else if (rc == 0) {
            return store_err(VE_SYSTEM_ERROR, "'%s' became shorter while it was wiped",
                             path);
        }
        done += rc > 0 ? (size_t) rc : 0;
    }
    wipe_fill(pass, at, want, n);
    return memcmp(got, want, n) == 0
               ? NULL
               : err_hint(store_err(VE_SYSTEM_ERROR,
                                    "'%s' does not hold what was written to it, from byte "
                                    "%" PRId64 " on",
                                    path, at),
                          "do not trust the disk below it any more");
}

static struct err *
wipe_chunk(struct wiping *w, const struct wipe_pass *pass, size_t n, int64_t at)
{
    if (pass->kind == WIPE_PASS_VERIFY) {
        return verify(w, pass - 1, n, at);
    } else if (pass->kind == WIPE_PASS_RANDOM) {
        TRY(fill_random(w->block, n));
    } else {
        wipe_fill(pass, at, w->block, n);
    }
    int errnum = data_write(w->engine->file, w->direct, w->block, n, at);
    return errnum ? engine_io(errnum, "cannot write to file '%s'", w->engine->plan->file)
                  : NULL;
}

static struct err *
wipe_pass_run(struct wiping *w, const struct wipe_pass *pass)
{
    int fd = w->engine->file;
    int64_t start, stop;
    for (int64_t at = 0; data_next_extent(fd, at, w->size, &start, &stop); at = stop) {
        while (start < stop) {
            TRY(engine_interrupted(w->engine));
            engine_progress(w->engine, w->done, w->total);
            int64_t n = min64(WIPE_CHUNK_BYTES, stop - start);
            TRY(wipe_chunk(w, pass, (size_t) n, start));
            start += n;
            w->done += n;
        }
    }
    if (fdatasync(fd) < 0) {
        return engine_io(errno, "cannot sync data to volume with path '%s'",
                         w->engine->plan->file);
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* A verification is to read the disk. */
    return NULL;
}

static void
note_of(struct wiping *w, size_t n_passes, bool given_back)
{
    CLEANUP(free_drop) char *data = str_from_bytes(w->data);
    CLEANUP(free_drop) char *size = str_from_bytes(w->size);
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    if (w->data < w->size) {
        buf_printf(&b, "%s of %s had blocks and were overwritten", data, size);
    } else {
        buf_printf(&b, "%s overwritten", size);
    }
    buf_printf(&b, n_passes == 1 ? " once" : " in %zu passes", n_passes);
    if (given_back) {
        buf_str(&b, ", then given back: it is sparse as before");
    }
    if (place_is_btrfs(w->engine->file)) {
        buf_str(&b, "; a file system that copies on write may keep the old blocks");
    }
    w->engine->ret->note = arena_str(&w->engine->ret->vols.arena, buf_cstr(&b));
}

/* Blocks are given back, not overwritten. */
static struct err *
trim(struct engine *engine, int64_t size, bool is_device)
{
    uint64_t range[2] = { 0, (uint64_t) size };
    int rc = is_device ? ioctl(engine->file, BLKDISCARD, range)
                       : fallocate(engine->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                   0, size);
    if (rc < 0 && (errno == EOPNOTSUPP || errno == ENOTTY || errno == ENOSYS)) {
        return err_hint(
            store_err(VE_ARGUMENT_UNSUPPORTED,
                      "'trim' algorithm not supported by the storage below '%s'",
                      engine->plan->file),
            "overwrite it: --algorithm zero");
    } else if (rc < 0) {
        return engine_io(errno, "cannot discard '%s'", engine->plan->file);
    } else if (fdatasync(engine->file) < 0) {
        return engine_io(errno, "cannot sync data to volume with path '%s'",
                         engine->plan->file);
    }
    engine->ret->note =
        "its blocks were given back, not overwritten: the medium may still hold the data";
    return NULL;
}

static int64_t
count_data(int fd, int64_t size)
{
    int64_t data = 0, start, stop;
    for (int64_t at = 0; data_next_extent(fd, at, size, &start, &stop); at = stop) {
        data += stop - start;
    }
    return data;
}

struct err *
data_wipe(struct engine *engine, const struct plan_step *step)
{
    struct stat st;
    int64_t size = data_length(engine->file);
    if (size < 0 || fstat(engine->file, &st) < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->file);
    }
    bool is_file = S_ISREG(st.st_mode);
    bool sparse = is_file && st.st_blocks * INT64_C(512) < size;
    size_t n_passes;
    const struct wipe_pass *passes =
        wipe_passes((enum wipe_algorithm) step->algorithm, &n_passes);
    if (n_passes == 0) {
        return size > 0 ? trim(engine, size, !is_file) : NULL;
    }
    CLEANUP(fd_done) int direct = data_open_direct(engine->file);
    CLEANUP(free_drop) char *block = data_block(2 * WIPE_CHUNK_BYTES);
    struct wiping w = { .engine = engine, .direct = direct, .block = block, .size = size };
    w.data = count_data(engine->file, size);
    w.total = w.data * (int64_t) n_passes;
    for (size_t i = 0; i < n_passes; i++) {
        TRY(wipe_pass_run(&w, &passes[i]));
    }
    /* A sparse one stays sparse: its blocks, now zeros, go back. */
    bool given_back = sparse && step->algorithm == WIPE_ZERO;
    if (given_back &&
        (ftruncate(engine->file, 0) < 0 || ftruncate(engine->file, size) < 0)) {
        return engine_io(errno, "Failed to truncate volume with path '%s'",
                         engine->plan->file);
    }
    note_of(&w, n_passes, given_back);
    return NULL;
}
