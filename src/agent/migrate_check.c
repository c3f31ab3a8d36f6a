/* agent/migrate_check.c: may the machine leave?  Each refusal says why, and what would help. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/migrate_i.h"

#include "base/fs.h"

#define DISCARD_PORT "9" /* Nothing is sent there: a route is asked for. */
#define ADDRESS_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_%"

bool
migrate_is_shared(const struct row_volume *volume)
{
    static const char *const shared[] = { "netfs", "iscsi", "scsi", "mpath" };
    const struct row_pool *pool = row_volume_get_pool(volume);
    const struct row_metapool *metapool = pool ? row_pool_get_metapool(pool) : NULL;

    for (size_t i = 0; i < N_ELEMS(shared); i++) {
        if (metapool && str_eq(metapool->type, shared[i])) {
            return true;
        }
    }
    return false;
}

bool
migrate_is_on(const struct row_vm *row)
{
    return str_eq(row->status, "running") || str_eq(row->status, "idle") ||
           str_eq(row->status, "paused") || str_eq(row->status, "suspended");
}

static MUST_CHECK struct err *
check_state(struct agent *a, const struct row_vm *row)
{
    struct uuid domain = model_vm_uuid(row);
    const struct virt_dom *seen = host_seen(a, &domain);

    if (str_eq(row->source, "libvirt")) {
        return err_hint(err_new(ERR_DENIED, "the machine is libvirt's, not Byre's"),
                        "use virsh migrate");
    } else if (row->migrate) {
        return err_hint(err_new(ERR_BUSY, "the machine is being moved already"),
                        "byre job list");
    } else if (!a->listed) {
        return err_hint(err_new(ERR_BUSY, "libvirt on this host does not answer"),
                        "byre node info tells why");
    } else if (seen && (seen->state == VIRT_CRASHED || seen->state == VIRT_SHUTDOWN)) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "the guest is %s", virt_state_name(seen->state)),
            "wait until it is off, or stop it with --force");
    } else if (str_eq(row->state, "deleted")) {
        return err_new(ERR_CONSTRAINT, "the machine is being deleted");
    } else if (vms_is_on(seen) && str_eq(row->state, "stopped")) {
        return err_hint(err_new(ERR_CONSTRAINT, "the machine is being stopped"),
                        "wait until it is off");
    }
    return NULL;
}

static MUST_CHECK struct err *
check_disks(struct agent *a, const struct row_vm *row, bool copy)
{
    ROW_FOR_EACH (struct row_device, device, row_device_table(a->replica)) {
        const struct row_volume *volume = row_device_get_volume(device);
        bool writes = str_eq(device->type, "disk") && !device->readonly;
        if (!uuid_eq(&device->vm, &row->base.uuid)) {
            continue;
        } else if (!volume && device->filepath) {
            return err_hint(err_new(ERR_CONSTRAINT, "%s %s is a path of this host: %s",
                                    device->type, device->targetdev, device->filepath),
                            "put it into a pool that both hosts have, or detach it");
        } else if (!volume || migrate_is_shared(volume)) {
            continue;
        } else if (!writes) {
            return err_hint(
                err_new(ERR_CONSTRAINT, "%s %s lies in a pool of this host alone: %s",
                        device->type, device->targetdev, volume->name),
                "move the volume to a shared pool, or detach it: byre vm detach %s %s",
                row->name, device->targetdev);
        } else if (!copy) {
            return err_hint(
                err_new(ERR_CONSTRAINT, "disk %s lies in a pool of this host alone: %s",
                        device->targetdev, volume->name),
                "--copy-storage copies it; or move the volume to a shared pool (netfs, "
                "iscsi, scsi, mpath)");
        } else if (row_volume_get_backing(volume)) {
            return err_hint(err_new(ERR_CONSTRAINT,
                                    "disk %s lies on another volume, which would stay",
                                    device->targetdev),
                            "make a copy of its own first: byre vol clone");
        } else if (!migrate_is_on(row)) {
            return err_hint(
                err_new(ERR_UNSUPPORTED,
                        "storage is copied by the machine's own QEMU, and it is off"),
                "start it first, or move its disks to a shared pool");
        }
    }
    return NULL;
}

