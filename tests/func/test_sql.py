"""Statistics in a real MariaDB: the unit tests of room sql run there too, and a billing query gives what SQLite gives."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

BILLING = ("SELECT vm, SUM(rx) AS bytes_in, SUM(tx) AS bytes_out, COUNT(*) AS hours FROM stathr "
           "WHERE begin >= 1400025600 AND begin < 1400025600 + 31 * 86400 GROUP BY vm ORDER BY vm")
DISKS = "SELECT vm, SUM(rd_req), SUM(wr_bytes), MAX(time) FROM diskday GROUP BY vm ORDER BY vm"


@pytest.fixture(scope="module")
def mariadb():
    """A server of this test's own; its socket."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="byre-sql-", dir="/tmp"))
    user = ["--user=root"] if os.getuid() == 0 else []
    subprocess.run(["mariadb-install-db", "--no-defaults", "--datadir=%s" % (work / "data"),
                    "--auth-root-authentication-method=normal", *user], check=True, stdout=subprocess.DEVNULL)
    with open(work / "log", "w") as log:
        server = subprocess.Popen([shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin"), "--no-defaults", *user,
                                   "--datadir=%s" % (work / "data"), "--socket=%s" % (work / "sock"), "--skip-networking",
                                   "--pid-file=%s" % (work / "pid")], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while ask_mariadb(work / "sock", "SELECT 1", database="mysql", check=False) != "1\n":
            assert server.poll() is None and time.monotonic() < deadline, (work / "log").read_text()[-2000:]
            time.sleep(0.1)
        yield work / "sock"
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(work)


def ask_mariadb(socket, query, database="byre", check=True):
    return subprocess.run(["mariadb", "--no-defaults", "-u", "root", "-S", str(socket), "-N", "-B", database, "-e", query],
                          check=check, capture_output=True, text=True).stdout


def built(builddir, name):
    for path in (builddir / "src/sql" / name, builddir.parent / "src/sql" / name):
        if path.exists():
            return str(path)
    pytest.skip("%s was not built" % name)


def run_tests(builddir, url):
    return subprocess.run([built(builddir, "test_sql")], env=dict(os.environ, BYRE_TEST_SQL=url), capture_output=True, text=True,
                          timeout=300)


def test_mariadb_does_all_that_sqlite_does(builddir, mariadb):
    ask_mariadb(mariadb, "CREATE DATABASE byre", database="mysql")
    done = run_tests(builddir, "mariadb://root@/byre?socket=%s" % mariadb)
    assert done.returncode == 0 and "not ok" not in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("\nok ") >= 8


def test_billing_query_says_the_same(builddir, mariadb, tmp_path):
    """The same three days of three machines in both."""
    ask_mariadb(mariadb, "CREATE DATABASE bill", database="mysql")
    lite = tmp_path / "bill.db"
    for url in ("sqlite:%s" % lite, "mariadb://root@/bill?socket=%s" % mariadb):
        subprocess.run([built(builddir, "statload"), url, "3", str(3 * 288)], check=True, stdout=subprocess.DEVNULL, timeout=300)
    for query in (BILLING, DISKS):
        ours = subprocess.run(["sqlite3", "-separator", "\t", str(lite), query], check=True, capture_output=True, text=True).stdout
        assert ours.count("\n") == 3, ours
        assert ours == ask_mariadb(mariadb, query, database="bill")
    [first, *_] = subprocess.run(["sqlite3", "-separator", "\t", str(lite), BILLING], check=True, capture_output=True,
                                 text=True).stdout.splitlines()
    assert first.split("\t") == ["vm1", str(3 * 24 * 12 * 1001), str(3 * 24 * 12 * 2002), str(3 * 24)]


def test_password_comes_from_a_file_of_its_owner_alone(builddir, mariadb, tmp_path):
    ask_mariadb(mariadb, "CREATE DATABASE pw; CREATE USER byre@localhost IDENTIFIED BY 'geheim'; GRANT ALL ON pw.* TO byre@localhost", database="mysql")
    secret = tmp_path / "password"
    secret.write_text("geheim\n")
    secret.chmod(0o644)
    url = "mariadb://byre@/pw?socket=%s&password-file=%s" % (mariadb, secret)
    refused = run_tests(builddir, url)
    assert "can be read by others" in refused.stdout + refused.stderr
    secret.chmod(0o600)
    done = run_tests(builddir, url)
    assert done.returncode == 0, done.stdout + done.stderr
    secret.write_text("wrong\n")
    refused = run_tests(builddir, url)
    assert refused.returncode != 0 and "geheim" not in refused.stdout + refused.stderr
