/* journal/test_damage.c: a journal in bad days.  Whatever is cut, flipped, lost or full:
 * what is read is a prefix of what was written, with the place named; and no byte is thrown
 * away. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "journal/journal.h"
#include "test.h"

#define N_RECORDS 12 /* The schema's included. */

/* A file with records {"n":0} ... and where each begins. */
struct sample {
    char *path;
    struct buf bytes;
    int64_t begins[N_RECORDS + 1];
};

static void
sample_done(struct sample *s)
{
    buf_done(&s->bytes);
    free(s->path);
}

static struct sample
sample_make(const char *name)
{
    struct sample s = { .path = path_join(test_dir(), name), .bytes = BUF_INIT };
    struct journal *j;

    unlink(s.path);
    CHECK_OK("create", journal_create(s.path, "{\"n\":0}"));
    CHECK_OK("open", journal_open(s.path, JOURNAL_NO_DURABLE, &j));
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    for (bool more = true; more;) {
        struct json record;
        CHECK_OK("read", journal_read(j, &arena, &record, &more));
    }
    for (int i = 1; i < N_RECORDS; i++) {
        CLEANUP(buf_done) struct buf record = BUF_INIT;
        uint64_t seq;
        buf_printf(&record, "{\"n\":%d,\"pad\":\"%0*d\"}", i, 20 + i * 7 % 83, 0);
        s.begins[i] = journal_size(j);
        CHECK_OK("append", journal_append(j, record.data, record.n, &seq));
    }
    s.begins[N_RECORDS] = journal_size(j);
    journal_close(j);
    CHECK_OK("read file", fs_read(s.path, MIB, &s.bytes));
    return s;
}

/* Without fsync(), which would be all that these tests do. */
static struct err *
put_file(const char *path, const void *data, size_t n_bytes)
{
    CLEANUP(fd_done) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd >= 0 && pwrite(fd, data, n_bytes, 0) == (ssize_t) n_bytes
               ? NULL
               : err_io(errno, "write %s", path);
}

/* Reads to the end; checks that it is records 0, 1, 2 ... and returns how many. */
static int
read_prefix(struct journal *j)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    for (int n = 0;; n++) {
        struct json record;
        bool more;
        int64_t number;
        CHECK_OK("read", journal_read(j, &arena, &record, &more));
        if (!more) {
            return n;
        }
        CHECK("has a number", json_get_int(&record, "n", &number));
        CHECK_INT("in order", number, n);
    }
}

static int64_t
file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

TEST(cut_after_every_byte)
{
    CLEANUP(sample_done) struct sample s = sample_make("cut.db");
    int whole = 0;

    for (int64_t cut = 1; cut <= (int64_t) s.bytes.n; cut++) {
        CHECK_OK("write", put_file(s.path, s.bytes.data, (size_t) cut));
        while (whole < N_RECORDS && s.begins[whole + 1] <= cut) {
            whole++;
        }
        struct journal *j;
        CHECK_OK("open", journal_open(s.path, JOURNAL_NO_DURABLE, &j));
        if (whole == 0) { /* No schema, no database. */
            CLEANUP(arena_done) struct arena arena = ARENA_INIT;
            struct json record;
            bool more;
            struct err *e = journal_read(j, &arena, &record, &more);
            CHECK("refused", e);
            err_free(e);
            journal_close(j);
            continue;
        }
        CHECK_INT("what is whole is read", read_prefix(j), whole);
        const struct journal_damage *d = journal_damage(j);
        bool clean = s.begins[whole] == cut;
        CHECK("damage is noticed", clean == !d->why);
        if (!clean) {
            CHECK_INT("offset", d->offset, s.begins[whole]);
            CHECK_INT("length", d->n_bytes, cut - s.begins[whole]);
            CHECK("torn", d->torn);
            CHECK_INT("not touched by reading", file_size(s.path), cut);
        }

        CLEANUP(buf_done) struct buf record = BUF_INIT;
        uint64_t seq;
        buf_printf(&record, "{\"n\":%d}", whole);
        CHECK_OK("append", journal_append(j, record.data, record.n, &seq));
        journal_close(j);
        CHECK_OK("open", journal_open(s.path, JOURNAL_NO_DURABLE, &j));
        CHECK_INT("healed", read_prefix(j), whole + 1);
        CHECK("no damage", !journal_damage(j)->why);
        journal_close(j);

        CLEANUP(free_drop)
        char *saved = str_dupf("%s.cut-%" PRId64, s.path, s.begins[whole]);
        CHECK_INT("the rest is saved", file_size(saved),
                  clean ? -1 : cut - s.begins[whole]);
        unlink(saved);
    }
}

