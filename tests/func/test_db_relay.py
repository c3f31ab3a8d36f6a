"""Relays: byre-dbd with relay:DB:REMOTE before byre-dbd or Debian's ovsdb-server, and behind other relays."""

import json
import socket
import threading
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
    with aware(server) as c:
        return c.transact("_Server", op)[0]["rows"][0]


def connected(server, db="T"):
    def there():
        try:
            row = row_of(server, db)
        except Closed:  # Before it said that it is aware, the schema came.
            return False
        return row["schema"] != ["set", []] and row["connected"]

    wait_for("the relay", there, 60)
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


def test_errors_are_the_servers(source, make_relay):
    """What a client gets from a relay, wrong or right, is what it would get from the source."""
    relay = connected(make_relay("relay", source.remote))
    requests = [
        [insert(name="x", nope=1)],
        [insert(name="a" * 40)],
        [{"op": "wait", "table": "A", "timeout": 0, "where": [], "until": "!=", "columns": ["name"], "rows": []}, insert(name="x")],
        [{"op": "abort"}],
        [insert(name="x"), {"op": "abort"}],
        [insert("U", a="same"), insert("U", a="same")],  # Fails when it commits: at the source.
        [{"op": "assert", "lock": "L"}],
        [{"op": "commit", "durable": True}],
        [],
    ]
    with relay.connect() as c, source.connect() as direct:
        for ops in requests:
            ours, theirs = c.transact("T", *ops), direct.transact("T", *ops)
            for results in (ours, theirs):
                for result in results:
                    if result and "uuid" in result:
                        result["uuid"] = "U"
                    if result and "details" in result:  # They name rows by UUID.
                        result["details"] = result["details"].split("First row")[0]
            assert ours == theirs, ops
        assert names(direct) == []


def test_order_of_one_client(dbd, make_relay):
    """Pipelined requests happen and are answered in their order, reads among them."""
    relay = connected(make_relay("relay", dbd.remote))
    select = {"op": "select", "table": "A", "where": [], "columns": ["i"]}
    with relay.connect() as c:
        c.transact("T", insert(name="n", i=0))
        ids = []
        for i in range(1, 101):
            ids.append(c.request("transact", "T", {"op": "mutate", "table": "A", "where": [], "mutations": [["i", "+=", 1]]}))
            if i % 3 == 0:
                ids.append(c.request("transact", "T", select))
        replies = [c.recv() for _ in ids]
        assert [r["id"] for r in replies] == ids
        seen = [r["result"][0]["rows"][0]["i"] for r in replies if "rows" in r["result"][0]]
        assert seen == list(range(3, 101, 3))


def test_waits_and_cancel(source, make_relay):
    relay = connected(make_relay("relay", source.remote))
    wait = {"op": "wait", "table": "A", "where": [["name", "==", "w"]], "until": "==", "columns": ["i"], "rows": [{"i": 7}]}
    with relay.connect() as c, source.connect() as direct, aware(relay) as other:
        id = c.request("transact", "T", wait, insert(name="woken"))
        cancel = other.request("transact", "T", dict(wait, rows=[{"i": 8}]), insert(name="never"))
        timed = c.request("transact", "T", dict(wait, timeout=50), insert(name="late"))
        assert c.reply(timed)["result"][0]["error"] == "timed out"
        other.send({"method": "cancel", "params": [cancel], "id": None})
        assert other.reply(cancel) == {"id": cancel, "error": "canceled"}
        direct.transact("T", insert(name="w", i=7))
        assert c.reply(id)["result"][0] == {}
        assert names(direct) == ["w", "woken"]


def test_source_restarts(source, make_relay):
    """The clients of a relay do not notice but for what changed."""
    relay = connected(make_relay("relay", source.remote))
    with relay.connect() as c, source.connect() as direct:
        for i in range(5):
            direct.transact("T", insert(name="n%d" % i, i=i))
        wait_for("the rows", lambda: len(names(c)) == 5)
        c.result("monitor_cond_since", "T", "m", {"A": {"columns": ["name", "i"]}}, ZERO)
        source.kill()
        assert names(c) == ["n%d" % i for i in range(5)]  # It still serves what it has,
        id = c.request("transact", "T", insert(name="while it was away", i=50))
        assert names(c) == ["n%d" % i for i in range(5)]  # and what writes waits for the source.
        assert c.quiet()
        source.start()
        assert c.reply(id, 30)["error"] is None
        note = c.note()
        assert note["method"] == "update3" and values(note) == [50]
    with source.connect() as direct, relay.connect() as c:
        direct.transact("T", update_i("n0", 100))
        wait_for("the update", lambda: {"i": 100} in c.transact("T", {"op": "select", "table": "A", "where": [], "columns": ["i"]})[0]["rows"])
    assert row_of(relay)["connected"] is True


