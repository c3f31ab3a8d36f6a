"""Networks on a real host in a name space of its own: libvirt's nat and route, bridges; addresses that DHCP gives out as the rows
say; guests that reach what they should and not what they should not; and what a guest that lies about its address gets."""

import os
import re

import pytest

import tiny_guest
from netns import Console, World, WorldHost


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="name spaces of networks need root")


@pytest.fixture(scope="module")
def world():
    world = World()
    try:
        # The world outside, and a cable in it that is no bridge yet.
        world.sh("ip netns add outside; ip link add up0 type veth peer name out0; ip link set out0 netns outside;"
                 "ip addr add 203.0.113.1/24 dev up0; ip link set up0 up;"
                 "ip -n outside link set lo up; ip -n outside addr add 203.0.113.2/24 dev out0; ip -n outside link set out0 up;"
                 "ip -n outside route add 10.77.0.0/24 via 203.0.113.1; ip -n outside route add 192.168.77.0/24 via 203.0.113.1;"
                 "ip addr add 2001:db8:ff::1/64 dev up0 nodad; ip -n outside addr add 2001:db8:ff::2/64 dev out0 nodad;"
                 "ip -n outside route add 2001:db8:10::/64 via 2001:db8:ff::1;"
                 "ip link add card0 type veth peer name wire0; ip netns add wire; ip link set wire0 netns wire;"
                 "ip -n wire addr add 10.99.0.1/24 dev wire0; ip -n wire addr add 2001:db8:99::1/64 dev wire0 nodad;"
                 "ip -n wire link set wire0 up; ip -n wire link set lo up")
        yield world
    finally:
        world.end()


@pytest.fixture(scope="module")
def host(world, builddir):
    tiny = tiny_guest.make()
    host = WorldHost(world, builddir, "bn%d-" % os.getpid())
    try:
        host.start()
        host.join()
        for part in ("kernel", "initrd"):
            path = tiny / ("tiny-" + part)
            host.byre("vol", "create-as", "default", "tiny-" + part, str(path.stat().st_size), "--format", "raw")
            host.byre("vol", "upload", "default/tiny-" + part, str(path))
        host.byre("vmi", "create", "tiny", "--kernel", "default/tiny-kernel", "--initrd", "default/tiny-initrd",
                  "--cmdline", "console=ttyS0 quiet")
        yield host
    finally:
        host.destroy()


@pytest.fixture(scope="module")
def networks(host):
    host.byre("network", "create", "lan", "--subnet", "192.168.77.0/24", "--subnet6", "2001:db8:77::/64", "--main")
    host.byre("network", "create", "routed", "--type", "route", "--subnet", "10.77.0.0/24", "--subnet6", "2001:db8:10::/64")
    host.byre("network", "create", "office", "--type", "bridge", "--nic", "card0", "--bridge", "br-office",
              "--subnet", "10.99.0.0/24", "--gateway", "10.99.0.1", "--subnet6", "2001:db8:99::/64")
    host.byre("iprange", "add", "office", "10.99.0.100", "10.99.0.199")
    host.byre("iprange", "add", "office", "2001:db8:99::100", "2001:db8:99::1ff")
    return {row["name"]: row for row in host.json("network", "list")}


