/* virt/snapshot.h: a machine's state at one moment, kept inside its qcow2 disks.
 *
 * Shape.   A snapshot of a machine that is on has its memory with it; of one that is off, the disks alone.  libvirt
 *          calls both "internal".  Its name is unique in the machine.
 * Errors.  As conn.h; no such snapshot is ERR_NOT_FOUND, one of that name already ERR_EXISTS. */
#ifndef VIRT_SNAPSHOT_H
#define VIRT_SNAPSHOT_H 1

#include "virt/conn.h"

struct virt_snapshot_disk {
    const char *target; /* "vda" */
    bool keep;          /* Its content belongs to the snapshot. */
};

struct virt_snapshot {
    const char *name;        /* Of people's kind: letters, digits, '.', '_', '-'. */
    const char *description; /* NULL: none. */
    const struct virt_snapshot_disk *disks; /* All of the machine's. */
    size_t n_disks;
};

/* What libvirt says of one. */
#define VIRT_SNAPSHOT_NAME_BYTES 64
struct virt_snapshot_facts {
    char status[16];                       /* "running", "paused", "shutoff". */
    char parent[VIRT_SNAPSHOT_NAME_BYTES]; /* "": none. */
    int64_t created_s;                     /* Since 1970. */
};

struct err *virt_snapshot_create(struct virt *, const struct uuid *domain,
                                 const struct virt_snapshot *) MUST_CHECK;
struct err *virt_snapshot_look(struct virt *, const struct uuid *domain, const char *name,
                               struct virt_snapshot_facts *ret) MUST_CHECK;
/* The machine is then what it was: running, paused or off. */
struct err *virt_snapshot_revert(struct virt *, const struct uuid *domain,
                                 const char *name) MUST_CHECK;
struct err *virt_snapshot_delete(struct virt *, const struct uuid *domain,
                                 const char *name) MUST_CHECK;

/* Pure: libvirt's XML for and of a snapshot. */
void virt_snapshot_xml(const struct virt_snapshot *, struct buf *ret);
struct err *virt_snapshot_parse(const char *xml,
                                struct virt_snapshot_facts *ret) MUST_CHECK;

#endif /* virt/snapshot.h */
