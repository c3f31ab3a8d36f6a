/* journal/append.c: writing records and knowing when they are durable. */
#include "journal/journal_i.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "loop/loop.h"

#define CUT_NAMES_MAX 100 /* Files "<path>.cut-<offset>", ".cut-<offset>.2" ... to try. */

struct err *
journal_pwrite(int fd, const char *path, int64_t offset, const void *data, size_t n_bytes)
{
    const char *at = data;

    while (n_bytes) {
        ssize_t n = pwrite(fd, at, n_bytes, offset);
        if (n < 0 && errno != EINTR) {
            return err_io(errno, "%s: write failed", path);
        } else if (n > 0) {
            at += n;
            offset += n;
            n_bytes -= (size_t) n;
        }
    }
    return NULL;
}

/* Copies the bytes from the damage on into a file of their own, durably. */
static struct err *
save_damage(struct journal *j)
{
    CLEANUP(fd_done) int fd = -1;
    CLEANUP(free_drop) char *name = NULL;
    for (int i = 1; fd < 0 && i <= CUT_NAMES_MAX; i++) {
        free(name);
        name = str_dupf(i == 1 ? "%s.cut-%" PRId64 : "%s.cut-%" PRId64 ".%d", j->path,
                        j->damage.offset, i);
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST) {
            return err_io(errno, "save the damaged end of the database: create %s", name);
        }
    }
    if (fd < 0) {
        return err_new(ERR_EXISTS,
                       "save the damaged end of the database: too many files %s", name);
    }

    char chunk[16384];
    for (int64_t done = 0; done < j->damage.n_bytes;) {
        ssize_t n = pread(j->fd, chunk, sizeof chunk, j->damage.offset + done);
        if (n < 0) {
            return err_io(errno, "%s: read failed", j->path);
        } else if (n == 0) {
            break;
        }
        struct err *e = journal_pwrite(fd, name, done, chunk, (size_t) n);
        if (e) {
            unlink(name);
            return e;
        }
        done += n;
    }
    return fsync(fd) == 0 ? NULL : err_io(errno, "fsync %s", name);
}

struct err *
journal_heal(struct journal *j)
{
    if (j->flags & JOURNAL_READ_ONLY) {
        return err_new(ERR_DENIED, "%s is open for reading only", j->path);
    } else if (j->dead) {
        return err_hint(
            err_new(ERR_IO, "%s: an earlier failure of the disk left it unknown", j->path),
            "start the server again");
    }
    ASSERT(j->read_all);
    if (j->damage.why) {
        if (!j->damage.torn && !j->may_cut) {
            return err_hint(err_new(ERR_SYNTAX,
                                    "%s is damaged at offset %" PRId64
                                    " and good records follow",
                                    j->path, j->damage.offset),
                            "see: byre-dbtool check %s", j->path);
        }
        TRY(save_damage(j));
        j->dirty_tail = true;
        err_free(TAKE(j->damage.why));
    }
    if (j->dirty_tail) {
        if (ftruncate(j->fd, j->end) != 0) {
            return err_io(errno, "%s: truncate to %" PRId64 " bytes", j->path, j->end);
        }
        j->dirty_tail = false;
        j->reserved = 0;
    }
    return NULL;
}

static void
notice_arrived(void *notice)
{
    struct notice *n = notice;
    struct journal *j = n->journal;
    int errnum;

    atomic_store(&n->posted, false);
    if (!j) {
        free(n);
        return;
    }
    sync_done_seq(j->sync, &errnum);
    if (errnum && !j->dead) {
        j->dead = true;
        n->failed(n->aux, journal_sync_error(j, errnum));
    } else if (!errnum) {
        n->durable(n->aux);
    }
}

/* In the sync thread. */
static void
notice_post(void *journal)
{
    struct journal *j = journal;
    struct notice *n = j->notice;

    if (n && !atomic_exchange(&n->posted, true)) {
        loop_post(n->loop, notice_arrived, n);
    }
}

void
journal_notify(struct journal *j, struct loop *loop, void (*durable)(void *aux),
               void (*failed)(void *aux, struct err *e), void *aux)
{
    ASSERT(!j->notice && !j->sync);
    struct notice *n = NEW(struct notice);
    *n = (struct notice){
        .loop = loop, .journal = j, .durable = durable, .failed = failed, .aux = aux
    };
    j->notice = n;
}

