"""The verbs of a machine's life with a real guest: saved and restored, snapshots and the way back to them, other names, several
machines at once.  What must survive is a counter in the guest's memory and a file on its disk."""

import json
import os
import pathlib
import re
import socket
import subprocess
import time

import pytest

from host import Host, libvirt_uri, temporary_state, virsh

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE_S = 120

pytestmark = pytest.mark.skipif(libvirt_uri() is None, reason="no libvirt answers")


class Console:
    """The guest's serial console, as `byre vm console` has it."""

    def __init__(self, host, vm):
        row = host.byre("get", "vm", vm, "_uuid").stdout.strip()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(1)
        self.sock.connect(str(host.state / "run" / "agent.sock"))
        self.sock.sendall(json.dumps({"method": "console", "vm": row}).encode() + b"\n")
        self.text = ""
        self.number = 0
        self.until(r'\{"result":\{\}\}\n')  # Before it, keys would be part of the request.

    def until(self, pattern, seconds=PATIENCE_S):
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            assert time.monotonic() < deadline, "not on the console: %s\n%s" % (pattern, self.text[-2000:])
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                continue
            assert data, "the console ended\n" + self.text[-2000:]
            self.text += data.decode(errors="replace").replace("\r", "")

    def run(self, command):
        """What the command prints.  Its echo has other text than its output, so the two cannot be mistaken."""
        self.number += 1
        mark = "%s-%d" % (os.urandom(4).hex(), self.number)
        self.sock.sendall(("echo '<'%s'>'; %s; echo '<'/%s'>'\n" % (mark, command, mark)).encode())
        return self.until(r"\n<%s>\n((?:.|\n)*?)<\/%s>\n" % (mark, mark)).group(1).strip()

    def close(self):
        self.sock.close()


@pytest.fixture(scope="module")
def host(builddir):
    tiny = pathlib.Path(os.environ.get("BYRE_TINY", ROOT / "var" / "tiny"))
    subprocess.run([str(ROOT / "tools" / "mk-tiny"), str(tiny)], check=True)
    host = Host(builddir, temporary_state(), prefix="bv%d" % os.getpid())
    try:
        host.start()
        host.join()
        for part in ("kernel", "initrd"):
            path = tiny / ("tiny-" + part)
            host.byre("vol", "create-as", "default", "tiny-" + part, str(path.stat().st_size), "--format", "raw")
            host.byre("vol", "upload", "default/tiny-" + part, str(path))
        host.byre("vmi", "create", "tiny", "--kernel", "default/tiny-kernel", "--initrd", "default/tiny-initrd",
                  "--cmdline", "console=ttyS0 quiet")
        host.vm = host.prefix + "-a"
        host.byre("vm", "create", host.vm, "--mem", "128", "--vmi", "tiny", "--disk", "default/%s:256M" % host.vm)
        yield host
    finally:
        host.destroy()


def row(host, name=None):
    return host.json("vm", "info", name or host.vm)


@pytest.fixture
def guest(host):
    """The machine, running, and a shell in it."""
    if row(host)["status"] != "running":
        host.byre("vm", "start", host.vm)
    console = Console(host, host.vm)
    console.sock.sendall(b"\n")
    console.until("# ")
    console.run("true")
    yield console
    console.close()


def on_disk(guest, command):
    """The file system is mounted by the guest's own init."""
    return guest.run("mountpoint -q /mnt || mount -t ext2 /dev/vda /mnt; %s" % command)


def boot_id(guest):
    return guest.run("cat /proc/sys/kernel/random/boot_id")


def test_saved_memory_goes_on(host, guest):
    before = boot_id(guest)
    guest.run("echo kept > /tmp/note")
    host.byre("vm", "save", host.vm)
    saved = row(host)
    assert (saved["state"], saved["status"], saved["domid"]) == ("saved", "saved", None)
    assert virsh("domstate", host.vm).strip() == "shut off"
    host.byre("vm", "save", host.vm)  # Again: it is so already.
    host.byre("vm", "restore", host.vm)
    assert row(host)["status"] == "running"
    again = Console(host, host.vm)
    assert again.run("cat /tmp/note") == "kept"
    assert boot_id(again) == before
    again.close()


