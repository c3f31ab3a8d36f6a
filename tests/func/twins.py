"""Two servers that are asked the same by the same clients, and what may differ in what they say.

A round: one client sends some requests, then all clients ask for nothing twice, so that everything the requests
caused has come: replies, updates, locks' notifications, and the replies of others that had been waiting.
"""

import json
import re
import signal
import subprocess

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIMED_OUT = re.compile(r"timed out after \d+ ms")
UPDATES = {"update": 0, "update2": 0, "update3": 1}  # Method -> how many parameters between id and updates.


def message_text(requests, write=json.dumps):
    return "".join(write({"method": m, "params": p, "id": None if m == "cancel" else id}) for id, m, p in requests)


class Died(Exception):
    """allowed: ovsdb-server died of the request."""


class Side:
    """One server and its clients as the test sees them, with random UUIDs replaced by the order in which they became known."""

    def __init__(self, server, known, n_clients=1):
        self.server = server
        self.known = set(known)
        self.names = {}
        self.clients = [server.connect() for _ in range(n_clients)]
        self.rpc = self.clients[0]
        self.rpc.next_id = 1 << 40  # No id of a round's.
        self.asked = [{} for _ in self.clients]  # Id -> (method, params).
        self.owns = [set() for _ in self.clients]  # Locks, as far as the client was told.

    def close(self):
        for client in self.clients:
            client.close()

    def learn(self, results):
        """Names UUIDs that inserts returned: by then both sides have seen the same number."""
        for result in results if isinstance(results, list) else []:
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
            return items
        if isinstance(value, str):
            return TIMED_OUT.sub("timed out", UUID.sub(lambda m: self.uuid(m.group()), value))
        return value

    def barrier(self):
        """Everything that came to each client.  Asked twice: what waited is run again at the end of the server's loop.  (An
        echo would not do: byre-dbd answers it at once, while other answers wait for the disk.)"""
        seen = [[] for _ in self.clients]
        for turn in range(2):
            ids = [client.request("get_server_id", id="barrier%d" % turn) for client in self.clients]
            for i, client in enumerate(self.clients):
                while True:
                    message = client.recv()
                    if message.get("id") == ids[i]:
                        break
                    seen[i].append(message)
        return seen

    def round(self, index, requests, patient=False, text=None):
        try:
            return self.ask(index, requests, patient, text)
        except OSError as e:
            try:
                self.server.process.wait(1)
            except subprocess.TimeoutExpired:
                pass
            if self.server.process.poll() in (-signal.SIGSEGV, -signal.SIGABRT) and "ovsdb-server" in self.server.argv[0]:
                raise Died(requests[-1][1])
            raise AssertionError("%s: %r, status %r; its log:\n%s\nafter %s" % (
                self.server.argv[0], e, self.server.process.poll(), self.server.text()[-3000:], json.dumps(requests)))

    def ask(self, index, requests, patient, text):
        """Client 'index' sends the requests, [(id, method, params)], as 'text'.  What all clients saw, canonical; 'patient': the
        reply to the last one comes only after a while."""
        client = self.clients[index]
        before = []
        for id, method, params in requests:
            self.asked[index][id] = method, params
        client.send(text or message_text(requests))
        while patient and not (before and before[-1].get("id") == requests[-1][0]):
            before.append(client.recv())
        seen = self.barrier()
        seen[index] = before + seen[index]
        for messages in seen:
            for message in messages:
                if "method" not in message:
                    self.learn(message.get("result"))
        return [self.digest(i, messages) for i, messages in enumerate(seen)]

    def digest(self, index, messages):
        """[("reply", id, message) or ("updates", {monitor: [tables]}) or ("note", message)] in their order; updates between
        two replies together, because the order among monitors is open."""
        out = []
        for message in messages:
            method = message.get("method")
            if method in UPDATES:
                params = message["params"]
                tables = without_empty(self.canonical(params[1 + UPDATES[method]]))
                if not tables:
                    continue
                if not out or out[-1][0] != "updates":
                    out.append(("updates", {}))
                out[-1][1].setdefault(json.dumps(params[0]), []).append((method, tables))
            elif method:
                self.note(index, message, out)
            else:
                id = message.pop("id")
                self.locked(index, id, message)
                out.append(("reply", id, self.canonical(message)))
        return out

    def locked(self, index, id, message):
        method, params = self.asked[index][id]
        if method == "unlock" and message.get("result") == {}:
            self.owns[index].discard(params[0])
        elif method in ("lock", "steal") and message.get("result") == {"locked": True}:
            self.owns[index].add(params[0])

    def note(self, index, message, out):
        """allowed: ovsdb-server tells the owner of a lock again that it has it, whenever another one stops waiting."""
        if message["method"] == "locked" and message["params"][0] in self.owns[index]:
            return
        if message["method"] == "locked":
            self.owns[index].add(message["params"][0])
        elif message["method"] == "stolen":
            self.owns[index].discard(message["params"][0])
        out.append(("note", self.canonical(message)))

    def transact(self, *ops):
        reply = self.rpc.call("transact", "T", *ops)
        self.learn(reply.get("result"))
        return self.canonical(reply["result"])


def without_empty(tables):
    """allowed: ovsdb-server sends changes with nothing in them ({"modify":{}}); and a row whose only change was taken
    back while committing (a weak reference to nothing) gets a new _version there."""
    if not isinstance(tables, dict):
        return tables
    result = {}
    for table, rows in tables.items():
        kept = {}
        for uuid, change in rows.items():
            if "new" in change and "old" in change and set(change["old"]) <= {"_version"}:
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
    if "weak reference" in details.lower() or "greater than the schema-defined limit of" in details:
        return "of the row or table that came first"
    return result


