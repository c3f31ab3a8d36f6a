# testhost: -d 512M -d 512M -d 512M -T 900
"""Pools of type logical through their whole life: groups, volumes, snapshots, thin pools, a missing disk."""

import json
import time

import guest
from guest import disk, run, sh

DEVICES = [disk(0), disk(1)]


def lvs(*columns, what=""):
    rows = json.loads(sh("lvs -a --reportformat json --units b --nosuffix -o %s %s" % (",".join(columns), what)))
    return rows["report"][0]["lv"]


def test_build_and_start():
    byre = guest.byre()
    byre.byre("pool", "define-as", "hostvg", "logical", "--source-dev", DEVICES[0], "--source-dev", DEVICES[1],
              "--source-name", "host-vg")
    assert "cannot find logical volume group name 'host-vg'" in byre.fails("pool", "start", "hostvg")
    byre.byre("pool", "stop", "hostvg")
    run("mkfs.ext4", "-q", disk(1))
    said = byre.fails("pool", "build", "hostvg")
    assert "does not match the expected format 'LVM2_member'" in said and "ext4" in said, said
    assert "host-vg" not in sh("vgs"), "a build that is refused leaves nothing"
    byre.byre("pool", "build", "hostvg", "--overwrite")
    said = byre.fails("pool", "build", "hostvg", "--no-overwrite")
    assert "already formatted using 'LVM2_member'" in said, said
    byre.byre("pool", "start", "hostvg")
    row = byre.pool("hostvg")
    assert row["state"] == "running" and row["capacity"] > 1000 << 20 and row["allocation"] == 0, row
    assert "<path>/dev/host-vg</path>" in byre.byre("pool", "dumpxml", "hostvg").stdout


def test_linear_volume():
    byre = guest.byre()
    byre.byre("vol", "create-as", "hostvg", "a-b.c", "10M")
    vol = byre.json("vol", "info", "hostvg/a-b.c")
    assert vol["capacity"] == 12 << 20 and vol["filepath"] == "/dev/host-vg/a-b.c" and vol["type"] == "block", vol
    assert vol["key"] == lvs("lv_uuid", what="host-vg/a-b.c")[0]["lv_uuid"]
    assert oct(guest.os.stat("/dev/host-vg/a-b.c").st_mode)[-3:] == "600"
    assert byre.pool("hostvg")["allocation"] == 12 << 20
    assert "exists already" in byre.fails("vol", "create-as", "hostvg", "a-b.c", "10M")
    assert "the pool has" in byre.fails("vol", "create-as", "hostvg", "big", "100G")
    sh("lvcreate -y -n other -L 900M host-vg")  # What the row of the pool does not know, LVM does.
    assert "insufficient free space" in byre.fails("vol", "create-as", "hostvg", "big", "500M")
    sh("lvremove -f host-vg/other")
    assert "big" not in byre.vols("hostvg")
    assert "no name for a volume" in byre.fails("vol", "create-as", "hostvg", "a b", "10M")


def test_transfer_and_wipe():
    byre = guest.byre()
    sh("head -c 3000000 /dev/urandom >/tmp/up; truncate -s 12M /tmp/up")
    byre.byre("vol", "upload", "hostvg/a-b.c", "/tmp/up")
    byre.byre("vol", "download", "hostvg/a-b.c", "/tmp/down")
    run("cmp", "/tmp/up", "/tmp/down")
    sh("truncate -s 13M /tmp/toolong")
    byre.fails("vol", "upload", "hostvg/a-b.c", "/tmp/toolong")
    byre.byre("vol", "wipe", "hostvg/a-b.c")
    sh("cmp -n $((12 << 20)) /dev/zero /dev/host-vg/a-b.c")


