# testhost: -d 512M -d 512M -d 256M,bus=nvme -T 900
"""Pools of type disk: tables of partitions, their kinds, names and places."""

import json

import guest
from guest import disk, run, sh


def parts(device):
    rows = json.loads(run("parted", "--script", "--json", device, "unit", "B", "print"))["disk"]
    return {row["number"]: row for row in rows.get("partitions", [])}


def start_of(part):
    return int(part["start"].rstrip("B"))


def make(name, device, label, target="/dev"):
    byre = guest.byre()
    byre.byre("pool", "define-as", name, "disk", "--source-dev", device, "--source-format", label, "--target", target)
    return byre


def test_gpt():
    byre = make("gpt", disk(0), "gpt")
    said = byre.fails("pool", "start", "gpt")
    assert "is unrecognized, requires build" in said, said
    byre.byre("pool", "stop", "gpt")
    run("mkfs.ext4", "-q", "-F", disk(0))
    said = byre.fails("pool", "build", "gpt")
    assert "does not match the expected format 'gpt'" in said, said
    byre.byre("pool", "build", "gpt", "--overwrite")
    assert "already formatted using 'gpt'" in byre.fails("pool", "build", "gpt", "--no-overwrite")
    byre.byre("pool", "start", "gpt")
    said = byre.fails("vol", "create-as", "gpt", "mine", "64M")
    assert "invalid partition name 'mine', expected 'sda1'" in said, said
    assert not parts("/dev/sda"), "a wrong name is refused before anything is made"
    byre.byre("vol", "create-as", "gpt", "sda1", "64M")
    byre.byre("vol", "create-as", "gpt", "sda2", "33000001")
    byre.byre("vol", "create-as", "gpt", "sda3", "10M", "--format", "linux-lvm")
    table = parts("/dev/sda")
    assert all(start_of(part) % (1 << 20) == 0 for part in table.values()), table
    assert "lvm" in table[3].get("flags", []), table
    vols = byre.vols("gpt")
    assert vols["sda1"]["capacity"] == 64 << 20 and vols["sda1"]["filepath"] == "/dev/sda1", vols
    assert vols["sda2"]["capacity"] >= 33000001
    said = byre.fails("vol", "create-as", "gpt", "sda4", "10G")
    assert "the pool has" in said or "free extent" in said, said
    byre.byre("vol", "delete", "gpt/sda2")
    assert 2 not in parts("/dev/sda")
    byre.byre("vol", "create-as", "gpt", "sda2", "16M")
    assert start_of(parts("/dev/sda")[2]) < start_of(parts("/dev/sda")[3]), "the smallest stretch that holds it"


def test_bytes():
    byre = guest.byre()
    sh("head -c 5000000 /dev/urandom >/tmp/up; truncate -s 16M /tmp/up")
    byre.byre("vol", "upload", "gpt/sda2", "/tmp/up")
    byre.byre("vol", "download", "gpt/sda2", "/tmp/down")
    run("cmp", "/tmp/up", "/tmp/down")
    byre.byre("vol", "clone", "gpt/sda2", "sda4")
    run("cmp", "/dev/sda2", "/dev/sda4")
    byre.byre("vol", "wipe", "gpt/sda4")
    sh("cmp -n $((16 << 20)) /dev/zero /dev/sda4")


def test_busy():
    byre = guest.byre()
    sh("mkfs.ext4 -q -F /dev/sda1; mkdir -p /m; mount /dev/sda1 /m")
    assert "in use" in byre.fails("vol", "delete", "gpt/sda1")
    byre.byre("pool", "stop", "gpt")
    assert "in use" in byre.fails("pool", "build", "gpt", "--overwrite")
    assert "in use" in byre.fails("pool", "delete", "gpt")
    run("umount", "/m")
    assert 1 in parts("/dev/sda")
    byre.byre("pool", "delete", "gpt")
    assert "unrecognised" in run("parted", "--script", "/dev/sda", "print", check=False)