TEST(flip_every_bit)
{
    CLEANUP(sample_done) struct sample s = sample_make("flip.db");

    for (int64_t at = s.begins[1]; at < (int64_t) s.bytes.n; at++) {
        int hit = N_RECORDS - 1;
        while (s.begins[hit] > at) {
            hit--;
        }
        char was = s.bytes.data[at];
        s.bytes.data[at] = (char) (was ^ (1 << (at % 8)));
        CHECK_OK("write", put_file(s.path, s.bytes.data, s.bytes.n));
        struct journal *j;
        CHECK_OK("open", journal_open(s.path, JOURNAL_NO_DURABLE, &j));
        int n = read_prefix(j);
        const struct journal_damage *d = journal_damage(j);
        uint64_t seq;
        if (n != N_RECORDS) { /* A hash's letter may change case, which means the same. */
            CHECK_INT("what is before it is read", n, hit);
            CHECK_INT("offset", d->offset, s.begins[hit]);
            CHECK("damage in the middle is no torn tail",
                  d->torn == (hit == N_RECORDS - 1));
            struct err *e = journal_append(j, "{}", 2, &seq);
            if (d->torn || !e) {
                CHECK_OK("a torn tail heals", e);
            } else {
                CHECK_ERR("damage does not", e, ERR_SYNTAX);
                CHECK_INT("nothing is lost", file_size(s.path), (int64_t) s.bytes.n);
                journal_allow_cut(j);
                CHECK_OK("unless asked", journal_append(j, "{}", 2, &seq));
            }
        } else {
            CHECK("only case", (was ^ s.bytes.data[at]) == 0x20);
        }
        journal_close(j);
        s.bytes.data[at] = was;
        CLEANUP(free_drop) char *saved = str_dupf("%s.cut-%" PRId64, s.path, s.begins[hit]);
        unlink(saved);
    }
}

TEST(blocks_that_never_reached_the_disk_are_a_torn_tail)
{
    CLEANUP(sample_done) struct sample s = sample_make("hole.db");
    int64_t hole = s.begins[5] + 3, sector_end = hole + 512 - hole % 512;
    CHECK("good ones follow", sector_end < s.begins[N_RECORDS - 1]);
    memset(s.bytes.data + hole, 0, (size_t) (sector_end - hole));
    CHECK_OK("write", put_file(s.path, s.bytes.data, s.bytes.n));
    struct journal *j;
    CHECK_OK("open", journal_open(s.path, JOURNAL_NO_DURABLE, &j));
    CHECK_INT("what is before it is read", read_prefix(j), 5);
    CHECK("torn", journal_damage(j)->torn);
    journal_close(j);
}

TEST(a_rejected_record_counts_as_damage)
{
    CLEANUP(sample_done) struct sample s = sample_make("reject.db");
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json record;
    bool more;
    for (int reject = 1; reject < N_RECORDS; reject++) {
        struct journal *j;
        CHECK_OK("open", journal_open(s.path, JOURNAL_NO_DURABLE, &j));
        for (int i = 0; i <= reject; i++) {
            CHECK_OK("read", journal_read(j, &arena, &record, &more));
        }
        journal_reject(j, err_new(ERR_CONSTRAINT, "no such table"));
        CHECK_OK("read", journal_read(j, &arena, &record, &more));
        CHECK("nothing more", !more);
        CHECK_INT("offset", journal_damage(j)->offset, s.begins[reject]);
        CHECK_INT("good bytes", journal_size(j), s.begins[reject]);
        CHECK("torn only at the end", journal_damage(j)->torn == (reject == N_RECORDS - 1));
        journal_close(j);
    }
}

