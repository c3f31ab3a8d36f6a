"""Debian's ovs-ctl and ovn-ctl, which the units of openvswitch-switch and ovn-central call, with byre-dbd under the name
ovsdb-server and byre-dbtool under that of ovsdb-tool: the same lines print what they print with the originals.

The scripts come from openvswitch-switch, ovn-common and ovn-central; $OVS_PREFIX may name a directory in which these were
unpacked.  They run in a directory of their own, by the variables that they have for it; there is no ovs-vswitchd: all is
about the database.
"""

import difflib
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from conftest import ASAN
from rpc import wait_for

PREFIX = pathlib.Path(os.environ.get("OVS_PREFIX", "/"))
OVS_LIB = pathlib.Path("/usr/share/openvswitch/scripts/ovs-lib")  # Of openvswitch-common.

if not (PREFIX / "usr/share/openvswitch/scripts/ovs-ctl").exists() or not (PREFIX / "usr/share/ovn/scripts/ovn-ctl").exists():
    pytest.skip("openvswitch-switch and ovn-central are not installed; OVS_PREFIX may say where they are unpacked", allow_module_level=True)

OVS = """
ovs() { sh "$SHARE/openvswitch/scripts/ovs-ctl" --no-ovs-vswitchd --no-monitor --system-id=fixed --no-record-hostname "$@" 2>&1; echo "status $?"; }
vsctl() { ovs-vsctl --no-wait --db=unix:$OVS_RUNDIR/db.sock "$@"; }
"""
OVN = """
ovn() { sh "$SHARE/ovn/scripts/ovn-ctl" "$@" 2>&1; echo "status $?"; }
nbctl() { ovn-nbctl --db=unix:$OVN_RUNDIR/ovnnb_db.sock "$@"; }
"""

SCRIPTS = [
    ("the service starts, restarts and ends", OVS + """
ovs status; ovs start; ovs status; vsctl add-br br0; ovs start; ovs restart; vsctl list-br
vsctl get Open_vSwitch . external-ids:system-id db-version; ovs stop; ovs status; ls $OVS_RUNDIR"""),
    ("watched over", OVS + """
ovs --monitor start; vsctl add-br br0; kill -ABRT $(cat $OVS_RUNDIR/ovsdb-server.pid)
for i in $(seq 300); do vsctl list-br 2> /dev/null && break; sleep 0.1; done; ovs stop; ls $OVS_RUNDIR"""),
    ("another database beside it", OVS + """
ovsdb-tool create $OVS_DBDIR/nb.db $SHARE/ovn/ovn-nb.ovsschema; echo junk > $OVS_DBDIR/junk.db
ovs --extra-dbs=nb.db start; ovsdb-client list-dbs unix:$OVS_RUNDIR/db.sock; ovs stop
ovs --extra-dbs=none.db start; ovs stop; ovs --extra-dbs=junk.db start | grep -v tool; ovs stop"""),
    ("an older schema is converted, a copy is kept", OVS + """
ovs start; vsctl add-br br0; ovs stop
sed 's/"version": "[0-9.]*"/"version": "1.0.0"/; /"cksum"/d; s/"next_cfg": /"old_cfg": /' $SHARE/openvswitch/vswitch.ovsschema > old
ovsdb-tool convert $OVS_DBDIR/conf.db old; ovsdb-tool db-version $OVS_DBDIR/conf.db
ovs start; ovsdb-tool db-version $OVS_DBDIR/conf.db | diff - <(ovsdb-tool schema-version $SHARE/openvswitch/vswitch.ovsschema) && echo converted
ls $OVS_DBDIR | grep backup; vsctl list-br; ovs stop"""),
    ("what is no database does not start", OVS + "echo junk > $OVS_DBDIR/conf.db; ovs start | tail -2; cat $OVS_DBDIR/conf.db; ovs stop"),
    ("OVN's two databases", OVN + """
ovn start_ovsdb; ovn status_ovsdb; ovn status_ovnnb; ovn status_ovnsb; nbctl ls-add sw0; nbctl ls-list | sed 's/.*(/(/'
ovn restart_ovsdb; nbctl ls-list | sed 's/.*(/(/'; ovn stop_ovsdb; ovn status_ovsdb; ovn status_ovnnb; ls $OVN_RUNDIR"""),
    ("one becomes the backup, and active again", OVN + """
ovn start_ovsdb; ovn --db-nb-sync-from-addr=127.0.0.1 --db-nb-sync-from-port=1 demote_ovnnb; ovn status_ovnnb
nbctl ls-add no 2>&1 | grep -c 'read only mode'; ovn promote_ovnnb; ovn status_ovnnb; nbctl ls-add yes; ovn stop_ovsdb
ovn --db-nb-sync-from-addr=127.0.0.1 --db-nb-sync-from-port=1 start_nb_ovsdb 2>&1 | tail -1; ovn status_ovnnb; ovn stop_nb_ovsdb"""),
    ("a relay, whose remotes are in the database", OVN + """
ovn start_sb_ovsdb; ovn --db-sb-relay-remote=unix:$OVN_RUNDIR/ovnsb_db.sock start_sb_relay_ovsdb
ovsdb-client -t 20 wait unix:$OVN_RUNDIR/ovnsb_relay_db.sock OVN_Southbound connected 2> /dev/null; echo $?
ovn-sbctl --no-leader-only --db=unix:$OVN_RUNDIR/ovnsb_relay_db.sock set-connection punix:$OVN_RUNDIR/more.sock 2>&1
for i in $(seq 100); do ovn-sbctl --no-leader-only --db=unix:$OVN_RUNDIR/more.sock get-connection 2> /dev/null && break; sleep 0.1; done
ovn stop_sb_relay_ovsdb; ovn stop_sb_ovsdb; ls $OVN_RUNDIR"""),
]


