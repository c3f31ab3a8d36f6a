"""The verbs of a machine's life with a real guest: saved and restored, snapshots and the way back to them, other names, several
machines at once.  What must survive is a counter in the guest's memory and a file on its disk."""

import json
import os
import pathlib
import re
import socket
import subprocess

import pytest

import tiny_guest
from host import Host, libvirt_uri, temporary_state, virsh
from tiny_guest import PATIENCE_S, Console

pytestmark = pytest.mark.skipif(libvirt_uri() is None, reason="no libvirt answers")


@pytest.fixture(scope="module")
def host(builddir):
    host = Host(builddir, temporary_state(), prefix="bv%d" % os.getpid())
    try:
        host.start()
        host.join()
        tiny_guest.template(host)
        host.vm = host.prefix + "-a"
        host.byre("vm", "create", host.vm, "--mem", "128", "--vmi", "tiny", "--disk", "default/%s:256M" % host.vm)
        host.byre("set", "vm", host.vm, "display=vnc")
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
    console = Console(host, host.vm).shell()
    yield console
    console.close()


def on_disk(guest, command):
    """The file system is mounted by the guest's own init."""
    return guest.run("mountpoint -q /mnt || mount -t ext2 /dev/vda /mnt; %s" % command)


def boot_id(guest):
    return guest.run("cat /proc/sys/kernel/random/boot_id")


def disk_of(host, vm):
    uuid = host.byre("get", "vm", vm, "_uuid").stdout.strip()
    [device] = host.json("list", "device", "--raw", "--where", "vm=" + uuid, "-c", "volume,targetdev")
    return host.json("vol", "info", device["volume"])


def qemu_info(path):
    return json.loads(subprocess.run(["qemu-img", "info", "--output=json", "-U", path], capture_output=True, text=True,
                                     check=True).stdout)


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


def test_keys_are_pressed_and_text_is_typed(host, guest):
    """The guest's keyboard is on its VGA console: a shell there says on the serial one what was typed."""
    guest.run("setsid sh -c 'echo >/tmp/listens; exec sh -i </dev/tty1 >/dev/ttyS0 2>&1' & until [ -e /tmp/listens ]; do usleep 50000; done")
    host.byre("vm", "type", host.vm, "-", stdin='echo "Typed: $((6*7)), <It\'s> OK!"\n')
    guest.until("Typed: 42, <It's> OK!")
    host.byre("vm", "type", host.vm, "echo second-$((1+1))")
    host.byre("vm", "send-key", host.vm, "enter")
    guest.until("second-2\n")
    assert host.byre("vm", "send-key", host.vm, "hyper", check=False).returncode == 2
    assert host.byre("vm", "type", host.vm, "caf\u00e9", check=False).returncode == 1
    host.byre("vm", "type", host.vm, "-", stdin="exit\n")


def test_picture_of_the_screen_and_vnc(host, tmp_path):
    picture = tmp_path / "screen"
    host.byre("vm", "screenshot", host.vm, "-f", str(picture))
    head = picture.read_bytes()[:8]
    assert head.startswith((b"\x89PNG\r\n\x1a\n", b"P6\n")), head
    assert oct(picture.stat().st_mode & 0o777) == "0o600"
    address = host.byre("vm", "vnc", host.vm).stdout.strip()
    assert re.fullmatch(r"127\.0\.0\.1:\d+", address)
    with socket.create_connection(("127.0.0.1", int(address.split(":")[1])), timeout=30) as vnc:
        assert vnc.recv(4) == b"RFB "
    assert host.json("vm", "vnc", host.vm) == {"vnc": address}


def test_xml_is_libvirts_without_secrets(host):
    for options in ((), ("--inactive",)):
        assert host.byre("vm", "dumpxml", host.vm, *options).stdout == virsh("dumpxml", host.vm, *options)
    assert "<domain type=" in host.byre("vm", "dumpxml", host.vm).stdout
    assert host.byre("vm", "dumpxml", "nosuch", check=False).returncode == 3


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


def test_reset_boots_anew(host, guest):
    before = boot_id(guest)
    host.byre("vm", "reset", host.vm)
    guest.until("is up")
    guest.shell()
    assert boot_id(guest) != before


def file_names(path):
    """What the root directory of the ext2 on that disk has."""
    raw = path + ".raw"
    try:
        subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", path, raw], check=True)
        done = subprocess.run(["debugfs", "-R", "ls -p /", raw], capture_output=True, text=True, check=True)
    finally:
        os.unlink(raw)
    return {line.split("/")[5] for line in done.stdout.split("\n") if line.count("/") > 5}


