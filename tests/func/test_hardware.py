"""Hardware that changes while a machine runs: what the guest sees of it, what waits for the next start, and that it is gone
after one.  One guest for most of it; it is asked over its serial console."""

import os
import re
import subprocess

import pytest

import tiny_guest
from host import Host, libvirt_uri, temporary_state, virsh
from rpc import wait_for


pytestmark = pytest.mark.skipif(libvirt_uri() is None, reason="no libvirt answers")


@pytest.fixture(scope="module")
def host(builddir, tmp_path_factory):
    host = Host(builddir, temporary_state(), prefix="bh%d" % os.getpid())
    try:
        host.start()
        host.join()
        tiny_guest.template(host)
        for name in ("one", "two"):
            medium = tmp_path_factory.mktemp("media") / name
            medium.write_bytes((b"medium %s\n" % name.encode()).ljust(2048) * 512)
            tiny_guest.upload(host, name + ".iso", medium)
        host.vm = host.prefix + "-demo"
        host.byre("vm", "create", host.vm, "--mem", "112", "--mem-max", "144", "--vcpu", "1", "--vcpu-max", "2", "--vmi", "tiny",
                  "--disk", "default/%s:64M" % host.vm, "--cdrom", "default/one.iso,bus=scsi", "--start")
        yield host
    finally:
        host.destroy()


@pytest.fixture(scope="module")
def guest(host):
    console = tiny_guest.Console(host, host.vm).shell()
    console.run("while read m; do insmod /modules/$m; done < /modules/order.cd")
    return console


def row(host, name=None):
    return host.json("vm", "info", name or host.vm)


def xml(host):
    return virsh("dumpxml", host.vm)


def test_what_it_starts_with(host, guest):
    assert row(host)["needreboot_columns"] == [] and not row(host)["needreboot"]
    assert row(host)["vcpu_actual"] == 1
    assert guest.run("cat /sys/devices/system/cpu/present") == "0"


def test_a_cpu_is_plugged(host, guest):
    host.byre("vm", "vcpu-set", host.vm, "2")
    guest.wait("cat /sys/devices/system/cpu/present", "0-1")
    assert row(host)["vcpu_actual"] == 2 and not row(host)["needreboot"]


def test_a_cpu_of_the_emulator_stays(host, guest):
    """QEMU would end with it; so it waits for the next start."""
    done = host.byre("vm", "vcpu-set", host.vm, "1")
    if "<domain type='kvm'" in xml(host):
        guest.wait("cat /sys/devices/system/cpu/present", "0")
    else:
        assert "with the next start: vcpu" in done.stdout
        assert guest.run("cat /sys/devices/system/cpu/present") == "0-1"
    host.byre("vm", "vcpu-set", host.vm, "2")
    assert not row(host)["needreboot"]


def free_mib(guest):
    return int(re.search(r"MemFree: *(\d+)", guest.run("cat /proc/meminfo")).group(1)) / 1024


def test_memory_goes_and_comes(host, guest):
    host.byre("vm", "mem-set", host.vm, "144")
    assert row(host)["mem_actual"] == 144
    large = free_mib(guest)
    host.byre("vm", "mem-set", host.vm, "104")
    assert row(host)["mem_actual"] == 104
    assert 35 < large - free_mib(guest) < 45
    assert not row(host)["needreboot"]