def test_clone():
    byre = guest.byre()
    byre.byre("vol", "upload", "hostvg/a-b.c", "/tmp/up")
    byre.byre("vol", "clone", "hostvg/a-b.c", "copy")
    run("cmp", "/dev/host-vg/a-b.c", "/dev/host-vg/copy")
    byre.byre("pool", "define-as", "files", "dir", "--target", "/var/lib/byre-test/files")
    byre.byre("pool", "build", "files")
    byre.byre("pool", "start", "files")
    byre.byre("vol", "create-as", "files", "img.qcow2", "12M", "--format", "qcow2")
    sh("qemu-img convert -O qcow2 /tmp/up /tmp/up.qcow2")
    byre.byre("vol", "upload", "files/img.qcow2", "/tmp/up.qcow2")
    byre.byre("vol", "clone", "files/img.qcow2", "from-file", "--pool", "hostvg")
    run("cmp", "/tmp/up", "/dev/host-vg/from-file")
    byre.byre("vol", "clone", "hostvg/copy", "from-lv", "--pool", "files")
    run("cmp", "/tmp/up", "/var/lib/byre-test/files/from-lv")
    byre.byre("vol", "delete", "hostvg/from-file", "hostvg/copy")


def test_resize():
    byre = guest.byre()
    byre.byre("vol", "resize", "hostvg/a-b.c", "40M")
    assert byre.vols("hostvg")["a-b.c"]["capacity"] == 40 << 20
    assert guest.size_of("/dev/host-vg/a-b.c") == 40 << 20
    sh("cmp -n 12000000 /tmp/up /dev/host-vg/a-b.c")


def test_snapshot():
    byre = guest.byre()
    byre.byre("vol", "create-as", "hostvg", "snap", "40M", "--allocation", "16M", "--backing", "hostvg/a-b.c")
    row = lvs("lv_name", "origin", "lv_size", what="host-vg/snap")[0]
    assert row["origin"] == "a-b.c" and row["lv_size"] == str(16 << 20), row
    vol = byre.vols("hostvg")["snap"]
    assert vol["capacity"] == 40 << 20 and vol["allocation"] == 16 << 20, vol
    xml = byre.byre("vol", "dumpxml", "hostvg/snap").stdout
    assert "<path>/dev/host-vg/a-b.c</path>" in xml, xml
    byre.byre("vol", "delete", "hostvg/snap")


def test_listing_as_lvm_has_it():
    byre = guest.byre()
    sh("lvcreate -y -n str -i2 -L 16M host-vg; lvcreate -y --type raid1 -m1 -n mir -L 16M host-vg;"
       "lvcreate -y -n off -L 8M host-vg; lvchange -an host-vg/off")
    byre.byre("pool", "refresh", "hostvg")
    vols = byre.vols("hostvg")
    assert {"str", "mir", "a-b.c"} <= set(vols) and "off" not in vols, vols
    xml = byre.byre("vol", "dumpxml", "hostvg/str").stdout
    sh("lvremove -f host-vg/str host-vg/mir host-vg/off")
    byre.byre("pool", "refresh", "hostvg")
    return xml


def test_busy_volumes_are_kept():
    byre = guest.byre()
    sh("mkfs.ext4 -q /dev/host-vg/a-b.c; mkdir -p /m; mount /dev/host-vg/a-b.c /m")
    said = byre.fails("vol", "delete", "hostvg/a-b.c")
    assert "in use" in said, said
    assert "in use" in byre.fails("vol", "wipe", "hostvg/a-b.c")
    said = byre.fails("pool", "stop", "hostvg")
    assert "a-b.c" in said, said
    assert guest.os.path.exists("/dev/host-vg/a-b.c"), "nothing is deactivated unless all can be"
    run("umount", "/m")


def test_stop_and_start():
    byre = guest.byre()
    byre.byre("pool", "stop", "hostvg")
    guest.wait_for("inactive", lambda: byre.pool("hostvg")["state"] == "inactive")
    assert not guest.os.path.exists("/dev/host-vg/a-b.c")
    byre.byre("pool", "start", "hostvg")
    assert "a-b.c" in byre.vols("hostvg")


def test_half_made_clone_goes():
    byre = guest.byre()
    sh("lvcreate -y -n .half.new-000000 -L 8M host-vg")
    byre.byre("pool", "refresh", "hostvg")
    assert ".half.new-000000" not in byre.vols("hostvg")
    assert not [row for row in lvs("lv_name") if "half" in row["lv_name"]]


def alarms(byre):
    return [row["text"] for row in byre.json("list", "alarm") if row["kind"] == "pool-degraded"]


