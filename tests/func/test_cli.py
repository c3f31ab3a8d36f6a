"""The command line against real database servers (byre-dbd and Debian's ovsdb-server), with an agent that obeys at once."""

import csv
import io
import json
import os
import pathlib
import pty
import re
import select
import socket
import subprocess
import threading
import time
import uuid

import pytest

import conftest
import fake_agent

SCHEMA = json.loads((conftest.ROOT / "schema" / "vmmgr.ovsschema").read_text())
DONE, REFUSED, USAGE, NOT_FOUND, DENIED, NOT_APPLIED, TIMED_OUT, UNREACHABLE = range(8)


class Lab:
    def __init__(self, byre, server):
        self.byre = byre
        self.server = server
        self.agent = None
        self.env = dict(os.environ, BYRE_DB=server.remote, TZ="UTC", **conftest.ASAN)

    def run(self, *arguments, code=DONE, stdin=None, env=None, timeout=30):
        done = subprocess.run([self.byre, *map(str, arguments)], env=env or self.env, input=stdin, capture_output=True, text=True,
                              timeout=timeout)
        assert done.returncode == code, "%s: exit %d\n%s%s" % (arguments, done.returncode, done.stdout, done.stderr)
        if code != DONE:
            lines = done.stderr.splitlines()
            assert len(lines) == 3 and lines[0].startswith("byre: "), done.stderr
            assert lines[1].startswith("  why:  ") and lines[2].startswith("  next: "), done.stderr
        return done.stderr if code != DONE else done.stdout

    def json(self, *arguments):
        return json.loads(self.run(*arguments, "-o", "json"))

    def rows(self, table, *where):
        return self.agentless().transact("vmmgr", {"op": "select", "table": table, "where": list(where)})[0]["rows"]

    def agentless(self):
        return self.server.connect()

    def start_agent(self):
        self.agent = fake_agent.FakeAgent(self.server.remote, str(self.server.dir))
        return self.agent

    def with_pool(self):
        """A cluster with this host and a pool that runs."""
        self.start_agent()
        self.run("cluster", "init", "lab")
        self.run("node", "add", "n1")
        self.run("pool", "define-as", "default", "--target", "/srv/default")
        self.run("pool", "start", "default", "--build")
        return self


@pytest.fixture(params=["byre-dbd", "ovsdb-server"])
def lab(request, program, make_dbd, make_reference):
    make = make_dbd if request.param == "byre-dbd" else make_reference
    it = Lab(program("byre"), make(schema=SCHEMA).start())
    yield it
    if it.agent:
        it.agent.stop()


@pytest.fixture
def full(lab):
    return lab.with_pool()


# The first steps.

def test_cluster_and_node(lab):
    agent = lab.start_agent()
    assert lab.run("cluster", "init", "lab") == ""
    assert "already the cluster" in lab.run("cluster", "init", "other", code=REFUSED)
    lab.run("cluster", "init", "other", "--if-not-exists")
    assert lab.run("node", "add", "n1") == "node n1: online\n"
    assert "in the cluster already" in lab.run("node", "add", "n1", code=REFUSED)
    assert lab.json("node", "list")[0]["name"] == "n1"
    assert lab.json("node", "info", "n1")["uid"] == fake_agent.UID
    lab.run("node", "maintenance", "n1", "on")
    assert lab.json("node", "list")[0]["maintenance"] is True
    lab.run("node", "remove", "n1")
    assert lab.json("node", "list") == []
    assert agent.uploaded == {}


def test_maintenance_takes_no_new_machine(full):
    full.run("node", "maintenance", "n1", "on")
    assert "byre node maintenance n1 off" in full.run("vm", "create", "a", code=REFUSED)
    full.run("node", "maintenance", "n1", "off")
    full.run("vm", "create", "a")
    assert "COLUMN=VALUE" in full.run("list", "vm", "--where", "mem", code=USAGE)


def test_a_node_in_use_stays(full):
    assert "pool default is on it" in full.run("node", "remove", "n1", code=REFUSED)


# Pools.

POOL_XML = """<pool type='dir'>
  <name>iso</name>
  <source>
  </source>
  <target>
    <path>/srv/iso</path>
    <permissions>
      <mode>0755</mode>
      <owner>107</owner>
    </permissions>
  </target>
</pool>
"""


def test_pool_xml_round_trip(full, tmp_path):
    file = tmp_path / "iso.xml"
    file.write_text(POOL_XML)
    full.run("pool", "define", file)
    dumped = full.run("pool", "dumpxml", "iso")
    assert "<path>/srv/iso</path>" in dumped and "<mode>0755</mode>" in dumped and "<owner>107</owner>" in dumped
    full.run("pool", "define", "-", stdin=dumped.replace("/srv/iso", "/srv/iso2"))  # A redefinition.
    again = full.run("pool", "dumpxml", "iso")
    assert again == dumped.replace("/srv/iso", "/srv/iso2")
    assert len(full.rows("metapool")) == 2


def test_pool_life(full):
    [row] = full.json("pool", "list")
    assert row["state"] == "running" and row["capacity"] == 10 << 30 and row["hostnode"] == "n1"
    assert full.run("pool", "refresh", "default") == "pool default: refreshed\n"
    full.run("pool", "autostart", "default")
    assert full.json("pool", "info", "default")["autostart"] is True
    assert "still active" in full.run("pool", "undefine", "default", code=REFUSED)
    assert full.run("pool", "stop", "default") == "pool default: stopped\n"
    assert "not active" in full.run("pool", "refresh", "default", code=REFUSED)
    assert "directory not empty" in full.run("pool", "delete", "default", code=NOT_APPLIED)
    full.run("pool", "undefine", "default")
    assert full.rows("pool") == [] and full.rows("metapool") == []


