/* virt/sample.h: what all running domains have used so far, in one call.
 *
 * A domain whose monitor is busy (a stuck guest, a migration) is not waited for: it comes back
 * 'partial', with what libvirt knows without asking its QEMU; its counters must not be compared.
 * Source. virConnectGetAllDomainStats(), virsh-domstats. */
#ifndef VIRT_SAMPLE_H
#define VIRT_SAMPLE_H 1

#include "virt/conn.h"

#define VIRT_SAMPLE_MAX_DEVICES 256 /* Of a kind, in one domain; more are added up only. */

struct virt_sample_net {
    char name[16]; /* Of the host's side: "vnet3". */
    uint64_t rx, tx, prx, ptx, errs;
};

struct virt_sample_disk {
    char name[32]; /* Of the guest's side: "vda". */
    uint64_t rd_req, wr_req, rd_bytes, wr_bytes;
};

struct virt_sample {
    struct uuid uuid;
    char *name; /* Owned by the list. */
    enum virt_state state;
    int domid;
    bool partial;
    int64_t vcpus;
    int64_t mem_kib, max_mem_kib;
    int64_t rss_kib; /* Of QEMU; 0: not known. */
    uint64_t cpu_ns;
    struct virt_sample_net *nets; /* Owned by the list, as all below. */
    struct virt_sample_disk *disks;
    uint64_t *vcpu_ns;
    size_t n_nets, n_disks, n_vcpus;
};

struct virt_samples {
    struct virt_sample *v;
    size_t n;
};
#define VIRT_SAMPLES_INIT ((struct virt_samples){ NULL, 0 })
void virt_samples_done(struct virt_samples *); /* For CLEANUP(). */

/* All domains that run.  Blocks; see conn.h. */
struct err *virt_sample_all(struct virt *, struct virt_samples *ret) MUST_CHECK;

#endif /* virt/sample.h */
