"""The personality xm against a real guest: every subcommand that xm has, its columns, its words and its exit codes."""

import os
import pathlib
import re
import subprocess

import pytest

import tiny_guest
from host import Host, libvirt_uri, temporary_state, virsh

PATIENCE_S = 120
SUBCOMMANDS = """console vncviewer create new delete destroy dump-core help list mem-set migrate pause reboot reset restore
                 resume save shell shutdown start suspend top unpause uptime usb-add usb-del domstate vcpu-set info""".split()

CONFIG = """
# A comment, and what Oracle VM writes.
OVM_simple_name = 'sv104'
OVM_domain_type = 'xen_pvm'
name = '%(name)s'
kernel = '%(kernel)s'
ramdisk = '%(initrd)s'
extra = 'console=ttyS0 quiet'
memory = '128'
vcpus = 1
maxvcpus = 2
cpu_weight = 27500
on_crash = 'restart'
disk = ['file:%(disk)s,xvda,w',
        'file:%(cd)s,xvdb:cdrom,r']
vtpm = ['instance=1']
vif = []
"""

pytestmark = pytest.mark.skipif(libvirt_uri() is None, reason="no libvirt answers")


@pytest.fixture(scope="module")
def host(builddir):
    tiny = tiny_guest.make()
    host = Host(builddir, temporary_state(), prefix="bx%d" % os.getpid())
    try:
        host.start()
        host.join()
        paths = {}
        for part in ("kernel", "initrd"):
            path = tiny / ("tiny-" + part)
            host.byre("vol", "create-as", "default", "tiny-" + part, str(path.stat().st_size), "--format", "raw")
            host.byre("vol", "upload", "default/tiny-" + part, str(path))
            paths[part] = host.byre("vol", "path", "default/tiny-" + part).stdout.strip()
        host.vm = host.prefix + "-a"
        host.byre("vol", "create-as", "default", "disk.img", "64M", "--format", "raw")
        paths["disk"] = host.byre("vol", "path", "default/disk.img").stdout.strip()
        paths["cd"] = str(host.state / "cd.iso")
        pathlib.Path(paths["cd"]).write_bytes(bytes(2048 * 16))
        host.config = host.state / "vm.cfg"
        host.config.write_text(CONFIG % dict(paths, name=host.vm))
        host.config_path, host.config = str(host.config), None
        yield host
    finally:
        host.destroy()


def xm(host, *words, stdin=None, code=0):
    done = subprocess.run([str(host.bin / "xm"), *words], capture_output=True, text=True, timeout=PATIENCE_S + 60,
                          env=dict(os.environ, BYRE_DB=host.db, TZ="UTC"), input=stdin, cwd=host.state)
    assert done.returncode == code, "xm %s: %d\n%s%s\n%s" % (" ".join(words), done.returncode, done.stdout, done.stderr,
                                                            host.logs())
    return done


def status(host):
    return host.json("vm", "info", host.vm)["status"]


def domid(host):
    return str(host.json("vm", "info", host.vm)["domid"])


def test_help_names_every_subcommand(host):
    text = xm(host, "help").stdout
    assert text.startswith("Usage: xm <subcommand> [args]")
    for name in SUBCOMMANDS:
        assert re.search(r"^ %s +\S" % name, text, re.M), name
        assert xm(host, name, "--help").stdout.startswith("Usage: xm %s" % ("<subcommand>" if name == "help" else name))
    assert xm(host, code=1).stdout == text
    assert "Subcommand frobnicate not found!" in xm(host, "frobnicate", code=1).stderr
    assert "Usage: xm pause" in xm(host, "pause", code=1).stderr
    assert "option --frob not recognized" in xm(host, "list", "--frob", code=1).stderr


