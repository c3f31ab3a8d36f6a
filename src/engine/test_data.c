/* engine/test_data.c: contents: copied, sent, received, wiped; on real files. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"
#include "engine/qemu_img_i.h"
#include "store/code.h"
#include "store/wipe.h"
#include "engine/test_bed_i.h"

static struct vol
raw(const char *name, int64_t capacity)
{
    struct vol vol;
    vol_init(&vol);
    vol.name = name;
    vol.target.format = "raw";
    vol.capacity = capacity;
    return vol;
}

/* What CHECK_BRIEF() shows of a refusal in the bed's pool. */
static const char *
brief(const char *fmt, const char *path)
{
    static char text[512];
    char why[400];
    snprintf(why, sizeof why, fmt, path);
    snprintf(text, sizeof text, "8: volume 'v' of pool 'p': %s", why);
    return text;
}

static int64_t
blocks_of(const struct bed *bed, const char *name)
{
    CLEANUP(fd_done) int fd = open_in(bed, name, O_RDONLY);
    struct stat st;
    CHECK("stat", fstat(fd, &st) == 0);
    return st.st_blocks * INT64_C(512);
}

static void
random_at(int fd, size_t n, int64_t at)
{
    CLEANUP(free_drop) char *bytes = xmalloc(n);
    for (size_t done = 0; done < n;) {
        done += (size_t) getrandom(bytes + done, n - done, 0);
    }
    CHECK("written", pwrite(fd, bytes, n, at) == (ssize_t) n);
}

static bool
same_content(const struct bed *bed, const char *a, const char *b)
{
    CLEANUP(free_drop)
    char *command = str_dupf("cmp -s '%s/%s' '%s/%s'", bed->path, a, bed->path, b);
    return system(command) == 0;
}

TEST(streams)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CHECK_OK("volume", create(&bed, "v", "raw", 2 * MIB, 0));
    CLEANUP(free_drop) char *file = path_join(test_dir(), "data");
    CLEANUP(fd_done) int data = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK("data", pwrite(data, "abc", 3, 3 * MIB - 3) == 3);

    struct vol vol;
    vol_init(&vol);
    vol.name = "v";
    vol.target.format = "raw";
    struct plan plan = PLAN_INIT;
    CHECK_ERR("nothing came", RUN(&bed, gate_vol_upload(&bed.pool, &vol, 0, 0, &plan)),
              ERR_CONSTRAINT);
    bed.env.data_fd = data;
    CHECK_BRIEF(
        "more than it holds", RUN(&bed, gate_vol_upload(&bed.pool, &vol, 0, 0, &plan)),
        brief("there is more data than volume '%s/v' holds: it ends at byte 2097152",
              bed.path));
    CHECK_INT("nothing is left behind", count_entries(&bed), 1);
    CHECK_OK("larger", resize(&bed, "v", "raw", 3 * MIB, 0));
    CHECK("from its begin", lseek(data, 0, SEEK_SET) == 0);
    CHECK_OK("upload", RUN(&bed, gate_vol_upload(&bed.pool, &vol, 0, 0, &plan)));
    CHECK_INT("bytes", bed.result.n_bytes, 3 * MIB);
    CHECK("zeros make no blocks", bed.result.vols.vols.v[0].allocation < MIB);

    CLEANUP(free_drop) char *file2 = path_join(test_dir(), "data2");
    CLEANUP(fd_done) int out = open(file2, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bed.env.data_fd = out;
    CHECK_OK("download", RUN(&bed, gate_vol_download(&bed.pool, &vol, 0, 0, &plan)));
    struct stat st;
    CHECK("stat", fstat(out, &st) == 0);
    CHECK_INT("size", st.st_size, 3 * MIB);
    CHECK("holes", st.st_blocks * 512 < MIB);
    char text[4] = "";
    CHECK("read", pread(out, text, 3, 3 * MIB - 3) == 3);
    CHECK_STR("content", text, "abc");

    int pipe_fd[2];
    CHECK("pipe", pipe2(pipe_fd, O_CLOEXEC) == 0);
    CHECK("fill", write(pipe_fd[1], "0123456789", 10) == 10);
    close(pipe_fd[1]);
    bed.env.data_fd = pipe_fd[0];
    CHECK_ERR("too little data", RUN(&bed, gate_vol_upload(&bed.pool, &vol, 4, 11, &plan)),
              ERR_IO);
    close(pipe_fd[0]);
    CHECK("pipe", pipe2(pipe_fd, O_CLOEXEC) == 0);
    bed.env.data_fd = pipe_fd[1];
    CHECK_OK("a part", RUN(&bed, gate_vol_download(&bed.pool, &vol, 6, 4, &plan)));
    CHECK("read", read(pipe_fd[0], text, 4) == 4);
    CHECK("what was written", memcmp(text, "2345", 4) == 0);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    bed.env.data_fd = -1;

    CHECK_OK("wipe", RUN(&bed, gate_vol_wipe(&bed.pool, &vol, WIPE_ZERO, &plan)));
    CHECK("it says what it did", strstr(bed.result.note, "then given back"));
    CHECK_INT("size stays", bed.result.vols.vols.v[0].capacity, 3 * MIB);
    CHECK_INT("sparse stays sparse", bed.result.vols.vols.v[0].allocation, 0);
}

