/* journal/record.c: see record.h.  The file is read in large chunks; a record is handed out
 * where it lies in the chunk, so reading costs one copy from the page cache and one
 * SHA-1. */
#define OPENSSL_SUPPRESS_DEPRECATED 1
#include "journal/record.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"

#define CHUNK_BYTES ((size_t) (256 * KIB))
#define SHA1_BYTES 20

static const char magic[] = "OVSDB JSON ";
static const char cluster_magic[] = "OVSDB CLUSTER ";

/* The interface of old: for a record of 150 bytes, all that EVP does around the hash costs as much as
 * the hash. */
static void
sha1_sum(const void *data, size_t n_bytes, const char *more, uint8_t out[SHA1_BYTES])
{
    SHA_CTX ctx;
    ASSERT(SHA1_Init(&ctx) && SHA1_Update(&ctx, data, n_bytes) &&
           SHA1_Update(&ctx, more, strlen(more)) && SHA1_Final(out, &ctx));
}

static void
sha1_text(const void *data, size_t n_bytes, const char *more,
          char out[RECORD_SUM_CHARS + 1])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t sum[SHA1_BYTES];

    sha1_sum(data, n_bytes, more, sum);
    for (int i = 0; i < SHA1_BYTES; i++) {
        out[2 * i] = hex[sum[i] >> 4];
        out[2 * i + 1] = hex[sum[i] & 15];
    }
    out[RECORD_SUM_CHARS] = '\0';
}

static void
print_header(const char *word, const void *data, size_t n_bytes, struct buf *out)
{
    char sum[RECORD_SUM_CHARS + 1];

    sha1_text(data, n_bytes, "\n", sum);
    buf_str(out, word);
    buf_i64(out, (int64_t) n_bytes + 1);
    buf_char(out, ' ');
    buf_add(out, sum, RECORD_SUM_CHARS);
    buf_char(out, '\n');
}

void
record_header(const void *data, size_t n_bytes, struct buf *out)
{
    print_header(magic, data, n_bytes, out);
}

void
record_header_cluster(const void *data, size_t n_bytes, struct buf *out)
{
    print_header(cluster_magic, data, n_bytes, out);
}

/* Decodes a header line without its line feed; 'word' is what it begins with. */
static bool
header_parse(const char *word, const char *line, size_t n_chars, size_t *ret_n_bytes,
             char sum[RECORD_SUM_CHARS + 1])
{
    const char *at = line + strlen(word);
    const char *end = line + n_chars;
    uint64_t n_bytes = 0;

    if (n_chars < strlen(word) || memcmp(line, word, strlen(word)) != 0) {
        return false;
    }
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        n_bytes = n_bytes * 10 + (uint64_t) (*at - '0');
        if (n_bytes > RECORD_DATA_MAX) {
            return false;
        }
    }
    if (n_bytes == 0 || end - at != RECORD_SUM_CHARS + 1 || *at != ' ') {
        return false;
    }
    for (int i = 0; i < RECORD_SUM_CHARS; i++) {
        char c = at[1 + i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
            return false;
        }
        sum[i] = c >= 'A' && c <= 'F' ? (char) (c + 'a' - 'A') : c;
    }
    sum[RECORD_SUM_CHARS] = '\0';
    *ret_n_bytes = (size_t) n_bytes;
    return true;
}

void
record_reader_init(struct record_reader *r, const char *path, int fd, int64_t offset)
{
    *r = (struct record_reader){ .path = path, .fd = fd, .offset = offset };
}

void
record_reader_done(struct record_reader *r)
{
    buf_done(&r->chunk);
}

/* Makes 'n_bytes' from 'offset' on available, if the file has them. */
static struct err *
reader_fill(struct record_reader *r, size_t n_bytes)
{
    if (r->chunk.n - r->chunk_at >= n_bytes || r->at_end) {
        return NULL;
    }
    buf_drop_front(&r->chunk, r->chunk_at);
    r->chunk_at = 0;
    while (r->chunk.n < n_bytes) {
        /* Never more than a chunk at once: a header that lies about its length must not
         * make us allocate what the file does not have. */
        char *at = buf_reserve(&r->chunk, CHUNK_BYTES);
        ssize_t n = pread(r->fd, at, CHUNK_BYTES, r->offset + (int64_t) r->chunk.n);
        if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0) {
            return err_io(errno, "%s: error reading %zu bytes starting at offset %" PRId64,
                          r->path, CHUNK_BYTES, r->offset + (int64_t) r->chunk.n);
        } else if (n == 0) {
            r->at_end = true;
            break;
        }
        r->chunk.n += (size_t) n;
    }
    return NULL;
}

