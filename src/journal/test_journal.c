/* journal/test_journal.c: a journal in good days: what is appended is read back, is locked,
 * is durable, is compacted. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "journal/journal.h"
#include "journal/record.h"
#include "journal/sync.h"
#include "loop/loop.h"
#include "test.h"

static const char schema[] = "{\"name\":\"T\",\"tables\":{}}";

static char *
fresh(const char *name)
{
    char *path = path_join(test_dir(), name);
    CHECK_OK(name, journal_create(path, schema));
    return path;
}

/* Reads all records; returns their texts, one a line. */
static char *
read_all(struct journal *j)
{
    struct buf out = BUF_INIT;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    for (;;) {
        struct json record;
        bool more;
        CHECK_OK("read", journal_read(j, &arena, &record, &more));
        if (!more) {
            return out.n ? buf_take(&out) : str_dup("");
        }
        json_print(&record, JSON_SORTED, &out);
        buf_char(&out, '\n');
    }
}

static struct journal *
open_read(const char *path, int flags, const char *want)
{
    struct journal *j;
    CHECK_OK("open", journal_open(path, flags, &j));
    CLEANUP(free_drop) char *got = read_all(j);
    CHECK_STR(path, got, want);
    return j;
}

static void
append(struct journal *j, const char *record, uint64_t want_seq)
{
    uint64_t seq;
    CHECK_OK(record, journal_append(j, record, strlen(record), &seq));
    CHECK_INT("sequence number", (int64_t) seq, (int64_t) want_seq);
}

TEST(what_is_appended_is_read_back)
{
    CLEANUP(free_drop) char *path = fresh("plain.db");
    struct journal *j = open_read(path, 0, "{\"name\":\"T\",\"tables\":{}}\n");
    CHECK_INT("records", (int64_t) journal_n_records(j), 1);
    append(j, "{\"a\":1}", 1);
    append(j, "{\"b\":\"\\n\"}", 2);
    CHECK_OK("sync", journal_sync(j));
    CHECK_INT("durable", (int64_t) journal_durable_seq(j), 2);
    journal_close(j);

    j = open_read(path, 0, "{\"name\":\"T\",\"tables\":{}}\n{\"a\":1}\n{\"b\":\"\\n\"}\n");
    CHECK_INT("nothing appended yet", (int64_t) journal_seq(j), 0);
    CHECK("no damage", !journal_damage(j)->why);
    append(j, "{}", 1);
    CHECK_INT("records", (int64_t) journal_n_records(j), 4);
    struct stat st;
    CHECK_INT("stat", stat(path, &st), 0);
    CHECK_INT("size", journal_size(j), st.st_size);
    journal_close(j);
}

TEST(a_record_is_framed_as_ovsdb_tool_does)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    record_header("{}", 2, &out);
    CHECK_STR("header", buf_cstr(&out),
              "OVSDB JSON 3 5f36b2ea290645ee34d943220a14b54ee5ea5be5\n");
}

TEST(one_opens_at_a_time)
{
    CLEANUP(free_drop) char *path = fresh("locked.db");
    struct journal *j = open_read(path, 0, "{\"name\":\"T\",\"tables\":{}}\n"), *second;
    CHECK_ERR("same process", journal_open(path, 0, &second), ERR_BUSY);

    pid_t pid = fork();
    if (pid == 0) {
        struct err *e = journal_open(path, 0, &second);
        _exit(err_is(e, ERR_BUSY) ? 0 : 1);
    }
    int status;
    CHECK_INT("waitpid", waitpid(pid, &status, 0), pid);
    CHECK_INT("another process", status, 0);

    CHECK_OK("reading needs no lock", journal_open(path, JOURNAL_READ_ONLY, &second));
    journal_close(second);
    journal_close(j);
    CHECK_OK("free again", journal_open(path, 0, &j));
    journal_close(j);
}

