/* agent/ticket_i.h: what runs long, and its row in table job.  Private.  See ticket.c. */
#ifndef AGENT_TICKET_I_H
#define AGENT_TICKET_I_H 1

#include "agent/agent_i.h"
#include "agent/eta.h"

struct ticket;

/* A new row, running.  'source' and 'who' may be NULL. */
struct ticket *ticket_new(struct agent *, const char *kind, const char *table,
                          const struct uuid *target, const struct uuid *source,
                          const char *who);
/* For a row that is there; it is running from now on. */
struct ticket *ticket_take(struct agent *, const struct row_job *);
/* Of a job that this agent is doing; NULL: it is not. */
struct ticket *ticket_find(const struct agent *, const struct uuid *job);
const struct uuid *ticket_job(const struct ticket *);
/* Nonzero once it is to be cancelled; TICKET_LEAVE: because the agent leaves.  Valid until the end. */
#define TICKET_LEAVE 2
volatile int *ticket_flag(struct ticket *);
/* For priv_watch, with the ticket as 'aux': in the worker's thread. */
void ticket_progress(void *ticket, const struct priv_progress *);
/* The outcome: 'e' NULL is done, ERR_CANCELED cancelled, else failed; borrowed.  'note' may be
 * NULL.  The ticket is gone after.  It is told behind the facts that came of it. */
void ticket_end(struct ticket *, const struct err *e, const char *note);
void ticket_release(struct ticket *); /* The row goes on without it. */

/* In a pass, for an open row: false if there is no ticket for it. */
bool ticket_follow(struct agent *, const struct row_job *);
void ticket_orphan(struct agent *, const struct uuid *job); /* The row is gone. */
/* The kind of a running job that has the object in use, so that another may not write
 * ('writes') or read it; NULL: none.  'but': does not count; may be NULL. */
const char *ticket_user_of(const struct agent *, const struct uuid *object, bool writes,
                           const struct uuid *but);
void tickets_tell(struct agent *);   /* What ended: once all facts are on their way. */
void tickets_cancel(struct agent *); /* The agent leaves; the rows stay as they are. */
void tickets_free(struct agent *);
/* A name for who asked; in 'room'. */
const char *ticket_who(uid_t, char *room, size_t n_room);

#endif /* agent/ticket_i.h */
