"""Storage servers in a throwaway host: an NFS server, an iSCSI target.  On this very host or on another node."""

import os
import pathlib
import subprocess

from guest import run, sh, wait_for


def daemon(*command):
    """Starts what goes into the background but keeps its output open."""
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=300)


def nfs(*exports):
    """nfsd, with these directories (such as /srv/x) on a disk of its own, which is given first as '/dev/...'."""
    device, exports = exports[0], exports[1:]
    run("modprobe", "nfsd")
    run("modprobe", "nfs")
    run("mkfs.ext4", "-qF", device)
    os.makedirs("/export", exist_ok=True)
    run("mount", device, "/export")
    for directory in exports:
        os.makedirs("/export" + directory, exist_ok=True)
    pathlib.Path("/etc/nfs.conf.d").mkdir(exist_ok=True)
    pathlib.Path("/etc/nfs.conf.d/testhost.conf").write_text("[exports]\nrootdir=/export\n")
    pathlib.Path("/etc/exports").write_text("".join(
        '"%s" *(rw,no_root_squash,no_subtree_check,fsid=%d)\n' % (directory, i + 1) for i, directory in enumerate(exports)))
    os.makedirs("/run/rpcbind", exist_ok=True)
    run("rpcbind", "-w")
    sh("mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd")
    for name, value in (("fs/nfsd/nfsv4leasetime", 10), ("fs/nfsd/nfsv4gracetime", 10), ("sys/fs/nfs/nlm_grace_period", 1)):
        path = pathlib.Path("/proc") / name
        if path.exists():
            path.write_text("%d\n" % value)
    run("exportfs", "-ra")
    run("rpc.statd")
    run("rpc.mountd")
    nfsd(True)


def nfsd(on):
    """Starts or stops the server's threads: a stopped server answers nobody."""
    run("rpc.nfsd", "4" if on else "0")


def tgt():
    """tgtd and iscsid, without a target."""
    run("modprobe", "iscsi_tcp")
    pathlib.Path("/etc/iscsi/nodes").mkdir(exist_ok=True)
    for place in ("/etc/iscsi/nodes", "/etc/iscsi/ifaces", "/etc/iscsi/static", "/etc/iscsi/send_targets"):
        os.makedirs(place, exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", place)
    daemon("tgtd")
    wait_for("tgtd", lambda: "iscsi: ready" in run("tgtadm", "--lld", "iscsi", "--op", "show", "--mode", "sys", check=False))
    daemon("iscsid")


def tgtadm(operation, mode, **options):
    words = []
    for name, value in options.items():
        words += ["--" + name.replace("_", "-"), str(value)]
    return run("tgtadm", "--lld", "iscsi", "--op", operation, "--mode", mode, *words)


def target(tid, iqn):
    tgtadm("new", "target", tid=tid, targetname=iqn)
    tgtadm("bind", "target", tid=tid, initiator_address="ALL")


def lun(tid, number, mib):
    """A LUN on a sparse file."""
    path = "/var/tmp/lun-%d-%d.img" % (tid, number)
    run("truncate", "-s", "%dM" % mib, path)
    tgtadm("new", "logicalunit", tid=tid, lun=number, backing_store=path)
    return path
