/* db/db.h: one database in memory and the transactions on it.
 *
 * Pure.    No file, no socket, no clock: the journal is the caller's, and so is the time.
 * Life of a transaction.
 *              db_transact()    runs the operations and the commit pipeline; the reply's text is
 *                               complete, memory holds the new values
 *              db_txn_record()  what the journal must get; the caller writes it
 *              db_txn_commit()  if that worked: updates go to the monitors
 *              db_txn_abort()   if not: memory is as before, the reply gets the error
 *          Between db_transact() and the commit or abort nothing else may be called with this db.
 * Waiting. A transaction whose "wait" does not hold is parked: nothing of it remains.  The caller
 *          keeps the request and runs it again when db_wait_due() or when its time is up.
 * Threads. One.
 * Source.  RFC 7047 section 5; texts, order of checks and extensions as ovsdb-server has them. */
#ifndef DB_DB_H
#define DB_DB_H 1

#include "base/base.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "data/schema.h"
#include "db/lock.h"
#include "json/json.h"

struct db;
struct monitor;
struct strvec;
struct txn;

struct db *db_new(struct schema *);          /* Takes a reference of its own. */
void db_free(struct db *);                   /* Its monitors must be gone.  NULL is fine. */
void db_drop(struct db **);                  /* For CLEANUP(). */
struct schema *db_schema(const struct db *); /* Borrowed. */
uint64_t db_seq(const struct db *); /* Grows by 1 with each commit that changed rows. */

/* Who asks, and when. */
struct db_ctx {
    bool read_only;             /* Writes get "not allowed". */
    struct lock_session *locks; /* For "assert"; NULL holds none. */
    int64_t elapsed_ms;         /* Since the request came; 0 at its first run. */
    int64_t wall_ms;            /* For the record's "_date". */
    const char *author;         /* Last line of the record's "_comment"; NULL for none. */
    /* For RBAC, db/rbac_i.h: the connection's role (NULL or "": no restriction) and the client's
     * name (NULL: it may write nothing). */
    const char *role, *id;
    bool check_only; /* Somebody else will commit: a write that could run is DB_CHECKED. */
};

enum db_outcome {
    DB_DONE,     /* Nothing to write or apply: no change, or failed (the reply says it). */
    DB_PREPARED, /* '*ret_txn' must be committed or aborted. */
    DB_PARKED,   /* 'ret_wait' says what for; there is no reply. */
    DB_CHECKED, /* 'check_only': each operation could run; nothing remains and there is no reply. */
};

/* What a parked transaction waits for. */
struct db_wait {
    int64_t timeout_ms; /* Run again once elapsed_ms >= this; -1: for ever. */
    uint64_t seq;       /* db_seq() when it ran. */
    uint32_t *tables;   /* Indexes of the tables it read. */
    size_t n_tables;
    bool any_commit; /* It asserted a lock, which may be lost by then: no table tells. */
};
void db_wait_done(struct db_wait *);
/* Did a table that it read change since, or, with 'any_commit', any? */
bool db_wait_due(const struct db *, const struct db_wait *);

/* Runs the operations params[1..] of a "transact" request (params[0], the database's name, is the
 * caller's to check).  Appends the result array to 'reply', except when parked.  'ret_txn' and
 * 'ret_wait' are written only with the outcome that they belong to. */
enum db_outcome db_transact(struct db *, const struct json *params, const struct db_ctx *,
                            struct buf *reply, struct txn **ret_txn,
                            struct db_wait *ret_wait);

/* The record for the journal, as OVSDB files have it: {"T":{"<uuid>":{...}|null},"_date":...,
 * "_comment":...,"_is_diff":true}.  Empty (n == 0) if only ephemeral columns changed. */
const struct buf *db_txn_record(const struct txn *);
bool db_txn_durable(const struct txn *); /* It had a "commit" with "durable": true. */

/* Called once for each monitor that gets an update, before db_txn_commit() returns.  'updates' is
 * the <table-updates> value; monitors that get the same bytes get the same object.  Must not
 * call into the db. */
typedef void db_deliver_fn(void *aux, struct monitor *, struct bytes *updates);
/* What the state that the transaction makes will be called; without, a random name. */
void db_txn_set_id(struct txn *, const struct uuid *);
/* Takes 'txn'. */
void db_txn_commit(struct txn *, db_deliver_fn *, void *aux);
/* The name of the state that is there now; while db_txn_commit() delivers, its transaction's. */
const struct uuid *db_last_id(const struct db *);
/* What the journal calls the state that db_replay() has just made. */
void db_set_last_id(struct db *, const struct uuid *);
/* Takes 'txn', borrows 'why'.  'reply' is what db_transact() wrote: the error is appended to its
 * array.  NULL: leave it. */
void db_txn_abort(struct txn *, const struct err *why, struct buf *reply);

/* Applies a record from the journal, through the whole commit pipeline.  Fails without a change
 * if it does not fit (unknown table or column, constraint, missing row). */
struct err *db_replay(struct db *, const struct json *record) MUST_CHECK;
/* As db_replay(), and tells the monitors: for a replica of another server. */
struct err *db_replay_deliver(struct db *, const struct json *record, db_deliver_fn *,
                              void *aux) MUST_CHECK;
/* What a monitor of another server tells, to make its content ours. */
struct db_follow {
    bool whole;                   /* These are all rows that there are: others go. */
    const struct strvec *exclude; /* Tables that stay as they are; NULL for none. */
};
/* Applies the <table-updates> of "update", "update2" or "update3", or of a monitor's reply.  The
 * prepared transaction is committed or aborted as one of db_transact(); '*ret_txn' is NULL if
 * nothing differs.  With 'ctx' it has a record for the journal.  Fails without a change. */
struct err *db_follow(struct db *, const struct json *updates, const struct db_follow *,
                      const struct db_ctx *, struct txn **ret_txn) MUST_CHECK;
/* A record that comes in parts, for a database that is empty: each part is an object with some of the
 * record's members and rows.  Nobody is told.  ERR for a row that is there, too. */
struct txn *db_load_begin(struct db *);
struct err *db_load_part(struct txn *, const struct json *part) MUST_CHECK;
struct err *
db_load_end(struct txn *) MUST_CHECK; /* Takes it; on failure nothing is loaded. */
void db_load_abort(struct txn *);     /* NULL is fine. */
/* One record (without "_is_diff") that makes the whole content from nothing. */
void db_snapshot(const struct db *, int64_t wall_ms, const char *comment, struct buf *);

/* A new database of another schema with the rows that fit: unknown tables and columns are
 * dropped, new ones get defaults, changed types are converted.  Then the commit pipeline. */
struct err *db_convert(const struct db *, struct schema *, struct db **ret) MUST_CHECK;

/* The state that db_seq() was the name of will be asked for again (monitor_missed()): it stays known,
 * within limits.  NULL: it is not known any more, or too many others are held. */
struct history_hold;
struct history_hold *db_hold(struct db *, uint64_t seq);
void db_unhold(struct db *, struct history_hold *); /* NULL is fine. */

/* Figures for "memory/show". */
struct db_figures {
    uint64_t n_rows, n_cells, n_atoms, n_monitors, n_monitor_kinds;
    uint64_t n_weak_refs;
    uint64_t n_history, n_history_atoms; /* Transactions and what they hold, about. */
};
void db_figures(const struct db *, struct db_figures *ret);

#endif /* db/db.h */
