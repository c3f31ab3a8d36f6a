/* engine/hosts.c: SCSI host adapters and virtual Fibre Channel ports, by sysfs.
 *
 *     /sys/class/scsi_host/host3 -> ../../devices/pci0000:00/0000:00:10.0/virtio1/host3/scsi_host/host3
 *     /sys/class/scsi_host/host3/{scan,unique_id}
 *     /sys/class/fc_host/host5/{port_name,node_name,fabric_name,vport_create,vport_delete} */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/luns_i.h"
#include "store/code.h"

#define ATTRIBUTE_MAX_BYTES 4096

struct luns_roots luns_roots = { "/sys", "/run/udev/data" };

char *
sys_read(const char *path)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct err *e = fs_read(path, ATTRIBUTE_MAX_BYTES, &text);
    if (e) {
        err_free(e);
        return NULL;
    }
    return str_dup_n(text.data, strcspn(text.data, "\n"));
}

char *
sys_attribute(const char *class, const char *object, const char *name)
{
    CLEANUP(free_drop)
    char *path = str_dupf("%s/class/%s/%s/%s", luns_roots.sys, class, object, name);
    return sys_read(path);
}

struct err *
sys_write(const char *path, const char *text)
{
    CLEANUP(fd_done) int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = (ssize_t) strlen(text);
    if (fd < 0) {
        return engine_io(errno, "Could not open '%s'", path);
    } else if (write(fd, text, (size_t) n) != n) {
        return engine_io(errno, "Write of '%s' to '%s' failed", text, path);
    }
    return NULL;
}

struct strvec
sys_list(const char *dir)
{
    struct strvec names = STRVEC_INIT;
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && names.n < HOSTS_MAX && (entry = readdir(d));) {
        if (entry->d_name[0] != '.') {
            strvec_add(&names, entry->d_name);
        }
    }
    if (d) {
        closedir(d);
    }
    strvec_sort(&names);
    return names;
}

/* "0xabcdef..." or "abcdef...", in any case. */
static bool
same_wwn(const char *a, const char *b)
{
    if (!a || !b) {
        return false;
    }
    a += str_starts(a, "0x") ? 2 : 0;
    b += str_starts(b, "0x") ? 2 : 0;
    return strcasecmp(a, b) == 0;
}

/* The first fc_host of which the attributes are these; NULL ones do not count. */
static char *
find_fc_host(const char *wwnn, const char *wwpn, const char *fabric)
{
    CLEANUP(free_drop) char *dir = str_dupf("%s/class/fc_host", luns_roots.sys);
    CLEANUP(strvec_done) struct strvec hosts = sys_list(dir);
    for (size_t i = 0; i < hosts.n; i++) {
        CLEANUP(free_drop) char *node = sys_attribute("fc_host", hosts.v[i], "node_name");
        CLEANUP(free_drop) char *port = sys_attribute("fc_host", hosts.v[i], "port_name");
        CLEANUP(free_drop) char *name = sys_attribute("fc_host", hosts.v[i], "fabric_name");
        if ((!wwnn || same_wwn(node, wwnn)) && (!wwpn || same_wwn(port, wwpn)) &&
            (!fabric || same_wwn(name, fabric))) {
            return str_dup(hosts.v[i]);
        }
    }
    return NULL;
}

/* Is 'host' below that PCI device, with that number? */
static bool
is_at(const char *host, const struct pool_adapter *a)
{
    char real[PATH_MAX];
    CLEANUP(free_drop) char *link = str_dupf("%s/class/scsi_host/%s", luns_roots.sys, host);
    CLEANUP(free_drop)
    char *pci = str_dupf("/%04x:%02x:%02x.%x/", a->domain, a->bus, a->slot, a->function);
    CLEANUP(free_drop) char *id_path = str_dupf("%s/unique_id", link);
    ssize_t n = readlink(link, real, sizeof real - 1);
    real[n > 0 ? n : 0] = '\0';
    CLEANUP(free_drop) char *id = sys_read(id_path);
    return strstr(real, pci) && id && atoi(id) == a->unique_id;
}

