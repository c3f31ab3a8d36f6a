/* journal/archive.h: "<database>.archive.gz": what compaction took out of a database file, so that
 * who did what and when can still be told.
 *
 * Shape.   One gzip member a compaction (zcat reads them all).  Each holds records as the file had
 *          them: the schema's, then the transactions since the snapshot before.
 * Whole.   A snapshot says how long the archive is that belongs to it.  What is there beyond comes
 *          from a compaction that was cut short, or from a later time than this file: it is moved to
 *          "<archive>.cut-<offset>" before more is added.
 * Bound.   An archive of more than ARCHIVE_BYTES_MAX is renamed to "<archive>.old", in the place of
 *          the one before.
 * Errors.  ERR_NO_SPACE and ERR_IO. */
#ifndef JOURNAL_ARCHIVE_H
#define JOURNAL_ARCHIVE_H 1

#include "base/base.h"

#define ARCHIVE_BYTES_MAX (INT64_C(1) << 30)

/* What of a database file goes into the archive. */
struct archive_part {
    int fd;             /* The file; borrowed. */
    int64_t schema_end; /* The schema's record is before it. */
    int64_t from, to;   /* The transactions. */
};

char *archive_path(const char *db_path); /* The caller frees it. */
/* Durable when it returns.  'n_bytes' of the archive are good; '*ret_n_bytes' with these. */
struct err *archive_append(const char *db_path, int64_t n_bytes,
                           const struct archive_part *, int64_t *ret_n_bytes) MUST_CHECK;
/* The first 'n_bytes' of the archive in plain, in a file without a name.  What is damaged is left out: in
 * so many places.  ERR_NOT_FOUND: there is none, or nothing
 * in it is good. */
struct err *archive_open(const char *db_path, int64_t n_bytes, int *ret_fd,
                         unsigned *ret_n_gaps) MUST_CHECK;

#endif /* journal/archive.h */
