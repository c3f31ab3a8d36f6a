/* base/test_base.c: the containers and parsers that everything else trusts. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "base/uuid.h"
#include "base/vec.h"

TEST(errors_carry_what_why_next)
{
    CLEANUP(err_drop) struct err *e = err_io(ENOENT, "open %s", "./nope");
    e = err_wrap(e, "ring %s", "cpu");
    e = err_hint(err_wrap(e, "agent n1"), "create it");
    e = err_hint(err_tag(e, 38), "this later hint is ignored");
    CHECK_STR("text", err_text(e),
              "agent n1: ring cpu: open ./nope: No such file or directory");
    CHECK_STR("what", err_what(e), "agent n1: ring cpu");
    CHECK_STR("why", err_why(e), "open ./nope: No such file or directory");
    CHECK_STR("next", err_next(e), "create it");
    CHECK_STR("brief", err_brief(e),
              "38: agent n1: ring cpu: open ./nope: No such file or directory");
    CHECK("kind follows errno", err_is(e, ERR_NOT_FOUND));
    for (int k = 0; k < N_ERR_KINDS; k++) {
        enum err_kind back;
        CHECK("kinds have names", err_kind_parse(err_kind_name((enum err_kind) k), &back));
        CHECK_INT("and read back", back, k);
    }
}

TEST(buf_builds_text)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    CHECK_STR("empty", buf_cstr(&b), "");
    for (int i = 0; i < 1000; i++) {
        buf_printf(&b, "%d,", i);
    }
    CHECK_INT("length", (int64_t) b.n, 10 * 2 + 90 * 3 + 900 * 4);
    buf_clear(&b);
    const int64_t edge[] = { 0, -1, 42, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < N_ELEMS(edge); i++) {
        buf_i64(&b, edge[i]);
        buf_char(&b, ' ');
    }
    CHECK_STR("integers", buf_cstr(&b),
              "0 -1 42 9223372036854775807 -9223372036854775808 ");
    buf_drop_front(&b, 5);
    CHECK("front dropped", str_starts(buf_cstr(&b), "42 "));
}

TEST(sizes)
{
    static const struct {
        const char *text;
        int64_t bytes; /* -1: refused as syntax, -2: too large. */
    } cases[] = {
        { "0", 0 },           { "4096", 4096 },
        { "1k", 1024 },       { "1KiB", 1024 },
        { "1KB", 1000 },      { "20G", 20 * GIB },
        { "3 MiB", 3 * MIB }, { "7E", 7 * GIB * GIB },
        { "8E", -2 },         { "99999999999999999999", -2 },
        { "", -1 },           { "G", -1 },
        { "-1", -1 },         { "1.5G", -1 },
        { "1GG", -1 },        { "1 000", -1 },
        { "0x10", -1 },       { "9223372036854775807", INT64_MAX },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        int64_t bytes = -9;
        struct err *e = str_to_bytes(cases[i].text, &bytes);
        if (cases[i].bytes >= 0) {
            CHECK_OK(cases[i].text, e);
            CHECK_INT(cases[i].text, bytes, cases[i].bytes);
        } else {
            CHECK_ERR(cases[i].text, e, cases[i].bytes == -1 ? ERR_SYNTAX : ERR_CONSTRAINT);
        }
    }
}

TEST(names)
{
    static const char *const good[] = { "a", "db1", "0x", "a.b-c_d", "A9" };
    static const char *const bad[] = {
        "", "-a", ".a", "_a", "a/b", "a b", "\xc3\xa4", "a\n"
    };
    for (size_t i = 0; i < N_ELEMS(good); i++) {
        CHECK(good[i], str_is_name(good[i]));
    }
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        CHECK(bad[i], !str_is_name(bad[i]));
    }
    char name[65];
    memset(name, 'a', 64);
    name[64] = '\0';
    CHECK("64 are too many", !str_is_name(name));
    name[63] = '\0';
    CHECK("63 are not", str_is_name(name));
    CHECK_BRIEF("text", str_check_name("vm", "a/b"),
                "constraint: vm name 'a/b' contains '/'");
}

TEST(utf8)
{
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        { "plain", true },
        { "\xc3\xa4", true },
        { "\xe2\x82\xac", true },
        { "\xf0\x9f\x98\x80", true },
        { "\xff", false },
        { "\xc0\x80", false },
        { "\xe0\x9f\xbf", false },
        { "\xed\xa0\x80", false },
        { "\xf4\x90\x80\x80", false },
        { "\xc3", false },
        { "\xe2\x82", false },
        { "\x80", false },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CHECK_INT(cases[i].text, str_is_utf8(cases[i].text, strlen(cases[i].text)),
                  cases[i].ok);
    }
}