def test_missed_while_away(source, make_relay, make_dbd):
    """What the source did while the relay could not see it comes as one difference."""
    relay = connected(make_relay("relay", source.remote))
    with relay.connect() as c, source.connect() as direct:
        direct.transact("T", insert(name="stays", i=1), insert(name="goes", i=2), insert(name="changes", i=3))
        wait_for("the rows", lambda: len(names(c)) == 3)
        first = c.result("monitor_cond", "T", "m", {"A": {"columns": ["i"]}})["A"]
        uuids = {row["initial"]["i"]: uuid for uuid, row in first.items()}
    source.kill()
    # Behind the relay's back: another server on the file.
    where = source.sock
    source.sock = source.sock.with_name("hidden.sock")
    source.argv = [a.replace(str(where), str(source.sock)) for a in source.argv]
    with relay.connect() as c:
        c.result("monitor_cond", "T", "m", {"A": {"columns": ["i"]}})
        source.start()
        with source.connect() as direct:
            direct.transact("T", {"op": "delete", "table": "A", "where": [["name", "==", "goes"]]}, update_i("changes", 30), insert(name="new", i=4))
        source.kill()
        source.argv = [a.replace(str(source.sock), str(where)) for a in source.argv]
        source.sock = where
        source.start()
        changes = c.note(30)["params"][1]["A"]
        assert changes.pop(uuids[2]) == {"delete": None}
        assert changes.pop(uuids[3]) == {"modify": {"i": 30}}
        assert list(changes.values()) == [{"insert": {"i": 4}}]
        assert c.quiet()


OLD_SCHEMA = {"name": "T", "tables": {"A": {"columns": {"name": {"type": "string"}}}}}


@pytest.fixture
def fake_source(state_dir):
    """fake_source(answer): the remote of a server of 2013 that says what answer(message) says; None closes the connection."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(state_dir / "fake.sock"))
    listener.listen(1)
    threads, conns = [], []

    def serve(answer):
        conn, _ = listener.accept()
        conns.append(conn)
        decoder, text = json.JSONDecoder(), ""
        while True:
            chunk = conn.recv(65536)
            text += chunk.decode()
            while text:
                try:
                    message, end = decoder.raw_decode(text)
                except json.JSONDecodeError:
                    break
                text = text[end:]
                reply = answer(message)
                if reply is None:
                    conn.close()
                    return
                conn.sendall(json.dumps(dict(reply, id=message["id"])).encode())
            if not chunk:
                return

    def start(answer):
        threads.append(threading.Thread(target=serve, args=(answer,)))
        threads[-1].start()
        return "unix:%s" % (state_dir / "fake.sock")

    yield start
    for conn in conns:
        if conn.fileno() >= 0:
            conn.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(60)
    listener.close()


UNKNOWN = {"error": "unknown method"}


def test_lost_while_under_way(make_relay, fake_source):
    """The source dies between request and answer: nobody knows, so the client hears "canceled"."""
    got = []

    def answer(message):
        if message["method"] == "transact":
            got.append(message)
            return None
        result = {"get_schema": OLD_SCHEMA, "monitor": {}}.get(message["method"])
        return UNKNOWN if result is None else {"result": result, "error": None}

    relay = connected(make_relay("relay", fake_source(answer)))  # An RFC 7047 server of 2013, too.
    with relay.connect() as c:
        id = c.request("transact", "T", {"op": "insert", "table": "A", "row": {"name": "x"}})
        assert c.reply(id) == {"id": id, "error": "canceled"}
        assert got[0]["params"][1]["op"] == "insert" and got[0]["params"][0] == "T"
        assert c.transact("T", {"op": "select", "table": "A", "where": []}) == [{"rows": []}]


def test_converted_while_it_is_asked(make_relay, fake_source):
    """The source is converted between its schema and the monitor, which the new one allows as well: nothing is canceled."""
    newer = json.loads(json.dumps(OLD_SCHEMA))
    newer["tables"]["A"]["columns"]["added"] = {"type": "string"}
    uuid = "11111111-1111-1111-1111-111111111111"
    asked = []

    def answer(message):
        asked.append(message["method"])
        if message["method"] == "get_schema":
            return {"result": newer if "monitor" in asked else OLD_SCHEMA, "error": None}
        elif message["method"] == "monitor":
            columns = message["params"][2]["A"][0]["columns"]
            row = {"name": "n", "added": "x"}
            return {"result": {"A": {uuid: {"new": {c: row[c] for c in columns}}}}, "error": None}
        return {"result": {}, "error": None} if message["method"] == "monitor_cancel" else UNKNOWN

    relay = make_relay("relay", fake_source(answer))
    select = {"op": "select", "table": "A", "where": [], "columns": ["name", "added"]}
    with aware(relay) as c:
        wait_for("the new schema", lambda: c.call("transact", "T", select).get("result") == [{"rows": [{"name": "n", "added": "x"}]}])


def new_schema(test_schema, version):
    schema = json.loads(json.dumps(test_schema))
    schema["version"] = version
    schema["tables"]["A"]["columns"]["added"] = {"type": "string"}
    return schema


@pytest.mark.parametrize("through", ["source", "relay"])
def test_convert(source, make_relay, test_schema, through):
    """The source's schema changes: aware clients are told, others have to come again."""
    relay = connected(make_relay("relay", source.remote))
    with source.connect() as direct:
        direct.transact("T", insert(name="kept", i=3))
    with aware(relay) as c, relay.connect() as unaware, aware(source if through == "source" else relay) as converter:
        wait_for("the row", lambda: names(c) == ["kept"])
        c.result("monitor_cond", "T", "m", {"A": {"columns": ["i"]}})
        c.result("monitor_cond", "_Server", "s", {"Database": {"columns": ["name", "schema"]}})
        unaware.result("monitor", "T", "u", {"A": {}})
        assert converter.result("convert", "T", new_schema(test_schema, "9.9.9")) == {}
        if through == "relay":  # Who asked for it sees it at once.
            assert converter.result("get_schema", "T")["version"] == "9.9.9"
        notes = [c.note(), c.note()]
        assert {"method": "monitor_canceled", "params": ["m"], "id": None} in notes
        (update,) = [n for n in notes if n["method"] == "update2"]
        (change,) = update["params"][1]["Database"].values()
        assert json.loads(change["modify"]["schema"])["version"] == "9.9.9"
        with pytest.raises(Closed):
            while True:
                unaware.recv()
        assert c.transact("T", {"op": "select", "table": "A", "where": [], "columns": ["name", "added"]}) == [{"rows": [{"name": "kept", "added": ""}]}]
        assert c.transact("T", insert(name="new", added="x"))[0]["uuid"]
        reply = c.call("convert", "T", dict(new_schema(test_schema, "9.9.9"), name="Other"))
        assert "does not match" in reply["error"]["details"]


