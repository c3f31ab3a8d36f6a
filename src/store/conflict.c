/* store/conflict.c: two pools on one source would each think it is theirs. */
#include "store/conflict.h"

#include "base/str.h"
#include "store/code.h"
#include "store/plan.h"

static bool
share_device(const struct pool_source *a, const struct pool_source *b)
{
    for (size_t i = 0; i < a->n_devices; i++) {
        for (size_t j = 0; j < b->n_devices; j++) {
            if (str_eq(a->devices[i].path, b->devices[j].path)) {
                return true;
            }
        }
    }
    return false;
}

static bool
same_host(const struct pool_source *a, const struct pool_source *b)
{
    return a->n_hosts == 1 && b->n_hosts == 1 &&
           str_eq(a->hosts[0].name, b->hosts[0].name) &&
           a->hosts[0].port == b->hosts[0].port;
}

static bool
same_adapter(const struct pool_adapter *a, const struct pool_adapter *b)
{
    if (a->type == ADAPTER_FC_HOST && b->type == ADAPTER_FC_HOST) {
        return str_eq(a->wwnn, b->wwnn) && str_eq(a->wwpn, b->wwpn);
    } else if (a->type == ADAPTER_SCSI_HOST && b->type == ADAPTER_SCSI_HOST) {
        if (a->has_parentaddr && b->has_parentaddr) {
            return a->domain == b->domain && a->bus == b->bus && a->slot == b->slot &&
                   a->function == b->function && a->unique_id == b->unique_id;
        }
        int n = pool_scsi_host_number(a->name);
        return n >= 0 && n == pool_scsi_host_number(b->name);
    }
    /* A virtual host and its parent are one adapter. */
    const struct pool_adapter *fc = a->type == ADAPTER_FC_HOST ? a : b;
    const struct pool_adapter *scsi = a->type == ADAPTER_FC_HOST ? b : a;
    int n = pool_scsi_host_number(fc->parent);
    return n >= 0 && n == pool_scsi_host_number(scsi->name);
}

static bool
is_block(enum pool_type type)
{
    return type == POOL_FS || type == POOL_LOGICAL || type == POOL_DISK || type == POOL_ZFS;
}

static bool
conflicts(const struct pool *a, const struct pool *b)
{
    if (is_block(a->type) && is_block(b->type)) {
        return share_device(&a->source, &b->source);
    } else if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case POOL_DIR: return str_eq(a->target.path, b->target.path);
    case POOL_NETFS:
        return str_eq(a->source.dir, b->source.dir) && same_host(&a->source, &b->source);
    case POOL_ISCSI:
        return share_device(&a->source, &b->source) &&
               str_eq(a->source.initiator, b->source.initiator);
    case POOL_SCSI: return same_adapter(&a->source.adapter, &b->source.adapter);
    case POOL_MPATH: return true; /* There is one on a host. */
    case POOL_VSTORAGE: return str_eq(a->source.name, b->source.name);
    default: return false;
    }
}

struct err *
conflict_check(const struct pool *pool, const struct pool *const *others, size_t n_others)
{
    for (size_t i = 0; i < n_others; i++) {
        if (!str_eq(pool->name, others[i]->name) && conflicts(pool, others[i])) {
            return err_hint(
                store_err(VE_OPERATION_FAILED, "Storage source conflict with pool: '%s'",
                          others[i]->name),
                "use pool '%s', or give this one a source of its own", others[i]->name);
        }
    }
    return NULL;
}

static void
plan_distinct(struct plan *plan, const char *other, const char *a, const char *b,
              bool are_hosts)
{
    if (!str_eq(a, b)) { /* Else conflict_check() has said so. */
        struct plan_step *step = plan_add(plan, STEP_DISTINCT, other);
        step->dir = arena_str(&plan->arena, a);
        step->backing = arena_str(&plan->arena, b);
        step->strict = are_hosts;
    }
}

static void
plan_other(const struct pool *a, const struct pool *b, struct plan *plan)
{
    if (a->type == POOL_DIR && b->type == POOL_DIR) {
        plan_distinct(plan, b->name, a->target.path, b->target.path, false);
    } else if (a->type == POOL_NETFS && b->type == POOL_NETFS && a->source.n_hosts == 1 &&
               b->source.n_hosts == 1 && str_eq(a->source.dir, b->source.dir)) {
        plan_distinct(plan, b->name, a->source.hosts[0].name, b->source.hosts[0].name,
                      true);
    } else if (is_block(a->type) && is_block(b->type)) {
        for (size_t i = 0; i < a->source.n_devices; i++) {
            for (size_t j = 0; j < b->source.n_devices; j++) {
                plan_distinct(plan, b->name, a->source.devices[i].path,
                              b->source.devices[j].path, false);
            }
        }
    }
}

void
conflict_plan(const struct pool *pool, const struct pool *const *others, size_t n_others,
              struct plan *plan)
{
    for (size_t i = 0; i < n_others; i++) {
        if (!str_eq(pool->name, others[i]->name)) {
            plan_other(pool, others[i], plan);
        }
    }
}
