"""A plain JSON-RPC client for the tests: it hides nothing, so that a test sees each message in its order."""

import json
import os
import socket
import struct
import time


class Closed(OSError):
    """The server closed the connection."""


class Rpc:
    def __init__(self, remote, timeout=20.0):
        kind, _, where = remote.partition(":")
        if kind == "unix":
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout)
            while True:
                try:
                    self.sock.connect(where)
                    break
                except BlockingIOError:  # Its queue of connections is full.
                    time.sleep(0.01)
        else:
            host, _, port = where.rpartition(":")
            self.sock = socket.create_connection((host.strip("[]"), int(port)), timeout)
        self.decoder = json.JSONDecoder()
        self.text = ""
        self.raw = b""
        self.next_id = 0
        self.notes = []  # Notifications (and requests of the server) that came while waiting for a reply.

    def send(self, message):
        text = message if isinstance(message, (bytes, str)) else json.dumps(message)
        self.sock.sendall(text.encode() if isinstance(text, str) else text)

    def recv(self, timeout=None):
        """The next message, whatever it is.  socket.timeout after 'timeout' seconds."""
        if timeout is not None:
            self.sock.settimeout(timeout)
        while True:
            text = self.text.lstrip()
            if text:
                try:
                    value, end = self.decoder.raw_decode(text)
                    self.text = text[end:]
                    return value
                except json.JSONDecodeError:
                    pass
            try:
                chunk = self.sock.recv(1 << 20)
            except (ConnectionResetError, BrokenPipeError):
                chunk = b""
            if not chunk:
                raise Closed()
            self.raw += chunk
            try:
                self.text = text + self.raw.decode()
                self.raw = b""
            except UnicodeDecodeError:
                self.text = text  # A character is cut in the middle; more will come.

    def request(self, method, *params, id=None):
        if id is None:
            self.next_id += 1
            id = self.next_id
        self.send({"method": method, "params": list(params), "id": id})
        return id

    def reply(self, id, timeout=None):
        """The reply to request 'id'; notifications that come before go to self.notes."""
        while True:
            message = self.recv(timeout)
            if "method" in message:
                self.notes.append(message)
            else:
                assert message["id"] == id, message
                return message

    def call(self, method, *params):
        return self.reply(self.request(method, *params))

    def result(self, method, *params):
        reply = self.call(method, *params)
        assert reply.get("error") is None, reply
        return reply["result"]

    def transact(self, db, *ops):
        return self.result("transact", db, *ops)

    def note(self, timeout=20.0):
        """The next notification."""
        if self.notes:
            return self.notes.pop(0)
        message = self.recv(timeout)
        assert "method" in message, message
        return message

    def quiet(self, seconds=0.2):
        """True if nothing comes for a while."""
        try:
            self.notes.append(self.recv(seconds))
            return False
        except socket.timeout:
            return True
        finally:
            self.sock.settimeout(20.0)

    def abort(self):
        """Resets a TCP connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def wait_for(what, condition, seconds=20.0):
    """Waits until condition() is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timed out waiting for " + what
        time.sleep(0.02)


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def listening(path):
    return os.path.exists(path)