def test_what_is_saved_is_not_lost_by_asking(host, guest):
    host.byre("vm", "save", host.vm)
    done = host.byre("vm", "stop", host.vm, check=False)
    assert done.returncode == 5 and "saved" in done.stderr and "--force" in done.stderr, done.stderr
    assert row(host)["status"] == "saved"
    why = host.byre("vm", "why", host.vm).stdout
    assert "saved" in why
    host.byre("vm", "stop", host.vm, "--force")
    assert row(host)["status"] == "shutoff"
    done = host.byre("vm", "restore", host.vm, check=False)
    assert done.returncode == 1 and "not saved" in done.stderr
    done = host.byre("vm", "save", host.vm, check=False)
    assert done.returncode == 1 and "not running" in done.stderr


def test_a_killed_agent_ends_up_saved(host, guest):
    host.byre("vm", "save", host.vm, "--no-wait")
    os.kill(host.pid("byre-agentd"), 9)
    host.byre("vm", "wait", host.vm, "--state", "saved", "--timeout", str(PATIENCE_S))
    host.byre("vm", "start", host.vm, "--timeout", str(PATIENCE_S))
    assert row(host)["status"] == "running"


def test_reset_boots_anew(host, guest):
    before = boot_id(guest)
    host.byre("vm", "reset", host.vm)
    guest.until("is up")
    assert boot_id(guest) != before


def test_snapshot_with_memory_and_back(host, guest):
    before = boot_id(guest)
    guest.run("echo one > /tmp/note")
    on_disk(guest, "echo one > /mnt/file; sync")
    host.byre("vm", "snapshot", "create", host.vm, "first", "--description", "before the change")
    guest.run("echo two > /tmp/note")
    on_disk(guest, "echo two > /mnt/file; sync")
    host.byre("vm", "snapshot", "create", host.vm, "second")
    [first, second] = host.json("vm", "snapshot", "list", host.vm)
    assert (first["name"], first["state"], first["status"], first["parent"]) == ("first", "ready", "running", None)
    assert (second["name"], second["parent"]) == ("second", "first")

    host.byre("vm", "snapshot", "revert", host.vm, "first")
    assert row(host)["status"] == "running"
    again = Console(host, host.vm)
    assert again.run("cat /tmp/note") == "one"
    assert boot_id(again) == before
    assert again.run("cat /mnt/file") == "one"
    again.close()
    host.byre("vm", "snapshot", "delete", host.vm, "first", "second")
    assert host.json("vm", "snapshot", "list", host.vm) == []
    assert virsh("snapshot-list", host.vm, "--name").split() == []


def test_revert_of_a_running_machine_to_one_that_was_off(host, guest):
    host.byre("vm", "shutdown", host.vm, "--timeout", str(PATIENCE_S))
    host.byre("vm", "snapshot", "create", host.vm, "off", "--no-memory")
    [off] = host.json("vm", "snapshot", "list", host.vm)
    assert off["status"] == "shutoff"
    host.byre("vm", "start", host.vm)
    running = Console(host, host.vm)
    running.until("is up")
    on_disk(running, "echo new > /mnt/new; sync")
    running.close()
    host.byre("vm", "snapshot", "revert", host.vm, "off")
    assert (row(host)["state"], row(host)["status"]) == ("stopped", "shutoff")
    host.byre("vm", "start", host.vm)
    running = Console(host, host.vm)
    running.until("is up")
    assert on_disk(running, "ls /mnt/new 2>&1").endswith("No such file or directory")
    running.close()
    done = host.byre("vm", "rename", host.vm, host.vm + "-x", check=False)
    assert done.returncode == 1 and "snapshots" in done.stderr
    host.byre("vm", "snapshot", "delete", host.vm, "off")