def test_a_pool_needs_a_target(full):
    assert "missing storage pool target path" in full.run("pool", "define-as", "p2", "dir", code=USAGE)
    assert "no pool type" in full.run("pool", "define-as", "p2", "tape", code=USAGE)


# Volumes.

def test_volume_life(full, tmp_path):
    assert full.run("vol", "create-as", "default", "a.qcow2", "1G", "--format", "qcow2") == "vol default/a.qcow2: created\n"
    info = full.json("vol", "info", "default/a.qcow2")
    assert info["capacity"] == 1 << 30 and info["size"] == 1024 and info["format"] == "qcow2" and info["pool"] == "default"
    assert full.run("vol", "path", "a.qcow2") == "/pool/a.qcow2\n"
    assert full.run("vol", "list", "default", "-o", "name") == "default/a.qcow2\n"
    xml = full.run("vol", "dumpxml", "default", "a.qcow2")
    assert "<capacity unit='bytes'>1073741824</capacity>" in xml and "<format type='qcow2'/>" in xml
    assert full.run("vol", "resize", "default/a.qcow2", "2G") == "vol default/a.qcow2: resized\n"
    assert "--shrink" in full.run("vol", "resize", "default/a.qcow2", "1G", code=REFUSED)
    full.run("vol", "create", "default", "-", stdin=xml.replace("a.qcow2", "b.qcow2"))

    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(b"some bytes")
    assert full.run("vol", "upload", "default", "a.qcow2", source) == "vol default/a.qcow2: uploaded\n"
    full.run("vol", "download", "default/a.qcow2", target)
    assert target.read_bytes() == b"some bytes"
    full.run("vol", "download", "default/a.qcow2", target, code=REFUSED)
    full.run("vol", "download", "default/a.qcow2", target, "--force")

    assert full.run("vol", "delete", "default/a.qcow2", "b.qcow2") == "vol default/a.qcow2: deleted\nvol default/b.qcow2: deleted\n"
    assert full.rows("volume") == []
    full.run("vol", "delete", "default/a.qcow2", code=NOT_FOUND)
    full.run("vol", "delete", "default/a.qcow2", "--if-exists")


def test_a_volume_in_use_is_not_even_wanted_away(full):
    """A want that stayed would take the disk as soon as the machine stops."""
    full.run("vol", "create-as", "default", "kernel", "8M")
    full.run("vol", "create-as", "default", "base", "1G", "--format", "qcow2")
    full.run("vol", "create-as", "default", "child", "1G", "--format", "qcow2", "--backing", "default/base")
    full.run("vmi", "create", "tiny", "--kernel", "default/kernel")
    full.run("vm", "create", "demo", "--disk", "default/a:1G", "--start")
    for name, words in [("a", "machine demo has it as disk vda"), ("base", "vol default/child has it as its backing"),
                        ("kernel", "vmi tiny has it as its kernel")]:
        assert words in full.run("vol", "delete", name, code=REFUSED)
        assert words in full.run("vol", "delete", name, "--dry-run", code=REFUSED)
    assert not any(v["deleted"] for v in full.rows("volume"))
    full.run("vol", "delete", "base", "child")  # Together nobody needs them.
    full.run("vm", "detach", "demo", "vda", "--", "vol", "delete", "default/a")
    assert [v["name"] for v in full.rows("volume")] == ["kernel"]


def test_a_raw_volume_takes_no_more_than_it_has(full, tmp_path):
    source = tmp_path / "in"
    source.write_bytes(b"0123456789")
    full.run("vol", "create-as", "default", "a", "8")
    text = full.run("vol", "upload", "a", source, code=REFUSED)
    assert "10 bytes from byte 0 on, but it has 8" in text and "byre vol resize default/a 10" in text
    full.run("vol", "upload", "a", source, "--length", "8")
    assert "byre vol resize default/a 12" in full.run("vol", "upload", "a", source, "--offset", "2", code=REFUSED)
    full.run("vol", "create-as", "default", "b", "8", "--format", "qcow2")
    full.run("vol", "upload", "b", source)


def test_dry_transfers_touch_nothing(full, tmp_path):
    full.run("vol", "create-as", "default", "a", "1M")
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(b"some bytes")
    full.run("vol", "upload", "a", source, "--dry-run")
    full.run("vol", "download", "a", target, "--dry-run")
    assert full.agent.uploaded == {} and not target.exists()
    full.run("vol", "upload", "a", source)
    target.write_bytes(b"precious, and longer than what comes")
    full.run("vol", "download", "a", target, "--force", "--dry-run")
    assert target.read_bytes().startswith(b"precious")
    full.run("vol", "download", "a", target, "--force")
    assert target.read_bytes() == b"some bytes" and list(tmp_path.iterdir()).__len__() == 2
    assert full.run("vol", "download", "a", "-") == "some bytes"  # Nothing but the data.


