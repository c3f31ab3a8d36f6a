"""`byre node memory`: the sums over the rows of a database, as a calculation and as data."""

import uuid

import pytest

from test_cli import NOT_FOUND, REFUSED, SCHEMA, Lab

GIB = 1 << 30


@pytest.fixture
def lab(program, make_dbd):
    return Lab(program("byre"), make_dbd(schema=SCHEMA).start())


def add_host(lab, name="n1", mem=64 * 1024, swap=40 * 1024, guests=(), **more):
    host = {"name": name, "uid": str(uuid.uuid4()), "mem": mem, "swap": swap, "hypervisors": "kvm", **more}
    operations = [{"op": "insert", "table": "hostnode", "row": host, "uuid-name": "h"}]
    for i, (mib, state) in enumerate(guests):
        row = {"name": "%s-%d" % (name, i), "mem": mib, "vcpu": 4, "state": state, "hostnode": ["named-uuid", "h"],
               "uuid": ["uuid", str(uuid.uuid4())]}
        operations.append({"op": "insert", "table": "vm", "row": row})
    for result in lab.agentless().transact("vmmgr", *operations):
        assert "error" not in result, result


def test_sum_of_what_runs(lab):
    add_host(lab, guests=[(8192, "running"), (8192, "paused"), (8192, "stopped")])
    [row] = lab.json("node", "memory")
    assert row["guests"] == 2 and row["guest_memory"] == 16 * GIB
    assert row["overhead"] == 2 * (200 + 2 * 4 + 16) * (1 << 20)
    assert row["reserve"] == 4 * GIB and row["memory"] == 64 * GIB
    assert row["promised"] == row["guest_memory"] + row["overhead"] + row["reserve"]
    assert row["within_rules"] is True and row["swap_needed"] == 0 and row["why"] is None


def test_overcommit_is_refused_until_the_cluster_allows_it(lab):
    add_host(lab, guests=[(48 * 1024, "running"), (48 * 1024, "running")])
    [row] = lab.json("node", "memory")
    assert row["within_rules"] is False and "GiB" in row["why"]
    text = lab.run("node", "memory")
    assert "= promised" in text and "memory_overcommit" in text
    lab.agentless().transact("vmmgr", {"op": "insert", "table": "cluster", "row": {"name": "c", "memory_overcommit": 2.0}})
    [row] = lab.json("node", "memory")
    assert row["within_rules"] is True and row["swap_needed"] == 40 * GIB and row["allowed"] == 2.0
    assert "within the rules" in lab.run("node", "memory", "n1")


def test_one_guest_more(lab):
    add_host(lab, mem=16 * 1024, guests=[(6 * 1024, "running")])
    assert "within the rules" in lab.run("node", "memory", "--with", "5G")
    assert "one guest more" in lab.run("node", "memory", "--with", "6G", code=REFUSED)


def test_hosts_by_name(lab):
    add_host(lab, "n1")
    add_host(lab, "n2", mem=4096)
    assert [row["node"] for row in lab.json("node", "memory", "n2")] == ["n2"]
    assert len(lab.json("node", "memory")) == 2
    lab.run("node", "memory", "n3", code=NOT_FOUND)