TEST(the_lock_follows_symbolic_links)
{
    CLEANUP(free_drop) char *path = fresh("target.db");
    CLEANUP(free_drop) char *link = path_join(test_dir(), "link.db");
    CHECK_INT("symlink", symlink("target.db", link), 0);
    struct journal *j, *second;
    CHECK_OK("by link", journal_open(link, 0, &j));
    CHECK_ERR("by name", journal_open(path, 0, &second), ERR_BUSY);
    journal_close(j);
}

TEST(what_is_no_database_is_refused)
{
    static const struct {
        const char *why, *content;
        const char *want; /* err_brief(), "%s" is the path. */
    } cases[] = {
        { "empty", "", "syntax: %s: cannot identify file type: it is empty" },
        { "text", "hello\n", "syntax: %s: cannot identify file type" },
        { "cluster", "OVSDB CLUSTER 3 5f36b2ea290645ee34d943220a14b54ee5ea5be5\n{}\n",
          "unsupported: %s: this is a clustered database file" },
        { "bad schema hash", "OVSDB JSON 3 6f36b2ea290645ee34d943220a14b54ee5ea5be5\n{}\n",
          "syntax: %s: 3 bytes starting at offset 54 have SHA-1 hash "
          "5f36b2ea290645ee34d943220a14b54ee5ea5be5 but should have hash "
          "6f36b2ea290645ee34d943220a14b54ee5ea5be5" },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(free_drop) char *path = path_join(test_dir(), "foreign.db");
        CHECK_OK("write",
                 fs_write_atomic(path, cases[i].content, strlen(cases[i].content), 0600));
        struct journal *j;
        CHECK_OK(cases[i].why, journal_open(path, 0, &j));
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        struct json record;
        bool more;
        struct err *e = journal_read(j, &arena, &record, &more);
        CLEANUP(buf_done) struct buf want = BUF_INIT;
        const char *percent = strstr(cases[i].want, "%s");
        buf_add(&want, cases[i].want, (size_t) (percent - cases[i].want));
        buf_str(&want, path);
        buf_str(&want, percent + 2);
        CHECK_BRIEF(cases[i].why, e, buf_cstr(&want));
        journal_close(j);
    }
    struct journal *j;
    CHECK_ERR("absent", journal_open("/nowhere/x.db", 0, &j), ERR_NOT_FOUND);
    CHECK_ERR("a directory", journal_open(test_dir(), JOURNAL_READ_ONLY, &j), ERR_SYNTAX);
}

TEST(create_never_overwrites)
{
    CLEANUP(free_drop) char *path = fresh("once.db");
    CHECK_ERR("again", journal_create(path, schema), ERR_EXISTS);
}

struct watch {
    struct loop *loop;
    struct journal *j;
    uint64_t until;
    int n_calls;
    int errnum;
};

static void
on_durable(void *aux)
{
    struct watch *w = aux;
    w->n_calls++;
    if (journal_durable_seq(w->j) >= w->until) {
        loop_stop(w->loop);
    }
}

static void
on_failed(void *aux, struct err *e)
{
    struct watch *w = aux;
    w->errnum = err_errno(e);
    err_free(e);
    loop_stop(w->loop);
}

TEST(the_loop_hears_of_durability_in_groups)
{
    CLEANUP(free_drop) char *path = fresh("group.db");
    CLEANUP(loop_drop) struct loop *loop = NULL;
    CHECK_OK("loop", loop_new(&loop));
    struct journal *j = open_read(path, 0, "{\"name\":\"T\",\"tables\":{}}\n");
    struct watch w = { .loop = loop, .j = j, .until = 1000 };
    journal_notify(j, loop, on_durable, on_failed, &w);
    for (uint64_t i = 1; i <= 1000; i++) {
        append(j, "{\"x\":1}", i);
    }
    /* The sync thread does not keep the loop alive; a timer stands for the server's
     * sockets. */
    struct loop_timer *alive = loop_timer_new(loop, (loop_fn *) loop_stop, loop);
    loop_timer_set(alive, 20000);
    loop_run(loop);
    CHECK_INT("all durable", (int64_t) journal_durable_seq(j), 1000);
    CHECK("in groups", w.n_calls > 0 && w.n_calls < 1000);
    CHECK_INT("no failure", w.errnum, 0);
    loop_timer_free(alive);
    journal_close(j);
    loop_turn(loop, 0); /* A word may still be under way. */
}

