/* base/uuid.c: random bytes come 4 KiB at a time, because a transaction may need thousands. */
#include "base/uuid.h"

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t pool[4096];
static size_t n_left; /* Unused bytes at the end of 'pool'. */

static void
forget_pool(void) /* A forked child must not hand out its parent's numbers. */
{
    n_left = 0;
}

static void
fill_pool(void)
{
    static bool registered;
    if (!registered) {
        pthread_atfork(NULL, NULL, forget_pool);
        registered = true;
    }
    for (size_t n = 0; n < sizeof pool;) {
        ssize_t got = getrandom(pool + n, sizeof pool - n, 0);
        ASSERT(got > 0 || errno == EINTR);
        n += got > 0 ? (size_t) got : 0;
    }
    n_left = sizeof pool;
}

void
uuid_random(struct uuid *ret)
{
    pthread_mutex_lock(&lock);
    if (n_left < sizeof *ret) {
        fill_pool();
    }
    n_left -= sizeof *ret;
    memcpy(ret, pool + n_left, sizeof *ret);
    pthread_mutex_unlock(&lock);

    ret->b[6] = (uint8_t) ((ret->b[6] & 0x0f) | 0x40); /* Version 4. */
    ret->b[8] = (uint8_t) ((ret->b[8] & 0x3f) | 0x80); /* Variant of RFC 4122. */
}

/* Where the two digits of each byte are in a UUID's text. */
static const uint8_t places[16] = { 0,  2,  4,  6,  9,  11, 14, 16,
                                    19, 21, 24, 26, 28, 30, 32, 34 };

/* A digit's value plus 1; 0: it is none. */
static const uint8_t digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
    ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
    ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
    ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool
uuid_parse(const char *s, struct uuid *ret)
{
    struct uuid u;
    bool ok = true;

    if (strnlen(s, UUID_CHARS + 1) != UUID_CHARS) {
        return false;
    }
    for (size_t i = 0; i < sizeof u.b; i++) {
        uint8_t high = digits[(uint8_t) s[places[i]]];
        uint8_t low = digits[(uint8_t) s[places[i] + 1]];
        ok &= high && low;
        u.b[i] = (uint8_t) ((high - 1U) << 4 | (low - 1U));
    }
    ok &= s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-';
    if (ok) {
        *ret = u;
    }
    return ok;
}

void
uuid_format(const struct uuid *u, char out[UUID_CHARS + 1])
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < sizeof places; i++) {
        out[places[i]] = hex[u->b[i] >> 4];
        out[places[i] + 1] = hex[u->b[i] & 15];
    }
    out[8] = out[13] = out[18] = out[23] = '-';
    out[UUID_CHARS] = '\0';
}

const char *
uuid_text_(const struct uuid *u, char *out)
{
    uuid_format(u, out);
    return out;
}

bool
uuid_is_zero(const struct uuid *u)
{
    static const struct uuid zero;
    return uuid_eq(u, &zero);
}