def furnish(work, program, server, tool):
    """The directories and programs that the scripts are told of; the environment that tells them."""
    share, bin_dir = work / "share", work / "bin"
    shutil.copytree(PREFIX / "usr/share/openvswitch", share / "openvswitch")
    shutil.copytree(PREFIX / "usr/share/ovn", share / "ovn")
    shutil.copy(OVS_LIB, share / "openvswitch/scripts/ovs-lib")
    for directory in ("bin", "run", "log", "db", "etc/openvswitch", "etc/ovn"):
        (work / directory).mkdir(parents=True)
    for name, path in {"ovsdb-server": program(server), "ovsdb-tool": program(tool), "ovs-appctl": program("ovs-appctl"),
                       "ovn-appctl": program("ovs-appctl"), "ovsdb-client": program("ovsdb-client"),
                       **{name: PREFIX / "usr/bin" / name for name in ("ovs-vsctl", "ovn-nbctl", "ovn-sbctl")}}.items():
        (bin_dir / name).symlink_to(path)
    daemon = bin_dir / "ovs-vswitchd"  # The scripts ask it for its version only.
    daemon.write_text("#!/bin/sh\necho 'ovs-vswitchd (Open vSwitch) 3.1.0'\n")
    daemon.chmod(0o755)
    env = dict(os.environ, **ASAN, LC_ALL="C", PATH="%s:%s" % (bin_dir, os.environ["PATH"]), SHARE=str(share))
    for prefix, package in (("OVS", "openvswitch"), ("OVN", "ovn")):
        env.update({prefix + "_" + name: str(work / place) for name, place in (
            ("RUNDIR", "run"), ("LOGDIR", "log"), ("DBDIR", "db"), ("SYSCONFDIR", "etc"), ("BINDIR", "bin"), ("SBINDIR", "bin"),
            ("PKGDATADIR", "share/" + package))})
    return env


def end_what_is_left(work):
    for pidfile in (work / "run").glob("*.pid"):
        pid = int(pidfile.read_text())
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        wait_for("its end", lambda: not pathlib.Path("/proc/%d" % pid).exists())


def run(script, work, program, server, tool):
    work.mkdir()
    env = furnish(work, program, server, tool)
    try:
        done = subprocess.run(["bash", "-c", script], cwd=work, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=200)
    finally:
        end_what_is_left(work)
    for log in (work / "log").iterdir():
        assert "Sanitizer" not in log.read_text(errors="replace"), log.read_text()
    assert "Sanitizer" not in done.stdout, done.stdout
    text = done.stdout.replace(str(work), "DIR")
    text = re.sub(r"(Exiting|Killing) (\w+|ovsdb-server) \(\d+\)", r"Ending \2", text)  # How depends on the version.
    return re.sub(r"(pid |\.)\d{2,}", r"\1N", text)


@pytest.mark.parametrize("what, script", SCRIPTS, ids=[s[0] for s in SCRIPTS])
def test_same_output(program, state_dir, what, script):
    want = run(script, state_dir / "a", program, "ovsdb-server", "ovsdb-tool")
    got = run(script, state_dir / "b", program, "byre-dbd", "byre-dbtool")
    difference = "\n".join(difflib.unified_diff(want.splitlines(), got.splitlines(), "ovsdb-server", "byre-dbd", lineterm=""))
    assert not difference, difference
