/* virt/net.c: see net.h. */
#include "virt/net.h"

#include <libvirt/virterror.h>

#include "base/str.h"
#include "virt/conn_i.h"

static void
net_drop(virNetworkPtr *net)
{
    if (*net) {
        virNetworkFree(*net);
        *net = NULL;
    }
}

static struct err *
net_take(struct virt *v, const struct uuid *row, virNetworkPtr *ret)
{
    CLEANUP(virt_conn_drop) virConnectPtr conn = NULL;
    TRY(virt_conn_take(v, &conn));

    virNetworkPtr net = virNetworkLookupByUUID(conn, row->b);
    if (!net) {
        return virt_last_error(v, "look up a network");
    }
    *ret = net; /* Holds the connection. */
    return NULL;
}

static struct err *
parse_side(struct virt *v, virNetworkPtr net, struct arena *arena, bool live,
           struct virt_network_seen *ret)
{
    CLEANUP(free_drop)
    char *xml = virNetworkGetXMLDesc(net, live ? 0 : VIR_NETWORK_XML_INACTIVE);
    return xml ? virt_network_parse(arena, arena_str(arena, xml), ret)
               : virt_last_error(v, "get the network's XML");
}

static void
leases_free(virNetworkDHCPLeasePtr *leases, int n)
{
    for (int i = 0; i < n; i++) {
        virNetworkDHCPLeaseFree(leases[i]);
    }
    free(leases);
}

/* Byre's networks are libvirt's alone to serve; a driver that knows no leases has none. */
static void
look_leases(virNetworkPtr net, struct virt_net_look *ret)
{
    virNetworkDHCPLeasePtr *leases = NULL;
    int n = virNetworkGetDHCPLeases(net, NULL, &leases, 0);

    n = n > VIRT_MAX_NET_HOSTS ? VIRT_MAX_NET_HOSTS : n;
    if (n > 0) {
        ret->leases = arena_zalloc(&ret->arena, (size_t) n * sizeof *ret->leases);
    }
    for (int i = 0; i < n; i++) {
        const virNetworkDHCPLease *l = leases[i];
        if (l->ipaddr) {
            ret->leases[ret->n_leases++] = (struct virt_net_lease){
                .v6 = l->type == VIR_IP_ADDR_TYPE_IPV6,
                .ip = arena_str(&ret->arena, l->ipaddr),
                .mac = l->mac ? arena_str(&ret->arena, l->mac) : NULL,
                .id = l->clientid ? arena_str(&ret->arena, l->clientid) : NULL,
                .iaid = l->iaid ? arena_str(&ret->arena, l->iaid) : NULL,
            };
        }
    }
    leases_free(leases, n);
}

static struct err *
look(struct virt *v, const struct uuid *row, const char *name, struct virt_net_look *ret)
{
    CLEANUP(net_drop) virNetworkPtr net = NULL;
    CLEANUP(virt_conn_drop) virConnectPtr conn = NULL;
    TRY(virt_conn_take(v, &conn));

    net = virNetworkLookupByUUID(conn, row->b);
    if (!net) {
        net = virNetworkLookupByName(conn, name);
    }
    if (!net) {
        struct err *e = virt_last_error(v, "look up a network");
        if (!err_is(e, ERR_NOT_FOUND)) {
            return e;
        }
        err_free(e);
        return NULL;
    }
    ret->exists = true;
    ret->active = virNetworkIsActive(net) == 1;
    ret->name = arena_str(&ret->arena, virNetworkGetName(net));
    TRY(parse_side(v, net, &ret->arena, false, &ret->file));
    if (ret->active) {
        TRY(parse_side(v, net, &ret->arena, true, &ret->live));
        look_leases(net, ret);
    }
    return NULL;
}

struct err *
virt_net_look(struct virt *v, const struct uuid *row, const char *name,
              struct virt_net_look *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->arena = ARENA_INIT;
    struct err *e = look(v, row, name, ret);
    if (e) {
        virt_net_look_done(ret);
    }
    return e;
}

void
virt_net_look_done(struct virt_net_look *l)
{
    arena_done(&l->arena);
    memset(l, 0, sizeof *l);
    l->arena = ARENA_INIT;
}

struct err *
virt_net_define(struct virt *v, const char *xml)
{
    CLEANUP(virt_conn_drop) virConnectPtr conn = NULL;
    TRY(virt_conn_take(v, &conn));
    CLEANUP(net_drop) virNetworkPtr net = virNetworkDefineXML(conn, xml);
    return net ? NULL : virt_last_error(v, "define the network");
}

struct err *
virt_net_start(struct virt *v, const struct uuid *row)
{
    CLEANUP(net_drop) virNetworkPtr net = NULL;
    TRY(net_take(v, row, &net));
    return virNetworkCreate(net) < 0 ? virt_last_error(v, "start the network") : NULL;
}

struct err *
virt_net_stop(struct virt *v, const struct uuid *row)
{
    CLEANUP(net_drop) virNetworkPtr net = NULL;
    TRY(net_take(v, row, &net));
    return virNetworkDestroy(net) < 0 ? virt_last_error(v, "stop the network") : NULL;
}

struct err *
virt_net_undefine(struct virt *v, const struct uuid *row)
{
    CLEANUP(net_drop) virNetworkPtr net = NULL;
    TRY(net_take(v, row, &net));
    return virNetworkUndefine(net) < 0 ? virt_last_error(v, "undefine the network") : NULL;
}

struct update {
    struct virt *virt;
    virNetworkPtr net;
    int at; /* Which <ip>. */
    unsigned sides;
};

static struct err *
update_host(void *aux, const struct virt_net_host *host, bool add)
{
    const struct update *u = aux;
    CLEANUP(buf_done) struct buf xml = BUF_INIT;

    virt_net_host_xml(host, &xml);
    unsigned command =
        add ? VIR_NETWORK_UPDATE_COMMAND_ADD_LAST : VIR_NETWORK_UPDATE_COMMAND_DELETE;
    return virNetworkUpdate(u->net, command, VIR_NETWORK_SECTION_IP_DHCP_HOST, u->at,
                            buf_cstr(&xml), u->sides) < 0
               ? err_wrap(virt_last_error(u->virt, "change DHCP"), "address %s", host->ip)
               : NULL;
}

/* The two sides apart: one that already has it would refuse it for both. */
static struct err *
hosts_of_side(struct virt *v, virNetworkPtr net, bool live, const struct virt_network *want)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct virt_network_seen seen;
    const struct virt_net_ip *ips[] = { &want->v4, &want->v6 };

    TRY(parse_side(v, net, &arena, live, &seen));
    for (int f = 0; f < 2; f++) {
        if (!ips[f]->address || seen.at[f] < 0) {
            continue; /* That is another definition, and not a matter of hosts. */
        }
        struct update u = { v, net, seen.at[f],
                            live ? VIR_NETWORK_UPDATE_AFFECT_LIVE
                                 : VIR_NETWORK_UPDATE_AFFECT_CONFIG };
        TRY(virt_net_hosts_differ(seen.hosts[f], seen.n_hosts[f], ips[f]->hosts,
                                  want->dhcp ? ips[f]->n_hosts : 0, update_host, &u));
    }
    return NULL;
}

struct err *
virt_net_hosts(struct virt *v, const struct virt_network *want)
{
    CLEANUP(net_drop) virNetworkPtr net = NULL;
    TRY(net_take(v, &want->row, &net));

    if (virNetworkIsActive(net) == 1) {
        TRY(hosts_of_side(v, net, true, want));
    }
    return hosts_of_side(v, net, false, want);
}
