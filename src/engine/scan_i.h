/* engine/scan_i.h: one scan of a pool of files, shared by scan.c (the whole), entry.c (one
 * entry), known.c (what the last scan wrote down) and crew.c (the threads). */
#ifndef ENGINE_SCAN_I_H
#define ENGINE_SCAN_I_H 1

#include <sys/stat.h>

#include "base/map.h"
#include "engine/engine_i.h"

/* What tells that a file is as it was: none of its content need be read again. */
struct stamp {
    uint64_t dev, ino;
    int64_t size, ctime_s;
    int64_t blocks; /* Of 512 bytes.  Not of the stamp: they may differ all the same. */
    uint32_t ctime_ns, mode;
};

/* An entry as the last scan wrote it down, byte by byte: one cache line. */
struct known_entry {
    struct stamp stamp;
    uint32_t name;   /* Where its name lies among the names, */
    uint32_t rest;   /* and all else among the rest. */
    uint32_t after;  /* The entry that the directory names next. */
    uint8_t trusted; /* The stamp was old enough to tell the next change from the last. */
    uint8_t bare;    /* Only its name is known. */
    uint8_t has_warning;
    uint8_t pad;
};

struct known_by_name; /* In known.c. */

struct known {
    const char *map; /* The file, or NULL. */
    size_t n_map;
    int64_t id;                        /* Of the scan; 0: there was none. */
    const struct known_entry *entries; /* In the order of inodes. */
    size_t n;
    const char *names, *rest;
    size_t n_names, n_rest; /* Bytes. */
    bool *seen;             /* By the scan that runs; of each entry. */
    uint32_t first;         /* The one that the directory names first, */
    size_t next;            /* and that it is likely to name next. */
    struct hmap by_name;    /* Only if the directory's order is another one. */
    struct known_by_name *nodes;
    bool has_all_names; /* The directory has these entries, and no others. */
};
/* Reads 'path' if it was written for the directory 'root'; else 'ret' is empty. */
void known_load(const char *path, const struct stat *root, struct known *ret);
void known_done(struct known *);
const struct known_entry *known_find(struct known *, const char *name); /* Or NULL. */
const char *known_name(const struct known *, const struct known_entry *);
/* Or NULL.  In 'arena'. */
const char *known_warning(const struct known *, const struct known_entry *, struct arena *);
/* What its image says: capacity, format, backing store and the rest of a header.  In 'arena'. */
void known_describe(const struct known *, const struct known_entry *, struct arena *arena,
                    struct vol *);

enum entry_state {
    ENTRY_NONE, /* No volume: vanished, or of a kind that is none. */
    ENTRY_SAME, /* Nothing differs from what was known. */
    ENTRY_NEW,  /* 'vol' says what it is. */
};
struct scan_entry {
    const char *name;
    const struct known_entry *old; /* Or NULL. */
    enum entry_state state;
    const struct stamp *stamp; /* Of ENTRY_NEW. */
    struct vol *vol;     /* ENTRY_NEW; of ENTRY_SAME if all were asked for, else NULL. */
    const char *warning; /* Or NULL. */
};

/* Where entries are looked for.  Read-only while a crew works. */
struct scan_place {
    int root;
    const char *root_path;
    const struct known *known; /* Of the entries that have 'old'; NULL: none has. */
    bool all;                  /* Describe those that are the same as well. */
};
/* Looks at one entry; what it says lies in 'arena'.  Thread-safe. */
void entry_examine(const struct scan_place *, struct arena *arena, struct scan_entry *);

/* Had the directory, looked at before its names were read, been as it is for so long that the
 * next change shows in its times?  'now_s' is when the scan began. */
bool known_is_settled(int root_fd, const struct stat *root, int64_t now_s);
/* What known_save() writes down. */
struct known_news {
    int64_t id;
    const struct stat *root;
    bool whole; /* These are all entries, and the directory is settled. */
    int64_t now_s;
    const struct scan_entry *entries;
    const uint32_t *order; /* In which the n entries are written down: by inode. */
    const uint32_t
        *after; /* In that order: the place in it of what the directory names next. */
    uint32_t first;
    size_t n;
    const struct known *known; /* What was known before. */
};
/* For the next scan.  That it may fail is no matter. */
void known_save(const char *path, const struct known_news *);

/* Calls fn(aux, hand, i) for each i < n; 'hand' < CREW_MAX_HANDS tells the threads apart.  When
 * the run is to end, it returns without waiting for a thread that does not come back from the
 * kernel: then *ret_abandoned is true, and what 'aux' points to must never be freed. */
#define CREW_MAX_HANDS 16
struct err *crew_run(struct engine *, size_t n, void (*fn)(void *aux, int hand, size_t i),
                     void *aux, bool *ret_abandoned) MUST_CHECK;

#endif /* engine/scan_i.h */