def test_create_reads_the_file_and_never_runs_it(host):
    done = xm(host, "create", "-n", host.config_path)
    assert "+ vm %s" % host.vm in done.stdout and host.vm not in virsh("list", "--all", "--name").split()
    evil = host.state / "evil.cfg"
    evil.write_text("name = 'x'\nmemory = __import__('os').getpid()\n")
    assert "Error:" in xm(host, "create", str(evil), code=1).stderr
    assert "Unable to open config file" in xm(host, "create", "/nowhere/vm.cfg", code=1).stderr
    assert "SXP" in xm(host, "create", "-F", "x.sxp", code=1).stderr

    done = xm(host, "create", host.config_path)
    assert re.fullmatch(r'Using config file "%s".\nStarted domain %s \(id=\d+\)\n' %
                        (re.escape(host.config_path), host.vm), done.stdout), done.stdout
    assert "vtpm: there is no counterpart" in done.stderr and "xen_pvm" in done.stderr
    vm = host.json("vm", "info", host.vm)
    assert (vm["mem"], vm["vcpu"], vm["vcpu_max"], vm["cputune"], vm["on_crash"]) == (128, 1, 2, 1024, "restart")
    devices = {d["targetdev"]: d for d in host.json("list", "device")}
    assert devices["vda"]["volume"] and devices["vda"]["type"] == "disk"
    assert devices["sdb"]["type"] == "cdrom" and devices["sdb"]["filepath"].endswith("cd.iso")
    host.byre("vm", "console", host.vm, "--until", "is up", "--timeout", str(PATIENCE_S))
    assert "already exists with ID '%s'" % domid(host) in xm(host, "create", "-q", host.config_path, code=1).stderr


def test_list(host):
    lines = xm(host, "list").stdout.splitlines()
    assert lines[0] == "%-40s %5s %5s %5s %10s %8s" % ("Name", "ID", "Mem", "VCPUs", "State", "Time(s)")
    assert re.fullmatch(r"Domain-0 +0 +\d+ +\d+     r----- +\d+\.\d", lines[1])
    [line] = [line for line in lines if line.startswith(host.vm)]
    name, number, mem, vcpus, state, seconds = line.split()
    assert (name, number, mem, vcpus) == (host.vm, domid(host), "128", "1")
    assert state in ("r-----", "-b----") and float(seconds) >= 0
    one = xm(host, "list", domid(host)).stdout.splitlines()
    assert len(one) == 2 and one[1].startswith(host.vm)
    assert "Error: Domain 'nobody' does not exist." in xm(host, "list", "nobody", code=1).stderr
    text = xm(host, "list", "-l", host.vm).stdout
    assert "(domid %s)" % domid(host) in text and "(name %s)" % host.vm in text and "(memory 128)" in text
    assert host.vm in xm(host, "list", "--state=running").stdout
    assert host.vm not in xm(host, "list", "--state=paused").stdout


def test_uptime_domstate_info(host):
    lines = xm(host, "uptime").stdout.splitlines()
    assert lines[0] == "%-33s %4s %s" % ("Name", "ID", "Uptime")
    [line] = [line for line in lines if line.startswith(host.vm)]
    assert re.fullmatch(r"%s +%s \d+:\d\d:\d\d" % (host.vm, domid(host)), line)
    assert re.fullmatch(r"%s \d+:\d\d:\d\d" % host.vm, xm(host, "uptime", "-s", host.vm).stdout.strip())
    assert xm(host, "domstate", host.vm).stdout == "running\n"
    info = dict(re.split(r" *: ", line, maxsplit=1) for line in xm(host, "info").stdout.splitlines())
    assert int(info["nr_cpus"]) == os.cpu_count() and 0 < int(info["free_memory"]) <= int(info["total_memory"])
    assert host.vm in host.byre("top", "-b", "-i", "1").stdout


# Each row: what is typed ({dom}: the name, {id}: its number), and what the machine is doing after it.
VERBS = [
    ("pause {dom}", "paused"),
    ("unpause {id}", "running"),
    ("save {id} ticket", "saved"),
    ("restore ticket", "running"),
    ("suspend {dom}", "saved"),
    ("resume -p {dom}", "paused"),
    ("unpause {dom}", "running"),
    ("mem-set {dom} 96", "running"),
    ("mem-set {dom} 128m", "running"),
    ("vcpu-set {dom} 1", "running"),
    ("reset {dom}", "running"),
    ("destroy {id}", "shutoff"),
    ("start -p {dom}", "paused"),
    ("unpause {dom}", "running"),
    ("destroy {dom}", "shutoff"),
    ("start {dom}", "running"),
]


@pytest.mark.parametrize("line,after", VERBS)
def test_verb(host, line, after):
    words = line.format(dom=host.vm, id=domid(host)).split()
    done = xm(host, *words)
    assert done.stdout == ""
    host.byre("wait", "vm", host.vm, "status=" + after, "--timeout", str(PATIENCE_S))


