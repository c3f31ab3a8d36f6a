# shellcheck shell=bash
# What ./run and ./test need from the host: libvirt, and a way for its guests to their disks.

am_root()
{
    [ "$(id -u)" = 0 ]
}

# answers SOCKET: is somebody listening?
answers()
{
    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect(sys.argv[1])' "$1" 2> /dev/null
}

wait_for_socket()
{
    for _ in $(seq 100); do
        if answers "$1"; then return 0; fi
        sleep 0.2
    done
    echo "nobody listens on $1"
    return 1
}

# libvirt gives each machine a view of the file systems of its own.  In a bare chroot it cannot: / is
# no mount point there, and a process that enters a name space leaves the chroot.
fit_libvirt_to_chroot()
{
    local conf=/etc/libvirt/qemu.conf
    if ! grep -q '^[^ ]* [^ ]* [^ ]* [^ ]* / ' /proc/self/mountinfo && ! grep -q '^namespaces' $conf; then
        printf '\n# This is a chroot, where machines cannot have mount name spaces.\nnamespaces = []\n' >> $conf
        echo "$conf: namespaces = []"
    fi
}

# start_libvirt FILE: root's; an ordinary user's own is started by the library itself.  FILE then
# names what was started.
start_libvirt()
{
    local dir=/run/libvirt
    if answers $dir/libvirt-sock; then return 0; fi
    if [ -d /run/systemd/system ]; then
        systemctl start virtlogd.socket libvirtd.socket libvirtd.service
    else
        # Without an init a chroot may lack the pseudo terminals that consoles need.
        if [ ! -e /dev/pts/ptmx ]; then
            mkdir -p /dev/pts && mount -t devpts -o ptmxmode=0666,mode=0620,gid=5 devpts /dev/pts
        fi
        mkdir -p /run/lock # libvirt locks each console it opens there.
        # Without udev /dev/kvm is root's alone; libvirt then finds QEMU's abilities changed at each
        # look and asks QEMU again, for seconds.  By user and not by group: chroots may share /dev,
        # and Debian has one number for this user but not for the group kvm.
        if [ -e /dev/kvm ] && id libvirt-qemu > /dev/null 2>&1; then
            setfacl -m u:libvirt-qemu:rw /dev/kvm || true
        fi
        if ! answers $dir/virtlogd-sock; then
            virtlogd -d
            echo virtlogd >> "$1"
        fi
        fit_libvirt_to_chroot
        libvirtd -d
        echo libvirtd >> "$1"
    fi
    wait_for_socket $dir/libvirt-sock
}

# stop_libvirt FILE: ends what start_libvirt started, unless machines still run there.
stop_libvirt()
{
    local name
    if [ -f "$1" ] && ! compgen -G '/run/libvirt/qemu/*.xml' > /dev/null; then
        for name in libvirtd virtlogd; do
            if grep -qx $name "$1" && [ -s /run/$name.pid ]; then
                kill "$(cat /run/$name.pid)" 2> /dev/null || true
            fi
        done
        rm -f "$1"
    fi
}

# libvirt runs root's machines as the user libvirt-qemu, who must be able to walk to their disks.
# closed_path DIR: prints those of its parents, and itself, through which that user cannot pass.
closed_path()
{
    local user=libvirt-qemu dir=$1
    id $user > /dev/null 2>&1 || return 0
    while [ "$dir" != / ]; do
        # Below a closed directory nothing can be tried, so what others may do decides as well.
        if ! runuser -u $user -- test -x "$dir"; then
            case $(stat -c %A "$dir") in
            *[xt]) ;;
            *) echo "$dir" ;;
            esac
        fi
        dir=$(dirname "$dir")
    done
}

# open_path DIR: lets it pass.
open_path()
{
    local dir
    closed_path "$1" | while read -r dir; do
        setfacl -m u:libvirt-qemu:--x "$dir"
    done
    ! id libvirt-qemu > /dev/null 2>&1 || runuser -u libvirt-qemu -- test -x "$1"
}
