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

struct journal_rewrite {
    char *path; /* "<path of the database>.tmp" */
    int fd;
    struct buf out;     /* Not written yet. */
    struct buf scratch; /* A header. */
    int64_t n_written;
    uint64_t n_records;
    struct uuid id;         /* Of the state that the new file holds so far. */
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
        .path = TAKE(path), .fd = fd, .old_end = j->end, .old_n_records = j->n_records
    };
    struct err *e = journal_rewrite_add(rw, schema, strlen(schema));
    if (e) {
        journal_rewrite_abort(rw);
        return e;
    }
    *ret = rw;
    return NULL;
}

struct err *
journal_rewrite_add(struct journal_rewrite *rw, const char *data, size_t n_bytes)
{
    buf_clear(&rw->scratch);
    record_header(data, n_bytes, &rw->scratch);
    buf_add(&rw->out, rw->scratch.data, rw->scratch.n);
    buf_add(&rw->out, data, n_bytes);
    buf_char(&rw->out, '\n');
    record_chain(&rw->id, rw->scratch.data + rw->scratch.n - 1 - RECORD_SUM_CHARS);
    rw->n_records++;
    return rw->out.n >= FLUSH_BYTES ? rewrite_flush(rw) : NULL;
}

void
journal_rewrite_set_id(struct journal_rewrite *rw, const struct uuid *id)
{
    rw->id = *id;
}

void
journal_rewrite_abort(struct journal_rewrite *rw)
{
    if (rw) {
        unlink(rw->path);
        rewrite_free(rw);
    }
}

/* The new file is complete and durable after this, but still has its own name. */
static struct err *
rewrite_finish(struct journal *j, struct journal_rewrite *rw, int64_t *ret_base)
{
    TRY(rewrite_flush(rw));
    *ret_base = rw->n_written;
    for (int64_t at = rw->old_end; at < j->end;) {
        char *room = buf_reserve(&rw->out, FLUSH_BYTES);
        size_t want = (size_t) min64((int64_t) FLUSH_BYTES, j->end - at);
        ssize_t n = pread(j->fd, room, want, at);
        if (n <= 0) {
            return err_io(n < 0 ? errno : EIO, "%s: read", j->path);
        }
        rw->out.n += (size_t) n;
        at += n;
        TRY(rewrite_flush(rw));
    }
    rw->n_records += j->n_records - rw->old_n_records;
    return fsync(rw->fd) == 0 ? NULL : err_io(errno, "fsync %s", rw->path);
}

struct err *
journal_rewrite_commit(struct journal *j, struct journal_rewrite *rw)
{
    int64_t base, old_end = j->end;
    struct err *e = journal_sync(j); /* Whichever of the two survives has all. */
    if (!e) {
        e = rewrite_finish(j, rw, &base);
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
    fd_done(&j->fd);
    j->fd = fd_take(&rw->fd);
    j->reader.fd = j->fd;
    j->end = rw->n_written;
    j->base = base;
    j->n_records = rw->n_records;
    if (rw->old_end ==
        old_end) { /* Else there are records that led from the one to the other. */
        j->id = rw->id;
    }
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
