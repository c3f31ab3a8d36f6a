"""The agent, through rows: what they want becomes so, and what is so comes back.

Rows are written as any client of the database would.  Guests are boot sectors: up at once, and they do what a case needs."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import uuid

import pytest

from host import Host, libvirt_uri, temporary_state, virsh
from rpc import Rpc, wait_for

pytestmark = pytest.mark.skipif(libvirt_uri() is None or os.geteuid() != 0, reason="needs root's libvirt")

HALT = bytes([0xF4, 0xEB, 0xFD])  # hlt; jmp: runs for ever, hears nothing.
# mov dx, 0x604; mov ax, 0x2000; out dx, ax: ACPI's soft off, where SeaBIOS puts it on the machine "pc".
POWER_OFF = bytes([0xBA, 0x04, 0x06, 0xB8, 0x00, 0x20, 0xEF]) + HALT


def boot_sector(code, size=1 << 20):
    sector = code + bytes(510 - len(code)) + b"\x55\xaa"
    return sector + bytes(size - 512)


def plain(value):
    """A column's value as Python has it."""
    if isinstance(value, list) and len(value) == 2 and value[0] in ("set", "map", "uuid"):
        kind, content = value
        if kind == "uuid":
            return content
        if kind == "map":
            return dict(content)
        return [plain(v) for v in content] or None
    return value


class Rows(Host):
    """A host and its database's rows."""

    def connect(self):
        self.rpc = Rpc(self.db)

    def do(self, *ops):
        results = self.rpc.transact("vmmgr", *ops)
        assert not any("error" in r for r in results if r), results
        return results

    def insert(self, table, **row):
        return self.do({"op": "insert", "table": table, "row": row})[0]["uuid"][1]

    def set(self, table, row, **columns):
        """Changes the want, and waits until the agent has answered it."""
        where = [["_uuid", "==", ["uuid", row]]]
        self.do({"op": "update", "table": table, "where": where, "row": columns},
                {"op": "mutate", "table": table, "where": where, "mutations": [["generation", "+=", 1]]})
        return self.answer(table, row)

    def get(self, table, row):
        """The row, None if there is none."""
        rows = self.do({"op": "select", "table": table, "where": [["_uuid", "==", ["uuid", row]]]})[0]["rows"]
        return {k: plain(v) for k, v in rows[0].items()} if rows else None

    def find(self, table, column, value):
        rows = self.do({"op": "select", "table": table, "where": [[column, "==", value]]})[0]["rows"]
        return [{k: plain(v) for k, v in row.items()} for row in rows]

    def answer(self, table, row, seconds=60):
        wait_for("an answer for " + row, lambda: (lambda r: r is None or r["observed_generation"] >= r["generation"])(
            self.get(table, row)), seconds)
        return self.get(table, row)

    def until(self, table, row, seconds=30, **columns):
        def reached():
            got = self.get(table, row)
            return got and all(got[k] == v for k, v in columns.items())
        try:
            wait_for(str(columns), reached, seconds)
        except AssertionError:
            raise AssertionError("wanted %s, got %s\n%s" % (columns, self.get(table, row), self.logs()))

    def disk(self, name, code=HALT):
        """A volume with a boot sector, ready."""
        path = self.pool_dir / name
        path.write_bytes(boot_sector(code))
        self.refresh()
        [row] = self.find("volume", "name", name)
        assert row["state"] == "ready"
        return row["_uuid"]

    def vm(self, name, disk=None, device=None, **columns):
        row = {"name": self.prefix + name, "uuid": ["uuid", str(uuid.uuid4())], "hostnode": ["uuid", self.node], "mem": 16,
               "vcpu": 1, "machine": "pc", "state": "stopped", "generation": 1, **columns}
        ops = [{"op": "insert", "table": "vm", "row": row, "uuid-name": "vm"}]
        if disk:
            device = {"type": "disk", "targetdev": "vda", "volume": ["uuid", disk]}
        if device:
            ops.append({"op": "insert", "table": "device", "row": {"vm": ["named-uuid", "vm"], **device}})
        return self.do(*ops)[0]["uuid"][1]

    def job(self, kind, target, **columns):
        row = self.insert("job", kind=kind, target=["uuid", target], hostnode=["uuid", self.node], state="queued",
                          created_at=int(time.time() * 1000), **columns)
        wait_for("the job", lambda: self.get("job", row)["state"] in ("done", "failed", "cancelled"))
        return self.get("job", row)

    def refresh(self):
        assert self.job("pool.refresh", self.pool)["state"] == "done"

    def domain(self, vm):
        return virsh("domstate", self.get("vm", vm)["name"]).strip()

    def restart(self):
        self.rpc.close()
        self.stop()
        self.start()
        self.connect()


