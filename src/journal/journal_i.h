/* journal/journal_i.h: what journal.c, append.c and rewrite.c share. */
#ifndef JOURNAL_JOURNAL_I_H
#define JOURNAL_JOURNAL_I_H 1

#include <stdatomic.h>

#include "journal/ahead.h"
#include "journal/journal.h"
#include "journal/record.h"
#include "journal/sync.h"

/* The way from the sync thread to the loop.  Lives on its own, because a word may be under
 * way when the journal is closed. */
struct notice {
    struct loop *loop;
    struct journal *journal; /* NULL once it is closed.  The loop's thread only. */
    atomic_bool posted;      /* One word at a time is enough. */
    void (*durable)(void *aux);
    void (*failed)(void *aux, struct err *e);
    void *aux;
};

struct journal {
    char *path; /* Resolved: no symbolic link. */
    int flags;  /* enum journal_flags. */
    int fd;
    int lock_fd; /* Keeps the lock; -1 when read-only. */

    struct record_reader reader;
    struct ahead
        *ahead;         /* Reads instead, in a thread; NULL: nobody asked, or it is done. */
    struct arena arena; /* What journal_read_ahead() reads without a thread. */
    int64_t part_offset; /* Of the record of the last part. */
    bool read_all;       /* The reader met the end or damage. */
    int64_t last_offset; /* Where the record that was read last begins. */
    struct journal_damage damage;
    bool may_cut; /* Damage in the middle too. */

    int64_t end;        /* Good bytes: the next record goes here. */
    int64_t base;       /* Good bytes after record 1. */
    uint64_t n_records; /* In the good bytes. */
    bool dirty_tail;    /* A failed write left bytes after 'end'. */
    bool dead;          /* Nobody knows what is on disk any more. */
    struct buf header;
    struct uuid id;      /* Of the state after the last record... */
    struct uuid last_id; /* ... and before the record that was read last. */
    int64_t schema_end;  /* Good bytes after record 0. */
    bool has_snapshot;   /* Record 1 is one. */
    int64_t archive_bytes;

    struct sync *sync; /* Started by the first append; NULL with JOURNAL_NO_DURABLE. */
    uint64_t seq, written_seq; /* Of the last append; of the last that is in the file. */
    bool gathers;              /* journal_gather() */
    struct buf gathered;       /* Records for 'end' on that journal_flush() will write. */
    int64_t reserved;          /* The disk has room set aside up to here... */
    int64_t ask_again;     /* ... or has none: not asked before the file reaches this. */
    int64_t loose;         /* Bytes that may not be durable yet, counted from... */
    uint64_t loose_seq;    /* ... the last time all was. */
    struct notice *notice; /* NULL if nobody asked. */
};

/* A failed fdatasync(): what to tell. */
struct err *journal_sync_error(const struct journal *, int errnum) MUST_CHECK;
/* Writes all, at 'offset', or nothing that counts. */
/* A file beside the database, just made: it is the database's owner's, who shall be able to use it when root
 * made it. */
void journal_give_to_owner(int fd, const char *db_path);
struct err *journal_pwrite(int fd, const char *path, int64_t offset, const void *,
                           size_t n_bytes) MUST_CHECK;
void journal_start_sync(struct journal *);
/* So much more is in the file, up to 'seq'. */
void journal_written(struct journal *, size_t n_bytes);
void journal_wait_if_loose(struct journal *, size_t n_bytes);
bool journal_may_gather(struct journal *, size_t n_bytes);
void journal_unreserve(struct journal *); /* Room that was set aside goes back. */
struct err *journal_heal(struct journal *) MUST_CHECK; /* Ready to append at 'end'. */

#endif /* journal/journal_i.h */
