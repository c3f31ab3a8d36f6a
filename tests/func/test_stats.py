"""What machines use, measured on a real guest and asked for through `byre`."""

import csv
import io
import sqlite3
import time

import pytest

from test_life import host, pytestmark, tiny  # noqa: F401


@pytest.fixture(scope="module")
def busy(host):
    """The guest runs, and was sampled."""
    host.byre("vm", "start", host.vm)
    host.byre("vm", "console", host.vm, "--until", "is up", "--timeout", "120")
    deadline = time.monotonic() + 90
    while not [d for d in top(host) if d["name"] == host.vm and any(disk["wr_bytes"] for disk in d["disks"])]:
        assert time.monotonic() < deadline, top(host)
        time.sleep(1)
    return host


def top(host):
    return host.json("top", "--batch")


def test_top_shows_the_guest(busy):
    [domain] = [d for d in top(busy) if d["name"] == busy.vm]
    assert domain["status"] in ("running", "idle") and not domain["partial"]
    assert domain["cpu_ms"] > 0 and domain["mem_kib"] == 128 * 1024 and domain["vcpu"] == 1
    [disk] = domain["disks"]
    assert disk["name"] == "vda" and disk["wr_bytes"] > 0 and disk["rd_req"] > 0


def test_rows_are_stored_when_the_agent_ends(busy):
    busy.stop()
    rows = sqlite3.connect(busy.state / "stats.db").execute("SELECT vm, cpu_ms, count FROM statmin").fetchall()
    assert busy.vm in [row[0] for row in rows]
    busy.start()
    rows = busy.json("stats", busy.vm, "--from", "1h")
    assert sum(row["count"] for row in rows) >= 1 and {row["vm"] for row in rows} == {busy.vm}
    text = busy.byre("stats", busy.vm, "--step", "hour", "-o", "csv").stdout
    [row] = [row for row in csv.DictReader(io.StringIO(text))]
    assert row["vm"] == busy.vm and int(row["mem"]) > 1000
    assert "cpu" in busy.byre("stats", busy.vm).stdout
    assert busy.vm in busy.byre("traffic").stdout
    assert busy.json("stats", "--from", "1h")


def test_bad_questions(busy):
    for words in (("stats", busy.vm, "--from", "tomorrow"), ("stats", busy.vm, "--step", "year"), ("stats",),
                  ("stats", busy.vm, "--from", "1h", "--to", "2h"), ("traffic", "--month", "13")):
        done = busy.byre(*words, check=False)
        assert done.returncode == 2 and "next:" in done.stderr, done
