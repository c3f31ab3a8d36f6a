"""Addresses and ranges on the command line: given out in the transaction that makes the interface, and never twice, whoever
runs for the last one. A database is all it takes."""

import concurrent.futures
import json
import os
import subprocess

import pytest

import conftest

SCHEMA = json.loads((conftest.ROOT / "schema" / "vmmgr.ovsschema").read_text())
CLIENTS = 50


class Lab:
    def __init__(self, byre, server):
        self.byre = byre
        self.env = dict(os.environ, BYRE_DB=server.remote, **conftest.ASAN)
        self.server = server

    def run(self, *arguments, ok=True):
        done = subprocess.run([self.byre, *map(str, arguments)], env=self.env, capture_output=True, text=True, timeout=120)
        assert not ok or done.returncode == 0, "%s: exit %d\n%s%s" % (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout if ok else done

    def json(self, *arguments):
        return json.loads(self.run(*arguments, "-o", "json"))

    def refused(self, text, *arguments):
        done = self.run(*arguments, ok=False)
        assert done.returncode != 0 and text in done.stderr, "%s: exit %d\n%s%s" % (arguments, done.returncode, done.stdout,
                                                                                     done.stderr)


@pytest.fixture
def lab(program, make_dbd):
    server = make_dbd(schema=SCHEMA).start()
    lab = Lab(program("byre"), server)
    # A host whose agent is not there: nobody is waited for.
    answer = server.connect().transact("vmmgr", {"op": "insert", "table": "hostnode", "row": {"name": "n1", "uid": "u1"}})
    assert "uuid" in answer[0], answer
    lab.run("network", "create", "lan", "--subnet", "10.0.0.0/24", "--no-range")
    return lab


def create(lab, name, *more, ok=True):
    return lab.run("vm", "create", name, "--mem", "64", "--no-wait", *more, ok=ok)


def addresses(lab):
    return sorted(row["address"] for row in lab.json("ip", "list"))


def test_the_last_address_is_one_clients(lab):
    lab.run("iprange", "add", "lan", "10.0.0.10", "10.0.0.%d" % (10 + CLIENTS - 2))  # One less than they are.
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        outcomes = list(pool.map(lambda i: create(lab, "vm%d" % i, "--net", "lan", ok=False), range(CLIENTS)))
    failed = [done for done in outcomes if done.returncode != 0]
    assert len(failed) == 1, [done.stderr for done in failed]
    assert "no IPv4 address is free: %d of %d in its ranges are taken" % (CLIENTS - 1, CLIENTS - 1) in failed[0].stderr
    rows = lab.json("ip", "list")
    assert len({row["address"] for row in rows}) == len({row["vm"] for row in rows}) == CLIENTS - 1
    vms = lab.json("vm", "list", "-c", "name,ip")
    assert {(row["vm"], row["address"]) for row in rows} == {(vm["name"], vm["ip"]) for vm in vms}, "the refused one left nothing"
    assert len({row["mac"] for row in lab.json("list", "iface")}) == CLIENTS - 1


def test_what_is_given_and_what_never_is(lab):
    lab.run("iprange", "add", "lan", "10.0.0.0/29")
    for name in "abcde":
        create(lab, name, "--net", "lan")
    # Not .0, which is the subnet's own, and not .1, the host's.
    assert addresses(lab) == ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
    create(lab, "f", "--net", "lan,ip=10.0.0.200,mac=52:AA:00:00:00:01,antispoof=off,inbound=100")
    [iface] = [row for row in lab.json("list", "iface", "-c", "mac,antispoof,inbound,vm") if row["vm"] == "f"]
    assert iface == {"mac": "52:aa:00:00:00:01", "antispoof": False, "inbound": 100, "vm": "f"}
    create(lab, "g", "--net", "lan,ip=none")
    assert len(addresses(lab)) == 6
    lab.refused("is that of vm f", "vm", "create", "h", "--net", "lan,ip=10.0.0.200")
    lab.refused("belongs to the network itself", "vm", "create", "h", "--net", "lan,ip=10.0.0.1")
    lab.refused("is not in 10.0.0.0/24", "vm", "create", "h", "--net", "lan,ip=10.0.1.1")
    lab.refused("is no IP address", "vm", "create", "h", "--net", "lan,ip=10.0.1")
    lab.refused("is no MAC address", "vm", "create", "h", "--net", "lan,mac=53:00:00:00:00:01")
    lab.refused("says nothing about an interface", "vm", "create", "h", "--net", "lan,speed=7")
    lab.refused("\"mac\"", "vm", "create", "h", "--net", "lan,ip=none,mac=52:aa:00:00:00:01")
    assert "h" not in {vm["name"] for vm in lab.json("vm", "list")}


def test_both_families_and_the_main_network(lab):
    lab.run("network", "create", "dual", "--subnet", "10.1.0.0/24", "--subnet6", "2001:DB8::/64", "--main")
    create(lab, "a")
    assert addresses(lab) == ["10.1.0.2", "2001:db8::2"]
    [row] = lab.json("network", "list", "dual")
    assert (row["free"], row["used"], row["interfaces"]) == (252, 2, 1) and row["used6"] == 2, row
    assert row["free6"] > 2 ** 60
    create(lab, "b", "--net", "none")
    assert len(addresses(lab)) == 2
    lab.run("ip", "add", "2001:0db8::00ff", "--vm", "a")
    assert "2001:db8::ff" in addresses(lab), "one text for one address"


def test_reserved_moved_and_freed(lab):
    lab.run("iprange", "add", "lan", "10.0.0.10", "10.0.0.12")
    lab.run("ip", "add", "10.0.0.10", "--network", "lan", "--domain", "printer")
    create(lab, "a", "--net", "lan")
    assert [r["address"] for r in lab.json("ip", "list") if r["vm"] == "a"] == ["10.0.0.11"]
    lab.run("ip", "add", "ipv4", "--vm", "a")
    assert lab.json("ip", "free", "lan") == []
    lab.refused("3 of 3", "ip", "add", "ipv4", "--vm", "a")
    lab.refused("is reserved", "ip", "add", "10.0.0.10", "--vm", "a")
    lab.run("ip", "rm", "10.0.0.10", "10.0.0.11")
    assert [r["address"] for r in lab.json("ip", "free", "lan")] == ["10.0.0.10", "10.0.0.11"]
    [vm] = lab.json("vm", "list", "-c", "name,ip")
    assert vm["ip"] is None, "its primary address went"


def test_ranges(lab):
    lab.run("iprange", "add", "lan", "10.0.0.10", "10.0.0.19")
    lab.refused("it meets the range 10.0.0.10-10.0.0.19 of network lan", "iprange", "add", "lan", "10.0.0.19", "10.0.0.30")
    lab.refused("is not in 10.0.0.0/24", "iprange", "add", "lan", "10.0.1.1", "10.0.1.9")
    lab.refused("is behind", "iprange", "add", "lan", "10.0.0.40", "10.0.0.30")
    lab.refused("is no range", "iprange", "add", "lan", "x")
    lab.refused("has no range that begins with", "iprange", "rm", "lan", "10.0.0.11")
    lab.run("iprange", "rm", "lan", "10.0.0.10")
    assert lab.json("iprange", "list") == []


def test_networks_that_cannot_be(lab):
    lab.refused("needs a subnet", "network", "create", "x")
    lab.refused("is no IPv4 subnet", "network", "create", "x", "--subnet", "10.0.0.0")
    lab.refused("a VLAN needs the NIC", "network", "create", "x", "--type", "bridge", "--vlan", "5")
    lab.refused("a NIC is for networks of type bridge", "network", "create", "x", "--type", "nat", "--nic", "eth1", "--subnet",
                "10.9.0.0/24")
    lab.refused("is no name of an interface", "network", "create", "x", "--bridge", "a/b")
    lab.refused("there is already a network", "network", "create", "lan", "--subnet", "10.9.0.0/24")
    lab.refused("is not for setting by hand", "network", "set", "lan", "name=wan")
    lab.run("iprange", "add", "lan", "10.0.0.10", "10.0.0.19")
    create(lab, "a", "--net", "lan")
    lab.refused("10.0.0.10 is that of vm a and is not in 10.5.0.0/24", "network", "set", "lan", "subnet=10.5.0.0/24")
    lab.refused("1 interfaces are in it, one of vm a", "network", "delete", "lan")
    assert [n["name"] for n in lab.json("network", "list")] == ["lan"]



def test_an_interface_does_not_join_what_is_being_deleted(lab):
    [row] = lab.json("list", "network", "-c", "_uuid,name")
    lab.run("set", "network", "lan", "deleted=true")
    lab.refused("is being deleted", "vm", "create", "a", "--net", "lan")
    assert row["name"] == "lan" and lab.json("vm", "list") == []
