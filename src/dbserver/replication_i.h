/* dbserver/replication_i.h: active-backup: a database that is kept equal to another server's.
 *
 * Who wants it is the command line or ovs-appctl, for all databases (--sync-from), or the
 * configuration file, for one. */
#ifndef DBSERVER_REPLICATION_I_H
#define DBSERVER_REPLICATION_I_H 1

#include "dbserver/peer_i.h"

#define REPLICATION_PROBE_MS 60000

struct replication;

/* The wishes of the command line and of ovs-appctl. */
struct sync {
    char *from;            /* A remote; NULL: none was named. */
    struct strvec exclude; /* "DB:TABLE". */
    int64_t probe_ms;
    bool backup; /* All databases follow 'from'; else it waits to be asked. */
};

void sync_init(struct sync *);
void sync_done(struct sync *);
/* "DB:TABLE,...". */
struct err *sync_parse_exclude(const char *, struct strvec *ret) MUST_CHECK;

/* 'served' follows 'remotes' from now on, and is read-only.  'exclude' are its tables that it keeps
 * to itself. */
struct err *replication_start(struct served *, const char *remotes,
                              const struct strvec *exclude, int64_t probe_ms,
                              bool from_config) MUST_CHECK;
void replication_stop(struct served *); /* It is active.  Nothing if it was. */
void replication_set_probe(struct served *, int64_t probe_ms);
bool
replication_is_running(const struct served *); /* Of a backup: does its source tell it? */
/* "database: T\nstate: backup\nreplicating: tcp:...". */
void replication_status(const struct served *, struct buf *);

/* As the server's wishes say: a database that came, or all after a change. */
struct err *replication_apply(struct served *) MUST_CHECK;
struct err *replication_apply_all(struct dbserver *) MUST_CHECK;

#endif /* dbserver/replication_i.h */
