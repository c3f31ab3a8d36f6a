/* store/backend/lvm_i.h: what LVM's reporting commands print, as values. */
#ifndef STORE_BACKEND_LVM_I_H
#define STORE_BACKEND_LVM_I_H 1

#include "base/arena.h"
#include "store/plan.h"
#include "store/volume.h"

/* "vg0", or "vg0/tp0": a thin pool of it. */
struct json;
struct lvm_source {
    const char *vg, *thin; /* 'thin' NULL: the group itself. */
};
/* In the arena.  VE_INVALID_ARG if it is no name for LVM. */
struct err *lvm_source_parse(struct arena *, const char *name,
                             struct lvm_source *ret) MUST_CHECK;
/* The name of a logical volume: narrower than vol_name_check()'s. */
struct err *lvm_name_check(const char *what, const char *name) MUST_CHECK;

bool lvm_is_name(const char *);

/* Columns that lvm_parse() wants of lvs and vgs. */
#define LVM_LVS_COLUMNS                                                                    \
    "lv_name,origin,lv_uuid,devices,segtype,stripes,seg_size,vg_extent_size,lv_size,"      \
    "lv_attr,data_percent,metadata_percent,pool_lv,lv_health_status"
#define LVM_VGS_COLUMNS "vg_name,vg_attr,vg_size,vg_free,vg_missing_pv_count"

/* Pool and volumes from the outputs "vgs" and "lvs".  'only' not NULL: that volume alone, and
 * VE_NO_VOL if it is not there. */
struct err *lvm_parse(const struct plan_seen *, const struct lvm_source *,
                      const char *pool_name, const char *only,
                      const struct plan_found *) MUST_CHECK;

/* Space and trouble of the thin pool whose row this is, into 'found'; of the columns above it needs
 * lv_size, lv_attr, the percentages and the health. */
void lvm_thin_stat(const struct json *row, const struct plan_found *found);

/* The rows of one kind ("lv", "vg", "pv") in a report in JSON, whatever complaints stand
 * around it; NULL and n 0 if there are none.  In the arena. */
struct err *lvm_rows(struct arena *, const char *text, const char *kind,
                     const struct json **ret_rows) MUST_CHECK;
/* A member of a row; "" if it is missing. */
const char *lvm_cell(const struct json *row, const char *column);

#endif /* store/backend/lvm_i.h */
