/* replica/write.h: one transaction, built row by row, sent, and its outcome told.
 *
 *     struct txn *txn = txn_new(replica_database(r));
 *     struct txn_row *vm = txn_insert(txn, "vm");
 *     txn_set_string(vm, "name", "web");
 *     txn_set_row(vm, "hostnode", node);             // A row of the same transaction or
 *     txn_set_uuid(vm, "hostnode", &uuid);           // one that exists.
 *     txn_commit(txn, session, on_done, aux);        // Takes 'txn'.
 *
 * Checks.  Nothing is checked here against the schema: the server does.  An update, mutation or
 *          deletion of a row that is gone fails the whole transaction with ERR_NOT_FOUND; a
 *          txn_verify() that does not hold any more fails it with ERR_BUSY ("changed meanwhile").
 * Errors.  Those of the server keep their tag as err_code() (enum rfc_tag) and have the kind that
 *          fits: "constraint violation" ERR_CONSTRAINT, "timed out" ERR_TIMEOUT and so on. */
#ifndef REPLICA_WRITE_H
#define REPLICA_WRITE_H 1

#include "base/base.h"
#include "base/uuid.h"
#include "data/datum.h"
#include "data/schema.h"
#include "json/json.h"

struct replica;
struct replica_row;
struct session_io;
struct txn;
struct txn_row; /* Lives as long as its transaction. */

struct txn *txn_new(const char *database);
void txn_free(struct txn *);  /* NULL is fine. */
void txn_drop(struct txn **); /* For CLEANUP(). */
bool txn_is_empty(const struct txn *);
struct arena *txn_arena(struct txn *); /* For values handed to it. */

/* A new row.  Its UUID is known once the transaction succeeded. */
struct txn_row *txn_insert(struct txn *, const char *table);
/* An existing row; calls for the same row give the same handle. */
struct txn_row *txn_update(struct txn *, const char *table, const struct uuid *);
void txn_delete(struct txn *, const char *table, const struct uuid *);

/* A column's new value; setting it again replaces it.  Strings are copied. */
void txn_set(struct txn_row *, const char *column, struct json); /* Must outlive the txn. */
void txn_set_string(struct txn_row *, const char *column,
                    const char *); /* NULL: empties. */
void txn_set_int(struct txn_row *, const char *column, int64_t);
void txn_set_real(struct txn_row *, const char *column, double);
void txn_set_bool(struct txn_row *, const char *column, bool);
void txn_set_uuid(struct txn_row *, const char *column,
                  const struct uuid *); /* NULL: empties. */
void txn_set_row(struct txn_row *, const char *column, const struct txn_row *);
void txn_set_datum(struct txn_row *, const struct column *, const struct datum *);
void txn_clear(struct txn_row *, const char *column); /* Empties an optional, set or map. */

/* A mutation besides; 'mutator' is "insert", "delete", "+=", ...  After the row's sets. */
void txn_mutate(struct txn_row *, const char *column, const char *mutator, struct json);
void txn_add(struct txn_row *, const char *column, int64_t); /* "+=" */
void txn_map_put(struct txn_row *, const char *column, const char *key, const char *value);
void txn_map_remove(struct txn_row *, const char *column, const char *key);

/* Fails the transaction if the row's column is not any more what the replica shows now. */
void txn_verify(struct txn *, const struct replica_row *, const char *column);
void txn_comment(struct txn *, const char *fmt, ...) PRINTF(2, 3);
/* A whole operation as is; in the place where it is added.  Must outlive the txn. */
void txn_op(struct txn *, struct json op);

/* What would be sent: ["vmmgr", op, ...].  In the transaction's arena. */
struct json txn_params(struct txn *);

/* 'e' NULL: it happened.  Takes 'e'.  The transaction is freed after the call. */
typedef void txn_done_fn(void *aux, struct txn *, struct err *e);
/* Takes 'txn'.  'done' may be NULL and never runs within this call. */
void txn_commit(struct txn *, struct session_io *, txn_done_fn *done, void *aux);
/* For the command line: runs the loop.  Borrows 'txn', which keeps its results.  ERR_TIMEOUT:
 * nobody knows. */
struct err *txn_commit_blocking(struct txn *, struct replica *,
                                int64_t timeout_ms) MUST_CHECK;

/* After success: the row's UUID. */
const struct uuid *txn_row_uuid(const struct txn_row *);
/* After success: the whole answer, an array with an element an operation of txn_params(). */
const struct json *txn_result(const struct txn *);

#endif /* replica/write.h */