@pytest.fixture(scope="module")
def host(builddir):
    with Rows(builddir, temporary_state(), prefix="ba%d" % os.getpid()) as host:
        host.connect()
        [node] = host.do({"op": "select", "table": "hostnode", "where": []})[0]["rows"]
        [pool] = host.do({"op": "select", "table": "pool", "where": []})[0]["rows"]
        host.node, host.pool = node["_uuid"][1], pool["_uuid"][1]
        yield host


@pytest.fixture(scope="module")
def halt(host):
    return host.disk("halt.img")


def test_the_host_tells_its_facts(host):
    node = host.get("hostnode", host.node)
    assert node["state"] == "online" and node["error"] is None
    assert "qemu" in (node["hypervisors"] if isinstance(node["hypervisors"], list) else [node["hypervisors"]])
    assert node["cpus"] == os.cpu_count() and 0 < node["mem_free"] <= node["mem"]
    assert abs(node["observed_at"] / 1000 - time.time()) < 60


def test_life_by_columns_alone(host, halt):
    vm = host.vm("life", halt)
    row = host.answer("vm", vm)
    assert (row["status"], row["error"], row["source"]) == ("shutoff", None, "byre")
    row = host.set("vm", vm, state="running")
    assert (row["status"], row["error"]) == ("running", None) and row["domid"] > 0
    assert host.set("vm", vm, state="paused")["status"] == "paused"
    assert host.set("vm", vm, state="running")["status"] == "running"
    row = host.set("vm", vm, reboots=1, how="force")
    assert (row["reboots_done"], row["status"]) == (1, "running")
    row = host.set("vm", vm, mem=24)
    assert row["needreboot"] and virsh("dominfo", row["name"]).split("Max memory:")[1].split()[0] == "16384"
    assert host.set("vm", vm, state="stopped", how="force")["status"] == "shutoff"
    # Without a generation it is obeyed as well.
    host.do({"op": "update", "table": "vm", "where": [["_uuid", "==", ["uuid", vm]]], "row": {"state": "running"}})
    host.until("vm", vm, status="running")
    assert virsh("dominfo", row["name"]).split("Max memory:")[1].split()[0] == "24576"
    assert not host.get("vm", vm)["needreboot"]
    assert host.set("vm", vm, state="deleted") is None
    assert row["name"] not in virsh("list", "--all", "--name").split()
    assert host.get("volume", halt)["state"] == "ready", "disks stay unless it is said otherwise"


def test_a_deaf_guest_is_never_destroyed(host, halt):
    vm = host.vm("deaf", halt, state="running")
    host.until("vm", vm, status="running", observed_generation=1)
    host.do({"op": "update", "table": "vm", "where": [["_uuid", "==", ["uuid", vm]]],
             "row": {"state": "stopped", "how": "graceful", "generation": 2}})
    time.sleep(3)
    row = host.get("vm", vm)
    assert (row["status"], row["error"], row["observed_generation"]) == ("running", None, 1)
    assert host.set("vm", vm, how="force")["status"] == "shutoff"
    host.set("vm", vm, state="deleted")


def test_a_guest_that_switches_itself_off_stays_off(host):
    vm = host.vm("off", host.disk("off.img", POWER_OFF), state="running")
    host.until("vm", vm, state="stopped", status="shutoff", error=None)
    assert (host.state / "log" / "byre-agentd.log").read_text().count("%soff: start" % host.prefix) == 1
    time.sleep(1)
    assert host.domain(vm) == "shut off"
    host.set("vm", vm, state="deleted")


