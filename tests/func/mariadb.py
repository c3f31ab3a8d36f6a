"""A MariaDB server of a test's own, in a directory of its own."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time


class Server:
    def __init__(self, work):
        self.work = work
        self.socket = work / "sock"

    def ask(self, query, database="byre", check=True):
        """What the client prints: cells with tabs between them."""
        command = ["mariadb", "--no-defaults", "-u", "root", "-S", str(self.socket), "-N", "-B", database, "-e", query]
        return subprocess.run(command, check=check, capture_output=True, text=True).stdout


@contextlib.contextmanager
def mariadb_server():
    work = pathlib.Path(tempfile.mkdtemp(prefix="byre-sql-", dir="/tmp"))
    user = ["--user=root"] if os.getuid() == 0 else []
    server = None
    try:
        subprocess.run(["mariadb-install-db", "--no-defaults", "--datadir=%s" % (work / "data"),
                        "--auth-root-authentication-method=normal", *user], check=True, stdout=subprocess.DEVNULL)
        program = shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin")
        with open(work / "log", "w") as log:
            server = subprocess.Popen([program, "--no-defaults", *user, "--datadir=%s" % (work / "data"),
                                       "--socket=%s" % (work / "sock"), "--skip-networking", "--pid-file=%s" % (work / "pid")],
                                      stdout=log, stderr=log)
        found = Server(work)
        deadline = time.monotonic() + 120
        while found.ask("SELECT 1", database="mysql", check=False) != "1\n":
            assert server.poll() is None and time.monotonic() < deadline, (work / "log").read_text()[-2000:]
            time.sleep(0.1)
        yield found
    finally:
        if server:
            server.terminate()
            server.wait()
        shutil.rmtree(work)
