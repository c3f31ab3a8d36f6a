"""What goes wrong in users' hands: a clear error in three lines (what, why, what next), a telling exit code, nothing half
done and nothing lost."""

import os
import pathlib
import subprocess

import pytest

from host import Host, libvirt_uri, temporary_state, virsh

REFUSED, USAGE, NOT_FOUND, NOT_APPLIED, UNREACHABLE = 1, 2, 3, 5, 7


@pytest.fixture(scope="module")
def host(builddir):
    if libvirt_uri() is None:
        pytest.skip("no libvirt answers")
    with Host(builddir, temporary_state(), prefix="bb%d" % os.getpid()) as host:
        yield host


def tables(host):
    """Everything that people can change, as text."""
    return [host.byre("list", table, "-o", "json", "-c", "_uuid,name").stdout
            for table in ("vm", "volume", "metapool", "vmi", "hostnode")]


@pytest.mark.parametrize("arguments, code, words", [
    (["list", "vm", "-c", "nmae"], USAGE, ["nmae", "name"]),
    (["list", "vmm"], USAGE, ["vmm", "vm"]),
    (["vm", "strat", "x"], USAGE, ["strat", "start"]),
    (["set", "hostnode", "n1", "max_vm_count=many"], USAGE, ["max_vm_count", "integer", "many"]),
    (["set", "hostnode", "n1", "colour=red"], USAGE, ["colour"]),
    (["set", "hostnode", "n2", "maintenance=true"], NOT_FOUND, ["n2"]),
    (["vm", "create", "a/b", "--mem", "16"], USAGE, ["a/b", "/"]),
    (["vm", "create", "-x", "--mem", "16"], USAGE, ["-x"]),
    (["vm", "create", "x", "--mem", "lots"], USAGE, ["lots"]),
    (["vm", "create", "x", "--mem", "16", "--disk", "default/none"], NOT_FOUND, ["none"]),
    (["vm", "create", "x", "--mem", "16", "--disk", "nopool/x:1G"], NOT_FOUND, ["nopool"]),
    (["vm", "create", "x", "--mem", "16", "--disk", "default/x:900T"], REFUSED, ["900", "default"]),
    (["vm", "create", "x", "--mem", "16", "--kernel", "default/nokernel"], NOT_FOUND, ["nokernel"]),
    (["vm", "start", "nobody"], NOT_FOUND, ["nobody"]),
    (["vol", "create-as", "default", "../x", "1M"], USAGE, ["../x", "/"]),
    (["vol", "create-as", "default", "x", "-5"], USAGE, ["-5"]),
    (["vol", "create-as", "default", "x", "1M", "--format", "nonsense"], USAGE, ["nonsense"]),
    (["vol", "create-as", "default", "x", "900T"], REFUSED, ["default"]),
    (["pool", "define", "/nonexistent.xml"], NOT_FOUND, ["/nonexistent.xml"]),
    (["pool", "define-as", "p2", "dir"], USAGE, ["target"]),
])
def test_refused_with_three_lines(host, arguments, code, words):
    before = tables(host)
    done = host.byre(*arguments, check=False)
    assert done.returncode == code, done.stderr
    lines = done.stderr.rstrip("\n").split("\n")
    assert 2 <= len(lines) <= 3, done.stderr
    for word in words:
        assert word in done.stderr
    assert tables(host) == before
    assert sorted(os.listdir(host.pool_dir)) == sorted(
        line.split()[0] for line in host.byre("vol", "list", "default", "--no-headers", "-o", "name").stdout.splitlines())


def test_pool_xml_errors_are_libvirts(host, tmp_path):
    path = tmp_path / "pool.xml"
    path.write_text("<pool type='dir'><name>bad</name></pool>")
    done = host.byre("pool", "define", str(path), check=False)
    assert done.returncode in (REFUSED, USAGE)
    assert "missing storage pool target path" in done.stderr


