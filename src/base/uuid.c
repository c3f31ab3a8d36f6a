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

/* More than 15 if it is none. */
static inline unsigned int
hex_digit(char c)
{
    unsigned int digit = (unsigned char) (c - '0');
    if (digit <= 9) {
        return digit;
    }
    digit = (unsigned char) ((c | 0x20) - 'a');
    return digit <= 5 ? digit + 10 : 255;
}

bool
uuid_parse(const char *s, struct uuid *ret)
{
    struct uuid u;
    for (size_t i = 0; i < sizeof u.b; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *s++ != '-') {
            return false;
        }
        unsigned int high = hex_digit(*s); /* A NUL is none: nothing behind it is read. */
        unsigned int low = high <= 15 ? hex_digit(s[1]) : high;
        if (low > 15) {
            return false;
        }
        u.b[i] = (uint8_t) (high << 4 | low);
        s += 2;
    }
    if (*s != '\0') {
        return false;
    }
    *ret = u;
    return true;
}

void
uuid_format(const struct uuid *u, char out[UUID_CHARS + 1])
{
    static const char hex[] = "0123456789abcdef";
    /* Where the two digits of each byte go: servers print little else as often. */
    static const uint8_t places[16] = { 0,  2,  4,  6,  9,  11, 14, 16,
                                        19, 21, 24, 26, 28, 30, 32, 34 };

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
