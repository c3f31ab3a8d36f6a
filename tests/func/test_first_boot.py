"""New guests report over the network that they are installed: from an image, told by its first-boot disk, and from an
installer, told by its command line.  Real guests in a network of their own, which go to byre-webd by HTTP, once."""

import os
import re

import pytest

import tiny_guest
from netns import World, WorldHost

PORT = 8080
URL = "http://192.168.78.1:%d" % PORT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="name spaces of networks need root")


@pytest.fixture(scope="module")
def world():
    world = World()
    try:
        world.sh("ip link add card0 type veth peer name wire0; ip netns add wire; ip link set wire0 netns wire;"
                 "ip -n wire addr add 10.98.0.1/24 dev wire0; ip -n wire addr add 2001:db8:98::1/64 dev wire0 nodad;"
                 "ip -n wire link set wire0 up; ip -n wire link set lo up")
        yield world
    finally:
        world.end()


@pytest.fixture(scope="module")
def host(world, builddir, tmp_path_factory):
    tiny = tiny_guest.make()
    directory = tmp_path_factory.mktemp("first-boot")
    (directory / "byred.conf").write_text("[web]\nlisten = tcp:0.0.0.0:%d\n" % PORT)
    image = directory / "base.img"
    image.write_bytes(bytes(16 << 20))
    host = WorldHost(world, builddir, "bb%d-" % os.getpid())
    host.config = directory / "byred.conf"
    try:
        host.start()
        host.join()
        for part in ("kernel", "initrd"):
            path = tiny / ("tiny-" + part)
            host.byre("vol", "create-as", "default", "tiny-" + part, str(path.stat().st_size), "--format", "raw")
            host.byre("vol", "upload", "default/tiny-" + part, str(path))
        host.byre("network", "create", "lan", "--subnet", "192.168.78.0/24", "--main")
        host.byre("network", "create", "office", "--type", "bridge", "--nic", "card0", "--bridge", "br-office", "--subnet",
                  "10.98.0.0/24", "--gateway", "10.98.0.1", "--subnet6", "2001:db8:98::/64", "--dns", "10.98.0.1")
        host.byre("iprange", "add", "office", "10.98.0.100", "10.98.0.199")
        host.byre("iprange", "add", "office", "2001:db8:98::100", "2001:db8:98::1ff")
        host.byre("preset", "add", "small", "--mem", "128M", "--vcpu", "1", "--size", "16M", "--network", "office", "--network",
                  "lan")
        host.byre("preset", "add", "slow", "--mem", "128M", "--size", "16M", "--network", "lan", "--inbound", "2048", "--outbound",
                  "1024")
        host.byre("image", "add", "base", "--from", str(image), "--kernel", "default/tiny-kernel", "--initrd",
                  "default/tiny-initrd", "--cmdline", "console=ttyS0 quiet byre.firstboot=report")
        host.byre("vmi", "create", "setup", "--kind", "installer", "--kernel", "default/tiny-kernel", "--initrd",
                  "default/tiny-initrd", "--cmdline", "console=ttyS0 quiet byre.name=($HOSTNAME) byre.install=($FINISH)")
        host.byre("set", "cluster", ".", "install_url=" + URL)
        yield host
    finally:
        host.destroy()


def console(host, name, until):
    return host.byre("vm", "console", name, "--until", until, "--timeout", "120", seconds=150).stdout.replace("\r", "")


def test_a_guest_is_told_and_reports(host, world):
    """The preset's networks are its cards: one asks by DHCP, the other is told; the report goes out by the network."""
    name = host.prefix + "web"
    host.byre("vm", "create", name, "--preset", "small", "--image", "base", "--start")
    ifaces = {r["network"]: r for r in host.json("list", "iface", "-c", "vm,network,mac") if r["vm"] == name}
    assert sorted(ifaces) == ["lan", "office"]
    address = {(r["network"], ":" in r["address"]): r["address"] for r in host.json("ip", "list") if r["vm"] == name}

    text = console(host, name, "second report")
    assert "first boot: card %s addresses by DHCP" % ifaces["lan"]["mac"] in text, text
    assert "lease of eth" in text and address["lan", False] + "/24" in text, text
    assert "first boot: card %s addresses %s/24 %s/64 gateways 10.98.0.1 dns 10.98.0.1" % (
        ifaces["office"]["mac"], address["office", False], address["office", True]) in text, text
    assert "first boot: reported, " in text and "the report failed" not in text, text
    assert "404" in text and "first boot: the second report was refused" in text, text
    for options, target in (("", address["office", False]), ("-6", address["office", True])):
        world.sh("ip netns exec wire busybox ping %s -c 1 -W 5 %s" % (options, target))

    vm = host.json("vm", "info", name)
    assert (vm["osinstalled"], vm["opkey"]) == (True, None), vm
    world.wait_for(lambda: not (host.state / "firstboot" / (vm["uuid"] + ".iso")).exists(), "the first-boot disk to go")
    host.byre("vm", "delete", name, "--volumes")


def test_an_installer_reports_and_its_disk_boots(host, world):
    name = host.prefix + "setup"
    host.byre("vm", "create", name, "--image", "setup", "--size", "16M", "--mem", "128M", "--net", "lan", "--start")
    assert not host.json("vm", "info", name)["osinstalled"]
    text = console(host, name, "second report was refused")
    assert "first boot: reported, " in text and "404" in text, text
    assert not re.search("[0-9a-f]{64}", text), "the guest's console has no key"
    world.wait_for(lambda: "the installed system boots" in host.byre("vm", "console", name, "--log", check=False).stdout,
                   "the disk to boot")
    vm = host.json("vm", "info", name)
    assert (vm["osinstalled"], vm["opkey"]) == (True, None), (vm, text)
    host.byre("wait", "vm", name, "status=running", "--timeout", "60")
    xml = world.run("virsh", "dumpxml", name).stdout
    assert "<kernel>" not in xml and "/install/" not in xml, xml
    assert host.json("list", "secret", "-c", "_uuid") == []
    host.byre("vm", "delete", name, "--volumes")


def test_a_preset_limits_cards(host, world):
    """What the command line says of a card wins.  Not started: not every kernel that runs tests can limit."""
    name = host.prefix + "slow"
    host.byre("vm", "create", name, "--preset", "slow")
    host.byre("vm", "create", name + "er", "--preset", "slow", "--net", "office,inbound=77")
    rows = host.json("list", "iface", "-c", "vm,network,inbound,outbound")
    assert [r for r in rows if r["vm"] == name] == [{"vm": name, "network": "lan", "inbound": 2048, "outbound": 1024}], rows
    assert [r for r in rows if r["vm"] == name + "er"] == [{"vm": name + "er", "network": "office", "inbound": 77, "outbound": 1024}], rows
    xml = world.run("virsh", "dumpxml", name).stdout
    assert "<inbound average='2048'" in xml and "<outbound average='1024'" in xml, xml
    host.byre("vm", "delete", name, name + "er")
