"""Compaction: in the background, while clients write; what it takes out goes to the archive."""

import gzip
import json
import subprocess
import threading
import time


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
