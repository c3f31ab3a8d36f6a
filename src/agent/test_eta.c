/* agent/test_eta.c: estimates, in scripted time. */
#include "test.h"

#include "agent/eta.h"

/* One history a row: seconds and per cent, and what is said at the end. */
static const struct {
    const char *why;
    struct {
        int s, percent;
    } at[8];
    int64_t left_s; /* -1: nothing. */
} cases[] = {
    { "nothing at first", { { 0, 0 } }, -1 },
    { "not within the first second", { { 0, 0 }, { 0, 10 } }, -1 },
    { "as fast as so far", { { 0, 0 }, { 2, 10 } }, 18 },
    { "half way", { { 0, 0 }, { 5, 25 }, { 10, 50 } }, 10 },
    { "standing still", { { 0, 10 }, { 5, 10 } }, -1 },
    { "a slow start is forgotten", { { 0, 0 }, { 100, 1 }, { 106, 13 }, { 112, 25 } }, 37 },
    { "it begins once more", { { 0, 0 }, { 5, 50 }, { 6, 0 }, { 8, 10 } }, 18 },
    { "done", { { 0, 0 }, { 5, 100 } }, 0 },
    { "not before the sun goes out", { { 0, 0 }, { 1000000, 1 } }, -1 },
};

TEST(estimates)
{
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct eta eta = { 0 };
        int64_t left_ms = -1;
        for (size_t k = 0; k < N_ELEMS(cases[i].at) && (k == 0 || cases[i].at[k].s); k++) {
            left_ms = eta_left_ms(&eta, INT64_C(1000) * cases[i].at[k].s,
                                  cases[i].at[k].percent / 100.0);
        }
        CHECK_INT(cases[i].why, left_ms < 0 ? -1 : left_ms / 1000, cases[i].left_s);
    }
}
