"""History follows a machine to another host: what the agent that has it sends, until it is answered, and what it does with what comes.
The other host is played by this test; tests/host/in_migrate.py has two real ones."""

import json
import os
import signal
import sqlite3
import subprocess
import time

import pytest

from host import Host, libvirt_uri, temporary_state
from rpc import wait_for

pytestmark = pytest.mark.skipif(libvirt_uri() is None, reason="no libvirt answers")

HOUR = 3600
NUMBERS = ("begin vm count samples mem_sum mem_max cpu_ms rx tx prx ptx rd_req wr_req rd_bytes wr_bytes errs").split()


class Here(Host):
    def transact(self, *ops):
        out = subprocess.run(["ovsdb-client", "transact", self.db, json.dumps(["vmmgr", *ops])], capture_output=True, text=True,
                             timeout=60, check=True).stdout
        assert "error" not in out, out
        return json.loads(out)

    def sql(self, *statement):
        with sqlite3.connect(self.state / "stats.db", timeout=60) as store:
            return store.execute(*statement).fetchall()

    def sent(self):
        """The row for the other host, once it has its text."""
        rows = []

        def is_there():
            said = self.byre("list", "history", "-c", "_uuid,hostnode,parcel", "-o", "json", check=False)  # The database may be away.
            rows[:] = [r for r in json.loads(said.stdout or "[]") if r["hostnode"] == "ghost" and r["parcel"]]
            return rows

        wait_for("the parcel", is_there, 90)
        return rows[0]

    def again(self, program, number):
        """byred starts it anew."""
        before = self.pid(program)
        os.kill(before, number)
        wait_for("the next " + program, lambda: self.pid(program) not in (None, before), 60)

    def send(self, uuid, parcel):
        self.transact({"op": "insert", "table": "history", "uuid": uuid,
                       "row": {"hostnode": ["uuid", self.node["n1"]], "parcel": parcel}})

    def history(self):
        return [r["_uuid"] for r in self.json("list", "history", "-c", "_uuid")]

    def stats(self):
        """(begin, rx, count) of its hours."""
        rows = self.json("stats", self.vm, "--step", "hour", "--from", "2d")
        return [(r["begin"] // 1000, r["rx"], r["count"]) for r in rows]


@pytest.fixture(scope="module")
def host(builddir):
    with Here(builddir, temporary_state(), prefix="bf%d-" % os.getpid()) as host:
        host.transact({"op": "insert", "table": "hostnode", "row": {"name": "ghost", "uid": "ghost", "state": "online"}})
        host.node = {r["name"]: r["_uuid"] for r in host.json("list", "hostnode", "-c", "_uuid,name")}
        host.vm = host.prefix + "a"
        host.byre("vm", "create", host.vm, "--mem", "64", "--net", "none", "--node", "n1")
        host.uuid = host.json("vm", "info", host.vm)["uuid"]
        wait_for("the store", lambda: (host.state / "stats.db").exists(), 60)
        yield host


@pytest.fixture(scope="module")
def parcel(host):
    """Three hours of its past are in the store when the row says that it is elsewhere."""
    host.begin = int(time.time()) // HOUR * HOUR - 4 * HOUR
    host.sql("INSERT INTO machine (uuid, name) VALUES (?, ?)", (host.uuid, host.vm))
    [(number,)] = host.sql("SELECT id FROM machine WHERE uuid = ?", (host.uuid,))
    for begin in range(host.begin, host.begin + 3 * HOUR, 300):
        host.sql("INSERT INTO slot_min (%s) VALUES (%d, %d, 30%s)" % (", ".join(NUMBERS), begin, number, ", 7" * (len(NUMBERS) - 3)))
    assert [row[1:] for row in host.stats()] == [(84, 12)] * 3
    host.byre("set", "vm", host.vm, "hostnode=ghost")
    host.again("byre-agentd", signal.SIGTERM)  # An agent that comes looks what it has; so does each that has stored something.
    return host.sent()


def test_it_is_sent_until_it_is_answered(host, parcel):
    lines = parcel["parcel"].splitlines()
    assert lines[0] == "byre-history-1 %s %s" % (host.uuid, host.vm) and len(lines) == 37, lines[0]
    assert lines[1] == "m %d 30%s" % (host.begin, " 7" * (len(NUMBERS) - 3)), lines[1]
    assert host.stats() == [], "it is on its way, and nowhere else"

    host.again("byre-agentd", signal.SIGKILL)
    assert host.sent() == parcel
    host.again("byre-dbd", signal.SIGKILL)  # What goes by is in no file.
    assert host.sent() == parcel

    host.transact({"op": "delete", "table": "history", "where": [["_uuid", "==", ["uuid", parcel["_uuid"]]]]})
    wait_for("it to be dropped", lambda: not host.sql("SELECT id FROM outgoing"), 60)
    assert host.history() == []


def test_it_is_taken_once(host, parcel):
    host.byre("set", "vm", host.vm, "hostnode=n1")
    for _ in range(2):
        host.send("aa000000-0000-4000-8000-000000000001", parcel["parcel"])
        wait_for("it to be taken", lambda: host.history() == [], 60)
        assert host.stats() == [(host.begin + i * HOUR, 84, 12) for i in range(3)]


def test_what_is_no_history_stays_where_it_is(host, parcel):
    host.send("aa000000-0000-4000-8000-000000000002", "byre-history-1 nobody\n")
    host.send("aa000000-0000-4000-8000-000000000003", parcel["parcel"])
    wait_for("the good one to be taken", lambda: len(host.history()) == 1, 60)
    assert host.history() == ["aa000000-0000-4000-8000-000000000002"], "its sender keeps it, and may be asked"
    wait_for("the log to tell", lambda: "is no history" in (host.state / "log" / "byre-agentd.log").read_text(), 30)
    assert [row[1] for row in host.stats()] == [168] * 3, "another parcel is added"
