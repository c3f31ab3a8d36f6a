"""What takes long is a job: clones, moves, wipes, transfers; seen, cancelled, killed at any moment, kept apart.

Real daemons on a real directory.  Sizes are such that a step takes long enough to be met while it runs."""

import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import time

import pytest

from host import Host, libvirt_uri, temporary_state, virsh
from rpc import wait_for

pytestmark = pytest.mark.skipif(libvirt_uri() is None or os.geteuid() != 0, reason="needs root's libvirt")

MIB = 1 << 20


class Jobs(Host):
    def pool(self, name):
        path = self.state / "pools" / name
        self.byre("pool", "define-as", name, "dir", "--target", str(path))
        self.byre("pool", "build", name)
        self.byre("pool", "start", name)
        return path

    def file(self, name, pool="default"):
        return self.state / "pools" / pool / name

    def digest(self, name, pool="default"):
        with open(self.file(name, pool), "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
                hashlib.sha256(f.read()).hexdigest()

    def fill(self, name, mib, size=None):
        """A raw volume with random bytes at its beginning."""
        self.byre("vol", "create-as", "default", name, "%dM" % (size or mib))
        source = self.state / ("src-" + name)
        source.write_bytes(os.urandom(MIB) * mib)
        self.byre("vol", "upload", "default", name, str(source))
        source.unlink()

    def row(self, table, name):
        rows = [r for r in self.json(table, "list") if name in (r.get("name"), r.get("_uuid"))]
        return rows[0] if rows else None

    def volumes(self, pool):
        return {r["name"]: r for r in self.json("vol", "list", pool)}

    def jobs(self, **want):
        return [j for j in self.json("job", "list") if all(j[k] == v for k, v in want.items())]

    def begin(self, *arguments):
        return subprocess.Popen([str(self.bin / "byre"), "--db", self.db, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True)

    def running(self, kind):
        wait_for("a running " + kind, lambda: self.jobs(kind=kind, state="running"), 60)
        return self.jobs(kind=kind, state="running")[0]["_uuid"]

    def leftovers(self, pool="default"):
        return [n for n in os.listdir(self.state / "pools" / pool) if n.startswith(".")]


@pytest.fixture(scope="module")
def host(builddir):
    with Jobs(builddir, temporary_state(), prefix="bj%d" % os.getpid()) as host:
        host.pool("fast")
        yield host


def test_clone(host):
    host.fill("a.raw", 8, 16)
    host.byre("vol", "clone", "default/a.raw", "b.raw")
    assert host.digest("a.raw") == host.digest("b.raw")
    assert host.file("b.raw").stat().st_blocks * 512 < 9 * MIB, "holes stay"
    host.byre("vol", "clone", "default", "a.raw", "c.qcow2", "--format", "qcow2", "--capacity", "32M", "--pool", "fast")
    info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", host.file("c.qcow2", "fast")]))
    assert info["format"] == "qcow2" and info["virtual-size"] == 32 * MIB
    assert subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", host.file("a.raw"),
                           host.file("c.qcow2", "fast")], stdout=subprocess.DEVNULL).returncode == 0
    job = host.jobs(kind="vol.clone", state="done")[0]
    assert job["asked_by"] == "root" and job["progress"] == 1 and job["ended_at"] >= job["started_at"]


@pytest.mark.parametrize("arguments, code, words", [
    (["clone", "default/a.raw", "b.raw"], 1, "exists already"),
    (["clone", "default/a.raw", "a/b"], 2, "cannot contain"),
    (["clone", "default/a.raw", "x", "--capacity", "1M"], 1, "at least"),
    (["clone", "default/nix", "x"], 3, "nix"),
    (["clone", "default/dir", "x"], 1, "format dir cannot be cloned"),
    (["move", "default/a.raw"], 2, "--to"),
    (["move", "default/a.raw", "--to", "default"], 1, "in pool default already"),
    (["wipe", "default/a.raw", "--algorithm", "prayer"], 2, "Unsupported algorithm"),
    (["wipe", "default/dir"], 1, "cannot be wiped"),
    (["resize", "default/a.raw", "1M"], 1, "--shrink"),
])
def test_refusals(host, arguments, code, words):
    if host.row("vol", "dir") is None:
        host.byre("vol", "create-as", "default", "dir", "1M", "--format", "dir")
    done = host.byre("vol", *arguments, check=False)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert not host.leftovers()


