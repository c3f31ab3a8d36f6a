"""Writers and watchers that remember what they did and saw, and a judge of whether one database can have done that.

Every transaction adds 1 to one counter and reads it, so the server itself says in which order it commits.  The
judge plays the transactions in that order on a model and asks:
- does each reply say what the model says, and did what ended before another began come before it (strictly
  serialisable)?
- is everything acknowledged there in the end, and everything else whole or not at all?
- does what a transaction that only reads saw equal the model at one such moment: not before what had ended when it
  began, not after what began when it had ended, nor before what its server had told earlier?
- does each watcher's copy, after each message, equal the model at the counter that the copy itself holds, never
  going back; did no message insert a row that was there, or change one that was not; does one transaction id
  always mean one state?
"""

import copy
import json
import random
import threading
import time
import uuid as uuids

import rpc

KEYS = ["k%d" % i for i in range(6)]
UUIDS = {key: "00000000-0000-4000-8000-00000000000%d" % i for i, key in enumerate(KEYS)}
COUNTER = "00000000-0000-4000-8000-0000000000ff"
ITEMS = ["00000000-0000-4000-9000-00000000000%x" % i for i in range(8)]
ZERO = "00000000-0000-0000-0000-000000000000"
COLUMNS = {"Counter": {"n": 0}, "Reg": {"key": "", "val": "", "v": 0, "members": []}, "Item": {"key": "", "note": []}}

SCHEMA = {"name": "H", "version": "1.0.0", "tables": {
    "Counter": {"isRoot": True, "columns": {"n": {"type": "integer"}}},
    "Done": {"isRoot": True, "columns": {"id": {"type": "string"}}, "indexes": [["id"]]},
    "Reg": {"isRoot": True, "indexes": [["key"]], "columns": {
        "key": {"type": "string"}, "val": {"type": "string"}, "v": {"type": "integer"},
        "members": {"type": {"key": "integer", "min": 0, "max": "unlimited"}}}},
    "Item": {"isRoot": True, "columns": {"key": {"type": "string"}, "note": {"type": {"key": "string", "min": 0, "max": 1}}}},
}}


class Wrong(AssertionError):
    """What no database that keeps its promises can have done."""


class Refused(Exception):
    """The model says that the transaction fails."""


# The model: rows with JSON values, sets as sorted lists.

def elements(value):
    return value[1] if isinstance(value, list) and value[:1] == ["set"] else value if isinstance(value, list) else [value]


def as_set(items):
    items = sorted(items)
    return items[0] if len(items) == 1 else ["set", items]


def initial_state():
    return {"Counter": {COUNTER: {"n": 0}}, "Item": {},
            "Reg": {UUIDS[k]: {"key": k, "val": "", "v": 0, "members": []} for k in KEYS}}


def initial_ops():
    return ([{"op": "insert", "table": "Counter", "uuid": COUNTER, "row": {}}] +
            [{"op": "insert", "table": "Reg", "uuid": UUIDS[k], "row": {"key": k}} for k in KEYS])


def matching(rows, where):
    return {u: r for u, r in rows.items() if all((u == c[2][1]) if c[0] == "_uuid" else r[c[0]] == c[2] for c in where)}


def run(state, ops):
    """The results, as the server must give them; changes the state, also when it raises Refused."""
    results, deleted, before = [], set(), set(state["Item"])
    for op in ops:
        kind, rows = op["op"], state.get(op.get("table"))
        found = matching(rows, op.get("where", [])) if rows is not None else {}
        if kind == "insert" and op["table"] == "Done":  # Never read by a transaction.
            results.append({"uuid": ["uuid", op["uuid"]]})
        elif kind == "insert":
            if op["uuid"] in rows or op["uuid"] in deleted:  # ovsdb-server has it so: not twice in a transaction.
                raise Refused("duplicate uuid")
            rows[op["uuid"]] = dict(COLUMNS.get(op["table"], {}), **op["row"])
            results.append({"uuid": ["uuid", op["uuid"]]})
        elif kind == "delete":
            for u in found:
                deleted |= {u} & before  # One that this transaction inserted itself is free again.
                del rows[u]
            results.append({"count": len(found)})
        elif kind == "select":
            results.append({"rows": [{c: as_set(r[c]) if c == "members" else r[c] for c in op["columns"]} for r in found.values()]})
        elif kind == "wait":
            if [{c: r[c] for c in op["columns"]} for r in found.values()] != op["rows"]:
                raise Refused("timed out")
            results.append({})
        elif kind == "abort":
            raise Refused("aborted")
        else:
            for row in found.values():
                change(row, op)
            results.append({"count": len(found)})
    return results


