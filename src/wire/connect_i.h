/* wire/connect_i.h: gets a connected socket, without blocking. */
#ifndef WIRE_CONNECT_I_H
#define WIRE_CONNECT_I_H 1

#include "base/base.h"
#include "wire/remote.h"

struct loop;
struct connect;

/* Calls 'done' once, never from within connect_new(): with a socket that the callee owns and 'e'
 * NULL, or with fd -1 and an error (taken).  The callee frees the connect. */
struct connect *connect_new(struct loop *, const struct remote *,
                            void (*done)(void *aux, int fd, struct err *e), void *aux);
void connect_free(struct connect *); /* Then 'done' does not come.  NULL is fine. */

/* For both directions. */
struct sockaddr_un;
void unix_address(const char *path, struct sockaddr_un *ret);
void tcp_tune(int fd); /* No delay, keep-alive.  Best effort. */

#endif /* wire/connect_i.h */
