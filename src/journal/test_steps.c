/* journal/test_steps.c: compaction in steps, the names of states, and the archive. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "journal/journal.h"
#include "journal/record.h"
#include "test.h"

static const char schema[] = "{\"name\":\"T\",\"tables\":{}}";

/* Reads all; returns the number of records. */
static int
read_all(struct journal *j)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json record;
    bool more = true;
    int n = -1;
    for (; more; n++) {
        CHECK_OK("read", journal_read(j, &arena, &record, &more));
    }
    return n;
}

static struct journal *
open_all(const char *path, int flags, int want_records)
{
    struct journal *j;
    CHECK_OK("open", journal_open(path, flags, &j));
    CHECK_INT("records", read_all(j), want_records);
    return j;
}

static void
append(struct journal *j, int n)
{
    uint64_t seq;
    for (int i = 0; i < n; i++) {
        CHECK_OK("append", journal_append(j, "{\"a\":{}}", 8, &seq));
    }
}

TEST(equal_records_equal_names)
{
    CLEANUP(free_drop) char *a = path_join(test_dir(), "a.db");
    CLEANUP(free_drop) char *b = path_join(test_dir(), "b.db");
    CHECK_OK("a", journal_create(a, schema));
    CHECK_OK("b", journal_create(b, schema));
    struct journal *ja = open_all(a, 0, 1), *jb = open_all(b, 0, 1);
    CHECK("the empty state", uuid_eq(journal_id(ja), journal_id(jb)));
    struct uuid empty = *journal_id(ja);
    append(ja, 2);
    append(jb, 1);
    CHECK("one more", !uuid_eq(journal_id(ja), journal_id(jb)));
    append(jb, 1);
    CHECK("the same", uuid_eq(journal_id(ja), journal_id(jb)));
    CHECK("not the first", !uuid_eq(journal_id(ja), &empty));
    struct uuid last = *journal_id(ja);
    journal_close(ja);
    journal_close(jb);
    ja = open_all(a, 0, 3);
    CHECK("as before the restart", uuid_eq(journal_id(ja), &last));
    journal_close(ja);
}

/* A child writes the snapshot while records are appended. */
static void
compact_in_steps(struct journal *j, int n_meanwhile)
{
    struct journal_rewrite *rw;
    struct journal_snapshot snapshot = { .has_id = true, .id = *journal_id(j) };
    int status = -1;

    CHECK_OK("begin", journal_rewrite_begin(j, schema, &rw));
    CHECK_OK("archive", journal_archive(j, &snapshot.archive_bytes));
    pid_t pid = fork();
    if (pid == 0) {
        struct err *e = journal_rewrite_add(rw, "{\"snapshot\":{}}", 15);
        e = e ? e : journal_rewrite_seal(rw);
        _exit(e != NULL);
    }
    append(j, n_meanwhile);
    CHECK_INT("child", waitpid(pid, &status, 0), pid);
    CHECK_INT("status", status, 0);
    CHECK_OK("adopt", journal_rewrite_adopt(rw, 2));
    journal_rewrite_set_snapshot(rw, &snapshot);
    CHECK("lag", journal_rewrite_lag(j, rw) > 0);
    CHECK_OK("follow", journal_rewrite_follow(rw, journal_fd(j), journal_size(j)));
    CHECK_INT("no lag", journal_rewrite_lag(j, rw), 0);
    append(j, 1);
    CHECK_OK("switch", journal_rewrite_switch(j, rw));
}

TEST(compaction_in_steps)
{
    static const struct {
        const char *why;
        int flags;
    } cases[] = { { "durable.db", 0 }, { "not-durable.db", JOURNAL_NO_DURABLE } };

    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(free_drop) char *path = path_join(test_dir(), cases[i].why);
        CHECK_OK(path, journal_create(path, schema));
        struct journal *j = open_all(path, cases[i].flags, 1);
        append(j, 5);
        compact_in_steps(j, 3);
        append(j, 2);
        CHECK_OK("sync", journal_sync(j));
        CHECK("switched", !journal_is_switching(j));
        CHECK_INT(cases[i].why, (int64_t) journal_n_records(j), 2 + 3 + 1 + 2);
        compact_in_steps(j, 1);
        struct journal *archive;
        unsigned n_gaps;
        CHECK_OK("archive", journal_open_archive(j, &archive, &n_gaps));
        CHECK_INT("gaps", n_gaps, 0);
        CHECK_INT("two members", read_all(archive), 1 + 5 + 1 + 6);
        journal_close(archive);
        journal_close(j);
        journal_close(open_all(path, JOURNAL_READ_ONLY, 2 + 1 + 1));
    }
}

TEST(the_file_is_taken_away)
{
    CLEANUP(free_drop) char *path = path_join(test_dir(), "taken.db");
    CLEANUP(free_drop) char *other = path_join(test_dir(), "other.db");
    CHECK_OK(path, journal_create(path, schema));
    CHECK_OK(other, journal_create(other, schema));
    struct journal *j = open_all(path, 0, 1);
    append(j, 2);
    CHECK_OK("there", journal_check_name(j));
    CHECK_INT("replace", rename(other, path), 0);
    CHECK_ERR("replaced", journal_check_name(j), ERR_NOT_FOUND);
    CHECK_INT("remove", unlink(path), 0);
    CHECK_ERR("removed", journal_check_name(j), ERR_NOT_FOUND);
    compact_in_steps(j, 3);
    CHECK_OK("sync", journal_sync(j));
    CHECK_OK("there again", journal_check_name(j));
    journal_close(j);
    journal_close(open_all(path, JOURNAL_READ_ONLY, 2 + 3 + 1));
}
