/* virt/domain.c: values to libvirt's domain XML, and the mark back.  Devices: device_xml.c.
 *
 * The text is a pure function of the values: no clock, no file, no default that depends on the
 * host.  That makes the fingerprint in the mark meaningful and golden files possible. */
#include "virt/domain.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/str.h"
#include "virt/domain_i.h"
#include "xml/tree.h"

#define XEN_LOADER "/usr/lib/xen/boot/hvmloader"

const char *
virt_domain_pin(const struct virt_domain *d, int64_t vcpu)
{
    for (size_t i = 0; i < d->n_pins; i++) {
        if (d->pins[i].vcpu == vcpu) {
            return d->pins[i].cpuset;
        }
    }
    return d->cpuset;
}

int64_t
virt_shares(const struct virt_domain *d)
{
    int64_t shares = d->cpu_shares ? d->cpu_shares : 1024;

    return d->cgroups2 ? clamp64((shares * 100 + 512) / 1024, 1, 10000)
                       : clamp64(shares, 2, 262144);
}

static void
put_memory(struct xml_writer *w, const struct virt_domain *d)
{
    xml_open(w, "memory");
    xml_put(w, "unit", "MiB");
    xml_close_text(w, "%" PRId64, max64(d->mem_max_mib, d->mem_mib));
    if (d->mem_max_mib > d->mem_mib) {
        xml_open(w, "currentMemory");
        xml_put(w, "unit", "MiB");
        xml_close_text(w, "%" PRId64, d->mem_mib);
    }
}

/* Where there is room for more, all but the first can be plugged and unplugged; else they would
 * be part of the board. */
static void
put_vcpus(struct xml_writer *w, const struct virt_domain *d)
{
    bool room = d->vcpus_max > d->vcpus;

    xml_open(w, "vcpu");
    xml_put(w, "placement", "static");
    if (room) {
        xml_putf(w, "current", "%" PRId64, d->vcpus);
    }
    xml_close_text(w, "%" PRId64, max64(d->vcpus_max, d->vcpus));
    if (room && d->kind == VIRT_KIND_QEMU) {
        xml_open(w, "vcpus");
        for (int64_t i = 0; i < d->vcpus_max; i++) {
            xml_open(w, "vcpu");
            xml_putf(w, "id", "%" PRId64, i);
            xml_put(w, "enabled", i < d->vcpus ? "yes" : "no");
            xml_put(w, "hotpluggable", i == 0 ? "no" : "yes");
            xml_close(w);
        }
        xml_close(w);
    }
}

static void
put_pins(struct xml_writer *w, const struct virt_domain *d)
{
    for (int64_t i = 0; i < max64(d->vcpus_max, d->vcpus); i++) {
        const char *cpuset = virt_domain_pin(d, i);
        if (cpuset) {
            xml_open(w, "vcpupin");
            xml_putf(w, "vcpu", "%" PRId64, i);
            xml_put(w, "cpuset", cpuset);
            xml_close(w);
        }
    }
}

static void
put_tuning(struct xml_writer *w, const struct virt_domain *d)
{
    if (d->cpu_shares > 0 || d->cpu_cap > 0 || d->cpuset || d->n_pins) {
        xml_open(w, "cputune");
        if (d->cpu_shares > 0) {
            xml_leaff(w, "shares", "%" PRId64, virt_shares(d));
        }
        if (d->cpu_cap > 0) {
            xml_leaff(w, "global_period", "%d", VIRT_CAP_PERIOD_US);
            xml_leaff(w, "global_quota", "%" PRId64, virt_cap_quota_us(d->cpu_cap));
        }
        put_pins(w, d);
        xml_close(w);
    }
    if (d->io_weight > 0) {
        xml_open(w, "blkiotune");
        xml_leaff(w, "weight", "%" PRId64, clamp64(d->io_weight, 100, 1000));
        xml_close(w);
    }
}

/* Of the firmwares that libvirt knows, one without Secure Boot.  Left alone it takes the first, which has
 * Microsoft's keys and so refuses what they have not signed, and needs SMM, under which the emulator fails. */
static void
put_no_secure_boot(struct xml_writer *w)
{
    xml_open(w, "firmware");
    xml_open(w, "feature");
    xml_put(w, "enabled", "no");
    xml_put(w, "name", "secure-boot");
    xml_close(w);
    xml_close(w);
}

