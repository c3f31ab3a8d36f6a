/* cli/vol_i.h: making a volume, for `vol create` and for `vm create --disk
 * POOL/NAME:SIZE`; and the larger verbs of the noun vol, one file each. */
#ifndef CLI_VOL_I_H
#define CLI_VOL_I_H 1

#include "cli/storage_i.h"

/* Adds the volume's row and its goal to the change, after all checks.  'backing': the
 * name of a volume, or NULL.  With 'if_not_exists' nothing is added if it is there.
 * *ret_uuid (may be NULL) is written only when a row was added. */
struct err *vol_create(struct cli *, const struct storage_pool *, struct vol *,
                       const char *backing, bool if_not_exists,
                       struct uuid *ret_uuid) MUST_CHECK;

/* The one volume that the positionals name, the last 'n_tail' being something else:
 * POOL/NAME, or a pool and a name in it. */
struct err *vol_name_arg(struct cli *, const struct args *, size_t n_tail,
                         const char **ret) MUST_CHECK;
/* Refuses a volume that a machine, a template or another volume has (ERR_BUSY), unless
 * the change takes that away too. */
struct err *vol_check_unused(struct cli *, const struct named *) MUST_CHECK; /* vol_use.c */

/* What `vm disk resize` and `vm disk move` do to a machine's volume.  'live': its machine runs, so QEMU does it. */
struct err *vol_resize_disk(struct cli *, const struct uuid *volume, const char *size,
                            bool live) MUST_CHECK;
struct err *vol_move_disk(struct cli *, const struct uuid *volume, const char *pool,
                          const char *name, int64_t bandwidth, bool keep,
                          bool live) MUST_CHECK;
/* Refuses a volume that a job works on (ERR_BUSY). */
struct err *vol_check_no_jobs(struct cli *, const struct named *) MUST_CHECK;

/* Refuses a volume whose machine is on (ERR_BUSY): what is wanted of it would otherwise
 * come true when the machine stops, long after the command. */
struct err *vol_check_at_rest(struct cli *, const struct named *) MUST_CHECK;

/* The parts of making one.  The name is free (*ret_there: it is not, and need not be); the
 * pool is in use and large enough; the format is one of the pool's. */
struct err *vol_check_new(struct cli *, const struct storage_pool *, const char *name,
                          bool if_not_exists, bool *ret_there) MUST_CHECK;
struct err *vol_check_pool(const struct storage_pool *, const struct vol *) MUST_CHECK;
struct err *vol_check_format(const struct storage_pool *, const struct vol *) MUST_CHECK;
/* Operation for change_take_back(): a volume that could not be made leaves no row. */
struct json vol_forget_failed(struct arena *, const struct uuid *);
/* The volume's row and its pool. */
struct err *vol_find(struct cli *, const char *spec, struct named *ret,
                     struct storage_pool *ret_pool) MUST_CHECK;

struct err *vol_clone(struct cli *, const struct args *) MUST_CHECK; /* vol_copy.c */
struct err *vol_create_from(struct cli *, const struct args *) MUST_CHECK;
struct err *vol_move(struct cli *, const struct args *) MUST_CHECK;
struct err *vol_wipe(struct cli *, const struct args *) MUST_CHECK; /* vol_change.c */
struct err *vol_resize(struct cli *, const struct args *) MUST_CHECK;
struct err *vol_upload(struct cli *, const struct args *) MUST_CHECK; /* vol_transfer.c */
struct err *vol_download(struct cli *, const struct args *) MUST_CHECK;

#endif /* cli/vol_i.h */
