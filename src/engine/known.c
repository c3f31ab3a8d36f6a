/* engine/known.c: what a scan writes down, so that the next one need not read it again.
 *
 * A file of our own, beside byre-stored's socket: header with checksum, entries, names, and the rest
 * that is known of an entry, in the machine's own byte order.  It is a cache and no more: one that is
 * missing, damaged, of another directory or of another version is as good as none, and writing it may
 * fail.
 *
 * It is read as it lies there, nothing is unpacked: of twenty thousand files that are as they were a
 * scan looks at no more than a line of cache and a name each, in the order in which they lie.  That is
 * the order of inodes, hence of the disk and nearly of the kernel's own memory.  The directory has an
 * order of its own ('after'), in which its names come when they are read again.
 *
 * A stamp that was taken soon after the file had changed is not trusted: a second change within
 * the clock's step would leave it as it is (as with git's index).
 *
 * The directory has a stamp, too: making, removing and renaming entries changes it.  If it is as
 * it was, and all entries were written down, then their names need not be read again.  Entries of
 * which nothing else is worth keeping are written down bare, for their names only.  That is done
 * where the kernel or the server is known to keep the directory's times; others may be lazy. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "engine/scan_i.h"

#define MAGIC "BYRESCN3"
#define MAX_BYTES ((size_t) 512 << 20)
#define SETTLE_S 2 /* A stamp younger than this is not trusted. */
#define NO_STRING UINT16_MAX

struct head {
    char magic[8];
    int64_t id;
    uint64_t dev, ino;                            /* Of the directory. */
    int64_t mtime_s, mtime_ns, ctime_s, ctime_ns; /* Its own. */
    uint64_t n;                                   /* Entries. */
    uint64_t n_names, n_rest;                     /* Bytes. */
    uint32_t first; /* The entry that the directory names first. */
    uint32_t sum;   /* Of all that follows. */
    /* Nothing is in the directory but these, as long as its times say so. */
    uint32_t whole;
    uint32_t pad;
};

/* The rest begins with this; then come the strings, each with its length before and a NUL behind. */
struct record {
    int64_t capacity, cluster_bytes;
    uint8_t has_features, lazy_refcounts, extended_l2, pad[5];
};

enum {
    S_FORMAT,
    S_COMPAT,
    S_CRYPT,
    S_LABEL,
    S_BACKING,
    S_BACKING_FORMAT,
    S_WARNING,
    N_STRINGS
};

struct known_by_name {
    struct hmap_node node;
    const struct known_entry *entry;
};

static uint32_t
sum_of(const char *bytes, size_t n)
{
    return hash_bytes(bytes, n, 1);
}

struct cursor {
    const char *at, *end;
};

static bool
take_string(struct cursor *c, const char **ret)
{
    uint16_t n;
    if ((size_t) (c->end - c->at) < sizeof n) {
        return false;
    }
    memcpy(&n, c->at, sizeof n);
    c->at += sizeof n;
    *ret = NULL;
    if (n == NO_STRING) {
        return true;
    } else if ((size_t) (c->end - c->at) <= n || c->at[n] != '\0') {
        return false;
    }
    *ret = c->at;
    c->at += n + 1;
    return true;
}

/* Of an entry that is not bare; how many bytes it is. */
static size_t
take_rest(const struct known *known, const struct known_entry *entry, struct record *r,
          const char *s[N_STRINGS])
{
    struct cursor c = { known->rest + entry->rest, known->rest + known->n_rest };
    ASSERT(entry->rest <= known->n_rest && known->n_rest - entry->rest >= sizeof *r);
    memcpy(r, c.at, sizeof *r);
    c.at += sizeof *r;
    for (int i = 0; i < N_STRINGS; i++) {
        ASSERT(take_string(&c, &s[i])); /* The sum said that it is what was written. */
    }
    return (size_t) (c.at - known->rest - entry->rest);
}

const char *
known_name(const struct known *known, const struct known_entry *entry)
{
    return known->names + entry->name;
}

const char *
known_warning(const struct known *known, const struct known_entry *entry,
              struct arena *arena)
{
    struct record r;
    const char *s[N_STRINGS];
    if (!entry->has_warning) {
        return NULL;
    }
    take_rest(known, entry, &r, s);
    return arena_str(arena, s[S_WARNING]);
}

static const char *
copy(struct arena *arena, const char *s)
{
    return s ? arena_str(arena, s) : NULL;
}

void
known_describe(const struct known *known, const struct known_entry *entry,
               struct arena *arena, struct vol *vol)
{
    struct record r;
    const char *s[N_STRINGS];
    take_rest(known, entry, &r, s);
    vol->capacity = r.capacity;
    vol->target.format = copy(arena, s[S_FORMAT]);
    vol->target.compat = copy(arena, s[S_COMPAT]);
    vol->target.cluster_bytes = r.cluster_bytes;
    vol->target.has_features = r.has_features;
    vol->target.lazy_refcounts = r.lazy_refcounts;
    vol->target.extended_l2 = r.extended_l2;
    vol->target.crypt.format = copy(arena, s[S_CRYPT]);
    vol->target.perms.label = copy(arena, s[S_LABEL]);
    vol->backing.path = copy(arena, s[S_BACKING]);
    vol->backing.format = copy(arena, s[S_BACKING_FORMAT]);
}

