/* virt/disk.h: a disk of a running guest grows, or goes to another file.
 *
 * Growing. virDomainBlockResize(): QEMU makes its file larger and tells the guest, which sees the new
 *          size at once (virtio, scsi).  A block device must have grown before; then only QEMU is told.
 * Moving.  virDomainBlockCopy(): QEMU copies all of the disk to the other file, and what is written
 *          meanwhile too, until both are the same; then it uses that one, in the middle of its work.
 *          The guest sees nothing of it.  What libvirt has on file follows.
 * Threads. As virt/conn.h: these block, a move for as long as the disk takes to be copied; 'progress'
 *          and 'wish' are called from the same thread.
 * Source.  libvirt-domain.h on both; https://www.qemu.org/docs/master/interop/live-block-operations.html */
#ifndef VIRT_DISK_H
#define VIRT_DISK_H 1

#include "base/base.h"
#include "base/buf.h"
#include "base/uuid.h"

struct virt;

struct err *virt_disk_resize(struct virt *, const struct uuid *, const char *target,
                             int64_t bytes) MUST_CHECK;

/* Where a disk goes: a file or device that is there, large enough, and empty. */
struct virt_disk_place {
    const char *path, *format;
    bool block;
    int64_t bandwidth; /* Bytes/s at most to get there; 0: no limit. */
};

enum virt_disk_wish {
    VIRT_DISK_GO_ON,
    VIRT_DISK_ABORT,
    VIRT_DISK_LEAVE
}; /* Whoever asks next goes on with it. */
struct virt_disk_watch {
    void (*progress)(void *aux, int64_t done, int64_t total); /* Bytes. */
    enum virt_disk_wish (*wish)(void *aux);
    void *aux;
};

/* One that somebody who died began is gone on with; one that is there already is a success, also of a
 * machine that went off since.  ERR_CONSTRAINT: the machine is off and its disk where it was;
 * ERR_CANCELED; ERR_BUSY: it was left. */
struct err *virt_disk_move(struct virt *, const struct uuid *, const char *target,
                           const struct virt_disk_place *to,
                           const struct virt_disk_watch *) MUST_CHECK;

/* Pure: where a domain's XML has a disk, and where it is being copied to; "" for none. */
#define VIRT_PATH_CHARS 4096
struct virt_disk_at {
    char path[VIRT_PATH_CHARS + 1], mirror[VIRT_PATH_CHARS + 1];
};
struct err *virt_disk_at(const char *xml, const char *target,
                         struct virt_disk_at *ret) MUST_CHECK;
void virt_disk_place_xml(const struct virt_disk_place *, struct buf *ret);

#endif /* virt/disk.h */
