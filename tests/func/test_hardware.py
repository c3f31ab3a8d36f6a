"""Hardware that changes while a machine runs: what the guest sees of it, what waits for the next start, and that it is gone
after one.  One guest for most of it; it is asked over its serial console."""

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
BOUND_S = 120  # A guest under translation, on a host with other work.

pytestmark = pytest.mark.skipif(libvirt_uri() is None, reason="no libvirt answers")


class Console:
    """Commands for the shell of a guest."""

    def __init__(self, host, name):
        [row] = [vm for vm in host.json("vm", "list", "-c", "name,_uuid") if vm["name"] == name]
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(BOUND_S)
        self.socket.connect(str(host.state / "run" / "agent.sock"))
        self.socket.sendall(json.dumps({"method": "console", "vm": row["_uuid"]}).encode() + b"\n")
        self.text = ""
        self.n = 0

    def until(self, words):
        deadline = time.monotonic() + BOUND_S
        while words not in self.text:
            assert time.monotonic() < deadline, self.text
            piece = self.socket.recv(65536)
            assert piece, self.text
            self.text += piece.decode(errors="replace").replace("\r", "")
        before, self.text = self.text.split(words, 1)
        return before

    def run(self, command):
        """What it prints.  The marks are put together by the shell, so that its echo is none."""
        self.n += 1
        self.socket.sendall(b"echo be''gin%d; %s; echo en''d%d\n" % (self.n, command.encode(), self.n))
        self.until("begin%d\n" % self.n)
        return self.until("end%d\n" % self.n).strip()

    def wait(self, command, expected):
        """Until it prints that; the guest needs its time."""
        deadline = time.monotonic() + BOUND_S
        while (got := self.run(command)) != expected:
            assert time.monotonic() < deadline, got
            time.sleep(0.2)


@pytest.fixture(scope="module")
def host(builddir, tmp_path_factory):
    tiny = pathlib.Path(os.environ.get("BYRE_TINY", ROOT / "var" / "tiny"))
    subprocess.run([str(ROOT / "tools" / "mk-tiny"), str(tiny)], check=True)
    host = Host(builddir, temporary_state(), prefix="bh%d" % os.getpid())
    try:
        host.start()
        host.join()
        for name, path in (("kernel", tiny / "tiny-kernel"), ("initrd", tiny / "tiny-initrd")):
            host.byre("vol", "create-as", "default", name, str(path.stat().st_size), "--format", "raw")
            host.byre("vol", "upload", "default/" + name, str(path))
        for name in ("one", "two"):
            medium = tmp_path_factory.mktemp("media") / name
            medium.write_bytes((b"medium %s\n" % name.encode()).ljust(2048) * 512)
            host.byre("vol", "create-as", "default", name + ".iso", str(1 << 20), "--format", "raw")
            host.byre("vol", "upload", "default/" + name + ".iso", str(medium))
        host.byre("vmi", "create", "tiny", "--kernel", "default/kernel", "--initrd", "default/initrd",
                  "--cmdline", "console=ttyS0 quiet")
        host.vm = host.prefix + "-demo"
        host.byre("vm", "create", host.vm, "--mem", "112", "--mem-max", "144", "--vcpu", "1", "--vcpu-max", "2", "--vmi", "tiny",
                  "--disk", "default/%s:64M" % host.vm, "--cdrom", "default/one.iso,bus=scsi", "--start")
        yield host
    finally:
        host.destroy()


@pytest.fixture(scope="module")
def guest(host):
    console = Console(host, host.vm)
    console.until("/ # ")
    console.run("while read m; do insmod /modules/$m; done < /modules/order.cd")
    return console


def row(host, name=None):
    return host.json("vm", "info", name or host.vm)


def xml(host):
    return virsh("dumpxml", host.vm)


def test_what_it_starts_with(host, guest):
    assert row(host)["needreboot_columns"] == [] and not row(host)["needreboot"]
    assert row(host)["vcpu_actual"] == 1
    assert guest.run("cat /sys/devices/system/cpu/present") == "0"


def test_a_cpu_is_plugged(host, guest):
    host.byre("vm", "vcpu-set", host.vm, "2")
    guest.wait("cat /sys/devices/system/cpu/present", "0-1")
    assert row(host)["vcpu_actual"] == 2 and not row(host)["needreboot"]