TEST(lies_in_headers)
{
    static const char *const headers[] = {
        "OVSDB JSON 0 5f36b2ea290645ee34d943220a14b54ee5ea5be5\n",
        "OVSDB JSON 99999999999999999999999 5f36b2ea290645ee34d943220a14b54ee5ea5be5\n",
        "OVSDB JSON 2147483000 5f36b2ea290645ee34d943220a14b54ee5ea5be5\n{}\n",
        "OVSDB JSON -3 5f36b2ea290645ee34d943220a14b54ee5ea5be5\n{}\n",
        "OVSDB JSON 3 5f36b2ea290645ee34d943220a14b54ee5ea5be\n{}\n",
        "OVSDB JSON 3 5f36b2ea290645ee34d943220a14b54ee5ea5be5 \n{}\n",
        "OVSDB JSON  3 5f36b2ea290645ee34d943220a14b54ee5ea5be5\n{}\n",
        "OVSDB CLUSTER 3 5f36b2ea290645ee34d943220a14b54ee5ea5be5\n{}\n",
        "OVSDB JSON 3 29e2dcfbb16f63bb0254df7585a15bb6fb5e927d\n[]\n", /* No object. */
        "\n",
        "xxx",
        "OVSDB JSON 3",
    };
    CLEANUP(sample_done) struct sample s = sample_make("lies.db");
    for (size_t i = 0; i < N_ELEMS(headers); i++) {
        CLEANUP(buf_done) struct buf file = BUF_INIT;
        buf_add(&file, s.bytes.data, s.bytes.n);
        buf_str(&file, headers[i]);
        CHECK_OK("write", put_file(s.path, file.data, file.n));
        struct journal *j;
        CHECK_OK("open", journal_open(s.path, JOURNAL_READ_ONLY, &j));
        CHECK_INT(headers[i], read_prefix(j), N_RECORDS);
        CHECK(headers[i], journal_damage(j)->why);
        CHECK_INT(headers[i], journal_damage(j)->offset, (int64_t) s.bytes.n);
        uint64_t seq;
        CHECK_ERR("reading only", journal_append(j, "{}", 2, &seq), ERR_DENIED);
        journal_close(j);
    }
}

/* In a child, because a limit on file sizes is for the whole process. */
static int
fill_up(const char *path)
{
    struct rlimit limit = { 2000, 2000 };
    struct journal *j;
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || journal_open(path, 0, &j)) {
        return 100;
    }
    int n = read_prefix(j);
    static const char record[] =
        "{\"n\":%d,\"pad\":\"0123456789012345678901234567890123456789\"}";
    for (;; n++) {
        char text[200];
        uint64_t seq;
        snprintf(text, sizeof text, record, n);
        int64_t before = journal_size(j);
        struct err *e = journal_append(j, text, strlen(text), &seq);
        if (e) {
            bool same = journal_size(j) == before && file_size(path) == before;
            struct err *small = journal_sync(j);
            return same && !small ? n : 101;
        }
        if (n > 90) {
            return 102;
        }
    }
}

TEST(a_full_disk_leaves_the_file_as_it_was)
{
    CLEANUP(sample_done) struct sample s = sample_make("full.db");
    pid_t pid = fork();
    if (pid == 0) {
        _exit(fill_up(s.path));
    }
    int status;
    CHECK_INT("waitpid", waitpid(pid, &status, 0), pid);
    CHECK("child", WIFEXITED(status) && WEXITSTATUS(status) < 100);
    struct journal *j;
    CHECK_OK("open", journal_open(s.path, 0, &j));
    CHECK_INT("all that was acknowledged", read_prefix(j), WEXITSTATUS(status));
    CHECK("nothing torn", !journal_damage(j)->why);
    journal_close(j);
}
