/* engine/test_scan.c: scans of real directories: whole, and what differs since the last one. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "engine/engine.h"
#include "store/gate.h"

#define N_MANY 300 /* Enough for several threads. */

struct bed {
    char *path, *cache;
    struct pool pool;
    struct engine_env env;
    struct engine_result result;
};

static void
bed_done(struct bed *bed)
{
    engine_result_done(&bed->result);
    pool_done(&bed->pool);
    free(bed->path);
    free(bed->cache);
}

static void
bed_init(struct bed *bed)
{
    static int n;
    *bed = (struct bed){ .env = ENGINE_ENV_INIT };
    bed->path = str_dupf("%s/scan%d", test_dir(), ++n);
    bed->cache = str_dupf("%s/known%d", test_dir(), n);
    CHECK_INT("mkdir", mkdir(bed->path, 0700), 0);
    pool_init(&bed->pool);
    bed->pool.name = "p";
    bed->pool.target.path = bed->path;
    bed->env.scan_cache = bed->cache;
    engine_result_init(&bed->result);
}

static void
put(const struct bed *bed, const char *name, size_t n_bytes)
{
    CLEANUP(free_drop) char *path = path_join(bed->path, name);
    CLEANUP(fd_done) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK("file", fd >= 0 && ftruncate(fd, (off_t) n_bytes) == 0);
}

static void
put_many(const struct bed *bed)
{
    for (int i = 0; i < N_MANY; i++) {
        char name[32];
        snprintf(name, sizeof name, "v%03d", i);
        put(bed, name, (size_t) i);
    }
}

static struct err *
scan(struct bed *bed, int64_t since)
{
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    engine_result_done(&bed->result);
    bed->env.scan_since = since;
    TRY(gate_pool_refresh(&bed->pool, &plan));
    return engine_run(&plan, &bed->env, &bed->result);
}

/* Scans until all stamps are old enough to be trusted; the id of the last scan. */
static int64_t
scan_settled(struct bed *bed)
{
    int64_t until_ms = clock_mono_ms() + 30000;
    int64_t id = 0;
    do {
        CHECK_OK("scan", scan(bed, id));
        if (id && bed->result.vols.scan == id) {
            return id;
        }
        id = bed->result.vols.scan;
        usleep(100 * 1000);
    } while (clock_mono_ms() < until_ms);
    CHECK("it settles", false);
    return 0;
}

/* How many files were opened in the pool since the last call. */
static int
n_opened(int watch)
{
    char buf[65536] __attribute__((aligned(8)));
    int n_files = 0;
    for (ssize_t n; (n = read(watch, buf, sizeof buf)) > 0;) {
        for (char *at = buf; at < buf + n;) {
            const struct inotify_event *event = (const struct inotify_event *) (void *) at;
            n_files += event->len > 0;
            at += sizeof *event + event->len;
        }
    }
    return n_files;
}

TEST(many_by_threads)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    put_many(&bed);
    CHECK_OK("scan", scan(&bed, 0));
    const struct vol_list *list = &bed.result.vols;
    CHECK_INT("all", (int64_t) list->vols.n, N_MANY);
    CHECK_INT("whole", list->since, 0);
    CHECK("named", list->scan != 0);
    for (size_t i = 0; i < list->vols.n; i++) {
        CHECK_INT("in order, each with its size", list->vols.v[i].capacity, (int64_t) i);
    }
}

TEST(what_is_as_it_was_is_not_opened)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    put_many(&bed);
    int64_t id = scan_settled(&bed);
    CLEANUP(fd_done) int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    CHECK("watch", inotify_add_watch(watch, bed.path, IN_OPEN) >= 0);

    CHECK_OK("again", scan(&bed, id));
    CHECK_INT("nothing differs", (int64_t) bed.result.vols.vols.n, 0);
    CHECK_INT("since", bed.result.vols.since, id);
    CHECK_INT("and is named the same", bed.result.vols.scan, id);
    CHECK_INT("nothing opened", n_opened(watch), 0);

    CHECK_OK("whole", scan(&bed, 0));
    CHECK_INT("all", (int64_t) bed.result.vols.vols.n, N_MANY);
    CHECK_INT("from what is known", n_opened(watch), 0);
    CHECK_INT("with capacity", bed.result.vols.vols.v[7].capacity, 7);
    CHECK_STR("and format", bed.result.vols.vols.v[7].target.format, "raw");
    CHECK_INT("and mode", bed.result.vols.vols.v[7].target.perms.mode, 0600);
    CHECK_OK("of another scan", scan(&bed, id ^ 1));
    CHECK_INT("all", (int64_t) bed.result.vols.vols.n, N_MANY);

    put(&bed, "v005", 5000);
    put(&bed, "new", 1);
    CLEANUP(free_drop) char *gone = path_join(bed.path, "v009");
    CHECK_INT("unlink", unlink(gone), 0);
    n_opened(watch);
    CHECK_OK("changes", scan(&bed, id));
    const struct vol_list *list = &bed.result.vols;
    CHECK_INT("two opened", n_opened(watch), 2);
    CHECK_INT("since", list->since, id);
    CHECK("another name", list->scan != id);
    CHECK_INT("two differ", (int64_t) list->vols.n, 2);
    CHECK_STR("new", list->vols.v[0].name, "new");
    CHECK_STR("changed", list->vols.v[1].name, "v005");
    CHECK_INT("size", list->vols.v[1].capacity, 5000);
    CHECK_INT("one is gone", (int64_t) list->gone.n, 1);
    CHECK_STR("which", list->gone.v[0], "v009");
}

