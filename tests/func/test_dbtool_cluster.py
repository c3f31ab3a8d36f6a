"""byre-dbtool on the files of ovsdb-server's clusters, beside ovsdb-tool."""

import json
import re
import shutil
import subprocess

import pytest

from conftest import TEST_SCHEMA, make_db
from rpc import wait_for
from test_db_cluster import DB, cluster, counter, leader_of  # noqa: F401 (cluster is a fixture)


@pytest.fixture
def tools(program):
    def run(name, *args, ok=True):
        done = subprocess.run([program(name), *map(str, args)], capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done

    return run


def plain_schema():
    schema = json.loads(json.dumps(TEST_SCHEMA))
    del schema["tables"]["A"]["columns"]["eph"]["ephemeral"]
    return schema


def rows(run, tool, path):
    done = run(tool, "query", path, '["T",{"op":"select","table":"A","where":[],"columns":["_uuid","name","i","tags"]}]')
    return sorted(json.loads(done.stdout)[0]["rows"], key=lambda r: r["name"])


def fill(run, program, path):
    make_db(program("ovsdb-tool"), path, plain_schema())
    run("ovsdb-tool", "transact", path, json.dumps(["T", *({"op": "insert", "table": "A", "row": {"name": "n%d" % i, "i": i, "tags": ["set", ["a", "b"]]}} for i in range(5))]))


def log_of(tools, tool, path, more):
    """Its show-log, record by record, without what ovsdb-tool forgets or mistypes: line feeds, timers, a quote."""
    out = tools(tool, *more, "show-log", path).stdout.replace("'\n", '"\n')
    out = re.sub(r"^ (prev_)?election_timer: .*\n", "", out, flags=re.M)
    return [sorted(line for line in record.split("\n") if line) for record in re.split(r"^(?=record )", out, flags=re.M)]


def same_log(tools, path, at_least):
    for more in ([], ["-m"], ["-mm"]):
        theirs, ours = (log_of(tools, tool, path, more) for tool in ("ovsdb-tool", "byre-dbtool"))
        assert theirs == ours and len(ours) > at_least


def test_facts(tools, program, state_dir):
    db, ours = state_dir / "theirs", state_dir / "ours"
    (state_dir / "s").write_text(json.dumps(plain_schema()))
    tools("ovsdb-tool", "create-cluster", db, state_dir / "s", "tcp:127.0.0.1:7001")
    tools("byre-dbtool", "create-cluster", ours, state_dir / "s", "tcp:127.0.0.1:7001")
    tools("ovsdb-tool", "join-cluster", state_dir / "joins", "T", "tcp:127.0.0.1:7002", "tcp:127.0.0.1:7001")
    tools("byre-dbtool", "--cid=8fbe05c8-a76c-4a59-9abc-6f712e489229", "join-cluster", state_dir / "ours-joins", "T", "tcp:127.0.0.1:7002", "tcp:127.0.0.1:7001")
    for path in (db, ours, state_dir / "joins", state_dir / "ours-joins"):
        for command in ("db-cid", "db-sid", "db-local-address", "db-name", "db-is-clustered", "db-is-standalone"):
            done = [subprocess.run([program(tool), command, str(path)], capture_output=True, text=True) for tool in ("ovsdb-tool", "byre-dbtool")]
            assert done[0].stdout == done[1].stdout and done[0].returncode == done[1].returncode, (path, command, done)
        same_log(tools, path, 0)
    for command in ("db-cid", "db-sid", "check-cluster"):
        assert "not a clustered database" in tools("byre-dbtool", command, state_dir / "s", ok=False).stderr
    assert "cluster-to-standalone" in tools("byre-dbtool", "compact", db, ok=False).stderr


def test_our_files_make_a_cluster(tools, program, state_dir):
    """Members made by byre-dbtool, from a database with rows: ovsdb-server serves them."""
    from conftest import Server
    from test_db_relay import row_of
    import socket
    sockets = [socket.socket() for _ in range(2)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    addresses = ["tcp:127.0.0.1:%d" % s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    fill(tools, program, state_dir / "standalone")
    tools("byre-dbtool", "--election-timer=2000", "create-cluster", state_dir / "m0", state_dir / "standalone", addresses[0])
    tools("byre-dbtool", "join-cluster", state_dir / "m1", "T", addresses[1], addresses[0])
    servers = []
    try:
        for i in range(2):
            d = state_dir / ("d%d" % i)
            d.mkdir()
            server = Server(d, [program("ovsdb-server"), "--remote=punix:%s" % (d / "db.sock"), "--unixctl=%s" % (d / "ctl"), "-vconsole:emer", str(state_dir / ("m%d" % i))])
            servers.append(server.start())
            wait_for("the member", lambda: row_of(server, "T")["connected"], 60)
        with servers[1].connect() as c:
            select = {"op": "select", "table": "A", "where": [], "columns": ["name"]}
            assert len(c.transact("T", select)[0]["rows"]) == 5
            c.transact("T", {"op": "insert", "table": "A", "row": {"name": "more"}})
    finally:
        for server in servers:
            server.kill()
    tools("byre-dbtool", "check-cluster", state_dir / "m0", state_dir / "m1")
    for i in range(2):
        same_log(tools, state_dir / ("m%d" % i), 5)
        tools("byre-dbtool", "cluster-to-standalone", state_dir / ("sa%d" % i), state_dir / ("m%d" % i))
        tools("ovsdb-tool", "cluster-to-standalone", state_dir / ("ref%d" % i), state_dir / ("m%d" % i))
        assert rows(tools, "byre-dbtool", state_dir / ("sa%d" % i)) == rows(tools, "ovsdb-tool", state_dir / ("ref%d" % i))
        assert len(rows(tools, "ovsdb-tool", state_dir / ("sa%d" % i))) == 6


def test_check_cluster(cluster, tools, state_dir):  # noqa: F811
    """Good logs fit; one that says something else about what is committed does not."""
    leader = leader_of(cluster)
    with leader.server.connect() as c:
        c.transact(DB, {"op": "insert", "table": "repository", "row": {"id": "w"}})
        for i in range(20):
            c.transact(DB, counter("w", i))
    for m in cluster:
        m.kill()
    files = [m.db for m in cluster]
    tools("ovsdb-tool", "check-cluster", *files)
    tools("byre-dbtool", "check-cluster", *files)
    assert tools("byre-dbtool", "db-cid", files[0]).stdout == tools("byre-dbtool", "db-cid", files[2]).stdout
    shutil.copy(files[0], state_dir / "again")
    assert "both of server" in tools("byre-dbtool", "check-cluster", files[0], state_dir / "again", ok=False).stderr
    for i, m in enumerate(cluster):
        same_log(tools, m.db, 20)
        out = state_dir / ("sa%d" % i)
        tools("byre-dbtool", "cluster-to-standalone", out, m.db)
        done = tools("byre-dbtool", "query", out, json.dumps([DB, {"op": "select", "table": "repository", "where": [], "columns": ["external_ids"]}]))
        assert json.loads(done.stdout)[0]["rows"] == [{"external_ids": ["map", [["n", "19"]]]}]
    text = files[0].read_bytes()
    bad = state_dir / "bad"
    bad.write_bytes(text[:len(text) // 2])
    assert "offset" in tools("byre-dbtool", "check-cluster", bad, ok=False).stderr
    bad.write_bytes(text[:-20])
    done = tools("byre-dbtool", "show-log", bad, ok=False)
    assert "offset" in done.stderr and "record 3:" in done.stdout


def test_refusals(tools, program, state_dir):
    (state_dir / "s").write_text(json.dumps(TEST_SCHEMA))
    done = tools("byre-dbtool", "create-cluster", state_dir / "c", state_dir / "s", "tcp:127.0.0.1:7001")
    assert "1 ephemeral" in done.stderr
    assert "there already" in tools("byre-dbtool", "create-cluster", state_dir / "c", state_dir / "s", "tcp:127.0.0.1:7001", ok=False).stderr
    assert "no address" in tools("byre-dbtool", "create-cluster", state_dir / "d", state_dir / "s", "nonsense", ok=False).stderr
    assert "cannot be the same" in tools("byre-dbtool", "join-cluster", state_dir / "d", "T", "tcp:127.0.0.1:1", "tcp:127.0.0.1:1", ok=False).stderr
    assert "UUID" in tools("byre-dbtool", "--cid=x", "join-cluster", state_dir / "d", "T", "tcp:127.0.0.1:1", "tcp:127.0.0.1:2", ok=False).stderr
    tools("byre-dbtool", "join-cluster", state_dir / "d", "T", "tcp:127.0.0.1:1", "tcp:127.0.0.1:2")
    assert "not joined" in tools("byre-dbtool", "cluster-to-standalone", state_dir / "e", state_dir / "d", ok=False).stderr
    assert "all logs are empty" in tools("byre-dbtool", "check-cluster", state_dir / "d", ok=False).stderr
