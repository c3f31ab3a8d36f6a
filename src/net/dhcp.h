/* net/dhcp.h: the few messages of DHCP that give a lease back in a client's name.
 *
 * Why.     A server keeps a lease until it expires, whoever the address belongs to meanwhile.  The
 *          client that would give it back is a guest that is gone.
 * Shape.   Messages are appended to a buffer; each is one datagram.  Pure: agent/leases.c sends them.
 * IPv6.    A server obeys only who names it (its DUID); it is asked for that first.
 * Source.  RFC 2131 4.4.6 and RFC 2132; RFC 8415 18.2.6, 18.2.7 and 21. */
#ifndef NET_DHCP_H
#define NET_DHCP_H 1

#include "base/buf.h"
#include "net/addr.h"

#define NET_DHCP_SERVER_PORT 67
#define NET_DHCP6_CLIENT_PORT 546
#define NET_DHCP6_SERVER_PORT 547
#define NET_DHCP6_SERVERS "ff02::1:2" /* All_DHCP_Relay_Agents_and_Servers. */
#define NET_DHCP_MAX_ID_BYTES 130     /* Of a client or a server: RFC 8415 11.1. */

/* A client identifier or a DUID, from "01:52:00:ff".  False: it is none, or too long. */
struct net_dhcp_id {
    uint8_t bytes[NET_DHCP_MAX_ID_BYTES];
    size_t n;
};
bool net_dhcp_id_parse(const char *text, struct net_dhcp_id *ret);

/* DHCPRELEASE.  'id' is what the client called itself; NULL: nothing, its MAC tells. */
void net_dhcp_release(struct buf *, uint32_t xid, const struct net_addr *address,
                      const struct net_addr *server, const uint8_t mac[NET_MAC_BYTES],
                      const struct net_dhcp_id *id);

/* Information-request: any server answers it, and its answer says who it is. */
void net_dhcp6_ask(struct buf *, uint32_t xid, const struct net_dhcp_id *client);
/* The server that sent 'reply'.  False: that is no answer to request 'xid'. */
bool net_dhcp6_server(const void *reply, size_t n_bytes, uint32_t xid,
                      struct net_dhcp_id *ret);
/* Release of the address that 'client' has in its association 'iaid'. */
void net_dhcp6_release(struct buf *, uint32_t xid, const struct net_dhcp_id *client,
                       const struct net_dhcp_id *server, uint32_t iaid,
                       const struct net_addr *address);

#endif /* net/dhcp.h */