/* What libvirt would refuse late, or what must not run beside it. */
static MUST_CHECK struct err *
check_others(struct agent *a, const struct row_vm *row, const struct row_job *job)
{
    ROW_FOR_EACH (struct row_snapshot, snapshot, row_snapshot_table(a->replica)) {
        if (uuid_eq(&snapshot->vm, &row->base.uuid)) {
            return err_hint(err_new(ERR_CONSTRAINT,
                                    "the machine has snapshots (%s): libvirt moves none",
                                    snapshot->name),
                            "byre vm snapshot delete %s %s", row->name, snapshot->name);
        }
    }
    ROW_FOR_EACH (struct row_job, other, row_job_table(a->replica)) {
        if (other != job && uuid_eq(&other->target, &row->base.uuid) &&
            job_is_open(other) && !str_eq(other->kind, "vm.receive")) {
            return err_hint(
                err_new(ERR_BUSY, "a job is under way with the machine: %s", other->kind),
                "wait for it: byre job list");
        }
    }
    return NULL;
}

/* "libvirt 9.0.0, QEMU 7.2.22" */
static int
libvirt_major(const char *version)
{
    int major = 0;
    return version && sscanf(version, "libvirt %d.", &major) == 1 ? major : 0;
}

static MUST_CHECK struct err *
check_there(struct agent *a, const struct row_vm *row, const struct row_hostnode *to)
{
    const struct row_hostnode *own = agent_own(a);
    bool kvm = typed_set_has(&to->hypervisors, "kvm");
    bool passthrough = str_eq(row->cpu_mode, "host-passthrough");

    if (!own || agent_is_own(a, &to->base.uuid)) {
        return err_new(ERR_CONSTRAINT, "the machine is on that host already");
    } else if (!str_eq(to->state, "online")) {
        return err_hint(
            err_new(ERR_BUSY, "host %s is %s", to->name, to->state ? to->state : "unknown"),
            "byre node info %s", to->name);
    } else if (to->maintenance) {
        return err_hint(err_new(ERR_CONSTRAINT, "host %s is in maintenance", to->name),
                        "byre node maintenance %s off", to->name);
    } else if (to->error) {
        return err_hint(err_new(ERR_BUSY, "libvirt does not work on host %s", to->name),
                        "byre node info %s tells why", to->name);
    } else if (libvirt_major(to->version) < libvirt_major(own->version)) {
        return err_hint(err_new(ERR_UNSUPPORTED, "host %s has an older libvirt: %s",
                                to->name, to->version ? to->version : "not known"),
                        "upgrade it; newer ones take machines from older ones only");
    } else if (passthrough && kvm && !str_eq(own->cpu_model, to->cpu_model)) {
        return err_hint(
            err_new(ERR_UNSUPPORTED,
                    "the guest has this host's very CPU (%s), host %s has another (%s)",
                    own->cpu_model ? own->cpu_model : "?", to->name,
                    to->cpu_model ? to->cpu_model : "?"),
            "byre vm set %s cpu_mode=host-model, and restart it", row->name);
    }
    return NULL;
}

struct err *
migrate_check(struct agent *a, const struct row_vm *row, const struct row_job *job)
{
    const struct row_hostnode *to = row_job_get_destination(job);

    if (!to) {
        return err_hint(err_new(ERR_NOT_FOUND, "the host to move to is not said"),
                        "byre vm migrate VM NODE");
    }
    TRY(check_state(a, row));
    TRY(check_others(a, row, job));
    TRY(check_there(a, row, to));
    return check_disks(a, row, typed_set_has(&job->options, "copy-storage"));
}

