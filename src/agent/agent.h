/* agent/agent.h: makes this host match the database. */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H 1

#include "base/base.h"

struct loop;
struct agent; /* agent_new(), agent_free(). */

struct agent_options {
    const char *db;     /* Remote of the database, "unix:DIR/run/db.sock". */
    const char *state;  /* DIR. */
    const char *uri;    /* libvirt's, "qemu:///system". */
    const char *stored; /* byre-stored's socket. */
    const char *stats;  /* Where statistics go, see sql/sql.h; NULL: nowhere. */
};

/* Starts everything; the loop then drives it.  Nothing that is down makes it fail: the database,
 * libvirt and byre-stored are tried again and again. */
struct err *agent_new(struct loop *, const struct agent_options *,
                      struct agent **ret) MUST_CHECK;
void agent_free(struct agent *); /* Waits for calls under way. */
/* Begins nothing new and says in the host's row that it is offline; then, or when that takes too
 * long, 'done'. */
void agent_leave(struct agent *, void (*done)(void *aux), void *aux);

#endif /* agent/agent.h */
