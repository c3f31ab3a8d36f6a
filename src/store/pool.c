/* store/pool.c: the types of pools and what each has. */
#include "store/pool.h"

#include "base/str.h"

static const char *const fs_formats[] = { "auto",    "ext2", "ext3",  "ext4", "ufs",
                                          "iso9660", "udf",  "gfs",   "gfs2", "vfat",
                                          "hfs+",    "xfs",  "ocfs2", "vmfs", NULL };
static const char *const netfs_formats[] = { "auto", "nfs", "glusterfs", "cifs", NULL };
static const char *const disk_formats[] = { "unknown", "dos",  "dvh", "gpt",  "mac",
                                            "bsd",     "pc98", "sun", "lvm2", NULL };
static const char *const logical_formats[] = { "unknown", "lvm2", NULL };
static const char *const file_vols[] = { "none", "raw",  "dir",   "bochs", "cloop", "dmg",
                                         "iso",  "vpc",  "vdi",   "fat",   "vhd",   "ploop",
                                         "cow",  "qcow", "qcow2", "qed",   "vmdk",  NULL };
static const char *const disk_vols[] = { "none",       "linux",      "fat16",
                                         "fat32",      "linux-swap", "linux-lvm",
                                         "linux-raid", "extended",   NULL };

static const struct pool_traits traits[N_POOL_TYPES] = {
    /* clang-format off */
    [POOL_DIR] = { "dir", 0, false, NULL, NULL, file_vols, "raw" },
    [POOL_FS] = { "fs", SRC_DEVICE, false, fs_formats, "auto", file_vols, "raw" },
    [POOL_NETFS] = { "netfs", SRC_HOST | SRC_DIR, false, netfs_formats, "auto", file_vols, "raw" },
    [POOL_LOGICAL] = { "logical", SRC_NAME | SRC_DEVICE, false, logical_formats, "lvm2", NULL, NULL },
    [POOL_DISK] = { "disk", SRC_DEVICE, false, disk_formats, "unknown", disk_vols, "none" },
    [POOL_ISCSI] = { "iscsi", SRC_HOST | SRC_DEVICE | SRC_INITIATOR_IQN, false, NULL, NULL, NULL, NULL },
    [POOL_ISCSI_DIRECT] = { "iscsi-direct", SRC_HOST | SRC_DEVICE | SRC_NETWORK | SRC_INITIATOR_IQN,
                            true, NULL, NULL, NULL, NULL },
    [POOL_SCSI] = { "scsi", SRC_ADAPTER, false, NULL, NULL, NULL, NULL },
    [POOL_MPATH] = { "mpath", 0, false, NULL, NULL, NULL, NULL },
    [POOL_RBD] = { "rbd", SRC_HOST | SRC_NETWORK | SRC_NAME, true, NULL, NULL, file_vols, "raw" },
    [POOL_SHEEPDOG] = { "sheepdog", SRC_HOST | SRC_NETWORK | SRC_NAME, true, NULL, NULL, file_vols, "raw" },
    [POOL_GLUSTER] = { "gluster", SRC_HOST | SRC_NETWORK | SRC_NAME | SRC_DIR, true, NULL, NULL,
                       file_vols, "raw" },
    [POOL_ZFS] = { "zfs", SRC_NAME | SRC_DEVICE, false, NULL, NULL, NULL, NULL },
    [POOL_VSTORAGE] = { "vstorage", SRC_NAME, false, NULL, NULL, file_vols, "raw" },
    /* clang-format on */
};

void
pool_init(struct pool *pool)
{
    *pool = (struct pool){ .target.perms = PERMS_INIT };
    pool->source.adapter.unique_id = -1;
}

void
pool_done(struct pool *pool)
{
    arena_done(&pool->arena);
    pool_init(pool);
}

const struct pool_traits *
pool_traits(enum pool_type type)
{
    ASSERT(type < N_POOL_TYPES);
    return &traits[type];
}

const char *
pool_type_name(enum pool_type type)
{
    return pool_traits(type)->name;
}

bool
pool_type_parse(const char *name, enum pool_type *ret)
{
    for (int i = 0; i < N_POOL_TYPES; i++) {
        if (str_eq(traits[i].name, name)) {
            *ret = (enum pool_type) i;
            return true;
        }
    }
    return false;
}

const char *
pool_path_tidy(struct arena *arena, const char *path)
{
    if (!path) {
        return NULL;
    }
    const char *slash = strchr(path, '/');
    if (slash && slash > path && slash[-1] == ':' && slash[1] == '/') {
        return arena_str(arena, path); /* A URI. */
    }
    char *out = arena_alloc(arena, strlen(path) + 1);
    size_t n = 0;
    const char *p = path;
    if (p[0] == '/' && p[1] == '/' && p[2] != '/') {
        out[n++] = *p++; /* POSIX: exactly two in front may mean something else than one. */
    }
    for (; *p; p++) {
        if (*p != '/' || p[1] != '/') {
            out[n++] = *p;
        }
    }
    /* A trailing one goes, but "/" and "//" remain what they are. */
    if (n > 1 && out[n - 1] == '/' && !(n == 2 && out[0] == '/')) {
        n--;
    }
    out[n] = '\0';
    return out;
}

int
pool_scsi_host_number(const char *name)
{
    if (!name) {
        return -1;
    }
    const char *digits = str_starts(name, "scsi_host") ? name + 9
                         : str_starts(name, "fc_host") ? name + 7
                         : str_starts(name, "host")    ? name + 4
                                                       : "";
    int64_t n;
    return str_to_i64(digits, &n) && n >= 0 && n < INT32_MAX ? (int) n : -1;
}

char *
pool_portal(const struct pool_source *source)
{
    const struct pool_host *host = &source->hosts[0];
    bool is_v6 = strchr(host->name, ':') != NULL;
    return str_dupf("%s%s%s:%d", is_v6 ? "[" : "", host->name, is_v6 ? "]" : "",
                    host->port ? host->port : 3260);
}

char *
pool_source_text(const struct pool *pool)
{
    const struct pool_source *source = &pool->source;
    const struct pool_adapter *adapter = &source->adapter;
    if (pool->type == POOL_ISCSI && source->n_hosts && source->n_devices) {
        CLEANUP(free_drop) char *portal = pool_portal(source);
        return str_dupf("target %s at %s", source->devices[0].path, portal);
    } else if (adapter->type == ADAPTER_FC_HOST) {
        return str_dupf("fc_host %s", adapter->wwpn);
    } else if (adapter->has_parentaddr) {
        return str_dupf("the SCSI host of %04x:%02x:%02x.%x (%d)", adapter->domain,
                        adapter->bus, adapter->slot, adapter->function, adapter->unique_id);
    }
    return str_dup(adapter->name ? adapter->name : pool->name);
}

bool
pool_type_is_files(enum pool_type type)
{
    return type == POOL_DIR || type == POOL_FS || type == POOL_NETFS;
}

bool
pool_is_sparse(const struct pool *pool)
{
    const char *name = pool->source.name;
    return pool_type_is_files(pool->type) ||
           (pool->type == POOL_LOGICAL && name && strchr(name, '/'));
}
