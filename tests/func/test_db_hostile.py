"""Requests that kill servers: what is known to kill ovsdb-server, and what else a hostile client may try.

Whatever it sends: byre-dbd goes on, the hostile client gets an answer or loses its own connection, and an innocent
one that watches and writes meanwhile does not notice.
"""

import json
import pathlib
import random
import shutil
import tempfile

import pytest

import rpc
from conftest import TEST_SCHEMA, Server, make_db

DROPPED, STAYS, EITHER = "dropped", "stays", "either"
MIN, MAX = -(2**63), 2**63 - 1
ROW = "00000000-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def server(program):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="byre-", dir="/tmp"))
    server = Server(directory, None)
    server.db = make_db(program("byre-dbtool"), directory / "db", TEST_SCHEMA)
    server.argv = [program("byre-dbd"), "--remote=punix:%s" % server.sock, "--unixctl=%s" % (directory / "ctl"), str(server.db)]
    server.start()
    yield server
    server.stop()
    shutil.rmtree(directory)


class Innocent:
    """Writes and sees that it was written."""

    def __init__(self, server):
        self.writer, self.watcher = server.connect(), server.connect()
        self.watcher.result("monitor_cond", "T", "w", {"A": [{"columns": ["name"], "where": [["name", "==", "innocent"]]}]})

    def works(self):
        uuid = self.writer.transact("T", {"op": "insert", "table": "A", "row": {"name": "innocent"}})[0]["uuid"]
        assert self.watcher.note(120)["params"] == ["w", {"A": {uuid[1]: {"insert": {"name": "innocent"}}}}]
        assert self.writer.transact("T", {"op": "delete", "table": "A", "where": [["_uuid", "==", uuid]]}) == [{"count": 1}]
        assert self.watcher.note(120)["params"] == ["w", {"A": {uuid[1]: {"delete": None}}}]

    def close(self):
        self.writer.close()
        self.watcher.close()


@pytest.fixture
def innocent(server):
    innocent = Innocent(server)
    yield innocent
    innocent.close()


def check_alive(server, client, fate):
    try:
        client.sock.settimeout(120)
        while client.recv() != {"id": "last", "result": [], "error": None}:
            pass
        alive = True
    except OSError:
        alive = False
    assert fate == EITHER or alive == (fate == STAYS)
    assert server.process.poll() is None, server.text()[-3000:]


def text(method, *params, id=1):
    return json.dumps({"method": method, "params": list(params), "id": id})


def transact(*ops):
    return text("transact", "T", *ops)


def insert(**row):
    return {"op": "insert", "table": "A", "row": row}


def arithmetic(column, start, mutator, value):
    return transact(insert(**{column: start}, name="hostile"),
                    {"op": "mutate", "table": "A", "where": [["name", "==", "hostile"]], "mutations": [[column, mutator, value]]}, {"op": "abort"})


def nested(n, opening="[", closing="]"):
    return '{"id":1,"method":"bogus","params":[%s%s]}' % (opening * n, closing * n)


def number(digits):
    return '{"id":1,"method":"transact","params":["T",{"op":"insert","table":"A","row":{"r":%s}},{"op":"abort"}]}' % digits


def string(literal):
    return b'{"id":1,"method":"transact","params":["T",{"op":"insert","table":"A","row":{"name":"%s"}},{"op":"abort"}]}' % literal


MONITORED = text("monitor_cond", "T", "m", {"A": {"columns": ["i"]}, "B": {"columns": ["k"]}})
PARKED = {"op": "wait", "table": "A", "where": [["i", "==", 77]], "columns": ["i"], "until": "==", "rows": [{"i": 77}]}

