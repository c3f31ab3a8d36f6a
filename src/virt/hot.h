/* virt/hot.h: what runs, as values; how it differs from what is wanted; and the changes that can
 * be made while it runs.
 *
 * Reading.  virt_live_read() makes values of the XML that libvirt gives for a running domain.  It
 *           reads what Byre writes and leaves the rest; the CPU comes from the mark, for libvirt
 *           says only what it came to.
 * Diff.     Pure.  Each difference is either a change that libvirt can make at once, or one that
 *           the guest must agree to (it gives back a disk, a CPU, memory), or a column that takes
 *           effect with the next start.  Changes stand in the order in which they can be made.
 * Source.   https://libvirt.org/pci-hotplug.html; libvirt 9.0's qemuDomainChangeNet() and
 *           qemuDomainDiskChangeSupported() for what an update may change. */
#ifndef VIRT_HOT_H
#define VIRT_HOT_H 1

#include "base/arena.h"
#include "base/str.h"
#include "virt/conn.h"

/* What runs.  virt_live_read(), virt_live_free(). */
struct virt_live {
    struct arena arena;
    struct virt_domain d; /* 'cpu_mode', 'cpu_model', 'row' and 'uuid' are not read. */
    char cpu[VIRT_CPU_CHARS + 1]; /* As virt_domain_cpu(); "": not known. */
    int64_t vcpus_pluggable;      /* How many of its virtual CPUs could be pulled out. */
    bool scsi, usb;               /* It has such controllers. */
    int vnc_port;                 /* -1: none. */
};
struct err *virt_live_read(enum virt_kind, const char *xml,
                           struct virt_live **ret) MUST_CHECK;
void virt_live_free(struct virt_live *); /* NULL is fine. */

/* clang-format off */
enum virt_change_kind { VIRT_CH_ATTACH, VIRT_CH_DETACH, VIRT_CH_UPDATE, /* A device: 'xml'. */
                        VIRT_CH_LIMITS,  /* Of disk 'target': 'limits'. */
                        VIRT_CH_VCPUS, VIRT_CH_MEMORY, VIRT_CH_SHARES, VIRT_CH_CAP,
                        VIRT_CH_IO_WEIGHT, /* 'number': CPUs, MiB, weights, per cent. */
                        VIRT_CH_PIN,     /* Virtual CPU 'number' to 'text'; NULL: anywhere. */
                        VIRT_CH_DESCRIPTION, /* 'text', NULL: none. */
                        VIRT_CH_MARK };  /* 'xml': nothing else is left. */
/* clang-format on */
struct virt_change {
    enum virt_change_kind kind;
    const char *what; /* "disk vdb", "mem": for people. */
    const char *xml, *text, *target;
    int64_t number;
    struct virt_limits limits;
    bool force;    /* VIRT_CH_UPDATE: of a drive that the guest has locked, too. */
    bool by_guest; /* It happens when the guest agrees; asking is all that can be done. */
};

#define VIRT_MAX_CHANGES 512
struct virt_diff {
    struct arena arena;
    struct virt_change *v;
    size_t n;             /* Of them ... */
    size_t n_by_guest;    /* ... these wait for the guest. */
    struct strvec reboot; /* Columns that need a stop and a start. */
};
/* 'want' has passed virt_domain_check(). */
void virt_diff(const struct virt_live *, const struct virt_domain *want,
               struct virt_diff *ret);
void virt_diff_done(struct virt_diff *); /* For CLEANUP(). */

/* Makes the changes in their order.  Ends at the first failure, and after something was asked of
 * the guest that it has not done yet: then look again.  With 'again' it was asked before, and
 * that it is asked twice is no failure.  Blocks. */
struct err *virt_apply(struct virt *, const struct uuid *, const struct virt_diff *,
                       bool again) MUST_CHECK;

#endif /* virt/hot.h */
