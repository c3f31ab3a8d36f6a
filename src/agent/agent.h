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
};

/* Starts everything; the loop then drives it. */
struct err *agent_new(struct loop *, const struct agent_options *,
                      struct agent **ret) MUST_CHECK;
void agent_free(struct agent *); /* Waits for calls under way. */

#endif /* agent/agent.h */
