"""Remotes that rows tell (--remote=db:...): they come and go with the rows, obey them, and report their status there;
beside ovsdb-server, which does the same."""

import json
import socket
import subprocess
import time

import pytest

import rpc
from rpc import Closed, wait_for
from test_dbserver import appctl

# The tables of Open vSwitch's local-config, and a column of plain strings.
MAP = {"key": "string", "value": "string", "min": 0, "max": "unlimited"}
OPTIONAL = lambda kind: {"key": kind, "min": 0, "max": 1}
SCHEMA = {
    "name": "Local_Config", "version": "1.0.0",
    "tables": {
        "Config": {"columns": {"connections": {"type": {"key": {"type": "uuid", "refTable": "Connection"}, "min": 0, "max": "unlimited"}},
                               "plain": {"type": {"key": "string", "min": 0, "max": "unlimited"}}}, "isRoot": True, "maxRows": 1},
        "Connection": {"columns": {"target": {"type": "string"}, "max_backoff": {"type": OPTIONAL({"type": "integer", "minInteger": 1000})},
                                   "inactivity_probe": {"type": OPTIONAL("integer")}, "read_only": {"type": OPTIONAL("boolean")},
                                   "role": {"type": "string"}, "other_config": {"type": MAP}, "external_ids": {"type": MAP},
                                   "is_connected": {"type": "boolean", "ephemeral": True}, "status": {"type": MAP, "ephemeral": True}},
                       "indexes": [["target"]]},
        "Note": {"columns": {"text": {"type": "string"}}, "isRoot": True},
    },
}
SOURCE = "db:Local_Config,Config,connections"


@pytest.fixture(params=["byre-dbd", "ovsdb-server"])
def server(request, make_dbd, make_reference):
    if request.param == "byre-dbd":
        server = make_dbd(schema=SCHEMA)
    else:
        server = make_reference(schema=SCHEMA)
        server.ctl = server.dir / "ctl"
    server.argv.insert(1, "--remote=" + SOURCE)
    return server.start()


def configure(c, *rows):
    """Makes these rows the connections; returns their UUIDs."""
    ops = [{"op": "delete", "table": "Config", "where": []}]
    ops += [{"op": "insert", "table": "Connection", "row": row, "uuid-name": "r%d" % i} for i, row in enumerate(rows)]
    refs = ["set", [["named-uuid", "r%d" % i] for i in range(len(rows))]]
    results = c.transact("Local_Config", *ops, {"op": "insert", "table": "Config", "row": {"connections": refs}})
    assert len(results) == len(ops) + 1 and not any("error" in r for r in results), results
    return [r["uuid"] for r in results[1:-1]]


def row_of(c, uuid):
    return c.transact("Local_Config", {"op": "select", "table": "Connection", "where": [["_uuid", "==", uuid]]})[0]["rows"][0]


def status_of(c, uuid):
    return dict(row_of(c, uuid)["status"][1])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def reachable(remote):
    try:
        rpc.Rpc(remote).close()
        return True
    except OSError:
        return False


def test_rows_come_and_go(server):
    a, b = ("tcp:127.0.0.1:%d" % free_port() for _ in range(2))
    passive = lambda remote: {"target": "ptcp:%s:127.0.0.1" % remote.rpartition(":")[2]}
    with server.connect() as c:
        configure(c, passive(a))
        wait_for("the first", lambda: reachable(a))
        client = rpc.Rpc(a)
        client.result("echo")
        configure(c, passive(b))
        wait_for("the second", lambda: reachable(b))
        wait_for("the end of the first", lambda: not reachable(a))
        with pytest.raises(Closed):
            client.recv(10)
        configure(c)
        wait_for("the end of the second", lambda: not reachable(b))


def test_status(server):
    with server.connect() as c:
        (uuid,) = configure(c, {"target": "ptcp:0:127.0.0.1"})
        wait_for("the port", lambda: "bound_port" in status_of(c, uuid))
        assert row_of(c, uuid)["is_connected"] is False
        status = status_of(c, uuid)
        port = status.pop("bound_port")
        assert status == {"sec_since_connect": "0", "sec_since_disconnect": "0"}
        one, two = (rpc.Rpc("tcp:127.0.0.1:" + port) for _ in range(2))
        for client, result in ((one, {"locked": True}), (two, {"locked": False})):
            assert client.result("lock", "boss") == result
        wait_for("two clients", lambda: status_of(c, uuid).get("n_connections") == "2")
        assert status_of(c, uuid) == {"sec_since_connect": "0", "sec_since_disconnect": "0", "n_connections": "2", "bound_port": port}
        assert row_of(c, uuid)["is_connected"] is True
        one.close(), two.close()
        wait_for("their end", lambda: row_of(c, uuid)["is_connected"] is False)


def test_status_of_an_active_remote(server, state_dir):
    path = state_dir / "listen.sock"
    with server.connect() as c, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        (uuid,) = configure(c, {"target": "unix:%s" % path, "max_backoff": 1000})
        wait_for("a failure", lambda: status_of(c, uuid).get("state") == "BACKOFF")
        assert not row_of(c, uuid)["is_connected"]
        if "byre" in server.argv[0]:  # The other one says so in its log only.
            assert status_of(c, uuid)["last_error"] == "No such file or directory"
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(20)
        peer, _ = listener.accept()
        wait_for("the connection", lambda: row_of(c, uuid)["is_connected"])
        peer.sendall(b'{"method":"lock","params":["boss"],"id":1}')
        wait_for("the lock", lambda: status_of(c, uuid).get("locks_held") == "boss")
        assert status_of(c, uuid)["state"] == "ACTIVE" and int(status_of(c, uuid)["sec_since_connect"]) < 20
        peer.close()
        wait_for("the break", lambda: "sec_since_disconnect" in status_of(c, uuid))