def test_snapshots_that_cannot_be(host, guest):
    done = host.byre("vm", "snapshot", "create", host.vm, "torn", "--no-memory", check=False)
    assert done.returncode == 5 and "torn" in done.stderr, done.stderr
    assert host.json("vm", "snapshot", "list", host.vm) == []
    assert host.byre("vm", "snapshot", "revert", host.vm, "none", check=False).returncode == 3
    raw = host.prefix + "-raw"
    host.byre("vm", "create", raw, "--mem", "64", "--vmi", "tiny", "--disk", "default/%s:8M,format=raw" % raw)
    done = host.byre("vm", "snapshot", "create", raw, "s", check=False)
    assert done.returncode == 5 and "raw, which cannot hold a snapshot" in done.stderr, done.stderr
    assert host.json("list", "snapshot") == []
    host.byre("vm", "delete", raw, "--volumes")


def test_a_killed_agent_has_taken_the_snapshot(host, guest):
    host.byre("vm", "snapshot", "create", host.vm, "killed", "--no-wait")
    os.kill(host.pid("byre-agentd"), 9)
    uuid = host.json("list", "snapshot", "-c", "_uuid")[0]["_uuid"]
    host.byre("wait", "snapshot", uuid, "state=ready", "--timeout", str(PATIENCE_S))
    assert virsh("snapshot-list", host.vm, "--name").split() == ["killed"]
    host.byre("vm", "snapshot", "revert", host.vm, "killed", "--no-wait")
    os.kill(host.pid("byre-agentd"), 9)
    host.byre("wait", "job", host.json("list", "job", "-c", "_uuid", "--where", "kind=vm.revert", "--where", "state!=done")[0]["_uuid"],
              "state=done", "--timeout", str(PATIENCE_S))
    host.byre("vm", "wait", host.vm)
    host.byre("vm", "snapshot", "delete", host.vm, "killed")


def test_another_name(host, guest):
    other = host.vm + "-b"
    host.byre("vm", "rename", host.vm, other)
    assert row(host, other)["status"] == "running"
    assert host.vm in virsh("list", "--name").split()
    host.byre("vm", "stop", other, "--force")
    assert other in virsh("list", "--all", "--name").split()
    assert host.vm not in virsh("list", "--all", "--name").split()
    host.byre("vm", "rename", other, host.vm)
    assert row(host)["status"] == "shutoff"


def test_many_at_once(host):
    names = ["%s-m%d" % (host.prefix, i) for i in range(3)]
    line = []
    for name in names:
        line += ["--"] * bool(line) + ["vm", "create", name, "--mem", "16"]
    host.byre(*line)
    host.byre("vm", "start", names[0], names[1])
    done = host.byre("vm", "pause", host.prefix + "-m*")
    assert done.stdout.count(": paused") == 2
    assert "left out" in done.stderr and names[2] in done.stderr
    # One that is named itself is not left out, and then nothing is changed.
    done = host.byre("vm", "resume", names[0], names[2], check=False)
    assert done.returncode == 1
    assert row(host, names[0])["status"] == "paused"
    out = host.byre("vm", "destroy", host.prefix + "-m*", "-o", "json")
    assert {(o["object"], o["outcome"]) for o in json.loads(out.stdout)} == {("vm " + n, "stopped") for n in names}
    host.byre("vm", "delete", host.prefix + "-m*")
    assert not [vm for vm in host.json("list", "vm") if vm["name"] in names]


def test_wait_for_a_state(host):
    host.byre("vm", "start", host.vm)
    host.byre("vm", "wait", host.vm, "--state", "running", "--timeout", "10")
    done = host.byre("vm", "wait", host.vm, "--state", "stopped", "--timeout", "1", check=False)
    assert done.returncode == 6
    assert host.byre("vm", "wait", host.vm, "--state", "gone", check=False).returncode == 2
    host.byre("vm", "wait", host.prefix + "-nobody", "--state", "deleted", "--timeout", "10")


def test_why_says_who_asked(host):
    host.byre("vm", "pause", host.vm)
    why = host.byre("vm", "why", host.vm).stdout
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    assert re.search(r"asked:.*%s.*vm pause" % user, why), why
    host.byre("vm", "stop", host.vm, "--force")
