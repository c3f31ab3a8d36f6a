"""byre-dbd as its clients see it: over unix sockets and TCP, with plain JSON-RPC."""

import json
import os
import random
import socket
import subprocess
import threading
import time
import uuid

import pytest

import rpc
from rpc import Closed, wait_for


def insert(table="A", **row):
    return {"op": "insert", "table": table, "row": row}


def names(client, table="A"):
    rows = client.transact("T", {"op": "select", "table": table, "where": [], "columns": ["name"]})[0]["rows"]
    return sorted(row["name"] for row in rows)


def test_transact_and_update_before_reply(dbd):
    with dbd.connect() as c:
        assert c.result("monitor", "T", "m", {"A": {"columns": ["name", "i"]}}) == {}
        id = c.request("transact", "T", insert(name="x", i=5))
        update = c.recv()
        assert update["method"] == "update" and update["params"][0] == "m"
        (row,) = update["params"][1]["A"].values()
        assert row == {"new": {"name": "x", "i": 5}}
        reply = c.recv()
        assert reply["id"] == id and reply["error"] is None and reply["result"][0]["uuid"][0] == "uuid"
        assert names(c) == ["x"]


def test_updates_reach_other_clients_in_order(dbd):
    with dbd.connect() as watcher, dbd.connect() as writer:
        watcher.result("monitor_cond", "T", ["any", {"id": 1}], {"A": {"columns": ["i"]}})
        (uuid,) = [r["uuid"] for r in writer.transact("T", insert(i=0))]
        for i in range(1, 50):
            writer.transact("T", {"op": "update", "table": "A", "where": [["_uuid", "==", uuid]], "row": {"i": i}})
        seen = []
        while not seen or seen[-1] != 49:
            note = watcher.note()
            assert note["method"] == "update2" and note["params"][0] == ["any", {"id": 1}]
            change = note["params"][1]["A"][uuid[1]]
            seen.append(change.get("insert", change.get("modify")).get("i", 0))
        assert seen == list(range(50))


def test_pipelined_requests_are_answered_in_order(dbd):
    with dbd.connect() as c:
        ids = [c.request("transact", "T", insert(name="n%d" % i)) for i in range(200)]
        assert [c.recv()["id"] for _ in ids] == ids


def test_tcp_and_the_port_in_the_log(make_dbd):
    server = make_dbd(remotes=["ptcp:0:127.0.0.1"]).start()
    wait_for("the port", lambda: "listening on port" in server.text())
    port = int(server.text().split("listening on port ")[1].split()[0])
    with rpc.Rpc("tcp:127.0.0.1:%d" % port) as c:
        assert sorted(c.result("list_dbs")) == ["T", "_Server"]
        c.transact("T", insert(name="tcp"))
        assert c.result("echo", "a", 1) == ["a", 1]


def test_active_remote(make_dbd, state_dir):
    """--remote=unix:PATH: the server calls us, and calls again."""
    path = str(state_dir / "listen.sock")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(1)
    listener.settimeout(20)
    make_dbd(remotes=["unix:" + path]).start()
    for _ in range(2):
        peer, _ = listener.accept()
        peer.settimeout(20)
        peer.sendall(b'{"method":"list_dbs","params":[],"id":3}')
        assert json.loads(peer.recv(4096))["id"] == 3
        peer.close()


def test_self(dbd):
    with dbd.connect() as c:
        rows = c.transact("_Server", {"op": "select", "table": "Database", "where": []})[0]["rows"]
        by_name = {r["name"]: r for r in rows}
        assert sorted(by_name) == ["T", "_Server"]
        row = by_name["T"]
        assert (row["model"], row["connected"], row["leader"]) == ("standalone", True, True)
        assert row["cid"] == row["sid"] == row["index"] == ["set", []]
        assert json.loads(row["schema"]) == c.result("get_schema", "T")
        error = c.transact("_Server", {"op": "delete", "table": "Database", "where": []})[0]
        assert error["error"] == "not allowed"
        assert len(c.result("get_server_id")) == 36


def since(c, last, columns=("name",), name="m"):
    return c.result("monitor_cond_since", "T", name, {"A": {"columns": list(columns)}}, last)


