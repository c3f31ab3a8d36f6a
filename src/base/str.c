/* base/str.c: see str.h.  Number parsers are strict because their input is typed by people and
 * by peers. */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/buf.h"

#define NAME_MAX_CHARS 63

bool
str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), n_suffix = strlen(suffix);
    return n >= n_suffix && strcmp(s + n - n_suffix, suffix) == 0;
}

char *
str_dup(const char *s)
{
    return s ? xmemdup(s, strlen(s) + 1) : NULL;
}

char *
str_dup_n(const char *s, size_t n_bytes)
{
    char *copy = xmalloc(n_bytes + 1);
    memcpy(copy, s, n_bytes);
    copy[n_bytes] = '\0';
    return copy;
}

char *
str_dupf(const char *fmt, ...)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&b, fmt, args);
    va_end(args);
    return buf_take(&b);
}

bool
str_to_i64(const char *s, int64_t *ret)
{
    const char *digits = *s == '-' ? s + 1 : s;
    if (!isdigit((unsigned char) *digits)) {
        return false;
    }
    char *end;
    errno = 0;
    long long x = strtoll(s, &end, 10);
    if (errno || *end) {
        return false;
    }
    *ret = x;
    return true;
}

bool
str_to_u64(const char *s, uint64_t *ret)
{
    if (!isdigit((unsigned char) *s)) {
        return false;
    }
    char *end;
    errno = 0;
    unsigned long long x = strtoull(s, &end, 10);
    if (errno || *end) {
        return false;
    }
    *ret = x;
    return true;
}

/* The multiplier of libvirt's suffix, 0 if there is no such one. */
static uint64_t
unit_of(const char *suffix)
{
    if (!*suffix || strcasecmp(suffix, "b") == 0 || strcasecmp(suffix, "byte") == 0 ||
        strcasecmp(suffix, "bytes") == 0) {
        return 1;
    }
    const char *const letters = "kmgtpe";
    const char *letter = strchr(letters, tolower((unsigned char) *suffix));
    if (!letter) {
        return 0;
    }
    uint64_t base = 1024;
    if (strcasecmp(suffix + 1, "b") == 0) {
        base = 1000;
    } else if (suffix[1] && strcasecmp(suffix + 1, "ib") != 0) {
        return 0;
    }
    uint64_t unit = 1;
    for (const char *p = letters; p <= letter; p++) {
        unit *= base;
    }
    return unit;
}

struct err *
str_to_bytes(const char *s, int64_t *ret_bytes)
{
    const char *end = s;
    while (isdigit((unsigned char) *end)) {
        end++;
    }
    const char *suffix = end;
    while (*suffix == ' ') {
        suffix++;
    }
    uint64_t unit = unit_of(suffix);
    if (end == s || !unit) {
        return err_hint(err_new(ERR_SYNTAX, "'%s' is not a size", s),
                        "write a whole number and a unit, such as 512M, 20G or 1TiB");
    }

    uint64_t count, bytes;
    errno = 0;
    count = strtoull(s, NULL, 10);
    if (errno || __builtin_mul_overflow(count, unit, &bytes) || bytes > INT64_MAX) {
        return err_new(ERR_CONSTRAINT, "size '%s' is too large: at most %" PRId64 " bytes",
                       s, INT64_MAX);
    }
    *ret_bytes = (int64_t) bytes;
    return NULL;
}

char *
str_from_bytes(int64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double x = (double) bytes;
    size_t i = 0;
    while ((x >= 1024 || x <= -1024) && i + 1 < N_ELEMS(units)) {
        x /= 1024;
        i++;
    }
    return i ? str_dupf("%.2f %s", x, units[i]) : str_dupf("%" PRId64 " B", bytes);
}

static bool
is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '_' || c == '-';
}

