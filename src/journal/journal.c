/* journal/journal.c: opening, locking and reading.  Appending is in append.c, compaction in
 * rewrite.c. */
#include "journal/journal_i.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "journal/archive.h"

#define SECTOR_BYTES 512
#define AHEAD_MIN_BYTES ((int64_t) 256 * KIB) /* A shorter file is not worth a thread. */

static char *
lock_path(const char *path)
{
    CLEANUP(free_drop) char *dir = path_dir(path);
    CLEANUP(free_drop) char *name = str_dupf(".%s.~lock~", path_base(path));
    return path_join(dir, name);
}

/* Best effort, and only of what is empty and has one name: root in somebody's directory must not be led to
 * another's file. */
void
journal_give_to_owner(int fd, const char *db_path)
{
    struct stat ours, db;

    if (stat(db_path, &db) == 0 && fstat(fd, &ours) == 0 && S_ISREG(ours.st_mode) &&
        ours.st_size == 0 && ours.st_nlink == 1 && ours.st_uid != db.st_uid &&
        fchown(fd, db.st_uid, db.st_gid) != 0) {
        errno = 0;
    }
}

/* An open file description's lock: it stands against other processes' fcntl() locks as
 * ovsdb-server takes them, and also against a second open in this process. */
static struct err *
lock_take(const char *path, int *ret_fd)
{
    CLEANUP(free_drop) char *name = lock_path(path);
    CLEANUP(fd_done) int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_io(errno, "open lock file %s", name);
    }

    journal_give_to_owner(fd, path);

    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        *ret_fd = fd_take(&fd);
        return NULL;
    } else if (errno != EAGAIN && errno != EACCES) {
        return err_io(errno, "lock %s", name);
    }
    struct flock held = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(fd, F_OFD_GETLK, &held) == 0 && held.l_type != F_UNLCK && held.l_pid > 0) {
        return err_hint(
            err_new(ERR_BUSY, "%s: failed to lock lockfile: process %ld holds it", path,
                    (long) held.l_pid),
            "stop process %ld, or talk to the server instead", (long) held.l_pid);
    }
    return err_hint(err_new(ERR_BUSY, "%s: failed to lock lockfile: it is held", path),
                    "a database server has this file open: stop it, or talk to it instead");
}

struct err *
journal_create(const char *path, const char *schema)
{
    CLEANUP(buf_done) struct buf record = BUF_INIT;
    record_header(schema, strlen(schema), &record);
    buf_printf(&record, "%s\n", schema);

    CLEANUP(fd_done) int lock = -1;
    TRY(lock_take(path, &lock));
    CLEANUP(fd_done) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0) {
        return err_io(errno, "create %s", path);
    }
    struct err *e = journal_pwrite(fd, path, 0, record.data, record.n);
    if (!e && fsync(fd) != 0) {
        e = err_io(errno, "fsync %s", path);
    }
    if (e) {
        unlink(path);
        return e;
    }
    CLEANUP(free_drop) char *dir = path_dir(path);
    return fs_sync_dir(dir);
}

