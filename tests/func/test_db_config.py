"""byre-dbd's --config-file and "ovsdb-server/reload", and the smaller commands of ovs-appctl beside ovsdb-server's."""

import json
import subprocess

import pytest

import rpc
from conftest import TEST_SCHEMA, make_db
from rpc import Closed, wait_for
from test_db_remotes import reachable
from test_dbserver import appctl, insert


@pytest.fixture
def configured(make_dbd, program, state_dir):
    """A byre-dbd that is told everything by a file; server.write(dict) writes that."""
    server = make_dbd()
    make_db(program("byre-dbtool"), state_dir / "second.db", dict(TEST_SCHEMA, name="Second"))
    server.config = state_dir / "config.json"
    server.argv = [a for a in server.argv if not a.startswith("--remote") and a != str(server.db)] + ["--config-file=%s" % server.config]
    server.local = "punix:%s" % server.sock
    server.write = lambda value: server.config.write_text(json.dumps(value))
    server.write({"remotes": {server.local: None}, "databases": {str(server.db): {"service-model": "standalone"}}})
    return server


def test_reload(configured, program, state_dir):
    configured.start()
    second = "punix:%s/second.sock" % state_dir
    with configured.connect() as c:
        c.result("set_db_change_aware", True)
        assert sorted(c.result("list_dbs")) == ["T", "_Server"]
        c.transact("T", insert(name="kept"))
        configured.write({"remotes": {configured.local: None, second: {"read-only": True, "inactivity-probe": 5000, "role": "", "max-backoff": 2000, "dscp": 0}},
                          "databases": {str(configured.db): None, "second.db": {}}})  # Relative to the file.
        assert appctl(program, configured, "ovsdb-server/reload") == ""
        assert sorted(c.result("list_dbs")) == ["Second", "T", "_Server"]
        with rpc.Rpc("unix:%s/second.sock" % state_dir) as ro:
            assert ro.transact("T", insert(name="x"))[0]["error"] == "not allowed"
            configured.write({"remotes": {configured.local: None, second: None}, "databases": {"second.db": None}})
            appctl(program, configured, "ovsdb-server/reload")
            with pytest.raises(Closed):  # It is not aware of changes of databases.
                ro.recv(10)
        with rpc.Rpc("unix:%s/second.sock" % state_dir) as rw:
            assert "uuid" in rw.transact("Second", insert(name="x"))[0]
        assert sorted(c.result("list_dbs")) == ["Second", "_Server"]
    configured.write({"remotes": {configured.local: None}})
    appctl(program, configured, "ovsdb-server/reload")
    assert not reachable("unix:%s/second.sock" % state_dir)


@pytest.mark.parametrize("text, words", [
    ("{", "config.json"), ("[]", "Object expected"), ('{"bogus":{}}', "bogus"), ('{"databases":{"x":{"service-model":"clustered"}}}', "clustered"),
    ('{"remotes":{"punix:x":{"dscp":64}}}', "dscp"), ('{"remotes":{"bogus:1":null}}', "bogus"), ('{"databases":{"/nonexistent/x.db":null}}', "/nonexistent/x.db"),
    ('{"remotes":{"db:a,b,c":null}}', "no database named a"),
])
def test_a_bad_file(configured, program, text, words):
    good = configured.config.read_text()
    configured.config.write_text(text)
    run = subprocess.run(configured.argv, capture_output=True, text=True, timeout=20)
    assert run.returncode == 1 and words in run.stderr, run.stderr
    configured.config.write_text(good)
    configured.start()
    configured.config.write_text(text)
    assert words in appctl(program, configured, "ovsdb-server/reload", ok=False)
    assert reachable(configured.remote) or words in ("bogus", "/nonexistent/x.db", "no database named a")


def test_nobody_else_may_change_what_the_file_says(configured, program, make_dbd):
    configured.start()
    for command in (["add-remote", "punix:x"], ["remove-remote", configured.local], ["add-db", "x"], ["remove-db", "T"]):
        text = appctl(program, configured, "ovsdb-server/" + command[0], command[1], ok=False)
        assert "Update the %s and use ovsdb-server/reload instead" % configured.config in text
    plain = make_dbd(name="plain").start()
    assert "Configuration file was not specified on command line" in appctl(program, plain, "ovsdb-server/reload", ok=False)
    run = subprocess.run([*configured.argv, "--remote=punix:x"], capture_output=True, text=True, timeout=20)
    assert run.returncode == 1 and "--config-file" in run.stderr


