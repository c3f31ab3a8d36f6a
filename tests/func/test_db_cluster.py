"""Byre in front of an ovsdb-server Raft cluster: three members of Debian's, relays of ours before them.

The schema is vmmgr's.  What is shown: writers go on when the leader is killed, nothing that was acknowledged is lost, and
no reader ever steps back."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

import rpc
from conftest import ROOT, Server
from rpc import Closed, wait_for
from test_db_relay import connected, row_of

SCHEMA = ROOT / "schema" / "vmmgr.ovsschema"
DB = "vmmgr"


class Member:
    """One ovsdb-server of a cluster."""

    def __init__(self, directory, number, ports, program):
        self.number = number
        self.dir = directory / ("m%d" % number)
        self.dir.mkdir()
        self.db = self.dir / "db"
        self.raft = "tcp:127.0.0.1:%d" % ports[number]
        self.server = Server(self.dir, [program("ovsdb-server"), "--remote=punix:%s" % (self.dir / "db.sock"), "--unixctl=%s" % (self.dir / "ctl"),
                                        "-vconsole:emer", "-vfile:info", "--log-file=%s" % (self.dir / "log"), str(self.db)])
        self.remote = self.server.remote

    def start(self):
        self.server.start()

    def kill(self):
        self.server.kill()


@pytest.fixture
def cluster(program, state_dir):
    import socket
    tool = program("ovsdb-tool")
    sockets = [socket.socket() for _ in range(3)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    members = [Member(state_dir, i, ports, program) for i in range(3)]
    first = members[0]
    # A short election, so that the test is; a busy machine may still take several.
    subprocess.run([tool, "--election-timer=1000", "create-cluster", str(first.db), str(SCHEMA), first.raft], check=True)
    first.start()
    for m in members[1:]:
        subprocess.run([tool, "join-cluster", str(m.db), DB, m.raft, first.raft], check=True)
        m.start()
    for m in members:
        wait_for("member %d" % m.number, lambda m=m: row_of(m.server, DB)["connected"], 60)
    yield members
    for m in members:
        if m.server.process.poll() is None:
            m.server.process.send_signal(signal.SIGKILL)
            m.server.process.wait(30)


@pytest.fixture
def make_relay(make_dbd):
    def make(name, remotes, *args):
        server = make_dbd(name=name, args=args)
        server.argv[-1] = "relay:%s:%s" % (DB, ",".join(remotes))
        server.start()
        connected(server, DB)
        return server

    return make


def leader_of(members):
    for m in members:
        if m.server.process.poll() is None:
            try:
                if row_of(m.server, DB)["leader"]:
                    return m
            except (OSError, Closed):
                pass
    return None


def counter(name, n):
    """A row that anybody may have: a label with a number."""
    return {"op": "update", "table": "repository", "where": [["id", "==", name]], "row": {"external_ids": ["map", [["n", str(n)]]]}}


class Writer(threading.Thread):
    """Counts its row up through a relay, one acknowledged step after the other."""

    def __init__(self, relay, name):
        super().__init__()
        self.relay, self.name = relay, name
        self.acked = 0
        self.tried = 0
        self.stop = False
        self.error = None

    def run(self):
        try:
            client = self.relay.connect()
            while not self.stop:
                self.tried += 1
                reply = client.reply(client.request("transact", DB, counter(self.name, self.tried)), 60)
                if reply.get("error") is None and reply["result"] == [{"count": 1}]:
                    self.acked = self.tried
                else:  # "canceled": nobody knows.  It is a number more next time.
                    assert reply.get("error") == "canceled", reply
            client.close()
        except Exception as e:  # Shown by the test.
            self.error = e


class Reader(threading.Thread):
    """Follows all counters; each may only grow."""

    def __init__(self, relay, since):
        super().__init__()
        self.relay, self.since = relay, since
        self.seen = {}
        self.n_updates = 0
        self.last = {}  # Row to number.
        self.stop = False
        self.error = None

    def take(self, updates):
        for uuid, change in updates.get("repository", {}).items():
            row = change.get("initial") or change.get("insert") or change.get("modify") or {}
            for key, value in row.get("external_ids", ["map", []])[1]:
                n = int(value)
                assert n >= self.last.get(uuid, 0), "%s went from %d to %d" % (uuid, self.last[uuid], n)
                self.last[uuid] = n

    def run(self):
        import socket
        try:
            client = self.relay.connect()
            if self.since:
                _, _, first = client.result("monitor_cond_since", DB, "m", {"repository": {"columns": ["external_ids"]}}, "0" * 8 + "-0000-0000-0000-" + "0" * 12)
            else:
                first = client.result("monitor_cond", DB, "m", {"repository": {"columns": ["external_ids"]}})
            self.take(first)
            while not self.stop:
                try:
                    note = client.recv(0.5)
                except socket.timeout:
                    continue
                assert note["method"] in ("update2", "update3"), note  # Never "monitor_canceled", never a closed connection.
                self.take(note["params"][-1])
                self.n_updates += 1
            client.close()
        except Exception as e:
            self.error = e


def test_leader_dies(cluster, make_relay):
    remotes = [m.remote for m in cluster]
    relays = [make_relay("relay1", remotes), make_relay("relay2", remotes[1:] + remotes[:1])]
    relays.append(make_relay("relay3", [relays[0].remote, relays[1].remote]))  # A second tier.
    names = ["w%d" % i for i in range(4)]
    with relays[0].connect() as c:
        result = c.transact(DB, *({"op": "insert", "table": "repository", "row": {"id": name}} for name in names))
        assert all("uuid" in r for r in result), result
    for relay in relays:
        wait_for("the rows", lambda relay=relay: len(counters(relay)) == 4)
    writers = [Writer(relays[i % 3], name) for i, name in enumerate(names)]
    readers = [Reader(relay, since) for relay in relays for since in (True, False)]
    for t in readers + writers:
        t.start()
    try:
        for _ in range(2):  # Kill the leader, let it come back, kill the next.
            enough = [w.acked + 20 for w in writers]
            progress(writers, enough)
            leader = leader_of(cluster)
            assert leader
            leader.kill()
            enough = [w.acked + 20 for w in writers]
            progress(writers, enough)
            wait_for("another leader", lambda: leader_of(cluster) not in (None, leader), 60)
            leader.start()
            wait_for("its return", lambda: row_of(leader.server, DB)["connected"], 60)
    finally:
        for t in writers:
            t.stop = True
        for t in writers:
            t.join(90)
        final = {w.name: w.acked for w in writers}
        wait_for("the readers", lambda: all(len(r.last) == 4 for r in readers) or any(r.error for r in readers), 60)
        time.sleep(0.5)
        for t in readers:
            t.stop = True
        for t in readers:
            t.join(30)
    assert [t.error for t in writers + readers] == [None] * len(writers + readers)
    assert all(n >= 80 for n in final.values()), final
    for relay in relays:  # Nothing acknowledged is lost: what is there is at least what was answered.
        wait_for("the end state", lambda relay=relay: all(counters(relay)[w.name] >= w.acked for w in writers), 60)
    members = [m for m in cluster]
    for m in members:
        wait_for("member %d" % m.number, lambda m=m: all(counters(m.server)[w.name] >= w.acked for w in writers), 60)
    assert all(r.n_updates > 50 for r in readers), [r.n_updates for r in readers]


def counters(server):
    with server.connect() as c:
        rows = c.transact(DB, {"op": "select", "table": "repository", "where": [], "columns": ["id", "external_ids"]})[0]["rows"]
        return {row["id"]: int(dict(row["external_ids"][1]).get("n", 0)) for row in rows}


def progress(writers, enough):
    wait_for("the writers", lambda: any(w.error for w in writers) or all(w.acked >= n for w, n in zip(writers, enough)), 120)
    assert [w.error for w in writers] == [None] * len(writers)


def test_leader_only(cluster, make_relay):
    """Asked to, a relay follows the leader, wherever it goes."""
    relay = make_relay("relay", [m.remote for m in cluster], "--relay-leader-only", "-vconsole:info")

    def following():
        lines = [line for line in relay.text().splitlines() if "following unix:" in line]
        return lines[-1].rpartition("following ")[2]

    assert following() == leader_of(cluster).remote
    leader = leader_of(cluster)
    leader.kill()
    wait_for("another leader", lambda: leader_of(cluster) is not None, 60)
    wait_for("the relay at it", lambda: leader_of(cluster) and following() == leader_of(cluster).remote, 60)
    assert following() != leader.remote


def test_convert(cluster, make_relay):
    """A convert through a relay reaches the cluster, and all relays of it."""
    schema = json.loads(SCHEMA.read_text())
    schema["version"] = "99.0.0"
    for table in schema["tables"].values():  # Which a cluster has not.
        for column in table["columns"].values():
            column.pop("ephemeral", None)
    schema["tables"]["repository"]["columns"]["extra"] = {"type": "string"}
    relays = [make_relay("relay1", [cluster[1].remote]), make_relay("relay2", [cluster[2].remote])]
    with relays[0].connect() as c, relays[1].connect() as unaware:
        c.result("set_db_change_aware", True)
        assert c.result("convert", DB, schema) == {}
        assert c.result("get_schema", DB)["version"] == "99.0.0"
        with pytest.raises(Closed):
            while True:
                unaware.recv()
    wait_for("the other relay", lambda: json.loads(row_of(relays[1], DB)["schema"])["version"] == "99.0.0", 30)
    with cluster[0].server.connect() as direct:
        wait_for("the member", lambda: direct.result("get_schema", DB)["version"] == "99.0.0", 30)
