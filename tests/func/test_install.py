"""A new machine from a preset and an image: its disk is a grown copy, its first-boot disk tells the guest who it is, and the
guest reports by HTTP, once.  Real guests; `tiny` does what cloud-init would."""

import http.client
import json
import os
import re
import socket
import struct
import subprocess

import pytest

import tiny_guest
from host import Host, libvirt_uri, temporary_state, virsh
from rpc import wait_for

MIB = 1 << 20
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample someone@example.org"
PASSWORD = "not in any row"

pytestmark = pytest.mark.skipif(libvirt_uri() is None or os.geteuid() != 0, reason="needs root's libvirt")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Installing(Host):
    def post(self, path, body=b"hostname=x", method="POST"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body)
        status = connection.getresponse().status
        connection.close()
        return status

    def vm(self, name):
        return self.json("vm", "info", name)

    def rows(self, table, columns):
        return self.json("list", table, "-c", columns)

    def console(self, name, until):
        return self.byre("vm", "console", name, "--until", until, "--timeout", "120", seconds=150).stdout.replace("\r", "")

    def dump_secrets(self):
        ops = ["vmmgr", {"op": "select", "table": "secret", "where": [], "columns": ["usage", "value"]}]
        out = subprocess.check_output(["ovsdb-client", "transact", self.db, json.dumps(ops)], text=True)
        return [(r["usage"], r["value"]) for r in json.loads(out)[0]["rows"]]

    def disk(self, name):
        return self.state / "firstboot" / (self.vm(name)["uuid"] + ".iso")


@pytest.fixture(scope="module")
def host(builddir, tmp_path_factory):
    directory = tmp_path_factory.mktemp("install")
    tiny = tiny_guest.make()
    port = free_port()
    (directory / "byred.conf").write_text("[web]\nlisten = tcp:0.0.0.0:%d\n" % port)
    image = directory / "base.img"
    image.write_bytes(bytes(16 * MIB))
    subprocess.run(["mke2fs", "-q", "-t", "ext2", "-F", str(image)], check=True)
    with Installing(builddir, temporary_state(), "bf%d" % os.getpid(), config=directory / "byred.conf") as host:
        host.port = port
        host.directory = directory
        for part in ("kernel", "initrd"):
            path = tiny / ("tiny-" + part)
            host.byre("vol", "create-as", "default", "tiny-" + part, str(path.stat().st_size), "--format", "raw")
            host.byre("vol", "upload", "default/tiny-" + part, str(path))
        host.byre("image", "add", "base", "--from", str(image), "--min-mem", "96M", "--min-size", "20M", "--reboots", "1",
                  "--kernel", "default/tiny-kernel", "--initrd", "default/tiny-initrd", "--cmdline",
                  "console=ttyS0 quiet byre.firstboot")
        host.byre("preset", "add", "small", "--mem", "128M", "--vcpu", "1", "--size", "32M")
        host.byre("set", "cluster", ".", "install_url=http://127.0.0.1:%d" % port)
        (directory / "key.pub").write_text("# a comment\n" + SSH_KEY + "\n")
        yield host


@pytest.mark.parametrize("arguments, code, words", [
    (["--preset", "small", "--image", "base", "--mem", "64M"], 1, "96 MiB of memory"),
    (["--preset", "small", "--image", "base", "--size", "17M"], 1, "20 MiB of disk"),
    (["--preset", "small", "--image", "base", "--size", "1M"], 1, "16.0"),
    (["--preset", "nix", "--image", "base"], 3, "nix"),
    (["--preset", "small", "--user", "alice"], 2, "--image"),
    (["--image", "base", "--vmi", "base"], 2, "one of them"),
])
def test_refused_with_the_figures(host, arguments, code, words):
    done = host.byre("vm", "create", host.prefix + "-no", *arguments, check=False)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert host.rows("secret", "_uuid") == []


