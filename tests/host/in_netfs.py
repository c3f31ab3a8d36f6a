# testhost: -d 1G -T 900 -m 2560
"""A pool of type netfs through its whole life, with a real NFS server on this host."""

import os
import pathlib

import guest
import servers

TARGET = "/srv/nf"


def mounted(path=TARGET):
    """(source, type, options) of what lies on top of 'path', or None."""
    lines = [line.split() for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    found = [line for line in lines if line[4] == path]
    if not found:
        return None
    dash = found[-1].index("-")
    return found[-1][dash + 2], found[-1][dash + 1], found[-1][5].split(",")


def state(byre, name="nf"):
    return byre.pool(name)["state"]


def test_nfs_server():
    servers.nfs(guest.disk(0), "/srv/x", "/srv/y z")


def test_life():
    byre = guest.byre()
    byre.byre("pool", "define-as", "nf", "netfs", "--source-host", "127.0.0.1", "--source-path", "/srv/x", "--target", TARGET,
              "--source-format", "nfs", "--source-protocol-ver", "4.2")
    said = byre.fails("pool", "start", "nf")
    assert TARGET in said, said  # Nothing was made by itself.
    byre.byre("pool", "build", "nf")
    byre.byre("pool", "start", "nf")
    source, kind, options = mounted()
    assert source == "127.0.0.1:/srv/x" and kind == "nfs4", (source, kind)
    assert {"nosuid", "nodev", "noexec"} <= set(options), options
    row = byre.pool("nf")
    assert row["state"] == "running" and row["state_since"] and row["capacity"] > 500 << 20, row

    byre.byre("vol", "create-as", "nf", "a.raw", "8M")
    byre.byre("vol", "create-as", "nf", "b.qcow2", "8M", "--format", "qcow2")
    assert (pathlib.Path("/export/srv/x") / "a.raw").stat().st_size == 8 << 20
    data = pathlib.Path("/tmp/data")
    data.write_bytes(os.urandom(3 << 20))
    byre.byre("vol", "upload", "nf/a.raw", str(data))
    byre.byre("vol", "download", "nf/a.raw", "/tmp/back")
    assert pathlib.Path("/tmp/back").read_bytes()[:3 << 20] == data.read_bytes()
    byre.byre("vol", "create-as", "nf", "c.raw", "8M")
    byre.byre("vol", "resize", "nf/c.raw", "16M")
    assert byre.vols("nf")["c.raw"]["capacity"] == 16 << 20
    (pathlib.Path("/export/srv/x") / "by-hand.raw").write_bytes(b"x" * 512)
    byre.byre("pool", "refresh", "nf")
    assert set(byre.vols("nf")) == {"a.raw", "b.qcow2", "c.raw", "by-hand.raw"}
    byre.byre("vol", "delete", "nf/by-hand.raw")
    assert not (pathlib.Path("/export/srv/x") / "by-hand.raw").exists()


def test_a_busy_pool_does_not_stop_and_tells_why():
    byre = guest.byre()
    holder = open(TARGET + "/a.raw", "rb")
    said = byre.fails("pool", "stop", "nf")
    assert "python3 (process %d)" % os.getpid() in said, said
    holder.close()
    byre.byre("pool", "stop", "nf")
    assert mounted() is None and state(byre) == "inactive"
    byre.byre("pool", "start", "nf")
    assert set(byre.vols("nf")) == {"a.raw", "b.qcow2", "c.raw"}


def test_what_is_unmounted_by_hand_comes_back():
    byre = guest.byre()
    guest.run("umount", TARGET)
    guest.wait_for("the mount to come back", mounted)
    guest.wait_for("the pool to run", lambda: state(byre) == "running")


def test_nothing_is_written_where_something_else_is_mounted():
    byre = guest.byre()
    guest.run("umount", TARGET)
    guest.run("mount", "-t", "tmpfs", "other", TARGET)
    said = byre.fails("vol", "create-as", "nf", "stray.raw", "1M")
    assert "other" in said or "not" in said, said
    assert os.listdir(TARGET) == [], os.listdir(TARGET)
    row = guest.wait_for("the trouble to be told",
                         lambda: byre.pool("nf")["state"] == "inaccessible" and byre.pool("nf"))
    assert "'other' is mounted on '/srv/nf' in place of '127.0.0.1:/srv/x'" in row["error"], row["error"]
    guest.run("umount", TARGET)
    guest.wait_for("the pool to run", lambda: state(byre) == "running")
    assert mounted()[0] == "127.0.0.1:/srv/x" and "stray.raw" not in os.listdir(TARGET)


def test_a_mount_that_is_there_is_taken():
    byre = guest.byre()
    byre.byre("pool", "stop", "nf")
    guest.run("mount", "-t", "nfs", "-o", "nfsvers=3,nolock", "127.0.0.1:/srv/x/", TARGET)
    byre.byre("pool", "start", "nf")
    assert mounted()[1] == "nfs", "it was not mounted again"
    byre.byre("pool", "stop", "nf")
    assert mounted() is None


def test_blanks_and_versions():
    byre = guest.byre()
    byre.byre("pool", "define-as", "yz", "netfs", "--source-host", "127.0.0.1", "--source-path", "/srv/y z", "--target", "/srv/m m",
              "--source-protocol-ver", "3")
    byre.byre("pool", "build", "yz")
    byre.byre("pool", "start", "yz")
    assert mounted("/srv/m\\040m")[:2] == ("127.0.0.1:/srv/y\\040z", "nfs")
    byre.byre("vol", "create-as", "yz", "v", "1M")
    byre.byre("vol", "delete", "yz/v")
    byre.byre("pool", "stop", "yz")
    byre.byre("pool", "delete", "yz")
    assert not os.path.exists("/srv/m m")
    byre.byre("pool", "undefine", "yz")


def test_a_guest():
    """Its disk is a file of the server; who runs is in nobody's way, and nobody is in his."""
    byre = guest.byre()
    byre.byre("pool", "start", "nf")
    said = byre.boot("on-nf", "nf/disk:%d" % (32 << 20))
    assert "disk /dev/vda %d bytes" % (32 << 20) in said and "ext2 made, written, read back" in said, said
    assert (pathlib.Path("/export/srv/x") / "disk").stat().st_size > 0
    refused = byre.fails("pool", "stop", "nf")
    assert "on-nf" in refused and mounted(), refused
    byre.fails("vol", "delete", "nf/disk")
    byre.byre("pool", "start", "nf")
    byre.off("on-nf")
    said = byre.boot("on-nf", "nf/disk")
    assert "kept (boot 2), written, read back" in said, said
    byre.off("on-nf")
    byre.byre("vm", "delete", byre.prefix + "on-nf")
    byre.byre("pool", "stop", "nf", "boot")
    assert mounted() is None


def test_end():
    byre = guest.byre()
    byre.byre("pool", "undefine", "boot")
    byre.byre("pool", "delete", "nf")
    assert not os.path.exists(TARGET) and (pathlib.Path("/export/srv/x") / "a.raw").exists()
    byre.byre("pool", "undefine", "nf")
    assert byre.json("pool", "list") == []


guest.main(globals())
