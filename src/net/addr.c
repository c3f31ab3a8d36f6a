/* net/addr.c: see addr.h. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"

/* First byte of the MACs made here: locally administered, unicast.  40 random bits follow: among
 * 100,000 of them two are equal with a chance of 0.5 %, and then the index refuses the second. */
#define MAC_FIRST 0x52
#define LIBVIRTS_SECOND 0x54 /* libvirt's own begin 52:54:00. */

static int
bits_of(bool v6)
{
    return v6 ? 128 : 32;
}

bool
net_addr_parse(const char *text, struct net_addr *ret)
{
    uint8_t bytes[16];
    bool v6 = strchr(text, ':') != NULL;

    if (inet_pton(v6 ? AF_INET6 : AF_INET, text, bytes) != 1) {
        return false;
    }
    struct net_addr addr = { .v6 = v6 };
    for (int i = 0; i < bits_of(v6) / 8; i++) {
        addr.n = addr.n << 8 | bytes[i];
    }
    *ret = addr;
    return true;
}

void
net_addr_format(const struct net_addr *addr, char out[NET_ADDR_CHARS + 1])
{
    uint8_t bytes[16];
    int n = bits_of(addr->v6) / 8;

    for (int i = 0; i < n; i++) {
        bytes[i] = (uint8_t) (addr->n >> (8 * (n - 1 - i)));
    }
    ASSERT(inet_ntop(addr->v6 ? AF_INET6 : AF_INET, bytes, out, NET_ADDR_CHARS + 1));
}

const char *
net_addr_text_(const struct net_addr *addr, char *out)
{
    net_addr_format(addr, out);
    return out;
}

int
net_addr_cmp(const struct net_addr *a, const struct net_addr *b)
{
    if (a->v6 != b->v6) {
        return a->v6 ? 1 : -1;
    }
    return a->n < b->n ? -1 : a->n > b->n;
}

bool
net_addr_is_host(const struct net_addr *addr)
{
    /* What RFC 6890 keeps from being a host's address on a network. */
    static const char *const never[] = { "0.0.0.0/8",   "127.0.0.0/8",  "169.254.0.0/16",
                                         "224.0.0.0/3", "::/127",       "fe80::/10",
                                         "ff00::/8",    "::ffff:0:0/96" };
    for (size_t i = 0; i < N_ELEMS(never); i++) {
        struct net_cidr net;
        ASSERT(net_cidr_parse(never[i], &net));
        if (net_cidr_has(&net, addr)) {
            return false;
        }
    }
    return true;
}

bool
net_cidr_parse(const char *text, struct net_cidr *ret)
{
    const char *slash = strchr(text, '/');
    char address[NET_ADDR_CHARS + 1];
    int64_t prefix;

    if (!slash || slash - text > NET_ADDR_CHARS) {
        return false;
    }
    memcpy(address, text, (size_t) (slash - text));
    address[slash - text] = '\0';
    struct net_cidr c;
    if (!net_addr_parse(address, &c.addr) || !str_to_i64(slash + 1, &prefix) ||
        prefix < 0 || prefix > bits_of(c.addr.v6)) {
        return false;
    }
    c.prefix = (int) prefix;
    *ret = c;
    return true;
}

static unsigned __int128
host_mask(const struct net_cidr *c)
{
    int n = bits_of(c->addr.v6) - c->prefix;
    return n == 128 ? ~(unsigned __int128) 0 : ((unsigned __int128) 1 << n) - 1;
}

struct net_addr
net_cidr_first(const struct net_cidr *c)
{
    return (struct net_addr){ c->addr.v6, c->addr.n & ~host_mask(c) };
}

struct net_addr
net_cidr_last(const struct net_cidr *c)
{
    return (struct net_addr){ c->addr.v6, c->addr.n | host_mask(c) };
}

bool
net_cidr_has(const struct net_cidr *c, const struct net_addr *addr)
{
    return c->addr.v6 == addr->v6 && ((c->addr.n ^ addr->n) & ~host_mask(c)) == 0;
}

struct err *
net_subnet(const char *what, const char *subnet, const char *gateway, bool v6,
           struct net_cidr *ret_subnet, struct net_addr *ret_gateway)
{
    const char *example = v6 ? "2001:db8:1::/64" : "192.168.100.0/24";
    int widest = bits_of(v6) - 2; /* Room for two hosts at least. */
    struct net_cidr c;

    if (!net_cidr_parse(subnet, &c) || c.addr.v6 != v6) {
        return err_hint(
            err_new(ERR_SYNTAX, "%s '%s' is no IPv%d subnet", what, subnet, v6 ? 6 : 4),
            "write it as %s", example);
    } else if (c.prefix < 8 || c.prefix > widest) {
        return err_hint(err_new(ERR_CONSTRAINT, "%s %s has a prefix of %d bits", what,
                                subnet, c.prefix),
                        "8 to %d, as in %s", widest, example);
    }
    struct net_addr own = net_cidr_first(&c), last = net_cidr_last(&c);
    struct net_addr router = { v6, own.n + 1 };
    if (gateway && (!net_addr_parse(gateway, &router) || !net_cidr_has(&c, &router) ||
                    router.n == own.n || (!v6 && router.n == last.n))) {
        return err_hint(err_new(ERR_CONSTRAINT, "gateway '%s' is no host's address in %s",
                                gateway, subnet),
                        "%s is one", NET_ADDR_TEXT(&((struct net_addr){ v6, own.n + 1 })));
    } else if (!net_addr_is_host(&router)) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "%s %s is not for hosts of a network", what, subnet),
            "take a private one, as %s", example);
    }
    c.addr = own;
    *ret_subnet = c;
    *ret_gateway = router;
    return NULL;
}

bool
net_mac_parse(const char *text, uint8_t ret[NET_MAC_BYTES])
{
    uint8_t mac[NET_MAC_BYTES];
    uint8_t any = 0;

    if (strlen(text) != NET_MAC_CHARS) {
        return false;
    }
    for (int i = 0; i < NET_MAC_BYTES; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *at = text + 3 * i;
        const char *high = strchr(digits, at[0] | 0x20),
                   *low = strchr(digits, at[1] | 0x20);
        if (!high || !low || !*high || !*low || (i < NET_MAC_BYTES - 1 && at[2] != ':')) {
            return false;
        }
        mac[i] = (uint8_t) ((high - digits) << 4 | (low - digits));
        any |= mac[i];
    }
    if (any == 0 || (mac[0] & 1)) { /* Nobody's, or a group's. */
        return false;
    }
    memcpy(ret, mac, sizeof mac);
    return true;
}

void
net_mac_format(const uint8_t m[NET_MAC_BYTES], char out[NET_MAC_CHARS + 1])
{
    snprintf(out, NET_MAC_CHARS + 1, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
             m[3], m[4], m[5]);
}

void
net_mac_random(uint8_t ret[NET_MAC_BYTES])
{
    struct uuid random;

    do {
        uuid_random(&random);
        memcpy(ret, random.b,
               NET_MAC_BYTES); /* Of a version 4 UUID these bytes are random. */
        ret[0] = MAC_FIRST;
    } while (ret[1] == LIBVIRTS_SECOND);
}