/* More chunks than threads, odd ends, data beside holes: what a copy in parallel can get wrong. */
TEST(large_copies)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    int64_t size = 67 * MIB + 12345;
    CHECK_OK("source", create(&bed, "s", "raw", size, 0));
    CLEANUP(fd_done) int fd = open_in(&bed, "s", O_WRONLY);
    random_at(fd, 3, 0);
    random_at(fd, 9 * MIB + 77, 5 * MIB - 3);
    random_at(fd, 5000, 30 * MIB + 512);
    random_at(fd, 12345 + 4096, 67 * MIB - 4096);
    CHECK("zeros with blocks", fallocate(fd, 0, 40 * MIB, 4 * MIB) == 0);
    char *zeros = xcalloc(1, 8 * MIB);
    CHECK("written zeros", pwrite(fd, zeros, 8 * MIB, 48 * MIB) == 8 * MIB);
    free(zeros);
    CHECK("synced", fsync(fd) == 0);

    struct vol source = raw("s", size), vol = raw("c", -1);
    struct plan plan = PLAN_INIT;
    vol.allocation = 0;
    CHECK_OK("copy",
             RUN(&bed, gate_vol_clone(&bed.pool, &vol, &bed.pool, &source, 0, &plan)));
    CHECK("the same", same_content(&bed, "s", "c"));
    CHECK("zeros became holes", blocks_of(&bed, "c") < blocks_of(&bed, "s") - 7 * MIB);

    vol.name = "full";
    vol.allocation = -1;
    CHECK_OK("with all blocks",
             RUN(&bed, gate_vol_clone(&bed.pool, &vol, &bed.pool, &source, 0, &plan)));
    CHECK("the same", same_content(&bed, "s", "full"));
    CHECK("all blocks", blocks_of(&bed, "full") >= size);
}

/* A source that QEMU writes to would give a copy of no moment. */
TEST(no_copy_of_what_is_written)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CHECK_OK("source", create(&bed, "s", "raw", MIB, 0));
    CLEANUP(fd_done) int fd = open_in(&bed, "s", O_RDWR);
    struct vol source = raw("s", MIB), vol = raw("v", -1);
    struct plan plan = PLAN_INIT;
    struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1 };
    lock.l_start = 100; /* It reads: that does no harm. */
    CHECK("lock", fcntl(fd, F_OFD_SETLK, &lock) == 0);
    CHECK_OK("read by another",
             RUN(&bed, gate_vol_clone(&bed.pool, &vol, &bed.pool, &source, 0, &plan)));
    lock.l_start = 101; /* It writes. */
    CHECK("lock", fcntl(fd, F_OFD_SETLK, &lock) == 0);
    vol.name = "w";
    CHECK_ERR("written by another",
              RUN(&bed, gate_vol_clone(&bed.pool, &vol, &bed.pool, &source, 0, &plan)),
              ERR_BUSY);
    CHECK_INT("nothing is left behind", count_entries(&bed), 2);
}

