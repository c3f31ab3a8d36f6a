"""Each script in_*.py of this folder in a throwaway host of its own.  See README.md."""

import os
import pathlib
import re
import shlex
import subprocess
import warnings

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCRIPTS = sorted(HERE.glob("in_*.py"))
TIMED_OUT = 124  # testhost's status.


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


def run(script, cache, share):
    """The script in a new host: its status and its output."""
    testhost = shlex.split(os.environ.get("BYRE_TESTHOST", str(HERE / "testhost")))
    seconds = os.environ.get("BYRE_HOST_SECONDS")
    command = [*testhost, *options_of(script), *(["-T", seconds] if seconds else []), "-s", str(share), "-s", str(cache),
               "-e", "BYRE_BUILD=%s" % plain_build(),
               "-e", "BYRE_TINY=%s" % pathlib.Path(os.environ.get("BYRE_TINY", ROOT / "build" / "tiny")).resolve(),
               "-e", "BYRE_MIGRATE_ROUNDS=%s" % os.environ.get("BYRE_MIGRATE_ROUNDS", "2"),
               "-e", "BYRE_DEAD_S=%s" % os.environ.get("BYRE_DEAD_S", "20"),
               "-e", "TESTHOST_CACHE=%s" % cache, "-e", "TESTHOST_SHARE=%s" % share,
               "--", "/usr/bin/python3", str(script)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace")
    print(done.stdout)
    return done.returncode, done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="testhost needs root")
@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_in_host(script, cache, tmp_path_factory):
    status, output = run(script, cache, tmp_path_factory.mktemp(script.stem))
    if status == TIMED_OUT and not re.search("^not ok ", output, re.M):
        # What the script waits for in vain, its watchdog says.  Where not even that could, the emulated machine stands still.
        warnings.warn("%s: the host stood still; again in a new one" % script.name)
        first = output
        status, output = run(script, cache, tmp_path_factory.mktemp(script.stem))
        output = first + output
    if status != 0:
        pytest.fail("%s, status %d: %s\n%s" % (script.name, status, reasons(output), output[-8000:]), pytrace=False)
