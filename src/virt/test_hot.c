/* virt/test_hot.c: each column that changes, and what that comes to: a change of what runs, or the next start.  A row is a test.
 *
 * What runs is BASE, written as XML and read back, as libvirt would give it. */
#include "test.h"
#include "virt/hot.h"

/* A case says what differs from the usual. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define MAC "52:54:00:00:00:01"
#define DISK(path_, ...)                                                                   \
    {                                                                                      \
        .path = path_, .format = "raw", .target = "vda", .bus = "virtio", ##__VA_ARGS__    \
    }
#define MORE(...)                                                                          \
    {                                                                                      \
        .path = "/p/b", .format = "raw", .target = "vdb", .bus = "virtio", ##__VA_ARGS__   \
    }
#define DRIVE(path_, ...)                                                                  \
    {                                                                                      \
        .path = path_, .format = "raw", .target = "sda", .bus = "sata", .cdrom = true,     \
        ##__VA_ARGS__                                                                      \
    }
#define NIC(...)                                                                           \
    {                                                                                      \
        .mac = MAC, .bridge = "br0", ##__VA_ARGS__                                         \
    }
#define DISKS(...)                                                                         \
    .disks = (const struct virt_disk[]){ __VA_ARGS__ },                                    \
    .n_disks =                                                                             \
        sizeof((const struct virt_disk[]){ __VA_ARGS__ }) / sizeof(struct virt_disk)
#define NICS(...)                                                                          \
    .nics = (const struct virt_nic[]){ __VA_ARGS__ },                                      \
    .n_nics = sizeof((const struct virt_nic[]){ __VA_ARGS__ }) / sizeof(struct virt_nic)
#define PINS(...)                                                                          \
    .pins = (const struct virt_pin[]){ __VA_ARGS__ },                                      \
    .n_pins = sizeof((const struct virt_pin[]){ __VA_ARGS__ }) / sizeof(struct virt_pin)
#define BASE                                                                               \
    .name = "a", .uuid = { { 1 } }, .row = { { 2 } }, .kvm = true, .mem_mib = 512,         \
    .mem_max_mib = 1024, .vcpus = 2, .vcpus_max = 4, .kernel = "/k", .initrd = "/i",       \
    .cmdline = "quiet", DISKS(DISK("/p/a"), DRIVE("/p/cd")), NICS(NIC())

static const struct virt_domain base = { BASE };

static const struct hot_case {
    const char *why;
    struct virt_domain want;
    const char *
        changes; /* As text_of() has them: '?' waits for the guest; "next: " for the next start. */
} cases[] = {
    /* clang-format off */
    { "nothing: the mark follows", { BASE }, "mark" },

    { "mem grows", { BASE, .mem_mib = 600 }, "mem 600?" },
    { "mem shrinks", { BASE, .mem_mib = 100 }, "mem 100?" },
    { "mem beyond what it was started with", { BASE, .mem_mib = 2000, .mem_max_mib = 2000 }, "next: mem mem_max" },
    { "mem_max", { BASE, .mem_max_mib = 2048 }, "next: mem_max" },
    { "mem_max that is not said is not asked for", { BASE, .mem_max_mib = 0 }, "mark" },

    { "vcpu grows", { BASE, .vcpus = 3 }, "vcpu 3" },
    { "vcpu grows beyond vcpu_max", { BASE, .vcpus = 5, .vcpus_max = 8 }, "next: vcpu vcpu_max" },
    { "vcpu goes when the guest gives it", { BASE, .vcpus = 1 }, "vcpu 1?" },
    { "vcpu_max", { BASE, .vcpus_max = 8 }, "next: vcpu_max" },

    { "cputune", { BASE, .cpu_shares = 512 }, "cputune 512" },
    { "cputune in the scale of cgroups 2", { BASE, .cpu_shares = 512, .cgroups2 = true }, "cputune 50" },
    { "cpu_cap", { BASE, .cpu_cap = 150 }, "cpu_cap 150" },
    { "blkiotune", { BASE, .io_weight = 300 }, "blkiotune 300" },
    { "blkiotune out of range is the nearest", { BASE, .io_weight = 5 }, "blkiotune 100" },
    { "cpuset: each that there could be", { BASE, .cpuset = "0-1" },
      "cpuset 0=0-1, cpuset 1=0-1, cpuset 2=0-1, cpuset 3=0-1" },
    { "vcpu_pin", { BASE, PINS({ 1, "3" }) }, "cpuset 1=3" },

    { "cpu_mode", { BASE, .cpu_mode = "custom", .cpu_model = "Haswell" }, "next: cpu_mode" },
    { "accel, and with it the CPU that is usual there", { BASE, .kvm = false }, "next: accel cpu_mode" },
    { "machine", { BASE, .machine = "pc" }, "next: machine" },
    { "machine said by its usual name", { BASE, .machine = "q35" }, "mark" },
    { "firmware", { BASE, .firmware = "efi" }, "next: firmware" },
    { "firmware said by its usual name", { BASE, .firmware = "bios" }, "mark" },
    { "tpm", { BASE, .tpm = true }, "next: tpm" },
    { "display", { BASE, .vnc = true }, "next: display" },
    { "watchdog", { BASE, .watchdog = "reset" }, "next: watchdog" },
    { "name", { BASE, .name = "b" }, "next: name" },
    { "kernel", { BASE, .kernel = "/k2" }, "next: kernel" },
    { "initrd", { BASE, .initrd = "/i2" }, "next: initrd" },
    { "cmdline", { BASE, .cmdline = NULL }, "next: cmdline" },
    { "on_poweroff", { BASE, .on_poweroff = "restart" }, "next: on_poweroff" },
    { "on_reboot", { BASE, .on_reboot = "destroy" }, "next: on_reboot" },
    { "on_crash", { BASE, .on_crash = "preserve" }, "next: on_crash" },
    { "on_crash said as it is", { BASE, .on_crash = "destroy" }, "mark" },
    { "description", { BASE, .description = "of it" }, "description=of it" },

    { "a disk comes", { BASE, DISKS(DISK("/p/a"), DRIVE("/p/cd"), MORE()) }, "+disk vdb" },
    { "a SCSI disk brings its controller", { BASE, DISKS(DISK("/p/a"), DRIVE("/p/cd"), MORE(.target = "sdb", .bus = "scsi")) },
      "+SCSI controller, +disk sdb" },
    { "a SATA disk cannot come", { BASE, DISKS(DISK("/p/a"), DRIVE("/p/cd"), MORE(.target = "sdb", .bus = "sata")) },
      "next: device sdb" },
    { "a disk goes when the guest gives it", { BASE, DISKS(DRIVE("/p/cd")) }, "-disk vda?" },
    { "a SATA drive stays", { BASE, DISKS(DISK("/p/a")) }, "next: device sda" },
    { "another volume: out first", { BASE, DISKS(DISK("/p/other"), DRIVE("/p/cd")) }, "-disk vda?" },
    { "medium", { BASE, DISKS(DISK("/p/a"), DRIVE("/p/cd2")) }, "~disk sda" },
    { "medium by force", { BASE, DISKS(DISK("/p/a"), DRIVE("/p/cd2", .force = true)) }, "~disk sda!" },
    { "no medium", { BASE, DISKS(DISK("/p/a"), DRIVE(NULL)) }, "~disk sda" },
    { "bus", { BASE, DISKS(DISK("/p/a", .bus = "scsi"), DRIVE("/p/cd")) }, "next: device vda controller" },
    { "readonly", { BASE, DISKS(DISK("/p/a", .readonly = true), DRIVE("/p/cd")) }, "next: device vda readonly" },
    { "shareable", { BASE, DISKS(DISK("/p/a", .shareable = true), DRIVE("/p/cd")) }, "next: device vda shareable" },
    { "cache", { BASE, DISKS(DISK("/p/a", .cache = "none"), DRIVE("/p/cd")) }, "next: device vda cache" },
    { "cache said by its usual name", { BASE, DISKS(DISK("/p/a", .cache = "default"), DRIVE("/p/cd")) }, "mark" },
    { "a drive instead of a disk", { BASE, DISKS(DISK("/p/a", .cdrom = true), DRIVE("/p/cd")) }, "next: device vda type" },
    { "limits", { BASE, DISKS(DISK("/p/a", .limits = { .read_iops = 9 }), DRIVE("/p/cd")) }, "limits of vda" },
    { "boot_order where there was none: as it was", { BASE, DISKS(DISK("/p/a", .boot_order = 1), DRIVE("/p/cd", .boot_order = 2)) },
      "mark" },
    { "boot_order the other way", { BASE, DISKS(DISK("/p/a", .boot_order = 2), DRIVE("/p/cd", .boot_order = 1)) },
      "next: device sda boot_order device vda boot_order" },

    { "a card comes", { BASE, NICS(NIC(), NIC(.mac = "52:54:00:00:00:02")) }, "+interface 52:54:00:00:00:02" },
    { "a card goes when the guest gives it", { BASE, .n_nics = 0 }, "-interface " MAC "?" },
    { "another bridge", { BASE, NICS(NIC(.bridge = "br1")) }, "~interface " MAC },
    { "a network of libvirt's", { BASE, NICS(NIC(.bridge = NULL, .network = "lan")) }, "~interface " MAC },
    { "cable", { BASE, NICS(NIC(.link_down = true)) }, "~interface " MAC },
    { "inbound", { BASE, NICS(NIC(.inbound_kib = 1000)) }, "~interface " MAC },
    { "outbound", { BASE, NICS(NIC(.outbound_kib = 1000, .outbound_peak_kib = 2000)) }, "~interface " MAC },
    { "model", { BASE, NICS(NIC(.model = "e1000")) }, "next: iface " MAC " model" },
    { "model said by its usual name", { BASE, NICS(NIC(.model = "virtio")) }, "mark" },
    { "who may send what is no hardware", { BASE, NICS(NIC(.guard = { .addresses = NULL })) }, "mark" },

    { "all at once: what goes, what comes, what is changed, what is waited for",
      { BASE, .mem_mib = 600, .vcpus = 3, .machine = "pc", DISKS(MORE(), DRIVE("/p/cd2")) },
      "-disk vda?, +disk vdb, ~disk sda, vcpu 3, mem 600?, next: machine" },
    /* clang-format on */
};

