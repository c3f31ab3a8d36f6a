/* virt/domain_i.h: what the writers of domain XML share.  Private. */
#ifndef VIRT_DOMAIN_I_H
#define VIRT_DOMAIN_I_H 1

#include "virt/domain.h"
#include "xml/writer.h"

#define VIRT_CAP_PERIOD_US 100000

static inline int64_t
virt_cap_quota_us(int64_t cap_percent)
{
    return cap_percent * (VIRT_CAP_PERIOD_US / 100);
}

/* What libvirt takes and tells as <shares>: cpu.shares, 1024 if unset, or cpu.weight of version 2,
 * 100 if unset. */
int64_t virt_shares(const struct virt_domain *);

/* device_xml.c */
void virt_put_devices(struct xml_writer *, const struct virt_domain *);
void virt_put_disk(struct xml_writer *, const struct virt_domain *,
                   const struct virt_disk *, int boot_order);
void virt_put_nic(struct xml_writer *, const struct virt_domain *, const struct virt_nic *);
/* The controller that disks on bus scsi need. */
void virt_put_scsi(struct xml_writer *);

#endif /* virt/domain_i.h */