/* Until an upload of all is whole, the old content is what there is. */
TEST(uploads_are_whole_or_not_at_all)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CHECK_OK("volume", create(&bed, "v", "raw", 2 * MIB, -1));
    {
        CLEANUP(fd_done) int fd = open_in(&bed, "v", O_WRONLY);
        random_at(fd, 2 * MIB, 0);
        CHECK("mode", fchmod(fd, 0640) == 0);
    }
    CLEANUP(free_drop) char *copy = str_dupf("cp '%s/v' '%s/old'", bed.path, bed.path);
    CHECK("copy", system(copy) == 0);

    struct vol vol = raw("v", -1);
    struct plan plan = PLAN_INIT;
    int pipe_fd[2];
    CHECK("pipe", pipe2(pipe_fd, O_CLOEXEC) == 0);
    CHECK("some", write(pipe_fd[1], "new", 3) == 3);
    volatile int cancel = 0;
    bed.env.data_fd = pipe_fd[0];
    bed.env.cancel_flag = &cancel;
    bed.env.deadline_ms = 1; /* Long ago: it ends as soon as it waits. */
    CHECK_ERR("cut", RUN(&bed, gate_vol_upload(&bed.pool, &vol, 0, 0, &plan)), ERR_TIMEOUT);
    bed.env.deadline_ms = 0;
    CHECK("the old is there", same_content(&bed, "v", "old"));
    CHECK_INT("and nothing else", count_entries(&bed), 2);

    close(pipe_fd[1]);
    CHECK_OK("a short one", RUN(&bed, gate_vol_upload(&bed.pool, &vol, 0, 0, &plan)));
    close(pipe_fd[0]);
    CLEANUP(fd_done) int fd = open_in(&bed, "v", O_RDONLY);
    char text[4] = "";
    struct stat st;
    CHECK("new", pread(fd, text, 3, 0) == 3 && str_eq(text, "new"));
    CHECK("stat", fstat(fd, &st) == 0);
    CHECK_INT("its length stays", st.st_size, 2 * MIB);
    CHECK_INT("its mode stays", st.st_mode & 0777, 0640);
    CHECK("its blocks stay", st.st_blocks * 512 >= 2 * MIB);
    CLEANUP(free_drop)
    char *tail = str_dupf("cmp -s -i 3 '%s/v' '%s/old'", bed.path, bed.path);
    CHECK("what lies behind stays", system(tail) == 0);
}

/* Bytes in the file after each algorithm, -1: anything; and what is said. */
static const struct {
    enum wipe_algorithm algorithm;
    int left;
    const char *note;
} wipes[] = {
    { WIPE_ZERO, 0x00, "3.00 MiB overwritten once" },
    { WIPE_NNSA, 0x00, "3.00 MiB overwritten in 4 passes" },
    { WIPE_DOD, 0xff, "3.00 MiB overwritten in 4 passes" },
    { WIPE_BSI, 0x7f, "3.00 MiB overwritten in 9 passes" },
    { WIPE_GUTMANN, -1, "3.00 MiB overwritten in 35 passes" },
    { WIPE_SCHNEIER, -1, "3.00 MiB overwritten in 7 passes" },
    { WIPE_PFITZNER7, -1, "3.00 MiB overwritten in 7 passes" },
    { WIPE_PFITZNER33, -1, "3.00 MiB overwritten in 33 passes" },
    { WIPE_RANDOM, -1, "3.00 MiB overwritten once" },
};

TEST(wipes_overwrite)
{
    for (size_t i = 0; i < N_ELEMS(wipes); i++) {
        CLEANUP(bed_done) struct bed bed;
        bed_init(&bed);
        const char *why = wipe_algorithm_name(wipes[i].algorithm);
        CHECK_OK(why, create(&bed, "v", "raw", 3 * MIB, -1));
        CLEANUP(fd_done) int fd = open_in(&bed, "v", O_RDWR);
        CLEANUP(free_drop) char *before = xmalloc(3 * MIB);
        CLEANUP(free_drop) char *after = xmalloc(3 * MIB);
        random_at(fd, 3 * MIB, 0);
        CHECK(why, fsync(fd) == 0 && pread(fd, before, 3 * MIB, 0) == 3 * MIB);
        struct vol vol = raw("v", 3 * MIB);
        struct plan plan = PLAN_INIT;
        CHECK_OK(why, RUN(&bed, gate_vol_wipe(&bed.pool, &vol, wipes[i].algorithm, &plan)));
        CHECK(why, pread(fd, after, 3 * MIB, 0) == 3 * MIB);
        for (size_t k = 0; k < 3 * MIB; k += 4096) { /* 4096 equal bytes are no chance. */
            CHECK(why, memcmp(after + k, before + k, 4096) != 0);
            CHECK(why, wipes[i].left < 0 || (after[k] & 0xff) == wipes[i].left);
        }
        CHECK_STR(why, bed.result.note, wipes[i].note);
    }
}

