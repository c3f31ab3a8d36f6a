"""Many machines at once on libvirt's test driver, which lives in the agent's own process: made, started, listed, paused and stopped by
one transaction each."""

import os
import subprocess
import uuid

import pytest

from host import Host, temporary_state
from rpc import Rpc, wait_for

N = 40


def driver_is_there():
    try:
        return subprocess.run(["virsh", "-q", "-c", "test:///default", "uri"], capture_output=True, timeout=30).returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not driver_is_there(), reason="no test driver of libvirt")


class Crowd(Host):
    def transact(self, *operations):
        answer = self.rpc.reply(self.rpc.request("transact", "vmmgr", *operations))
        assert not answer["error"] and not any("error" in a for a in answer["result"] if a), answer
        return answer["result"]

    def until_none(self, *condition):
        self.transact({"op": "wait", "table": "vm", "where": [["source", "==", "byre"], *condition], "columns": ["name"],
                       "until": "==", "rows": []})

    def want(self, state):
        mine = [["source", "==", "byre"]]
        self.transact({"op": "update", "table": "vm", "where": mine, "row": {"state": state, "how": "force"}},
                      {"op": "mutate", "table": "vm", "where": mine, "mutations": [["generation", "+=", 1]]})

    def shown(self):
        return {d["name"]: d for d in self.json("top", "-b") if d["name"].startswith("crowd")}


@pytest.fixture(scope="module")
def host(builddir):
    state = temporary_state()
    config = os.path.join(state, "byred.conf")
    with open(config, "w") as file:
        file.write("[agent]\nlibvirt = test:///default\n")
    host = Crowd(builddir, state, prefix="none-%d" % os.getpid(), config=config)
    try:
        host.start()
        host.byre("cluster", "init", "test")
        host.byre("node", "add", "n1")
        host.rpc = Rpc(host.db, timeout=120)
        yield host
    finally:
        host.destroy()


def test_life_of_a_crowd(host):
    [node] = host.transact({"op": "select", "table": "hostnode", "where": [], "columns": ["_uuid"]})[0]["rows"]
    host.transact(*({"op": "insert", "table": "vm", "row": {
        "name": "crowd%d" % i, "uuid": ["uuid", str(uuid.uuid4())], "mem": 64 + i, "vcpu": 1, "hostnode": node["_uuid"],
        "state": "stopped", "source": "byre", "generation": 1}} for i in range(N)))
    host.until_none(["status", "!=", "shutoff"])
    assert host.shown() == {}
    host.want("running")
    host.until_none(["status", "!=", "running"])
    shown = host.shown()
    assert len(shown) == N and shown["crowd7"]["max_mem_kib"] == 71 * 1024 and shown["crowd7"]["status"] == "running"
    assert len({d["domid"] for d in shown.values()}) == N
    host.want("paused")
    host.until_none(["status", "!=", "paused"])
    assert {d["status"] for d in host.shown().values()} == {"paused"}, "also where the last sample said otherwise"
    host.want("stopped")
    host.until_none(["status", "!=", "shutoff"])
    assert host.shown() == {}


def test_the_drivers_own_machine_is_shown(host):
    """It has no mark of Byre's: a row of its own, which nobody touches."""
    [row] = [row for row in host.json("list", "vm") if row["name"] == "test"]
    assert row["source"] == "libvirt" and row["status"] == "running"
    assert "test" in [d["name"] for d in host.json("top", "-b")]


def test_the_host_keeps_its_name(host):
    """The driver tells no UUID of the host: the first one that was made up stays."""
    before = host.json("list", "hostnode")
    host.stop()
    host.start()
    wait_for("online again", lambda: host.json("list", "hostnode")[0]["state"] == "online", 60)
    assert [row["uid"] for row in host.json("list", "hostnode")] == [row["uid"] for row in before]
