/* model/storage.h: pools and volumes, from typed rows to room store's values.
 *
 * Pure.  Strings in the results are copied into the result's own arena, so that it may cross to
 * another thread while the rows change.
 * Errors. ERR_CONSTRAINT for a row that says something impossible (a mode that is not octal); the
 * text names the column, for the row's 'error'. */
#ifndef MODEL_STORAGE_H
#define MODEL_STORAGE_H 1

#include "base/base.h"
#include "replica/vmmgr_rows.h"
#include "store/pool.h"
#include "store/volume.h"

/* The pool of one host: the template's settings under the pool's own name.  'ret' is
 * pool_init()ed here; on failure it holds nothing. */
struct err *model_pool(const struct row_metapool *, const struct row_pool *,
                       struct pool *ret) MUST_CHECK;

/* The columns of a metapool that are plain text in a struct pool too: for both ways. */
struct model_pool_text {
    const char *column;
    size_t in_row;  /* Offset of a const char * in struct row_metapool ... */
    size_t in_pool; /* ... and in struct pool. */
};
#define N_MODEL_POOL_TEXTS 12
extern const struct model_pool_text model_pool_texts[N_MODEL_POOL_TEXTS];

/* What has no column of its own, as metapool.details: 'fn' is told each key and value. */
typedef void model_put_fn(void *aux, const char *key, const char *value);
void model_details_put(const struct pool *, model_put_fn *, void *aux);
void model_details_get(const struct row_metapool *, struct pool *);

/* The volume as it is wanted.  'backing' is the row of its backing volume, or NULL. */
struct err *model_vol(const struct row_volume *, const struct row_volume *backing,
                      enum pool_type, struct vol *ret) MUST_CHECK;

/* The capacity that is asked for, bytes: wanted_capacity, else size; -1 if neither is set. */
int64_t model_vol_capacity(const struct row_volume *);

#endif /* model/storage.h */
