/* sched/admit.h: may one guest more start on this host?  The sums, and the verdict.
 *
 * KVM.   A guest is a process; its memory is given when touched and can be swapped.  So guests may
 *        be promised more than there is, if the cluster's policy says so and there is swap for all of it:
 *
 *            promised  = sum of guests' memory + QEMU's overhead for each + host's reserve
 *            ratio     = promised / RAM                    above 1: overcommitted
 *            swap that is needed: the larger of
 *              baseline  by RAM alone: up to 2 GiB twice it, to 8 GiB once, to 64 GiB half, above 4 GiB
 *              absolute  guests' memory + 4 GiB (host) + 4 GiB (its least swap) - RAM
 *            swap that is comfortable: RAM / 2 + RAM * (policy - 1): the ratio rule
 *
 *        Policy 1.0 is "no overcommit": then no swap is asked for.  Memory that cannot be swapped (huge pages, locked,
 *        devices passed through) must fit without any.
 * Xen.   No overcommit at all: free memory must hold the guest's maximum and what the hypervisor keeps for it.
 *        Domain 0 gets 502 MiB + 2.05 % of the RAM.
 * Units. Bytes.
 * Source. Red Hat Enterprise Linux 6, Virtualization Administration Guide, "Overcommitting memory"; Oracle VM
 *        Server 3 (dom0_mem); libxl's estimate of shadow memory. */
#ifndef SCHED_ADMIT_H
#define SCHED_ADMIT_H 1

#include "base/base.h"
#include "base/buf.h"

#define ADMIT_MAX_RATIO 5.0 /* The schema's limit of memory_overcommit. */

enum admit_kind { ADMIT_KVM, ADMIT_XEN };

struct admit_host {
    enum admit_kind kind;
    int64_t ram;
    int64_t swap;
    int64_t reserve;     /* 0: host_reserve_default(ram). */
    int64_t xen_free;    /* ADMIT_XEN: what the hypervisor has free now. */
    double policy_ratio; /* 0: 1.0, no overcommit. */
};

struct admit_guest {
    int64_t memory;   /* Its maximum. */
    int64_t video;    /* Video memory; 0: 16 MiB. */
    int64_t measured; /* What QEMU was seen to use besides; 0: not measured, planned for. */
    int64_t vcpus;
    bool locked; /* Cannot be swapped. */
};

struct admit_sum {
    size_t n_guests;
    int64_t guests;   /* Their memory. */
    int64_t locked;   /* Of that and of the overhead, what cannot be swapped. */
    int64_t overhead; /* QEMU's, or Xen's shadow memory. */
    int64_t reserve;
    int64_t promised; /* guests + overhead + reserve. */
    double ratio;     /* promised / RAM. */
    int64_t swap_baseline, swap_absolute;
    int64_t swap_needed, swap_comfortable; /* 0 unless overcommitted. */
};

/* 502 MiB + 2.05 % of 'ram', in whole MiB: Domain 0's memory in Oracle VM. */
int64_t admit_dom0_bytes(int64_t ram);
/* The larger of 4 GiB and that; a small host (below 8 GiB) keeps admit_dom0_bytes(). */
int64_t admit_reserve_default(int64_t ram);
int64_t admit_overhead(enum admit_kind, const struct admit_guest *);
/* Swap for a host that does not overcommit. */
int64_t admit_swap_baseline(int64_t ram);

/* What these guests together ask of the host. */
struct admit_sum admit_add_up(const struct admit_host *, const struct admit_guest *,
                              size_t n_guests);

/* May 'guest' start beside those of 'sum' (which does not hold it)?  NULL: yes.  ERR_NO_SPACE with
 * the figures, and what to do next.  '*ret_after' is the sum with it, set either way. */
struct err *admit_check(const struct admit_host *, const struct admit_sum *sum,
                        const struct admit_guest *guest,
                        struct admit_sum *ret_after) MUST_CHECK;

/* Is what runs there now within the rules?  As admit_check(). */
struct err *admit_verdict(const struct admit_host *, const struct admit_sum *) MUST_CHECK;

/* The whole sum as a calculation for people, a line a step. */
void admit_explain(struct buf *, const struct admit_host *, const struct admit_sum *);

#endif /* sched/admit.h */
