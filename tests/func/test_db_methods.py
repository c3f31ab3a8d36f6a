"""Each method of RFC 7047, section 4, with what it may be given: byre-dbd answers as ovsdb-server does.

A row is a conversation of one client; replies and notifications must be the same but for UUIDs and the order of
members.  Where byre-dbd differs on purpose (docs/decisions/006) the row says what it answers instead."""

import json
import re

import pytest

from rpc import Closed
from test_dbserver import insert

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ZERO = "00000000-0000-0000-0000-000000000000"
A = {"A": {"columns": ["name", "i"]}}


def conversation(server, requests):
    """What came back: for each request the notifications before its reply, and the reply; or that the connection ended."""
    seen = []
    with server.connect() as c:
        c.transact("T", *[insert(name="row-%d" % i, i=i) for i in range(3)])
        for method, *params in requests:
            try:
                id = c.request(method, *params)
                reply = c.reply(id)
            except (Closed, ConnectionError):
                seen.append("dropped")
                break
            seen.append([c.notes, {k: v for k, v in reply.items() if k != "id"}])
            c.notes = []
    return normal(seen)


def normal(seen):
    """UUIDs by the order in which they come; syntax texts with their members sorted already."""
    def strip(value):
        if isinstance(value, dict):
            if value and all(UUID.fullmatch(k) for k in value):
                return sorted((strip(v) for v in value.values()), key=json.dumps)
            return {k: strip(v) for k, v in sorted(value.items())}
        if isinstance(value, list):
            if value and value[0] in ("uuid",):
                return "UUID"
            return [strip(v) for v in value]
        return UUID.sub(lambda m: "zero" if m.group() == ZERO else "UUID", value) if isinstance(value, str) else value

    return strip(seen)


def change(name, i):
    return ["transact", "T", {"op": "update", "table": "A", "where": [["name", "==", name]], "row": {"i": i}}]


