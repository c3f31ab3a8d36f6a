/* model/network.c: see network.h. */
#include "model/network.h"

#include <stdio.h>

#include "base/str.h"
#include "base/vec.h"
#include "model/vm.h"
#include "net/addr.h"

#define MAX_HOST_CHARS 63 /* A label of DNS. */

void
model_network_done(struct model_network *m)
{
    arena_done(&m->arena);
    memset(m, 0, sizeof *m);
    m->arena = ARENA_INIT;
}

void
model_network_bridge(const struct row_network *row, char ret[MODEL_BRIDGE_CHARS + 1])
{
    const char *uuid = UUID_TEXT(&row->base.uuid);

    if (row->bridge && *row->bridge) {
        snprintf(ret, MODEL_BRIDGE_CHARS + 1, "%s", row->bridge);
    } else if (str_eq(row->type, "bridge")) {
        snprintf(ret, MODEL_BRIDGE_CHARS + 1, "%s", row->name);
    } else if (strlen(row->name) + strlen("br-") <= MODEL_BRIDGE_CHARS) {
        snprintf(ret, MODEL_BRIDGE_CHARS + 1, "br-%s", row->name);
    } else {
        snprintf(ret, MODEL_BRIDGE_CHARS + 1, "br-%.8s", uuid);
    }
}

const struct row_hostnode_network *
model_network_on(const struct row_network *network, const struct uuid *hostnode)
{
    const struct replica *replica = network->base.table->replica;

    ROW_FOR_EACH_OF (struct row_hostnode_network, row, row_hostnode_network_table(replica),
                     ROW_HOSTNODE_NETWORK_NETWORK, &network->base.uuid) {
        if (uuid_eq(&row->hostnode, hostnode)) {
            return row;
        }
    }
    return NULL;
}

/* An address that no one could read comes last. */
static int
by_address(const void *a, const void *b)
{
    const char *a_text = *(const char *const *) a;
    const char *b_text = *(const char *const *) b;
    struct net_addr x, y;
    bool x_fits = net_addr_parse(a_text, &x);
    bool y_fits = net_addr_parse(b_text, &y);

    return x_fits && y_fits   ? net_addr_cmp(&x, &y)
           : x_fits != y_fits ? y_fits - x_fits
                              : strcmp(a_text, b_text);
}

static int
by_mac(const void *a, const void *b)
{
    return strcmp((*(const struct row_iface *const *) a)->mac,
                  (*(const struct row_iface *const *) b)->mac);
}

size_t
model_vm_ifaces(const struct row_vm *vm, const struct row_iface **ret, size_t max)
{
    const struct replica *replica = vm->base.table->replica;
    size_t n = 0;

    ROW_FOR_EACH_OF (struct row_iface, iface, row_iface_table(replica), ROW_IFACE_VM,
                     &vm->base.uuid) {
        if (n < max) {
            ret[n] = iface;
        }
        n++;
    }
    qsort(ret, n < max ? n : max, sizeof *ret, by_mac);
    return n;
}

const char *const *
model_iface_addresses(const struct row_iface *iface, struct arena *arena)
{
    const struct replica *replica = iface->base.table->replica;
    const char *found[VIRT_MAX_GUARD_ADDRESSES];
    size_t n = 0;

    ROW_FOR_EACH_OF (struct row_ip, ip, row_ip_table(replica), ROW_IP_IFACE,
                     &iface->base.uuid) {
        if (n < N_ELEMS(found)) {
            found[n++] = arena_str(arena, ip->address);
        }
    }
    const char **list = arena_zalloc(arena, (n + 1) * sizeof *list);
    if (n) {
        memcpy(list, found, n * sizeof *list);
        qsort(list, n, sizeof *list, by_address);
    }
    return list;
}

/* Which address of the interface DHCP gives out. */
struct lease {
    const struct row_iface *iface;
    const struct row_vm *vm;
    struct net_addr addr;
    bool primary;
};

static int
lease_cmp(const struct lease *a, const struct lease *b)
{
    int order = uuid_cmp(&a->iface->vm, &b->iface->vm);
    order = order ? order : strcmp(a->iface->mac, b->iface->mac);
    order = order ? order : b->primary - a->primary;
    return order ? order : net_addr_cmp(&a->addr, &b->addr);
}

static int
by_lease(const void *a, const void *b)
{
    return lease_cmp(a, b);
}

