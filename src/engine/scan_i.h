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
    int64_t size, ctime_s, ctime_ns;
    uint32_t mode;
};

/* An entry as the last scan wrote it down.  Strings lie in the buffer of the file. */
struct known_entry {
    struct hmap_node node; /* In struct known's 'by_name'. */
    const char *name;
    struct stamp stamp;
    int64_t blocks; /* Of 512 bytes. */
    bool trusted;   /* The stamp was old enough to tell the next change from the last. */
    bool bare;      /* Only its name is known. */
    bool seen;      /* By the scan that runs. */
    const char *warning;
    const char *raw; /* Its bytes in the file ... */
    size_t n_raw;
};

struct known {
    int64_t id; /* Of the scan; 0: there was none. */
    struct hmap by_name;
    struct known_entry *entries; /* In the order of the directory. */
    size_t n;
    size_t next;        /* The one that is likely to be asked for. */
    bool has_all_names; /* The directory has these entries, and no others. */
};
/* Reads 'path' if it was written for the directory 'root'; else 'ret' is empty.  In 'arena'. */
void known_load(struct arena *arena, const char *path, const struct stat *root,
                struct known *ret);
void known_done(struct known *);
struct known_entry *known_find(struct known *, const char *name); /* Or NULL. */
/* What its image says: capacity, format, backing store and the rest of a header. */
void known_describe(const struct known_entry *, struct vol *);

enum entry_state {
    ENTRY_NONE, /* No volume: vanished, or of a kind that is none. */
    ENTRY_SAME, /* Nothing differs from what was known. */
    ENTRY_NEW,  /* 'vol' says what it is. */
};
struct scan_entry {
    const char *name;
    struct known_entry *old;
    enum entry_state state;
    struct stamp stamp;
    int64_t blocks;
    struct vol *vol;     /* ENTRY_NEW; of ENTRY_SAME if all were asked for, else NULL. */
    const char *warning; /* Or NULL. */
};

/* Where entries are looked for.  Read-only while a crew works. */
struct scan_place {
    int root;
    const char *root_path;
    bool all; /* Describe those that are the same as well. */
};
/* Looks at one entry; what it says lies in 'arena'.  Thread-safe. */
void entry_examine(const struct scan_place *, struct arena *arena, struct scan_entry *);

/* Had the directory, looked at before its names were read, been as it is for so long that the
 * next change shows in its times?  'now_s' is when the scan began. */
bool known_is_settled(int root_fd, const struct stat *root, int64_t now_s);
/* Writes down what a scan found: for the next one.  'whole': these are all entries, and the
 * directory is settled. */
void known_save(const char *path, int64_t id, const struct stat *root, bool whole,
                const struct scan_entry *, size_t n, int64_t now_s);

/* Calls fn(aux, hand, i) for each i < n; 'hand' < CREW_MAX_HANDS tells the threads apart.  When
 * the run is to end, it returns without waiting for a thread that does not come back from the
 * kernel: then *ret_abandoned is true, and what 'aux' points to must never be freed. */
#define CREW_MAX_HANDS 16
struct err *crew_run(struct engine *, size_t n, void (*fn)(void *aux, int hand, size_t i),
                     void *aux, bool *ret_abandoned) MUST_CHECK;

#endif /* engine/scan_i.h */
