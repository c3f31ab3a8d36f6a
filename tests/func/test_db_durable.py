"""What byre-dbd has acknowledged is there afterwards: after kills, torn files, full disks and compactions."""

import json
import os
import random
import subprocess
import threading
import time

import pytest

import rpc
from rpc import Closed, wait_for
from test_dbserver import appctl, insert, names


def run_tool(program, *args, status=0):
    run = subprocess.run([program("byre-dbtool"), *map(str, args)], capture_output=True, text=True, timeout=60)
    assert run.returncode == status, run.stdout + run.stderr
    return run.stdout + run.stderr


@pytest.mark.parametrize("args", [[], ["--no-durable"]], ids=["durable", "no-durable"])
def test_kill_in_the_middle_of_writes(make_dbd, args):
    """No acknowledged row is lost, at ten moments; what was not acknowledged may be there or not."""
    server = make_dbd(args=args)
    acknowledged, sent = set(), set()
    r = random.Random(3)
    for round in range(10):
        server.start()

        def work(n):
            try:
                with server.connect() as c:
                    for i in range(10000):
                        name = "%d-%d-%d" % (round, n, i)
                        sent.add(name)
                        c.transact("T", insert(name=name))
                        acknowledged.add(name)
            except (Closed, OSError):
                pass

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        time.sleep(r.uniform(0.05, 0.4))
        server.kill()
        for t in threads:
            t.join()
    server.start()
    with server.connect() as c:
        there = set(names(c))
    assert acknowledged <= there <= sent
    assert len(acknowledged) > 50


def test_a_watcher_never_sees_what_is_not_in_the_file(make_dbd):
    server = make_dbd().start()
    with server.connect() as watcher, server.connect() as writer:
        watcher.result("monitor", "T", 1, {"A": {"columns": ["name"]}})
        for i in range(200):
            writer.request("transact", "T", insert(name="n%d" % i))
        seen = set()
        while len(seen) < 120:
            for row in watcher.note()["params"][1]["A"].values():
                seen.add(row["new"]["name"])
        server.kill()
    server.start()
    with server.connect() as c:
        assert seen <= set(names(c))


def fill(server, n, prefix="n"):
    with server.connect() as c:
        for i in range(n):
            c.transact("T", insert(name="%s%d" % (prefix, i)))


def test_torn_tail_is_healed_with_a_warning(make_dbd, program):
    server = make_dbd().start()
    fill(server, 5)
    server.stop()
    whole = server.db.read_bytes()
    server.db.write_bytes(whole + b"OVSDB JSON 100 0123")
    assert "torn at offset %d" % len(whole) in run_tool(program, "check", server.db, status=1)
    server.start()
    assert "|WARN|" in server.text() and "offset %d" % len(whole) in server.text()
    with server.connect() as c:
        assert names(c) == ["n%d" % i for i in range(5)]
        assert server.db.read_bytes() == whole + b"OVSDB JSON 100 0123"  # Reading changes nothing.
        c.transact("T", insert(name="n5"))
    server.stop()
    assert server.db.read_bytes().startswith(whole + b"OVSDB JSON ")
    saved = server.db.with_name(server.db.name + ".cut-%d" % len(whole))
    assert saved.read_bytes() == b"OVSDB JSON 100 0123"
    server.start()
    with server.connect() as c:
        assert len(names(c)) == 6


def test_damage_in_the_middle_is_refused(make_dbd, program):
    server = make_dbd().start()
    fill(server, 20)
    server.stop()
    whole = bytearray(server.db.read_bytes())
    middle = whole.index(b'"n10"')
    whole[middle + 1] = ord("m")
    server.db.write_bytes(whole)
    run = subprocess.run(server.argv, capture_output=True, text=True, timeout=20)
    assert run.returncode == 1
    lines = [line for line in run.stderr.splitlines() if "|" not in line[:40]]
    assert len(lines) == 3 and lines[0].startswith("byre-dbd: failed to open database") and lines[1].startswith("why:") and lines[2].startswith("next:")
    assert "offset" in lines[1] and "byre-dbtool" in lines[2]
    assert server.db.read_bytes() == whole  # Nothing was lost.

    assert "good transactions follow" in run_tool(program, "check", server.db, status=1)
    run_tool(program, "compact", server.db, status=1)
    assert server.db.read_bytes() == whole
    run_tool(program, "compact", "--cut", server.db)
    (saved,) = server.db.parent.glob(server.db.name + ".cut-*")
    assert whole.endswith(saved.read_bytes())
    server.start()
    with server.connect() as c:
        assert names(c) == sorted("n%d" % i for i in range(10))


def test_no_database_file(make_dbd, state_dir):
    (state_dir / "x.db").write_text("this is no database\n")
    server = make_dbd(db=state_dir / "x.db")
    run = subprocess.run(server.argv, capture_output=True, text=True, timeout=20)
    assert run.returncode == 1 and "cannot identify file type" in run.stderr and "next: " in run.stderr


