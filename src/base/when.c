/* base/when.c: points in time as people type them. */
#include "base/when.h"

#include <stdio.h>
#include <time.h>

#include "base/str.h"

/* "24h".  False: another form. */
static bool
parse_ago(const char *text, int64_t now_s, int64_t *ret_s)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {
        { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 }
    };
    const char *digits = text + (*text == '-');
    size_t n = strspn(digits, "0123456789");
    int64_t count;

    if (n == 0 || n > 9 || digits[n] == '\0' || digits[n + 1] != '\0') {
        return false;
    }
    CLEANUP(free_drop) char *number = str_dup_n(digits, n);
    for (size_t i = 0; i < N_ELEMS(units); i++) {
        if (units[i].letter == digits[n] && str_to_i64(number, &count)) {
            *ret_s = now_s - count * units[i].seconds;
            return true;
        }
    }
    return false;
}

/* "2026-11-22 10:00:00" and its beginnings. */
static bool
parse_date(const char *text, int64_t *ret_s)
{
    struct tm tm = { .tm_mday = 1, .tm_isdst = -1 };
    char between = ' ', zone[2] = "";
    int end[3] = { 0 };

    int n = sscanf(text, "%4d-%2d%n-%2d%n%c%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &end[0],
                   &tm.tm_mday, &end[1], &between, &tm.tm_hour, &tm.tm_min, &end[2]);
    const char *rest = text + (n == 6 ? end[2] : n == 3 ? end[1] : n == 2 ? end[0] : 0);
    if (n == 6 && sscanf(rest, ":%2d", &tm.tm_sec) == 1) {
        rest += 3;
    }
    if (n == 6 && *rest == 'Z') {
        zone[0] = *rest++;
    }
    bool whole =
        (n == 2 || n == 3 || n == 6) && *rest == '\0' && (between == ' ' || between == 'T');
    bool sane = tm.tm_year >= 1970 && tm.tm_mon >= 1 && tm.tm_mon <= 12 &&
                tm.tm_mday >= 1 && tm.tm_mday <= 31 && tm.tm_hour >= 0 &&
                tm.tm_hour <= 24 && tm.tm_min >= 0 && tm.tm_min < 60 && tm.tm_sec >= 0 &&
                tm.tm_sec <= 60;
    if (!whole || !sane) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_s = zone[0] ? timegm(&tm) : mktime(&tm);
    return true;
}

struct err *
when_parse(const char *text, int64_t now_s, int64_t *ret_s)
{
    if (str_eq(text, "now")) {
        *ret_s = now_s;
        return NULL;
    } else if ((*text == '@' && str_to_i64(text + 1, ret_s)) ||
               parse_ago(text, now_s, ret_s) || parse_date(text, ret_s)) {
        return NULL;
    }
    return err_hint(err_new(ERR_SYNTAX, "\"%s\" is no point in time", text),
                    "24h or 7d (ago), 2026-11-22, \"2026-11-22 10:00\", @SECONDS, now");
}