@pytest.mark.parametrize("arguments, code, words", [
    (["default", "../x", "1M"], USAGE, ["cannot contain '/'"]),
    (["default", "x", "1M", "--format", "nonsense"], USAGE, ["nonsense", "qcow2"]),
    (["default", "x", "lots"], USAGE, ["lots", "20G"]),
    (["default", "x", "900T"], REFUSED, ["default/x", "900.00 TiB", "10.00 GiB"]),
    (["default", "x", "9G", "--allocation", "9500M"], REFUSED, ["9.00 GiB free"]),
    (["nopool", "x", "1M"], NOT_FOUND, ["nopool"]),
    (["default", "bad1", "1M"], NOT_APPLIED, ["no such kernel", "upload one"]),
])
def test_refused_volumes(full, arguments, code, words):
    text = full.run("vol", "create-as", *arguments, code=code)
    assert all(word in text for word in words), text
    assert code == NOT_APPLIED or full.rows("volume") == []


def test_names_of_all_the_world_in_tables(full):
    full.run("vol", "create-as", "default", "ü漢.raw", "1M")
    for locale in "", "C", "C.UTF-8":
        assert "ü漢.raw" in full.run("vol", "list", env=dict(full.env, LC_ALL=locale))


def test_a_volume_that_is_there(full):
    full.run("vol", "create-as", "default", "x", "1M")
    assert "exists already" in full.run("vol", "create-as", "default", "x", "1M", code=REFUSED)
    full.run("vol", "create-as", "default", "x", "1M", "--if-not-exists")
    assert len(full.rows("volume")) == 1


# Machines.

def test_vm_life(full):
    full.run("vol", "create-as", "default", "kernel", "8M")
    full.run("vmi", "create", "tiny", "--kernel", "default/kernel", "--cmdline", "console=ttyS0 quiet")
    assert full.run("vm", "create", "demo", "--mem", "256", "--disk", "default/demo.qcow2:1G", "--vmi", "tiny", "--start") == \
        "vol default/demo.qcow2: created\nvm demo: running\n"
    info = full.json("vm", "info", "demo")
    assert (info["mem"], info["vcpu"], info["status"], info["vmi"], info["hostnode"]) == (256, 1, "running", "tiny", "n1")
    [device] = full.json("list", "device")
    assert device["vm"] == "demo" and device["volume"] == "default/demo.qcow2" and device["targetdev"] == "vda"
    for verb, said, status in [("pause", "paused", "paused"), ("resume", "running", "running"), ("reboot", "rebooted", "running"),
                               ("shutdown", "stopped", "shutoff"), ("start", "running", "running")]:
        assert full.run("vm", verb, "demo") == "vm demo: %s\n" % said
        assert full.run("get", "vm", "demo", "status") == status + "\n"
    assert full.run("vm", "stop", "demo", "--force") == "vm demo: stopped\n"
    assert full.run("get", "vm", "demo", "how", "reboots") == "force\n1\n"
    assert full.run("vm", "set", "demo", "mem=1G", "vcpu=2") == "vm demo: set\n"
    assert full.run("get", "vm", "demo", "mem", "vcpu") == "1024\n2\n"
    assert "it is as it shall be" in full.run("vm", "why", "demo")
    assert full.run("vm", "delete", "demo", "--volumes") == "vm demo: deleted\nvol default/demo.qcow2: deleted\n"
    assert full.rows("vm") == [] and full.rows("device") == []
    assert [v["name"] for v in full.rows("volume")] == ["kernel"]  # It waited for the disk too.


