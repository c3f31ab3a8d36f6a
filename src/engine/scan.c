/* engine/scan.c: what is in a pool of files.
 *
 * An entry that cannot be read becomes a volume with 'error' set, or a warning if not even its
 * kind can be told; it neither hides the others nor fails the pool.
 *
 * Entries are looked at by many threads (crew.c) in the order of their inodes, which is that of
 * the disk.  Those whose stamp is as the last scan wrote it down (known.c) are not opened; if the
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
    VEC(struct scan_entry) entries;     /* In the order of the directory. */
    VEC(struct place_on_disk) order;    /* In which they are looked at. */
    struct known known;
    struct stat root;
    int64_t now_s;
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
    struct known_entry *old = known_find(&scan->known, name);
    if (!old && vol_name_is_temporary(name)) {
        place_reap(engine, name);
    } else if (old || is_listable(engine, scan, name)) {
        *VEC_ADD(&scan->order) = (struct place_on_disk){ ino, scan->entries.n };
        struct scan_entry *entry = VEC_ADD(&scan->entries);
        entry->old = old;
        entry->name = old ? old->name : arena_str(&scan->names, name);
        if (old) {
            old->seen = true;
        }
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
    size_t n = 0;
    while (errno = 0, (entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (++n % LOOK_EVERY == 0) {
            TRY(engine_interrupted(engine));
        }
        if (str_eq(name, ".") || str_eq(name, "..")) {
            continue;
        } else if (scan->entries.n >= ENGINE_MAX_VOLS) {
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

static int
by_inode(const void *a, const void *b)
{
    uint64_t x = ((const struct place_on_disk *) a)->ino;
    uint64_t y = ((const struct place_on_disk *) b)->ino;
    return x < y ? -1 : x > y;
}

static void
examine(void *aux, int hand, size_t i)
{
    struct scan *scan = aux;
    /* The order is the disk's, not the memory's: what comes next is asked for in time. */
    if (i + 2 * AHEAD < scan->order.n) {
        const struct scan_entry *soon = &scan->entries.v[scan->order.v[i + AHEAD].index];
        __builtin_prefetch(soon->name);
        __builtin_prefetch(soon->old);
        __builtin_prefetch(&scan->entries.v[scan->order.v[i + 2 * AHEAD].index]);
    }
    entry_examine(&scan->place, &scan->hands[hand],
                  &scan->entries.v[scan->order.v[i].index]);
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
        news |= entry->state == ENTRY_NEW && S_ISREG(entry->stamp.mode);
    }
    for (size_t i = 0; i < scan->known.n; i++) {
        if (!scan->known.entries[i].seen) {
            news = true;
        }
    }
    for (size_t i = 0; i < scan->entries.n; i++) {
        const struct scan_entry *entry = &scan->entries.v[i];
        if (entry->state == ENTRY_NONE && entry->old) {
            entry->old->seen = false; /* It went in between, or became something else. */
            news = true;
        }
    }
    for (size_t i = 0; list->since && i < scan->known.n; i++) {
        if (!scan->known.entries[i].seen) {
            *VEC_ADD(&list->gone) = arena_str(&list->arena, scan->known.entries[i].name);
        }
    }
    if (scan->n_warnings > WARNINGS_MAX) {
        vol_list_warn(list, "and %zu more warnings", scan->n_warnings - WARNINGS_MAX);
    }
    vol_list_sort(list);
    return news;
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
    known_load(&scan->names, cache, &scan->root, &scan->known);
    list->scan = scan->known.id;
    list->since =
        scan->known.id && scan->known.id == engine->env->scan_since ? scan->known.id : 0;
    scan->place =
        (struct scan_place){ engine->root, arena_str(&scan->names, engine->root_path),
                             list->since == 0 };
    TRY(read_names(engine, scan));
    if (scan->order.n) {
        qsort(scan->order.v, scan->order.n, sizeof *scan->order.v, by_inode);
    }
    TRY(crew_run(engine, scan->entries.n, examine, scan, ret_abandoned));
    if (collect(engine, scan)) {
        list->scan = new_id();
        if (cache) {
            known_save(cache, list->scan, &scan->root, scan->entries.v, scan->entries.n,
                       scan->now_s);
        }
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
    struct scan_place place = { engine->root, engine->root_path, true };
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