def test_a_crash_is_answered_as_on_crash_says(host, halt):
    again = host.vm("again", halt, state="running")
    never = host.vm("never", host.disk("never.img"), state="running", on_crash="destroy")
    for vm in (again, never):
        host.until("vm", vm, status="running", observed_generation=1)
    pids = {vm: host.qemu_pid(host.get("vm", vm)["name"]) for vm in (again, never)}
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    host.until("vm", never, status="shutoff")
    wait_for("the error", lambda: (host.get("vm", never)["error"] or "").startswith("the guest crashed\n"))
    wait_for("another QEMU", lambda: host.qemu_pid(host.get("vm", again)["name"]) not in (None, pids[again]))
    host.until("vm", again, status="running", state="running", error=None)
    assert host.set("vm", never, state="running")["status"] == "running", "who asks again is obeyed"
    for vm in (again, never):
        host.set("vm", vm, state="deleted")


def test_a_failed_start_says_why_and_is_not_repeated(host):
    disk = host.disk("lost.img")
    path = host.pool_dir / "lost.img"
    vm = host.vm("lost", disk)
    host.answer("vm", vm)
    path.unlink()
    row = host.set("vm", vm, state="running")
    what, why, following = row["error"].split("\n")
    # libvirt says so, or the agent, if it saw the file go before.
    assert row["status"] == "shutoff" and "lost.img" in why + what and following
    log = (host.state / "log" / "byre-agentd.log").read_text().count("%slost: start" % host.prefix)
    time.sleep(2)
    assert (host.state / "log" / "byre-agentd.log").read_text().count("%slost: start" % host.prefix) == log
    # A scan notices; the file is not made up anew, and the machine says which volume it misses.
    host.refresh()
    host.until("volume", disk, state="missing")
    assert not path.exists()
    wait_for("the reason", lambda: "lost.img" in (host.get("vm", vm)["error"] or ""))
    path.write_bytes(boot_sector(HALT))
    host.refresh()
    host.until("volume", disk, state="ready", error=None)
    host.until("vm", vm, status="running", error=None)
    host.set("vm", vm, state="deleted")


def test_a_machine_waits_for_its_volume(host):
    volume = ["named-uuid", "volume"]
    results = host.do(
        {"op": "insert", "table": "volume", "uuid-name": "volume", "row": {
            "name": "late.qcow2", "pool": ["uuid", host.pool], "format": "qcow2", "wanted_capacity": 1 << 20,
            "generation": 1}},
        {"op": "insert", "table": "vm", "uuid-name": "vm", "row": {
            "name": host.prefix + "late", "hostnode": ["uuid", host.node], "mem": 16, "vcpu": 1, "state": "running",
            "generation": 1}},
        {"op": "insert", "table": "device", "row": {
            "vm": ["named-uuid", "vm"], "type": "disk", "targetdev": "vda", "volume": volume}})
    disk, vm = results[0]["uuid"][1], results[1]["uuid"][1]
    row = host.answer("vm", vm)
    assert (row["status"], row["error"]) == ("running", None)
    assert row["uuid"] == vm, "a machine without a UUID gets that of its row"
    assert host.get("volume", disk)["state"] == "ready"
    # What runs keeps its disks; then they go with it.
    row = host.set("volume", disk, deleted=True)
    assert "is in use" in row["error"] and (host.pool_dir / "late.qcow2").exists()
    host.set("vm", vm, state="deleted", delete_volumes=True)
    wait_for("the file to go", lambda: not (host.pool_dir / "late.qcow2").exists())
    wait_for("the row to go", lambda: host.get("volume", disk) is None)