const char *
migrate_address(const struct row_hostnode *node)
{
    return node->migration_address ? node->migration_address
           : node->ip              ? node->ip
                                   : node->name;
}

static const struct row_cluster *
cluster_of(struct agent *a)
{
    ROW_FOR_EACH (struct row_cluster, cluster, row_cluster_table(a->replica)) {
        return cluster;
    }
    return NULL;
}

static const char *
transport(struct agent *a)
{
    const struct row_cluster *cluster = cluster_of(a);
    return cluster && cluster->migration_transport ? cluster->migration_transport : "tls";
}

bool
migrate_is_encrypted(struct agent *a)
{
    return str_eq(transport(a), "tls");
}

struct err *
migrate_uris(struct agent *a, const struct row_hostnode *to, char **ret_uri,
             char **ret_data_uri)
{
    const char *address = migrate_address(to), *uri = virt_uri(a->virt);
    bool v6 = strchr(address, ':') != NULL;

    if (!str_starts(uri, "qemu:")) {
        return err_new(ERR_UNSUPPORTED, "machines of %s cannot be moved", uri);
    } else if (address[strspn(address, ADDRESS_CHARS)] || *address == '-') {
        return err_hint(
            err_new(ERR_CONSTRAINT, "'%s' is no address of host %s", address, to->name),
            "byre set hostnode %s migration_address=ADDRESS", to->name);
    }
    *ret_uri = str_dupf("qemu+%s://%s%s%s/system", transport(a), v6 ? "[" : "", address,
                        v6 ? "]" : "");
    *ret_data_uri = str_dupf("tcp://%s%s%s", v6 ? "[" : "", address, v6 ? "]" : "");
    return NULL;
}

/* Megabits/s as the driver of the interface says; 0: it does not. */
static int64_t
speed_of(const char *interface)
{
    CLEANUP(free_drop) char *path = str_dupf("/sys/class/net/%s/speed", interface);
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    long long mbit = 0;

    struct err *e = fs_read(path, 64, &text);
    bool known = !e && sscanf(buf_cstr(&text), "%lld", &mbit) == 1 && mbit > 0;
    err_free(e);
    return known ? mbit : 0;
}

static bool
same_address(const struct sockaddr *x, const struct sockaddr *y)
{
    if (!x || x->sa_family != y->sa_family) {
        return false;
    } else if (x->sa_family == AF_INET) {
        return ((const struct sockaddr_in *) (const void *) x)->sin_addr.s_addr ==
               ((const struct sockaddr_in *) (const void *) y)->sin_addr.s_addr;
    }
    return x->sa_family == AF_INET6 &&
           memcmp(&((const struct sockaddr_in6 *) (const void *) x)->sin6_addr,
                  &((const struct sockaddr_in6 *) (const void *) y)->sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

/* The address that the kernel would send from.  False: there is no way. */
static bool
own_address(const char *address, struct sockaddr_storage *ret)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
    struct addrinfo *found = NULL;
    socklen_t n = sizeof *ret;
    bool known = false;

    if (getaddrinfo(address, DISCARD_PORT, &hints, &found) == 0 && found) {
        int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        known = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&
                getsockname(fd, (struct sockaddr *) ret, &n) == 0;
        if (fd >= 0) {
            close(fd);
        }
        freeaddrinfo(found);
    }
    return known;
}

int64_t
migrate_link(const char *address)
{
    struct sockaddr_storage own;
    struct ifaddrs *all = NULL;
    int64_t mbit = 0;

    if (!own_address(address, &own) || getifaddrs(&all) != 0) {
        return 0;
    }
    for (const struct ifaddrs *i = all; i && mbit == 0; i = i->ifa_next) {
        if (same_address(i->ifa_addr, (struct sockaddr *) &own)) {
            mbit = speed_of(i->ifa_name);
        }
    }
    freeifaddrs(all);
    return mbit * 1000000 / 8;
}
