/* model/vm.c: see vm.h.  Devices go into the domain in the order of their names in the guest, so that
 * the same rows always give the same XML, whatever order the replica keeps them in. */
#include "model/vm.h"

#include <stdlib.h>

#include "base/str.h"
#include "model/network.h"

/* As VMmanager's templates write them. */
#define HOSTNAME_MACRO "($HOSTNAME)"
#define FINISH_MACRO                                                                       \
    "($FINISH)" /* The URL by which the guest reports that it is installed. */

struct build {
    const struct row_vm *row;
    struct uuid hostnode; /* Where it is to run. */
    const struct model_vm_host *host;
    struct model_vm *ret;
};

const struct row_volume *
model_volume_on(const struct row_volume *volume, const struct uuid *hostnode)
{
    const struct replica *replica = volume->base.table->replica;
    const struct row_pool *pool = row_volume_get_pool(volume), *here = NULL;

    if (!pool || uuid_eq(&pool->hostnode, hostnode)) {
        return volume;
    }
    ROW_FOR_EACH (struct row_pool, other, row_pool_table(replica)) {
        if (uuid_eq(&other->metapool, &pool->metapool) &&
            uuid_eq(&other->hostnode, hostnode)) {
            here = other;
        }
    }
    ROW_FOR_EACH (struct row_volume, other, row_volume_table(replica)) {
        if (here && uuid_eq(&other->pool, &here->base.uuid) &&
            str_eq(other->name, volume->name)) {
            return other;
        }
    }
    return NULL;
}

struct uuid
model_vm_uuid(const struct row_vm *row)
{
    return uuid_is_zero(&row->uuid) ? row->base.uuid : row->uuid;
}

char *
model_vm_console_log(const char *console_dir, const struct uuid *domain)
{
    return str_dupf("%s/%s.log", console_dir, UUID_TEXT(domain));
}

char *
model_vm_firstboot(const char *firstboot_dir, const struct uuid *domain)
{
    return str_dupf("%s/%s.iso", firstboot_dir, UUID_TEXT(domain));
}

void
model_vm_done(struct model_vm *m)
{
    arena_done(&m->arena);
}

static const char *
copy(struct build *b, const char *text)
{
    return text && *text ? arena_str(&b->ret->arena, text) : NULL;
}

/* "default/demo" */
static const char *
volume_label(struct build *b, const struct row_volume *volume)
{
    const struct row_pool *pool = row_volume_get_pool(volume);
    return arena_printf(&b->ret->arena, "%s/%s", pool ? pool->name : "?", volume->name);
}

/* The file of a volume.  One that is being made is waited for; one that failed or vanished is an
 * error.  *ret is NULL while waiting. */
static MUST_CHECK struct err *
volume_path(struct build *b, const char *what, const struct row_volume *volume,
            const char **ret)
{
    const struct row_volume *here = model_volume_on(volume, &b->hostnode);
    const char *label = volume_label(b, volume);

    *ret = NULL;
    volume = here ? here : volume;
    const struct row_pool *pool = row_volume_get_pool(volume);
    if (!here) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "%s: volume %s is on another host", what, label),
            "copy the volume to this host's pool, or move the machine");
    } else if (volume->deleted) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "%s: volume %s is being deleted", what, label),
            "give the machine another volume");
    } else if (str_eq(volume->state, "missing")) {
        return err_hint(
            err_new(ERR_NOT_FOUND, "%s: the file of volume %s is gone", what, label),
            "put it back and refresh the pool, or give the machine another volume");
    } else if (str_eq(volume->state, "failed")) {
        return err_hint(
            err_new(ERR_NOT_FOUND, "%s: volume %s could not be made", what, label),
            "byre vol info %s tells why", label);
    } else if (!str_eq(volume->state, "ready") || !volume->filepath) {
        if (!b->ret->waits) {
            b->ret->waits_for_job = !volume->error;
            b->ret->waits = arena_printf(
                &b->ret->arena,
                "the machine waits for volume %s\nits state is %s, not ready\nsee byre vol "
                "info %s, and whether its pool runs",
                label, volume->state ? volume->state : "unknown", label);
        }
        return NULL;
    }
    /* QEMU and libvirt would hang on it.  What runs already is left alone. */
    if (pool && str_eq(pool->state, "inaccessible") && !b->ret->waits) {
        b->ret->waits = arena_printf(
            &b->ret->arena,
            "the machine waits for pool %s\nvolume %s cannot be reached\nsee byre pool info "
            "%s: it is tried again all the time",
            pool->name, label, pool->name);
    }
    *ret = copy(b, volume->filepath);
    return NULL;
}

