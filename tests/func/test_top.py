"""`byre top`: its keys, through a terminal; its batch, as scripts that know xentop read it.  An agent of the test's own answers."""

import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import fcntl
import termios
import threading
import time

import pytest

COLUMNS = ("NAME STATE CPU(sec) CPU(%) MEM(k) MEM(%) MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS VBD_OO VBD_RD VBD_WR "
           "VBD_RSECT VBD_WSECT SSID").split()
SORTS = ["cpu", "mem", "vcpus", "nettx", "netrx", "reads", "writes", "name", "cpu(sec)"]  # As s goes through them.


def domain(name, i, status="running"):
    """Sorted by each column they stand in another order: a leads by the i-th."""
    figure = {"a-rather-long-name-of-a-machine": [9, 1, 5, 3, 8, 2, 6, 4], "db1": [5, 9, 1, 8, 2, 6, 3, 7],
              "web1": [1, 5, 9, 2, 6, 3, 8, 1]}[name]
    cpu_s, cpu, mem, vcpus, tx, rx, reads, writes = figure
    return {"name": name, "uuid": "00000000-0000-4000-8000-00000000000%d" % i, "status": status, "domid": i, "sampled": True,
            "partial": False, "cpu_ms": cpu_s * 100000, "mem_kib": mem * 100000, "max_mem_kib": 1048576, "vcpu": vcpus,
            "vcpus_ms": [cpu_s * 50000, cpu_s * 50000],
            "nets": [{"name": "vnet%d" % i, "rx": rx << 20, "tx": tx << 20, "prx": rx * 1000, "ptx": tx * 1000}],
            "disks": [{"name": "vda", "rd_req": reads, "wr_req": writes, "rd_bytes": reads * 512, "wr_bytes": writes * 512}],
            "rates": {"cpu_ms": cpu * 10.0, "tx": tx * 1000.0, "rx": rx * 1000.0, "rd_bytes": reads * 1.0, "wr_bytes": writes * 1.0}}


DOMAINS = [domain("web1", 1), domain("a-rather-long-name-of-a-machine", 2, "paused"), domain("db1", 3)]
ANSWER = {"at": 1700000000000, "domains": DOMAINS,
          "host": {"name": "sv091", "cpus": 16, "mhz": 1698, "mem_kib": 16777216, "mem_free_kib": 8388608}}


@pytest.fixture(scope="module")
def top(program, tmp_path_factory):
    """The command line's beginning, with an agent behind it."""
    directory = tmp_path_factory.mktemp("top")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "agent.sock"))
    listener.listen()

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                request = json.loads(connection.makefile().readline())
                assert request == {"method": "top"}
                connection.sendall(json.dumps({"result": ANSWER}).encode() + b"\n")

    threading.Thread(target=serve, daemon=True).start()
    yield [program("byre"), "--db", "unix:%s" % (directory / "db.sock"), "top"]
    listener.close()


class Terminal:
    """Runs the command on a terminal of 150 x 30; a screen is what was drawn from one homing of the cursor to the next."""

    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, dict(os.environ, TERM="xterm"))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 150, 0, 0))
        self.text = ""

    def screen(self, shows, keys=""):
        """Types 'keys'; the first screen after them for which shows(lines) holds."""
        if keys:
            self.text = ""
            os.write(self.fd, keys.encode())
        deadline = time.monotonic() + 60
        lines = []
        while time.monotonic() < deadline:
            for frame in reversed(re.findall(r"\x1b\[H\x1b\[\?7l(.*?)\x1b\[\?7h", self.text, re.S)):
                lines = re.sub(r"\x1b\[[?0-9]*[a-zA-Z]", "", frame).split("\r\n")
                if shows(lines):
                    return lines
            if select.select([self.fd], [], [], 1)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode()
                except OSError:
                    break  # It has ended.
        raise AssertionError("after %r: %s\n%r" % (keys, "\n".join(lines), self.text[-1000:]))

    def end(self, keys):
        os.write(self.fd, keys.encode())
        try:
            while True:
                self.text += os.read(self.fd, 65536).decode()
        except OSError:  # It has closed its side.
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal(top):
    terminal = Terminal([*top, "--delay", "60"])
    terminal.screen(lambda lines: len(names(lines)) == 3)
    yield terminal
    assert terminal.end("q") == 0
    assert terminal.text.endswith("\x1b[?25h\x1b[?1049l"), "the screen and the cursor are as they were"


def names(lines):
    found = [line.split()[0] for line in lines if re.match(r"\S+ +[-dsbcpr]{6} ", line)]
    return found


def by(index):
    """The names as they are sorted by a key of the domains."""
    return [d["name"] for d in sorted(DOMAINS, key=index)]


