/* cli/vol_i.h: making a volume, for `vol create` and for `vm create --disk
 * POOL/NAME:SIZE`. */
#ifndef CLI_VOL_I_H
#define CLI_VOL_I_H 1

#include "cli/storage_i.h"

/* Adds the volume's row and its goal to the change, after all checks.  'backing': the
 * name of a volume, or NULL.  With 'if_not_exists' nothing is added if it is there.
 * *ret_uuid (may be NULL) is written only when a row was added. */
struct err *vol_create(struct cli *, const struct storage_pool *, struct vol *,
                       const char *backing, bool if_not_exists,
                       struct uuid *ret_uuid) MUST_CHECK;

#endif /* cli/vol_i.h */
