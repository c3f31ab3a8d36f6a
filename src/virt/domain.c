/* virt/domain.c: values to libvirt's domain XML, and the mark back.
 *
 * The text is a pure function of the values: no clock, no file, no default that depends on the
 * host.  That makes the fingerprint in the mark meaningful and golden files possible. */
#include "virt/domain.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/str.h"
#include "xml/tree.h"
#include "xml/writer.h"

#define MAX_MEM_MIB (INT64_C(64) * 1024 * 1024) /* 64 TiB, beyond any host. */
#define MAX_VCPUS 4096
#define MAX_CMDLINE_BYTES 2048 /* What x86 Linux takes. */
#define MIN_SHARES 2           /* cgroup v1's own bounds. */
#define MAX_SHARES 262144

static bool
has_control(const char *s)
{
    for (; s && *s; s++) {
        if ((unsigned char) *s < ' ' || *s == 0x7f) {
            return true;
        }
    }
    return false;
}

static struct err *
check_path(const char *noun, const char *path)
{
    if (path && (path[0] != '/' || has_control(path))) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "%s '%s' is not an absolute path", noun, path),
            "give the whole path of a file on the host");
    }
    return NULL;
}

static struct err *
check_range(const char *noun, int64_t value, int64_t min, int64_t max)
{
    if (value < min || value > max) {
        return err_hint(err_new(ERR_CONSTRAINT,
                                "%s is %" PRId64 ", outside %" PRId64 "-%" PRId64, noun,
                                value, min, max),
                        "set it to a value in that range");
    }
    return NULL;
}

static struct err *
check_word(const char *noun, const char *word, const char *const *words, size_t n_words)
{
    if (!word) {
        return NULL;
    }
    for (size_t i = 0; i < n_words; i++) {
        if (str_eq(word, words[i])) {
            return NULL;
        }
    }
    return err_hint(err_new(ERR_CONSTRAINT, "%s cannot be '%s'", noun, word),
                    "the first choice is '%s'", words[0]);
}
#define CHECK_WORD(noun, word, ...)                                                        \
    ({                                                                                     \
        static const char *const words_[] = { __VA_ARGS__ };                               \
        check_word(noun, word, words_, N_ELEMS(words_));                                   \
    })

/* "q35" and "pc-q35-7.2"; the others are the older PC, or something we don't know. */
static bool
machine_is_q35(const char *machine)
{
    return !machine || strstr(machine, "q35");
}

static struct err *
check_disk(const struct virt_domain *d, size_t i)
{
    const struct virt_disk *disk = &d->disks[i];

    if (!str_is_name(disk->target)) {
        return err_new(ERR_CONSTRAINT, "disk target '%s' is no device name", disk->target);
    }
    for (size_t k = 0; k < i; k++) {
        if (str_eq(d->disks[k].target, disk->target)) {
            return err_hint(err_new(ERR_CONSTRAINT, "two disks are %s", disk->target),
                            "give each device of the machine its own targetdev");
        }
    }
    TRY(CHECK_WORD("a disk's bus", disk->bus, "virtio", "sata", "scsi", "ide", "usb"));
    if (str_eq(disk->bus, "ide") && machine_is_q35(d->machine)) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "disk %s: a q35 machine has no IDE", disk->target),
            "set the device's controller to sata, or the vm's machine to pc");
    }
    TRY(CHECK_WORD("a disk's cache", disk->cache, "default", "none", "writethrough",
                   "writeback", "directsync", "unsafe"));
    if (!disk->path && !disk->cdrom) {
        return err_new(ERR_CONSTRAINT, "disk %s has no source", disk->target);
    }
    TRY(check_path("disk", disk->path));
    return disk->path && !disk->format
               ? err_new(ERR_CONSTRAINT, "disk %s: its format is not known", disk->target)
               : NULL;
}

