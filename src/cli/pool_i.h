/* cli/pool_i.h: the verbs of the noun pool that define one; pool_define.c. */
#ifndef CLI_POOL_I_H
#define CLI_POOL_I_H 1

#include "cli/query_i.h"

struct err *pool_define(struct cli *, const struct args *) MUST_CHECK;
/* The XML 'text' of what messages call 'what'. */
struct err *pool_define_text(struct cli *, const struct args *, const char *what,
                             const struct buf *text) MUST_CHECK;
/* pool_edit.c */
struct err *pool_edit(struct cli *, const struct args *) MUST_CHECK;
struct err *pool_define_as(struct cli *, const struct args *) MUST_CHECK;
extern const struct opt_spec opts_pool_define[], opts_pool_define_as[];
/* pool_auth.c */
struct err *pool_auth(struct cli *, const struct args *) MUST_CHECK;
extern const struct opt_spec opts_pool_auth[];

/* pool_find.c: libvirt's pool source discovery; by XML, and by options. */
struct err *pool_find(struct cli *, const struct args *) MUST_CHECK;
struct err *pool_find_as(struct cli *, const struct args *) MUST_CHECK;
extern const struct opt_spec opts_pool_find[], opts_pool_find_xml[];

/* pool_grow.c */
struct err *pool_grow(struct cli *, const struct args *) MUST_CHECK;
extern const struct opt_spec opts_pool_grow[];

/* cmd_pool.c: one job for the pool's agent. */
struct storage_pool;
struct err *pool_add_job(struct cli *, const struct storage_pool *, const char *kind,
                         const char *said, struct uuid *ret_job) MUST_CHECK;

#endif /* cli/pool_i.h */
