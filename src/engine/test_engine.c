/* engine/test_engine.c: plans of the real gate on real directories, with real qemu-img. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "engine/engine_i.h"
#include "store/code.h"
#include "store/gate.h"
#include "engine/test_bed_i.h"

/* "name type format capacity; ..." and the number of warnings. */
static void
check_list(struct bed *bed, const char *why, const char *want)
{
    struct plan plan = PLAN_INIT;
    CHECK_OK(why, RUN(bed, gate_pool_refresh(&bed->pool, &plan)));
    CLEANUP(buf_done) struct buf got = BUF_INIT;
    VEC_FOR_EACH (const struct vol *v, &bed->result.vols.vols) {
        buf_printf(&got, "%s %s %s %" PRId64 "; ", v->name, vol_type_name(v->type),
                   v->target.format ? v->target.format : "?", v->capacity);
    }
    buf_printf(&got, "%zu warnings", bed->result.vols.warnings.n);
    CHECK_STR(why, buf_cstr(&got), want);
}

/* A pool whose path holds what qemu-img gets for the file: the message about a failure ends. */
TEST(names_like_descriptors)
{
    alarm(60); /* Ends the test that fails. */
    for (int fd = 3; fd < 16; fd++) {
        CLEANUP(bed_done) struct bed bed;
        bed_init(&bed);
        CLEANUP(free_drop)
        char *path = str_dupf("%s/proc/%d/fd/%d", bed.path, (int) getpid(), fd);
        bed.pool.target.path = path;
        struct plan plan = PLAN_INIT;
        CHECK_OK("build", RUN(&bed, gate_pool_build(&bed.pool, 0, &plan)));
        struct vol vol;
        vol_init(&vol);
        vol.name = "v";
        vol.target.format = "qcow2";
        vol.capacity = MIB;
        vol.target.cluster_bytes = 3;
        CLEANUP(err_drop)
        struct err *e = RUN(&bed, gate_vol_create(&bed.pool, &vol, 0, &plan));
        CHECK("refused", e && strlen(err_text(e)) < 2000);
    }
    alarm(0);
}

/* A receiver that takes nothing keeps a worker no longer than its deadline. */
TEST(stuck_receiver)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CHECK_OK("volume", create(&bed, "v", "raw", MIB, -1));
    int pipe_fd[2];
    CHECK("pipe", pipe2(pipe_fd, O_CLOEXEC) == 0);
    bed.env.data_fd = pipe_fd[1];
    bed.env.deadline_ms = clock_mono_ms() + 300;
    struct vol vol;
    vol_init(&vol);
    vol.name = "v";
    vol.target.format = "raw";
    struct plan plan = PLAN_INIT;
    alarm(20); /* Ends the test that fails. */
    CHECK_ERR("given up", RUN(&bed, gate_vol_download(&bed.pool, &vol, 0, 0, &plan)),
              ERR_TIMEOUT);
    alarm(0);
    CHECK("the pipe was filled", bed.result.n_bytes >= 60 * KIB);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}

TEST(life_of_a_pool)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    struct stat st;
    CHECK("built", stat(bed.path, &st) == 0);
    CHECK_INT("mode of a new pool", st.st_mode & 0777, 0711);
    struct plan plan = PLAN_INIT;
    CHECK_OK("check", RUN(&bed, gate_pool_check(&bed.pool, &plan)));
    CHECK("is there", bed.result.active);
    bed.pool.target.perms.mode = 0750;
    CHECK_OK("build again", RUN(&bed, gate_pool_build(&bed.pool, 0, &plan)));
    CHECK_OK("start", RUN(&bed, gate_pool_start(&bed.pool, &plan)));
    CHECK("figures", bed.result.has_stat && bed.result.stat.capacity > 0);
    CHECK("what is kept for root is not available",
          bed.result.stat.allocation + bed.result.stat.available <=
              bed.result.stat.capacity);
    CHECK_INT("mode as given", bed.result.stat.perms.mode, 0750);
    CHECK_OK("stop", RUN(&bed, gate_pool_stop(&bed.pool, &plan)));

    CHECK_OK("volume", create(&bed, "v", "raw", 1, 0));
    CHECK_ERR("not empty", RUN(&bed, gate_pool_delete(&bed.pool, &plan)), ERR_IO);
    CHECK_OK("volume gone", with_vol(&bed, "v", "raw", gate_vol_delete));
    CHECK_OK("delete", RUN(&bed, gate_pool_delete(&bed.pool, &plan)));
    CHECK_OK("check", RUN(&bed, gate_pool_check(&bed.pool, &plan)));
    CHECK("is gone", !bed.result.active);
    CLEANUP(err_drop) struct err *e = RUN(&bed, gate_pool_start(&bed.pool, &plan));
    CHECK_INT("libvirt's code", err_code(e), VE_SYSTEM_ERROR);
    CHECK("with a hint", err_is(e, ERR_NOT_FOUND) && err_next(e));
}

