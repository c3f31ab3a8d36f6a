"""Compaction: in the background, while clients write; what it takes out goes to the archive."""

import gzip
import json
import os
import re
import subprocess
import threading
import time

import pytest

from test_dbserver import appctl, insert


def names(c):
    return sorted(r["name"] for r in c.transact("T", {"op": "select", "table": "A", "where": [], "columns": ["name"]})[0]["rows"])


def records(blob):
    """The JSON of each record of an OVSDB file, or of several in a row."""
    found = []
    while blob:
        head, blob = blob.split(b"\n", 1)
        n = int(head.split()[2])
        found.append(json.loads(blob[:n]))
        blob = blob[n:]
    return found


def database(dbd):
    (path,) = [p for p in dbd.dir.iterdir() if p.suffix == ".db"]
    return path


def archive(dbd):
    path = database(dbd)
    return path.with_name(path.name + ".archive.gz")


def test_writers_do_not_notice(dbd, program):
    stop = threading.Event()
    acknowledged = []

    def write(who):
        with dbd.connect() as c:
            i = 0
            while not stop.is_set():
                name = "w%d-%06d" % (who, i)
                assert "uuid" in c.transact("T", insert(name=name))[0]
                acknowledged.append(name)
                i += 1

    threads = [threading.Thread(target=write, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for _ in range(8):
        appctl(program, dbd, "ovsdb-server/compact")
        time.sleep(0.1)
    stop.set()
    for t in threads:
        t.join()
    with dbd.connect() as c:
        assert names(c) == sorted(acknowledged)
    dbd.kill()
    dbd.start()
    with dbd.connect() as c:
        assert names(c) == sorted(acknowledged)
    told = records(gzip.decompress(archive(dbd).read_bytes())) + records(database(dbd).read_bytes())
    inserted = [row["name"] for r in told if "A" in r and "compacting" not in r["_comment"] for row in r["A"].values()]
    assert sorted(inserted) == sorted(acknowledged), "archive and file tell of each transaction once"
    assert not list(dbd.dir.glob("*.tmp"))


def test_who_did_what(dbd, program):
    with dbd.connect() as c:
        c.transact("T", insert(name="first"), {"op": "comment", "comment": "the beginning"})
        appctl(program, dbd, "ovsdb-server/compact")
        c.transact("T", {"op": "update", "table": "A", "where": [], "row": {"name": "second"}})
        appctl(program, dbd, "ovsdb-server/compact")
        c.transact("T", {"op": "delete", "table": "A", "where": []})
    tool = [program("byre-dbtool"), "-mm", "--archive", "show-log", str(database(dbd))]
    text = subprocess.run(tool, capture_output=True, text=True, check=True).stdout
    story = ["the beginning", "name=first", "name=second", "compacting", "delete row"]
    assert [text.find(word) >= 0 for word in story] == [True] * 5, text
    assert sorted(story, key=text.find) == story, text
    assert "the beginning" not in subprocess.run([t for t in tool if t != "--archive"], capture_output=True, text=True).stdout


def test_killed_at_any_moment(dbd, program):
    """Whatever is left behind, nothing that was acknowledged is lost, and the archive stays whole."""
    expected = []
    for round_ in range(12):
        with dbd.connect() as c:
            for i in range(20):
                expected.append("r%d-%d" % (round_, i))
                c.transact("T", insert(name=expected[-1]))
            thread = threading.Thread(target=lambda: appctl_maybe(program, dbd))
            thread.start()
            time.sleep(0.004 * round_)
            dbd.kill()
            thread.join()
        dbd.start()
        with dbd.connect() as c:
            assert names(c) == sorted(expected)
    appctl(program, dbd, "ovsdb-server/compact")
    told = records(gzip.decompress(archive(dbd).read_bytes()))
    inserted = [row["name"] for r in told if "A" in r for row in r["A"].values()]
    assert sorted(inserted) == sorted(expected)


def appctl_maybe(program, dbd):
    try:
        appctl(program, dbd, "ovsdb-server/compact")
    except AssertionError:
        pass


def test_archive_of_another_time(dbd, program):
    """A file that was put back does not know the newer archive: it is moved, not lost."""
    with dbd.connect() as c:
        c.transact("T", insert(name="first"))
        appctl(program, dbd, "ovsdb-server/compact")
        first = archive(dbd).read_bytes()
        copy = database(dbd).read_bytes()
        c.transact("T", insert(name="second"))
        appctl(program, dbd, "ovsdb-server/compact")
        both = archive(dbd).read_bytes()
        assert both.startswith(first) and len(both) > len(first)
    dbd.stop()
    database(dbd).write_bytes(copy)
    dbd.start()
    with dbd.connect() as c:
        c.transact("T", insert(name="other"))
        appctl(program, dbd, "ovsdb-server/compact")
        assert names(c) == ["first", "other"]
    (cut,) = dbd.dir.glob("*.cut-*")
    assert cut.read_bytes() == both[len(first):]
    told = records(gzip.decompress(archive(dbd).read_bytes()))
    assert [row["name"] for r in told if "A" in r for row in r["A"].values()] == ["first", "other"]


def test_disk_says_no(dbd, program):
    """A directory stands where the new file would be: the answer says so, and the server goes on."""
    with dbd.connect() as c:
        c.transact("T", insert(name="kept"))
        blocker = database(dbd).with_name(database(dbd).name + ".tmp")
        blocker.mkdir()
        assert "compact" in appctl(program, dbd, "ovsdb-server/compact", ok=False)
        blocker.rmdir()
        archive(dbd).mkdir()
        assert "not compacted" in appctl(program, dbd, "ovsdb-server/compact", ok=False)
        archive(dbd).rmdir()
        c.transact("T", insert(name="more"))
        appctl(program, dbd, "ovsdb-server/compact")
        assert names(c) == ["kept", "more"]


def test_ended_while_compacting(dbd, program):
    with dbd.connect() as c:
        for i in range(50):
            c.transact("T", *[insert(name="%d-%d" % (i, k)) for k in range(100)])
        thread = threading.Thread(target=lambda: appctl_maybe(program, dbd))
        thread.start()
        time.sleep(0.02)
        dbd.stop()
        thread.join()
    dbd.start()
    with dbd.connect() as c:
        assert len(names(c)) == 5000


DAMAGE = [  # What, of a file of three members, and the transactions that history still tells of.
    ("nothing", lambda b, ends: b, "abc", 0),
    ("the last one's end is cut off", lambda b, ends: b[:-5], "abc", 1),
    ("the last one is cut in the middle", lambda b, ends: b[:(ends[1] + ends[2]) // 2], "ab", 1),
    ("the last one is missing", lambda b, ends: b[:ends[1]], "ab", 1),
    ("a byte of the first one is another", lambda b, ends: flip(b, ends[0] // 2), "bc", 1),
    ("a byte of the second one is another", lambda b, ends: flip(b, (ends[0] + ends[1]) // 2), "ac", 1),
    ("the first one's header is none", lambda b, ends: flip(b, 0), "bc", 1),
    ("the first one's sum is another", lambda b, ends: flip(b, ends[0] - 8), "abc", 1),
    ("all but three bytes are gone", lambda b, ends: b[:3], "", 1),
    ("it is empty", lambda b, ends: b"", "", 1),
    ("it is something else", lambda b, ends: b"x" * len(b), "", 1),
    ("it is gone", lambda b, ends: None, "", 1),
]


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:]


def test_a_damaged_archive(program, state_dir):
    """What is damaged is left out and said, the rest is told; and the next compaction is told of again."""
    db = state_dir / "x.db"
    schema = {"name": "T", "tables": {"U": {"columns": {"a": {"type": "string"}}}}}
    (state_dir / "s").write_text(json.dumps(schema))
    packed = state_dir / "x.db.archive.gz"

    def tool(*args):
        done = subprocess.run([program("byre-dbtool"), *args], capture_output=True, text=True, timeout=30)
        assert done.returncode in (0, 2), done.stderr
        return done

    def add(name):
        tool("transact", str(db), json.dumps(["T", {"op": "insert", "table": "U", "row": {"a": name}}]))

    def told():
        done = tool("history", str(db))
        return "".join(re.findall(r"a: (\w+)$", done.stdout, re.M)), done.stderr.count("warning")

    tool("create", str(db), str(state_dir / "s"))
    ends = []
    for name in "abc":
        add(name)
        tool("compact", str(db))
        ends.append(packed.stat().st_size)
    good, file = packed.read_bytes(), db.read_bytes()
    for what, damage, left, n_warnings in DAMAGE:
        db.write_bytes(file)
        bytes_now = damage(good, ends)
        packed.unlink(missing_ok=True)
        if bytes_now is not None:
            packed.write_bytes(bytes_now)
        assert told() == (left, n_warnings), what
        add("d")
        assert told() == (left + "d", n_warnings), what
        tool("compact", str(db))
        add("e")
        assert told()[0] == left + "de", what


def test_what_root_makes_is_the_owners(program, state_dir):
    """The lock and the archive beside another user's database are his; what the names lead to elsewhere is not touched."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    db = state_dir / "x.db"
    (state_dir / "s").write_text(json.dumps({"name": "T", "tables": {"U": {"columns": {"a": {"type": "string"}}}}}))
    insert_one = json.dumps(["T", {"op": "insert", "table": "U", "row": {}}])

    def tool(*args):
        return subprocess.run([program("byre-dbtool"), *args], capture_output=True, text=True, timeout=30)

    tool("create", str(db), str(state_dir / "s"))
    beside = [state_dir / ".x.db.~lock~", state_dir / "x.db.archive.gz"]
    beside[0].unlink()
    os.chown(db, 65534, 65534)
    assert tool("transact", str(db), insert_one).returncode == 0
    assert tool("compact", str(db)).returncode == 0
    assert [p.stat().st_uid for p in (db, *beside)] == [65534] * 3
    other = state_dir / "other"
    for path, args in ((beside[0], ("transact", str(db), insert_one)), (beside[1], ("compact", str(db)))):
        other.write_text("")
        path.unlink()
        path.symlink_to(other)
        assert tool(*args).returncode == 1 and (other.stat().st_uid, other.read_text()) == (0, "")
        path.unlink()
        assert tool("transact", str(db), insert_one).returncode == 0
