/* engine/scan.c: what is in a pool of files.
 *
 * An entry that cannot be read becomes a volume with 'error' set, or a warning if not even its
 * kind can be told; it neither hides the others nor fails the pool.
 *
 * Entries are looked at by many threads (crew.c) in the order of their inodes, which is that of
 * the disk.  If the directory is as it was, its names are not read again.  Those whose stamp is as the last scan wrote it down (known.c) are not opened; if the
 * requester says that it still has that scan's list, it is told what differs and no more. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "engine/scan_i.h"
#include "store/code.h"
#include "store/probe.h"

#define WARNINGS_MAX 100 /* The rest is counted. */
#define AHEAD 4
#define LOOK_EVERY 256 /* Names between looks at whether the run is to end. */

struct place_on_disk {
    uint64_t ino;
    size_t index; /* In 'entries'. */
};

/* On the heap: a thread that hangs keeps it for ever. */
struct scan {
    struct scan_place place;
    struct arena names;                 /* Of the entries, and what is known. */
    struct arena hands[CREW_MAX_HANDS]; /* What each thread writes down. */
    VEC(struct scan_entry) entries; /* As the directory names them, or as they are known. */
    VEC(struct place_on_disk) order; /* In which they are looked at; empty: as they lie. */
    struct known known;
    struct stat root;
    int64_t now_s;
    size_t n_names; /* That were read. */
    size_t n_warnings;
};

static struct err *
stat_pool(struct engine *engine)
{
    struct statvfs fs;
    struct stat st;
    if (fstatvfs(engine->root, &fs) < 0) {
        return engine_io(errno, "cannot statvfs path '%s'", engine->root_path);
    } else if (fstat(engine->root, &st) < 0) {
        return engine_io(errno, "cannot stat path '%s'", engine->root_path);
    }
    struct pool_stat *stat = &engine->ret->stat;
    stat->capacity = (int64_t) (fs.f_blocks * (uint64_t) fs.f_frsize);
    /* What a user may still use: what is kept for root is neither that nor allocated. */
    stat->available = (int64_t) (fs.f_bavail * (uint64_t) fs.f_frsize);
    stat->allocation = stat->capacity - (int64_t) (fs.f_bfree * (uint64_t) fs.f_frsize);
    struct vol_target target = { .perms = PERMS_INIT };
    scan_describe(&engine->ret->vols.arena, engine->root, &st, &target);
    stat->perms = target.perms;
    engine->ret->has_stat = true;
    return NULL;
}

static void
warn(struct engine *engine, struct scan *scan, const char *text)
{
    if (scan->n_warnings++ < WARNINGS_MAX) {
        vol_list_warn(&engine->ret->vols, "%s", text);
    }
}

/* Is 'name' one that rows and XML can hold? */
static bool
is_listable(struct engine *engine, struct scan *scan, const char *name)
{
    if (!str_is_utf8(name, strlen(name))) {
        warn(engine, scan, "an entry is not listed: its name is no valid UTF-8");
        return false;
    }
    for (const char *p = name; *p; p++) {
        if ((uint8_t) *p < 0x20 || *p == 0x7f) {
            CLEANUP(free_drop)
            char *text = str_dupf(
                "an entry is not listed: its name holds the control character 0x%02x",
                (uint8_t) *p);
            warn(engine, scan, text);
            return false;
        }
    }
    return true;
}

static void
dir_drop(DIR **dir)
{
    if (*dir) {
        closedir(*dir);
    }
}

static void
add_name(struct engine *engine, struct scan *scan, const char *name, uint64_t ino)
{
    const struct known_entry *old = known_find(&scan->known, name);
    if (!old && vol_name_is_temporary(name)) {
        place_reap(engine, name);
    } else if (old || is_listable(engine, scan, name)) {
        *VEC_ADD(&scan->order) = (struct place_on_disk){ ino, scan->entries.n };
        struct scan_entry *entry = VEC_ADD(&scan->entries);
        entry->old = old;
        if (old) {
            entry->name = known_name(&scan->known, old);
            scan->known.seen[old - scan->known.entries] = true;
        } else {
            entry->name = arena_str(&scan->names, name);
        }
    }
}

