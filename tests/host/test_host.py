"""Each script in_*.py of this folder in a throwaway host of its own.  See README.md."""

import os
import pathlib
import re
import shlex
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCRIPTS = sorted(HERE.glob("in_*.py"))
TIME_LIMIT_S = 1800


def options_of(script):
    """The options of testhost that the script asks for."""
    return [word for line in re.findall(r"^# testhost: (.*)$", script.read_text(), re.M) for word in shlex.split(line)]


@pytest.fixture(scope="session")
def cache():
    """What QEMU can do, as libvirtd in the guests found out."""
    path = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "testhost" / "libvirt"
    path.mkdir(parents=True, exist_ok=True)
    return path


def plain_build():
    """The build to test: one without sanitizers, beside the one that the other tests use."""
    given = pathlib.Path(os.environ.get("BYRE_BUILD", ROOT / "build-plain")).resolve()
    plain = given.parent / "build-plain"
    return plain if plain.is_dir() else given


def reasons(output):
    """What failed, and the last line of its traceback: `test_loop: AssertionError: ...`."""
    found = []
    for block in re.split(r"^(?=(?:not )?ok )", output, flags=re.M):
        trace = re.match(r"not ok (.*)\nTraceback .*\n(?:[ ].*\n)*(.*)", block)
        if trace:
            found.append("%s: %s" % trace.groups())
    return "; ".join(found) or "no test said why"


@pytest.mark.skipif(os.geteuid() != 0, reason="testhost needs root")
@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_in_host(script, cache, tmp_path):
    testhost = shlex.split(os.environ.get("BYRE_TESTHOST", str(HERE / "testhost")))
    command = [*testhost, *options_of(script), "-s", str(tmp_path), "-s", str(cache),
               "-e", "BYRE_BUILD=%s" % plain_build(),
               "-e", "BYRE_TINY=%s" % pathlib.Path(os.environ.get("BYRE_TINY", ROOT / "build" / "tiny")).resolve(),
               "-e", "BYRE_MIGRATE_ROUNDS=%s" % os.environ.get("BYRE_MIGRATE_ROUNDS", "2"),
               "-e", "TESTHOST_CACHE=%s" % cache, "-e", "TESTHOST_SHARE=%s" % tmp_path,
               "--", "/usr/bin/python3", str(script)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=TIME_LIMIT_S * 4)
    print(done.stdout)
    assert done.returncode == 0, \
        "%s, status %d: %s\n%s" % (script.name, done.returncode, reasons(done.stdout), done.stdout[-8000:])
