/* web/ask.h: one question to this host's agent: a line out, a line back.
 *
 * Never waits: connecting to a unix socket needs no peer that is awake, and what does not come in time is
 * for the asker's own clock. */
#ifndef WEB_ASK_H
#define WEB_ASK_H 1

#include "base/base.h"
#include "base/buf.h"

struct ask;
struct loop;

/* 'question' ends with \n.  'answered' is called once, with the answer, without its \n; NULL: it closed, or
 * said more than 'max_bytes'.  Not after ask_free(), which may be called from within.  Errors: there is no
 * agent, or nobody listens. */
struct err *ask_new(struct loop *, const char *agent, const char *question,
                    size_t max_bytes, void (*answered)(void *aux, const char *line),
                    void *aux, struct ask **ret) MUST_CHECK;
void ask_free(struct ask *); /* NULL is fine. */

#endif /* web/ask.h */
