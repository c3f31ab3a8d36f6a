/* virt/network.h: one network of a host as values, and libvirt's XML for it.  Pure: no libvirt.
 *
 * Shape.   struct virt_network borrows all its strings.  Networks of type bridge have no XML: a
 *          domain names their bridge.
 * Mark.    As with domains (domain.h), the metadata say whose the network is:
 *
 *              <byre:network xmlns:byre='urn:byre:network:1' row='ROW-UUID' print='0123...'/>
 *
 *          The fingerprint is of all but the hosts of DHCP, which change while the network runs;
 *          those are compared one by one.
 * Source.  https://libvirt.org/formatnetwork.html. */
#ifndef VIRT_NETWORK_H
#define VIRT_NETWORK_H 1

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/uuid.h"
#include "virt/domain.h"

#define VIRT_NETWORK_MARK_URI "urn:byre:network:1"
#define VIRT_MAX_NET_HOSTS 100000 /* Of one network: what is read from libvirt's XML. */

/* Who gets which address by DHCP. */
struct virt_net_host {
    const char *mac;  /* NULL in IPv6: there 'id' tells. */
    const char *id;   /* DHCPv6's client identifier (DUID); NULL in IPv4. */
    const char *name; /* What the guest is called; NULL: nothing. */
    const char *ip;
};

/* One family's side of a network. */
struct virt_net_ip {
    const char *address; /* The host's own; NULL: the family is not used. */
    int prefix;
    const struct virt_net_host *hosts; /* Sorted by virt_net_hosts_sort(). */
    size_t n_hosts;
};

struct virt_network {
    const char *name;
    struct uuid row;     /* The network row; the network's own UUID too. */
    const char *forward; /* "nat" or "route". */
    const char *bridge;  /* The bridge that libvirt makes. */
    bool dhcp;
    int64_t mtu;            /* 0: not said. */
    const char *const *dns; /* Whom dnsmasq asks; ends with NULL; NULL: as the host does. */
    struct virt_net_ip v4, v6;
};

/* Orders by all members; what libvirt would refuse as twice the same MAC, id or name is the
 * caller's to avoid. */
void virt_net_hosts_sort(struct virt_net_host *, size_t n);

/* Checks what would be refused late or badly.  ERR_CONSTRAINT with a hint. */
struct err *virt_network_check(const struct virt_network *) MUST_CHECK;
void virt_network_xml(const struct virt_network *, struct buf *ret);
void virt_network_print(const struct virt_network *, char ret[VIRT_PRINT_CHARS + 1]);
/* <host .../>, one line, for virNetworkUpdate(). */
void virt_net_host_xml(const struct virt_net_host *, struct buf *ret);

/* What libvirt says of a network.  Strings are in the arena it was parsed with. */
struct virt_network_seen {
    bool marked; /* Byre's ... */
    struct virt_mark mark;
    const char *bridge; /* NULL: none. */
    struct virt_net_host *hosts[2];
    size_t n_hosts[2]; /* IPv4, IPv6. */
    int at[2];         /* The <ip>'s place, for virNetworkUpdate(); -1: there is none. */
};
struct err *virt_network_parse(struct arena *, const char *xml,
                               struct virt_network_seen *ret) MUST_CHECK;

/* An address that the DHCP server has given out and not yet got back. */
struct virt_net_lease {
    bool v6;
    const char *ip;
    const char *mac;  /* NULL: not known. */
    const char *id;   /* What the client called itself, "01:52:..."; NULL: nothing. */
    const char *iaid; /* In IPv6: its association, a number; NULL: not known. */
};
/* Is it still that client's?  Else whoever has the address now is refused it. */
bool virt_net_lease_holds(const struct virt_network_seen *, const struct virt_net_lease *);

/* What of 'is' has to go and what of 'should' has to come.  Both are sorted.  Calls 'fn' for each;
 * those that go come first, because libvirt refuses a MAC or an address twice.  Stops at the first
 * failure. */
struct err *virt_net_hosts_differ(const struct virt_net_host *is, size_t n_is,
                                  const struct virt_net_host *should, size_t n_should,
                                  struct err *(*fn)(void *aux, const struct virt_net_host *,
                                                    bool add),
                                  void *aux) MUST_CHECK;

#endif /* virt/network.h */
