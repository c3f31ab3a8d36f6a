"""The same generated requests to Debian's ovsdb-server and to byre-dbd: replies and updates must be the same.

Three clients ask in turn, in small batches; they watch (three methods, conditions that change), wait for each
other's changes, cancel, lock, steal, and convert the database.  What may differ: random UUIDs and _version, the
order of rows and of members, and what is marked "allowed" in twins.py.

BYRE_DIFF_REQUESTS and BYRE_DIFF_SEEDS make it run longer; BYRE_DIFF_REPORT names a file for what was reached.
"""

import collections
import itertools
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from generate import SCHEMA, Generator, base, column_type, spelled
from twins import Copies, Died, Side, differences, message_text, same, settle_reply

N_REQUESTS = int(os.environ.get("BYRE_DIFF_REQUESTS", "400"))
SEEDS = [int(s) for s in os.environ.get("BYRE_DIFF_SEEDS", "1,2,3,4").split(",")]
EPISODE = 400  # Requests to one pair of servers; then new ones.
N_CLIENTS = 3
EPHEMERAL = ["eph", "ephset", "ephweak"]
MONITORS = ["m0", "m1", "m2", ["m", 3]]
reached = collections.Counter()


class Apart(Exception):
    """allowed: from here on the two differ, because of what ovsdb-server did."""


DANGLING = "a dangling weak reference of ovsdb-server"
BLIND = "a condition on a column that is not shown, which ovsdb-server takes for its default"
REAL = "whole reals that only byre-dbd converts to integers"


def dangling(side, schema):
    """ovsdb-server leaves weak references to deleted rows behind, if the row that has them was part of the transaction for
    another reason too.  Are there any?"""
    tables = sorted(schema["tables"])
    rows = {t: r["rows"] for t, r in zip(tables, side.transact(*({"op": "select", "table": t, "where": []} for t in tables)))}
    uuids = {t: {json.dumps(row["_uuid"]) for row in rows[t]} for t in tables}
    for t in tables:
        for c in schema["tables"][t]["columns"]:
            kind = column_type(schema, t, c)
            for part, b in enumerate((base(kind["key"]), base(kind.get("value", "string")))):
                if b.get("refType") == "weak" and any(missing(row[c], part, uuids[b["refTable"]]) for row in rows[t]):
                    return True
    return False


def missing(value, part, uuids):
    elements = value[1] if value[0] in ("set", "map") else [value]
    refs = [e[part] if value[0] == "map" else e for e in elements]
    return any(json.dumps(ref) not in uuids for ref in refs)


def dump(side, schema, ephemeral=True):
    """All rows by table and UUID as lists."""
    tables = sorted(schema["tables"])
    results = side.transact(*({"op": "select", "table": t, "where": []} for t in tables))
    content = {}
    for t, result in zip(tables, results):
        for row in result["rows"]:
            if not ephemeral:
                for column in EPHEMERAL:
                    row.pop(column, None)
            content.setdefault(t, {}).setdefault(json.dumps(row.pop("_uuid")), []).append(row)
    for copies in [copies for rows in content.values() for copies in rows.values()]:
        copies.sort(key=lambda row: json.dumps(row, sort_keys=True))  # Those whose UUID nobody has told go under one name.
    return content


def late(digest, asked):
    """Is there a reply to something older, or one that others overtook?"""
    ids = [item[1] for item in digest if item[0] == "reply"]
    return ids != sorted(ids) or not set(ids) <= set(asked)


def blind_tables(params, shown):
    """The tables whose new conditions ask for columns that the monitor does not show; 'shown': table -> columns, filled in."""
    blind = set()
    for table, requests in params.items():
        requests = requests if isinstance(requests, list) else [requests]
        columns = shown.setdefault(table, set())
        for request in requests:
            columns |= set(request["columns"]) if "columns" in request else {"*"}
        asked = {clause[0] for request in requests for clause in request.get("where") or [] if isinstance(clause, list)}
        if asked - columns and not ("*" in columns and "_uuid" not in asked - columns):
            blind.add(table)
    return blind


def without_blind(digest, blind):
    """A digest without the updates of the monitors in 'blind'."""
    kept = [("updates", {m: u for m, u in item[1].items() if m not in blind}) if item[0] == "updates" else item for item in digest]
    return [item for item in kept if item[0] != "updates" or item[1]]


def by_kind(digest):
    return {"notes": [item for item in digest if item[0] == "note"], "replies": {item[1]: item[2] for item in digest if item[0] == "reply"}}


