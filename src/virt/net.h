/* virt/net.h: what is asked of libvirt about networks.
 *
 * Threads and errors as in conn.h: all may block; ERR_NOT_FOUND is no failure of looking. */
#ifndef VIRT_NET_H
#define VIRT_NET_H 1

#include "base/arena.h"
#include "virt/conn.h"
#include "virt/network.h"

/* A network as libvirt has it, by its UUID or else by its name. */
struct virt_net_look {
    struct arena arena;
    bool exists, active;
    const char *name;              /* It may have been renamed in the database. */
    struct virt_network_seen file; /* The definition; of a transient one, what runs. */
    struct virt_network_seen live; /* If active. */
    struct virt_net_lease *leases; /* What is given out; if active. */
    size_t n_leases;
};
/* 'ret' is initialised here. */
struct err *virt_net_look(struct virt *, const struct uuid *row, const char *name,
                          struct virt_net_look *ret) MUST_CHECK;
void virt_net_look_done(struct virt_net_look *); /* For CLEANUP(). */

struct err *virt_net_define(struct virt *, const char *xml) MUST_CHECK;
struct err *virt_net_start(struct virt *, const struct uuid *row) MUST_CHECK;
struct err *virt_net_stop(struct virt *, const struct uuid *row) MUST_CHECK;
struct err *virt_net_undefine(struct virt *, const struct uuid *row) MUST_CHECK;
/* Makes the hosts of DHCP those of 'want', live and on file, without a restart. */
struct err *virt_net_hosts(struct virt *, const struct virt_network *want) MUST_CHECK;

#endif /* virt/net.h */
