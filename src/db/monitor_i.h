/* db/monitor_i.h: how monitors share their work.
 *
 *     monitor ─> kind ─> watch (one a table) ─> shape
 *
 * shape   what is shown of a table's rows and how: the columns, their select flags, the version
 * watch   a shape and a condition.  A changed row finds the watches that it concerns: those
 *         without a condition, those whose condition is a list of equalities by hashing the row's
 *         values ('probes'), the others by trying each
 * kind    a set of watches: all that a client asked for.  What a commit means to it is put together
 *         once, for all its monitors
 *
 * Shapes, watches and kinds are found by their text and live while somebody uses them. */
#ifndef DB_MONITOR_I_H
#define DB_MONITOR_I_H 1

#include "base/bytes.h"
#include "base/list.h"
#include "db/cond_i.h"
#include "db/monitor.h"

enum {
    SELECT_INITIAL = 1,
    SELECT_INSERT = 2,
    SELECT_DELETE = 4,
    SELECT_MODIFY = 8,
    SELECT_ALL = 15,
};

struct shape_column {
    const struct column *column;
    unsigned select;
    const char *label; /* ,"name": in shape's 'labels'. */
    size_t n_label;
};

struct shape {
    char *key; /* In watch_table's 'shapes'. */
    uint32_t n_refs;
    struct table *table;
    bool v1;
    unsigned select;              /* Of the table: the union of its requests. */
    struct shape_column *columns; /* By index; owned. */
    size_t n_columns;
    char *labels;
    /* What the row of delivery 'cached_no' looks like, made when first asked for. */
    uint64_t cached_no;
    struct buf cache[3]; /* For insert, delete, modify. */
    bool is_cached[3];
};

/* An equality of a condition: found by the hash of (column, value). */
struct probe {
    struct hmap_node node; /* In watch_table's 'probes'. */
    struct hmap_node own;  /* In its 'own', if the watch has many. */
    struct watch *watch;
    uint32_t column;
    const union atom *value;
};

struct watch {
    char *key; /* In watch_db's 'watches'. */
    uint32_t n_refs;
    struct shape *shape;
    bool all;               /* No condition, or one that is always true. */
    struct clause *clauses; /* Or-ed; owned.  None and not 'all': matches nothing. */
    size_t n_clauses;
    struct snapshot *snapshot; /* snapshot.c; NULL: none is kept. */
    struct probe *probes;      /* n_clauses, or NULL if some clause is no equality. */
    struct list in_table;      /* In watch_table's 'all' or 'tried', if there. */
    struct list links;         /* Of struct kind_link: the kinds that use it. */
    struct buf rows;           /* Of the running delivery: "<uuid>":{...},... */
    uint64_t seen_no;          /* watch_db's change_no: not twice. */
    uint64_t hot_seq;          /* db's seq when 'rows' were last filled. */
};

struct kind_link {
    struct list in_watch; /* In watch's 'links'. */
    struct kind *kind;
    struct watch *watch;
};

struct kind {
    char *key; /* In watch_db's 'kinds'. */
    struct list monitors;
    struct kind_link *links; /* By table; owned. */
    size_t n_links;
    uint64_t hot_seq;
};

struct monitor {
    struct db *db;
    struct kind *kind;
    struct list in_kind;
    void *user;
    enum monitor_version version;
};

struct watch_table {
    struct list all;    /* Of struct watch without a condition. */
    struct list tried;  /* Of struct watch with one that no hash finds. */
    struct hmap probes; /* Of struct probe, by column and value. */
    struct hmap own;    /* Of struct probe, by watch, column and value. */
    uint32_t *n_probes; /* Per column. */
    struct map shapes;
    struct list snapshots; /* Of struct snapshot. */
};

struct watch_db {
    struct map watches, kinds;
    uint64_t n_monitors;
    uint64_t change_no; /* Of the row that is looking for its watches; never 0 then. */
    VEC(struct watch *) hot;
    VEC(struct kind *) hot_kinds;
};

/* watch.c: making, finding, dropping. */
void watches_init(struct db *);
void watches_done(struct db *);
void watches_count(const struct db *, struct db_figures *);
/* What one table's requests come to. */
struct watch_request {
    struct table *table;
    unsigned select;
    VEC(struct shape_column) columns;
    const struct json *where; /* NULL: all. */
};
struct err *watch_get(struct db *, struct watch_request *, bool v1,
                      struct watch **ret) MUST_CHECK; /* A reference. */
void watch_unref(struct db *, struct watch *);
/* Takes the references of 'watches'; a kind with a first monitor lives until its last goes. */
struct kind *kind_get(struct db *, struct watch **watches, size_t n);
void kind_leave(struct db *, struct monitor *);

/* match.c */
void watch_join(struct watch *); /* To be found in its table. */
void watch_leave(struct watch *);
/* Does a row meet the condition, 'before' the transaction or now? */
bool watch_matches(const struct watch *, const struct row *, bool before);

/* update.c: what clients get to read. */
enum row_kind { ROW_INSERT, ROW_DELETE, ROW_MODIFY, ROW_INITIAL };
/* Appends "<uuid>":{...}, with a comma before it if 'rows' is not empty.  False if nothing is to
 * be told. */
bool update_print_row(struct shape *, const struct row *, enum row_kind, struct buf *rows);

/* snapshot.c */
void snapshots_change(const struct change *); /* A row was committed. */
void snapshots_done(struct watch_table *);

/* deliver.c */
void watches_deliver(struct txn *, db_deliver_fn *, void *aux);

#endif /* db/monitor_i.h */
