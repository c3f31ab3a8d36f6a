"""byre-dbtool history: who changed what and when, over compactions, as a person and a program would ask."""

import json
import subprocess
import time

import pytest

from test_db_compact import appctl, database

SCHEMA = {"name": "T", "version": "1.0.0", "tables": {
    "vm": {"isRoot": True, "columns": {"name": {"type": "string"}, "state": {"type": "string"},
                                       "tags": {"type": {"key": "string", "min": 0, "max": "unlimited"}}}},
    "net": {"isRoot": True, "columns": {"name": {"type": "string"}}}}}


@pytest.fixture
def lab(make_dbd, program):
    server = make_dbd(schema=SCHEMA).start()
    client = server.connect()

    def transact(*operations, comment):
        for result in client.transact("T", *operations, {"op": "comment", "comment": comment}):
            assert "error" not in result, result

    def history(*args, status=0):
        done = subprocess.run([program("byre-dbtool"), "history", str(database(server)), *args], capture_output=True, text=True, timeout=60)
        assert done.returncode == status and not done.stderr, done
        return done.stdout

    transact({"op": "insert", "table": "vm", "row": {"name": "web", "state": "stopped"}},
             {"op": "insert", "table": "vm", "row": {"name": "db", "state": "stopped"}}, comment="both")
    transact({"op": "update", "table": "vm", "where": [["name", "==", "web"]], "row": {"state": "running"}}, comment="start web")
    appctl(program, server, "ovsdb-server/compact")
    transact({"op": "update", "table": "vm", "where": [["name", "==", "web"]], "row": {"state": "stopped"}},
             {"op": "mutate", "table": "vm", "where": [["name", "==", "db"]], "mutations": [["tags", "insert", "x"]]}, comment="stop web")
    appctl(program, server, "ovsdb-server/compact")
    transact({"op": "insert", "table": "net", "row": {"name": "lan"}}, comment="a net")
    transact({"op": "delete", "table": "vm", "where": [["name", "==", "web"]]}, comment="away")
    return history


def test_one_row_over_two_compactions(lab):
    heads = [line for line in lab("vm", "web").splitlines() if not line.startswith(" ")]
    assert [line.split("  ")[1] for line in heads] == ["vm web inserted", "vm web modified", "vm web modified", "vm web deleted"]
    for line, comment in zip(heads, ("both", "start web", "stop web", "away")):
        assert comment in line
    text = lab("vm", "web")
    assert "state: stopped -> running" in text and "state: running -> stopped" in text


def test_nothing_twice_and_nothing_of_snapshots(lab):
    assert lab("vm", "db").count("inserted") == 1
    assert "tags: differs by" in lab("vm", "db") or "tags: " in lab("vm", "db")
    assert lab().count("vm web inserted") == 1
    assert "lan" in lab("net") and "web" not in lab("net")


def test_for_programs(lab):
    rows = [json.loads(line) for line in lab("vm", "web", "--json").splitlines()]
    assert [row["change"] for row in rows] == ["inserted", "modified", "modified", "deleted"]
    assert rows[1]["columns"] == {"state": "running"} and rows[1]["at"] > 1600000000000
    assert len({row["uuid"] for row in rows}) == 1


def test_since(lab):
    assert lab("--since", "1h").count("inserted") == 3
    time.sleep(2.1)  # Points in time are whole seconds: "1s" reaches back nearly two.
    assert lab("--since", "1s", status=2) == ""


def test_what_is_not_there(lab, program, tmp_path):
    assert lab("vm", "nobody", status=2) == ""
    done = subprocess.run([program("byre-dbtool"), "history", str(tmp_path / "none.db")], capture_output=True, text=True)
    assert done.returncode == 1 and "none.db" in done.stderr
