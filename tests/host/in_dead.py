# testhost: -d 1G -d 256M -T 3400 -m 2560
"""Nothing hangs: an NFS server that is cut off makes its pool inaccessible and nothing else.

BYRE_DEAD_S says for how long the server is cut off (20 seconds by default; 600 tells more)."""

import os
import pathlib
import time

import guest
import servers

DEAD_S = int(os.environ.get("BYRE_DEAD_S", "20"))
CUT = ["INPUT", "-i", "lo", "-p", "tcp", "--dport", "2049", "-j", "DROP"]


def operations(byre, name):
    """Five things that people do elsewhere; the time that each took."""
    times = []
    for arguments in (["vol", "create-as", "d", name, "1M"], ["pool", "list"], ["vol", "list"], ["vol", "info", "d/" + name],
                      ["vol", "delete", "d/" + name]):
        began = time.monotonic()
        byre.byre(*arguments)
        times.append(time.monotonic() - began)
    return times


def test_pools():
    servers.nfs(guest.disk(0), "/srv/x")
    byre = guest.byre()
    byre.byre("pool", "define-as", "d", "dir", "--target", "/var/lib/byre-test/d")
    byre.byre("pool", "start", "d", "--build")
    byre.byre("pool", "define-as", "nf", "netfs", "--source-host", "127.0.0.1", "--source-path", "/srv/x", "--target", "/srv/nf",
              "--source-format", "nfs", "--autostart")
    byre.byre("pool", "start", "nf", "--build")
    byre.byre("vol", "create-as", "nf", "a", "1M")


def test_a_server_that_is_cut_off_keeps_nobody_else():
    byre = guest.byre()
    operations(byre, "warm")
    normal = [operations(byre, "n%d" % i) for i in range(4)]
    guest.run("iptables", "-I", *CUT)
    cut_at = time.monotonic()
    row = guest.wait_for("the trouble to be told", lambda: byre.pool("nf")["state"] == "inaccessible" and byre.pool("nf"))
    print("told after %.0f s: %s" % (time.monotonic() - cut_at, row["error"].replace("\n", " | ")), flush=True)
    assert row["state_since"] and "does not answer" in row["error"], row
    assert byre.vols("nf")["a"]["state"] == "inaccessible", "the last scan is still listed, and marked"
    assert "inaccessible" in byre.byre("pool", "list").stdout
    meanwhile, i = [], 0
    while time.monotonic() < cut_at + DEAD_S or i < 10:
        meanwhile.append(operations(byre, "m%d" % i))
        i += 1
    late = [max(m[k] for m in meanwhile) - max(n[k] for n in normal) for k in range(5)]
    print("%d operations meanwhile; the slowest of each kind beyond the slowest before, ms: %s"
          % (5 * i, ["%.0f" % (1000 * x) for x in late]), flush=True)
    assert max(late) < 10, late  # A dead server costs 20 s; a loaded machine less.
    said = byre.fails("vol", "create-as", "nf", "b", "1M")
    assert "inaccessible" in said or "does not" in said or "not work" in said, said
    guest.run("iptables", "-D", *CUT)
    guest.wait_for("the pool to come back by itself", lambda: byre.pool("nf")["state"] == "running")
    assert byre.vols("nf")["a"]["state"] == "ready"
    byre.byre("vol", "delete", "nf/a")


def test_what_runs_is_what_was_wanted_after_a_restart():
    byre = guest.byre()
    byre.byre("pool", "stop", "d")
    byre.stop(seconds=300)
    guest.run("umount", "/srv/nf")  # After the stop: the agent would mount it again.
    guest.run("iptables", "-I", *CUT)
    (pathlib.Path(byre.state) / "run" / "agent-boot").write_text("another boot")
    byre.start(seconds=600)
    guest.wait_for("the trouble to be told", lambda: byre.pool("nf")["state"] == "inaccessible" and byre.pool("nf")["error"])
    assert byre.pool("d")["state"] == "inactive", "what was stopped stays stopped"
    guest.run("iptables", "-D", *CUT)
    guest.wait_for("the pool to start at last", lambda: byre.pool("nf")["state"] == "running")
    byre.byre("pool", "stop", "nf")


guest.main(globals())
