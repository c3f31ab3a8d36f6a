/* cli/change_i.h: the one transaction that a command line makes, and what it waits for
 * after.
 *
 * Commands add operations and goals.  Then main commits once: with --dry-run the server
 * runs the operations and aborts, and the difference is printed; else the change is
 * committed, and the goals are awaited (unless --no-wait).  Rows get their UUIDs here,
 * so that a lost reply can be told from a lost request: after a broken connection the
 * rows are looked up. */
#ifndef CLI_CHANGE_I_H
#define CLI_CHANGE_I_H 1

#include "base/base.h"
#include "base/buf.h"
#include "base/uuid.h"
#include "base/vec.h"
#include "json/json.h"

struct cli;

enum change_kind {
    CHANGE_INSERT,
    CHANGE_UPDATE,
    CHANGE_MUTATE,
    CHANGE_DELETE,
    CHANGE_UNLESS, /* No change: what must be so, or nothing happens. */
};

struct change_op {
    enum change_kind kind;
    const char *table;
    struct uuid uuid;
    struct json
        row; /* Insert: with "_uuid" in front, as a select gives it.  Update: new values.
                        Mutate: array of mutations.  Unless: the whole operation. */
};

enum goal_kind {
    GOAL_APPLIED,     /* observed_generation reaches 'generation', and error is unset. */
    GOAL_GONE,        /* The row goes; error set at 'generation' is a failure. */
    GOAL_TAKEN_ALONG, /* The row goes by itself some time after this change: the agent
                         marks it as deleted; an error after that is a failure. */
    GOAL_JOB,         /* The job ends well. */
    GOAL_ONLINE,      /* hostnode.state = online. */
};

struct goal {
    enum goal_kind kind;
    const char *table;
    struct uuid uuid;
    const char *label;  /* "vm demo". */
    const char *said;   /* What it then is: "running". */
    int64_t generation; /* Filled in by the commit. */
    size_t op; /* For that: index of the operation whose select tells; SIZE_MAX: known. */
    bool done;
    struct err *error; /* Why it failed; owned. */
    const char
        *seen; /* The latest progress, for the live line; in the goal's arena or NULL. */
    double progress; /* Jobs: 0-1; -1 unknown. */
    bool has_job;
    struct uuid job;                  /* That reaches the goal. */
    int64_t bytes, bytes_of, ends_at; /* What that job says; 0: nothing. */
    struct uuid owner;     /* GOAL_TAKEN_ALONG: the machine that takes it along. */
    const char *stale;     /* GOAL_TAKEN_ALONG: the error from before, or NULL. */
    bool is_hardware;      /* Of a vm: what of it waits for the next start is told. */
    bool asked_guest;      /* The guest was asked to shut down, and decides itself. */
    struct json take_back; /* Operation that withdraws the want if the agent could not
                              fulfil it; null: it stays wanted. */
};

/* A value that this line chose itself: if another was quicker it chooses again. */
struct change_gift {
    size_t op; /* The insertion that holds it. */
    struct uuid network;
    bool v6;
    bool is_mac; /* The column "mac" of an iface; else "address" of an ip. */
};

struct change {
    VEC(struct change_op) ops;
    VEC(struct change_gift) gifts;
    VEC(struct goal) goals;
    struct buf plan;     /* Storage plans, for --dry-run. */
    struct buf said;     /* What to print once it is committed. */
    const char *comment; /* For the log of the database: the commands, without values. */
    bool not_twice;      /* Sending it a second time would not be harmless. */
};

void change_done(struct change *);

/* 'row' must not hold "_uuid".  *ret_uuid may be NULL. */
void change_insert(struct cli *, const char *table, struct json row, struct uuid *ret_uuid);
/* Same with a UUID the caller chose. */
void change_insert_as(struct cli *, const char *table, const struct uuid *,
                      struct json row);
void change_update(struct cli *, const char *table, const struct uuid *, struct json row);
/* One column: ["column", "mutator", value]. */
void change_mutate(struct cli *, const char *table, const struct uuid *, const char *column,
                   const char *mutator, struct json value);
void change_delete(struct cli *, const char *table, const struct uuid *);
/* The change happens only if the rows that fit 'where' are, in 'columns', these. */
void change_unless(struct cli *, const char *table, struct json where, const char *columns,
                   struct json rows);
bool change_has_inserted(const struct change *, const char *table, const struct uuid *);
/* The i-th row to be inserted into 'table', or NULL. */
const struct change_op *change_inserted(const struct change *, const char *table, size_t i);

/* Adds 1 to the row's generation and waits for the agent to act on it.  For a row that
 * this very change inserts, its "generation" must be in the row: 'known' then is that
 * value, else -1. */
void change_await(struct cli *, enum goal_kind, const char *table, const struct uuid *,
                  int64_t known, const char *label, const char *said);
/* If the last goal fails, 'op' is run, unless the row has been changed again meanwhile: a
 * command that failed leaves no want behind that comes true later.  'op' needs a "where". */
void change_take_back(struct cli *, struct json op);
/* Goals without a generation: jobs, nodes. */
void change_await_state(struct cli *, enum goal_kind, const char *table,
                        const struct uuid *, const char *label, const char *said);

/* A line to print once the change is committed: "pool x: defined".  Not with -q, nor
 * --dry-run. */
void change_say(struct cli *, const char *fmt, ...) PRINTF(2, 3);

/* Commits, or shows what would be.  Empty changes are fine. */
struct err *change_commit(struct cli *) MUST_CHECK;
/* Commits and awaits what there is so far, so that what follows comes after it.  Only
 * for a command that stands alone (ERR_SYNTAX); with --no-wait and --dry-run it does
 * nothing. */
struct err *change_step(struct cli *) MUST_CHECK;
/* Waits for all goals.  Prints each outcome; the error is the first failure. */
struct err *change_wait(struct cli *) MUST_CHECK;

#endif /* cli/change_i.h */
