/* journal/rewrite.c: compaction.  The new file is written beside the old one without
 * touching it; only journal_rewrite_commit() knows both.  What was appended to the old file
 * since journal_rewrite_begin() is copied behind the snapshot, byte for byte: records do
 * not depend on where they lie. */
#include "journal/journal_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

#define FLUSH_BYTES ((size_t) MIB)
#define SLICE_BYTES ((size_t) (2 * MIB))

struct journal_rewrite {
    char *path; /* "<path of the database>.tmp" */
    int fd;
    struct buf out;     /* Not written yet. */
    struct buf scratch; /* A header. */
    int64_t n_written;
    uint64_t n_records;
    struct uuid id; /* Of the state that the new file holds so far. */
    int64_t base;   /* Where the snapshot ends. */
    int64_t schema_end;
    bool has_snapshot;
    int64_t archive_bytes;
    int64_t copied;         /* What the old file got meanwhile is copied up to here. */
    int64_t old_end;        /* Of the old file when the snapshot was taken... */
    uint64_t old_n_records; /* ... and its records. */
};

static struct err *
rewrite_flush(struct journal_rewrite *rw)
{
    TRY(journal_pwrite(rw->fd, rw->path, rw->n_written, rw->out.data, rw->out.n));
    rw->n_written += (int64_t) rw->out.n;
    buf_clear(&rw->out);
    return NULL;
}

/* A long record, straight from where it is, and on its way to the disk slice by slice: what lies dirty in the
 * page cache is what somebody else's fdatasync() waits for. */
static struct err *
write_slices(struct journal_rewrite *rw, const char *data, size_t n_bytes)
{
    TRY(rewrite_flush(rw));
    for (size_t done = 0, n; done < n_bytes; done += n) {
        n = n_bytes - done < SLICE_BYTES ? n_bytes - done : SLICE_BYTES;
        TRY(journal_pwrite(rw->fd, rw->path, rw->n_written, data + done, n));
        if (sync_file_range(rw->fd, rw->n_written, (off_t) n, SYNC_FILE_RANGE_WRITE) != 0 ||
            (done && sync_file_range(rw->fd, rw->n_written - (off_t) SLICE_BYTES,
                                     SLICE_BYTES, SYNC_FILE_RANGE_WAIT_BEFORE) != 0)) {
            errno = 0; /* Only a courtesy; what fails shows in the fsync(). */
        }
        rw->n_written += (int64_t) n;
    }
    return NULL;
}

struct err *
journal_rewrite_seal(struct journal_rewrite *rw)
{
    TRY(rewrite_flush(rw));
    return fsync(rw->fd) == 0 ? NULL : err_io(errno, "fsync %s", rw->path);
}

struct err *
journal_rewrite_adopt(struct journal_rewrite *rw, uint64_t n_records)
{
    struct stat st;

    if (fstat(rw->fd, &st) != 0) {
        return err_io(errno, "%s: stat", rw->path);
    }
    buf_clear(&rw->out); /* The other process wrote it as well. */
    rw->n_written = rw->base = (int64_t) st.st_size;
    rw->n_records = n_records;
    return NULL;
}

int64_t
journal_rewrite_lag(const struct journal *j, const struct journal_rewrite *rw)
{
    return j->end - rw->copied;
}

static void
rewrite_free(struct journal_rewrite *rw)
{
    fd_done(&rw->fd);
    buf_done(&rw->out);
    buf_done(&rw->scratch);
    free(rw->path);
    free(rw);
}

struct err *
journal_rewrite_begin(struct journal *j, const char *schema, struct journal_rewrite **ret)
{
    TRY(journal_heal(j));
    TRY(journal_flush(j));
    TRY(journal_is_switching(j) ? journal_sync(j) : NULL); /* It has the name. */

    CLEANUP(free_drop) char *path = str_dupf("%s.tmp", j->path);
    struct stat st;
    if (fstat(j->fd, &st) != 0) {
        return err_io(errno, "%s: stat", j->path);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return err_io(errno, "remove %s", path);
    }
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_io(errno, "create %s", path);
    }
    /* Best effort: a file that its owner made readable for a group stays so. */
    if (fchmod(fd, st.st_mode & 07777) != 0 || fchown(fd, st.st_uid, st.st_gid) != 0) {
        errno = 0;
    }

    struct journal_rewrite *rw = NEW(struct journal_rewrite);
    *rw = (struct journal_rewrite){
        .path = TAKE(path),
        .fd = fd,
        .copied = j->end,
        .old_end = j->end,
        .old_n_records = j->n_records,
    };
    struct err *e = journal_rewrite_add(rw, schema, strlen(schema));
    if (e) {
        journal_rewrite_abort(rw);
        return e;
    }
    rw->schema_end = rw->n_written + (int64_t) rw->out.n;
    *ret = rw;
    return NULL;
}

