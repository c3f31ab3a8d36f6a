/* store/backend/lun.c: volumes that somebody else makes: LUNs of iscsi and scsi, maps of mpath.
 *
 * They are listed, read and written, never made, resized or deleted here; the gate refuses
 * that in libvirt's words because the members are NULL.  A volume is opened by its name: the engine
 * looks the device up again among those of the pool, so no path is taken from a request. */
#include "store/backend/lun_i.h"
#include "store/code.h"

static void
lun_open(const struct pool *pool, const struct vol *vol, bool write, struct plan *plan)
{
    struct plan_step *step = plan_add(plan, STEP_LUN, vol->name);
    step->aux = pool;
    step->write = write;
    plan->file = step->name;
}

struct err *
lun_upload(const struct pool *pool, const struct vol *vol, int64_t offset, int64_t length,
           struct plan *plan)
{
    lun_open(pool, vol, true, plan);
    struct plan_step *step = plan_add(plan, STEP_RECEIVE, NULL);
    step->offset = offset;
    step->length = length;
    step->bounded = true; /* A device does not grow. */
    return NULL;
}

struct err *
lun_download(const struct pool *pool, const struct vol *vol, int64_t offset, int64_t length,
             struct plan *plan)
{
    lun_open(pool, vol, false, plan);
    struct plan_step *step = plan_add(plan, STEP_SEND, NULL);
    step->offset = offset;
    step->length = length;
    return NULL;
}

struct err *
lun_wipe(const struct pool *pool, const struct vol *vol, enum wipe_algorithm algorithm,
         struct plan *plan)
{
    lun_open(pool, vol, true, plan);
    plan_add(plan, STEP_WIPE, NULL)->algorithm = (int) algorithm;
    return NULL;
}
