/* virt/device_xml.c: the devices of a domain as libvirt's XML, each alone too: that is how they are
 * plugged in and pulled out. */
#include "base/str.h"
#include "virt/domain_i.h"

#define FREE_PORTS 8 /* For devices that come while it runs. */

static bool
any_boot_order(const struct virt_domain *d)
{
    for (size_t i = 0; i < d->n_disks; i++) {
        if (d->disks[i].boot_order > 0) {
            return true;
        }
    }
    for (size_t i = 0; i < d->n_nics; i++) {
        if (d->nics[i].boot_order > 0) {
            return true;
        }
    }
    return false;
}

static void
put_limits(struct xml_writer *w, const struct virt_limits *l)
{
    const struct {
        const char *name;
        int64_t value;
    } limits[] = {
        { "total_bytes_sec", l->total_bytes }, { "read_bytes_sec", l->read_bytes },
        { "write_bytes_sec", l->write_bytes }, { "total_iops_sec", l->total_iops },
        { "read_iops_sec", l->read_iops },     { "write_iops_sec", l->write_iops },
    };
    bool open = false;

    for (size_t i = 0; i < N_ELEMS(limits); i++) {
        if (limits[i].value > 0) {
            if (!open) {
                xml_open(w, "iotune");
                open = true;
            }
            xml_leaff(w, limits[i].name, "%" PRId64, limits[i].value);
        }
    }
    if (open) {
        xml_close(w);
    }
}

static void
put_boot(struct xml_writer *w, int order)
{
    if (order > 0) {
        xml_open(w, "boot");
        xml_putf(w, "order", "%d", order);
        xml_close(w);
    }
}

/* Xen's paravirtual disks are xvda where KVM's are vda. */
static void
put_target(struct xml_writer *w, const struct virt_domain *d, const struct virt_disk *disk)
{
    bool xen = d->kind == VIRT_KIND_XEN && str_eq(disk->bus, "virtio");

    xml_open(w, "target");
    if (xen && str_starts(disk->target, "vd")) {
        xml_putf(w, "dev", "x%s", disk->target);
    } else {
        xml_put(w, "dev", disk->target);
    }
    xml_put(w, "bus", xen ? "xen" : disk->bus);
    xml_close(w);
}

static void
put_flag(struct xml_writer *w, bool flag, const char *name)
{
    if (flag) {
        xml_open(w, name);
        xml_close(w);
    }
}

/* Discarded blocks are given back to the pool: a guest that deletes makes room. */
void
virt_put_disk(struct xml_writer *w, const struct virt_domain *d,
              const struct virt_disk *disk, int boot_order)
{
    bool xen_block = d->kind == VIRT_KIND_XEN && disk->block;

    xml_open(w, "disk");
    xml_put(w, "type", disk->block ? "block" : "file");
    xml_put(w, "device", disk->cdrom ? "cdrom" : disk->floppy ? "floppy" : "disk");
    if (disk->path) {
        xml_open(w, "driver");
        xml_put(w, "name", xen_block ? "phy" : "qemu");
        xml_put(w, "type", xen_block ? NULL : disk->format);
        xml_put(w, "cache", str_eq(disk->cache, "default") ? NULL : disk->cache);
        bool discard = d->kind == VIRT_KIND_QEMU && !disk->readonly && !disk->cdrom;
        xml_put(w, "discard", discard && !disk->floppy ? "unmap" : NULL);
        xml_close(w);
        xml_open(w, "source");
        xml_put(w, disk->block ? "dev" : "file", disk->path);
        xml_close(w);
    }
    put_target(w, d, disk);
    put_limits(w, &disk->limits);
    put_flag(w, disk->readonly || disk->cdrom, "readonly");
    put_flag(w, disk->shareable, "shareable");
    put_boot(w, boot_order);
    xml_close(w);
}