static char *
find_parentaddr(const struct pool_adapter *a)
{
    CLEANUP(free_drop) char *dir = str_dupf("%s/class/scsi_host", luns_roots.sys);
    CLEANUP(strvec_done) struct strvec hosts = sys_list(dir);
    for (size_t i = 0; i < hosts.n; i++) {
        if (is_at(hosts.v[i], a)) {
            return str_dup(hosts.v[i]);
        }
    }
    return NULL;
}

/* "hostN" of the adapter; NULL: it is not there. */
static char *
find_host(const struct pool_adapter *a)
{
    char *host = a->type == ADAPTER_FC_HOST ? find_fc_host(a->wwnn, a->wwpn, NULL)
                 : a->has_parentaddr        ? find_parentaddr(a)
                                     : str_dupf("host%d", pool_scsi_host_number(a->name));
    CLEANUP(free_drop)
    char *path = host ? str_dupf("%s/class/scsi_host/%s", luns_roots.sys, host) : NULL;
    if (path && !fs_exists(path)) {
        free(TAKE(host));
    }
    return host;
}

static struct err *
no_adapter(const struct pool *pool)
{
    CLEANUP(free_drop) char *what = pool_source_text(pool);
    struct err *e =
        err_tag(err_new(ERR_NOT_FOUND, "Failed to find SCSI host: %s is not there", what),
                VE_INTERNAL);
    return err_hint(e, "ls /sys/class/scsi_host shows the hosts; parentaddr names one for "
                       "good");
}

struct err *
hosts_of(const struct pool *pool, struct strvec *ret)
{
    if (pool->type == POOL_ISCSI) {
        CLEANUP(free_drop) char *down = NULL;
        return iscsi_hosts(pool, ret, &down);
    }
    CLEANUP(free_drop) char *host = find_host(&pool->source.adapter);
    if (!host) {
        return no_adapter(pool);
    }
    strvec_add(ret, host + strlen("host"));
    return NULL;
}

struct err *
hosts_check(struct engine *engine, const struct plan_step *step)
{
    const struct pool *pool = step->aux;
    CLEANUP(free_drop) char *host = find_host(&pool->source.adapter);
    engine->ret->active = host != NULL;
    return host || !step->strict ? NULL : no_adapter(pool);
}

/* The fc_host that the virtual port belongs to. */
static char *
find_parent(const struct pool_adapter *a)
{
    if (a->parent) {
        return str_dupf("host%d", pool_scsi_host_number(a->parent));
    } else if (a->parent_wwnn && a->parent_wwpn) {
        return find_fc_host(a->parent_wwnn, a->parent_wwpn, NULL);
    } else if (a->parent_fabric_wwn) {
        return find_fc_host(NULL, NULL, a->parent_fabric_wwn);
    }
    CLEANUP(free_drop) char *dir = str_dupf("%s/class/fc_host", luns_roots.sys);
    CLEANUP(strvec_done) struct strvec hosts = sys_list(dir);
    for (size_t i = 0; i < hosts.n; i++) { /* The first that can have virtual ports. */
        CLEANUP(free_drop) char *create = str_dupf("%s/%s/vport_create", dir, hosts.v[i]);
        if (fs_exists(create)) {
            return str_dup(hosts.v[i]);
        }
    }
    return NULL;
}

struct err *
hosts_vport(struct engine *engine UNUSED, const struct plan_step *step)
{
    const struct pool *pool = step->aux;
    const struct pool_adapter *a = &pool->source.adapter;
    CLEANUP(free_drop) char *parent = find_parent(a);
    CLEANUP(free_drop)
    char *dir = parent ? str_dupf("%s/class/fc_host/%s", luns_roots.sys, parent) : NULL;
    if (!dir || !fs_exists(dir)) {
        return err_hint(store_err(VE_XML_ERROR,
                                  "parent '%s' specified for vHBA does not exist",
                                  a->parent ? a->parent
                                  : parent  ? parent
                                            : "(any)"),
                        "ls /sys/class/fc_host shows the ports of this host");
    }
    CLEANUP(free_drop)
    char *path = str_dupf("%s/%s", dir, step->write ? "vport_create" : "vport_delete");
    CLEANUP(free_drop) char *text = str_dupf("%s:%s", a->wwpn, a->wwnn);
    return sys_write(path, text);
}