/* The file's bytes, or NULL.  It is never changed, only replaced by another one. */
static const char *
map_file(const char *path, size_t *ret_n)
{
    struct stat st;
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        (size_t) st.st_size < sizeof(struct head) || (size_t) st.st_size > MAX_BYTES) {
        return NULL;
    }
    *ret_n = (size_t) st.st_size;
    void *map = mmap(NULL, *ret_n, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    return map == MAP_FAILED ? NULL : map;
}

/* Do directories tell by their times that a name was made or removed? */
static bool
has_honest_times(int root)
{
    static const long honest[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                   TMPFS_MAGIC, NFS_SUPER_MAGIC };
    struct statfs fs;
    for (size_t i = 0; fstatfs(root, &fs) == 0 && i < N_ELEMS(honest); i++) {
        if ((long) fs.f_type == honest[i]) {
            return true;
        }
    }
    return false;
}

static bool
is_as_then(const struct head *head, const struct stat *root)
{
    return head->whole && head->mtime_s == root->st_mtim.tv_sec &&
           head->mtime_ns == root->st_mtim.tv_nsec &&
           head->ctime_s == root->st_ctim.tv_sec && head->ctime_ns == root->st_ctim.tv_nsec;
}

/* Is it of this directory, and whole?  'bytes' follow the header. */
static bool
is_usable(const struct head *head, const struct stat *root, const char *bytes, size_t n)
{
    return memcmp(head->magic, MAGIC, sizeof head->magic) == 0 &&
           head->dev == root->st_dev && head->ino == root->st_ino &&
           head->n <= n / sizeof(struct known_entry) && head->n_names <= n &&
           head->n_rest <= n &&
           head->n * sizeof(struct known_entry) + head->n_names + head->n_rest == n &&
           head->sum == sum_of(bytes, n) &&
           (head->n_names == 0 || bytes[n - head->n_rest - 1] == '\0');
}

void
known_load(const char *path, const struct stat *root, struct known *ret)
{
    struct head head;
    *ret = (struct known){ .by_name = HMAP_INIT };
    ret->map = path ? map_file(path, &ret->n_map) : NULL;
    if (!ret->map) {
        return;
    }
    memcpy(&head, ret->map, sizeof head);
    const struct known_entry *entries = (const void *) (ret->map + sizeof head);
    bool usable = is_usable(&head, root, (const char *) entries, ret->n_map - sizeof head);
    for (uint64_t i = 0; usable && i < head.n; i++) {
        usable = entries[i].name < head.n_names;
    }
    if (!usable) {
        known_done(ret);
        return;
    }
    ret->id = head.id;
    ret->entries = entries;
    ret->n = head.n;
    ret->names = (const char *) &entries[head.n];
    ret->n_names = head.n_names;
    ret->rest = ret->names + head.n_names;
    ret->n_rest = head.n_rest;
    ret->seen = xcalloc(head.n + 1, sizeof *ret->seen);
    ret->next = ret->first = head.first;
    ret->has_all_names = is_as_then(&head, root);
}

void
known_done(struct known *known)
{
    hmap_done(&known->by_name);
    free(known->nodes);
    free(known->seen);
    if (known->map) {
        munmap((void *) (uintptr_t) known->map, known->n_map);
    }
    *known = (struct known){ .by_name = HMAP_INIT };
}

/* Only when a directory's order is not that of the last scan. */
static void
hash_all(struct known *known)
{
    known->nodes = xcalloc(known->n, sizeof *known->nodes);
    hmap_reserve(&known->by_name, known->n);
    for (size_t i = 0; i < known->n; i++) {
        known->nodes[i].entry = &known->entries[i];
        hmap_insert(&known->by_name, &known->nodes[i].node,
                    hash_string(known_name(known, &known->entries[i])));
    }
}

const struct known_entry *
known_find(struct known *known, const char *name)
{
    const struct known_entry *likely = &known->entries[known->next];
    if (known->next < known->n && str_eq(known_name(known, likely), name)) {
        known->next = likely->after;
        return likely;
    } else if (known->n && !known->nodes) {
        hash_all(known);
    }
    HMAP_FOR_EACH_HASH (struct known_by_name, by_name, node, hash_string(name),
                        &known->by_name) {
        if (str_eq(known_name(known, by_name->entry), name)) {
            known->next = by_name->entry->after;
            return by_name->entry;
        }
    }
    return NULL;
}

static void
put_string(struct buf *out, const char *s)
{
    size_t n = s ? strlen(s) : NO_STRING;
    uint16_t n16 = n < NO_STRING ? (uint16_t) n : NO_STRING;
    buf_add(out, (const char *) &n16, sizeof n16);
    if (n16 != NO_STRING) {
        buf_add(out, s, n + 1);
    }
}