def test_create_from_takes_xml(host):
    xml = "<volume><name>from.qcow2</name><target><format type='qcow2'/></target></volume>"
    host.byre("vol", "create-from", "default", "-", "a.raw", "--inputpool", "default", stdin=xml)
    assert host.volumes("default")["from.qcow2"]["capacity"] == 16 * MIB


def test_wipe_tells_what_it_did(host):
    host.fill("w.raw", 4, 8)
    out = host.byre("vol", "wipe", "default/w.raw").stdout
    assert "4.00 MiB of 8.00 MiB had blocks and were overwritten once, then given back" in out
    assert set(host.file("w.raw").read_bytes()) == {0}
    host.fill("w2.raw", 2)
    out = host.byre("vol", "wipe", "default/w2.raw", "--algorithm", "bsi").stdout
    assert "in 9 passes" in out and set(host.file("w2.raw").read_bytes()) == {0x7f}
    out = host.byre("vol", "wipe", "default/w2.raw", "--algorithm", "trim").stdout
    assert "given back, not overwritten" in out and host.file("w2.raw").stat().st_blocks == 0
    host.byre("vol", "clone", "default/a.raw", "w3.qcow2", "--format", "qcow2")
    host.byre("vol", "wipe", "default/w3.qcow2", "--algorithm", "dod")
    assert host.volumes("default")["w3.qcow2"]["format"] == "qcow2"
    assert subprocess.run(["qemu-io", "-r", "-f", "qcow2", "-c", "read -P 0 0 16M", host.file("w3.qcow2")],
                          stdout=subprocess.DEVNULL).returncode == 0


def test_shrink_and_allocate(host):
    host.byre("vol", "create-as", "default", "s.raw", "8M")
    host.byre("vol", "resize", "default/s.raw", "4M", "--shrink")
    assert host.volumes("default")["s.raw"]["capacity"] == 4 * MIB == host.file("s.raw").stat().st_size
    host.byre("vol", "resize", "default/s.raw", "6M", "--allocate")
    assert host.file("s.raw").stat().st_blocks * 512 == 6 * MIB
    done = host.byre("vol", "resize", "default/s.raw", "1M", "--shrink", check=False)
    assert done.returncode == 5 and "below existing allocation" in done.stderr
    host.byre("vol", "resize", "default/s.raw", "2M", "--delta")
    assert host.file("s.raw").stat().st_size == 8 * MIB


def test_key_name_pool_details(host):
    path = str(host.file("a.raw"))
    assert host.byre("vol", "key", "default/a.raw").stdout == path + "\n"
    assert host.byre("vol", "name", path).stdout == "a.raw\n"
    assert host.byre("vol", "pool", path).stdout == "default\n"
    assert path in host.byre("vol", "list", "default", "--details").stdout


def test_an_upload_is_whole_or_not_at_all(host):
    """The client goes in the middle: at once the old content is all there is, and the job says what happened."""
    host.fill("u.raw", 8)
    before = host.digest("u.raw")
    client = host.begin("vol", "upload", "default/u.raw", "-")
    client.stdin.write("x" * 100000)
    client.stdin.flush()
    job = host.running("vol.upload")
    busy = host.byre("vol", "delete", "default/u.raw", check=False)
    assert busy.returncode == 1 and "vol.upload" in busy.stderr
    client.kill()
    client.wait()
    wait_for("nobody waits for a client that has gone", lambda: host.row("job", job)["state"] == "cancelled", 20)
    assert host.digest("u.raw") == before and not host.leftovers()
    client.stdin.close()
    more = host.byre("vol", "upload", "default/u.raw", "-", stdin="y" * (9 * MIB), check=False)
    assert more.returncode != 0 and "more data than volume" in more.stderr and host.digest("u.raw") == before


