# testhost: -d 64M,paths=2,serial=lun0 -d 64M,absent -T 900
"""Pools of types scsi and mpath: LUNs that come, grow and go on a host adapter; maps whose paths fail and come back."""

import os
import pathlib

import guest
import servers


def host_of(node):
    """hostN of a disk."""
    return next(part for part in os.path.realpath("/sys/block/%s/device" % node).split("/") if part.startswith("host"))


def test_scsi_debug():
    byre = guest.byre()
    guest.run("modprobe", "scsi_debug", "dev_size_mb=8", "max_luns=2", "num_tgts=1")
    guest.run("udevadm", "settle")
    host = next(p.name for p in pathlib.Path("/sys/class/scsi_host").iterdir()
                if (p / "proc_name").read_text().strip() == "scsi_debug")
    byre.byre("pool", "define-as", "sc", "scsi", "--adapter-name", "scsi_" + host, "--target", "/dev/disk/by-id")
    byre.byre("pool", "start", "sc")
    vols = byre.vols("sc")
    assert set(vols) == {"unit:0:0:0", "unit:0:0:1"}, vols
    assert all(v["capacity"] == 8 << 20 and v["filepath"].startswith("/dev/disk/by-id/") for v in vols.values()), vols
    # One goes, and comes back by a scan.
    node = os.path.basename(os.path.realpath(vols["unit:0:0:1"]["filepath"]))
    pathlib.Path("/sys/block/%s/device/delete" % node).write_text("1")
    pathlib.Path("/sys/bus/pseudo/drivers/scsi_debug/max_luns").write_text("1")
    byre.byre("pool", "refresh", "sc")
    assert {n for n, v in byre.vols("sc").items() if v["state"] == "ready"} == {"unit:0:0:0"}
    pathlib.Path("/sys/bus/pseudo/drivers/scsi_debug/max_luns").write_text("3")
    byre.byre("pool", "refresh", "sc")
    assert {n for n, v in byre.vols("sc").items() if v["state"] == "ready"} == {"unit:0:0:%d" % i for i in range(3)}
    data = os.urandom(1 << 20)
    pathlib.Path("/tmp/data").write_bytes(data)
    byre.byre("vol", "upload", "sc/unit:0:0:1", "/tmp/data")
    byre.byre("vol", "download", "sc/unit:0:0:1", "/tmp/back")
    assert pathlib.Path("/tmp/back").read_bytes()[:1 << 20] == data
    byre.byre("pool", "stop", "sc")
    assert guest.run("lsscsi", "-H").count("scsi_debug") == 1, "stopping takes nothing away"


def test_an_adapter_that_is_not_there():
    byre = guest.byre()
    byre.byre("pool", "define-as", "no", "scsi", "--adapter-name", "scsi_host99", "--target", "/dev/disk/by-id")
    assert "scsi_host99 is not there" in byre.fails("pool", "start", "no")
    byre.byre("pool", "stop", "no")
    byre.byre("pool", "undefine", "no")


def check_copy(byre, volume):
    """What is in it comes out of it, as a file's."""
    if byre.byre("pool", "info", "files", check=False).returncode != 0:
        byre.byre("pool", "define-as", "files", "dir", "--target", "/var/lib/byre-test/files")
        byre.byre("pool", "start", "files", "--build")
    data = os.urandom(1 << 20)
    pathlib.Path("/tmp/cloned").write_bytes(data)
    byre.byre("vol", "upload", volume, "/tmp/cloned")
    byre.byre("vol", "clone", volume, "copy", "--pool", "files", "--format", "raw")
    path = pathlib.Path(byre.json("vol", "info", "files/copy")["filepath"])
    assert path.stat().st_size == byre.json("vol", "info", volume)["capacity"] and path.read_bytes()[:1 << 20] == data
    byre.byre("vol", "delete", "files/copy")


def test_a_lun_is_hot_added():
    byre = guest.byre()
    byre.byre("pool", "define-as", "vs", "scsi", "--adapter-name", host_of("sda"), "--target", "/dev/disk/by-id")
    byre.byre("pool", "start", "vs")
    before = set(byre.vols("vs"))
    guest.sh("qmp device_add driver=scsi-hd drive=disk1 bus=hba0.0 lun=7 serial=hot id=hot")
    byre.byre("pool", "refresh", "vs")
    new = set(byre.vols("vs")) - before
    assert len(new) == 1 and list(new)[0].endswith(":7"), byre.vols("vs")
    guest.sh("qmp block_resize node-name=disk1 size=%d" % (96 << 20))
    byre.byre("pool", "refresh", "vs")
    assert 96 << 20 in {v["capacity"] for v in byre.vols("vs").values()}
    check_copy(byre, "vs/" + new.pop())
    byre.byre("pool", "stop", "vs")


def test_multipath_with_a_path_that_fails():
    byre = guest.byre()
    guest.run("modprobe", "dm-multipath")
    pathlib.Path("/etc/multipath.conf").write_text(
        "defaults {\n user_friendly_names yes\n find_multipaths yes\n polling_interval 1\n max_polling_interval 2\n}\n"
        "blacklist {\n protocol \"scsi:unspec\"\n}\nblacklist_exceptions {\n protocol \"scsi:unspec\"\n}\n")
    servers.daemon("multipathd")
    guest.wait_for("the map", lambda: "mpath" in guest.run("dmsetup", "ls", "--target", "multipath"))
    byre.byre("pool", "define-as", "mp", "mpath", "--target", "/dev/mapper")
    byre.byre("pool", "start", "mp")
    vols = {n: v for n, v in byre.vols("mp").items() if v["capacity"] == 64 << 20}
    assert len(vols) == 1, byre.vols("mp")
    (name, vol), = vols.items()
    assert name.startswith("dm-") and vol["filepath"].startswith("/dev/mapper/mpath"), vol
    assert byre.pool("mp")["warnings"] in ([], None), byre.pool("mp")["warnings"]
    one = sorted(os.listdir("/sys/block/%s/slaves" % name))[0]
    state = pathlib.Path("/sys/block/%s/device/state" % one)
    state.write_text("offline\n")
    guest.wait_for("multipathd to see it", lambda: "F " in guest.run("dmsetup", "status", "--target", "multipath"))
    data = os.urandom(1 << 20)
    pathlib.Path("/tmp/data").write_bytes(data)
    byre.byre("vol", "upload", "mp/" + name, "/tmp/data")  # The other path does it.
    byre.byre("pool", "refresh", "mp")
    row = byre.pool("mp")
    assert row["state"] == "running" and any("1 of 2 paths failed" in w for w in as_list(row["warnings"])), row
    state.write_text("running\n")
    guest.wait_for("the path to come back", lambda: "F " not in guest.run("dmsetup", "status", "--target", "multipath"))
    byre.byre("pool", "refresh", "mp")
    assert as_list(byre.pool("mp")["warnings"]) == []
    byre.byre("vol", "download", "mp/" + name, "/tmp/back-mp")
    assert pathlib.Path("/tmp/back-mp").read_bytes()[:1 << 20] == data
    check_copy(byre, "mp/" + name)
    byre.byre("pool", "stop", "mp")
    assert "mpath" in guest.run("dmsetup", "ls", "--target", "multipath"), "stopping takes nothing away"


def as_list(value):
    return [] if value is None else value if isinstance(value, list) else [value]


guest.main(globals())