SAME = [
    [["echo"], ["echo", 1, "x", [{}]], ["nonsense", 1], ["list_dbs"], ["list_dbs", 1, 2], ["get_server_id"], ["get_server_id", 3]],
    [["get_schema"], ["get_schema", 3], ["get_schema", "nothing"], ["get_schema", "T"], ["get_schema", "_Server"]],
    [["transact"], ["transact", 5], ["transact", "nothing"], ["transact", "T"], ["transact", "T", 1], ["transact", "T", {"op": "bogus"}],
     ["transact", "T", {"op": "select", "table": "ZZ", "where": []}], ["transact", "T", {"op": "select", "table": "A"}],
     ["transact", "_Server", {"op": "insert", "table": "Database", "row": {}}]],
    [["set_db_change_aware"], ["set_db_change_aware", 1], ["set_db_change_aware", True, False], ["set_db_change_aware", True],
     ["set_db_change_aware", False]],
    [["monitor", "T", 1, []], ["monitor", "T", 1, {"ZZ": {}}], ["monitor", "T", 1, {"A": {"columns": ["zz"]}}],
     ["monitor", "T", 1, {"A": {"columns": "name"}}], ["monitor", "T", 1, {"A": {"columns": [1]}}],
     ["monitor", "T", 1, {"A": {"columns": ["i", "i"]}}], ["monitor", "T", 1, {"A": [{"columns": ["i"]}, {"columns": ["i"]}]}],
     ["monitor", "T", 1, {"A": {"where": []}}], ["monitor", "T", 1, {"A": {"select": {"initial": 1}}}],
     ["monitor", "T", 1, {"A": {"select": {"first": True}}}], ["monitor", "T", 1, {"A": {"extra": 1}}], ["monitor", "nothing", 1, {}],
     ["monitor", "T", 1, {}], ["monitor", "T", 1, {}], ["monitor_cond", "T", 1, {}], ["monitor_cancel", 1], ["monitor", "T", None, A],
     ["monitor", "T", None, A], ["monitor_cancel", None], ["monitor_cancel", None]],
    [["monitor", "T", {"a": 1}, A], change("row-1", 5), change("row-1", 5), ["monitor_cancel", {"a": 2}], ["monitor_cancel", {"a": 1}],
     change("row-1", 6), ["monitor_cancel"], ["monitor_cancel", 1, 2]],
    [["monitor", "T", "m", {"A": [{"columns": ["name"], "select": {"initial": False}}, {"columns": ["i"], "select": {"modify": False}}]}],
     ["transact", "T", {"op": "update", "table": "A", "where": [["i", "==", 1]], "row": {"name": "new"}}],
     ["transact", "T", {"op": "delete", "table": "A", "where": [["i", "==", 1]]}], ["transact", "T", insert(name="x", i=9)]],
    [["monitor_cond", "T"], ["monitor_cond", "T", "m"], ["monitor_cond", "T", "m", {}, 4], ["monitor_cond", "T", "m", []],
     ["monitor_cond", "T", "m", {"A": {"where": 1}}], ["monitor_cond", "T", "m", {"A": {"where": [1]}}],
     ["monitor_cond", "T", "m", {"A": {"where": [["zz", "==", 1]]}}], ["monitor_cond", "T", "m", {"A": {"where": [["i", "~", 1]]}}],
     ["monitor_cond", "T", "m", {"A": {"where": [["i", "==", "x"]]}}], ["monitor_cond", "T", "m", {"A": {"where": [["name", "<", "x"]]}}],
     ["monitor_cond", "T", "m", {"A": {"columns": ["name", "i"], "where": [["i", "<", 2]]}}], change("row-1", 5), change("row-2", 0),
     change("row-0", 1), ["monitor_cond_change", "m", "m", {"A": [{"where": [False, ["i", "==", 5]]}]}], change("row-0", 5),
     ["monitor_cond_change", "m", "n", {"A": [{"where": [True]}]}], ["monitor_cond_change", "m", "m", {}], change("row-2", 8),
     ["monitor_cond_change", "n", "n", {"A": [{"where": []}], "ZZ": []}], ["monitor_cond_change", "n", "n", {"B": []}],
     ["monitor_cond_change", "n", "n", {"A": {}}], ["monitor_cond_change", "n", "n", {"A": [{"columns": ["i"], "where": []}]}],
     ["monitor_cond_change", "n", "n", {"A": []}], ["monitor_cond_change", "n", "n", {"A": [{"where": [["i", "==", 8]]}, {"where": [["i", "==", 5]]}]}],
     ["monitor_cond_change", "n", "n", {"A": [{"where": [["zz", "==", 8]]}, {"where": []}]}], change("row-1", 7),
     ["monitor_cond_change", "n", "n", []], ["monitor_cond_change", "n"], ["monitor_cond_change", "n", "n", {"A": [{"where": [["i", "~", 1]]}]}]],
    [["monitor_cond_since", "T", "m", {}], ["monitor_cond_since", "T", "m", {}, 5], ["monitor_cond_since", "T", "m", {}, "x"]],
    [["lock"], ["lock", 1], ["lock", "not an id"], ["lock", "a"], ["lock", "a"], ["steal", "a"], ["unlock", "b"], ["unlock", "a"], ["unlock", "a"],
     ["steal", "a"], ["unlock", "a"], ["transact", "T", {"op": "assert", "lock": "a"}]],
    [["convert"], ["convert", "T"], ["convert", "T", 1], ["convert", "T", {}], ["convert", "T", {"name": "Z", "tables": {}}],
     ["convert", "T", {"name": "T", "tables": {"_A": {"columns": {}}}}],
     ["convert", "T", {"name": "T", "version": "", "tables": {}}], ["convert", "T", {"name": "T", "version": "1.2", "tables": {}}],
     ["convert", "T", {"name": "T", "tables": {"A": {"columns": {"i": {"type": "integer", "ephemeral": True}}, "indexes": [["i"]]}}}],
     ["convert", "T", {"name": "T", "tables": {"A": {"columns": {"i": {"type": "integer"}}, "indexes": [[]]}}}],
     ["convert", "T", {"name": "T", "tables": {"A": {"columns": {"i": {"type": "integer"}}, "indexes": [["j"]]}}}]],
]


@pytest.mark.parametrize("requests", SAME, ids=lambda requests: requests[-1][0])
def test_as_the_reference(make_dbd, make_reference, requests):
    ours, theirs = make_dbd().start(), make_reference().start()
    want, got = conversation(theirs, requests), conversation(ours, requests)
    for request, a, b in zip(requests, want, got):
        assert b == a, request
    assert len(got) == len(want)


