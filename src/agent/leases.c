/* agent/leases.c: see leases.h.  The rim: sockets bound to the bridge, so that what is sent to this very
 * host is taken as having come in there. */
#define LOG_MODULE "net"
#include "agent/leases.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/uuid.h"
#include "net/dhcp.h"

#define ANSWER_MS 3000
#define REPLY_MAX_BYTES 2048

bool
leases_are_stale(const struct virt_net_look *look)
{
    for (size_t i = 0; i < look->n_leases; i++) {
        if (!virt_net_lease_holds(&look->live, &look->leases[i])) {
            return true;
        }
    }
    return false;
}

static uint32_t
number(void)
{
    struct uuid random;
    uint32_t n;

    uuid_random(&random);
    memcpy(&n, random.b, sizeof n);
    return n & 0xffffff;
}

static struct err *
socket_on(int family, const char *bridge, int *ret)
{
    struct ifreq r = { .ifr_flags = 0 };

    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", bridge);
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_io(errno, "socket");
    } else if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, &r, sizeof r) < 0) {
        struct err *e = err_io(errno, "bind a socket to %s", bridge);
        close(fd);
        return e;
    }
    *ret = fd;
    return NULL;
}

static struct err *
send_to(int fd, const struct buf *message, const struct sockaddr *to, socklen_t n_bytes)
{
    return sendto(fd, message->data, message->n, 0, to, n_bytes) < 0
               ? err_io(errno, "send to the DHCP server")
               : NULL;
}

static struct err *
release4(const struct virt_network *net, const struct virt_net_lease *lease)
{
    CLEANUP(fd_done) int fd = -1;
    CLEANUP(buf_done) struct buf message = BUF_INIT;
    struct net_addr address, server;
    uint8_t mac[NET_MAC_BYTES];
    struct net_dhcp_id id;

    if (!net->v4.address || !net_addr_parse(net->v4.address, &server) ||
        !net_addr_parse(lease->ip, &address) || address.v6 || !lease->mac ||
        !net_mac_parse(lease->mac, mac)) {
        return err_new(ERR_SYNTAX, "libvirt tells too little of it");
    }
    TRY(socket_on(AF_INET, net->bridge, &fd));
    bool named = lease->id && net_dhcp_id_parse(lease->id, &id);
    net_dhcp_release(&message, number(), &address, &server, mac, named ? &id : NULL);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(NET_DHCP_SERVER_PORT),
                              .sin_addr.s_addr = htonl((uint32_t) server.n) };
    return send_to(fd, &message, (struct sockaddr *) &to, sizeof to);
}

/* A talk with a network's DHCPv6 server; begun with the first lease. */
struct talk6 {
    int fd;      /* -1: not begun. */
    bool failed; /* It is not waited for again. */
    struct sockaddr_in6 to;
    struct net_dhcp_id server;
};

/* The answer to question 'xid' is the server's name. */
static struct err *
hear6(struct talk6 *t, uint32_t xid)
{
    int64_t until_ms = clock_mono_ms() + ANSWER_MS;
    uint8_t reply[REPLY_MAX_BYTES];

    for (int64_t left_ms = ANSWER_MS; left_ms > 0; left_ms = until_ms - clock_mono_ms()) {
        struct pollfd p = { .fd = t->fd, .events = POLLIN };
        ssize_t n =
            poll(&p, 1, (int) left_ms) > 0 ? recv(t->fd, reply, sizeof reply, 0) : 0;
        if (n > 0 && net_dhcp6_server(reply, (size_t) n, xid, &t->server)) {
            return NULL;
        }
    }
    return err_new(ERR_TIMEOUT, "the DHCPv6 server does not answer");
}

static struct err *
begin6(struct talk6 *t, const char *bridge, const struct net_dhcp_id *client)
{
    CLEANUP(buf_done) struct buf message = BUF_INIT;
    struct sockaddr_in6 own = { .sin6_family = AF_INET6,
                                .sin6_port = htons(NET_DHCP6_CLIENT_PORT),
                                .sin6_addr = IN6ADDR_ANY_INIT };
    uint32_t xid = number();
    int yes = 1;

    TRY(socket_on(AF_INET6, bridge, &t->fd));
    t->to = (struct sockaddr_in6){ .sin6_family = AF_INET6,
                                   .sin6_port = htons(NET_DHCP6_SERVER_PORT),
                                   .sin6_scope_id = if_nametoindex(bridge) };
    ASSERT(inet_pton(AF_INET6, NET_DHCP6_SERVERS, &t->to.sin6_addr) == 1);
    if (setsockopt(t->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(t->fd, (struct sockaddr *) &own, sizeof own) < 0) {
        return err_hint(err_io(errno, "bind port %d", NET_DHCP6_CLIENT_PORT),
                        "byre-agentd needs CAP_NET_BIND_SERVICE for that");
    }
    net_dhcp6_ask(&message, xid, client);
    TRY(send_to(t->fd, &message, (struct sockaddr *) &t->to, sizeof t->to));
    return hear6(t, xid);
}

static struct err *
release6(struct talk6 *t, const struct virt_network *net,
         const struct virt_net_lease *lease)
{
    CLEANUP(buf_done) struct buf message = BUF_INIT;
    struct net_addr address;
    struct net_dhcp_id client;
    int64_t iaid;

    if (!net_addr_parse(lease->ip, &address) || !address.v6 || !lease->id ||
        !net_dhcp_id_parse(lease->id, &client) || !lease->iaid ||
        !str_to_i64(lease->iaid, &iaid) || iaid < 0 || iaid > UINT32_MAX) {
        return err_new(ERR_SYNTAX, "libvirt tells too little of it");
    } else if (t->failed) {
        return err_new(ERR_TIMEOUT, "the DHCPv6 server could not be talked to");
    } else if (t->fd < 0) {
        t->failed = true;
        TRY(begin6(t, net->bridge, &client));
        t->failed = false;
    }
    net_dhcp6_release(&message, number(), &client, &t->server, (uint32_t) iaid, &address);
    return send_to(t->fd, &message, (struct sockaddr *) &t->to, sizeof t->to);
}

struct err *
leases_release(struct virt *v, const struct virt_network *net)
{
    CLEANUP(virt_net_look_done) struct virt_net_look look = { .exists = false };
    struct talk6 talk = { .fd = -1 };
    struct err *first = NULL;

    TRY(virt_net_look(v, &net->row, net->name, &look));
    for (size_t i = 0; i < look.n_leases; i++) {
        const struct virt_net_lease *lease = &look.leases[i];
        if (virt_net_lease_holds(&look.live, lease)) {
            continue;
        }
        struct err *e = lease->v6 ? release6(&talk, net, lease) : release4(net, lease);
        if (!e) {
            log_info("%s: %s is free again", net->name, lease->ip);
        } else if (first) {
            err_free(e);
        } else {
            first = err_wrap(e, "the lease of %s stays until it expires", lease->ip);
        }
    }
    fd_done(&talk.fd);
    return first;
}
