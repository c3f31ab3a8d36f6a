/* tests/lib/test.c: runs the TEST()s of a program and reports in TAP. */
#include "test.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"

extern const struct test_entry *const __start_byre_tests[];
extern const struct test_entry *const __stop_byre_tests[];

static char *dir;

void
check_true(const char *where, const char *why, const char *text, bool ok)
{
    if (!ok) {
        fail_msg("%s: %s: not true: %s", where, why, text);
    }
}

void
check_str(const char *where, const char *why, const char *got, const char *want)
{
    if (!str_eq(got, want)) {
        fail_msg("%s: %s\n got: %s\nwant: %s", where, why, got ? got : "(null)",
                 want ? want : "(null)");
    }
}

void
check_int(const char *where, const char *why, int64_t got, int64_t want)
{
    if (got != want) {
        fail_msg("%s: %s: got %" PRId64 ", want %" PRId64, where, why, got, want);
    }
}

void
check_ok(const char *where, const char *why, struct err *e)
{
    if (e) {
        fail_msg("%s: %s: %s (%s)", where, why, err_text(e), err_where(e));
    }
}

void
check_err(const char *where, const char *why, struct err *e, enum err_kind kind)
{
    if (!err_is(e, kind)) {
        fail_msg("%s: %s: got %s, want an error of kind %s", where, why,
                 e ? err_text(e) : "success", err_kind_name(kind));
    }
    err_free(e);
}

void
check_brief(const char *where, const char *why, struct err *e, const char *want)
{
    check_str(where, why, e ? err_brief(e) : "success", want);
    err_free(e);
}

static int
remove_entry(const char *path, const struct stat *st UNUSED, int flag UNUSED,
             struct FTW *ftw UNUSED)
{
    return remove(path);
}

const char *
test_dir(void)
{
    if (!dir) {
        const char *tmp = getenv("TMPDIR");
        dir = str_dupf("%s/byre-test-XXXXXX", tmp ? tmp : "/tmp");
        ASSERT(mkdtemp(dir));
    }
    return dir;
}

bool
test_listens(const char *path)
{
    CLEANUP(free_drop) char *line = NULL;
    size_t n_bytes = 0;
    bool found = false;
    FILE *file = fopen("/proc/net/unix", "re");

    ASSERT(file);
    while (!found && getline(&line, &n_bytes, file) > 0) {
        unsigned flags;
        char name[256];
        found = sscanf(line, "%*s %*s %*s %x %*s %*s %*s %255s", &flags, name) == 2 &&
                flags & 0x10000 /* __SO_ACCEPTCON */ && str_eq(name, path);
    }
    fclose(file);
    return found;
}

int
main(void)
{
    size_t n = (size_t) (__stop_byre_tests - __start_byre_tests);
    struct CMUnitTest *tests = xcalloc(n, sizeof *tests);
    for (size_t i = 0; i < n; i++) {
        const struct test_entry *entry = __start_byre_tests[i];
        tests[i].name = entry->name;
        tests[i].test_func = entry->run;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int n_failed = _cmocka_run_group_tests("tests", tests, n, NULL, NULL);
    free(tests);
    if (dir) {
        nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        free(dir);
    }
    return n_failed != 0;
}