COMMANDS = [
    ["vlog/set", "file:dbg"], ["vlog/set", "jsonrpc:file:info"], ["vlog/set", "PATTERN:console:%m%n"], ["vlog/close"], ["vlog/reopen"],
    ["vlog/enable-rate-limit"], ["vlog/disable-rate-limit", "any", "jsonrpc"], ["vlog/disable-rate-limit", "x"], ["vlog/enable-rate-limit", "jsonrpc", "x"], ["coverage/read-counter", "nope"], ["coverage/read-counter"],
    ["ovsdb-server/perf-counters-show"], ["ovsdb-server/perf-counters-clear"],
    ["ovsdb-server/get-active-ovsdb-server"], ["ovsdb-server/get-sync-exclude-tables"], ["ovsdb-server/disconnect-active-ovsdb-server"],
    ["ovsdb-server/memory-trim-on-compaction", "on"], ["ovsdb-server/memory-trim-on-compaction", "x"],
    ["ovsdb-server/get-db-storage-status", "T"], ["ovsdb-server/get-db-storage-status", "x"],
    ["ovsdb-server/remove-db", "x"], ["ovsdb-server/remove-db", "_Server"], ["ovsdb-server/compact"], ["ovsdb-server/compact", "_Server"],
    ["ovsdb-server/compact", "x"], ["ovsdb-server/sync-status"], ["ovsdb-server/list-dbs"], ["ovsdb-server/remove-remote", "x"], ["bogus"],
    ["vlog/set", "file:dbg:info"], ["vlog/set", "file:console"], ["vlog/set", "file:jsonrpc,raft"], ["vlog/set", "a:b:c"], ["vlog/set", ""],
    ["vlog/set", "pattern:nowhere:%m"], ["vlog/set", "PATTERN"], ["vlog/set", "FACILITY"], ["vlog/set", "FACILITY:none"],
    ["vlog/set", "FACILITY:local0"], ["vlog/set", "ANY file\tinfo"], ["vlog/set", "file:info", "nonsense"],
    ["version", "x"], ["vlog/set", "nonsense"], ["ovsdb-server/tlog-list"], ["ovsdb-server/tlog-set", "T:A"], ["ovsdb-server/tlog-set", "T:A", "x"],
    ["ovsdb-server/tlog-set", "T:X", "on"], ["ovsdb-server/tlog-set", "X:A", "on"], ["ovsdb-server/tlog-set", "T:A", "ON"], ["ovsdb-server/tlog-list"],
    *(["ovsdb-server/tlog-set", what, how] for what in ("T", ":", "T:", ":A", "T:A:B", "", "T:X") for how in ("on", "x")), ["ovsdb-server/tlog-list"],
    ["ovsdb-server/connect-active-ovsdb-server"], ["ovsdb-server/set-active-ovsdb-server-probe-interval", "x"],
    ["ovsdb-server/set-sync-exclude-tables", "T:A,T:B"], ["ovsdb-server/get-sync-exclude-tables"],
]


def test_commands_as_ovsdb_server(make_dbd, make_reference, program):
    ours, theirs = make_dbd().start(), make_reference()
    theirs.ctl = theirs.dir / "ctl"
    theirs.start()
    wait_for("its commands", theirs.ctl.exists)
    for command in COMMANDS:
        outputs = []
        for server in (theirs, ours):
            run = subprocess.run([program("ovs-appctl"), "-t", str(server.ctl), *command], capture_output=True, text=True, timeout=30)
            outputs.append((run.returncode, run.stdout, run.stderr.replace(str(server.ctl), "CTL")))
        assert outputs[1] == outputs[0], command


def test_logs(make_dbd, program, state_dir):
    server = make_dbd(args=["--log-file=%s/x.log" % state_dir, "-vfile:warn", "-vsyslog:off", "-vjsonrpc:file:dbg", "-vPATTERN:file:%m"]).start()
    assert any(line.split() == ["dbserver", "ERR", "OFF", "WARN"] for line in appctl(program, server, "vlog/list").splitlines())
    assert (state_dir / "x.log").read_text() == ""
    appctl(program, server, "vlog/set", "file:info")
    assert any(line.split() == ["dbserver", "ERR", "OFF", "INFO"] for line in appctl(program, server, "vlog/list").splitlines())
    appctl(program, server, "vlog/close")
    appctl(program, server, "ovsdb-server/add-remote", "punix:%s/silent" % state_dir)
    assert "silent" not in (state_dir / "x.log").read_text()
    appctl(program, server, "vlog/reopen")
    appctl(program, server, "ovsdb-server/add-remote", "punix:%s/loud" % state_dir)
    assert "loud" in (state_dir / "x.log").read_text()
    assert "FILE" in appctl(program, server, "vlog/list-pattern")


@pytest.mark.parametrize("name", ["byre-dbd", "ovsdb-server"])
def test_disable_monitor_cond(make_dbd, make_reference, program, name):
    server = make_dbd() if name == "byre-dbd" else make_reference()
    server.ctl = server.dir / (server.ctl.name if hasattr(server, "ctl") else "ctl")
    server.start()
    with server.connect() as c:
        c.result("monitor_cond", "T", 1, {"A": {}})
        appctl(program, server, "ovsdb-server/disable-monitor-cond")
        with pytest.raises(Closed):
            c.recv(10)
    with server.connect() as c:
        assert c.call("monitor_cond", "T", 1, {"A": {}})["error"] == "unknown method"
        assert c.call("monitor_cond_since", "T", 1, {"A": {}}, "0" * 8)["error"] == "unknown method"
        assert c.result("monitor", "T", 1, {"A": {}}) == {}
