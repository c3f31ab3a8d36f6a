"""Statistics in a real MariaDB: the unit tests of room sql run there too, and a billing query gives what SQLite gives."""

import os
import subprocess

import pytest

from mariadb import mariadb_server

DAYS = 31
SECONDS = DAYS * 86400 - 100  # Between the first and the last reading of statbill that the bill has.
T0 = 1400025600
# As somebody bills by VMmanager's tables: traffic of a month by machine, how many hours it was on, and which hours are not whole.
BILLING = ("SELECT vm, SUM(rx) AS bytes_in, SUM(tx) AS bytes_out, COUNT(*) AS hours FROM stathr "
           "WHERE begin >= %d AND begin < %d GROUP BY vm ORDER BY vm" % (T0, T0 + DAYS * 86400))
PARTIAL = "SELECT vm, count, COUNT(*) FROM stathr WHERE count < 12 GROUP BY vm, count ORDER BY vm, count"
TOP_DAYS = "SELECT vm, begin, rx + tx, cpu_ms, count FROM statday ORDER BY rx + tx DESC, vm, begin LIMIT 40"
BY_WEEK = ("SELECT s.vm, MIN(s.begin), SUM(s.rx), SUM(d.rd_req), MIN(s.count) FROM statday s "
           "JOIN diskday d ON d.vm = s.vm AND d.begin = s.begin WHERE s.vm IN ('gaps', 'short') "
           "GROUP BY s.vm, s.begin - (s.begin - %d) %% 604800 ORDER BY s.vm, MIN(s.begin)" % T0)


@pytest.fixture(scope="module")
def mariadb():
    """A server of this test's own."""
    with mariadb_server() as server:
        yield server


def built(builddir, name):
    for path in (builddir / "src/sql" / name, builddir.parent / "src/sql" / name):
        if path.exists():
            return str(path)
    pytest.skip("%s was not built" % name)


def run_tests(builddir, url):
    return subprocess.run([built(builddir, "test_sql")], env=dict(os.environ, BYRE_TEST_SQL=url), capture_output=True, text=True,
                          timeout=300)


def test_mariadb_does_all_that_sqlite_does(builddir, mariadb):
    mariadb.ask("CREATE DATABASE byre", database="mysql")
    done = run_tests(builddir, "mariadb://root@/byre?socket=%s" % mariadb.socket)
    assert done.returncode == 0 and "not ok" not in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("\nok ") >= 8


def test_billing_query_says_the_same(builddir, mariadb, tmp_path):
    """The same month in both: a machine that was not read for a while each day, one that reboots, one whose counters wrap, one that is
    off most of the day."""
    mariadb.ask("CREATE DATABASE bill", database="mysql")
    lite = tmp_path / "bill.db"
    for url in ("sqlite:%s" % lite, "mariadb://root@/bill?socket=%s" % mariadb.socket):
        subprocess.run([built(builddir, "statbill"), url, str(DAYS)], check=True, timeout=300)

    def ask(query):
        ours = subprocess.run(["sqlite3", "-separator", "\t", str(lite), query], check=True, capture_output=True, text=True).stdout
        assert ours == mariadb.ask(query, database="bill"), query
        return [tuple(int(cell) if cell.isdigit() else cell for cell in line.split("\t")) for line in ours.splitlines()]

    assert ask(BILLING) == [("gaps", 700 * SECONDS, 350 * SECONDS, 24 * DAYS),
                            ("reboots", 700 * SECONDS, 350 * SECONDS, 24 * DAYS),
                            ("short", 700 * 15600 * DAYS, 350 * 15600 * DAYS, 5 * DAYS),
                            ("whole", 700 * SECONDS, 350 * SECONDS, 24 * DAYS),
                            ("wraps", 7000000 * SECONDS, 3500000 * SECONDS, 24 * DAYS)]
    assert ask(PARTIAL) == [("gaps", 6, DAYS), ("short", 8, DAYS), ("short", 9, DAYS)]
    assert len(ask(TOP_DAYS)) == 40 and len(ask(BY_WEEK)) == 10


def test_password_comes_from_a_file_of_its_owner_alone(builddir, mariadb, tmp_path):
    mariadb.ask("CREATE DATABASE pw; CREATE USER byre@localhost IDENTIFIED BY 'geheim'; GRANT ALL ON pw.* TO byre@localhost",
                database="mysql")
    secret = tmp_path / "password"
    secret.write_text("geheim\n")
    secret.chmod(0o644)
    url = "mariadb://byre@/pw?socket=%s&password-file=%s" % (mariadb.socket, secret)
    refused = run_tests(builddir, url)
    assert "can be read by others" in refused.stdout + refused.stderr
    secret.chmod(0o600)
    done = run_tests(builddir, url)
    assert done.returncode == 0, done.stdout + done.stderr
    secret.write_text("wrong\n")
    refused = run_tests(builddir, url)
    assert refused.returncode != 0 and "geheim" not in refused.stdout + refused.stderr
