"""The main job on real input: a host becomes a cluster, gets a pool, a disk and a machine, and the machine boots, finds its
disk and says so; then the machine's life goes on through `byre`, as a user would drive it."""

import os
import pathlib
import subprocess
import time

import pytest

import tiny_guest
from host import Host, libvirt_uri, temporary_state, virsh

DISK_BYTES = 1 << 30

pytestmark = pytest.mark.skipif(libvirt_uri() is None, reason="no libvirt answers")


@pytest.fixture(scope="module")
def tiny():
    """Kernel and initrd of the OS template."""
    return tiny_guest.make()


@pytest.fixture(scope="module")
def host(builddir):
    with Host(builddir, temporary_state(), prefix="bl%d" % os.getpid()) as host:
        tiny_guest.template(host)
        host.vm = host.prefix + "-demo"
        host.byre("vm", "create", host.vm, "--mem", "128", "--vcpu", "1", "--vmi", "tiny",
                  "--disk", "default/%s:1G" % host.vm)
        yield host


def row(host):
    [vm] = [vm for vm in host.json("vm", "list") if vm["name"] == host.vm]
    return vm


def test_uploaded_bytes_are_the_files(host, tiny):
    for part in ("kernel", "initrd"):
        path = host.byre("vol", "path", "default/tiny-" + part).stdout.strip()
        assert pathlib.Path(path).read_bytes() == (tiny / ("tiny-" + part)).read_bytes()


def test_boots_and_finds_its_disk(host):
    host.byre("vm", "start", host.vm)
    assert row(host)["status"] == "running"
    done = host.byre("vm", "console", host.vm, "--until", "is up", "--timeout", "60")
    [line] = [line for line in done.stdout.splitlines() if " is up" in line]
    assert str(DISK_BYTES) in line
    # Whoever comes later sees it too.
    assert line.strip() in host.byre("vm", "console", host.vm, "--until", "is up", "--timeout", "10").stdout


def test_pause_and_resume(host):
    host.byre("vm", "pause", host.vm)
    assert virsh("domstate", host.vm).strip() == "paused"
    assert row(host)["status"] == "paused"
    host.byre("vm", "resume", host.vm)
    assert virsh("domstate", host.vm).strip() == "running"


def test_agent_adopts_what_runs(host):
    qemu = host.qemu_pid(host.vm)
    host.stop()
    assert virsh("domstate", host.vm).strip() == "running"
    host.start()
    host.byre("wait", "vm", host.vm, "status=running")
    assert host.qemu_pid(host.vm) == qemu


def test_a_refused_resize_is_not_wanted_later(host):
    done = host.byre("vol", "resize", "default/" + host.vm, "3G", check=False)
    assert done.returncode == 1 and host.vm in done.stderr, done.stderr
    [volume] = [v for v in host.json("list", "volume", "-c", "name,size,wanted_capacity") if v["name"] == host.vm]
    assert volume["wanted_capacity"] in (None, DISK_BYTES)
    assert volume["size"] in (None, DISK_BYTES >> 20)


def test_graceful_reboot_comes_up_again(host):
    before = host.byre("vm", "console", host.vm, "--log").stdout.count(" is up")
    host.byre("vm", "reboot", host.vm, "--timeout", "60")
    for _ in range(120):
        if host.byre("vm", "console", host.vm, "--log").stdout.count(" is up") > before:
            return
        time.sleep(0.5)
    pytest.fail("no second boot\n" + host.logs())


def test_shutdown_is_graceful(host):
    host.byre("vm", "shutdown", host.vm, "--timeout", "60")
    assert virsh("domstate", host.vm).strip() == "shut off"
    assert row(host)["status"] == "shutoff"


def test_resize_grows_the_disk(host):
    host.byre("vol", "resize", "default/" + host.vm, "2G")
    path = host.byre("vol", "path", "default/" + host.vm).stdout.strip()
    info = subprocess.run(["qemu-img", "info", path], capture_output=True, text=True, check=True).stdout
    assert "2 GiB (2147483648 bytes)" in info


def test_a_stranger_is_shown_and_never_touched(host):
    name = host.prefix + "-stranger"
    xml = ("<domain type='qemu'><name>%s</name><memory unit='MiB'>16</memory><os><type arch='x86_64'>hvm</type></os>"
           "</domain>" % name)
    path = pathlib.Path(host.state, "stranger.xml")
    path.write_text(xml)
    virsh("define", str(path))
    try:
        host.byre("wait", "vm", name, "source=libvirt", "--timeout", "60")
        assert host.byre("vm", "start", name, check=False).returncode != 0
        assert virsh("domstate", name).strip() == "shut off"
    finally:
        virsh("undefine", name)
    for _ in range(120):
        if name not in {vm["name"] for vm in host.json("vm", "list")}:
            return
        time.sleep(0.5)
    pytest.fail("the row of a domain that went stays")


def test_delete_leaves_nothing(host):
    host.byre("vm", "start", host.vm)
    host.byre("vm", "delete", host.vm, "--volumes")
    assert host.vm not in virsh("list", "--all", "--name").split()
    assert host.vm not in {vm["name"] for vm in host.json("vm", "list")}
    for _ in range(40):
        if host.vm not in os.listdir(host.pool_dir):
            return
        time.sleep(0.25)
    pytest.fail("the disk stays: %s" % os.listdir(host.pool_dir))
