"""Active-backup: --sync-from and its commands, with Debian's ovsdb-server as the other, in either role."""

import json
import subprocess

import pytest

import rpc
from conftest import make_db
from rpc import wait_for
from test_dbserver import appctl, insert, names


@pytest.fixture(params=["byre", "reference"])
def active(request, make_dbd, make_reference):
    return make_dbd(name="active").start() if request.param == "byre" else make_reference(name="active").start()


@pytest.fixture
def make_backup(make_dbd):
    """make_backup(active, args...): a byre-dbd that follows it."""

    def make(active, *args, schema=None, name="backup", wait=True):
        kind = {} if schema is None else {"schema": schema}
        server = make_dbd(name=name, args=("--sync-from=" + active.remote, "-vconsole:info", *args), **kind)
        return server.start()

    return make


def status(program, server):
    return appctl(program, server, "ovsdb-server/sync-status").splitlines()


def replicating(program, server):
    wait_for("replication", lambda: any(line.startswith("replicating: ") for line in status(program, server)))


def test_follows(active, make_backup, program):
    with active.connect() as c:
        c.transact("T", insert(name="before", tags=["set", ["a", "b"]], opts=["map", [["k", "v"]]]))
    backup = make_backup(active)
    replicating(program, backup)
    assert status(program, backup) == ["state: backup", "replicating: " + active.remote, "database: T"]
    assert status(program, active)[-1] == "state: active"
    with active.connect() as c, backup.connect() as b:
        assert names(b) == ["before"]
        b.result("monitor_cond", "T", "m", {"A": {"columns": ["name", "i", "tags"]}})
        c.transact("T", insert(name="x", i=1))
        assert [r["insert"]["name"] for r in b.note()["params"][1]["A"].values()] == ["x"]
        c.transact("T", {"op": "mutate", "table": "A", "where": [["name", "==", "before"]], "mutations": [["tags", "insert", "c"], ["tags", "delete", "a"]]})
        assert sorted(list(b.note()["params"][1]["A"].values())[0]["modify"]["tags"][1]) == ["a", "c"]
        c.transact("T", {"op": "delete", "table": "A", "where": [["name", "==", "x"]]})
        assert list(b.note()["params"][1]["A"].values()) == [{"delete": None}]
        refused = b.transact("T", insert(name="no"))
        assert refused == [{"error": "not allowed", "details": "insert operation not allowed when database server is in read only mode"}]
        assert b.call("convert", "T", b.result("get_schema", "T"))["error"]["error"] == "not allowed"
        assert names(b) == ["before"]
    backup.stop()  # What it had is in its own file, and is readable by others.
    done = subprocess.run([program("ovsdb-tool"), "query", str(backup.db), '["T",{"op":"select","table":"A","where":[],"columns":["name"]}]'],
                          capture_output=True, text=True)
    assert json.loads(done.stdout) == [{"rows": [{"name": "before"}]}], done.stderr


def test_promotion_and_back(active, make_backup, program):
    backup = make_backup(active)
    replicating(program, backup)
    with active.connect() as c:
        c.transact("T", insert(name="one"))
    with backup.connect() as b:
        wait_for("the row", lambda: names(b) == ["one"])
        active.kill()
        wait_for("the loss", lambda: "connecting: " + active.remote in status(program, backup))
        assert names(b) == ["one"] and b.transact("T", insert())[0]["error"] == "not allowed"
        appctl(program, backup, "ovsdb-server/disconnect-active-ovsdb-server")
        assert "state: active" in status(program, backup)
        assert "uuid" in b.transact("T", insert(name="two"))[0]
        active.start()  # The old active server's content is the truth again: the backup is what it is.
        appctl(program, backup, "ovsdb-server/connect-active-ovsdb-server")
        wait_for("the row to go", lambda: names(b) == ["one"])
        assert appctl(program, backup, "ovsdb-server/get-active-ovsdb-server").strip() == active.remote


def test_restart_writes_only_the_difference(active, make_backup, program):
    with active.connect() as c:
        c.transact("T", *(insert(name="n%d" % i) for i in range(50)))
    backup = make_backup(active)
    replicating(program, backup)
    with backup.connect() as b:
        wait_for("the rows", lambda: len(names(b)) == 50)
    backup.stop()
    with active.connect() as c:
        c.transact("T", {"op": "update", "table": "A", "where": [["name", "==", "n7"]], "row": {"i": 7}})
    backup.start()
    replicating(program, backup)
    with backup.connect() as b:
        wait_for("the update", lambda: b.transact("T", {"op": "select", "table": "A", "where": [["i", "==", 7]], "columns": ["name"]}) == [{"rows": [{"name": "n7"}]}])
    backup.stop()
    last = backup.db.read_bytes().splitlines()[-1]
    assert b'"i":7' in last and b"n8" not in last and b"replicated from" in last


