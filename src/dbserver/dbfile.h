/* dbserver/dbfile.h: a database file and what it means: the server's way in, and the
 * tools'. */
#ifndef DBSERVER_DBFILE_H
#define DBSERVER_DBFILE_H 1

#include "db/db.h"
#include "journal/cluster.h"
#include "journal/journal.h"

/* Reads the whole journal into a new database.  A transaction that does not fit counts as
 * damage of the file (journal_damage()); only a bad schema and a failing disk are
 * errors. */
struct err *dbfile_replay(struct journal *, struct db **ret) MUST_CHECK;

/* Is this record 1 a snapshot of ours? */
bool dbfile_is_snapshot(const struct json *record, struct journal_snapshot *ret);

/* Puts a new file with the schema and one transaction that makes all rows in the place of
 * the journal's.  It is the same state as before, only shorter: it keeps its name. */
struct err *dbfile_compact(struct journal *, const struct db *,
                           const char *comment) MUST_CHECK;
/* As dbfile_compact(), with other content than the journal's: a new state. */
struct err *dbfile_replace(struct journal *, struct db *, const char *comment) MUST_CHECK;

/* The steps of dbfile_compact(), for those who may not wait: 'fill' may run in a forked child.  It
 * archives, then writes the snapshot; 'snapshot' says whether it is the same state and gets the
 * archive's length. */
struct err *dbfile_rewrite_begin(struct journal *, const struct db *,
                                 struct journal_rewrite **ret) MUST_CHECK;
struct err *dbfile_rewrite_fill(struct journal_rewrite *, const struct journal *,
                                const struct db *, const char *comment,
                                struct journal_snapshot *snapshot) MUST_CHECK;

/* What a member of an Open vSwitch cluster has: '*ret' is NULL if that is nothing, because it had not
 * joined yet. */
struct err *dbfile_of_cluster(const struct cluster_file *, struct db **ret) MUST_CHECK;

#endif /* dbserver/dbfile.h */