def change(row, op):
    row.update(op.get("row", {}))
    for column, mutator, value in op.get("mutations", []):
        if mutator == "+=":
            row[column] += value
        else:
            items = set(row[column])
            row[column] = sorted(items | set(elements(value)) if mutator == "insert" else items - set(elements(value)))


def seen_text(state, keys=None):
    """What a watcher of the keys (None: all) sees, as text."""
    tables = {"Counter": list(state["Counter"].values())}
    for t in ("Reg", "Item"):
        rows = {u: r for u, r in state[t].items() if keys is None or r["key"] in keys}
        tables[t] = {u: dict(r, members=sorted(r["members"])) if t == "Reg" else dict(r) for u, r in rows.items()}
    return json.dumps(tables, sort_keys=True)


# Clients.

class Txn:
    """One transaction as its client knows it: n is the counter that it read, None if nobody answered or it failed; 'end' is
    when the answer came, or when the connection was lost."""

    def __init__(self, id, ops):
        self.id, self.ops = id, ops
        self.begin = self.end = self.n = self.error = self.results = None

    @property
    def acked(self):
        return self.n is not None

    @property
    def unknown(self):
        return self.n is None and self.error is None


class Client(threading.Thread):
    """Something that goes on, connecting again whenever it must, until it is told to stop."""

    def __init__(self, servers, seed):
        super().__init__(daemon=True)
        self.servers, self.r = servers, random.Random(seed)
        self.halt = threading.Event()
        self.failure = None
        self.client = None

    def run(self):
        try:
            while not self.halt.is_set():
                try:
                    self.client = rpc.Rpc(self.r.choice(self.servers))
                except OSError:
                    time.sleep(0.02)
                    continue
                try:
                    self.session()
                except OSError:  # Closed by a server that was killed, or a timeout.
                    pass
                self.client.close()
        except BaseException as e:
            self.failure = e

    def stop(self):
        self.halt.set()
        self.join(60)
        assert not self.is_alive()
        if self.failure:
            raise self.failure


class Writer(Client):
    def __init__(self, servers, seed, limit):
        super().__init__(servers, seed)
        self.name, self.limit, self.txns, self.known = "w%d" % seed, limit, [], {}

    def session(self):
        while not self.halt.is_set() and len(self.txns) < self.limit:
            txn = Txn("%s.%d" % (self.name, len(self.txns)), [])
            txn.ops = self.ops(txn.id)
            self.txns.append(txn)
            txn.begin = time.monotonic()
            try:
                reply = self.client.call("transact", "H", *txn.ops)
            finally:
                txn.end = time.monotonic()
            self.learn(txn, reply)
        if len(self.txns) >= self.limit:
            self.halt.set()

    def learn(self, txn, reply):
        if reply.get("error") is not None:
            time.sleep(0.02)
            return  # The relay lost its source, or has none yet: nobody knows.
        results = reply["result"]
        errors = [r["error"] for r in results if r and "error" in r]
        if errors:
            txn.error = errors[0]
            self.known = {}
            return
        txn.results = results
        txn.n = results[-1]["rows"][0]["n"]
        for op, result in zip(txn.ops, results):
            if op["op"] == "select" and op["table"] == "Reg":
                for row in result["rows"]:
                    self.known[row["key"]] = row["val"]

    def ops(self, id):
        r, ops = self.r, []
        for i in range(r.choice([1, 1, 2, 3])):
            key = r.choice(KEYS)
            where = [["key", "==", key]]
            kind = r.choice(["write", "add", "insert", "delete", "read", "swap", "item", "drop", "again"])
            if kind == "write":
                ops.append({"op": "update", "table": "Reg", "where": where, "row": {"val": "%s.%d" % (id, i)}})
            elif kind == "add":
                ops.append({"op": "mutate", "table": "Reg", "where": where, "mutations": [["v", "+=", r.randint(1, 3)]]})
            elif kind in ("insert", "delete"):
                ops.append({"op": "mutate", "table": "Reg", "where": where, "mutations": [["members", kind, ["set", r.sample(range(12), 3)]]]})
            elif kind == "swap" and key in self.known:  # Compare and set.
                ops += [{"op": "wait", "timeout": 0, "table": "Reg", "where": where, "columns": ["val"], "until": "==", "rows": [{"val": self.known[key]}]},
                        {"op": "update", "table": "Reg", "where": where, "row": {"val": "%s.%d" % (id, i)}}]
            elif kind == "item":
                ops.append({"op": "insert", "table": "Item", "uuid": r.choice(ITEMS), "row": {"key": key, "note": id}})
            elif kind == "drop":
                ops.append({"op": "delete", "table": "Item", "where": where})
            elif kind == "again":
                item = r.choice(ITEMS)
                ops.append({"op": "update", "table": "Item", "where": [["_uuid", "==", ["uuid", item]]], "row": {"key": key}})
            ops.append({"op": "select", "table": "Reg", "where": where, "columns": ["key", "val", "v", "members"]})
        if r.random() < 0.03:
            ops.append({"op": "abort"})
        return ops + [{"op": "insert", "table": "Done", "uuid": str(uuids.uuid5(uuids.NAMESPACE_OID, id)), "row": {"id": id}},
                      {"op": "mutate", "table": "Counter", "where": [], "mutations": [["n", "+=", 1]]},
                      {"op": "select", "table": "Counter", "where": [], "columns": ["n"]}]