def test_same_version(source, make_relay, test_schema):
    """Another schema with the same version is another schema all the same: nobody keeps a dead monitor."""
    relay = connected(make_relay("relay", source.remote))
    with relay.connect() as unaware, aware(source) as converter:
        unaware.result("monitor", "T", "u", {"A": {}})
        assert converter.result("convert", "T", new_schema(test_schema, test_schema["version"])) == {}
        with pytest.raises(Closed):
            while True:
                unaware.recv()


def test_three_tiers(source, make_relay, test_schema):
    """source <- a <- b <- c: writes go up, updates come down, states have one name all the way."""
    tiers = [source]
    for name in "abc":
        tiers.append(connected(make_relay(name, tiers[-1].remote)))
    with tiers[3].connect() as low, source.connect() as high:
        found, last, rows = low.result("monitor_cond_since", "T", "m", {"A": {"columns": ["name", "i"]}}, ZERO)
        assert not found and rows == {}
        id = low.request("transact", "T", insert(name="from below", i=1))
        update = low.recv()
        assert update["method"] == "update3" and values(update) == [1]
        assert low.recv()["id"] == id
        high.transact("T", insert(name="from above", i=2))
        assert values(low.note()) == [2]
        tiers[1].kill()  # The middle breaks, and what happens meanwhile is not missed.
        high.transact("T", insert(name="meanwhile", i=3))
        tiers[1].start()
        update = low.note(60)
        assert values(update) == [3]
        last = update["params"][1]
    with tiers[2].connect() as other:  # A client may go on at another relay.
        found, _, rows = other.result("monitor_cond_since", "T", "m", {"A": {"columns": ["name", "i"]}}, last)
        if source.argv[0].endswith("byre-dbd"):  # The reference has no names for states of a file.
            assert found is True and rows == {}
    with aware(tiers[3]) as c:
        assert c.result("convert", "T", new_schema(test_schema, "7.7.7")) == {}
        assert c.result("get_schema", "T")["version"] == "7.7.7"
        assert names(c) == ["from above", "from below", "meanwhile"]