TEST(without_durability_nothing_waits)
{
    CLEANUP(free_drop) char *path = fresh("quick.db");
    struct journal *j =
        open_read(path, JOURNAL_NO_DURABLE, "{\"name\":\"T\",\"tables\":{}}\n");
    append(j, "{}", 1);
    CHECK_INT("durable at once", (int64_t) journal_durable_seq(j), 1);
    journal_close(j);
}

static void
count_call(void *aux)
{
    __atomic_add_fetch((int *) aux, 1, __ATOMIC_SEQ_CST);
}

TEST(a_failed_fdatasync_is_told)
{
    int fds[2], n_calls = 0, errnum;
    CHECK_INT("pipe", pipe(fds), 0); /* Cannot be synced: EINVAL. */
    struct sync *s = sync_new(fds[1], count_call, &n_calls);
    sync_want(s, 1);
    sync_wait_idle(s);
    CHECK_INT("nothing is durable", (int64_t) sync_done_seq(s, &errnum), 0);
    CHECK_INT("errno", errnum, EINVAL);
    sync_want(s, 2);
    sync_wait_idle(s); /* Does not hang. */
    sync_free(s);
    CHECK_INT("told once", n_calls, 1);
    close(fds[0]);
    close(fds[1]);
}

TEST(compaction_keeps_what_came_meanwhile)
{
    CLEANUP(free_drop) char *path = fresh("compact.db");
    CHECK_INT("mode", chmod(path, 0644), 0);
    struct journal *j = open_read(path, 0, "{\"name\":\"T\",\"tables\":{}}\n");
    for (uint64_t i = 1; i <= 100; i++) {
        append(j, "{\"old\":1}", i);
    }
    struct journal_rewrite *rw;
    CHECK_OK("begin", journal_rewrite_begin(j, schema, &rw));
    append(j, "{\"meanwhile\":1}", 101);
    static const char snapshot[] = "{\"snapshot\":1}";
    CHECK_OK("add", journal_rewrite_add(rw, snapshot, strlen(snapshot)));
    append(j, "{\"meanwhile\":2}", 102);
    CHECK_OK("commit", journal_rewrite_commit(j, rw));
    CHECK_INT("all is durable", (int64_t) journal_durable_seq(j), 102);
    CHECK_INT("records", (int64_t) journal_n_records(j), 4);
    append(j, "{\"after\":1}", 103);
    CHECK("base", journal_base_size(j) < journal_size(j));
    CHECK_OK("sync", journal_sync(j));
    struct journal *second;
    CHECK_ERR("still locked", journal_open(path, 0, &second), ERR_BUSY);
    journal_close(j);

    journal_close(open_read(path, 0,
                            "{\"name\":\"T\",\"tables\":{}}\n{\"snapshot\":1}\n"
                            "{\"meanwhile\":1}\n{\"meanwhile\":2}\n{\"after\":1}\n"));
    struct stat st;
    CHECK_INT("stat", stat(path, &st), 0);
    CHECK_INT("keeps its mode", st.st_mode & 0777, 0644);
}

TEST(an_aborted_compaction_leaves_no_trace)
{
    CLEANUP(free_drop) char *path = fresh("abort.db");
    struct journal *j = open_read(path, 0, "{\"name\":\"T\",\"tables\":{}}\n");
    struct journal_rewrite *rw;
    CHECK_OK("begin", journal_rewrite_begin(j, schema, &rw));
    journal_rewrite_abort(rw);
    CLEANUP(free_drop) char *tmp = str_dupf("%s.tmp", path);
    CHECK("no temporary file", !fs_exists(tmp));
    append(j, "{}", 1);
    journal_close(j);
}
