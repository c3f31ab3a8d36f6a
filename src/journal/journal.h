/* journal/journal.h: the file of one database: record 0 is the schema, then one record for
 * each transaction.  What a record means is db's affair; here it is a line of JSON.
 *
 * Order.   journal_open(); journal_read() to the end; then journal_append() as often as
 *          needed.
 * Damage.  Reading stops at the first bad record.  A torn tail (a power cut, a full disk)
 *          is healed by the first append: the bytes from there on are saved in
 *          "<path>.cut-<offset>" and cut off.  Damage with good records behind it is never
 *          healed unasked: appending fails then (ERR_SYNTAX).  Bytes are never thrown away.
 * Torn.    Nothing good comes after it; or it has a sector that never reached the disk
 *          (which reads as NULs, which no record has) and begins in the last
 *          JOURNAL_LOOSE_BYTES: blocks of one group may reach the disk in any order.  No
 *          more than that is ever written without being made durable, so nothing in there
 *          had been acknowledged.
 * Durable. An append is in the page cache when it returns (or see journal_gather()); it is durable once
 *          journal_durable_seq() has reached its sequence number.  Sequence numbers start
 *          at 1 with each journal_open(); 0 stands for what the file held before.
 * Lock.    ".<name>.~lock~" beside the file (symbolic links followed), as ovsdb-server has
 *          it.
 * Errors.  ERR_BUSY locked by another process; ERR_SYNTAX not an OVSDB file, or damaged;
 *          ERR_NO_SPACE and ERR_IO from the disk.  A failed append leaves the file as it
 *          was.
 * Threads. The loop's; one of its own for fdatasync, and one while it reads ahead. */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H 1

#include "base/base.h"
#include "base/buf.h"
#include "base/uuid.h"
#include "json/json.h"

struct journal;
struct loop;

#define JOURNAL_LOOSE_BYTES (16 * MIB)

enum journal_flags {
    JOURNAL_READ_ONLY = 1,  /* No lock, no change. */
    JOURNAL_NO_DURABLE = 2, /* Never fdatasync(): everything counts as durable at once. */
};

/* A new file with 'schema' (JSON text without line feeds) as record 0, durable. 
 * ERR_EXISTS. */
struct err *journal_create(const char *path, const char *schema) MUST_CHECK;

struct err *journal_open(const char *path, int flags, struct journal **ret) MUST_CHECK;
void journal_close(struct journal *); /* Makes everything durable.  NULL is fine. */

/* The next record, parsed into 'arena'.  '*ret_more' is false at the end, which is also
 * where damage begins: see journal_damage().  An error is the disk's. */
struct err *journal_read(struct journal *, struct arena *, struct json *ret,
                         bool *ret_more) MUST_CHECK;
/* As journal_read(), for those who read all of it: from record 1 on a thread of its own reads, checks
 * and parses a few records ahead.  A long record 1 comes in parts, each an object with some of its
 * members and rows (see json_split_next()); it is good when the last part has come.  If a part is no
 * object, or does not fit, journal_read_again() reads that record whole and says what is wrong, if
 * anything; reading ahead goes on behind it.  Records are borrowed until the next call. */
enum journal_part { JOURNAL_WHOLE, JOURNAL_PART, JOURNAL_LAST_PART };
struct err *journal_read_ahead(struct journal *, struct json *ret,
                               enum journal_part *ret_part, bool *ret_more) MUST_CHECK;
struct err *journal_read_again(struct journal *, struct json *ret,
                               bool *ret_more) MUST_CHECK;
/* The record that was read last makes no sense for the database ('why', taken): it and all
 * after it count as damage. */
void journal_reject(struct journal *, struct err *why);

struct journal_damage {
    int64_t offset;  /* Where the first bad record begins. */
    int64_t n_bytes; /* From there to the end of the file. */
    bool torn;       /* See above. */
    struct err *why; /* Of the record reader or of journal_reject(); NULL: no damage. */
};
const struct journal_damage *journal_damage(const struct journal *);
/* Allows the next append (or rewrite) to cut damage in the middle too; for people who
 * asked. */
void journal_allow_cut(struct journal *);

/* Where the durable sequence numbers go: called on the loop whenever they moved; after
 * 'failed' (takes 'e') nothing gets durable any more and the program must end. */
void journal_notify(struct journal *, struct loop *, void (*durable)(void *aux),
                    void (*failed)(void *aux, struct err *e), void *aux);

/* 'data' is the JSON text of one record, without a line feed.  All or nothing. */
struct err *journal_append(struct journal *, const char *data, size_t n_bytes,
                           uint64_t *ret_seq) MUST_CHECK;
