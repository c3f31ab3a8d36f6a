/* db/lock.h: the locks of RFC 7047 sections 4.1.8 to 4.1.10: names, owners, queues.
 *
 * Locks belong to the server, not to a database.  Pure: what has to be told to whom comes back as
 * a list of notices, in order. */
#ifndef DB_LOCK_H
#define DB_LOCK_H 1

#include "base/base.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "json/json.h"

struct lock_server {
    struct map locks; /* Name to struct lock. */
};
#define LOCK_SERVER_INIT ((struct lock_server){ MAP_INIT })
void lock_server_done(struct lock_server *); /* All sessions must be gone. */

#define LOCKS_MAX 1000 /* That one session may hold or wait for. */

/* A client; embedded in the caller's session. */
struct lock_session {
    struct lock_server *server;
    struct list waiters; /* Of struct lock_waiter: what it holds or waits for. */
    void *user;          /* The caller's. */
    uint32_t n_lost;     /* Locks stolen from it, for figures. */
    uint32_t n_waiters;  /* At most LOCKS_MAX. */
};
void lock_session_init(struct lock_session *, struct lock_server *, void *user);

/* "locked" or "stolen" for a session: the caller sends the notification [name]. */
struct lock_notice {
    struct lock_session *to;
    bool stolen;
    char *name; /* Owned. */
};
struct lock_notices {
    VEC(struct lock_notice) v;
};
#define LOCK_NOTICES_INIT ((struct lock_notices){ VEC_INIT })
void lock_notices_done(struct lock_notices *);

enum lock_mode { LOCK_WAIT, LOCK_STEAL };

/* The methods "lock", "steal" and "unlock"; 'params' is checked here.  Failures are RFC 7047
 * "syntax error"s.  The result is {"locked":*ret_locked}, or {} for unlock. */
struct err *lock_request(struct lock_session *, const struct json *params, enum lock_mode,
                         bool *ret_locked, struct lock_notices *) MUST_CHECK;
struct err *lock_release(struct lock_session *, const struct json *params,
                         struct lock_notices *) MUST_CHECK;
/* The client is gone: releases and forgets all. */
void lock_session_done(struct lock_session *, struct lock_notices *);

bool lock_holds(const struct lock_session *, const char *name);
/* Adds the names of locks that it holds, waits for, and stole and was stolen from. */
void lock_session_names(const struct lock_session *, struct strvec *held,
                        struct strvec *waiting, struct strvec *lost);

#endif /* db/lock.h */
