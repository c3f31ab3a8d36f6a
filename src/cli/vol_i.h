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

/* Refuses a volume whose machine is on (ERR_BUSY): what is wanted of it would otherwise
 * come true when the machine stops, long after the command. */
struct err *vol_check_at_rest(struct cli *, const struct named *) MUST_CHECK;

struct err *vol_upload(struct cli *, const struct args *) MUST_CHECK; /* vol_transfer.c */
struct err *vol_download(struct cli *, const struct args *) MUST_CHECK;

#endif /* cli/vol_i.h */