static struct err *
header_error(const struct record_reader *r, const char *line, size_t n_chars)
{
    if (!r->cluster && r->offset == 0 && n_chars >= strlen(cluster_magic) &&
        memcmp(line, cluster_magic, strlen(cluster_magic)) == 0) {
        return err_hint(
            err_new(ERR_UNSUPPORTED, "%s: this is a clustered database file", r->path),
            "a member of a cluster is ovsdb-server's to serve, with relays of ours before it; "
            "for a standalone copy: byre-dbtool cluster-to-standalone NEW %s",
            r->path);
    } else if (r->offset == 0 && (n_chars < 6 || memcmp(line, magic, 6) != 0)) {
        return err_new(ERR_SYNTAX, "%s: cannot identify file type", r->path);
    }

    CLEANUP(buf_done)
    struct buf text = BUF_INIT; /* It may be anything: keep it printable. */
    for (size_t i = 0; i < n_chars && i < RECORD_HEADER_MAX; i++) {
        unsigned char c = (unsigned char) line[i];
        if (c >= 0x20 && c < 0x7f) {
            buf_char(&text, (char) c);
        } else {
            buf_printf(&text, "\\x%02x", c);
        }
    }
    return err_new(ERR_SYNTAX,
                   "%s: parse error at offset %" PRId64 " in header line \"%s\"", r->path,
                   r->offset, text.n ? buf_cstr(&text) : "");
}

struct err *
record_read(struct record_reader *r, const char **ret_data, size_t *ret_n_bytes)
{
    TRY(reader_fill(r, RECORD_HEADER_MAX));
    const char *line = r->chunk.n ? r->chunk.data + r->chunk_at : "";
    size_t n_ahead = r->chunk.n - r->chunk_at;
    if (n_ahead == 0) {
        *ret_data = NULL;
        *ret_n_bytes = 0;
        return NULL;
    }

    char want[RECORD_SUM_CHARS + 1];
    size_t n_bytes;
    size_t n_look = n_ahead < RECORD_HEADER_MAX ? n_ahead : RECORD_HEADER_MAX;
    const char *lf = memchr(line, '\n', n_look);
    if (!lf || !header_parse(r->cluster ? cluster_magic : magic, line, (size_t) (lf - line),
                             &n_bytes, want)) {
        return header_error(r, line, lf ? (size_t) (lf - line) : n_look);
    }
    size_t n_header = (size_t) (lf - line) + 1;
    TRY(reader_fill(r, n_header + n_bytes));
    const char *data = r->chunk.data + r->chunk_at + n_header;
    int64_t data_offset = r->offset + (int64_t) n_header;
    if (r->chunk.n - r->chunk_at < n_header + n_bytes) {
        return err_new(ERR_IO,
                       "%s: error reading %zu bytes starting at offset %" PRId64
                       " (End of file)",
                       r->path, n_bytes, data_offset);
    }

    char got[RECORD_SUM_CHARS + 1];
    sha1_text(data, n_bytes, "", got);
    if (memcmp(got, want, RECORD_SUM_CHARS) != 0) {
        return err_new(ERR_SYNTAX,
                       "%s: %zu bytes starting at offset %" PRId64
                       " have SHA-1 hash %s but should have hash %s",
                       r->path, n_bytes, data_offset, got, want);
    }
    memcpy(r->sum, got, sizeof got);
    r->offset += (int64_t) (n_header + n_bytes);
    r->chunk_at += n_header + n_bytes;
    *ret_data = data;
    *ret_n_bytes = n_bytes;
    return NULL;
}

void
record_chain(struct uuid *id, const char *sum)
{
    uint8_t in[sizeof *id + RECORD_SUM_CHARS], out[SHA1_BYTES];
    memcpy(in, id, sizeof *id);
    memcpy(in + sizeof *id, sum, RECORD_SUM_CHARS);
    sha1_sum(in, sizeof in, "", out);
    memcpy(id, out, sizeof *id);
    id->b[6] = (uint8_t) ((id->b[6] & 0x0f) | 0x50);
    id->b[8] = (uint8_t) ((id->b[8] & 0x3f) | 0x80);
}

int64_t
record_find_good(const char *path, int fd, int64_t offset)
{
    /* Data lines hold no raw line feed but their last (JSON escapes it), and records begin
     * after one; so looking at line beginnings finds every record. */
    CLEANUP(buf_done) struct buf chunk = BUF_INIT;
    int64_t at = offset + 1; /* The record at 'offset' itself is known to be bad. */

    for (;;) {
        buf_clear(&chunk);
        buf_reserve(&chunk, CHUNK_BYTES);
        ssize_t n = pread(fd, chunk.data, CHUNK_BYTES, at);
        if (n <= (ssize_t) strlen(magic)) {
            return -1;
        }
        chunk.n = (size_t) n;
        const char *hit = memmem(chunk.data, chunk.n, magic, strlen(magic));
        if (!hit) {
            at += n - (ssize_t) strlen(magic);
            continue;
        }
        at += hit - chunk.data;

        struct record_reader r;
        const char *data;
        size_t n_bytes;
        record_reader_init(&r, path, fd, at);
        struct err *e = record_read(&r, &data, &n_bytes);
        record_reader_done(&r);
        if (!e) {
            return at;
        }
        err_free(e);
        at += (int64_t) strlen(magic);
    }
}
