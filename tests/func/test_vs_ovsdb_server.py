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
    """allowed: ovsdb-server sends changes with nothing in them ({"modify":{}}), which say nothing."""
    if not isinstance(tables, dict):
        return tables
    result = {}
    for table, rows in tables.items():
        kept = {}
        for uuid, change in rows.items():
            if change.get("modify") == {} or (change.get("old") == {} and "new" in change):
                continue
            kept[uuid] = change
        if kept:
            result[table] = kept
    return result


def allowed_error_wording(reference, ours):
    """Error objects with the same tag whose details differ only in what 3.1 lacks or leaves to chance."""

    def strip(value):
        if isinstance(value, dict):
            value = {k: strip(v) for k, v in value.items()}
            details = value.get("details", "")
            if value.get("error") == "duplicate uuid":
                value["details"] = re.sub(r' within the "\w+" table', " within the table", details)  # 3.1 does not name it.
            if "to have identical values" in details:
                value["details"] = re.sub(r"  First row.*", "", details)  # Which comes first is arbitrary among equals.
            if "because of" in details and "remaining reference" in details:
                value["details"] = "remaining references"  # Which of several rows is named is arbitrary.
            if "references nonexistent row" in details:
                value["details"] = "references nonexistent row"
            return value
        if isinstance(value, list):
            return [strip(v) for v in value]
        return value

    return strip(reference) == strip(ours)


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
        assert got == want
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
        assert got == want or allowed_error_wording(want, got), where
        assert got_updates == want_updates, where
        n_changed += bool(want_updates)
    assert n_changed > N_REQUESTS / 10, "the generator must make changes"
    want, got = [dump(side) for side in sides]
    assert got == want

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
    assert again == want


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
    assert got == want
    assert subprocess.run([program("ovsdb-tool"), "show-log", str(server.db)], capture_output=True).returncode == 0
