/* agent/bridge.c: see bridge.h.  The kernel's older interface, ioctl(2), does all that is needed:
 * netdevice(7), linux/if_bridge.h, linux/if_vlan.h; names and states are files of sysfs.
 *
 * A card with addresses is refused: they would have to move to the bridge, and who does that over
 * this very card loses the host.  That is for the host's own configuration. */
#include "agent/bridge.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if_vlan.h>
#include <linux/sockios.h>

#include "base/fs.h"
#include "base/str.h"

#define ALIAS_MAX_BYTES 300

static char *
sys_path(const char *interface, const char *what)
{
    return str_dupf("/sys/class/net/%s/%s", interface, what);
}

static bool
sys_has(const char *interface, const char *what)
{
    CLEANUP(free_drop) char *path = sys_path(interface, what);
    return access(path, F_OK) == 0;
}

/* "eth1", or "eth1.5" for VLAN 5. */
static void
port_name(const char *nic, int64_t vlan, char ret[IFNAMSIZ])
{
    snprintf(ret, IFNAMSIZ, vlan ? "%s.%" PRId64 : "%s", nic, vlan);
}

static bool
is_port_of(const char *port, const char *bridge)
{
    CLEANUP(free_drop) char *name = str_dupf("brif/%s", port);
    return sys_has(bridge, name);
}

struct bridge_look
bridge_look(const char *name, const struct uuid *row, const char *nic, int64_t vlan)
{
    struct bridge_look look = { .exists = sys_has(name, "bridge") };
    CLEANUP(free_drop) char *path = sys_path(name, "ifalias");
    CLEANUP(free_drop) char *mark = str_dupf("byre:%s\n", UUID_TEXT(row));
    CLEANUP(buf_done) struct buf alias = BUF_INIT;
    char port[IFNAMSIZ];

    look.other = !look.exists && sys_has(name, "ifindex");
    if (look.exists) {
        struct err *e = fs_read(path, ALIAS_MAX_BYTES, &alias);
        look.ours = !e && str_eq(buf_cstr(&alias), mark);
        err_free(e);
    }
    if (look.exists && nic) {
        port_name(nic, vlan, port);
        look.attached = is_port_of(port, name);
    }
    return look;
}

/* A socket for ioctl(2). */
static struct err *
control(int *ret)
{
    *ret = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return *ret < 0 ? err_io(errno, "socket") : NULL;
}

static struct ifreq
request(const char *interface)
{
    struct ifreq r = { .ifr_flags = 0 };
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", interface);
    return r;
}

static struct err *
set_up(int fd, const char *interface, bool up)
{
    struct ifreq r = request(interface);

    if (ioctl(fd, SIOCGIFFLAGS, &r) < 0) {
        return err_io(errno, "flags of %s", interface);
    }
    r.ifr_flags = (short) (up ? r.ifr_flags | IFF_UP : r.ifr_flags & ~IFF_UP);
    return ioctl(fd, SIOCSIFFLAGS, &r) < 0 ? err_io(errno, "set %s up", interface) : NULL;
}

/* The address it has, as a link-local one, does not count: it goes with the interface. */
static bool
has_address(const char *nic)
{
    struct ifaddrs *list;
    bool has = false;

    if (getifaddrs(&list) < 0) {
        return true; /* Nobody knows. */
    }
    for (const struct ifaddrs *i = list; i && !has; i = i->ifa_next) {
        int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
        has = str_eq(i->ifa_name, nic) &&
              (family == AF_INET ||
               (family == AF_INET6 &&
                !IN6_IS_ADDR_LINKLOCAL(
                    &((struct sockaddr_in6 *) (void *) i->ifa_addr)->sin6_addr)));
    }
    freeifaddrs(list);
    return has;
}

static struct err *
check_nic(const char *bridge, const char *nic, const char *port)
{
    if (!sys_has(nic, "ifindex")) {
        return err_hint(err_new(ERR_CONSTRAINT, "there is no network card %s", nic),
                        "name one that 'ip link' lists on this host");
    } else if (has_address(port)) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "%s has addresses of its own", port),
            "make the bridge in the host's own configuration, and let the network "
            "name it");
    } else if (sys_has(port, "brport") && !is_port_of(port, bridge)) {
        return err_hint(err_new(ERR_CONSTRAINT, "%s is part of another bridge", port),
                        "take another card, or let the network name that bridge");
    }
    return NULL;
}