def workers(host):
    """What byre-stored has forked."""
    stored = host.pid("byre-stored")
    return [int(p) for p in pathlib.Path("/proc/%d/task/%d/children" % (stored, stored)).read_text().split()]


def held_clone(host, name, mib=768):
    """A clone whose worker is stopped in the middle: its client, its job, the worker."""
    if host.row("vol", "big.raw") is None:
        host.fill("big.raw", mib)
    for _ in range(10):
        before = workers(host)
        client = host.begin("vol", "clone", "default/big.raw", name)
        wait_for("a worker", lambda: client.poll() is not None or
                 [n for n in os.listdir(host.file("")) if n.startswith("." + name)], 60)
        held = [pid for pid in workers(host) if pid not in before]
        for pid in held:
            os.kill(pid, signal.SIGSTOP)
        if held and client.poll() is None and not host.file(name).exists():
            return client, host.running("vol.clone"), held
        for pid in held:
            os.kill(pid, signal.SIGCONT)
        client.communicate(timeout=120)
        host.byre("vol", "delete", "default/" + name)
    raise AssertionError("a clone is always too fast to be met")


def test_cancel_by_command_and_by_ctrl_c(host):
    for way in ("command", "ctrl-c"):
        client, job, held = held_clone(host, "k.raw")
        try:
            used = host.byre("vol", "wipe", "default/big.raw", check=False)
            assert used.returncode == 1 and "has it in use" in used.stderr
            table = host.byre("job", "list").stdout
            assert "ORDER" in table and "default/k.raw" in table
            if way == "command":
                host.byre("job", "cancel", job)
            else:
                client.send_signal(signal.SIGINT)
            wait_for("the wish", lambda: host.byre("get", "job", job, "cancel").stdout.strip() == "true", 30)
        finally:
            for pid in held:
                os.kill(pid, signal.SIGCONT)
        out, err = client.communicate(timeout=60)
        assert client.returncode == 5 and "cancel" in err, err
        assert host.row("job", job)["state"] == "cancelled"
        assert host.row("vol", "k.raw") is None and not host.leftovers()


def test_no_wait_prints_the_job(host):
    job = host.byre("vol", "clone", "default/big.raw", "n.raw", "--no-wait").stdout.strip()
    assert "done" in host.byre("job", "wait", job).stdout
    assert host.volumes("default")["n.raw"]["state"] == "ready", "who waits for the job finds the volume ready"
    assert "vol.clone" in host.byre("job", "show", job).stdout
    host.byre("vol", "delete", "default/n.raw")


def test_move_takes_the_disk_along(host):
    name = host.prefix + "m"
    host.fill("m.raw", 4)
    before = host.digest("m.raw")
    host.byre("vm", "create", name, "--mem", "32M", "--disk", "default/m.raw")
    assert host.byre("vol", "move", "default/m.raw", "--to", "fast").stdout == "vol fast/m.raw: moved from default/m.raw\n"
    assert not host.file("m.raw").exists() and host.digest("m.raw", "fast") == before
    [disk] = [d for d in host.json("list", "device") if d["volume"] == "fast/m.raw"]
    assert disk["vm"] == name
    host.byre("vm", "start", name)
    path = str(host.file("m.raw", "fast"))
    assert path in virsh("domblklist", name)
    for command in (["move", "fast/m.raw", "--to", "default"], ["wipe", "fast/m.raw"], ["clone", "fast/m.raw", "z.raw"],
                    ["resize", "fast/m.raw", "1M", "--shrink"], ["delete", "fast/m.raw"]):
        done = host.byre("vol", *command, check=False)
        assert done.returncode != 0 and name in done.stderr, (command, done.stderr)
    done = host.byre("vol", "upload", "fast/m.raw", "-", stdin="x", check=False)
    assert done.returncode != 0 and name in done.stderr
    host.byre("vm", "delete", name, "--volumes")


