/* store/pool.h: a storage pool, with all that libvirt's XML can say about one.
 *
 * Shape.   Plain values; strings are borrowed from whoever made the pool, mostly from 'arena',
 *          which pool_done() frees.  A pool built by hand (in a table of tests, from a row)
 *          points to other memory and leaves the arena empty.  A NULL string is "not given".
 * Units.   Sizes are bytes; -1 is "not given" where 0 would mean something.
 * Source.  libvirt's formatstorage page; spec: storage pools as libvirt 9.0 does them. */
#ifndef STORE_POOL_H
#define STORE_POOL_H 1

#include "base/arena.h"
#include "base/base.h"
#include "base/uuid.h"

/* libvirt's numbers: they appear in messages.  Byre has backends for the first eight but
 * iscsi-direct; the others are known so that the answer is "missing backend". */
/* clang-format off */
enum pool_type { POOL_DIR, POOL_FS, POOL_NETFS, POOL_LOGICAL, POOL_DISK, POOL_ISCSI,
                 POOL_ISCSI_DIRECT, POOL_SCSI, POOL_MPATH, POOL_RBD, POOL_SHEEPDOG,
                 POOL_GLUSTER, POOL_ZFS, POOL_VSTORAGE, N_POOL_TYPES };
/* clang-format on */

enum tristate { TRI_ABSENT, TRI_YES, TRI_NO };

struct perms {
    int mode;             /* Octal permission bits, -1 not given. */
    int64_t owner, group; /* -1 not given. */
    const char *label;    /* SELinux label or NULL. */
};
#define PERMS_INIT ((struct perms){ -1, -1, -1, NULL })

struct pool_host {
    const char *name;
    int port; /* 0 not given. */
};

struct pool_extent {
    int64_t start, end; /* Bytes. */
};

struct pool_device {
    const char *path;
    enum tristate part_separator;
    struct pool_extent *free; /* Output only. */
    size_t n_free;
};

enum pool_adapter_type { ADAPTER_NONE, ADAPTER_SCSI_HOST, ADAPTER_FC_HOST };

struct pool_adapter {
    enum pool_adapter_type type;
    /* scsi_host: the name, or the parent's PCI address with unique_id. */
    const char *name;
    bool has_parentaddr;
    uint32_t domain, bus, slot, function;
    int unique_id; /* -1 not given. */
    /* fc_host. */
    const char *wwnn, *wwpn, *parent, *parent_wwnn, *parent_wwpn, *parent_fabric_wwn;
    enum tristate managed;
};

struct pool_auth {
    const char *type; /* "chap", "ceph"; NULL: no <auth>. */
    const char *username;
    const char *secret_uuid, *secret_usage; /* One of the two. */
    const char *secret_type;                /* As given; echoed. */
    const char *password; /* What the secret holds, for byre-stored alone; never printed. */
};

struct pool_source {
    struct pool_host *hosts;
    size_t n_hosts;
    struct pool_device *devices;
    size_t n_devices;
    const char *dir;
    struct pool_adapter adapter;
    const char *name;      /* Volume group ... */
    const char *initiator; /* IQN. */
    const char *format;    /* One of the type's names, "auto"; NULL if the type has none. */
    struct pool_auth auth;
    const char *protocol_ver;
    const char *vendor, *product;
};

struct pool_target {
    const char *path; /* Sanitised. */
    struct perms perms;
};

struct pool {
    struct arena arena;
    enum pool_type type;
    const char *name;
    struct uuid uuid;
    int64_t capacity, allocation, available; /* Bytes, 0 until the first refresh. */
    enum tristate cow;
    struct pool_source source;
    struct pool_target target;
    const char *refresh_allocation; /* "default", "capacity" or NULL. */
    const char **mount_opts;        /* NULL-terminated, or NULL. */
};

/* The N of "scsi_hostN", "fc_hostN" or "hostN"; -1: it is none of them. */
int pool_scsi_host_number(const char *name);
/* "HOST:PORT" or "[v6]:PORT" of the first host of an iscsi pool.  The caller frees it. */
char *pool_portal(const struct pool_source *);
/* The open-iscsi interface that logs in with the pool's initiator; NULL: the default. */
const char *iscsi_iface(struct arena *, const struct pool *);
/* Its source as people call it: "host3", "target iqn.x at h:3260".  The caller frees it. */
char *pool_source_text(const struct pool *);

void pool_init(struct pool *); /* All absent, type dir. */
void pool_done(struct pool *); /* For CLEANUP(). */

const char *pool_type_name(enum pool_type); /* "iscsi-direct" */
bool pool_type_parse(const char *, enum pool_type *ret);

/* Are its volumes files in the target?  Then they are sparse unless said otherwise. */
bool pool_type_is_files(enum pool_type);
/* Room is dealt out when it is written to, and more may be promised than there is: files, and
 * LVM's thin volumes. */
bool pool_is_sparse(const struct pool *);

/* What a type's <source> may and must hold (libvirt's flags). */
enum pool_source_flags {
    SRC_HOST = 1,
    SRC_DEVICE = 2,
    SRC_DIR = 4,
    SRC_ADAPTER = 8,
    SRC_NAME = 16,
    SRC_INITIATOR_IQN = 32,
    SRC_NETWORK = 64,
    SRC_AUTH_CEPH = 128,
};

/* How one type of pool appears in XML. */
struct pool_traits {
    const char *name;
    int source_flags;
    bool no_target;             /* <target> is neither read nor printed. */
    const char *const *formats; /* Of the source; NULL: none.  [0] counts as 0 in enums. */
    const char *default_format; /* Of the source. */
    const char *const *vol_formats; /* NULL: volumes have no format. */
    const char *default_vol_format;
};
const struct pool_traits *pool_traits(enum pool_type); /* Never NULL. */

/* A path as libvirt tidies it: runs of '/' become one, a trailing one goes; a leading "//"
 * stays.  In 'arena'; NULL stays NULL. */
const char *pool_path_tidy(struct arena *, const char *path);

/* What a finished refresh knows about the pool as a whole.  Bytes. */
struct pool_stat {
    int64_t capacity, allocation, available;
    struct perms perms;       /* Of the target, as it is. */
    int metadata_permille;    /* Of a thin pool: how full its metadata are; 0: none. */
    struct pool_extent *free; /* Of a disk: where partitions can be made. */
    size_t n_free;
    const char *degraded; /* What is wrong though it works; NULL: nothing. */
};

#endif /* store/pool.h */
