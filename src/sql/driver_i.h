/* sql/driver_i.h: what the two databases do differently; everything else is SQL that both speak. */
#ifndef SQL_DRIVER_I_H
#define SQL_DRIVER_I_H 1

#include "base/buf.h"
#include "sql/sql.h"

#define SQL_MAX_CELLS 24 /* Columns of a row, at most. */

/* One row of an answer; NULL is SQL's NULL. */
typedef struct err *sql_each(void *aux, const char *const *cells, const size_t *n_bytes);

struct sql_driver {
    const char *name;
    const char *options;      /* After the columns of CREATE TABLE ... */
    const char *slot_options; /* ... and of a table of slots. */
    const char *id_type;      /* Of a number that the database gives out. */
    const char *key_type, *name_type,
        *blob_type;     /* Of a UUID, a name, the saved readings. */
    const char *upsert; /* Between VALUES (...) and the assignments. */
    const char *new_prefix,
        *new_suffix;        /* Around a column's name: its value in the row that clashed. */
    const char *insert_new; /* INSERT that does nothing if the key is there. */
    /* Reads of so many slots are looked up one by one, by recursion; 0: the table's index serves as well. */
    int64_t max_looked_up;
    struct err *(*open)(const char *rest, void **ret);
    void (*close)(void *);
    struct err *(*exec)(void *, const char *text);
    struct err *(*query)(void *, const char *text, sql_each *, void *aux);
    /* Runs "HEAD VALUES (...) TAIL" for rows of integers. */
    struct err *(*bulk)(void *, const char *head, const char *tail, size_t n_columns,
                        const int64_t *cells, size_t n_rows);
    void (*quote)(void *, struct buf *, const void *,
                  size_t n_bytes); /* As a literal, with its quotes. */
};

extern const struct sql_driver sql_lite, sql_maria;

struct sql {
    const struct sql_driver *driver;
    void *handle;
    struct hmap vms; /* Of struct sql_vm: the numbers of machines, once asked for. */
};

struct sql_vm {
    struct hmap_node node;
    struct uuid uuid;
    int64_t id;
    char *name; /* As stored. */
};

/* Tables and views that are missing. */
struct err *sql_make_tables(struct sql *) MUST_CHECK;
extern const char *const sql_table_names[N_SQL_TABLES]; /* "slot_min" ... */

#define SQL_N_COLUMNS (6 + N_STAT_COUNTERS) /* Of a slot table. */
/* "begin, vm, count, samples, mem_sum, mem_max, cpu_ms, ..." */
void sql_columns(struct buf *);

/* store.c, for parcel.c too.  All within a transaction of the caller. */
/* The machine's number; a new one is called 'name'. */
struct err *sql_machine_number(struct sql *, const struct uuid *, const char *name,
                               int64_t *ret) MUST_CHECK;
/* Number and name, which the caller frees; NULL: not known. */
struct err *sql_machine_find(struct sql *, const struct uuid *, int64_t *ret_number,
                             char **ret_name) MUST_CHECK;
/* It has no rows any more. */
struct err *sql_machine_forget(struct sql *, const struct uuid *) MUST_CHECK;
/* Rows of SQL_N_COLUMNS cells each; what is there of the same time is added to. */
struct err *sql_add_rows(struct sql *, enum sql_table, const int64_t *cells,
                         size_t n_rows) MUST_CHECK;
/* Makes a row of the finer table's, of each machine or of one ('vm').  Made twice it is the same. */
struct err *sql_roll_slot(struct sql *, enum sql_table to, int64_t begin_s,
                          const int64_t *vm) MUST_CHECK;
/* Hours and days of what has ended before 'now_s'. */
struct err *sql_roll_up(struct sql *, int64_t now_s) MUST_CHECK;

struct err *sql_exec(struct sql *, const char *fmt, ...) MUST_CHECK PRINTF(2, 3);
struct err *sql_query(struct sql *, sql_each *, void *aux, const char *fmt, ...) MUST_CHECK
    PRINTF(4, 5);
struct err *sql_begin(struct sql *) MUST_CHECK;
/* Commits, or takes back if 'e' (which it then returns). */
struct err *sql_end(struct sql *, struct err *e) MUST_CHECK;

#endif /* sql/driver_i.h */
