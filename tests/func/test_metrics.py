"""GET /metrics: well formed for Prometheus, true, and whole at a thousand machines."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess

import pytest

from host import Host, libvirt_uri, temporary_state
from rpc import wait_for

pytestmark = pytest.mark.skipif(libvirt_uri() is None or os.geteuid() != 0, reason="needs root's libvirt")

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LINE = re.compile(r'(%s)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9]+(?:\.[0-9]+)?)' % NAME)
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


def parse(text):
    """The text format 0.0.4, strictly: {name: [(labels, value)]}.  Each name's lines stand together, behind its HELP and TYPE."""
    metrics, types, current = {}, {}, None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ")[2]
            assert current not in metrics, "told twice: " + current
            metrics[current] = []
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and kind in ("gauge", "counter")
            assert (kind == "counter") == name.endswith("_total"), name
            types[name] = kind
        else:
            match = LINE.fullmatch(line)
            assert match and match[1] == current and current in types, line
            labels = dict(LABEL.findall(match[2] or ""))
            assert labels not in [l for l, _ in metrics[current][-3:]], "told twice: " + line
            metrics[current].append((labels, float(match[3])))
    return metrics


class Metered(Host):
    def metrics(self):
        connection = UnixConnection(self.state / "run" / "web.sock")
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status == 200 and answer.getheader("content-type").startswith("text/plain; version=0.0.4")
        return parse(text)

    def value(self, name, **labels):
        values = [v for l, v in self.metrics().get(name, []) if labels.items() <= l.items()]
        return values[0] if values else None


@pytest.fixture(scope="module")
def host(builddir):
    with Metered(builddir, temporary_state(), prefix="bt%d" % os.getpid()) as host:
        yield host


def test_hosts_pools_jobs(host):
    wait_for("the host", lambda: host.value("byre_host_online", host="n1") == 1, 30)
    assert host.value("byre_database_up") == 1 and host.value("byre_agent_up") == 1
    assert host.value("byre_host_memory_bytes", host="n1") > 1 << 30
    assert host.value("byre_host_cpus", host="n1") == os.cpu_count()
    pool = host.json("pool", "info", "default")
    assert host.value("byre_pool_capacity_bytes", pool="default", host="n1") == pool["capacity"]
    assert host.value("byre_pool_state", state="running") == 1
    assert host.value("byre_jobs", state="done") >= 1
    wait_for("the alarms", lambda: host.value("byre_alarms") == len(host.json("list", "alarm", "-c", "kind")), 30)


def test_what_a_machine_uses(host):
    """An empty machine has a processor that turns in its firmware, and a disk that is looked at."""
    name = host.prefix + "-a"
    host.byre("vm", "create", name, "--mem", "64", "--disk", "default/a:16M", "--start")
    assert host.value("byre_vm_status", vm=name, status="running", host="n1") == 1
    assert host.value("byre_vm_memory_bytes", vm=name) == 64 << 20
    wait_for("a sample", lambda: (host.value("byre_vm_cpu_seconds_total", vm=name) or 0) > 0, 60)
    assert host.value("byre_vm_disk_read_bytes_total", vm=name, disk="vda") is not None
    os.kill(host.pid("byre-agentd"), signal.SIGSTOP)
    try:
        metrics = host.metrics()
        assert metrics["byre_agent_up"] == [({}, 0)] and "byre_vm_cpu_seconds_total" not in metrics
        assert [v for l, v in metrics["byre_vm_vcpus"] if l["vm"] == name] == [1], "rows are told all the same"
    finally:
        os.kill(host.pid("byre-agentd"), signal.SIGCONT)
    host.byre("vm", "delete", name, "--volumes")


def test_a_thousand_machines_and_odd_names(host):
    names = ["m%d" % i for i in range(1000)] + ['a "quoted" \\ name\nof two lines']
    ops = ["vmmgr"] + [{"op": "insert", "table": "vm", "row": {"name": n, "uuid": ["uuid", "00000000-0000-4000-8000-%012x" % i],
                                                                 "mem": i + 1, "vcpu": 1}} for i, n in enumerate(names)]
    path = host.state / "ops.json"
    path.write_text(json.dumps(ops))
    done = subprocess.run(["sh", "-c", 'ovsdb-client transact %s "$(cat %s)"' % (host.db, path)], capture_output=True, text=True)
    if done.returncode != 0:  # A long argument: in parts.
        for i in range(1, len(ops), 100):
            subprocess.run(["ovsdb-client", "transact", host.db, json.dumps(["vmmgr"] + ops[i:i + 100])], check=True,
                           stdout=subprocess.DEVNULL)
    wait_for("all of them", lambda: len(host.metrics()["byre_vm_memory_bytes"]) == len(names), 60)
    found = {l["vm"]: v for l, v in host.metrics()["byre_vm_memory_bytes"]}
    assert found["m999"] == 1000 << 20 and found['a \\"quoted\\" \\\\ name\\nof two lines'] == 1001 << 20


def test_without_the_database(host):
    os.kill(host.pid("byre-dbd"), signal.SIGKILL)
    wait_for("its absence, or its return", lambda: host.metrics()["byre_database_up"][0][1] in (0, 1), 30)
    wait_for("its return", lambda: host.value("byre_database_up") == 1, 60)
