/* replica/replica_i.h: what the files of this room share. */
#ifndef REPLICA_REPLICA_I_H
#define REPLICA_REPLICA_I_H 1

#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "base/vec.h"
#include "replica/replica.h"
#include "replica/typed.h"

struct loop_timer;

/* What replica_watch() asked for. */
struct watch {
    struct strvec columns; /* Names; used if 'some_columns'. */
    bool some_columns;
    char *where; /* JSON text, or NULL. */
    const struct row_class *class;
};

enum phase {
    PHASE_OFFLINE,
    PHASE_SCHEMA,  /* get_schema is on its way. */
    PHASE_MONITOR, /* The monitor request is on its way, or about to be. */
    PHASE_READY,
    PHASE_FAILED, /* The server refused; tried again later, or never with options.once. */
};

struct replica {
    struct loop *loop;
    const struct replica_events *events;
    void *aux;
    char *database;
    bool once;
    struct session_io *session;
    enum phase phase;
    struct map watches; /* By table name: struct watch. */
    struct map tables;  /* By name: struct replica_table of watched tables that exist. */
    struct schema *schema;
    int64_t monitor_id;       /* Of the newest monitor; 0: none on this connection. */
    unsigned int n_monitors;  /* Requests without a reply; only the last one's counts. */
    bool plain_monitor;       /* The server has no monitor_cond. */
    struct loop_timer *later; /* Starts the monitor, or tries again. */
    struct err *last_error;   /* Why it is not ready. */
    uint32_t sync;            /* Number of the newest synchronisation, see row->seen. */
    bool in_batch;            /* Callbacks are being called. */
    bool freed;
    unsigned int n_holds;
};

void replica_hold(struct replica *);
void replica_let_go(struct replica *);
struct err *replica_err_dup(const struct err *) MUST_CHECK; /* Kind, text, tag and hint. */

/* apply.c */

/* A batch being applied: one update message, or one synchronisation. */
struct change {
    enum replica_kind kind;
    struct replica_row *row;
    struct datum *old; /* Owned; as in struct replica_change. */
    uint64_t *changed; /* In the batch's arena. */
};
struct batch {
    struct replica *replica;
    struct arena arena;
    VEC(struct change) changes;
};
void batch_init(struct batch *, struct replica *);
/* {table: {uuid: row update}} of either kind of monitor.  After an error the rest is not
 * applied. */
struct err *batch_updates(struct batch *, const struct json *updates) MUST_CHECK;
/* As above for a monitor's reply; rows that it does not have are deleted. */
struct err *batch_sync(struct batch *, const struct json *updates) MUST_CHECK;
/* All rows of the table, as if they had been deleted. */
void batch_clear(struct batch *, struct replica_table *);
/* Calls the callbacks and frees. */
void batch_finish(struct batch *);

/* Must the tables be cleared and made anew for what is watched now? */
bool tables_must_go(const struct replica *);
/* Makes the tables of what is watched and the schema has; those that are there stay. */
void tables_update(struct replica *);
void tables_free(struct replica *);

/* refs.c.  'changed': bits as in struct replica_change; NULL: all columns are new. */
void refs_update(struct replica_row *, const uint64_t *changed);
void refs_remove(struct replica_row *);
void refs_done(struct replica_table *);

/* wait.c: a request and its reply, which may be an error of the peer. */
struct jsonrpc_msg;
struct err *replica_request_blocking(struct replica *, const char *method,
                                     const struct json *params, int64_t timeout_ms,
                                     struct jsonrpc_msg **ret_reply) MUST_CHECK;

#endif /* replica/replica_i.h */
