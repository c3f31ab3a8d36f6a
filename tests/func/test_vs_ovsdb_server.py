"""The same generated requests to Debian's ovsdb-server and to byre-dbd: replies and updates must be the same.

What may differ: random UUIDs and _version, the order of rows and of members, and what the functions named
allowed_* below explain.  BYRE_DIFF_REQUESTS and BYRE_DIFF_SEEDS make it run longer.
"""

import json
import os
import re

import pytest

import rpc
from generate import Generator

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
N_REQUESTS = int(os.environ.get("BYRE_DIFF_REQUESTS", "300"))
SEEDS = [int(s) for s in os.environ.get("BYRE_DIFF_SEEDS", "1,2,3,4").split(",")]

MONITORS = {
    "v1": ("monitor", {"A": {}, "B": {"columns": ["k", "v", "_uuid"]}, "U": [{"columns": ["a"]}, {"columns": ["b"], "select": {"modify": False}}]}),
    "v2": ("monitor_cond", {"A": {"columns": ["name", "i", "tags", "nums", "opts", "imap", "small", "strong", "weak"]}, "B": {}, "U": {}}),
    "cond": ("monitor_cond", {"A": {"columns": ["name", "i", "opts"], "where": [["i", "==", 1], ["name", "==", "web"]]},
                              "U": {"columns": ["a"], "where": [["b", "==", 2]]}}),
}


class Side:
    """One server as the test sees it, with its random UUIDs replaced by the order in which they became known."""

    def __init__(self, server, known):
        self.server = server
        self.rpc = server.connect()
        self.known = set(known)
        self.names = {}

    def learn(self, ops, results):
        """Names UUIDs that inserts returned: by then both sides have seen the same number."""
        if not isinstance(results, list):
            return
        for result in results:
            if isinstance(result, dict) and isinstance(result.get("uuid"), list):
                uuid = result["uuid"][1]
                if uuid not in self.known:
                    self.names.setdefault(uuid, "#%d" % len(self.names))

    def uuid(self, text):
        return text if text in self.known else self.names.get(text, "#?")

    def canonical(self, value, key=None):
        if isinstance(value, dict):
            return {self.uuid(k) if UUID.fullmatch(k) else k: ("V" if k == "_version" else self.canonical(v, k)) for k, v in value.items()}
        if isinstance(value, list):
            items = [self.canonical(v) for v in value]
            if len(items) == 2 and items[0] in ("set", "map") and isinstance(items[1], list):
                items[1] = sorted(items[1], key=json.dumps)
            elif key == "rows":
                items = sorted(items, key=lambda row: json.dumps(row, sort_keys=True))
            return items
        if isinstance(value, str):
            return UUID.sub(lambda m: self.uuid(m.group()), value)
        return value

    def ask(self, method, params):
        """(reply, updates before it), both canonical."""
        reply = self.rpc.call(method, *params)
        if method == "transact":
            self.learn(params[1:], reply.get("result"))
        notes, self.rpc.notes = self.rpc.notes, []
        updates = {}
        for note in notes:
            if note["method"] in ("update", "update2"):
                name, tables = note["params"]
                updates.setdefault(name, []).append(without_empty(self.canonical(tables)))
            else:
                updates.setdefault("notes", []).append(self.canonical(note))
        updates = {name: [u for u in us if u] for name, us in updates.items()}
        reply.pop("id")
        return self.canonical(reply), {name: us for name, us in updates.items() if us}


def without_empty(tables):
    """allowed: ovsdb-server sends changes with nothing in them ({"modify":{}}); and a row whose only change was taken
    back while committing (a weak reference to nothing) gets a new _version there."""
    if not isinstance(tables, dict):
        return tables
    result = {}
    for table, rows in tables.items():
        kept = {}
        for uuid, change in rows.items():
            if "new" in change and set(change.get("old", {"": 0})) <= {"_version"}:
                continue
            if "modify" in change and set(change["modify"]) <= {"_version"}:
                continue
            kept[uuid] = change
        if kept:
            result[table] = kept
    return result


def without_chance(result, op):
    """allowed: what ovsdb-server leaves to chance (the order in which its hash tables give rows and columns), and
    words that 3.1 has otherwise."""
    details = result.get("details", "")
    if result["error"] == "duplicate uuid":
        return "duplicate uuid"  # 3.1 does not name the table.
    if isinstance(op, dict) and op.get("op") == "mutate" and "syntax" not in result:
        return "of the row that came first"
    if "to have identical values" in details:
        return "identical values"  # Of which rows, and of which index, if there are several.
    if "remaining reference" in details or "references nonexistent row" in details:
        return "of the row that came first"
    return result


