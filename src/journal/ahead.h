/* journal/ahead.h: records read ahead.  A thread reads, checks and parses them, in order, a few batches
 * ahead of whoever applies them; so a large file opens on two cores.
 *
 * Threads.  All functions belong to one owner thread.  Batches go from hand to hand: one that the
 *           owner looks at is not touched by the thread. */
#ifndef JOURNAL_AHEAD_H
#define JOURNAL_AHEAD_H 1

#include "journal/record.h"
#include "json/json.h"

enum ahead_part { AHEAD_WHOLE, AHEAD_PART, AHEAD_LAST_PART };

struct ahead_item {
    struct json value; /* JSON_NULL if 'e'. */
    enum ahead_part part;
    int64_t begin, end; /* Where the record lies in the file. */
    char sum[RECORD_SUM_CHARS + 1];
    struct err *e; /* It is no good record, or not JSON, or (a part) cannot be split. */
};

struct ahead;
/* From 'offset' on.  The first record comes in parts if it is long: it may be a snapshot.  'path' and
 * 'fd' are borrowed. */
struct ahead *ahead_start(const char *path, int fd, int64_t offset);
/* Borrowed until the next call.  NULL at the end of the file; an item with 'e' is the last, unless
 * it is a part. */
struct ahead_item *ahead_next(struct ahead *);
void ahead_free(struct ahead *); /* At any time.  NULL is fine. */

/* A record's data as JSON; ERR_SYNTAX with its place if it is no object. */
struct err *record_json(const struct record_reader *, struct arena *, const char *data,
                        size_t n_bytes, struct json *ret) MUST_CHECK;

#endif /* journal/ahead.h */