# What it is, the bytes, and what becomes of the connection.
ATTACKS = [
    ("monitor without parameters", text("monitor"), STAYS),
    ("monitor with one", text("monitor", "T"), STAYS),
    ("monitor with two", text("monitor", "T", "m"), STAYS),
    ("monitor_cond_since with three", text("monitor_cond_since", "T", "m", {}), STAYS),
    ("a change without where", MONITORED + text("monitor_cond_change", "m", "m", {"A": [{}]}), STAYS),
    ("a change that is no object", MONITORED + text("monitor_cond_change", "m", "m", {"A": [5]}), STAYS),
    ("a change of nothing", MONITORED + text("monitor_cond_change", "m", "m", {"A": []}), STAYS),
    ("half a change", MONITORED + text("monitor_cond_change", "m", "m", {"A": [{"where": [["i", "==", 1]]}], "B": [{"where": 5}]}), STAYS),
    ("a condition on a column that is not monitored", text("monitor_cond", "T", "m", {"A": {"columns": ["i"], "where": [["name", "==", "x"]]}}) +
     transact(insert(name="x"), {"op": "update", "table": "A", "where": [["name", "==", "x"]], "row": {"name": "y"}},
              {"op": "delete", "table": "A", "where": [["name", "==", "y"]]}), STAYS),
    ("a changed condition on one", MONITORED + text("monitor_cond_change", "m", "m", {"A": [{"where": [["name", "==", "x"]]}]}) +
     transact(insert(name="x")) + transact({"op": "delete", "table": "A", "where": [["name", "==", "x"]]}), STAYS),
    ("a monitor of no columns", text("monitor_cond", "T", "m", {"A": {"columns": []}}) + transact(insert(name="x")) +
     transact({"op": "delete", "table": "A", "where": [["name", "==", "x"]]}), STAYS),
    *[("%d %s %d" % (start, mutator, value), arithmetic("i", start, mutator, value), STAYS)
      for start in (MIN, -1, MAX) for mutator in ("+=", "-=", "*=", "/=", "%=") for value in (MIN, -1, 0, MAX)],
    ("a set multiplied by nothing", arithmetic("nums", ["set", [-3, 1, 2]], "*=", 0), STAYS),
    ("a real divided by nothing", arithmetic("r", 1, "/=", 0), STAYS),
    ("a real that overflows", arithmetic("r", 1e308, "*=", 1e308), STAYS),
    ("997 arrays", nested(997), STAYS),
    ("999 arrays", nested(999), DROPPED),
    ("100,000 arrays", nested(100000), DROPPED),
    ("100,000 objects", nested(100000, '{"a":', "}"), DROPPED),
    ("100,000 arrays that do not end", '{"id":1,"method":"echo","params":' + "[" * 100000, DROPPED),
    *[("number %.12s" % n, number(n), fate) for n, fate in [
        ("1e400", DROPPED), ("-1e400", DROPPED), ("1e-400", STAYS), ("5e-324", DROPPED), ("1e99999999999", DROPPED), ("1e-99999999999", EITHER),
        ("9" * 10000, DROPPED), ("0." + "1" * 10000, STAYS), ("1" + "0" * 10000 + "e-10000", EITHER), ("-9223372036854775809", STAYS), ("01", DROPPED), ("+1", DROPPED),
        ("1.", DROPPED), (".5", DROPPED), ("1e", DROPPED), ("0x10", DROPPED), ("NaN", DROPPED), ("Infinity", DROPPED), ("-", DROPPED)]],
    ("bytes that are no UTF-8", string(b"\xff\xfe\x80"), STAYS),
    ("half a character", string(b"\xe2\x82"), STAYS),
    ("a slash in three bytes", string(b"\xe0\x80\xaf"), STAYS),
    ("a lone high surrogate", string(b"\\ud800"), DROPPED),
    ("a high surrogate and something", string(b"\\ud800\\u0041"), DROPPED),
    ("a lone low surrogate", string(b"\\udc00"), STAYS),
    ("a NUL by name", string(b"\\u0000"), DROPPED),
    ("a NUL", string(b"a\0b"), DROPPED),
    ("a line end in a string", string(b"a\nb"), DROPPED),
    ("an unknown escape", string(b"\\x41"), DROPPED),
    ("a NUL between messages", b"\0" + text("list_dbs").encode(), DROPPED),
    ("a byte order mark", b"\xef\xbb\xbf" + text("list_dbs").encode(), DROPPED),
    ("an array", "[]", DROPPED), ("a string", '"x"', DROPPED), ("a number", "5 ", DROPPED), ("a word", "null ", DROPPED),
    ("an empty object", "{}", DROPPED),
    ("a stranger among the members", '{"jsonrpc":"2.0","id":1,"method":"list_dbs","params":[]}', DROPPED),
    ("a reply", '{"id":1,"result":{},"error":null}', DROPPED), ("an error", '{"id":1,"result":null,"error":"x"}', DROPPED),
    ("an echo's reply", '{"id":"echo","result":[],"error":null}', STAYS),
    ("parameters that are none", '{"id":1,"method":"list_dbs","params":{}}', DROPPED),
    ("a method that is none", '{"id":1,"method":5,"params":[]}', DROPPED),
    ("an id of any kind", '{"id":{"a":[1,{}]},"method":"list_dbs","params":[]}', STAYS),
    ("notifications", '{"id":null,"method":"transact","params":["T"]}{"id":null,"method":"cancel","params":[]}'
     '{"id":null,"method":"cancel","params":[5,[]]}{"id":null,"method":"bogus","params":[]}', STAYS),
    ("100,000 members of one name", '{"id":1,"method":"echo","params":[{%s"a":1}]}' % ('"a":0,' * 100000), STAYS),
    ("100,000 members", '{"id":1,"method":"echo","params":[{%s"a":1}]}' % "".join('"%d":0,' % i for i in range(100000)), STAYS),
    ("a set of a million", transact(insert(tags=["set", ["t%d" % i for i in range(10**6)]]), {"op": "abort"}), STAYS),
    ("a million of the same", transact(insert(tags=["set", ["t"] * 10**6])), STAYS),
    ("a map of 100,000", transact(insert(name="map", opts=["map", [["k%d" % i, "v"] for i in range(100000)]]),
                                  {"op": "mutate", "table": "A", "where": [["name", "==", "map"]],
                                   "mutations": [["opts", "delete", ["set", ["k%d" % i for i in range(0, 100000, 2)]]]]}, {"op": "abort"}), STAYS),
    ("20,000 operations", transact(*[{"op": "comment", "comment": "x"}] * 20000), STAYS),
    ("20,000 inserts, the last one wrong", transact(*[insert()] * 20000, insert(i="x")), STAYS),
    ("5,000 clauses", transact({"op": "select", "table": "A", "where": [["i", "!=", i] for i in range(5000)]}), STAYS),
    ("5,000 clauses of a monitor", text("monitor_cond", "T", "m", {"A": {"where": [["i", "==", i] for i in range(5000)]}}), STAYS),
    ("5,000 mutations", transact(insert(name="m"), {"op": "mutate", "table": "A", "where": [["name", "==", "m"]], "mutations": [["i", "+=", 1]] * 5000},
                                 {"op": "abort"}), STAYS),
    ("2,000 that wait", "".join(text("transact", "T", PARKED, id=i + 10) for i in range(2000)), EITHER),
    ("the same id twice", text("transact", "T", PARKED, id=5) + text("transact", "T", PARKED, id=5), STAYS),
    ("2,000 monitors", "".join(text("monitor", "T", i, {"A": {}}, id=i + 10) for i in range(2000)), EITHER),
    ("5,000 locks", "".join(text("lock", "l%d" % i, id=i + 10) for i in range(5000)), EITHER),
    ("steal, steal, unlock, unlock", text("steal", "x") + text("steal", "x") + text("unlock", "x") + text("unlock", "x"), STAYS),
    ("a schema of nothing", text("convert", "T", {"name": "T", "tables": {"A": {"columns": {}}}}) + text("convert", "T", {"name": "T", "tables": []}), STAYS),
    ("a schema that refers to itself in vain", text("convert", "T", {"name": "T", "tables": {"A": {"columns": {"a": {"type": {
        "key": {"type": "uuid", "refTable": "Z"}}}}}}}), STAYS),
    ("the server's own database", text("transact", "_Server", {"op": "delete", "table": "Database", "where": []}) +
     text("convert", "_Server", TEST_SCHEMA), STAYS),
    ("a wait for what cannot be", transact({"op": "wait", "table": "A", "where": [], "until": "==", "rows": [{"i": MIN}], "timeout": MIN}) +
     transact({"op": "wait", "table": "A", "where": [["_uuid", "==", ["uuid", ROW]]], "until": "==", "rows": [{"i": 1}], "timeout": 0}), STAYS),
    ("a row that refers to itself and goes", transact({"op": "insert", "table": "A", "uuid-name": "a", "row": {"weak": ["named-uuid", "a"], "name": "self"}}) +
     transact({"op": "delete", "table": "A", "where": [["name", "==", "self"]]}), STAYS),
    ("a name that stands for nothing", transact(insert(strong=["named-uuid", "nobody"])), STAYS),
    ("the same row twice", transact({"op": "insert", "table": "A", "uuid": ROW, "row": {}}, {"op": "insert", "table": "A", "uuid": ROW, "row": {}}), STAYS),
]