def test_monitor_cond_since(dbd):
    zero = "00000000-0000-0000-0000-000000000000"
    with dbd.connect() as c, dbd.connect() as other:
        c.transact("T", insert(name="old"))
        found, first, updates = since(c, zero)
        assert not found and first != zero and [r["initial"] for r in updates["A"].values()] == [{"name": "old"}]
        assert since(other, first) == [True, first, {}], "nothing was missed"
        c.transact("T", insert(name="new"))
        note = c.note()
        assert note["method"] == "update3" and note["params"][1] not in (zero, first)
        assert [r["insert"] for r in note["params"][2]["A"].values()] == [{"name": "new"}]
        last = note["params"][1]
        assert c.result("monitor_cancel", "m") == {}
        found, now, updates = since(c, first)
        assert found and now == last and updates == note["params"][2], "what was missed comes as it came"
        assert not since(c, str(uuid.uuid4()), name="n")[0]


def test_history_survives_a_restart(dbd, program):
    zero = "00000000-0000-0000-0000-000000000000"
    with dbd.connect() as c:
        c.transact("T", insert(name="a"), insert(name="b"))
        c.transact("T", insert(name="c"))
        first = since(c, zero)[1]
        everything = since(c, zero, ("name", "_version"), "v")[1]
        c.transact("T", {"op": "update", "table": "A", "where": [["name", "==", "a"]], "row": {"name": "A"}},
                   {"op": "delete", "table": "A", "where": [["name", "==", "b"]]})
        c.transact("T", insert(name="d"), {"op": "delete", "table": "A", "where": [["name", "==", "c"]]})
        appctl(program, dbd, "ovsdb-server/compact")
        c.transact("T", insert(name="e"))
        last = since(c, first, name="now")[1]
    dbd.stop()
    dbd.start()
    with dbd.connect() as c:
        found, now, _ = since(c, last)
        assert found and now == last, "the state has its name still"
        assert not since(c, last, ("name", "_version"), "v")[0] and first == everything, "_version is another one now"
        c.transact("T", insert(name="f"))
        found, now, updates = since(c, last, name="n")
        assert found and sorted(r["insert"]["name"] for r in updates["A"].values()) == ["f"]
        assert not since(c, first, name="o")[0], "the snapshot hides how it came about"



def test_locks(dbd):
    with dbd.connect() as a, dbd.connect() as b, dbd.connect() as d:
        assert a.result("lock", "L") == {"locked": True}
        assert b.result("lock", "L") == {"locked": False}
        assert a.transact("T", {"op": "assert", "lock": "L"}) == [{}]
        assert b.transact("T", {"op": "assert", "lock": "L"})[0]["error"] == "not owner"
        assert d.result("steal", "L") == {"locked": True}
        assert a.note() == {"id": None, "method": "stolen", "params": ["L"]}
        assert d.result("unlock", "L") == {}
        assert a.note() == {"id": None, "method": "locked", "params": ["L"]}
        a.close()
        assert b.note() == {"id": None, "method": "locked", "params": ["L"]}


def test_locks_of_one_session_are_bounded(dbd):
    with dbd.connect() as a:
        for i in range(1000):
            a.result("lock", "L%d" % i)
        assert "1000 locks" in a.call("lock", "one_more")["error"]["details"]
        a.result("unlock", "L0")
        assert a.result("lock", "one_more") == {"locked": True}


def wait_op(timeout=None, **row):
    op = {"op": "wait", "table": "A", "where": [["name", "==", row["name"]]], "columns": ["name"], "until": "==", "rows": [row]}
    if timeout is not None:
        op["timeout"] = timeout
    return op


def test_wait(dbd):
    with dbd.connect() as c, dbd.connect() as writer:
        start = time.monotonic()
        error = c.transact("T", wait_op(300, name="never"))[0]
        assert error["error"] == "timed out" and 0.25 < time.monotonic() - start < 30
        assert c.transact("T", wait_op(0, name="never"))[0]["details"] == '"where" clause test failed'

        id = c.request("transact", "T", wait_op(name="there"), insert(name="after"))
        assert c.result("echo") == []  # Other requests go on.
        writer.transact("T", insert("B", k="unrelated"))
        assert c.quiet()
        writer.transact("T", insert(name="there"))
        assert c.reply(id)["result"][0] == {}
        assert names(c) == ["after", "there"]


