"""A machine that the host has no memory for is not started, and the row says why, with the sum."""

import os

from test_life import host, pytestmark, tiny  # noqa: F401


def test_no_start_beyond_the_hosts_memory(host):
    [node] = host.json("node", "memory")
    too_much = max(node["memory"], os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // (1 << 20) + 1024
    host.byre("vm", "set", host.vm, "mem=%d" % too_much)
    done = host.byre("vm", "start", host.vm, check=False)
    assert done.returncode != 0 and "no memory for the machine" in done.stderr and "GiB" in done.stderr, done.stderr
    assert "memory_overcommit" in done.stderr
    [row] = [vm for vm in host.json("vm", "list", "-c", "name,status,error") if vm["name"] == host.vm]
    assert row["status"] == "shutoff" and "the host has" in row["error"]
    assert host.byre("node", "memory", "--with", "%dM" % too_much, check=False).returncode == 1


def test_it_starts_once_it_fits(host):
    host.byre("vm", "set", host.vm, "mem=128")
    host.byre("vm", "start", host.vm)
    [row] = [vm for vm in host.json("vm", "list", "-c", "name,status,error") if vm["name"] == host.vm]
    assert row["status"] == "running" and not row["error"]
    [node] = host.json("node", "memory")
    assert node["guests"] == 1 and node["guest_memory"] == 128 << 20 and node["within_rules"]
