/* engine/image.c: may qemu-img open this image?
 *
 * An image can name other files: its backing store, a data file, extents.  qemu-img follows such
 * names with all the rights that it has, so an image from outside that says "/etc/shadow" would
 * have that copied into a clone, and one that keeps its data in "/etc/passwd" would have that
 * written to by a resize.  So before qemu-img sees an image its header is read: it has to be of the
 * format that it should be, keep its data in itself, and have no backing store but an image of the
 * same pool or the one that the request names; and that likewise, all the way down.
 * Source.  qemu's docs/interop/qcow2.txt; CVE-2024-4467 and its like. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "engine/engine_i.h"
#include "store/code.h"
#include "store/probe.h"

#define CHAIN_MAX 32 /* Images on top of each other. */

/* An image of a chain. */
struct link {
    int fd, dir;      /* Owned.  'dir' is where it lies. */
    char *path;       /* Owned: for messages; its directory is that of 'dir'. */
    char *said;       /* Owned: its backing store, as its header says. */
    const char *next; /* The backing store's format. */
};

static void
link_done(struct link *l)
{
    fd_done(&l->fd);
    fd_done(&l->dir);
    free(TAKE(l->path));
    free(TAKE(l->said));
}

static struct err *
refuse(struct err *e)
{
    return err_hint(e, "make an image that stands alone of it where you trust it "
                       "(qemu-img convert) and upload that");
}

/* Reads the header of one link. */
static struct err *
look(struct link *l, const char *format)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct stat st;
    struct probe probe;
    if (fstat(l->fd, &st) < 0) {
        return engine_io(errno, "cannot stat '%s'", l->path);
    }
    int errnum = scan_probe(&arena, l->fd, &st, &probe);
    if (errnum) {
        return engine_io(errnum, "cannot read '%s'", l->path);
    } else if (!str_eq(probe.format, format)) {
        return err_hint(store_err(VE_OPERATION_INVALID,
                                  "'%s' should be of format %s, but it is %s", l->path,
                                  format, probe.format),
                        "refresh the pool to see what is there");
    } else if (probe.has_data_file) {
        return refuse(store_err(VE_OPERATION_INVALID,
                                "image '%s' keeps its data in another file", l->path));
    } else if (!probe.has_backing) {
        return NULL;
    } else if (!probe.backing || probe.backing[strcspn(probe.backing, ":/")] == ':') {
        return refuse(store_err(VE_OPERATION_INVALID,
                                "image '%s' has a backing store that is no file", l->path));
    } else if (str_eq(probe.backing_format, "auto")) {
        return refuse(store_err(VE_OPERATION_INVALID,
                                "image '%s' does not say the format of its backing store",
                                l->path));
    }
    l->said = str_dup(probe.backing);
    l->next = probe.backing_format;
    return NULL;
}

/* Opens what lies below 'l' into it.  'allowed' may be NULL. */
static struct err *
descend(struct link *l, const char *allowed)
{
    CLEANUP(free_drop) char *dir = path_dir(l->path);
    CLEANUP(free_drop)
    char *path = l->said[0] == '/' ? str_dup(l->said) : path_join(dir, l->said);
    CLEANUP(free_drop) char *there = path_dir(path);
    struct stat st;
    CLEANUP(fd_done) int fd = -1;
    bool named = allowed && (str_eq(allowed, path) || str_eq(allowed, l->said));
    if (named) {
        fd_done(&l->dir);
        l->dir = open(there, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else if (!str_eq(there, dir)) {
        return refuse(store_err(VE_OPERATION_INVALID,
                                "image '%s' has the backing store '%s', which is not in "
                                "its pool",
                                l->path, path));
    }
    fd = l->dir < 0 ? -1 : place_open(l->dir, path_base(path), O_RDONLY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) {
        return engine_io(errno, "cannot open the backing store '%s'", path);
    } else if (!S_ISREG(st.st_mode) && !(named && S_ISBLK(st.st_mode))) {
        return store_err(VE_OPERATION_INVALID, "backing store '%s' is not a regular file",
                         path);
    }
    fd_done(&l->fd);
    l->fd = fd_take(&fd);
    free(l->path);
    l->path = TAKE(path);
    free(TAKE(l->said));
    return NULL;
}

struct err *
image_check(int dir, int fd, const char *path, const char *format, const char *allowed)
{
    CLEANUP(link_done) struct link l = { -1, -1, str_dup(path), NULL, format };
    l.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    l.dir = fcntl(dir, F_DUPFD_CLOEXEC, 3);
    if (l.fd < 0 || l.dir < 0) {
        return engine_io(errno, "dup");
    }
    for (int i = 0; i < CHAIN_MAX; i++) {
        if (str_eq(l.next, "raw") || str_eq(l.next, "iso")) {
            return NULL; /* Bytes name nothing. */
        }
        TRY(look(&l, l.next));
        if (!l.said) {
            return NULL;
        }
        TRY(descend(&l, allowed));
    }
    return refuse(store_err(VE_OPERATION_INVALID, "image '%s' has more than %d below it",
                            path, CHAIN_MAX));
}
