/* virt/domain_read.c: the XML of a running domain, as libvirt gives it, to values.
 *
 * libvirt 9.0 prints, of what Byre wrote as <type machine='q35'> and <memory unit='MiB'>:
 *
 *     <memory unit='KiB'>131072</memory>
 *     <currentMemory unit='KiB'>131072</currentMemory>
 *     <vcpu placement='static' current='1'>2</vcpu>
 *     <vcpus>
 *       <vcpu id='0' enabled='yes' hotpluggable='no' order='1'/>
 *       <vcpu id='1' enabled='no' hotpluggable='yes'/>
 *     </vcpus>
 *     <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
 *     <disk type='file' device='disk'>
 *       <driver name='qemu' type='qcow2'/>
 *       <source file='/p/demo.qcow2' index='1'/>
 *       <backingStore/>
 *       <target dev='vda' bus='virtio'/>
 *       <alias name='virtio-disk0'/>
 */
#include "virt/hot.h"
#include "xml/tree.h"

static int64_t
number_at(const struct xml_node *node, const char *path)
{
    const char *text = xml_string(node, path);
    int64_t n;

    return text && str_to_i64(text, &n) ? n : 0;
}

/* libvirt gives KiB, Byre writes MiB. */
static int64_t
mib_at(const struct xml_node *node, const char *path)
{
    const struct xml_node *leaf = xml_find(node, path);
    const char *unit = leaf ? xml_attr(leaf, "unit") : NULL;
    int64_t n = number_at(node, path);

    return str_eq(unit, "MiB") ? n : (n + 1023) / 1024;
}

static void
read_limits(const struct xml_node *node, struct virt_limits *ret)
{
    *ret = (struct virt_limits){
        .total_bytes = number_at(node, "iotune/total_bytes_sec"),
        .read_bytes = number_at(node, "iotune/read_bytes_sec"),
        .write_bytes = number_at(node, "iotune/write_bytes_sec"),
        .total_iops = number_at(node, "iotune/total_iops_sec"),
        .read_iops = number_at(node, "iotune/read_iops_sec"),
        .write_iops = number_at(node, "iotune/write_iops_sec"),
    };
}

/* False: it is no disk that Byre makes (a LUN, a network drive). */
static bool
read_disk(enum virt_kind kind, const struct xml_node *node, struct virt_disk *ret)
{
    const char *type = xml_string(node, "@type");
    const char *device = xml_string(node, "@device");
    bool block = str_eq(type, "block");

    if ((!block && !str_eq(type, "file")) || !xml_string(node, "target/@dev")) {
        return false;
    }
    *ret = (struct virt_disk){
        .path = xml_string(node, block ? "source/@dev" : "source/@file"),
        .format = xml_string(node, "driver/@type"),
        .target = xml_string(node, "target/@dev"),
        .bus = xml_string(node, "target/@bus"),
        .cache = xml_string(node, "driver/@cache"),
        .block = block,
        .cdrom = str_eq(device, "cdrom"),
        .floppy = str_eq(device, "floppy"),
        .readonly = xml_find(node, "readonly") != NULL,
        .shareable = xml_find(node, "shareable") != NULL,
        .boot_order = (int) number_at(node, "boot/@order"),
    };
    read_limits(node, &ret->limits);
    if (kind == VIRT_KIND_XEN && str_eq(ret->bus, "xen")) { /* As device_xml.c wrote it. */
        ret->bus = "virtio";
        ret->target += str_starts(ret->target, "xvd");
    }
    return true;
}

static void
read_nic(const struct xml_node *node, struct virt_nic *ret)
{
    bool bridge = str_eq(xml_string(node, "@type"), "bridge");

    *ret = (struct virt_nic){
        .mac = xml_string(node, "mac/@address"),
        .model = xml_string(node, "model/@type"),
        .bridge = bridge ? xml_string(node, "source/@bridge") : NULL,
        .network = bridge ? NULL : xml_string(node, "source/@network"),
        .inbound_kib = number_at(node, "bandwidth/inbound/@average"),
        .inbound_peak_kib = number_at(node, "bandwidth/inbound/@peak"),
        .inbound_burst_kib = number_at(node, "bandwidth/inbound/@burst"),
        .outbound_kib = number_at(node, "bandwidth/outbound/@average"),
        .outbound_peak_kib = number_at(node, "bandwidth/outbound/@peak"),
        .outbound_burst_kib = number_at(node, "bandwidth/outbound/@burst"),
        .link_down = str_eq(xml_string(node, "link/@state"), "down"),
        .boot_order = (int) number_at(node, "boot/@order"),
    };
}

static void
read_disks(enum virt_kind kind, const struct xml_node *root, struct virt_live *live)
{
    size_t n = 0, max = xml_count(root, "devices/disk");
    struct virt_disk *disks = arena_zalloc(&live->arena, (max + 1) * sizeof *disks);

    for (const struct xml_node *d = xml_find(root, "devices/disk"); d; d = xml_next(d)) {
        n += n < max && read_disk(kind, d, &disks[n]);
    }
    live->d.disks = disks;
    live->d.n_disks = n;
}

static void
read_nics(const struct xml_node *root, struct virt_live *live)
{
    size_t n = 0, max = xml_count(root, "devices/interface");
    struct virt_nic *nics = arena_zalloc(&live->arena, (max + 1) * sizeof *nics);

    for (const struct xml_node *i = xml_find(root, "devices/interface"); i;
         i = xml_next(i)) {
        if (n < max && xml_string(i, "mac/@address")) {
            read_nic(i, &nics[n++]);
        }
    }
    live->d.nics = nics;
    live->d.n_nics = n;
}