static void
put_limit(struct xml_writer *w, const char *direction, int64_t kib, int64_t peak_kib,
          int64_t burst_kib)
{
    if (kib > 0) {
        xml_open(w, direction);
        xml_putf(w, "average", "%" PRId64, kib);
        if (peak_kib > 0) {
            xml_putf(w, "peak", "%" PRId64, peak_kib);
        }
        if (burst_kib > 0) {
            xml_putf(w, "burst", "%" PRId64, burst_kib);
        }
        xml_close(w);
    }
}

void
virt_put_nic(struct xml_writer *w, const struct virt_domain *d, const struct virt_nic *nic)
{
    bool xen = d->kind == VIRT_KIND_XEN && (!nic->model || str_eq(nic->model, "virtio"));

    xml_open(w, "interface");
    xml_put(w, "type", nic->bridge ? "bridge" : "network");
    xml_open(w, "mac");
    xml_put(w, "address", nic->mac);
    xml_close(w);
    xml_open(w, "source");
    xml_put(w, nic->bridge ? "bridge" : "network",
            nic->bridge ? nic->bridge : nic->network);
    xml_close(w);
    xml_open(w, "model");
    xml_put(w, "type", xen ? "netfront" : nic->model ? nic->model : "virtio");
    xml_close(w);
    if (nic->inbound_kib > 0 || nic->outbound_kib > 0) {
        xml_open(w, "bandwidth");
        put_limit(w, "inbound", nic->inbound_kib, nic->inbound_peak_kib,
                  nic->inbound_burst_kib);
        put_limit(w, "outbound", nic->outbound_kib, nic->outbound_peak_kib,
                  nic->outbound_burst_kib);
        xml_close(w);
    }
    if (nic->link_down) {
        xml_open(w, "link");
        xml_put(w, "state", "down");
        xml_close(w);
    }
    put_boot(w, nic->boot_order);
    if (d->kind == VIRT_KIND_QEMU) { /* The others have no packet filters. */
        virt_guard_put(w, &nic->guard);
    }
    xml_close(w);
}

/* A serial port whose output virtlogd keeps in a file, so that what the guest said at boot is
 * there for who connects later.  <serial> and <console> are the same port twice. */
static void
put_serial(struct xml_writer *w, const char *element, const char *type, const char *log)
{
    xml_open(w, element);
    xml_put(w, "type", "pty");
    if (log) {
        xml_open(w, "log");
        xml_put(w, "file", log);
        xml_put(w, "append", "off");
        xml_close(w);
    }
    xml_open(w, "target");
    xml_put(w, "type", type);
    xml_put(w, "port", "0");
    xml_close(w);
    xml_close(w);
}

static void
put_vnc(struct xml_writer *w, const struct virt_domain *d)
{
    xml_open(w, "graphics");
    xml_put(w, "type", "vnc");
    xml_put(w, "port", "-1");
    xml_put(w, "autoport", "yes");
    xml_put(w, "listen", "127.0.0.1");
    xml_put(w, "passwd", d->vnc_password);
    xml_close(w);
}

/* A machine without a screen needs no USB: its controllers cost a second of boot time under
 * translation.  With one, the tablet makes the pointer follow. */
static void
put_screen(struct xml_writer *w, const struct virt_domain *d, bool usb)
{
    if (!d->vnc && usb) {
        return; /* libvirt adds the controller. */
    } else if (!d->vnc) {
        xml_open(w, "controller");
        xml_put(w, "type", "usb");
        xml_put(w, "model", "none");
        xml_close(w);
        return;
    }
    xml_open(w, "input");
    xml_put(w, "type", "tablet");
    xml_put(w, "bus", "usb");
    xml_close(w);
    put_vnc(w, d);
    xml_open(w, "video");
    xml_open(w, "model");
    xml_put(w, "type", "vga");
    xml_close(w);
    xml_close(w);
}

static void
put_rng(struct xml_writer *w)
{
    xml_open(w, "rng");
    xml_put(w, "model", "virtio");
    xml_open(w, "backend");
    xml_put(w, "model", "random");
    xml_close_text(w, "/dev/urandom");
    xml_close(w);
}

