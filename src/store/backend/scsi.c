/* store/backend/scsi.c: the LUNs of a SCSI host adapter, or of a virtual Fibre Channel port.
 *
 * There is nothing to start on an adapter that is there; a virtual port (NPIV) is made at start
 * if the pool manages it, and removed at stop. */
#include "base/str.h"
#include "store/backend/lun_i.h"
#include "store/code.h"

static struct err *
scsi_valid(const struct pool *pool)
{
    const struct pool_adapter *a = &pool->source.adapter;
    const char *names[] = { a->name, a->parent };
    if (a->type == ADAPTER_NONE) {
        return store_err(VE_XML_ERROR, "missing storage pool source adapter");
    } else if (a->type == ADAPTER_FC_HOST && (!a->wwnn || !a->wwpn)) {
        return store_err(VE_XML_ERROR,
                         "'wwnn' and 'wwpn' must be specified for adapter type 'fchost'");
    }
    for (size_t i = 0; i < N_ELEMS(names); i++) {
        if (names[i] && pool_scsi_host_number(names[i]) < 0) {
            return err_hint(
                store_err(VE_INTERNAL, "Invalid adapter name '%s' for SCSI pool", names[i]),
                "such as scsi_host3; ls /sys/class/scsi_host shows them");
        }
    }
    return NULL;
}

static struct err *
scsi_check(const struct pool *pool, struct plan *plan)
{
    plan_of_pool(plan, STEP_ADAPTER, pool);
    return NULL;
}

static bool
is_vport(const struct pool *pool)
{
    return pool->source.adapter.type == ADAPTER_FC_HOST;
}

static struct err *
scsi_start(const struct pool *pool, struct plan *plan)
{
    if (is_vport(pool)) {
        plan_of_pool(plan, STEP_ADAPTER, pool);
        plan_of_pool(plan, STEP_VPORT, pool)->write = true;
        plan_when(plan, STEP_IF_INACTIVE);
    }
    plan_of_pool(plan, STEP_ADAPTER, pool)->strict = true;
    return NULL;
}

static struct err *
scsi_stop(const struct pool *pool, struct plan *plan)
{
    plan_of_pool(plan, STEP_ADAPTER, pool);
    if (is_vport(pool) && pool->source.adapter.managed == TRI_YES) {
        plan_of_pool(plan, STEP_VPORT, pool);
        plan_when(plan, STEP_IF_ACTIVE);
    }
    return NULL;
}

static struct err *
scsi_scan(const struct pool *pool, struct plan *plan)
{
    plan_of_pool(plan, STEP_RESCAN, pool);
    plan_add(plan, STEP_SETTLE, NULL);
    plan_of_pool(plan, STEP_LUNS, pool);
    return NULL;
}

const struct pool_ops pool_scsi_ops = {
    .type = POOL_SCSI,
    .valid = scsi_valid,
    .check = scsi_check,
    .start = scsi_start,
    .stop = scsi_stop,
    .scan = scsi_scan,
    .vol_upload = lun_upload,
    .vol_download = lun_download,
    .vol_wipe = lun_wipe,
};
