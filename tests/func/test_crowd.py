"""Many machines at once on libvirt's test driver, which lives in the agent's own process: made, started, listed, paused and stopped by
one transaction each."""

import array
import fcntl
import json
import os
import socket
import subprocess
import termios
import time
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


def crowd(builddir, state, libvirt):
    config = os.path.join(state, "byred.conf")
    with open(config, "w") as file:
        file.write("[agent]\nlibvirt = %s\n" % libvirt)
    return Crowd(builddir, state, prefix="none-%d" % os.getpid(), config=config)


@pytest.fixture(scope="module")
def host(builddir):
    host = crowd(builddir, temporary_state(), "test:///default")
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


def test_a_name_that_is_too_long_is_said(host):
    """A client of the database may write any; `byre` refuses it itself."""
    [node] = host.transact({"op": "select", "table": "hostnode", "where": [], "columns": ["_uuid"]})[0]["rows"]
    name = "n" * 206
    host.transact({"op": "insert", "table": "vm", "row": {
        "name": name, "uuid": ["uuid", str(uuid.uuid4())], "mem": 64, "vcpu": 1, "hostnode": node["_uuid"],
        "state": "running", "source": "byre", "generation": 1}})
    host.transact({"op": "wait", "table": "vm", "where": [["name", "==", name]], "columns": ["observed_generation"], "until": "==",
                   "rows": [{"observed_generation": 1}]})
    [row] = host.transact({"op": "select", "table": "vm", "where": [["name", "==", name]]})[0]["rows"]
    assert "has 206 characters" in row["error"] and "1 to 63 letters" in row["error"], row
    done = host.byre("vm", "create", name, check=False)
    assert done.returncode == 2 and "has 206 characters" in done.stderr
    done = host.byre("vm", "rename", "crowd0", name, check=False)
    assert done.returncode == 2 and "has 206 characters" in done.stderr


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


# More than a socket's buffer holds of an answer.
N_LONG = 900
DOMAIN = "<domain type='test'><name>%s-%d</name><memory>65536</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"


@pytest.fixture
def long_list(builddir):
    """The driver begins with machines that run; none of them is Byre's."""
    state = temporary_state()
    node = os.path.join(state, "node.xml")
    with open(node, "w") as file:
        file.write("<node>%s</node>" % "".join(DOMAIN % ("x" * 60, i) for i in range(N_LONG)))
    host = crowd(builddir, state, "test://" + node)
    try:
        host.start()
        yield host
    finally:
        host.destroy()


def ask_top(host):
    agent = socket.socket(socket.AF_UNIX)
    agent.settimeout(60)
    agent.connect(str(host.state / "run" / "agent.sock"))
    agent.sendall(b'{"method":"top"}\n')
    return agent


def read_answer(agent):
    answer = bytearray()
    with agent:
        while piece := agent.recv(4096):
            answer += piece
    return answer


def domains(answer):
    return sorted(d["name"] for d in json.loads(answer)["result"]["domains"])


def until_the_buffer_is_full(agent):
    """How much it holds: it grew, and no longer does."""
    waiting, last, since, deadline = array.array("i", [0]), 0, time.monotonic(), time.monotonic() + 60
    while last == 0 or time.monotonic() - since < 1:
        assert time.monotonic() < deadline
        fcntl.ioctl(agent, termios.FIONREAD, waiting)
        if waiting[0] != last:
            last, since = waiting[0], time.monotonic()
        time.sleep(0.05)
    return last


def test_a_long_answer_comes_whole_to_a_slow_reader(long_list):
    wait_for("the driver's machines", lambda: len(domains(read_answer(ask_top(long_list)))) == N_LONG, 60)
    agent = ask_top(long_list)
    n_held = until_the_buffer_is_full(agent)
    answer = read_answer(agent)
    assert len(answer) > n_held, "all of it fits into the buffer"
    assert domains(answer) == sorted("%s-%d" % ("x" * 60, i) for i in range(N_LONG))