@pytest.mark.parametrize("what, attack, fate", ATTACKS, ids=[a[0] for a in ATTACKS])
def test_attack(server, innocent, what, attack, fate):
    client = server.connect()
    client.sock.settimeout(120)
    try:
        client.send(attack)
        client.send('{"id":"last","method":"transact","params":["T"]}')
    except OSError:
        assert fate != STAYS
    innocent.works()
    check_alive(server, client, fate)
    client.close()
    innocent.works()


def test_half_messages(server, innocent):
    """Cut anywhere, and the client goes or just stops."""
    message = transact(insert(name="héllo", tags=["set", ["a", "b"]]), {"op": "abort"}).encode()
    silent = []
    for i in range(1, len(message)):
        client = server.connect()
        client.send(message[:i])
        if i % 5:
            client.close()
        else:
            silent.append(client)
    innocent.works()
    for client in silent:
        client.close()


@pytest.mark.parametrize("seed", range(4))
def test_garbage(server, innocent, seed):
    """Valid messages with some bytes changed, one after the other without waiting; the client goes without reading."""
    r = random.Random(seed)
    messages = [a if isinstance(a, bytes) else a.encode() for _, a, _ in ATTACKS]
    messages = [m for m in messages if len(m) < 1000 and b"convert" not in m]
    for i in range(60):
        client = server.connect()
        stream = bytearray(b"".join(r.choice(messages) for _ in range(10)))
        for _ in range(r.choice([0, 1, 3])):
            stream[r.randrange(len(stream))] = r.randrange(256)
        try:
            client.send(bytes(stream))
        except OSError:
            pass
        client.close()
        if i % 20 == 0:
            innocent.works()
    client = server.connect()
    try:
        client.send(bytes(r.randrange(256) for _ in range(100000)))
    except OSError:
        pass
    client.close()
    innocent.works()
    innocent.writer.transact("T", {"op": "delete", "table": "A", "where": []})