@pytest.mark.parametrize("columns,device,words", [
    ({}, {"type": "disk", "targetdev": "vda"}, ["disk vda has no volume"]),
    ({"machine": "q35"}, {"type": "cdrom", "targetdev": "hda", "controller": "ide"}, ["q35", "machine to pc"]),
    ({}, {"type": "cdrom", "targetdev": "sda", "filepath": "image.iso"}, ["'image.iso' is not an absolute path"]),
    ({"cmdline": "quiet"}, None, []),
    ({"mem": 16777216}, None, ["no memory for the machine", "16384."]),
    ({"machine": "no-such-machine"}, None, ["libvirt does not accept the machine"]),
    ({"accel": "kvm"}, None, ["KVM"]),
])
def test_hardware_that_cannot_be_says_why(host, columns, device, words):
    if "accel" in columns and "kvm" in (host.get("hostnode", host.node)["hypervisors"] or []):
        pytest.skip("this host has KVM")
    vm = host.vm("odd", device=device, **{"state": "running", **columns})
    row = host.answer("vm", vm)
    if words:
        assert len(row["error"].split("\n")) == 3 and row["status"] == "shutoff"
        assert all(word in row["error"] for word in words), row["error"]
    else:
        assert row["error"] is None, "a command line without a kernel says nothing"
    assert host.set("vm", vm, state="deleted") is None


def test_volumes_grow_and_do_not_shrink(host):
    volume = host.insert("volume", name="grow.img", pool=["uuid", host.pool], format="raw", wanted_capacity=1 << 20,
                         generation=1)
    assert host.answer("volume", volume)["capacity"] == 1 << 20
    assert host.set("volume", volume, wanted_capacity=4 << 20)["capacity"] == 4 << 20
    row = host.set("volume", volume, wanted_capacity=2 << 20)
    assert "shrinking" in row["error"] and row["capacity"] == 4 << 20
    assert os.path.getsize(host.pool_dir / "grow.img") == 4 << 20
    assert host.set("volume", volume, wanted_capacity=4 << 20)["error"] is None
    assert host.set("volume", volume, deleted=True) is None
    assert not (host.pool_dir / "grow.img").exists()


def test_a_file_that_was_there_is_neither_taken_nor_removed(host):
    path = host.pool_dir / "mine.img"
    path.write_bytes(b"precious")
    volume = host.insert("volume", name="mine.img", pool=["uuid", host.pool], format="raw", wanted_capacity=1 << 20,
                         generation=1)
    row = host.answer("volume", volume)
    assert row["state"] == "failed" and row["error"]
    assert host.set("volume", volume, deleted=True) is None
    assert path.read_bytes() == b"precious"
    path.unlink()


def test_a_creation_whose_answer_was_lost_is_taken_up(host):
    """As an agent leaves it that was killed between the file and the report."""
    (host.pool_dir / "half.img").write_bytes(bytes(1 << 20))
    volume = host.insert("volume", name="half.img", pool=["uuid", host.pool], format="raw", wanted_capacity=1 << 20,
                         generation=1, state="creating")
    row = host.answer("volume", volume)
    assert (row["state"], row["error"]) == ("ready", None)
    host.set("volume", volume, deleted=True)


def test_strangers_are_shown_and_left_alone(host, halt):
    name, its = host.prefix + "stranger", str(uuid.uuid4())
    path = pathlib.Path(host.state, "stranger.xml")
    path.write_text("<domain type='qemu'><name>%s</name><uuid>%s</uuid><memory unit='MiB'>16</memory>"
                    "<os><type>hvm</type></os></domain>" % (name, its))
    virsh("define", str(path))
    wait_for("its row", lambda: host.find("vm", "name", name))
    [row] = host.find("vm", "name", name)
    assert (row["source"], row["status"], row["uuid"], row["mem"]) == ("libvirt", "shutoff", its, 16)
    for columns in ({"state": "running"}, {"state": "stopped", "how": "force"}, {"state": "deleted"}):
        assert "never touches it" in host.set("vm", row["_uuid"], **columns)["error"]
        assert virsh("domstate", name).strip() == "shut off"
    virsh("start", name)
    host.until("vm", row["_uuid"], status="running")
    virsh("destroy", name)
    virsh("undefine", name)
    wait_for("its row to go", lambda: not host.find("vm", "name", name))


