/* virt/domain_diff.c: what runs against what is wanted.  Pure; see hot.h.
 *
 * The order of changes: what goes, what comes, what is changed in place, and last what would be
 * waited for. */
#include "virt/domain_i.h"
#include "virt/hot.h"

#define DEFAULT_IO_WEIGHT 500

struct diff {
    const struct virt_live *live;
    const struct virt_domain *is, *want;
    struct virt_diff *ret;
};

static struct virt_change *
add(struct diff *x, enum virt_change_kind kind, const char *what)
{
    static struct virt_change too_many; /* Never looked at. */

    if (x->ret->n == VIRT_MAX_CHANGES) { /* The rest is for the next look. */
        return &too_many;
    }
    struct virt_change *c = &x->ret->v[x->ret->n++];
    *c = (struct virt_change){ .kind = kind, .what = arena_str(&x->ret->arena, what) };
    return c;
}

static void
by_guest(struct diff *x, struct virt_change *c)
{
    c->by_guest = true;
    x->ret->n_by_guest++;
}

static void
reboot(struct diff *x, const char *column)
{
    if (!strvec_has(&x->ret->reboot, column)) {
        strvec_add(&x->ret->reboot, column);
    }
}

static void
reboot_if(struct diff *x, bool differs, const char *column)
{
    if (differs) {
        reboot(x, column);
    }
}

static bool
differ(const char *a, const char *b, const char *unset)
{
    return !str_eq(a ? a : unset, b ? b : unset);
}

/* "q35" became "pc-q35-7.2"; "pc" became "pc-i440fx-7.2". */
static bool
same_machine(const char *is, const char *want)
{
    want = want ? want : "q35";
    return !is || str_eq(is, want) || (str_eq(want, "q35") && str_starts(is, "pc-q35-")) ||
           (str_eq(want, "pc") && str_starts(is, "pc-i440fx-"));
}

static void
diff_fixed(struct diff *x)
{
    const struct virt_domain *is = x->is, *want = x->want;
    char cpu[VIRT_CPU_CHARS + 1];

    virt_domain_cpu(want, cpu);
    reboot_if(x, !str_eq(is->name, want->name), "name");
    if (want->kind == VIRT_KIND_QEMU) {
        reboot_if(x, is->kvm != want->kvm, "accel");
        reboot_if(x, x->live->cpu[0] && !str_eq(x->live->cpu, cpu), "cpu_mode");
        reboot_if(x, !same_machine(is->machine, want->machine), "machine");
        reboot_if(x, is->vnc != want->vnc, "display");
        reboot_if(x, is->vnc && want->vnc && !uuid_eq(&is->vnc_secret, &want->vnc_secret),
                  "password");
        reboot_if(x, is->tpm != want->tpm, "tpm");
        reboot_if(x, !str_eq(is->watchdog, want->watchdog), "watchdog");
        reboot_if(x, differ(is->firmware, want->firmware, "bios"), "firmware");
    }
    reboot_if(x, !str_eq(is->kernel, want->kernel), "kernel");
    reboot_if(x, !str_eq(is->initrd, want->initrd), "initrd");
    reboot_if(x, !str_eq(is->cmdline, want->cmdline), "cmdline");
    reboot_if(x, differ(is->on_poweroff, want->on_poweroff, "destroy"), "on_poweroff");
    reboot_if(x, differ(is->on_reboot, want->on_reboot, "restart"), "on_reboot");
    reboot_if(x, differ(is->on_crash, want->on_crash, "destroy"), "on_crash");
}

static void
diff_memory(struct diff *x)
{
    const struct virt_domain *is = x->is, *want = x->want;

    if (want->mem_max_mib) {
        reboot_if(x, is->mem_max_mib != want->mem_max_mib, "mem_max");
    }
    if (want->mem_mib > is->mem_max_mib) {
        reboot(x, "mem");
    } else if (want->mem_mib != is->mem_mib) {
        struct virt_change *c = add(x, VIRT_CH_MEMORY, "mem");
        c->number = want->mem_mib;
        by_guest(x, c);
    }
}

/* Without KVM QEMU 7.2 dies with the thread of a CPU that is pulled out. */
static int64_t
pullable_vcpus(const struct diff *x)
{
    bool emulated = x->is->kind == VIRT_KIND_QEMU && !x->is->kvm;
    return emulated ? 0 : x->live->vcpus_pluggable;
}