/* What cannot be told again by the stamp alone is not written: what could not be read, block
 * devices, strings that are too long. */
static bool
is_worth_keeping(const struct scan_entry *entry)
{
    const struct vol *vol = entry->vol;
    return vol && !vol->error && S_ISREG(entry->stamp->mode) &&
           (!vol->backing.path || strlen(vol->backing.path) < NO_STRING) &&
           (!entry->warning || strlen(entry->warning) < NO_STRING);
}

/* What is known of an image beside its stamp. */
static void
put_rest(struct buf *out, const struct scan_entry *entry)
{
    const struct vol *vol = entry->vol;
    struct record r;
    memset(&r, 0, sizeof r); /* The gaps too. */
    r.capacity = vol->capacity;
    r.cluster_bytes = vol->target.cluster_bytes;
    r.has_features = vol->target.has_features;
    r.lazy_refcounts = vol->target.lazy_refcounts;
    r.extended_l2 = vol->target.extended_l2;
    const char *const s[N_STRINGS] = {
        [S_FORMAT] = vol->target.format,      [S_COMPAT] = vol->target.compat,
        [S_CRYPT] = vol->target.crypt.format, [S_LABEL] = vol->target.perms.label,
        [S_BACKING] = vol->backing.path,      [S_BACKING_FORMAT] = vol->backing.format,
        [S_WARNING] = entry->warning,
    };
    buf_add(out, (const char *) &r, sizeof r);
    for (int i = 0; i < N_STRINGS; i++) {
        put_string(out, s[i]);
    }
}

/* All that is told of one entry; its name goes to 'names', the rest to 'rest'. */
static struct known_entry
entry_to_keep(const struct known_news *news, const struct scan_entry *entry,
              struct buf *names, struct buf *rest)
{
    struct known_entry keep;
    memset(&keep, 0, sizeof keep);
    if (entry->state == ENTRY_SAME) {
        struct record r;
        const char *s[N_STRINGS];
        keep = *entry->old;
        size_t n = take_rest(news->known, entry->old, &r, s);
        keep.rest = (uint32_t) rest->n;
        buf_add(rest, news->known->rest + entry->old->rest, n);
    } else if (!is_worth_keeping(entry)) {
        keep.bare = true;
    } else {
        keep.stamp = *entry->stamp;
        keep.trusted = entry->stamp->ctime_s < news->now_s - SETTLE_S;
        keep.has_warning = entry->warning != NULL;
        keep.rest = (uint32_t) rest->n;
        put_rest(rest, entry);
    }
    keep.name = (uint32_t) names->n;
    buf_add(names, entry->name, strlen(entry->name) + 1);
    return keep;
}

/* No fsync: after a power cut the sum tells whether it is whole. */
static struct err *
replace(const char *path, const struct buf *content)
{
    CLEANUP(free_drop) char *temp = str_dupf("%s.%d", path, (int) getpid());
    CLEANUP(fd_done)
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_io(errno, "open %s", temp);
    }
    struct err *e = fd_write_all(fd, content->data, content->n);
    if (!e && rename(temp, path) < 0) {
        e = err_io(errno, "rename %s", temp);
    }
    if (e) {
        unlink(temp);
    }
    return e;
}

bool
known_is_settled(int root_fd, const struct stat *root, int64_t now_s)
{
    return max64(root->st_ctim.tv_sec, root->st_mtim.tv_sec) < now_s - SETTLE_S &&
           has_honest_times(root_fd);
}

void
known_save(const char *path, const struct known_news *news)
{
    const struct stat *root = news->root;
    struct head head = { .id = news->id,
                         .dev = root->st_dev,
                         .ino = root->st_ino,
                         .mtime_s = root->st_mtim.tv_sec,
                         .mtime_ns = root->st_mtim.tv_nsec,
                         .ctime_s = root->st_ctim.tv_sec,
                         .ctime_ns = root->st_ctim.tv_nsec,
                         .n = news->n,
                         .first = news->first,
                         .whole = news->whole };
    memcpy(head.magic, MAGIC, sizeof head.magic);
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    CLEANUP(buf_done) struct buf names = BUF_INIT;
    CLEANUP(buf_done) struct buf rest = BUF_INIT;
    buf_add(&out, (const char *) &head, sizeof head);
    for (size_t i = 0; i < news->n; i++) {
        struct known_entry keep =
            entry_to_keep(news, &news->entries[news->order[i]], &names, &rest);
        keep.after = news->after[i];
        buf_add(&out, (const char *) &keep, sizeof keep);
        if (out.n + names.n + rest.n > MAX_BYTES) {
            return; /* Then the next scan reads more. */
        }
    }
    head.n_names = names.n;
    head.n_rest = rest.n;
    buf_add(&out, names.data, names.n);
    buf_add(&out, rest.data, rest.n);
    head.sum = sum_of(out.data + sizeof head, out.n - sizeof head);
    memcpy(out.data, &head, sizeof head);
    err_free(replace(path, &out));
}
