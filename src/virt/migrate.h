/* virt/migrate.h: a machine goes to another host while it runs.
 *
 * Way.     libvirt's peer-to-peer migration: this host's libvirtd talks to the other's; QEMU sends the
 *          memory straight to the other QEMU.  The machine arrives PAUSED there and is gone here,
 *          definition and all, once the call has succeeded: whoever finds no such domain here knows
 *          that it has moved.  Letting it run there is another step, for whoever has made that the truth.
 * Failure. The machine goes on here: where libvirt leaves it paused, it is resumed.
 * Threads. As virt/conn.h: all of this blocks, for minutes.  virt_migrate() runs a thread of its own that
 *          looks at the progress; 'progress' and 'cancelled' are called from that one.
 * Source.  virDomainMigrateToURI3() of libvirt-domain.h; https://libvirt.org/migration.html */
#ifndef VIRT_MIGRATE_H
#define VIRT_MIGRATE_H 1

#include "base/base.h"
#include "base/buf.h"
#include "base/uuid.h"

struct virt;

struct virt_migration {
    const char *uri;      /* Of the other libvirt: "qemu+tls://10.0.0.2/system". */
    const char *data_uri; /* Where its QEMU listens: "tcp://10.0.0.2". */
    const char *xml;      /* What it is there; NULL: the same. */
    int64_t bandwidth;    /* Bytes/s; 0: no limit. */
    int64_t downtime_ms;
    bool auto_converge, post_copy;
    bool encrypted; /* What QEMU sends: libvirt's certificates are on both hosts. */
    const char *const *disks; /* To copy, by their names in the guest; 'n_disks' 0: none. */
    size_t n_disks;
};

/* How far it is; zeros for what is not known. */
struct virt_migrating {
    int64_t elapsed_ms;
    int64_t done, left, total; /* Bytes, memory and disks. */
    int64_t rate;              /* Bytes/s now. */
    int64_t dirty_rate;        /* Bytes/s. */
    int64_t passes;            /* Over the memory, from 1. */
    int64_t throttle;          /* Per cent of its CPU that auto-converge takes. */
    bool post_copy;            /* It runs there already. */
};

struct virt_migrate_watch {
    void (*progress)(void *aux, const struct virt_migrating *);
    bool (*cancelled)(void *aux);
    void *aux;
};

/* '*ret_last': the last figures seen, also on failure.  ERR_CANCELED: as asked for. */
struct err *virt_migrate(struct virt *, const struct uuid *, const struct virt_migration *,
                         const struct virt_migrate_watch *,
                         struct virt_migrating *ret_last) MUST_CHECK;
/* Waits while libvirt migrates the domain, begun by somebody else (a client that died), and resumes it
 * if that left it paused.  Nothing under way: at once.  Aborts it when cancelled. */
struct err *virt_migrate_await(struct virt *, const struct uuid *,
                               const struct virt_migrate_watch *) MUST_CHECK;

/* What there is to move, measured for a second. */
struct virt_load {
    int64_t memory;     /* Bytes in use. */
    int64_t dirty_rate; /* Bytes/s; -1: cannot be measured. */
    int64_t write_rate; /* Bytes/s to its disks. */
};
struct err *virt_load_of(struct virt *, const struct uuid *,
                         struct virt_load *ret) MUST_CHECK;

/* The running domain's XML for another host.  The caller frees it. */
struct err *virt_migratable_xml(struct virt *, const struct uuid *, char **ret) MUST_CHECK;

/* Pure: in libvirt's XML each attribute or text that is exactly 'from' becomes 'to'. */
struct virt_edit {
    const char *from, *to;
};
void virt_xml_edit(const char *xml, const struct virt_edit *, size_t n_edits,
                   struct buf *ret);

#endif /* virt/migrate.h */