/* The names that are known are all there are; they lie in the order of inodes. */
static void
take_names(struct scan *scan)
{
    size_t n = scan->known.n;
    scan->entries.v = xcalloc(n + 1, sizeof *scan->entries.v);
    scan->entries.n = scan->n_names = n;
    scan->entries.cap = n + 1;
    memset(scan->known.seen, true, n);
    for (size_t i = 0; i < n; i++) {
        const struct known_entry *old = &scan->known.entries[i];
        scan->entries.v[i] =
            (struct scan_entry){ .old = old, .name = known_name(&scan->known, old) };
    }
}

static struct err *
read_names(struct engine *engine, struct scan *scan)
{
    int fd = openat(engine->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(dir_drop) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int errnum = errno;
        fd_done(&fd);
        return engine_io(errnum, "cannot open directory '%s'", engine->root_path);
    }
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (str_eq(name, ".") || str_eq(name, "..")) {
            continue;
        } else if (++scan->n_names % LOOK_EVERY == 0) {
            TRY(engine_interrupted(engine));
        }
        if (scan->entries.n >= ENGINE_MAX_VOLS) {
            CLEANUP(free_drop)
            char *text =
                str_dupf("more than %d volumes: the rest is not listed", ENGINE_MAX_VOLS);
            warn(engine, scan, text);
            break;
        }
        add_name(engine, scan, name, entry->d_ino);
    }
    return entry || !errno
               ? NULL
               : engine_io(errno, "cannot read directory '%s'", engine->root_path);
}

#define DIGIT_BITS 11
#define N_DIGITS (1 << DIGIT_BITS)

/* By inode: least digit first, since the numbers of one directory hardly differ in the high ones. */
static void
sort_by_inode(struct place_on_disk *v, size_t n)
{
    struct place_on_disk *other = xcalloc(n + 1, sizeof *other), *from = v, *to = other;
    uint64_t differ = 0;
    for (size_t i = 1; i < n; i++) {
        differ |= v[i].ino ^ v[0].ino;
    }
    for (int shift = 0; shift < 64 && differ >> shift; shift += DIGIT_BITS) {
        size_t at[N_DIGITS + 1] = { 0 };
        for (size_t i = 0; i < n; i++) {
            at[(from[i].ino >> shift) % N_DIGITS + 1]++;
        }
        for (int d = 1; d < N_DIGITS; d++) {
            at[d] += at[d - 1];
        }
        for (size_t i = 0; i < n; i++) {
            to[at[(from[i].ino >> shift) % N_DIGITS]++] = from[i];
        }
        struct place_on_disk *swap = from;
        from = to;
        to = swap;
    }
    if (from != v) {
        memcpy(v, from, n * sizeof *v);
    }
    free(other);
}

static void
examine(void *aux, int hand, size_t i)
{
    struct scan *scan = aux;
    size_t at = scan->order.n ? scan->order.v[i].index : i;
    /* The order is the disk's, not the memory's: what comes next is asked for in time. */
    if (i + 2 * AHEAD < scan->order.n) {
        const struct scan_entry *soon = &scan->entries.v[scan->order.v[i + AHEAD].index];
        __builtin_prefetch(soon->name);
        __builtin_prefetch(soon->old);
        __builtin_prefetch(&scan->entries.v[scan->order.v[i + 2 * AHEAD].index]);
    }
    entry_examine(&scan->place, &scan->hands[hand], &scan->entries.v[at]);
}