def test_inapplicable_record_at_the_end(make_dbd, program):
    import hashlib

    server = make_dbd().start()
    fill(server, 2)
    server.stop()
    whole = server.db.read_bytes()
    data = b'{"Nope":{"6b2e0000-0000-4000-8000-000000000000":{}}}\n'
    server.db.write_bytes(whole + b"OVSDB JSON %d %s\n" % (len(data), hashlib.sha1(data).hexdigest().encode()) + data)
    server.start()
    assert "|WARN|" in server.text()
    fill(server, 1, "after")
    server.stop()
    assert "3 good transactions" in run_tool(program, "check", server.db)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small filesystem needs root")
def test_full_disk(make_dbd, state_dir, program):
    disk = state_dir / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], check=True)
    server = None
    try:
        subprocess.run([program("byre-dbtool"), "create", str(disk / "db"), str(schema_file(state_dir))], check=True)
        server = make_dbd(db=disk / "db").start()
        with server.connect() as c, server.connect() as watcher:
            watcher.result("monitor", "T", 1, {"A": {"columns": ["name"]}})
            n = 0
            while True:
                result = c.transact("T", insert(name="n%d" % n, tags="x" * 4000))
                if len(result) == 2:
                    break
                watcher.note()
                n += 1
            assert result[1]["error"] == "I/O error" and result[1]["io-error"] == "No space left on device"
            assert watcher.quiet()  # Nobody hears of what was refused.
            assert len(names(c)) == n
            ballast = disk / "db.tmp"
            assert len(c.transact("T", insert(name="x", tags="x" * 4000))) == 2
            assert not ballast.exists()
            # Room again: compaction needs more than there is, and says so; the file stays good.
            subprocess.run(["mount", "-o", "remount,size=2m", str(disk)], check=True)
            assert len(c.transact("T", insert(name="n%d" % n))) == 1
        assert "a transaction is refused" in server.text()
        server.kill()
        server.start()
        with server.connect() as c:
            assert len(names(c)) == n + 1
        server.stop()
    finally:
        if server and server.process and server.process.poll() is None:
            server.kill()
        subprocess.run(["umount", str(disk)], check=True)


def schema_file(directory):
    import json

    from conftest import TEST_SCHEMA

    path = directory / "schema.json"
    path.write_text(json.dumps(TEST_SCHEMA))
    return path


def test_compaction(make_dbd, program):
    server = make_dbd().start()
    with server.connect() as c:
        (uuid,) = [r["uuid"] for r in c.transact("T", insert(name="x", opts=["map", [["k", "v"]]], strong=["set", []]))]
        for i in range(300):
            c.transact("T", {"op": "update", "table": "A", "where": [["_uuid", "==", uuid]], "row": {"i": i}})
        before = server.db.stat().st_size
        inode = server.db.stat().st_ino
        appctl(program, server, "ovsdb-server/compact", "T")
        assert server.db.stat().st_ino != inode
        assert server.db.stat().st_size < before / 5
        c.transact("T", insert(name="after"))
        want = c.transact("T", {"op": "select", "table": "A", "where": [], "columns": ["name", "i", "opts"]})
    server.kill()
    server.start()
    with server.connect() as c:
        got = c.transact("T", {"op": "select", "table": "A", "where": [], "columns": ["name", "i", "opts"]})
        assert sorted(map(str, got[0]["rows"])) == sorted(map(str, want[0]["rows"]))
        assert "n-weak" not in appctl(program, server, "ovsdb-server/compact")  # All databases; _Server has no file.
        assert "built-in" in appctl(program, server, "ovsdb-server/compact", "_Server", ok=False)


def test_log_tells_who_and_why(make_dbd, program):
    server = make_dbd().start()
    with server.connect() as c:
        c.transact("T", insert(name="x"), {"op": "comment", "comment": "because"})
        c.transact("T", {"op": "comment", "comment": "nothing else"})  # Leaves no trace.
    server.stop()
    log = run_tool(program, "show-log", "-m", server.db)
    assert "record 1:" in log and "record 2:" not in log
    assert "because\\nby uid %d pid %d " % (os.geteuid(), os.getpid()) in log
    assert 'insert row "x"' in log
    theirs = subprocess.run([program("ovsdb-tool"), "show-log", str(server.db)], capture_output=True, text=True)
    assert theirs.returncode == 0 and "because" in theirs.stdout


def test_tool(program, state_dir, make_reference):
    db = state_dir / "new.db"
    run_tool(program, "create", db)
    assert run_tool(program, "db-name", db) == "vmmgr\n"
    assert "exists" in run_tool(program, "create", db, status=1).lower()
    run_tool(program, "create", "--if-not-exists", db)
    assert "0 good transactions" in run_tool(program, "check", db)
    version = run_tool(program, "db-version", db).strip()
    theirs = subprocess.run([program("ovsdb-tool"), "db-version", str(db)], capture_output=True, text=True)
    assert theirs.stdout.strip() == version
    run_tool(program, "bogus", status=1)
    run_tool(program, "check", state_dir / "nope", status=1)
    (state_dir / "bad.schema").write_text('{"name":"X","tables":{"T":{"columns":{}}}}')
    assert "at least one column" in run_tool(program, "create", state_dir / "bad.db", state_dir / "bad.schema", status=1)
    assert not (state_dir / "bad.db").exists()


