/* agent/memory.c: is there memory for one machine more?  Asked before every start; the rules are sched/admit.h's.
 *
 * What counts is what runs (also of others) and what is just being started.  Without a row in table cluster there is
 * no policy, and so no limit: libvirt and the kernel decide.  Figures are the host's own, not those of its row, which
 * may be old. */
#include <sys/sysinfo.h>

#include "agent/agent_i.h"

#include "base/vec.h"
#include "sched/admit.h"

struct guest_list {
    struct admit_guest *v;
    size_t n, cap;
};

static const struct row_cluster *
policy(const struct agent *a)
{
    ROW_FOR_EACH (struct row_cluster, cluster, row_cluster_table(a->replica)) {
        return cluster;
    }
    return NULL;
}

static struct admit_host
host_of(const struct agent *a, const struct row_cluster *cluster)
{
    struct sysinfo info = { 0 };
    struct admit_host host = {
        .kind = str_starts(virt_uri(a->virt), "xen:") ? ADMIT_XEN : ADMIT_KVM,
        .ram = a->host.mem_mib * MIB,
        .xen_free = a->host.mem_free_mib * MIB,
        .reserve = cluster->host_reserve.has ? cluster->host_reserve.v * MIB : 0,
        .policy_ratio = cluster->memory_overcommit.has ? cluster->memory_overcommit.v : 0,
    };
    if (sysinfo(&info) == 0) {
        host.swap = (int64_t) info.totalswap * info.mem_unit;
        if (host.kind ==
            ADMIT_KVM) { /* libvirtd may have looked before memory was added. */
            host.ram = (int64_t) info.totalram * info.mem_unit;
        }
    }
    return host;
}

static void
add_running(const struct agent *a, const struct uuid *but, struct guest_list *guests)
{
    HMAP_FOR_EACH (struct seen, seen, node, &a->seen) {
        if (!seen->gone && vms_is_on(&seen->dom) && !uuid_eq(&seen->dom.uuid, but)) {
            *VEC_ADD(guests) = (struct admit_guest){ .memory = seen->dom.mem_mib * MIB,
                                                     .vcpus = seen->dom.vcpus };
        }
    }
}

/* Those whose start is under way or that are on their way here, and that were not seen yet. */
static void
add_starting(struct agent *a, const struct uuid *but, struct guest_list *guests)
{
    ROW_FOR_EACH (struct row_vm, row, row_vm_table(a->replica)) {
        struct uuid domain = model_vm_uuid(row);
        bool comes = row->migrate && agent_is_own(a, &row->migrate_to);
        if ((vm_is_starting(row) || comes) && !uuid_eq(&domain, but) &&
            !vms_is_on(host_seen(a, &domain))) {
            *VEC_ADD(guests) =
                (struct admit_guest){ .memory = row->mem * MIB, .vcpus = row->vcpu };
        }
    }
}

struct err *
memory_admit(struct agent *a, const struct row_vm *row)
{
    const struct row_cluster *cluster = policy(a);
    struct guest_list guests = VEC_INIT;
    struct uuid domain = model_vm_uuid(row);
    struct admit_guest more = { .memory = row->mem * MIB, .vcpus = row->vcpu };
    struct admit_sum after;

    if (!cluster || a->host.mem_mib == 0 || str_starts(virt_uri(a->virt), "test:")) {
        return NULL;
    }
    struct admit_host host = host_of(a, cluster);
    add_running(a, &domain, &guests);
    add_starting(a, &domain, &guests);
    struct admit_sum sum = admit_add_up(&host, guests.v, guests.n);
    VEC_DONE(&guests);
    return err_wrap(admit_check(&host, &sum, &more, &after),
                    "there is no memory for the machine");
}
