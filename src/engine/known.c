/* engine/known.c: what a scan writes down, so that the next one need not read it again.
 *
 * A file of our own, beside byre-stored's socket: header, records, checksum, in the machine's own
 * byte order.  It is a cache and no more: one that is missing, damaged, of another directory or of
 * another version is as good as none, and writing it may fail.
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
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "engine/scan_i.h"

#define MAGIC "BYRESCN2"
#define MAX_BYTES ((size_t) 512 << 20)
#define SETTLE_S 2 /* A stamp younger than this is not trusted. */
#define NO_STRING UINT16_MAX

struct head {
    char magic[8];
    int64_t id;
    uint64_t dev, ino;                            /* Of the directory. */
    int64_t mtime_s, mtime_ns, ctime_s, ctime_ns; /* Its own. */
    uint64_t n;                                   /* Records. */
    uint32_t sum;                                 /* Of all that follows. */
    uint32_t
        whole; /* Nothing is in the directory but these, as long as its times say so. */
};

/* The fixed part of a record; then come the strings, each with its length before and a NUL
 * behind it. */
struct record {
    struct stamp stamp;
    int64_t blocks, capacity, cluster_bytes;
    uint8_t trusted, has_features, lazy_refcounts, extended_l2, bare;
};

enum {
    S_NAME,
    S_FORMAT,
    S_COMPAT,
    S_CRYPT,
    S_LABEL,
    S_BACKING,
    S_BACKING_FORMAT,
    S_WARNING,
    N_STRINGS
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

static bool
take_record(struct cursor *c, struct record *r, const char *s[N_STRINGS])
{
    if ((size_t) (c->end - c->at) < sizeof *r) {
        return false;
    }
    memcpy(r, c->at, sizeof *r);
    c->at += sizeof *r;
    for (int i = 0; i < N_STRINGS; i++) {
        if (!take_string(c, &s[i])) {
            return false;
        }
    }
    return s[S_NAME] != NULL;
}

static bool
take_entry(struct cursor *c, struct known_entry *ret)
{
    struct record r;
    const char *s[N_STRINGS];
    ret->raw = c->at;
    if (!take_record(c, &r, s)) {
        return false;
    }
    ret->name = s[S_NAME];
    ret->stamp = r.stamp;
    ret->blocks = r.blocks;
    ret->trusted = r.trusted;
    ret->bare = r.bare;
    ret->warning = s[S_WARNING];
    ret->n_raw = (size_t) (c->at - ret->raw);
    return true;
}

void
known_describe(const struct known_entry *entry, struct vol *vol)
{
    struct record r;
    const char *s[N_STRINGS];
    struct cursor c = { entry->raw, entry->raw + entry->n_raw };
    ASSERT(take_record(&c, &r, s)); /* It was whole when it was read. */
    vol->capacity = r.capacity;
    vol->target.format = s[S_FORMAT];
    vol->target.compat = s[S_COMPAT];
    vol->target.cluster_bytes = r.cluster_bytes;
    vol->target.has_features = r.has_features;
    vol->target.lazy_refcounts = r.lazy_refcounts;
    vol->target.extended_l2 = r.extended_l2;
    vol->target.crypt.format = s[S_CRYPT];
    vol->target.perms.label = s[S_LABEL];
    vol->backing.path = s[S_BACKING];
    vol->backing.format = s[S_BACKING_FORMAT];
}

/* The file's bytes in the arena, or NULL. */
static char *
read_all(struct arena *arena, const char *path, size_t *ret_n)
{
    struct stat st;
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        (size_t) st.st_size < sizeof(struct head) || (size_t) st.st_size > MAX_BYTES) {
        return NULL;
    }
    char *bytes = arena_alloc(arena, (size_t) st.st_size);
    struct err *e = fd_read_exact(fd, bytes, (size_t) st.st_size);
    if (e) {
        err_free(e);
        return NULL;
    }
    *ret_n = (size_t) st.st_size;
    return bytes;
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

void
known_load(struct arena *arena, const char *path, const struct stat *root,
           struct known *ret)
{
    struct head head;
    size_t n;
    *ret = (struct known){ .by_name = HMAP_INIT };
    char *bytes = path ? read_all(arena, path, &n) : NULL;
    if (!bytes) {
        return;
    }
    memcpy(&head, bytes, sizeof head);
    struct cursor c = { bytes + sizeof head, bytes + n };
    size_t n_body = n - sizeof head;
    if (memcmp(head.magic, MAGIC, sizeof head.magic) != 0 || head.dev != root->st_dev ||
        head.ino != root->st_ino || head.n > n_body / sizeof(struct record) ||
        head.sum != sum_of(c.at, n_body)) {
        return;
    }
    ret->entries = arena_zalloc(arena, head.n * sizeof *ret->entries);
    for (uint64_t i = 0; i < head.n; i++) {
        if (!take_entry(&c, &ret->entries[i])) {
            known_done(ret);
            return;
        }
    }
    ret->n = head.n;
    ret->id = head.id;
    ret->has_all_names = is_as_then(&head, root);
}

void
known_done(struct known *known)
{
    hmap_done(&known->by_name);
    *known = (struct known){ .by_name = HMAP_INIT };
}

/* Only when a directory's order is not that of the last scan. */
static void
hash_all(struct known *known)
{
    for (size_t i = 0; i < known->n; i++) {
        hmap_insert(&known->by_name, &known->entries[i].node,
                    hash_string(known->entries[i].name));
    }
}

struct known_entry *
known_find(struct known *known, const char *name)
{
    if (known->next < known->n && str_eq(known->entries[known->next].name, name)) {
        return &known->entries[known->next++];
    } else if (known->n && !known->by_name.n) {
        hash_all(known);
    }
    HMAP_FOR_EACH_HASH (struct known_entry, entry, node, hash_string(name),
                        &known->by_name) {
        if (str_eq(entry->name, name)) {
            known->next = (size_t) (entry - known->entries) + 1;
            return entry;
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
    return vol && !vol->error && S_ISREG(entry->stamp.mode) &&
           (!vol->backing.path || strlen(vol->backing.path) < NO_STRING) &&
           (!entry->warning || strlen(entry->warning) < NO_STRING);
}

static void
put_record(struct buf *out, const struct record *r, const char *const s[N_STRINGS])
{
    buf_add(out, (const char *) r, sizeof *r);
    for (int i = 0; i < N_STRINGS; i++) {
        put_string(out, s[i]);
    }
}

static void
put_entry(struct buf *out, const struct scan_entry *entry, int64_t now_s)
{
    struct record r;
    memset(&r, 0, sizeof r); /* The gaps too. */
    if (entry->state == ENTRY_SAME) {
        buf_add(out, entry->old->raw, entry->old->n_raw);
        return;
    } else if (!is_worth_keeping(entry)) {
        const char *const bare[N_STRINGS] = { [S_NAME] = entry->name };
        r.bare = true;
        put_record(out, &r, bare);
        return;
    }
    const struct vol *vol = entry->vol;
    r.stamp.dev = entry->stamp.dev;
    r.stamp.ino = entry->stamp.ino;
    r.stamp.size = entry->stamp.size;
    r.stamp.ctime_s = entry->stamp.ctime_s;
    r.stamp.ctime_ns = entry->stamp.ctime_ns;
    r.stamp.mode = entry->stamp.mode;
    r.blocks = entry->blocks;
    r.capacity = vol->capacity;
    r.cluster_bytes = vol->target.cluster_bytes;
    r.trusted = entry->stamp.ctime_s < now_s - SETTLE_S;
    r.has_features = vol->target.has_features;
    r.lazy_refcounts = vol->target.lazy_refcounts;
    r.extended_l2 = vol->target.extended_l2;
    const char *const s[N_STRINGS] = {
        [S_NAME] = entry->name,
        [S_FORMAT] = vol->target.format,
        [S_COMPAT] = vol->target.compat,
        [S_CRYPT] = vol->target.crypt.format,
        [S_LABEL] = vol->target.perms.label,
        [S_BACKING] = vol->backing.path,
        [S_BACKING_FORMAT] = vol->backing.format,
        [S_WARNING] = entry->warning,
    };
    put_record(out, &r, s);
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
known_save(const char *path, int64_t id, const struct stat *root, bool whole,
           const struct scan_entry *entries, size_t n, int64_t now_s)
{
    struct head head = { .id = id,
                         .dev = root->st_dev,
                         .ino = root->st_ino,
                         .mtime_s = root->st_mtim.tv_sec,
                         .mtime_ns = root->st_mtim.tv_nsec,
                         .ctime_s = root->st_ctim.tv_sec,
                         .ctime_ns = root->st_ctim.tv_nsec,
                         .n = n,
                         .whole = whole };
    memcpy(head.magic, MAGIC, sizeof head.magic);
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    buf_add(&out, (const char *) &head, sizeof head);
    for (size_t i = 0; i < n; i++) {
        put_entry(&out, &entries[i], now_s);
    }
    head.sum = sum_of(out.data + sizeof head, out.n - sizeof head);
    memcpy(out.data, &head, sizeof head);
    if (out.n <= MAX_BYTES) {
        err_free(replace(path, &out)); /* Then the next scan reads more. */
    }
}