class Guest:
    """Several cards; begun first, so that all boot together, and waited for with ready()."""

    def __init__(self, host, name, *networks):
        self.host, self.name = host, host.prefix + name
        host.byre("vm", "create", self.name, "--mem", "96", "--vmi", "tiny", "--start",
                  *(word for network in networks for word in ("--net", network)))

    def ready(self):
        self.host.byre("vm", "console", self.name, "--until", "is up", "--timeout", "120")
        self.console = Console(self.host.world, self.name)
        self.run("stty -echo 2>/dev/null; true")
        rows = self.host.json("list", "iface", "-c", "vm,network,mac")
        self.mac = {row["network"]: row["mac"] for row in rows if row["vm"] == self.name}
        text, _ = self.run("grep . /sys/class/net/*/address")
        cards = {mac: card for card, mac in re.findall(r"net/(\w+)/address:(\S+)", text)}
        self.card = {network: cards[mac] for network, mac in self.mac.items()}
        self.ip, self.ip6 = {}, {}
        for row in self.host.json("ip", "list"):
            if row["vm"] == self.name:
                (self.ip6 if ":" in row["address"] else self.ip)[row["network"]] = row["address"]
        return self

    def run(self, command, seconds=90):
        return self.console.run(command, seconds)

    def lease(self, network):
        text, _ = self.run("ip link set %s up; udhcpc -i %s -n -q -t 10 -T 1 -s /etc/lease 2>&1" % ((self.card[network],) * 2))
        # The address of the row, and no other, is what DHCP gives.
        assert "lease of %s: %s/24" % (self.card[network], self.ip[network]) in text, text

    def lease6(self, network):
        # Not before its link-local address is its own; the server looks at who asks.
        self.run("while ip -6 addr show dev {0} | grep -q tentative; do usleep 100000; done".format(self.card[network]))
        text, status = self.run("dhcp6 " + self.card[network])
        assert (text.strip(), status) == (self.ip6[network], 0), text

    def take(self, *addresses):
        """Gives its cards these addresses: (network, address).  IPv6 must first be its own."""
        self.run("; ".join("ip link set {1} up; ip addr add {0}/{2} dev {1} 2>/dev/null".format(
            address, self.card[network], 64 if ":" in address else 24) for network, address in addresses))
        if any(":" in address for _, address in addresses):
            self.run("while ip -6 addr | grep -q tentative; do usleep 100000; done")

    def pings(self, address, options=""):
        return self.run("ping -c 2 -W 2 %s %s" % (options, address))[1] == 0

    def pings_in_vain(self, address, options=""):
        return self.run("ping -c 1 -W 1 %s %s" % (options, address))[1] != 0


@pytest.fixture(scope="module")
def guests(host, networks):
    both = Guest(host, "one", "lan", "routed"), Guest(host, "two", "lan", "office")
    return [guest.ready() for guest in both]


@pytest.fixture(scope="module")
def one(guests):
    guest = guests[0]
    for network in ("lan", "routed"):
        guest.lease(network)
    guest.take(("lan", guest.ip6["lan"]), ("routed", guest.ip6["routed"]))
    return guest


@pytest.fixture(scope="module")
def two(guests):
    guest = guests[1]
    guest.lease("lan")
    guest.take(*((network, address) for network, address in guest.ip.items() if network != "lan"), *guest.ip6.items())
    return guest


def test_networks_are_made(host, world, networks):
    assert {n: networks[n]["state"] for n in networks} == dict.fromkeys(("lan", "routed", "office"), "active")
    assert networks["lan"]["free"] == 253 and networks["office"]["free"] == 100, networks
    assert "192.168.77.1/24" in world.sh("ip -br addr show br-lan")
    assert "br-office" in world.sh("ip -o link show card0")
    text = host.byre("network", "info", "lan").stdout
    assert "n1: active, bridge br-lan" in text and "192.168.77.1-192.168.77.254: 1 of 254 taken" in text, text


def test_ipv6_is_given_out(one, two):
    """To guests that came after the network had begun."""
    one.lease6("lan")
    one.lease6("routed")
    two.lease6("lan")


def test_nat_reaches_out_and_cannot_be_reached(world, one):
    assert one.pings("203.0.113.2")
    assert world.run("ip", "netns", "exec", "outside", "busybox", "ping", "-c", "1", "-W", "2", one.ip["lan"], check=False).returncode != 0


def test_route_is_reached_under_its_own_address(world, one):
    # The answer must leave where the question came in: under this address the other card lets nothing pass.
    one.run("ip route add 203.0.113.0/24 via 10.77.0.1; ip -6 route add 2001:db8:ff::/64 via 2001:db8:10::1 dev " + one.card["routed"])
    world.sh("ip netns exec outside busybox ping -c 2 -W 5 %s" % one.ip["routed"])
    world.sh("ip netns exec outside busybox ping -6 -c 2 -W 5 %s" % one.ip6["routed"])
    assert one.pings("2001:db8:ff::2", "-6 -I " + one.ip6["routed"])
    one.run("ip route del 203.0.113.0/24")


