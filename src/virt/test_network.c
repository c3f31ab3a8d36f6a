/* virt/test_network.c: networks and guards as XML, and back. */
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "test.h"
#include "virt/network.h"
#include "xml/writer.h"

static struct uuid
row(void)
{
    struct uuid uuid;
    ASSERT(uuid_parse("aa000000-0000-4000-8000-000000000001", &uuid));
    return uuid;
}

static struct virt_net_host hosts4[] = {
    { .mac = "52:00:00:00:00:02", .ip = "10.0.0.11" },
    { .mac = "52:00:00:00:00:01", .name = "web", .ip = "10.0.0.10" },
};
static struct virt_net_host hosts6[] = {
    { .id = "00:03:00:01:52:00:00:00:00:01", .name = "web", .ip = "2001:db8::10" },
};

static struct virt_network
lan(void)
{
    static const char *const dns[] = { "9.9.9.9", NULL };
    virt_net_hosts_sort(hosts4, N_ELEMS(hosts4));
    return (struct virt_network){ .name = "lan",
                                  .row = row(),
                                  .forward = "nat",
                                  .bridge = "br-lan",
                                  .dhcp = true,
                                  .mtu = 1400,
                                  .dns = dns,
                                  .v4 = { "10.0.0.1", 24, hosts4, 2 },
                                  .v6 = { "2001:db8::1", 64, hosts6, 1 } };
}

static const char lan_xml[] =
    "<network ipv6='yes'>\n"
    "  <name>lan</name>\n"
    "  <uuid>aa000000-0000-4000-8000-000000000001</uuid>\n"
    "  <metadata>\n"
    "    <byre:network xmlns:byre='urn:byre:network:1' "
    "row='aa000000-0000-4000-8000-000000000001' print='%s'/>\n"
    "  </metadata>\n"
    "  <forward mode='nat'>\n"
    "    <nat ipv6='yes'/>\n"
    "  </forward>\n"
    "  <bridge name='br-lan' stp='off' delay='0'/>\n"
    "  <mtu size='1400'/>\n"
    "  <dns>\n"
    "    <forwarder addr='9.9.9.9'/>\n"
    "  </dns>\n"
    "  <ip family='ipv4' address='10.0.0.1' prefix='24'>\n"
    "    <dhcp>\n"
    "      <host mac='52:00:00:00:00:01' name='web' ip='10.0.0.10'/>\n"
    "      <host mac='52:00:00:00:00:02' ip='10.0.0.11'/>\n"
    "    </dhcp>\n"
    "  </ip>\n"
    "  <ip family='ipv6' address='2001:db8::1' prefix='64'>\n"
    "    <dhcp>\n"
    "      <host id='00:03:00:01:52:00:00:00:00:01' name='web' ip='2001:db8::10'/>\n"
    "    </dhcp>\n"
    "  </ip>\n"
    "</network>\n";

TEST(a_network_as_xml_and_back)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct virt_network n = lan();
    struct virt_network_seen seen;
    char print[VIRT_PRINT_CHARS + 1];

    CHECK_OK("it is a good one", virt_network_check(&n));
    virt_network_print(&n, print);
    virt_network_xml(&n, &xml);
    CLEANUP(free_drop) char *want = str_dupf(lan_xml, print);
    CHECK_STR("text", buf_cstr(&xml), want);

    CHECK_OK("parse", virt_network_parse(&arena, buf_cstr(&xml), &seen));
    struct uuid its = row();
    CHECK("ours", seen.marked && uuid_eq(&seen.mark.row, &its));
    CHECK_STR("print", seen.mark.print, print);
    CHECK_STR("bridge", seen.bridge, "br-lan");
    CHECK_INT("IPv4 hosts", seen.n_hosts[0], 2);
    CHECK_INT("IPv6 hosts", seen.n_hosts[1], 1);
    CHECK_STR("id", seen.hosts[1][0].id, hosts6[0].id);
    CHECK_INT("the IPv6 side is the second", seen.at[1], 1);
}