/* Keeps JOURNAL_LOOSE_BYTES true, see journal.h: waits for the disk if it is that far
 * behind. */
void
journal_wait_if_loose(struct journal *j, size_t n_bytes)
{
    if (!j->sync || j->loose + (int64_t) n_bytes <= JOURNAL_LOOSE_BYTES || j->loose == 0) {
        return;
    }
    if (journal_durable_seq(j) < j->loose_seq) {
        sync_wait_idle(j->sync);
    }
    j->loose = 0;
}

void
journal_start_sync(struct journal *j)
{
    if (!j->sync) {
        j->sync = sync_new(j->fd, notice_post, j);
    }
}

void
journal_written(struct journal *j, size_t n_bytes)
{
    j->end += (int64_t) n_bytes;
    j->written_seq = j->seq;
    if (!(j->flags & JOURNAL_NO_DURABLE)) {
        journal_start_sync(j);
        j->loose += (int64_t) n_bytes;
        j->loose_seq = j->seq;
        sync_want(j->sync, j->seq);
    }
}

/* All or nothing. */
static struct err *
write_record(struct journal *j, const char *data, size_t n_bytes)
{
    struct iovec parts[] = { { j->header.data, j->header.n },
                             { (char *) data, n_bytes },
                             { (char *) "\n", 1 } };
    size_t n_all = j->header.n + n_bytes + 1;
    ssize_t n = pwritev(j->fd, parts, N_ELEMS(parts), j->end);
    struct err *e = NULL;
    if (n < 0) {
        e = err_io(errno, "%s: write failed", j->path);
    } else if ((size_t) n < n_all) { /* Rare: the disk is getting full, or a signal. */
        CLEANUP(buf_done) struct buf rest = BUF_INIT;
        buf_add(&rest, j->header.data, j->header.n);
        buf_add(&rest, data, n_bytes);
        buf_char(&rest, '\n');
        e = journal_pwrite(j->fd, j->path, j->end + n, rest.data + n, n_all - (size_t) n);
    }
    if (e) {
        j->dirty_tail = ftruncate(j->fd, j->end) != 0;
        j->reserved = 0; /* Gone with it. */
        return err_hint(e, err_is(e, ERR_NO_SPACE)
                               ? "make room on the disk, then try again"
                               : "check the disk; the system log has more");
    }
    return NULL;
}

struct err *
journal_append(struct journal *j, const char *data, size_t n_bytes, uint64_t *ret_seq)
{
    TRY(journal_heal(j));
    if (n_bytes >= RECORD_DATA_MAX) {
        return err_new(ERR_CONSTRAINT, "%s: a record of %zu bytes is too long", j->path,
                       n_bytes);
    }
    buf_clear(&j->header);
    record_header(data, n_bytes, &j->header);
    size_t n_all = j->header.n + n_bytes + 1;
    bool gather = journal_may_gather(j, n_all);

    if (!gather) {
        TRY(journal_flush(j));
        journal_wait_if_loose(j, n_all);
        TRY(write_record(j, data, n_bytes));
    }
    record_chain(&j->id, j->header.data + j->header.n - 1 - RECORD_SUM_CHARS);
    j->n_records++;
    j->seq++;
    if (gather) {
        buf_add(&j->gathered, j->header.data, j->header.n);
        buf_add(&j->gathered, data, n_bytes);
        buf_char(&j->gathered, '\n');
    } else {
        journal_written(j, n_all);
    }
    if (j->n_records <= 2) {
        j->base = j->end + (int64_t) j->gathered.n;
    }
    *ret_seq = j->seq;
    return NULL;
}

uint64_t
journal_seq(const struct journal *j)
{
    return j->seq;
}

uint64_t
journal_durable_seq(const struct journal *j)
{
    int errnum;
    return j->sync ? sync_done_seq(j->sync, &errnum) : j->written_seq;
}

struct err *
journal_sync_error(const struct journal *j, int errnum)
{
    return err_hint(
        err_io(errnum, "%s: fdatasync failed", j->path),
        "the kernel may have lost what was written: check the disk, then start again");
}

struct err *
journal_sync(struct journal *j)
{
    int errnum = 0;

    TRY(journal_flush(j));
    if (j->sync) {
        sync_wait_idle(j->sync);
        sync_done_seq(j->sync, &errnum);
        j->dead |= errnum != 0;
    }
    return errnum ? journal_sync_error(j, errnum) : NULL;
}