struct err *
virt_domain_check(const struct virt_domain *d)
{
    TRY(str_check_name("vm", d->name));
    if (uuid_is_zero(&d->uuid)) {
        return err_new(ERR_CONSTRAINT, "vm %s has no uuid", d->name);
    }
    TRY(check_range("mem", d->mem_mib, 1, MAX_MEM_MIB));
    TRY(check_range("vcpu", d->vcpus, 1, MAX_VCPUS));
    TRY(CHECK_WORD("cpu_mode", d->cpu_mode, "host-passthrough", "host-model", "maximum"));
    TRY(CHECK_WORD("firmware", d->firmware, "bios", "efi"));
    if (d->machine && !str_is_name(d->machine)) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "machine '%s' is no machine type", d->machine),
            "use q35 or pc");
    }
    TRY(check_path("kernel", d->kernel));
    TRY(check_path("initrd", d->initrd));
    TRY(check_path("console log", d->console_log));
    if (d->cmdline && (strlen(d->cmdline) > MAX_CMDLINE_BYTES || has_control(d->cmdline))) {
        return err_new(ERR_CONSTRAINT, "cmdline is over %d bytes or has control characters",
                       MAX_CMDLINE_BYTES);
    }
    if (!d->kernel && (d->initrd || d->cmdline)) {
        return err_hint(err_new(ERR_CONSTRAINT, "an initrd or a cmdline needs a kernel"),
                        "set kernel too, or clear them");
    }
    if (d->n_disks > VIRT_MAX_DISKS || d->n_nics > VIRT_MAX_NICS) {
        return err_new(ERR_CONSTRAINT, "over %d disks or %d network cards", VIRT_MAX_DISKS,
                       VIRT_MAX_NICS);
    }
    for (size_t i = 0; i < d->n_disks; i++) {
        TRY(check_disk(d, i));
    }
    return NULL;
}

static void
put_tuning(struct xml_writer *w, const struct virt_domain *d)
{
    if (d->cpu_shares > 0) {
        xml_open(w, "cputune");
        xml_leaff(w, "shares", "%" PRId64, clamp64(d->cpu_shares, MIN_SHARES, MAX_SHARES));
        xml_close(w);
    }
    if (d->io_weight > 0) {
        xml_open(w, "blkiotune");
        xml_leaff(w, "weight", "%" PRId64, clamp64(d->io_weight, 100, 1000));
        xml_close(w);
    }
}

static void
put_os(struct xml_writer *w, const struct virt_domain *d)
{
    xml_open(w, "os");
    xml_put(w, "firmware", str_eq(d->firmware, "efi") ? "efi" : NULL);
    xml_open(w, "type");
    xml_put(w, "arch", "x86_64");
    xml_put(w, "machine", d->machine ? d->machine : "q35");
    xml_close_text(w, "hvm");
    xml_leaf(w, "kernel", d->kernel);
    xml_leaf(w, "initrd", d->initrd);
    xml_leaf(w, "cmdline", d->cmdline);
    xml_close(w);

    xml_open(w, "features");
    xml_open(w, "acpi");
    xml_close(w);
    xml_open(w, "apic");
    xml_close(w);
    xml_close(w);
}

/* Without hardware help there is no host CPU to pass through; "maximum" is the most that
 * translation can do.  Not said: the host's with KVM, QEMU's own default without. */
static void
put_cpu(struct xml_writer *w, const struct virt_domain *d)
{
    const char *mode = d->cpu_mode ? d->cpu_mode : d->kvm ? "host-passthrough" : NULL;

    if (!d->kvm && str_eq(mode, "host-passthrough")) {
        mode = "maximum";
    }
    if (mode) {
        xml_open(w, "cpu");
        xml_put(w, "mode", mode);
        xml_close(w);
    }
}

static bool
any_boot_order(const struct virt_domain *d)
{
    for (size_t i = 0; i < d->n_disks; i++) {
        if (d->disks[i].boot_order > 0) {
            return true;
        }
    }
    return false;
}

static void
put_flag(struct xml_writer *w, bool flag, const char *name)
{
    if (flag) {
        xml_open(w, name);
        xml_close(w);
    }
}

static void
put_disk(struct xml_writer *w, const struct virt_disk *disk, int boot_order)
{
    xml_open(w, "disk");
    xml_put(w, "type", disk->block ? "block" : "file");
    xml_put(w, "device", disk->cdrom ? "cdrom" : "disk");
    if (disk->path) {
        xml_open(w, "driver");
        xml_put(w, "name", "qemu");
        xml_put(w, "type", disk->format);
        xml_put(w, "cache", str_eq(disk->cache, "default") ? NULL : disk->cache);
        xml_close(w);
        xml_open(w, "source");
        xml_put(w, disk->block ? "dev" : "file", disk->path);
        xml_close(w);
    }
    xml_open(w, "target");
    xml_put(w, "dev", disk->target);
    xml_put(w, "bus", disk->bus);
    xml_close(w);
    put_flag(w, disk->readonly || disk->cdrom, "readonly");
    put_flag(w, disk->shareable, "shareable");
    if (boot_order > 0) {
        xml_open(w, "boot");
        xml_putf(w, "order", "%d", boot_order);
        xml_close(w);
    }
    xml_close(w);
}

