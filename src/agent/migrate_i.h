/* agent/migrate_i.h: what migrate.c, migrate_check.c, migrate_rows.c and receive.c share.  Private.
 *
 * A job vm.migrate is run by the agent of the host that the machine leaves.  See "A machine changes
 * its host" in ARCHITECTURE.md for the order of the steps and what a death in each moment leaves. */
#ifndef AGENT_MIGRATE_I_H
#define AGENT_MIGRATE_I_H 1

#include "agent/jobs_i.h"
#include "agent/ticket_i.h"
#include "sched/converge.h"
#include "virt/migrate.h"

struct uuid_list {
    struct uuid *v;
    size_t n, cap;
};

/* A disk whose content is to be copied. */
struct migrate_disk {
    const struct row_device *device;
    const struct row_volume *volume;
};

/* migrate_check.c */
bool migrate_is_shared(const struct row_volume *); /* Its pool is the same on all hosts. */
bool migrate_is_on(const struct row_vm *);         /* By its row's facts. */
/* Why the machine cannot leave, or go there; all that this host can tell. */
struct err *migrate_check(struct agent *, const struct row_vm *,
                          const struct row_job *) MUST_CHECK;
/* libvirt's and QEMU's addresses of a host; the caller frees both. */
struct err *migrate_uris(struct agent *, const struct row_hostnode *, char **ret_uri,
                         char **ret_data_uri) MUST_CHECK;
bool migrate_is_encrypted(struct agent *);
/* Bytes/s of the link to that address; 0: not known. */
int64_t migrate_link(const char *address);
const char *migrate_address(const struct row_hostnode *);

/* migrate_rows.c: transactions.  The caller commits them. */
/* The machine is being moved, and the other host is asked to get ready. */
struct txn *migrate_txn_begin(struct agent *, const struct row_vm *, const struct row_job *,
                              const struct uuid *receive);
/* It has moved: host, fence and disks in one go. */
struct txn *migrate_txn_moved(struct agent *, const struct row_vm *, bool on, bool runs);
/* It stays; 'made' are copies that were begun there. */
struct txn *migrate_txn_stays(struct agent *, const struct row_vm *,
                              const struct uuid_list *made);

/* receive.c: the other side. */
void receive_pass(struct agent *, const struct row_job *);
void receive_free(struct agent *);
void leftovers_pass(struct agent *);

/* migrate.c */
void migrate_begin(struct agent *, const struct row_job *);
void migrates_pass(struct agent *);
void migrates_event(struct agent *, const struct virt_event *); /* Of any domain. */
void migrates_free(struct agent *);
/* The database is gone, so nobody could say that a machine has moved; or the agent leaves. */
void migrates_stop(struct agent *);

#endif /* agent/migrate_i.h */
