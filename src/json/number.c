/* json/number.c: numbers, from text and to text.
 *
 * A number is an integer if its exact decimal value is one and fits int64; so the decision is
 * made on the digits, never on a double.  Doubles that overflow, or that underflow to something
 * that is not zero, are refused as ovsdb-server refuses them: both would come back changed.
 *
 * The common cases are exact without strtod(): at most 15 digits and a power of ten up to 22
 * need one multiplication or division of exact doubles (Clinger, "How to read floating point
 * numbers accurately", 1990).  The rest goes through strtod() in the C locale, because a
 * program may have set another one for its messages. */
#include "json/json_i.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>

#define EXACT_DIGITS 15
#define EXACT_POWER 22
#define MAX_I64_DIGITS 19

struct number {
    bool negative;
    uint64_t significand; /* The digits, leading and trailing zeros dropped... */
    int n_digits;         /* ... that many, but 'significand' holds the first 19 only. */
    int64_t power10;      /* Value = all digits * 10^power10. */
};

static inline bool
is_digit(const char *s, const char *end)
{
    return s < end && (unsigned char) (*s - '0') < 10;
}

/* Zeros count only once a digit that is not zero follows them. */
static inline void
number_digit(struct number *n, int *zeros, char c)
{
    if (c == '0') {
        *zeros += n->n_digits > 0;
        return;
    }
    for (; *zeros > 0; --*zeros) {
        if (n->n_digits++ < MAX_I64_DIGITS) {
            n->significand *= 10;
        }
    }
    if (n->n_digits++ < MAX_I64_DIGITS) {
        n->significand = n->significand * 10 + (uint64_t) (c - '0');
    }
}

static const char *
scan_exponent(const char *s, const char *end, int64_t *power10, const char **ret_why)
{
    bool negative = s < end && *s == '-';
    if (s < end && (*s == '-' || *s == '+')) {
        s++;
    }
    if (!is_digit(s, end)) {
        *ret_why = "exponent must contain at least one digit";
        return NULL;
    }
    int64_t exponent = 0;
    for (; is_digit(s, end); s++) {
        if (exponent >= INT_MAX / 10) {
            *ret_why = "exponent outside valid range";
            return NULL;
        }
        exponent = exponent * 10 + (*s - '0');
    }
    *power10 += negative ? -exponent : exponent;
    return s;
}

static const char *
scan(const char *s, const char *end, struct number *n, const char **ret_why)
{
    if (s < end && *s == '-') {
        n->negative = true;
        s++;
    }
    if (!is_digit(s, end)) {
        *ret_why = "a number must start with a digit";
        return NULL;
    }
    if (*s == '0' && is_digit(s + 1, end)) {
        *ret_why = "leading zeros not allowed";
        return NULL;
    }

    int zeros = 0; /* Not yet taken into the significand. */
    for (; is_digit(s, end); s++) {
        number_digit(n, &zeros, *s);
    }
    if (s < end && *s == '.') {
        if (!is_digit(++s, end)) {
            *ret_why = "decimal point must be followed by digit";
            return NULL;
        }
        for (; is_digit(s, end); s++) {
            number_digit(n, &zeros, *s);
            n->power10--;
        }
    }
    n->power10 += zeros;
    if (s < end && (*s == 'e' || *s == 'E')) {
        s = scan_exponent(s + 1, end, &n->power10, ret_why);
    }
    return s;
}

static bool
to_integer(const struct number *n, int64_t *ret)
{
    if (n->n_digits == 0) {
        *ret = 0;
        return true;
    }
    if (n->power10 < 0 || n->n_digits + n->power10 > MAX_I64_DIGITS) {
        return false;
    }
    uint64_t value = n->significand; /* 19 digits fit into uint64_t. */
    for (int64_t i = 0; i < n->power10; i++) {
        value *= 10;
    }
    if (value > (uint64_t) INT64_MAX + n->negative) {
        return false;
    }
    *ret = (int64_t) (n->negative ? -value : value);
    return true;
}

static double
strtod_c(const char *s, size_t n_bytes)
{
    static locale_t c_locale; /* Lives as long as the program. */
    locale_t locale = __atomic_load_n(&c_locale, __ATOMIC_ACQUIRE);
    if (!locale) {
        locale_t none = (locale_t) 0;
        locale = newlocale(LC_ALL_MASK, "C", (locale_t) 0);
        ASSERT(locale);
        if (!__atomic_compare_exchange_n(&c_locale, &none, locale, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
            freelocale(locale);
            locale = none;
        }
    }

    char small[64];
    char *copy = n_bytes < sizeof small ? small : xmalloc(n_bytes + 1);
    memcpy(copy, s, n_bytes);
    copy[n_bytes] = '\0';
    errno = 0;
    double value = strtod_l(copy, NULL, locale);
    int errnum = errno;
    if (copy != small) {
        free(copy);
    }
    errno = errnum;
    return value;
}

static bool
to_real(const struct number *n, const char *s, size_t n_bytes, double *ret)
{
    static const double powers[EXACT_POWER + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    if (n->n_digits <= EXACT_DIGITS && n->power10 <= EXACT_POWER &&
        n->power10 >= -EXACT_POWER) {
        double value = (double) n->significand;
        value = n->power10 < 0 ? value / powers[-n->power10] : value * powers[n->power10];
        *ret = n->negative ? -value : value;
        return true;
    }
    *ret = strtod_c(s, n_bytes);
    if (*ret == 0) {
        *ret = 0; /* Never -0. */
        return true;
    }
    return errno != ERANGE;
}

const char *
json_number_parse(const char *text, const char *end, struct json *ret, const char **ret_why)
{
    struct number n = { false, 0, 0, 0 };
    const char *s = scan(text, end, &n, ret_why);
    if (!s) {
        return NULL;
    }
    memset(ret, 0, sizeof *ret);
    if (to_integer(&n, &ret->integer)) {
        ret->type = JSON_INTEGER;
        return s;
    }
    ret->type = JSON_REAL;
    if (!to_real(&n, text, (size_t) (s - text), &ret->real)) {
        *ret_why = "number outside valid range";
        return NULL;
    }
    return s;
}

struct json
json_real(double real)
{
    ASSERT(isfinite(real));
    if (real >= -0x1p63 && real < 0x1p63 && real == (double) (int64_t) real) {
        return json_int((int64_t) real);
    }
    return (struct json){ .type = JSON_REAL, .real = real };
}

void
json_print_real(double real, int style, struct buf *out)
{
    char text[40];
    for (int digits = 15;; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, real);
        char *dot = text + strcspn(text, ".,");
        if (*dot == ',') { /* The program's locale may say so. */
            *dot = '.';
        }
        if (digits == 17 || (style & JSON_15G) || strtod_c(text, strlen(text)) == real) {
            break;
        }
    }
    buf_str(out, text);
}
