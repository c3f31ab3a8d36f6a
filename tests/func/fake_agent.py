"""An agent for tests of the command line: obeys rows at once, without a hypervisor or a disk.

It answers generations as the real one does, so waiting, failing and timing out can be tested against any database
server.  Rules by name: a vm or volume called "bad*" fails with three lines, one called "slow*" is never answered.
The private socket answers probe, console, upload and download.
"""

import array
import json
import os
import socket
import threading
import time

import rpc

UID = "11111111-2222-3333-4444-555555555555"
ERROR = "start %s\nno such kernel\nupload one"
STATUS = {"running": "running", "stopped": "shutoff", "paused": "paused"}


def unset(value):
    return isinstance(value, list) and value[:1] == ["set"]


def by_uuid(row):
    return [["_uuid", "==", row["_uuid"]]]


class FakeAgent:
    def __init__(self, remote, directory):
        self.rpc = rpc.Rpc(remote)
        self.stopping = threading.Event()
        self.console = b"early line\r\ndemo is up: disk /dev/vda 1073741824 bytes\r\nlater line\r\n"
        self.console_stays = False  # Else it ends after what was printed so far.
        self.uploaded = {}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(directory, "agent.sock"))
        self.listener.listen()
        self.threads = [threading.Thread(target=self.obey), threading.Thread(target=self.serve, daemon=True)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        self.threads[0].join()
        self.listener.close()
        self.rpc.close()

    def transact(self, *operations):
        return self.rpc.transact("vmmgr", *operations)

    # Rows.

    def obey(self):
        tables = ["hostnode", "pool", "volume", "vm", "job", "device"]
        while not self.stopping.wait(0.02):
            try:
                answer = self.transact(*({"op": "select", "table": t, "where": []} for t in tables))
            except (rpc.Closed, OSError):
                return  # The test ended the server.
            rows = {t: a["rows"] for t, a in zip(tables, answer)}
            todo = []
            for table in tables[:-1]:
                for row in rows[table]:
                    todo += getattr(self, "obey_" + table)(row, rows)
            if todo:
                self.transact(*todo)

    def facts(self, table, row, **facts):
        facts["observed_generation"] = row["generation"]
        facts.setdefault("error", ["set", []])
        return [{"op": "update", "table": table, "where": by_uuid(row), "row": facts}]

    def obey_hostnode(self, row, rows):
        if row["uid"] != UID or row["state"] == "online":
            return []
        return [{"op": "update", "table": "hostnode", "where": by_uuid(row),
                 "row": {"state": "online", "cpus": 2, "mem": 4096, "observed_at": int(time.time() * 1000)}}]

    def obey_pool(self, row, rows):
        if row["observed_generation"] >= row["generation"]:
            return []
        size = {"capacity": 10 << 30, "allocation": 1 << 30, "available": 9 << 30} if row["active"] else {}
        return self.facts("pool", row, state="running" if row["active"] else "inactive", **size)

    def obey_volume(self, row, rows):
        if row["deleted"]:
            return [{"op": "delete", "table": "volume", "where": by_uuid(row)}]
        if row["observed_generation"] >= row["generation"] or row["name"].startswith("slow"):
            return []
        if row["name"].startswith("bad"):
            return self.facts("volume", row, state="failed", error=ERROR % row["name"])
        return self.facts("volume", row, state="ready", capacity=row["wanted_capacity"], allocation=4096,
                          filepath="/pool/" + row["name"], key="/pool/" + row["name"], type="file")

    def obey_vm(self, row, rows):
        if row["observed_generation"] >= row["generation"] or row["name"].startswith("slow") or unset(row["state"]):
            return []
        if row["state"] == "deleted":
            mine = [d for d in rows["device"] if d["vm"] == row["_uuid"]]
            gone = [{"op": "delete", "table": "device", "where": by_uuid(d)} for d in mine]
            if row["delete_volumes"]:
                gone += [{"op": "update", "table": "volume", "where": [["_uuid", "==", d["volume"]]], "row": {"deleted": True}}
                         for d in mine if d["type"] == "disk"]
            return gone + [{"op": "delete", "table": "vm", "where": by_uuid(row)}]
        if row["name"].startswith("bad") and row["state"] == "running":
            return self.facts("vm", row, status="shutoff", error=ERROR % row["name"])
        return self.facts("vm", row, status=STATUS[row["state"]], reboots_done=row["reboots"],
                          observed_at=int(time.time() * 1000))

    def obey_job(self, row, rows):
        if row["state"] != "queued":
            return []
        facts = {"state": "done", "progress": 1.0}
        if row["kind"] == "pool.delete":
            facts = {"state": "failed", "error": "directory not empty"}
        return [{"op": "update", "table": "job", "where": by_uuid(row), "row": facts}]

    # The private socket.

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.answer(connection)

    def answer(self, connection):
        text, fds = b"", array.array("i")
        while not text.endswith(b"\n"):
            more, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
            for level, kind, data in ancillary:
                if kind == socket.SCM_RIGHTS:
                    fds.frombytes(data)
            if not more:
                return
            text += more
        request = json.loads(text)
        method = request["method"]
        if method == "probe":
            reply = {"result": {"uid": UID, "hostname": "testhost"}}
        elif method == "console":
            connection.sendall(b'{"result":{}}\n' + self.console)
            while self.console_stays and not request.get("log"):
                typed = connection.recv(1000)
                if not typed:
                    return
                connection.sendall(typed.upper())
            return
        elif method == "upload":
            with os.fdopen(fds[0], "rb") as source:
                self.uploaded[request["volume"]] = source.read()
            connection.sendall(b'{"progress":0.5,"message":"half"}\n')
            reply = {"result": {}}
        elif method == "download":
            with os.fdopen(fds[0], "wb") as target:
                target.write(self.uploaded.get(request["volume"], b""))
            reply = {"result": {}}
        else:
            reply = {"error": {"kind": "unsupported", "text": "what is " + method, "hint": "ask for less"}}
        connection.sendall(json.dumps(reply).encode() + b"\n")