static void
put_os(struct xml_writer *w, const struct virt_domain *d)
{
    bool efi = str_eq(d->firmware, "efi");
    bool xen = d->kind == VIRT_KIND_XEN;

    xml_open(w, "os");
    xml_put(w, "firmware", efi ? "efi" : NULL);
    xml_open(w, "type");
    if (d->kind == VIRT_KIND_QEMU) {
        xml_put(w, "arch", "x86_64");
        xml_put(w, "machine", d->machine ? d->machine : "q35");
    } else if (xen) {
        xml_put(w, "arch", "x86_64");
        xml_put(w, "machine", d->kernel ? "xenpv" : "xenfv");
    }
    xml_close_text(w, xen && d->kernel ? "linux" : "hvm");
    if (efi && d->kind == VIRT_KIND_QEMU) {
        put_no_secure_boot(w);
    }
    if (xen && !d->kernel && !efi) {
        xml_open(w, "loader");
        xml_put(w, "type", "rom");
        xml_close_text(w, XEN_LOADER);
    }
    if (efi && d->nvram) {
        xml_leaf(w, "nvram", d->nvram);
    }
    xml_leaf(w, "kernel", d->kernel);
    xml_leaf(w, "initrd", d->initrd);
    xml_leaf(w, "cmdline", d->cmdline);
    xml_close(w);
    if (xen && d->kernel) {
        return; /* A paravirtual guest has no firmware to find these with. */
    }

    xml_open(w, "features");
    xml_open(w, "acpi");
    xml_close(w);
    xml_open(w, "apic");
    xml_close(w);
    xml_close(w);
}

/* Without hardware help there is no host CPU to pass through or to follow; "maximum" is the most
 * that translation can do.  Not said: the host's with KVM, QEMU's own default without. */
void
virt_domain_cpu(const struct virt_domain *d, char ret[VIRT_CPU_CHARS + 1])
{
    const char *mode = d->cpu_mode ? d->cpu_mode : d->kvm ? "host-passthrough" : "default";
    bool follows_host = str_starts(mode, "host-");

    if (d->kind != VIRT_KIND_QEMU) {
        mode = "default";
    } else if (!d->kvm && follows_host) {
        mode = "maximum";
    }
    snprintf(ret, VIRT_CPU_CHARS + 1, "%s%s%s", mode, str_eq(mode, "custom") ? " " : "",
             str_eq(mode, "custom") ? d->cpu_model : "");
}

static void
put_cpu(struct xml_writer *w, const struct virt_domain *d)
{
    char cpu[VIRT_CPU_CHARS + 1];

    virt_domain_cpu(d, cpu);
    if (str_starts(cpu, "custom ")) {
        xml_open(w, "cpu");
        xml_put(w, "mode", "custom");
        xml_put(w, "match", "exact");
        xml_put(w, "check", d->kvm ? "partial" : "none");
        xml_open(w, "model");
        xml_put(w, "fallback", "forbid");
        xml_close_text(w, "%s", d->cpu_model);
        xml_close(w);
    } else if (!str_eq(cpu, "default")) {
        xml_open(w, "cpu");
        xml_put(w, "mode", cpu);
        xml_close(w);
    }
}

static void
put_mark(struct xml_writer *w, const char *element, const struct virt_domain *d,
         const char *print)
{
    char cpu[VIRT_CPU_CHARS + 1];

    virt_domain_cpu(d, cpu);
    xml_open(w, element);
    xml_put(w, "xmlns:byre", strchr(element, ':') ? VIRT_MARK_URI : NULL);
    xml_put(w, "row", UUID_TEXT(&d->row));
    xml_put(w, "print", print);
    xml_put(w, "cpu", cpu);
    if (d->vnc && !uuid_is_zero(&d->vnc_secret)) {
        xml_put(w, "vnc", UUID_TEXT(&d->vnc_secret));
    }
    if (print && d->n_nics && d->kind == VIRT_KIND_QEMU) {
        char guard[VIRT_PRINT_CHARS + 1];
        virt_domain_guard(d, guard);
        xml_put(w, "guard", guard);
    }
    xml_close(w);
}

