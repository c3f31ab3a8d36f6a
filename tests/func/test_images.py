"""Images: fetched from a server with their checksum, uploaded from a file, refused when they are not what was asked for.

A real HTTP server on loopback, which can redirect, break off, dawdle and lie; a host with its real daemons.
"""

import hashlib
import http.server
import os
import pathlib
import shutil
import signal
import socketserver
import ssl
import subprocess
import threading

import pytest

from host import Host, libvirt_uri, temporary_state
from rpc import wait_for

pytestmark = pytest.mark.skipif(libvirt_uri() is None or os.geteuid() != 0, reason="needs root's libvirt")

MIB = 1 << 20
FILES = {}


class Handler(http.server.BaseHTTPRequestHandler):
    """/f/NAME a file; /redirect/N/NAME to it by N steps; /break/NAME the same, cut off in the middle at each first
    request; /slow/NAME never ends; /chunked/NAME without a length; /up/... sends to another scheme."""
    protocol_version = "HTTP/1.1"
    seen = []

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.do_GET()

    def body(self, data, status=200, cut=None, headers=()):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(data if cut is None else data[:cut])
        if cut is not None:
            self.close_connection = True

    def do_GET(self):
        what, _, rest = self.path.lstrip("/").partition("/")
        name = rest.rpartition("/")[2].partition("?")[0]
        data = FILES.get(name)
        Handler.seen.append((self.command, self.path, self.headers.get("Range")))
        if what == "redirect":
            steps = int(rest.partition("/")[0])
            self.body(b"", 302, headers=[("Location", "/redirect/%d/%s" % (steps - 1, name) if steps else "/f/" + name)])
        elif what == "elsewhere":
            self.body(b"", 302, headers=[("Location", "file:///etc/passwd")])
        elif what == "down":
            self.body(b"", 302, headers=[("Location", Handler.down)])
        elif data is None:
            self.body(b"no such file", 404)
        elif what == "chunked" and self.command == "GET":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for i in range(0, len(data), 65536):
                part = data[i:i + 65536]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        elif what == "slow" and self.command == "GET":
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:MIB])
            self.wfile.flush()
            while not self.server.stopping.wait(0.1):
                pass
        elif what == "break" and self.command == "GET" and not self.headers.get("Range"):
            self.body(data, cut=len(data) // 2)
        elif self.headers.get("Range"):
            begin = int(self.headers["Range"].split("=")[1].split("-")[0])
            self.body(data[begin:], 206, headers=[("Content-Range", "bytes %d-%d/%d" % (begin, len(data) - 1, len(data)))])
        else:
            self.body(data)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    stopping = threading.Event()

    def handle_error(self, request, address):
        pass  # Clients that leave in the middle are what is tested.


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("images")
    qcow2 = directory / "small.qcow2"
    raw = os.urandom(3 * MIB) + bytes(2 * MIB) + os.urandom(MIB) + bytes(MIB)
    (directory / "disk.raw").write_bytes(raw)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", directory / "disk.raw", qcow2], check=True)
    evil = directory / "evil.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", evil, "1M"], check=True)
    FILES.update({"disk.raw": raw, "small.qcow2": qcow2.read_bytes(), "evil.qcow2": evil.read_bytes(), "empty.raw": b""})
    FILES["SHA256SUMS"] = "".join("%s  %s\n" % (digest(name), name) for name in ("small.qcow2", "disk.raw")).encode()
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http://127.0.0.1:%d/" % server.server_address[1]
    Server.stopping.set()
    server.shutdown()


def digest(name):
    return hashlib.sha256(FILES[name]).hexdigest()


class Images(Host):
    def content(self, volume):
        out = self.state / "out.raw"
        if out.exists():
            out.unlink()
        subprocess.run(["qemu-img", "convert", "-O", "raw", self.state / "pools/default" / volume, out], check=True)
        return out.read_bytes()

    def entries(self):
        return sorted(os.listdir(self.state / "pools/default"))

    def image(self, name):
        return next((r for r in self.json("image", "list") if r["name"] == name), None)