def test_what_ends_with_a_schema(make_dbd, make_reference, test_schema):
    """An aware client hears of its monitors, then that the schema is another, then of what had waited; others are cut off."""
    seen = []
    for server in (make_dbd().start(), make_reference().start()):
        with server.connect() as c, server.connect() as unaware:
            c.result("set_db_change_aware", True)
            c.result("monitor_cond", "T", ["m", 1], A)
            for id in ("w1", "w2"):
                c.request("transact", "T", {"op": "wait", "table": "A", "where": [], "columns": ["i"], "until": "==", "rows": [{"i": 77}]}, id=id)
            c.request("convert", "T", dict(test_schema, version="9.9.9"), id="convert")
            seen.append([c.recv(20) for _ in range(4)])
            with pytest.raises((Closed, ConnectionError)):
                unaware.recv(20)
            seen[-1].append(c.call("monitor_cancel", ["m", 1])["error"])
    assert seen[0][0] == {"id": None, "method": "monitor_canceled", "params": [["m", 1]]} and seen[0][1]["id"] == "convert"
    for messages in seen:
        messages[2:4] = sorted(messages[2:4], key=lambda message: message["id"])
    assert seen[0] == seen[1]


# What kills ovsdb-server, or is a bug of its: what byre-dbd answers.
DIFFERENT = [
    (["monitor", "T"], "syntax error", "invalid parameters"),
    (["monitor", "T", 1], "syntax error", "invalid parameters"),
    (["convert", "_Server", {"name": "_Server", "tables": {}}], "not allowed", "conversion is not allowed for read-only database _Server"),
]


@pytest.mark.parametrize("request_, tag, details", DIFFERENT)
def test_where_the_reference_dies(dbd, request_, tag, details):
    with dbd.connect() as c:
        reply = c.reply(c.request(*request_))
        assert reply["error"]["error"] == tag and reply["error"]["details"] == details
        assert c.call("list_dbs")["error"] is None


def rows_of_server(c):
    (result,) = c.transact("_Server", {"op": "select", "table": "Database", "where": []})
    return {r["name"]: r for r in result["rows"]}


def test_server_database(dbd, program):
    """The rows, a fresh one for each database that comes, the schema after a conversion, and who is told of what."""
    from test_dbserver import appctl

    with dbd.connect() as c, dbd.connect() as unaware:
        c.result("set_db_change_aware", True)
        rows = rows_of_server(c)
        assert set(rows) == {"T", "_Server"}
        for name, row in rows.items():
            assert (row["model"], row["connected"], row["leader"]) == ("standalone", True, True)
            assert row["cid"] == row["sid"] == row["index"] == ["set", []]
            assert json.loads(row["schema"]) == c.result("get_schema", name)
            assert json.dumps(json.loads(row["schema"]), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == row["schema"]

        c.result("monitor", "_Server", "s", {"Database": {"columns": ["name", "schema"]}})
        schema = dict(c.result("get_schema", "T"), version="9.9.9")
        assert c.result("convert", "T", schema) == {}
        (note,) = [n for n in c.notes if n["method"] == "update"]
        ((uuid, update),) = note["params"][1]["Database"].items()
        assert uuid == rows["T"]["_uuid"][1] and json.loads(update["new"]["schema"])["version"] == "9.9.9"
        with pytest.raises((Closed, ConnectionError)):
            unaware.recv(20)

        c.result("monitor", "T", "t", {"A": {"columns": ["i"]}})
        waiting = c.request("transact", "T", {"op": "wait", "table": "A", "where": [], "columns": ["i"], "until": "==", "rows": [{"i": 77}]})
        appctl(program, dbd, "ovsdb-server/remove-db", "T")
        seen = [c.recv(20) for _ in range(3)]
        assert [m.get("method") or m["error"] for m in seen] == ["monitor_canceled", "canceled", "update"]
        assert seen[0]["params"] == ["t"] and seen[1]["id"] == waiting and "result" not in seen[1]
        assert seen[2]["params"][1]["Database"][uuid].keys() == {"old"}
        appctl(program, dbd, "ovsdb-server/add-db", str(dbd.db))
        ((new_uuid, update),) = c.recv(20)["params"][1]["Database"].items()
        assert new_uuid != uuid and update["new"]["name"] == "T" and json.loads(update["new"]["schema"])["version"] == "9.9.9"
