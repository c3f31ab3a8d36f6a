"""What lies in a pool's directory becomes rows: by a refresh, and without one."""

import os
import pathlib
import shutil
import subprocess
import time

import pytest

from host import Host, temporary_state
from rpc import Rpc

N_MANY = 700  # More than one transaction takes, and than is looked at one by one.


@pytest.fixture(scope="module")
def host(builddir):
    if shutil.which("qemu-img") is None:
        pytest.skip("needs qemu-img")
    with Host(builddir, temporary_state(), "refresh-%d-" % os.getpid()) as h:
        yield h


@pytest.fixture
def pool(host):
    """The default pool's directory, empty and known to be watched."""
    host.byre("pool", "refresh", "default")
    path = pathlib.Path(host.pool_dir)
    marker = path / "marker"
    marker.write_bytes(b"")
    until(host, lambda v: "marker" in v)
    yield path
    for entry in path.iterdir():
        entry.unlink()
    until(host, lambda v: not [x for x in v.values() if x["state"] != "missing"])


def volumes(host):
    return {v["name"]: v for v in host.json("list", "volume", "-c", "name,state,capacity,format,error,found")}


def until(host, holds, seconds=60):
    """Waits until it holds for the volumes, and returns them.  Nothing refreshes meanwhile."""
    deadline = time.monotonic() + seconds
    while True:
        v = volumes(host)
        if holds(v):
            return v
        assert time.monotonic() < deadline, "%s\n%s" % (v, host.logs())
        time.sleep(0.05)


def refreshed_at(host):
    return host.json("list", "pool", "-c", "refreshed_at")[0]["refreshed_at"]


def image(path, size="1M", fmt="qcow2"):
    subprocess.run(["qemu-img", "create", "-q", "-f", fmt, path, size], check=True, timeout=60)


def test_a_file_that_comes_changes_and_goes(host, pool):
    before = refreshed_at(host)
    image(pool / "a.qcow2", "3M")
    v = until(host, lambda v: v.get("a.qcow2", {}).get("capacity") == 3 << 20)["a.qcow2"]
    assert v["format"] == "qcow2" and v["state"] == "ready" and v["found"]
    subprocess.run(["qemu-img", "resize", "-q", "-f", "qcow2", pool / "a.qcow2", "5M"], check=True, timeout=60)
    until(host, lambda v: v["a.qcow2"]["capacity"] == 5 << 20)
    (pool / "a.qcow2").rename(pool / "b.qcow2")
    until(host, lambda v: "a.qcow2" not in v and v.get("b.qcow2", {}).get("capacity") == 5 << 20)
    (pool / "b.qcow2").unlink()
    until(host, lambda v: "b.qcow2" not in v)
    assert refreshed_at(host) == before, "one file is no reason to scan all"


def test_a_look_up_finds_what_no_row_tells_of(host, pool):
    """Where the kernel tells nothing, on a server's files, this is how one is found without a refresh."""
    for i in range(5):
        image(pool / ("now%d.qcow2" % i), "2M")
        assert "now%d.qcow2" % i in host.byre("vol", "info", "default/now%d.qcow2" % i).stdout
    done = host.byre("vol", "info", "default/never", check=False)
    assert done.returncode == 3 and 'there is no vol "default/never"' in done.stderr


def test_many_at_once(host, pool):
    for i in range(N_MANY):
        (pool / ("many%03d" % i)).write_bytes(b"x" * i)
    v = until(host, lambda v: sum(n.startswith("many") for n in v) == N_MANY)
    host.byre("pool", "refresh", "default")
    v = volumes(host)
    assert [v["many%03d" % i]["capacity"] for i in range(N_MANY)] == list(range(N_MANY))
    assert [(pool / ("many%03d" % i)).stat().st_size for i in range(N_MANY)] == list(range(N_MANY)), "nobody resized them"
    for i in range(N_MANY):
        (pool / ("many%03d" % i)).unlink()
    until(host, lambda v: not any(n.startswith("many") for n in v))


