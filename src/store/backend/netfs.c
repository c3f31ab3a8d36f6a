/* store/backend/netfs.c: a directory of a server: NFS, GlusterFS, CIFS.  Commands: mount(8),
 * umount(8), showmount(8).
 *
 * The mount's arguments are libvirt's.  Whether something is mounted is asked of the kernel, not
 * of mount(8), and every plan that works in the pool begins by checking it: so nothing is
 * ever written where the server's directory is not. */
#include "base/buf.h"
#include "base/str.h"
#include "store/backend/file_i.h"
#include "store/backend/lun_i.h"
#include "store/backend/mount_i.h"
#include "store/code.h"
#include "store/sources.h"

#define EXPORTS_MAX 4096 /* Of one server that are told. */
#define SHOWMOUNT_MS 30000

static bool
is_format(const struct pool *pool, const char *format)
{
    return str_eq(pool->source.format, format);
}

/* What goes on command lines: no option, one line, no list of mount options. */
static struct err *
check_host(const struct pool *pool)
{
    const char *host = pool->source.hosts[0].name;
    if (!host || !host[0] || host[0] == '-' || strpbrk(host, "/, \t\n")) {
        return store_err(VE_INVALID_ARG, "'%s' is no name of a host", host ? host : "");
    }
    return NULL;
}

static struct err *
check_source(const struct pool *pool)
{
    const struct pool_source *source = &pool->source;
    if (source->n_hosts != 1) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "expected exactly 1 host for the storage pool");
    }
    TRY(check_host(pool));
    if (!source->dir || !source->dir[0] || source->dir[0] == '-' ||
        strpbrk(source->dir, "\n")) {
        return store_err(VE_XML_ERROR, "missing storage pool source path");
    }
    return NULL;
}

struct err *
mount_options(const struct pool *pool, const char *more, struct plan *plan)
{
    CLEANUP(buf_done) struct buf options = BUF_INIT;
    buf_str(&options, "nodev,nosuid,noexec");
    if (pool->source.protocol_ver) {
        buf_printf(&options, ",nfsvers=%s", pool->source.protocol_ver);
    }
    for (const char **o = pool->mount_opts; o && *o; o++) {
        if (!**o || strpbrk(*o, ", \t\n\"'\\")) {
            return err_hint(store_err(VE_XML_ERROR, "'%s' is no mount option", *o),
                            "give each option by itself, without commas and blanks");
        }
        buf_printf(&options, ",%s", *o);
    }
    buf_str(&options, more);
    plan_arg(plan, "-o");
    plan_arg(plan, buf_cstr(&options));
    return NULL;
}

struct err *
mount_check(const struct pool *pool, struct plan *plan)
{
    struct plan_step *step = plan_add(plan, STEP_MOUNTED, pool->target.path);
    step->dir = file_mount_source(&plan->arena, pool);
    return NULL;
}

struct err *
mount_stop(const struct pool *pool, struct plan *plan)
{
    TRY(mount_check(pool, plan));
    plan_cmd(plan, "umount", pool->target.path);
    plan_when(plan, STEP_IF_ACTIVE);
    return NULL;
}

/* "PATH CLIENTS" a line; the path may hold blanks, the clients do not:
 *
 *     /srv/x      *
 *     /srv/a b    10.0.0.0/8,h2
 */
struct err *
netfs_parse_exports(const struct plan_seen *seen, const void *aux,
                    const struct plan_found *found)
{
    const struct pool *spec = aux;
    struct arena *arena = &found->sources->arena;
    CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT;
    strvec_split(&lines, plan_seen_text(seen, "exports"), "\n");
    for (size_t i = 0; i < lines.n && found->sources->v.n < EXPORTS_MAX; i++) {
        char *path = lines.v[i], *end = path + strlen(path);
        while (end > path && end[-1] == ' ') {
            *--end = '\0';
        }
        char *clients = strrchr(path, ' ');
        if (!clients || path[0] != '/') {
            continue; /* No line of a list. */
        }
        for (end = clients; end > path && *end == ' '; end--) {
            *end = '\0';
        }
        struct pool_source *source = source_list_add(found->sources);
        source->n_hosts = 1;
        source->hosts = ARENA_NEW(arena, struct pool_host);
        source->hosts[0].name = arena_str(arena, spec->source.hosts[0].name);
        source->dir = arena_str(arena, path);
        source->format = "nfs";
    }
    if (found->sources->v.n == 0) {
        return store_err(VE_OPERATION_FAILED, "no storage pools were found on host '%s'",
                         spec->source.hosts[0].name);
    }
    return NULL;
}

static struct err *
netfs_find_sources(const struct pool *spec, struct plan *plan)
{
    if (spec->source.n_hosts == 0) {
        return store_err(VE_INVALID_ARG, "hostname must be specified for netfs sources");
    } else if (spec->source.n_hosts != 1) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "Expected exactly 1 host for the storage pool");
    }
    TRY(check_host(spec));
    struct plan_step *step = plan_cmd(plan, "showmount", "--no-headers", "--exports",
                                      spec->source.hosts[0].name);
    step->output = "exports";
    step->or_so = "the server does not tell its exports";
    step->timeout_ms = SHOWMOUNT_MS;
    plan_parse(plan, netfs_parse_exports, spec, "list the exports");
    return NULL;
}

static struct err *
netfs_check(const struct pool *pool, struct plan *plan)
{
    TRY(check_source(pool));
    return mount_check(pool, plan);
}

static struct err *
netfs_build(const struct pool *pool, int flags, struct plan *plan)
{
    if (flags) {
        return err_hint(store_err(VE_OPERATION_INVALID,
                                  "No source device specified when formatting pool '%s'",
                                  pool->name),
                        "build a pool of type netfs without overwrite or no-overwrite");
    }
    return file_build(pool, plan);
}

static struct err *
netfs_start(const struct pool *pool, struct plan *plan)
{
    TRY(netfs_check(pool, plan));
    plan->steps.v[plan->steps.n - 1]->strict = true;
    plan_cmd(plan, "mount");
    const char *more = is_format(pool, "glusterfs") ? ",direct-io-mode=1"
                       : is_format(pool, "cifs")    ? ",guest"
                                                    : "";
    TRY(mount_options(pool, more, plan));
    if (!is_format(pool,
                   "auto")) { /* mount(8) knows NFS by the colon; "-t auto" does not. */
        plan_arg(plan, "-t");
        plan_arg(plan, pool->source.format);
    }
    plan_arg(plan, file_mount_source(&plan->arena, pool));
    plan_arg(plan, pool->target.path);
    plan_when(plan, STEP_IF_INACTIVE);
    return NULL;
}

static struct err *
netfs_stop(const struct pool *pool, struct plan *plan)
{
    TRY(check_source(pool));
    return mount_stop(pool, plan);
}

const struct pool_ops pool_netfs_ops = {
    .type = POOL_NETFS,
    FILE_POOL_OPS,
    .find_sources = netfs_find_sources,
    .check = netfs_check,
    .build = netfs_build,
    .start = netfs_start,
    .stop = netfs_stop,
};
