# testhost: -d 512M -d 512M -d 512M -d 512M -d 512M -T 900 --qemu=-global --qemu=virtio-scsi-device.param_change=off
"""`pool grow` of what may lie on a LUN: each file system that grows while it is mounted, on the disk itself, on a partition, on
a logical volume.  param_change=off: the kernel hears of a new size only by asking."""

import os
import pathlib

import guest
from guest import disk, run, sh

OLD, NEW = 512 << 20, 1 << 30
DATA = os.urandom(1 << 20)


def partition(number):
    """One partition over all of the disk."""
    sh("parted -s %s mklabel gpt mkpart p 1MiB 100%%" % disk(number))
    run("udevadm", "settle")
    return disk(number) + "-part1"


def volume(number):
    """A logical volume over all of the disk."""
    run("vgcreate", "growvg", disk(number))
    run("lvcreate", "-l", "100%FREE", "-n", "lv", "growvg")
    return "/dev/growvg/lv"


# Name: what it lies on, format of the pool, how it is made, the commands that must make it larger.
CASES = {
    "ext4": (disk, "ext4", ["mkfs.ext4", "-q", "-F"], ["resize2fs"]),
    "btrfs": (disk, "auto", ["mkfs.btrfs", "-q", "-f"], ["btrfs filesystem resize"]),
    "part": (partition, "ext4", ["mkfs.ext4", "-q", "-F"], ["sfdisk", "partx", "resize2fs"]),
    "lv": (volume, "xfs", ["mkfs.xfs", "-q", "-f"], ["pvresize", "lvextend", "xfs_growfs"]),
    "ocfs2": (disk, "ocfs2", ["mkfs.ocfs2", "-q", "-F", "-M", "local"], ["tunefs.ocfs2"]),
}


def grows(name):
    byre = guest.byre()
    number = list(CASES).index(name)
    below, kind, make, commands = CASES[name]
    device, target = below(number), "/srv/" + name
    run(*make, device)
    byre.byre("pool", "define-as", name, "fs", "--source-dev", device, "--source-format", kind, "--target", target)
    byre.byre("pool", "build", name)
    byre.byre("pool", "start", name)
    (pathlib.Path(target) / "data").write_bytes(DATA)
    before = byre.pool(name)["capacity"]

    run("qmp", "block_resize", "node-name=disk%d" % number, "size=%d" % NEW)
    assert guest.size_of(disk(number)) == OLD, "nobody has told the kernel"
    plan = byre.byre("pool", "grow", name, "--dry-run").stdout
    assert all(command in plan for command in ["device/rescan", *commands]), plan
    assert guest.size_of(disk(number)) == OLD, "a dry run changes nothing"
    byre.byre("pool", "grow", name)
    after = byre.pool(name)["capacity"]
    assert after > before + (400 << 20), (before, after)
    stat = os.statvfs(target)
    assert stat.f_blocks * stat.f_frsize == after
    byre.byre("pool", "grow", name)  # Nothing is left to do, and that is fine.
    assert byre.pool(name)["capacity"] == after

    byre.byre("pool", "stop", name)
    run("sh", "-c", "echo 3 >/proc/sys/vm/drop_caches")
    byre.byre("pool", "start", name)
    assert (pathlib.Path(target) / "data").read_bytes() == DATA
    assert byre.pool(name)["capacity"] == after
    byre.byre("pool", "stop", name)


def test_ext4_on_a_disk():
    grows("ext4")


def test_btrfs_on_a_disk():
    grows("btrfs")


def test_ext4_on_a_partition():
    grows("part")


def test_xfs_on_a_logical_volume():
    grows("lv")


def test_ocfs2_without_a_cluster():
    grows("ocfs2")


guest.main(globals())
