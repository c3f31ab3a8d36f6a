/* virt/domain.h: one virtual machine as values, and libvirt's XML for it.  Pure: no libvirt.
 *
 * Shape.   struct virt_domain is everything that decides what the guest's hardware is.  It owns
 *          nothing: its strings are borrowed from whoever filled it, for as long as it is used.
 * Mark.    Every domain that Byre makes says so in its metadata:
 *
 *              <byre:vm xmlns:byre='urn:byre:vm:1' row='ROW-UUID' print='0123456789abcdef'
 *                       cpu='host-model'/>
 *
 *          'row' is the vm row it belongs to.  'print' is a fingerprint of the rest of the XML,
 *          so that a later run can tell whether a domain is still what its row wants without
 *          comparing XML that libvirt has filled in since.  'cpu' is the CPU that was asked for:
 *          libvirt replaces it by what it came to.  A domain without the mark belongs to
 *          somebody else and is never touched.  'guard' is the same of the packet filters; 'vnc' the row of
 *          the VNC server's password, which libvirt tells nobody.
 * Source.  https://libvirt.org/formatdomain.html, checked against libvirt's own domain.rng in
 *          the tests. */
#ifndef VIRT_DOMAIN_H
#define VIRT_DOMAIN_H 1

#include "base/base.h"
#include "base/buf.h"
#include "base/uuid.h"
#include "virt/guard.h"

#define VIRT_MARK_URI "urn:byre:vm:1"
#define VIRT_MAX_DISKS 64
#define VIRT_MAX_NICS 32
#define VIRT_MAX_PINS 4096
#define VIRT_VNC_PASSWORD_CHARS 8 /* RFB has no more. */

/* Who runs it, which is who reads the XML. */
enum virt_kind { VIRT_KIND_QEMU, VIRT_KIND_XEN, VIRT_KIND_TEST };
enum virt_kind virt_kind_of(const char *uri); /* "xen:///system" */

/* What a disk may do in a second; 0: no limit.  'total' goes with neither of the others. */
struct virt_limits {
    int64_t total_bytes, read_bytes, write_bytes;
    int64_t total_iops, read_iops, write_iops;
};

struct virt_disk {
    const char *path;   /* Absolute.  NULL: an empty CD drive. */
    const char *format; /* "qcow2", "raw", ...; never guessed.  NULL with an empty drive. */
    const char *target; /* Guest's name, "vda".  Unique in the domain. */
    const char *bus;    /* "virtio", "sata", "scsi", "ide", "usb", "fdc". */
    const char *cache;  /* "none", "writeback", ...; NULL: QEMU's default. */
    bool block;         /* The path is a block device. */
    bool cdrom, floppy; /* Neither: a disk.  These may be empty. */
    bool readonly, shareable;
    bool
        force; /* Its medium goes even if the guest has locked the drive.  No part of the XML. */
    struct virt_limits limits;
    int boot_order; /* 1 is first; 0: not a boot device.  If every disk has 0: all, as listed. */
};

struct virt_nic {
    const char *mac;
    const char *model;                 /* "virtio", "e1000"; NULL: virtio. */
    const char *bridge;                /* Of the host; or NULL ... */
    const char *network;               /* ... and then libvirt's network of this name. */
    int64_t inbound_kib, outbound_kib; /* KiB/s, 0: no limit. */
    int64_t inbound_peak_kib, outbound_peak_kib;   /* KiB/s, 0: not said. */
    int64_t inbound_burst_kib, outbound_burst_kib; /* KiB, 0: not said. */
    bool link_down;
    int boot_order;          /* As of a disk. */
    struct virt_guard guard; /* No part of 'print': it can always change live. */
};

/* On which CPUs of the host one virtual CPU runs. */
struct virt_pin {
    int64_t vcpu;
    const char *cpuset; /* "0-3,^2,8" */
};

