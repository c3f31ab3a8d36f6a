"""TLS: ssl: and pssl: remotes of byre-dbd with certificates made here, spoken to by ovsdb-client and by Python's ssl; and
what a role and the name in a certificate allow, compared with ovsdb-server."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

import rpc
from rpc import Closed, wait_for
from test_db_relay import ZERO, connected, make_relay, row_of, values  # noqa: F401 (make_relay is a fixture)
from test_db_remotes import free_port, reachable
from test_dbserver import insert, names

if not shutil.which("openssl"):
    pytest.skip("openssl is not installed", allow_module_level=True)


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, timeout=60)


def make_ca(directory, name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=" + name,
            "-keyout", directory / (name + ".key"), "-out", directory / (name + ".pem"))


def make_cert(directory, ca, name):
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/O=Byre/CN=" + name,
            "-keyout", directory / (name + ".key"), "-out", directory / (name + ".csr"))
    openssl("x509", "-req", "-days", "2", "-in", directory / (name + ".csr"), "-CA", directory / (ca + ".pem"),
            "-CAkey", directory / (ca + ".key"), "-CAcreateserial", "-out", directory / (name + ".pem"))


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A directory with a CA, certificates for a server and two clients, and a client of another CA."""
    directory = tmp_path_factory.mktemp("pki")
    make_ca(directory, "ca")
    make_ca(directory, "otherca")
    for ca, name in (("ca", "server"), ("ca", "alice"), ("ca", "bob"), ("otherca", "stranger")):
        make_cert(directory, ca, name)
    return directory


def keys(pki, name="server", ca="ca"):
    return ["--private-key=%s/%s.key" % (pki, name), "--certificate=%s/%s.pem" % (pki, name), "--ca-cert=%s/%s.pem" % (pki, ca)]