class Reader(Client):
    """Asks one server for everything again and again."""

    def __init__(self, server, seed, is_source):
        super().__init__([server], seed)
        self.is_source = is_source  # Nobody else's copy.
        self.reads = []  # (begin, end, n, text)

    def session(self):
        while not self.halt.is_set():
            begin = time.monotonic()
            reply = self.client.call("transact", "H", *({"op": "select", "table": t, "where": [], "columns": ["_uuid"] + list(c)} for t, c in COLUMNS.items()))
            end = time.monotonic()
            if reply.get("error") is None:  # A relay that has no schema yet says so.
                state = {t: {row.pop("_uuid")[1]: Watcher.python(t, row) for row in result["rows"]} for t, result in zip(COLUMNS, reply["result"])}
                if state["Counter"]:  # Or no content.
                    self.reads.append((begin, end, state["Counter"][COUNTER]["n"], seen_text(state)))
            time.sleep(self.r.random() / 50)


class Watcher(Client):
    """Keeps a copy.  'method' as in ovsdb-server(7); 'moody': watches some keys only, and others now and then."""

    def __init__(self, servers, seed, method="monitor_cond_since", moody=False):
        super().__init__(servers, seed)
        self.method, self.moody = method, moody
        self.keys = self.r.sample(KEYS, 3) if moody else None
        self.copy = self.empty()
        self.last = ZERO
        self.seen = []  # (n, keys, text) after each message.
        self.ids = {}  # Transaction id -> n.
        self.n_found = self.n_not_found = 0

    @staticmethod
    def empty():
        return {"Counter": {}, "Reg": {}, "Item": {}}

    def requests(self):
        requests = {t: [{"columns": list(columns)}] for t, columns in COLUMNS.items()}
        if self.moody:
            for t in ("Reg", "Item"):
                requests[t][0]["where"] = self.where()
        return requests

    def where(self):
        return [["key", "==", key] for key in self.keys] or [False]

    def session(self):
        since = self.method == "monitor_cond_since"
        reply = self.client.call(self.method, "H", "w", self.requests(), *([self.last] if since else []))
        if reply.get("error") is not None:  # A relay that has no schema yet.
            time.sleep(0.02)
            return
        found, last, tables = reply["result"] if since else (False, None, reply["result"])
        self.n_found += found
        self.n_not_found += since and not found and self.last != ZERO
        if not found:
            self.copy = self.empty()
        self.apply(tables)
        self.remember(last)
        assert not self.client.notes
        while not self.halt.is_set():
            if self.moody and self.r.random() < 0.05:
                self.change_mood()
            try:
                self.take(self.client.recv(0.1))
            except TimeoutError:
                continue

    def change_mood(self):
        """What comes before the reply may be of the old condition or the difference to the new one."""
        new = self.r.sample(KEYS, self.r.randint(0, 4))
        where = [["key", "==", key] for key in new] or [False]
        self.client.sock.settimeout(20)
        id = self.client.request("monitor_cond_change", "w", "w", {t: [{"where": where}] for t in ("Reg", "Item")})
        reply = self.client.reply(id)
        assert reply["error"] is None, reply
        notes, self.client.notes = self.client.notes, []
        for note in notes:
            self.apply(note["params"][-1])
        self.keys = new
        self.remember(notes[-1]["params"][1] if notes and self.method == "monitor_cond_since" else None)

    def take(self, message):
        params = message["params"]
        self.apply(params[-1])
        self.remember(params[1] if len(params) == 3 else None)

    def apply(self, tables):
        for t, rows in tables.items():
            for u, update in rows.items():
                self.apply_row(self.copy[t], t, u, update)

    def apply_row(self, rows, t, u, update):
        new = update.get("initial", update.get("insert"))
        if "old" in update or "new" in update:  # As RFC 7047 has it.
            there, new = "old" in update, update.get("new")
        else:
            there = new is None
        if there != (u in rows):
            raise Wrong("%s: %s of a row that is %s: %s" % (self.method, json.dumps(update), "there" if u in rows else "not there", u))
        if new is not None:
            rows[u] = self.python(t, dict(COLUMNS[t], **new))
        elif "modify" in update:
            for column, value in update["modify"].items():
                rows[u][column] = sorted(set(rows[u][column]) ^ set(elements(value))) if column == "members" else value
            self.python(t, rows[u])
        else:
            del rows[u]

    @staticmethod
    def python(t, row):
        if t == "Reg":
            row["members"] = sorted(elements(row["members"]))
        elif t == "Item" and row["note"] == ["set", []]:
            row["note"] = []
        return row

    def remember(self, last):
        n = self.copy["Counter"][COUNTER]["n"] if self.copy["Counter"] else None
        self.seen.append((n, None if self.keys is None else list(self.keys), seen_text(self.copy)))
        if last is not None:
            self.last = last
            if self.ids.setdefault(last, n) != n:
                raise Wrong("transaction id %s is both %r and %r" % (last, self.ids[last], n))


