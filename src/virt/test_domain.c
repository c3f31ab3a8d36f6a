/* virt/test_domain.c: domain XML against golden files and libvirt's own schema; the mark. */
#include "virt/domain.h"

#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "loop/child.h"
#include "test.h"
#include "virt/hot.h"

#define DOMAIN_RNG "/usr/share/libvirt/schemas/domain.rng"

static const struct virt_disk one_disk[] = {
    { .path = "/var/lib/byre/pools/default/demo.qcow2",
      .format = "qcow2",
      .target = "vda",
      .bus = "virtio" },
};
static const struct virt_disk three_disks[] = {
    { .path = "/p/a.qcow2",
      .format = "qcow2",
      .target = "sda",
      .bus = "sata",
      .cache = "none",
      .boot_order = 2 },
    { .path = "/dev/vg0/data",
      .format = "raw",
      .target = "sdb",
      .bus = "sata",
      .block = true,
      .readonly = true,
      .shareable = true,
      .cache = "default" },
    { .path = "/iso/o'<neil>&.iso",
      .format = "raw",
      .target = "sdc",
      .bus = "sata",
      .cdrom = true,
      .boot_order = 1 },
    { .target = "sdd", .bus = "sata", .cdrom = true },
};
static const struct virt_nic nics[] = {
    { .mac = "52:54:00:00:00:01",
      .bridge = "vmbr0",
      .inbound_kib = 1000,
      .outbound_kib = 500 },
    { .mac = "52:54:00:00:00:02", .network = "default", .model = "e1000" },
};

static const struct virt_disk odd_disks[] = {
    { .path = "/p/boot.img",
      .format = "raw",
      .target = "fda",
      .bus = "fdc",
      .floppy = true },
    { .path = "/p/a.qcow2",
      .format = "qcow2",
      .target = "sda",
      .bus = "scsi",
      .limits = { .total_bytes = 10 * MIB, .read_iops = 100, .write_iops = 50 } },
    { .path = "/p/b.qcow2", .format = "qcow2", .target = "sdb", .bus = "usb" },
    { .path = "/p/c.qcow2",
      .format = "qcow2",
      .target = "vda",
      .bus = "virtio",
      .limits = { .read_bytes = 1, .write_bytes = 2, .total_iops = 3 } },
};
static const struct virt_disk block_disk[] = {
    { .path = "/dev/vg0/web",
      .format = "raw",
      .target = "vda",
      .bus = "virtio",
      .block = true },
    { .path = "/p/x.iso", .format = "raw", .target = "hdc", .bus = "ide", .cdrom = true },
};
static const struct virt_nic shaped[] = {
    { .mac = "52:54:00:00:00:03",
      .bridge = "vmbr0",
      .inbound_kib = 1000,
      .inbound_peak_kib = 5000,
      .inbound_burst_kib = 1024,
      .outbound_kib = 500,
      .outbound_peak_kib = 600,
      .link_down = true,
      .boot_order = 1 },
};
static const struct virt_pin pins[] = { { 1, "0,2-3" } };

#define UUIDS                                                                              \
    .uuid = { { 1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10, 11, 12, 13, 14, 15, 16 } },           \
    .row = { { 0xaa } }