class Episode:
    """Two fresh servers and what is sent to them."""

    def __init__(self, sides, generator, label):
        self.reference, self.ours = self.sides = sides
        self.generator, self.r, self.label = generator, generator.r, label
        self.schema = SCHEMA
        self.ids = itertools.count(1)
        self.monitors = [{} for _ in range(N_CLIENTS)]  # Name -> tables, as far as is known.
        self.partial = set()  # (client, name): its select leaves kinds of changes out.
        self.shown = [{} for _ in range(N_CLIENTS)]  # Name -> table -> columns.
        self.blind = [set() for _ in range(N_CLIENTS)]  # Names of monitors that ask for what they do not show.
        self.waiting = [[] for _ in range(N_CLIENTS)]  # Ids that may wait.
        self.copies = [Copies(self.most) for _ in sides]
        self.n = 0

    def most(self, table, column):
        return column_type(self.schema, table, column).get("max", 1) if column in self.schema["tables"][table]["columns"] else 1

    # What is asked.

    def request(self, client):
        """(id, method, params)"""
        r, g = self.r, self.generator
        known = self.monitors[client]
        kind = r.choices(["transact", "method", "monitor", "change", "unmonitor", "lock", "park", "cancel"], [72, 4, 6, 8, 0.7, 4, 4, 2])[0]
        if kind == "change" and known:
            key = r.choice(sorted(known))
            method, params = g.monitor_change(json.loads(key), known[key])
        elif kind == "monitor":
            method, params = g.monitor(r.choice(MONITORS))
        elif kind == "unmonitor":
            method, params = "monitor_cancel", [r.choice(MONITORS)]
        elif kind == "lock":
            method, params = g.lock()
        elif kind == "method":
            method, params = g.method()
        elif kind == "park" and len(self.waiting[client]) < 4:
            method, params = "transact", ["T"] + g.parked()
        elif kind == "cancel":
            method, params = "cancel", [r.choice(self.waiting[client] or [0])]
        else:
            method, params = "transact", ["T"] + g.transaction()
        id = next(self.ids)
        if kind == "park":
            self.waiting[client].append(id)
        return id, method, params

    def round(self):
        client = self.r.randrange(N_CLIENTS)
        x = self.r.random()
        if x < 0.006:
            requests = [(next(self.ids), "convert", ["T", self.generator.converted()])]
        elif x < 0.016:
            wait = dict(self.generator.wait("A"), timeout=self.r.choice([1, 3, 10]))
            requests = [(next(self.ids), "transact", ["T", wait] + self.generator.transaction())]
        else:
            requests = [self.request(client) for _ in range(self.r.choice([1, 1, 2, 4, 8]))]
        self.n += len(requests)
        where = "%s, request %d: client %d: %s" % (self.label, self.n, client, json.dumps(requests))
        patient = 0.006 <= x < 0.016
        text = message_text(requests, lambda message: spelled(self.r, message))
        try:
            want = self.reference.round(client, requests, patient, text)
        except Died:
            self.ours.round(client, requests, patient, text)  # That lives.
            raise
        digests = [want, self.ours.round(client, requests, patient, text)]
        try:
            self.compare(client, requests, digests, where)
        except AssertionError:
            if dangling(self.reference, self.schema):
                assert not dangling(self.ours, self.schema), where
                raise Apart(DANGLING)
            blind = [names | self.become_blind(client, requests) if i == client else names for i, names in enumerate(self.blind)]
            pairs = [[without_blind(d[i], names) for d in digests] for i, names in enumerate(blind)]
            if any(blind) and not any(differences(*pair) for pair in pairs):
                raise Apart(BLIND)
            raise
        self.follow(client, requests, digests[0])

    # What is compared.

    def compare(self, client, requests, digests, where):
        if len(requests) == 1 and requests[0][1] == "convert":
            for digest in digests[0] + digests[1]:
                digest.sort(key=lambda item: json.dumps(item, sort_keys=True))  # What ends with the old schema ends in no particular order.
        for i, (want, got) in enumerate(zip(*digests)):
            self.settle(i, want, got)
            for item in got:
                self.count(i, item)
            self.copies[0].apply(i, want)
            self.copies[1].apply(i, got)
        # A transaction that had waited went on, now or after the next request: that is left to chance, and so is whether its
        # update was merged with what it waited for.
        asked = [id for id, _, _ in requests]
        merged = any(late(digest, asked) for digest in digests[0] + digests[1])
        for i, (want, got) in enumerate(zip(*digests)):
            if merged:
                want, got = by_kind(want), by_kind(got)
            same(want, got, "%s\nseen by client %d" % (where, i))
        if merged:
            want, got = [{key: rows for key, rows in copies.content().items() if not self.is_partial(key)} for copies in self.copies]
            same(want, got, where + "\ncopies")

    def is_partial(self, key):
        client, name = key.rsplit(" ", 1)[0].split(" ", 1)
        return (int(client), name) in self.partial

    def settle(self, client, want, got):
        replies = {item[1]: item for item in got if item[0] == "reply"}
        for w in [item for item in want if item[0] == "reply" and item[1] in replies]:
            g = replies[w[1]]
            method, params = self.reference.asked[client][w[1]]
            if method == "list_dbs":
                w[2]["result"].sort()
                g[2]["result"].sort()
            elif method == "transact":
                settle_reply(w[2], g[2], params[1:])
            elif method == "monitor_cond_since" and isinstance(w[2].get("result"), list):
                w[2]["result"][1] = g[2]["result"][1] = "id"  # allowed: standalone servers of the reference have no history.
            elif method == "convert" and "expected integer" in json.dumps(w[2]) and g[2].get("result") == {}:
                raise Apart(REAL)
            elif method == "convert" and isinstance(w[2].get("error"), dict) and isinstance(g[2].get("error"), dict):
                w[2]["error"] = g[2]["error"] = "of the row that came first"
            elif method.startswith("monitor") and isinstance(w[2].get("error"), dict) and isinstance(g[2].get("error"), dict):
                w[2]["error"].pop("syntax", None)  # Of the clause or table that came first.
                g[2]["error"].pop("syntax", None)

    def count(self, client, item):
        if item[0] == "note":
            reached["note " + item[1]["method"]] += 1
        elif item[0] == "updates":
            for updates in item[1].values():
                for method, tables in updates:
                    for rows in tables.values():
                        for change in rows.values():
                            reached["%s %s" % (method, "+".join(sorted(change)))] += 1
        else:
            method, params = self.reference.asked[client][item[1]]
            error = item[2].get("error")
            reached["reply to %s%s" % (method, ": " + (error if isinstance(error, str) else error["error"]) if error else "")] += 1
            results = (item[2].get("result") if method == "transact" else None) or []
            for last in results[max(len(params) - 1, 0):]:
                reached["committing: %s" % (last if isinstance(last, str) else last["error"])] += 1
            for op, result in zip(params[1:], results):
                if isinstance(op, dict) and isinstance(result, dict) and op.get("op"):
                    reached["%s: %s" % (op["op"], result.get("error", "fine"))] += 1
                    self.count_parts(op, result)

    @staticmethod
    def count_parts(op, result):
        outcome = "error" if "error" in result else "fine"
        for m in op.get("mutations") or []:
            if len(m) == 3:
                reached["mutator %s: %s" % (m[1], outcome)] += 1
        for clause in op.get("where") or []:
            if isinstance(clause, list) and len(clause) == 3:
                reached["function %s: %s" % (clause[1], outcome)] += 1

    def become_blind(self, client, requests):
        """The names of the monitors that these requests make blind, if they are accepted."""
        names = set()
        for _, method, params in requests:
            try:
                if method == "monitor_cond_change":
                    shown = self.shown[client].get(json.dumps(params[0]), {})
                    blind = blind_tables({t: [dict(r, columns=[]) for r in rs] for t, rs in params[2].items() if t in shown}, shown)
                else:
                    blind = method.startswith("monitor_cond") and blind_tables(params[2], {})
            except (AttributeError, IndexError, TypeError, ValueError):  # They are not.
                continue
            names |= {json.dumps(params[0 if method == "monitor_cond_change" else 1])} if blind else set()
        return names

    # What the requests changed for the ones to come.

    def follow(self, client, requests, seen):
        for i, digest in enumerate(seen):
            for kind, id, message in [item for item in digest if item[0] == "reply"]:
                method, params = self.reference.asked[i][id]
                if id in self.waiting[i]:
                    self.waiting[i].remove(id)
                if "result" in message:
                    self.learn(i, method, params, message["result"])
        if self.r.random() < 0.1:
            self.look()

    def learn(self, client, method, params, result):
        known = self.monitors[client]
        if method == "convert":
            self.schema = self.generator.schema = params[1]
            self.monitors = [{} for _ in self.monitors]
            self.blind = [set() for _ in self.blind]
            for copies in self.copies:
                copies.forget()
        elif method == "monitor_cancel":
            self.forget(client, json.dumps(params[0]))
        elif method == "monitor_cond_change":
            old, new = json.dumps(params[0]), json.dumps(params[1])
            self.blind[client] |= self.become_blind(client, [(0, method, params)])
            if old != new:
                self.shown[client][new] = self.shown[client].get(old, {})
                if old in self.blind[client]:
                    self.blind[client] = self.blind[client] - {old} | {new}
                known[new] = known.pop(old)
                if (client, old) in self.partial:
                    self.partial.add((client, new))
                for copies in self.copies:
                    for key in [key for key in copies.tables if key[:2] == (client, old)]:
                        copies.tables[(client, new, key[2])] = copies.tables.pop(key)
        elif method in ("monitor", "monitor_cond", "monitor_cond_since"):
            name = json.dumps(params[1])
            self.forget(client, name)
            known[name] = sorted(params[2])
            self.shown[client][name] = {}
            if blind_tables(params[2], self.shown[client][name]):
                self.blind[client].add(name)
            if "select" in json.dumps(params[2]):
                self.partial.add((client, name))
            for copies in self.copies:  # They were the same: this side's is good for both.
                tables = result[2] if method == "monitor_cond_since" else result
                for table, rows in tables.items():
                    copies.rows(table, copies.tables.setdefault((client, name, table), {}), rows)

    def forget(self, client, name):
        self.monitors[client].pop(name, None)
        self.blind[client].discard(name)
        self.partial.discard((client, name))
        for copies in self.copies:
            for key in [key for key in copies.tables if key[:2] == (client, name)]:
                del copies.tables[key]

    def look(self):
        """Both hold the same rows; the generator is told which, so that its references find some."""
        if dangling(self.reference, self.schema):
            assert not dangling(self.ours, self.schema)
            raise Apart(DANGLING)
        want, got = [dump(side, self.schema) for side in self.sides]
        same(want, got, "%s, after request %d" % (self.label, self.n))
        self.generator.live = {t: [u for u in (json.loads(key)[1] for key in sorted(rows)) if u in self.reference.known] for t, rows in want.items()}

    def end(self):
        """The file tells the same story after a kill."""
        self.look()
        want = dump(self.reference, self.schema, ephemeral=False)
        self.ours.server.kill()
        self.ours.close()
        self.ours.server.start()
        again = Side(self.ours.server, self.ours.known)
        again.names = self.ours.names
        for content in (want, got := dump(again, self.schema, ephemeral=False)):
            for row in [row for rows in content.values() for copies in rows.values() for row in copies]:
                row.pop("_version")
        same(want, got, "%s, after a restart" % self.label)
        again.close()


