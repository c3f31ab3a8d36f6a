/* store/backend/iscsi.c: the LUNs of one iSCSI target.  Commands: iscsiadm(8).
 *
 * Sessions are asked of the kernel (sysfs), where a broken one can be told from a good one; iscsiadm
 * makes and ends them.  The CHAP password goes into the node record, which only root can
 * read, and never onto a command line.  A session that is there is used, whoever made it. */
#include "base/str.h"
#include "store/backend/lun_i.h"
#include "store/code.h"
#include "store/sources.h"

#define TARGETS_MAX 4096
#define PORTAL_MAX 320
#define IQN_MAX 223 /* RFC 3720, 3.2.6.1. */

static bool
is_word(const char *s, const char *extra)
{
    for (; *s; s++) {
        bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                      (*s >= '0' && *s <= '9');
        if (!letter && !strchr(extra, *s)) {
            return false;
        }
    }
    return true;
}

/* RFC 3720: letters, digits, '-', '.', ':'.  Some targets have '_'. */
static struct err *
check_iqn(const char *what, const char *name)
{
    if (!name || !name[0] || strlen(name) > IQN_MAX || name[0] == '-' || name[0] == '.' ||
        strstr(name, "..") || !is_word(name, "-.:_")) {
        return err_hint(store_err(VE_INVALID_ARG, "'%s' is no name of an iSCSI %s",
                                  name ? name : "", what),
                        "such as iqn.2024-01.org.example:disk1");
    }
    return NULL;
}

static struct err *
check_host(const struct pool *pool)
{
    if (pool->source.n_hosts != 1) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "Expected exactly 1 host for the storage pool");
    }
    const char *host = pool->source.hosts[0].name;
    if (!host || !host[0] || host[0] == '-' || strlen(host) > PORTAL_MAX ||
        !is_word(host, "-.:_%")) {
        return store_err(VE_INVALID_ARG, "'%s' is no name of a host", host ? host : "");
    }
    return NULL;
}

static struct err *
iscsi_valid(const struct pool *pool)
{
    const struct pool_source *source = &pool->source;
    TRY(check_host(pool));
    if (source->n_devices != 1) {
        return store_err(VE_INTERNAL, "missing source device");
    }
    TRY(check_iqn("target", source->devices[0].path));
    if (source->initiator) {
        TRY(check_iqn("initiator", source->initiator));
    }
    if (source->auth.type && !str_eq(source->auth.type, "chap")) {
        return store_err(VE_XML_ERROR, "iscsi pool only supports 'chap' auth type");
    }
    return NULL;
}

/* The interface that stands for an initiator's name: "byre-1a2b3c4d". */
static const char *
iface_name(struct arena *arena, const char *initiator)
{
    uint32_t hash = 2166136261U; /* FNV-1a. */
    for (const char *p = initiator; *p; p++) {
        hash = (hash ^ (uint8_t) *p) * 16777619U;
    }
    return arena_printf(arena, "byre-%08x", hash);
}

const char *
iscsi_iface(struct arena *arena, const struct pool *pool)
{
    return pool->source.initiator ? iface_name(arena, pool->source.initiator) : NULL;
}

/* "iscsiadm --mode node --portal P --targetname T", to go on with. */
static void
plan_node(struct plan *plan, const struct pool *pool)
{
    CLEANUP(free_drop) char *portal = pool_portal(&pool->source);
    plan_cmd(plan, "iscsiadm", "--mode", "node", "--portal");
    plan_argf(plan, "%s,1", portal);
    plan_arg(plan, "--targetname");
    plan_arg(plan, pool->source.devices[0].path);
}

static void
plan_iface(struct plan *plan, const char *iface)
{
    if (iface) {
        plan_arg(plan, "--interface");
        plan_arg(plan, iface);
    }
}

static struct err *
iscsi_check(const struct pool *pool, struct plan *plan)
{
    plan_of_pool(plan, STEP_SESSION, pool)->strict = true;
    return NULL;
}

