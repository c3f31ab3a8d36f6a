/* cli/xm_i.h: the personality xm: Xen's old management tool, on Byre.  Private.
 *
 * Called by the name xm, the program takes xm's subcommands with xm's arguments, and prints and ends as xm does: a line
 * "Error: ..." and 1, or 0.  A subcommand that changes something becomes a command line of byre, so that it is the same
 * transaction with the same waiting; what is shown is made here, in xm's columns.
 * Domains are the machines of this host, by name, by id (domid) or by UUID. */
#ifndef CLI_XM_I_H
#define CLI_XM_I_H 1

#include "cli/names_i.h"

struct xm_args {
    struct strvec pos;
    struct strvec opts; /* "long" or "port=8002", by their long names. */
};
bool xm_has(const struct xm_args *, const char *opt);
const char *xm_get(const struct xm_args *, const char *opt); /* Its value, or NULL. */

struct err *xm_own_node(struct cli *, struct uuid *ret) MUST_CHECK; /* This host's row. */
/* The machines of this host, with all columns, in the order of xm list: by name. */
struct err *xm_domains(struct cli *, struct named_list *ret) MUST_CHECK;
/* One by name, id or UUID.  ERR_NOT_FOUND in xm's words. */
struct err *xm_find(struct cli *, const char *word, struct named *ret) MUST_CHECK;
/* Runs a command line of byre, quietly.  The words end with NULL. */
struct err *xm_byre(struct cli *, const char *const *words) MUST_CHECK;
/* What the agent measured last: {"host":...,"domains":[...]}. */
struct err *xm_sample(struct cli *, struct json *ret) MUST_CHECK;

/* xm_list.c */
struct err *xm_list(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_uptime(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_domstate(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_info(struct cli *, const struct xm_args *) MUST_CHECK;

/* xm_create.c */
struct err *xm_create(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_new(struct cli *, const struct xm_args *) MUST_CHECK;

/* xm_verbs.c */
struct err *xm_console(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_vncviewer(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_delete(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_destroy(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_dump_core(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_mem_set(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_migrate(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_pause(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_reboot(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_reset(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_restore(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_resume(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_save(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_shutdown(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_start(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_suspend(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_top(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_unpause(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_usb_add(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_usb_del(struct cli *, const struct xm_args *) MUST_CHECK;
struct err *xm_vcpu_set(struct cli *, const struct xm_args *) MUST_CHECK;

int xm_main(int argc, char **argv);

#endif /* cli/xm_i.h */