def test_a_domain_without_its_row_is_an_alarm(host, halt):
    vm = host.vm("orphan", halt, state="running")
    host.until("vm", vm, status="running")
    row = host.get("vm", vm)
    host.do({"op": "delete", "table": "device", "where": [["vm", "==", ["uuid", vm]]]},
            {"op": "delete", "table": "vm", "where": [["_uuid", "==", ["uuid", vm]]]})
    wait_for("the alarm", lambda: host.find("alarm", "object", ["uuid", row["uuid"]]))
    assert virsh("domstate", row["name"]).strip() == "running"
    # The row comes back: so does the machine, and the alarm ends.
    vm = host.vm("orphan", halt, state="running", uuid=["uuid", row["uuid"]])
    wait_for("the alarm to end", lambda: not host.find("alarm", "object", ["uuid", row["uuid"]]))
    host.until("vm", vm, status="running", domid=row["domid"])
    host.set("vm", vm, state="deleted")


def test_what_starts_with_the_host_starts_once_a_boot(host, halt):
    vm = host.vm("boot", halt, autostart=True)
    host.answer("vm", vm)
    host.restart()
    time.sleep(2)
    assert host.domain(vm) == "shut off", "the agent was restarted, not the host"
    (host.state / "run" / "agent-boot").write_text("another boot\n")
    host.restart()
    host.until("vm", vm, state="running", status="running")
    assert host.set("vm", vm, state="stopped", how="force")["status"] == "shutoff"
    host.restart()
    time.sleep(2)
    assert host.domain(vm) == "shut off"
    host.set("vm", vm, state="deleted")


def test_an_agent_that_was_killed_goes_on(host, halt):
    vm = host.vm("killed", halt, state="running")
    host.until("vm", vm, status="running", observed_generation=1)
    qemu = host.qemu_pid(host.get("vm", vm)["name"])
    pid = host.pid("byre-agentd")
    os.kill(pid, signal.SIGKILL)
    row = host.set("vm", vm, description="changed while nobody looked")
    assert row["status"] == "running" and host.pid("byre-agentd") != pid
    assert host.qemu_pid(row["name"]) == qemu
    os.kill(host.pid("byre-agentd"), signal.SIGKILL)
    assert host.set("vm", vm, state="deleted") is None


def test_jobs_that_cannot_be_done_say_so(host):
    for kind, target, words in (("pool.paint", host.pool, "knows no job"), ("pool.delete", host.pool, "is active"),
                                ("pool.refresh", str(uuid.uuid4()), "does not exist")):
        job = host.job(kind, target)
        assert job["state"] == "failed" and words in job["error"] and job["ended_at"]
    assert host.job("pool.refresh", host.pool, cancel=True)["state"] == "cancelled"


def ask(host, payload, fds=(), read=True):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(host.state / "run" / "agent.sock"))
        s.settimeout(20)
        if fds:
            socket.send_fds(s, [payload], list(fds))
        else:
            s.sendall(payload)
        data = b""
        while read:
            chunk = s.recv(65536)
            data += chunk
            lines = [json.loads(line) for line in data.splitlines() if line.endswith(b"}")]
            if not chunk or [line for line in lines if "progress" not in line]:
                return lines[-1]


@pytest.mark.parametrize("payload,kind", [
    (b"hello\n", "syntax"),
    (b"[]\n", "syntax"),
    (b"{}\n", "syntax"),
    (b'{"method":"shutdown"}\n', "unsupported"),
    (b'{"method":"probe","more":1}\n', "syntax"),
    (b'{"method":"console"}\n', "syntax"),
    (b'{"method":"console","vm":"web"}\n', "syntax"),
    (b'{"method":"console","vm":"00000000-0000-0000-0000-000000000000"}\n', "not-found"),
    (b'{"method":"upload","volume":"00000000-0000-0000-0000-000000000000"}\n', "not-found"),
    (b'{"method":"upload","volume":"x","offset":-1}\n', "syntax"),
    (b'{"method":"' + b"x" * 100000 + b'"}\n', "constraint"),
])
def test_requests_that_make_no_sense_are_refused(host, payload, kind):
    assert ask(host, payload)["error"]["kind"] == kind