/* A device that says nothing has the bus that its name suggests. */
static const char *
bus_of(const struct row_device *device, bool cdrom)
{
    if (device->controller) {
        return device->controller;
    }
    switch (device->targetdev[0]) {
    case 'v': return "virtio";
    case 'h': return "ide";
    case 's': return "sata";
    case 'f': return "fdc";
    default: return cdrom ? "sata" : "virtio";
    }
}

static MUST_CHECK struct err *
disk_from(struct build *b, const struct row_device *device, struct virt_disk *disk)
{
    const struct row_volume *volume = row_device_get_volume(device);
    const char *what = arena_printf(&b->ret->arena, "disk %s", device->targetdev);

    disk->cdrom = str_eq(device->type, "cdrom");
    disk->floppy = str_eq(device->type, "floppy");
    disk->target = copy(b, device->targetdev);
    disk->bus = copy(b, bus_of(device, disk->cdrom));
    disk->readonly = device->readonly;
    disk->shareable = device->shareable;
    disk->force = str_eq(device->how, "force");
    disk->boot_order = (int) device->boot_order.v;
    disk->cache = copy(b, device->cache);
    disk->limits = (struct virt_limits){
        .total_bytes = device->total_bytes_sec.v,
        .read_bytes = device->read_bytes_sec.v,
        .write_bytes = device->write_bytes_sec.v,
        .total_iops = device->total_iops_sec.v,
        .read_iops = device->read_iops_sec.v,
        .write_iops = device->write_iops_sec.v,
    };
    if (volume) {
        const struct row_pool *pool = row_volume_get_pool(volume);
        const struct row_metapool *metapool = pool ? row_pool_get_metapool(pool) : NULL;
        if (!disk->cache && metapool) {
            disk->cache = copy(b, metapool->cache);
        }
        disk->block = str_eq(volume->type, "block");
        /* The format of a partition says what it is for, not how QEMU shall read it. */
        bool is_plain = disk->block || !volume->format || str_eq(volume->format, "iso");
        disk->format = is_plain ? "raw" : copy(b, volume->format);
        return volume_path(b, what, volume, &disk->path);
    } else if (device->filepath) {
        disk->path = copy(b, device->filepath);
        disk->block = str_starts(disk->path, "/dev/");
        disk->format = "raw";
    } else if (!disk->cdrom && !disk->floppy) {
        return err_hint(err_new(ERR_NOT_FOUND, "%s has no volume", what),
                        "set the device's volume, or remove the device");
    }
    return NULL;
}

static int
by_target(const void *a, const void *b)
{
    const struct row_device *x = *(const struct row_device *const *) a;
    const struct row_device *y = *(const struct row_device *const *) b;
    int order = strcmp(x->targetdev, y->targetdev);

    return order ? order : uuid_cmp(&x->base.uuid, &y->base.uuid);
}

/* A machine of a template that obeys cloud-init has a CD drive for its first-boot disk: empty once
 * the system is installed, so that the hardware stays what it is.  The first free name of "sda".. */
static bool
firstboot_from(struct build *b, struct virt_disk *disks, size_t n)
{
    const struct row_vmi *vmi = row_vm_get_vmi(b->row);
    struct virt_disk *disk = &disks[n];
    bool taken = true;

    if (!vmi || !vmi->cloud_init || !b->host->firstboot_dir) {
        return false;
    }
    for (char c = 'a'; c <= 'z' && taken; c++) {
        disk->target = arena_printf(&b->ret->arena, "sd%c", c);
        taken = false;
        for (size_t i = 0; i < n; i++) {
            taken |= str_eq(disks[i].target, disk->target);
        }
    }
    disk->cdrom = disk->readonly = true;
    disk->bus = vmi->virtio ? "scsi" : "sata"; /* Cloud kernels have no drivers for SATA. */
    if (!uuid_is_zero(&b->row->opkey)) {
        struct uuid uuid = model_vm_uuid(b->row);
        CLEANUP(free_drop) char *path = model_vm_firstboot(b->host->firstboot_dir, &uuid);
        disk->path = copy(b, path);
        disk->format = "raw";
    }
    return !taken;
}