def test_revert_of_a_running_machine_to_one_that_was_off(host, guest):
    """The snapshot's disk comes back, seen from outside; a guest saw that of a snapshot with memory."""
    host.byre("vm", "shutdown", host.vm, "--timeout", str(PATIENCE_S))
    disk = disk_of(host, host.vm)["filepath"]
    assert "file" in file_names(disk) and "new" not in file_names(disk)
    host.byre("vm", "snapshot", "create", host.vm, "off", "--no-memory")
    [off] = host.json("vm", "snapshot", "list", host.vm)
    assert off["status"] == "shutoff"
    host.byre("vm", "start", host.vm)
    running = Console(host, host.vm)
    running.until("is up")
    running.shell()
    on_disk(running, "echo new > /mnt/new; sync; umount /mnt")
    assert "new" in file_names(disk)
    running.close()
    host.byre("vm", "snapshot", "revert", host.vm, "off")
    assert (row(host)["state"], row(host)["status"]) == ("stopped", "shutoff")
    assert "file" in file_names(disk) and "new" not in file_names(disk)
    done = host.byre("vm", "rename", host.vm, host.vm + "-x", check=False)
    assert done.returncode == 1 and "snapshots" in done.stderr
    host.byre("vm", "snapshot", "delete", host.vm, "off")


def test_a_killed_agent_ends_up_saved(host):
    host.byre("vm", "start", host.vm)
    host.byre("vm", "save", host.vm, "--no-wait")
    os.kill(host.pid("byre-agentd"), 9)
    host.byre("vm", "wait", host.vm, "--state", "saved", "--timeout", str(PATIENCE_S))
    host.byre("vm", "start", host.vm, "--timeout", str(PATIENCE_S))
    assert row(host)["status"] == "running"


def test_what_is_saved_is_not_lost_by_asking(host):
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


def test_another_name(host):
    other = host.vm + "-b"
    host.byre("vm", "start", host.vm)
    host.byre("vm", "rename", host.vm, other)
    assert row(host, other)["status"] == "running"
    assert host.vm in virsh("list", "--name").split()
    host.byre("vm", "stop", other, "--force")
    assert other in virsh("list", "--all", "--name").split()
    assert host.vm not in virsh("list", "--all", "--name").split()
    host.byre("vm", "rename", other, host.vm)
    assert row(host)["status"] == "shutoff"


def test_many_at_once(host):
    names = [("%s-m%d-" % (host.prefix, i)).ljust(63, "x") for i in range(3)]  # As long as names may be.
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


def test_clone_full_and_linked(host):
    full, linked = host.vm + "-full", host.vm + "-linked"
    host.byre("vm", "start", host.vm)
    done = host.byre("vm", "clone", host.vm, full, check=False)
    assert done.returncode == 1 and "shutdown" in done.stderr, done.stderr
    host.byre("vm", "stop", host.vm, "--force")
    host.byre("vm", "clone", host.vm, full)
    old, new = row(host), row(host, full)
    assert new["uuid"] != old["uuid"] and new["status"] == "shutoff" and new["mem"] == old["mem"]
    copy = qemu_info(disk_of(host, full)["filepath"])
    assert "backing-filename" not in copy and copy["virtual-size"] == 256 << 20
    assert host.byre("vm", "clone", host.vm, full, check=False).returncode == 1

    host.byre("vm", "clone", host.vm, linked, "--linked")
    assert qemu_info(disk_of(host, linked)["filepath"])["backing-filename"] == disk_of(host, host.vm)["filepath"]
    # The disk below must not change any more.
    done = host.byre("vm", "start", host.vm, check=False)
    assert done.returncode == 5 and "lies on its disk vda" in done.stderr, done.stderr
    host.byre("vm", "stop", host.vm)
    host.byre("vm", "start", linked)
    console = Console(host, linked)
    console.until("ext2 kept")  # What the first machine wrote is there.
    console.close()
    host.byre("vm", "delete", linked, full, "--volumes")
    assert {p.name for p in host.pool_dir.iterdir()} == {"tiny-kernel", "tiny-initrd", host.vm}


def test_a_clone_survives_killed_agents(host):
    name = host.vm + "-k"
    host.byre("vm", "clone", host.vm, name, "--no-wait")
    os.kill(host.pid("byre-agentd"), 9)
    host.byre("vm", "wait", name, "--state", "stopped", "--timeout", str(PATIENCE_S))
    host.byre("wait", "vm", name, "observed_generation=1", "--timeout", str(PATIENCE_S))
    assert row(host, name)["error"] is None
    host.byre("vm", "delete", name, "--volumes")