static struct err *
write_sys(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    bool ok = f && fputs(text, f) >= 0;
    int error = errno;

    ok &= f && fclose(f) == 0;
    return ok ? NULL : err_io(error, "%s", path);
}

static struct err *
add_vlan(int fd, const char *nic, int64_t vlan, const char *port)
{
    struct vlan_ioctl_args args = { .cmd = ADD_VLAN_CMD };

    if (sys_has(port, "ifindex")) {
        return NULL;
    }
    snprintf(args.device1, sizeof args.device1, "%s", nic);
    args.u.VID = (int) vlan;
    if (ioctl(fd, SIOCSIFVLAN, &args) < 0) {
        return err_hint(err_io(errno, "VLAN %" PRId64 " of %s", vlan, nic),
                        "see whether this kernel has 802.1q (modprobe 8021q)");
    }
    return sys_has(port, "ifindex")
               ? NULL
               : err_new(ERR_UNSUPPORTED, "the kernel did not name it %s", port);
}

/* The host itself is no host of that network: no address of its own comes up on it. */
static void
keep_host_out(const char *name)
{
    CLEANUP(free_drop)
    char *path = str_dupf("/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    err_free(write_sys(path, "1")); /* A kernel without IPv6 has none. */
}

static struct err *
add_bridge(int fd, const char *name, const struct uuid *row)
{
    CLEANUP(free_drop) char *path = sys_path(name, "ifalias");
    CLEANUP(free_drop) char *mark = str_dupf("byre:%s", UUID_TEXT(row));

    if (ioctl(fd, SIOCBRADDBR, name) < 0) {
        return err_io(errno, "make bridge %s", name);
    }
    keep_host_out(name);
    struct err *e = write_sys(path, mark);
    if (e) {
        ioctl(fd, SIOCBRDELBR, name);
    }
    return e;
}

static struct err *
attach(int fd, const char *name, const char *port, int64_t mtu)
{
    struct ifreq r = request(port);

    if (mtu) {
        r.ifr_mtu = (int) mtu;
        if (ioctl(fd, SIOCSIFMTU, &r) < 0) {
            return err_io(errno, "MTU %" PRId64 " of %s", mtu, port);
        }
    }
    if (!is_port_of(port, name)) {
        r = request(name);
        r.ifr_ifindex = (int) if_nametoindex(port);
        if (ioctl(fd, SIOCBRADDIF, &r) < 0) {
            return err_io(errno, "make %s a port of %s", port, name);
        }
    }
    return set_up(fd, port, true);
}

struct err *
bridge_make(const char *name, const struct uuid *row, const char *nic, int64_t vlan,
            int64_t mtu)
{
    struct bridge_look look = bridge_look(name, row, nic, vlan);
    CLEANUP(fd_done) int fd = -1;
    char port[IFNAMSIZ];

    port_name(nic, vlan, port);
    if (look.other || (look.exists && !look.ours)) {
        return err_hint(err_new(ERR_EXISTS, "%s is there already, and not Byre's", name),
                        "give the network another bridge name, or none and no NIC");
    }
    TRY(check_nic(name, nic, port));
    TRY(control(&fd));
    if (vlan) {
        TRY(add_vlan(fd, nic, vlan, port));
        TRY(set_up(fd, nic, true));
    }
    if (!look.exists) {
        TRY(add_bridge(fd, name, row));
    }
    TRY(attach(fd, name, port, mtu));
    return set_up(fd, name, true);
}

struct err *
bridge_remove(const char *name, const struct uuid *row, const char *nic, int64_t vlan)
{
    struct bridge_look look = bridge_look(name, row, nic, vlan);
    CLEANUP(fd_done) int fd = -1;
    char port[IFNAMSIZ];

    if (!look.ours) {
        return NULL;
    }
    TRY(control(&fd));
    TRY(set_up(fd, name, false));
    if (ioctl(fd, SIOCBRDELBR, name) < 0) {
        return err_io(errno, "remove bridge %s", name);
    }
    if (nic && vlan) {
        struct vlan_ioctl_args args = { .cmd = DEL_VLAN_CMD };
        port_name(nic, vlan, port);
        snprintf(args.device1, sizeof args.device1, "%s", port);
        if (sys_has(port, "ifindex") && ioctl(fd, SIOCSIFVLAN, &args) < 0) {
            return err_io(errno, "remove %s", port);
        }
    }
    return NULL;
}