def test_a_machine_from_an_image(host):
    """One command; the guest has read it all from its disk; the key works once; a reboot is counted."""
    name = host.prefix + "-web"
    host.byre("vm", "create", name, "--preset", "small", "--image", "base", "--user", "alice", "--ssh-key",
              str(host.directory / "key.pub"), "--password-stdin", "--hostname", "web.example.org", "--start", stdin=PASSWORD + "\n")
    vm = host.vm(name)
    assert (vm["mem"], vm["vcpu"], vm["vsize"], vm["osinstalled"], vm["needrebootcount"]) == (128, 1, 32, False, 1)
    text = host.console(name, "is up")
    assert "first boot: host web.example.org user alice instance %s" % vm["uuid"] in text
    assert "first boot: key " + SSH_KEY in text
    [password] = re.findall(r"first boot: password (\S+)", text)
    assert password == subprocess.check_output(["openssl", "passwd", "-6", "-salt", password.split("$")[2], PASSWORD], text=True).strip()
    assert "%d bytes, ext2 kept" % (32 * MIB) in text, "a copy of the image, grown"

    # The key is kept as a hash only, and what knows the hash has no key.
    [url] = re.findall(r"first boot: url (\S+)", text)
    assert re.fullmatch(r"http://127.0.0.1:%d/install/[0-9a-f]{64}" % host.port, url)
    path = "/install/" + url.rpartition("/")[2]
    wait_for("the hash", lambda: [s for s in host.dump_secrets() if s[0] == "opkey"][0][1].startswith("sha256:"), 30)
    hashed = [s for s in host.dump_secrets() if s[0] == "opkey"][0][1].partition(":")[2]
    assert hashed not in url and host.post("/install/" + hashed) == 404
    assert host.disk(name).stat().st_mode & 0o777 == 0o600

    assert host.post(path, method="GET") == 405
    assert host.post(path) == 200
    assert host.post(path) == 404, "it works once"
    assert [s for s in host.dump_secrets() if s[0] == "opkey"] == []
    assert (host.vm(name)["opkey"], host.vm(name)["osinstalled"]) == (None, False), "a reboot is still to come"
    wait_for("its disk to be gone", lambda: not host.disk(name).exists(), 30)

    host.byre("vm", "reboot", name, "--force")
    wait_for("the end of the installation", lambda: host.vm(name)["osinstalled"], 60)
    assert host.vm(name)["needrebootcount"] == 0
    for log in (host.state / "log").glob("*.log"):
        assert url.rpartition("/")[2] not in log.read_text(errors="replace"), log
        assert PASSWORD not in log.read_text(errors="replace"), log
    host.byre("vm", "stop", name, "--force")
    host.byre("vm", "start", name)
    assert virsh("domblklist", name).splitlines()[-1].split() == ["sda", "-"], "an empty drive stays"
    host.byre("vm", "delete", name, "--volumes")
    assert host.rows("secret", "_uuid") == []
    assert not any(v["name"].startswith(name) for v in host.json("vol", "list", "default"))


def test_a_machine_that_is_deleted_before_it_reports(host):
    name = host.prefix + "-gone"
    host.byre("vm", "create", name, "--preset", "small", "--image", "base")
    wait_for("its disk", lambda: host.disk(name).exists(), 30)
    disk = host.disk(name)
    host.byre("vm", "delete", name, "--volumes")
    assert not disk.exists() and host.rows("secret", "_uuid") == []


@pytest.mark.parametrize("path, body, status", [
    ("/install/" + "0" * 64, b"x", 404),
    ("/install/" + "0" * 64, b"", 404),
    ("/install/", b"x", 404),
    ("/install/../healthz", b"x", 405),
    ("/install/" + "A" * 64, b"x", 404),
    ("/install/%22%5D", b"x", 404),
    ("/install/" + "0" * 64, b"x" * 70000, 413),
    ("/other", b"x", 404),
])
def test_keys_that_are_none(host, path, body, status):
    assert host.post(path, body) == status


def test_too_many_keys_at_once(host):
    answers = [host.post("/install/%064x" % i) for i in range(300)]
    assert set(answers) <= {404, 429} and 429 in answers
    wait_for("patience", lambda: host.post("/install/" + "0" * 64) == 404, 30)


def bootable_iso(text):
    """A CD that a BIOS boots (El Torito, no emulation): 22 bytes of code that print the text on the serial line, and halt."""
    code = bytes.fromhex("31c08ed8fcbe167cac84c07406baf803eeebf5f4ebfd") + text.encode() + b"\r\n\0"
    catalog = (b"\1" + bytes(29) + b"\x55\xaa").ljust(32, b"\0") + struct.pack("<BBHBBHI", 0x88, 0, 0, 0, 0, 4, 20)
    sectors = {16: b"\1CD001\1", 17: b"\0CD001\1EL TORITO SPECIFICATION".ljust(0x47, b"\0") + struct.pack("<I", 19),
               18: b"\xffCD001\1", 19: catalog, 20: code}
    return b"".join(sectors.get(i, b"").ljust(2048, b"\0") for i in range(200))


def test_an_iso_boots_an_empty_disk(host):
    """The CD drive comes second: what is installed boots first; on a disk without a system the CD does."""
    iso = host.directory / "cd.iso"
    iso.write_bytes(bootable_iso("the CD boots"))
    host.byre("image", "add", "cd", "--from", str(iso))
    assert host.json("image", "info", "cd")["kind"] == "iso"
    name = host.prefix + "-cd"
    host.byre("vm", "create", name, "--image", "cd", "--size", "16M", "--mem", "64M", "--start")
    xml = virsh("dumpxml", name)
    assert re.search(r"<target dev='vda'.*?<boot order='1'/>", xml, re.S) and re.search(r"<target dev='sda'.*?<boot order='2'/>", xml, re.S)
    host.console(name, "the CD boots")
    host.byre("vm", "delete", name, "--volumes")
    assert host.json("image", "info", "cd")["volume"], "the image stays"
