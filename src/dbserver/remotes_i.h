/* dbserver/remotes_i.h: one place where clients come from: a socket that we listen on, or a peer
 * that we call. */
#ifndef DBSERVER_REMOTES_I_H
#define DBSERVER_REMOTES_I_H 1

#include "dbserver/peer_i.h"

/* What a Manager or Connection row may say. */
struct remote_options {
    int64_t max_backoff_ms; /* Between attempts to connect. */
    int64_t probe_ms; /* Silence before an echo; 0: never; -1: as the kind of remote. */
    bool read_only;
    char *role; /* For RBAC; NULL: none, all is allowed.  Owned. */
    int dscp;   /* 0 to 63; of TCP. */
};
#define REMOTE_OPTIONS_INIT                                                                \
    ((struct remote_options){ REMOTE_BACKOFF_MAX_MS, -1, false, NULL, REMOTE_DSCP })
#define REMOTE_BACKOFF_MIN_MS 1000
#define REMOTE_BACKOFF_MAX_MS 8000
#define REMOTE_PROBE_MS 5000 /* Of TCP; unix sockets tell by themselves. */
#define REMOTE_DSCP 48       /* "Internetwork control". */

struct remote_entry {
    struct list node; /* In the server's 'remotes'. */
    struct dbserver *server;
    char *name; /* As it was given. */
    struct remote remote;
    struct remote_options options;
    bool from_db;              /* Wanted by a row, not by a person. */
    bool wanted;               /* By a row, as of the last look. */
    struct listener *listener; /* Passive; NULL if listening failed. */
    struct list peers;         /* Of struct peer, by 'in_remote'. */

    /* Active: one of these three at a time. */
    struct stream *connecting;
    struct peer *peer;
    struct loop_timer *again;
    int64_t backoff_ms;

    int64_t connected_ms, disconnected_ms; /* When it last happened; -1: never. */
    char *last_error;                      /* Or NULL. */
};

/* remotes.c */
struct remote_entry *remote_find(const struct dbserver *, const char *name);
/* Takes the content of 'options'.  'from_db': a failure to listen is no error; it is tried again
 * with remote_retry(). */
struct err *remote_add(struct dbserver *, const char *name, struct remote_options *options,
                       bool from_db, struct remote_entry **ret) MUST_CHECK;
void remote_free(struct remote_entry *); /* Its clients are cut off. */
void remote_retry(struct remote_entry *);
/* Takes the content. */
void remote_set_options(struct remote_entry *, struct remote_options *);
bool remote_is_connected(const struct remote_entry *);
/* Adds to a map of strings what the column "status" holds. */
void remote_status(const struct remote_entry *, struct arena *, struct json *pairs);

/* dbremotes.c: remotes that rows of a database tell ("db:DB,TABLE,COLUMN"). */
struct err *dbremotes_add(struct dbserver *, const char *name) MUST_CHECK;
bool dbremotes_remove(struct dbserver *, const char *name); /* False: no such one. */
void dbremotes_list(const struct dbserver *, struct strvec *);
void dbremotes_free(struct dbserver *);

#endif /* dbserver/remotes_i.h */
