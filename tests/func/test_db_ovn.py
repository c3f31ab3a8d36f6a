"""OVN's tools and Open vSwitch's Python IDL, unmodified, against byre-dbd and through a relay of it.

ovn-nbctl and ovn-sbctl come from ovn-common, their schemas too; $OVS_PREFIX may name a directory in which it was
unpacked."""

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from conftest import Server
from rpc import wait_for
from test_db_relay import connected

PREFIX = pathlib.Path(os.environ.get("OVS_PREFIX", "/"))
SHARE = PREFIX / "usr/share/ovn"
NBCTL, SBCTL, VSCTL = (str(PREFIX / "usr/bin" / name) for name in ("ovn-nbctl", "ovn-sbctl", "ovs-vsctl"))

if not (SHARE / "ovn-nb.ovsschema").exists() or not os.access(NBCTL, os.X_OK):
    pytest.skip("ovn-common is not installed; OVS_PREFIX may say where it is unpacked", allow_module_level=True)


@pytest.fixture
def make_pair(make_dbd):
    """make_pair(schema, db, how): the server that a client shall talk to, and the one that has the file."""

    def make(schema, db, how):
        source = make_dbd(schema=json.loads(schema.read_text()), name="source").start()
        if how == "direct":
            return source, source
        relay = make_dbd(name="relay")
        relay.argv[-1] = "relay:%s:%s" % (db, source.remote)
        return connected(relay.start(), db), source

    return make


def ctl(tool, server, *args, ok=True, env=None):
    done = subprocess.run([tool, "--db=" + server.remote, "--no-leader-only", "--timeout=30", *args], capture_output=True, text=True, timeout=60, env=env)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout if ok else done.stderr


both = pytest.mark.parametrize("how", ["direct", "relay"])


@both
def test_nbctl(make_pair, how):
    server, source = make_pair(SHARE / "ovn-nb.ovsschema", "OVN_Northbound", how)
    ctl(NBCTL, server, "init")
    ctl(NBCTL, server, "ls-add", "sw0", "--", "lsp-add", "sw0", "p1", "--", "lsp-set-addresses", "p1", "00:00:00:00:00:01 10.0.0.1")
    ctl(NBCTL, server, "lr-add", "r0", "--", "lrp-add", "r0", "r0-sw0", "00:00:00:00:ff:01", "10.0.0.254/24")
    ctl(NBCTL, server, "acl-add", "sw0", "to-lport", "1000", "ip4", "allow-related")
    ctl(NBCTL, server, "lb-add", "lb0", "30.0.0.1:80", "10.0.0.1:80,10.0.0.2:80", "--", "ls-lb-add", "sw0", "lb0")
    assert "sw0" in ctl(NBCTL, source, "ls-list")
    assert "p1" in ctl(NBCTL, server, "lsp-list", "sw0")
    assert "allow-related" in ctl(NBCTL, server, "acl-list", "sw0")
    assert "30.0.0.1:80" in ctl(NBCTL, server, "lb-list")
    assert "addresses: [\"00:00:00:00:00:01 10.0.0.1\"]" in ctl(NBCTL, server, "show")
    assert "none" in ctl(NBCTL, server, "lsp-get-addresses", "none", ok=False)
    ctl(NBCTL, server, "--wait=none", "set", "NB_Global", ".", "name=here")
    assert ctl(NBCTL, server, "get", "NB_Global", ".", "name").strip() == "here"
    # --wait=sb is an answer that ovn-northd gives; here a second client gives it.
    waiter = subprocess.Popen([NBCTL, "--db=" + server.remote, "--no-leader-only", "--timeout=50", "--wait=sb", "sync"])
    wait_for("the request", lambda: ctl(NBCTL, source, "get", "NB_Global", ".", "nb_cfg").strip() not in ("0", ""))
    assert waiter.poll() is None
    ctl(NBCTL, source, "set", "NB_Global", ".", "sb_cfg=" + ctl(NBCTL, source, "get", "NB_Global", ".", "nb_cfg").strip())
    assert waiter.wait(50) == 0
    ctl(NBCTL, server, "ls-del", "sw0")
    assert ctl(NBCTL, server, "ls-list") == "" and ctl(NBCTL, server, "list", "Logical_Switch_Port") == ""