/* 'print' NULL: the text that the fingerprint is taken of. */
static void
put_domain(const struct virt_domain *d, const char *print, struct buf *ret)
{
    struct xml_writer w;

    xml_writer_init(&w, ret);
    xml_open(&w, "domain");
    xml_put(&w, "type",
            d->kind == VIRT_KIND_XEN    ? "xen"
            : d->kind == VIRT_KIND_TEST ? "test"
            : d->kvm                    ? "kvm"
                                        : "qemu");
    xml_leaf(&w, "name", d->name);
    xml_leaf(&w, "uuid", UUID_TEXT(&d->uuid));
    xml_leaf(&w, "description", d->description);
    xml_open(&w, "metadata");
    put_mark(&w, "byre:vm", d, print);
    xml_close(&w);
    put_memory(&w, d);
    put_vcpus(&w, d);
    put_tuning(&w, d);
    put_os(&w, d);
    put_cpu(&w, d);
    xml_open(&w, "clock");
    xml_put(&w, "offset", "utc");
    xml_close(&w);
    xml_leaf(&w, "on_poweroff", d->on_poweroff ? d->on_poweroff : "destroy");
    xml_leaf(&w, "on_reboot", d->on_reboot ? d->on_reboot : "restart");
    xml_leaf(&w, "on_crash", d->on_crash ? d->on_crash : "destroy");
    virt_put_devices(&w, d);
    xml_close(&w);
}

void
virt_print(const char *data, size_t n, char ret[VIRT_PRINT_CHARS + 1])
{
    uint64_t hash =
        UINT64_C(0xcbf29ce484222325); /* FNV-1a, 64 bits: short and never changes. */

    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ (uint8_t) data[i]) * UINT64_C(0x100000001b3);
    }
    snprintf(ret, VIRT_PRINT_CHARS + 1, "%016" PRIx64, hash);
}

/* Without the guards, which may always change. */
void
virt_domain_print(const struct virt_domain *d, char ret[VIRT_PRINT_CHARS + 1])
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    struct virt_domain bare = *d;
    struct virt_nic nics[VIRT_MAX_NICS];

    for (size_t i = 0; i < d->n_nics && i < VIRT_MAX_NICS; i++) {
        nics[i] = d->nics[i];
        nics[i].guard.on = false;
    }
    bare.nics = nics;
    bare.vnc_password = NULL; /* The mark is for everybody. */
    put_domain(&bare, NULL, &xml);
    virt_print(xml.data, xml.n, ret);
}

void
virt_domain_guard(const struct virt_domain *d, char ret[VIRT_PRINT_CHARS + 1])
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    for (size_t i = 0; i < d->n_nics; i++) {
        virt_guard_text(&d->nics[i], &text);
    }
    virt_print(text.data ? text.data : "", text.n, ret);
}

void
virt_domain_xml(const struct virt_domain *d, struct buf *ret)
{
    char print[VIRT_PRINT_CHARS + 1];

    virt_domain_print(d, print);
    put_domain(d, print, ret);
}

bool
virt_mark_parse(const char *xml, struct virt_mark *ret)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct virt_mark mark = { .print = "" };
    struct xml_node *root;

    struct err *e = xml_parse(&arena, "(mark)", xml, strlen(xml), &root);
    if (e) {
        err_free(e); /* Somebody else's metadata may be anything. */
        return false;
    }
    const char *row = xml_attr(root, "row");
    const char *print = xml_attr(root, "print");
    bool ours = !root->ns || str_eq(root->ns, VIRT_MARK_URI);
    if (!ours || !str_eq(root->name, "vm") || !row || !uuid_parse(row, &mark.row)) {
        return false;
    }
    const char *cpu = xml_attr(root, "cpu");
    if (print && strlen(print) == VIRT_PRINT_CHARS) {
        memcpy(mark.print, print, VIRT_PRINT_CHARS + 1);
    }
    if (cpu && strlen(cpu) <= VIRT_CPU_CHARS) {
        memcpy(mark.cpu, cpu, strlen(cpu) + 1);
    }
    const char *guard = xml_attr(root, "guard");
    if (guard && strlen(guard) == VIRT_PRINT_CHARS) {
        memcpy(mark.guard, guard, VIRT_PRINT_CHARS + 1);
    }
    const char *vnc = xml_attr(root, "vnc");
    if (vnc && !uuid_parse(vnc, &mark.vnc_secret)) {
        mark.vnc_secret = (struct uuid){ { 0 } };
    }
    *ret = mark;
    return true;
}

void
virt_mark_xml(const struct virt_domain *d, struct buf *ret)
{
    struct xml_writer w;
    char print[VIRT_PRINT_CHARS + 1];

    virt_domain_print(d, print);
    xml_writer_init(&w, ret);
    put_mark(&w, "vm", d, print);
}

enum virt_kind
virt_kind_of(const char *uri)
{
    return str_starts(uri, "xen:")    ? VIRT_KIND_XEN
           : str_starts(uri, "test:") ? VIRT_KIND_TEST
                                      : VIRT_KIND_QEMU;
}