struct err *
journal_open(const char *path, int flags, struct journal **ret)
{
    CLEANUP(free_drop) char *real = realpath(path, NULL);
    if (!real) {
        int errnum = errno;
        return err_hint(err_io(errnum, "%s: open failed", path),
                        errnum == ENOENT ? "make it with: byre-dbtool create %s"
                                         : "check the permissions of %s",
                        path);
    }
    bool read_only = flags & JOURNAL_READ_ONLY;
    CLEANUP(fd_done) int lock_fd = -1;
    if (!read_only) {
        TRY(lock_take(real, &lock_fd));
    }
    /* Not waiting for whoever writes to a FIFO; files don't care. */
    CLEANUP(fd_done)
    int fd = open(real, (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return err_io(errno, "%s: open failed", path);
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return err_new(ERR_SYNTAX, "%s: cannot identify file type: not a regular file",
                       path);
    }

    struct journal *j = NEW(struct journal);
    j->path = TAKE(real);
    j->flags = flags;
    j->fd = fd_take(&fd);
    j->lock_fd = fd_take(&lock_fd);
    record_reader_init(&j->reader, j->path, j->fd, 0);
    *ret = j;
    return NULL;
}

void
journal_close(struct journal *j)
{
    if (!j) {
        return;
    }
    err_free(journal_flush(j));
    sync_free(j->sync); /* Finishes what was wanted. */
    journal_unreserve(j);
    if (j->notice) {
        j->notice->journal = NULL;
        if (!atomic_load(&j->notice->posted)) {
            free(j->notice);
        } /* Else the word under way frees it. */
    }
    ahead_free(j->ahead);
    arena_done(&j->arena);
    record_reader_done(&j->reader);
    buf_done(&j->header);
    buf_done(&j->gathered);
    err_free(j->damage.why);
    fd_done(&j->fd);
    fd_done(&j->lock_fd);
    free(j->path);
    free(j);
}

/* Is there a sector in [from, to) that never reached the disk?  Then its end is NUL,
 * because writing goes from the front to the back; a byte that was changed otherwise is
 * hardly ever just there. */
static bool
has_hole(int fd, int64_t from, int64_t to)
{
    for (int64_t at = from + SECTOR_BYTES - 1 - from % SECTOR_BYTES; at < to;
         at += SECTOR_BYTES) {
        char last = 'x';
        if (pread(fd, &last, 1, at) == 1 && last == '\0') {
            return true;
        }
    }
    return false;
}

/* Takes 'why'. */
static void
set_damage(struct journal *j, int64_t offset, struct err *why)
{
    struct stat st;
    int64_t size = fstat(j->fd, &st) == 0 ? (int64_t) st.st_size : offset;
    int64_t good = record_find_good(j->path, j->fd, offset);

    err_free(j->damage.why);
    j->damage = (struct journal_damage){
        .offset = offset,
        .n_bytes = size - offset,
        .torn = good < 0 ||
                (size - offset <= JOURNAL_LOOSE_BYTES && has_hole(j->fd, offset, good)),
        .why = why,
    };
    j->end = offset;
    j->read_all = true;
}

/* The record at 'offset' is good and ends at 'end'. */
static void
accept(struct journal *j, int64_t offset, int64_t end, const char *sum)
{
    j->last_offset = offset;
    j->last_id = j->id;
    record_chain(&j->id, sum);
    j->end = end;
    j->n_records++;
    if (j->n_records <= 2) {
        j->base = j->end;
    }
    if (j->n_records == 1) {
        j->schema_end = j->end;
    }
}

/* What the reader said about the record at 'offset'.  Takes 'e'. */
static struct err *
refuse(struct journal *j, int64_t offset, struct err *e)
{
    if (offset == 0 || err_errno(e)) {
        return e; /* Without a schema there is nothing to serve; and EIO is not damage. */
    }
    set_damage(j, offset, e);
    return NULL;
}

static struct err *
read_with(struct journal *j, struct record_reader *r, struct arena *arena, struct json *ret,
          bool *ret_more)
{
    const char *data;
    size_t n_bytes;
    int64_t offset = r->offset;
    struct err *e = record_read(r, &data, &n_bytes);

    *ret_more = false;
    if (!e && !data && offset == 0) {
        return err_new(ERR_SYNTAX, "%s: cannot identify file type: it is empty", j->path);
    } else if (!e && !data) {
        j->read_all = true;
        j->end = offset;
        return NULL;
    }
    e = e ? e : record_json(r, arena, data, n_bytes, ret);
    if (e) {
        return refuse(j, offset, e);
    }
    accept(j, offset, r->offset, r->sum);
    *ret_more = true;
    return NULL;
}

struct err *
journal_read(struct journal *j, struct arena *arena, struct json *ret, bool *ret_more)
{
    ASSERT(!j->ahead);
    *ret_more = false;
    return j->read_all ? NULL : read_with(j, &j->reader, arena, ret, ret_more);
}

static struct err *
read_item(struct journal *j, struct ahead_item *item, struct json *ret,
          enum journal_part *ret_part, bool *ret_more)
{
    if (item->part == AHEAD_PART) { /* One that could not be split fits nowhere. */
        *ret = item->value;
        *ret_part = JOURNAL_PART;
        *ret_more = true;
        return NULL;
    } else if (item->e) {
        return refuse(j, item->begin, TAKE(item->e));
    }
    accept(j, item->begin, item->end, item->sum);
    *ret = item->value;
    *ret_part = item->part == AHEAD_WHOLE ? JOURNAL_WHOLE : JOURNAL_LAST_PART;
    *ret_more = true;
    return NULL;
}

struct err *
journal_read_ahead(struct journal *j, struct json *ret, enum journal_part *ret_part,
                   bool *ret_more)
{
    struct stat st;

    *ret_more = false;
    *ret_part = JOURNAL_WHOLE;
    if (!j->ahead && !j->read_all && j->n_records == 1 && fstat(j->fd, &st) == 0 &&
        st.st_size - j->reader.offset > AHEAD_MIN_BYTES) {
        j->ahead = ahead_start(j->path, j->fd, j->reader.offset);
    }
    if (!j->ahead || j->read_all) {
        arena_reset(&j->arena);
        ahead_free(TAKE(j->ahead));
        return journal_read(j, &j->arena, ret, ret_more);
    }
    struct ahead_item *item;
    do {
        item = ahead_next(j->ahead);
    } while (item && item->part != AHEAD_WHOLE && item->end <= j->end); /* Read again. */
    if (!item) {
        ahead_free(TAKE(j->ahead));
        arena_done(&j->arena);
        j->read_all = true;
        return NULL;
    }
    j->part_offset = item->begin;
    return read_item(j, item, ret, ret_part, ret_more);
}

struct err *
journal_read_again(struct journal *j, struct json *ret, bool *ret_more)
{
    struct record_reader r;
    record_reader_init(&r, j->path, j->fd, j->part_offset);
    arena_reset(&j->arena);
    if (j->last_offset == j->part_offset) { /* Its last part was taken for good. */
        j->n_records--;
        j->id = j->last_id;
    }
    struct err *e = read_with(j, &r, &j->arena, ret, ret_more);
    record_reader_done(&r);
    return e;
}

void
journal_reject(struct journal *j, struct err *why)
{
    ASSERT(j->n_records > 0 && j->last_offset > 0);
    j->n_records--;
    j->id = j->last_id;
    set_damage(j, j->last_offset, why);
}

const struct journal_damage *
journal_damage(const struct journal *j)
{
    return &j->damage;
}

void
journal_allow_cut(struct journal *j)
{
    j->may_cut = true;
}

struct err *
journal_check_name(const struct journal *j)
{
    struct stat ours, there;

    if (journal_is_switching(j) || fstat(j->fd, &ours) != 0 ||
        (stat(j->path, &there) == 0 && ours.st_dev == there.st_dev &&
         ours.st_ino == there.st_ino)) {
        return NULL;
    }
    return err_hint(
        err_new(ERR_NOT_FOUND, "%s was removed or replaced while we write to it", j->path),
        "what is in memory is put there by: ovs-appctl ovsdb-server/compact");
}

const char *
journal_path(const struct journal *j)
{
    return j->path;
}

const struct uuid *
journal_id(const struct journal *j)
{
    return &j->id;
}

void
journal_set_snapshot(struct journal *j, const struct journal_snapshot *snapshot)
{
    j->has_snapshot = true;
    j->archive_bytes = snapshot->archive_bytes;
    if (snapshot->has_id) {
        j->id = snapshot->id;
    }
}

int64_t
journal_archive_bytes(const struct journal *j)
{
    return j->archive_bytes;
}

struct err *
journal_archive(const struct journal *j, int64_t *ret_bytes)
{
    struct archive_part part = {
        .fd = j->fd,
        .schema_end = j->schema_end,
        .from = j->has_snapshot ? j->base : j->schema_end,
        .to = j->end,
    };
    return archive_append(j->path, j->archive_bytes, &part, ret_bytes);
}

struct err *
journal_open_archive(const struct journal *of, struct journal **ret, unsigned *ret_n_gaps)
{
    CLEANUP(fd_done) int fd = -1;
    TRY(archive_open(of->path, of->archive_bytes, &fd, ret_n_gaps));
    struct journal *j = NEW(struct journal);
    j->path = archive_path(of->path);
    j->flags = JOURNAL_READ_ONLY;
    j->fd = fd_take(&fd);
    j->lock_fd = -1;
    record_reader_init(&j->reader, j->path, j->fd, 0);
    *ret = j;
    return NULL;
}

int64_t
journal_size(const struct journal *j)
{
    return j->end;
}

int64_t
journal_base_size(const struct journal *j)
{
    return j->base;
}

uint64_t
journal_n_records(const struct journal *j)
{
    return j->n_records;
}
