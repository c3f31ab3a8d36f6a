"""What machines use, measured on a real guest and asked for through `byre`."""

import csv
import io
import json
import socket
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


def ask_agent(host, **request):
    with socket.socket(socket.AF_UNIX) as agent:
        agent.settimeout(60)
        agent.connect(str(host.state / "run" / "agent.sock"))
        agent.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(agent.makefile().readline())["result"]


def test_top_knows_a_run_that_was_not_sampled(host):
    """No sampler was there in time for it: the list says what runs, not what was measured."""
    host.byre("vm", "start", host.vm)
    [domain] = [d for d in top(host) if d["name"] == host.vm]
    [row] = [r for r in host.json("vm", "list", "-c", "name,domid,uuid") if r["name"] == host.vm]
    assert domain["status"] in ("running", "idle") and (domain["domid"], domain["uuid"]) == (row["domid"], row["uuid"])
    assert (domain["mem_kib"], domain["max_mem_kib"], domain["vcpu"]) == (128 * 1024, 128 * 1024, 1)
    assert host.vm in host.byre("top", "-b", "-i", "1").stdout
    host.byre("vm", "stop", host.vm, "--force")
    assert host.vm not in host.byre("top", "-b", "-i", "1").stdout


def test_who_looks_sees_figures_of_his_own_interval(host):
    """A round is each 10 s; looks make rounds of their own."""
    at = [ask_agent(host, method="top")["at"]]
    while len(at) < 5:
        time.sleep(0.2)
        now = ask_agent(host, method="top")["at"]
        at += [now] if now != at[-1] else []
    pauses = [b - a for a, b in zip(at[1:], at[2:])]
    assert 900 <= min(pauses) < 8000, pauses


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
