/* model/network.h: a network, from its rows to room virt's values.
 *
 * Pure, and with copies of all strings, as vm.h.
 * Rows.    The network; the interfaces in it and the addresses of table ip that they have; their
 *          machines, for names.
 * DHCP.    The server knows one IPv4 address an interface: the machine's primary one (vm.ip) if it is
 *          there, else the smallest.  A machine's name goes with the first of its interfaces alone:
 *          libvirt takes no name twice.  In IPv6 there is one host more, which is nobody: network.c says why. */
#ifndef MODEL_NETWORK_H
#define MODEL_NETWORK_H 1

#include "base/base.h"
#include "replica/vmmgr_rows.h"
#include "virt/network.h"

struct model_network {
    struct arena arena;
    bool is_bridge; /* Then only 'bridge', 'nic' and 'vlan' say something. */
    const char *bridge;
    const char *nic; /* NULL: the bridge is somebody else's. */
    int64_t vlan;    /* 0: none. */
    struct virt_network net;
};

/* 'ret' is initialised here; on failure it holds nothing.  ERR_CONSTRAINT, ERR_SYNTAX with a hint. */
struct err *model_network(const struct row_network *, struct model_network *ret) MUST_CHECK;
void model_network_done(struct model_network *); /* For CLEANUP(). */

#define MODEL_BRIDGE_CHARS 15
/* The bridge that the row means. */
void model_network_bridge(const struct row_network *, char ret[MODEL_BRIDGE_CHARS + 1]);

/* What a host says of a network; NULL: nothing yet. */
const struct row_hostnode_network *model_network_on(const struct row_network *,
                                                    const struct uuid *hostnode);

/* A machine's interfaces in the order that its guest sees them: by MAC.  Returns how many there are;
 * 'ret' gets the first 'max' that were found. */
size_t model_vm_ifaces(const struct row_vm *, const struct row_iface **ret, size_t max);

/* The addresses of an interface, IPv4 first, each kind by number; ending with NULL; in the arena. */
const char *const *model_iface_addresses(const struct row_iface *, struct arena *);

#endif /* model/network.h */