TEST(parents_are_made)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CLEANUP(free_drop) char *deep = str_dupf("%s/a/b/c", bed.path);
    bed.pool.target.path = deep;
    struct plan plan = PLAN_INIT;
    CHECK_OK("build", RUN(&bed, gate_pool_build(&bed.pool, 0, &plan)));
    CHECK("there", fs_exists(deep));
    CLEANUP(free_drop) char *link = str_dupf("%s/link", bed.path);
    CHECK_INT("link", symlink("/etc", link), 0);
    bed.pool.target.path = link;
    CLEANUP(free_drop)
    char *want =
        str_dupf("8: target path '%s' is the directory '/etc' of the system", link);
    CHECK_BRIEF("a link does not lead to the system's directories",
                RUN(&bed, gate_pool_build(&bed.pool, 0, &plan)), want);
}

TEST(volumes_of_all_formats)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CHECK_OK("sparse", create(&bed, "a.raw", "raw", MIB, 0));
    const struct vol *v = &bed.result.vols.vols.v[0];
    CHECK_INT("sparse", v->allocation, 0);
    CHECK_INT("mode", v->target.perms.mode, 0600);
    CHECK_STR("key is the path", v->key, v->target.path);
    CHECK_OK("full", create(&bed, "b.raw", "raw", MIB, -1));
    CHECK_INT("full", bed.result.vols.vols.v[0].allocation, MIB);
    CHECK_OK("qcow2", create(&bed, "c d:e.qcow2", "qcow2", 10 * MIB, 0));
    CHECK_STR("compat", bed.result.vols.vols.v[0].target.compat, "1.1");
    CHECK_OK("vdi", create(&bed, "e.vdi", "vdi", 2 * MIB, 0));
    CHECK_OK("vmdk", create(&bed, "f.vmdk", "vmdk", 2 * MIB, 0));
    CHECK_OK("dir", create(&bed, "g", "dir", 0, 0));
    check_list(
        &bed, "list",
        "a.raw file raw 1048576; b.raw file raw 1048576; c d:e.qcow2 file qcow2 10485760; "
        "e.vdi file vdi 2097152; f.vmdk file vmdk 2097152; g dir dir 0; 0 warnings");
    CHECK_BRIEF("exists", create(&bed, "a.raw", "raw", 1, 0),
                "90: volume 'a.raw' of pool 'p': storage volume 'a.raw' exists already");
    CHECK_ERR("exists", create(&bed, "g", "dir", 0, 0), ERR_EXISTS);
    CHECK_INT("nothing else", count_entries(&bed), 6);
    CHECK_OK("rmdir", with_vol(&bed, "g", "dir", gate_vol_delete));
    CHECK_OK("unlink", with_vol(&bed, "a.raw", "raw", gate_vol_delete));
    CHECK_OK("gone is fine", with_vol(&bed, "a.raw", "raw", gate_vol_delete));
    CHECK_INT("two less", count_entries(&bed), 4);
    CHECK_ERR("nothing to see", with_vol(&bed, "a.raw", "raw", gate_vol_stat),
              ERR_NOT_FOUND);
}