/* From now on appends may wait in memory, to be written together by journal_flush(): for programs that
 * show nobody what they appended before that.  They wait only while the disk has room set aside for
 * them.  If the flush fails all the same, nothing gets durable any more and the program must end. */
void journal_gather(struct journal *);
struct err *journal_flush(struct journal *) MUST_CHECK;
uint64_t journal_seq(const struct journal *); /* Of the last append; 0 before the first. */
uint64_t journal_durable_seq(const struct journal *);
struct err *journal_sync(struct journal *) MUST_CHECK; /* Waits until all is durable. */

/* The name of the state after the last record: the same whenever the same records are read.  A
 * snapshot takes over the name of what it stands for. */
const struct uuid *journal_id(const struct journal *);

/* What db knows about record 1 and the journal does not: it stands for records that are gone.  Of the
 * archive (archive.h) 'archive_bytes' belong to it. */
struct journal_snapshot {
    bool has_id;
    struct uuid id;
    int64_t archive_bytes;
};
void journal_set_snapshot(struct journal *, const struct journal_snapshot *);
int64_t journal_archive_bytes(const struct journal *);
/* Puts the records since the last snapshot into the archive; '*ret_bytes' is how long it is then. */
struct err *journal_archive(const struct journal *, int64_t *ret_bytes) MUST_CHECK;
/* The archive that belongs to an open journal, to be read like one; schemas come in between.  In
 * '*ret_n_gaps' places something is missing, because it is damaged.  ERR_NOT_FOUND: there is none. */
struct err *journal_open_archive(const struct journal *, struct journal **ret,
                                 unsigned *ret_n_gaps) MUST_CHECK;

/* Is what we write to still the file of that name?  ERR_NOT_FOUND: somebody removed it or put another in its
 * place; all that was acknowledged since is lost with the process, unless it is compacted. */
struct err *journal_check_name(const struct journal *) MUST_CHECK;
const char *journal_path(const struct journal *);
int64_t journal_size(const struct journal *); /* Bytes that are good. */
int64_t
journal_base_size(const struct journal *); /* Size after record 1: the last snapshot. */
uint64_t journal_n_records(const struct journal *); /* The schema's included. */

/* Compaction: a new file grows beside the old one and takes its place.  Until then the old file is
 * the truth; a failure leaves it so.
 *
 *     journal_rewrite_begin(j, schema, &rw);      // remembers how far the old file goes
 *     journal_rewrite_add(rw, record, n_bytes);
 *     journal_rewrite_commit(j, rw);              // copies what was appended meanwhile
 *
 * So that nobody waits, the middle can be done by a forked child, and the end in steps:
 *
 *     journal_rewrite_add(), journal_rewrite_seal()      in the child
 *     journal_rewrite_adopt(rw, n_records)               when it has ended well
 *     journal_rewrite_follow(rw, fd, end)                in any thread, as long as the
 *                                                        journal_rewrite_lag() is large
 *     journal_rewrite_switch(j, rw)                      the journal goes on in the new file
 *
 * Commit, switch and abort free 'rw', also on failure. */
struct journal_rewrite;
struct err *journal_rewrite_begin(struct journal *, const char *schema,
                                  struct journal_rewrite **ret) MUST_CHECK;
struct err *journal_rewrite_add(struct journal_rewrite *, const char *data,
                                size_t n_bytes) MUST_CHECK;
/* What was added is a snapshot. */
void journal_rewrite_set_snapshot(struct journal_rewrite *,
                                  const struct journal_snapshot *);
struct err *journal_rewrite_commit(struct journal *, struct journal_rewrite *) MUST_CHECK;
void journal_rewrite_abort(struct journal_rewrite *); /* NULL is fine. */

/* All that was added is on the disk. */
struct err *journal_rewrite_seal(struct journal_rewrite *) MUST_CHECK;
/* Another process wrote and sealed 'n_records', the schema included. */
struct err *journal_rewrite_adopt(struct journal_rewrite *, uint64_t n_records) MUST_CHECK;
int64_t journal_rewrite_lag(const struct journal *,
                            const struct journal_rewrite *); /* Bytes to copy. */
/* Copies from the journal's 'fd' up to 'end' (journal_fd(), journal_size()), durably. */
struct err *journal_rewrite_follow(struct journal_rewrite *, int fd,
                                   int64_t end) MUST_CHECK;
/* Does not wait for the disk: the thread that makes records durable puts the new file in the
 * place of the old one before it says that any later record is.  Not while another switch is under
 * way (journal_is_switching()). */
struct err *journal_rewrite_switch(struct journal *, struct journal_rewrite *) MUST_CHECK;
bool journal_is_switching(const struct journal *);
int journal_fd(const struct journal *); /* Borrowed; of the file that it is in now. */
int journal_rewrite_fd(const struct journal_rewrite *);

#endif /* journal/journal.h */
