/* cli/net_i.h: networks, their addresses, and interfaces as they are typed. */
#ifndef CLI_NET_I_H
#define CLI_NET_I_H 1

#include "cli/names_i.h"
#include "net/range.h"

/* One iprange row. */
struct net_part {
    struct uuid uuid;
    const struct json *row;
    struct net_range range;
};

/* A network with all that says which of its addresses are free.  In cli->arena. */
struct net_state {
    struct uuid uuid;
    const char *name;
    const struct json *row;
    struct net_part *parts; /* By address; rows that cannot be read are left out. */
    size_t n_parts;
    struct net_addr *taken; /* Sorted: given out, reserved, or no host's. */
    size_t n_taken;
    bool has_subnet[2]; /* IPv4, IPv6. */
    struct net_cidr subnets[2];
    struct net_addr gateways[2];
    bool has_gateway[2];
};
/* As the database has it now, with what this very line is about to give out. */
struct err *net_state_load(struct cli *, const struct uuid *,
                           struct net_state *ret) MUST_CHECK;

/* How many addresses there are for guests, and how many of them are taken by whomever. */
struct net_figures {
    uint64_t size, used;
};
struct net_figures net_figures_of(const struct net_state *, bool v6);
bool net_has_range(const struct net_state *, bool v6);

/* Adds an interface to the change, and its addresses, given out in the same transaction.  'text':
 * NET[,mac=M][,ip=A|none]...[,model=M][,inbound=KIB][,outbound=KIB][,antispoof=off].  Without ip= it
 * gets one address of each family that the network has ranges for.  *ret_primary: the first
 * address, canonical, or NULL; may be NULL. */
struct err *net_add_iface(struct cli *, const struct uuid *vm, const char *text,
                          const char **ret_primary) MUST_CHECK;
#define NET_IFACES_MAX 32

/* After a commit that broke a rule of the schema: if addresses or MACs that this line gave out at
 * random or as the first free are now another's, others are taken and *ret is true.
 * ERR_NO_SPACE: there is none left. */
struct err *net_give_again(struct cli *, int attempt, bool *ret) MUST_CHECK;

/* Adds to the change the first free address of the network, or this one, for that interface (both
 * NULL: it is reserved).  *ret: as text. */
struct err *net_give(struct cli *, const struct net_state *, bool v6, const struct uuid *vm,
                     const struct uuid *iface, const char **ret) MUST_CHECK;
struct err *net_give_this(struct cli *, const struct net_state *, const char *text,
                          const struct uuid *vm, const struct uuid *iface,
                          const char **ret) MUST_CHECK;
const char *net_new_mac(struct cli *);
void net_mac_may_change(struct cli *); /* That of the interface just added was made here. */

/* The transaction happens only while the network is not being deleted. */
void net_unless_deleted(struct cli *, const struct uuid *network);

/* "is taken by vm web", or how else. */
const char *net_holder(struct cli *, const char *address);

/* net_list.c */
struct err *network_list(struct cli *, const struct args *) MUST_CHECK;
struct err *network_info(struct cli *, const struct args *) MUST_CHECK;

#endif /* cli/net_i.h */