static void
diff_vcpus(struct diff *x)
{
    const struct virt_domain *is = x->is, *want = x->want;

    if (want->vcpus_max) {
        reboot_if(x, is->vcpus_max != want->vcpus_max, "vcpu_max");
    }
    if (want->vcpus == is->vcpus) {
        return;
    } else if (want->vcpus > is->vcpus_max || is->vcpus - want->vcpus > pullable_vcpus(x)) {
        reboot(x, "vcpu");
        return;
    }
    struct virt_change *c = add(x, VIRT_CH_VCPUS, "vcpu");
    c->number = want->vcpus;
    if (want->vcpus < is->vcpus) {
        by_guest(x, c);
    }
}

static bool
same_cpus(const char *a, const char *b)
{
    struct virt_cpuset x, y;

    if (!a || !b) {
        return a == b;
    }
    return virt_cpuset_parse(a, &x) && virt_cpuset_parse(b, &y) &&
           memcmp(&x, &y, sizeof x) == 0;
}

static void
diff_tuning(struct diff *x)
{
    const struct virt_domain *is = x->is, *want = x->want;
    const struct virt_domain unset = { .cgroups2 = want->cgroups2 };
    int64_t shares = virt_shares(want);
    int64_t weight =
        want->io_weight ? clamp64(want->io_weight, 100, 1000) : DEFAULT_IO_WEIGHT;

    if ((is->cpu_shares ? is->cpu_shares : virt_shares(&unset)) != shares) {
        add(x, VIRT_CH_SHARES, "cputune")->number = shares;
    }
    if (is->cpu_cap != want->cpu_cap) {
        add(x, VIRT_CH_CAP, "cpu_cap")->number = want->cpu_cap;
    }
    if ((is->io_weight ? is->io_weight : DEFAULT_IO_WEIGHT) != weight) {
        add(x, VIRT_CH_IO_WEIGHT, "blkiotune")->number = weight;
    }
    for (int64_t i = 0; i < max64(want->vcpus, want->vcpus_max); i++) {
        const char *pin = virt_domain_pin(want, i);
        const char *pinned = virt_domain_pin(is, i);
        if (same_cpus(pin, pinned)) {
            continue;
        } else if (
            !pin) { /* libvirt keeps a pin to all CPUs, so it would differ for ever. */
            reboot(x, want->n_pins ? "vcpu_pin" : "cpuset");
        } else if (i < x->is->vcpus_max) {
            struct virt_change *c = add(x, VIRT_CH_PIN, "cpuset");
            c->number = i;
            c->text = arena_str(&x->ret->arena, pin);
        }
    }
}

/* Appends a change whose XML is being written to '*xml'; finish() takes it. */
static struct virt_change *
finish(struct diff *x, enum virt_change_kind kind, const char *what, struct buf *xml)
{
    struct virt_change *c = add(x, kind, what);

    c->xml = arena_str(&x->ret->arena, buf_cstr(xml));
    if (kind == VIRT_CH_DETACH) {
        by_guest(x, c);
    }
    return c;
}

static void
disk_change(struct diff *x, enum virt_change_kind kind, const struct virt_disk *disk,
            int boot_order)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    CLEANUP(free_drop) char *what = str_dupf("disk %s", disk->target);
    struct xml_writer w;

    xml_writer_init(&w, &xml);
    virt_put_disk(&w, x->want, disk, boot_order);
    finish(x, kind, what, &xml)->force = kind == VIRT_CH_UPDATE && disk->force;
}

static void
nic_change(struct diff *x, enum virt_change_kind kind, const struct virt_nic *nic,
           int boot_order)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    CLEANUP(free_drop) char *what = str_dupf("interface %s", nic->mac);
    struct virt_nic plain = *nic;
    struct xml_writer w;

    plain.boot_order = boot_order;
    xml_writer_init(&w, &xml);
    virt_put_nic(&w, x->want, &plain);
    finish(x, kind, what, &xml);
}

static const struct virt_disk *
find_disk(const struct virt_domain *d, const char *target)
{
    for (size_t i = 0; i < d->n_disks; i++) {
        if (str_eq(d->disks[i].target, target)) {
            return &d->disks[i];
        }
    }
    return NULL;
}

static const struct virt_nic *
find_nic(const struct virt_domain *d, const char *mac)
{
    for (size_t i = 0; i < d->n_nics; i++) {
        if (str_eq(d->nics[i].mac, mac)) {
            return &d->nics[i];
        }
    }
    return NULL;
}

/* SATA and IDE drives are soldered in as far as QEMU goes. */
static bool
can_plug(const struct diff *x, const struct virt_disk *disk)
{
    if (disk->cdrom || disk->floppy) {
        return str_eq(disk->bus, "scsi") || (str_eq(disk->bus, "usb") && x->live->usb);
    }
    return str_eq(disk->bus, "virtio") || str_eq(disk->bus, "scsi") ||
           (str_eq(disk->bus, "usb") && x->live->usb);
}

