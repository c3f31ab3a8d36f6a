/* virt/guard.h: what keeps a guest from sending under another's name.
 *
 * libvirt's packet filters (nwfilter) hold the rules; a domain's interface refers to one and tells
 * it the addresses.  libvirt puts the rules in place before the guest's first packet and takes
 * them away with its interface, whoever starts it, and after a migration.
 *
 *     byre-clean-1   from its MAC address, and from the addresses that it was given
 *     byre-mac-1     from its MAC address: the interface has no address of ours
 *
 * Both let no guest answer as a DHCP server or a router.  docs/decisions/010 says why.
 * The filters' names carry a version: one that is there is never changed, because guests of an older
 * Byre may be using it. */
#ifndef VIRT_GUARD_H
#define VIRT_GUARD_H 1

#include "base/base.h"
#include "base/buf.h"
#include "base/uuid.h"

#define VIRT_MAX_GUARD_ADDRESSES 64

struct virt;
struct xml_writer;
struct virt_nic;

struct virt_guard {
    bool on;
    const char *const *addresses; /* Canonical, sorted; ends with NULL.  NULL: none. */
};

/* <filterref>; nothing if it is off. */
void virt_guard_put(struct xml_writer *, const struct virt_guard *);
/* What of an interface a fingerprint of the guards is taken of. */
void virt_guard_text(const struct virt_nic *, struct buf *);
/* 'xml' is a domain's.  The <interface> with that MAC as text, its <filterref> replaced by what
 * 'nic' wants; appended to 'ret'.  False: there is none. */
bool virt_guard_rewrite(const char *xml, const struct virt_nic *nic, struct buf *ret);

/* Defines the filters if they are not there.  ERR_UNSUPPORTED: this libvirt has none. */
struct err *virt_guards_define(struct virt *) MUST_CHECK;
/* Makes the guards of a domain those of 'nics', live if it runs and on file, and says so in its
 * mark: 'guard' is the fingerprint of virt_domain_guard(). */
struct err *virt_guards_set(struct virt *, const struct uuid *domain,
                            const struct virt_nic *nics, size_t n,
                            const char *guard) MUST_CHECK;

#endif /* virt/guard.h */