def test_overlays_hold_their_base(host):
    host.byre("vol", "create-as", "default", "over.qcow2", "--format", "qcow2", "--backing", "default/a.raw")
    done = host.byre("vol", "move", "default/a.raw", "--to", "fast", check=False)
    assert done.returncode == 1 and "over.qcow2 lies on it" in done.stderr
    host.byre("vol", "wipe", "default/over.qcow2")
    info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", host.file("over.qcow2")]))
    assert info["backing-filename"] == str(host.file("a.raw")), "a wiped overlay lies on its base as before"


KILLS = int(os.environ.get("BYRE_TEST_KILLS", "2"))
BASE_MIB, SMALL_MIB = 256, 96  # Of what is copied, and of what is resized, wiped or moved.


@pytest.fixture(scope="module")
def base_digest(host):
    """Of default/base.raw, which nothing changes."""
    host.fill("base.raw", BASE_MIB)
    return host.digest("base.raw")


@pytest.mark.parametrize("program", ["byre-agentd", "byre-stored", "byre-dbd"])
@pytest.mark.parametrize("what", ["create", "clone", "resize", "wipe", "upload", "move"])
def test_killed_at_any_moment(host, base_digest, program, what):
    """Whatever dies whenever: after it the job has ended, the volume is whole or not there, nothing is left over."""
    rng = random.Random(what + program)
    for i in range(KILLS):
        name = "%s-%s-%d.raw" % (what, program[5:], i)
        commands = {
            "create": ["vol", "create-as", "default", name, "%dM" % BASE_MIB, "--allocation", "%dM" % BASE_MIB],
            "clone": ["vol", "clone", "default/base.raw", name],
            "resize": ["vol", "resize", "default/" + name, "%dM" % (2 * SMALL_MIB), "--allocate"],
            "wipe": ["vol", "wipe", "default/" + name],
            "upload": ["vol", "upload", "default/" + name, str(host.file("base.raw"))],
            "move": ["vol", "move", "default/" + name, "--to", "fast"],
        }
        if what in ("resize", "wipe", "move"):
            host.fill(name, SMALL_MIB)
        elif what == "upload":
            host.byre("vol", "create-as", "default", name, "%dM" % BASE_MIB)
        before = host.digest(name) if what in ("upload", "move", "resize") else None
        client = host.begin(*commands[what])
        time.sleep(rng.uniform(0.01, 0.6))
        pid = host.pid(program)
        if pid:
            os.kill(pid, signal.SIGKILL)
        client.communicate(timeout=120)

        def quiet():
            return host.byre("job", "list", "-o", "json", check=False).returncode == 0 and \
                not [j for j in host.json("job", "list") if j["state"] in (None, "queued", "running")]
        wait_for("all jobs to end", quiet, 120)
        host.byre("pool", "refresh", "default")
        assert not host.leftovers() and not host.leftovers("fast")
        check_outcome(host, what, name, before, base_digest)
        for pool in ("default", "fast"):
            if name in host.volumes(pool):
                host.byre("vol", "delete", pool + "/" + name)


