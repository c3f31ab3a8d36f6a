/* db/monitor.h: who wants to hear of which changes.
 *
 * A monitor is one client's "monitor" or "monitor_cond".  Monitors that ask for the same thing
 * share everything but their owner: what a commit means to them is worked out and serialised
 * once.  A change finds the monitors that it concerns from the changed rows; those that do not
 * care cost nothing.
 * Errors.  Those of data/rfc7047.h, for the "error" of the JSON-RPC reply. */
#ifndef DB_MONITOR_H
#define DB_MONITOR_H 1

#include "base/base.h"
#include "base/bytes.h"
#include "base/vec.h"
#include "db/db.h"
#include "json/json.h"

enum monitor_version {
    MONITOR_V1, /* "monitor": {"old":row,"new":row}, sent as "update". */
    MONITOR_V2, /* "monitor_cond": initial, insert, delete, modify with deltas: "update2". */
    MONITOR_V3, /* "monitor_cond_since": the same bytes as V2, sent as "update3". */
};

struct monitor;

/* 'requests' is params[2]: {table: request | [request*]}.  'user' is the caller's.  The monitor
 * belongs to the caller, who frees it before the db. */
struct err *monitor_new(struct db *, const struct json *requests, enum monitor_version,
                        void *user, struct monitor **ret) MUST_CHECK;
void monitor_free(struct monitor *); /* NULL is fine. */
void *monitor_user(const struct monitor *);
enum monitor_version monitor_version(const struct monitor *);

/* The <table-updates> with what is there now: the reply's "result" ("{}" if nothing).  A reference
 * for the caller. */
struct bytes *monitor_initial(struct monitor *);

/* The same in pieces, one after the other; references that are the caller's are added to 'out'. */
struct bytes_vec {
    VEC(struct bytes *) v;
};
void monitor_initial_pieces(struct monitor *, struct bytes_vec *out);
/* Frees what is kept for the next clients and was not asked for since the last call. */
void db_forget_snapshots(struct db *);

/* What the client missed since the state called 'id': changes as of one transaction.  NULL: the
 * history does not reach back so far.  A state from before this process has lost what is in no file:
 * to monitors that show _version or ephemeral columns it is unknown.  A reference for the caller. */
struct bytes *monitor_since(struct monitor *, const struct uuid *id);

/* The same by db_seq(), within this process.  NULL: the history does not reach back so far. */
struct bytes *monitor_missed(struct monitor *, uint64_t seq);

/* New conditions ("monitor_cond_change" params[2]); tables without a mention keep theirs.  All or
 * nothing.  '*ret_updates': the difference that the client must hear of, NULL if none. */
struct err *monitor_change(struct monitor *, const struct json *requests,
                           struct bytes **ret_updates) MUST_CHECK;

#endif /* db/monitor.h */
