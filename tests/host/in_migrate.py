# testhost: -n 2 -d 512M -T 1800 -m 2048 --qemu=-device --qemu=qemu-xhci --qemu=-device --qemu=usb-tablet,usb_version=1
# nodes
"""Machines move between two running hosts: there and back, with shared storage and with storage copied, refused,
cancelled, with the agent killed and the cable cut in the middle.  The guest counts on its console all the while."""

import json
import os
import pathlib
import re
import subprocess

import guest
import pair
import servers

ROUNDS = int(os.environ.get("BYRE_MIGRATE_ROUNDS", "10"))  # There and back.
CMDLINE = "console=ttyS0 quiet byre.count"
byre, state2 = None, None


def pools(node):
    byre.byre("pool", "define-as", "nf", "netfs", "--source-host", pair.ADDRESS % 1, "--source-path", "/srv/x", "--target",
              "/srv/nf", "--source-format", "nfs", "--source-protocol-ver", "4.2", "--node", node)
    byre.byre("pool", "define-as", "own", "dir", "--target", "/var/lib/byre-test/own", "--node", node)
    for name in ("nf", "own"):
        byre.byre("pool", "build", "%s@%s" % (name, node))
        byre.byre("pool", "start", "%s@%s" % (name, node))


def vm(name):
    return byre.json("vm", "info", byre.prefix + name)


def node_of(name):
    return vm(name)["hostnode"]


def domains(node):
    """{name: state} of a host's libvirt."""
    command = ["virsh", "-q", "list", "--all"]
    text = guest.run(*command) if node == "n1" else pair.there(*command)
    return {words[1]: " ".join(words[2:]) for words in (line.split() for line in text.splitlines()) if len(words) > 2}


def check_one(name, node):
    """It runs there and nowhere else; and its row says so."""
    guest.wait_for("%s to run on %s" % (name, node), lambda: vm(name)["status"] in ("running", "idle"))
    row = vm(name)
    assert node_of(name) == node and not row["migrate"] and not row.get("migrate_to"), row
    name = byre.prefix + name
    other = {"n1": "n2", "n2": "n1"}[node]
    assert domains(node).get(name) == "running", (domains(node), domains(other))
    guest.wait_for("nothing of it on " + other, lambda: name not in domains(other))


def console(name, node):
    path = "%s/log/console/%s.log" % (byre.state if node == "n1" else state2, vm(name)["uuid"])
    return pathlib.Path(path).read_text(errors="replace") if node == "n1" else pair.there("cat", path)


def counts(text):
    text = re.sub(r"\[ *\d+\.\d+\] [^\n]*\n", "", text)  # What the guest's kernel says may come in the middle of a line.
    return [int(n) for n in re.findall(r"count (\d+)\r?$", text, re.M)]  # The shell's prompt stands before one.


def around_gaps(text, seen):
    """What was said where a count is missing, or came twice."""
    gaps = [n for n, m in zip(seen, seen[1:]) if m != n + 1]
    places = [max(text.rfind("count %d" % n), text.rfind("count %d" % (n - 1))) for n in gaps]
    return [(n, text[max(0, at - 60):at + 160]) for n, at in zip(gaps, places)]


def goes_on(name, node):
    """It counts further."""
    before = counts(console(name, node))
    last = before[-1] if before else 0
    return guest.wait_for("%s to count on" % name, lambda: [n for n in counts(console(name, node)) if n > last + 2])


def create(name, disk):
    name = byre.prefix + name
    byre.byre("vm", "create", name, "--mem", "96", "--vcpu", "1", "--vmi", "tiny", "--disk", disk, "--node", "n1")
    byre.byre("vm", "start", name)


def migrate(name, node, *options, check=True):
    return byre.byre("vm", "migrate", byre.prefix + name, node, *options, check=check)


def xm(*words, code=0):
    """The same program by its other name; all that it said."""
    link = pathlib.Path("/tmp/xm")
    if not link.exists():
        link.symlink_to(guest.build() / "byre")
    done = subprocess.run([str(link), *words], env=dict(os.environ, BYRE_DB=byre.db), text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=180 * guest.SLOW)
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def job():
    """The latest job of moving."""
    columns = "_uuid,kind,state,created_at,bytes_done,result,error"
    jobs = [row for row in byre.json("job", "list", "-c", columns) if row["kind"] == "vm.migrate"]
    return max(jobs, key=lambda row: row["created_at"])


