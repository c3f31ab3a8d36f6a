"""Fixtures that all functional tests share.

Programs are found in $BYRE_BUILD (a build directory or its bin/), else in build/.  Every test works in a
directory of its own below /tmp (short, because of unix sockets) and leaves no process behind.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import rpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
ASAN = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


def find_program(name):
    base = pathlib.Path(os.environ.get("BYRE_BUILD", ROOT / "build"))
    for place in (base, base / "bin", base / "src" / "bin"):
        if (place / name).is_file():
            return str(place / name)
    return None


@pytest.fixture(scope="session")
def program():
    """program("byre-dbd"): its path; the test is skipped if it was not built."""

    def find(name):
        path = find_program(name) or shutil.which(name)
        if not path:
            pytest.skip("%s was not built" % name)
        return path

    return find


@pytest.fixture(scope="session")
def builddir():
    """Where the programs are."""
    path = find_program("byre-dbd")
    if not path:
        pytest.skip("the programs were not built; set BYRE_BUILD")
    return pathlib.Path(path).parent


@pytest.fixture
def state_dir():
    path = tempfile.mkdtemp(prefix="byre-", dir="/tmp")
    yield pathlib.Path(path)
    shutil.rmtree(path, ignore_errors=True)


class Server:
    """A database server: byre-dbd, or Debian's ovsdb-server as the reference."""

    def __init__(self, directory, argv, socket_name="db.sock"):
        self.dir = pathlib.Path(directory)
        self.argv = argv
        self.sock = self.dir / socket_name
        self.process = None
        self.log = self.dir / "server.log"

    @property
    def remote(self):
        return "unix:%s" % self.sock

    @property
    def pid(self):
        return self.process.pid

    def start(self, wait=True):
        env = dict(os.environ, OVS_RUNDIR=str(self.dir), OVS_LOGDIR=str(self.dir), BYRE_RUNDIR=str(self.dir), **ASAN)
        if self.sock.exists():
            self.sock.unlink()
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                            cwd=self.dir, env=env)
        if wait:
            deadline = time.monotonic() + 60
            while True:
                assert self.process.poll() is None, "the server ended: " + self.text()
                try:
                    rpc.Rpc(self.remote).close()
                    return self
                except OSError:
                    assert time.monotonic() < deadline, "the server does not listen: " + self.text()
                    time.sleep(0.02)
        return self

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def connect(self):
        return rpc.Rpc(self.remote)

    def stop(self):
        """Ends it with SIGTERM; it must end well."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(30)
            assert code in (0, -signal.SIGTERM), "exit status %d: %s" % (code, self.text())
            assert "Sanitizer" not in self.text(), self.text()

    def kill(self):
        self.process.kill()
        self.process.wait(30)


TEST_SCHEMA = {
    "name": "T",
    "version": "1.2.3",
    "tables": {
        "A": {
            "columns": {
                "name": {"type": {"key": {"type": "string", "maxLength": 30}}},
                "i": {"type": "integer"},
                "r": {"type": "real"},
                "b": {"type": "boolean"},
                "u": {"type": "uuid"},
                "small": {"type": {"key": {"type": "integer", "minInteger": 1, "maxInteger": 10}, "min": 0, "max": 1}},
                "color": {"type": {"key": {"type": "string", "enum": ["set", ["red", "green", "blue"]]}, "min": 0, "max": 1}},
                "tags": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
                "nums": {"type": {"key": "integer", "min": 0, "max": 5}},
                "opts": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
                "imap": {"type": {"key": "integer", "value": "real", "min": 0, "max": 3}},
                "fixed": {"type": "string", "mutable": False},
                "eph": {"type": "integer", "ephemeral": True},
                "strong": {"type": {"key": {"type": "uuid", "refTable": "B"}, "min": 0, "max": "unlimited"}},
                "weak": {"type": {"key": {"type": "uuid", "refTable": "A", "refType": "weak"}, "min": 0, "max": "unlimited"}},
            },
            "isRoot": True,
        },
        "B": {
            "columns": {
                "k": {"type": "string"},
                "v": {"type": {"key": "integer", "min": 0, "max": 1}},
            },
        },
        "U": {
            "columns": {"a": {"type": "string"}, "b": {"type": "integer"}, "note": {"type": "string"}},
            "isRoot": True,
            "indexes": [["a"], ["a", "b"]],
            "maxRows": 6,
        },
    },
}


@pytest.fixture(scope="session")
def test_schema():
    return TEST_SCHEMA


def make_db(tool, path, schema):
    """A database file; 'tool' is byre-dbtool or ovsdb-tool."""
    schema_file = str(path) + ".ovsschema"
    pathlib.Path(schema_file).write_text(json.dumps(schema))
    subprocess.run([tool, "create", str(path), schema_file], check=True, capture_output=True)
    return path


@pytest.fixture
def make_dbd(program, state_dir):
    """make_dbd(...) gives a byre-dbd that is not started yet; all are ended after the test."""
    servers = []

    def make(db=None, schema=TEST_SCHEMA, remotes=(), args=(), directory=None, name="db"):
        directory = pathlib.Path(directory or state_dir)
        db = db or directory / (name + ".db")
        if not pathlib.Path(db).exists():
            make_db(program("byre-dbtool"), db, schema)
        server = Server(directory, None, name + ".sock")
        server.db = pathlib.Path(db)
        server.argv = [program("byre-dbd"), "--remote=punix:%s" % server.sock, "--unixctl=%s" % (directory / (name + ".ctl")),
                       *("--remote=" + r for r in remotes), *args, str(db)]
        server.ctl = directory / (name + ".ctl")
        servers.append(server)
        return server

    yield make
    for server in servers:
        if server.process:
            server.stop()


@pytest.fixture
def dbd(make_dbd):
    """A running byre-dbd with the database T (see TEST_SCHEMA)."""
    return make_dbd().start()


@pytest.fixture
def make_reference(program, state_dir):
    """As make_dbd, with Debian's ovsdb-server."""
    servers = []

    def make(schema=TEST_SCHEMA, name="ref"):
        directory = state_dir / name
        directory.mkdir()
        db = directory / (name + ".db")
        make_db(program("ovsdb-tool"), db, schema)
        server = Server(directory, None)
        server.db = db
        server.ctl = directory / "ctl"
        server.argv = [program("ovsdb-server"), "--remote=punix:%s" % server.sock, "--unixctl=%s" % (directory / "ctl"),
                       "-vconsole:warn", str(db)]
        servers.append(server)
        return server

    yield make
    for server in servers:
        if server.process and server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(30)
