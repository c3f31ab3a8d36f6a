"""The guest tiny (tests/guest) on a Host: its OS template, and a shell in it over the serial console."""

import functools
import json
import os
import pathlib
import re
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE_S = 120  # A guest under translation, on a host with other work.


@functools.lru_cache
def make():
    """Where its kernel and its initrd are: $BYRE_TINY, made if they are missing or old.  Looking takes apt seconds: once a run."""
    directory = pathlib.Path(os.environ.get("BYRE_TINY", ROOT / "var" / "tiny"))
    subprocess.run([str(ROOT / "tools" / "mk-tiny"), str(directory)], check=True)
    return directory


def upload(host, name, path):
    """A volume of the pool default with that content."""
    host.byre("vol", "create-as", "default", name, str(path.stat().st_size), "--format", "raw")
    host.byre("vol", "upload", "default/" + name, str(path))


def template(host, cmdline="console=ttyS0 quiet"):
    """The OS template 'tiny'."""
    directory = make()
    for part in ("tiny-kernel", "tiny-initrd"):
        upload(host, part, directory / part)
    host.byre("vmi", "create", "tiny", "--kernel", "default/tiny-kernel", "--initrd", "default/tiny-initrd", "--cmdline", cmdline)


class Console:
    """A guest's serial console, as `byre vm console` has it.  What its log has of earlier is read first."""

    def __init__(self, host, name):
        self.host = host
        self.row = host.byre("get", "vm", name, "_uuid").stdout.strip()
        self.number = 0
        self.connect()

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(1)
        self.socket.connect(str(self.host.state / "run" / "agent.sock"))
        self.socket.sendall(json.dumps({"method": "console", "vm": self.row}).encode() + b"\n")
        self.text = ""
        self.until(r'\{"result":\{\}\}\n')  # Before it, keys would be part of the request.

    def until(self, pattern, seconds=PATIENCE_S):
        """Reads to the end of the first match."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < deadline, "not on the console: %s\n%s" % (pattern, self.text[-2000:])
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                continue
            assert data, "the console ended\n" + self.text[-2000:]
            self.text += data.decode(errors="replace").replace("\r", "")
        self.text = self.text[found.end():]
        return found

    def shell(self):
        """The guest is up, whenever that was: Enter gives a prompt."""
        self.socket.sendall(b"\n")
        self.until("# ")
        self.run("true")
        return self

    def run(self, command):
        """What the command prints.  The shell puts the marks together, so that its echo is none."""
        self.number += 1
        mark = "%s-%d" % (os.urandom(4).hex(), self.number)
        self.socket.sendall(("echo '<'%s'>'; %s; echo '<'/%s'>'\n" % (mark, command, mark)).encode())
        return self.until(r"\n<%s>\n((?:.|\n)*?)</%s>\n" % (mark, mark)).group(1).strip()

    def wait(self, command, expected):
        """Until it prints that; the guest needs its time."""
        deadline = time.monotonic() + PATIENCE_S
        while (got := self.run(command)) != expected:
            assert time.monotonic() < deadline, got
            time.sleep(0.2)

    def close(self):
        self.socket.close()
