"""Relays: byre-dbd with relay:DB:REMOTE before byre-dbd or Debian's ovsdb-server, and behind other relays."""

import json
import time

import pytest

import rpc
from rpc import Closed, wait_for
from test_dbserver import appctl, insert, names

ZERO = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def make_relay(make_dbd, program):
    """make_relay(name, *sources): a byre-dbd that follows the database T of one of them."""

    def make(name, *sources, args=(), db="T", start=True):
        server = make_dbd(name=name, args=args)
        server.db.unlink()
        server.argv[-1] = "relay:%s:%s" % (db, ",".join(sources))
        return server.start() if start else server

    return make


@pytest.fixture(params=["byre", "reference"])
def source(request, make_dbd, make_reference):
    """A server with the database T: byre-dbd, or ovsdb-server."""
    return make_dbd(name="source").start() if request.param == "byre" else make_reference(name="source").start()


def row_of(server, db="T", client=None):
    """The database's row in _Server."""
    op = {"op": "select", "table": "Database", "where": [["name", "==", db]]}
    if client:
        return client.transact("_Server", op)[0]["rows"][0]
    with server.connect() as c:
        return c.transact("_Server", op)[0]["rows"][0]


def connected(server, db="T"):
    wait_for("the relay", lambda: row_of(server, db)["schema"] != ["set", []] and row_of(server, db)["connected"])
    return server


def aware(server):
    c = server.connect()
    c.result("set_db_change_aware", True)
    return c


def update_i(name, i):
    return {"op": "update", "table": "A", "where": [["name", "==", name]], "row": {"i": i}}


def values(note):
    """The values of column i that an update2 or update3 tells."""
    changes = note["params"][-1]["A"].values()
    return [c.get("insert", c.get("modify", c.get("initial"))).get("i", 0) for c in changes if "delete" not in c]


def test_reads_writes_and_updates(source, make_relay):
    with source.connect() as c:
        c.transact("T", insert(name="before", i=1, tags=["set", ["a", "b"]]))
    relay = connected(make_relay("relay", source.remote))
    with relay.connect() as c, source.connect() as direct:
        assert c.result("monitor_cond", "T", "m", {"A": {"columns": ["name", "i"]}})
        assert names(c) == ["before"]
        id = c.request("transact", "T", insert(name="mine", i=5), {"op": "comment", "comment": "x"})
        update = c.recv()  # The own change before the reply.
        assert update["method"] == "update2" and values(update) == [5]
        reply = c.recv()
        assert reply["id"] == id and reply["error"] is None and reply["result"][1] == {}
        assert names(direct) == ["before", "mine"] == names(c)
        direct.transact("T", update_i("before", 9), {"op": "mutate", "table": "A", "where": [], "mutations": [["tags", "insert", "z"]]})
        assert 9 in values(c.note())
        rows = c.transact("T", {"op": "select", "table": "A", "where": [["name", "==", "before"]], "columns": ["tags"]})
        assert rows == [{"rows": [{"tags": ["set", ["a", "b", "z"]]}]}]
        direct.transact("T", {"op": "delete", "table": "A", "where": [["name", "==", "before"]]})
        assert list(c.note()["params"][1]["A"].values()) == [{"delete": None}]
    row = row_of(relay)
    assert (row["model"], row["leader"], row["connected"]) == ("relay", False, True)
    assert json.loads(row["schema"])["name"] == "T"