def check_outcome(host, what, name, before, base_digest):
    here, there = host.volumes("default").get(name), host.volumes("fast").get(name)
    if here and here["state"] == "failed":  # The row may tell of a failure; a file may not.
        assert not host.file(name).exists()
        return
    if what == "create" and here:
        assert host.file(name).stat().st_blocks * 512 >= BASE_MIB * MIB
    elif what == "clone" and here:
        assert host.digest(name) == base_digest
    elif what == "resize":
        assert host.file(name).stat().st_size in (SMALL_MIB * MIB, 2 * SMALL_MIB * MIB) and here["capacity"] == host.file(name).stat().st_size
        with open(host.file(name), "rb") as f:
            assert hashlib.sha256(f.read(SMALL_MIB * MIB)).hexdigest() == before
    elif what == "wipe":
        assert here["state"] == "ready" and host.file(name).stat().st_size == SMALL_MIB * MIB
    elif what == "upload":
        assert host.digest(name) in (before, base_digest), "the old or the new, never a mixture"
    elif what == "move":
        # A move that was given up has ended before the row of its target has gone.
        wait_for("one row to be left", lambda: (name in host.volumes("default")) != (name in host.volumes("fast")), 60)
        here = host.volumes("default").get(name)
        assert host.digest(name, "default" if here else "fast") == before
        assert not host.file(name, "fast" if here else "default").exists()


VIRSH = [  # What virsh prints for a volume of the same directory, and byre's counterpart.
    (["vol-key", "--pool", "POOL", "a.raw"], ["vol", "key", "default/a.raw"]),
    (["vol-path", "--pool", "POOL", "a.raw"], ["vol", "path", "default/a.raw"]),
    (["vol-name", "PATH"], ["vol", "name", "PATH"]),
]


def test_virsh_says_the_same(host):
    pool = host.prefix + "v"
    virsh("pool-create-as", pool, "dir", "--target", str(host.file("")))
    try:
        path = str(host.file("a.raw"))
        for theirs, ours in VIRSH:
            theirs = [pool if a == "POOL" else path if a == "PATH" else a for a in theirs]
            ours = [path if a == "PATH" else a for a in ours]
            assert virsh(*theirs).strip() == host.byre(*ours).stdout.strip()
        assert virsh("vol-pool", path).strip() == pool  # Its own name for the same directory.
        virsh("vol-clone", "--pool", pool, "a.raw", "theirs.raw")
        host.byre("vol", "clone", "default/a.raw", "ours.raw")
        virsh("pool-refresh", pool)
        assert host.digest("theirs.raw") == host.digest("ours.raw")
        mine = virsh("vol-dumpxml", "--pool", pool, "ours.raw").replace("ours.raw", "N")
        yours = virsh("vol-dumpxml", "--pool", pool, "theirs.raw").replace("theirs.raw", "N")
        strip = lambda xml: [l for l in xml.splitlines() if "time>" not in l and "allocation" not in l]
        assert strip(mine) == strip(yours)
        for size, ours_too in (("24M", True), ("1M", False)):
            ok = subprocess.run(["virsh", "-q", "-c", libvirt_uri(), "vol-resize", "--pool", pool, "theirs.raw", size],
                                capture_output=True).returncode == 0
            assert ok == ours_too == (host.byre("vol", "resize", "default/ours.raw", size, check=False).returncode == 0)
        virsh("vol-wipe", "--pool", pool, "theirs.raw")
        host.byre("vol", "wipe", "default/ours.raw")
        assert host.digest("theirs.raw") == host.digest("ours.raw")
        up = host.state / "up"
        up.write_bytes(b"z" * 5000)
        for where in ([], ["--offset", "4096", "--length", "512"]):
            os.truncate(up, 512 if where else 5000)  # virsh sends all that there is.
            virsh("vol-upload", "--pool", pool, "theirs.raw", str(up), *where)
            host.byre("vol", "upload", "default/ours.raw", str(up), *where)
            assert host.digest("theirs.raw") == host.digest("ours.raw")
        virsh("vol-download", "--pool", pool, "theirs.raw", str(host.state / "d1"), "--offset", "100", "--length", "9000")
        host.byre("vol", "download", "default/ours.raw", str(host.state / "d2"), "--offset", "100", "--length", "9000")
        assert (host.state / "d1").read_bytes() == (host.state / "d2").read_bytes()
    finally:
        virsh("pool-destroy", pool, check=False)
