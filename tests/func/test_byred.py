"""byred: start in order, restart with back-off, end backwards, be killed and come again.

The four programs are stand-ins: a Python script with the same options that listens, locks its pid file and notes what
happens to it, and can be told to misbehave by files beside it.
"""

import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

STAND_IN = r'''#!/usr/bin/python3
import fcntl, os, pathlib, re, signal, socket, sys, time
name = pathlib.Path(sys.argv[0]).name
home = pathlib.Path(sys.argv[0]).parent
def note(what):
    with open(home / "notes", "a") as f:
        f.write("%s %s\n" % (name, what))
if name == "byre-dbtool":
    pathlib.Path(sys.argv[-1]).touch()
    sys.exit(0)
if (home / (name + ".fails")).exists():
    print("first line\ncannot do " + name + "\nwhy:  no\nnext: ask", file=sys.stderr)
    sys.exit(3)
stubborn = (home / (name + ".stubborn")).exists()
def ended(*_):
    note("term")
    if not stubborn:
        os._exit(0)
signal.signal(signal.SIGTERM, ended)
signal.signal(signal.SIGHUP, lambda *_: note("hup"))
words = " ".join(sys.argv[1:])
pid = open(re.search(r"--pidfile=(\S+)", words).group(1), "a+")
fcntl.lockf(pid, fcntl.LOCK_EX | fcntl.LOCK_NB)
pid.truncate(0)
pid.write("%d\n" % os.getpid())
pid.flush()
path = re.search(r"(?:--remote=punix:|--socket=|--listen=unix:)(\S+)", words)
path = path.group(1) if path else re.search(r"--state=(\S+)", words).group(1) + "/run/agent.sock"
if os.path.exists(path):
    os.unlink(path)
time.sleep(0.05)
s = socket.socket(socket.AF_UNIX)
s.bind(path)
s.listen(5)
note("up")
while True:
    try:
        s.accept()[0].close()
    except OSError:
        pass
'''

NAMES = ["byre-dbd", "byre-stored", "byre-agentd", "byre-webd"]


class Byred:
    def __init__(self, home, program):
        self.home = home
        self.state = home / "s"
        self.bin = home / "bin"
        self.bin.mkdir()
        shutil.copy(program("byred"), self.bin / "byred")
        for name in NAMES + ["byre-dbtool"]:
            path = self.bin / name
            path.write_text(STAND_IN)
            path.chmod(0o755)

    def run(self, *args, timeout=60):
        return subprocess.run([self.bin / "byred", "--state", self.state, *args], capture_output=True, text=True,
                              timeout=timeout)

    def notes(self):
        path = self.bin / "notes"
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def log(self):
        return (self.state / "log" / "byred.log").read_text()

    def pid(self, name="byred"):
        return int((self.state / "run" / (name + ".pid")).read_text())

    def misbehave(self, name, how, on=True):
        path = self.bin / ("%s.%s" % (name, how))
        path.touch() if on else path.unlink()


def wait_for(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_alive(pid):
    try:
        return pathlib.Path("/proc/%d/stat" % pid).read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


@pytest.fixture
def byred(program, state_dir):
    b = Byred(state_dir, program)
    yield b
    b.run("--stop", timeout=90)
    for name in NAMES:
        path = b.state / "run" / (name + ".pid")
        assert not (path.exists() and path.read_text() and is_alive(int(path.read_text()))), name + " was left behind"


def test_life(byred):
    done = byred.run("--detach")
    assert done.returncode == 0, done.stderr
    assert byred.notes() == [n + " up" for n in NAMES]
    for path, mode in {"": 0o711, "db": 0o700, "run": 0o711, "log": 0o700, "log/console": 0o700, "pools": 0o711}.items():
        assert stat.S_IMODE((byred.state / path).stat().st_mode) == mode, path
    status = byred.run("--status")
    assert status.returncode == 0 and status.stdout.count(" runs\n") == 5, status.stdout

    again = byred.run("--detach")
    assert again.returncode == 1
    assert "is locked by process %d" % byred.pid() in again.stderr
    assert "next: " in again.stderr

    os.kill(byred.pid(), signal.SIGHUP)
    wait_for(lambda: sum(n.endswith(" hup") for n in byred.notes()) == 4)

    assert byred.run("--stop").returncode == 0
    assert byred.notes()[-4:] == [n + " term" for n in reversed(NAMES)]
    assert byred.run("--status").returncode == 3
    assert byred.run("--stop").returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_restart_of_one(byred, name):
    assert byred.run("--detach").returncode == 0
    others = {n: byred.pid(n) for n in NAMES if n != name}
    old = byred.pid(name)
    killed = time.monotonic()
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: byred.notes().count(name + " up") == 2)
    assert 0.9 < time.monotonic() - killed < 30
    assert byred.pid(name) != old
    assert {n: byred.pid(n) for n in others} == others
    assert "%s died (Killed); again in 1000 ms" % name in byred.log()


