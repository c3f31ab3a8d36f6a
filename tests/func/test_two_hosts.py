"""What a host says of machines that the rows give to another host: an alarm if one runs here all the same; why a move was
refused, and that one is under way.  The other host is only a row; tests/host/in_migrate.py has two real ones."""

import json
import os
import subprocess

import pytest

from host import Host, libvirt_uri, temporary_state, virsh
from rpc import wait_for

pytestmark = pytest.mark.skipif(libvirt_uri() is None, reason="no libvirt answers")


class Two(Host):
    def transact(self, *ops):
        out = subprocess.run(["ovsdb-client", "transact", self.db, json.dumps(["vmmgr", *ops])], capture_output=True, text=True,
                             timeout=60, check=True).stdout
        assert "error" not in out, out

    def alarms(self):
        """Of its own machine: libvirt may have others' too."""
        return [(r["kind"], r["text"]) for r in self.json("list", "alarm", "-c", "kind,text") if self.vm in r["text"]]


@pytest.fixture(scope="module")
def host(builddir):
    with Two(builddir, temporary_state(), prefix="bt%d-" % os.getpid()) as host:
        host.transact({"op": "insert", "table": "hostnode", "row": {"name": "ghost", "uid": "ghost", "state": "offline"}})
        host.vm = host.prefix + "a"
        host.byre("vm", "create", host.vm, "--mem", "64", "--net", "none", "--node", "n1", "--start")
        yield host


def test_why_it_does_not_move(host):
    done = host.byre("vm", "migrate", host.vm, "ghost", check=False)
    assert done.returncode != 0 and "host ghost is offline" in done.stderr, done.stderr
    text = host.byre("vm", "why", host.vm).stdout
    assert "vm.migrate failed" in text and "host ghost is offline" in text, text


def test_a_machine_of_another_host_that_runs_here_is_an_alarm(host):
    host.byre("set", "vm", host.vm, "hostnode=ghost")
    wait_for("the alarm", host.alarms, 30)
    [(kind, text)] = host.alarms()
    assert kind == "vm-runs-elsewhere" and "runs on host n1" in text and "its row says that it is on host ghost" in text, text
    assert virsh("domstate", host.vm).strip() == "running", "nobody touches it"
    host.byre("set", "vm", host.vm, "hostnode=n1")
    wait_for("its end", lambda: not host.alarms(), 30)


def test_a_move_under_way_is_told(host):
    """Seen from a client: the agent itself would find out at once that nothing moves."""
    agent = host.pid("byre-agentd")
    os.kill(agent, 19)
    try:
        [ghost] = [r["_uuid"] for r in host.json("list", "hostnode", "-c", "_uuid,name") if r["name"] == "ghost"]
        host.transact({"op": "update", "table": "vm", "where": [["name", "==", host.vm]],
                       "row": {"migrate": True, "migrate_to": ["uuid", ghost]}})
        text = host.byre("vm", "why", host.vm).stdout
        assert "it is on its way to host ghost" in text and "it moves to another host" in text, text
    finally:
        os.kill(agent, 18)
    wait_for("the agent to find out", lambda: not host.json("vm", "info", host.vm)["migrate"], 60)
    assert virsh("domstate", host.vm).strip() == "running"