TEST(overlays)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CHECK_OK("base", create(&bed, "base", "qcow2", 5 * MIB, 0));
    struct vol vol;
    vol_init(&vol);
    vol.name = "over";
    vol.target.format = "qcow2";
    vol.backing.path = "base"; /* Relative to the pool. */
    vol.backing.format = "qcow2";
    struct plan plan = PLAN_INIT;
    CHECK_OK("create", RUN(&bed, gate_vol_create(&bed.pool, &vol, 0, &plan)));
    const struct vol *v = &bed.result.vols.vols.v[0];
    CHECK_INT("size of the base", v->capacity, 5 * MIB);
    CLEANUP(free_drop) char *base = path_join(bed.path, "base");
    CHECK_STR("absolute", v->backing.path, base);
    CHECK_STR("format", v->backing.format, "qcow2");
    CHECK_INT("the base's own mode", v->backing.perms.mode, 0600);

    vol.name = "over2";
    vol.backing.path = base;
    vol.capacity = 7 * MIB;
    CHECK_OK("absolute, larger", RUN(&bed, gate_vol_create(&bed.pool, &vol, 0, &plan)));
    CHECK_INT("larger", bed.result.vols.vols.v[0].capacity, 7 * MIB);

    vol.name = "over3";
    vol.backing.path = "nothing";
    CLEANUP(err_drop) struct err *e = RUN(&bed, gate_vol_create(&bed.pool, &vol, 0, &plan));
    CHECK_STR("why", err_why(e),
              "inaccessible backing store volume nothing: No such file or directory");
    CHECK_INT("code", err_code(e), VE_SYSTEM_ERROR);
    CHECK_INT("nothing made", count_entries(&bed), 3);
}

TEST(resizing)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CHECK_OK("raw", create(&bed, "a", "raw", MIB, 0));
    CHECK_OK("qcow2", create(&bed, "b", "qcow2", MIB, 0));
    CHECK_OK("grow", resize(&bed, "a", "raw", 3 * MIB, 0));
    CHECK_INT("grown", bed.result.vols.vols.v[0].capacity, 3 * MIB);
    CHECK_INT("sparse", bed.result.vols.vols.v[0].allocation, 0);
    CHECK_OK("grow and allocate", resize(&bed, "a", "raw", 4 * MIB, VOL_ALLOCATE));
    CHECK_INT("blocks", bed.result.vols.vols.v[0].allocation, 4 * MIB);
    CHECK_OK("grow", resize(&bed, "b", "qcow2", 3 * MIB, 0));
    CHECK_INT("grown", bed.result.vols.vols.v[0].capacity, 3 * MIB);
    CHECK_BRIEF(
        "shrink", resize(&bed, "b", "qcow2", 2 * MIB, 0),
        "8: volume 'b' of pool 'p': Can't shrink capacity below current capacity unless "
        "shrink flag explicitly specified");
    CHECK_OK("shrink", resize(&bed, "b", "qcow2", 2 * MIB, VOL_SHRINK));
    CHECK_BRIEF(
        "below the allocation", resize(&bed, "a", "raw", MIB, VOL_SHRINK),
        "8: volume 'a' of pool 'p': can't shrink capacity below existing allocation");
    CHECK_ERR("not what it should be", resize(&bed, "a", "qcow2", 5 * MIB, 0),
              ERR_CONSTRAINT);
    CHECK_ERR("no such", resize(&bed, "c", "raw", MIB, 0), ERR_NOT_FOUND);
}

/* Sum of the bytes of a file, and their number. */
static uint64_t
sum_of(const struct bed *bed, const char *name, int64_t *ret_blocks)
{
    CLEANUP(fd_done) int fd = open_in(bed, name, O_RDONLY);
    struct stat st;
    CHECK("stat", fstat(fd, &st) == 0);
    *ret_blocks = st.st_blocks;
    uint64_t sum = (uint64_t) st.st_size;
    uint8_t block[65536];
    for (ssize_t n; (n = read(fd, block, sizeof block)) > 0;) {
        for (ssize_t i = 0; i < n; i++) {
            sum = sum * 31 + block[i];
        }
    }
    return sum;
}

