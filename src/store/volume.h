/* store/volume.h: a storage volume: what is asked for, and what a scan found.
 *
 * libvirt describes both with the same XML, so one struct serves for both.  Strings are
 * borrowed, mostly from 'arena' (see pool.h); in a vol_list from the list's arena.
 * Units.   Bytes; -1 is "not given". */
#ifndef STORE_VOLUME_H
#define STORE_VOLUME_H 1

#include "base/arena.h"
#include "base/base.h"
#include "base/vec.h"
#include "store/pool.h"

#define VOL_NAME_MAX 255 /* Bytes, as NAME_MAX. */

/* clang-format off */
enum vol_type { VOL_FILE, VOL_BLOCK, VOL_DIR, VOL_NETWORK, VOL_NETDIR, VOL_PLOOP, N_VOL_TYPES };
/* clang-format on */

/* [start, end) of 'path', for volumes that lie on a device of the source. */
struct vol_extent {
    const char *path;
    int64_t start, end;
};

struct vol_time {
    int64_t sec;
    int64_t nsec; /* -1: not known, the element is left out. */
};

struct vol_secret { /* One of the two. */
    const char *uuid, *usage;
};

struct vol_crypt {              /* <encryption> */
    const char *format;         /* "luks", "qcow" ...; NULL: not encrypted. */
    const char *engine;         /* "qemu", "librbd" or NULL. */
    struct vol_secret *secrets; /* Names of secrets, never their values. */
    size_t n_secrets;
    const char *cipher_name, *cipher_mode, *cipher_hash, *ivgen_name, *ivgen_hash;
    int cipher_size; /* Bits, 0 not given. */
};

/* <target> and <backingStore>. */
struct vol_target {
    const char *path;   /* NULL: no backing store. */
    const char *format; /* "raw", "qcow2" ...; NULL: the pool's type has none. */
    struct perms perms;
    bool has_times;
    struct vol_time atime, mtime, ctime, btime;
    struct vol_crypt crypt;
    const char *compat;    /* "0.10", "1.1" or NULL. */
    int64_t cluster_bytes; /* 0 not given. */
    bool nocow;
    bool has_features, lazy_refcounts, extended_l2;
};

struct vol {
    struct arena arena;
    enum vol_type type;
    const char *name;
    const char *key;    /* NULL when asked for. */
    int64_t capacity;   /* -1: take the backing store's, or the source's. */
    int64_t allocation; /* -1: not given, which means all of 'capacity'. */
    int64_t physical;   /* 0 not known. */
    struct vol_extent *extents;
    size_t n_extents;
    struct vol_target target;
    struct vol_target backing; /* .path NULL: none. */
    const char *error; /* Of a scan: why this entry could not be read whole; NULL: fine. */
};

void vol_init(struct vol *);
void vol_done(struct vol *); /* For CLEANUP(). */
/* The allocation that is meant: 'allocation', or 'capacity' if not given. */
int64_t vol_wanted_allocation(const struct vol *);
const char *vol_type_name(enum vol_type); /* "file" */
bool vol_type_parse(const char *, enum vol_type *ret);
/* What XML calls a format: libvirt knows none of ours beyond its own and says "raw". */
const char *vol_format_in_xml(const char *format);

/* Is 'name' one that a volume of a file pool may have?  Else VE_OPERATION_INVALID with
 * libvirt's text where it has one.  No '/', not "." or "..", no '-' in front, no control
 * character, UTF-8, at most VOL_NAME_MAX bytes, not of the form that temporaries have. */
struct err *vol_name_check(const char *name) MUST_CHECK;
/* A compat level is two numbers, "N.N"; which ones make sense is qemu-img's to say. */
bool vol_is_compat(const char *);
/* Are the values of 'vol' such that a plan may carry them, for a pool of 'type'?  Formats are
 * known ones, the backing store is a local path, numbers are in range. */
struct err *vol_check(const struct vol *, enum pool_type type) MUST_CHECK;
/* Temporaries are called ".NAME.new-RANDOM"; a scan does not show them. */
#define VOL_TEMP_INFIX ".new-"
bool vol_name_is_temporary(const char *name);

/* A finished scan. */
struct vol_list {
    struct arena arena;         /* Holds the strings of all elements. */
    VEC(struct vol) vols;       /* Their own arenas are empty. */
    VEC(const char *) warnings; /* What could not be read; for people. */
    int64_t scan;               /* Names this state of the pool; 0: nobody wrote it down. */
    int64_t since; /* Not 0: 'vols' is what is new or differs since that scan, and ... */
    VEC(const char *) gone; /* ... these are no more. */
};
#define VOL_LIST_INIT ((struct vol_list){ .arena = ARENA_INIT })
void vol_list_done(struct vol_list *);       /* For CLEANUP(). */
struct vol *vol_list_add(struct vol_list *); /* vol_init()ed. */
void vol_list_warn(struct vol_list *, const char *fmt, ...) PRINTF(2, 3);
const struct vol *vol_list_find(const struct vol_list *, const char *name); /* Or NULL. */
void vol_list_sort(struct vol_list *); /* By name, bytewise. */

#endif /* store/volume.h */