TEST(wipes_of_images_and_trim)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CHECK_OK("image", create(&bed, "v", "qcow2", 8 * MIB, 0));
    CLEANUP(free_drop)
    char *fill = str_dupf("qemu-io -f qcow2 -c 'write -P 0xa5 1M 2M' '%s/v' >/dev/null "
                          "&& cp '%s/v' '%s/old'",
                          bed.path, bed.path, bed.path);
    CHECK("data in it", system(fill) == 0);
    struct vol vol = raw("v", 8 * MIB);
    vol.target.format = "qcow2";
    struct plan plan = PLAN_INIT;
    CHECK_OK("wipe", RUN(&bed, gate_vol_wipe(&bed.pool, &vol, WIPE_ZERO, &plan)));
    CHECK_STR("still an image", bed.result.vols.vols.v[0].target.format, "qcow2");
    CHECK_INT("as large", bed.result.vols.vols.v[0].capacity, 8 * MIB);
    CLEANUP(free_drop)
    char *look =
        str_dupf("qemu-io -r -f qcow2 -c 'read -P 0 0 8M' '%s/v' >/dev/null", bed.path);
    CHECK("of zeros", system(look) == 0);

    CHECK_OK("raw", create(&bed, "t", "raw", 4 * MIB, -1));
    CLEANUP(fd_done) int fd = open_in(&bed, "t", O_RDWR);
    random_at(fd, 4 * MIB, 0);
    vol = raw("t", 4 * MIB);
    CHECK_OK("trim", RUN(&bed, gate_vol_wipe(&bed.pool, &vol, WIPE_TRIM, &plan)));
    CHECK_INT("no blocks", blocks_of(&bed, "t"), 0);
    CHECK("and it is said", strstr(bed.result.note, "may still hold the data"));
}

TEST(patterns_go_by_the_byte)
{
    const struct wipe_pass pass = { WIPE_PASS_BYTES, { 1, 2, 3 } };
    for (size_t n = 0; n < 40; n++) {
        for (int64_t at = 0; at < 7; at++) {
            uint8_t block[41] = { 0 };
            wipe_fill(&pass, at, block, n);
            for (size_t i = 0; i < n; i++) {
                CHECK_INT("byte", block[i], (at + (int64_t) i) % 3 + 1);
            }
            CHECK_INT("and not beyond", block[n], 0);
        }
    }
    for (int a = 0; a < N_WIPE_ALGORITHMS; a++) {
        size_t n;
        const struct wipe_pass *passes = wipe_passes((enum wipe_algorithm) a, &n);
        CHECK("passes", n <= WIPE_MAX_PASSES && (n > 0) == (a != WIPE_TRIM));
        for (size_t i = 0; i < n; i++) { /* A verification knows what it looks for. */
            CHECK("verify", passes[i].kind != WIPE_PASS_VERIFY ||
                                (i > 0 && passes[i - 1].kind == WIPE_PASS_BYTES));
        }
    }
}

TEST(percent_of_qemu_img)
{
    static const struct {
        const char *line;
        int permille;
    } cases[] = {
        { "    (0.00/100%)", 0 },  { "    (12.34/100%)", 123 },
        { "(100.00/100%)", 1000 }, { "", -1 },
        { "(x/100%)", -1 },        { "(1e9/100%)", -1 },
        { "(5.0/10%)", -1 },       { "5.0/100%", -1 },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        double percent = qemu_img_percent(cases[i].line);
        CHECK_INT(cases[i].line, percent < 0 ? -1 : (int) (percent * 10 + 0.01),
                  cases[i].permille);
    }
}

struct seen {
    int n;
    int64_t total, last;
};

static void
on_progress(void *aux, const struct engine_progress *p)
{
    struct seen *seen = aux;
    if (str_starts(p->message, "qemu-img convert") && p->total) {
        seen->n++;
        seen->total = p->total;
        CHECK("forward", p->done >= seen->last);
        seen->last = p->done;
    }
    CHECK("a share", p->fraction >= 0 && p->fraction <= 1);
}

TEST(conversion_tells_how_far_it_is)
{
    CLEANUP(bed_done) struct bed bed;
    bed_init(&bed);
    CHECK_OK("source", create(&bed, "s", "raw", 32 * MIB, 0));
    CLEANUP(fd_done) int fd = open_in(&bed, "s", O_WRONLY);
    random_at(fd, 32 * MIB, 0);
    struct seen seen = { 0, 0, 0 };
    bed.env.progress = on_progress;
    bed.env.aux = &seen;
    struct vol source = raw("s", 32 * MIB), vol = raw("v", -1);
    vol.target.format = "qcow2";
    struct plan plan = PLAN_INIT;
    CHECK_OK("convert",
             RUN(&bed, gate_vol_clone(&bed.pool, &vol, &bed.pool, &source, 0, &plan)));
    CHECK("told", seen.n > 0);
    CHECK_INT("of", seen.total, 32 * MIB);
}