def same_reply(want, got, ops, where):
    pairs = want.get("result"), got.get("result")
    if all(isinstance(p, list) for p in pairs) and len(pairs[0]) == len(pairs[1]):
        for i, (w, g) in enumerate(zip(*pairs)):
            if w != g and all(isinstance(r, dict) and "error" in r for r in (w, g)):
                op = ops[i] if i < len(ops) else None
                pairs[0][i], pairs[1][i] = without_chance(w, op), without_chance(g, op)
    same(want, got, where)


def differences(want, got, path=""):
    """Where two JSON values differ, for people."""
    if isinstance(want, dict) and isinstance(got, dict):
        keys = sorted(set(want) | set(got))
        return [d for k in keys for d in differences(want.get(k, "(absent)"), got.get(k, "(absent)"), "%s/%s" % (path, k))]
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return [d for i, (w, g) in enumerate(zip(want, got)) for d in differences(w, g, "%s/%d" % (path, i))]
    return [] if want == got else ["%s\n  want %s\n  got  %s" % (path, json.dumps(want), json.dumps(got))]


def same(want, got, where=""):
    found = differences(want, got)
    assert not found, "\n".join([where] + found[:20])


def dangling_weak_references(side):
    """allowed: ovsdb-server leaves weak references to deleted rows behind, if the row that has them was part of the
    transaction for another reason too.  Are there any?"""
    rows = side.rpc.transact("T", {"op": "select", "table": "A", "where": [], "columns": ["_uuid", "weak"]})[0]["rows"]
    uuids = {row["_uuid"][1] for row in rows}
    refs = [row["weak"][1] if row["weak"][0] == "set" else [row["weak"]] for row in rows]
    return any(ref[1] not in uuids for row_refs in refs for ref in row_refs)


def dump(side):
    ops = [{"op": "select", "table": t, "where": []} for t in ("A", "B", "U")]
    return side.ask("transact", ["T"] + ops)[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_same_answers(make_dbd, make_reference, seed):
    generator = Generator(seed)
    ours = Side(make_dbd().start(), generator.uuids)
    reference = Side(make_reference().start(), generator.uuids)
    sides = (reference, ours)

    for name, (method, requests) in MONITORS.items():
        want, got = [side.ask(method, ["T", name, requests]) for side in sides]
        same(want, got, name)
    n_changed = 0
    for i in range(N_REQUESTS):
        if generator.r.random() < 0.1:
            method, params = generator.method()
        else:
            method, params = "transact", ["T"] + generator.transaction()
        (want, want_updates), (got, got_updates) = [side.ask(method, params) for side in sides]
        where = "seed %d, request %d: %s %s" % (seed, i, method, json.dumps(params))
        if method == "list_dbs":
            want["result"].sort()
            got["result"].sort()
        ops = params[1:] if method == "transact" else []
        same_reply(want, got, ops, where)
        if want_updates != got_updates and dangling_weak_references(reference):
            assert not dangling_weak_references(ours), where
            for side in sides:  # Start afresh.
                side.ask("transact", ["T", {"op": "update", "table": "A", "where": [], "row": {"weak": ["set", []]}}])
                side.ask("transact", ["T", {"op": "delete", "table": "A", "where": []}])
            continue
        same(want_updates, got_updates, where)
        n_changed += bool(want_updates)
    assert n_changed > N_REQUESTS / 10, "the generator must make changes"
    want, got = [dump(side) for side in sides]
    same(want, got, "at the end")

    # The file tells the same story to either server.
    ours.server.kill()
    ours.server.start()
    ours.rpc = ours.server.connect()
    for rows in want["result"]:
        for row in rows["rows"]:
            row.pop("eph", None)
    again = dump(ours)
    for rows in again["result"]:
        for row in rows["rows"]:
            row.pop("eph", None)
    same(want, again, "after a restart")


def test_reference_reads_our_file(make_dbd, make_reference, program):
    import subprocess

    generator = Generator(11)
    server = make_dbd().start()
    ours = Side(server, generator.uuids)
    for _ in range(200):
        ours.ask("transact", ["T"] + generator.transaction())
    want = dump(ours)
    server.stop()
    ref = make_reference()
    ref.db.write_bytes(server.db.read_bytes())
    ref.start()
    theirs = Side(ref, generator.uuids)
    theirs.names = ours.names
    got = dump(theirs)
    for side in (want, got):
        for rows in side["result"]:
            for row in rows["rows"]:
                row.pop("eph", None)
    same(want, got)
    assert subprocess.run([program("ovsdb-tool"), "show-log", str(server.db)], capture_output=True).returncode == 0