static void
put_limit(struct xml_writer *w, const char *direction, int64_t kib)
{
    if (kib > 0) {
        xml_open(w, direction);
        xml_putf(w, "average", "%" PRId64, kib);
        xml_close(w);
    }
}

static void
put_nic(struct xml_writer *w, const struct virt_nic *nic)
{
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
    xml_put(w, "type", nic->model ? nic->model : "virtio");
    xml_close(w);
    if (nic->inbound_kib > 0 || nic->outbound_kib > 0) {
        xml_open(w, "bandwidth");
        put_limit(w, "inbound", nic->inbound_kib);
        put_limit(w, "outbound", nic->outbound_kib);
        xml_close(w);
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

/* A machine without a screen needs no USB: its controllers cost a second of boot time under
 * translation.  With one, the tablet makes the pointer follow. */
static void
put_screen(struct xml_writer *w, bool vnc)
{
    if (!vnc) {
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
    xml_open(w, "graphics");
    xml_put(w, "type", "vnc");
    xml_put(w, "port", "-1");
    xml_put(w, "autoport", "yes");
    xml_put(w, "listen", "127.0.0.1");
    xml_close(w);
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

static void
put_devices(struct xml_writer *w, const struct virt_domain *d)
{
    bool ordered = any_boot_order(d);

    xml_open(w, "devices");
    for (size_t i = 0; i < d->n_disks; i++) {
        put_disk(w, &d->disks[i], ordered ? d->disks[i].boot_order : (int) i + 1);
    }
    for (size_t i = 0; i < d->n_nics; i++) {
        put_nic(w, &d->nics[i]);
    }
    put_serial(w, "serial", NULL, d->console_log);
    put_serial(w, "console", "serial", d->console_log);
    put_screen(w, d->vnc);
    put_rng(w);
    xml_close(w);
}

/* 'print' NULL: the text that the fingerprint is taken of. */
static void
put_domain(const struct virt_domain *d, const char *print, struct buf *ret)
{
    struct xml_writer w;

    xml_writer_init(&w, ret);
    xml_open(&w, "domain");
    xml_put(&w, "type", d->kvm ? "kvm" : "qemu");
    xml_leaf(&w, "name", d->name);
    xml_leaf(&w, "uuid", UUID_TEXT(&d->uuid));
    xml_leaf(&w, "description", d->description);
    xml_open(&w, "metadata");
    xml_open(&w, "byre:vm");
    xml_put(&w, "xmlns:byre", VIRT_MARK_URI);
    xml_put(&w, "row", UUID_TEXT(&d->row));
    xml_put(&w, "print", print);
    xml_close(&w);
    xml_close(&w);
    xml_open(&w, "memory");
    xml_put(&w, "unit", "MiB");
    xml_close_text(&w, "%" PRId64, d->mem_mib);
    xml_open(&w, "vcpu");
    xml_put(&w, "placement", "static");
    xml_close_text(&w, "%" PRId64, d->vcpus);
    put_tuning(&w, d);
    put_os(&w, d);
    put_cpu(&w, d);
    xml_open(&w, "clock");
    xml_put(&w, "offset", "utc");
    xml_close(&w);
    xml_leaf(&w, "on_poweroff", d->on_poweroff ? d->on_poweroff : "destroy");
    xml_leaf(&w, "on_reboot", d->on_reboot ? d->on_reboot : "restart");
    xml_leaf(&w, "on_crash", d->on_crash ? d->on_crash : "destroy");
    put_devices(&w, d);
    xml_close(&w);
}

void
virt_domain_print(const struct virt_domain *d, char ret[VIRT_PRINT_CHARS + 1])
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    uint64_t hash =
        UINT64_C(0xcbf29ce484222325); /* FNV-1a, 64 bits: short and never changes. */

    put_domain(d, NULL, &xml);
    for (size_t i = 0; i < xml.n; i++) {
        hash = (hash ^ (uint8_t) xml.data[i]) * UINT64_C(0x100000001b3);
    }
    snprintf(ret, VIRT_PRINT_CHARS + 1, "%016" PRIx64, hash);
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
    if (print && strlen(print) == VIRT_PRINT_CHARS) {
        memcpy(mark.print, print, VIRT_PRINT_CHARS + 1);
    }
    *ret = mark;
    return true;
}
