"""The same XML in libvirt and in Byre: the same XML out, or the same error.  The cases are files: tests/cases/storage/pool-*.xml are
defined in both, vol-*.xml created in a directory of each.

libvirt's are defined in its real driver (the test driver has no backends and no errors of theirs) and undefined again.  What
differs on purpose is a line in NAMED below, and in docs/decisions/004."""

import os
import pathlib
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from host import Host, libvirt_uri, temporary_state, virsh

CASES = pathlib.Path(__file__).resolve().parent.parent / "cases" / "storage"
POOLS = sorted(p.name for p in CASES.glob("pool-*.xml"))
VOLUMES = sorted(p.name for p in CASES.glob("vol-*.xml"))

# What Byre does otherwise, and why.  The value is what Byre's answer must hold.
NAMED = {
    # libvirt prints what it has not got.
    "pool-bad-empty.xml": "Start tag expected, '<' not found",
    # A pool's name is one of the whole cluster: host names, command lines, URLs and patterns hold it.
    "pool-dir-naming.xml": "pool name contains the byte 0x20",
    "pool-dir-unicode.xml": "pool name contains the byte 0xc3",
    # A directory of mode 0600 cannot be entered by its owner.
    "vol-dir.xml": "<mode>0700</mode>",
    # A sparse file has no block; libvirt's, made by qemu-img, has one.
    "vol-iso.xml": "<allocation unit='bytes'>0</allocation>",
    # compat 1.1 unless asked otherwise.
    "vol-qcow2.xml": "<compat>1.1</compat>",
    # What a program says is told without a prefix, with the command as it was given.
    "vol-bad-cow-format.xml": "Unknown file format 'cow'",
}


@pytest.fixture(scope="module")
def host(builddir):
    if libvirt_uri() is None:
        pytest.skip("needs libvirtd")
    h = Host(builddir, temporary_state(), "sbs-%d-" % os.getpid())
    try:
        h.start()
        h.join()
        yield h
    finally:
        h.destroy()


@pytest.fixture(scope="module")
def their_pool(host):
    """A libvirt pool in a directory of its own."""
    path = host.state / "pools" / "theirs"
    path.mkdir(mode=0o711)
    name = "sbs-%d" % os.getpid()
    virsh("pool-create-as", name, "dir", "--target", str(path))
    yield name, path
    virsh("pool-destroy", name, check=False)


def run_virsh(*arguments, stdin=None):
    """(True, output) or (False, the last error as libvirt says it)."""
    done = subprocess.run(["virsh", "-q", "-c", libvirt_uri(), *arguments], capture_output=True, text=True, timeout=60,
                          input=stdin)
    if done.returncode == 0:
        return True, done.stdout
    return False, done.stderr.split("\nerror: ", 1)[-1].strip()


def run_byre(host, *arguments, stdin=None):
    done = host.byre(*arguments, check=False, stdin=stdin)
    if done.returncode == 0:
        return True, done.stdout
    why = re.search(r"^ *why: +(.*?)(?:\n *next: .*)?\Z", done.stderr, re.S | re.M)
    return False, (why.group(1) if why else done.stderr).strip()


def same(case, theirs, ours):
    if not theirs[0]:  # Byre's reasons are one line.
        theirs = False, " ".join(theirs[1].split())
        ours = ours[0], " ".join(ours[1].split())
    if case in NAMED:
        assert NAMED[case] in ours[1], (theirs, ours)
        assert theirs != ours, "they do not differ any more: take the case out of NAMED"
        return
    assert ours == theirs


def name_in(xml, default=None):
    root = ElementTree.fromstring(xml)
    return root.findtext("name") or root.findtext("source/name") or default


def pool_in_libvirt(path):
    ok, text = run_virsh("pool-define", str(path))
    if not ok:
        return ok, text
    name = name_in(path.read_text())
    try:
        return run_virsh("pool-dumpxml", name)
    finally:
        run_virsh("pool-undefine", name)


def needs_backend(path):
    """A build that lacks a backend says so, and then has nothing to compare."""
    kind = ElementTree.fromstring(path.read_text()).get("type")
    source = pathlib.Path(__file__).resolve().parents[2] / "src" / "store" / "backend" / (kind + ".c")
    if not source.exists():
        pytest.skip("there is no backend for pools of type " + kind)


def pool_in_byre(host, path):
    ok, text = run_byre(host, "pool", "define", str(path))
    if not ok:
        return ok, text
    name = name_in(path.read_text())
    try:
        return run_byre(host, "pool", "dumpxml", "--exact", name)
    finally:
        host.byre("pool", "undefine", "--exact", name)


@pytest.mark.parametrize("case", POOLS)
def test_pool(host, case):
    path = CASES / case
    if not case.startswith("pool-bad-"):
        needs_backend(path)
    same(case, pool_in_libvirt(path), pool_in_byre(host, path))


def without_times(xml, directory):
    """What can be the same of two files that were made one after the other."""
    xml = re.sub(r"<(atime|mtime|ctime)>[0-9.]+</", r"<\1>T</", xml)
    return xml.replace(str(directory), "DIR")


@pytest.mark.parametrize("case", VOLUMES)
def test_volume(host, their_pool, case):
    path, (pool, directory) = CASES / case, their_pool
    theirs = run_virsh("vol-create", pool, str(path))
    if theirs[0]:
        name = name_in(path.read_text())
        run_virsh("pool-refresh", pool)
        ok, text = run_virsh("vol-dumpxml", name, pool)
        theirs = ok, without_times(text, directory)
        run_virsh("vol-delete", name, pool)
    ours = run_byre(host, "vol", "create", "default", str(path))
    if ours[0]:
        name = name_in(path.read_text())
        ok, text = run_byre(host, "vol", "dumpxml", "default", name)
        ours = ok, without_times(text, host.pool_dir)
        host.byre("vol", "delete", "default/" + name)
    same(case, theirs, ours)


@pytest.mark.parametrize("case", [p for p in POOLS if not p.startswith("pool-bad-") and p not in NAMED])
def test_one_reads_the_other(host, case):
    """`byre pool dumpxml | virsh pool-define /dev/stdin`, and the other way round."""
    needs_backend(CASES / case)
    text = (CASES / case).read_text()
    name = name_in(text)
    host.byre("pool", "define", "-", stdin=text)
    try:
        ours = run_byre(host, "pool", "dumpxml", "--exact", name)[1]
    finally:
        host.byre("pool", "undefine", "--exact", name)
    ok, said = run_virsh("pool-define", "/dev/stdin", stdin=ours)
    assert ok, said
    try:
        theirs = run_virsh("pool-dumpxml", name)[1]
    finally:
        run_virsh("pool-undefine", name)
    host.byre("pool", "define", "-", stdin=theirs)
    try:
        assert run_byre(host, "pool", "dumpxml", "--exact", name)[1] == theirs
    finally:
        host.byre("pool", "undefine", "--exact", name)
