"""The guest tiny under plain QEMU: it must tell the truth about its disk, because ./run believes it."""

import os
import pathlib
import select
import socket
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOUND_S = 30  # It takes 3 s on two idle cores; tests share them.


@pytest.fixture(scope="session")
def tiny(program, tmp_path_factory):
    program("qemu-system-x86_64")
    out = pathlib.Path(os.environ.get("BYRE_TINY", ROOT / "build" / "tiny"))
    done = subprocess.run([ROOT / "tools" / "mk-tiny", out], capture_output=True, text=True)
    if done.returncode and not os.path.exists("/var/lib/apt/lists"):
        pytest.skip("no package lists")
    assert done.returncode == 0, done.stderr
    return out


class Guest:
    def __init__(self, tiny, directory, disk=None, name="demo", memory=128):
        self.monitor = directory / "monitor"
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-m", str(memory), "-display", "none", "-nodefaults",
                "-serial", "stdio", "-monitor", "unix:%s,server,nowait" % self.monitor,
                "-kernel", tiny / "tiny-kernel", "-initrd", tiny / "tiny-initrd",
                "-append", "console=ttyS0 quiet byre.name=%s" % name]
        if disk:
            argv += ["-drive", "file=%s,if=virtio" % disk]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.text = ""

    def wait_for(self, words):
        deadline = time.monotonic() + BOUND_S
        while words not in self.text:
            assert time.monotonic() < deadline and self.process.poll() is None, self.text
            if select.select([self.process.stdout], [], [], 0.5)[0]:
                self.text += os.read(self.process.stdout.fileno(), 4096).decode(errors="replace").replace("\r", "")
        return self

    def line(self):
        self.wait_for("/ # ")  # The shell: all of the line has come.
        return [line for line in self.text.split("\n") if " is up" in line or "FAILED" in line][0]

    def press_power_button(self):
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(self.monitor))
        s.sendall(b"system_powerdown\n")
        code = self.process.wait(BOUND_S)
        s.close()
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def boot(tiny, state_dir):
    guests = []

    def start(*args, **named):
        guests.append(Guest(tiny, state_dir, *args, **named))
        return guests[-1]

    yield start
    for g in guests:
        g.kill()


def make_disk(directory, size="64M"):
    disk = directory / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, size], check=True)
    return disk


def test_first_and_second_boot(boot, state_dir):
    disk = make_disk(state_dir, "1G")
    g = boot(disk)
    assert g.line() == "demo is up: disk /dev/vda 1073741824 bytes, ext2 made, written, read back"
    assert g.press_power_button() == 0
    g = boot(disk, name="other")
    assert g.line() == "other is up: disk /dev/vda 1073741824 bytes, ext2 kept (boot 2), written, read back"
    g.process.stdin.write(b"cat /mnt/boots; echo sum $((40 + 2))\n")
    g.process.stdin.flush()
    g.wait_for("sum 42\n")
    assert "\n2\n" in g.text


def test_no_disk(boot):
    assert boot().line() == "demo is up: no disk"


def test_a_disk_with_other_content_is_left_alone(boot, state_dir):
    disk = state_dir / "raw"
    content = b"\0" * 512 + b"precious" + b"\0" * (1 << 22)
    disk.write_bytes(content)
    assert "FAILED" in boot(disk).line()
    assert disk.read_bytes() == content


def test_mk_tiny_is_done_once(tiny):
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in tiny.iterdir()}
    subprocess.run([ROOT / "tools" / "mk-tiny", tiny], check=True)
    assert before == {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in tiny.iterdir()}
