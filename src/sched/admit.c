/* sched/admit.c: adds up what guests ask of a host's memory, and judges. */
#include "sched/admit.h"

#include <stdio.h>

#define HOST_BYTES (4 * GIB)      /* What the host's system needs at most ... */
#define HOST_SWAP_BYTES (4 * GIB) /* ... and the swap that it wants at least. */
#define SMALL_RAM (8 * GIB)       /* Below, keeping 4 GiB would leave nothing. */
#define QEMU_BYTES (200 * MIB)    /* Planned for a QEMU process ... */
#define QEMU_VCPU_BYTES (2 * MIB) /* ... and for each of its virtual CPUs. */
#define VIDEO_BYTES (16 * MIB)
#define PAGE_BYTES (4 * KIB)

int64_t
admit_dom0_bytes(int64_t ram)
{
    return (502 + ram / MIB * 205 / 10000) * MIB;
}

int64_t
admit_reserve_default(int64_t ram)
{
    int64_t dom0 = admit_dom0_bytes(ram);
    return ram < SMALL_RAM ? dom0 : max64(HOST_BYTES, dom0);
}

/* libxl: a page of shadow for each MiB twice over, and 256 for each virtual CPU. */
static int64_t
xen_shadow(const struct admit_guest *guest)
{
    return PAGE_BYTES * (256 * guest->vcpus + 2 * (guest->memory / MIB));
}

int64_t
admit_overhead(enum admit_kind kind, const struct admit_guest *guest)
{
    if (kind == ADMIT_XEN) {
        return xen_shadow(guest);
    } else if (guest->measured > 0) {
        return guest->measured;
    }
    return QEMU_BYTES + QEMU_VCPU_BYTES * guest->vcpus +
           (guest->video > 0 ? guest->video : VIDEO_BYTES);
}

int64_t
admit_swap_baseline(int64_t ram)
{
    return ram <= 2 * GIB    ? 2 * ram
           : ram <= 8 * GIB  ? ram
           : ram <= 64 * GIB ? ram / 2
                             : HOST_SWAP_BYTES;
}

static double
policy_of(const struct admit_host *host)
{
    return host->policy_ratio > 0 ? host->policy_ratio : 1.0;
}

/* Derives what follows from 'guests', 'overhead' and 'locked'. */
static void
conclude(const struct admit_host *host, struct admit_sum *sum)
{
    double policy = policy_of(host);

    sum->promised = sum->guests + sum->overhead + sum->reserve;
    sum->ratio = host->ram > 0 ? (double) sum->promised / (double) host->ram : 0;
    sum->swap_baseline = admit_swap_baseline(host->ram);
    sum->swap_absolute = max64(0, sum->guests + HOST_BYTES + HOST_SWAP_BYTES - host->ram);
    bool over = host->kind == ADMIT_KVM && sum->promised > host->ram;
    sum->swap_needed = over ? max64(sum->swap_baseline, sum->swap_absolute) : 0;
    sum->swap_comfortable =
        over ? max64(sum->swap_needed,
                     host->ram / 2 + (int64_t) ((double) host->ram * (policy - 1)))
             : 0;
}

static void
count(const struct admit_host *host, struct admit_sum *sum, const struct admit_guest *guest)
{
    int64_t overhead = admit_overhead(host->kind, guest);
    sum->n_guests++;
    sum->guests += guest->memory;
    sum->overhead += overhead;
    sum->locked += guest->locked ? guest->memory + overhead : 0;
}

struct admit_sum
admit_add_up(const struct admit_host *host, const struct admit_guest *guests,
             size_t n_guests)
{
    struct admit_sum sum = { .reserve = host->reserve > 0 ? host->reserve
                                        : host->kind == ADMIT_XEN
                                            ? admit_dom0_bytes(host->ram)
                                            : admit_reserve_default(host->ram) };
    for (size_t i = 0; i < n_guests; i++) {
        count(host, &sum, &guests[i]);
    }
    conclude(host, &sum);
    return sum;
}

static double
gib(int64_t bytes)
{
    return (double) bytes / (double) GIB;
}

/* Overcommit is offered where it could be set. */
static struct err *
what_next(const struct admit_host *host, const struct admit_sum *sum, struct err *e)
{
    double enough = sum->ratio + 0.05;
    if (host->kind == ADMIT_XEN) {
        return err_hint(e, "stop a machine or give it less memory: Xen has no overcommit");
    } else if (enough > ADMIT_MAX_RATIO) {
        return err_hint(e, "give the machine less memory, or another host");
    }
    return err_hint(
        e,
        "stop a machine, give it less memory, or allow overcommit: byre cluster set memory_overcommit=%.1f",
        enough);
}

