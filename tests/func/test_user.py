"""What a user meets in the first hour: commands that are refused, things that vanish behind Byre's back, and what must then
still be there.  With real libvirt."""

import os
import subprocess
import time

import pytest

from host import Host, libvirt_uri, temporary_state, virsh

DONE, REFUSED, NOT_APPLIED, TIMED_OUT = 0, 1, 5, 6

pytestmark = pytest.mark.skipif(libvirt_uri() is None, reason="no libvirt answers")


@pytest.fixture(scope="module")
def host(builddir):
    with Host(builddir, temporary_state(), prefix="bu%d" % os.getpid()) as host:
        yield host


@pytest.fixture
def vm(host, request):
    """A running machine without a guest: its firmware finds nothing to boot and idles."""
    name = "%s-%s" % (host.prefix, request.node.name.replace("test_", "").replace("_", "-")[:30])
    host.byre("vm", "create", name, "--mem", "32", "--disk", "default/%s:16M" % name, "--start")
    yield name
    host.byre("vm", "delete", name, "--volumes", "--if-exists")


def until(seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within %d s" % seconds
        time.sleep(0.1)


def refused(host, code, *arguments):
    done = host.byre(*arguments, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr


def test_a_refused_deletion_is_forgotten(host, vm):
    assert "machine %s has it as disk vda" % vm in refused(host, REFUSED, "vol", "delete", "default/" + vm)
    host.byre("vm", "stop", vm, "--force")
    host.byre("pool", "refresh", "default")
    assert (host.pool_dir / vm).exists() and host.json("vol", "info", "default/" + vm)["state"] == "ready"
    host.byre("vm", "start", vm)


def test_when_delete_returns_the_disk_is_gone(host, vm):
    said = host.byre("vm", "delete", vm, "--volumes").stdout
    assert said == "vm %s: deleted\nvol default/%s: deleted\n" % (vm, vm)
    assert not (host.pool_dir / vm).exists()
    assert not [v for v in host.json("vol", "list") if v["name"] == vm]
    assert vm not in virsh("list", "--all", "--name").split()


def test_killed_behind_the_back_it_comes_back(host, vm):
    virsh("destroy", vm)
    until(30, lambda: virsh("domstate", vm, check=False).strip() == "running")
    until(10, lambda: host.json("vm", "info", vm)["status"] == "running")


def test_undefined_behind_the_back_it_is_defined_again(host, vm):
    host.byre("vm", "stop", vm, "--force")
    virsh("undefine", vm)
    host.byre("vm", "start", vm)
    assert virsh("domstate", vm).strip() == "running" and virsh("domuuid", vm).strip() == host.json("vm", "info", vm)["uuid"]


def test_a_pool_whose_directory_vanished_says_so(host):
    place = host.state / "pools" / "van"
    host.byre("pool", "define-as", "van", "--target", str(place))
    host.byre("pool", "start", "van", "--build")
    host.byre("vol", "create-as", "van", "a", "1M")
    place.rename(host.state / "away")
    assert "No such file or directory" in refused(host, NOT_APPLIED, "pool", "refresh", "van")
    until(10, lambda: host.json("pool", "info", "van")["state"] == "inaccessible")
    assert "No such file or directory" in host.json("pool", "info", "van")["error"]
    (host.state / "away").rename(place)
    host.byre("pool", "start", "van")
    row = host.json("pool", "info", "van")
    assert row["state"] == "running" and not row["error"]
    assert host.json("vol", "info", "van/a")["state"] == "ready"
    host.byre("vol", "delete", "van/a")
    host.byre("pool", "stop", "van")
    host.byre("pool", "delete", "van")
    host.byre("pool", "undefine", "van")
    assert not place.exists()


def test_a_download_into_nothing(host, tmp_path):
    host.byre("vol", "create-as", "default", "zeros", "64M")
    byre = [str(host.bin / "byre"), "--db", host.db, "vol", "download", "default/zeros", "-"]
    reader = subprocess.Popen(["head", "-c", "10"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    done = subprocess.run(byre, stdout=reader.stdin, stderr=subprocess.PIPE, timeout=60)
    reader.stdin.close()
    assert reader.wait(10) == 0 and (done.returncode, done.stderr) == (0, b"")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(byre, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == REFUSED and b"pool" not in done.stderr.splitlines()[2]
    host.byre("vol", "delete", "zeros")
