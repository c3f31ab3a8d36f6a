/* dbserver/peer_i.h: a client's session: its connection, monitors, waiting transactions and
 * locks.
 *
 * Output is a queue of messages, each with the journal position that it depends on; the
 * first one that is not durable yet holds back all behind it (output.c). */
#ifndef DBSERVER_PEER_I_H
#define DBSERVER_PEER_I_H 1

#include "dbserver/server_i.h"

/* Of one client: far more than any real one has. */
#define PEER_MONITORS_MAX 1000
#define PEER_PENDING_MAX 10000

struct remote_entry;

struct peer {
    struct dbserver *server;
    struct remote_entry *remote; /* Where it came from; NULL once that is gone. */
    struct list in_remote;       /* In the remote's 'peers'. */
    char *role;                  /* For RBAC; NULL: all is allowed. */
    bool read_only;
    struct list in_server; /* In the server's 'peers'. */
    struct list
        flow; /* In the server's 'ready', 'watching', 'round', 'blocked' or 'dead'; or nowhere. */
    bool is_urgent; /* It is, or was last, in 'ready'. */
    struct jsonrpc *conn;
    char *author;              /* Of peer_author(), or NULL so far. */
    struct lock_session locks; /* 'user' is the peer. */
    struct list monitors;      /* Of struct peer_monitor, by 'in_peer'. */
    struct list pending;       /* Of struct pending, by 'in_peer'. */
    struct hmap pending_ids;   /* The same, by 'by_id'. */
    struct list lanes;         /* Of struct lane (forward.c), by 'in_peer'. */
    size_t n_monitors, n_pending;
    uint64_t n_requests; /* That waited, so far. */
    struct {
        struct outgoing *v; /* NULL while nothing waits. */
        size_t head, n, cap;
    } out;
    size_t out_bytes, update_bytes; /* In 'out': of all; of updates. */
    size_t n_urgent;                /* Of 'out': no updates. */
    size_t n_lagging, n_holding;    /* Of 'monitors'. */
    bool aware;                     /* Of changes of databases: set_db_change_aware. */
    bool closed;                    /* Waits to be freed: send nothing, expect nothing. */
    bool paused;
    /* Called when the peer is freed; for outgoing remotes, which then connect again. */
    void (*gone)(void *aux);
    void *gone_aux;
};

/* A monitor of a client. */
struct peer_monitor {
    struct list in_peer, in_served;
    struct peer *peer;
    struct served *served;
    struct monitor *monitor;
    bool lagging;              /* Its client does not read: nothing is queued... */
    uint64_t told_seq;         /* ... since db_seq() was this. */
    struct history_hold *hold; /* While its client's socket is full: of what it was told. */
    uint64_t held_seq;         /* Its db_seq(). */
    char *id;        /* JSON text with sorted members: what makes it the same one. */
    struct buf head; /* {"id":null,"method":"update","params":[ID, */
};

/* A transaction that waits: for its "wait", or for a relay's source (forward.c). */
enum pending_state { PENDING_PARKED, PENDING_QUEUED, PENDING_SENT, PENDING_CONVERTED };
struct pending {
    enum pending_state state;
    int64_t sent_id;                /* At the source. */
    bool canceled;                  /* So the source was told. */
    uint64_t n_cancels;             /* Of a convert: the relay\'s, when it was sent. */
    struct hmap_node by_id;         /* In the peer's 'pending_ids'. */
    struct list in_peer, in_served; /* Served's 'parked', or 'forwarded'. */
    struct lane *lane;              /* While it is queued or sent; see forward.c. */
    struct list in_lane;
    uint64_t no; /* In the order in which they came. */
    struct peer *peer;
    struct served *served;
    struct jsonrpc_msg *msg;
    struct db_wait wait;
    int64_t came_ms;          /* loop_now_ms() when the request came. */
    struct loop_timer *timer; /* NULL without a time-out. */
};

enum outgoing_kind { OUT_REPLY, OUT_UPDATE, OUT_OTHER };

/* peer.c.  A new client; the peer frees itself when the connection ends.  Takes the
 * stream. */
struct peer *peer_new(struct remote_entry *, struct stream *);
void peer_apply_options(struct peer *);   /* Its remote's options changed. */
const char *peer_id(const struct peer *); /* The name in its certificate; NULL without. */
const char *peer_author(struct peer *);   /* "by uid 0 pid 123 unix#4": for the journal. */
void peer_close(struct peer *,
                const char *why); /* Drops the client, soon.  'why' may be NULL. */
void peer_free(struct peer *);
void peer_notify(struct peer *, const char *method, const char *param_json);
void peer_send_notices(struct dbserver *, struct lock_notices *);

/* output.c */
void output_init(struct peer *);
void output_done(struct peer *);
/* Queues head + body + tail.  'on' may be NULL: depends on nothing.  Takes the head's
 * content and one reference of 'body', which may be NULL; 'tail' is a literal. */
void peer_queue(struct peer *, enum outgoing_kind, struct served *on, struct buf *head,
                struct bytes *body, const char *tail);
/* The same with a body in pieces, whose references are taken. */
void peer_queue_pieces(struct peer *, enum outgoing_kind, struct served *on,
                       struct buf *head, struct bytes_vec *body, const char *tail);
/* The client, which is not closed, gets head (may be NULL) + body, whose references are taken.
 * 'before': db_seq() before what it tells of; OUTPUT_UNIQUE: it tells of something else. */
#define OUTPUT_UNIQUE UINT64_MAX
void peer_queue_update(struct peer_monitor *, struct bytes *head, struct bytes *body,
                       uint64_t before);
/* Those of its monitors that lag are told of all until now. */
void peer_catch_up(struct peer *);
void output_progress(struct peer *); /* Its socket takes more. */
void output_schedule(struct peer *); /* Into the list where it belongs. */
void output_forget_monitor(struct peer *, struct peer_monitor *);
/* The database goes away, with all of it durable: nothing depends on it any more. */
void peer_forget(struct peer *, const struct served *);
void output_fan_out(void *server);     /* A turn for the watchers of this round. */
void output_round_later(void *server); /* The next round may begin. */

/* methods.c */
void methods_run(struct peer *, struct jsonrpc_msg *); /* Takes the message. */

/* monitors.c */
struct peer_monitor *peer_monitor_find(const struct peer *, const char *id);
void peer_monitor_free(struct peer_monitor *);
void monitors_deliver(void *aux, struct monitor *,
                      struct bytes *updates); /* A db_deliver_fn. */
void monitors_delivered(struct dbserver *);   /* After a commit's last delivery. */
/* As monitors_deliver(), of one client alone; 'before' is peer_queue_update()'s. */
void monitors_send(struct peer_monitor *, struct bytes *updates, uint64_t before);
/* The database goes away or changes its schema: aware clients are told, the others are cut
 * off. */
void monitors_cancel(struct served *);

/* transact.c */
void transact_run(struct peer *, struct served *,
                  struct jsonrpc_msg *); /* Takes the message. */
/* Its request of that id that waits; or NULL. */
struct pending *transact_find(const struct peer *, const struct json *id);
void transact_cancel(struct peer *, const struct json *id);
void transact_cancel_all(struct served *);
void transact_rerun(struct served *); /* Those whose tables changed. */
struct pending *pending_new(struct peer *, struct served *, struct jsonrpc_msg *,
                            int64_t came_ms); /* Takes the message. */
void pending_free(struct pending *);
void transact_resume(struct pending *); /* Runs it, for the first time or again. */

#endif /* dbserver/peer_i.h */