static void
put_change(struct buf *out, const struct virt_change *c)
{
    static const char signs[] = {
        [VIRT_CH_ATTACH] = '+', [VIRT_CH_DETACH] = '-', [VIRT_CH_UPDATE] = '~'
    };

    switch (c->kind) {
    case VIRT_CH_ATTACH:
    case VIRT_CH_DETACH:
    case VIRT_CH_UPDATE: buf_printf(out, "%c%s", signs[c->kind], c->what); break;
    case VIRT_CH_LIMITS: buf_printf(out, "limits of %s", c->target); break;
    case VIRT_CH_PIN: buf_printf(out, "%s %d=%s", c->what, (int) c->number, c->text); break;
    case VIRT_CH_DESCRIPTION: buf_printf(out, "%s=%s", c->what, c->text); break;
    case VIRT_CH_MARK: buf_printf(out, "%s", c->what); break;
    default: buf_printf(out, "%s %d", c->what, (int) c->number); break;
    }
    buf_printf(out, "%s%s", c->force ? "!" : "", c->by_guest ? "?" : "");
}

/* "vcpu 3, mem 600?, next: machine" */
static void
text_of(const struct virt_diff *diff, struct buf *out)
{
    CLEANUP(free_drop) char *next = strvec_join(&diff->reboot, " ");

    for (size_t i = 0; i < diff->n; i++) {
        buf_printf(out, "%s", i ? ", " : "");
        put_change(out, &diff->v[i]);
    }
    if (diff->reboot.n) {
        buf_printf(out, "%snext: %s", diff->n ? ", " : "", next);
    }
}

