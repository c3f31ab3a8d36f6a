"""The shell of ./run and ./test: steps fail when something in them fails, bad input is told."""

import os
import pathlib
import pwd
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def bash(script, cwd=ROOT, **named):
    return subprocess.run(["bash", "-c", "set -euo pipefail\n" + script], cwd=cwd, capture_output=True, text=True,
                          timeout=60, **named)


STEPS = """
LOG=%s; : > $LOG; . tools/sh-lib.sh
middle() { echo before; false; echo after; }
"""


def test_a_failure_in_the_middle_of_a_step_counts(tmp_path):
    log = tmp_path / "log"
    done = bash(STEPS % log + 'step "good" true; step "bad" middle; echo not reached')
    assert done.returncode == 1
    assert [line.split(None, 2)[0] for line in done.stdout.splitlines()] == ["ok", "FAILED"]
    assert "before" in done.stderr and str(log) in done.stderr
    assert "after" not in log.read_text() and "not reached" not in done.stdout


def test_try_tells_its_status(tmp_path):
    done = bash(STEPS % (tmp_path / "log") + 'try "bad" middle; echo "status $status"; try "good" true; echo "status $status"')
    assert "status 1" in done.stdout and "status 0" in done.stdout and done.returncode == 0


def test_an_interrupt_ends_the_whole_step(tmp_path):
    mark = tmp_path / "pid"
    script = STEPS % (tmp_path / "log") + "slow() { sleep 1234 & echo $! > %s; wait; }\nstep slow slow" % mark
    p = subprocess.Popen(["bash", "-c", script], cwd=ROOT, stdout=subprocess.DEVNULL)
    for _ in range(100):
        if mark.exists() and mark.read_text():
            break
        subprocess.run(["sleep", "0.05"])
    p.terminate()
    assert p.wait(10) == 130
    stat = pathlib.Path("/proc/%d/stat" % int(mark.read_text()))
    for _ in range(100):  # Who takes over the orphan may be slow to bury it.
        if not stat.exists() or ") Z " in stat.read_text():
            return
        subprocess.run(["sleep", "0.05"])
    pytest.fail("it still runs")


@pytest.mark.parametrize("args", [["--nope"], ["--state"], ["now"]])
def test_usage(args):
    done = subprocess.run([ROOT / "run", *args], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("usage:")


def test_stop_of_nothing(tmp_path):
    done = subprocess.run([ROOT / "run", "--stop", "--state", tmp_path / "none"], capture_output=True, text=True)
    assert done.returncode == 0 and "nothing was started" in done.stdout
    assert not (tmp_path / "none").exists()


def test_install_deps_knows_its_purposes():
    tool = ROOT / "tools" / "install-deps.sh"
    assert subprocess.run([tool], capture_output=True).returncode == 2
    done = subprocess.run([tool, "--check", "tests"], capture_output=True, text=True)
    assert done.returncode == 2 and "no purpose tests" in done.stderr


def have_libvirt_user():
    try:
        return os.geteuid() == 0 and bool(pwd.getpwnam("libvirt-qemu")) and not bash("command -v setfacl").returncode
    except KeyError:
        return False


@pytest.mark.skipif(not have_libvirt_user(), reason="needs root, setfacl and the user libvirt-qemu")
def test_guests_get_through_closed_directories(state_dir):
    deep = state_dir / "closed" / "open" / "closed too" / "state"
    deep.mkdir(parents=True)
    for part, mode in ((state_dir, 0o711), (deep.parents[2], 0o700), (deep.parents[1], 0o755), (deep.parents[0], 0o700)):
        part.chmod(mode)
    lib = '. tools/host.sh; LC_ALL=C\n'
    quoted = "'%s'" % deep
    assert bash(lib + "closed_path " + quoted).stdout.splitlines() == [str(deep.parents[0]), str(deep.parents[2])]
    assert bash(lib + "open_path " + quoted).returncode == 0
    assert bash(lib + "closed_path " + quoted).stdout == ""
    acl = subprocess.run(["getfacl", "-cp", deep.parents[1]], capture_output=True, text=True).stdout
    assert "libvirt-qemu" not in acl
