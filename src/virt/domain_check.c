/* virt/domain_check.c: what libvirt would refuse late or badly is refused before, in words that
 * name the column. */
#include <stdlib.h>

#include "base/str.h"
#include "virt/domain.h"

#define MAX_MEM_MIB (INT64_C(64) * 1024 * 1024) /* 64 TiB, beyond any host. */
#define MAX_VCPUS 4096
#define MAX_CMDLINE_BYTES 2048 /* What x86 Linux takes. */
#define MAX_CAP 409600         /* Per cent: 4096 CPUs. */

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
check_limits(const struct virt_disk *disk)
{
    const struct virt_limits *l = &disk->limits;

    if ((l->total_bytes && (l->read_bytes || l->write_bytes)) ||
        (l->total_iops && (l->read_iops || l->write_iops))) {
        return err_hint(
            err_new(ERR_CONSTRAINT,
                    "disk %s: a limit of all goes with none of reading or writing",
                    disk->target),
            "clear the one or the others");
    }
    return NULL;
}

static struct err *
check_nic(const struct virt_nic *nic)
{
    bool in = nic->inbound_peak_kib || nic->inbound_burst_kib;
    bool out = nic->outbound_peak_kib || nic->outbound_burst_kib;

    if ((in && !nic->inbound_kib) || (out && !nic->outbound_kib)) {
        return err_hint(err_new(ERR_CONSTRAINT,
                                "interface %s: a peak or a burst needs an average",
                                nic->mac),
                        "set %s too", in && !nic->inbound_kib ? "inbound" : "outbound");
    }
    return NULL;
}

static struct err *
check_cpus(const struct virt_domain *d)
{
    struct virt_cpuset set;

    TRY(check_range("vcpu", d->vcpus, 1, MAX_VCPUS));
    if (d->vcpus_max) {
        TRY(check_range("vcpu_max", d->vcpus_max, d->vcpus, MAX_VCPUS));
    }
    if (d->cpu_cap) {
        TRY(check_range("cpu_cap", d->cpu_cap, 1, MAX_CAP));
    }
    if (d->cpuset && !virt_cpuset_parse(d->cpuset, &set)) {
        return err_hint(err_new(ERR_CONSTRAINT, "cpuset '%s' names no CPUs", d->cpuset),
                        "write it as 0-3,^2,8");
    }
    for (size_t i = 0; i < d->n_pins; i++) {
        if (!virt_cpuset_parse(d->pins[i].cpuset, &set)) {
            return err_hint(err_new(ERR_CONSTRAINT,
                                    "vcpu_pin %" PRId64 ": '%s' names no CPUs",
                                    d->pins[i].vcpu, d->pins[i].cpuset),
                            "write it as 0-3,^2,8");
        }
    }
    TRY(CHECK_WORD("cpu_mode", d->cpu_mode, "host-passthrough", "host-model", "maximum",
                   "custom"));
    if (str_eq(d->cpu_mode, "custom") != (d->cpu_model != NULL)) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "cpu_mode custom and a cpu_model go together"),
            "set both, or neither");
    }
    return d->cpu_model && !str_is_name(d->cpu_model)
               ? err_new(ERR_CONSTRAINT, "cpu_model '%s' is no name", d->cpu_model)
               : NULL;
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
    TRY(CHECK_WORD("a disk's bus", disk->bus, "virtio", "sata", "scsi", "ide", "usb",
                   "fdc"));
    if (disk->floppy != str_eq(disk->bus, "fdc")) {
        return err_hint(err_new(ERR_CONSTRAINT,
                                "disk %s: a floppy, and only a floppy, is on bus fdc",
                                disk->target),
                        "set the device's type or its controller");
    }
    if (str_eq(disk->bus, "ide") && machine_is_q35(d->machine)) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "disk %s: a q35 machine has no IDE", disk->target),
            "set the device's controller to sata, or the vm's machine to pc");
    }
    TRY(CHECK_WORD("a disk's cache", disk->cache, "default", "none", "writethrough",
                   "writeback", "directsync", "unsafe"));
    TRY(check_limits(disk));
    if (!disk->path && !disk->cdrom && !disk->floppy) {
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
    if (d->mem_max_mib) {
        TRY(check_range("mem_max", d->mem_max_mib, d->mem_mib, MAX_MEM_MIB));
    }
    TRY(check_cpus(d));
    TRY(CHECK_WORD("watchdog", d->watchdog, "reset", "shutdown", "poweroff", "pause",
                   "none", "dump", "inject-nmi"));
    TRY(check_path("nvram", d->nvram));
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
    for (size_t i = 0; i < d->n_nics; i++) {
        TRY(check_nic(&d->nics[i]));
    }
    return NULL;
}

bool
virt_cpuset_parse(const char *text, struct virt_cpuset *ret)
{
    bool some = false;

    *ret = (struct virt_cpuset){ { 0 } };
    while (*text) {
        bool without = *text == '^';
        char *end;
        text += without;
        if (*text < '0' || *text > '9') {
            return false;
        }
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (*end == '-' && end[1] >= '0' && end[1] <= '9') {
            last = strtoul(end + 1, &end, 10);
        }
        if (last < first || last >= VIRT_MAX_HOST_CPUS) {
            return false;
        }
        for (unsigned long i = first; i <= last; i++) {
            uint64_t bit = UINT64_C(1) << (i % 64);
            ret->bits[i / 64] =
                without ? ret->bits[i / 64] & ~bit : ret->bits[i / 64] | bit;
        }
        if (*end && (*end != ',' || !end[1])) {
            return false;
        }
        text = end + (*end == ',');
    }
    for (size_t i = 0; i < N_ELEMS(ret->bits); i++) {
        some |= ret->bits[i] != 0;
    }
    return some;
}