# The judge.

def judge(txns, watchers, final, late_s=0, readers=()):
    """Raises Wrong.  'late_s': there were relays: how long after the client lost its connection its transaction may still be
    committed.  'final': {"Counter", "Done", "Reg", "Item"} as read in the end, in the model's form.  Returns how many
    transactions were committed."""
    done = {row["id"] for row in final["Done"].values()}
    for txn in txns:
        if txn.acked and txn.id not in done:
            raise Wrong("%s was acknowledged and is lost" % txn.id)
        if txn.error and txn.id in done:
            raise Wrong("%s failed (%s) and is there" % (txn.id, txn.error))
    by_n = {}
    for txn in [t for t in txns if t.acked]:
        if by_n.setdefault(txn.n, txn) is not txn:
            raise Wrong("%s and %s both were number %d" % (txn.id, by_n[txn.n].id, txn.n))
    lost_replies = [t for t in txns if t.unknown and t.id in done]
    n_all = len(by_n) + len(lost_replies)
    if [row["n"] for row in final["Counter"].values()] != [n_all]:
        raise Wrong("the counter is %s after %d transactions" % (final["Counter"], n_all))
    seen = {n: text for w in watchers for n, keys, text in w.seen if keys is None}
    states = play(by_n, lost_replies, n_all, seen, windows(by_n, n_all, late_s))
    if seen_text(states["last"]) != seen_text(final):
        raise Wrong("in the end the database has\n%s\nbut it should have\n%s" % (seen_text(final), seen_text(states["last"])))
    judge_time(by_n, n_all)
    judge_failures(txns, by_n, states, n_all, late_s > 0)
    for w in watchers:
        judge_watcher(w, states)
    for reader in readers:
        judge_reader(reader, states, by_n)
    judge_ids(watchers)
    return n_all


def windows(by_n, n_all, late_s):
    """For each gap the time between which a transaction that was there must have been under way: a function of n and it."""
    latest_begin, earliest_end = [0.0] * (n_all + 2), [float("inf")] * (n_all + 2)
    for n in range(1, n_all + 1):
        latest_begin[n] = max(latest_begin[n - 1], by_n[n].begin if n in by_n else 0)
    for n in range(n_all, 0, -1):
        earliest_end[n] = min(earliest_end[n + 1], by_n[n].end if n in by_n else float("inf"))
    return lambda n, txn: txn.begin <= earliest_end[n] and txn.end + late_s >= latest_begin[n]


