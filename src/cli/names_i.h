/* cli/names_i.h: rows by the names that people give them.
 *
 *     vm, node, pool ...   NAME, or its UUID; a pool of several hosts: NAME@NODE
 *     vol                  POOL/NAME, NAME if no other pool has one, /its/path, UUID
 *     job and others       UUID or the first 8 or more of its digits
 *     cluster              "." or its name
 * A pattern (*, ?, [...]) means all that match.  On a terminal an unambiguous beginning of a name
 * is enough; scripts must not depend on what else exists.  --exact turns both off.
 * Rows that this very command line is about to insert are found too. */
#ifndef CLI_NAMES_I_H
#define CLI_NAMES_I_H 1

#include "cli/query_i.h"

struct named {
    struct uuid uuid;
    const char *label;      /* What people call it: "demo", "default/disk.qcow2". */
    const struct json *row; /* With the columns that were asked for. */
};
struct named_list {
    struct named *v;
    size_t n, cap;
};

/* The column that names the rows of a table, or NULL. */
const char *names_column(const struct table_schema *);

/* Each spec's rows, in the order given, each row once.  'columns': what the rows shall
 * have besides their name; NULL: everything.  ERR_NOT_FOUND with a suggestion;
 * ERR_CONSTRAINT when a name means several. */
struct err *names_match(struct cli *, const char *table, char *const *specs, size_t n,
                        const char *columns, struct named_list *ret) MUST_CHECK;
/* Exactly one. */
struct err *names_find(struct cli *, const char *table, const char *spec,
                       const char *columns, struct named *ret) MUST_CHECK;

/* Labels of all rows of some tables, for printing references. */
struct labels {
    struct map by_uuid; /* Of labels, in cli->arena; the key is the UUID's text. */
};
#define LABELS_INIT ((struct labels){ MAP_INIT })
void labels_done(struct labels *);
/* Adds selects for 'table' (and what its labels need) to 'ops' ... */
void labels_ask(struct cli *, const struct table_schema *table, struct json *ops);
/* ... and reads their results, from the *i-th on. */
void labels_read(struct cli *, struct labels *, const struct table_schema *table,
                 const struct json *results, size_t *i);
const char *labels_get(const struct labels *, const char *uuid); /* Or NULL. */

#endif /* cli/names_i.h */