class Watcher(Rpc):
    """Sees each change of some columns in its order."""

    def __init__(self, host):
        super().__init__(host.db)
        self.seen = {}
        wanted = {"pool": ["capacity"], "volume": ["capacity"], "job": ["kind", "state"]}
        self._apply(self.result("monitor", "vmmgr", None, {t: {"columns": c} for t, c in wanted.items()}))

    def _apply(self, tables):
        for table, rows in tables.items():
            for row, change in rows.items():
                self.seen.setdefault(table, {})[row] = change.get("new", {})

    def refresh_done(self):
        """Up to the first update that says so, and no further."""
        jobs = set(self.seen.get("job", {}))
        while True:
            for row, job in self.seen.get("job", {}).items():
                if row not in jobs and job.get("kind") == "pool.refresh" and job["state"] not in ("queued", "running"):
                    assert job["state"] == "done"
                    return
            self._apply(self.note()["params"][1])


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_what_a_refresh_saw_is_there_when_it_has_ended(host):
    """Sizes of a pool and of a volume: whoever hears of the end has the new ones already."""
    path = host.state / "sizes"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", path], check=True, timeout=60)
    try:
        (path / "file").write_bytes(b"")
        host.byre("pool", "define-as", "sizes", "dir", "--target", str(path))
        host.byre("pool", "start", "sizes")
        pool = host.json("list", "pool", "--where", "name=sizes", "-c", "_uuid")[0]["_uuid"]
        volume = host.json("list", "volume", "--where", "name=file", "-c", "_uuid")[0]["_uuid"]
        for mib in range(10, 20):
            subprocess.run(["mount", "-o", "remount,size=%dm" % (2 * mib), path], check=True, timeout=60)
            os.truncate(path / "file", mib << 20)
            with Watcher(host) as watcher:
                host.byre("pool", "refresh", "sizes")
                watcher.refresh_done()
                assert watcher.seen["pool"][pool]["capacity"] == 2 * mib << 20
                assert watcher.seen["volume"][volume]["capacity"] == mib << 20
        host.byre("pool", "stop", "sizes")
        host.byre("pool", "undefine", "sizes")
    finally:
        subprocess.run(["umount", path], check=True, timeout=60)


def test_refresh_alone_finds_the_same(host, pool):
    """After the agent was away: what happened meanwhile is found by its first scan."""
    image(pool / "kept.qcow2")
    image(pool / "lost.qcow2")
    until(host, lambda v: "kept.qcow2" in v and "lost.qcow2" in v)
    host.stop()
    (pool / "lost.qcow2").unlink()
    image(pool / "new.raw", "2M", "raw")
    host.start()
    v = until(host, lambda v: "new.raw" in v and "lost.qcow2" not in v)
    assert v["kept.qcow2"]["state"] == "ready"


def test_what_byre_made_is_missed(host, pool):
    host.byre("vol", "create-as", "default", "mine", "1M")
    (pool / "mine").unlink()
    until(host, lambda v: v["mine"]["state"] == "missing")
    (pool / "mine").write_bytes(b"\0" * (1 << 20))
    until(host, lambda v: v["mine"]["state"] == "ready")
    host.byre("vol", "delete", "default/mine")


def test_who_was_taken_up_stays(host, pool):
    image(pool / "tagged.qcow2")
    until(host, lambda v: "tagged.qcow2" in v)
    host.byre("set", "volume", "default/tagged.qcow2", "external_ids:owner=me")
    (pool / "tagged.qcow2").unlink()
    until(host, lambda v: v["tagged.qcow2"]["state"] == "missing")
    host.byre("vol", "delete", "default/tagged.qcow2")


def test_one_broken_file_is_one_volume(host, pool):
    """libvirt's refresh fails at such a file, and stops the pool."""
    image(pool / "fine.qcow2")
    with open(pool / "fine.qcow2", "rb") as f:
        head = f.read(40)
    (pool / "cut.qcow2").write_bytes(head)
    os.symlink("loop", pool / "loop")
    os.mkfifo(pool / "fifo")
    host.byre("pool", "refresh", "default")
    v = volumes(host)
    assert v["fine.qcow2"]["state"] == "ready" and v["cut.qcow2"]["state"] == "ready"
    assert "loop" not in v and "fifo" not in v
    row = host.json("list", "pool", "-c", "state,warnings")[0]
    assert row["state"] == "running"
    assert any("cut.qcow2" in w for w in row["warnings"]), row
    assert any("loop" in w for w in row["warnings"]), row


def test_refresh_and_jobs_side_by_side(host, pool):
    """libvirt: "pool has asynchronous jobs running"."""
    making = [subprocess.Popen([str(host.bin / "byre"), "--db", host.db, "vol", "create-as", "default", "job%d" % i, "64M",
                                "--allocation", "64M"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
              for i in range(4)]
    for _ in range(5):
        host.byre("pool", "refresh", "default")
    for p in making:
        out, _ = p.communicate(timeout=120)
        assert p.returncode == 0, out.decode()
    v = volumes(host)
    assert all(v["job%d" % i]["state"] == "ready" for i in range(4))
    for i in range(4):
        host.byre("vol", "delete", "default/job%d" % i)


def test_a_stopped_pool_is_not_watched(host, pool):
    host.byre("pool", "stop", "default")
    image(pool / "late.qcow2")
    host.byre("pool", "start", "default")
    assert "late.qcow2" in volumes(host)
    (pool / "late.qcow2").unlink()
    until(host, lambda v: "late.qcow2" not in v)
