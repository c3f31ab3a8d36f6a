/* dbserver/server_i.h: what the files of this room share. */
#ifndef DBSERVER_SERVER_I_H
#define DBSERVER_SERVER_I_H 1

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "base/uuid.h"
#include "db/db.h"
#include "db/lock.h"
#include "db/monitor.h"
#include "dbserver/server.h"
#include "journal/journal.h"
#include "loop/loop.h"
#include "wire/jsonrpc.h"

struct relay;
struct replication;
struct served;
struct sync;

#define CLIENT_MESSAGE_BYTES                                                               \
    ((size_t) (4 * GIB)) /* As a client: a database is one message. */

struct dbserver {
    struct loop *loop;
    struct dbserver_config config;
    struct uuid id;                   /* "get_server_id"; fresh for each process. */
    struct map dbs;                   /* Name to struct served. */
    struct served *self;              /* _Server. */
    struct list remotes;              /* Of struct remote_entry. */
    struct list sources;              /* Of struct source: rows that tell remotes. */
    bool sources_posted;              /* 'sources_later' is set. */
    struct loop_timer *sources_later; /* Looks at the sources again. */
    struct secure *secure;            /* The keys for TLS. */
    char *config_file;                /* Of --config-file, or NULL. */
    struct sync *sync;                /* Whose backup we are: replication_i.h. */
    int64_t relay_probe_ms;           /* Of relays' sources; -1: as the kind of remote. */
    bool no_cond;                     /* "ovsdb-server/disable-monitor-cond" was given. */
    struct loop_timer *status;        /* Writes the remotes' status into their rows. */
    struct lock_server locks;
    struct ctl *ctl; /* The ovs-appctl socket; NULL without. */

    struct list peers;        /* Of struct peer: every client. */
    struct jsonrpc_room room; /* For requests that are coming in. */
    size_t parked_bytes;      /* Of requests that wait. */
    size_t n_peers;
    struct list ready;    /* Of struct peer, by 'flow': has output that goes out now... */
    struct list watching; /* ... or in the next round, as it only has updates... */
    struct list round;    /* ... or in this one... */
    struct list blocked;  /* ... or has to wait for the disk. */
    struct loop_idle *fan_out;                /* Gives those in 'round' their turn. */
    struct loop_timer *round_later;           /* Begins one. */
    int64_t round_us, next_round_us, turn_us; /* When it began; when the next one may begin;
                                                 when its last turn ended. */
    int64_t round_work_us;                    /* What its turns took. */
    struct shared_update *shared;             /* monitors.c */
    struct list dead; /* Of struct peer, by 'flow': to be freed by server_reap(). */
    bool flushing;    /* server_flush() is at work. */
    bool unwritten;   /* Some journal may have gathered something. */
    bool reap_posted;
    bool closing;
    struct loop_timer *upkeep; /* Automatic compaction. */
    struct linger *linger;     /* NULL: one processor alone. */
};

/* One database that is served. */
struct served {
    struct dbserver *server;
    struct db *db;           /* NULL: a relay that has not reached its source yet. */
    struct journal *journal; /* NULL: _Server and relays, which have no file. */
    struct relay *relay;     /* NULL: it is our own. */
    char *name;
    char *path;                    /* As given, "relay:..." too; NULL for _Server. */
    struct replication *backup;    /* It is another server's; NULL: it is our own. */
    bool sync_failed;              /* It was a backup, which did not work. */
    struct strvec logged;          /* Tables whose transactions go to the log. */
    struct list parked;            /* Of struct pending, by 'in_served'. */
    struct list forwarded;         /* Also: those for a relay's source. */
    struct list monitors;          /* Of struct peer_monitor, by 'in_served'. */
    struct uuid row;               /* In _Server. */
    int64_t compact_after_ms;      /* No automatic compaction before. */
    int64_t compacted_ms;          /* When it was opened or compacted. */
    struct compaction *compaction; /* The running one, or NULL. */
    bool compact_failed;           /* The last one, after somebody had asked for it. */
    bool write_failed;             /* Logged; not again until a write works. */
    bool name_lost;                /* Logged; not again until it is there. */
};