static void
reboot_device(struct diff *x, const char *target, const char *column)
{
    CLEANUP(free_drop)
    char *text = str_dupf("device %s%s%s", target, column ? " " : "", column ? column : "");
    reboot(x, text);
}

static bool
is_drive(const struct virt_disk *disk)
{
    return disk->cdrom || disk->floppy;
}

/* Another volume under the same name is another disk: out with the one, then in with the other.  A drive gets another medium. */
static bool
is_replaced(const struct virt_disk *is, const struct virt_disk *want)
{
    return !is_drive(want) && !str_eq(is->path, want->path);
}

static void
disks_that_go(struct diff *x)
{
    for (size_t i = 0; i < x->is->n_disks; i++) {
        const struct virt_disk *is = &x->is->disks[i];
        const struct virt_disk *want = find_disk(x->want, is->target);
        if (want && !is_replaced(is, want)) {
            continue;
        } else if (can_plug(x, is)) {
            disk_change(x, VIRT_CH_DETACH, is, 0);
        } else {
            reboot_device(x, is->target, want ? "volume" : NULL);
        }
    }
}

static void
add_scsi(struct diff *x)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    struct xml_writer w;

    xml_writer_init(&w, &xml);
    virt_put_scsi(&w);
    finish(x, VIRT_CH_ATTACH, "SCSI controller", &xml);
}

static void
disks_that_come(struct diff *x)
{
    bool scsi = x->live->scsi;

    for (size_t i = 0; i < x->want->n_disks; i++) {
        const struct virt_disk *want = &x->want->disks[i];
        const struct virt_disk *is = find_disk(x->is, want->target);
        if (is) { /* Replaced: once the old one is out. */
            continue;
        } else if (!can_plug(x, want)) {
            reboot_device(x, want->target, NULL);
            continue;
        }
        if (str_eq(want->bus, "scsi") && !scsi) {
            add_scsi(x);
            scsi = true;
        }
        disk_change(x, VIRT_CH_ATTACH, want, 0);
    }
}

static bool
same_limits(const struct virt_limits *a, const struct virt_limits *b)
{
    return a->total_bytes == b->total_bytes && a->read_bytes == b->read_bytes &&
           a->write_bytes == b->write_bytes && a->total_iops == b->total_iops &&
           a->read_iops == b->read_iops && a->write_iops == b->write_iops;
}

static void
diff_disk(struct diff *x, const struct virt_disk *is, const struct virt_disk *want)
{
    bool drive = is_drive(want);
    const char *t = want->target;

    if (is->cdrom != want->cdrom || is->floppy != want->floppy) {
        reboot_device(x, t, "type");
        return;
    }
    if (!str_eq(is->bus, want->bus)) {
        reboot_device(x, t, "controller");
    } else if (drive && !str_eq(is->path, want->path)) {
        disk_change(x, VIRT_CH_UPDATE, want, is->boot_order);
    }
    if (!drive && (is->readonly != want->readonly)) {
        reboot_device(x, t, "readonly");
    }
    if (is->shareable != want->shareable) {
        reboot_device(x, t, "shareable");
    }
    if (is->path && want->path && differ(is->cache, want->cache, "default")) {
        reboot_device(x, t, "cache");
    }
    if (!same_limits(&is->limits, &want->limits)) {
        struct virt_change *c = add(x, VIRT_CH_LIMITS, "limits of a disk");
        c->target = arena_str(&x->ret->arena, t);
        c->limits = want->limits;
    }
}

/* Where a device stands in the order of those that both sides know. */
static int
rank_of(const struct diff *x, const struct virt_domain *d, const struct virt_domain *other,
        int order)
{
    int rank = 0;

    for (size_t i = 0; i < d->n_disks; i++) {
        const struct virt_disk *o = find_disk(other, d->disks[i].target);
        rank +=
            o && o->boot_order && d->disks[i].boot_order && d->disks[i].boot_order < order;
    }
    for (size_t i = 0; i < d->n_nics; i++) {
        const struct virt_nic *o = find_nic(other, d->nics[i].mac);
        rank +=
            o && o->boot_order && d->nics[i].boot_order && d->nics[i].boot_order < order;
    }
    return rank;
}

/* Orders without gaps and those with gaps are the same, and so is one that a plugged device came
 * into.  If the row says no order at all, the firmware was given the order of the names. */
