"""Each of virsh's pool-* commands has its counterpart."""

import os
import pathlib
import subprocess

import pytest

from host import Host, libvirt_uri, temporary_state

# virsh's command, and Byre's.
COUNTERPARTS = {
    "find-storage-pool-sources": "find-sources", "find-storage-pool-sources-as": "find-sources-as",
    "pool-autostart": "autostart", "pool-build": "build", "pool-capabilities": "capabilities", "pool-create": "create",
    "pool-create-as": "create-as", "pool-define": "define", "pool-define-as": "define-as", "pool-delete": "delete",
    "pool-destroy": "destroy", "pool-dumpxml": "dumpxml", "pool-edit": "edit", "pool-event": "event", "pool-info": "info",
    "pool-list": "list", "pool-name": "name", "pool-refresh": "refresh", "pool-start": "start", "pool-undefine": "undefine",
    "pool-uuid": "uuid",
}


@pytest.fixture(scope="module")
def host(builddir):
    with Host(builddir, temporary_state(), "verbs-%d-" % os.getpid()) as h:
        yield h


def test_none_is_missing(host):
    done = subprocess.run(["virsh", "help", "pool"], capture_output=True, text=True, timeout=60)
    theirs = [line.split()[0] for line in done.stdout.splitlines()[1:] if line.strip()]
    assert theirs and set(theirs) == set(COUNTERPARTS), "virsh has others"
    for verb in COUNTERPARTS.values():
        assert "usage: byre pool %s" % verb in host.byre("pool", verb, "--help").stdout


def test_capabilities_are_libvirts(host):
    if libvirt_uri() is None:
        pytest.skip("needs libvirtd")
    theirs = subprocess.run(["virsh", "-q", "-c", libvirt_uri(), "pool-capabilities"], capture_output=True, text=True,
                            timeout=60).stdout
    assert host.byre("pool", "capabilities").stdout == theirs.rstrip() + "\n"


def test_create_is_define_and_start(host):
    path = host.state / "pools" / "made"
    path.mkdir()
    host.byre("pool", "create-as", "made", "dir", "--target", str(path))
    row = host.json("list", "pool", "made", "-c", "active,state")[0]
    assert row["active"] and row["state"] == "running"
    uuid = host.byre("pool", "uuid", "made").stdout.strip()
    assert host.byre("pool", "name", uuid).stdout == "made\n"
    xml = host.byre("pool", "dumpxml", "made").stdout
    assert "<uuid>%s</uuid>" % uuid in xml
    host.byre("pool", "destroy", "made")
    host.byre("pool", "undefine", "made")
    host.byre("pool", "create", "-", stdin=xml)
    assert host.json("list", "pool", "made", "-c", "state")[0]["state"] == "running"
    assert host.byre("pool", "uuid", "made").stdout.strip() == uuid
    host.byre("pool", "stop", "made")
    host.byre("pool", "undefine", "made")


def test_dumpxml_tells_how_it_is(host):
    path = host.state / "pools" / "perms"
    path.mkdir(mode=0o700)
    host.byre("pool", "create-as", "perms", "dir", "--target", str(path))
    assert "<mode>0700</mode>" in host.byre("pool", "dumpxml", "perms").stdout
    assert "<mode>" not in host.byre("pool", "dumpxml", "perms", "--inactive").stdout
    host.byre("pool", "stop", "perms")
    host.byre("pool", "undefine", "perms")


def test_edit(host, tmp_path, monkeypatch):
    host.byre("pool", "define-as", "edited", "dir", "--target", "/srv/before")
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's|/srv/before|/srv/after|' \"$2\"\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", "%s --option" % editor)
    monkeypatch.delenv("VISUAL", raising=False)
    host.byre("pool", "edit", "edited")
    assert "<path>/srv/after</path>" in host.byre("pool", "dumpxml", "edited").stdout
    assert "not changed" in host.byre("pool", "edit", "edited").stdout
    editor.write_text("#!/bin/sh\necho '<pool' >\"$2\"\n")
    done = host.byre("pool", "edit", "edited", check=False)
    assert done.returncode == 2 and "the edited XML" in done.stderr
    editor.write_text("#!/bin/sh\nexit 3\n")
    assert host.byre("pool", "edit", "edited", check=False).returncode != 0
    assert not list(pathlib.Path(os.environ.get("TMPDIR", "/tmp")).glob("byre-*.xml"))
    host.byre("pool", "undefine", "edited")


def test_event_tells_what_happens(host):
    p = subprocess.Popen([str(host.bin / "byre"), "--db", host.db, "pool", "event", "-c", "name,state"], stdout=subprocess.PIPE,
                         text=True)
    try:
        assert "default" in [p.stdout.readline() for _ in range(2)][1]
        host.byre("pool", "stop", "default")
        line = p.stdout.readline()
        while line.split()[:3] != ["modify", "default", "inactive"]:
            assert line, "it ended"
            line = p.stdout.readline()
    finally:
        p.terminate()
        p.wait(timeout=30)
        p.stdout.close()
        host.byre("pool", "start", "default")


def test_sources(host):
    done = host.byre("pool", "find-sources-as", "dir", check=False)
    assert done.returncode != 0 and "pool type 'dir' does not support source discovery" in done.stderr
    done = host.byre("pool", "find-sources-as", "nonsense", check=False)
    assert done.returncode == 2 and "there is no pool type" in done.stderr
    done = host.byre("pool", "find-sources", "netfs", "-", stdin="<source/>", check=False)
    assert done.returncode != 0 and "hostname must be specified for netfs sources" in done.stderr
