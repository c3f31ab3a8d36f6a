"""byre-dbd as a process: ovsdb-server's options and ovs-appctl's commands that no other file covers."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

import rpc
from conftest import ASAN
from rpc import wait_for
from test_dbserver import appctl, insert, names


def run_dbd(program, *args, **env):
    return subprocess.run([program("byre-dbd"), *args], capture_output=True, text=True, timeout=30, env=dict(os.environ, **ASAN, **env))


def test_given_socket(make_dbd):
    """pfd:FD: a socket that systemd opened."""
    server = make_dbd()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(server.sock))
    listener.listen()
    server.argv[1] = "--remote=pfd:%d" % listener.fileno()
    env = dict(os.environ, BYRE_RUNDIR=str(server.dir), **ASAN)
    server.process = subprocess.Popen(server.argv, pass_fds=[listener.fileno()], env=env, stderr=subprocess.DEVNULL)
    with server.connect() as c:
        assert "T" in c.result("list_dbs")


def test_bad_descriptors(program, dbd, state_dir):
    with open("/dev/null") as null:
        for fd in (1, 99, "x", null.fileno()):
            done = run_dbd(program, "--no-dbs", "--unixctl=none", "--remote=pfd:%s" % fd)
            assert done.returncode == 1 and "pfd:%s" % fd in done.stderr, done.stderr
    assert "command line only" in appctl(program, dbd, "ovsdb-server/add-remote", "pfd:5", ok=False)


def test_default_database(program, make_dbd, state_dir):
    server = make_dbd(name="conf")
    done = run_dbd(program, "--unixctl=none", "--run=true", OVS_DBDIR=str(state_dir))
    assert done.returncode == 0, done.stderr
    assert "database T" in done.stderr
    server.db.unlink()
    done = run_dbd(program, "--unixctl=none", "--run=true", OVS_DBDIR=str(state_dir))
    assert done.returncode == 1 and "conf.db" in done.stderr
    assert run_dbd(program, "--unixctl=none", "--no-dbs", "--run=true", OVS_DBDIR=str(state_dir)).returncode == 0


@pytest.mark.parametrize("option", ["--record", "--replay=/tmp"])
def test_refused(program, option):
    done = run_dbd(program, option)
    assert done.returncode == 1 and "not supported" in done.stderr and "next:" in done.stderr


def test_monitor(program, make_dbd, state_dir):
    """--detach --monitor: killed by its own fault, the server is there again; told to exit, it stays away."""
    server = make_dbd()
    pidfile, log = state_dir / "dbd.pid", state_dir / "dbd.log"
    done = run_dbd(program, "--detach", "--monitor", "--no-chdir", "--pidfile=%s" % pidfile, "--log-file=%s" % log, *server.argv[1:], BYRE_RUNDIR=str(state_dir))
    assert done.returncode == 0, done.stderr
    first = int(pidfile.read_text())
    try:
        with server.connect() as c:
            c.transact("T", insert(name="x"))
        os.kill(first, signal.SIGABRT)  # The sanitizers take SIGSEGV for themselves.
        wait_for("another", lambda: pidfile.exists() and pidfile.read_text().strip() not in ("", str(first)) and rpc.listening(server.sock), 60)

        def there():
            try:
                with server.connect() as c:
                    return names(c) == ["x"]
            except OSError:
                return False

        wait_for("its socket", there)
        assert "died, killed (Aborted)" in log.read_text()
    finally:
        second = int(pidfile.read_text())
        appctl(program, server, "exit")
        wait_for("its end", lambda: not rpc.alive(second))
    wait_for("the pid file to go", lambda: not pidfile.exists())


def test_levels(program, dbd):
    """A level a module and a place."""

    def levels():
        return {line.split()[0]: line.split()[1:] for line in appctl(program, dbd, "vlog/list").splitlines()[2:]}

    assert levels()["dbserver"] == ["INFO", "OFF", "INFO"]
    appctl(program, dbd, "vlog/set", "dbserver:console:dbg", "jsonrpc:file:dbg")
    assert levels()["dbserver"] == ["DBG", "OFF", "INFO"] and levels()["jsonrpc"] == ["INFO", "OFF", "DBG"] and levels()["dbd"] == ["INFO", "OFF", "INFO"]
    with dbd.connect():
        wait_for("a line", lambda: "|dbserver|DBG|" in dbd.text())
    appctl(program, dbd, "vlog/set", "any:console:off")
    assert levels()["dbserver"] == ["OFF", "OFF", "INFO"]
    n = len(dbd.text())
    appctl(program, dbd, "ovsdb-server/reconnect")
    assert len(dbd.text()) == n
    assert 'no destination, level, or module "nonsense"' in appctl(program, dbd, "vlog/set", "nonsense:dbg", ok=False)
    appctl(program, dbd, "vlog/set", "PATTERN:file:%m")
    appctl(program, dbd, "vlog/set")
    assert set(map(tuple, levels().values())) == {("DBG", "DBG", "DBG")}


def test_huge_pages(make_dbd, monkeypatch):
    """It asks for them, unless somebody has said what he wants; and is called as it was started."""

    def of(server):
        proc = pathlib.Path("/proc/%d" % server.process.pid)
        # glibc ends each tunable in place, where it found a colon.
        environ = (proc / "environ").read_text().split("\0")
        return [e.split("=", 1)[-1] if e.startswith("GLIBC_TUNABLES=") else e for e in environ
                if e.startswith(("GLIBC_TUNABLES=", "glibc."))], (proc / "comm").read_text().strip()

    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    assert of(make_dbd(name="a").start()) == (["glibc.malloc.hugetlb=1"], "byre-dbd")
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=0")
    assert of(make_dbd(name="b").start()) == (["glibc.malloc.check=0", "glibc.malloc.hugetlb=1"], "byre-dbd")
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0")
    assert of(make_dbd(name="c").start()) == (["glibc.malloc.hugetlb=0"], "byre-dbd")


def test_unknown_level_is_no_failure(program):
    assert run_dbd(program, "-vnonsense:dbg", "-vvlog:off", "-vraft", "--no-dbs", "--unixctl=none", "--run=true").returncode == 0


def test_table_log(program, dbd):
    listing = appctl(program, dbd, "ovsdb-server/tlog-list").splitlines()
    assert listing[0].split() == ["database", "table", "logging"] and ["A", "OFF"] in [line.split() for line in listing]
    appctl(program, dbd, "ovsdb-server/tlog-set", "T:A", "on")
    assert ["A", "ON"] in [line.split() for line in appctl(program, dbd, "ovsdb-server/tlog-list").splitlines()]
    with dbd.connect() as c:
        c.transact("T", insert(name="seen"), insert("B", k="orphan"), {"op": "comment", "comment": "because"})
        wait_for("the line", lambda: "|transaction|INFO|T:A: {" in dbd.text())
        assert '"name":"seen"' in dbd.text() and "because" in dbd.text()
        appctl(program, dbd, "ovsdb-server/tlog-set", "T:A", "off")
        c.transact("T", insert(name="unseen"))
    assert "unseen" not in dbd.text()
    for args in (("X:A", "on"), ("T:X", "on"), ("T", "on"), ("T:A", "perhaps")):
        appctl(program, dbd, "ovsdb-server/tlog-set", *args, ok=False)


def test_replies_as_json(dbd):
    with rpc.Rpc("unix:%s" % dbd.ctl) as c:
        assert c.result("version").startswith("byre-dbd")
        c.result("set-options", "--format", "json")
        assert c.result("version") == {"reply-format": "plain", "reply": c.result("version")["reply"]}
        c.result("set-options", "--format=text")
        assert isinstance(c.result("version"), str)
        assert "invalid value" in c.call("set-options", "--format", "xml")["error"]


def test_figures(program, dbd):
    with dbd.connect() as c:
        c.transact("T", insert(name="x"))
        c.result("monitor", "T", "m", {"A": {}})
        figures = dict(word.split(":") for word in appctl(program, dbd, "memory/show").split())
    assert {"atoms", "backlog", "cells", "json-caches", "monitors", "n-weak-refs", "sessions", "triggers", "txn-history", "txn-history-atoms"} <= set(figures)
    assert figures["sessions"] == "1" and figures["monitors"] == "1"
    assert appctl(program, dbd, "ovsdb-server/get-db-storage-status", "T").strip() == "status: ok"
    assert "Failed to find" in appctl(program, dbd, "ovsdb-server/get-db-storage-status", "X", ok=False)


@pytest.mark.parametrize("name", ["byre-dbd", "ovsdb-server"])
def test_syslog(program, make_dbd, make_reference, name):
    """--syslog-method and --syslog-target: as the original sends it."""
    server = make_dbd() if name == "byre-dbd" else make_reference()
    server.ctl = server.dir / (server.ctl.name if hasattr(server, "ctl") else "ctl")
    local, far = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    local.bind(str(server.dir / "log.sock"))
    far.bind(("127.0.0.1", 0))
    for s in (local, far):
        s.settimeout(20)
    server.argv[1:1] = ["--syslog-method=unix:%s/log.sock" % server.dir, "--syslog-target=127.0.0.1:%d" % far.getsockname()[1],
                        "-vsyslog:emer", "-vconsole:off"]
    server.start()
    wait_for("its commands", server.ctl.exists)
    appctl(program, server, "vlog/set", "syslog:info")
    appctl(program, server, "ovsdb-server/remove-remote", "punix:%s" % server.sock)
    appctl(program, server, "ovsdb-server/add-remote", "ptcp:0:127.0.0.1")

    def listening(s):
        while True:
            text = s.recv(65536).decode()
            if "listening on port" in text:
                return text

    text = r"0:127.0.0.1: listening on port \d+$"
    assert re.match(r"<29>ovs\|\d{5}\|socket_util\|INFO\|" + text, listening(local))  # daemon, notice
    far_text = r"<133>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ %s %d socket_util - \ufeff" % (name, server.pid)
    assert re.match(far_text + text, listening(far))  # local0, notice
    appctl(program, server, "vlog/set", "FACILITY:local3")
    appctl(program, server, "ovsdb-server/add-remote", "ptcp:0:127.0.0.2")
    assert listening(local).startswith("<%d>" % (19 * 8 + 5)) and listening(far).startswith("<%d>" % (19 * 8 + 5))
    appctl(program, server, "vlog/set", "syslog:off")
    appctl(program, server, "ovsdb-server/add-remote", "ptcp:0:127.0.0.3")
    local.settimeout(0.5)
    with pytest.raises(socket.timeout):
        listening(local)


def test_syslog_that_is_none(program):
    done = run_dbd(program, "--syslog-method=bogus", "--no-dbs", "--unixctl=none", "--run=true")
    assert done.returncode == 1 and "unsupported syslog method 'bogus'" in done.stderr
    for option in ("--syslog-method=unix:/nonexistent/x", "--syslog-method=udp:nowhere", "--syslog-target=127.0.0.1", "--syslog-target=x:1",
                   "--syslog-target=[::1]:514", "--syslog-method=libc", "--syslog-method=null"):
        done = run_dbd(program, option, "-vsyslog:dbg", "--no-dbs", "--unixctl=none", "--run=true")
        assert done.returncode == 0, done.stderr