def test_a_cpu_of_the_emulator_stays(host, guest):
    """QEMU would end with it; so it waits for the next start."""
    done = host.byre("vm", "vcpu-set", host.vm, "1")
    if "<domain type='kvm'" in xml(host):
        guest.wait("cat /sys/devices/system/cpu/present", "0")
    else:
        assert "with the next start: vcpu" in done.stdout
        assert guest.run("cat /sys/devices/system/cpu/present") == "0-1"
    host.byre("vm", "vcpu-set", host.vm, "2")
    assert not row(host)["needreboot"]


def free_mib(guest):
    return int(re.search(r"MemFree: *(\d+)", guest.run("cat /proc/meminfo")).group(1)) / 1024


def test_memory_goes_and_comes(host, guest):
    host.byre("vm", "mem-set", host.vm, "144")
    assert row(host)["mem_actual"] == 144
    large = free_mib(guest)
    host.byre("vm", "mem-set", host.vm, "104")
    assert row(host)["mem_actual"] == 104
    assert 35 < large - free_mib(guest) < 45
    assert not row(host)["needreboot"]


def test_a_disk_comes_and_goes(host, guest):
    host.byre("vm", "disk", "attach", host.vm, "default/more:8M")
    guest.wait("cat /sys/block/vdb/size", str((8 << 20) // 512))
    [disk] = [d for d in host.json("vm", "disk", "list", host.vm) if d["volume"] == "default/more"]
    assert disk["controller"] == "virtio" and disk["boot_order"] is None
    # What a guest has, nobody removes.
    assert host.byre("vol", "delete", "default/more", check=False).returncode != 0
    host.byre("vm", "disk", "detach", host.vm, disk["targetdev"])
    guest.wait("ls /sys/block | grep -c vd", "1")
    assert "more" not in xml(host)
    assert not row(host)["needreboot"]
    host.byre("vol", "delete", "default/more")


def test_a_disk_of_the_scsi_bus_too(host, guest):
    host.byre("vm", "disk", "attach", host.vm, "default/scsi:8M,bus=scsi")
    assert re.search(r"<target dev='sd.' bus='scsi'/>", xml(host))
    host.byre("vm", "disk", "detach", host.vm, "default/scsi")
    assert "default/scsi" not in xml(host)


def test_media_change(host, guest):
    assert guest.run("head -c 10 /dev/sr0") == "medium one"
    [drive] = [d["targetdev"] for d in host.json("vm", "disk", "list", host.vm) if d["type"] == "cdrom"]
    host.byre("vm", "disk", "eject", host.vm, drive)
    guest.wait("head -c 10 /dev/sr0 2>/dev/null | wc -c", "0")
    host.byre("vm", "disk", "insert", host.vm, drive, "default/two.iso")
    guest.wait("head -c 10 /dev/sr0 2>/dev/null", "medium two")
    assert not row(host)["needreboot"]
    done = host.byre("vm", "disk", "eject", host.vm, "vda", check=False)
    assert done.returncode == 1 and "not a drive" in done.stderr


def test_limits_of_a_disk(host, guest):
    host.byre("vm", "disk", "set", host.vm, "vda", "total_iops_sec=500", "total_bytes_sec=50M")
    tuned = virsh("blkdeviotune", host.vm, "vda")
    assert re.search(r"total_iops_sec *: 500", tuned) and re.search(r"total_bytes_sec: %d" % (50 << 20), tuned)
    host.byre("vm", "disk", "set", host.vm, "vda", "total_iops_sec=", "total_bytes_sec=")
    assert re.search(r"total_iops_sec *: 0", virsh("blkdeviotune", host.vm, "vda"))
    done = host.byre("vm", "disk", "set", host.vm, "vda", "total_iops_sec=5", "read_iops_sec=5", check=False)
    assert done.returncode == 5 and "goes with none of reading or writing" in done.stderr
    host.byre("vm", "disk", "set", host.vm, "vda", "total_iops_sec=", "read_iops_sec=")


def test_what_cannot_change_waits_for_the_next_start(host, guest):
    done = host.byre("vm", "set", host.vm, "mem=200", "mem_max=200", "watchdog=reset")
    assert "with the next start: mem, mem_max, watchdog" in done.stdout, done.stdout
    assert row(host)["needreboot"] and row(host)["needreboot_columns"] == ["mem", "mem_max", "watchdog"]
    assert "mem, mem_max, watchdog" in host.byre("vm", "why", host.vm).stdout
    # Asking for what runs takes it back.
    host.byre("vm", "set", host.vm, "mem=104", "mem_max=144", "watchdog=")
    assert not row(host)["needreboot"] and row(host)["needreboot_columns"] == []


def test_an_agent_that_was_away_makes_the_change(host):
    os.kill(host.pid("byre-agentd"), 9)
    host.byre("vm", "set", host.vm, "mem=130", "description=more of it", "--no-wait")
    host.byre("wait", "vm", host.vm, "mem_actual=130", "--timeout", "60")
    assert "more of it" in virsh("desc", host.vm)
    assert row(host)["description"] == "more of it"


def test_the_guest_may_keep_a_disk(host):
    """A paused guest gives nothing back; it is said, and done once it can."""
    guest = Console(host, host.vm)  # The agent is another one.
    guest.socket.sendall(b"\n")
    guest.until("/ # ")
    host.byre("vm", "disk", "attach", host.vm, "default/kept:8M")
    guest.wait("cat /sys/block/vdb/size", str((8 << 20) // 512))
    host.byre("vm", "pause", host.vm)
    done = host.byre("vm", "disk", "detach", host.vm, "default/kept", check=False)
    assert done.returncode == 5 and "byre vm resume" in done.stderr, done.stderr
    assert host.byre("vol", "delete", "default/kept", check=False).returncode != 0
    host.byre("vm", "resume", host.vm)
    guest.wait("ls /sys/block | grep -c vd", "1")


def test_after_a_stop_and_a_start_nothing_waits(host, guest):
    host.byre("vm", "set", host.vm, "mem=120", "mem_max=160", "machine=pc")
    assert row(host)["needreboot"]
    host.byre("vm", "stop", "--force", host.vm)
    host.byre("vm", "start", host.vm)
    assert not row(host)["needreboot"] and row(host)["needreboot_columns"] == []
    assert "pc-i440fx" in xml(host)
    host.byre("vm", "stop", "--force", host.vm)


# A row is a machine: what is set, and what libvirt then has of it.
DEFINED = [
    ("vcpu=2 vcpu_max=4 cpuset=0 vcpu_pin={1=0}", ["current='2'>4<", "<vcpupin vcpu='1' cpuset='0'/>"]),
    ("cpu_mode=custom cpu_model=Haswell cpu_cap=150", [">Haswell</model>", "<global_quota>150000</global_quota>"]),
    ("mem=64 mem_max=128 cputune=512 blkiotune=300", ["131072</memory>", "65536</currentMemory>", "<weight>300</weight>"]),
    ("display=vnc watchdog=poweroff on_crash=coredump-restart", ["<graphics type='vnc'", "action='poweroff'", "coredump-restart"]),
    ("firmware=efi", ["firmware='efi'", "/nvram/"]),
]


@pytest.mark.parametrize("columns,expected", DEFINED)
def test_libvirt_keeps_all_of_it(host, columns, expected):
    name = host.prefix + "-def"
    if "efi" in columns and not os.path.exists("/usr/share/OVMF"):
        done = host.byre("vm", "create", name, "--firmware", "efi", check=False)
        assert "ovmf" in done.stderr
        return
    host.byre("vm", "create", name, "--mem", "128")
    try:
        host.byre("vm", "set", name, *columns.split())
        defined = virsh("dumpxml", "--inactive", name)
        for words in expected:
            assert words in defined, defined
    finally:
        host.byre("vm", "delete", name)


@pytest.mark.skipif(not os.path.exists("/usr/share/OVMF"), reason="no UEFI firmware here")
def test_uefi_keeps_its_variables(host):
    name = host.prefix + "-efi"
    host.byre("vm", "create", name, "--mem", "192", "--vmi", "tiny", "--firmware", "efi", "--start")
    assert "/OVMF/" in virsh("dumpxml", name)
    [nvram] = (host.state / "nvram").iterdir()
    host.byre("vm", "stop", "--force", name)
    assert nvram.exists()
    host.byre("vm", "rename", name, name + "x")
    assert nvram.exists()
    host.byre("vm", "delete", name + "x")
    assert not nvram.exists()