def client(pki, port, name="alice", ca="ca", version=None):
    """A connection with that certificate (None: without one)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(pki / (ca + ".pem"))
    if name:
        context.load_cert_chain(pki / (name + ".pem"), pki / (name + ".key"))
    if version:
        context.minimum_version = context.maximum_version = version
    c = rpc.Rpc("tcp:127.0.0.1:%d" % port)
    try:
        c.sock = context.wrap_socket(c.sock)
    except BaseException:
        c.close()
        raise
    return c


@pytest.fixture
def tls_dbd(make_dbd, pki):
    server = make_dbd(args=keys(pki))
    server.port = free_port()
    server.argv.insert(1, "--remote=pssl:%d:127.0.0.1" % server.port)
    return server.start()


def refused(pki, server, **kwargs):
    """The other side ends it in the handshake, or right behind it (TLS 1.3)."""
    try:
        with client(pki, server.port, **kwargs) as c:
            c.call("echo")
    except (Closed, OSError):
        return True
    return False


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_and_updates(tls_dbd, pki, version):
    with client(pki, tls_dbd.port, version=version) as c, tls_dbd.connect() as local:
        assert sorted(c.result("list_dbs")) == ["T", "_Server"]
        c.result("monitor", "T", 1, {"A": {"columns": ["name"]}})
        local.transact("T", insert(name="x"))
        assert [r["new"] for r in c.note()["params"][1]["A"].values()] == [{"name": "x"}]


def test_much_in_both_directions(tls_dbd, pki):
    """More than a socket takes at once, and records of all sizes."""
    with client(pki, tls_dbd.port) as c:
        tags = ["%d-%s" % (i, "y" * 1000) for i in range(1500)]
        c.transact("T", insert(name="big", tags=["set", tags]))
        ids = [c.request("transact", "T", {"op": "select", "table": "A", "where": [], "columns": ["tags"]}) for _ in range(5)]
        for id in ids:
            assert sorted(c.reply(id)["result"][0]["rows"][0]["tags"][1]) == sorted(tags)
        for n in (1, 16383, 16384, 16385, 70000):
            assert c.result("echo", "z" * n) == ["z" * n]


def test_the_log_names_the_client(tls_dbd, pki, program):
    with client(pki, tls_dbd.port) as c:
        c.transact("T", insert(name="x"))
    tls_dbd.stop()
    log = subprocess.run([program("byre-dbtool"), "show-log", str(tls_dbd.db)], capture_output=True, text=True)
    assert 'by ssl:127.0.0.1:' in log.stdout and ' id \\"alice\\""' in log.stdout, log.stdout


def test_who_is_not_believed(tls_dbd, pki):
    assert refused(pki, tls_dbd, name=None)
    assert refused(pki, tls_dbd, name="stranger")
    with pytest.raises(ssl.SSLError):
        client(pki, tls_dbd.port, ca="otherca")
    plain = rpc.Rpc("tcp:127.0.0.1:%d" % tls_dbd.port)
    plain.send({"method": "echo", "params": [], "id": 1})
    with pytest.raises(Exception):  # A TLS alert, or the end.
        plain.recv(10)
    silent = socket.create_connection(("127.0.0.1", tls_dbd.port))
    with client(pki, tls_dbd.port) as c:  # Nobody waits for the silent one.
        assert c.result("echo", 1) == [1]
    silent.close()


def test_protocols(make_dbd, pki):
    server = make_dbd(args=[*keys(pki), "--ssl-protocols=TLSv1.3", "--ssl-ciphers=HIGH"])
    server.port = free_port()
    server.argv.insert(1, "--remote=pssl:%d:127.0.0.1" % server.port)
    server.start()
    assert refused(pki, server, version=ssl.TLSVersion.TLSv1_2)
    assert not refused(pki, server, version=ssl.TLSVersion.TLSv1_3)


def test_ovsdb_client(tls_dbd, pki, program):
    remote = "ssl:127.0.0.1:%d" % tls_dbd.port
    run = lambda *args: subprocess.run([program("ovsdb-client"), *keys(pki, "alice"), *args], capture_output=True, text=True, timeout=60)
    done = run("list-dbs", remote)
    assert done.stdout.split() == ["T", "_Server"], done.stderr
    assert '"uuid"' in run("transact", remote, json.dumps(["T", insert(name="over tls")])).stdout
    assert "over tls" in run("dump", remote, "T", "A", "name").stdout


def test_bootstrap_by_ovsdb_client(make_dbd, pki, program, state_dir):
    """--peer-ca-cert: a client without the CA's certificate gets it."""
    server = make_dbd(args=[*keys(pki), "--peer-ca-cert=%s/ca.pem" % pki])
    port = free_port()
    server.argv.insert(1, "--remote=pssl:%d:127.0.0.1" % port)
    server.start()
    learnt = state_dir / "learnt.pem"
    args = [program("ovsdb-client"), *keys(pki, "alice")[:2], "--bootstrap-ca-cert=%s" % learnt, "list-dbs", "ssl:127.0.0.1:%d" % port]
    for _ in range(2):  # The first connection only learns.
        done = subprocess.run(args, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["T", "_Server"], done.stderr
    assert learnt.read_text().strip() in (pki / "ca.pem").read_text()


def over_tls(server, pki, name="server", ca="ca"):
    """Makes a server that is not started yet listen with a certificate; 'remote' is then that."""
    port = free_port()
    server.argv[1:1] = ["--remote=pssl:%d:127.0.0.1" % port, *keys(pki, name, ca)]
    server.tls = "ssl:127.0.0.1:%d" % port
    return server


@pytest.mark.parametrize("first", ["byre", "reference"])
def test_three_tiers_of_relays(make_dbd, make_reference, make_relay, pki, first):  # noqa: F811
    """Each tier knows the one above by its certificate only."""
    top = over_tls((make_dbd if first == "byre" else make_reference)(name="top"), pki).start()
    tiers = [top]
    for name in "abc":
        relay = over_tls(make_relay(name, tiers[-1].tls, start=False), pki)
        tiers.append(connected(relay.start()))
    with tiers[3].connect() as low, top.connect() as high:
        low.result("monitor_cond_since", "T", "m", {"A": {"columns": ["name", "i"]}}, ZERO)
        id = low.request("transact", "T", insert(name="from below", i=1))
        assert values(low.recv()) == [1] and low.recv()["id"] == id
        tags = ["%d-%s" % (i, "y" * 1000) for i in range(200)]  # More than a record of TLS.
        low.transact("T", insert(name="much", i=2, tags=["set", tags]))
        assert values(low.note()) == [2]
        assert sorted(high.transact("T", {"op": "select", "table": "A", "where": [["i", "==", 2]], "columns": ["tags"]})[0]["rows"][0]["tags"][1]) == sorted(tags)
        tiers[1].kill()
        high.transact("T", insert(name="meanwhile", i=3))
        tiers[1].start()
        assert values(low.note(60)) == [3]


def test_a_relay_believes_its_ca_only(make_dbd, make_relay, pki):  # noqa: F811
    top = over_tls(make_dbd(name="top"), pki).start()
    relay = make_relay("r", top.tls, args=(*keys(pki, "stranger", "otherca"), "-vconsole:info"), start=False).start()
    wait_for("the refusal", lambda: "certificate" in relay.text(), 60)
    assert row_of(relay)["connected"] is False


class TlsListener:
    """What byre-dbd calls with --remote=ssl:..."""

    def __init__(self, pki, name="server", chain=False):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certs = pki / (name + ".pem")
        if chain:
            certs = pki / "chain.pem"
            certs.write_text((pki / (name + ".pem")).read_text() + (pki / "ca.pem").read_text())
        self.context.load_cert_chain(certs, pki / (name + ".key"))
        self.context.load_verify_locations(pki / "ca.pem")
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.settimeout(30)
        self.remote = "ssl:127.0.0.1:%d" % self.sock.getsockname()[1]

    def accept(self):
        plain, _ = self.sock.accept()
        plain.settimeout(20)
        return self.context.wrap_socket(plain, server_side=True)


def ask(peer):
    peer.sendall(b'{"method":"list_dbs","params":[],"id":3}')
    return json.loads(peer.recv(4096))["id"]


def test_active_remote(make_dbd, pki):
    listener = TlsListener(pki)
    make_dbd(remotes=[listener.remote], args=keys(pki, "alice")).start()
    for _ in range(2):
        with listener.accept() as peer:
            assert dict(x[0] for x in peer.getpeercert()["subject"])["commonName"] == "alice"
            assert ask(peer) == 3


def test_an_active_remote_believes_its_ca_only(make_dbd, pki):
    listener = TlsListener(pki, "stranger")
    server = make_dbd(remotes=[listener.remote], args=keys(pki, "alice")).start()
    with pytest.raises((ssl.SSLError, OSError)):
        with listener.accept() as peer:
            ask(peer)
    wait_for("the log", lambda: "certificate" in server.text())


def test_bootstrap_by_an_active_remote(make_dbd, pki, state_dir):
    listener = TlsListener(pki, chain=True)
    learnt = state_dir / "learnt.pem"
    make_dbd(remotes=[listener.remote], args=[*keys(pki, "alice")[:2], "--bootstrap-ca-cert=%s" % learnt]).start()
    try:
        listener.accept().close()  # It learns and hangs up.
    except OSError:
        pass
    with listener.accept() as peer:
        assert ask(peer) == 3
    assert learnt.read_text().strip() in (pki / "ca.pem").read_text()


def test_renewed_certificate(make_dbd, pki, state_dir):
    for file in pki.iterdir():
        shutil.copy(file, state_dir / file.name)
    server = make_dbd(args=keys(state_dir))
    server.port = free_port()
    server.argv.insert(1, "--remote=pssl:%d:127.0.0.1" % server.port)
    server.start()
    with client(state_dir, server.port) as before:
        make_cert(state_dir, "ca", "renewed")
        os.replace(state_dir / "renewed.key", state_dir / "server.key")
        os.replace(state_dir / "renewed.pem", state_dir / "server.pem")

        def subject():
            with client(state_dir, server.port) as c:
                return dict(x[0] for x in c.sock.getpeercert()["subject"])["commonName"]

        wait_for("the new certificate", lambda: subject() == "renewed")
        assert before.result("echo", 1) == [1]  # Connections that are there stay.


SSL_SCHEMA = {"name": "Conf", "tables": {"SSL": {"columns": {c: {"type": "string"} for c in ("private_key", "certificate", "ca_cert")}, "isRoot": True, "maxRows": 1}}}


def test_keys_from_the_database(make_dbd, pki):
    args = ["--%s=db:Conf,SSL,%s" % (o, o.replace("-", "_")) for o in ("private-key", "certificate", "ca-cert")]
    server = make_dbd(schema=SSL_SCHEMA, args=args)
    server.port = free_port()
    server.argv.insert(1, "--remote=pssl:%d:127.0.0.1" % server.port)
    server.start()
    assert refused(pki, server)
    with server.connect() as c:
        c.transact("Conf", {"op": "insert", "table": "SSL", "row": {
            "private_key": str(pki / "server.key"), "certificate": str(pki / "server.pem"), "ca_cert": str(pki / "ca.pem")}})
    wait_for("TLS", lambda: not refused(pki, server))


@pytest.mark.parametrize("args, word", [
    (["--private-key=/nonexistent", "--certificate=/nonexistent", "--ca-cert=/nonexistent"], "/nonexistent"),
    (["--private-key=PKI/server.key"], "--certificate"),
    (["--private-key=PKI/alice.key", "--certificate=PKI/server.pem", "--ca-cert=PKI/ca.pem"], "key"),
    (["--private-key=PKI/server.key", "--certificate=PKI/server.pem", "--ca-cert=PKI/ca.pem", "--ssl-protocols=SSLv9"], "SSLv9"),
    (["--private-key=db:x,y", "--certificate=PKI/server.pem", "--ca-cert=PKI/ca.pem"], "invalid syntax"),
])
def test_bad_keys(make_dbd, pki, args, word):
    server = make_dbd(args=[a.replace("PKI", str(pki)) for a in args])
    run = subprocess.run(server.argv, capture_output=True, text=True, timeout=20)
    assert run.returncode == 1 and word in run.stderr, run.stderr


# Roles.

RBAC_SCHEMA = {
    "name": "R", "version": "1.0.0",
    "tables": {
        "Conf": {"columns": {"connections": {"type": {"key": {"type": "uuid", "refTable": "Connection"}, "min": 0, "max": "unlimited"}}}, "isRoot": True},
        "Connection": {"columns": {"target": {"type": "string"}, "role": {"type": "string"}}},
        "RBAC_Role": {"columns": {"name": {"type": "string"}, "permissions": {"type": {"key": "string", "value": {"type": "uuid", "refTable": "RBAC_Permission", "refType": "weak"},
                                                                                      "min": 0, "max": "unlimited"}}}, "isRoot": True},
        "RBAC_Permission": {"columns": {"table": {"type": "string"}, "authorization": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
                                        "insert_delete": {"type": "boolean"}, "update": {"type": {"key": "string", "min": 0, "max": "unlimited"}}}, "isRoot": True},
        "Own": {"columns": {"owner": {"type": "string"}, "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
                            "free": {"type": "integer"}, "fixed": {"type": "integer"}}, "isRoot": True},
        "Open": {"columns": {"v": {"type": "integer"}}, "isRoot": True},
        "Shut": {"columns": {"v": {"type": "integer"}}, "isRoot": True},
    },
}


def permission(name, table, authorization, insert_delete, update):
    return {"op": "insert", "table": "RBAC_Permission", "uuid-name": name,
            "row": {"table": table, "authorization": ["set", authorization], "insert_delete": insert_delete, "update": ["set", update]}}


def setup_roles(server, port):
    with server.connect() as c:
        results = c.transact("R", permission("own", "Own", ["owner", "ids:who"], True, ["free", "owner"]), permission("open", "Open", [""], True, ["v"]),
                   permission("shut", "Shut", [""], False, []),
                   {"op": "insert", "table": "RBAC_Role", "row": {"name": "worker", "permissions": ["map", [
                       ["Own", ["named-uuid", "own"]], ["Open", ["named-uuid", "open"]], ["Shut", ["named-uuid", "shut"]]]]}},
                   {"op": "insert", "table": "Connection", "row": {"target": "pssl:%d:127.0.0.1" % port, "role": "worker"}, "uuid-name": "c"},
                   {"op": "insert", "table": "Conf", "row": {"connections": ["named-uuid", "c"]}},
                   {"op": "insert", "table": "Own", "row": {"owner": "bob", "fixed": 7}},
                   {"op": "insert", "table": "Shut", "row": {"v": 1}})
        assert not any("error" in r for r in results), results


def op(kind, table, where=(), **members):
    result = {"op": kind, "table": table, **members}
    return result if kind == "insert" else {**result, "where": list(where)}


ALICE, BOB = [["owner", "==", "alice"]], [["owner", "==", "bob"]]

ATTEMPTS = [
    [op("insert", "Own", row={"owner": "alice"})],
    [op("insert", "Own", row={"owner": "bob"})],
    [op("insert", "Own", row={"ids": ["map", [["who", "alice"]]], "fixed": 2})],
    [op("insert", "Own", row={"ids": ["map", [["other", "alice"]]]})],
    [op("insert", "Open", row={"v": 1})],
    [op("insert", "Shut", row={"v": 1})],
    [op("insert", "Conf", row={})],
    [op("update", "Own", ALICE, row={"free": 2})],
    [op("update", "Own", ALICE, row={"fixed": 2})],
    [op("update", "Own", BOB, row={"free": 2})],
    [op("update", "Own", row={"free": 3})],
    [op("update", "Own", [["owner", "==", "nobody"]], row={"free": 3})],
    [op("update", "Shut", row={"v": 2})],
    [op("update", "Conf", row={"connections": ["set", []]})],
    [op("mutate", "Own", ALICE, mutations=[["free", "+=", 1]])],
    [op("mutate", "Own", ALICE, mutations=[["fixed", "+=", 1]])],
    [op("mutate", "Own", BOB, mutations=[["free", "+=", 1]])],
    [op("mutate", "Own", BOB, mutations=[])],
    [op("mutate", "Conf", mutations=[["connections", "delete", ["set", []]]])],
    [op("mutate", "Open", mutations=[["v", "+=", 1]])],
    [op("delete", "Own", BOB)],
    [op("delete", "Own", [["ids", "includes", ["map", [["who", "alice"]]]]])],
    [op("delete", "Own", ALICE)],
    [op("delete", "Shut")],
    [op("delete", "Open")],
    [op("delete", "RBAC_Role")],
    [op("select", "Own", columns=["owner", "free", "fixed"])],
    [op("select", "RBAC_Role", columns=["name"])],
    [op("insert", "Own", row={"owner": "alice"}), op("insert", "Own", row={"owner": "bob"})],
]


def test_roles_as_ovsdb_server(make_dbd, make_reference, pki):
    sides = []
    for server in (make_reference(schema=RBAC_SCHEMA), make_dbd(schema=RBAC_SCHEMA)):
        port = free_port()
        server.argv[1:1] = ["--remote=db:R,Conf,connections", *keys(pki)]
        server.start()
        setup_roles(server, port)
        wait_for("the socket", lambda: reachable("tcp:127.0.0.1:%d" % port))
        sides.append(client(pki, port))
    for attempt in ATTEMPTS:
        want, got = (side.transact("R", *attempt) for side in sides)
        for results in (want, got):
            for r in results:
                if r and "uuid" in r:
                    r["uuid"] = "U"
                if r and "rows" in r:
                    r["rows"].sort(key=str)
        assert got == want, attempt
    assert sides[1].call("convert", "R", RBAC_SCHEMA)["error"] == sides[0].call("convert", "R", RBAC_SCHEMA)["error"]
    for side in sides:
        side.close()
