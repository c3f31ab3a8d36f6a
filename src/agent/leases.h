/* agent/leases.h: DHCP's server gives back what it holds for machines that are gone.
 *
 * dnsmasq keeps a lease for its hour and refuses the address to its new owner until then, whatever its
 * hosts say; libvirt can list leases but not end them.  So the agent says what the guest would have said
 * had it left in order: DHCPRELEASE, or Release in IPv6, on the network's bridge.  A lease is stale
 * if the server's own list of hosts does not give that address to that client.
 *
 * Nothing is remembered: what was lost on the way is found again by the next look. */
#ifndef AGENT_LEASES_H
#define AGENT_LEASES_H 1

#include "virt/net.h"

bool leases_are_stale(const struct virt_net_look *);
/* Gives back all that are stale; in a worker thread. */
struct err *leases_release(struct virt *, const struct virt_network *) MUST_CHECK;

#endif /* agent/leases.h */