static MUST_CHECK struct err *
disks_from(struct build *b)
{
    const struct replica *replica = b->row->base.table->replica;
    const struct row_device *devices[VIRT_MAX_DISKS];
    size_t n = 0;

    ROW_FOR_EACH_OF (struct row_device, device, row_device_table(replica), ROW_DEVICE_VM,
                     &b->row->base.uuid) {
        if (n == VIRT_MAX_DISKS) {
            return err_new(ERR_CONSTRAINT, "it has over %d devices", VIRT_MAX_DISKS);
        }
        devices[n++] = device;
    }
    qsort(devices, n, sizeof *devices, by_target);

    struct virt_disk *disks = arena_zalloc(&b->ret->arena, (n + 2) * sizeof *disks);
    for (size_t i = 0; i < n; i++) {
        TRY(disk_from(b, devices[i], &disks[i]));
    }
    n += n < VIRT_MAX_DISKS && firstboot_from(b, disks, n);
    b->ret->domain.disks = disks;
    b->ret->domain.n_disks = n;
    return NULL;
}

/* A network that is not up here is waited for: its host's agent is at it. */
static void
wait_for_network(struct build *b, const struct row_network *network)
{
    const struct row_hostnode_network *here = model_network_on(
        network, b->host->hostnode ? b->host->hostnode : &b->row->hostnode);

    if (b->ret->waits || (here && str_eq(here->state, "active"))) {
        return;
    }
    const char *error = here && here->error ? here->error : "its host has not seen it yet";
    const char *next = strrchr(error, '\n');
    const char *why = strchr(error, '\n');
    size_t n = why && next > why ? (size_t) (next - why - 1) : strcspn(error, "\n");
    b->ret->waits = arena_printf(
        &b->ret->arena, "the machine waits for network %s\nit is %s on this host: %.*s\n%s",
        network->name, here && here->state ? here->state : "unknown", (int) n,
        why && next > why ? why + 1 : error,
        next && next > why ? next + 1
                           : "byre network info tells more; it is tried all the time");
}

static MUST_CHECK struct err *
nic_from(struct build *b, const struct row_iface *iface, const struct row_network *network,
         struct virt_nic *nic)
{
    char bridge[MODEL_BRIDGE_CHARS + 1];
    bool is_bridge = str_eq(network->type, "bridge");
    bool guarded = !iface->antispoof.has || iface->antispoof.v;

    if (guarded && b->host->no_guards) {
        return err_hint(
            err_wrap(err_new(ERR_UNSUPPORTED, "%.*s",
                             (int) strcspn(b->host->no_guards, "\n"), b->host->no_guards),
                     "interface %s", iface->mac),
            "see the agent's log; or set the interface's antispoof to false");
    }
    wait_for_network(b, network);
    model_network_bridge(network, bridge);
    *nic = (struct virt_nic){
        .mac = copy(b, iface->mac),
        .model = copy(b, iface->model),
        .bridge = is_bridge ? copy(b, bridge) : NULL,
        .network = is_bridge ? NULL : copy(b, network->name),
        .inbound_kib = iface->inbound.v,
        .outbound_kib = iface->outbound.v,
        .inbound_peak_kib = iface->inbound_peak.v,
        .inbound_burst_kib = iface->inbound_burst.v,
        .outbound_peak_kib = iface->outbound_peak.v,
        .outbound_burst_kib = iface->outbound_burst.v,
        .link_down = iface->link_down,
        .boot_order = (int) iface->boot_order.v,
        .guard = { guarded, guarded ? model_iface_addresses(iface, &b->ret->arena) : NULL },
    };
    return NULL;
}