TEST(clones)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CHECK_OK("source", create(&bed, "s", "raw", 8 * MIB, 0));
    CLEANUP(fd_done) int fd = open_in(&bed, "s", O_WRONLY);
    CHECK("data after a hole", pwrite(fd, "hello", 5, 5 * MIB) == 5);
    int64_t source_blocks, blocks;
    uint64_t sum = sum_of(&bed, "s", &source_blocks);

    struct vol source, vol;
    vol_init(&source);
    source.name = "s";
    source.capacity = 8 * MIB;
    source.target.format = "raw";
    vol_init(&vol);
    vol.name = "sparse";
    vol.allocation = 0;
    vol.target.format = "raw";
    struct plan plan = PLAN_INIT;
    CHECK_OK("sparse",
             RUN(&bed, gate_vol_clone(&bed.pool, &vol, &bed.pool, &source, 0, &plan)));
    CHECK("same bytes", sum_of(&bed, "sparse", &blocks) == sum);
    CHECK("holes stay", blocks <= source_blocks + 16);

    vol.name = "full";
    vol.allocation = -1;
    CHECK_OK("full",
             RUN(&bed, gate_vol_clone(&bed.pool, &vol, &bed.pool, &source, 0, &plan)));
    CHECK("same bytes", sum_of(&bed, "full", &blocks) == sum);
    CHECK("all blocks", blocks * 512 >= 8 * MIB);

    vol.name = "image";
    vol.target.format = "qcow2";
    vol.capacity = 9 * MIB;
    CHECK_OK("convert",
             RUN(&bed, gate_vol_clone(&bed.pool, &vol, &bed.pool, &source, 0, &plan)));
    CHECK_STR("format", bed.result.vols.vols.v[0].target.format, "qcow2");
    CHECK_INT("larger, as asked", bed.result.vols.vols.v[0].capacity, 9 * MIB);

    source.name = "image";
    source.target.format = "qcow2";
    source.capacity = 9 * MIB;
    vol.name = "back";
    vol.target.format = "raw";
    CHECK_OK("back",
             RUN(&bed, gate_vol_clone(&bed.pool, &vol, &bed.pool, &source, 0, &plan)));
    CLEANUP(fd_done) int back = open_in(&bed, "back", O_RDONLY);
    char text[6] = "";
    CHECK("read", pread(back, text, 5, 5 * MIB) == 5);
    CHECK_STR("content", text, "hello");
    CHECK_INT("entries", count_entries(&bed), 5);
}

static void
qemu_img(const struct bed *bed, const char *what)
{
    CLEANUP(free_drop)
    char *command = str_dupf("cd %s && qemu-img %s >/dev/null", bed->path, what);
    CHECK_INT(what, system(command), 0);
}

/* Images that name files which are not theirs: qemu-img must not get to see them. */
TEST(hostile_images)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CLEANUP(free_drop) char *secret = path_join(test_dir(), "secret");
    CHECK_OK("secret", fs_write_atomic(secret, "0123456789abcdef", 16, 0600));
    CLEANUP(free_drop)
    char *outside = str_dupf("create -q -f qcow2 -u -b %s -F raw outside 1M", secret);
    CLEANUP(free_drop)
    char *data =
        str_dupf("create -q -f qcow2 -o data_file=%s,data_file_raw=on data 1M", secret);
    const struct {
        const char *make, *name, *format, *allowed, *want; /* 'want' NULL: fine. */
    } rows[] = {
        { outside, "outside", "qcow2", NULL, "which is not in its pool" },
        { NULL, "outside", "qcow2", secret, NULL },
        { data, "data", "qcow2", NULL, "keeps its data in another file" },
        { "create -q -f qcow2 -u -b nbd://127.0.0.1:9/x -F raw nbd 1M", "nbd", "qcow2",
          NULL, "backing store that is no file" },
        { "create -q -f raw base 1M", "base", "qcow2", NULL,
          "should be of format qcow2, but it is raw" },
        { "create -q -f qcow2 -b $PWD/base -F raw top 1M", "top", "qcow2", NULL, NULL },
        { "create -q -f qcow2 -b $PWD/top -F qcow2 higher 1M", "higher", "qcow2", NULL,
          NULL },
        { "create -q -f qcow2 -b $PWD/outside -F qcow2 below 1M", "below", "qcow2", NULL,
          "which is not in its pool" },
        { "create -q -f vmdk -o subformat=monolithicFlat flat 1M", "flat", "vmdk", NULL,
          "should be of format vmdk, but it is raw" },
        { "create -q -f vmdk sparse 1M", "sparse", "vmdk", NULL, NULL },
        { "create -q -f vmdk -b $PWD/sparse -F vmdk child 1M", "child", "vmdk", NULL,
          NULL },
    };
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        if (rows[i].make) {
            qemu_img(&bed, rows[i].make);
        }
        struct vol source, vol;
        vol_init(&source);
        source.name = rows[i].name;
        source.target.format = rows[i].format;
        source.backing.path = rows[i].allowed;
        vol_init(&vol);
        vol.name = "clone";
        vol.target.format = "raw";
        vol.capacity = MIB;
        vol.allocation = 0;
        struct plan plan = PLAN_INIT;
        CLEANUP(err_drop)
        struct err *e =
            RUN(&bed, gate_vol_clone(&bed.pool, &vol, &bed.pool, &source, 0, &plan));
        const char *want = rows[i].want;
        CHECK(e ? err_text(e) : rows[i].name, want ? e && strstr(err_text(e), want) : !e);
        CLEANUP(free_drop) char *clone = path_join(bed.path, "clone");
        CHECK_INT(rows[i].name, unlink(clone) == 0, !want);
    }
    CHECK_ERR("data elsewhere", resize(&bed, "data", "qcow2", 2 * MIB, 0), ERR_CONSTRAINT);
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    CHECK_OK("read", fs_read(secret, 2 * MIB, &text));
    CHECK("as it was made", text.n == MIB); /* qemu-img create itself made it 1 MiB long. */
}