/* A row is a test: golden/NAME.xml must be what comes out. */
static const struct xml_case {
    const char *name;
    struct virt_domain d;
} xml_cases[] = {
    { "tiny",
      { .name = "demo",
        UUIDS,
        .mem_mib = 192,
        .vcpus = 1,
        .kernel = "/p/tiny-kernel",
        .initrd = "/p/tiny-initrd",
        .cmdline = "console=ttyS0 quiet byre.name=demo",
        .console_log = "/var/lib/byre/log/console/x.log",
        .disks = one_disk,
        .n_disks = 1 } },
    { "kvm-full",
      { .name = "full",
        UUIDS,
        .description = "a \"full\" <one>",
        .kvm = true,
        .mem_mib = 2048,
        .vcpus = 4,
        .cpu_shares = 2048,
        .io_weight = 500,
        .machine = "q35",
        .cpu_mode = "host-model",
        .firmware = "efi",
        .on_poweroff = "destroy",
        .on_reboot = "destroy",
        .on_crash = "restart",
        .vnc = true,
        .disks = three_disks,
        .n_disks = 4,
        .nics = nics,
        .n_nics = 2 } },
    { "bare",
      { .name = "bare", UUIDS, .kvm = true, .mem_mib = 1, .vcpus = 1, .machine = "pc" } },
    { "tcg-cpu",
      { .name = "tcg",
        UUIDS,
        .mem_mib = 64,
        .vcpus = 1,
        .cpu_mode = "host-passthrough",
        .cpu_shares = 1,
        .io_weight = 5 } },
    { "room",
      { .name = "room",
        UUIDS,
        .mem_mib = 256,
        .mem_max_mib = 1024,
        .vcpus = 2,
        .vcpus_max = 4,
        .cpu_cap = 150,
        .cpuset = "0-7,^4",
        .pins = pins,
        .n_pins = 1,
        .cpu_mode = "custom",
        .cpu_model = "Haswell" } },
    { "disks",
      { .name = "disks",
        UUIDS,
        .mem_mib = 256,
        .vcpus = 1,
        .disks = odd_disks,
        .n_disks = 4 } },
    { "nic",
      { .name = "nic", UUIDS, .mem_mib = 256, .vcpus = 1, .nics = shaped, .n_nics = 1 } },
    { "efi-tpm",
      { .name = "efi",
        UUIDS,
        .mem_mib = 256,
        .vcpus = 1,
        .firmware = "efi",
        .nvram = "/var/lib/byre/nvram/x.fd",
        .tpm = true,
        .vnc = true,
        .watchdog = "poweroff",
        .on_crash = "coredump-restart" } },
    { "xen-pv",
      { .name = "pv",
        UUIDS,
        .kind = VIRT_KIND_XEN,
        .mem_mib = 512,
        .mem_max_mib = 1024,
        .vcpus = 1,
        .vcpus_max = 2,
        .cpu_shares = 512,
        .kernel = "/boot/vmlinuz-guest",
        .initrd = "/boot/initrd-guest",
        .cmdline = "root=/dev/xvda",
        .disks = block_disk,
        .n_disks = 1,
        .nics = nics,
        .n_nics = 1 } },
    { "xen-hvm",
      { .name = "hvm",
        UUIDS,
        .kind = VIRT_KIND_XEN,
        .mem_mib = 512,
        .vcpus = 2,
        .machine = "pc",
        .vnc = true,
        .disks = block_disk,
        .n_disks = 2,
        .nics = nics + 1,
        .n_nics = 1 } },
    { "test",
      { .name = "t",
        UUIDS,
        .kind = VIRT_KIND_TEST,
        .mem_mib = 512,
        .vcpus = 2,
        .vcpus_max = 4,
        .disks = one_disk,
        .n_disks = 1,
        .nics = nics + 1,
        .n_nics = 1 } },
};

TEST(xml_is_what_the_golden_file_says)
{
    for (const struct xml_case *c = xml_cases; c < xml_cases + N_ELEMS(xml_cases); c++) {
        CLEANUP(buf_done) struct buf got = BUF_INIT, want = BUF_INIT;
        CLEANUP(free_drop) char *path = str_dupf("%s/%s.xml", GOLDEN_DIR, c->name);

        CHECK_OK(c->name, virt_domain_check(&c->d));
        virt_domain_xml(&c->d, &got);
        if (getenv("GOLDEN_WRITE")) { /* To make them anew; then read the diff. */
            CHECK_OK(c->name, fs_write_atomic(path, got.data, got.n, 0644));
        }
        CHECK_OK(c->name, fs_read(path, 1 * MIB, &want));
        CHECK_STR(c->name, buf_cstr(&got), buf_cstr(&want));
    }
}

