"""One host with Byre on it, in a directory of its own: what the functional tests start and drive."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time


def libvirt_uri():
    """The URI that answers for this user, or None."""
    uri = "qemu:///system" if os.geteuid() == 0 else "qemu:///session"
    try:
        done = subprocess.run(["virsh", "-q", "-c", uri, "uri"], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return uri if done.returncode == 0 else None


def temporary_state():
    """A new directory that QEMU may enter whoever it runs as: pytest's own are closed to others."""
    path = tempfile.mkdtemp(prefix="byre-test-", dir="/var/tmp")
    os.chmod(path, 0o711)
    return path


def virsh(*arguments, check=True):
    done = subprocess.run(["virsh", "-q", "-c", libvirt_uri(), *arguments], capture_output=True, text=True, timeout=60)
    if check and done.returncode != 0:
        raise AssertionError("virsh %s: %s" % (" ".join(arguments), done.stderr))
    return done.stdout


class Host:
    def __init__(self, builddir, state, prefix, config=None):
        self.bin = pathlib.Path(builddir)
        self.state = pathlib.Path(state)
        self.prefix = prefix  # All machines of this host have names that begin so.
        self.config = config
        self.enter = []  # What a command begins with that shall run there.
        self.pool_dir = self.state / "pools" / "default"
        self.db = "unix:%s" % (self.state / "run" / "db.sock")

    def pid(self, program):
        """The pid of a live program of this host, or None."""
        try:
            pid = int((self.state / "run" / (program + ".pid")).read_text())
            name = pathlib.Path("/proc/%d/comm" % pid).read_text().strip()
        except (OSError, ValueError):
            return None
        return pid if name == program[:15] else None

    def start(self, seconds=30):
        """Starts byred and waits until all is up."""
        command = [*self.enter, str(self.bin / "byred"), "--state", str(self.state), "--detach"]
        if self.config:
            command += ["--config", str(self.config)]
        deadline = time.monotonic() + seconds
        while True:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
            if done.returncode == 0:
                return
            if time.monotonic() > deadline:
                raise AssertionError("byred: %s\n%s" % (done.stderr, self.logs()))
            time.sleep(0.25)

    def stop(self, seconds=30):
        pid = self.pid("byred")
        if pid:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while any(self.pid(p) for p in ["byred", "byre-dbd", "byre-agentd", "byre-stored", "byre-webd"]):
            if time.monotonic() > deadline:
                raise AssertionError("byred does not end\n%s" % self.logs())
            time.sleep(0.1)

    def byre(self, *arguments, check=True, seconds=120, stdin=None):
        done = subprocess.run([*self.enter, str(self.bin / "byre"), "--db", self.db, *arguments], capture_output=True, text=True,
                              timeout=seconds, input=stdin)
        if check and done.returncode != 0:
            raise AssertionError("byre %s: exit %d\n%s%s\n%s" % (" ".join(arguments), done.returncode, done.stdout,
                                                                done.stderr, self.logs()))
        return done

    def json(self, *arguments):
        return json.loads(self.byre(*arguments, "-o", "json").stdout)

    def join(self):
        """The first steps of a new host: the cluster, this node, a pool."""
        self.byre("cluster", "init", "test")
        self.byre("node", "add", "n1")
        self.byre("pool", "define-as", "default", "dir", "--target", str(self.pool_dir))
        self.byre("pool", "build", "default")
        self.byre("pool", "start", "default")

    def __enter__(self):
        """Started and joined; gone at the end, whatever happens."""
        try:
            self.start()
            self.join()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, *_):
        self.destroy()

    def qemu_pid(self, name):
        """The pid of a machine's QEMU, or None."""
        for directory in ("/run/libvirt/qemu", os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), "libvirt/qemu/run")):
            try:
                return int(pathlib.Path(directory, name + ".pid").read_text())
            except (OSError, ValueError):
                continue
        return None

    def logs(self, n_lines=40):
        """The end of each log, for the message of a failing test."""
        text = []
        for path in sorted((self.state / "log").glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-n_lines:]
            text.append("--- %s\n%s" % (path.name, "\n".join(lines)))
        return "\n".join(text)

    def destroy(self):
        """Ends everything and leaves nothing, whatever state it is in."""
        for program in ["byred", "byre-agentd", "byre-stored", "byre-webd", "byre-dbd"]:
            pid = self.pid(program)
            if pid:
                os.kill(pid, signal.SIGKILL)
        if libvirt_uri():
            for name in virsh("list", "--all", "--name", check=False).split():
                if name.startswith(self.prefix):
                    virsh("destroy", name, check=False)
                    virsh("undefine", name, "--managed-save", "--snapshots-metadata", "--nvram", check=False)
        shutil.rmtree(self.state, ignore_errors=True)