/* A name on the way to a pool that leads elsewhere between the check and the opening. */
TEST(swapped_parents)
{
    CLEANUP(free_drop) char *good = path_join(test_dir(), "good/share");
    CLEANUP(free_drop) char *a = path_join(test_dir(), "way");
    CLEANUP(free_drop) char *b = path_join(test_dir(), "other");
    CLEANUP(free_drop) char *target = path_join(a, "share");
    CHECK_OK("directory", fs_mkdirs(good, 0755));
    CHECK_INT("link", symlink("good", a), 0);
    CHECK_INT("link", symlink("/usr", b), 0);
    pid_t pid = fork();
    if (pid == 0) {
        while (getppid() != 1) {
            renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
            sched_yield();
        }
        _exit(0);
    }
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    bed.pool.target.path = target;
    int n_good = 0, n_refused = 0;
    size_t n_leaked = 0;
    for (int64_t until = clock_mono_ms() + 1500; clock_mono_ms() < until;) {
        struct plan plan = PLAN_INIT;
        CLEANUP(err_drop) struct err *e = RUN(&bed, gate_pool_refresh(&bed.pool, &plan));
        n_leaked += e ? 0 : bed.result.vols.vols.n;
        n_good += !e;
        n_refused += e != NULL;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK("both ways were met", n_good > 0 && n_refused > 0);
    CHECK_INT("nothing of /usr/share was listed", (int64_t) n_leaked, 0);
}

TEST(a_scan_survives_what_it_finds)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    write_in(&bed, "short.qcow2", "QFI\xfb\0\0\0\3aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 38);
    write_in(&bed, "odd.qcow2", "QFI\xfb\0\0\0\11", 8);
    write_in(&bed, "empty", "", 0);
    write_in(&bed, "bad\nname", "", 0);
    write_in(&bed, "bad\xffname", "", 0);
    CLEANUP(free_drop) char *fifo = path_join(bed.path, "fifo");
    CHECK_INT("fifo", mkfifo(fifo, 0600), 0);
    CLEANUP(free_drop) char *link = path_join(bed.path, "link");
    CHECK_INT("link", symlink("empty", link), 0);
    CLEANUP(free_drop) char *dangling = path_join(bed.path, "dangling");
    CHECK_INT("link", symlink("nowhere", dangling), 0);
    CLEANUP(free_drop) char *loop = path_join(bed.path, "loop");
    CHECK_INT("link", symlink("loop", loop), 0);
    CLEANUP(free_drop) char *device = path_join(bed.path, "device");
    CHECK_INT("link", symlink("/dev/null", device), 0);
    check_list(&bed, "the good ones are there",
               "empty file raw 0; link file raw 0; odd.qcow2 file raw 8; "
               "short.qcow2 file qcow2 7016996765293437281; 6 warnings");
    CHECK_ERR("nothing is written through a link", resize(&bed, "link", "raw", 10, 0),
              ERR_IO);
    CHECK_OK("the link itself may go", with_vol(&bed, "link", "raw", gate_vol_delete));
    CLEANUP(free_drop) char *empty = path_join(bed.path, "empty");
    CHECK("and what it led to stays", fs_exists(empty));
}

/* Root reads everything: it has to be somebody else for a while. */
TEST(unreadable_files)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    write_in(&bed, "mine", "x", 1);
    write_in(&bed, "secret", "xy", 2);
    CLEANUP(free_drop) char *secret = path_join(bed.path, "secret");
    CLEANUP(free_drop) char *mine = path_join(bed.path, "mine");
    bool is_root = geteuid() == 0;
    CHECK_INT("nobody may read it", chmod(secret, 0), 0);
    if (is_root) {
        CHECK_INT("open the way", chmod(test_dir(), 0755), 0);
        CHECK_INT("owner", chown(bed.path, 65534, 65534), 0);
        CHECK_INT("owner", chown(mine, 65534, 65534), 0);
        CHECK_INT("euid", seteuid(65534), 0);
    }
    struct plan plan = PLAN_INIT;
    struct err *e = RUN(&bed, gate_pool_refresh(&bed.pool, &plan));
    if (is_root) {
        CHECK_INT("euid", seteuid(0), 0);
    }
    CHECK_OK("scan", e);
    const struct vol *vol = vol_list_find(&bed.result.vols, "secret");
    CHECK("it is listed", vol && vol->error);
    CHECK_INT("with its size", vol->capacity, 2);
    CHECK_INT("and a warning", (int64_t) bed.result.vols.warnings.n, 1);
    const struct vol *other = vol_list_find(&bed.result.vols, "mine");
    CHECK("the other too", other && !other->error);
}