def test_vnc_asks_for_its_password(host, tmp_path):
    """And nothing else tells it."""
    secret = "tr4p-d0r"
    file = tmp_path / "password"
    file.write_text(secret + "\n")
    host.byre("vm", "start", host.vm)
    assert host.byre("vm", "vnc-password", host.vm, check=False).returncode == 2
    done = host.byre("vm", "vnc-password", host.vm, "--password-file", "-", stdin="123456789\n", check=False)
    assert done.returncode == 1 and "1 to 8 characters" in done.stderr
    done = host.byre("vm", "vnc-password", host.vm, "--password-file", str(file))
    assert "with the next start: password" in done.stdout, done.stdout
    host.byre("vm", "stop", host.vm, "--force")
    host.byre("vm", "start", host.vm)
    assert row(host)["needreboot_columns"] == []
    port = int(host.byre("vm", "vnc", host.vm).stdout.strip().split(":")[1])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as vnc:
        version = vnc.recv(12)
        vnc.sendall(version)
        kinds = vnc.recv(64)
        assert kinds[1:1 + kinds[0]] == b"\x02"  # RFC 6143, 7.2.2: VNC authentication alone.
    assert "passwd='%s'" % secret in virsh("dumpxml", "--security-info", host.vm)
    argv = pathlib.Path("/proc/%d/cmdline" % host.qemu_pid(host.vm)).read_bytes().decode(errors="replace")
    shown = [virsh("dumpxml", host.vm), host.byre("vm", "dumpxml", host.vm).stdout, argv, host.logs(10000), host.byre("vm", "info", host.vm, "-o", "json").stdout,
             host.byre("vm", "why", host.vm).stdout, host.byre("list", "vm", "-o", "json").stdout]
    assert not [text for text in shown if secret in text]
    host.byre("vm", "vnc-password", host.vm, "--none")
    assert row(host)["needreboot_columns"] == ["password"]
    assert host.json("list", "secret") == []
    host.byre("vm", "stop", host.vm, "--force")
    host.byre("vm", "start", host.vm)


def test_dump_of_the_memory(host, tmp_path):
    core = tmp_path / "core"
    host.byre("vm", "dump-core", host.vm, str(core), seconds=PATIENCE_S)
    assert core.read_bytes()[:4] == b"\x7fELF"
    assert core.stat().st_size >= 128 << 20
    assert row(host)["status"] == "running"
    assert not list((host.state / "run").glob("dump-*"))
    host.byre("vm", "stop", host.vm, "--force")
    done = host.byre("vm", "dump-core", host.vm, "-f", str(tmp_path / "none"), check=False)
    assert done.returncode == 1 and not (tmp_path / "none").exists()


def test_a_machine_that_cannot_be_started_stays(host):
    """As it does after virsh define: nobody has to write it down again, and what was wrong can be changed."""
    name = host.prefix + "-odd"
    done = host.byre("vm", "create", name, "--mem", "16", "--cpu-mode", "custom", "--cpu-model", "nonesuch", "--start", check=False)
    assert done.returncode != 0 and "nonesuch" in done.stderr, done.stderr
    info = host.json("vm", "info", name)
    assert info["state"] == "running" and info["status"] != "running" and "nonesuch" in info["error"], info
    host.byre("vm", "set", name, "cpu_mode=", "cpu_model=")
    host.byre("vm", "start", name)
    assert host.json("vm", "info", name)["status"] == "running"
    host.byre("vm", "stop", name, "--force")
    host.byre("vm", "delete", name)


def test_a_guest_that_does_not_obey_is_asked_about(host, builddir):
    """On a terminal; without one the exit code and the hint say it."""
    import pty
    deaf = host.prefix + "-deaf"
    host.byre("vm", "create", deaf, "--mem", "16", "--start")
    done = host.byre("vm", "shutdown", deaf, "--timeout", "1", check=False)
    assert done.returncode == 6 and "byre vm stop %s --force" % deaf in done.stderr
    for answer, status in ((b"n\n", "running"), (b"y\n", "shutoff")):
        master, slave = pty.openpty()
        process = subprocess.Popen([str(pathlib.Path(builddir) / "byre"), "--db", host.db, "vm", "shutdown", deaf,
                                    "--timeout", "1"], stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        seen = b""
        while b"[y/N]" not in seen:
            seen += os.read(master, 4096)
        os.write(master, answer)
        try:
            while os.read(master, 4096):
                pass
        except OSError:
            pass
        os.close(master)
        assert process.wait(60) == (0 if status == "shutoff" else 6)
        assert row(host, deaf)["status"] == status
    host.byre("vm", "delete", deaf)
