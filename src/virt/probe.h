/* virt/probe.h: which accelerators of this host really run a guest.
 *
 * /dev/kvm may open, KVM_CREATE_VM may work and libvirt may say "kvm", and still no guest gets
 * past its firmware (nested virtualisation without hardware help does that).  So a guest is
 * run: 512 bytes of boot sector whose only act is to write one byte to QEMU's isa-debug-exit
 * port, which makes QEMU exit with a status of its own.
 *
 * Blocking, up to 5 s an accelerator: for worker threads. */
#ifndef VIRT_PROBE_H
#define VIRT_PROBE_H 1

#include "base/base.h"

struct probe {
    bool kvm, tcg;                   /* A guest ran. */
    char kvm_why[256], tcg_why[256]; /* If not: why, for people. */
};

/* Runs one guest.  'accel' is "kvm" or "tcg".  'emulator' NULL: qemu-system-x86_64 in $PATH.
 * ERR_TIMEOUT: it did not come up within 'deadline_ms'; ERR_NOT_FOUND: no emulator; ERR_IO: QEMU
 * ended with something else, its last words in the text. */
struct err *probe_accel(const char *emulator, const char *accel, const char *dir,
                        int64_t deadline_ms) MUST_CHECK;

/* Both.  The answer is kept in DIR/run/probe with the kernel's boot id and the emulator's time
 * stamp, so a restarted agent does not pay again; 'fresh' ignores what is kept.  Never fails:
 * what could not be found out is false with its reason. */
void probe_host(const char *dir, bool fresh, struct probe *ret);

#endif /* virt/probe.h */
