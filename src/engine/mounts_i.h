/* engine/mounts_i.h: what is mounted where. */
#ifndef ENGINE_MOUNTS_I_H
#define ENGINE_MOUNTS_I_H 1

#include "engine/engine_i.h"

/* One line of mountinfo; strings point into the text that was read. */
struct mount_entry {
    int id;
    dev_t dev;
    const char *point, *type, *source;
};

/* The topmost mount on 'point', or if that is NULL the one numbered 'id'.  'text' is the
 * caller's and must be empty: it keeps the strings. */
struct err *mounts_find(const char *point, int id, struct buf *text,
                        struct mount_entry *ret, bool *ret_found) MUST_CHECK;
bool mounts_is_source(const struct mount_entry *, const char *source);

struct err *mounts_check(struct engine *, const struct plan_step *) MUST_CHECK;
/* Refuses unless the open directory 'fd' is where 'source' is mounted. */
struct err *mounts_guard(int fd, const char *path, const char *source) MUST_CHECK;
/* The mount that an open descriptor is of. */
struct err *mounts_of(int fd, struct buf *text, struct mount_entry *ret) MUST_CHECK;
/* Who keeps 'path' busy: "qemu-system-x86 (process 71), ..."; NULL if nobody can be found.  The
 * caller frees it. */
char *mounts_users(const char *path);

#endif /* engine/mounts_i.h */