def test_a_transfer_needs_its_file(host, halt):
    request = json.dumps({"method": "upload", "volume": halt}).encode() + b"\n"
    assert ask(host, request)["error"]["kind"] == "syntax"
    with open(os.devnull, "rb") as file:
        before = (host.pool_dir / "halt.img").read_bytes()
        assert "result" in ask(host, request, [file.fileno()])
    assert (host.pool_dir / "halt.img").read_bytes() == before


def test_the_agent_outlives_rude_clients(host):
    pid = host.pid("byre-agentd")
    for _ in range(200):
        ask(host, b'{"method":"probe"', read=False)
    wait_for("an answer", lambda: "result" in ask(host, b'{"method":"probe"}\n'))
    assert ask(host, b'{"method":"probe"}\n')["result"]["uid"] == host.get("hostnode", host.node)["uid"]
    assert host.pid("byre-agentd") == pid


def test_others_are_not_let_in(host):
    script = ("import socket; s = socket.socket(socket.AF_UNIX); s.connect(%r); s.sendall(b'{\"method\":\"probe\"}\\n'); "
              "print(s.recv(999))" % str(host.state / "run" / "agent.sock"))
    done = subprocess.run(["/usr/bin/python3", "-c", script], user="nobody", capture_output=True, text=True, timeout=20)
    assert "PermissionError" in done.stderr


class Proxy(threading.Thread):
    """Stands between the agent and libvirtd, so that libvirt can be away without going away."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.pairs, self.server = str(path), [], None
        self.up()
        self.start()

    def up(self):
        server = socket.socket(socket.AF_UNIX)
        server.bind(self.path)
        server.listen(8)
        self.server = server

    def down(self):
        os.unlink(self.path)
        for a, b in self.pairs:
            for s in (a, b):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs = []

    def run(self):
        while True:
            client, _ = self.server.accept()
            libvirt = socket.socket(socket.AF_UNIX)
            libvirt.connect("/run/libvirt/libvirt-sock")
            self.pairs.append((client, libvirt))
            for source, sink in ((client, libvirt), (libvirt, client)):
                threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_libvirt_goes_away_and_comes_back(builddir, tmp_path):
    proxy = Proxy(tmp_path / "libvirt")
    config = tmp_path / "byre.conf"
    config.write_text("[agent]\nlibvirt = qemu+unix:///system?socket=%s\n" % proxy.path)
    host = Rows(builddir, temporary_state(), prefix="bp%d" % os.getpid(), config=config)
    try:
        host.start()
        host.join()
        host.connect()
        [node] = host.do({"op": "select", "table": "hostnode", "where": []})[0]["rows"]
        [pool] = host.do({"op": "select", "table": "pool", "where": []})[0]["rows"]
        host.node, host.pool = node["_uuid"][1], pool["_uuid"][1]
        vm = host.vm("away", host.disk("halt.img"), state="running")
        host.until("vm", vm, status="running")
        qemu = host.qemu_pid(host.get("vm", vm)["name"])

        old = proxy.server
        proxy.down()
        host.until("vm", vm, status="unknown")
        wait_for("the reason", lambda: host.get("hostnode", host.node)["error"])
        what, why, following = host.get("hostnode", host.node)["error"].split("\n")
        assert "libvirt" in what and why and "libvirtd" in following
        assert host.get("hostnode", host.node)["state"] == "online", "storage and the rest still work"

        proxy.up()
        threading.Thread(target=proxy.run, daemon=True).start()
        host.until("vm", vm, status="running", error=None, seconds=60)
        wait_for("no error", lambda: host.get("hostnode", host.node)["error"] is None)
        assert host.qemu_pid(host.get("vm", vm)["name"]) == qemu
        old.close()
        # A machine whose row came while libvirt was away.
        assert host.set("vm", vm, state="deleted") is None
    finally:
        host.destroy()