static int64_t
new_id(void)
{
    uint64_t id = 0;
    while (id == 0) {
        if (getrandom(&id, sizeof id, 0) != (ssize_t) sizeof id) {
            id = (uint64_t) time(NULL);
        }
        id &= INT64_MAX;
    }
    return (int64_t) id;
}

/* From entries to the result; true if there is something for the next scan to know. */
static bool
collect(struct engine *engine, struct scan *scan)
{
    struct vol_list *list = &engine->ret->vols;
    bool news = scan->known.id == 0;
    for (size_t i = 0; i < scan->entries.n; i++) {
        const struct scan_entry *entry = &scan->entries.v[i];
        if (entry->warning) {
            warn(engine, scan, entry->warning);
        }
        if (entry->vol) {
            *VEC_ADD(&list->vols) = *entry->vol;
        }
        news |= entry->state == ENTRY_NEW && S_ISREG(entry->stamp->mode);
    }
    for (size_t i = 0; i < scan->known.n; i++) {
        if (!scan->known.seen[i]) {
            news = true;
        }
    }
    for (size_t i = 0; i < scan->entries.n; i++) {
        const struct scan_entry *entry = &scan->entries.v[i];
        if (entry->state == ENTRY_NONE && entry->old && !entry->old->bare) {
            /* It went in between, or became something else. */
            scan->known.seen[entry->old - scan->known.entries] = false;
            news = true;
        }
    }
    for (size_t i = 0; list->since && i < scan->known.n; i++) {
        if (!scan->known.seen[i]) {
            const char *name = known_name(&scan->known, &scan->known.entries[i]);
            *VEC_ADD(&list->gone) = arena_str(&list->arena, name);
        }
    }
    if (scan->n_warnings > WARNINGS_MAX) {
        vol_list_warn(list, "and %zu more warnings", scan->n_warnings - WARNINGS_MAX);
    }
    vol_list_sort(list);
    return news;
}

/* For the next scan: in the order of inodes, each with what the directory names next. */
static void
write_down(struct scan *scan, const char *path, int64_t id, bool whole)
{
    size_t n = scan->entries.n;
    uint32_t *order = xcalloc(n + 1, sizeof *order), *after = xcalloc(n + 1, sizeof *after);
    uint32_t *place = xcalloc(n + 1, sizeof *place); /* Of each entry, in that order. */
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint32_t) (scan->order.n ? scan->order.v[i].index : i);
        place[order[i]] = (uint32_t) i;
    }
    for (size_t i = 0; i < n; i++) {
        after[i] = scan->order.n ? place[order[i] + 1] : scan->known.entries[i].after;
    }
    const struct known_news news = { .id = id,
                                     .root = &scan->root,
                                     .whole = whole,
                                     .now_s = scan->now_s,
                                     .entries = scan->entries.v,
                                     .order = order,
                                     .after = after,
                                     .first = scan->order.n ? place[0] : scan->known.first,
                                     .n = n,
                                     .known = &scan->known };
    known_save(path, &news);
    free(order);
    free(after);
    free(place);
}

static void
scan_free(struct scan *scan)
{
    known_done(&scan->known);
    VEC_DONE(&scan->entries);
    VEC_DONE(&scan->order);
    for (int i = 0; i < CREW_MAX_HANDS; i++) {
        arena_done(&scan->hands[i]);
    }
    arena_done(&scan->names);
    free(scan);
}