struct virt_domain {
    const char *name;
    struct uuid uuid;        /* libvirt's domain UUID. */
    struct uuid row;         /* The vm row. */
    const char *description; /* NULL or text for people. */
    enum virt_kind kind;
    bool kvm;            /* Hardware help; else QEMU's own translation (TCG). */
    int64_t mem_mib;     /* The balloon takes what is between the two; ... */
    int64_t mem_max_mib; /* 0: mem_mib. */
    int64_t vcpus;
    int64_t vcpus_max;  /* How many could be plugged in while it runs; 0: vcpus. */
    int64_t cpu_cap;    /* Per cent of one CPU of the host; 0: no limit. */
    const char *cpuset; /* Of virtual CPUs without a pin of their own; NULL: any. */
    const struct virt_pin *pins;
    size_t n_pins;
    int64_t cpu_shares; /* Weight as cgroups v1 has it (1024 is usual); 0: not said. */
    bool cgroups2;     /* The host has those: weights are told to libvirt in their scale. */
    int64_t io_weight; /* 0: not said. */
    const char *machine; /* "q35", "pc"; NULL: q35. */
    const char *
        cpu_mode; /* "host-passthrough", "host-model", "maximum", "custom"; NULL: by kvm. */
    const char *cpu_model; /* With "custom": QEMU's name for it. */
    const char *firmware;  /* "bios" or "efi"; NULL: bios. */
    const char
        *nvram; /* With "efi": where its variables are kept; NULL: libvirt chooses. */
    const char *kernel, *initrd, *cmdline;          /* Direct boot; NULL: from the disks. */
    const char *on_poweroff, *on_reboot, *on_crash; /* NULL: destroy, restart, destroy. */
    const char *console_log; /* File that libvirt's virtlogd writes; NULL: none. */
    bool vnc;                /* A VNC server on 127.0.0.1, port chosen by libvirt. */
    /* What the VNC server asks for; at most VIRT_VNC_PASSWORD_CHARS; NULL: nothing.  Only define() sees it: the mark and
     * the fingerprint have the row that holds it in its place. */
    const char *vnc_password;
    struct uuid vnc_secret; /* That row; zero: none. */
    bool tpm;               /* A TPM 2.0, by swtpm. */
    const char *watchdog; /* What it does: "reset", "poweroff", ...; NULL: there is none. */
    const struct virt_disk *disks;
    size_t n_disks;
    const struct virt_nic *nics;
    size_t n_nics;
};

/* Checks what libvirt would refuse late or badly: name, sizes, target names used twice, paths
 * that are not absolute, control characters.  ERR_CONSTRAINT with a hint. */
struct err *virt_domain_check(const struct virt_domain *) MUST_CHECK;

/* Appends the domain's XML.  'd' must have passed virt_domain_check(). */
void virt_domain_xml(const struct virt_domain *d, struct buf *ret);

/* The value of 'print': 16 hex digits; the same values give the same text in any run. */
#define VIRT_PRINT_CHARS 16
void virt_domain_print(const struct virt_domain *d, char ret[VIRT_PRINT_CHARS + 1]);
/* The same of what keeps its guests from spoofing. */
void virt_domain_guard(const struct virt_domain *d, char ret[VIRT_PRINT_CHARS + 1]);
void virt_print(const char *data, size_t n, char ret[VIRT_PRINT_CHARS + 1]);

/* What a mark says.  'xml' is the metadata element alone, as libvirt hands it out for our name
 * space, which it takes away:
 *     <vm row="3508e65b-ea6c-4d6a-a53e-417114cd624e" print="d601ed07cd4f084a"/>
 * False if it is not ours or cannot be read. */
#define VIRT_CPU_CHARS 80
struct virt_mark {
    struct uuid row;
    char print[VIRT_PRINT_CHARS + 1]; /* "" if the mark has none. */
    char cpu[VIRT_CPU_CHARS + 1];     /* As virt_domain_cpu(); "" if the mark has none. */
    char guard[VIRT_PRINT_CHARS + 1]; /* Of its packet filters; "" if the mark has none. */
    struct uuid vnc_secret;           /* Zero if the mark has none. */
};
bool virt_mark_parse(const char *xml, struct virt_mark *ret);
/* The mark of a domain that is as 'd' says: what virt_mark_parse() reads. */
void virt_mark_xml(const struct virt_domain *d, struct buf *ret);

/* The CPU that 'd' comes to: "host-model", "custom Haswell"; "default": the hypervisor's own. */
void virt_domain_cpu(const struct virt_domain *d, char ret[VIRT_CPU_CHARS + 1]);
/* Where the i-th virtual CPU runs; NULL: anywhere. */
const char *virt_domain_pin(const struct virt_domain *d, int64_t vcpu);
/* A set of CPUs as bits.  False: it is none ("0-3,^2,8"), or has numbers over the limit. */
#define VIRT_MAX_HOST_CPUS 4096
struct virt_cpuset {
    uint64_t bits[VIRT_MAX_HOST_CPUS / 64];
};
bool virt_cpuset_parse(const char *text, struct virt_cpuset *ret);

#endif /* virt/domain.h */