TEST(failures_leave_nothing)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CLEANUP(err_drop) struct err *e = create(&bed, "v", "cow", MIB, 0);
    CHECK_INT("qemu-img says no", err_code(e), VE_INTERNAL);
    CHECK("in libvirt's words",
          strstr(err_why(e), "Child process (qemu-img create -q -f cow "));
    CHECK("status", strstr(err_why(e), ") unexpected exit status 1: "));
    CHECK("without our way of naming files", !strstr(err_why(e), "/proc/"));
    CHECK_INT("nothing", count_entries(&bed), 0);

    CHECK_ERR("larger than the pool", create(&bed, "v", "raw", INT64_C(1) << 60, 0),
              ERR_NO_SPACE);
    CHECK_ERR("more than is free", create(&bed, "v", "raw", INT64_C(1) << 60, -1),
              ERR_NO_SPACE);
    CHECK_INT("nothing", count_entries(&bed), 0);

    volatile int cancel = 1;
    bed.env.cancel_flag = &cancel;
    CHECK_ERR("cancel", create(&bed, "v", "raw", MIB, -1), ERR_CANCELED);
    bed.env.cancel_flag = NULL;
    bed.env.deadline_ms = clock_mono_ms() - 1;
    CHECK_ERR("deadline", create(&bed, "v", "raw", MIB, -1), ERR_TIMEOUT);
    bed.env.deadline_ms = 0;
    CHECK_INT("nothing", count_entries(&bed), 0);
}

static void
cancel_when_copying(void *aux, const struct engine_progress *p)
{
    if (str_starts(p->message, "receive")) {
        *(volatile int *) aux = 1;
    }
}

TEST(cancel_in_the_middle)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CHECK_OK("volume", create(&bed, "v", "raw", MIB, 0));
    int pipe_fd[2];
    CHECK("pipe", pipe2(pipe_fd, O_CLOEXEC) == 0); /* From which nothing ever comes. */
    volatile int cancel = 0;
    bed.env.cancel_flag = &cancel;
    bed.env.progress = cancel_when_copying;
    bed.env.aux = (void *) &cancel;
    bed.env.data_fd = pipe_fd[0];
    struct vol vol;
    vol_init(&vol);
    vol.name = "v";
    vol.target.format = "raw";
    struct plan plan = PLAN_INIT;
    int64_t start_ms = clock_mono_ms();
    CHECK_ERR("canceled", RUN(&bed, gate_vol_upload(&bed.pool, &vol, 0, 0, &plan)),
              ERR_CANCELED);
    CHECK("soon", clock_mono_ms() - start_ms < 20000);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}