static struct err *
scan_with(struct engine *engine, struct scan *scan, bool *ret_abandoned)
{
    struct vol_list *list = &engine->ret->vols;
    const char *cache = engine->env->scan_cache;
    scan->now_s = time(NULL);
    if (fstat(engine->root, &scan->root) < 0) {
        return engine_io(errno, "cannot stat path '%s'", engine->root_path);
    }
    known_load(cache, &scan->root, &scan->known);
    list->scan = scan->known.id;
    list->since =
        scan->known.id && scan->known.id == engine->env->scan_since ? scan->known.id : 0;
    scan->place =
        (struct scan_place){ engine->root, arena_str(&scan->names, engine->root_path),
                             &scan->known, list->since == 0 };
    if (scan->known.has_all_names) {
        take_names(scan);
    } else {
        TRY(read_names(engine, scan));
    }
    sort_by_inode(scan->order.v, scan->order.n);
    TRY(crew_run(engine, scan->entries.n, examine, scan, ret_abandoned));
    bool news = collect(engine, scan);
    bool whole = scan->n_names == scan->entries.n &&
                 known_is_settled(engine->root, &scan->root, scan->now_s);
    list->scan = news ? new_id() : list->scan;
    if (cache && (news || (whole && !scan->known.has_all_names))) {
        write_down(scan, cache, list->scan, whole);
    }
    /* The strings of the result lie in these. */
    for (int i = 0; i < CREW_MAX_HANDS; i++) {
        arena_adopt(&list->arena, &scan->hands[i]);
    }
    arena_adopt(&list->arena, &scan->names);
    return NULL;
}

struct err *
scan_root(struct engine *engine, const struct plan_step *step UNUSED)
{
    struct scan *scan = NEW(struct scan);
    bool abandoned = false;
    struct err *e = scan_with(engine, scan, &abandoned);
    if (!abandoned) {
        scan_free(scan);
    }
    TRY(e);
    engine->ret->active = true;
    return stat_pool(engine);
}

/* What may change which volumes there are, or what they are: not each write of a guest. */
struct err *
scan_watch(struct engine *engine, const struct plan_step *step UNUSED)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", engine->root);
    int wd = inotify_add_watch(engine->env->data_fd, path,
                               IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                   IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF |
                                   IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK);
    if (wd < 0) {
        return err_hint(engine_io(errno, "cannot watch directory '%s'", engine->root_path),
                        "raise /proc/sys/fs/inotify/max_user_watches");
    }
    engine->ret->n_bytes = wd;
    return NULL;
}

struct err *
scan_one(struct engine *engine, const struct plan_step *step)
{
    struct vol_list *list = &engine->ret->vols;
    struct scan_place place = { engine->root, engine->root_path, NULL, true };
    struct scan_entry entry = { .name = arena_str(&list->arena, step->name) };
    entry_examine(&place, &list->arena, &entry);
    if (entry.warning) {
        vol_list_warn(list, "%s", entry.warning);
    }
    if (!entry.vol) {
        return err_hint(store_err(VE_NO_VOL, "no storage vol with matching path '%s'",
                                  engine_path(engine, step->name)),
                        "refresh the pool to see what is there");
    }
    *VEC_ADD(&list->vols) = *entry.vol;
    return stat_pool(engine);
}

struct err *
scan_grows(struct engine *engine, const struct plan_step *step)
{
    struct arena *arena = &engine->ret->vols.arena;
    struct stat st;
    struct probe probe;
    if (fstat(engine->file, &st) < 0) {
        return engine_io(errno, "cannot stat '%s'", engine->plan->file);
    }
    int64_t capacity = st.st_size;
    if (!str_eq(step->format, "raw") && !str_eq(step->format, "iso")) {
        TRY(image_check(engine->root, engine->file, engine->plan->file, step->format,
                        step->backing));
        int errnum = scan_probe(arena, engine->file, &st, &probe);
        if (errnum) {
            return engine_io(errnum, "cannot read '%s'", engine->plan->file);
        }
        capacity = probe.capacity;
    }
    if (step->size >= capacity) {
        return NULL;
    } else if (step->size < st.st_blocks * INT64_C(512) && str_eq(step->format, "raw")) {
        return store_err(VE_INVALID_ARG, "can't shrink capacity below existing allocation");
    } else if (!step->shrink) {
        return store_err(VE_INVALID_ARG,
                         "Can't shrink capacity below current capacity unless "
                         "shrink flag explicitly specified");
    }
    return NULL;
}
