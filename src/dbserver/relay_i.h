/* dbserver/relay_i.h: a database whose content is another server's ("relay:DB:REMOTE,...").
 *
 * Reads and monitors are served here; what writes is forwarded (forward.c). */
#ifndef DBSERVER_RELAY_I_H
#define DBSERVER_RELAY_I_H 1

#include "dbserver/peer_i.h"
#include "wire/session_io.h"

/* So long a lost source is not told to clients: it mostly is back by then. */
#define RELAY_PATIENCE_MS (30 * 1000)
/* So long a source that does not know our state may take to catch up with it; then another one has its
 * turn. */
#define RELAY_CATCH_UP_MS 5000
#define RELAY_ASK_AGAIN_MS 100

enum relay_phase {
    RELAY_OFFLINE,
    RELAY_SCHEMA,  /* Asked for it, and for the source's row in _Server. */
    RELAY_PROBING, /* Does the source know the state that we have? */
    RELAY_MONITOR, /* Asked for the content. */
    RELAY_READY,
};

/* The source's row in its own _Server. */
struct relay_source {
    bool known, there; /* The server has _Server; and it the database. */
    bool connected, leader;
    bool alone; /* Model "standalone": it cannot be behind others. */
    int64_t index;
    char cid[UUID_CHARS + 1];
};

struct relay {
    struct served *served;
    struct session_io *session; /* NULL before the loop runs. */
    struct loop_timer *start;   /* Makes the session: keys are set after databases. */
    struct loop_timer *patience, *again;
    char *remotes;
    bool leader_only;
    enum relay_phase phase;
    unsigned dialect;    /* Which kind of monitor the source knows: relay.c. */
    int64_t monitor_no;  /* Of the running monitor: part of its id. */
    struct uuid last_id; /* The source's name of our content; zero: it has none. */
    struct db *next;     /* With a new schema, until it has its content. */
    struct relay_source source;
    int64_t min_index;         /* Of a cluster: what we have seen.  No way back. */
    char cid[UUID_CHARS + 1];  /* The cluster that we follow; "": none so far. */
    int64_t catch_up_until_ms; /* 0: no look at whether the source is behind. */
    unsigned n_behind;         /* Sources in a row that were behind, and stayed so. */
    bool patient;              /* It was ready, and may be again soon. */
    char *last_why;            /* Of the last lost connection: said once. */
    uint64_t n_cancels; /* So often the source canceled our monitor: it was converted. */
    size_t n_bytes_since_trim;
};

/* Follows one of 'remotes' ("REMOTE,..."). */
struct err *relay_new(struct dbserver *, const char *name, const char *remotes,
                      bool leader_only, struct served **ret) MUST_CHECK;
void relay_free(struct relay *);               /* NULL is fine. */
bool relay_is_ready(const struct relay *);     /* Transactions can be forwarded. */
bool relay_is_connected(const struct relay *); /* What _Server tells. */
void relay_resync(struct relay *);             /* The source's schema may have changed. */
void relay_set_probe(struct relay *, int64_t probe_ms);
void relay_trim(struct relay *); /* Now and then. */

/* relay_source.c */
#define RELAY_SELF_MONITOR "_Server" /* The id of the monitor of its _Server. */
void relay_ask_self(struct relay *); /* The answer comes before those to later requests. */
/* Updates of its one row; what is not understood changes nothing. */
void relay_read_source(struct relay *, const struct json *updates);
struct err *relay_judge_source(const struct relay *) MUST_CHECK; /* May we follow it? */
void relay_note_index(struct relay *); /* We have seen what it has. */

/* forward.c */
/* A new request.  False: run it.  Else the message is taken: it waits behind others. */
bool forward_hold(struct peer *, struct served *, struct jsonrpc_msg *);
/* It could run here: to the source with it, or wait until there is one. */
void forward_submit(struct pending *);
void forward_convert(struct peer *, struct served *, struct jsonrpc_msg *); /* Takes it. */
void forward_timeout(struct pending *); /* The answer takes too long. */
void forward_leave(struct pending *);   /* It waits for something else now. */
void forward_forget(struct pending *);  /* It will be freed. */
void forward_cancel(struct pending *);  /* One that was sent; the source answers. */
void forward_flush(struct served *);    /* The source is there, or gone. */
/* Those that we have seen come true; or all, since there is nothing more to see. */
void forward_answer_converts(struct served *, bool all);
void forward_cancel_all(struct served *);        /* The database goes. */
bool forward_writes(const struct jsonrpc_msg *); /* Must it go to the source? */

#endif /* dbserver/relay_i.h */