struct err *
str_check_name(const char *noun, const char *s)
{
    static const char *const rule =
        "use 1 to 63 letters, digits, '.', '_' or '-', and begin with a letter or digit";

    if (!*s) {
        return err_hint(err_new(ERR_CONSTRAINT, "the name of a %s cannot be empty", noun),
                        "%s", rule);
    } else if (strlen(s) > NAME_MAX_CHARS) {
        return err_hint(err_new(ERR_CONSTRAINT, "%s name '%.20s...' has %zu characters",
                                noun, s, strlen(s)),
                        "%s", rule);
    } else if (strchr("._-", *s)) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "%s name '%s' begins with '%c'", noun, s, *s), "%s",
            rule);
    }
    for (const char *p = s; *p; p++) {
        if (!is_name_char(*p)) {
            bool plain = *p > ' ' && *p < 127;
            struct err *e =
                plain ? err_new(ERR_CONSTRAINT, "%s name '%s' contains '%c'", noun, s, *p)
                      : err_new(ERR_CONSTRAINT,
                                "%s name contains the byte 0x%02x at place %zu", noun,
                                (unsigned char) *p, (size_t) (p - s) + 1);
            return err_hint(e, "%s", rule);
        }
    }
    return NULL;
}

bool
str_is_name(const char *s)
{
    CLEANUP(err_drop) struct err *e = str_check_name("", s);
    return !e;
}

/* Unicode 15, table 3-7: well-formed UTF-8; no overlong forms, no surrogates. */
bool
str_is_utf8(const char *s, size_t n_bytes)
{
    const uint8_t *p = (const uint8_t *) s, *end = p + n_bytes;

    while (p < end) {
        uint64_t eight;
        if (end - p >= 8 &&
            (memcpy(&eight, p, 8), !(eight & UINT64_C(0x8080808080808080)))) {
            p += 8; /* Most text is ASCII. */
            continue;
        } else if (*p < 0x80) {
            p++;
            continue;
        }
        size_t n_more;
        uint8_t low = 0x80, high = 0xbf; /* Of the second byte. */
        if (*p >= 0xc2 && *p <= 0xdf) {
            n_more = 1;
        } else if (*p >= 0xe0 && *p <= 0xef) {
            n_more = 2;
            low = *p == 0xe0 ? 0xa0 : low;
            high = *p == 0xed ? 0x9f : high;
        } else if (*p >= 0xf0 && *p <= 0xf4) {
            n_more = 3;
            low = *p == 0xf0 ? 0x90 : low;
            high = *p == 0xf4 ? 0x8f : high;
        } else {
            return false;
        }
        if ((size_t) (end - p) <= n_more || p[1] < low || p[1] > high) {
            return false;
        }
        for (size_t i = 2; i <= n_more; i++) {
            if ((p[i] & 0xc0) != 0x80) {
                return false;
            }
        }
        p += n_more + 1;
    }
    return true;
}

void
strvec_take(struct strvec *v, char *s)
{
    if (v->n + 1 >= v->cap) {
        v->cap = v->cap ? v->cap * 2 : 8;
        v->v = xrealloc_array(v->v, v->cap, sizeof *v->v);
    }
    v->v[v->n++] = s;
    v->v[v->n] = NULL;
}

void
strvec_add(struct strvec *v, const char *s)
{
    strvec_take(v, str_dup(s));
}

void
strvec_addf(struct strvec *v, const char *fmt, ...)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&b, fmt, args);
    va_end(args);
    strvec_take(v, buf_take(&b));
}

void
strvec_split(struct strvec *v, const char *s, const char *separators)
{
    for (s += strspn(s, separators); *s; s += strspn(s, separators)) {
        size_t n = strcspn(s, separators);
        strvec_take(v, str_dup_n(s, n));
        s += n;
    }
}

bool
strvec_has(const struct strvec *v, const char *s)
{
    for (size_t i = 0; i < v->n; i++) {
        if (strcmp(v->v[i], s) == 0) {
            return true;
        }
    }
    return false;
}

static int
compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

void
strvec_sort(struct strvec *v)
{
    if (v->n > 1) {
        qsort(v->v, v->n, sizeof *v->v, compare_strings);
    }
}

char *
strvec_join(const struct strvec *v, const char *between)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    for (size_t i = 0; i < v->n; i++) {
        buf_str(&b, i ? between : "");
        buf_str(&b, v->v[i]);
    }
    return buf_take(&b);
}

void
strvec_done(struct strvec *v)
{
    for (size_t i = 0; i < v->n; i++) {
        free(v->v[i]);
    }
    free(v->v);
    *v = STRVEC_INIT;
}
