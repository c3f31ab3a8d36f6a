/* bin/dbtool_i.h: what the files of byre-dbtool share.
 *
 * A command gets its arguments with NULL for those that were left out.  It prints its answer on
 * standard output; a failure becomes three lines on standard error and exit status 1. */
#ifndef BIN_DBTOOL_I_H
#define BIN_DBTOOL_I_H 1

#include "data/schema.h"
#include "dbserver/dbfile.h"
#include "journal/journal.h"

#define TOOL_ARGS_MAX 3
#define TOOL_NO 2 /* Exit status of a question whose answer is no, as ovsdb-tool has it. */

struct tool {
    bool if_not_exists, cut, archive;
    int more;              /* So many -m. */
    const char *rbac_role; /* NULL without. */
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
/* dbtool_rewrite.c */
tool_fn tool_compact, tool_convert;
/* dbtool_facts.c: questions with short answers. */
tool_fn tool_db_name, tool_db_version, tool_db_cksum, tool_db_is_standalone,
    tool_db_is_clustered, tool_schema_name, tool_schema_version, tool_schema_cksum,
    tool_needs_conversion, tool_compare_versions;
/* dbtool_txn.c */
tool_fn tool_query, tool_transact;

#endif /* bin/dbtool_i.h */
