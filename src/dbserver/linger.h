/* dbserver/linger.h: staying awake for a moment after an answer.
 *
 * Why.     A client that asks one thing at a time asks the next some microseconds after the answer.
 *          To sleep until then costs more than the answer itself: an idle processor takes tens of
 *          microseconds to wake up, in a virtual machine most of all.
 * How.     After an answer the loop looks for input without waiting, for LINGER_US at most.  Not after
 *          several at once: who asks many things at once is better answered many things at once.
 * Bounds.  Where nothing came LINGER_MISSES times in a row the next answers go without, twice as
 *          many each time: a server that is asked now and then burns nothing. */
#ifndef DBSERVER_LINGER_H
#define DBSERVER_LINGER_H 1

#include "base/base.h"

#define LINGER_US 50
#define LINGER_MISSES 3
#define LINGER_REST_MAX 4096 /* Answers. */

struct loop;
struct linger;

/* NULL is fine for all but the first. */
struct linger *linger_new(struct loop *);
void linger_free(struct linger *);
void linger_asked(struct linger *);    /* A request came in. */
void linger_answered(struct linger *); /* What came in is answered. */
bool linger_is_awake(const struct linger *);

bool linger_pays(
    void); /* Not on a single processor: there the client could not run meanwhile. */

#endif /* dbserver/linger.h */