TEST(xml_fits_libvirts_schema)
{
    for (const struct xml_case *c = xml_cases; c < xml_cases + N_ELEMS(xml_cases); c++) {
        CLEANUP(buf_done) struct buf xml = BUF_INIT;
        CLEANUP(free_drop) char *path = str_dupf("%s/%s.xml", test_dir(), c->name);
        const char *argv[] = { "xmllint", "--noout", "--relaxng", DOMAIN_RNG, path, NULL };
        struct child_spec spec = { .argv = argv, .deadline_ms = 60000 };
        CLEANUP(child_result_done) struct child_result result = CHILD_RESULT_INIT;

        virt_domain_xml(&c->d, &xml);
        CHECK_OK(c->name, fs_write_atomic(path, xml.data, xml.n, 0600));
        CHECK_OK(c->name, child_run_blocking(&spec, -1, NULL, &result));
        CHECK_OK(c->name, child_result_check(&result, &spec));
    }
}

/* What was written is read back, and nothing differs. */
TEST(rows_to_xml_and_back)
{
    for (const struct xml_case *c = xml_cases; c < xml_cases + N_ELEMS(xml_cases); c++) {
        CLEANUP(buf_done) struct buf xml = BUF_INIT;
        CLEANUP(virt_diff_done) struct virt_diff diff;
        struct virt_live *live = NULL;

        virt_domain_xml(&c->d, &xml);
        CHECK_OK(c->name, virt_live_read(c->d.kind, buf_cstr(&xml), &live));
        virt_diff(live, &c->d, &diff);
        CLEANUP(free_drop) char *reboot = strvec_join(&diff.reboot, ",");
        CHECK_STR(c->name, reboot, "");
        CHECK_INT(c->name, diff.n, 1);
        CHECK_INT(c->name, diff.v[0].kind, VIRT_CH_MARK);
        virt_live_free(live);
    }
}

static const struct virt_disk twice[] = {
    { .path = "/a", .format = "raw", .target = "vda", .bus = "virtio" },
    { .path = "/b", .format = "raw", .target = "vda", .bus = "virtio" },
};
static const struct virt_disk ide[] = {
    { .path = "/a", .format = "raw", .target = "hda", .bus = "ide" }
};
static const struct virt_disk no_format[] = {
    { .path = "/a", .target = "vda", .bus = "virtio" }
};
static const struct virt_disk no_path[] = {
    { .format = "raw", .target = "vda", .bus = "virtio" }
};
static const struct virt_disk relative[] = {
    { .path = "a", .format = "raw", .target = "vda", .bus = "virtio" },
};

static const struct check_case {
    const char *why;
    struct virt_domain d;
    const char *want; /* err_brief(). */
} check_cases[] = {
    { "no slash in a name",
      { .name = "a/b", UUIDS, .mem_mib = 1, .vcpus = 1 },
      "constraint: vm name 'a/b'" },
    { "a uuid is needed",
      { .name = "a", .mem_mib = 1, .vcpus = 1 },
      "constraint: vm a has no uuid" },
    { "memory",
      { .name = "a", UUIDS, .vcpus = 1 },
      "constraint: mem is 0, outside 1-67108864" },
    { "processors",
      { .name = "a", UUIDS, .mem_mib = 1, .vcpus = 4097 },
      "constraint: vcpu is 4097, outside 1-4096" },
    { "kernel path",
      { .name = "a", UUIDS, .mem_mib = 1, .vcpus = 1, .kernel = "vmlinuz" },
      "constraint: kernel 'vmlinuz' is not an absolute path" },
    { "initrd alone",
      { .name = "a", UUIDS, .mem_mib = 1, .vcpus = 1, .initrd = "/i" },
      "constraint: an initrd or a cmdline needs a kernel" },
    { "control characters",
      { .name = "a", UUIDS, .mem_mib = 1, .vcpus = 1, .kernel = "/k", .cmdline = "a\nb" },
      "constraint: cmdline is over 2048 bytes or has control characters" },
    { "machine",
      { .name = "a", UUIDS, .mem_mib = 1, .vcpus = 1, .machine = "q 35" },
      "constraint: machine 'q 35' is no machine type" },
    { "cpu mode",
      { .name = "a", UUIDS, .mem_mib = 1, .vcpus = 1, .cpu_mode = "fast" },
      "constraint: cpu_mode cannot be 'fast'" },
    { "two disks, one name",
      { .name = "a", UUIDS, .mem_mib = 1, .vcpus = 1, .disks = twice, .n_disks = 2 },
      "constraint: two disks are vda" },
    { "q35 has no IDE",
      { .name = "a", UUIDS, .mem_mib = 1, .vcpus = 1, .disks = ide, .n_disks = 1 },
      "constraint: disk hda: a q35 machine has no IDE" },
    { "pc has",
      { .name = "a",
        UUIDS,
        .mem_mib = 1,
        .vcpus = 1,
        .machine = "pc",
        .disks = ide,
        .n_disks = 1 },
      NULL },
    { "formats are not guessed",
      { .name = "a", UUIDS, .mem_mib = 1, .vcpus = 1, .disks = no_format, .n_disks = 1 },
      "constraint: disk vda: its format is not known" },
    { "a disk has a source",
      { .name = "a", UUIDS, .mem_mib = 1, .vcpus = 1, .disks = no_path, .n_disks = 1 },
      "constraint: disk vda has no source" },
    { "disk path",
      { .name = "a", UUIDS, .mem_mib = 1, .vcpus = 1, .disks = relative, .n_disks = 1 },
      "constraint: disk 'a' is not an absolute path" },
};