static bool
same_boot(const struct diff *x, int is, int want)
{
    if (!is || !want) {
        return !is == !want;
    }
    return rank_of(x, x->is, x->want, is) == rank_of(x, x->want, x->is, want);
}

static bool
says_boot_order(const struct virt_domain *d)
{
    bool says = false;

    for (size_t i = 0; i < d->n_disks; i++) {
        says |= d->disks[i].boot_order > 0;
    }
    for (size_t i = 0; i < d->n_nics; i++) {
        says |= d->nics[i].boot_order > 0;
    }
    return says;
}

static void
disks_that_stay(struct diff *x)
{
    bool ordered = says_boot_order(x->want);

    for (size_t i = 0; i < x->want->n_disks; i++) {
        const struct virt_disk *want = &x->want->disks[i];
        const struct virt_disk *is = find_disk(x->is, want->target);
        if (!is || is_replaced(is, want)) {
            continue;
        }
        diff_disk(x, is, want);
        if (ordered && !same_boot(x, is->boot_order, want->boot_order)) {
            reboot_device(x, want->target, "boot_order");
        }
    }
}

static bool
same_connection(const struct virt_nic *is, const struct virt_nic *want)
{
    return str_eq(is->bridge, want->bridge) && str_eq(is->network, want->network) &&
           is->link_down == want->link_down && is->inbound_kib == want->inbound_kib &&
           is->inbound_peak_kib == want->inbound_peak_kib &&
           is->inbound_burst_kib == want->inbound_burst_kib &&
           is->outbound_kib == want->outbound_kib &&
           is->outbound_peak_kib == want->outbound_peak_kib &&
           is->outbound_burst_kib == want->outbound_burst_kib;
}

static const char *
nic_model(const struct diff *x, const struct virt_nic *nic)
{
    bool xen = x->want->kind == VIRT_KIND_XEN && str_eq(nic->model, "netfront");
    return nic->model && !xen ? nic->model : "virtio";
}

static void
diff_nic(struct diff *x, const struct virt_nic *is, const struct virt_nic *want,
         bool ordered)
{
    CLEANUP(free_drop) char *model = str_dupf("iface %s model", want->mac);
    CLEANUP(free_drop) char *boot = str_dupf("iface %s boot_order", want->mac);
    struct virt_nic changed = *want;

    reboot_if(x, !str_eq(nic_model(x, is), nic_model(x, want)), model);
    reboot_if(x, ordered && !same_boot(x, is->boot_order, want->boot_order), boot);
    if (!same_connection(is, want)) {
        changed.model = is->model; /* An update that would change it is refused. */
        nic_change(x, VIRT_CH_UPDATE, &changed, is->boot_order);
    }
}

static void
diff_nics(struct diff *x)
{
    bool ordered = says_boot_order(x->want);

    for (size_t i = 0; i < x->is->n_nics; i++) {
        if (!find_nic(x->want, x->is->nics[i].mac)) {
            nic_change(x, VIRT_CH_DETACH, &x->is->nics[i], 0);
        }
    }
    for (size_t i = 0; i < x->want->n_nics; i++) {
        const struct virt_nic *want = &x->want->nics[i];
        const struct virt_nic *is = find_nic(x->is, want->mac);
        if (is) {
            diff_nic(x, is, want, ordered);
        } else {
            nic_change(x, VIRT_CH_ATTACH, want, 0);
        }
    }
}

void
virt_diff(const struct virt_live *live, const struct virt_domain *want,
          struct virt_diff *ret)
{
    struct diff x = { live, &live->d, want, ret };

    *ret = (struct virt_diff){ .arena = ARENA_INIT, .reboot = STRVEC_INIT };
    ret->v = arena_alloc(&ret->arena, VIRT_MAX_CHANGES * sizeof *ret->v);
    disks_that_go(&x);
    diff_nics(&x);
    disks_that_come(&x);
    disks_that_stay(&x);
    diff_vcpus(&x);
    diff_tuning(&x);
    diff_fixed(&x);
    if (differ(live->d.description, want->description, "")) {
        add(&x, VIRT_CH_DESCRIPTION, "description")->text =
            want->description ? arena_str(&ret->arena, want->description) : NULL;
    }
    diff_memory(&x);
    if (ret->n == 0 && ret->reboot.n == 0) {
        CLEANUP(buf_done) struct buf xml = BUF_INIT;
        virt_mark_xml(want, &xml);
        finish(&x, VIRT_CH_MARK, "mark", &xml);
    }
    strvec_sort(&ret->reboot);
}

void
virt_diff_done(struct virt_diff *diff)
{
    arena_done(&diff->arena);
    strvec_done(&diff->reboot);
}
