"""What a script in a throwaway host uses: Byre brought up there, commands, and the running of its tests.

A script ends with `guest.main(globals())`.  Its functions test_* run in the order in which they stand; names given as
arguments choose some.  Each prints a line; the status is 1 if one failed.
"""

import os
import pathlib
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "func"))

import host  # noqa: E402  (found by the path above)
import watchdog  # noqa: E402

SLOW = 10  # Everything takes so much longer here.


def build():
    """The folder of Byre's programs."""
    base = pathlib.Path(os.environ.get("BYRE_BUILD", ROOT / "build-plain"))
    for place in (base, base / "bin", base / "src" / "bin"):
        if (place / "byred").is_file():
            return place
    raise AssertionError("no byred in %s: set BYRE_BUILD" % base)


def run(*command, check=True, stdin=None, seconds=120 * SLOW):
    """Runs a program; its output, standard error included.  With check=False, never mind the status."""
    done = subprocess.run(command, text=True, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds)
    if check and done.returncode != 0:
        raise AssertionError("%s: status %d\n%s" % (" ".join(command), done.returncode, done.stdout))
    return done.stdout


def sh(script, **more):
    """The same of a shell's command."""
    return run("/bin/bash", "-euc", script, **more)


def wait_for(what, condition, seconds=60 * SLOW, every=0.1):
    """Waits until condition() is true, and returns what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError("in vain: " + what)
        time.sleep(every)


def disk(number):
    """The stable name of disk N (`-d`), and not the one of today."""
    return "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_disk%d" % number


def size_of(path):
    """Bytes of a block device."""
    return int(run("blockdev", "--getsize64", path))


def libvirt(*options):
    """Starts libvirt's daemons, once, libvirtd with these options.  Their first look at QEMU is kept in the host's cache (TESTHOST_CACHE)."""
    if host.libvirt_uri():
        return
    run("modprobe", "-a", "kvm_amd", check=False)
    cache = os.environ.get("TESTHOST_CACHE")
    if cache:
        kept = "/var/cache/libvirt/qemu/capabilities"
        os.makedirs(kept, exist_ok=True)
        run("mount", "--bind", cache, kept)
    for place in ("/etc/libvirt/storage", "/etc/libvirt/qemu"):  # This machine's own are no matter of the test.
        os.makedirs(place, exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", place)
    run("virtlogd", "-d")
    run("libvirtd", "-d", *options)
    wait_for("libvirtd", host.libvirt_uri)


def trust_kvm(state):
    """Tells the agent that KVM works: its own look gives QEMU 5 s, which are not enough for KVM in a guest without it."""
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()[:36]
    emulator = int(os.stat("/usr/bin/qemu-system-x86_64").st_mtime)
    kept = pathlib.Path(state) / "run" / "probe"
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    kept.write_text("boot %s emulator %d\nkvm 1 \ntcg 1 \n" % (boot, emulator))


class Guest(host.Host):
    """Byre on this host.  State lies in RAM unless said otherwise."""

    def __init__(self, state=None):
        super().__init__(build(), state or host.temporary_state(), "byre-host-")

    def byre(self, *arguments, check=True, seconds=120 * SLOW, stdin=None):
        return super().byre("--timeout", str(seconds), *arguments, check=check, seconds=seconds + 60, stdin=stdin)

    def up(self):
        """The cluster and this node, without a pool."""
        if os.path.exists("/dev/kvm"):
            trust_kvm(self.state)
        self.start(seconds=60 * SLOW)
        if not self.json("node", "list"):
            self.byre("cluster", "init", "test")
            # The agent answers once libvirt does, and on a loaded machine that is beyond the command's patience.
            wait_for("the node", lambda: self.byre("node", "add", "n1", check=False).returncode == 0)

    def fails(self, *arguments):
        """Runs byre, which must fail; what it said."""
        done = self.byre(*arguments, check=False)
        assert done.returncode != 0, "byre %s worked:\n%s" % (" ".join(arguments), done.stdout)
        return done.stderr

    def pool(self, name):
        """The pool's row."""
        return self.json("pool", "info", name)

    def vols(self, pool):
        """The rows of a pool's volumes, by name."""
        return {row["name"]: row for row in self.json("vol", "list", pool)}

    def tiny(self):
        """The OS template "tiny", in a pool of its own."""
        if self.byre("vmi", "info", "tiny", check=False).returncode == 0:
            return
        place = pathlib.Path(os.environ["BYRE_TINY"])
        self.byre("pool", "define-as", "boot", "dir", "--target", "/var/lib/byre-test/boot")
        self.byre("pool", "build", "boot")
        self.byre("pool", "start", "boot")
        for part in ("kernel", "initrd"):
            path = place / ("tiny-" + part)
            self.byre("vol", "create-as", "boot", part, str(path.stat().st_size))
            self.byre("vol", "upload", "boot/" + part, str(path))
        self.byre("vmi", "create", "tiny", "--kernel", "boot/kernel", "--initrd", "boot/initrd",
                  "--cmdline", "console=ttyS0 quiet")

    def boot(self, name, volume):
        """A machine with this volume as its disk: what it says of it.  It writes to it and reads it back."""
        self.tiny()
        name = self.prefix + name
        if self.byre("vm", "info", name, check=False).returncode != 0:
            self.byre("vm", "create", name, "--mem", "96", "--vcpu", "1", "--vmi", "tiny", "--disk", volume)
        self.byre("vm", "start", name, seconds=30 * SLOW)

        def lines():  # The log begins anew with each start.
            text = self.byre("vm", "console", name, "--log", check=False).stdout
            return [line for line in text.split("\n")[:-1] if " is up" in line or "FAILED" in line]

        return wait_for("the line of guest %s" % name, lines, seconds=30 * SLOW, every=1)[-1]

    def off(self, name):
        self.byre("vm", "stop", self.prefix + name, "--force")


_the_guest = None


def byre(config=None):
    """The one Byre of this script, brought up on first use (with this configuration)."""
    global _the_guest
    if not _the_guest:
        libvirt()
        _the_guest = Guest()
        _the_guest.config = config
        _the_guest.up()
    return _the_guest


def main(names):
    """Runs the test_* functions of a script; never returns.  A function setup() comes first: without it there is no test."""
    wanted = sys.argv[1:]
    failed, running = [], ["setup"]
    watchdog.start(lambda: running[-1], lambda: _the_guest.logs() if _the_guest else "")
    if "setup" in names:
        try:
            names["setup"]()
        except Exception:
            print("not ok setup\n%s\n%s" % (traceback.format_exc(), _the_guest.logs() if _the_guest else ""), flush=True)
            sys.stdout.flush()
            os._exit(1)
    for name, function in list(names.items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        began = time.monotonic()
        running.append(name)
        try:
            function()
            print("ok %s (%.1f s)" % (name, time.monotonic() - began), flush=True)
        except Exception:  # Whatever it was: the next test may still tell something.
            failed.append(name)
            print("not ok %s\n%s" % (name, traceback.format_exc()), flush=True)
    if failed and _the_guest:
        print(_the_guest.logs(), flush=True)
    sys.stdout.flush()
    os._exit(1 if failed else 0)