TEST(what_libvirt_would_refuse_is_refused_before)
{
    for (const struct check_case *c = check_cases; c < check_cases + N_ELEMS(check_cases);
         c++) {
        CLEANUP(err_drop) struct err *e = virt_domain_check(&c->d);
        const char *got = e ? err_brief(e) : NULL;
        if (c->want && got && str_starts(got, c->want)) {
            continue;
        }
        CHECK_STR(c->why, got, c->want);
    }
}

TEST(the_print_follows_the_hardware_and_nothing_else)
{
    char a[VIRT_PRINT_CHARS + 1], b[VIRT_PRINT_CHARS + 1];
    struct virt_domain d = xml_cases[0].d;

    virt_domain_print(&d, a);
    virt_domain_print(&d, b);
    CHECK_STR("same", a, b);
    CHECK_STR("for ever", a, "b5610bceba8bbc78");
    d.mem_mib++;
    virt_domain_print(&d, b);
    CHECK("memory", !str_eq(a, b));
}

TEST(a_mark_is_read_back)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    char print[VIRT_PRINT_CHARS + 1];
    struct virt_mark mark;

    virt_domain_xml(&xml_cases[0].d, &xml);
    char *begin = strstr(buf_cstr(&xml), "<byre:vm");
    char *end = strstr(begin, "/>");
    end[2] = '\0';
    virt_domain_print(&xml_cases[0].d, print);
    CHECK("ours", virt_mark_parse(begin, &mark));
    CHECK_STR("row", UUID_TEXT(&mark.row), UUID_TEXT(&xml_cases[0].d.row));
    CHECK_STR("print", mark.print, print);
}

static const struct mark_case {
    const char *why, *xml;
    bool ours;
    const char *print;
} mark_cases[] = {
    { "libvirt's own form", "<vm row=\"aa000000-0000-0000-0000-000000000000\"/>", true,
      "" },
    { "another prefix",
      "<x:vm xmlns:x='urn:byre:vm:1' row='aa000000-0000-0000-0000-000000000000' print='0'/>",
      true, "" },
    { "another name space",
      "<byre:vm xmlns:byre='urn:other' row='aa000000-0000-0000-0000-000000000000'/>", false,
      NULL },
    { "another element",
      "<byre:net xmlns:byre='urn:byre:vm:1' row='aa000000-0000-0000-0000-000000000000'/>",
      false, NULL },
    { "no row", "<byre:vm xmlns:byre='urn:byre:vm:1'/>", false, NULL },
    { "no uuid", "<byre:vm xmlns:byre='urn:byre:vm:1' row='web'/>", false, NULL },
    { "no XML", "byre", false, NULL },
    { "nothing", "", false, NULL },
};

TEST(marks_of_others_are_not_ours)
{
    for (const struct mark_case *c = mark_cases; c < mark_cases + N_ELEMS(mark_cases);
         c++) {
        struct virt_mark mark;
        CHECK_INT(c->why, virt_mark_parse(c->xml, &mark), c->ours);
        if (c->ours) {
            CHECK_STR(c->why, mark.print, c->print);
        }
    }
}
