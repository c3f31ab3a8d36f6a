"""kill -9 of each of the five processes, again and again, while machines are created and deleted.

What must hold afterwards: each row that `byre` acknowledged is there (or gone, if the deletion was
acknowledged); libvirt has exactly the domains of the rows; the pool's directory holds exactly the
volumes of the rows; the machines that should run never stopped: the same QEMU processes.

BYRE_KILLS (default 10) is the number of kills of each process; BYRE_SEED repeats a run."""

import os
import random
import signal
import threading
import time

import pytest

from host import Host, libvirt_uri, temporary_state, virsh

N_KILLS = int(os.environ.get("BYRE_KILLS", "10"))
SEED = int(os.environ.get("BYRE_SEED", str(random.randrange(1 << 30))))
N_VMS = 20
N_WORKERS = 2
N_STEADY = 2
PROGRAMS = ["byred", "byre-dbd", "byre-agentd", "byre-stored", "byre-webd"]

pytestmark = pytest.mark.skipif(libvirt_uri() is None, reason="no libvirt answers")


@pytest.fixture
def host(builddir):
    with Host(builddir, temporary_state(), prefix="bk%d" % os.getpid()) as host:
        yield host


class Worker(threading.Thread):
    """Creates and deletes its share of the machines until told to stop; then all of them exist or
    not, as its last acknowledged command says."""

    def __init__(self, host, names, seed, stop):
        super().__init__()
        self.host, self.names, self.stop = host, names, stop
        self.random = random.Random(seed)
        self.exists = {name: False for name in names}
        self.n_done = 0
        self.failures = []

    def until_acknowledged(self, arguments, done_already):
        """Repeats a command as a person would until it is acknowledged, or done_already() says that
        an earlier try had done it though nobody could say so."""
        for _ in range(120):
            done = self.host.byre(*arguments, check=False)
            if done.returncode == 0 or done_already():
                return True
            time.sleep(0.5)
        self.failures.append("%s: %d %s" % (" ".join(arguments), done.returncode, done.stderr))
        return False

    def is_there(self, name):
        """0 or 3 (not found) are answers; anything else is not."""
        return self.host.byre("get", "vm", name, "name", check=False).returncode

    def flip(self, name):
        if self.exists[name]:
            done = self.until_acknowledged(["vm", "delete", name, "--volumes"], lambda: self.is_there(name) == 3)
        else:
            done = self.until_acknowledged(
                ["vm", "create", name, "--mem", "16", "--vcpu", "1", "--disk", "default/%s:16M" % name],
                lambda: self.is_there(name) == 0)
        if done:
            self.exists[name] = not self.exists[name]
            self.n_done += 1

    def run(self):
        while not self.stop.is_set() and not self.failures:
            self.flip(self.random.choice(self.names))


def settle(host, what, probe, seconds=90):
    """Waits until probe() returns nothing wrong."""
    wrong = None
    for _ in range(seconds * 2):
        wrong = probe()
        if not wrong:
            return
        time.sleep(0.5)
    pytest.fail("%s: %s\nseed %d\n%s" % (what, wrong, SEED, host.logs()))


def test_kill_each_process_at_random_moments(host):
    dice = random.Random(SEED)
    steady = ["%s-steady%d" % (host.prefix, i) for i in range(N_STEADY)]
    for name in steady:
        host.byre("vm", "create", name, "--mem", "16", "--vcpu", "1", "--disk", "default/%s:16M" % name)
        host.byre("vm", "start", name)
    qemu_before = {name: host.qemu_pid(name) for name in steady}
    assert all(qemu_before.values())

    names = ["%s-%02d" % (host.prefix, i) for i in range(N_VMS)]
    stop = threading.Event()
    workers = [Worker(host, names[i::N_WORKERS], SEED + i, stop) for i in range(N_WORKERS)]
    for worker in workers:
        worker.start()

    victims = PROGRAMS * N_KILLS
    dice.shuffle(victims)
    n_killed = {program: 0 for program in PROGRAMS}
    try:
        for program in victims:
            time.sleep(dice.uniform(0.2, 3.0))
            for _ in range(120):  # It may still be on its way up after the kill before.
                pid = host.pid(program)
                if pid:
                    break
                time.sleep(0.25)
            assert pid, "%s did not come back\n%s" % (program, host.logs())
            os.kill(pid, signal.SIGKILL)
            n_killed[program] += 1
            if program == "byred":
                host.start()  # As the service manager of a host would.
    finally:
        stop.set()
        for worker in workers:
            worker.join(240)
    assert all(n == N_KILLS for n in n_killed.values())
    for worker in workers:
        assert not worker.failures, "%s\nseed %d\n%s" % (worker.failures, SEED, host.logs())
    print("seed %d: %d commands acknowledged, %s" % (SEED, sum(w.n_done for w in workers), n_killed))

    expected = set(steady)
    for worker in workers:
        expected |= {name for name, exists in worker.exists.items() if exists}

    def rows_wrong():
        rows = host.json("vm", "list")
        got = {row["name"] for row in rows if row["name"].startswith(host.prefix)}
        return got ^ expected

    def domains_wrong():
        got = {name for name in virsh("list", "--all", "--name").split() if name.startswith(host.prefix)}
        return got ^ expected

    def files_wrong():
        got = set(os.listdir(host.pool_dir))
        return got ^ expected

    def volume_rows_wrong():
        got = {row["name"] for row in host.json("vol", "list", "default")}
        return got ^ expected

    settle(host, "rows", rows_wrong)
    settle(host, "domains", domains_wrong)
    settle(host, "files", files_wrong)
    settle(host, "volume rows", volume_rows_wrong)
    assert {name: host.qemu_pid(name) for name in steady} == qemu_before, "a machine that should run was stopped"