def test_a_kernel_file_that_vanished(host):
    name = host.prefix + "-nokernel"
    host.byre("vol", "create-as", "default", "gone", "1M", "--format", "raw")
    host.byre("vm", "create", name, "--mem", "16", "--kernel", "default/gone")
    pathlib.Path(host.byre("vol", "path", "default/gone").stdout.strip()).unlink()
    done = host.byre("vm", "start", name, check=False)
    assert done.returncode == NOT_APPLIED
    assert "gone" in done.stderr
    assert virsh("domstate", name, check=False).strip() in ("shut off", "")
    host.byre("vm", "delete", name)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_disk(host):
    small = pathlib.Path(host.state, "small")
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=711", "tmpfs", str(small)], check=True)
    try:
        host.byre("pool", "define-as", "small", "dir", "--target", str(small))
        host.byre("pool", "start", "small")
        (small / "ballast").write_bytes(b"x" * (3 << 20))
        done = host.byre("vol", "create-as", "small", "big", "3M", "--format", "raw", "--allocation", "3M", check=False)
        assert done.returncode in (REFUSED, NOT_APPLIED), done.stderr
        assert "space" in done.stderr.lower()
        assert sorted(os.listdir(small)) == ["ballast"]
        assert "big" not in {row["name"] for row in host.json("vol", "list", "small")}
        (small / "ballast").unlink()
        host.byre("vol", "create-as", "small", "big", "1M", "--format", "raw", "--allocation", "1M")
    finally:
        host.byre("pool", "stop", "small", check=False)
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_no_database(builddir, tmp_path):
    done = subprocess.run([os.path.join(builddir, "byre"), "--db", "unix:%s" % (tmp_path / "none.sock"), "vm", "list"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == UNREACHABLE
    assert "none.sock" in done.stderr


def test_corrupt_database_file(builddir, tmp_path):
    """Damage in the middle is refused with its place named, and the file stays as it was."""
    file = tmp_path / "vmmgr.db"
    subprocess.run([os.path.join(builddir, "byre-dbtool"), "create", str(file)], check=True)
    server = [os.path.join(builddir, "byre-dbd"), "--remote=punix:%s" % (tmp_path / "db.sock"), str(file)]
    with subprocess.Popen(server) as process:
        try:
            subprocess.run(["timeout", "20", "sh", "-c", "until [ -S %s ]; do sleep 0.05; done" % (tmp_path / "db.sock")],
                           check=True)
            for i in range(3):
                subprocess.run(["ovsdb-client", "-t", "10", "transact", "unix:%s" % (tmp_path / "db.sock"),
                                '["vmmgr",{"op":"insert","table":"cluster","row":{"name":"c%d"}},'
                                '{"op":"delete","table":"cluster","where":[["name","!=","c%d"]]}]' % (i, i)],
                               check=True, capture_output=True)
        except subprocess.CalledProcessError:
            pass
        finally:
            process.terminate()
    data = bytearray(file.read_bytes())
    place = data.rfind(b'"c1"')
    assert place > 0
    data[place + 1] ^= 0x01
    file.write_bytes(data)
    done = subprocess.run(server, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "vmmgr.db" in done.stderr and "offset" in done.stderr
    assert file.read_bytes() == bytes(data)


def test_missing_libvirt(builddir, tmp_path):
    """Without libvirt the rest works, and the reason is where a user looks."""
    config = tmp_path / "byre.conf"
    config.write_text("[agent]\nlibvirt = qemu+unix:///system?socket=%s\n" % (tmp_path / "none"))
    host = Host(builddir, temporary_state(), prefix="bm%d" % os.getpid(), config=config)
    try:
        host.start()
        host.byre("cluster", "init", "test")
        done = host.byre("node", "add", "n1", check=False)
        assert done.returncode != 0
        assert "libvirt" in done.stderr
        assert host.byre("vm", "list").returncode == 0
    finally:
        host.destroy()