TEST(each_column)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    struct virt_live *live = NULL;

    virt_domain_xml(&base, &xml);
    CHECK_OK("it can be read", virt_live_read(base.kind, buf_cstr(&xml), &live));
    for (const struct hot_case *c = cases; c < cases + N_ELEMS(cases); c++) {
        CLEANUP(virt_diff_done) struct virt_diff diff;
        CLEANUP(buf_done) struct buf got = BUF_INIT;
        size_t n_by_guest = 0;

        virt_diff(live, &c->want, &diff);
        text_of(&diff, &got);
        CHECK_STR(c->why, buf_cstr(&got), c->changes);
        for (size_t i = 0; i < diff.n; i++) {
            n_by_guest += diff.v[i].by_guest;
        }
        CHECK_INT(c->why, diff.n_by_guest, n_by_guest);
    }
    virt_live_free(live);
}

/* Of the CPUs only those that were plugged in come out again, and QEMU without KVM would not survive it. */
TEST(cpus_that_can_be_pulled)
{
    static const struct {
        const char *why;
        bool kvm;
        int64_t n_pluggable, vcpus;
        const char *changes;
    } pulls[] = {
        { "one was plugged in", true, 1, 1, "vcpu 1?" },
        { "none was: the first ones are soldered in", true, 0, 1, "next: vcpu" },
        { "translated", false, 1, 1, "next: vcpu" },
    };

    for (size_t i = 0; i < N_ELEMS(pulls); i++) {
        CLEANUP(buf_done) struct buf xml = BUF_INIT, got = BUF_INIT;
        CLEANUP(virt_diff_done) struct virt_diff diff;
        struct virt_domain want = { BASE, .kvm = pulls[i].kvm };
        struct virt_live *live = NULL;

        virt_domain_xml(&want, &xml);
        CHECK_OK("it can be read", virt_live_read(want.kind, buf_cstr(&xml), &live));
        live->vcpus_pluggable = pulls[i].n_pluggable;
        want.vcpus = pulls[i].vcpus;
        virt_diff(live, &want, &diff);
        text_of(&diff, &got);
        CHECK_STR(pulls[i].why, buf_cstr(&got), pulls[i].changes);
        virt_live_free(live);
    }
}