TEST(numbers_are_strict)
{
    int64_t i;
    uint64_t u;
    CHECK("min", str_to_i64("-9223372036854775808", &i) && i == INT64_MIN);
    CHECK("over", !str_to_i64("9223372036854775808", &i));
    CHECK("blank", !str_to_i64(" 1", &i));
    CHECK("tail", !str_to_i64("1 ", &i));
    CHECK("plus", !str_to_i64("+1", &i));
    CHECK("empty", !str_to_i64("", &i));
    CHECK("unsigned", str_to_u64("18446744073709551615", &u) && u == UINT64_MAX);
    CHECK("minus", !str_to_u64("-1", &u));
}

TEST(map_keeps_what_it_is_given)
{
    CLEANUP(map_done) struct map m = MAP_INIT;
    static int values[1000];
    char key[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        CHECK("new", map_put(&m, key, &values[i]) == NULL);
    }
    CHECK("replaced", map_put(&m, "k7", &values[8]) == &values[7]);
    CHECK("removed", map_remove(&m, "k9") == &values[9]);
    CHECK("absent", !map_has(&m, "k9") && !map_remove(&m, "k9"));
    size_t n = 0;
    MAP_FOR_EACH (entry, &m) {
        n += map_get(&m, entry->key) == entry->value;
    }
    CHECK_INT("each is seen once", (int64_t) n, 999);
    CHECK_INT("counted", (int64_t) map_count(&m), 999);
}

TEST(list_and_vec)
{
    struct item {
        struct list node;
        int x;
    } items[3] = { { .x = 0 }, { .x = 1 }, { .x = 2 } };
    struct list l = LIST_INIT(&l);
    for (int i = 0; i < 3; i++) {
        list_push_back(&l, &items[i].node);
    }
    int sum = 0;
    LIST_FOR_EACH_SAFE (struct item, item, node, &l) {
        sum = sum * 10 + item->x;
        list_remove(&item->node);
    }
    CHECK_INT("in order", sum, 12);
    CHECK("empty at the end", list_empty(&l) && !list_pop_front(&l));

    VEC(int) v = VEC_INIT;
    for (int i = 0; i < 100; i++) {
        *VEC_ADD(&v) = i;
    }
    VEC_REMOVE_AT(&v, 50);
    int64_t total = 0;
    VEC_FOR_EACH (int *x, &v) {
        total += *x;
    }
    CHECK_INT("sum", total, 4950 - 50);
    VEC_DONE(&v);
}

TEST(arena_gives_room_of_any_size)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    for (size_t n = 0; n < 200000; n = n * 3 + 1) {
        char *p = arena_alloc(&a, n);
        CHECK_INT("aligned", (int64_t) ((uintptr_t) p % 16), 0);
        memset(p, 0xa5, n);
    }
    CHECK_STR("format", arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    arena_reset(&a);
    CHECK_STR("after reset", arena_str(&a, "again"), "again");
}

TEST(uuid_text)
{
    struct uuid u, v;
    CHECK("parse", uuid_parse("0A2b06bc-ea36-4ccf-8f11-000102030405", &u));
    CHECK_STR("lower case", UUID_TEXT(&u), "0a2b06bc-ea36-4ccf-8f11-000102030405");
    CHECK("short", !uuid_parse("0a2b06bc-ea36-4ccf-8f11-00010203040", &v));
    CHECK("long", !uuid_parse("0a2b06bc-ea36-4ccf-8f11-0001020304055", &v));
    CHECK("dash", !uuid_parse("0a2b06bc0ea36-4ccf-8f11-000102030405", &v));
    uuid_random(&u);
    uuid_random(&v);
    CHECK("random", !uuid_eq(&u, &v) && !uuid_is_zero(&u));

    /* Ones that somebody counted up must not fall on few hashes: neither from the front nor the end. */
    for (int byte = 0; byte < 16; byte++) {
        bool seen[64] = { false };
        int n_seen = 0;
        struct uuid row = { { 0 } };
        for (int i = 0; i < 256; i++) {
            row.b[byte] = (uint8_t) i;
            uint32_t slot = uuid_hash(&row) % N_ELEMS(seen);
            n_seen += !seen[slot];
            seen[slot] = true;
        }
        CHECK("spread", n_seen > 50);
    }
    CHECK_INT("version 4", UUID_TEXT(&u)[14], '4');
}

