# testhost: -d 1G -d 1G -d 1G --reboot -T 900
"""Power cuts in the middle of a creation, a clone, a resize: after the restart nothing is half there.

The script runs anew after each cut.  What lasts lies on disk 0: Byre's state, the round, the name of the source.
"""

import json
import os
import pathlib
import socket
import subprocess
import threading
import time

import guest
from guest import disk, run, sh

KEPT = pathlib.Path("/var/lib/byre-test/kept")
FILES = str(KEPT / "files")  # A mount point that lasts, too.
SOURCE_MIB = 160


def log(text):
    print("# round %s: %s" % (round_now(), text), flush=True)


def round_now():
    path = KEPT / "round"
    return int(path.read_text()) if path.exists() else 0


def next_round():
    with open(KEPT / "round.new", "w") as out:
        out.write("%d" % (round_now() + 1))
        out.flush()
        os.fsync(out.fileno())
    os.rename(KEPT / "round.new", KEPT / "round")
    run("sync", "-f", str(KEPT))


def cut():
    """No goodbye: what is not on a disk is gone."""
    print("# cut", flush=True)
    pathlib.Path("/proc/sysrq-trigger").write_text("b")
    time.sleep(1000)


def attach():
    """The disk that lasts, and Byre with its state there."""
    guest.libvirt()
    KEPT.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["blkid", "-p", disk(0)], stdout=subprocess.DEVNULL).returncode != 0:
        run("mkfs.ext4", "-q", "-F", disk(0))
    run("mount", disk(0), str(KEPT))
    byre = guest.Guest(KEPT / "b")
    guest._the_guest = byre
    byre.state.mkdir(mode=0o711, exist_ok=True)
    byre.up()
    return byre


def stored(byre, request):
    """A request to the root side, as the agent sends it; nobody waits for the answer."""
    def talk():
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(byre.state / "run" / "stored.sock"))
            s.sendall(json.dumps(request).encode() + b"\n")
            while s.recv(65536):
                pass
    threading.Thread(target=talk, daemon=True).start()


def pool_json(kind):
    if kind == "files":
        return {"type": "fs", "name": "files", "source": {"devices": [{"path": disk(1)}], "format": "ext4"}, "target_path": FILES}
    return {"type": "logical", "name": "vg", "source": {"devices": [{"path": disk(2)}], "name": "vg"}, "target_path": "/dev/vg"}


def clone(byre, to, name):
    source = {"name": "source", "type": "file", "format": "raw", "capacity": SOURCE_MIB << 20, "allocation": SOURCE_MIB << 20}
    stored(byre, {"verb": "vol_clone", "pool": pool_json(to), "source_pool": pool_json("files"), "source": source,
                  "vol": {"name": name, "capacity": SOURCE_MIB << 20, **({"format": "raw"} if to == "files" else {})}})


def make_pools(byre):
    byre.byre("pool", "define-as", "files", "fs", "--source-dev", disk(1), "--source-format", "ext4", "--target", FILES)
    byre.byre("pool", "define-as", "vg", "logical", "--source-dev", disk(2))
    byre.byre("pool", "build", "files", "vg", "--overwrite")
    byre.byre("pool", "start", "files", "vg")
    byre.byre("vol", "create-as", "files", "source", "%dM" % SOURCE_MIB)
    sh("openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 0 </dev/zero 2>/dev/null | "
       "dd of=%s/source bs=1M count=%d iflag=fullblock conv=notrunc,fsync status=none" % (FILES, SOURCE_MIB))
    byre.byre("vol", "create-as", "vg", "grows", "100M")
    byre.byre("vol", "create-as", "files", "grows", "100M", "--allocation", "100M")


def wait_for_name(directory, part):
    guest.wait_for("something called %s in %s" % (part, directory),
                   lambda: any(part in name for name in os.listdir(directory)), every=0.01)


ROUNDS = []


def round_of(function):
    ROUNDS.append(function)
    return function


@round_of
def clone_to_files(byre):
    clone(byre, "files", "copy")
    wait_for_name(FILES, ".copy.new-")


@round_of
def clone_to_vg(byre):
    clone(byre, "vg", "copy")
    wait_for_name("/dev/vg", ".copy.new-")
    time.sleep(0.3)


@round_of
def create_allocated(byre):
    byre.byre("--no-wait", "vol", "create-as", "files", "made", "300M", "--allocation", "300M")
    byre.byre("--no-wait", "vol", "create-as", "vg", "made", "300M")
    time.sleep(0.5)


@round_of
def resize(byre):
    byre.byre("--no-wait", "vol", "resize", "vg/grows", "200M", check=False)
    byre.byre("--no-wait", "vol", "resize", "files/grows", "200M", check=False)
    time.sleep(0.3)


def settled(byre):
    rows = [row for pool in ("files", "vg") for row in byre.vols(pool).values()]
    pools = [byre.pool(name) for name in ("files", "vg")]
    return all(row["state"] == "ready" for row in rows) and all(pool["state"] == "running" for pool in pools)


def check(byre):
    """Rows are files and volumes, whole ones, and nothing else is there."""
    byre.byre("pool", "start", "files", "vg")
    guest.wait_for("all to be ready", lambda: settled(byre), every=1)
    byre.byre("pool", "refresh", "files", "vg")
    files = {name: os.path.getsize(FILES + "/" + name) for name in os.listdir(FILES) if name != "lost+found"}
    report = json.loads(run("lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", "lv_name,lv_size", "vg"))
    volumes = {row["lv_name"]: int(row["lv_size"]) for row in report["report"][0]["lv"]}
    log("files %s, volumes %s" % (sorted(files), sorted(volumes)))
    for there, pool in ((files, "files"), (volumes, "vg")):
        rows = {name: row for name, row in byre.vols(pool).items() if name != "lost+found"}
        assert not [name for name in there if ".new-" in name], "half there: %s" % there
        assert set(rows) == set(there), "rows %s, there %s" % (sorted(rows), sorted(there))
        for name, row in rows.items():
            assert row["capacity"] == there[name], (row, there[name])
        if "copy" in there:
            path = {"files": FILES, "vg": "/dev/vg"}[pool]
            run("cmp", "-n", str(SOURCE_MIB << 20), FILES + "/source", path + "/copy")
    if round_now() > ROUNDS.index(create_allocated) + 1:
        assert files["made"] == volumes["made"] == 300 << 20, (files, volumes)


def test_power_cuts():
    byre = attach()
    if round_now() == 0:
        make_pools(byre)
    else:
        check(byre)
    if round_now() == len(ROUNDS):
        return
    action = ROUNDS[round_now()]
    next_round()
    run("sync")
    log(action.__name__)
    action(byre)
    cut()


guest.main(globals())
