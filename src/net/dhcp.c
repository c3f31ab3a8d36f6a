/* net/dhcp.c: see dhcp.h. */
#include "net/dhcp.h"

/* IPv4: a head of fixed places, then options of code, length, value. */
#define BOOTREQUEST 1
#define ETHERNET 1
#define HEAD_BYTES 236
#define MIN_BYTES 300 /* Of BOOTP; some servers want them. */
#define MAGIC 0x63825363
#define OPTION_TYPE 53
#define OPTION_SERVER 54
#define OPTION_CLIENT_ID 61
#define OPTION_END 255
#define DHCPRELEASE 7

/* IPv6: type, number, then options of code and length in 16 bits each. */
#define REPLY 7
#define RELEASE 8
#define INFORMATION_REQUEST 11
#define OPTION6_CLIENT_ID 1
#define OPTION6_SERVER_ID 2
#define OPTION6_IA_NA 3
#define OPTION6_ADDRESS 5
#define OPTION6_ELAPSED 8
#define ADDRESS_BYTES 16
#define IA_BYTES 12

static int
hex_value(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

bool
net_dhcp_id_parse(const char *text, struct net_dhcp_id *ret)
{
    struct net_dhcp_id id = { .n = 0 };

    for (const char *p = text;; p += 3) {
        int high = hex_value(p[0]), low = high < 0 ? -1 : hex_value(p[1]);
        if (low < 0 || id.n == sizeof id.bytes) {
            return false;
        }
        id.bytes[id.n++] = (uint8_t) (high << 4 | low);
        if (!p[2]) {
            break;
        } else if (p[2] != ':') {
            return false;
        }
    }
    *ret = id;
    return true;
}

static void
put_number(struct buf *b, unsigned __int128 n, size_t n_bytes)
{
    for (size_t i = n_bytes; i-- > 0;) {
        buf_char(b, (char) (uint8_t) (n >> (8 * i)));
    }
}

static void
put_zeros(struct buf *b, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) {
        buf_char(b, 0);
    }
}

static void
put_option(struct buf *b, uint8_t code, const void *value, size_t n_bytes)
{
    put_number(b, code, 1);
    put_number(b, n_bytes, 1);
    buf_add(b, value, n_bytes);
}

void
net_dhcp_release(struct buf *b, uint32_t xid, const struct net_addr *address,
                 const struct net_addr *server, const uint8_t mac[NET_MAC_BYTES],
                 const struct net_dhcp_id *id)
{
    static const uint8_t type = DHCPRELEASE;
    size_t begin = b->n;

    put_number(b, BOOTREQUEST, 1);
    put_number(b, ETHERNET, 1);
    put_number(b, NET_MAC_BYTES, 1);
    put_number(b, 0, 1); /* Hops. */
    put_number(b, xid, 4);
    put_zeros(b, 4); /* Seconds, flags. */
    put_number(b, address->n, 4);
    put_zeros(b, 12); /* Addresses that a server says. */
    buf_add(b, mac, NET_MAC_BYTES);
    put_zeros(b, HEAD_BYTES - (b->n - begin));
    put_number(b, MAGIC, 4);
    put_option(b, OPTION_TYPE, &type, sizeof type);
    put_number(b, OPTION_SERVER, 1);
    put_number(b, 4, 1);
    put_number(b, server->n, 4);
    if (id) {
        put_option(b, OPTION_CLIENT_ID, id->bytes, id->n);
    }
    put_number(b, OPTION_END, 1);
    if (b->n - begin < MIN_BYTES) {
        put_zeros(b, MIN_BYTES - (b->n - begin));
    }
}

static void
put_head6(struct buf *b, uint8_t type, uint32_t xid)
{
    put_number(b, type, 1);
    put_number(b, xid, 3);
}

static void
put_id6(struct buf *b, uint16_t code, const struct net_dhcp_id *id)
{
    put_number(b, code, 2);
    put_number(b, id->n, 2);
    buf_add(b, id->bytes, id->n);
}

static void
put_elapsed6(struct buf *b)
{
    put_number(b, OPTION6_ELAPSED, 2);
    put_number(b, 2, 2);
    put_number(b, 0, 2);
}

void
net_dhcp6_ask(struct buf *b, uint32_t xid, const struct net_dhcp_id *client)
{
    put_head6(b, INFORMATION_REQUEST, xid);
    put_id6(b, OPTION6_CLIENT_ID, client);
    put_elapsed6(b);
}

bool
net_dhcp6_server(const void *reply, size_t n_bytes, uint32_t xid, struct net_dhcp_id *ret)
{
    const uint8_t *p = reply, *end = p + n_bytes;
    xid &= 0xffffff;

    if (n_bytes < 4 || p[0] != REPLY ||
        ((uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3]) != xid) {
        return false;
    }
    for (p += 4; end - p >= 4;) {
        unsigned code = (unsigned) p[0] << 8 | p[1], n = (unsigned) p[2] << 8 | p[3];
        p += 4;
        if (n > (size_t) (end - p)) {
            return false;
        } else if (code == OPTION6_SERVER_ID && n > 0 && n <= sizeof ret->bytes) {
            memcpy(ret->bytes, p, n);
            ret->n = n;
            return true;
        }
        p += n;
    }
    return false;
}

void
net_dhcp6_release(struct buf *b, uint32_t xid, const struct net_dhcp_id *client,
                  const struct net_dhcp_id *server, uint32_t iaid,
                  const struct net_addr *address)
{
    put_head6(b, RELEASE, xid);
    put_id6(b, OPTION6_CLIENT_ID, client);
    put_id6(b, OPTION6_SERVER_ID, server);
    put_elapsed6(b);
    put_number(b, OPTION6_IA_NA, 2);
    put_number(b, IA_BYTES + 4 + ADDRESS_BYTES + 8, 2);
    put_number(b, iaid, 4);
    put_zeros(b, 8); /* Times are the server's. */
    put_number(b, OPTION6_ADDRESS, 2);
    put_number(b, ADDRESS_BYTES + 8, 2);
    put_number(b, address->n, ADDRESS_BYTES);
    put_zeros(b, 8);
}
