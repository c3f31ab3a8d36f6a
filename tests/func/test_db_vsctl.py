"""ovs-vsctl against byre-dbd with Open vSwitch's own schema, started as Open vSwitch's scripts start ovsdb-server.

Both come from the package openvswitch-switch; $OVS_PREFIX may name a directory in which it was unpacked."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

import rpc
from rpc import wait_for
from test_db_remotes import free_port, reachable
from test_db_tls import keys, pki, refused  # noqa: F401 (pki is a fixture)
from test_dbserver import appctl

PREFIX = pathlib.Path(os.environ.get("OVS_PREFIX", "/"))
SCHEMA = PREFIX / "usr/share/openvswitch/vswitch.ovsschema"
VSCTL = str(PREFIX / "usr/bin/ovs-vsctl")

if not SCHEMA.exists() or not os.access(VSCTL, os.X_OK):
    pytest.skip("openvswitch-switch is not installed; OVS_PREFIX may say where it is unpacked", allow_module_level=True)


@pytest.fixture
def ovs(make_dbd, pki):
    server = make_dbd(schema=json.loads(SCHEMA.read_text()), name="db")
    server.argv[1:1] = ["--private-key=db:Open_vSwitch,SSL,private_key", "--certificate=db:Open_vSwitch,SSL,certificate",
                        "--bootstrap-ca-cert=db:Open_vSwitch,SSL,ca_cert", "-vconsole:emer", "-vsyslog:err", "-vfile:info"]
    server.start()

    def vsctl(*args, ok=True):
        done = subprocess.run([VSCTL, "--no-wait", "--db=" + server.remote, *args], capture_output=True, text=True, timeout=30)
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done.stdout if ok else done.stderr

    server.vsctl = vsctl
    vsctl("init")
    return server


def test_bridges_and_ports(ovs):
    ovs.vsctl("add-br", "br0", "--", "add-port", "br0", "eth0", "tag=9", "--", "set", "Interface", "eth0", "type=internal")
    ovs.vsctl("add-br", "br1")
    assert ovs.vsctl("list-br").split() == ["br0", "br1"]
    assert ovs.vsctl("list-ports", "br0").split() == ["eth0"]
    assert ovs.vsctl("get", "Port", "eth0", "tag").strip() == "9"
    assert "already exists" in ovs.vsctl("add-br", "br0", ok=False)
    assert ovs.vsctl("--may-exist", "add-br", "br0") == ""
    ovs.vsctl("set", "bridge", "br0", "other_config:a=b", "--", "add", "bridge", "br0", "external_ids", "k=v")
    assert ovs.vsctl("get", "bridge", "br0", "other_config", "external_ids").split() == ["{a=b}", "{k=v}"]
    ovs.vsctl("--", "--id=@m", "create", "mirror", "name=m0", "--", "add", "bridge", "br0", "mirrors", "@m")
    assert ovs.vsctl("--columns=name", "list", "mirror").split() == ["name", ":", "m0"]
    ovs.vsctl("del-port", "br0", "eth0", "--", "del-br", "br1")
    assert "no row" in ovs.vsctl("list", "Port", "eth0", ok=False)
    assert "Bridge br0" in ovs.vsctl("show")
    ovs.vsctl("emer-reset")
    ovs.vsctl("del-br", "br0")
    assert ovs.vsctl("list-br") == "" and ovs.vsctl("list", "Interface") == ""


def test_wait_until(ovs):
    waiter = subprocess.Popen([VSCTL, "--db=" + ovs.remote, "wait-until", "bridge", "late", "other_config:x=y"])
    ovs.vsctl("add-br", "late")
    ovs.vsctl("set", "bridge", "late", "other_config:x=y")
    assert waiter.wait(20) == 0


def test_manager(ovs, program):
    port = free_port()
    appctl(program, ovs, "ovsdb-server/add-remote", "db:Open_vSwitch,Open_vSwitch,manager_options")
    ovs.vsctl("set-manager", "ptcp:%d:127.0.0.1" % port)
    wait_for("the manager's socket", lambda: reachable("tcp:127.0.0.1:%d" % port))
    with rpc.Rpc("tcp:127.0.0.1:%d" % port) as c:
        assert "Open_vSwitch" in c.result("list_dbs")
        wait_for("the status", lambda: ovs.vsctl("get", "manager", ".", "is_connected").strip() == "true")
    assert str(port) in ovs.vsctl("get", "manager", ".", "status:bound_port")
    ovs.vsctl("del-manager")
    wait_for("its end", lambda: not reachable("tcp:127.0.0.1:%d" % port))


def test_ssl(ovs, program, pki):
    ovs.port = free_port()
    appctl(program, ovs, "ovsdb-server/add-remote", "db:Open_vSwitch,Open_vSwitch,manager_options")
    ovs.vsctl("set-ssl", str(pki / "server.key"), str(pki / "server.pem"), str(pki / "ca.pem"), "--", "set-manager", "pssl:%d:127.0.0.1" % ovs.port)
    wait_for("TLS", lambda: reachable("tcp:127.0.0.1:%d" % ovs.port) and not refused(pki, ovs))
    done = subprocess.run([VSCTL, "--no-wait", "--db=ssl:127.0.0.1:%d" % ovs.port, *keys(pki, "alice"), "get-ssl"], capture_output=True, text=True, timeout=30)
    assert "server.key" in done.stdout, done.stderr


def test_over_a_restart(ovs):
    """ovs-vsctl keeps working over a restart of the server, and nothing is lost."""
    ovs.vsctl("add-br", "kept")
    ovs.kill()
    ovs.start()
    assert ovs.vsctl("list-br").split() == ["kept"]
