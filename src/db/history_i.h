/* db/history_i.h: the last transactions, so that a client that comes back gets what it missed.
 *
 * Each entry remembers how to get back to the state before it: the rows that came, the old cells of
 * those that changed, and those that went, whole.  What a client missed since an entry is the
 * difference between that state and now; nothing but old values is kept, and they are the ones that
 * the transaction held anyway for undoing itself.
 *
 * Names.   A state is called by the UUID of the transaction that made it: the journal's, which is the
 *          same after a restart, or a random one where nothing was written.
 * Holds.   A state that somebody will ask for keeps the entries after it: history_hold.c.
 * Bounds.  HISTORY_MAX entries; of their content HISTORY_COST units (a row, a cell's element, 16 bytes
 *          of a string) or an eighth of a unit for each row of the database, whichever is more. */
#ifndef DB_HISTORY_I_H
#define DB_HISTORY_I_H 1

#include "base/list.h"
#include "db/txn_i.h"

#define HISTORY_MAX 10000
#define HISTORY_COST 32768
#define HISTORY_HELD 16 /* So many times the bound, for states that are held. */

struct past_cell {
    uint32_t field;
    struct datum old; /* Owned. */
};

struct past_row {
    struct table *table;
    struct uuid uuid;
    uint64_t old_version; /* As row->version. */
    bool inserted;
    struct row *deleted; /* It as it was, less 'cells'; owned. */
    struct past_cell *cells;
    uint32_t n_cells;
};

/* One transaction, and the name of the state that it made. */
struct past {
    struct hmap_node node; /* In history's 'by_id'. */
    struct list in_order;  /* In history's 'entries'. */
    struct uuid id;
    bool is_old;  /* The name was known before this process: see monitor_since(). */
    uint64_t seq; /* db_seq() of that state. */
    uint64_t cost;
    struct hmap folded; /* Of struct folded_row: what came with entries that it absorbed. */
    size_t n_rows;
    struct past_row rows[]; /* Owned. */
};

struct history {
    struct list entries; /* Of struct past, oldest first. */
    struct hmap by_id;
    uint64_t cost;
    size_t n_max;        /* HISTORY_MAX; tests take less. */
    struct uuid base_id; /* Of the state before the oldest entry. */
    bool base_is_old;
    uint64_t base_seq;
    struct list holds; /* Of struct history_hold. */
    size_t n_holds;
    struct uuid last_id; /* Of the state that is there now, or is being delivered. */
};

void history_init(struct db *);
void history_done(struct db *);
void history_clear(struct db *); /* Only what is there now has a name. */
/* Takes what the transaction held for undoing itself; it can only be finished then. */
void history_keep(struct txn *);
/* Makes the bounds true again.  After the transaction is finished: what is forgotten may be what it took. */
void history_trim(struct db *);
void history_figures(const struct db *, struct db_figures *ret);

void past_row_done(struct past_row *);
uint64_t past_row_cost(const struct past_row *);

/* history_hold.c.  Does somebody hold a state from before 'oldest'? */
bool history_needs(const struct history *, const struct past *oldest);
/* Makes one entry of two.  False: each state between two of them is held. */
bool history_fold(struct history *);
void folded_done(struct past *);
void folded_each(const struct past *, void (*fn)(void *aux, const struct past_row *),
                 void *aux);

/* What became of a row since a state: as if one transaction had done it. */
struct missed {
    struct hmap_node node; /* By UUID; while it is gathered. */
    struct missed *next;   /* Of the same table. */
    struct change change;  /* Its row is NULL if it came and went. */
};

/* The rows that changed since state 'id', in the arena, an element a table.  What they hold is
 * borrowed from the history.  NULL: nobody remembers that state.  '*ret_is_old': the state's name may
 * be older than this process. */
struct missed **history_since(const struct db *, const struct uuid *id, struct arena *,
                              bool *ret_is_old);

/* The same by db_seq(). */
struct missed **history_since_seq(const struct db *, uint64_t seq, struct arena *);

#endif /* db/history_i.h */