@both
def test_nbctl_daemon(make_pair, how, state_dir):
    """ovn-nbctl --detach keeps a replica and answers from it."""
    server, source = make_pair(SHARE / "ovn-nb.ovsschema", "OVN_Northbound", how)
    env = dict(os.environ, OVN_RUNDIR=str(state_dir), OVS_RUNDIR=str(state_dir), OVN_LOGDIR=str(state_dir))
    pidfile = state_dir / "nbctl.pid"
    done = subprocess.run([NBCTL, "--db=" + server.remote, "--no-leader-only", "--detach", "--pidfile=%s" % pidfile, "--log-file=%s" % (state_dir / "nbctl.log")],
                          capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    socket = done.stdout.strip()
    try:
        env["OVN_NB_DAEMON"] = socket

        def nbctl(*args):
            done = subprocess.run([NBCTL, *args], capture_output=True, text=True, timeout=60, env=env)
            assert done.returncode == 0, done.stderr
            return done.stdout

        for i in range(10):
            nbctl("ls-add", "s%d" % i)
        assert nbctl("ls-list").count("(s") == 10 == ctl(NBCTL, source, "ls-list").count("(s")
        ctl(NBCTL, source, "ls-del", "s3")
        wait_for("the daemon's replica", lambda: "(s3)" not in nbctl("ls-list"))
    finally:
        os.kill(int(pidfile.read_text()), signal.SIGTERM)


@both
def test_sbctl(make_pair, how):
    server, source = make_pair(SHARE / "ovn-sb.ovsschema", "OVN_Southbound", how)
    ctl(SBCTL, server, "init")
    ctl(SBCTL, server, "chassis-add", "ch1", "geneve,vxlan", "10.0.0.1")
    ctl(SBCTL, server, "chassis-add", "ch2", "geneve", "10.0.0.2")
    assert "ch1" in ctl(SBCTL, source, "show") and "geneve" in ctl(SBCTL, server, "show")
    assert "10.0.0.2" in ctl(SBCTL, server, "list", "Encap")
    ctl(SBCTL, server, "chassis-del", "ch1")
    assert "ch1" not in ctl(SBCTL, source, "show")
    ctl(SBCTL, server, "set-connection", "punix:conn.sock")
    assert "punix:conn.sock" in ctl(SBCTL, source, "get-connection")


def test_vsctl_wants_a_leader(make_pair, program, state_dir):
    """ovs-vsctl follows none but leaders, which no relay is, whoever's: it says no to ours as to ovsdb-server's."""
    server, source = make_pair(PREFIX / "usr/share/openvswitch/vswitch.ovsschema", "Open_vSwitch", "relay")
    reference = Server(state_dir, [program("ovsdb-server"), "--remote=punix:%s" % (state_dir / "ref.sock"), "--unixctl=%s" % (state_dir / "ref.ctl"),
                                   "-vconsole:emer", "relay:Open_vSwitch:" + source.remote], "ref.sock").start()
    try:
        connected(reference, "Open_vSwitch")
        answers = []
        for where in (source, server, reference):
            done = subprocess.run([VSCTL, "--no-wait", "--db=" + where.remote, "list-br"], capture_output=True, text=True, timeout=60)
            answers.append((done.returncode, done.stderr.replace(where.remote, "X")))
        assert answers[0][0] == 0 and answers[1] == answers[2] and answers[1][0] == 1, answers
    finally:
        reference.stop()


def test_python_idl(make_pair):
    """python3-openvswitch's IDL through a relay whose source is killed meanwhile."""
    idl = pytest.importorskip("ovs.db.idl")
    server, source = make_pair(SHARE / "ovn-nb.ovsschema", "OVN_Northbound", "relay")
    helper = idl.SchemaHelper(str(SHARE / "ovn-nb.ovsschema"))
    helper.register_table("Logical_Switch")
    client = idl.Idl(server.remote, helper, leader_only=False)

    def until(what, condition):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, what
            client.run()
            time.sleep(0.01)

    def add(name):
        txn = idl.Transaction(client)
        txn.insert(client.tables["Logical_Switch"]).name = name
        return txn.commit_block()

    def names():
        return sorted(row.name for row in client.tables["Logical_Switch"].rows.values())

    until("the replica", client.has_ever_connected)
    assert add("one") == idl.Transaction.SUCCESS and names() == ["one"]
    source.kill()
    source.start()
    connected(server, "OVN_Northbound")
    ctl(NBCTL, source, "ls-add", "two")
    until("the change", lambda: names() == ["one", "two"])
    assert add("three") == idl.Transaction.SUCCESS and names() == ["one", "three", "two"]
    client.close()