def play(make_dbd, make_reference, seed, n_requests):
    """How many requests it was."""
    generator = Generator(seed)
    servers = make_dbd(schema=SCHEMA, name="o%d" % seed).start(), make_reference(schema=SCHEMA, name="r%d" % seed).start()
    sides = [Side(server, generator.uuids, N_CLIENTS) for server in reversed(servers)]
    episode = Episode(sides, generator, "seed %d" % seed)
    for side in sides:
        for client in side.clients:
            client.result("set_db_change_aware", True)
    try:
        while episode.n < n_requests:
            episode.round()
        episode.end()
        reached["episodes"] += 1
    except Apart as e:
        reached["episodes ended by %s" % e] += 1
    except Died as e:
        reached["episodes ended by the death of ovsdb-server (%s)" % e] += 1
        servers[1].process = None
    for side in sides:
        side.close()
    for server in servers:
        server.stop()
        server.process = None
    shutil.rmtree(servers[1].dir)  # Many episodes have many files.
    for path in servers[0].dir.glob("*o%d*" % seed):
        path.unlink()
    return episode.n


@pytest.mark.parametrize("seed", SEEDS)
def test_same_answers(make_dbd, make_reference, seed):
    n = 0
    for i in itertools.count():
        if n >= N_REQUESTS:
            break
        n += play(make_dbd, make_reference, 100000 * seed + i, min(EPISODE, N_REQUESTS - n))
        reached["requests"] = n
        if os.environ.get("BYRE_DIFF_REPORT"):
            pathlib.Path(os.environ["BYRE_DIFF_REPORT"]).write_text("".join("%8d %s\n" % (count, what) for what, count in sorted(reached.items())))


def test_reference_reads_our_file(make_dbd, make_reference, program):
    generator = Generator(11)
    server = make_dbd(schema=SCHEMA).start()
    ours = Side(server, generator.uuids)
    for _ in range(200):
        ours.rpc.call("transact", "T", *generator.transaction())
    want = dump(ours, SCHEMA, ephemeral=False)
    server.stop()
    ref = make_reference(schema=SCHEMA)
    ref.db.write_bytes(server.db.read_bytes())
    ref.start()
    theirs = Side(ref, generator.uuids)
    theirs.names = ours.names
    got = dump(theirs, SCHEMA, ephemeral=False)
    same(want, got)
    assert subprocess.run([program("ovsdb-tool"), "show-log", str(server.db)], capture_output=True).returncode == 0
