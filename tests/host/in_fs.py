# testhost: -d 1G -d 512M -d 512M -T 900
"""Pools of type fs through their whole life, and guests' disks on fs, logical and dir."""

import os

import guest
from guest import disk, run, sh

TARGET = "/var/lib/byre-test/fs"


def mounted(target=TARGET):
    return run("findmnt", "-rno", "SOURCE,FSTYPE,OPTIONS", target, check=False).split()


def test_build_looks_first():
    byre = guest.byre()
    byre.byre("pool", "define-as", "f", "fs", "--source-dev", disk(0), "--source-format", "ext4", "--target", TARGET)
    run("mkfs.xfs", "-q", "-f", disk(0))
    said = byre.fails("pool", "build", "f", "--no-overwrite")
    assert "does not match the expected format 'ext4'" in said and "xfs" in said, said
    byre.byre("pool", "build", "f", "--overwrite")
    said = byre.fails("pool", "build", "f", "--no-overwrite")
    assert "already formatted using 'ext4'" in said, said
    assert not mounted(), "to build is not to mount"


def test_start_and_volumes():
    byre = guest.byre()
    byre.byre("pool", "start", "f")
    source, kind, options = mounted()
    assert (source, kind) == ("/dev/sda", "ext4") and {"nodev", "nosuid", "noexec"} <= set(options.split(",")), options
    row = byre.pool("f")
    assert row["state"] == "running" and 900 << 20 < row["capacity"] < 1 << 30, row
    byre.byre("vol", "create-as", "f", "a", "10M")
    byre.byre("vol", "create-as", "f", "b.qcow2", "512M", "--format", "qcow2")
    assert os.path.getsize(TARGET + "/a") == 10 << 20
    byre.byre("vol", "delete", "f/a")


def test_who_hinders_the_stop_is_named():
    byre = guest.byre()
    with open(TARGET + "/held", "w"):
        said = byre.fails("pool", "stop", "f")
        assert mounted() and "%d" % os.getpid() in said, said
    os.unlink(TARGET + "/held")


def test_stop_and_start():
    byre = guest.byre()
    byre.byre("pool", "stop", "f")
    assert not mounted()
    byre.byre("pool", "start", "f")
    assert set(byre.vols("f")) == {"b.qcow2", "lost+found"}, byre.vols("f")  # A directory is a volume, whosever it is.


def test_format_auto_and_every_format():
    byre = guest.byre()
    for number, kind in enumerate(["ext2", "ext3", "vfat", "xfs", "ocfs2"]):
        name, target = "f" + kind, TARGET + kind
        byre.byre("pool", "define-as", name, "fs", "--source-dev", disk(1), "--source-format", kind, "--target", target)
        if kind == "ocfs2":  # Mounting wants a cluster.
            byre.byre("pool", "build", name, "--overwrite")
            assert "ocfs2" in run("blkid", "-p", disk(1))
        else:
            byre.byre("pool", "build", name, "--overwrite")
            byre.byre("pool", "start", name)
            assert mounted(target)[1] == kind
            byre.byre("vol", "create-as", name, "v", "1M")
            byre.byre("pool", "stop", name)
        byre.byre("pool", "undefine", name)
    byre.byre("pool", "define-as", "auto", "fs", "--source-dev", disk(1), "--target", TARGET + "auto")
    said = byre.fails("pool", "build", "auto", "--overwrite")
    assert "format 'auto' cannot be made" in said, said
    run("mkfs.btrfs", "-q", "-f", disk(1))
    byre.byre("pool", "build", "auto")
    byre.byre("pool", "start", "auto")
    assert mounted(TARGET + "auto")[1] == "btrfs"
    byre.byre("pool", "stop", "auto")
    byre.byre("pool", "delete", "auto")
    assert not os.path.exists(TARGET + "auto")
    byre.byre("pool", "undefine", "auto")
    byre.byre("pool", "define-as", "udf", "fs", "--source-dev", disk(1), "--source-format", "gfs2", "--target", TARGET + "g")
    said = byre.fails("pool", "build", "udf", "--overwrite")
    assert "gfs2-utils" in said or "mkfs.gfs2" in said, said
    byre.byre("pool", "undefine", "udf")


def test_guests():
    byre = guest.byre()
    byre.byre("pool", "define-as", "vg", "logical", "--source-dev", disk(2))
    byre.byre("pool", "build", "vg", "--overwrite")
    byre.byre("pool", "start", "vg")
    for pool, capacity in (("f", 64 << 20), ("vg", 64 << 20)):
        said = byre.boot("on-" + pool, "%s/disk:%d" % (pool, capacity))
        assert "disk /dev/vda %d bytes" % capacity in said and "written, read back" in said, said
    # Those who run are in nobody's way, and nobody is in theirs.
    assert byre.byre("--timeout", "30", "vol", "delete", "vg/disk", check=False).returncode != 0
    assert byre.byre("--timeout", "30", "pool", "stop", "vg", check=False).returncode != 0
    assert os.path.exists("/dev/vg/disk") and mounted()
    byre.byre("pool", "start", "vg")
    byre.off("on-vg")
    said = byre.boot("on-vg", "vg/disk:%d" % (64 << 20))
    assert "kept (boot 2), written, read back" in said, said
    byre.off("on-vg")
    byre.off("on-f")
    sh("e2fsck -fn /dev/vg/disk")


def test_end():
    byre = guest.byre()
    byre.byre("vm", "delete", byre.prefix + "on-f", byre.prefix + "on-vg", check=False)
    byre.byre("pool", "stop", "f", "vg")
    assert not mounted()


guest.main(globals())