def test_disks_that_another_command_spares(full):
    full.run("vm", "create", "slow", "--disk", "default/a:1G", "--no-wait")
    byre = subprocess.Popen([full.byre, "vm", "delete", "slow", "--volumes"], env=full.env, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    c = full.agentless()
    deadline = time.monotonic() + 60
    while full.rows("vm")[0]["state"] != "deleted":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    c.transact("vmmgr", {"op": "update", "table": "vm", "where": [], "row": {"delete_volumes": False, "name": "quick"}})
    out, error = byre.communicate(timeout=20)
    assert byre.returncode == NOT_APPLIED and "vm slow: deleted" in out and "it stays" in error, error
    assert [v["name"] for v in full.rows("volume")] == ["a"]


def test_pause_is_no_way_to_start(full):
    full.run("vm", "create", "demo")
    for verb in "pause", "resume", "reboot":
        assert "shall not be running" in full.run("vm", verb, "demo", code=REFUSED)
    assert full.run("get", "vm", "demo", "state") == "stopped\n"


def test_a_disk_is_not_attached_twice(full):
    full.run("vol", "create-as", "default", "a", "1G")
    full.run("vm", "create", "demo", "--disk", "default/a")
    assert "already, as disk vda" in full.run("vm", "attach", "demo", "default/a", code=REFUSED)
    full.run("vol", "create-as", "default", "b", "1G")
    assert "named twice" in full.run("vm", "create", "two", "--disk", "default/b", "--disk", "default/b", code=REFUSED)


def test_an_active_pool_keeps_its_place(full):
    text = full.run("pool", "define-as", "default", "--target", "/elsewhere", code=REFUSED)
    assert "it is active" in text and "byre pool stop default" in text
    full.run("pool", "define-as", "default", "--target", "/srv/default")
    full.run("pool", "stop", "default")
    full.run("pool", "define-as", "default", "--target", "/elsewhere")


def test_disks_come_and_go(full):
    full.run("vm", "create", "demo", "--disk", "default/a:1G")
    assert full.run("vm", "attach", "demo", "default/b:2G,bus=scsi") == "vol default/b: created\nvm demo: attached\n"
    full.run("vm", "attach", "demo", "default/a", "--cdrom")
    assert full.run("list", "device", "-c", "targetdev,type,volume", "--sort", "targetdev", "-o", "csv", "--no-headers") == \
        "sdb,disk,default/b\nsdc,cdrom,default/a\nvda,disk,default/a\n"
    assert full.run("vm", "detach", "demo", "sdc") == "vm demo: detached\n"
    assert full.run("get", "volume", "default/b", "vm", "dev", "bus") == "demo\nsdb\nscsi\n"
    assert "belongs to vm demo" in full.run("vm", "create", "other", "--disk", "default/b", code=REFUSED)
    full.run("vm", "create", "other", "--disk", "default/b,readonly")
    full.run("vm", "delete", "other")
    full.run("vm", "detach", "demo", "default/b")
    assert full.run("get", "volume", "default/b", "vm") == "[]\n"
    assert [row["volume"] for row in full.json("list", "device")] == ["default/a"]
    full.run("vm", "detach", "demo", "vdx", code=NOT_FOUND)


def test_two_pools_of_one_directory(full):
    text = full.run("pool", "define-as", "second", "--target", "/srv/default", code=REFUSED)
    assert "Storage source conflict with pool: 'default'" in text


@pytest.mark.parametrize("arguments, code, words", [
    (["a/b"], USAGE, ["a/b", "'/'"]),
    (["x", "--mem", "lots"], USAGE, ["lots"]),
    (["x", "--vcpu", "0"], USAGE, ["--vcpu"]),
    (["x", "--disk", "default/none"], NOT_FOUND, ["default/none"]),
    (["x", "--disk", "nopool/x:1G"], NOT_FOUND, ["nopool"]),
    (["x", "--disk", "default/x:900T"], REFUSED, ["900.00 TiB"]),
    (["x", "--disk", "default/x:1G,colour=red"], USAGE, ["colour=red", "bus="]),
    (["x", "--kernel", "default/nokernel"], NOT_FOUND, ["nokernel"]),
    (["x", "--vmi", "nothing"], NOT_FOUND, ["nothing"]),
    (["x", "--node", "n2"], NOT_FOUND, ["n2"]),
    (["x", "--accel", "steam"], REFUSED, ["steam"]),
])
def test_refused_machines(full, arguments, code, words):
    text = full.run("vm", "create", *arguments, code=code)
    assert all(word in text for word in words), text
    assert full.rows("vm") == [] and full.rows("volume") == []


def test_what_the_agent_cannot_do(full):
    full.run("vm", "create", "bad")
    text = full.run("vm", "start", "bad", code=NOT_APPLIED)
    assert text == "byre: vm bad: start bad\n  why:  no such kernel\n  next: upload one\n"
    assert "no such kernel" in full.run("vm", "why", "bad")


def test_a_guest_that_does_not_obey(full):
    full.run("vm", "create", "demo")
    full.run("vm", "start", "demo")
    full.agentless().transact("vmmgr", {"op": "update", "table": "vm", "where": [], "row": {"name": "slowdemo"}})
    text = full.run("vm", "stop", "slowdemo", "--timeout", "1", code=TIMED_OUT)
    assert "the guest does not obey: byre vm stop slowdemo --force" in text
    assert "the guest was asked to shut down" in full.run("vm", "why", "slowdemo")


def test_unknown_commands_are_named(lab):
    assert lab.run("vmm", "list", code=USAGE).startswith("byre: vmm list\n")


def test_patience_has_an_end(full):
    text = full.run("vm", "create", "slow", "--timeout", "1", code=TIMED_OUT)
    assert "not seen done within 1 s" in text and "byre vm why slow" in text
    full.run("vm", "start", "slow", "--no-wait")
    assert "not acted on the latest change" in full.run("vm", "why", "slow")


def test_machines_of_others_are_not_touched(full):
    full.run("create", "vm", "name=theirs", "mem=1", "vcpu=1", "source=libvirt", "hostnode=n1")
    assert "made by others" in full.run("vm", "start", "theirs", code=REFUSED)
    assert "made by others" in full.run("vm", "delete", "theirs", code=REFUSED)


def test_patterns_and_prefixes(full):
    for name in "web1", "web2", "db":
        full.run("vm", "create", name)
    assert full.run("vm", "start", "web*") == "vm web1: running\nvm web2: running\n"
    assert full.run("vm", "list", "web[2-9]", "-o", "name") == "web2\n"
    assert "did you mean: web1" in full.run("vm", "start", "web", code=NOT_FOUND)  # No prefixes without a terminal.
    assert "no vm matches" in full.run("vm", "start", "x*", code=NOT_FOUND)
    full.run("vm", "start", "web*", "--exact", code=NOT_FOUND)
    assert {row["name"] for row in full.json("find", "vm", "status=running")} == {"web1", "web2"}


# One transaction.

def test_joined_commands_are_one_transaction(full):
    full.run("vol", "create-as", "default", "v", "1M", "--", "vm", "create", "a", "--disk", "default/v", "--", "vm", "create", "b")
    assert {row["name"] for row in full.rows("vm")} == {"a", "b"}
    [device] = full.json("list", "device")
    assert (device["vm"], device["volume"]) == ("a", "default/v")
    # A failure anywhere leaves nothing.
    full.run("vm", "create", "c", "--", "vm", "create", "d", "--disk", "default/none", code=NOT_FOUND)
    full.run("vm", "create", "c", "--", "create", "hostnode", "name=n9", "uid=" + fake_agent.UID, code=REFUSED)
    assert {row["name"] for row in full.rows("vm")} == {"a", "b"}
    assert "is no change" in full.run("vm", "start", "a", "--", "vm", "list", code=USAGE)


def test_dry_run_changes_nothing(full):
    text = full.run("vm", "create", "demo", "--disk", "default/demo.qcow2:1G", "--start", "--dry-run")
    assert "+ vm demo" in text and "+ volume demo.qcow2" in text and "    state: running" in text
    assert "plan:" in text and "qemu-img create" in text
    assert full.rows("vm") == [] and full.rows("volume") == []
    full.run("vm", "create", "demo")
    text = full.run("vm", "start", "demo", "--dry-run")
    lines = [line for line in text.splitlines() if " asked_" not in line]  # Who asked, when and for what is written too.
    assert lines == ["~ vm demo", "    state: stopped -> running"] and 'asked_for: [] -> "vm start"' in text
    assert full.run("destroy", "vm", "demo", "--dry-run") == "- vm demo\n"
    assert full.run("get", "vm", "demo", "state") == "stopped\n"
    full.run("create", "vm", "name=x", "mem=1", "vcpu=99999", "--dry-run", code=USAGE)


def test_one_transaction_is_seen_whole(full):
    client = full.server.connect()
    client.result("monitor", "vmmgr", None, {"vm": {"columns": ["name"]}, "device": {"columns": ["vm"]}})
    full.run("vm", "create", "a", "--disk", "default/a:1G", "--no-wait")
    message = client.recv(10)
    assert message["method"] == "update" and set(message["params"][1]) == {"vm", "device"}


# Any table.

def test_generic_verbs(lab):
    lab.run("create", "preset", "name=small", "mem=512M", "vcpu=1", "external_ids={a=1,b=\"x y\"}")
    lab.run("create", "preset", "name=small", "mem=1", code=REFUSED)
    lab.run("create", "preset", "name=small", "mem=1", "--if-not-exists")
    assert lab.run("get", "preset", "small", "mem", "external_ids", "external_ids:b", "vsize") == "512\n{a=1, b=\"x y\"}\nx y\n[]\n"
    lab.run("get", "preset", "small", "external_ids:c", code=NOT_FOUND)
    lab.run("set", "preset", "small", "vcpu=4", "external_ids:c=http://x/?a=b", "firmware=efi")
    assert lab.run("get", "preset", "small", "vcpu", "external_ids:c", "firmware") == "4\nhttp://x/?a=b\nefi\n"
    lab.run("remove", "preset", "small", "external_ids", "a")
    lab.run("add", "preset", "small", "external_ids", "d=4")
    assert lab.json("get", "preset", "small", "external_ids")["external_ids"] == {"b": "x y", "c": "http://x/?a=b", "d": "4"}
    lab.run("clear", "preset", "small", "firmware", "external_ids")
    assert lab.json("get", "preset", "small")["firmware"] is None
    lab.run("create", "network", "name=lan", "type=bridge")
    lab.run("add", "preset", "small", "networks", "lan")
    assert lab.json("get", "preset", "small", "networks") == {"networks": ["lan"]}
    assert re.fullmatch("[0-9a-f-]{36}", lab.json("get", "preset", "small", "networks", "--raw")["networks"][0])
    lab.run("destroy", "preset", "small")
    lab.run("destroy", "preset", "small", code=NOT_FOUND)
    lab.run("destroy", "preset", "small", "--if-exists")


@pytest.mark.parametrize("arguments, code, words", [
    (["list", "vm", "-c", "nmae"], USAGE, ["nmae", "did you mean: name"]),
    (["list", "vmm"], USAGE, ["vmm", "did you mean: vm"]),
    (["create", "preset", "name=x", "mem=many"], USAGE, ["many", "preset.mem", "from 1 to 16777216"]),
    (["create", "preset", "name=x", "mem=0"], USAGE, ["from 1 to"]),
    (["create", "preset", "name=x", "firmware=coal"], USAGE, ["one of bios, efi"]),
    (["create", "preset", "name=x", "colour=red"], USAGE, ["no column \"colour\""]),
    (["create", "preset", "name=a/b"], USAGE, ["'/'"]),
    (["create", "preset", "mem=1"], USAGE, ["needs a name"]),
    (["create", "preset", "name=x", "networks=nolan"], NOT_FOUND, ["nolan"]),
    (["set", "preset", "nobody", "mem=1"], NOT_FOUND, ["nobody"]),
    (["set", "cluster", ".", "memory_overcommit=9.5"], NOT_FOUND, ["cluster"]),
    (["find", "vm", "name<5"], USAGE, ["no order"]),
    (["find", "vm", "name~("], USAGE, ["no regular expression"]),
    (["list", "vm", "--sort", "state"], USAGE, ["not shown"]),
    (["list", "vm", "-o", "xml"], USAGE, ["xml", "json"]),
    (["add", "preset", "x", "name", "y"], NOT_FOUND, ["x"]),
    (["vm", "list", "--timeout", "soon"], USAGE, ["soon"]),
])
def test_bad_input(lab, arguments, code, words):
    text = lab.run(*arguments, code=code)
    assert all(word in text for word in words), text


def fill(lab, n):
    operations = [{"op": "insert", "table": "vm", "row": {"name": "vm%05d" % i, "mem": i + 1, "vcpu": i % 4 + 1, "status": "running",
                                                          "uuid": ["uuid", str(uuid.uuid4())]}} for i in range(n)]
    lab.server.connect().transact("vmmgr", *operations)


def test_lists(lab):
    fill(lab, 12)
    assert [row["mem"] for row in lab.json("vm", "list", "--where", "mem>3", "--where", "vcpu=1", "--sort", "-mem")] == [9, 5]
    assert lab.run("list", "vm", "-c", "name", "--where", "name~1$", "-o", "csv") == "name\nvm00001\nvm00011\n"
    assert lab.run("list", "vm", "-c", "name,mem", "--where", "mem<=2", "--no-headers", "-o", "csv") == "vm00000,1\nvm00001,2\n"
    assert len(list(csv.DictReader(io.StringIO(lab.run("vm", "list", "-o", "csv"))))) == 12
    assert [json.loads(line)["name"] for line in lab.run("find", "vm", "vcpu!=1", "mem<4", "-o", "jsonl").splitlines()] == \
        ["vm00001", "vm00002"]
    table = lab.run("vm", "list").splitlines()
    assert len(table) == 13 and table[0].split() == ["NAME", "STATUS", "HOSTNODE", "VCPU", "MEM", "AUTOSTART"]
    assert table[1].split() == ["vm00000", "running", "-", "1", "1.00", "MiB", "no"]
    assert "- name: vm00003\n" in lab.run("vm", "list", "-o", "yaml")
    assert lab.run("explain", "vm.accel").splitlines()[1].split(None, 1) == ["accel", "one of auto, kvm, qemu; or [] for none"]


def test_ten_thousand_rows(lab):
    fill(lab, 10000)
    assert lab.run("vm", "list", "--no-headers").count("\n") == 10000


# Watching.

class Reader(threading.Thread):
    def __init__(self, process):
        super().__init__(daemon=True)
        self.process = process
        self.lines = []
        self.start()

    def run(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def wait_for(self, n):
        deadline = time.monotonic() + 60
        while len(self.lines) < n:
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.02)
        return self.lines[n - 1]


@pytest.fixture
def watcher(lab):
    processes = []

    def start(*arguments):
        process = subprocess.Popen([lab.byre, *arguments], env=lab.env, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return Reader(process)

    yield start
    for process in processes:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def test_watch(lab, watcher):
    lab.run("create", "vm", "name=a", "mem=5", "vcpu=1")
    reader = watcher("vm", "list", "-w", "-o", "jsonl", "-c", "name,mem,status", "--where", "mem>3")
    assert json.loads(reader.wait_for(1)) == {"action": "initial", "name": "a", "mem": 5, "status": None}
    lab.run("set", "vm", "a", "status=running")
    assert json.loads(reader.wait_for(2)) == {"action": "modify", "name": "a", "mem": 5, "status": "running"}
    lab.run("create", "vm", "name=b", "mem=4", "vcpu=1", "--", "create", "vm", "name=c", "mem=1", "vcpu=1")
    assert json.loads(reader.wait_for(3))["name"] == "b"
    lab.run("set", "vm", "a", "mem=2")  # Fits no more.
    assert json.loads(reader.wait_for(4))["action"] == "delete"
    lab.run("set", "vm", "b", "vcpu=3")  # Not shown.
    lab.run("destroy", "vm", "b")
    assert json.loads(reader.wait_for(5)) == {"action": "delete", "name": "b", "mem": 4, "status": None}


def test_watch_survives_a_restart(lab, watcher):
    lab.run("create", "vm", "name=a", "mem=5", "vcpu=1")
    reader = watcher("watch", "vm", "-o", "csv", "-c", "name,mem")
    assert reader.wait_for(1) == "action,name,mem\n" and reader.wait_for(2) == "initial,a,5\n"
    lab.server.kill()
    lab.server.start()
    lab.run("set", "vm", "a", "mem=6")
    assert reader.wait_for(3) == "modify,a,6\n"


def test_wait(lab, watcher):
    later = watcher("wait", "vm", "new", "status=running", "mem>3")
    time.sleep(0.3)
    lab.run("create", "vm", "name=new", "mem=5", "vcpu=1")
    assert later.process.poll() is None
    lab.run("set", "vm", "new", "status=running")
    assert later.process.wait(10) == DONE
    gone = watcher("wait", "vm", "new", "--gone")
    time.sleep(0.3)
    assert gone.process.poll() is None
    lab.run("destroy", "vm", "new")
    assert gone.process.wait(10) == DONE
    assert lab.run("wait", "vm", "nobody", "--gone") == ""
    assert "no row" in lab.run("wait", "vm", "nobody", "status=running", "--timeout", "1", code=TIMED_OUT)
    lab.run("wait", "vm", "nobody", code=USAGE)


def test_waiting_survives_a_restart(lab):
    """The server is killed while a change is being waited for; the agent answers after it is back."""
    lab.run("create", "hostnode", "name=n1", "uid=" + fake_agent.UID)
    process = subprocess.Popen([lab.byre, "vm", "create", "a"], env=lab.env, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not lab.rows("vm"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    lab.server.kill()
    lab.server.start()
    lab.start_agent()
    assert process.communicate(timeout=20)[0] == "vm a: created\n" and process.returncode == DONE


# Jobs.

def test_jobs(full):
    [build] = full.json("job", "list")
    assert build["kind"] == "pool.build" and build["state"] == "done" and build["progress"] == 1
    job = full.run("pool", "refresh", "default", "--no-wait").strip()
    assert full.run("job", "wait", job[:8]) == "job %s (pool.refresh): done\n" % job
    assert "done already" in full.run("job", "cancel", job, code=REFUSED)
    failed = full.run("pool", "stop", "default") and full.run("pool", "delete", "default", "--no-wait").strip()
    assert "directory not empty" in full.run("job", "wait", failed, code=NOT_APPLIED)


# The console.

def test_console(full):
    full.run("vm", "create", "demo", "--start")
    assert full.run("vm", "console", "demo", "--log").splitlines()[0] == "early line"
    assert "demo is up: disk /dev/vda 1073741824 bytes" in full.run("vm", "console", "demo", "--until", "is up", "--timeout", "5")
    assert "ended before" in full.run("vm", "console", "demo", "--until", "never said", code=NOT_APPLIED)
    full.run("vm", "console", "nobody", code=NOT_FOUND)


def test_no_agent(lab):
    lab.run("create", "vm", "name=a", "mem=5", "vcpu=1")
    assert "agent does not answer" in lab.run("vm", "console", "a", code=UNREACHABLE)
    assert "no host" in lab.run("vm", "start", "a", code=REFUSED)
    assert "agent does not answer" in lab.run("node", "add", code=UNREACHABLE)
    lab.run("vm", "delete", "a")  # Without a host it is only a row.
    assert lab.rows("vm") == []


# A terminal.

def on_terminal(lab, *arguments, timeout=20, keys=()):
    """What the command prints on a terminal, and its exit code.  'keys': what is typed after which text was printed."""
    pid, fd = pty.fork()
    keys = list(keys)
    if pid == 0:
        os.execve(lab.byre, [lab.byre, *arguments], dict(lab.env, TERM="xterm"))
    text = b""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                more = os.read(fd, 65536)
            except OSError:
                break
            if not more:
                break
            text += more
            while keys and keys[0][0] in text:
                os.write(fd, keys.pop(0)[1])
    os.close(fd)
    return text.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_terminal_takes_unique_prefixes(full):
    full.run("vm", "create", "web1")
    full.run("vm", "create", "db")
    text, code = on_terminal(full, "vm", "start", "we")
    assert code == DONE and "vm web1: running" in text
    text, code = on_terminal(full, "vm", "start", "we", "--exact")
    assert code == NOT_FOUND
    full.run("vm", "create", "web2")
    text, code = on_terminal(full, "vm", "start", "we")
    assert code == REFUSED and "begins more than one name" in text
    text, code = on_terminal(full, "vm", "create", "slow", "--timeout", "1")
    assert code == TIMED_OUT and "vm slow" in text and "\r\x1b[K" in text  # The live line.


def test_console_on_a_terminal(full):
    full.run("vm", "create", "demo", "--start")
    full.agent.console_stays = True
    text, code = on_terminal(full, "vm", "console", "demo", keys=[(b"later line", b"echo me"), (b"ECHO ME", b"\x03x"),
                                                                  (b"\x03X", b"\x1d")])
    assert code == DONE and "leave by Ctrl-]" in text and "ECHO ME" in text
    text = full.run("vm", "console", "demo", "--until", "never said", "--timeout", "1", code=TIMED_OUT)
    assert "never said" in text


def test_a_watched_table_is_drawn_anew(lab):
    lab.run("create", "vm", "name=a", "mem=5", "vcpu=1")
    threading.Timer(0.7, lab.run, ["set", "vm", "a", "mem=7"]).start()
    text, code = on_terminal(lab, "vm", "list", "-w", "--timeout", "2")
    assert code == DONE and text.count("\x1b[H\x1b[J") == 2 and "5.00 MiB" in text and "7.00 MiB" in text


# Unreachable.

def test_unreachable(lab, tmp_path):
    begin = time.monotonic()
    text = lab.run("--db", "unix:%s" % (tmp_path / "none.sock"), "vm", "list", code=UNREACHABLE)
    assert time.monotonic() - begin < 20 and "start byred" in text and "No such file" in text
    lab.run("--db", "carrier-pigeon:x", "vm", "list", code=USAGE)


def test_a_server_that_is_being_restarted_is_awaited(lab):
    lab.run("create", "vm", "name=a", "mem=5", "vcpu=1")
    lab.server.kill()  # Its socket stays.
    restart = threading.Timer(0.7, lab.server.start)
    restart.start()
    assert lab.run("get", "vm", "a", "mem") == "5\n"
    restart.join()


# Help and completion.

def complete(lab, *words):
    return lab.run("--complete", *words).splitlines()


def test_completion(full):
    full.run("vm", "create", "web1", "--", "vm", "create", "web2", "--", "vm", "create", "db")
    assert complete(full, "vm", "sta") == ["start"]
    assert "vm" in complete(full, "") and "list" in complete(full, "")
    assert complete(full, "vm", "start", "we") == ["web1", "web2"]
    assert complete(full, "vm", "start", "web1", "d") == ["db"]
    assert complete(full, "vm", "start", "--no") == ["--no-wait"]
    assert complete(full, "vm", "list", "-o", "js") == ["json", "jsonl"]
    assert complete(full, "list", "hostn") == ["hostnode", "hostnode_network"]
    assert complete(full, "get", "vm", "db", "boo") == [] and "mem" in complete(full, "get", "vm", "db", "me")
    assert "vcpu=" in complete(full, "set", "vm", "db", "vcp")
    assert complete(full, "vm", "stop", "x", "--", "vm", "star") == ["start"]
    assert complete(full, "vol", "create-as", "de") == ["default"]
    full.server.kill()
    assert complete(full, "vm", "start", "we") == []
    full.agent.stopping.set()
    full.server.start()


def test_bash_completion(full):
    full.run("vm", "create", "web1")
    script = "source %s/completion/byre.bash; COMP_WORDS=(%s vm start we); COMP_CWORD=3; _byre; echo ${COMPREPLY[@]}" % (
        conftest.ROOT, full.byre)
    done = subprocess.run(["bash", "-c", script], env=full.env, capture_output=True, text=True)
    assert done.stdout == "web1\n", done.stderr


def test_help(lab, program):
    overview = lab.run("help")
    for word in "cluster", "pool define", "vm console", "exit codes", "--dry-run":
        assert word in overview
    assert "--until" in lab.run("vm", "console", "--help") and lab.run("help", "vm", "console") == lab.run("vm", "console", "-h")
    assert lab.run("--version").startswith("byre ")
    done = subprocess.run([lab.byre], capture_output=True, text=True)
    assert done.returncode == USAGE


def test_the_manual_names_every_command_and_option(program):
    manual = (conftest.ROOT / "docs" / "man" / "byre.1").read_text().replace("\\-", "-")
    manual = re.sub(r"\\f[BIR]|\"", "", manual)
    overview = subprocess.run([program("byre"), "help"], capture_output=True, text=True).stdout
    commands = re.findall(r"^  ([a-z]+(?: [a-z-]+)?) ", overview, re.M)
    assert len(commands) > 40
    for command in commands:
        assert command.split()[-1] in manual, command
    for option in re.findall(r"^ +(?:-., )?(--[a-z-]+)", overview, re.M):
        assert option in manual, option
    for code in range(8):
        assert re.search(r"^\.B %d$" % code, manual, re.M)
    result = subprocess.run(["man", "-l", "--warnings", str(pathlib.Path(conftest.ROOT, "docs", "man", "byre.1"))],
                            capture_output=True, text=True, env=dict(os.environ, MANPAGER="cat", LC_ALL="C"))
    assert result.stderr == ""


# A reply that is lost.

class Proxy(threading.Thread):
    """Between a client and the server; cuts the connection instead of handing on the reply to a change, 'n_cuts' times."""

    def __init__(self, path, target, n_cuts):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.target = target
        self.n_cuts = n_cuts
        self.n_changes = 0
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client):
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self.target))
        cut = False
        with client, server:
            while True:
                for side in select.select([client, server], [], [])[0]:
                    data = side.recv(1 << 16)
                    if not data or (side is server and cut):
                        return
                    if side is client and b'"comment"' in data:  # Only changes carry one.
                        self.n_changes += 1
                        cut, self.n_cuts = self.n_cuts > 0, self.n_cuts - 1
                    (server if side is client else client).sendall(data)


def test_a_lost_reply_is_settled(full, tmp_path):
    """What was inserted is found again and not inserted twice; what only sets columns is sent again."""
    proxy = Proxy(tmp_path / "proxy", full.server.sock, 1)
    remote = "unix:%s" % (tmp_path / "proxy")
    assert full.run("--db", remote, "vm", "create", "a", "--disk", "default/a:1G") == "vol default/a: created\nvm a: created\n"
    assert proxy.n_changes == 1 and len(full.rows("vm")) == 1
    proxy.n_cuts = 1
    assert full.run("--db", remote, "vm", "start", "a") == "vm a: running\n"
    assert proxy.n_changes == 3
    proxy.n_cuts = 1  # Asking a second time would reboot it twice.
    text = full.run("--db", remote, "vm", "reboot", "a", code=UNREACHABLE)
    assert "nobody knows" in text and full.rows("vm")[0]["reboots"] == 1
    proxy.listener.close()


def test_watching_some(lab, watcher):
    lab.run("create", "vm", "name=a", "mem=5", "vcpu=1", "--", "create", "vm", "name=b1", "mem=5", "vcpu=1")
    reader = watcher("vm", "list", "b*", "-w", "-o", "jsonl", "-c", "name")
    assert json.loads(reader.wait_for(1))["name"] == "b1"
    lab.run("create", "vm", "name=c", "mem=5", "vcpu=1", "--", "create", "vm", "name=b2", "mem=5", "vcpu=1")
    assert json.loads(reader.wait_for(2)) == {"action": "insert", "name": "b2"}


def test_watching_nothing(lab, watcher):
    reader = watcher("vm", "list", "-w", "-o", "jsonl", "-c", "name")
    time.sleep(0.5)
    lab.run("create", "vm", "name=a", "mem=5", "vcpu=1")
    assert json.loads(reader.wait_for(1)) == {"action": "insert", "name": "a"}
