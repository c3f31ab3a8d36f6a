# testhost: -d 256M -d 256M -T 900
"""A disk whose I/O stands still (a suspended device-mapper device): only the pools on it are inaccessible, and they come back."""

import guest

POOLS = ("fs", "vg")
OFFSET = 2048  # Sectors.


def names():
    """dm names of the two pools' disks."""
    return {pool: "still" + pool for pool in POOLS}


def sleepers():
    """What sleeps in the kernel, for the log of a failure."""
    return guest.sh("for p in /proc/[0-9]*; do grep -qs '^State:.D' $p/status && cat $p/comm $p/stack; done; true")


def told(byre, pool):
    """The pool's row, once it tells that its storage stands still."""
    try:
        return guest.wait_for("the trouble to be told", lambda: byre.pool(pool)["state"] == "inaccessible" and byre.pool(pool), seconds=300)
    except AssertionError:
        print(byre.pool(pool), sleepers(), flush=True)
        raise


def test_pools():
    byre = guest.byre()
    for number, (pool, name) in enumerate(names().items()):
        size = guest.size_of(guest.disk(number)) // 512 - OFFSET  # LVM would see its label twice, here and on the disk itself.
        guest.run("dmsetup", "create", name, "--table", "0 %d linear %s %d" % (size, guest.disk(number), OFFSET))
    byre.byre("pool", "define-as", "fs", "fs", "--source-dev", "/dev/mapper/stillfs", "--source-format", "ext4", "--target", "/srv/fs")
    byre.byre("pool", "define-as", "vg", "logical", "--source-dev", "/dev/mapper/stillvg")
    byre.byre("pool", "define-as", "d", "dir", "--target", "/var/lib/byre-test/d")
    byre.byre("pool", "build", "d")
    for pool in POOLS:
        byre.byre("pool", "build", pool, "--overwrite")
    byre.byre("pool", "start", "d", *POOLS)
    for pool in POOLS:
        byre.byre("vol", "create-as", pool, "v", "4M")


def stands_still(pool):
    byre = guest.byre()
    name = names()[pool]
    guest.run("dmsetup", "suspend", "--nolockfs", name)
    try:
        row = told(byre, pool)
        print("told: %s" % row["error"].replace("\n", " | "), flush=True)
        assert "does not answer" in row["error"] or "hang" in row["error"], row["error"]
        byre.byre("vol", "create-as", "d", "elsewhere", "1M")
        byre.byre("vol", "delete", "d/elsewhere")
        assert byre.pool("d")["state"] == "running"
        assert byre.vols(pool)["v"]["state"] == "inaccessible", "the last scan is still listed, and marked"
    finally:
        guest.run("dmsetup", "resume", name)
    guest.wait_for("the pool to come back by itself", lambda: byre.pool(pool)["state"] == "running")
    assert byre.vols(pool)["v"]["state"] == "ready"


def test_below_a_file_system():
    stands_still("fs")


def test_below_a_volume_group():
    stands_still("vg")


def test_end():
    byre = guest.byre()
    for pool in POOLS:
        byre.byre("vol", "delete", pool + "/v")
    byre.byre("pool", "stop", *POOLS)


guest.main(globals())
