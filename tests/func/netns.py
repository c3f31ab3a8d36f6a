"""A host's network to play with: a network name space with a libvirtd of its own, so that bridges, dnsmasq and packet filters
are real and this machine's own are never touched.  Needs root.  Everything goes with the last process in it."""

import os
import select
import subprocess
import time
import tty

import host

# Private to it: what libvirt writes, and /sys and /run/netns, which show the name space's own network.
SETUP = r"""
mount --make-rprivate /
mount -t tmpfs tmpfs /run/libvirt
mkdir /run/libvirt/cgroup /run/libvirt/nwfilter
cp -a /etc/libvirt/nwfilter/. /run/libvirt/nwfilter/
mount --bind /run/libvirt/nwfilter /etc/libvirt/nwfilter
for place in /etc/libvirt/qemu /etc/libvirt/storage /var/lib/libvirt/dnsmasq /var/lib/libvirt/network /run/netns; do
    mkdir -p $place
    mount -t tmpfs tmpfs $place
done
mount --rbind /sys/fs/cgroup /run/libvirt/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/libvirt/cgroup /sys/fs/cgroup
ip link set lo up
echo ready
exec cat
"""


class World:
    def __init__(self):
        self.keeper = subprocess.Popen(["unshare", "-n", "-m", "/bin/bash", "-euc", SETUP], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = self.keeper.stdout.readline()
        assert said == "ready\n", said + self.keeper.stdout.read()
        self.enter = ["nsenter", "-t", str(self.keeper.pid), "-n", "-m", "--"]
        self.daemons = []
        try:
            for name in ("virtlogd", "libvirtd"):
                self.daemons.append(subprocess.Popen([*self.enter, name, "-p", "/run/libvirt/%s-own.pid" % name],
                                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                                     stderr=subprocess.DEVNULL))
            self.wait_for(lambda: self.run("virsh", "-q", "uri", check=False).returncode == 0, "libvirtd")
        except BaseException:
            self.end()
            raise

    @staticmethod
    def wait_for(condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            result = condition()
            if result:
                return result
            assert time.monotonic() < deadline, "in vain: " + what
            time.sleep(0.1)

    def run(self, *command, check=True):
        done = subprocess.run([*self.enter, *command], capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, "%s: %s%s" % (" ".join(command), done.stdout, done.stderr)
        return done

    def sh(self, script, check=True):
        return self.run("/bin/bash", "-euc", script, check=check).stdout

    def end(self):
        for name in self.run("virsh", "-q", "list", "--name", check=False).stdout.split():
            self.run("virsh", "destroy", name, check=False)
        for name in self.run("virsh", "-q", "net-list", "--name", check=False).stdout.split():
            self.run("virsh", "net-destroy", name, check=False)  # Ends dnsmasq.
        for daemon in reversed(self.daemons):
            daemon.terminate()
            daemon.wait(60)
        self.keeper.stdin.close()
        self.keeper.wait(60)


class WorldHost(host.Host):
    """Byre in that world."""

    def __init__(self, world, builddir, prefix):
        super().__init__(builddir, host.temporary_state(), prefix)
        self.world = world
        self.enter = world.enter


class Console:
    """A guest's serial console, as a shell."""

    def __init__(self, world, name):
        # devpts is the machine's own, so the file can be opened from outside.
        self.fd = os.open(world.run("virsh", "-q", "ttyconsole", name).stdout.strip(), os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        self.n = 0

    def run(self, command, seconds=60):
        """What the command prints; its exit status is the second value."""
        self.n += 1
        begin, end = "BEGIN-%d" % self.n, "END-%d" % self.n
        os.write(self.fd, ("echo BEG''IN-%d; %s; echo EN''D-%d:$?:\n" % (self.n, command, self.n)).encode())
        text, deadline = "", time.monotonic() + seconds
        while True:
            if select.select([self.fd], [], [], 0.5)[0]:
                text += os.read(self.fd, 65536).decode(errors="replace").replace("\r", "")
            head, _, rest = text.partition(begin + "\n")
            body, found, status = rest.partition(end + ":")
            if found and ":" in status:
                return body, int(status.partition(":")[0])
            assert time.monotonic() < deadline, "%s: no end of %r" % (command, text[-2000:])
