/* base/test_when.c: a row is a test. */
#include "base/when.h"

#include <time.h>

#include "test.h"

TEST(points_in_time)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: refused. */
    } cases[] = {
        { "now", 1400000000 },
        { "24h", 1400000000 - 86400 },
        { "-30m", 1400000000 - 1800 },
        { "2w", 1400000000 - 14 * 86400 },
        { "@1399999999", 1399999999 },
        { "2014-05", 1398902400 },
        { "2014-05-13", 1399939200 },
        { "2014-05-13 16:53:20", 1400000000 },
        { "2014-05-13T16:53:20Z", 1400000000 },
        { "2014-05-13 16:53", 1399999980 },
        { "2014-13-01", -1 },
        { "2014-05-13 16", -1 },
        { "2014-05-13x", -1 },
        { "5", -1 },
        { "5y", -1 },
        { "-", -1 },
        { "", -1 },
        { "@", -1 },
        { "9999999999999d", -1 },
    };
    setenv("TZ", "UTC", 1);
    tzset();
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        int64_t got = -1;
        struct err *e = when_parse(cases[i].text, 1400000000, &got);
        CHECK_INT(cases[i].text, e ? -1 : got, cases[i].want);
        CHECK(cases[i].text, !e || err_next(e));
        err_free(e);
    }
}