def test_no_way_back(dbd, make_dbd, make_relay):
    """A second source that is behind what the relay has seen is not followed while another one may be had."""
    import shutil
    with dbd.connect() as c:
        c.transact("T", insert(name="n", i=1))
        c.transact("T", update_i("n", 2))
    behind = make_dbd(name="behind")
    shutil.copy(dbd.db, behind.db)
    behind.start()
    near, late = connected(make_relay("near", dbd.remote)), connected(make_relay("late", behind.remote))
    relay = connected(make_relay("relay", near.remote, late.remote, args=("-vconsole:info",)))
    with relay.connect() as c, dbd.connect() as direct:
        c.result("monitor_cond", "T", "m", {"A": {"columns": ["i"]}})
        for i in range(3, 8):
            direct.transact("T", update_i("n", i))
            assert values(c.note()) == [i]
        near.kill()
        wait_for("the break", lambda: "the source is lost" in relay.text())
        assert c.quiet(2)
        near.start()
        direct.transact("T", update_i("n", 8))
        assert values(c.note(60)) == [8]
        assert "does not know the state" in relay.text()


def test_read_only(dbd, make_relay, state_dir):
    relay = make_relay("relay", dbd.remote, start=False)
    config = state_dir / "relay.json"
    config.write_text(json.dumps({"remotes": {"punix:%s" % relay.sock: {"read-only": True}},
                                  "databases": {"T": {"service-model": "relay", "source": {dbd.remote: None}}}}))
    relay.argv = [relay.argv[0], "--config-file=%s" % config, "--unixctl=%s" % relay.ctl]
    relay.start()
    connected(relay)
    with relay.connect() as c, dbd.connect() as direct:
        for _ in range(2):  # Also while something is under way.
            ids = [c.request("transact", "T", insert(name="x")) for _ in range(3)]
            for id in ids:
                assert c.reply(id)["result"][0]["error"] == "not allowed"
        assert c.call("convert", "T", {})["error"]["error"] in ("not allowed", "syntax error")
        assert names(direct) == []
        direct.transact("T", insert(name="y"))
        wait_for("the row", lambda: names(c) == ["y"])


def test_not_there_yet(make_relay, make_dbd, program, state_dir):
    """Without a source ever, a relay has a name and nothing else."""
    relay = make_relay("relay", "unix:%s" % (state_dir / "source.sock"))
    row = row_of(relay)
    assert (row["model"], row["connected"], row["schema"]) == ("relay", False, ["set", []])
    with aware(relay) as c:
        c.result("monitor_cond", "_Server", "s", {"Database": {"columns": ["name", "connected"]}})
        assert sorted(c.result("list_dbs")) == ["T", "_Server"]
        for method, *more in (("get_schema",), ("transact",), ("monitor", "m", {}), ("convert", {})):
            assert c.call(method, "T", *more)["error"]["error"] == "database not available"
        make_dbd(name="source").start()
        assert list(c.note(30)["params"][1]["Database"].values()) == [{"modify": {"connected": True}}]
        assert c.result("get_schema", "T")["name"] == "T"
        appctl(program, relay, "ovsdb-server/remove-db", "T")
        assert c.call("get_schema", "T")["error"]["error"] == "unknown database"
    appctl(program, relay, "ovsdb-server/add-db", "relay:T:unix:%s" % (state_dir / "source.sock"))
    connected(relay)
    assert "T" in appctl(program, relay, "ovsdb-server/list-dbs").split()


def test_patience(dbd, make_relay):
    """A lost source is told to clients after 30 seconds, not before."""
    relay = connected(make_relay("relay", dbd.remote))
    with aware(relay) as c:
        c.result("monitor_cond", "_Server", "s", {"Database": {"columns": ["connected"], "where": [["name", "==", "T"]]}})
        dbd.kill()
        start = time.monotonic()
        assert list(c.note(90)["params"][1]["Database"].values()) == [{"modify": {"connected": False}}]
        assert time.monotonic() - start > 29
        assert names(c) == []
        dbd.start()
        assert list(c.note(60)["params"][1]["Database"].values()) == [{"modify": {"connected": True}}]


def test_wrong_sources(program, make_relay, state_dir, dbd):
    for spec in ("relay:", "relay:T", "relay:T:", "relay:T:punix:x", "relay:T:nonsense", "relay:a/b:unix:x", "relay:_Server:unix:x"):
        relay = make_relay("bad", "unix:x", start=False)
        relay.argv[-1] = spec
        relay.start(wait=False)
        assert relay.process.wait(20) == 1, spec
        assert "next:" in relay.text() or "punix" in relay.text() or "nonsense" in relay.text(), relay.text()
    other = make_relay("other", dbd.remote, db="Unknown")
    wait_for("its log", lambda: "there is no database Unknown" in other.text())
    assert row_of(other, "Unknown")["connected"] is False