def test_waits_wake_each_other(dbd):
    with dbd.connect() as c, dbd.connect() as writer:
        ids = [c.request("transact", "T", wait_op(name="n%d" % (i + 1)), insert(name="n%d" % i)) for i in range(20)]
        writer.transact("T", insert(name="n20"))
        replies = [c.recv()["id"] for _ in ids]
        assert sorted(replies) == ids
        assert len(names(c)) == 21


@pytest.mark.parametrize("id", ["w", 7, ["w", {"b": 1.5, "a": None}]])
def test_cancel_and_duplicate_ids(dbd, make_reference, id):
    refused = []
    for server in (dbd, make_reference().start()):
        with server.connect() as c:
            c.request("transact", "T", wait_op(name="never"), id=id)
            for params in ["transact", "T"], ["transact", "T", 5], ["convert", "T", 5], ["transact", 7]:
                refused.append(c.reply(c.request(*params, id=id)))
    assert refused[:4] == refused[4:]
    assert refused[2]["error"] == {"error": "syntax error", "details": "convert: duplicate request ID", "syntax": '["T",5]'}
    with dbd.connect() as c:
        c.result("set_db_change_aware", True)
        c.request("transact", "T", wait_op(name="never"), id=id)
        assert c.call("transact", "T")["result"] == []
        c.send({"id": None, "method": "cancel", "params": [id]})
        assert c.reply(id) == {"id": id, "error": "canceled"}
        assert c.transact("T") == []


def test_a_lock_lost_while_waiting(dbd, make_reference):
    """A transaction that asserted its lock before it waited hears of the loss with the next commit, whatever that changes."""
    for server in (dbd, make_reference().start()):
        with server.connect() as c, server.connect() as thief:
            c.result("lock", "lk")
            id = c.request("transact", "T", {"op": "assert", "lock": "lk"}, wait_op(name="never"), insert(name="x"))
            assert c.call("get_server_id")["error"] is None  # It waits.
            thief.result("steal", "lk")
            thief.transact("T", insert("U", a="else"))
            assert c.recv()["method"] == "stolen"
            assert c.reply(id)["result"] == [{"error": "not owner", "details": "Asserted lock lk not held."}, None, None]


def test_a_vanished_client_leaves_nothing_behind(dbd):
    with dbd.connect() as stays:
        for _ in range(30):
            c = dbd.connect()
            c.result("monitor", "T", 1, {"A": {}})
            c.request("lock", "L")
            c.request("transact", "T", wait_op(name="never"))
            c.reply(2)
            c.close()
        wait_for("locks", lambda: stays.call("lock", "L").get("result") == {"locked": True} or stays.call("unlock", "L") and False)
        stays.transact("T", insert(name="x"))


BROKEN = [
    b"[]", b"1 ", b'"x"', b"{", b"}", b'{"method":"echo"}', b'{"method":"echo","params":{},"id":1}', b'{"method":1,"params":[],"id":1}',
    b'{"jsonrpc":"2.0","method":"echo","params":[],"id":1}', b'{"result":1,"id":5}', b'{"id":1}', b"\x00", b"\xff\xfe", b'{"a":01}',
    b'{"method":"echo","params":[1e400],"id":1}', b'{"method":"echo","params":' + b"[" * 1001 + b"]" * 1001 + b',"id":1}',
]


@pytest.mark.parametrize("text", BROKEN, ids=[str(i) for i in range(len(BROKEN))])
def test_broken_messages_drop_the_connection_only(dbd, text):
    with dbd.connect() as other, dbd.connect() as c:
        c.send(text)
        if text == b"{":
            c.sock.shutdown(socket.SHUT_WR)
        with pytest.raises(Closed):
            while True:
                c.recv(10)
        assert other.result("echo", 1) == [1]


