/* agent/test_diff_i.h: short names for what the tests of decisions about machines have in common. */
#ifndef AGENT_TEST_DIFF_I_H
#define AGENT_TEST_DIFF_I_H 1

#include "agent/diff.h"
#include "base/str.h"
#include "test.h"

/* A case says what differs from the usual. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define P "0123456789abcdef" /* The wanted hardware ... */
#define Q "fedcba9876543210" /* ... and another one. */
#define NOW 1000000

/* Short names for what libvirt may show. */
#define DOM(st, ...)                                                                       \
    &(const struct virt_dom)                                                               \
    {                                                                                      \
        .name = "a", .state = VIRT_##st, .persistent = true, .marked = true,               \
        .mark.print = P, ##__VA_ARGS__                                                     \
    }
#define WANT(st, ...)                                                                      \
    {                                                                                      \
        .name = "a", .state = VM_##st, .print = P, ##__VA_ARGS__                           \
    }
#define WHY(r) .reason = VIRT_WHY_##r

/* Texts are compared by how they begin: NULL is none. */
static inline bool
begins(const char *got, const char *want)
{
    return got && want ? str_starts(got, want) : got == want;
}

#endif /* agent/test_diff_i.h */
