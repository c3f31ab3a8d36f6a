/* store/wipe.c: the passes of each way to wipe.
 *
 * Sources: scrub(1) for what each name means; P. Gutmann, "Secure Deletion of Data from
 * Magnetic and Solid-State Memory" (1996), table 1.  On today's media one pass does what can
 * be done; the others are for rules that ask for them. */
#include "store/wipe.h"

#define BYTE(b)                                                                            \
    {                                                                                      \
        WIPE_PASS_BYTES,                                                                   \
        {                                                                                  \
            b, b, b                                                                        \
        }                                                                                  \
    }
#define THREE(a, b, c)                                                                     \
    {                                                                                      \
        WIPE_PASS_BYTES,                                                                   \
        {                                                                                  \
            a, b, c                                                                        \
        }                                                                                  \
    }
#define RANDOM                                                                             \
    {                                                                                      \
        WIPE_PASS_RANDOM,                                                                  \
        {                                                                                  \
            0                                                                              \
        }                                                                                  \
    }
#define VERIFY                                                                             \
    {                                                                                      \
        WIPE_PASS_VERIFY,                                                                  \
        {                                                                                  \
            0                                                                              \
        }                                                                                  \
    }
#define RANDOM_3 RANDOM, RANDOM, RANDOM
#define RANDOM_4 RANDOM, RANDOM_3
#define RANDOM_7 RANDOM_3, RANDOM_4

/* clang-format off */
static const struct wipe_pass zero[] = { BYTE(0x00) };
static const struct wipe_pass nnsa[] = { RANDOM, RANDOM, BYTE(0x00), VERIFY };
static const struct wipe_pass dod[] = { RANDOM, BYTE(0x00), BYTE(0xff), VERIFY };
static const struct wipe_pass bsi[] = {
    BYTE(0xff), BYTE(0xfe), BYTE(0xfd), BYTE(0xfb), BYTE(0xf7), BYTE(0xef), BYTE(0xdf),
    BYTE(0xbf), BYTE(0x7f),
};
static const struct wipe_pass gutmann[] = {
    RANDOM_4,
    BYTE(0x55), BYTE(0xaa),
    THREE(0x92, 0x49, 0x24), THREE(0x49, 0x24, 0x92), THREE(0x24, 0x92, 0x49),
    BYTE(0x00), BYTE(0x11), BYTE(0x22), BYTE(0x33), BYTE(0x44), BYTE(0x55), BYTE(0x66),
    BYTE(0x77), BYTE(0x88), BYTE(0x99), BYTE(0xaa), BYTE(0xbb), BYTE(0xcc), BYTE(0xdd),
    BYTE(0xee), BYTE(0xff),
    THREE(0x92, 0x49, 0x24), THREE(0x49, 0x24, 0x92), THREE(0x24, 0x92, 0x49),
    THREE(0x6d, 0xb6, 0xdb), THREE(0xb6, 0xdb, 0x6d), THREE(0xdb, 0x6d, 0xb6),
    RANDOM_4,
};
static const struct wipe_pass schneier[] = { BYTE(0x00), BYTE(0xff), RANDOM, RANDOM_4 };
static const struct wipe_pass pfitzner7[] = { RANDOM_7 };
static const struct wipe_pass pfitzner33[] = { RANDOM_7, RANDOM_7, RANDOM_7, RANDOM_7,
                                               RANDOM, RANDOM_4 };
static const struct wipe_pass random_once[] = { RANDOM };

static const struct {
    const struct wipe_pass *v;
    size_t n;
} algorithms[N_WIPE_ALGORITHMS] = {
    [WIPE_ZERO] = { zero, N_ELEMS(zero) },
    [WIPE_NNSA] = { nnsa, N_ELEMS(nnsa) },
    [WIPE_DOD] = { dod, N_ELEMS(dod) },
    [WIPE_BSI] = { bsi, N_ELEMS(bsi) },
    [WIPE_GUTMANN] = { gutmann, N_ELEMS(gutmann) },
    [WIPE_SCHNEIER] = { schneier, N_ELEMS(schneier) },
    [WIPE_PFITZNER7] = { pfitzner7, N_ELEMS(pfitzner7) },
    [WIPE_PFITZNER33] = { pfitzner33, N_ELEMS(pfitzner33) },
    [WIPE_RANDOM] = { random_once, N_ELEMS(random_once) },
    [WIPE_TRIM] = { NULL, 0 },
};
/* clang-format on */

const struct wipe_pass *
wipe_passes(enum wipe_algorithm algorithm, size_t *ret_n)
{
    ASSERT(algorithm < N_WIPE_ALGORITHMS);
    *ret_n = algorithms[algorithm].n;
    return algorithms[algorithm].v;
}

void
wipe_fill(const struct wipe_pass *pass, int64_t at, void *block, size_t n)
{
    ASSERT(pass->kind == WIPE_PASS_BYTES && at >= 0);
    uint8_t *bytes = block;
    for (size_t i = 0; i < n && i < 3; i++) {
        bytes[i] = pass->bytes[(at + (int64_t) i) % 3];
    }
    for (size_t done = 3; done < n;) { /* Doubling keeps the phase: 'done' is 3 * 2^k. */
        size_t more = done < n - done ? done : n - done;
        memcpy(bytes + done, bytes, more);
        done += more;
    }
}