static struct err *
iscsi_start(const struct pool *pool, struct plan *plan)
{
    const char *iface = iscsi_iface(&plan->arena, pool);
    plan_of_pool(plan, STEP_SESSION, pool)->strict = true;
    if (iface) {
        plan_cmd(plan, "iscsiadm", "--mode", "iface", "--interface", iface, "--op", "new");
        plan_when(plan, STEP_IF_INACTIVE);
        plan_cmd(plan, "iscsiadm", "--mode", "iface", "--interface", iface, "--op",
                 "update", "--name", "iface.initiatorname", "--value",
                 pool->source.initiator);
        plan_when(plan, STEP_IF_INACTIVE);
    }
    plan_node(plan, pool);
    plan_iface(plan, iface);
    plan_arg(plan, "--op");
    plan_arg(plan, "new");
    plan_when(plan, STEP_IF_INACTIVE);
    if (pool->source.auth.type) {
        plan_of_pool(plan, STEP_CHAP, pool);
        plan_when(plan, STEP_IF_INACTIVE);
    }
    plan_node(plan, pool);
    plan_arg(plan, "--login");
    plan_iface(plan, iface);
    plan_when(plan, STEP_IF_INACTIVE);
    return NULL;
}

/* Only what is there is ended; the node record goes too, and the password with it. */
static struct err *
iscsi_stop(const struct pool *pool, struct plan *plan)
{
    plan_of_pool(plan, STEP_SESSION, pool);
    plan_of_pool(plan, STEP_IDLE, pool); /* The kernel would not ask. */
    plan_when(plan, STEP_IF_ACTIVE);
    plan_cmd(plan, "iscsiadm", "--mode", "node", "--targetname",
             pool->source.devices[0].path, "--logout");
    plan_when(plan, STEP_IF_ACTIVE);
    plan_node(plan, pool);
    plan_arg(plan, "--op");
    plan_arg(plan, "delete");
    plan->steps.v[plan->steps.n - 1]->ok_exits = PLAN_EXIT(21); /* No such record. */
    plan_when(plan, STEP_IF_ACTIVE);
    return NULL;
}

static struct err *
iscsi_scan(const struct pool *pool, struct plan *plan)
{
    plan_of_pool(plan, STEP_RESCAN, pool);
    plan_add(plan, STEP_SETTLE, NULL);
    plan_of_pool(plan, STEP_LUNS, pool);
    return NULL;
}

/* One line a portal of a target:
 *
 *     127.0.0.1:3260,1 iqn.2024-01.test:t1
 *     [fe80::1]:3260,1 iqn.2024-01.test:t1
 */
struct err *
iscsi_parse_targets(const struct plan_seen *seen, const void *aux,
                    const struct plan_found *found)
{
    const struct pool *spec = aux;
    CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT, names = STRVEC_INIT;
    strvec_split(&lines, plan_seen_text(seen, "targets"), "\n");
    for (size_t i = 0; i < lines.n && found->sources->v.n < TARGETS_MAX; i++) {
        const char *name = strrchr(lines.v[i], ' ');
        if (!name || strvec_has(&names, name + 1)) {
            continue; /* A second portal. */
        }
        CLEANUP(err_drop) struct err *e = check_iqn("target", name + 1);
        if (e) {
            continue;
        }
        strvec_add(&names, name + 1);
        struct arena *arena = &found->sources->arena;
        struct pool_source *source = source_list_add(found->sources);
        source->n_hosts = source->n_devices = 1;
        source->hosts = ARENA_NEW(arena, struct pool_host);
        source->hosts[0].name = arena_str(arena, spec->source.hosts[0].name);
        source->hosts[0].port =
            spec->source.hosts[0].port ? spec->source.hosts[0].port : 3260;
        source->devices = ARENA_NEW(arena, struct pool_device);
        source->devices[0].path = arena_str(arena, name + 1);
        source->initiator =
            spec->source.initiator ? arena_str(arena, spec->source.initiator) : NULL;
    }
    return NULL;
}

static struct err *
iscsi_find_sources(const struct pool *spec, struct plan *plan)
{
    if (spec->source.n_hosts == 0) {
        return store_err(VE_INVALID_ARG,
                         "hostname and device path must be specified for iscsi sources");
    }
    TRY(check_host(spec));
    CLEANUP(free_drop) char *portal = pool_portal(&spec->source);
    plan_cmd(plan, "iscsiadm", "--mode", "discovery", "--type", "sendtargets", "--portal",
             portal, "--op", "nonpersistent");
    plan->steps.v[plan->steps.n - 1]->output = "targets";
    plan_parse(plan, iscsi_parse_targets, spec, "list the targets");
    return NULL;
}

const struct pool_ops pool_iscsi_ops = {
    .type = POOL_ISCSI,
    .valid = iscsi_valid,
    .find_sources = iscsi_find_sources,
    .check = iscsi_check,
    .start = iscsi_start,
    .stop = iscsi_stop,
    .scan = iscsi_scan,
    .vol_upload = lun_upload,
    .vol_download = lun_download,
    .vol_wipe = lun_wipe,
};
