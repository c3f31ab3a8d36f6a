/* dbserver/server.h: the database server: databases, remotes and their clients.
 *
 * Order.   Nobody sees what a power cut could take back: replies and updates leave only
 *          when the journal's records that they depend on are durable, in order per client,
 *          a transaction's update before its reply.
 * Bounds.  A client that does not read is not read from (DBSERVER_PAUSE_BYTES), and what changes
 *          meanwhile is merged for it (output.c).  Requests that come in halves are bounded in bytes,
 *          each and together, and in time.
 * Errors.  ERR_BUSY a database file or socket is in use; ERR_SYNTAX a damaged file;
 *          ERR_EXISTS a second database of a name.
 * Threads. The loop's.
 * Source.  RFC 7047 section 4; ovsdb-server(7) for _Server and the extensions. */
#ifndef DBSERVER_SERVER_H
#define DBSERVER_SERVER_H 1

#include "base/base.h"
#include "base/buf.h"

struct dbserver;
struct loop;
struct tls_config; /* wire/tls.h */

#define DBSERVER_PAUSE_BYTES ((size_t) MIB)          /* Unsent output that stops reading. */
#define DBSERVER_BACKLOG_BYTES ((size_t) (64 * MIB)) /* Of unsent updates. */
#define DBSERVER_MESSAGE_BYTES ((size_t) (256 * MIB)) /* Of one request. */
#define DBSERVER_ROOM_BYTES ((size_t) GIB)  /* Of all requests that are still coming in. */
#define DBSERVER_MESSAGE_MS (2 * 60 * 1000) /* For one to come in; looked at each minute. */
#define DBSERVER_PARKED_BYTES ((size_t) (256 * MIB)) /* Of all that wait for a "wait". */

struct dbserver_config {
    bool no_durable;        /* Never fdatasync. */
    const char *name;       /* Of the program, for "version"; borrowed. */
    bool relay_leader_only; /* Relays follow nobody but the leader of a cluster. */
    /* The server cannot go on (what is on the disk is unknown) or was told to "exit": the
     * program must end, with a failure if 'e' is not NULL.  Takes 'e'. */
    void (*stop)(void *aux, struct err *e);
    void *aux;
};

struct err *dbserver_new(struct loop *, const struct dbserver_config *,
                         struct dbserver **ret) MUST_CHECK;
void
dbserver_free(struct dbserver *); /* Makes everything durable, closes all.  NULL is fine. */

/* Opens and replays a database file.  A torn tail is logged as a warning; other damage
 * fails.  Or "relay:DB:REMOTE,...": follows another server's database. */
struct err *dbserver_add_db(struct dbserver *, const char *path) MUST_CHECK;
struct err *dbserver_remove_db(struct dbserver *, const char *name) MUST_CHECK;

/* "punix:PATH", "ptcp:[PORT][:HOST]", "pssl:...": listens.  "unix:PATH", "tcp:HOST[:PORT]",
 * "ssl:...": connects, again and again.  "db:DB,TABLE,COLUMN": what rows say.  Adding what is there is no error. */
struct err *dbserver_add_remote(struct dbserver *, const char *remote) MUST_CHECK;
struct err *dbserver_remove_remote(struct dbserver *, const char *remote) MUST_CHECK;

/* The keys for ssl and pssl remotes.  Each string may also be "db:DB,TABLE,COLUMN", to be taken
 * from there.  Once, after the databases and before the remotes. */
struct err *dbserver_set_tls(struct dbserver *, const struct tls_config *) MUST_CHECK;
/* Is each "db:" of those a column of strings?  Once all databases are open; one of a relay that has no
 * schema yet is passed over. */
struct err *dbserver_check_tls(const struct dbserver *) MUST_CHECK;

/* Databases and remotes from a JSON file, which "ovsdb-server/reload" reads again; instead of
 * adding them one by one.  Once, after dbserver_set_tls(). */
struct err *dbserver_set_config_file(struct dbserver *, const char *path) MUST_CHECK;

/* --sync-from, --sync-exclude-tables, --active: databases follow the server 'from' (NULL: none),
 * unless 'active': then only once ovs-appctl says so.  Before any database. */
struct err *dbserver_set_sync(struct dbserver *, const char *from, const char *exclude,
                              bool active) MUST_CHECK;

/* The ovs-appctl socket. */
struct err *dbserver_serve_ctl(struct dbserver *, const char *path) MUST_CHECK;

/* Where relative socket names and control sockets live: $BYRE_RUNDIR, $OVS_RUNDIR or
 * /run/byre. */
const char *dbserver_rundir(void);

#endif /* dbserver/server.h */
