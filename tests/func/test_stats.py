"""What machines use, measured on a real guest and asked for through `byre`."""

import calendar
import csv
import io
import json
import re
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
    # "at" is a sample's end, and a busy machine takes its time for one: so not each pause, but all of them together.
    assert sum(pauses) >= 1000 * len(pauses) - 900 and min(pauses) < 8000, pauses


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


HOUR = 3600


def store(host, table, name, rows):
    """Slots (begin, count, values by column), as if they had been measured."""
    db = sqlite3.connect(host.state / "stats.db", timeout=30)
    columns = [row[1] for row in db.execute("PRAGMA table_info(%s)" % table)]
    [machine] = db.execute("SELECT id FROM machine WHERE name = ?", (name,)).fetchone()
    for begin, count, values in rows:
        row = dict.fromkeys(columns, 0) | {"begin": begin, "vm": machine, "count": count, "samples": count} | values
        db.execute("INSERT OR REPLACE INTO %s (%s) VALUES (%s)" % (table, ", ".join(row), ", ".join("?" * len(row))), list(row.values()))
    db.commit()
    db.close()


def utc(*when):
    return calendar.timegm((*when, 0, 0, 0))


def test_graph_weighs_slots_by_what_was_seen(busy):
    """Of one hour only a twelfth was seen: 60 % of a CPU all the same.  Rates are by the second of what was seen."""
    begin = utc(2026, 1, 10)
    store(busy, "slot_hr", busy.vm, [
        (begin, 12, {"cpu_ms": 1200 * HOUR // 10, "rx": 1024 * HOUR, "mem_sum": 12 << 20, "mem_max": 1 << 20}),
        (begin + HOUR, 1, {"cpu_ms": 600 * 300, "rx": 0, "mem_sum": 1 << 20, "mem_max": 1 << 20})])
    text = busy.byre("stats", busy.vm, "--from", "@%d" % begin, "--to", "@%d" % (begin + 48 * HOUR), "--step", "hour").stdout
    lines = text.splitlines()
    assert re.match(r"\S+: 2 slots of an hour since 20\d\d-", lines[0]), text
    cpu, received = (next(line for line in lines if line.split()[0] == word) for word in ("cpu", "received"))
    # 12 % over 3,600 s and 60 % over 300 s.
    assert re.search(r"▂█ +last 60\.0 % +mean 15\.7 % +max 60\.0 %$", cpu), text
    assert re.search(r"█▁ +last 0 B/s +mean 945 B/s +max 1\.0 KiB/s$", received), text
    nothing = busy.byre("stats", busy.vm, "--from", "2026-01-01", "--to", "2026-01-02", "--step", "hour").stdout
    assert "nothing is stored here of that time" in nothing and ", on host " in nothing


def test_traffic_is_of_one_month(busy):
    """From the first day to the last, UTC; not the days on either side."""
    days = [(2025, 12, 31), (2026, 1, 1), (2026, 1, 31), (2026, 2, 1)]
    store(busy, "slot_day", busy.vm, [(utc(*day), 24, {"rx": 10 ** (9 + i), "tx": 7 * 10 ** i}) for i, day in enumerate(days)])
    text = busy.byre("traffic", "--month", "2026-01", "-o", "csv").stdout
    assert list(csv.DictReader(io.StringIO(text))) == [
        {"vm": busy.vm, "days": "2", "rx": str(10 ** 10 + 10 ** 11), "tx": str(7 * 10 + 7 * 100)}], text
    assert busy.vm not in busy.byre("traffic", "--month", "2025-11").stdout


def test_bad_questions(busy):
    for words in (("stats", busy.vm, "--from", "tomorrow"), ("stats", busy.vm, "--step", "year"), ("stats",),
                  ("stats", busy.vm, "--from", "1h", "--to", "2h"), ("traffic", "--month", "13")):
        done = busy.byre(*words, check=False)
        assert done.returncode == 2 and "next:" in done.stderr, done
