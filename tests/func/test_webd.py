"""byre-webd: /healthz tells the truth about the database server; bad requests are refused.

The database server is Debian's, because only the echo matters here.
"""

import http.client
import json
import signal
import socket
import subprocess
import threading
import time

import pytest


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=10):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, target="/healthz", method="GET", body=None):
    connection = UnixConnection(path)
    connection.request(method, target, body)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


class Webd:
    def __init__(self, program, directory, remote, listen=None):
        self.sock = directory / "web.sock"
        self.process = subprocess.Popen(
            [program("byre-webd"), "--listen", listen or "unix:%s" % self.sock, "--db", remote,
             "--pidfile", str(directory / "webd.pid")], stderr=subprocess.PIPE, text=True)

    def wait(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.socket(socket.AF_UNIX).connect(str(self.sock))
                return self
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, self.process.stderr.read()
                time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self):
        code = self.process.wait(20)
        words = self.process.stderr.read()
        return code, words


@pytest.fixture
def webd(program, state_dir, make_reference):
    server = make_reference().start()
    w = Webd(program, state_dir, server.remote)
    w.server = server
    yield w.wait()
    code, words = w.stop()
    assert code == 0 and "Sanitizer" not in words, words


def wait_for_status(webd, status):
    deadline = time.monotonic() + 60
    while ask(webd.sock)[0] != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_healthz_follows_the_database(webd):
    wait_for_status(webd, 200)
    status, text = ask(webd.sock)
    assert (status, json.loads(text)["status"], json.loads(text)["database"]) == (200, "ok", "ok")

    webd.server.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    status, text = ask(webd.sock)
    assert (status, json.loads(text)["database"]) == (503, "no answer in time")
    assert 0.9 < time.monotonic() - begun < 20
    webd.server.process.send_signal(signal.SIGCONT)
    wait_for_status(webd, 200)

    webd.server.kill()
    wait_for_status(webd, 503)
    webd.server.start()
    wait_for_status(webd, 200)


def test_clients_that_leave(webd):
    """Questions whose askers are gone are forgotten; the others are answered."""
    wait_for_status(webd, 200)
    webd.server.process.send_signal(signal.SIGSTOP)
    for _ in range(20):
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(webd.sock))
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.005)
        s.close()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(webd.sock)[0])) for _ in range(20)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert answers == [503] * 20
    webd.server.process.send_signal(signal.SIGCONT)
    wait_for_status(webd, 200)


@pytest.mark.parametrize("target, method, body, status", [
    ("/", "GET", None, 404),
    ("/healthz/", "GET", None, 404),
    ("/" + "a" * 1500, "GET", None, 414),
    ("/healthz", "POST", "x" * 100, 405),
    ("/healthz", "DELETE", None, 405),
])
def test_refused(webd, target, method, body, status):
    assert ask(webd.sock, target, method, body)[0] == status


def test_head_and_keep_alive(webd):
    wait_for_status(webd, 200)
    connection = UnixConnection(webd.sock)
    for method in ("GET", "HEAD", "GET"):
        connection.request(method, "/healthz")
        answer = connection.getresponse()
        assert answer.status == 200 and bool(answer.read()) == (method == "GET")
    connection.close()


@pytest.mark.parametrize("listen", ["tcp:127.0.0.1:%d", "nonsense", "punix:/tmp/x"])
def test_cannot_listen(program, state_dir, listen):
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen(1)
    listen = listen % taken.getsockname()[1] if "%d" in listen else listen
    code, words = Webd(program, state_dir, "unix:/nonexistent", listen).end()
    assert code == 1 and "byre-webd: " in words and "Sanitizer" not in words, words


def test_stale_socket_is_replaced(program, state_dir):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(state_dir / "web.sock"))
    s.close()
    w = Webd(program, state_dir, "unix:/nonexistent").wait()
    assert ask(w.sock)[0] == 503
    assert w.stop()[0] == 0