@pytest.fixture(scope="module")
def ca():
    """A house's own CA, a server's certificate by it, and one that nobody signed."""
    place = pathlib.Path(temporary_state())  # The fetching process is nobody's, and must find it.

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=place, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=house", "-days", "2")
    openssl("req", "-x509", *key, "-keyout", "other.key", "-out", "other.pem", "-subj", "/CN=localhost", "-days", "2",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl("req", *key, "-keyout", "web.key", "-out", "web.csr", "-subj", "/CN=localhost")
    (place / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "web.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "web.pem", "-days", "2",
            "-extfile", "names")
    (place / "ca.pem").chmod(0o644)
    os.environ["CURL_CA_BUNDLE"] = str(place / "ca.pem")
    yield place
    del os.environ["CURL_CA_BUNDLE"]
    shutil.rmtree(place)


def tls_server(place, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / (name + ".pem"), place / (name + ".key"))
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, "https://127.0.0.1:%d/" % server.server_address[1]


@pytest.fixture(scope="module")
def host(builddir, ca):
    with Images(builddir, temporary_state(), prefix="bi%d" % os.getpid()) as host:
        yield host


def test_fetch_with_a_checksum(host, server):
    Handler.seen.clear()
    host.byre("image", "add", "one", "--from", server + "redirect/3/small.qcow2", "--sha256", digest("small.qcow2"),
              "--os", "debian12", "--min-mem", "256M", "--min-size", "10M")
    assert host.content("one.qcow2") == FILES["disk.raw"]
    image = host.json("image", "info", "one")
    assert (image["kind"], image["os"], image["min_mem"], image["min_vsize"]) == ("image", "debian12", 256, 10)
    volume = host.json("vol", "info", "default/one.qcow2")
    assert (volume["format"], volume["capacity"], volume["state"]) == ("qcow2", 7 * MIB, "ready")
    job = next(j for j in host.json("job", "list", "-c", "kind,state") if j["kind"] == "vol.fetch")
    assert job["state"] == "done"


def test_the_list_of_checksums(host, server):
    host.byre("image", "add", "two", "--from", server + "f/disk.raw", "--checksum-url", server + "f/SHA256SUMS")
    assert (host.state / "pools/default/two.raw").read_bytes() == FILES["disk.raw"]
    assert (host.state / "pools/default/two.raw").stat().st_blocks * 512 < 5 * MIB, "zeros are holes"
    done = host.byre("image", "add", "no", "--from", server + "f/evil.qcow2", "--checksum-url", server + "f/SHA256SUMS", check=False)
    assert done.returncode == 3 and "evil.qcow2" in done.stderr
    host.byre("image", "delete", "two")
    assert host.image("two") is None and "two.raw" not in host.entries()


def test_a_broken_connection_goes_on_where_it_broke(host, server):
    Handler.seen.clear()
    host.byre("image", "add", "broken", "--from", server + "break/disk.raw", "--sha256", digest("disk.raw"))
    assert (host.state / "pools/default/broken.raw").read_bytes() == FILES["disk.raw"]
    ranges = [r for m, p, r in Handler.seen if m == "GET"]
    assert ranges == [None, "bytes=%d-" % (len(FILES["disk.raw"]) // 2)]


def test_without_a_length(host, server):
    host.byre("image", "add", "chunks", "--from", server + "chunked/disk.raw", "--sha256", digest("disk.raw"))
    assert (host.state / "pools/default/chunks.raw").read_bytes() == FILES["disk.raw"]


@pytest.mark.parametrize("path, arguments, code, words", [
    ("f/small.qcow2", ["--sha256", "0" * 64], 5, "SHA-256"),
    ("f/nix.qcow2", [], 5, "404"),
    ("f/evil.qcow2", [], 5, "/etc/shadow"),
    ("f/empty.raw", [], 5, "sent nothing"),
    ("f/small.qcow2", ["--format", "raw"], 5, "--format qcow2"),
    ("break/disk.raw", [], 5, "after"),
    ("redirect/9/small.qcow2", [], 5, "redirects"),
    ("elsewhere/small.qcow2", [], 5, "rotocol"),
    ("f/small.qcow2", ["--sha256", "abc"], 2, "64"),
])
def test_refused_and_nothing_left(host, server, path, arguments, code, words):
    before = host.entries()
    done = host.byre("image", "add", "bad", "--from", server + path, *arguments, check=False)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    wait_for("no row", lambda: "bad" not in host.byre("vol", "list", "default").stdout, 30)
    assert host.entries() == before and host.image("bad") is None


@pytest.mark.parametrize("url, words", [
    ("ftp://127.0.0.1/x", "neither http"),
    ("http://user:secret@127.0.0.1/x", "password"),
    ("http:///x", "no host"),
    ("http://127.0.0.1/a b", "%XX"),
    ("file:///etc/shadow", "neither http"),
])
def test_urls_that_are_refused_at_once(host, url, words):
    done = host.byre("image", "add", "bad", "--from", url, check=False)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    assert "secret" not in (host.state / "log/byre-agentd.log").read_text()


def test_https_and_whom_it_trusts(host, server, ca):
    """By the house's own CA; not by a certificate that nobody signed; and never from https back to http."""
    trusted, url = tls_server(ca, "web")
    stranger, other = tls_server(ca, "other")
    try:
        host.byre("image", "add", "tls", "--from", url + "f/small.qcow2", "--checksum-url", url + "f/SHA256SUMS")
        assert host.content("tls.qcow2") == FILES["disk.raw"]
        before = host.entries()
        done = host.byre("image", "add", "no", "--from", other + "f/small.qcow2", check=False)
        assert done.returncode != 0 and "certificate" in done.stderr, done.stderr
        Handler.down = server + "f/small.qcow2"
        done = host.byre("image", "add", "no", "--from", url + "down/small.qcow2", check=False)
        assert done.returncode != 0 and "rotocol" in done.stderr, done.stderr
        assert host.entries() == before and host.image("no") is None
        host.byre("image", "rm", "tls")
    finally:
        trusted.shutdown()
        stranger.shutdown()


def test_the_fetching_process_has_no_rights(host, server):
    """It runs as nobody, and the URL is in nobody's list of processes."""
    before = host.entries()
    adding = subprocess.Popen([str(host.bin / "byre"), "--db", host.db, "image", "add", "slow", "--from",
                               server + "slow/disk.raw?key=hidden"], stderr=subprocess.PIPE, text=True)
    def curls():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = open("/proc/%s/cmdline" % pid).read()
                if words.startswith("/usr/bin/curl\0") and "hidden" not in words and "--config" in words:
                    status = open("/proc/%s/status" % pid).read()
                    if "\nUid:\t65534\t65534\t65534\t65534\n" in status and "\nCapEff:\t0000000000000000\n" in status:
                        found.append(pid)
            except OSError:
                pass
        return found
    wait_for("curl as nobody", curls, 60)
    job = next(j for j in host.json("job", "list", "-c", "_uuid,kind,state") if j["state"] == "running")
    wait_for("the first MiB", lambda: (host.json("job", "info", job["_uuid"])["bytes_done"] or 0) > 0, 60)
    host.byre("job", "cancel", job["_uuid"])
    assert adding.wait(60) != 0
    adding.stderr.close()
    wait_for("nothing left", lambda: host.entries() == before, 60)
    assert "hidden" not in (host.state / "log/byre-stored.log").read_text()


def test_the_agent_is_killed_in_the_middle(host, server):
    """Whoever comes after asks again; what was half there is no volume."""
    adding = subprocess.Popen([str(host.bin / "byre"), "--db", host.db, "image", "add", "again", "--no-wait", "--from",
                               server + "slow/disk.raw", "--sha256", digest("disk.raw")], stdout=subprocess.PIPE, text=True)
    adding.communicate(timeout=60)
    gets = lambda: [1 for m, p, r in Handler.seen if m == "GET" and p == "/slow/disk.raw"]
    wait_for("the first try", gets, 60)
    assert [n for n in host.entries() if n.startswith(".again")]
    os.kill(host.pid("byre-agentd"), signal.SIGKILL)
    wait_for("another try", lambda: len(gets()) >= 2, 90)
    assert "again.raw" not in host.entries()
    host.byre("image", "delete", "again", "--no-wait", check=False)


def test_a_file_of_ones_own(host, server, tmp_path):
    path = tmp_path / "own.qcow2"
    path.write_bytes(FILES["small.qcow2"])
    done = host.byre("image", "add", "own", "--from", str(path), "--sha256", "1" * 64, check=False)
    assert done.returncode == 1 and "SHA-256" in done.stderr and "own.qcow2" not in host.entries()
    host.byre("image", "add", "own", "--from", str(path), "--sha256", digest("small.qcow2"))
    assert host.content("own.qcow2") == FILES["disk.raw"]
    host.byre("image", "rm", "own")
    assert "own.qcow2" not in host.entries()


def test_presets(host):
    host.byre("preset", "add", "small", "--mem", "512M", "--vcpu", "2", "--size", "10G")
    assert [(p["name"], p["mem"], p["vcpu"], p["vsize"]) for p in host.json("preset", "list")] == [("small", 512, 2, 10240)]
    host.byre("preset", "set", "small", "--mem", "1G")
    assert host.json("preset", "info", "small")["mem"] == 1024
    assert host.byre("preset", "add", "small", check=False).returncode == 1
    host.byre("preset", "rm", "small")
    assert host.json("preset", "list") == []
