/* bin/dbtool_i.h: what the files of byre-dbtool share.
 *
 * A command gets its arguments with NULL for those that were left out.  It prints its answer on
 * standard output; a failure becomes three lines on standard error and exit status 1. */
#ifndef BIN_DBTOOL_I_H
#define BIN_DBTOOL_I_H 1

#include "data/schema.h"
#include "dbserver/dbfile.h"
#include "journal/journal.h"

#define TOOL_ARGS_MAX 16
#define TOOL_NO 2 /* Exit status of a question whose answer is no, as ovsdb-tool has it. */

struct tool {
    bool if_not_exists, cut, archive, json;
    int64_t since_ms;      /* Of history: nothing before; 0: all. */
    int more;              /* So many -m. */
    const char *rbac_role; /* NULL without. */
    const char *cid;       /* --cid of join-cluster; NULL without. */
    int64_t election_ms;   /* --election-timer of create-cluster; 0 without. */
    int status;            /* Exit status of success. */
};

typedef struct err *tool_fn(struct tool *, const char **args);

/* dbtool.c */
void db_close(struct journal **);      /* For CLEANUP(). */
const char *tool_db(const char *path); /* NULL: the default. */
struct err *tool_schema(const char *path,
                        struct schema **ret) MUST_CHECK; /* NULL: Byre's own. */
/* The schema in a database file. */
struct err *tool_schema_of(const char *path, struct schema **ret) MUST_CHECK;
/* Opens and replays.  Damage is left to the caller to judge. */
struct err *tool_open(const char *path, int flags, struct journal **ret_journal,
                      struct db **ret_db) MUST_CHECK;
/* As above, and damage is an error. */
struct err *tool_open_good(const char *path, int flags, struct journal **ret_journal,
                           struct db **ret_db) MUST_CHECK;

/* dbtool_log.c */
tool_fn tool_show_log;
/* The rows that exist so far, and what they are called. */
struct tool_names {
    struct map by_uuid; /* Of char *, owned. */
};
void tool_names_done(struct tool_names *);
/* " DATE COMMENT" of a transaction, what there is of it, without a line feed. */
void tool_show_when(const struct json *txn);
/* The rows that it changed, with 'more' > 1 also their values.  'schema' may be NULL. */
void tool_show_rows(const struct schema *, const struct json *txn, struct tool_names *,
                    int more);
/* The archive that belongs to the file, or NULL. */
struct err *tool_open_archive(const char *path, struct journal **ret) MUST_CHECK;
/* dbtool_record.c: a record in words. */
/* A value as its column's type has it, as JSON if there is none or it does not fit. */
char *tool_value_text(const struct table_schema *, const char *column,
                      const struct json *value);
/* Milliseconds since 1970; false, and 0, if the record has none. */
bool tool_date_of(const struct json *record, int64_t *ret_ms);
char *tool_date_text(int64_t date_ms); /* UTC; "?" if no calendar has it. */
/* Why the journal was not read to its end; NULL if it was. */
struct err *tool_damage(const struct journal *) MUST_CHECK;
/* dbtool_history.c */
tool_fn tool_history;
/* dbtool_rewrite.c */
tool_fn tool_compact, tool_convert;
/* dbtool_facts.c: questions with short answers. */
tool_fn tool_db_name, tool_db_version, tool_db_cksum, tool_db_is_standalone,
    tool_db_is_clustered, tool_schema_name, tool_schema_version, tool_schema_cksum,
    tool_needs_conversion, tool_compare_versions;
/* dbtool_txn.c */
tool_fn tool_query, tool_transact;
/* dbtool_rewrite.c: the content in a new file, which appears whole or not at all. */
struct err *tool_write_db(const char *path, const struct db *,
                          const char *comment) MUST_CHECK;
/* dbtool_cluster.c: files of ovsdb-server's clusters. */
tool_fn tool_db_cid, tool_db_sid, tool_db_local_address, tool_check_cluster,
    tool_cluster_to_standalone;
/* dbtool_cluster_log.c: show-log of such a file. */
struct err *tool_show_cluster_log(const struct tool *, const char *path) MUST_CHECK;
/* dbtool_join.c */
tool_fn tool_create_cluster, tool_join_cluster;
bool tool_is_cluster(const char *path);
/* The name of the database in a cluster's file. */
struct err *tool_cluster_name(const char *path) MUST_CHECK;

#endif /* bin/dbtool_i.h */