void
virt_put_scsi(struct xml_writer *w)
{
    xml_open(w, "controller");
    xml_put(w, "type", "scsi");
    xml_put(w, "index", "0");
    xml_put(w, "model", "virtio-scsi");
    xml_close(w);
}

static bool
any_on_bus(const struct virt_domain *d, const char *bus)
{
    for (size_t i = 0; i < d->n_disks; i++) {
        if (str_eq(d->disks[i].bus, bus)) {
            return true;
        }
    }
    return false;
}

/* On q35 a device is plugged into a root port, and libvirt makes as many as there are devices at
 * the start.  These are the free ones. */
static void
put_ports(struct xml_writer *w, const struct virt_domain *d)
{
    bool q35 = !d->machine || strstr(d->machine, "q35");

    if (!q35) {
        return;
    }
    xml_open(w, "controller"); /* libvirt wants it named before its ports. */
    xml_put(w, "type", "pci");
    xml_put(w, "index", "0");
    xml_put(w, "model", "pcie-root");
    xml_close(w);
    for (int i = 0; i < FREE_PORTS; i++) {
        xml_open(w, "controller");
        xml_put(w, "type", "pci");
        xml_put(w, "model", "pcie-root-port");
        xml_close(w);
    }
}

static void
put_tpm(struct xml_writer *w)
{
    xml_open(w, "tpm");
    xml_put(w, "model", "tpm-crb");
    xml_open(w, "backend");
    xml_put(w, "type", "emulator");
    xml_put(w, "version", "2.0");
    xml_close(w);
    xml_close(w);
}

/* The balloon gives memory back by itself before the guest runs out of it. */
static void
put_balloon(struct xml_writer *w)
{
    xml_open(w, "memballoon");
    xml_put(w, "model", "virtio");
    xml_put(w, "autodeflate", "on");
    xml_close(w);
}

/* Where QEMU's guest agent in the guest is heard, if it runs there. */
static void
put_agent(struct xml_writer *w)
{
    xml_open(w, "channel");
    xml_put(w, "type", "unix");
    xml_open(w, "target");
    xml_put(w, "type", "virtio");
    xml_put(w, "name", "org.qemu.guest_agent.0");
    xml_close(w);
    xml_close(w);
}

static void
put_watchdog(struct xml_writer *w, const char *action)
{
    if (action) {
        xml_open(w, "watchdog");
        xml_put(w, "model", "i6300esb");
        xml_put(w, "action", action);
        xml_close(w);
    }
}

static void
put_qemu(struct xml_writer *w, const struct virt_domain *d)
{
    put_ports(w, d);
    if (any_on_bus(d, "scsi")) {
        virt_put_scsi(w);
    }
    put_serial(w, "serial", NULL, d->console_log);
    put_serial(w, "console", "serial", d->console_log);
    put_agent(w);
    if (d->tpm) {
        put_tpm(w);
    }
    put_screen(w, d, any_on_bus(d, "usb"));
    put_watchdog(w, d->watchdog);
    put_balloon(w);
    put_rng(w);
}

static void
put_xen(struct xml_writer *w, const struct virt_domain *d)
{
    xml_open(w, "console");
    xml_put(w, "type", "pty");
    xml_open(w, "target");
    xml_put(w, "type", d->kernel ? "xen" : "serial");
    xml_put(w, "port", "0");
    xml_close(w);
    xml_close(w);
    if (d->vnc) {
        put_vnc(w, d);
    }
}

void
virt_put_devices(struct xml_writer *w, const struct virt_domain *d)
{
    bool ordered = any_boot_order(d);

    xml_open(w, "devices");
    for (size_t i = 0; i < d->n_disks; i++) {
        virt_put_disk(w, d, &d->disks[i], ordered ? d->disks[i].boot_order : (int) i + 1);
    }
    for (size_t i = 0; i < d->n_nics; i++) {
        virt_put_nic(w, d, &d->nics[i]);
    }
    if (d->kind == VIRT_KIND_QEMU) {
        put_qemu(w, d);
    } else if (d->kind == VIRT_KIND_XEN) {
        put_xen(w, d);
    }
    xml_close(w);
}