def test_garbage_never_hurts(dbd):
    r = random.Random(7)
    seeds = [json.dumps({"method": "transact", "params": ["T", insert(name="x", tags=["set", ["a", "b"]], opts=["map", [["k", "v"]]])], "id": 1}),
             json.dumps({"method": "monitor_cond", "params": ["T", "m", {"A": [{"columns": ["i"], "where": [["i", "==", 1]]}]}], "id": 2}),
             json.dumps({"method": "monitor_cond_change", "params": ["m", "m2", {"A": [{"where": [["i", ">", 1]]}]}], "id": 3})]
    with dbd.connect() as other:
        for _ in range(150):
            with dbd.connect() as c:
                c.sock.settimeout(5)
                try:
                    for text in seeds:
                        data = bytearray(text.encode())
                        for _ in range(r.randint(0, 3)):
                            data[r.randrange(len(data))] = r.choice(b'[]{}",:019.ex\\ tnu\x00\xff')
                        c.send(bytes(data))
                    c.sock.shutdown(socket.SHUT_WR)
                    while True:
                        c.recv()
                except (Closed, OSError, AssertionError, ValueError):
                    pass
        assert other.result("echo", 1) == [1]


def test_monitor_with_too_few_params_is_survived(dbd):
    """These crash ovsdb-server."""
    with dbd.connect() as c:
        for params in ([], ["T"], ["T", 1], ["T", None]):
            assert c.call("monitor", *params)["error"]
        c.result("monitor_cond", "T", "m", {"A": {"columns": ["i"], "where": [["name", "==", "x"]]}})
        assert c.result("monitor_cond_change", "m", "m", {"A": [{}]}) == {}
        c.transact("T", insert(i=-5), {"op": "mutate", "table": "A", "where": [], "mutations": [["i", "*=", 0]]})
        assert c.note()["method"] == "update2"


def test_large_replies_over_tcp(make_dbd):
    """All at once into the socket's buffer: the client was paused for it, and must be heard again."""
    server = make_dbd(remotes=["ptcp:0:127.0.0.1"]).start()
    wait_for("the port", lambda: "listening on port" in server.text())
    port = int(server.text().split("listening on port ")[1].split()[0])
    with rpc.Rpc("tcp:127.0.0.1:%d" % port) as c:
        c.transact("T", insert(tags=["set", ["%d-%s" % (i, "y" * 1000) for i in range(1500)]]))
        select = {"op": "select", "table": "A", "where": [], "columns": ["tags"]}
        for id in [c.request("transact", "T", select) for _ in range(4)]:
            assert len(c.reply(id)["result"][0]["rows"][0]["tags"][1]) == 1500


