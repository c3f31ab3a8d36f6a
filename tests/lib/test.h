/* tests/lib/test.h: unit tests, on cmocka.
 *
 *     TEST(what_it_proves)
 *     {
 *         CHECK_INT("two and two", 2 + 2, 4);
 *     }
 *
 * A TEST() needs no registration; the program's main() is here too and speaks TAP.  A table of
 * cases is one TEST() with a loop; the first argument of each CHECK is printed when it fails. */
#ifndef TEST_H
#define TEST_H 1

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

struct test_entry {
    const char *name;
    void (*run)(void **state);
};

#define TEST(name)                                                                         \
    static void test_##name(void **state UNUSED);                                          \
    static const struct test_entry test_entry_##name = { #name, test_##name };             \
    static const struct test_entry *const test_pointer_##name                              \
        __attribute__((section("byre_tests"), used)) = &test_entry_##name;                 \
    static void test_##name(void **state UNUSED)

#define CHECK(why, cond) check_true(WHERE, why, #cond, cond)
#define CHECK_STR(why, got, want) check_str(WHERE, why, got, want)
#define CHECK_INT(why, got, want) check_int(WHERE, why, got, want)
#define CHECK_OK(why, e) check_ok(WHERE, why, e)               /* Takes 'e'. */
#define CHECK_ERR(why, e, kind) check_err(WHERE, why, e, kind) /* Takes 'e'. */
#define CHECK_BRIEF(why, e, text)                                                          \
    check_brief(WHERE, why, e, text) /* Takes 'e'; err_brief(). */

void check_true(const char *where, const char *why, const char *text, bool ok);
void check_str(const char *where, const char *why, const char *got, const char *want);
void check_int(const char *where, const char *why, int64_t got, int64_t want);
void check_ok(const char *where, const char *why, struct err *);
void check_err(const char *where, const char *why, struct err *, enum err_kind);
void check_brief(const char *where, const char *why, struct err *, const char *want);

/* A fresh directory below $TMPDIR, removed with its content when the program ends. */
const char *test_dir(void);

/* Does somebody listen on this unix socket?  The file is there a moment earlier.  Nobody is connected to: proc_net(5). */
bool test_listens(const char *path);

#endif /* tests/lib/test.h */