/* A machine's name, if it is a label of DNS; names of machines are unique already. */
static const char *
host_name(struct arena *arena, const struct row_vm *vm)
{
    size_t n = vm ? strspn(vm->name, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;
    bool fits = n && n <= MAX_HOST_CHARS && !vm->name[n] && vm->name[0] != '-' &&
                vm->name[n - 1] != '-';

    return fits ? arena_str(arena, vm->name) : NULL;
}

/* libvirt has dnsmasq serve DHCPv6 only if there is a host when the network starts, and those that come later
 * do not change that: so there is always one, which is no machine (DUID-UUID of RFC 6355). */
static struct virt_net_host
nobody(struct model_network *m)
{
    CLEANUP(buf_done) struct buf id = BUF_INIT;

    buf_str(&id, "00:04");
    for (size_t i = 0; i < sizeof m->net.row.b; i++) {
        buf_printf(&id, ":%02x", m->net.row.b[i]);
    }
    return (struct virt_net_host){ .id = arena_str(&m->arena, buf_cstr(&id)),
                                   .ip = arena_str(&m->arena, m->net.v6.address) };
}

/* The hosts of one family: the first lease of each interface. */
static void
put_hosts(struct model_network *m, struct lease *leases, size_t n, bool v6,
          struct virt_net_ip *ip)
{
    struct virt_net_host *hosts = arena_zalloc(&m->arena, (n + 2) * sizeof *hosts);
    const struct row_iface *last = NULL;
    const struct row_vm *named = NULL;
    size_t n_hosts = 0;

    for (size_t i = 0; i < n; i++) {
        const struct lease *lease = &leases[i];
        if (lease->addr.v6 != v6 || lease->iface == last) {
            continue;
        }
        last = lease->iface;
        struct virt_net_host *host = &hosts[n_hosts];
        *host = (struct virt_net_host){
            .name = lease->vm == named ? NULL : host_name(&m->arena, lease->vm),
            .ip = arena_str(&m->arena, NET_ADDR_TEXT(&lease->addr)),
        };
        if (v6) { /* DUID-LL of Ethernet, RFC 8415 11.4: libvirt takes no MAC in IPv6. */
            host->id = arena_printf(&m->arena, "00:03:00:01:%s", lease->iface->mac);
        } else {
            host->mac = arena_str(&m->arena, lease->iface->mac);
        }
        named = lease->vm;
        n_hosts++;
    }
    if (v6 && m->net.dhcp && ip->address) {
        hosts[n_hosts++] = nobody(m);
    }
    virt_net_hosts_sort(hosts, n_hosts);
    ip->hosts = hosts;
    ip->n_hosts = n_hosts;
}

static void
hosts_from(const struct row_network *row, struct model_network *m,
           const struct net_cidr *subnets)
{
    const struct replica *replica = row->base.table->replica;
    VEC(struct lease) leases = VEC_INIT;

    ROW_FOR_EACH (struct row_ip, ip, row_ip_table(replica)) {
        const struct row_iface *iface = row_ip_get_iface(ip);
        struct net_addr addr;
        uint8_t mac[NET_MAC_BYTES];
        if (!iface || !uuid_eq(&iface->network, &row->base.uuid) ||
            !net_addr_parse(ip->address, &addr) || !net_mac_parse(iface->mac, mac) ||
            !net_cidr_has(&subnets[addr.v6], &addr)) {
            continue; /* dnsmasq serves its own subnet alone. */
        }
        const struct row_vm *vm = row_iface_get_vm(iface);
        *VEC_ADD(&leases) =
            (struct lease){ iface, vm, addr, vm && str_eq(vm->ip, ip->address) };
    }
    if (leases.n) {
        qsort(leases.v, leases.n, sizeof *leases.v, by_lease);
    }
    put_hosts(m, leases.v, leases.n, false, &m->net.v4);
    put_hosts(m, leases.v, leases.n, true, &m->net.v6);
    VEC_DONE(&leases);
}

static struct err *
side_from(struct model_network *m, const char *what, const char *subnet,
          const char *gateway, bool v6, struct net_cidr *cidr, struct virt_net_ip *ret)
{
    struct net_addr own;

    if (!subnet || !*subnet) {
        cidr->prefix = v6 ? 128 : 32; /* Holds nobody. */
        return NULL;
    }
    TRY(net_subnet(what, subnet, gateway && *gateway ? gateway : NULL, v6, cidr, &own));
    ret->address = arena_str(&m->arena, NET_ADDR_TEXT(&own));
    ret->prefix = cidr->prefix;
    return NULL;
}

static struct err *
dns_from(const struct row_network *row, struct model_network *m)
{
    const char **dns = arena_zalloc(&m->arena, (row->dns.n + 1) * sizeof *dns);

    for (uint32_t i = 0; i < row->dns.n; i++) {
        struct net_addr addr;
        dns[i] = arena_str(&m->arena, row->dns.v[i].string->s);
        if (!net_addr_parse(dns[i], &addr)) {
            return err_hint(
                err_new(ERR_SYNTAX, "name server '%s' is no IP address", dns[i]),
                "as 9.9.9.9");
        }
    }
    m->net.dns = dns;
    return NULL;
}

static struct err *
build(const struct row_network *row, struct model_network *m)
{
    char bridge[MODEL_BRIDGE_CHARS + 1];
    struct net_cidr subnets[2] = { { .addr.v6 = false }, { .addr.v6 = true } };

    model_network_bridge(row, bridge);
    m->is_bridge = str_eq(row->type, "bridge");
    m->bridge = arena_str(&m->arena, bridge);
    m->nic = row->nic && *row->nic ? arena_str(&m->arena, row->nic) : NULL;
    m->vlan = row->vlan.v;
    m->net = (struct virt_network){ .name = arena_str(&m->arena, row->name),
                                    .row = row->base.uuid,
                                    .forward = arena_str(&m->arena, row->type),
                                    .bridge = m->bridge,
                                    .dhcp = row->dhcp,
                                    .mtu = row->mtu.v };
    if (m->is_bridge) {
        return NULL;
    }
    TRY(side_from(m, "subnet", row->subnet, row->gateway, false, &subnets[0], &m->net.v4));
    TRY(side_from(m, "subnet6", row->subnet6, row->gateway6, true, &subnets[1],
                  &m->net.v6));
    TRY(dns_from(row, m));
    hosts_from(row, m, subnets);
    return virt_network_check(&m->net);
}

struct err *
model_network(const struct row_network *row, struct model_network *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->arena = ARENA_INIT;
    struct err *e = build(row, ret);
    if (e) {
        model_network_done(ret);
    }
    return e;
}