struct err *
admit_verdict(const struct admit_host *host, const struct admit_sum *sum)
{
    double policy = policy_of(host);
    int64_t allowed = (int64_t) ((double) host->ram * policy);

    if (sum->locked + sum->reserve > host->ram) {
        return err_hint(
            err_new(
                ERR_NO_SPACE,
                "%.1f GiB that cannot be swapped and %.1f GiB for the host are more than "
                "the host's %.1f GiB",
                gib(sum->locked), gib(sum->reserve), gib(host->ram)),
            "a guest without huge pages, locked memory or passed-through devices; or another host");
    } else if (sum->promised <= host->ram) {
        return NULL;
    } else if (policy <= 1.0 || host->kind == ADMIT_XEN) {
        return what_next(
            host, sum,
            err_new(
                ERR_NO_SPACE,
                "guests %.1f GiB + overhead %.1f GiB + host %.1f GiB = %.1f GiB, the host has %.1f GiB",
                gib(sum->guests), gib(sum->overhead), gib(sum->reserve), gib(sum->promised),
                gib(host->ram)));
    } else if (sum->promised > allowed) {
        return what_next(
            host, sum,
            err_new(
                ERR_NO_SPACE,
                "%.2f times the host's memory would be promised, the cluster allows %.2f",
                sum->ratio, policy));
    } else if (sum->swap_needed > host->swap) {
        return err_hint(
            err_new(ERR_NO_SPACE,
                    "overcommit of %.2f needs %.1f GiB of swap, the host has %.1f GiB",
                    sum->ratio, gib(sum->swap_needed), gib(host->swap)),
            "add %.1f GiB of swap to the host (mkswap, swapon), or stop a machine",
            gib(sum->swap_needed - host->swap));
    }
    return NULL;
}

/* Xen tells what is free; that is truer than any sum. */
static struct err *
xen_has_room(const struct admit_host *host, const struct admit_guest *guest)
{
    int64_t needed = guest->memory + xen_shadow(guest);
    if (needed <= host->xen_free) {
        return NULL;
    }
    return err_hint(
        err_new(ERR_NO_SPACE,
                "needs %.1f GiB with what the hypervisor keeps for it, %.1f GiB are free",
                gib(needed), gib(host->xen_free)),
        "stop a machine or give it less memory: Xen has no overcommit");
}

struct err *
admit_check(const struct admit_host *host, const struct admit_sum *sum,
            const struct admit_guest *guest, struct admit_sum *ret_after)
{
    struct admit_sum after = *sum;
    count(host, &after, guest);
    conclude(host, &after);
    *ret_after = after;
    return host->kind == ADMIT_XEN ? xen_has_room(host, guest)
                                   : admit_verdict(host, &after);
}

static void
line(struct buf *out, const char *name, int64_t bytes, const char *why)
{
    buf_printf(out, "%-24s %10.1f GiB%s%s\n", name, gib(bytes), *why ? "   " : "", why);
}

void
admit_explain(struct buf *out, const struct admit_host *host, const struct admit_sum *sum)
{
    bool xen = host->kind == ADMIT_XEN;
    char guests[32];

    snprintf(guests, sizeof guests, "%zu guest%s", sum->n_guests,
             sum->n_guests == 1 ? "" : "s");
    line(out, guests, sum->guests, "");
    line(out, "+ overhead", sum->overhead,
         xen ? "shadow memory" : "QEMU's own, measured or planned");
    line(out, "+ host", sum->reserve, xen ? "Domain 0" : "reserve");
    line(out, "= promised", sum->promised, "");
    line(out, "memory of the host", host->ram, "");
    buf_printf(out, "%-24s %10.2f       %s %.2f is allowed\n", "ratio", sum->ratio,
               policy_of(host) > 1 && !xen ? "" : "no overcommit:", policy_of(host));
    if (!xen) {
        line(out, "swap there is", host->swap, "");
        line(out, "swap needed", sum->swap_needed,
             sum->swap_needed ? "the larger of the next two" : "none without overcommit");
        line(out, "  by the memory alone", sum->swap_baseline, "");
        line(out, "  by the guests", sum->swap_absolute,
             "guests + 4 host + 4 its swap - memory");
        line(out, "swap to be comfortable", sum->swap_comfortable,
             "half the memory + memory x (allowed - 1)");
    }
    CLEANUP(err_drop) struct err *e = admit_verdict(host, sum);
    buf_printf(out, "%-24s %s\n", "verdict", e ? err_why(e) : "within the rules");
    if (e) {
        buf_printf(out, "%-24s %s\n", "next", err_next(e));
    }
}
