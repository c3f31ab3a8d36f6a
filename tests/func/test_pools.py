"""Pools on a real machine: growing, stopping, what goes away, what is one thing by two names.  LUNs, paths and maps: tests/host."""

import os
import pathlib
import shutil
import subprocess

import pytest

import host as hosts

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/loop-control") or not shutil.which("mkfs.xfs"),
                                reason="needs root, loop devices and xfsprogs")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def loop():
    image = pathlib.Path(hosts.temporary_state()) / "disk"
    run("truncate", "-s", "320M", str(image))
    device = run("losetup", "--find", "--show", str(image)).strip()
    yield device, image
    subprocess.run(["losetup", "-d", device], check=False)
    shutil.rmtree(image.parent)


@pytest.fixture
def host(builddir):
    h = hosts.Host(builddir, hosts.temporary_state(), "grow-")
    h.start()
    h.byre("cluster", "init", "test")
    h.byre("node", "add", "n1")
    yield h
    subprocess.run(["umount", str(h.state / "pools" / "g")], check=False, capture_output=True)
    h.destroy()


def test_a_file_system_grows_with_its_device(host, loop):
    device, image = loop
    target = str(host.state / "pools" / "g")
    host.byre("pool", "define-as", "g", "fs", "--source-dev", device, "--source-format", "xfs", "--target", target)
    host.byre("pool", "build", "g", "--overwrite")
    said = host.byre("pool", "grow", "g", check=False)
    assert said.returncode != 0 and "not active" in said.stderr
    host.byre("pool", "start", "g")
    before = host.json("pool", "info", "g")["capacity"]
    run("truncate", "-s", "640M", str(image))
    run("losetup", "-c", device)
    plan = host.byre("pool", "grow", "g", "--dry-run").stdout
    assert "xfs_growfs " + target in plan, plan
    assert host.json("pool", "info", "g")["capacity"] == before, "a dry run changes nothing"
    host.byre("pool", "grow", "g")
    after = host.json("pool", "info", "g")["capacity"]
    assert after > before + (250 << 20), (before, after)
    host.byre("pool", "grow", "g")  # Again: nothing is left to do, and that is fine.
    assert host.json("pool", "info", "g")["capacity"] == after
    host.byre("pool", "stop", "g")


def test_what_does_not_grow_says_so(host):
    host.byre("pool", "define-as", "d", "dir", "--target", str(host.state / "pools" / "d"))
    host.byre("pool", "build", "d")
    host.byre("pool", "start", "d")
    said = host.byre("pool", "grow", "d", check=False)
    assert said.returncode != 0 and "does not grow by itself" in said.stderr, said.stderr
    assert "grow the file system where it lies" in said.stderr, said.stderr


def test_stopping_a_pool_in_use_names_who(host, loop):
    device, _ = loop
    target = host.state / "pools" / "g"
    host.byre("pool", "define-as", "g", "fs", "--source-dev", device, "--source-format", "xfs", "--target", str(target))
    host.byre("pool", "start", "g", "--build", "--overwrite")
    with open(target / "held", "w"):
        assert host.json("pool", "info", "g")["active"]
        said = host.byre("pool", "stop", "g", check=False)
        assert said.returncode != 0 and "(process %d)" % os.getpid() in said.stderr, said.stderr
    assert host.json("pool", "info", "g")["active"], "what failed is not carried out later"
    # A mount that somebody else takes away comes back; in between nothing is written into the bare directory.
    run("umount", str(target))
    said = host.byre("vol", "create-as", "g", "v", "1M", check=False)
    if said.returncode != 0:
        assert "is not mounted on" in said.stderr or "does not work" in said.stderr, said.stderr  # Seen now, or just before.
    subprocess.run(["umount", str(target)], check=False, capture_output=True)
    assert not (target / "v").exists()  # Looked at where the file system is not.


def test_one_directory_by_two_names_is_refused(host):
    real = host.state / "pools" / "a"
    link = host.state / "pools" / "b"
    host.byre("pool", "define-as", "a", "dir", "--target", str(real))
    host.byre("pool", "start", "a", "--build")
    link.symlink_to(real)
    host.byre("pool", "define-as", "b", "dir", "--target", str(link))
    said = host.byre("pool", "start", "b", check=False)
    assert said.returncode != 0 and "Storage source conflict with pool: 'a'" in said.stderr, said.stderr
    link.unlink()
    link.mkdir()
    host.byre("pool", "start", "b")
    assert host.json("pool", "info", "b")["state"] == "running"


def test_one_device_by_two_names_is_refused(host, loop):
    device, _ = loop
    link = host.state / "disk"
    link.symlink_to(device)
    host.byre("pool", "define-as", "g", "fs", "--source-dev", device, "--source-format", "xfs", "--target",
              str(host.state / "pools" / "g"))
    host.byre("pool", "start", "g", "--build", "--overwrite")
    host.byre("pool", "define-as", "h", "fs", "--source-dev", str(link), "--source-format", "xfs", "--target",
              str(host.state / "pools" / "h"))
    for command in (["start", "h"], ["build", "h", "--overwrite"]):
        said = host.byre("pool", *command, check=False)
        assert said.returncode != 0 and "conflict with pool: 'g'" in said.stderr, said.stderr
    host.byre("pool", "stop", "g")
    said = host.byre("pool", "build", "h", "--overwrite", check=False)
    assert said.returncode != 0 and "conflict with pool: 'g'" in said.stderr, "what is stopped has something to lose"
    assert not (host.state / "pools" / "h").exists(), "nothing is made before that is known"
    host.byre("pool", "start", "g")