def begin_slowly(name, node, bandwidth="1M", *options):
    """It is in the middle of its way."""
    migrate(name, node, "--no-wait", "--bandwidth", bandwidth, "--time-limit", "3000", *options)  # Else: "it would never end".
    guest.wait_for("the way to begin", lambda: (job().get("bytes_done") or 0) > 0 or job()["state"] not in ("queued", "running"))
    assert job()["state"] == "running", job()


def setup():
    global byre, state2
    servers.nfs(guest.disk(0), "/srv/x")
    byre, state2 = pair.up()
    pools("n1")
    place = pathlib.Path(os.environ["BYRE_TINY"])
    for part in ("kernel", "initrd"):
        path = place / ("tiny-" + part)
        byre.byre("vol", "create-as", "nf", part, str(path.stat().st_size))
        byre.byre("vol", "upload", "nf/" + part, str(path))
    byre.byre("vmi", "create", "tiny", "--kernel", "nf/kernel", "--initrd", "nf/initrd", "--cmdline", CMDLINE)
    byre.byre("vol", "create-as", "nf", "a.raw", "16M", "--format", "raw")
    byre.byre("vol", "create-as", "own", "b.raw", "16M", "--format", "raw")
    create("a", "nf/a.raw")
    pools("n2")
    guest.wait_for("the first count", lambda: counts(console("a", "n1")))


def test_an_estimate_moves_nothing():
    said = migrate("a", "n2", "--dry-run").stdout
    print(said, flush=True)
    assert "passes" in said and "pause" in said and "verdict" in said, said
    check_one("a", "n1")


USB = "0627:0001"  # The tablet that QEMU gives these hosts.


def test_a_usb_device_of_the_host_is_handed_over():
    name = byre.prefix + "u"

    def inside():
        return "hostdev0" in guest.run("virsh", "qemu-monitor-command", "--hmp", name, "info usb")

    guest.run("modprobe", "xhci_pci")
    guest.wait_for("the device", lambda: any(
        (d / "idVendor").exists() and ":".join((d / name).read_text().strip() for name in ("idVendor", "idProduct")) == USB
        for d in pathlib.Path("/sys/bus/usb/devices").iterdir()))
    byre.byre("vm", "create", name, "--mem", "64", "--vmi", "tiny", "--node", "n1", "--start")
    said = xm("usb-add", name, "host:" + USB, code=1)
    assert "no USB bus" in said and "display=vnc" in said, said
    byre.byre("vm", "stop", name, "--force")
    byre.byre("set", "vm", name, "display=vnc")
    byre.byre("vm", "start", name)
    assert not inside()
    xm("usb-add", name, "host:" + USB)
    guest.wait_for("it to be in the guest", inside)
    xm("usb-del", name, "host:" + USB)
    guest.wait_for("it to be gone", lambda: not inside())
    byre.byre("vm", "delete", name)


def test_there_and_back_without_losing_a_count():
    text, at = "", "n1"
    for _ in range(ROUNDS):
        for to in ("n2", "n1"):
            goes_on("a", at)
            if to == "n2":  # xm knows what runs here.
                xm("migrate", "--live", byre.prefix + "a", to)
            else:
                migrate("a", to)
            text += console("a", at)  # All that it said there: with the next arrival the file begins anew.
            check_one("a", to)
            at = to
    text += console("a", at)
    seen = counts(text)
    assert seen == list(range(1, len(seen) + 1)), around_gaps(text, seen)
    assert len(seen) > 4 * ROUNDS
    print("%d counts; %s" % (len(seen), job()["result"]), flush=True)
    assert vm("a")["fence"] == 4 * ROUNDS


def stats(name, node):
    words = ["stats", byre.prefix + name, "--step", "minute", "--from", "1h", "-o", "json"]
    if node == "n1":
        return byre.json(*words[:-2])
    return json.loads(pair.there(str(guest.build() / "byre"), "--db", "unix:%s/run/db.sock" % state2, *words))


def test_its_history_came_back_with_it():
    """Each host has a store of its own; the rows are where the machine is, and nowhere else."""
    guest.wait_for("its rows here", lambda: stats("a", "n1"))
    guest.wait_for("none there", lambda: not stats("a", "n2"))