static MUST_CHECK struct err *
nics_from(struct build *b)
{
    const struct row_iface *ifaces[VIRT_MAX_NICS];
    size_t n = model_vm_ifaces(b->row, ifaces, VIRT_MAX_NICS);

    if (n > VIRT_MAX_NICS) {
        return err_new(ERR_CONSTRAINT, "it has over %d interfaces", VIRT_MAX_NICS);
    }

    struct virt_nic *nics = arena_zalloc(&b->ret->arena, (n + 1) * sizeof *nics);
    for (size_t i = 0; i < n; i++) {
        const struct row_network *network = row_iface_get_network(ifaces[i]);
        if (!network) {
            return err_new(ERR_NOT_FOUND, "interface %s has no network", ifaces[i]->mac);
        }
        TRY(nic_from(b, ifaces[i], network, &nics[i]));
    }
    b->ret->domain.nics = nics;
    b->ret->domain.n_nics = n;
    return NULL;
}

/* NULL: nobody listens, or the key is used or hashed. */
static const char *
finish_url(struct build *b)
{
    const struct row_secret *key = row_vm_get_opkey(b->row);

    ROW_FOR_EACH (struct row_cluster, cluster,
                  row_cluster_table(b->row->base.table->replica)) {
        const char *url = cluster->install_url;
        if (url && *url && key && key->value && !strchr(key->value, ':')) {
            return arena_printf(&b->ret->arena, "%s/install/%s", url, key->value);
        }
    }
    return NULL;
}

static const char *
cmdline_from(struct build *b, const char *text)
{
    const struct {
        const char *name, *value;
    } macros[] = { { HOSTNAME_MACRO, b->row->name }, { FINISH_MACRO, finish_url(b) } };
    CLEANUP(buf_done) struct buf line = BUF_INIT;

    if (!text || !*text) {
        return NULL;
    }
    while (*text) {
        size_t i = 0;
        while (i < N_ELEMS(macros) && !str_starts(text, macros[i].name)) {
            i++;
        }
        if (i < N_ELEMS(macros)) {
            buf_str(&line, macros[i].value ? macros[i].value : "");
            text += strlen(macros[i].name);
        } else {
            buf_char(&line, *text++);
        }
    }
    return copy(b, buf_cstr(&line));
}

/* A vm without a kernel of its own boots that of its template, if it has one. */
static MUST_CHECK struct err *
boot_from(struct build *b)
{
    struct virt_domain *d = &b->ret->domain;
    const struct row_vmi *vmi = row_vm_get_vmi(b->row);
    const struct row_volume *kernel = row_vm_get_kernel(b->row);
    const struct row_volume *initrd = row_vm_get_initrd(b->row);
    const char *cmdline = b->row->cmdline;

    if (!kernel && vmi && b->row->osinstalled && str_eq(vmi->kind, "installer")) {
        return NULL; /* What the installer put on the disk boots. */
    } else if (!kernel && vmi) {
        kernel = row_vmi_get_kernel(vmi);
        initrd = initrd ? initrd : row_vmi_get_initrd(vmi);
        cmdline = cmdline ? cmdline : vmi->cmdline;
    }
    if (!kernel) {
        /* A template whose kernel was removed must not turn into a boot from an empty disk. */
        if (vmi && str_eq(vmi->kind, "installer")) {
            return err_hint(err_new(ERR_NOT_FOUND,
                                    "its OS template %s has no kernel any more", vmi->name),
                            "give the template a kernel, or the machine one of its own");
        }
        return NULL;
    }
    TRY(volume_path(b, "kernel", kernel, &d->kernel));
    if (initrd) {
        TRY(volume_path(b, "initrd", initrd, &d->initrd));
    }
    d->cmdline = cmdline_from(b, cmdline);
    return NULL;
}

static MUST_CHECK struct err *
accel_from(struct build *b)
{
    const char *accel = b->row->accel ? b->row->accel : "auto";
    bool wants_kvm = str_eq(accel, "kvm");

    if (wants_kvm && !b->host->kvm) {
        const char *why = b->host->kvm_why;
        return err_hint(err_wrap(err_new(ERR_UNSUPPORTED, "%s",
                                         why && *why ? why : "a probe guest did not run"),
                                 "this host cannot run it with KVM"),
                        "set accel to auto, or run it on another host");
    }
    b->ret->domain.kvm = wants_kvm || (b->host->kvm && !str_eq(accel, "qemu"));
    return NULL;
}