def test_exclude_tables(active, make_backup, program):
    backup = make_backup(active, "--sync-exclude-tables=T:U,X:y", "--active")
    assert status(program, backup) == ["state: active"]
    with active.connect() as c, backup.connect() as b:
        assert "uuid" in b.transact("T", insert("U", a="own"))[0]
        c.transact("T", insert("U", a="theirs"), insert(name="x"))
        appctl(program, backup, "ovsdb-server/connect-active-ovsdb-server")
        wait_for("the row", lambda: names(b) == ["x"])
        rows = b.transact("T", {"op": "select", "table": "U", "where": [], "columns": ["a"]})
        assert rows == [{"rows": [{"a": "own"}]}]
        assert status(program, backup)[-1] == "exclude: T:U,X:y"
        assert appctl(program, backup, "ovsdb-server/get-sync-exclude-tables").strip() == "T:U,X:y"
        appctl(program, backup, "ovsdb-server/set-sync-exclude-tables", "T:A")
        wait_for("their row", lambda: b.transact("T", {"op": "select", "table": "U", "where": [], "columns": ["a"]}) == [{"rows": [{"a": "theirs"}]}])
        appctl(program, backup, "ovsdb-server/set-sync-exclude-tables", "")
        assert "Can't parse" in appctl(program, backup, "ovsdb-server/set-sync-exclude-tables", "nonsense", ok=False)


def test_not_itself(dbd, program):
    appctl(program, dbd, "ovsdb-server/set-active-ovsdb-server", dbd.remote)
    appctl(program, dbd, "ovsdb-server/connect-active-ovsdb-server")
    wait_for("its refusal", lambda: "Self replicating is not allowed" in dbd.text() and "state: active" in status(program, dbd))
    with dbd.connect() as c:
        assert "uuid" in c.transact("T", insert(name="x"))[0]


def test_schemas(active, make_backup, program, test_schema):
    """Ours may have more than the active server's, not less."""
    more = json.loads(json.dumps(test_schema))
    more["version"] = "2.0.0"
    more["tables"]["A"]["columns"]["extra"] = {"type": "string"}
    less = json.loads(json.dumps(test_schema))
    less["version"] = "0.1.0"
    del less["tables"]["U"]
    backup = make_backup(active, schema=more, name="more")
    replicating(program, backup)
    assert "Schema version mismatch, checking if T can still be replicated or not" in backup.text() and "T can be replicated" in backup.text()
    with active.connect() as c, backup.connect() as b:
        c.transact("T", insert(name="x"))
        wait_for("the row", lambda: names(b) == ["x"])
    backup = make_backup(active, schema=less, name="less")
    wait_for("its refusal", lambda: "T cannot be replicated" in backup.text() and "state: active" in status(program, backup))
    assert "Table U not present in the local db schema" in backup.text()


def test_reference_follows_us(dbd, make_reference, program):
    backup = make_reference(name="backup")
    backup.argv[1:1] = ["--sync-from=" + dbd.remote]
    with dbd.connect() as c:
        c.transact("T", insert(name="x", i=4))
        backup.start()
        replicating(program, backup)
        with backup.connect() as b:
            assert names(b) == ["x"]
            c.transact("T", insert(name="y"))
            wait_for("the row", lambda: names(b) == ["x", "y"])


def test_config_file(active, make_dbd, state_dir, program, test_schema):
    backup = make_dbd(name="backup")
    config = state_dir / "backup.json"
    database = {"service-model": "active-backup", "backup": True, "source": {active.remote: {"inactivity-probe": 10000}}, "exclude-tables": ["U"]}

    def write():
        config.write_text(json.dumps({"remotes": {"punix:%s" % backup.sock: None}, "databases": {str(backup.db): database}}))

    write()
    backup.argv = [backup.argv[0], "--config-file=%s" % config, "--unixctl=%s" % backup.ctl]
    backup.start()
    replicating(program, backup)
    with active.connect() as c, backup.connect() as b:
        c.transact("T", insert(name="x"))
        wait_for("the row", lambda: names(b) == ["x"])
        assert status(program, backup)[-1] == "exclude: T:U"
        database["backup"] = False
        write()
        appctl(program, backup, "ovsdb-server/reload")
        assert "uuid" in b.transact("T", insert(name="y"))[0]
        assert "Update the" in appctl(program, backup, "ovsdb-server/connect-active-ovsdb-server", ok=False)


def test_added_later(active, make_dbd, program, state_dir, test_schema):
    """A database that is added follows like the others; with --active it does not, until asked."""
    backup = make_dbd(name="backup", args=("--sync-from=" + active.remote, "--active"))
    backup.argv[-1] = "--no-dbs"
    backup.start()
    appctl(program, backup, "ovsdb-server/add-db", str(backup.db))
    with backup.connect() as b, active.connect() as c:
        assert "uuid" in b.transact("T", insert(name="own"))[0]
        c.transact("T", insert(name="theirs"))
        appctl(program, backup, "ovsdb-server/connect-active-ovsdb-server")
        wait_for("the row", lambda: names(b) == ["theirs"])
        appctl(program, backup, "ovsdb-server/set-active-ovsdb-server-probe-interval", "5000")
        assert "Invalid" in appctl(program, backup, "ovsdb-server/set-active-ovsdb-server-probe-interval", "x")