def test_many_clients_write(dbd):
    def work(n, failures):
        try:
            with dbd.connect() as c:
                for i in range(40):
                    c.transact("T", insert(name="c%d-%d" % (n, i)))
        except Exception as e:  # Shown by the main thread.
            failures.append(e)

    failures = []
    threads = [threading.Thread(target=work, args=(n, failures)) for n in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    with dbd.connect() as c:
        assert len(names(c)) == 400


def test_runtime_databases(dbd, make_dbd, program, state_dir):
    """add-db, remove-db: aware clients are told, others have to come again."""
    from conftest import make_db

    schema = {"name": "Other", "tables": {"X": {"columns": {"a": {"type": "string"}}}}}
    db = make_db(program("byre-dbtool"), state_dir / "other.db", schema)
    with dbd.connect() as aware, dbd.connect() as unaware:
        aware.result("set_db_change_aware", True)
        unaware.result("echo")
        aware.result("monitor", "_Server", "s", {"Database": {"columns": ["name"]}})
        appctl(program, dbd, "ovsdb-server/add-db", str(db))
        assert [r["new"] for r in aware.note()["params"][1]["Database"].values()] == [{"name": "Other"}]
        with pytest.raises(Closed):
            unaware.recv(10)
        aware.result("monitor", "Other", "o", {"X": {}})
        waiting = aware.request("transact", "Other", {"op": "wait", "table": "X", "where": [], "columns": ["a"], "until": "==", "rows": [{"a": "z"}]})
        assert aware.result("echo") == []
        appctl(program, dbd, "ovsdb-server/remove-db", "Other")
        assert aware.recv() == {"id": None, "method": "monitor_canceled", "params": ["o"]}
        assert aware.recv() == {"id": waiting, "error": "canceled"}
        assert aware.recv()["params"][1]["Database"]
        assert aware.call("get_schema", "Other")["error"]["error"] == "unknown database"
        assert aware.result("list_dbs").count("T") == 1


def appctl(program, server, *args, ok=True):
    run = subprocess.run([program("ovs-appctl"), "-t", str(server.ctl), *args], capture_output=True, text=True, timeout=30)
    assert (run.returncode == 0) == ok, run.stderr
    return run.stdout if ok else run.stderr


def test_appctl(dbd, program):
    assert "byre-dbd" in appctl(program, dbd, "version")
    assert "ovsdb-server/compact" in appctl(program, dbd, "list-commands")
    assert appctl(program, dbd, "ovsdb-server/list-dbs") == "T\n_Server\n"
    assert appctl(program, dbd, "ovsdb-server/list-remotes") == "punix:%s\n" % dbd.sock
    assert appctl(program, dbd, "ovsdb-server/sync-status") == "state: active\n"
    assert "sessions:0" in appctl(program, dbd, "memory/show")
    assert appctl(program, dbd, "vlog/set", "file:dbg", "jsonrpc:console:off") == ""
    assert "not configured" in appctl(program, dbd, "vlog/reopen", ok=False)  # It has no log file.
    assert "is not a valid command" in appctl(program, dbd, "bogus", ok=False)
    assert "takes at most 0 arguments" in appctl(program, dbd, "version", "x", ok=False)
    assert "no database by that name" in appctl(program, dbd, "ovsdb-server/compact", "nope", ok=False)
    assert "no such remote" in appctl(program, dbd, "ovsdb-server/remove-remote", "punix:/x", ok=False)
    second = dbd.dir / "second.sock"
    appctl(program, dbd, "ovsdb-server/add-remote", "punix:%s" % second)
    rpc.Rpc("unix:%s" % second).close()
    appctl(program, dbd, "ovsdb-server/remove-remote", "punix:%s" % second)
    assert not second.exists()
    appctl(program, dbd, "exit")
    assert dbd.process.wait(20) == 0
    assert not dbd.sock.exists() and not dbd.ctl.exists()


def test_socket_modes(dbd):
    assert os.stat(dbd.sock).st_mode & 0o777 == 0o660
    assert os.stat(dbd.ctl).st_mode & 0o777 == 0o600


def test_detach_pidfile_and_log(make_dbd, program, state_dir):
    server = make_dbd(args=["--detach", "--no-chdir", "--pidfile=%s/dbd.pid" % state_dir, "--log-file=%s/dbd.log" % state_dir,
                            "-vconsole:off", "-vsyslog:off", "-vjsonrpc:file:dbg"])
    server.start(wait=False)
    assert server.process.wait(20) == 0
    with server.connect() as c:  # It listens once the parent has returned.
        c.transact("T", insert(name="x"))
    pid = int((state_dir / "dbd.pid").read_text())
    run = subprocess.run(server.argv, capture_output=True, text=True)
    assert run.returncode == 1 and str(pid) in run.stderr
    appctl(program, server, "exit")
    wait_for("the end", lambda: not rpc.alive(pid))
    assert not (state_dir / "dbd.pid").exists() and not server.sock.exists()
    lines = (state_dir / "dbd.log").read_text().splitlines()
    assert all(len(line.split("|")) >= 5 for line in lines)
    assert not any("|WARN|" in line or "|ERR|" in line or "|EMER|" in line for line in lines)


@pytest.mark.parametrize("name", ["byre-dbd", "ovsdb-server"])
def test_found_by_name(make_dbd, program, state_dir, name):
    """As ovs-appctl -t NAME does it: the pid file, its lock, and the control socket beside it."""
    link = state_dir / name
    link.symlink_to(program("byre-dbd"))
    server = make_dbd(args=["--pidfile"])
    server.argv = [str(link)] + [a for a in server.argv[1:] if not a.startswith("--unixctl")]
    server.start()
    env = dict(os.environ, OVS_RUNDIR=str(state_dir))
    run = subprocess.run([program("ovs-appctl"), "-t", name, "ovsdb-server/list-dbs"], env=env, capture_output=True, text=True, timeout=30)
    assert run.stdout == "T\n_Server\n", run.stderr
    subprocess.run([program("ovs-appctl"), "-t", name, "exit"], env=env, check=True, timeout=30)
    assert server.process.wait(20) == 0
    assert sorted(p.name for p in state_dir.iterdir() if p.suffix in (".pid", ".ctl", ".sock")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_user(make_dbd, state_dir):
    import pwd

    nobody = pwd.getpwnam("nobody")
    server = make_dbd(args=["--user=nobody:", "--pidfile=%s/dbd.pid" % state_dir])
    for path in (state_dir, *state_dir.iterdir()):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    server.start()
    status = dict(line.split(":", 1) for line in open("/proc/%d/status" % server.pid))
    assert set(status["Uid"].split()) == {str(nobody.pw_uid)} and set(status["Gid"].split()) == {str(nobody.pw_gid)}
    assert "0" not in status["Groups"].split()
    with server.connect() as c:
        assert "uuid" in c.transact("T", insert(name="x"))[0]
    for user in ("no-such-user", "nobody:no-such-group"):
        run = subprocess.run([*server.argv, "--pidfile=%s/second.pid" % state_dir, "--user=" + user], capture_output=True, text=True, timeout=20)
        assert run.returncode == 1 and "there is no" in run.stderr


@pytest.mark.parametrize("command, status", [("true", 0), ("exit 3", 1)])
def test_run(make_dbd, command, status):
    server = make_dbd(args=["--run=" + command])
    server.start(wait=False)
    assert server.process.wait(20) == status
    server.process = None


def test_run_sees_the_server(make_dbd, program):
    server = make_dbd()
    server.argv.insert(1, "--run=%s list-dbs unix:%s > %s/out" % (program("ovsdb-client"), server.sock, server.dir))
    server.start(wait=False)
    assert server.process.wait(20) == 0
    assert (server.dir / "out").read_text().split() == ["T", "_Server"]
    server.process = None


BAD_STARTS = [
    (["--remote=bogus:1"], ["bogus"]),
    (["--remote=punix:/nonexistent/dir/x.sock"], ["/nonexistent"]),
    (["--bogus"], ["--help"]),
    (["/nonexistent/file.db"], ["/nonexistent/file.db", "byre-dbtool create"]),
]


@pytest.mark.parametrize("args, words", BAD_STARTS)
def test_bad_start(make_dbd, args, words):
    server = make_dbd(args=args)
    run = subprocess.run(server.argv, capture_output=True, text=True, timeout=20)
    assert run.returncode == 1
    for word in words:
        assert word in run.stderr


def test_second_server_on_one_file(dbd, make_dbd):
    second = make_dbd(db=dbd.db, name="second")
    run = subprocess.run(second.argv, capture_output=True, text=True, timeout=20)
    assert run.returncode == 1 and "lock" in run.stderr and str(dbd.pid) in run.stderr or "held" in run.stderr


def test_convert(dbd, program):
    new = json.loads(json.dumps(__import__("conftest").TEST_SCHEMA))
    new["version"] = "2.0.0"
    del new["tables"]["U"]
    new["tables"]["A"]["columns"]["added"] = {"type": "string"}
    with dbd.connect() as aware, dbd.connect() as unaware, dbd.connect() as caller:
        for c in (aware, caller):
            c.result("set_db_change_aware", True)
        aware.result("monitor", "T", "m", {"A": {"columns": ["name"]}})
        aware.result("monitor", "_Server", "s", {"Database": {"columns": ["schema"]}})
        unaware.transact("T", insert(name="kept"), insert("U", a="gone"))
        aware.note()
        assert caller.call("convert", "T", dict(new, name="Z"))["error"]["error"] == "invalid parameters"
        assert caller.call("convert", "T", {"name": "T"})["error"]["error"] == "syntax error"
        assert caller.call("convert", "T")["error"]["details"] == "array expected"
        assert caller.result("convert", "T", new) == {}
        assert aware.note() == {"id": None, "method": "monitor_canceled", "params": ["m"]}
        (row,) = aware.note()["params"][1]["Database"].values()
        assert json.loads(row["new"]["schema"])["version"] == "2.0.0"
        with pytest.raises(Closed):
            unaware.recv(10)
        rows = caller.transact("T", {"op": "select", "table": "A", "where": [], "columns": ["name", "added"]})[0]["rows"]
        assert rows == [{"name": "kept", "added": ""}]
        assert "No table named U" in caller.transact("T", insert("U"))[0]["details"]
        caller.transact("T", insert(name="after", added="x"))
    dbd.kill()
    dbd.start()
    with dbd.connect() as c:
        assert names(c) == ["after", "kept"]
        assert c.result("get_schema", "T")["version"] == "2.0.0"
