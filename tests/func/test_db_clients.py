"""Open vSwitch's own clients against byre-dbd: ovsdb-client and the IDL of python3-openvswitch."""

import json
import subprocess
import time

import pytest

from test_dbserver import insert


def client(program, server, *args):
    run = subprocess.run([program("ovsdb-client"), *args[:1], server.remote, *args[1:]], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_ovsdb_client(dbd, program):
    assert client(program, dbd, "list-dbs").split() == ["T", "_Server"]
    assert json.loads(client(program, dbd, "get-schema", "T"))["name"] == "T"
    assert client(program, dbd, "get-schema-version", "T") == "1.2.3\n"
    assert "U" in client(program, dbd, "list-tables", "T")
    assert "color" in client(program, dbd, "list-columns", "T", "A")
    result = json.loads(client(program, dbd, "transact", json.dumps(["T", insert(name="hello", i=42)])))
    assert result[0]["uuid"][0] == "uuid"
    dump = client(program, dbd, "dump", "T")
    assert "hello" in dump and "42" in dump and "A table" in dump
    assert "hello" in client(program, dbd, "dump", "T", "A", "name")
    assert json.loads(client(program, dbd, "query", json.dumps(["T", {"op": "select", "table": "A", "where": [], "columns": ["i"]}]))) == [{"rows": [{"i": 42}]}]
    backup = client(program, dbd, "backup", "T")
    assert backup.startswith("OVSDB JSON")


@pytest.mark.parametrize("command", ["monitor", "monitor-cond", "monitor-cond-since"])
def test_ovsdb_client_monitor(dbd, program, command):
    condition = {"monitor": [], "monitor-cond": ["[]"], "monitor-cond-since": ["00000000-0000-0000-0000-000000000000", "[]"]}[command]
    argv = [program("ovsdb-client"), "--format=json", command, dbd.remote, "T", *condition, "A", "name"]
    with dbd.connect() as c:
        c.transact("T", insert(name="zero"))
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as monitor:
            def read_until(word):
                seen = ""
                while word not in seen:
                    line = monitor.stdout.readline()
                    assert line, monitor.stderr.read()
                    seen += line
                return seen

            try:
                read_until('"zero"')  # What is there comes first; so the monitor is there now.
                (uuid,) = [r["uuid"] for r in c.transact("T", insert(name="one"))]
                c.transact("T", {"op": "update", "table": "A", "where": [["_uuid", "==", uuid]], "row": {"name": "two"}})
                c.transact("T", {"op": "delete", "table": "A", "where": [["_uuid", "==", uuid]]})
                seen = read_until('"delete"')
                assert '"one"' in seen and '"two"' in seen
            finally:
                monitor.terminate()


@pytest.fixture
def idl(dbd):
    pytest.importorskip("ovs.db.idl")
    import ovs.db.idl
    import ovs.poller as poller

    with dbd.connect() as c:
        schema = c.result("get_schema", "T")
    helper = ovs.db.idl.SchemaHelper(schema_json=schema)
    helper.register_all()
    idl = ovs.db.idl.Idl(dbd.remote, helper)

    def run_until(condition, seconds=20):
        deadline = time.monotonic() + seconds
        while True:
            idl.run()
            if condition():
                return
            assert time.monotonic() < deadline, "the IDL did not see it"
            p = poller.Poller()
            idl.wait(p)
            p.timer_wait(100)
            p.block()

    idl.run_until = run_until
    yield idl
    idl.close()


def test_idl_sees_changes(dbd, idl):
    with dbd.connect() as c:
        c.transact("T", insert(name="old", i=1, tags=["set", ["a", "b"]]))
        rows = lambda: list(idl.tables["A"].rows.values())
        idl.run_until(lambda: [(r.name, r.i, sorted(r.tags)) for r in rows()] == [("old", 1, ["a", "b"])])
        c.transact("T", {"op": "update", "table": "A", "where": [], "row": {"name": "new", "opts": ["map", [["k", "v"]]]}},
                   {"op": "mutate", "table": "A", "where": [], "mutations": [["tags", "insert", "c"]]})
        idl.run_until(lambda: [(r.name, r.opts, sorted(r.tags)) for r in rows()] == [("new", {"k": "v"}, ["a", "b", "c"])])
        c.transact("T", {"op": "delete", "table": "A", "where": []})
        idl.run_until(lambda: not rows())


def test_idl_writes(dbd, idl):
    from ovs.db.idl import Transaction

    idl.run_until(lambda: idl.change_seqno > 0)
    txn = Transaction(idl)
    row = txn.insert(idl.tables["A"])
    row.name = "by idl"
    row.i = 7
    row.opts = {"a": "b"}
    row.fixed = "f"
    assert txn.commit_block() == Transaction.SUCCESS, txn.get_error()
    idl.run_until(lambda: [(r.name, r.i) for r in idl.tables["A"].rows.values()] == [("by idl", 7)])
    (row,) = idl.tables["A"].rows.values()
    txn = Transaction(idl)
    row.verify("i")
    row.i = 8
    assert txn.commit_block() == Transaction.SUCCESS
    with dbd.connect() as c:
        assert c.transact("T", {"op": "select", "table": "A", "where": [], "columns": ["i"]})[0]["rows"] == [{"i": 8}]


def test_idl_lives_through_a_restart(dbd, idl):
    with dbd.connect() as c:
        c.transact("T", insert(name="kept"))
    idl.run_until(lambda: len(idl.tables["A"].rows) == 1)
    dbd.kill()
    dbd.start()
    with dbd.connect() as c:
        c.transact("T", insert(name="second"))
    idl.run_until(lambda: sorted(r.name for r in idl.tables["A"].rows.values()) == ["kept", "second"], 30)


def test_idl_downloads_only_what_it_missed(dbd, monkeypatch):
    pytest.importorskip("ovs.db.idl")
    import ovs.db.idl
    import ovs.poller as poller

    told = []
    parse = ovs.db.idl.Idl._Idl__parse_update
    monkeypatch.setattr(ovs.db.idl.Idl, "_Idl__parse_update",
                        lambda self, update, *more, **named: (told.append(update), parse(self, update, *more, **named))[1])
    with dbd.connect() as c:
        c.transact("T", *[insert(name="row %d" % i) for i in range(100)])
        helper = ovs.db.idl.SchemaHelper(schema_json=c.result("get_schema", "T"))
    helper.register_columns("A", ["name"])
    idl = ovs.db.idl.Idl(dbd.remote, helper)

    def run_until(condition):
        deadline = time.monotonic() + 60
        while not condition():
            idl.run()
            assert time.monotonic() < deadline, "the IDL did not see it"
            p = poller.Poller()
            idl.wait(p)
            p.timer_wait(50)
            p.block()

    try:
        run_until(lambda: len(idl.tables["A"].rows) == 100)
        with dbd.connect() as c:  # This client learns the state's name from updates only.
            c.transact("T", {"op": "update", "table": "A", "where": [["name", "==", "row 3"]], "row": {"name": "last"}})
        run_until(lambda: any(r.name == "last" for r in idl.tables["A"].rows.values()))
        dbd.kill()
        del told[:]
        dbd.start()
        with dbd.connect() as c:
            c.transact("T", insert(name="new"), {"op": "delete", "table": "A", "where": [["name", "==", "row 7"]]})
        run_until(lambda: any(r.name == "new" for r in idl.tables["A"].rows.values()))
        assert len(idl.tables["A"].rows) == 100
        rows = [row for update in told for row in update.get("A", {}).values()]
        assert len(rows) == 2 and not any("initial" in row for row in rows), told
    finally:
        idl.close()


def test_idl_lock(dbd, idl):
    idl.set_lock("boss")
    idl.run_until(lambda: idl.has_lock)
    with dbd.connect() as c:
        assert c.result("steal", "boss") == {"locked": True}
        idl.run_until(lambda: not idl.has_lock)
        c.result("unlock", "boss")
        idl.run_until(lambda: idl.has_lock)