TEST(hosts_are_no_part_of_the_fingerprint)
{
    struct virt_network n = lan();
    char one[VIRT_PRINT_CHARS + 1], other[VIRT_PRINT_CHARS + 1];

    virt_network_print(&n, one);
    n.v4.n_hosts = 1;
    virt_network_print(&n, other);
    CHECK_STR("a host less", other, one);
    n.v4.prefix = 25;
    virt_network_print(&n, other);
    CHECK("another prefix", !str_eq(one, other));
    n = lan();
    n.dhcp = false;
    virt_network_print(&n, other);
    CHECK("without DHCP", !str_eq(one, other));
}

TEST(strangers)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct virt_network_seen seen;

    CHECK_OK("libvirt's own", virt_network_parse(&arena,
                                                 "<network><name>default</name>"
                                                 "<bridge name='virbr0'/></network>",
                                                 &seen));
    CHECK("not ours", !seen.marked);
    CHECK_STR("bridge", seen.bridge, "virbr0");
    CHECK_INT("no addresses", seen.at[0], -1);
    CHECK_ERR("no XML", virt_network_parse(&arena, "<network", &seen), ERR_SYNTAX);
}

TEST(networks_that_cannot_be)
{
    static const struct {
        const char *bridge, *address, *want;
    } cases[] = {
        { "br-lan", NULL, "constraint: a network of type nat needs a subnet" },
        { "a-bridge-too-long", "10.0.0.1",
          "constraint: bridge 'a-bridge-too-long' is no name of an interface" },
        { "../br", "10.0.0.1", "constraint: bridge '../br' is no name of an interface" },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct virt_network n = { .name = "lan",
                                  .forward = "nat",
                                  .bridge = cases[i].bridge,
                                  .v4 = { .address = cases[i].address, .prefix = 24 } };
        CHECK_BRIEF(cases[i].bridge, virt_network_check(&n), cases[i].want);
    }
}

static struct err *
note(void *aux, const struct virt_net_host *host, bool add)
{
    buf_printf(aux, "%c%s ", add ? '+' : '-', host->ip);
    return NULL;
}

TEST(what_changes_of_the_hosts)
{
    static const struct {
        const char *is, *should, *want; /* "MAC=IP ..." */
    } cases[] = {
        { "", "1=a 2=b", "+a +b " },
        { "1=a 2=b", "1=a 2=b", "" },
        { "1=a 2=b 3=c", "1=a 3=c", "-b " },
        { "1=a", "2=a", "-a +a " }, /* What goes goes first. */
        { "1=a 2=b", "", "-a -b " },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(buf_done) struct buf got = BUF_INIT;
        struct virt_net_host v[2][4];
        size_t n[2];
        struct strvec words[2] = { STRVEC_INIT, STRVEC_INIT };
        for (int side = 0; side < 2; side++) {
            strvec_split(&words[side], side ? cases[i].should : cases[i].is, " ");
            n[side] = words[side].n;
            for (size_t k = 0; k < n[side]; k++) {
                char *equals = strchr(words[side].v[k], '=');
                *equals = '\0';
                v[side][k] =
                    (struct virt_net_host){ .mac = words[side].v[k], .ip = equals + 1 };
            }
        }
        CHECK_OK(cases[i].is, virt_net_hosts_differ(v[0], n[0], v[1], n[1], note, &got));
        CHECK_STR(cases[i].should, buf_cstr(&got), cases[i].want);
        strvec_done(&words[0]);
        strvec_done(&words[1]);
    }
}