static void
read_pins(const struct xml_node *root, struct virt_live *live)
{
    size_t n = 0, max = xml_count(root, "cputune/vcpupin");
    struct virt_pin *pins = arena_zalloc(&live->arena, (max + 1) * sizeof *pins);

    for (const struct xml_node *p = xml_find(root, "cputune/vcpupin"); p; p = xml_next(p)) {
        if (n < max) {
            pins[n++] =
                (struct virt_pin){ number_at(p, "@vcpu"), xml_string(p, "@cpuset") };
        }
    }
    live->d.pins = pins;
    live->d.n_pins = n;
}

static void
read_vcpus(const struct xml_node *root, enum virt_kind kind, struct virt_live *live)
{
    int64_t current = number_at(root, "vcpu/@current");

    live->d.vcpus_max = number_at(root, "vcpu");
    live->d.vcpus = current ? current : live->d.vcpus_max;
    for (const struct xml_node *v = xml_find(root, "vcpus/vcpu"); v; v = xml_next(v)) {
        live->vcpus_pluggable += str_eq(xml_string(v, "@enabled"), "yes") &&
                                 str_eq(xml_string(v, "@hotpluggable"), "yes");
    }
    if (kind != VIRT_KIND_QEMU) {
        live->vcpus_pluggable = live->d.vcpus - 1;
    }
}

static void
read_controllers(const struct xml_node *root, struct virt_live *live)
{
    for (const struct xml_node *c = xml_find(root, "devices/controller"); c;
         c = xml_next(c)) {
        const char *type = xml_string(c, "@type");
        live->scsi |= str_eq(type, "scsi");
        live->usb |= str_eq(type, "usb") && !str_eq(xml_string(c, "@model"), "none");
    }
}

static void
read_screen(const struct xml_node *root, struct virt_live *live)
{
    live->vnc_port = -1;
    for (const struct xml_node *g = xml_find(root, "devices/graphics"); g;
         g = xml_next(g)) {
        int64_t port = number_at(g, "@port");
        if (str_eq(xml_string(g, "@type"), "vnc")) {
            live->d.vnc = true;
            live->vnc_port = port > 0 && port < 65536 ? (int) port : -1;
        }
    }
}

static void
read_mark(const struct xml_node *root, struct virt_live *live)
{
    const struct xml_node *mark =
        xml_find_ns(xml_find(root, "metadata"), VIRT_MARK_URI, "vm");
    const char *cpu = mark ? xml_attr(mark, "cpu") : NULL;

    const char *vnc = mark ? xml_attr(mark, "vnc") : NULL;

    if (cpu && strlen(cpu) <= VIRT_CPU_CHARS) {
        memcpy(live->cpu, cpu, strlen(cpu) + 1);
    }
    if (vnc && !uuid_parse(vnc, &live->d.vnc_secret)) {
        live->d.vnc_secret = (struct uuid){ { 0 } };
    }
}

/* libvirt puts the file that it chose in the place of the word. */
static const char *
firmware_of(const struct xml_node *root)
{
    const char *word = xml_string(root, "os/@firmware");
    return word                                                    ? word
           : str_eq(xml_string(root, "os/loader/@type"), "pflash") ? "efi"
                                                                   : NULL;
}

static void
read_domain(const struct xml_node *root, enum virt_kind kind, struct virt_live *live)
{
    struct virt_domain *d = &live->d;
    int64_t quota = number_at(root, "cputune/global_quota");
    int64_t period = number_at(root, "cputune/global_period");

    d->kind = kind;
    d->name = xml_string(root, "name");
    d->description = xml_string(root, "description");
    d->kvm = str_eq(xml_string(root, "@type"), "kvm");
    d->mem_max_mib = mib_at(root, "memory");
    d->mem_mib =
        xml_find(root, "currentMemory") ? mib_at(root, "currentMemory") : d->mem_max_mib;
    read_vcpus(root, kind, live);
    d->cpu_shares = number_at(root, "cputune/shares");
    d->cpu_cap = quota > 0 ? quota * 100 / (period > 0 ? period : 100000) : 0;
    d->io_weight = number_at(root, "blkiotune/weight");
    d->machine = xml_string(root, "os/type/@machine");
    d->firmware = firmware_of(root);
    d->kernel = xml_string(root, "os/kernel");
    d->initrd = xml_string(root, "os/initrd");
    d->cmdline = xml_string(root, "os/cmdline");
    d->on_poweroff = xml_string(root, "on_poweroff");
    d->on_reboot = xml_string(root, "on_reboot");
    d->on_crash = xml_string(root, "on_crash");
    d->tpm = xml_find(root, "devices/tpm") != NULL;
    d->watchdog = xml_string(root, "devices/watchdog/@action");
    read_pins(root, live);
    read_disks(kind, root, live);
    read_nics(root, live);
    read_controllers(root, live);
    read_screen(root, live);
    read_mark(root, live);
}

struct err *
virt_live_read(enum virt_kind kind, const char *xml, struct virt_live **ret)
{
    struct virt_live *live = NEW(struct virt_live);
    struct xml_node *root;

    live->arena = ARENA_INIT;
    struct err *e = xml_parse(&live->arena, "(domain)", xml, strlen(xml), &root);
    if (e) {
        virt_live_free(live);
        return e;
    }
    read_domain(root, kind, live);
    *ret = live;
    return NULL;
}

void
virt_live_free(struct virt_live *live)
{
    if (live) {
        arena_done(&live->arena);
        free(live);
    }
}