def test_guests_of_one_network_reach_each_other(one, two):
    assert one.pings(two.ip["lan"]) and two.pings(one.ip["lan"])
    assert one.pings(two.ip6["lan"], "-6 -I " + one.ip6["lan"])


def test_behind_a_bridge_is_nobody_elses(one, two):
    """The host has no address there and leads nobody to it."""
    assert one.pings_in_vain(two.ip["office"])


def test_bridge_reaches_the_wire_alone(world, two):
    assert two.pings("10.99.0.1") and two.pings("2001:db8:99::1", "-6 -I " + two.ip6["office"])
    assert "10.99" not in world.sh("ip -br addr show br-office")
    world.sh("ip netns exec wire busybox ping -c 2 -W 5 %s" % two.ip["office"])
    world.sh("ip netns exec wire busybox ping -6 -c 2 -W 5 %s" % two.ip6["office"])


# network: a peer, and an address that is nobody's; in each family.
PEERS = {
    "lan": ("192.168.77.1", "192.168.77.222", "2001:db8:77::1", "2001:db8:77::666"),
    "routed": ("10.77.0.1", "10.77.0.222", "2001:db8:10::1", "2001:db8:10::666"),
    "office": ("10.99.0.1", "10.99.0.222", "2001:db8:99::1", "2001:db8:99::666"),
}


@pytest.mark.parametrize("network", PEERS)
def test_a_spoofed_address_is_dropped(one, two, network):
    """On each type of network, in both families: a lie gets no answer, and then the truth does."""
    guest, (peer, lie, peer6, lie6) = one if network == "routed" else two, PEERS[network]
    guest.take((network, lie), (network, lie6))
    assert guest.pings_in_vain(peer, "-I " + lie)
    assert guest.pings_in_vain(peer6, "-6 -I " + lie6)
    guest.run("ip addr del {0}/24 dev {2}; ip addr del {1}/64 dev {2}".format(lie, lie6, guest.card[network]))
    assert guest.pings(peer, "-I " + guest.ip[network])
    assert guest.pings(peer6, "-6 -I " + guest.ip6[network])


def spoofs(guest):
    """Does a packet under another's address get through?  And one from another MAC?"""
    card = guest.card["lan"]
    guest.run("ip addr add 192.168.77.222/24 dev %s" % card)
    address = guest.pings("192.168.77.1", "-I 192.168.77.222")
    guest.run("ip addr del 192.168.77.222/24 dev %s" % card)
    guest.run("ip link set {0} down; ip link set {0} address 52:00:00:00:66:66; ip link set {0} up".format(card))
    guest.run("ip addr add {0}/24 dev {1} 2>/dev/null".format(guest.ip["lan"], card))
    mac = guest.pings("192.168.77.1")
    guest.run("ip link set {0} down; ip link set {0} address {1}; ip link set {0} up".format(card, guest.mac["lan"]))
    guest.run("ip addr add {0}/24 dev {1} 2>/dev/null".format(guest.ip["lan"], card))
    guest.host.world.sh("ip neigh flush dev br-lan")
    return address, mac


def test_a_lie_is_dropped_until_it_is_allowed(host, two):
    assert spoofs(two) == (False, False)
    assert two.pings("192.168.77.1"), "the truth is told as before"
    [iface] = [r for r in host.json("list", "iface", "-c", "_uuid,vm,network") if r["vm"] == two.name and r["network"] == "lan"]
    host.byre("set", "iface", iface["_uuid"], "antispoof=false")
    World.wait_for(lambda: host.world.run("virsh", "dumpxml", two.name).stdout.count("<filterref") == 1, "the filter to go")
    assert spoofs(two) == (True, True)
    host.byre("set", "iface", iface["_uuid"], "antispoof=true")
    World.wait_for(lambda: host.world.run("virsh", "dumpxml", two.name).stdout.count("<filterref") == 2, "the filter to come")
    assert spoofs(two) == (False, False)


