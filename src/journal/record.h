/* journal/record.h: the frame around each transaction in an OVSDB file.
 *
 *     OVSDB JSON 58 3b0c...40 hex digits...\n
 *     {"T":{"6b2e...":{"name":"a"}},"_date":1600000000000}\n
 *
 * The length and the SHA-1 cover the data line with its line feed.  The reader goes forward
 * only and never beyond a bad record; where that begins is what it is for.
 *
 * Errors.  ERR_SYNTAX: the bytes are no record; ERR_IO: the disk, or the file ends inside a
 *          record (err_errno() is 0 then).  The texts are ovsdb-server's and name the
 *          offset.
 * Source.  ovsdb(5), section "File Formats". */
#ifndef JOURNAL_RECORD_H
#define JOURNAL_RECORD_H 1

#include "base/base.h"
#include "base/buf.h"
#include "base/uuid.h"

#define RECORD_HEADER_MAX 128 /* Bytes of a header line, its line feed included. */
#define RECORD_DATA_MAX (INT64_C(1) << 31) /* A longer one is damage, not data. */
#define RECORD_SUM_CHARS 40

/* Appends the header for 'data', JSON text to which the caller adds a line feed; it ends with the
 * SHA-1 and a line feed. */
void record_header(const void *data, size_t n_bytes, struct buf *out);
/* The same for a file of ovsdb-server's cluster, whose records have another word: "OVSDB CLUSTER". */
void record_header_cluster(const void *data, size_t n_bytes, struct buf *out);

struct record_reader {
    const char *path; /* For texts.  Borrowed. */
    int fd;           /* Borrowed. */
    int64_t offset;   /* File offset of the next record: all before it is good. */
    struct buf chunk; /* File content that was read ahead. */
    size_t chunk_at;  /* Where 'offset' lies in it. */
    bool cluster;     /* Its records are a cluster's. */
    bool at_end;      /* The file gave no more bytes. */
    char sum[RECORD_SUM_CHARS + 1]; /* Of the record that was read last. */
};

/* Starts at 'offset', which must be where a record begins. */
void record_reader_init(struct record_reader *, const char *path, int fd, int64_t offset);
void record_reader_done(struct record_reader *);

/* The next record's data, borrowed until the next call, its line feed included.
 * '*ret_data' is NULL at a clean end of the file.  On failure 'offset' stays. */
struct err *record_read(struct record_reader *, const char **ret_data,
                        size_t *ret_n_bytes) MUST_CHECK;

/* The name of the state that a record makes out of the state '*id': a UUID of version 5 from both
 * the old name and the record's SHA-1.  So equal names mean equal histories. */
void record_chain(struct uuid *id, const char *sum);

/* After a failure at 'offset': where the next whole, good record begins, or -1.  If there
 * is one the file is damaged in the middle; otherwise it has a torn tail, as after a power
 * cut. */
int64_t record_find_good(const char *path, int fd, int64_t offset);

#endif /* journal/record.h */
