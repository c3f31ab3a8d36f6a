# testhost: -d 1G -d 256M -T 1200 -m 2560
"""Nothing hangs: an NFS server that is cut off makes its pool inaccessible and nothing else.

BYRE_DEAD_S says for how long the server is cut off (20 seconds by default; 600 tells more).  What one operation takes is less the
time for which the host gave this guest no processor (`Starved`): what remains may not be a tenth of a second beyond the same before."""

import bisect
import multiprocessing
import os
import pathlib
import time

import guest
import servers

DEAD_S = int(os.environ.get("BYRE_DEAD_S", "20"))
ROUNDS = 10  # Of five operations each, before the cut and again while it lasts.
LATE_S = 0.1
CUT = ["INPUT", "-i", "lo", "-p", "tcp", "--dport", "2049", "-j", "DROP"]


class Starved:
    """A process of real-time priority on each processor, that only sleeps: when it wakes late, the host had no time for us."""

    PERIOD_S = 0.01

    def __init__(self):
        self.late = {}  # By processor: (until when, how late).
        for cpu in os.sched_getaffinity(0):
            mine, its = multiprocessing.Pipe(duplex=False)
            multiprocessing.Process(target=self.watch, args=(cpu, its), daemon=True).start()
            self.late[cpu] = (mine, [])

    def watch(self, cpu, pipe):
        os.sched_setaffinity(0, {cpu})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
        before = time.monotonic()
        while True:
            time.sleep(self.PERIOD_S)
            now = time.monotonic()
            if now - before > 2 * self.PERIOD_S:
                pipe.send((now, now - before - self.PERIOD_S))
            before = now

    def during(self, begin, end):
        """Seconds that the processors were away between these two times: of the one that was away longest."""
        most = 0
        for pipe, known in self.late.values():
            while pipe.poll():
                known.append(pipe.recv())
            first = bisect.bisect_left(known, (begin, 0))
            away = sum(max(0, min(until, end) - max(until - late, begin)) for until, late in known[first:])
            most = max(most, away)
        return most


def operations(byre, name, starved):
    """Five things that people do elsewhere; of each what it is, when it began, what it took and how much of that was starvation."""
    done = []
    for arguments in (["vol", "create-as", "d", name, "1M"], ["pool", "list"], ["vol", "list"], ["vol", "info", "d/" + name],
                      ["vol", "delete", "d/" + name]):
        began = time.monotonic()
        byre.byre(*arguments)
        ended = time.monotonic()
        done.append((" ".join(arguments[:2]), began, ended - began, starved.during(began, ended)))
    return done


def told(what, done, since):
    """Prints the figures of many operations, and which were the slowest."""
    net = sorted(took - away for _, _, took, away in done)
    print("%s, %d operations: median %.0f ms, slowest %.0f ms, of the clock's %.0f ms" % (
        what, len(done), 1000 * net[len(net) // 2], 1000 * net[-1], 1000 * max(took for _, _, took, _ in done)))
    for name, began, took, away in sorted(done, key=lambda one: one[3] - one[2])[:5]:
        print("    %-14s at %6.1f s: %4.0f ms, %4.0f of them starved" % (name, began - since, 1000 * took, 1000 * away), flush=True)


def slowest(done):
    """By kind of operation."""
    result = {}
    for name, _, took, away in done:
        result[name] = max(result.get(name, 0), took - away)
    return result


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
    byre, starved = guest.byre(), Starved()
    operations(byre, "warm", starved)
    began = time.monotonic()
    normal = [one for i in range(ROUNDS) for one in operations(byre, "n%d" % i, starved)]
    told("before", normal, began)
    guest.run("iptables", "-I", *CUT)
    cut_at = time.monotonic()
    meanwhile = []
    for i in range(ROUNDS):
        time.sleep(max(0, cut_at + i * DEAD_S / ROUNDS - time.monotonic()))
        meanwhile += operations(byre, "m%d" % i, starved)
    row = guest.wait_for("the trouble to be told", lambda: byre.pool("nf")["state"] == "inaccessible" and byre.pool("nf"))
    assert row["state_since"] and "does not answer" in row["error"], row
    assert byre.vols("nf")["a"]["state"] == "inaccessible", "the last scan is still listed, and marked"
    assert "inaccessible" in byre.byre("pool", "list").stdout
    time.sleep(max(0, cut_at + DEAD_S - time.monotonic()))
    told("meanwhile", meanwhile, cut_at)
    before = slowest(normal)
    late = {name: took - before[name] for name, took in slowest(meanwhile).items()}
    print("the slowest of each kind beyond the slowest before, ms: %s" % {name: round(1000 * s) for name, s in late.items()}, flush=True)
    assert max(late.values()) < 10, late  # A dead server costs 20 s; a loaded machine less.
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
