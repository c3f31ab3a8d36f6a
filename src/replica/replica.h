/* replica/replica.h: a client's copy of a database, or of the part it watches.
 *
 * Flow.    replica_new(), replica_watch() for each table, then the loop runs: the replica
 *          connects, reads the schema, monitors what is watched and keeps the rows.  After a lost
 *          connection it keeps what it has, connects again and reports only what differs.
 * Rows.    A row is valid until it is deleted: a deleted row is freed after 'batch_end'.  Values
 *          are datums in the columns' canonical order; typed rows are in replica/typed.h.
 * Changes. One batch is one update message (or one synchronisation).  All of a batch is applied
 *          before the first 'changed', so that references between rows hold.
 * Threads. One, the loop's.  A callback must not run the loop (no *_blocking, no *_wait) but may
 *          send transactions, and may free the replica.
 * Source.  RFC 7047 section 4.1.5-4.1.7; ovsdb-server(7) "Monitor_Cond". */
#ifndef REPLICA_REPLICA_H
#define REPLICA_REPLICA_H 1

#include "base/base.h"
#include "base/map.h"
#include "base/uuid.h"
#include "data/datum.h"
#include "data/schema.h"
#include "json/json.h"

struct loop;
struct replica;
struct row_class;
struct session_io;

/* A row in an index; refs.c. */
struct replica_ref {
    struct hmap_node node;   /* In struct replica_index's 'refs'. */
    struct replica_row *row; /* NULL: it is not in: its column is empty. */
};
struct replica_index {
    uint32_t column;
    struct hmap refs;
};
#define REPLICA_MAX_INDEXES 4 /* Of a table. */

struct replica_row {
    struct hmap_node node; /* In struct replica_table's 'rows'. */
    struct uuid uuid;
    struct replica_table *table;
    struct datum *columns; /* By column->index of the schema; not watched: defaults. */
    void *user;            /* The user's; NULL at first. */
    struct replica_ref
        *refs;     /* REPLICA_MAX_INDEXES, as 'indexes' of the table; NULL: none. */
    uint32_t seen; /* The replica's own: the last synchronisation that had it. */
};

struct replica_table {
    struct replica *replica;
    const struct table_schema *schema; /* The server's. */
    const struct row_class *class;     /* NULL: rows are plain. */
    struct hmap rows;                  /* Of struct replica_row, by uuid. */
    const struct column **watched;     /* Of the server's schema. */
    size_t n_watched;
    const struct column **fields; /* Of 'class'; NULL: the server has none that fits. */
    struct replica_index indexes[REPLICA_MAX_INDEXES];
    size_t n_indexes;
};

enum replica_kind { REPLICA_INSERTED, REPLICA_MODIFIED, REPLICA_DELETED };

struct replica_change {
    enum replica_kind kind;
    struct replica_row *row; /* As it is now; of a deleted one, as it was last. */
    /* Of a modified row, by column->index: what was, where 'changed' has a bit.  Else NULL. */
    const struct datum *old;
    /* Bit (index % 64) of word (index / 64): the column differs (from its default, if the row is
     * inserted). */
    const uint64_t *changed;
};

struct replica_events {
    /* The content is complete for the first time since (re)connecting. */
    void (*ready)(void *aux);
    /* The connection is lost, or an attempt failed; the content stays as it was. */
    void (*disconnected)(void *aux, const struct err *why);
    void (*changed)(void *aux, const struct replica_change *);
    void (*batch_end)(void *aux);
    /* The schema was read (after each connecting); the last chance for replica_watch(). */
    void (*schema)(void *aux, const struct schema *);
};

struct replica_options {
    const char *remote;   /* "unix:...", "tcp:...", or several with commas. */
    const char *database; /* NULL: "vmmgr". */
    int64_t probe_ms;     /* As in struct session_io_options. */
    bool once;            /* Don't connect again. */
};

/* Any member of 'events' may be NULL; so may 'events'. */
struct err *replica_new(struct loop *, const struct replica_options *,
                        const struct replica_events *, void *aux,
                        struct replica **ret) MUST_CHECK;
void replica_free(struct replica *);  /* NULL is fine. */
void replica_drop(struct replica **); /* For CLEANUP(). */

/* Watches a table.  'columns': NULL-terminated names, NULL for all; one that the server's schema
 * does not have is passed over.  'where': a condition as in RFC 7047 (an array of clauses, or-ed
 * together), NULL for all rows; copied.  'class': a typed row's, or NULL.  A table that the server
 * does not have is passed over.  Watching a table again replaces what was said. */
void replica_watch(struct replica *, const char *table, const char *const *columns,
                   const struct json *where, const struct row_class *class);

bool replica_is_connected(const struct replica *);
bool replica_is_ready(const struct replica *); /* Connected, and the content is current. */
const struct schema *replica_schema(const struct replica *); /* NULL before connecting. */
const char *replica_database(const struct replica *);
const char *replica_remote(const struct replica *);
struct session_io *replica_session(struct replica *); /* For other methods. */
struct loop *replica_loop(struct replica *);

struct replica_table *replica_table(const struct replica *,
                                    const char *name); /* Or NULL. */
struct replica_row *replica_row(const struct replica_table *, const struct uuid *);
/* The row of 'table' that has this UUID; NULL if there is none or the table is not watched. */
struct replica_row *replica_find(const struct replica *, const char *table,
                                 const struct uuid *);
const struct datum *replica_value(const struct replica_row *,
                                  const char *column); /* Or NULL. */
#define REPLICA_FOR_EACH(var, table)                                                       \
    HMAP_FOR_EACH (struct replica_row, var, node, &(table)->rows)

static inline bool
replica_has_changed(const struct replica_change *c, const struct column *column)
{
    return c->changed[column->index / 64] >> (column->index % 64) & 1;
}
/* By name; false also if there is no such column. */
bool replica_changed(const struct replica_change *, const char *column);

/* For programs that do one thing and end (the command line): these run the loop. */

/* Until ready.  ERR_TIMEOUT; or, with options.once, why connecting failed. */
struct err *replica_wait_ready(struct replica *, int64_t timeout_ms) MUST_CHECK;
/* Until connected and the schema is there; then replica_watch() may be called, and
 * replica_wait_ready() after that. */
struct err *replica_wait_schema(struct replica *, int64_t timeout_ms) MUST_CHECK;
/* Until until(aux) says true; it is asked after each batch.  A negative time-out is none. */
struct err *replica_wait_until(struct replica *, bool (*until)(void *aux), void *aux,
                               int64_t timeout_ms) MUST_CHECK;
/* One request.  'params' is the array; *ret_result lies in the arena.  An error of the peer becomes
 * an error with its tag (data/rfc7047.h). */
struct err *replica_call_blocking(struct replica *, const char *method,
                                  const struct json *params, int64_t timeout_ms,
                                  struct arena *, struct json *ret_result) MUST_CHECK;

#endif /* replica/replica.h */
