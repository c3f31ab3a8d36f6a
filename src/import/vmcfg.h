/* import/vmcfg.h: a machine as Xen's vm.cfg describes it, Oracle VM's keys included.
 *
 * Shape.   What Byre has a place for is typed here; what it has not is named in 'warnings', one line each, and never
 *          dropped in silence.  Numbers may be written as text ('16384'), UUIDs without dashes, booleans as 0 and 1.
 * Disk.    SCHEME:PATH,DEV[:cdrom],MODE.  The mode stands behind the last comma, the device before it: a path may
 *          have commas and colons.  r, w, w! (shared between machines).
 * Errors.  ERR_SYNTAX: a value of the wrong kind, by key; ERR_CONSTRAINT: beyond a limit.
 * Source.  xmdomain.cfg(5), xl.cfg(5); Oracle VM Server 3's repositories. */
#ifndef IMPORT_VMCFG_H
#define IMPORT_VMCFG_H 1

#include "base/str.h"
#include "base/uuid.h"
#include "import/pyliteral.h"

#define VMCFG_MAX_DEVICES 256 /* Disks, and cards. */

enum vmcfg_domain { VMCFG_HVM, VMCFG_HVM_PV, VMCFG_PV };
const char *vmcfg_domain_name(enum vmcfg_domain); /* "xen_hvm", "xen_hvm_pv", "xen_pvm". */

enum vmcfg_scheme {
    VMCFG_FILE,
    VMCFG_BLOCK,
    VMCFG_EMPTY
}; /* EMPTY: a drive without a medium. */

struct vmcfg_disk {
    enum vmcfg_scheme scheme;
    const char *path;   /* Absolute; "" if empty. */
    const char *target; /* "xvda", as the file names it. */
    bool cdrom, readonly, shared;
};

struct vmcfg_vif {
    const char *mac;    /* NULL: not given. */
    const char *bridge; /* Likewise. */
    const char *model;  /* Likewise: "e1000". */
    const char *ip;
    bool emulated; /* type=ioemu. */
};

/* Strings are in the arena, NULL if not given. */
struct vmcfg {
    const char *name, *simple_name, *description;
    bool has_uuid;
    struct uuid uuid;
    enum vmcfg_domain domain;
    const char *guest_os, *os_type;
    int64_t memory_mib, max_memory_mib; /* The latter as the former if not given. */
    int64_t vcpus, max_vcpus;
    int64_t weight; /* Of the credit scheduler, 27500 is Oracle VM's usual; 0: not given. */
    int64_t cap_percent; /* Of one CPU; 0: none. */
    const char *cpus;    /* "12-19,^14"; a list is joined. */
    const char *boot;    /* Letters c, d, n in their order. */
    const char *on_poweroff, *on_reboot, *on_crash;
    bool high_availability, vnc, tablet, serial, localtime;
    const char *vnc_listen, *keymap;
    const char *kernel, *ramdisk, *extra; /* Direct boot of a PV machine. */
    struct vmcfg_disk *disks;
    struct vmcfg_vif *vifs;
    size_t n_disks, n_vifs;
    struct strvec warnings; /* What is not carried over, and why.  Owned. */
};
void vmcfg_done(struct vmcfg *); /* For CLEANUP(). */

/* 'object' is pyliteral_file()'s; it and the arena must outlive '*ret'. */
struct err *vmcfg_read(struct arena *, const struct json *object,
                       struct vmcfg *ret) MUST_CHECK;
/* One item of each list, for those who have nothing else. */
struct err *vmcfg_disk_parse(struct arena *, const char *text,
                             struct vmcfg_disk *ret) MUST_CHECK;
struct err *vmcfg_vif_parse(struct arena *, const char *text,
                            struct vmcfg_vif *ret) MUST_CHECK;

/* Xen's weight in libvirt's shares: 27500 is 1024, and never below 2. */
int64_t vmcfg_shares(int64_t weight);

#endif /* import/vmcfg.h */