def test_dos():
    byre = make("dos", disk(1), "dos", target="/dev/disk/by-id")
    byre.byre("pool", "build", "dos")
    byre.byre("pool", "start", "dos")
    byre.byre("vol", "create-as", "dos", "sdb1", "20M")
    byre.byre("vol", "create-as", "dos", "sdb2", "200M", "--format", "extended")
    assert "extended partition already exists" in byre.fails("vol", "create-as", "dos", "sdb3", "20M", "--format", "extended")
    byre.byre("vol", "create-as", "dos", "sdb3", "20M", "--format", "linux-swap")
    byre.byre("vol", "create-as", "dos", "sdb5", "20M")
    byre.byre("vol", "create-as", "dos", "sdb6", "20M")
    byre.byre("vol", "create-as", "dos", "sdb4", "20M")
    table = parts("/dev/sdb")
    assert table[2]["type"] == "extended" and table[5]["type"] == table[6]["type"] == "logical", table
    assert all(start_of(part) % (1 << 20) == 0 for part in table.values()), table
    vols = byre.vols("dos")
    assert vols["sdb1"]["filepath"].startswith("/dev/disk/by-id/"), vols["sdb1"]
    assert guest.os.path.realpath(vols["sdb1"]["filepath"]) == "/dev/sdb1"
    assert "cannot wipe extended partition" in byre.fails("vol", "wipe", "dos/sdb2")
    assert "holds logical partitions" in byre.fails("vol", "delete", "dos/sdb2")
    byre.byre("vol", "delete", "dos/sdb5")
    byre.byre("pool", "refresh", "dos")  # The kernel renumbers the higher ones.
    assert set(parts("/dev/sdb")) == {1, 2, 3, 4, 5}
    byre.byre("pool", "stop", "dos")
    byre.byre("pool", "delete", "dos")


def test_wrong_label():
    byre = guest.byre()
    run("parted", "--script", "/dev/sdb", "mklabel", "gpt")
    said = byre.fails("pool", "start", "dos")
    assert "does not match the expected format 'dos'" in said, said
    byre.byre("pool", "stop", "dos")
    byre.byre("pool", "undefine", "dos")
    sh("wipefs -qa /dev/sdb")


def test_nvme():
    byre = make("nvme", "/dev/nvme0n1", "gpt")
    byre.byre("pool", "build", "nvme")
    byre.byre("pool", "start", "nvme")
    byre.byre("vol", "create-as", "nvme", "nvme0n1p1", "16M")
    byre.byre("vol", "create-as", "nvme", "nvme0n1p2", "16M")
    byre.byre("vol", "delete", "nvme/nvme0n1p1")
    assert set(parts("/dev/nvme0n1")) == {2}
    byre.byre("vol", "delete", "nvme/nvme0n1p2")


def test_loop():
    sh("truncate -s 64M /tmp/loop; losetup -P /dev/loop0 /tmp/loop")
    byre = make("loop", "/dev/loop0", "gpt")
    byre.byre("pool", "build", "loop")
    byre.byre("pool", "start", "loop")
    byre.byre("vol", "create-as", "loop", "loop0p1", "16M")
    byre.byre("vol", "delete", "loop/loop0p1")
    assert not parts("/dev/loop0")
    byre.byre("pool", "stop", "loop")
    run("losetup", "-d", "/dev/loop0")


def test_other_labels():
    byre = guest.byre()
    for label in ["mac", "sun", "dvh", "bsd", "pc98"]:
        make("l" + label, disk(1), label)
        byre.byre("pool", "build", "l" + label, "--overwrite")
        assert byre.fails("pool", "build", "l" + label)
        byre.byre("pool", "start", "l" + label)
        assert byre.pool("l" + label)["state"] == "running"
        byre.byre("pool", "stop", "l" + label)
        byre.byre("pool", "delete", "l" + label)
        byre.byre("pool", "undefine", "l" + label)


guest.main(globals())
