# testhost: -d 512M -T 900 -m 2560
"""A pool of type iscsi through its whole life, with a real target (tgt) on this host: CHAP, LUNs that come, grow and go."""

import os
import pathlib
import subprocess

import guest
import servers

IQN = "iqn.2024-01.org.byre:t1"
SECRET = "iqn.2024-01.org.byre:t2"
PASSWORD = "a password of 16+"


def sessions():
    return guest.run("iscsiadm", "-m", "session", check=False)


def names(byre, pool):
    return set(byre.vols(pool))


def test_targets():
    servers.tgt()
    servers.target(1, IQN)
    servers.lun(1, 1, 64)
    servers.target(2, SECRET)
    servers.lun(2, 1, 32)
    servers.tgtadm("new", "account", user="u1", password=PASSWORD)
    servers.tgtadm("bind", "account", tid=2, user="u1")


def test_life():
    byre = guest.byre()
    byre.byre("pool", "define-as", "is", "iscsi", "--source-host", "127.0.0.1", "--source-dev", IQN, "--target", "/dev/disk/by-path")
    byre.byre("pool", "start", "is")
    assert IQN in sessions()
    row = byre.pool("is")
    assert row["state"] == "running" and row["capacity"] == 64 << 20, row
    vols = byre.vols("is")
    assert len(vols) == 1, vols
    (name,) = vols
    vol = byre.json("vol", "info", "is/" + name)
    assert name.startswith("unit:0:0:") and vol["capacity"] == 64 << 20 and vol["type"] == "block", vol
    assert vol["filepath"] == "/dev/disk/by-path/ip-127.0.0.1:3260-iscsi-%s-lun-1" % IQN, vol["filepath"]
    node = os.path.realpath(vol["filepath"])
    key = guest.run("/lib/udev/scsi_id", "--replace-whitespace", "--whitelisted", "--device", node).split()[0]
    assert vol["key"] == key, (vol["key"], key)
    assert "missing" not in byre.byre("pool", "list").stdout


def test_bytes_go_in_and_out():
    byre = guest.byre()
    (name,) = names(byre, "is")
    data = pathlib.Path("/tmp/data")
    data.write_bytes(os.urandom(2 << 20))
    byre.byre("vol", "upload", "is/" + name, str(data))
    byre.byre("vol", "download", "is/" + name, "/tmp/back")
    back = pathlib.Path("/tmp/back").read_bytes()
    assert len(back) == 64 << 20 and back[:2 << 20] == data.read_bytes()
    byre.byre("vol", "wipe", "is/" + name)
    with open(byre.vols("is")[name]["filepath"], "rb") as device:
        assert device.read(2 << 20) == bytes(2 << 20)


def test_what_it_cannot_do_is_refused():
    byre = guest.byre()
    (name,) = names(byre, "is")
    assert "storage pool does not support volume creation" in byre.fails("vol", "create-as", "is", "x", "1M")
    assert "storage pool does not support vol deletion" in byre.fails("vol", "delete", "is/" + name)
    byre.fails("vol", "resize", "is/" + name, "128M")
    row = byre.json("vol", "info", "is/" + name)
    assert row["capacity"] == 64 << 20 and not row.get("deleted") and not row["error"], row


def test_luns_come_grow_and_go():
    byre = guest.byre()
    servers.lun(1, 2, 48)
    byre.byre("pool", "refresh", "is")
    assert {v["capacity"] for v in byre.vols("is").values()} == {64 << 20, 48 << 20}
    servers.tgtadm("delete", "logicalunit", tid=1, lun=2)
    byre.byre("pool", "refresh", "is")
    assert {v["capacity"] for v in byre.vols("is").values() if v["state"] == "ready"} == {64 << 20}


def test_a_lun_in_use_keeps_the_session():
    byre = guest.byre()
    (name,) = [n for n, v in byre.vols("is").items() if v["state"] == "ready"]
    node = byre.vols("is")[name]["filepath"]
    guest.run("mkfs.ext4", "-qF", node)
    guest.run("mount", node, "/mnt")
    said = byre.fails("pool", "stop", "is")
    assert "in use" in said and "mounted" in said, said
    assert IQN in sessions()
    guest.run("umount", "/mnt")
    byre.byre("pool", "stop", "is")
    assert IQN not in sessions() and not os.path.exists("/etc/iscsi/nodes/" + IQN)


def test_a_session_that_is_there_is_taken():
    byre = guest.byre()
    guest.run("iscsiadm", "-m", "discovery", "-t", "st", "-p", "127.0.0.1")
    guest.run("iscsiadm", "-m", "node", "-T", IQN, "-p", "127.0.0.1", "--login")
    byre.byre("pool", "start", "is")
    assert sessions().count(IQN) == 1
    byre.byre("pool", "stop", "is")


