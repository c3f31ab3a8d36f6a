/* virt/hot.c: changes of a running domain, one call of libvirt's each.  They touch what runs only:
 * the definition on file is made anew from the rows before the next start. */
#include "virt/hot.h"

#include <libvirt/virterror.h>

#include "virt/conn_i.h"
#include "virt/domain_i.h"

#define MARK_PREFIX "byre"

static int
set_number(virDomainPtr dom,
           int (*call)(virDomainPtr, virTypedParameterPtr, int, unsigned int),
           const char *name, unsigned long long value)
{
    virTypedParameterPtr params = NULL;
    int n = 0, max = 0;

    virTypedParamsAddULLong(&params, &n, &max, name, value);
    int r = call(dom, params, n, VIR_DOMAIN_AFFECT_LIVE);
    virTypedParamsFree(params, n);
    return r;
}

static int
set_cap(virDomainPtr dom, int64_t cap)
{
    virTypedParameterPtr params = NULL;
    int n = 0, max = 0;

    virTypedParamsAddULLong(&params, &n, &max, VIR_DOMAIN_SCHEDULER_GLOBAL_PERIOD,
                            VIRT_CAP_PERIOD_US);
    virTypedParamsAddLLong(&params, &n, &max, VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA,
                           cap ? virt_cap_quota_us(cap) : -1);
    int r = virDomainSetSchedulerParametersFlags(dom, params, n, VIR_DOMAIN_AFFECT_LIVE);
    virTypedParamsFree(params, n);
    return r;
}

static int
set_weight(virDomainPtr dom, int64_t weight)
{
    virTypedParameterPtr params = NULL;
    int n = 0, max = 0;

    virTypedParamsAddUInt(&params, &n, &max, VIR_DOMAIN_BLKIO_WEIGHT, (unsigned) weight);
    int r = virDomainSetBlkioParameters(dom, params, n, VIR_DOMAIN_AFFECT_LIVE);
    virTypedParamsFree(params, n);
    return r;
}

static int
set_limits(virDomainPtr dom, const char *target, const struct virt_limits *l)
{
    const struct {
        const char *name;
        int64_t value;
    } limits[] = {
        { VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC, l->total_bytes },
        { VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC, l->read_bytes },
        { VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC, l->write_bytes },
        { VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC, l->total_iops },
        { VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC, l->read_iops },
        { VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC, l->write_iops },
    };
    virTypedParameterPtr params = NULL;
    int n = 0, max = 0;

    for (size_t i = 0; i < N_ELEMS(limits); i++) {
        virTypedParamsAddULLong(&params, &n, &max, limits[i].name,
                                (unsigned long long) limits[i].value);
    }
    int r = virDomainSetBlockIoTune(dom, target, params, n, VIR_DOMAIN_AFFECT_LIVE);
    virTypedParamsFree(params, n);
    return r;
}

static int
set_pin(virDomainPtr dom, int64_t vcpu, const char *cpuset)
{
    struct virt_cpuset set;
    unsigned char map[VIRT_MAX_HOST_CPUS / 8] = { 0 };

    if (!virt_cpuset_parse(cpuset, &set)) {
        return 0; /* virt_domain_check() has refused it. */
    }
    for (unsigned i = 0; i < VIRT_MAX_HOST_CPUS; i++) {
        if (set.bits[i / 64] >> (i % 64) & 1) {
            VIR_USE_CPU(map, i);
        }
    }
    return virDomainPinVcpuFlags(dom, (unsigned) vcpu, map, sizeof map,
                                 VIR_DOMAIN_AFFECT_LIVE);
}

static int
apply(virDomainPtr dom, const struct virt_change *c)
{
    switch (c->kind) {
    case VIRT_CH_ATTACH:
        return virDomainAttachDeviceFlags(dom, c->xml, VIR_DOMAIN_AFFECT_LIVE);
    case VIRT_CH_DETACH:
        return virDomainDetachDeviceFlags(dom, c->xml, VIR_DOMAIN_AFFECT_LIVE);
    case VIRT_CH_UPDATE:
        return virDomainUpdateDeviceFlags(
            dom, c->xml,
            VIR_DOMAIN_AFFECT_LIVE | (c->force ? VIR_DOMAIN_DEVICE_MODIFY_FORCE : 0));
    case VIRT_CH_LIMITS: return set_limits(dom, c->target, &c->limits);
    case VIRT_CH_VCPUS:
        return virDomainSetVcpusFlags(dom, (unsigned) c->number, VIR_DOMAIN_AFFECT_LIVE);
    case VIRT_CH_MEMORY:
        return virDomainSetMemoryFlags(dom, (unsigned long) c->number * 1024,
                                       VIR_DOMAIN_AFFECT_LIVE);
    case VIRT_CH_SHARES:
        return set_number(dom, virDomainSetSchedulerParametersFlags,
                          VIR_DOMAIN_SCHEDULER_CPU_SHARES, (unsigned long long) c->number);
    case VIRT_CH_CAP: return set_cap(dom, c->number);
    case VIRT_CH_IO_WEIGHT: return set_weight(dom, c->number);
    case VIRT_CH_PIN: return set_pin(dom, c->number, c->text);
    case VIRT_CH_DESCRIPTION:
        return virDomainSetMetadata(dom, VIR_DOMAIN_METADATA_DESCRIPTION, c->text, NULL,
                                    NULL, VIR_DOMAIN_AFFECT_LIVE);
    case VIRT_CH_MARK:
        return virDomainSetMetadata(dom, VIR_DOMAIN_METADATA_ELEMENT, c->xml, MARK_PREFIX,
                                    VIRT_MARK_URI, VIR_DOMAIN_AFFECT_LIVE);
    }
    return 0;
}

/* A guest that did not answer within libvirt's few seconds may answer yet. */
static bool
may_come(const struct virt_change *c, bool again)
{
    const virError *last = virGetLastError();
    int code = last ? last->code : 0;

    return c->by_guest && (again || code == VIR_ERR_OPERATION_TIMEOUT ||
                           (c->kind == VIRT_CH_VCPUS && code == VIR_ERR_OPERATION_FAILED));
}

struct err *
virt_apply(struct virt *v, const struct uuid *uuid, const struct virt_diff *diff,
           bool again)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    TRY(virt_dom_take(v, uuid, &dom));

    for (size_t i = 0; i < diff->n; i++) {
        const struct virt_change *c = &diff->v[i];
        if (apply(dom, c) < 0 && !may_come(c, again)) {
            struct err *e = virt_last_error(v, c->what);
            bool of_drive = c->kind == VIRT_CH_UPDATE && str_starts(c->what, "disk ");
            return of_drive && !c->force
                       ? err_hint(e, "if the guest has locked the drive: end its use there "
                                     "(umount), or byre vm disk eject --force")
                       : e;
        }
    }
    return NULL;
}
