/* net/test_net.c: addresses and ranges. */
#include "net/range.h"

#include <stdio.h>

#include "base/err.h"
#include "base/str.h"
#include "test.h"

TEST(addresses_have_one_text)
{
    static const struct {
        const char *in, *out; /* NULL: it is none. */
    } cases[] = {
        { "10.0.0.1", "10.0.0.1" },
        { "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
        { "::", "::" },
        { "fe80::1%eth0", NULL },
        { "10.0.0.01", NULL },
        { "10.0.0", NULL },
        { "10.0.0.256", NULL },
        { " 10.0.0.1", NULL },
        { "", NULL },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct net_addr a;
        bool ok = net_addr_parse(cases[i].in, &a);
        CHECK_STR(cases[i].in, ok ? NET_ADDR_TEXT(&a) : NULL, cases[i].out);
    }
}

TEST(subnets)
{
    static const struct {
        const char *subnet, *gateway;
        bool v6;
        const char *want; /* "FIRST LAST GATEWAY", or "! text". */
    } cases[] = {
        { "192.168.7.0/24", NULL, false, "192.168.7.0 192.168.7.255 192.168.7.1" },
        { "192.168.7.99/24", "192.168.7.254", false,
          "192.168.7.0 192.168.7.255 192.168.7.254" },
        { "2001:db8:1::/64", NULL, true,
          "2001:db8:1:: 2001:db8:1:0:ffff:ffff:ffff:ffff 2001:db8:1::1" },
        { "10.0.0.0/30", "10.0.0.3", false,
          "! constraint: gateway '10.0.0.3' is no host's address in 10.0.0.0/30" },
        { "10.0.0.0/24", "10.0.1.1", false,
          "! constraint: gateway '10.0.1.1' is no host's address in 10.0.0.0/24" },
        { "10.0.0.0/31", NULL, false,
          "! constraint: subnet 10.0.0.0/31 has a prefix of 31 bits" },
        { "10.0.0.0", NULL, false, "! syntax: subnet '10.0.0.0' is no IPv4 subnet" },
        { "10.0.0.0/24", NULL, true, "! syntax: subnet '10.0.0.0/24' is no IPv6 subnet" },
        { "10.0.0.0/33", NULL, false, "! syntax: subnet '10.0.0.0/33' is no IPv4 subnet" },
        { "127.0.0.0/24", NULL, false,
          "! constraint: subnet 127.0.0.0/24 is not for hosts of a network" },
        { "fe80::/64", NULL, true,
          "! constraint: subnet fe80::/64 is not for hosts of a network" },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct net_cidr c;
        struct net_addr gateway;
        char got[256];
        CLEANUP(err_drop)
        struct err *e = net_subnet("subnet", cases[i].subnet, cases[i].gateway, cases[i].v6,
                                   &c, &gateway);
        if (e) {
            snprintf(got, sizeof got, "! %s", err_brief(e));
        } else {
            struct net_addr first = net_cidr_first(&c), last = net_cidr_last(&c);
            snprintf(got, sizeof got, "%s %s %s", NET_ADDR_TEXT(&first),
                     NET_ADDR_TEXT(&last), NET_ADDR_TEXT(&gateway));
        }
        CHECK_STR(cases[i].subnet, got, cases[i].want);
    }
}

/* 'taken' as "A A A": sorted here. */
static size_t
addrs(const char *text, struct net_addr *v)
{
    CLEANUP(strvec_done) struct strvec words = STRVEC_INIT;
    strvec_split(&words, text, " ");
    for (size_t i = 0; i < words.n; i++) {
        ASSERT(net_addr_parse(words.v[i], &v[i]));
    }
    net_addrs_sort(v, words.n);
    return words.n;
}

TEST(free_addresses)
{
    static const struct {
        const char *first, *last, *taken;
        uint64_t skip;
        const char *want; /* "SIZE USED PICKED" */
    } cases[] = {
        { "10.0.0.10", "10.0.0.12", "", 0, "3 0 10.0.0.10" },
        { "10.0.0.10", "10.0.0.12", "10.0.0.10", 0, "3 1 10.0.0.11" },
        { "10.0.0.10", "10.0.0.12", "10.0.0.11", 1, "3 1 10.0.0.12" },
        { "10.0.0.10", "10.0.0.12", "10.0.0.11 10.0.0.11 10.0.0.9 10.0.0.13 2001:db8::a", 1,
          "3 1 10.0.0.12" },
        { "10.0.0.10", "10.0.0.12", "10.0.0.12 10.0.0.10 10.0.0.11", 0, "3 3 none" },
        { "10.0.0.10", "10.0.0.12", "10.0.0.12", 2, "3 1 none" },
        { "10.0.0.10", "10.0.0.10", "", 0, "1 0 10.0.0.10" },
        { "10.0.0.10", "10.0.0.10", "10.0.0.10", 0, "1 1 none" },
        { "255.255.255.254", "255.255.255.255", "255.255.255.254", 0,
          "2 1 255.255.255.255" },
        { "255.255.255.254", "255.255.255.255", "255.255.255.255 255.255.255.254", 0,
          "2 2 none" },
        { "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::", 0,
          "18446744073709551615 1 ::1" },
        { "2001:db8::", "2001:db8::ffff:ffff", "2001:db8::", 0x10000,
          "4294967296 1 2001:db8::1:1" },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct net_range r;
        struct net_addr taken[8], picked;
        char got[128];
        size_t n = addrs(cases[i].taken, taken);
        CHECK_OK(cases[i].first, net_range_parse(cases[i].first, cases[i].last, &r));
        bool ok = net_range_pick(&r, taken, n, cases[i].skip, &picked);
        snprintf(got, sizeof got, "%" PRIu64 " %" PRIu64 " %s", net_range_size(&r),
                 net_range_used(&r, taken, n), ok ? NET_ADDR_TEXT(&picked) : "none");
        CHECK_STR(cases[i].taken, got, cases[i].want);
    }
}

TEST(ranges_the_wrong_way)
{
    struct net_range r, other;
    CHECK_BRIEF("backwards", net_range_parse("10.0.0.2", "10.0.0.1", &r),
                "constraint: 10.0.0.2 is behind 10.0.0.1");
    CHECK_BRIEF("mixed", net_range_parse("10.0.0.2", "::1", &r),
                "constraint: 10.0.0.2 and ::1 are of two families");
    CHECK_BRIEF("none", net_range_parse("10.0.0.2", "x", &r),
                "syntax: 'x' is no IP address");
    CHECK_OK("one", net_range_parse("10.0.0.1", "10.0.0.9", &r));
    CHECK_OK("other", net_range_parse("10.0.0.9", "10.0.0.10", &other));
    CHECK("they share .9", net_range_meets(&r, &other));
    CHECK_OK("apart", net_range_parse("10.0.0.10", "10.0.0.10", &other));
    CHECK("they do not meet", !net_range_meets(&r, &other));
}

TEST(macs)
{
    uint8_t mac[NET_MAC_BYTES];
    char text[NET_MAC_CHARS + 1];

    CHECK("capitals", net_mac_parse("52:AB:00:00:00:0f", mac));
    net_mac_format(mac, text);
    CHECK_STR("lower case", text, "52:ab:00:00:00:0f");
    CHECK("a group's", !net_mac_parse("53:ab:00:00:00:0f", mac));
    CHECK("nobody's", !net_mac_parse("00:00:00:00:00:00", mac));
    CHECK("dashes", !net_mac_parse("52-ab-00-00-00-0f", mac));
    CHECK("short", !net_mac_parse("52:ab:00:00:00", mac));
    CHECK("no digit", !net_mac_parse("52:ab:00:00:00:0g", mac));
    for (int i = 0; i < 2000; i++) {
        net_mac_random(mac);
        CHECK("local, one host's, not libvirt's", (mac[0] & 3) == 2 && mac[1] != 0x54);
    }
}
