/* wire/remote.h: where a peer is, in Open vSwitch's notation.
 *
 *     unix:PATH        tcp:HOST[:PORT]      ssl:HOST[:PORT]       to connect to
 *     punix:PATH       ptcp:[PORT][:HOST]   pssl:[PORT][:HOST]    to listen on
 *     pfd:FD                                                      the same, open already
 *
 * IPv6 addresses are in brackets.  The default port is 6640; listening on port 0 lets the kernel
 * choose.  Passive without HOST: all IPv4 addresses; [::]: both families.
 * "ssl" is TLS: the caller sets 'tls' before it connects or listens.
 * Errors.  ERR_SYNTAX. */
#ifndef WIRE_REMOTE_H
#define WIRE_REMOTE_H 1

#include "base/base.h"

#define REMOTE_DEFAULT_PORT 6640

struct tls;

enum remote_kind { REMOTE_UNIX, REMOTE_TCP };

struct remote {
    enum remote_kind kind;
    bool passive;
    bool secure;     /* TLS. */
    struct tls *tls; /* Whose keys; NULL from remote_parse().  Borrowed. */
    char *path;      /* Unix; owned. */
    char *host;      /* TCP, without brackets; owned.  NULL: any (passive only). */
    uint16_t port;
    int fd; /* A listening socket that we were given; 0: none. */
};

struct err *remote_parse(const char *text, struct remote *ret) MUST_CHECK;
void remote_done(struct remote *); /* For CLEANUP(). */
char *remote_text(const struct remote *);

#endif /* wire/remote.h */
