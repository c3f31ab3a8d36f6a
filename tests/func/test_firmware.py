"""UEFI and TPM as a guest sees them: it was booted by that firmware, and what it tells the two to remember stays with the machine
through stop, start and another name, and goes away with it."""

import os
import pathlib

import pytest

import tiny_guest
from host import Host, libvirt_uri, temporary_state, virsh

FIRMWARE = "/usr/share/OVMF"
TPM_STATE = pathlib.Path("/var/lib/libvirt/swtpm")  # Of the system's libvirt.
VARIABLE = "/sys/firmware/efi/efivars/Byre-6c1dd0c4-3a54-4a2b-9a4c-9f6b7f3f5a10"

pytestmark = [pytest.mark.skipif(libvirt_uri() is None, reason="no libvirt answers"),
              pytest.mark.skipif(not os.path.exists(FIRMWARE), reason="no UEFI firmware here")]


@pytest.fixture(scope="module")
def host(builddir):
    host = Host(builddir, temporary_state(), prefix="bu%d" % os.getpid())
    try:
        host.start()
        host.join()
        tiny_guest.template(host, "console=ttyS0 quiet no_timer_check")  # That check hopes for a timer in time.
        host.vm = host.prefix + "-a"
        host.byre("vm", "create", host.vm, "--mem", "192", "--vmi", "tiny", "--firmware", "efi", "--tpm", "--start")
        host.uuid = host.json("vm", "info", host.vm)["uuid"]
        yield host
    finally:
        host.destroy()


class Guest(tiny_guest.Console):
    def __init__(self, host, name):
        super().__init__(host, name)
        self.until("is up", 2 * tiny_guest.PATIENCE_S)  # A key before it would be the firmware's, which takes its time, too.
        self.shell()
        self.run("insmod /modules/efivarfs.ko; mount -t efivarfs none /sys/firmware/efi/efivars")

    def resets(self):
        """How often this TPM began anew (TPM2_ReadClock, part 3 of the TPM 2.0 library, 29.1): a new one would count from the start."""
        answer = self.run(r"printf '\200\001\000\000\000\012\000\000\001\201' > /tmp/ask; exec 5<>/dev/tpm0; cat /tmp/ask >&5; "
                          "busybox dd bs=64 count=1 <&5 2>/dev/null | busybox xxd -p -c 64; exec 5<&-")
        answer = bytes.fromhex(answer)
        assert int.from_bytes(answer[2:6], "big") == len(answer) and answer[6:10] == bytes(4), answer  # No error.
        return int.from_bytes(answer[26:30], "big")


@pytest.fixture(scope="module")
def guest(host):
    return Guest(host, host.vm)


def nvram(host):
    return [path.name for path in (host.state / "nvram").iterdir()]


def test_it_was_booted_by_uefi(host, guest):
    assert guest.run("ls -d /sys/firmware/efi") == "/sys/firmware/efi"
    assert guest.run("cat /sys/firmware/efi/fw_platform_size") == "64"
    assert "/OVMF/" in virsh("dumpxml", host.vm) and nvram(host) == [host.uuid + ".fd"]


def test_other_hardware_is_all_that_differs(host, guest):
    """libvirt shows the file that it chose, not the word that the row has."""
    host.byre("vm", "set", host.vm, "watchdog=reset")
    assert host.json("vm", "info", host.vm)["needreboot_columns"] == ["watchdog"]
    host.byre("vm", "set", host.vm, "watchdog=")


def test_it_has_a_tpm(host, guest):
    assert guest.run("cat /sys/class/tpm/tpm0/tpm_version_major") == "2"
    # Measured: the firmware told the TPM what it booted.
    measured = guest.run("cat /sys/class/tpm/tpm0/pcr-sha256/0")
    assert len(measured) == 64 and measured.strip("0")


def test_they_remember(host, guest):
    """A stop, another name, a start."""
    guest.run(r"printf '\007\000\000\000kept' > %s" % VARIABLE)  # Non-volatile, for boot and runtime.
    assert guest.run("tail -c 4 %s" % VARIABLE) == "kept"
    resets = guest.resets()
    host.byre("vm", "stop", "--force", host.vm)
    guest.close()
    assert nvram(host) == [host.uuid + ".fd"]
    host.byre("vm", "rename", host.vm, host.vm + "x")
    host.vm += "x"
    assert host.vm in virsh("list", "--all", "--name").split() and nvram(host) == [host.uuid + ".fd"]
    host.byre("vm", "start", host.vm)
    again = Guest(host, host.vm)
    assert again.run("tail -c 4 %s" % VARIABLE) == "kept"
    assert again.resets() == resets + 1
    again.close()


def test_they_go_with_the_machine(host):
    host.byre("vm", "delete", host.vm)
    assert nvram(host) == []
    if os.geteuid() == 0:
        assert not (TPM_STATE / host.uuid).exists()
