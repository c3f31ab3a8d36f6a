/* net/addr.h: IP addresses, subnets and MAC addresses as values.
 *
 * Shape.   An address is a number of 32 or 128 bits, so that ranges can be counted and compared.
 * Text.    Read strictly: the whole text, no zone ("%eth0"), no leading zeros in IPv4.  Written
 *          canonically: inet_ntop(3), which is RFC 5952; MACs in lower case with colons.
 * Errors.  ERR_SYNTAX or ERR_CONSTRAINT with a hint.
 * Source.  RFC 4291, RFC 5952, RFC 6890 (what no host may have), IEEE 802 (MACs). */
#ifndef NET_ADDR_H
#define NET_ADDR_H 1

#include "base/base.h"

#define NET_ADDR_CHARS 45 /* The longest text of an address. */
#define NET_MAC_CHARS 17
#define NET_MAC_BYTES 6

struct net_addr {
    bool v6;
    unsigned __int128 n; /* In IPv4 below 2^32. */
};

bool net_addr_parse(const char *text, struct net_addr *ret);
void net_addr_format(const struct net_addr *, char out[NET_ADDR_CHARS + 1]);
/* For printf; lives to the end of the enclosing block. */
#define NET_ADDR_TEXT(addr) (net_addr_text_(addr, (char[NET_ADDR_CHARS + 1]){ 0 }))
const char *net_addr_text_(const struct net_addr *, char *);
int net_addr_cmp(const struct net_addr *, const struct net_addr *); /* IPv4 first. */
/* Can it be the address of one host?  Not 0.0.0.0, loopback, multicast, link-local. */
bool net_addr_is_host(const struct net_addr *);

/* An address with its prefix length: "10.0.0.1/24". */
struct net_cidr {
    struct net_addr addr; /* As it was written: host bits are kept. */
    int prefix;
};
bool net_cidr_parse(const char *text, struct net_cidr *ret);
struct net_addr net_cidr_first(const struct net_cidr *); /* All host bits 0. */
struct net_addr net_cidr_last(const struct net_cidr *);  /* All host bits 1. */
bool net_cidr_has(const struct net_cidr *, const struct net_addr *);

/* A column "subnet" or "subnet6" with its gateway.  'gateway' NULL: the first address behind the
 * subnet's own.  'what' names the column in messages. */
struct err *net_subnet(const char *what, const char *subnet, const char *gateway, bool v6,
                       struct net_cidr *ret_subnet,
                       struct net_addr *ret_gateway) MUST_CHECK;

bool net_mac_parse(const char *text, uint8_t ret[NET_MAC_BYTES]); /* One host's. */
void net_mac_format(const uint8_t mac[NET_MAC_BYTES], char out[NET_MAC_CHARS + 1]);
/* Locally administered, unicast, at random; never of the range that libvirt draws from. */
void net_mac_random(uint8_t ret[NET_MAC_BYTES]);

#endif /* net/addr.h */