TEST(guards)
{
    static const char *const both[] = { "10.0.0.10", "10.0.0.11", "2001:db8::10", NULL };
    static const char *const only6[] = { "2001:db8::10", NULL };
    static const char *const none[] = { NULL };
    static const struct {
        const char *why;
        struct virt_guard guard;
        const char *want;
    } cases[] = {
        { "off", { false, both }, "" },
        { "no addresses", { true, none }, "<filterref filter='byre-mac-1'/>\n" },
        { "a family without one",
          { true, only6 },
          "<filterref filter='byre-clean-1'>\n"
          "  <parameter name='IPV6' value='2001:db8::10'/>\n"
          "  <parameter name='IP' value='0.0.0.0'/>\n"
          "</filterref>\n" },
        { "both",
          { true, both },
          "<filterref filter='byre-clean-1'>\n"
          "  <parameter name='IP' value='10.0.0.10'/>\n"
          "  <parameter name='IP' value='10.0.0.11'/>\n"
          "  <parameter name='IPV6' value='2001:db8::10'/>\n"
          "</filterref>\n" },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(buf_done) struct buf got = BUF_INIT;
        struct xml_writer w;
        xml_writer_init(&w, &got);
        virt_guard_put(&w, &cases[i].guard);
        CHECK_STR(cases[i].why, buf_cstr(&got), cases[i].want);
    }
}

#define HEAD                                                                               \
    "<domain><devices><interface type='bridge'><mac address='52:00:00:00:00:09'/></interface>"
#define TAIL "<serial/></devices></domain>"

TEST(a_live_interface_gets_another_guard)
{
    static const char *const one[] = { "10.0.0.10", NULL };
    static const struct {
        const char *why, *interface;
        bool on;
        const char *want; /* NULL: it is not found. */
    } cases[] = {
        { "none before",
          "<interface type='network'><mac address='52:00:00:00:00:01'/><x/></interface>",
          true,
          "<interface type='network'><mac address='52:00:00:00:00:01'/><x/>"
          "<filterref filter='byre-clean-1'>\n  <parameter name='IP' value='10.0.0.10'/>\n"
          "  <parameter name='IPV6' value='::'/>\n"
          "</filterref>\n</interface>" },
        { "another before",
          "<interface type='network'><mac address='52:00:00:00:00:01'/>"
          "<filterref filter='f'><parameter name='IP' value='1.1.1.1'/></filterref>"
          "<alias/></interface>",
          false,
          "<interface type='network'><mac address='52:00:00:00:00:01'/><alias/></interface>" },
        { "an empty one before",
          "<interface type='network'><mac address='52:00:00:00:00:01'/>"
          "<filterref filter='f'/><alias/></interface>",
          false,
          "<interface type='network'><mac address='52:00:00:00:00:01'/><alias/></interface>" },
        { "not there",
          "<interface type='network'><mac address='52:00:00:00:00:02'/></interface>", true,
          NULL },
        { "cut off", "<interface type='network'><mac address='52:00:00:00:00:01'/>", true,
          NULL },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(buf_done) struct buf got = BUF_INIT;
        struct virt_nic nic = { .mac = "52:00:00:00:00:01", .guard = { cases[i].on, one } };
        CLEANUP(free_drop) char *xml = str_dupf("%s%s%s", HEAD, cases[i].interface, TAIL);
        bool found = virt_guard_rewrite(xml, &nic, &got);
        CHECK_STR(cases[i].why, found ? buf_cstr(&got) : NULL, cases[i].want);
    }
}

TEST(whose_a_lease_is)
{
    static const struct {
        const char *what;
        struct virt_net_lease lease;
        bool holds;
    } cases[] = {
        { "its own", { .ip = "10.0.0.10", .mac = "52:00:00:00:00:01" }, true },
        { "in IPv6",
          { .ip = "2001:db8::10", .v6 = true, .id = "00:03:00:01:52:00:00:00:00:01" },
          true },
        { "of a machine that is gone",
          { .ip = "10.0.0.12", .mac = "52:00:00:00:00:01" },
          false },
        { "the address is another's now",
          { .ip = "10.0.0.11", .mac = "52:00:00:00:00:01" },
          false },
        { "of the other family",
          { .ip = "2001:db8::10", .v6 = true, .mac = "52:00:00:00:00:01" },
          false },
        { "of nobody known", { .ip = "10.0.0.10" }, false },
    };
    struct virt_network n = lan();
    struct virt_network_seen seen = { .hosts = { hosts4, hosts6 },
                                      .n_hosts = { n.v4.n_hosts, n.v6.n_hosts } };

    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CHECK(cases[i].what,
              virt_net_lease_holds(&seen, &cases[i].lease) == cases[i].holds);
    }
}