/* Every byte counts, at every length. */
TEST(secret_hashes)
{
    char text[48], other[48];
    int n_buckets = 0;
    bool seen[1024] = { false };

    for (size_t n = 0; n <= sizeof text; n++) {
        memset(text, 'x', sizeof text);
        memcpy(other, text, sizeof text);
        CHECK_INT("the same", hash_secret(text, n), hash_secret(other, n));
        for (size_t i = 0; i < n; i++) {
            other[i] ^= 1;
            CHECK("another byte", hash_secret(text, n) != hash_secret(other, n));
            other[i] ^= 1;
        }
        CHECK("another length", n == 0 || hash_secret(text, n) != hash_secret(text, n - 1));
    }
    for (int i = 0; i < 1024; i++) {
        int n = snprintf(text, sizeof text, "row-%d", i);
        bool *there = &seen[hash_secret(text, (size_t) n) % N_ELEMS(seen)];
        n_buckets += !*there;
        *there = true;
    }
    CHECK("spread", n_buckets > 500); /* 647 are to be expected. */
}

TEST(files)
{
    CLEANUP(free_drop) char *dir = path_join(test_dir(), "a/b/c");
    CHECK_OK("mkdirs", fs_mkdirs(dir, 0755));
    CHECK_OK("again", fs_mkdirs(dir, 0755));
    CLEANUP(free_drop) char *file = path_join(dir, "f");
    CHECK_ERR("a file is no directory", fs_mkdirs("/dev/null/x", 0755), ERR_IO);
    CHECK_OK("write", fs_write_atomic(file, "hello", 5, 0600));
    CHECK_OK("over", fs_write_atomic(file, "world!", 6, 0640));
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    CHECK_OK("read", fs_read(file, 100, &b));
    CHECK_STR("content", buf_cstr(&b), "world!");
    CHECK_ERR("limit", fs_read(file, 5, &b), ERR_CONSTRAINT);
    CHECK_ERR("absent", fs_read("/nonexistent", 5, &b), ERR_NOT_FOUND);
    struct stat st;
    CHECK("mode", stat(file, &st) == 0 && (st.st_mode & 0777) == 0640);
}

TEST(pid_file_is_locked_while_its_process_lives)
{
    CLEANUP(free_drop) char *file = path_join(test_dir(), "p.pid");
    int ready[2], stop[2];
    CHECK("pipes", pipe(ready) == 0 && pipe(stop) == 0);
    pid_t child = fork();
    if (child == 0) {
        int fd;
        err_free(pidfile_take(file, &fd));
        char c = 0;
        _exit(write(ready[1], "x", 1) == 1 && read(stop[0], &c, 1) == 1 ? 0 : 1);
    }
    char c;
    CHECK("child is ready", read(ready[0], &c, 1) == 1);
    int fd = -1;
    CLEANUP(err_drop) struct err *e = pidfile_take(file, &fd);
    CHECK("held", err_is(e, ERR_BUSY));
    CLEANUP(free_drop)
    char *want = str_dupf("%s is locked by process %d", file, (int) child);
    CHECK_STR("names the holder", err_text(e), want);
    CHECK_INT("asked without taking", pidfile_holder(file), child);
    CHECK("let go", write(stop[1], "x", 1) == 1);
    int status;
    CHECK("child ends", waitpid(child, &status, 0) == child && status == 0);
    CHECK_INT("nobody holds it", pidfile_holder(file), 0);
    struct stat st;
    CHECK("as an older version made it", chmod(file, 0644) == 0);
    CHECK_OK("free again", pidfile_take(file, &fd));
    CHECK("nobody else may read, and so lock it", stat(file, &st) == 0);
    CHECK_INT("mode", st.st_mode & 0777, 0600);
    fd_done(&fd);
}

TEST(no_pid_file_without_a_number)
{
    CLEANUP(free_drop) char *file = path_join(test_dir(), "full.pid");
    struct rlimit had, none = { 0 };
    int fd = -1;
    CHECK("limit", getrlimit(RLIMIT_FSIZE, &had) == 0);
    none.rlim_max = had.rlim_max;
    signal(SIGXFSZ, SIG_IGN); /* A full disk's stand-in. */
    CHECK("none may grow", setrlimit(RLIMIT_FSIZE, &none) == 0);
    CLEANUP(err_drop) struct err *e = pidfile_take(file, &fd);
    CHECK("as before", setrlimit(RLIMIT_FSIZE, &had) == 0);
    CHECK_INT("why", err_errno(e), EFBIG);
    CHECK("not there", access(file, F_OK) < 0 && errno == ENOENT);
}

TEST(path_parts)
{
    static const struct {
        const char *path, *dir, *base;
    } cases[] = {
        { "/a/b", "/a", "b" },
        { "/a", "/", "a" },
        { "a", ".", "a" },
        { "a/b/c", "a/b", "c" },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(free_drop) char *dir = path_dir(cases[i].path);
        CHECK_STR(cases[i].path, dir, cases[i].dir);
        CHECK_STR(cases[i].path, path_base(cases[i].path), cases[i].base);
    }
}
