/* store/grow.h: making a pool larger on a LUN that grew: what lies below a pool, and what to do.
 *
 * A look tells the layers from the disks up: disks (paths), multipath maps, partitions, logical volumes,
 * the file system.  From it follow two lists of steps: those that every host of the pool needs, so
 * that its kernel knows the new size on all paths; and those that one host does once for all.
 * Nothing grows while one path disagrees: with its kernel's word for the top list, with the
 * other paths for both.
 * Pure.  A look crosses as JSON, because it goes from byre-stored by a job's row to the one who
 * compares hosts; each host plans from its own look. */
#ifndef STORE_GROW_H
#define STORE_GROW_H 1

#include "base/arena.h"
#include "base/vec.h"
#include "json/json.h"
#include "store/plan.h"
#include "store/pool.h"

#define GROW_MAX_LAYERS 1024

/* clang-format off */
enum grow_kind { GROW_DISK, GROW_MAP, GROW_PART, GROW_PV, GROW_LV, GROW_FS, N_GROW_KINDS };
/* clang-format on */

struct grow_layer {
    enum grow_kind kind;
    const char
        *name; /* "sda", "mpatha", "sda1"; of an LV "vg/lv"; of a file system its type. */
    const char *node; /* "/dev/sda"; of a file system where it is mounted. */
    const char
        *below; /* Node of what it lies on: of a map's path or an LV's PV, the others say
                        * it of themselves. */
    const char *map;      /* Of a disk: the map it is a path of, or NULL. */
    int number;           /* Of a partition. */
    int64_t bytes;        /* As this host's kernel has it; of a file system its own size. */
    int64_t target_bytes; /* Of a disk: what the device itself says.  Else 0. */
    const char *error;    /* Why it cannot be used, or NULL. */
};

struct grow_look {
    struct arena arena;
    const char *host;
    VEC(struct grow_layer) layers; /* From the bottom up. */
};
#define GROW_LOOK_INIT ((struct grow_look){ ARENA_INIT, NULL, VEC_INIT })
void grow_look_done(struct grow_look *); /* For CLEANUP(). */
struct grow_layer *grow_look_add(struct grow_look *, enum grow_kind);

struct json grow_look_encode(struct arena *, const struct grow_look *);
struct err *grow_look_decode(const struct json *, struct grow_look *ret) MUST_CHECK;

/* Are all paths there, and of one size?  ERR_CONSTRAINT names the path that is not. */
struct err *grow_check_paths(const struct grow_look *) MUST_CHECK;
/* Do two hosts see the same disks?  By the sizes that the devices themselves tell. */
struct err *grow_check_hosts(const struct grow_look *, const struct grow_look *) MUST_CHECK;
/* Does this host's kernel know the new size everywhere below partitions? */
bool grow_is_known(const struct grow_look *);
/* "sda 2.00 GiB (kernel: 1.00 GiB) > mpatha 1.00 GiB > ext4 on /srv": for people.  The caller frees
 * it. */
char *grow_text(const struct grow_look *);

/* What each host does: rescan disks, resize maps. */
struct err *grow_plan_host(const struct grow_look *, struct plan *) MUST_CHECK;
/* What one host does after that: partition, PV, LV, file system. */
struct err *grow_plan_top(const struct grow_look *, struct plan *) MUST_CHECK;

#endif /* store/grow.h */