/* server.c */
struct served *server_find_db(struct dbserver *, const char *name); /* NULL if none. */
/* Serves one more, opened from 'path'.  Takes it. */
struct err *server_add_served(struct dbserver *, struct served *,
                              const char *path) MUST_CHECK;
/* Clients that do not listen for changes of databases have to come again. */
void server_drop_unaware(struct dbserver *, const char *why);
/* Sends what may go.  Call it at the end of whatever may have queued output. */
void server_flush(struct dbserver *);
void server_unblock(struct dbserver *); /* Something has become durable. */
void server_reap(struct dbserver *);    /* Soon, from the loop. */
void server_upkeep(void *dbserver);     /* Once a minute. */

/* served.c: life of a database. */
struct err *served_open(struct dbserver *, const char *path,
                        struct served **ret) MUST_CHECK;
struct served *served_new_builtin(struct dbserver *, const char *schema);
struct served *served_new_relay(struct dbserver *, const char *name,
                                struct relay *); /* Takes the relay. */
/* Its clients' monitors and transactions must be gone. */
void served_free(struct served *);
uint64_t served_seq(const struct served *); /* What a reply of this moment depends on. */
/* Writes what the journals have gathered: before any of it is told. */
void served_write_all(struct dbserver *);
bool served_is_durable(const struct served *, uint64_t seq);
/* Writes and commits a prepared transaction; updates are queued.  If the disk says no it is
 * undone and 'reply' gets the error.  Takes 'txn'. */
void served_commit(struct served *, struct txn *, struct buf *reply);
/* Compaction has ended: with 'e', which is taken, or well. */
void served_compacted(struct served *, struct err *e, int64_t start_ms,
                      int64_t before_bytes);
/* Another schema; clients that watch are told.  All or nothing.  Then the caller cancels what waits
 * and cuts off who is not told. */
struct err *served_convert(struct served *, const struct json *schema,
                           bool read_only) MUST_CHECK;
void served_check_file(struct served *); /* Has somebody taken it away? */
bool served_wants_compaction(const struct served *, int64_t now_ms);

/* compact.c: in the background; served_compacted() is told.  Nothing if it runs already. */
struct err *compact_start(struct served *, const char *comment) MUST_CHECK;
void compact_poll(struct served *); /* The journal says that something got durable. */
void
compact_cancel(struct served *); /* Nothing has happened, unless it had nearly ended. */

/* self.c: the database _Server. */
struct served *self_new(struct dbserver *);
void self_add(struct dbserver *, struct served *);
void self_update(struct dbserver *, struct served *); /* Something of it changed. */
void self_remove(struct dbserver *, struct served *);

/* remotes.c */
/* Checks "REMOTE,...", to be called as a client, and makes relative socket names what they are for
 * listeners: relative to the run directory. */
struct err *remotes_resolve(const char *list, char **ret) MUST_CHECK;
void remotes_free(struct dbserver *);
void remotes_list(const struct dbserver *, struct strvec *);

/* config.c */
struct err *config_reload(struct dbserver *) MUST_CHECK;
/* An error if a file says what is served: then nobody else may. */
struct err *config_refuse(const struct dbserver *) MUST_CHECK;

/* secure.c */
void secure_init(struct dbserver *);
void secure_free(struct dbserver *); /* All connections must be gone. */
struct tls *secure_tls(const struct dbserver *);

/* dbremotes.c */
void dbremotes_init(struct dbserver *);
/* Something was committed, or a database came or went: remotes that rows tell may have changed. */
void dbremotes_changed(struct dbserver *);

/* appctl.c */
void
ctl_compacted(struct dbserver *); /* Those who wait for compactions may get their answer. */
void ctl_free(struct ctl *);

/* commands_tlog.c: a record is being committed. */
void tlog_write(const struct served *, const struct buf *record);

/* commands.c: runs the command that a request names.  Appends its text to 'out'. */
struct err *ctl_run(struct dbserver *, const struct jsonrpc_msg *,
                    struct buf *out) MUST_CHECK;

#endif /* dbserver/server_i.h */