def test_thin_pool():
    byre = guest.byre()
    byre.byre("pool", "define-as", "thin", "logical", "--source-dev", disk(2), "--source-name", "tvg/tp")
    byre.byre("pool", "build", "thin")
    byre.byre("pool", "start", "thin")
    row = byre.pool("thin")
    assert row["capacity"] > 400 << 20 and row["allocation"] == 0, row
    byre.byre("vol", "create-as", "thin", "t1", "2G")
    vol = byre.vols("thin")["t1"]
    assert vol["capacity"] == 2 << 30 and vol["allocation"] == 0 and vol["filepath"] == "/dev/tvg/t1", vol
    sh("dd if=/dev/urandom of=/dev/tvg/t1 bs=1M count=100 oflag=direct status=none")
    byre.byre("pool", "refresh", "thin")
    vol, row = byre.vols("thin")["t1"], byre.pool("thin")
    for what, size in ((vol, 2 << 30), (row, row["capacity"])):  # LVM tells it in hundredths of a percent.
        assert (100 << 20) - size // 10000 <= what["allocation"] <= 110 << 20, what
    assert row["metadata_percent"] > 0, row
    byre.byre("vol", "create-as", "thin", "t2", "2G", "--backing", "thin/t1")
    sh("cmp -n 10000000 /dev/tvg/t1 /dev/tvg/t2")


def test_thin_pool_full():
    byre = guest.byre()
    sh("dd if=/dev/zero of=/dev/tvg/t1 bs=1M seek=100 count=%d oflag=direct status=none"
       % (byre.pool("thin")["capacity"] * 95 // 100 // (1 << 20) - 105))
    # Nobody has to ask: guests fill it.
    row = guest.wait_for("the trouble to be told", lambda: byre.pool("thin")["state"] == "degraded" and byre.pool("thin"))
    alarm = guest.wait_for("the alarm", lambda: alarms(byre))
    assert "pool thin is degraded" in alarm[0] and "nearly full" in alarm[0], alarm
    byre.byre("pool", "refresh", "thin")
    row = byre.pool("thin")
    assert row["state"] == "degraded", row
    assert any("nearly full" in text for text in row["warnings"]), row
    byre.byre("vol", "delete", "thin/t1", "thin/t2")
    byre.byre("pool", "refresh", "thin")
    guest.wait_for("the alarm to end", lambda: not alarms(byre))
    row = byre.pool("thin")
    assert row["state"] == "running" and not row.get("error"), row
    byre.byre("pool", "stop", "thin")
    byre.byre("pool", "delete", "thin")
    assert "tvg" not in sh("vgs")


def test_find_sources():
    xml = guest.byre().byre("pool", "find-sources-as", "logical").stdout
    assert "<name>host-vg</name>" in xml and "<format type='lvm2'/>" in xml and "<device path='/dev/sda'/>" in xml, xml


def test_missing_disk():
    byre = guest.byre()
    sh("echo 1 > /sys/block/$(basename $(readlink -f %s))/device/delete; udevadm settle" % DEVICES[1])
    byre.byre("pool", "refresh", "hostvg", check=False)
    row = byre.pool("hostvg")
    assert row["state"] == "degraded" and any("missing" in text for text in row["warnings"]), row
    deadline = time.monotonic() + 120  # The kernel finds the disk again in its own time, and udev names it.
    while byre.pool("hostvg")["state"] != "running":
        assert time.monotonic() < deadline, byre.pool("hostvg")
        sh("echo '0 0 1' > /sys/class/scsi_host/host0/scan; sleep 1; udevadm settle; vgck --updatemetadata host-vg || true; "
           "vgextend --restoremissing host-vg %s || true" % DEVICES[1])
        byre.byre("pool", "refresh", "hostvg", check=False)


def test_delete():
    byre = guest.byre()
    byre.byre("vol", "delete", "hostvg/a-b.c")
    byre.byre("pool", "stop", "hostvg")
    byre.byre("pool", "delete", "hostvg")
    assert "host-vg" not in sh("vgs")
    byre.byre("pool", "undefine", "hostvg")


guest.main(globals())
