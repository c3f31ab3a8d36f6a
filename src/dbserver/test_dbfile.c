/* dbserver/test_dbfile.c: opening files with a long snapshot, which is read in parts, and what is wrong
 * with one must be found all the same. */
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "dbserver/dbfile.h"
#include "test.h"

#define N_ROWS 20000 /* Longer than what is read in one part, and than what is not split. */

static const char schema[] =
    "{\"name\":\"D\",\"tables\":{\"T\":{\"columns\":{\"name\":{\"type\":\"string\"},\"n\":"
    "{\"type\":{\"key\":{\"type\":\"integer\",\"maxInteger\":1000000}}}},\"indexes\":[["
    "\"name\"]],\"isRoot\":true},\"U\":{\"columns\":{\"to\":{\"type\":{\"key\":{\"type\":"
    "\"uuid\",\"refTable\":\"T\"}}}},\"isRoot\":true}}}";

/* 'last' goes to the end of T's rows, 'tail' behind the tables. */
static char *
snapshot(const char *last, const char *tail)
{
    struct buf text = BUF_INIT;
    buf_str(&text, "{\"U\":{\"00000001-0000-4000-8000-000000000000\":{\"to\":[\"uuid\","
                   "\"00000000-0000-4000-8000-000000000007\"]}},\"T\":{");
    for (int i = 0; i < N_ROWS; i++) {
        buf_printf(&text,
                   "%s\"00000000-0000-4000-8000-%012d\":{\"n\":%d,\"name\":\"the name of "
                   "row %d\"}",
                   i ? "," : "", i, i, i);
    }
    buf_printf(&text, "%s},\"_date\":1%s}", last, tail);
    return buf_take(&text);
}

static char *
make(const char *record)
{
    char *path = path_join(test_dir(), "dbfile.db");
    struct journal *j;
    struct json ignored;
    struct arena arena = ARENA_INIT;
    bool more;
    uint64_t seq;
    unlink(path);
    CHECK_OK("create", journal_create(path, schema));
    CHECK_OK("open", journal_open(path, JOURNAL_NO_DURABLE, &j));
    do {
        CHECK_OK("read", journal_read(j, &arena, &ignored, &more));
    } while (more);
    CHECK_OK("append", journal_append(j, record, strlen(record), &seq));
    CHECK_OK("append", journal_append(j, "{\"_comment\":\"x\",\"_date\":2}", 26, &seq));
    journal_close(j);
    arena_done(&arena);
    return path;
}

/* "RECORDS" of the file that are good, then where and why it ends, if it is damaged. */
static char *
load(const char *path, size_t *ret_n_rows)
{
    struct journal *j;
    struct db *db;
    struct db_figures figures;
    struct buf out = BUF_INIT;
    CHECK_OK("open", journal_open(path, JOURNAL_READ_ONLY, &j));
    CHECK_OK("load", dbfile_replay(j, &db));
    const struct journal_damage *damage = journal_damage(j);
    buf_printf(&out, "%" PRIu64, journal_n_records(j));
    if (damage->why) {
        int64_t schema_end = (int64_t) (strlen("OVSDB JSON 123 \n") + 40 + sizeof schema);
        buf_printf(&out, " %s: %s",
                   damage->offset == schema_end ? "behind the schema" : "elsewhere",
                   err_why(damage->why));
    }
    db_figures(db, &figures);
    *ret_n_rows = figures.n_rows;
    db_free(db);
    journal_close(j);
    return buf_take(&out);
}

TEST(a_long_snapshot_is_read_and_checked)
{
    static const struct {
        const char *what, *last, *tail;
        const char *want; /* The beginning. */
        size_t n_rows;
    } cases[] = {
        /* clang-format off */
        { "good", "", "", "3", N_ROWS + 1 },
        { "a row twice: the last counts",
          ",\"00000000-0000-4000-8000-000000000005\":{\"name\":\"again\"}", "", "3", N_ROWS + 1 },
        { "a table twice: the last counts", "", ",\"U\":{}", "3", N_ROWS },
        { "a number out of range",
          ",\"00000000-0000-4000-8000-100000000000\":{\"n\":2000000}", "",
          "1 behind the schema: 2000000 is greater than maximum allowed value 1000000", 0 },
        { "an index", ",\"00000000-0000-4000-8000-100000000000\":{\"name\":\"the name of row 4\"}", "",
          "1 behind the schema: Transaction causes multiple rows", 0 },
        { "an unknown column", ",\"00000000-0000-4000-8000-100000000000\":{\"x\":1}", "",
          "1 behind the schema: No column x in table T.", 0 },
        { "no JSON", ",\"00000000-0000-4000-8000-100000000000\":{\"n\":1,}", "",
          "1 behind the schema: line 1, column ", 0 },
        { "an unknown table", "", ",\"V\":{}", "1 behind the schema: No table named V.", 0 },
        { "a reference to nowhere", "",
          ",\"U\":{\"00000001-0000-4000-8000-000000000000\":{\"to\":[\"uuid\","
          "\"00000009-0000-4000-8000-000000000000\"]}}", "1 behind the schema: Table U column to row", 0 },
        /* clang-format on */
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(free_drop) char *text = snapshot(cases[i].last, cases[i].tail);
        CLEANUP(free_drop) char *path = make(text);
        size_t n_rows;
        CLEANUP(free_drop) char *got = load(path, &n_rows);
        if (strlen(got) > strlen(cases[i].want)) { /* The rest is known. */
            got[strlen(cases[i].want)] = 0;
        }
        CHECK_STR(cases[i].what, got, cases[i].want);
        CHECK_INT(cases[i].what, (int64_t) n_rows, (int64_t) cases[i].n_rows);
    }
}

TEST(a_flipped_bit_in_a_long_snapshot_is_found)
{
    CLEANUP(free_drop) char *text = snapshot("", "");
    CLEANUP(free_drop) char *path = make(text);
    CLEANUP(fd_done) int fd = open(path, O_RDWR | O_CLOEXEC);
    char c;
    CHECK_INT("read", pread(fd, &c, 1, 1000000), 1);
    c ^= 1;
    CHECK_INT("write", pwrite(fd, &c, 1, 1000000), 1);
    size_t n_rows;
    CLEANUP(free_drop) char *got = load(path, &n_rows);
    CHECK("the place", strncmp(got, "1 behind the schema: ", 21) == 0);
    CHECK("the SHA-1 says it", strstr(got, "have SHA-1 hash"));
    CHECK_INT("nothing was loaded", (int64_t) n_rows, 0);
}