def test_each_sort_and_reverse(terminal):
    keys = {"cpu": lambda d: -d["rates"]["cpu_ms"], "mem": lambda d: -d["mem_kib"], "vcpus": lambda d: -d["vcpu"],
            "nettx": lambda d: -d["rates"]["tx"], "netrx": lambda d: -d["rates"]["rx"], "reads": lambda d: -d["rates"]["rd_bytes"],
            "writes": lambda d: -d["rates"]["wr_bytes"], "name": lambda d: d["name"], "cpu(sec)": lambda d: -d["cpu_ms"]}
    for i, sort in enumerate(SORTS + ["cpu"]):
        lines = terminal.screen(lambda lines: "sort by %s " % sort in lines[-1], "s" if i else "")
        assert names(lines) == by(keys[sort]), sort
    assert names(terminal.screen(lambda lines: names(lines) == by(keys["cpu"])[::-1], "r"))
    terminal.screen(lambda lines: names(lines) == by(keys["cpu"]), "r")


def test_networks_disks_and_cpus(terminal):
    for key, text, n in (("n", "  Net0 vnet1 RX: 3145728bytes 3000pkts  TX: 6291456bytes 6000pkts", 3), ("d", "  VBD vda RD: 8  WR: 1 ", 3),
                         ("v", "  VCPUs(sec): 0: 50s  1: 50s", 3)):
        shown = terminal.screen(lambda lines: any(line.startswith(text.rstrip()) for line in lines), key)
        assert sum(line.startswith(text[:7]) for line in shown) == n
        terminal.screen(lambda lines: not any(line.startswith("  ") for line in lines), key)
    terminal.screen(lambda lines: any(line.startswith("  VBD") for line in lines), "b")  # xentop's own letter.
    terminal.screen(lambda lines: not any(line.startswith("  VBD") for line in lines), "d")


def test_filter(terminal):
    assert names(terminal.screen(lambda lines: lines[-1] == "filter: ", "f"))
    lines = terminal.screen(lambda lines: lines[-1] == "filter: web", "webx\x7f")
    assert names(lines) == ["web1"] and lines[1].startswith("1 domains: 1 running")
    lines = terminal.screen(lambda lines: "f filter web" in lines[-1], "\r")
    terminal.screen(lambda lines: names(lines) == ["db1"] and "f filter d?1" in lines[-1], "fd?1\r")
    terminal.screen(lambda lines: len(names(lines)) == 3 and lines[-1].endswith("f filter"), "f\r")


def test_arrows_scroll_and_stop_at_the_ends(terminal):
    order = by(lambda d: -d["rates"]["cpu_ms"])
    for keys, first in (("\x1b[B", 1), ("j", 2), ("\x1b[B" * 5, 2), ("\x1b[A", 1), ("k", 0), ("kkkk", 0), ("j", 1), ("k", 0)):
        terminal.screen(lambda lines: names(lines) == order[first:], keys)


def test_help(terminal):
    for key in "?h":
        lines = terminal.screen(lambda lines: any("this help" in line for line in lines), key)
        assert not names(lines)
        assert [line.split()[0] for line in lines[:9]] == ["q", "n", "d", "v", "s", "r", "f", "down,", "?,"]
        terminal.screen(lambda lines: len(names(lines)) == 3, " ")


def test_ctrl_c_restores_the_terminal(top):
    terminal = Terminal(top)
    terminal.screen(lambda lines: len(names(lines)) == 3)
    terminal.end("\x03")
    assert terminal.text.endswith("\x1b[?25h\x1b[?1049l")


def run(top, *words):
    done = subprocess.run([*top, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_batch_has_xentops_columns_and_is_aligned(top):
    text = run(top, "-b", "-f", "-i", "2", "-d", "1")
    assert text.count("NAME ") == 2
    lines = text.splitlines()[3:7]
    assert lines[0].split() == COLUMNS
    rows = [line.split() for line in lines[1:]]
    assert {len(row) for row in rows} == {19} and {len(line) for line in lines} == {len(lines[0])}, "names whole, columns aligned"
    row = dict(zip(COLUMNS, next(row for row in rows if row[0] == "db1")))
    assert (row["STATE"], row["CPU(sec)"], row["CPU(%)"], row["MEM(k)"], row["MEM(%)"]) == ("-----r", "500", "9.0", "100000", "0.6")
    assert (row["VCPUS"], row["NETS"], row["NETTX(k)"], row["NETRX(k)"], row["VBDS"], row["VBD_OO"]) == \
        ("8", "1", "2048", "6144", "1", "0")
    assert (row["VBD_RD"], row["VBD_WR"], row["VBD_RSECT"], row["VBD_WSECT"], row["SSID"]) == ("3", "7", "3", "7", "0")


def test_batch_of_a_pattern_sorted_with_devices(top):
    text = run(top, "-b", "*1", "--sort", "name", "--networks", "-x", "--vcpus")
    assert [line.split()[0] for line in text.splitlines()[4:]] == ["db1", "VCPUs(sec):", "Net0", "VBD", "web1", "VCPUs(sec):", "Net0", "VBD"]
    done = subprocess.run([*top, "-b", "--sort", "colour"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "next: name, cpu(sec)" in done.stderr


def test_json_is_what_was_measured(top):
    assert json.loads(run(top, "-o", "json")) == DOMAINS