def play(by_n, lost_replies, n_all, seen, may_be):
    """The states by n, if the transactions without a reply can be put into the gaps so that all replies are right, and what
    watchers saw of the states, {n: text}.  may_be(n, txn): as for the time."""
    states = {0: initial_state()}
    worst = [Wrong("nothing fits")]

    def fits(n, txn):
        state = copy.deepcopy(states[n - 1])
        try:
            step(state, txn, n, seen.get(n))
        except Wrong as e:
            worst[0] = max(worst[0], e, key=lambda wrong: getattr(wrong, "n", 0))
            return False
        states[n] = state
        return True

    def go(n, left):
        """Plays from number n on; the states before it stand."""
        while n in by_n:
            if not fits(n, by_n[n]):
                return False
            n += 1
        if n > n_all:
            return True
        return any(may_be(n, txn) and fits(n, txn) and go(n + 1, left[:i] + left[i + 1:]) for i, txn in enumerate(left))

    if not go(1, lost_replies):
        raise worst[0]
    states["last"] = states[n_all]
    return states


def step(state, txn, n, seen):
    try:
        want, why = run(state, txn.ops), None
    except Refused as e:
        want, why = None, "must have failed: %s" % e
    if want and txn.acked and want != txn.results:
        why = "%s\nanswered %s\ninstead of %s" % (json.dumps(txn.ops), json.dumps(txn.results), json.dumps(want))
    elif want and seen and seen_text(state) != seen:
        why = "%s\nlet a watcher see %s\ninstead of %s" % (json.dumps(txn.ops), seen, seen_text(state))
    if why:
        wrong = Wrong("%s, number %d: %s" % (txn.id, n, why))
        wrong.n = n
        raise wrong


def judge_time(by_n, n_all):
    latest = None  # Of the transactions so far, the one that began last.
    for n in range(1, n_all + 1):
        txn = by_n.get(n)
        if txn:
            if latest and txn.end < latest.begin:
                raise Wrong("%s ended before %s began, but comes after it" % (txn.id, latest.id))
            latest = txn if not latest or txn.begin > latest.begin else latest


def judge_failures(txns, by_n, states, n_all, behind):
    """What failed must have had a reason in some state between its begin and its end; or earlier, because a relay refuses by its
    own copy."""
    for txn in [t for t in txns if t.error]:
        before = 0 if behind else max([n for n, t in by_n.items() if t.end < txn.begin], default=0)
        after = max([n for n, t in by_n.items() if t.begin < txn.end], default=0)
        for n in range(before, min(n_all, after + 8) + 1):  # Some had no reply.
            try:
                run(copy.deepcopy(states[n]), txn.ops)
            except Refused:
                break
        else:
            raise Wrong("%s failed (%s) without a reason: %s" % (txn.id, txn.error, json.dumps(txn.ops)))


def judge_watcher(w, states):
    newest = 0
    for n, keys, text in w.seen:
        if n is None or n < newest:
            raise Wrong("a watcher (%s) stepped back from %d to %r" % (w.method, newest, n))
        newest = n
        want = seen_text(states[n], keys)
        if text != want:
            raise Wrong("a watcher (%s, %s) saw at %d\n%s\ninstead of\n%s" % (w.method, keys, n, text, want))


def judge_reader(reader, states, by_n):
    newest = 0
    for begin, end, n, text in reader.reads:
        if n < newest or (reader.is_source and n < max([m for m, t in by_n.items() if t.end < begin], default=0)):
            raise Wrong("a reader saw number %d after %d, or after what had ended" % (n, newest))
        if n in by_n and by_n[n].begin > end:
            raise Wrong("a reader saw %s before it began" % by_n[n].id)
        if text != seen_text(states[n]):
            raise Wrong("a reader saw at %d\n%s\ninstead of\n%s" % (n, text, seen_text(states[n])))
        newest = n


def judge_ids(watchers):
    ids = {}
    for w in watchers:
        for id, n in w.ids.items():
            if ids.setdefault(id, n) != n:
                raise Wrong("transaction id %s is %r for one watcher and %r for another" % (id, ids[id], n))