struct err *
journal_rewrite_add(struct journal_rewrite *rw, const char *data, size_t n_bytes)
{
    buf_clear(&rw->scratch);
    record_header(data, n_bytes, &rw->scratch);
    buf_add(&rw->out, rw->scratch.data, rw->scratch.n);
    if (n_bytes < SLICE_BYTES) {
        buf_add(&rw->out, data, n_bytes);
    } else {
        TRY(write_slices(rw, data, n_bytes));
    }
    buf_char(&rw->out, '\n');
    record_chain(&rw->id, rw->scratch.data + rw->scratch.n - 1 - RECORD_SUM_CHARS);
    rw->n_records++;
    return rw->out.n >= FLUSH_BYTES ? rewrite_flush(rw) : NULL;
}

void
journal_rewrite_set_snapshot(struct journal_rewrite *rw,
                             const struct journal_snapshot *snapshot)
{
    rw->has_snapshot = true;
    rw->archive_bytes = snapshot->archive_bytes;
    if (snapshot->has_id) {
        rw->id = snapshot->id;
    }
}

void
journal_rewrite_abort(struct journal_rewrite *rw)
{
    if (rw) {
        unlink(rw->path);
        rewrite_free(rw);
    }
}

/* Copies the old file's records up to 'end'. */
static struct err *
copy_tail(struct journal_rewrite *rw, int old_fd, int64_t end)
{
    while (rw->copied < end) {
        char *room = buf_reserve(&rw->out, FLUSH_BYTES);
        size_t want = (size_t) min64((int64_t) FLUSH_BYTES, end - rw->copied);
        ssize_t n = pread(old_fd, room, want, rw->copied);
        if (n <= 0) {
            return err_io(n < 0 ? errno : EIO, "read what %s is made from", rw->path);
        }
        rw->out.n += (size_t) n;
        rw->copied += n;
        TRY(rewrite_flush(rw));
    }
    return NULL;
}

struct err *
journal_rewrite_follow(struct journal_rewrite *rw, int old_fd, int64_t end)
{
    TRY(copy_tail(rw, old_fd, end));
    return fdatasync(rw->fd) == 0 ? NULL : err_io(errno, "fdatasync %s", rw->path);
}

/* The journal goes on in the new file.  Returns the old one's descriptor. */
static int
rewrite_enter(struct journal *j, struct journal_rewrite *rw)
{
    int old_fd = j->fd;

    if (rw->old_end ==
        j->end) { /* Else there are records that led from the one to the other. */
        j->id = rw->id;
    }
    rw->n_records += j->n_records - rw->old_n_records;
    j->fd = fd_take(&rw->fd);
    j->reserved = j->ask_again = 0;
    j->reader.fd = j->fd;
    j->end = rw->n_written;
    j->base = rw->base;
    j->schema_end = rw->schema_end;
    j->has_snapshot = rw->has_snapshot;
    j->archive_bytes = rw->archive_bytes;
    j->n_records = rw->n_records;
    return old_fd;
}

/* The new file is complete and durable after this, but still has its own name. */
static struct err *
rewrite_finish(struct journal *j, struct journal_rewrite *rw)
{
    TRY(rewrite_flush(rw));
    rw->base = rw->n_written;
    TRY(copy_tail(rw, j->fd, j->end));
    return fsync(rw->fd) == 0 ? NULL : err_io(errno, "fsync %s", rw->path);
}

struct err *
journal_rewrite_commit(struct journal *j, struct journal_rewrite *rw)
{
    struct err *e = journal_sync(j); /* Whichever of the two survives has all. */
    if (!e) {
        e = rewrite_finish(j, rw);
    }
    if (!e && rename(rw->path, j->path) != 0) {
        e = err_io(errno, "rename %s to %s", rw->path, j->path);
    }
    if (e) {
        journal_rewrite_abort(rw);
        return err_wrap(e, "compact");
    }

    if (j->sync) {
        sync_set_fd(j->sync, rw->fd, j->seq);
    }
    close(rewrite_enter(j, rw));
    j->loose = 0;
    rewrite_free(rw);

    CLEANUP(free_drop) char *dir = path_dir(j->path);
    e = fs_sync_dir(dir);
    if (e) {
        j->dead =
            true; /* After a power cut the old file may be back, without new records. */
        return err_wrap(e, "compact");
    }
    return NULL;
}

struct err *
journal_rewrite_switch(struct journal *j, struct journal_rewrite *rw)
{
    bool durable = !(j->flags & JOURNAL_NO_DURABLE);
    struct err *e = journal_heal(j);

    if (!e) {
        e = journal_flush(j);
    }
    if (!e) {
        e = copy_tail(rw, j->fd, j->end);
    }
    if (!e && !durable && rename(rw->path, j->path) != 0) {
        e = err_io(errno, "rename %s to %s", rw->path, j->path);
    }
    if (e) {
        journal_rewrite_abort(rw);
        return err_wrap(e, "compact");
    }
    int old_fd = rewrite_enter(j, rw);
    if (durable) {
        journal_start_sync(j);
        sync_switch(j->sync, j->fd, rw->path, j->path, old_fd);
    } else {
        sync_close_aside(old_fd);
    }
    rewrite_free(rw);
    return NULL;
}

bool
journal_is_switching(const struct journal *j)
{
    return j->sync && sync_is_switching(j->sync);
}

int
journal_fd(const struct journal *j)
{
    return j->fd;
}

int
journal_rewrite_fd(const struct journal_rewrite *rw)
{
    return rw->fd;
}