def test_post_copy_needs_a_setting_of_the_kernel():
    """As Debian comes, an unprivileged QEMU may not have it: that is said, and cures it."""
    said = migrate("a", "n2", "--post-copy", check=False)
    assert said.returncode != 0 and "vm.unprivileged_userfaultfd=1" in said.stderr, said
    check_one("a", "n1")
    for run in (guest.run, pair.there):
        run("sysctl", "-w", "vm.unprivileged_userfaultfd=1")
    migrate("a", "n2", "--post-copy")
    check_one("a", "n2")
    goes_on("a", "n2")
    migrate("a", "n1")
    check_one("a", "n1")


def test_a_cancelled_one_goes_on():
    begin_slowly("a", "n2")
    byre.byre("job", "cancel", job()["_uuid"])
    guest.wait_for("the job to end", lambda: job()["state"] == "cancelled")
    check_one("a", "n1")
    goes_on("a", "n1")


def test_a_stop_ends_the_way():
    begin_slowly("a", "n2")
    byre.byre("vm", "pause", byre.prefix + "a")
    assert job()["state"] == "cancelled", job()
    assert vm("a")["status"] == "paused" and node_of("a") == "n1"
    byre.byre("vm", "resume", byre.prefix + "a")
    check_one("a", "n1")


def test_refused_for_memory():
    byre.byre("cluster", "set", "host_reserve=2000")
    said = migrate("a", "n2", check=False)
    assert said.returncode != 0 and "n2" in said.stderr and "GiB" in said.stderr, said.stderr
    byre.byre("cluster", "set", "host_reserve=100")
    check_one("a", "n1")


def test_the_agent_killed_in_the_middle():
    begin_slowly("a", "n2", "4M")
    os.kill(byre.pid("byre-agentd"), 9)
    guest.wait_for("the way to end", lambda: not vm("a")["migrate"])
    at = node_of("a")
    check_one("a", at)
    goes_on("a", at)
    print("it is on %s; %s" % (at, job()["state"]), flush=True)
    if at == "n2":
        migrate("a", "n1")


def test_the_other_agent_killed_in_the_middle():
    begin_slowly("a", "n2", "8M")
    pair.there_sh("kill -9 $(cat %s/agent.pid)" % state2)
    guest.wait_for("the way to end", lambda: job()["state"] not in ("queued", "running"))
    check_one("a", node_of("a"))
    if node_of("a") == "n2":
        migrate("a", "n1")


def test_the_cable_cut_in_the_middle():
    begin_slowly("a", "n2")
    pair.cable(False)
    try:
        guest.wait_for("the way to be given up", lambda: job()["state"] == "failed" and not vm("a")["migrate"])
        assert guest.run("virsh", "-q", "domstate", byre.prefix + "a").strip() == "running"
        goes_on("a", "n1")
    finally:
        pair.cable(True)
    check_one("a", "n1")


def test_storage_copied():
    create("b", "own/b.raw")
    guest.wait_for("the second guest", lambda: counts(console("b", "n1")))
    said = migrate("b", "n2", check=False)
    assert said.returncode != 0 and "--copy-storage" in said.stderr, said.stderr
    migrate("b", "n2", "--copy-storage")
    text = console("b", "n1")
    check_one("b", "n2")
    goes_on("b", "n2")
    text += console("b", "n2")
    seen = counts(text)
    assert seen == list(range(1, len(seen) + 1)), seen
    guest.wait_for("the old copy to go", lambda: not os.path.exists("/var/lib/byre-test/own/b.raw"))
    assert set(byre.vols("own@n1")) == set() and set(byre.vols("own@n2")) == {"b.raw"}
    byre.byre("vm", "stop", byre.prefix + "b", "--force")
    byre.byre("vm", "start", byre.prefix + "b")
    guest.wait_for("what it wrote before", lambda: "ext2 kept (boot 2)" in console("b", "n2"))


def test_one_that_is_off_changes_its_host():
    byre.byre("vm", "stop", byre.prefix + "a", "--force")
    migrate("a", "n2")
    assert node_of("a") == "n2" and byre.prefix + "a" not in domains("n1")
    byre.byre("vm", "start", byre.prefix + "a")
    check_one("a", "n2")


def test_a_host_is_evacuated():
    said = byre.byre("node", "maintenance", "n2", "on", "--evacuate", check=False)  # One can go, one cannot.
    print(said.stdout, said.stderr, flush=True)
    assert said.returncode != 0 and "--copy-storage" in said.stderr, said
    check_one("a", "n1")
    check_one("b", "n2")
    for name in "ab":
        byre.byre("vm", "delete", byre.prefix + name)


if pair.NODE != 1:
    pair.serve()
guest.main(globals())