def named_twice(results, op):
    """A name that stands for the row's own UUID can make a set hold it twice; that is a second error of the row."""
    return "named-uuid" in json.dumps(op) and any("duplicate" in result.get("details", "") for result in results)


def sort_rows(result, op):
    """Rows in no particular order; of a sort only the order of its columns counts."""
    if not isinstance(result, dict) or not isinstance(result.get("rows"), list):
        return
    if isinstance(op, dict) and isinstance(op.get("sort"), list) and "columns" not in op:
        result["order"] = [[row.get(c) for c in op["sort"]] for row in result["rows"]]
    result["rows"].sort(key=lambda row: json.dumps(row, sort_keys=True))
    if isinstance(op, dict) and "_uuid" not in op.get("columns", ["_uuid"]):
        # allowed: ovsdb-server merges rows that are the same, but not if one has 0 and the other -0 in a real.
        result["rows"] = [row for i, row in enumerate(result["rows"]) if i == 0 or row != result["rows"][i - 1]]


def waited(ops):
    """Can a transaction have waited for one of these?"""
    return any(isinstance(op, dict) and op.get("op") == "wait" and op.get("timeout") != 0 for op in ops)


def settle_reply(want, got, ops):
    """Takes out of two replies to a transaction what is left to chance."""
    pairs = want.get("result"), got.get("result")
    if not all(isinstance(p, list) for p in pairs):
        return
    for results in pairs:
        for i, result in enumerate(results):
            sort_rows(result, ops[i] if i < len(ops) else None)
    if len(pairs[0]) == len(pairs[1]):
        for i, (w, g) in enumerate(zip(*pairs)):
            if w != g and all(isinstance(r, dict) and "error" in r for r in (w, g)):
                op = ops[i] if i < len(ops) else None
                if w["error"] == g["error"] == "timed out" and waited(ops[:i]):
                    pairs[0][i] = pairs[1][i] = "timed out, in the same millisecond or later"
                    continue
                if "to have identical values" in w.get("details", "") and "weak reference" in g.get("details", "").lower():
                    # allowed: ovsdb-server kept a dangling weak reference, and came as far as the indexes with it.
                    pairs[0][i] = pairs[1][i] = "a weak reference that had to go, or the index after it"
                    continue
                pairs[0][i], pairs[1][i] = without_chance(w, op), without_chance(g, op)
                if named_twice((w, g), op):
                    pairs[0][i] = pairs[1][i] = "of the column that came first"


def differences(want, got, path=""):
    """Where two JSON values differ, for people."""
    if isinstance(want, dict) and isinstance(got, dict):
        keys = sorted(set(want) | set(got))
        return [d for k in keys for d in differences(want.get(k, "(absent)"), got.get(k, "(absent)"), "%s/%s" % (path, k))]
    if isinstance(want, (list, tuple)) and isinstance(got, (list, tuple)) and len(want) == len(got):
        return [d for i, (w, g) in enumerate(zip(want, got)) for d in differences(w, g, "%s/%d" % (path, i))]
    return [] if want == got else ["%s\n  want %s\n  got  %s" % (path, json.dumps(want), json.dumps(got))]


def same(want, got, where=""):
    found = differences(want, got)
    assert not found, "\n".join(found[:20] + [where])


def apply_delta(value, delta, most):
    """A value after what "modify" says, in canonical form (see ovsdb-server(7), update2)."""
    if most == 1:
        return delta
    is_map = delta[0] == "map" if isinstance(delta, list) else False
    elements = lambda v: v[1] if isinstance(v, list) and v[0] in ("set", "map") else [v]
    now = list(elements(value)) if value is not None else []
    for element in elements(delta):
        if element in now:
            now.remove(element)
        elif is_map:
            now = [pair for pair in now if pair[0] != element[0]] + [element]
        else:
            now.append(element)
    now.sort(key=json.dumps)
    return ["map", now] if is_map else now[0] if len(now) == 1 else ["set", now]


class Copies:
    """What the monitors of one side have told, so that merged updates can be compared with separate ones."""

    def __init__(self, most):
        self.most = most  # most(table, column): how many elements the type has at most.
        self.tables = {}

    def forget(self):
        self.tables = {}

    def apply(self, client, digest):
        for monitor, updates in [pair for item in digest if item[0] == "updates" for pair in item[1].items()]:
            for _, tables in updates:
                for table, rows in tables.items():
                    self.rows(table, self.tables.setdefault((client, monitor, table), {}), rows)

    def rows(self, table, copy, rows):
        for uuid, change in rows.items():
            if "delete" in change or ("old" in change and "new" not in change):
                copy.pop(uuid, None)
            elif "modify" in change:
                row = copy.setdefault(uuid, {})
                for column, delta in change["modify"].items():
                    row[column] = apply_delta(row.get(column), delta, self.most(table, column))
            else:
                copy[uuid] = dict(change.get("insert") or change.get("initial") or change.get("new") or {})

    def content(self):
        """Without what is not worth telling: an empty set that was told and one that was not are the same."""
        return {"%d %s %s" % key: {uuid: {c: v for c, v in row.items() if v not in (["set", []], ["map", []])} for uuid, row in rows.items()}
                for key, rows in self.tables.items() if rows}
