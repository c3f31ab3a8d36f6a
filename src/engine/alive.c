/* engine/alive.c: does a block device answer?
 *
 * Much of what a check looks at lies in memory: the mount table, statvfs(2), directories that were
 * read before.  A disk that stands still would be called running for hours.  So one page of it is
 * read past all caches.  A read that never ends keeps its process in an uninterruptible sleep; it is
 * killed, or left behind and counted, by whoever watches (priv/watch.c).
 *
 * Device-mapper tells when it holds back all I/O, of this device or of one below it:
 *
 *     $ cat /sys/dev/block/253:1/slaves/dm-0/dm/suspended
 *     1
 *
 * Then nothing is read at all, and nobody has to be left behind.  For moments that is normal: a
 * table is being exchanged. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "engine/engine_i.h"
#include "store/code.h"

#define SUSPENDED_MAX_MS 5000 /* Longer than any exchange of a table. */
#define LOOK_MS 100
#define STACK_MAX 8 /* Devices that lie on each other. */
#define PAGE_BYTES 4096

static bool
says_suspended(const char *dir)
{
    CLEANUP(free_drop) char *path = path_join(dir, "dm/suspended");
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct err *e = fs_read(path, 16, &text);
    bool suspended = !e && text.n && text.data[0] == '1';
    err_free(e); /* No such file: it is not device-mapper's. */
    return suspended;
}

/* Of the device whose directory in sysfs is 'dir', or of one below it. */
static bool
is_suspended(const char *dir, int depth)
{
    bool found = says_suspended(dir);
    CLEANUP(free_drop) char *below = path_join(dir, "slaves");
    DIR *slaves = found || depth == STACK_MAX ? NULL : opendir(below);
    for (struct dirent *d; slaves && !found && (d = readdir(slaves));) {
        if (d->d_name[0] != '.') {
            CLEANUP(free_drop) char *slave = path_join(below, d->d_name);
            found = is_suspended(slave, depth + 1);
        }
    }
    if (slaves) {
        closedir(slaves);
    }
    return found;
}

static struct err *
wait_suspended(struct engine *engine, const char *name, dev_t dev)
{
    char dir[64];
    snprintf(dir, sizeof dir, "/sys/dev/block/%u:%u", major(dev), minor(dev));
    int64_t until_ms = clock_mono_ms() + SUSPENDED_MAX_MS;
    while (is_suspended(dir, 0)) {
        TRY(engine_interrupted(engine));
        if (clock_mono_ms() >= until_ms) {
            return err_hint(
                err_new(ERR_TIMEOUT, "the device %s does not answer: its I/O is suspended",
                        name),
                "dmsetup info shows suspended devices; dmsetup resume NAME lets one go on");
        }
        poll(NULL, 0, LOOK_MS);
    }
    return NULL;
}

struct err *
alive_check(struct engine *engine, const struct plan_step *step)
{
    struct stat st;
    if (stat(step->name, &st) < 0 || !S_ISBLK(st.st_mode)) {
        return NULL; /* Whoever needs it says so in his own words. */
    }
    TRY(wait_suspended(engine, step->name, st.st_rdev));
    CLEANUP(fd_done)
    int fd = open(step->name, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return NULL;
    }
    void *page = NULL;
    ASSERT(posix_memalign(&page, PAGE_BYTES, PAGE_BYTES) == 0);
    ssize_t n = pread(fd, page, PAGE_BYTES, 0);
    int errnum = errno;
    free(page);
    return n < 0 && errnum == EIO
               ? engine_io(errnum, "the device %s cannot be read", step->name)
               : NULL;
}
