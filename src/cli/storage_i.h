/* cli/storage_i.h: pools and volumes between rows and room store's values, as JSON rows of
 * transactions. */
#ifndef CLI_STORAGE_I_H
#define CLI_STORAGE_I_H 1

#include "cli/names_i.h"
#include "store/pool.h"
#include "store/volume.h"

/* The want columns of a metapool, for insert or update. */
struct json storage_metapool_row(struct cli *, const struct pool *);
/* The want columns of a volume, without "pool" and "backing". */
struct json storage_volume_row(struct cli *, const struct vol *);

/* A pool by name: its row, its template's row and both as a struct pool.  'ret' is
 * pool_init()ed here; pool_done() it. */
struct storage_pool {
    struct named pool;
    const struct json *metapool;
    struct pool value;
};
void storage_pool_done(struct storage_pool *); /* For CLEANUP(). */
struct err *storage_pool_find(struct cli *, const char *spec,
                              struct storage_pool *ret) MUST_CHECK;
/* A volume's row as a struct vol: as wanted, with what was observed where it was.  'ret' is
 * vol_init()ed here; vol_done() it, on failure too.  It borrows from the row. */
struct err *storage_volume(struct cli *, const struct storage_pool *,
                           const struct json *row, struct vol *ret) MUST_CHECK;

/* libvirt's XML of the "volume" or "pool" as its host's agent sees it now, in the arena; NULL
 * if it cannot be asked.  ERR_NOT_FOUND: the volume is not there any more.  live.c. */
struct err *live_xml(struct cli *, const char *noun, const struct uuid *row,
                     const char *label, const char **ret_xml) MUST_CHECK;

/* A volume POOL/NAME without a row: is there such a file?  The host's agent looks, once a
 * command; true: there is a row now. */
bool live_look_up(struct cli *, const char *spec);

/* A failure of room store as a refusal, in libvirt's words (prefix and text).  Takes
 * 'e'. */
struct err *storage_refusal(struct err *e, const char *what, ...) MUST_CHECK PRINTF(2, 3);

/* The node that --node names, or the only one there is.  ERR_CONSTRAINT if there are
 * several. */
struct err *pick_node(struct cli *, const struct args *, struct named *ret) MUST_CHECK;
/* A file's content, "-" for standard input. */
struct err *read_input(const char *path, struct buf *ret) MUST_CHECK;
/* Shows a plan with --dry-run. */
struct plan;
void show_plan(struct cli *, const char *label, struct plan *);

#endif /* cli/storage_i.h */
