/* engine/luns_i.h: SCSI hosts, iSCSI sessions and LUNs, by sysfs.
 *
 * Writing to sysfs and opening a disk can take as long as a dead target pleases; whoever
 * watches the run from outside (engine_watch) ends it then. */
#ifndef ENGINE_LUNS_I_H
#define ENGINE_LUNS_I_H 1

#include "base/str.h"
#include "engine/engine_i.h"

#define HOSTS_MAX 4096 /* SCSI hosts, sessions, devices that are looked at. */

/* Where the kernel and udev tell; tests have trees of their own. */
struct luns_roots {
    const char *sys, *udev;
};
extern struct luns_roots luns_roots;

/* hosts.c */
/* The first line of an attribute; NULL: there is none.  The caller frees it. */
char *sys_read(const char *path);
/* The same of CLASS/OBJECT/NAME below /sys/class, such as "fc_host/host3/node_name". */
char *sys_attribute(const char *class, const char *object, const char *name);
struct err *sys_write(const char *path, const char *text) MUST_CHECK;
/* Names in a directory, sorted; none if it is not there. */
struct strvec sys_list(const char *dir);
/* Numbers of the SCSI hosts of the pool, as decimals.  ERR_NOT_FOUND with libvirt's text if the
 * adapter is not there; none for a target without a session. */
struct err *hosts_of(const struct pool *, struct strvec *ret) MUST_CHECK;
struct err *hosts_check(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *hosts_vport(struct engine *, const struct plan_step *) MUST_CHECK;

/* iscsi.c */
/* SCSI hosts of the sessions to the pool's target; *ret_down: why one of them is down, or NULL (the
 * caller frees it). */
struct err *iscsi_hosts(const struct pool *, struct strvec *ret,
                        char **ret_down) MUST_CHECK;
struct err *iscsi_session(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *iscsi_chap(struct engine *, const struct plan_step *) MUST_CHECK;
/* The record with these three lines in place of what it had of them.  Pure. */
void iscsi_record_edit(const char *record, const char *username, const char *password,
                       struct buf *out);

/* luns.c */
struct err *luns_rescan(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *luns_scan(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *luns_idle(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *luns_open(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *luns_open_source(struct engine *, const struct plan_step *) MUST_CHECK;

/* distinct.c */
struct err *distinct_check(struct engine *, const struct plan_step *) MUST_CHECK;

/* grow.c */
struct err *grow_look_step(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *grow_rescan_step(struct engine *, const struct plan_step *) MUST_CHECK;

#endif /* engine/luns_i.h */