def test_a_disk_comes_and_goes(host, guest):
    host.byre("vm", "disk", "attach", host.vm, "default/more:8M")
    guest.wait("cat /sys/block/vdb/size", str((8 << 20) // 512))
    [disk] = [d for d in host.json("vm", "disk", "list", host.vm) if d["volume"] == "default/more"]
    assert disk["controller"] == "virtio" and disk["boot_order"] is None
    # What a guest has, nobody removes.
    assert host.byre("vol", "delete", "default/more", check=False).returncode != 0
    host.byre("vm", "disk", "detach", host.vm, disk["targetdev"])
    guest.wait("ls /sys/block | grep -c vd", "1")
    assert "more" not in xml(host)
    assert not row(host)["needreboot"]
    host.byre("vol", "delete", "default/more")


def test_a_disk_of_the_scsi_bus_too(host, guest):
    host.byre("vm", "disk", "attach", host.vm, "default/scsi:8M,bus=scsi")
    assert re.search(r"<target dev='sd.' bus='scsi'/>", xml(host))
    host.byre("vm", "disk", "detach", host.vm, "default/scsi")
    assert "default/scsi" not in xml(host)


def test_media_change(host, guest):
    assert guest.run("head -c 10 /dev/sr0") == "medium one"
    [drive] = [d["targetdev"] for d in host.json("vm", "disk", "list", host.vm) if d["type"] == "cdrom"]
    host.byre("vm", "disk", "eject", host.vm, drive)
    guest.wait("head -c 10 /dev/sr0 2>/dev/null | wc -c", "0")
    host.byre("vm", "disk", "insert", host.vm, drive, "default/two.iso")
    guest.wait("head -c 10 /dev/sr0 2>/dev/null", "medium two")
    assert not row(host)["needreboot"]
    done = host.byre("vm", "disk", "eject", host.vm, "vda", check=False)
    assert done.returncode == 1 and "not a drive" in done.stderr


def test_a_locked_drive_opens_by_force_only(host, guest):
    """Who holds the device open has locked the door."""
    guest.run("exec 5< /dev/sr0")
    done = host.byre("vm", "disk", "eject", host.vm, "default/two.iso", check=False)
    assert done.returncode == 5 and "--force" in done.stderr, done.stderr
    assert guest.run("head -c 10 /dev/sr0") == "medium two"
    [drive] = [d["targetdev"] for d in host.json("vm", "disk", "list", host.vm) if d["type"] == "cdrom"]
    host.byre("vm", "disk", "eject", host.vm, drive, "--force")
    guest.wait("head -c 10 /dev/sr0 2>/dev/null | wc -c", "0")
    guest.run("exec 5<&-")
    host.byre("vm", "disk", "insert", host.vm, drive, "default/two.iso")
    guest.wait("head -c 10 /dev/sr0 2>/dev/null", "medium two")


def capacity(host, volume):
    return host.json("vol", "info", volume)["capacity"]


@pytest.mark.parametrize("form", ["qcow2", "raw"])
def test_a_disk_grows_while_it_is_used(host, guest, form):
    name = "default/grows-" + form
    host.byre("vm", "disk", "attach", host.vm, name + ":8M,format=" + form)
    guest.wait("cat /sys/block/vdb/size", str((8 << 20) // 512))
    host.byre("vm", "disk", "resize", host.vm, name, "12M")
    guest.wait("cat /sys/block/vdb/size", str((12 << 20) // 512))
    assert capacity(host, name) == 12 << 20
    done = host.byre("vm", "disk", "resize", host.vm, name, "8M", check=False)
    assert done.returncode == 1 and "would cut off data" in done.stderr, done.stderr
    host.byre("vm", "disk", "detach", host.vm, name)
    guest.wait("ls /sys/block | grep -c vd", "1")
    assert capacity(host, name) == 12 << 20  # Nothing wants it smaller again.
    host.byre("vol", "delete", name)


@pytest.fixture(scope="module")
def second(host):
    """Another pool."""
    host.byre("pool", "define-as", "second", "dir", "--target", str(host.state / "pools" / "second"))
    host.byre("pool", "build", "second")
    host.byre("pool", "start", "second")
    return host.state / "pools" / "second"


MOVED_BYTES = 24 << 20


def moving(host):
    [target] = [d["targetdev"] for d in host.json("vm", "disk", "list", host.vm) if (d["volume"] or "").endswith("/moves")]
    return target


@pytest.fixture
def busy_disk(host, guest, second, tmp_path):
    """vdb, full of bytes, to whose end the guest writes a number again and again."""
    content = tmp_path / "content"
    content.write_bytes(os.urandom(1 << 20) * (MOVED_BYTES >> 20))
    host.byre("vol", "create-as", "default", "moves", str(MOVED_BYTES), "--format", "raw")
    host.byre("vol", "upload", "default/moves", str(content))
    host.byre("vm", "disk", "attach", host.vm, "default/moves")
    guest.wait("cat /sys/block/vdb/size", str(MOVED_BYTES // 512))
    guest.run("rm -f /tmp/stop; (n=0; while [ ! -e /tmp/stop ]; do n=$((n+1)); printf '%-512s' $n | "
              "busybox dd of=/dev/vdb bs=512 seek=1000 conv=notrunc,fsync 2>/dev/null; echo $n > /tmp/n; done) & true")
    yield content.read_bytes()
    guest.run("touch /tmp/stop; wait")
    host.byre("vm", "disk", "detach", host.vm, moving(host))
    guest.wait("ls /sys/block | grep -c vd", "1")
    for volume in host.json("vol", "list"):
        if volume["name"] == "moves":
            host.byre("vol", "delete", "%s/moves" % volume["pool"])


def check_moved(guest, path, content):
    """The guest went on, and the file has what it wrote last and all that was there."""
    before = int(guest.run("cat /tmp/n"))
    guest.wait("test $(cat /tmp/n) -gt %d && echo on" % before, "on")
    guest.run("touch /tmp/stop; wait; sync")
    last = guest.run("cat /tmp/n")
    assert guest.run("echo 3 > /proc/sys/vm/drop_caches; busybox dd if=/dev/vdb bs=512 skip=1000 count=1 2>/dev/null") == last
    now = path.read_bytes()
    assert now[512000:512512].decode().strip() == last
    assert now[:512000] == content[:512000] and now[512512:] == content[512512:]


def volumes(host):
    return {"%s/%s" % (v["pool"], v["name"]): v for v in host.json("vol", "list", "-c", "name,pool,vm")}


def test_a_disk_moves_while_it_is_used(host, guest, second, busy_disk):
    host.byre("vm", "disk", "move", host.vm, "default/moves", "second")
    assert str(second / "moves") in xml(host) and "default/moves" not in volumes(host)
    check_moved(guest, second / "moves", busy_disk)
    # Back; what is kept is nobody's.
    host.byre("vm", "disk", "move", host.vm, moving(host), "default", "--keep")
    assert str(host.pool_dir / "moves") in xml(host)
    now = volumes(host)
    assert now["second/moves"]["vm"] is None and now["default/moves"]["vm"] is not None
    assert not row(host)["needreboot"]
    host.byre("vol", "delete", "second/moves")


def move_slowly(host):
    host.byre("vm", "disk", "move", host.vm, moving(host), "second", "--bandwidth", "4M", "--no-wait")
    [job] = [j for j in host.json("list", "job") if j["kind"] == "vm.disk.move" and j["state"] not in ("done", "cancelled", "failed")]
    host.byre("wait", "job", job["_uuid"], "bytes_done>0", "--timeout", "60")
    return job["_uuid"]


def test_a_move_that_is_cancelled_leaves_the_disk_where_it_was(host, guest, second, busy_disk):
    job = move_slowly(host)
    done = host.byre("vol", "delete", "default/moves", check=False)
    assert done.returncode != 0
    host.byre("job", "cancel", job)
    host.byre("wait", "job", job, "state=cancelled", "--timeout", "60")
    assert str(host.pool_dir / "moves") in xml(host) and "<mirror" not in xml(host)
    host.byre("wait", "vm", host.vm, "observed_generation=%d" % row(host)["generation"])
    check_moved(guest, host.pool_dir / "moves", busy_disk)


def test_a_killed_agent_goes_on_with_a_move(host, guest, second, busy_disk):
    job = move_slowly(host)
    os.kill(host.pid("byre-agentd"), 9)
    host.byre("wait", "job", job, "state=done", "--timeout", str(tiny_guest.PATIENCE_S), seconds=tiny_guest.PATIENCE_S + 30)
    assert str(second / "moves") in xml(host) and "default/moves" not in volumes(host)
    guest.connect()
    guest.shell()
    check_moved(guest, second / "moves", busy_disk)


@pytest.fixture(scope="module")
def lan(host):
    name = "l" + host.prefix
    host.byre("network", "create", name, "--subnet", "192.168.%d.0/24" % (180 + os.getpid() % 60))
    yield name
    host.byre("vm", "iface", "remove", host.vm, name, check=False)
    host.byre("network", "delete", name, check=False)


def shaping(*words):
    return subprocess.run(["tc", *words], capture_output=True, text=True).stdout


def check_limits_of_a_card(host, lan, mac):
    """As libvirt and the kernel have them.  A kernel without the queues that libvirt makes refuses them, in words."""
    tap = re.search(r"<target dev='(vnet\d+)'/>", xml(host)).group(1)
    done = host.byre("vm", "iface", "set", host.vm, lan, "inbound=1000", "inbound_peak=2000", "outbound=500", check=False)
    if "qdisc kind is unknown" in done.stderr:
        assert done.returncode == 5
    else:
        assert done.returncode == 0, done.stderr
        tuned = dict(re.findall(r"(\S+?) *: (\d+)", virsh("domiftune", host.vm, mac)))
        assert (tuned["inbound.average"], tuned["inbound.peak"], tuned["outbound.average"]) == ("1000", "2000", "500")
        assert "8192Kbit" in shaping("class", "show", "dev", tap)  # 1000 KiB a second.
        assert "police" in shaping("filter", "show", "dev", tap, "parent", "ffff:")
    host.byre("vm", "iface", "set", host.vm, lan, "inbound=", "inbound_peak=", "outbound=")
    assert "police" not in shaping("filter", "show", "dev", tap, "parent", "ffff:")


@pytest.mark.skipif(os.geteuid() != 0, reason="networks need root")
def test_a_card_comes_and_goes(host, guest, lan):
    """As the guest sees it; its cable, too, and what libvirt and the kernel have of its limits."""
    cards = "ls /sys/class/net | grep -c eth"
    assert guest.run(cards) == "0"
    host.byre("vm", "iface", "add", host.vm, lan)
    guest.wait(cards, "1")
    [iface] = host.json("vm", "iface", "list", host.vm)
    assert guest.run("cat /sys/class/net/eth0/address") == iface["mac"]
    guest.run("ip link set eth0 up")
    guest.wait("cat /sys/class/net/eth0/carrier", "1")
    host.byre("vm", "iface", "set", host.vm, lan, "link_down=on")
    guest.wait("cat /sys/class/net/eth0/carrier", "0")
    host.byre("vm", "iface", "set", host.vm, lan, "link_down=off")
    guest.wait("cat /sys/class/net/eth0/carrier", "1")

    check_limits_of_a_card(host, lan, iface["mac"])
    host.byre("vm", "iface", "remove", host.vm, lan)
    guest.wait(cards, "0")
    assert not row(host)["needreboot"]


def test_limits_of_a_disk(host, guest):
    host.byre("vm", "disk", "set", host.vm, "vda", "total_iops_sec=500", "total_bytes_sec=50M")
    tuned = virsh("blkdeviotune", host.vm, "vda")
    assert re.search(r"total_iops_sec *: 500", tuned) and re.search(r"total_bytes_sec: %d" % (50 << 20), tuned)
    host.byre("vm", "disk", "set", host.vm, "vda", "total_iops_sec=", "total_bytes_sec=")
    assert re.search(r"total_iops_sec *: 0", virsh("blkdeviotune", host.vm, "vda"))
    done = host.byre("vm", "disk", "set", host.vm, "vda", "total_iops_sec=5", "read_iops_sec=5", check=False)
    assert done.returncode == 5 and "goes with none of reading or writing" in done.stderr
    host.byre("vm", "disk", "set", host.vm, "vda", "total_iops_sec=", "read_iops_sec=")


def test_what_cannot_change_waits_for_the_next_start(host, guest):
    done = host.byre("vm", "set", host.vm, "mem=200", "mem_max=200", "watchdog=reset")
    assert "with the next start: mem, mem_max, watchdog" in done.stdout, done.stdout
    assert row(host)["needreboot"] and row(host)["needreboot_columns"] == ["mem", "mem_max", "watchdog"]
    assert "mem, mem_max, watchdog" in host.byre("vm", "why", host.vm).stdout
    # Asking for what runs takes it back.
    host.byre("vm", "set", host.vm, "mem=104", "mem_max=144", "watchdog=")
    assert not row(host)["needreboot"] and row(host)["needreboot_columns"] == []


def test_an_agent_that_was_away_makes_the_change(host):
    os.kill(host.pid("byre-agentd"), 9)
    host.byre("vm", "set", host.vm, "mem=130", "description=more of it", "--no-wait")
    host.byre("wait", "vm", host.vm, "mem_actual=130", "--timeout", "60")
    assert "more of it" in virsh("desc", host.vm)
    assert row(host)["description"] == "more of it"


def test_the_guest_may_keep_a_disk(host):
    """A paused guest gives nothing back; it is said, and done once it can."""
    guest = tiny_guest.Console(host, host.vm).shell()  # The agent is another one.
    host.byre("vm", "disk", "attach", host.vm, "default/kept:8M")
    guest.wait("cat /sys/block/vdb/size", str((8 << 20) // 512))
    host.byre("vm", "pause", host.vm)
    done = host.byre("vm", "disk", "detach", host.vm, "default/kept", check=False)
    assert done.returncode == 5 and "byre vm resume" in done.stderr, done.stderr
    # Its file is deleted once the guest has given it back; until then the command waits.
    assert host.byre("vol", "delete", "default/kept", "--timeout", "1", check=False).returncode == 6
    assert (host.pool_dir / "kept").exists()
    host.byre("vm", "resume", host.vm)
    guest.wait("ls /sys/block | grep -c vd", "1")
    wait_for("the file to go", lambda: not (host.pool_dir / "kept").exists(), tiny_guest.PATIENCE_S)


def test_after_a_stop_and_a_start_nothing_waits(host, guest, second):
    host.byre("vm", "set", host.vm, "mem=120", "mem_max=160", "machine=pc")
    assert row(host)["needreboot"]
    host.byre("vm", "stop", "--force", host.vm)
    # While it is off its disks are but files.
    host.byre("vm", "disk", "resize", host.vm, "vda", "80M")
    host.byre("vm", "disk", "move", host.vm, "vda", "second", "--keep", "--name", "root")
    assert volumes(host)["default/" + host.vm]["vm"] is None
    done = host.byre("vm", "disk", "move", host.vm, "vda", "default", "--bandwidth", "1M", check=False)
    assert done.returncode == 2 and "does not" in done.stderr
    host.byre("vm", "start", host.vm)
    assert str(second / "root") in xml(host)
    console = tiny_guest.Console(host, host.vm)
    console.until("disk /dev/vda %d bytes, ext2 kept" % (80 << 20))
    assert not row(host)["needreboot"] and row(host)["needreboot_columns"] == []
    assert "pc-i440fx" in xml(host)
    host.byre("vm", "stop", "--force", host.vm)


# A row is a machine: what is set, and what libvirt then has of it.
DEFINED = [
    ("vcpu=2 vcpu_max=4 cpuset=0 vcpu_pin={1=0}", ["current='2'>4<", "<vcpupin vcpu='1' cpuset='0'/>"]),
    ("cpu_mode=custom cpu_model=Haswell cpu_cap=150", [">Haswell</model>", "<global_quota>150000</global_quota>"]),
    ("mem=64 mem_max=128 cputune=512 blkiotune=300", ["131072</memory>", "65536</currentMemory>", "<weight>300</weight>"]),
    ("display=vnc watchdog=poweroff on_crash=coredump-restart", ["<graphics type='vnc'", "action='poweroff'", "coredump-restart"]),
    ("firmware=efi", ["firmware='efi'", "/nvram/"]),
]


@pytest.mark.parametrize("columns,expected", DEFINED)
def test_libvirt_keeps_all_of_it(host, columns, expected):
    name = host.prefix + "-def"
    if "efi" in columns and not os.path.exists("/usr/share/OVMF"):
        done = host.byre("vm", "create", name, "--firmware", "efi", check=False)
        assert "ovmf" in done.stderr
        return
    host.byre("vm", "create", name, "--mem", "128")
    try:
        host.byre("vm", "set", name, *columns.split())
        defined = virsh("dumpxml", "--inactive", name)
        for words in expected:
            assert words in defined, defined
    finally:
        host.byre("vm", "delete", name)