/* What only some hosts have. */
static MUST_CHECK struct err *
extras_from(struct build *b)
{
    struct virt_domain *d = &b->ret->domain;
    const char *display = b->row->display;

    d->vnc = display ? str_eq(display, "vnc") : !d->kernel && !b->ret->waits;
    const struct row_secret *secret = row_vm_get_password(b->row);
    if (d->vnc && secret && secret->value && secret->value[0]) {
        d->vnc_password =
            arena_printf(&b->ret->arena, "%.*s", VIRT_VNC_PASSWORD_CHARS, secret->value);
        d->vnc_secret = secret->base.uuid;
    }
    d->tpm = b->row->tpm;
    if (d->tpm && !b->host->has_tpm) {
        return err_hint(
            err_new(ERR_UNSUPPORTED, "this host cannot emulate a TPM"),
            "install swtpm and swtpm-tools on it, then restart libvirtd; or set tpm=false");
    }
    if (str_eq(d->firmware, "efi")) {
        if (!b->host->has_efi) {
            return err_hint(err_new(ERR_UNSUPPORTED, "this host has no UEFI firmware"),
                            "install the package ovmf on it, or set firmware=bios");
        }
        d->nvram = arena_printf(&b->ret->arena, "%s/%s.fd", b->host->nvram_dir,
                                UUID_TEXT(&d->uuid));
    }
    return NULL;
}

static int
by_vcpu(const void *a, const void *b)
{
    int64_t x = ((const struct virt_pin *) a)->vcpu,
            y = ((const struct virt_pin *) b)->vcpu;
    return (x > y) - (x < y);
}

static void
pins_from(struct build *b)
{
    const struct typed_map *map = &b->row->vcpu_pin;
    struct virt_pin *pins = arena_zalloc(&b->ret->arena, (map->n + 1) * sizeof *pins);

    for (size_t i = 0; i < map->n; i++) {
        pins[i] =
            (struct virt_pin){ map->keys[i].integer, copy(b, map->values[i].string->s) };
    }
    qsort(pins, map->n, sizeof *pins, by_vcpu);
    b->ret->domain.pins = pins;
    b->ret->domain.n_pins = map->n;
}

static MUST_CHECK struct err *
domain_from(struct build *b)
{
    struct virt_domain *d = &b->ret->domain;
    const struct row_vm *row = b->row;
    struct uuid uuid = model_vm_uuid(row);
    CLEANUP(free_drop) char *log = model_vm_console_log(b->host->console_dir, &uuid);

    *d = (struct virt_domain){
        .name = copy(b, row->name),
        .uuid = uuid,
        .row = row->base.uuid,
        .description = copy(b, row->description),
        .mem_mib = row->mem,
        .mem_max_mib = row->mem_max.v,
        .vcpus = row->vcpu,
        .vcpus_max = row->vcpu_max.v,
        .cpu_cap = row->cpu_cap.v,
        .cpuset = copy(b, row->cpuset),
        .kind = b->host->kind,
        .cgroups2 = b->host->cgroups2,
        .cpu_shares = row->cputune.v,
        .io_weight = row->blkiotune.v,
        .machine = copy(b, row->machine),
        .cpu_mode = copy(b, row->cpu_mode),
        .cpu_model = copy(b, row->cpu_model),
        .watchdog = copy(b, row->watchdog),
        .firmware = copy(b, row->firmware),
        .on_poweroff = copy(b, row->on_poweroff),
        .on_reboot = copy(b, row->on_reboot),
        .on_crash = copy(b, row->on_crash),
        .console_log = copy(b, log),
    };
    pins_from(b);
    TRY(accel_from(b));
    TRY(boot_from(b));
    TRY(extras_from(b));
    TRY(disks_from(b));
    TRY(nics_from(b));
    return b->ret->waits ? NULL : virt_domain_check(d);
}

struct err *
model_vm(const struct row_vm *row, const struct model_vm_host *host, struct model_vm *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->arena = ARENA_INIT;
    struct uuid hostnode = host->hostnode ? *host->hostnode : row->hostnode;
    struct err *e = domain_from(&(struct build){ row, hostnode, host, ret });
    if (e) {
        model_vm_done(ret);
    }
    return e;
}
