# testhost: -n 2 -d 512M,shared -T 900 --qemu=-global --qemu=virtio-scsi-device.param_change=off
# nodes
"""A pool on a LUN that two hosts see, one database for both: it grows only when both see the new size.

param_change=off: QEMU's adapter would tell the kernel that a disk has grown, and the kernel would look by itself; a LUN
of a storage network tells nobody."""

import os
import pathlib
import subprocess
import time

import guest

NODE = int(os.environ.get("TESTHOST_NODE", "1"))
SHARE = pathlib.Path(os.environ["TESTHOST_SHARE"])
OLD, NEW = 512 << 20, 1 << 30


def tell(what):
    (SHARE / what).write_text("")


def wait(what):
    guest.wait_for("node %d: %s" % (NODE, what), (SHARE / what).exists, seconds=1500)


def kernel_size():
    return guest.size_of(guest.disk(0))


def second_node():
    """An agent of this host on node 1's database."""
    wait("database")
    guest.libvirt()
    state = guest.host.temporary_state()
    os.makedirs(state + "/run", exist_ok=True)
    bin_dir = str(guest.build())
    database = "tcp:10.77.0.1:6640"
    log = open(SHARE / "node2.log", "w")
    for program, arguments in (("byre-stored", ["--socket", state + "/run/stored.sock"]),
                               ("byre-agentd", ["--db", database, "--state", state])):
        subprocess.Popen([bin_dir + "/" + program, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    guest.wait_for("the agent", pathlib.Path(state + "/run/agent.sock").exists)
    # "node add" asks the agent beside the database's socket: there is one by this.
    subprocess.Popen(["socat", "UNIX-LISTEN:%s/run/db.sock,fork" % state, "TCP:10.77.0.1:6640"], stdin=subprocess.DEVNULL,
                     stdout=log, stderr=log)
    guest.wait_for("the way to the database", pathlib.Path(state + "/run/db.sock").exists)
    add = [bin_dir + "/byre", "--db", "unix:%s/run/db.sock" % state, "node", "add", "n2"]
    guest.wait_for("the node", lambda: subprocess.run(add, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode == 0)
    tell("joined")
    wait("grow-one")  # Node 1's QEMU has the new size, this one's not.
    wait("refused")
    assert kernel_size() == OLD
    guest.run("qmp", "block_resize", "node-name=disk0", "size=%d" % NEW)
    tell("grown-two")
    wait("done")
    assert kernel_size() == NEW, kernel_size()
    tell("seen-two")
    while True:
        time.sleep(60)


def test_two_hosts():
    config = pathlib.Path("/tmp/byre.conf")
    config.write_text("[dbd]\nremotes = ptcp:6640:10.77.0.1\n")
    byre = guest.byre(config)
    tell("database")
    wait("joined")
    guest.run("vgcreate", "shared", guest.disk(0))
    for node in ("n1", "n2"):
        byre.byre("pool", "define-as", "shared", "logical", "--source-name", "shared", "--source-dev", guest.disk(0), "--node", node)
        byre.byre("pool", "start", "shared@" + node)
    before = byre.pool("shared@n1")["capacity"]

    guest.run("qmp", "block_resize", "node-name=disk0", "size=%d" % NEW)
    tell("grow-one")
    said = byre.fails("pool", "grow", "shared")
    assert "disagree" in said, said
    assert kernel_size() == OLD, "nothing has been changed"
    tell("refused")
    wait("grown-two")
    plan = byre.byre("pool", "grow", "shared", "--dry-run").stdout
    print(plan, flush=True)
    assert plan.count("device/rescan") == 2 and plan.count("pvresize") == 1, plan
    assert kernel_size() == OLD, "a dry run changes nothing"
    print(byre.byre("pool", "grow", "shared").stdout, flush=True)
    assert kernel_size() == NEW
    tell("done")
    wait("seen-two")
    for node in ("n1", "n2"):
        after = guest.wait_for("the size on " + node, lambda: byre.pool("shared@" + node)["capacity"])
        assert after >= before + (400 << 20), (node, before, after)
    byre.byre("pool", "grow", "shared")  # Nothing left to do.


if NODE != 1:
    try:
        second_node()
    finally:
        print((SHARE / "node2.log").read_text(), flush=True)
guest.main(globals())
