/* net/test_net.c: addresses and ranges. */
#include "net/dhcp.h"
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

static void
check_bytes(const char *what, const struct buf *b, size_t at, const char *hex)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    for (size_t i = 0; i < (strlen(hex) + 1) / 3 && at + i < b->n; i++) {
        buf_printf(&text, i ? " %02x" : "%02x", (uint8_t) b->data[at + i]);
    }
    CHECK_STR(what, buf_cstr(&text), hex);
}

TEST(a_lease_is_given_back)
{
    static const uint8_t mac[NET_MAC_BYTES] = { 0x52, 0, 0, 0, 0, 9 };
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct net_addr address, server;
    struct net_dhcp_id id;

    CHECK("addresses",
          net_addr_parse("10.0.0.5", &address) && net_addr_parse("10.0.0.1", &server));
    CHECK("id", net_dhcp_id_parse("01:52:00:00:00:00:09", &id));
    net_dhcp_release(&b, 0x123456, &address, &server, mac, &id);
    CHECK_INT("as long as BOOTP's", b.n, 300);
    check_bytes("head", &b, 0,
                "01 01 06 00 00 12 34 56 00 00 00 00 0a 00 00 05 00 00 00 00");
    check_bytes("MAC", &b, 28, "52 00 00 00 00 09 00");
    check_bytes("options", &b, 236,
                "63 82 53 63 35 01 07 36 04 0a 00 00 01 3d 07 01 52 00 00 00 00 09 ff 00");
    buf_clear(&b);
    net_dhcp_release(&b, 1, &address, &server, mac, NULL);
    check_bytes("without an id", &b, 236, "63 82 53 63 35 01 07 36 04 0a 00 00 01 ff 00");
}

TEST(a_lease_of_ipv6_is_given_back)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct net_addr address;
    struct net_dhcp_id client, server;

    CHECK("address", net_addr_parse("2001:db8::5", &address));
    CHECK("client", net_dhcp_id_parse("00:03:00:01:52:00:00:00:00:09", &client));
    net_dhcp6_ask(&b, 0xabcdef, &client);
    check_bytes("question", &b, 0,
                "0b ab cd ef 00 01 00 0a 00 03 00 01 52 00 00 00 00 09 00 08 00 02 00 00");

    static const uint8_t reply[] = {
        7, 0xab, 0xcd, 0xef, 0, 1, 0, 1, 9, 0, 2, 0, 3, 0, 4, 5
    };
    CHECK("answer", net_dhcp6_server(reply, sizeof reply, 0xabcdef, &server));
    CHECK_INT("its length", server.n, 3);
    CHECK("another's answer", !net_dhcp6_server(reply, sizeof reply, 1, &server));
    for (size_t n = 0; n < sizeof reply; n++) {
        CHECK("cut", !net_dhcp6_server(reply, n, 0xabcdef, &server));
    }

    buf_clear(&b);
    net_dhcp6_release(&b, 0x010203, &client, &server, 0x09080706, &address);
    check_bytes(
        "release", &b, 0,
        "08 01 02 03 00 01 00 0a 00 03 00 01 52 00 00 00 00 09 00 02 00 03 00 04 05 00 08 00 02 00 00 "
        "00 03 00 28 09 08 07 06 00 00 00 00 00 00 00 00 00 05 00 18 20 01 0d b8 00 00 00 00 00 00 00 "
        "00 00 00 00 05 00 00 00 00 00 00 00 00");
}

TEST(names_of_clients)
{
    static const struct {
        const char *in;
        int n; /* -1: it is none. */
    } cases[] = { { "00", 1 },   { "FF:0a", 2 },  { "", -1 },  { "0", -1 },
                  { "00:", -1 }, { "00-11", -1 }, { "0g", -1 } };
    struct net_dhcp_id id;

    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        int n = net_dhcp_id_parse(cases[i].in, &id) ? (int) id.n : -1;
        CHECK_INT(cases[i].in, n, cases[i].n);
    }
    CLEANUP(buf_done) struct buf longest = BUF_INIT;
    buf_str(&longest, "00");
    for (int i = 1; i < NET_DHCP_MAX_ID_BYTES; i++) {
        buf_str(&longest, ":00");
    }
    CHECK("the longest", net_dhcp_id_parse(buf_cstr(&longest), &id));
    buf_str(&longest, ":00");
    CHECK("too long", !net_dhcp_id_parse(buf_cstr(&longest), &id));
}