def test_chap_without_the_password_on_any_command_line():
    byre = guest.byre()
    byre.byre("pool", "define-as", "chap", "iscsi", "--source-host", "127.0.0.1", "--source-dev", SECRET, "--target", "/dev/disk/by-path")
    said = byre.fails("pool", "start", "chap")
    assert SECRET not in sessions() and "authorization failure" in said, said
    # Each program that starts from now on tells its arguments.
    watch = subprocess.Popen(["/usr/bin/python3", "-c", WATCHER], stdout=subprocess.PIPE, text=True)
    assert watch.stdout.readline() == "watching\n"
    byre.byre("pool", "auth", "chap", "--username", "u1", "--password-file", "-", stdin=PASSWORD + "\n")
    byre.byre("pool", "start", "chap")
    watch.terminate()
    arguments = watch.communicate()[0]
    assert "iscsiadm" in arguments and PASSWORD not in arguments, arguments
    assert SECRET in sessions()
    records = list(pathlib.Path("/etc/iscsi/nodes").glob(SECRET + "/*/default"))
    assert len(records) == 1 and records[0].stat().st_mode & 0o777 == 0o600
    assert PASSWORD in records[0].read_text()
    for log in (pathlib.Path(byre.state) / "log").glob("*.log"):
        assert PASSWORD not in log.read_text(), log
    assert PASSWORD not in byre.byre("pool", "info", "chap").stdout + byre.byre("list", "secret").stdout
    assert {v["capacity"] for v in byre.vols("chap").values()} == {32 << 20}
    byre.byre("pool", "stop", "chap")
    assert not list(pathlib.Path("/etc/iscsi/nodes").glob(SECRET + "/*")), "the password is gone with the session"


WATCHER = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *a: (sys.stdout.flush(), os._exit(0)))
seen = set()
print('watching', flush=True)
while True:
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            line = open('/proc/%s/cmdline' % pid).read().replace(chr(0), ' ')
        except OSError:
            continue
        if line not in seen:
            seen.add(line)
            print(line)
"""


def test_an_initiator_of_its_own():
    byre = guest.byre()
    byre.byre("pool", "define-as", "me", "iscsi", "--source-host", "127.0.0.1", "--source-dev", IQN, "--target", "/dev",
              "--source-initiator", "iqn.2024-01.org.byre:me")
    byre.byre("pool", "start", "me")
    shown = pathlib.Path("/sys/class/iscsi_session")
    assert {(s / "initiatorname").read_text().strip() for s in shown.iterdir()} == {"iqn.2024-01.org.byre:me"}
    assert all(v["filepath"].startswith("/dev/sd") for v in byre.vols("me").values())
    byre.byre("pool", "stop", "me")


def test_a_guest():
    """Its disk is a LUN; the target is not logged out of below it."""
    byre = guest.byre()
    byre.byre("pool", "start", "is")
    (name,) = [n for n, v in byre.vols("is").items() if v["state"] == "ready"]
    byre.byre("vol", "wipe", "is/" + name)  # It makes a file system on what is blank only.
    said = byre.boot("on-is", "is/" + name)
    assert "disk /dev/vda %d bytes" % (64 << 20) in said and "ext2 made, written, read back" in said, said
    refused = byre.fails("pool", "stop", "is")
    assert "on-is" in refused and IQN in sessions(), refused
    byre.byre("pool", "start", "is")
    byre.off("on-is")
    said = byre.boot("on-is", "is/" + name)
    assert "kept (boot 2), written, read back" in said, said
    byre.off("on-is")
    guest.run("e2fsck", "-fn", byre.vols("is")[name]["filepath"])
    byre.byre("vm", "delete", byre.prefix + "on-is")
    byre.byre("pool", "stop", "is")
    assert IQN not in sessions()


def test_a_dead_target_is_told_and_comes_back():
    byre = guest.byre()
    byre.byre("pool", "start", "is")
    guest.run("iptables", "-I", "INPUT", "-i", "lo", "-p", "tcp", "--dport", "3260", "-j", "DROP")
    row = guest.wait_for("the trouble to be told",
                         lambda: byre.pool("is")["state"] == "inaccessible" and byre.pool("is"))
    assert "is down" in row["error"] or "does not answer" in row["error"], row["error"]
    assert IQN in sessions(), "nobody logs out because of that"
    guest.run("iptables", "-D", "INPUT", "-i", "lo", "-p", "tcp", "--dport", "3260", "-j", "DROP")
    guest.wait_for("the pool to run", lambda: byre.pool("is")["state"] == "running")
    byre.byre("pool", "stop", "is")


guest.main(globals())