TEST(busy_volumes)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CHECK_OK("volume", create(&bed, "v", "raw", MIB, 0));
    CLEANUP(fd_done) int fd = open_in(&bed, "v", O_RDWR);
    CHECK("as a worker", place_lock(fd, true));
    CHECK_BRIEF("resize", resize(&bed, "v", "raw", 2 * MIB, 0),
                "55: volume 'v' of pool 'p': volume 'v' is still in use.");
    CHECK_ERR("delete", with_vol(&bed, "v", "raw", gate_vol_delete), ERR_BUSY);
    fd_done(&fd);
    fd = open_in(&bed, "v", O_RDWR);
    struct flock lock = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1
    };
    CHECK_INT("as QEMU", fcntl(fd, F_OFD_SETLK, &lock), 0);
    CHECK_ERR("resize", resize(&bed, "v", "raw", 2 * MIB, 0), ERR_BUSY);
    CHECK_ERR("delete", with_vol(&bed, "v", "raw", gate_vol_delete), ERR_BUSY);
    fd_done(&fd);
    CHECK_OK("free again", with_vol(&bed, "v", "raw", gate_vol_delete));
}

/* A worker that dies anywhere leaves at most temporaries, which the next scan removes. */
TEST(killed_workers)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (int k = 0;; k++) {
                char name[32];
                snprintf(name, sizeof name, "v%d-%d", i, k);
                err_free(create(&bed, name, i % 2 ? "qcow2" : "raw", 2 * MIB, -1));
            }
        }
        usleep((useconds_t) (3000 + i * 2100));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    usleep(200000); /* A qemu-img that lost its master. */
    struct plan plan = PLAN_INIT;
    CHECK_OK("scan", RUN(&bed, gate_pool_refresh(&bed.pool, &plan)));
    CHECK_INT("only whole volumes are left", count_entries(&bed),
              (int64_t) bed.result.vols.vols.n);
    VEC_FOR_EACH (const struct vol *v, &bed.result.vols.vols) {
        CHECK_INT(v->name, v->capacity, 2 * MIB);
    }
}

TEST(live_temporaries_stay)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    write_in(&bed, ".a.new-abc123", "", 0);
    write_in(&bed, ".b.new-abc123", "", 0);
    CLEANUP(fd_done) int fd = open_in(&bed, ".a.new-abc123", O_RDWR);
    CHECK("held", place_lock(fd, true));
    check_list(&bed, "not shown", "0 warnings");
    CHECK_INT("the dead one is gone", count_entries(&bed), 1);
    char longest[VOL_NAME_MAX + 1];
    memset(longest, 'n', sizeof longest);
    longest[VOL_NAME_MAX] = '\0';
    CHECK_OK("the longest name", create(&bed, longest, "raw", 1, 0));
}

TEST(full_disk)
{
    if (geteuid() == 0) {
        CLEANUP(bed_done) struct bed bed;
        bed_init(&bed);
        if (mount("tmpfs", bed.path, "tmpfs", 0, "size=4m") < 0) {
            skip(); /* A container that may not mount. */
        }
        struct err *e = create(&bed, "ok", "raw", 2 * MIB, -1);
        struct err *more = create(&bed, "more", "raw", 3 * MIB, -1);
        struct err *larger = create(&bed, "larger", "qcow2", 5 * MIB, 0);
        CLEANUP(free_drop) char *path = path_join(bed.path, "filler");
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        bool full = fd >= 0 && fallocate(fd, 0, 0, 2 * MIB) == 0;
        struct err *image = create(&bed, "image", "qcow2", MIB, 0);
        int n = count_entries(&bed);
        close(fd);
        umount2(bed.path, MNT_DETACH);
        CHECK_OK("fits", e);
        CHECK_BRIEF("blocks", more,
                    "9: volume 'more' of pool 'p': Not enough space left in storage "
                    "pool: 3145728 bytes are needed, 2097152 are free");
        CHECK_BRIEF(
            "capacity", larger,
            "9: volume 'larger' of pool 'p': capacity 5242880 bytes (5.00 MiB) is larger "
            "than the pool's 4194304 bytes (4.00 MiB)");
        CHECK("filled", full);
        CHECK("has a hint", err_next(image));
        CHECK_ERR("qemu-img meets it", image, ERR_NO_SPACE);
        CHECK_INT("and leaves nothing", n, 2);
    }
}
