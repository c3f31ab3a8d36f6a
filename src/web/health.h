/* web/health.h: answers GET /healthz: do the database server and this host's agent answer, now?
 *
 * Not "did they once": each request sends an echo through the session and a "ping" to agent.sock, and waits
 * for both, at most HEALTH_TIMEOUT_MS.  Without the database it is 503; without the agent, or if that one
 * does not reach libvirt, 200 with "status":"degraded". */
#ifndef WEB_HEALTH_H
#define WEB_HEALTH_H 1

#include "base/base.h"

#define HEALTH_TIMEOUT_MS 1000
#define HEALTH_LINE_MAX 4096
#define HEALTH_OPEN_MAX 256 /* Requests at once; more are answered 503. */

struct loop;
struct health;
struct http_request;
struct session_io;

/* 'db_remote' as in wire/remote.h; 'agent' is the path of agent.sock, NULL: it is not asked. */
struct err *health_new(struct loop *, const char *db_remote, const char *agent,
                       struct health **ret) MUST_CHECK;
struct session_io *health_session(struct health *); /* For others to ask by. */
void health_free(struct health *);                  /* Nothing may be open; NULL is fine. */

void health_ask(struct health *, struct http_request *);    /* Answers it, now or later. */
void health_forget(struct health *, struct http_request *); /* It is gone. */

#endif /* web/health.h */