def test_read_only(server, state_dir):
    with server.connect() as c:
        configure(c, {"target": "punix:%s/ro" % state_dir, "read_only": True})
        wait_for("the socket", lambda: reachable("unix:%s/ro" % state_dir))
        with rpc.Rpc("unix:%s/ro" % state_dir) as ro:
            note = {"op": "insert", "table": "Note", "row": {"text": "x"}}
            assert ro.transact("Local_Config", note) == [{
                "error": "not allowed", "details": "insert operation not allowed when database server is in read only mode"}]
            for method in ("lock", "steal", "unlock"):
                assert ro.call(method, "L")["error"] == "lock and unlock methods not allowed, DB server is read only."
            if "byre" in server.argv[0]:  # 3.1 converts.
                assert ro.call("convert", "Local_Config", SCHEMA)["error"]["error"] == "not allowed"
            assert "rows" in ro.transact("Local_Config", {"op": "select", "table": "Note", "where": []})[0]
            configure(c, {"target": "punix:%s/ro" % state_dir, "read_only": False})
            if "byre" in server.argv[0]:  # 3.1 obeys for new connections only.
                wait_for("a write", lambda: "uuid" in ro.transact("Local_Config", note)[0])


def test_inactivity_probe(server):
    port = free_port()
    with server.connect() as c:
        configure(c, {"target": "ptcp:%d:127.0.0.1" % port, "inactivity_probe": 1000})
        remote = "tcp:127.0.0.1:%d" % port
        wait_for("the socket", lambda: reachable(remote))
        with rpc.Rpc(remote) as silent:
            start = time.monotonic()
            assert silent.recv(10) == {"id": "echo", "method": "echo", "params": []}
            with pytest.raises(Closed):
                silent.recv(10)
            assert 1.5 < time.monotonic() - start < 20
        with rpc.Rpc(remote) as alive:
            for _ in range(3):
                probe = alive.recv(10)
                alive.send({"id": probe["id"], "result": [], "error": None})
            assert alive.result("echo", 1) == [1]


def test_a_changed_role_cuts_off(server, state_dir):
    """Else it would go on with the rights that it had."""
    if "byre" not in server.argv[0]:
        pytest.skip("later than 3.1")
    with server.connect() as c:
        configure(c, {"target": "punix:%s/s" % state_dir})
        wait_for("the socket", lambda: reachable("unix:%s/s" % state_dir))
        with rpc.Rpc("unix:%s/s" % state_dir) as client:
            client.result("echo")
            configure(c, {"target": "punix:%s/s" % state_dir, "role": "r"})
            with pytest.raises(Closed):
                client.recv(10)
        wait_for("the socket", lambda: reachable("unix:%s/s" % state_dir))
        with rpc.Rpc("unix:%s/s" % state_dir) as client:
            error = client.call("convert", "Local_Config", SCHEMA)["error"]
            assert error["error"] == "permission error" and "only the root role may convert databases" in error["details"]


def test_strings_and_appctl(server, program, state_dir):
    plain = "db:Local_Config,Config,plain"
    with server.connect() as c:
        c.transact("Local_Config", {"op": "insert", "table": "Config", "row": {"plain": ["set", ["punix:%s/p" % state_dir, "bogus"]]}})
        assert not reachable("unix:%s/p" % state_dir)
        appctl(program, server, "ovsdb-server/add-remote", plain)
        wait_for("the socket", lambda: reachable("unix:%s/p" % state_dir))
        listed = appctl(program, server, "ovsdb-server/list-remotes").split()
        assert listed == [plain, SOURCE, "punix:%s" % server.sock] or sorted(listed) == sorted([plain, SOURCE, "punix:%s" % server.sock])
        appctl(program, server, "ovsdb-server/remove-remote", plain)
        wait_for("its end", lambda: not reachable("unix:%s/p" % state_dir))


@pytest.mark.parametrize("remote", ["db:x,Config,plain", "db:Local_Config,x,plain", "db:Local_Config,Config,x", "db:Local_Config"])
def test_what_is_not_there(make_dbd, make_reference, program, remote):
    texts = []
    for server in (make_dbd(schema=SCHEMA), make_reference(schema=SCHEMA)):
        server.ctl = server.dir / (server.ctl.name if hasattr(server, "ctl") else "ctl")
        server.start()
        text = appctl(program, server, "ovsdb-server/add-remote", remote, ok=False)
        texts.append([line for line in text.splitlines() if remote in line][:1])
    assert texts[0] == texts[1] and texts[0]


def test_local_config_beside_another_database(make_dbd, program, state_dir):
    """The way clusters use it: addresses in a file of each server's own."""
    from conftest import make_db

    local = make_db(program("byre-dbtool"), state_dir / "local.db", SCHEMA)
    server = make_dbd(args=["--remote=" + SOURCE, str(local)]).start()
    with server.connect() as c:
        configure(c, {"target": "punix:%s/other" % state_dir})
        wait_for("the socket", lambda: reachable("unix:%s/other" % state_dir))
    server.stop()
    server.start()
    with rpc.Rpc("unix:%s/other" % state_dir) as c:
        assert sorted(c.result("list_dbs")) == ["Local_Config", "T", "_Server"]


def test_status_is_not_written_to_the_file(make_dbd, program):
    server = make_dbd(schema=SCHEMA)
    server.argv.insert(1, "--remote=" + SOURCE)
    server.start()
    with server.connect() as c:
        (uuid,) = configure(c, {"target": "ptcp:0:127.0.0.1"})
        size = server.db.stat().st_size
        wait_for("the status", lambda: status_of(c, uuid))
        assert server.db.stat().st_size == size  # The columns are ephemeral.