def test_a_new_address_counts_at_once(host, two):
    card = two.card["lan"]
    host.byre("ip", "add", "192.168.77.200", "--vm", two.name, "--network", "lan")
    World.wait_for(lambda: "192.168.77.200" in host.world.run("virsh", "dumpxml", two.name).stdout, "the filter to follow")
    two.run("ip addr add 192.168.77.200/24 dev %s" % card)
    assert two.pings("192.168.77.1", "-I 192.168.77.200")
    host.byre("ip", "rm", "192.168.77.200")
    World.wait_for(lambda: "192.168.77.200" not in host.world.run("virsh", "dumpxml", two.name).stdout, "the filter to follow")
    assert two.pings_in_vain("192.168.77.1", "-I 192.168.77.200")
    two.run("ip addr del 192.168.77.200/24 dev %s" % card)
    [vm] = [vm for vm in host.json("vm", "list", "-c", "name,needreboot") if vm["name"] == two.name]
    assert not vm["needreboot"], "that needs none"


def test_a_change_that_needs_a_restart_says_who_is_in_the_way(host, world, one, two):
    done = host.byre("network", "set", "lan", "mtu=1400", check=False)
    assert done.returncode != 0 and "in it" in done.stderr, done.stderr
    rows = host.json("list", "hostnode_network", "-c", "network,needrestart,state")
    assert [r for r in rows if r["network"] == "lan"] == [{"network": "lan", "needrestart": True, "state": "active"}], rows
    assert one.pings("203.0.113.2"), "it goes on"
    host.byre("network", "set", "lan", "mtu=")
    assert not any(r["needrestart"] for r in host.json("list", "hostnode_network", "-c", "needrestart"))


def test_repaired_when_somebody_stops_it(host, world, networks):
    world.sh("ip link del br-office")  # The next look finds it; libvirt's word of the other brings that look.
    world.run("virsh", "net-destroy", "routed")
    World.wait_for(lambda: "routed" in world.run("virsh", "-q", "net-list", "--name").stdout.split(), "it runs again")
    World.wait_for(lambda: "br-office" in world.sh("ip -o link show card0"), "the bridge is there again")


def test_in_use_is_not_removed(host, one):
    done = host.byre("network", "delete", "lan", check=False)
    assert done.returncode != 0 and "interfaces are in it" in done.stderr, done.stderr


def test_a_machine_waits_for_its_network_and_says_so(host, world):
    host.byre("network", "create", "later", "--type", "bridge", "--bridge", "br-later", check=False)
    name = host.prefix + "waits"
    done = host.byre("vm", "create", name, "--mem", "64", "--vmi", "tiny", "--net", "later", "--start", "--timeout", "3", check=False)
    assert done.returncode != 0
    text = host.byre("vm", "why", name).stdout
    assert "waits for network later" in text and "no bridge of that name" in text, text
    world.sh("ip link add br-later type bridge; ip link set br-later up")
    host.byre("wait", "vm", name, "status=running", "--timeout", "90")
    host.byre("vm", "delete", name)
    host.byre("network", "delete", "later")
    assert "br-later" in world.sh("ip -br link"), "that bridge is not Byre's"


def test_deletion_frees_and_removes(host, world, one, two):
    assert {r["vm"] for r in host.json("ip", "list")} == {one.name, two.name}
    host.byre("vm", "delete", one.name, two.name)
    assert host.json("ip", "list") == []

    # They said no farewell to DHCP; what they had is the next one's at once, in both families.
    heir = Guest(host, "heir", "lan,ip={},ip={}".format(two.ip["lan"], two.ip6["lan"])).ready()
    assert (heir.ip["lan"], heir.ip6["lan"]) == (two.ip["lan"], two.ip6["lan"]) and heir.mac != two.mac
    heir.lease("lan")
    heir.lease6("lan")
    host.byre("vm", "delete", heir.name)
    host.byre("network", "delete", "lan", "routed", "office")
    assert host.json("network", "list") == []
    assert world.run("virsh", "-q", "net-list", "--all", "--name").stdout.split() == []
    assert not [b for b in ("br-office", "br-lan") if b in world.sh("ip -br link")]