def test_reads_what_the_reference_wrote(make_dbd, make_reference, program):
    ref = make_reference().start()
    with ref.connect() as c:
        c.transact("T", insert(name="x", tags=["set", ["a", "b"]], opts=["map", [["k", "v"], ["l", "w"]]]))
        c.transact("T", {"op": "mutate", "table": "A", "where": [], "mutations": [["tags", "insert", "c"], ["tags", "delete", "a"], ["opts", "delete", ["set", ["k"]]]]})
        columns = ["name", "tags", "opts"]
        want = c.transact("T", {"op": "select", "table": "A", "where": [], "columns": columns})
    ref.process.terminate()
    ref.process.wait(20)
    server = make_dbd(db=ref.db)
    server.start()
    with server.connect() as c:
        assert c.transact("T", {"op": "select", "table": "A", "where": [], "columns": columns}) == want


SHIM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
/* A disk that fails while there is a file for it. */
static int fails(const char *name) { return syscall(SYS_access, name, 0) == 0; }
int fdatasync(int fd) { return fails("fail-sync") ? (errno = EIO, -1) : syscall(SYS_fdatasync, fd); }
ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t at)
{
    return fails("fail-write") ? (errno = EIO, -1) : syscall(SYS_pwritev, fd, v, n, (long) at, 0L);
}
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) { return pwritev64(fd, v, n, at); }
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    return fails("fail-write") ? (errno = EIO, -1) : syscall(SYS_pwrite64, fd, data, n, (long) at);
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { return pwrite64(fd, data, n, at); }
int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
    return fails("no-room") ? (errno = ENOSPC, -1) : syscall(SYS_fallocate, fd, mode, (long) at, (long) n);
}
int fallocate(int fd, int mode, off_t at, off_t n) { return fallocate64(fd, mode, at, n); }
"""


@pytest.fixture
def bad_disk(make_dbd, state_dir, monkeypatch):
    source = state_dir / "shim.c"
    source.write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(state_dir / "shim.so"), str(source)], check=True)
    server = make_dbd()
    server.argv[:0] = ["env", "LD_PRELOAD=%s/shim.so" % state_dir, "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"]
    return server


def test_a_failed_write_refuses_the_transaction(bad_disk, state_dir):
    """Where no room can be set aside each transaction is written, or refused, by itself."""
    (state_dir / "no-room").touch()
    bad_disk.start()
    with bad_disk.connect() as c:
        c.transact("T", insert(name="before"))
        (state_dir / "fail-write").touch()
        result = c.transact("T", insert(name="refused"))
        assert result[1]["error"] == "I/O error" and result[1]["io-error"] == "Input/output error"
        assert names(c) == ["before"]
        (state_dir / "fail-write").unlink()
        c.transact("T", insert(name="after"))
        assert names(c) == ["after", "before"]
    bad_disk.kill()
    bad_disk.start()
    with bad_disk.connect() as c:
        assert names(c) == ["after", "before"]


def test_a_failed_write_of_what_was_gathered_ends_the_server(bad_disk, state_dir):
    bad_disk.start()
    with bad_disk.connect() as c, bad_disk.connect() as watcher:
        c.transact("T", insert(name="before"))
        watcher.call("monitor", "T", "m", {"A": {"columns": ["name"]}})
        (state_dir / "fail-write").touch()
        c.send("".join(json.dumps({"id": i, "method": "transact", "params": ["T", insert(name="lost-%d" % i)]}) for i in range(3)))
        with pytest.raises(Closed):
            c.recv(20)
        with pytest.raises(Closed):
            watcher.recv(20)  # Nobody saw what nobody will find again.
    assert bad_disk.process.wait(20) == 1
    assert "write failed: Input/output error" in bad_disk.text()
    (state_dir / "fail-write").unlink()
    bad_disk.start()
    with bad_disk.connect() as c:
        assert names(c) == ["before"]


def test_room_set_aside_does_not_stay(make_dbd):
    """While the server runs the disk has more than the file; not after it ended."""
    server = make_dbd()
    server.start()
    with server.connect() as c:
        c.transact("T", insert(name="a"))
        running = server.db.stat()
        assert running.st_blocks * 512 >= running.st_size + 128 * 1024
    server.stop()
    ended = server.db.stat()
    assert ended.st_size >= running.st_size and ended.st_blocks * 512 < ended.st_size + 64 * 1024


def test_a_failed_fdatasync_ends_the_server(bad_disk, state_dir):
    """Nobody can know what is on the disk then; nobody is told that it is."""
    bad_disk.start()
    with bad_disk.connect() as c:
        c.transact("T", insert(name="before"))
        (state_dir / "fail-sync").touch()
        id = c.request("transact", "T", insert(name="unknown"))
        with pytest.raises(Closed):
            c.reply(id)
    assert bad_disk.process.wait(20) == 1
    assert "fdatasync failed: Input/output error" in bad_disk.text()
    (state_dir / "fail-sync").unlink()
    bad_disk.start()
    with bad_disk.connect() as c:
        assert "before" in names(c)
