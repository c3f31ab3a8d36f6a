/* journal/archive_read.c: an archive in plain, for reading; see archive.h.
 *
 * Each member stands for itself, and each record in it has its own SHA-1.  So what is damaged costs what it
 * hit: of a member that cannot be unpacked to its end the records that are good stay, and the next one
 * is looked for by its first bytes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fs.h"
#include "base/str.h"
#include "journal/archive.h"
#include "journal/journal_i.h"

#define CHUNK_BYTES (64 * 1024)
#define GZIP_WINDOW (15 + 16) /* zlib's word for "the largest, with gzip's header". */

static const char member_magic[] = "\x1f\x8b\x08";

struct unpack {
    const char *path;
    int from, plain;
    int64_t n_bytes; /* Of the archive, as far as it counts and is there. */
    int64_t at;      /* The next member. */
    int64_t written; /* Of 'plain'. */
};

/* What the inflated bytes of one call are, behind what is there. */
static struct err *
put(struct unpack *u, const unsigned char *text, size_t n)
{
    TRY(journal_pwrite(u->plain, u->path, u->written, text, n));
    u->written += (int64_t) n;
    return NULL;
}

/* Inflates from 'u->at' to the member's end, '*ret_end'; that is -1 if it is damaged.  An error is one of the
 * disk. */
static struct err *
inflate_member(struct unpack *u, z_stream *z, int64_t *ret_end)
{
    unsigned char in[CHUNK_BYTES], out[CHUNK_BYTES];
    int64_t at = u->at;
    int status = Z_OK;

    *ret_end = -1;
    while (status == Z_OK) {
        if (z->avail_in == 0) {
            size_t want = (size_t) min64((int64_t) sizeof in, u->n_bytes - at);
            ssize_t n = want ? pread(u->from, in, want, at) : 0;
            if (n < 0) {
                return err_io(errno, "%s: read", u->path);
            } else if (n == 0) {
                return NULL; /* It ends inside. */
            }
            at += n;
            z->next_in = in;
            z->avail_in = (unsigned) n;
        }
        z->next_out = out;
        z->avail_out = sizeof out;
        status = inflate(z, Z_NO_FLUSH);
        TRY(put(u, out, sizeof out - z->avail_out));
    }
    if (status == Z_STREAM_END) {
        *ret_end = at - z->avail_in;
    }
    return NULL;
}

/* Keeps of what lies from 'start' on the records that are good. */
static struct err *
keep_good(struct unpack *u, int64_t start)
{
    struct record_reader r;
    const char *data = "";
    size_t n;

    record_reader_init(&r, u->path, u->plain, start);
    while (data) {
        struct err *e = record_read(&r, &data, &n);
        if (e) {
            err_free(e);
            break;
        }
    }
    u->written = r.offset;
    record_reader_done(&r);
    return ftruncate(u->plain, u->written) == 0 ? NULL : err_io(errno, "%s", u->path);
}

/* Where the next member may begin, from 'at' on; the end if there is none. */
static int64_t
find_member(const struct unpack *u, int64_t at)
{
    const size_t n_magic = sizeof member_magic - 1;
    char bytes[CHUNK_BYTES];

    while (at < u->n_bytes) {
        size_t want = (size_t) min64((int64_t) sizeof bytes, u->n_bytes - at);
        ssize_t n = pread(u->from, bytes, want, at);
        const char *found = n > 0 ? memmem(bytes, (size_t) n, member_magic, n_magic) : NULL;
        if (found) {
            return at + (found - bytes);
        } else if (n < (ssize_t) n_magic) {
            break;
        }
        at += n - (ssize_t) n_magic + 1;
    }
    return u->n_bytes;
}

static struct err *
unpack_all(struct unpack *u, unsigned *ret_n_gaps)
{
    bool in_gap = false;

    while (u->at < u->n_bytes) {
        z_stream z = { 0 };
        int64_t start = u->written, end;
        if (inflateInit2(&z, GZIP_WINDOW) != Z_OK) {
            return err_new(ERR_IO, "%s: no memory to unpack it", u->path);
        }
        struct err *e = inflate_member(u, &z, &end);
        inflateEnd(&z);
        TRY(e);
        if (end >= 0) {
            in_gap = false;
            u->at = end;
            continue;
        }
        *ret_n_gaps += !in_gap;
        in_gap = true;
        TRY(keep_good(u, start));
        u->at = find_member(u, u->at + 1);
    }
    return NULL;
}

static int
nameless(void)
{
    const char *dir = getenv("TMPDIR");
    return open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

struct err *
archive_open(const char *db_path, int64_t n_bytes, int *ret_fd, unsigned *ret_n_gaps)
{
    CLEANUP(free_drop) char *path = archive_path(db_path);
    CLEANUP(fd_done) int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    *ret_n_gaps = 0;
    if (from < 0) {
        return errno == ENOENT ? err_new(ERR_NOT_FOUND, "%s: there is none", path)
                               : err_io(errno, "open %s", path);
    } else if (fstat(from, &st) != 0 || !S_ISREG(st.st_mode)) {
        return err_new(ERR_SYNTAX, "%s: not a regular file", path);
    }
    CLEANUP(fd_done) int plain = nameless();
    if (plain < 0) {
        return err_io(errno, "make room for %s", path);
    }
    struct unpack u = {
        .path = path, .from = from, .plain = plain, .n_bytes = min64(n_bytes, st.st_size)
    };
    TRY(unpack_all(&u, ret_n_gaps));
    if (u.written == 0) {
        return err_new(ERR_NOT_FOUND, "%s: nothing in it can be read", path);
    }
    if (u.n_bytes < n_bytes && *ret_n_gaps == 0) {
        *ret_n_gaps = 1; /* Whole members are missing at its end. */
    }
    *ret_fd = fd_take(&plain);
    return NULL;
}