def test_guests_are_asked_and_waited_for(host):
    host.byre("vm", "console", host.vm, "--until", "is up", "--timeout", str(PATIENCE_S))
    xm(host, "shutdown", "-w", host.vm)
    assert status(host) == "shutoff"
    [line] = [line for line in xm(host, "list").stdout.splitlines() if line.startswith(host.vm)]
    assert line.split() == [host.vm, "128", "1", "------", "0.0"]
    assert "is not running" in xm(host, "shutdown", host.vm, code=1).stderr
    assert "is not running" in xm(host, "destroy", host.vm, code=1).stderr
    assert xm(host, "domstate", host.vm).stdout == "shutoff\n"
    # Again from the file: what it became is known, and started.
    assert "Started domain" in xm(host, "create", host.config_path).stdout
    assert "already running" in xm(host, "start", host.vm, code=1).stderr
    host.byre("vm", "console", host.vm, "--until", "is up", "--timeout", str(PATIENCE_S))
    xm(host, "reboot", "-w", host.vm)
    assert status(host) == "running"


def test_dump_core(host):
    done = xm(host, "dump-core", "--live", host.vm, "core")
    assert done.stdout == "Dumping core of domain: %s ...\n" % host.vm
    core = host.state / "core"
    assert core.read_bytes()[:4] == b"\x7fELF"
    core.unlink()
    assert status(host) == "running"


def test_what_the_host_cannot_do_is_refused_in_words(host):
    assert "Invalid USB device" in xm(host, "usb-add", host.vm, "keyboard", code=1).stderr
    assert "Error: " in xm(host, "usb-add", host.vm, "host:dead:beef", code=1).stderr
    assert "Error: " in xm(host, "usb-del", host.vm, "host:9.99", code=1).stderr
    assert "no VNC server" in xm(host, "vncviewer", host.vm, code=1).stderr
    assert "Error: " in xm(host, "migrate", "-l", host.vm, "nowhere", code=1).stderr
    assert "no checkpoint" in xm(host, "restore", host.config_path, code=1).stderr
    assert "runs on is not saved" in xm(host, "save", "-c", host.vm, "ticket", code=1).stderr
    assert "Invalid memory size" in xm(host, "mem-set", host.vm, "much", code=1).stderr
    assert "Invalid VCPU count" in xm(host, "vcpu-set", host.vm, "0", code=1).stderr


def test_shell(host):
    done = xm(host, "shell", stdin="domstate %s\nfrobnicate\nquit\n" % host.vm)
    assert done.stdout.startswith("running\n") and "not found" in done.stderr


def test_console(host):
    process = subprocess.Popen([str(host.bin / "xm"), "console", host.vm], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                               env=dict(os.environ, BYRE_DB=host.db))
    seen = b""
    while b"is up" not in seen:
        part = os.read(process.stdout.fileno(), 4096)
        assert part, seen
        seen += part
    process.kill()
    process.wait()


VIEWER = """#!/usr/bin/python3
import socket, sys
host, port = sys.argv[1].split("::")
with socket.create_connection((host, int(port)), timeout=60) as server:
    print("viewer sees", server.recv(12).decode().strip())
"""


def test_vncviewer_is_led_to_the_server(host, tmp_path, monkeypatch):
    """The viewer itself needs a screen; in its place stands one that says what the server says."""
    other = host.prefix + "-v"
    viewer = tmp_path / "vncviewer"
    viewer.write_text(VIEWER)
    viewer.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    xm(host, "new", host.config_path, "name=" + other, "disk=[]", "vnc=1")
    xm(host, "start", other)
    assert xm(host, "vncviewer", other).stdout == "viewer sees RFB 003.008\n"
    xm(host, "destroy", other)
    xm(host, "delete", other)


def test_new_and_delete(host):
    other = host.prefix + "-b"
    xm(host, "new", host.config_path, "name=" + other, "disk=[]", "memory=32")
    assert host.json("vm", "info", other)["mem"] == 32
    assert "already exists" in xm(host, "new", host.config_path, "name=" + other, code=1).stderr
    xm(host, "delete", other)
    assert other not in {vm["name"] for vm in host.json("vm", "list")}
    assert "not halted" in xm(host, "delete", host.vm, code=1).stderr
    xm(host, "destroy", host.vm)
    xm(host, "delete", host.vm)
    assert host.vm not in virsh("list", "--all", "--name").split()