/* Events of the directory itself being read, up to now. */
static int
n_read(int watch)
{
    char events[65536] __attribute__((aligned(8)));
    int n_dirs = 0;
    for (ssize_t n; (n = read(watch, events, sizeof events)) > 0;) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event =
                (const struct inotify_event *) (void *) (events + at);
            n_dirs += (event->mask & IN_ISDIR) && event->len == 0;
            at += (ssize_t) (sizeof *event + event->len);
        }
    }
    return n_dirs;
}

TEST(names_of_a_quiet_directory_are_not_read)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    put_many(&bed);
    CLEANUP(free_drop) char *sub = path_join(bed.path, "sub");
    CLEANUP(free_drop) char *fifo = path_join(bed.path, "fifo");
    CLEANUP(free_drop) char *from = path_join(bed.path, "v006");
    CLEANUP(free_drop) char *to = path_join(bed.path, "renamed");
    CHECK_INT("directory", mkdir(sub, 0700), 0);
    CHECK_INT("fifo", mkfifo(fifo, 0600), 0);
    int64_t id = scan_settled(&bed);
    CLEANUP(fd_done) int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    CHECK("watch", inotify_add_watch(watch, bed.path, IN_ACCESS) >= 0);

    int n = 1;
    for (int i = 0; i < 50 && n; i++) { /* Its times may be of the next second. */
        CHECK_OK("quiet", scan(&bed, id));
        n = n_read(watch);
        usleep(n ? 100 * 1000 : 0);
    }
    CHECK_INT("not read", n, 0);
    CHECK_INT("but for what is always looked at", (int64_t) bed.result.vols.vols.n, 1);
    CHECK_STR("the directory", bed.result.vols.vols.v[0].name, "sub");
    CHECK_INT("nothing gone", (int64_t) bed.result.vols.gone.n, 0);
    CHECK_OK("whole", scan(&bed, 0));
    CHECK_INT("not read either", n_read(watch), 0);
    CHECK_INT("all", (int64_t) bed.result.vols.vols.n, N_MANY + 1);

    put(&bed, "v005", 5000);
    CHECK_OK("content changed", scan(&bed, id));
    CHECK_INT("no name did", n_read(watch), 0);
    CHECK_INT("seen", bed.result.vols.vols.v[1].capacity, 5000);
    id = bed.result.vols.scan;

    CHECK_INT("rename", rename(from, to), 0);
    CHECK_INT("rmdir", rmdir(sub), 0);
    CHECK_OK("names changed", scan(&bed, id));
    CHECK("read", n_read(watch) > 0);
    CHECK_STR("new", bed.result.vols.vols.v[0].name, "renamed");
    CHECK_INT("gone", (int64_t) bed.result.vols.gone.n, 2);
    CHECK_OK("a directory that is not settled", scan(&bed, bed.result.vols.scan));
    CHECK("is read", n_read(watch) > 0);
}

/* What is written down is a cache: whatever is in it, a scan is right. */
TEST(damaged_memory)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    put_many(&bed);
    CHECK_OK("scan", scan(&bed, 0));
    CLEANUP(buf_done) struct buf whole = BUF_INIT;
    CHECK_OK("read", fs_read(bed.cache, 1 << 20, &whole));
    for (size_t cut = 0; cut < whole.n; cut += 997) {
        CHECK_OK("cut", fs_write_atomic(bed.cache, whole.data, cut, 0600));
        CHECK_OK("scan", scan(&bed, bed.result.vols.scan));
        CHECK_INT("all", (int64_t) bed.result.vols.vols.n, N_MANY);
    }
    for (size_t at = 0; at < whole.n; at += 1009) {
        whole.data[at] ^= 0x55;
        CHECK_OK("flip", fs_write_atomic(bed.cache, whole.data, whole.n, 0600));
        CHECK_OK("scan", scan(&bed, 0));
        CHECK_INT("all", (int64_t) bed.result.vols.vols.n, N_MANY);
        CHECK_INT("sizes", bed.result.vols.vols.v[200].capacity, 200);
        whole.data[at] ^= 0x55;
    }
    bed.env.scan_cache = "/nonexistent/known";
    CHECK_OK("nowhere to write", scan(&bed, 0));
    CHECK_INT("all", (int64_t) bed.result.vols.vols.n, N_MANY);
}

/* Another directory in the place of the one that was scanned. */
TEST(another_directory)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    put(&bed, "a", 1);
    int64_t id = scan_settled(&bed);
    CLEANUP(free_drop) char *aside = str_dupf("%s.aside", bed.path);
    CHECK_INT("rename", rename(bed.path, aside), 0);
    CHECK_INT("mkdir", mkdir(bed.path, 0700), 0);
    put(&bed, "b", 1);
    CHECK_OK("scan", scan(&bed, id));
    CHECK_INT("whole", bed.result.vols.since, 0);
    CHECK_INT("one", (int64_t) bed.result.vols.vols.n, 1);
    CHECK_STR("its own", bed.result.vols.vols.v[0].name, "b");
}

TEST(what_ends_a_scan)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    put_many(&bed);
    bed.env.deadline_ms = clock_mono_ms() - 1;
    CHECK_ERR("time is up", scan(&bed, 0), ERR_TIMEOUT);
    bed.env.deadline_ms = 0;
    volatile int cancel = 1;
    bed.env.cancel_flag = &cancel;
    CHECK_ERR("cancelled", scan(&bed, 0), ERR_CANCELED);
}
