# testhost: -d 512M -d 512M -T 900
"""A copy of every kind of volume in every kind of pool that can hold one: files, images, logical volumes, partitions, LUNs."""

import os
import pathlib

import guest
import servers
from guest import disk, run, sh

IQN = "iqn.2024-01.org.byre:c1"
SIZE = 16 << 20
DATA = os.urandom(1 << 20)
TEXT = DATA + bytes(4 << 20) + DATA  # With a hole in between.


def content(path):
    """The first bytes of a raw volume."""
    with open(path, "rb") as f:
        return f.read(len(TEXT))


def filepath(byre, volume):
    return byre.json("vol", "info", volume)["filepath"]


def lun(byre):
    (name,) = byre.vols("is")
    return "is/" + name


def test_sources():
    servers.tgt()
    servers.target(1, IQN)
    servers.lun(1, 1, SIZE >> 20)
    byre = guest.byre()
    byre.byre("pool", "define-as", "d", "dir", "--target", "/var/lib/byre-test/d")
    byre.byre("pool", "define-as", "vg", "logical", "--source-dev", disk(0))
    byre.byre("pool", "define-as", "gpt", "disk", "--source-dev", disk(1), "--source-format", "gpt", "--target", "/dev")
    byre.byre("pool", "define-as", "is", "iscsi", "--source-host", "127.0.0.1", "--source-dev", IQN, "--target", "/dev/disk/by-path")
    for name in ("d", "vg", "gpt"):
        byre.byre("pool", "build", name)
    byre.byre("pool", "start", "d", "vg", "gpt", "is")
    pathlib.Path("/tmp/text").write_bytes(TEXT)
    sh("qemu-img create -q -f qcow2 /tmp/text.qcow2 %d && qemu-io -c 'write -s /tmp/text 0 %d' /tmp/text.qcow2" % (SIZE, len(TEXT)))
    byre.byre("vol", "create-as", "d", "raw", str(SIZE))
    byre.byre("vol", "create-as", "d", "qcow2", str(SIZE), "--format", "qcow2")
    byre.byre("vol", "create-as", "vg", "lv", str(SIZE))
    byre.byre("vol", "create-as", "gpt", "sdb1", str(SIZE))
    byre.byre("vol", "upload", "d/qcow2", "/tmp/text.qcow2")
    for volume in ("d/raw", "vg/lv", "gpt/sdb1", lun(byre)):
        byre.byre("vol", "upload", volume, "/tmp/text")


def copies(to, name, *options):
    """A copy of each source, looked at, and removed: the new volume is called 'name'."""
    byre = guest.byre()
    for source in ("d/raw", "d/qcow2", "vg/lv", "gpt/sdb1", lun(byre)):
        byre.byre("vol", "clone", source, name, "--pool", to, *options)
        new = "%s/%s" % (to, name)
        path = filepath(byre, new)
        info = byre.json("vol", "info", new)
        assert info["capacity"] >= SIZE and info["state"] == "ready", (source, info)
        if "qcow2" in options:
            run("qemu-img", "convert", "-O", "raw", path, "/tmp/back")
            path = "/tmp/back"
        assert content(path) == TEXT, "%s in %s" % (source, to)
        byre.byre("vol", "delete", new)


def test_to_a_file():
    copies("d", "copy", "--format", "raw")
    byre = guest.byre()
    byre.byre("vol", "clone", "d/qcow2", "copy")  # As its source, if nothing is said.
    assert byre.json("vol", "info", "d/copy")["format"] == "qcow2"
    byre.byre("vol", "delete", "d/copy")


def test_to_an_image():
    copies("d", "copy", "--format", "qcow2")


def test_to_a_logical_volume():
    copies("vg", "copy")


def test_to_a_partition():
    copies("gpt", "sdb2")


def test_luns_are_made_by_others():
    byre = guest.byre()
    assert "storage pool does not support volume creation" in byre.fails("vol", "clone", "d/raw", "copy", "--pool", "is")


guest.main(globals())