def test_back_off_and_reason(byred):
    assert byred.run("--detach").returncode == 0
    byred.misbehave("byre-webd", "fails")
    os.kill(byred.pid("byre-webd"), signal.SIGKILL)
    wait_for(lambda: "again in 4000 ms" in byred.log())
    assert "byre-webd died (exit status 3: cannot do byre-webd); again in 2000 ms" in byred.log()
    byred.misbehave("byre-webd", "fails", on=False)
    wait_for(lambda: byred.notes().count("byre-webd up") == 2)


def test_failed_start_leaves_nothing(byred):
    byred.misbehave("byre-dbd", "fails")
    done = byred.run("--detach", timeout=90)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "byred: byre-dbd does not start",
        "why:  exit status 3: cannot do byre-dbd",
        "next: read %s/log: byre-dbd.log and byre-dbd.stderr" % byred.state,
    ]
    assert byred.run("--status").stdout.count("does not run") == 5


def test_killed_and_started_at_once(byred):
    """The old children are told by the kernel; the new ones wait for them, even for a slow one."""
    byred.misbehave("byre-agentd", "stubborn")
    assert byred.run("--detach").returncode == 0
    byred.misbehave("byre-agentd", "stubborn", on=False)
    slow = byred.pid("byre-agentd")
    old = byred.pid()
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: not is_alive(old))
    second = subprocess.Popen([byred.bin / "byred", "--state", byred.state, "--detach"])
    wait_for(lambda: byred.notes().count("byre-stored up") == 2)
    time.sleep(0.5)
    assert is_alive(slow) and byred.notes().count("byre-agentd up") == 1
    os.kill(slow, signal.SIGKILL)
    assert second.wait(30) == 0
    assert byred.notes().count("byre-agentd up") == 2


def test_stubborn_child_is_killed(byred):
    byred.misbehave("byre-agentd", "stubborn")
    assert byred.run("--detach").returncode == 0
    pid = byred.pid("byre-agentd")
    begun = time.monotonic()
    assert byred.run("--stop").returncode == 0
    assert 9 < time.monotonic() - begun < 60
    assert not is_alive(pid)


def test_foreground_ends_on_sigterm(byred):
    p = subprocess.Popen([byred.bin / "byred", "--state", byred.state], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (byred.state / "log" / "byred.log").exists() and "all programs are up" in byred.log())
    p.send_signal(signal.SIGTERM)
    assert p.wait(20) == 0
    assert "all programs are up" in p.stderr.read()


@pytest.mark.parametrize("args, text", [
    (["--config", "/nonexistent"], "No such file"),
    (["--state", "/" + "d" * 100], "choose a state directory with a shorter path"),
    (["--state", "/proc/byre"], "cannot make the state directory"),
])
def test_bad_input(byred, args, text):
    done = byred.run(*args)
    assert done.returncode == 1 and text in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_usage(byred):
    for args in ([], ["--state", "x", "y"], ["--nope"]):
        assert subprocess.run([byred.bin / "byred", *args], capture_output=True).returncode == 2


def test_bad_config_names_the_line(byred):
    path = byred.home / "byred.conf"
    path.write_text("[web]\nlisten = unix:%s/w\n[agent]\nlibvrt = x\n" % byred.home)
    done = byred.run("--config", path)
    assert done.returncode == 1 and "%s:4: no setting 'libvrt' in [agent]" % path in done.stderr
    path.write_text("[web]\nlisten = unix:%s/w\n" % byred.home)
    assert byred.run("--config", path, "--detach").returncode == 0
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(byred.home / "w"))
    s.close()
