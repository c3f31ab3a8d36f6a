/* base/uuid.h: RFC 4122 UUIDs, compared as big-endian numbers (= as their text). */
#ifndef BASE_UUID_H
#define BASE_UUID_H 1

#include "base/hash.h"

#define UUID_CHARS 36

struct uuid {
    uint8_t b[16]; /* In text order. */
};

void uuid_random(struct uuid *ret); /* Version 4, from getrandom(2), batched. */
bool uuid_parse(const char *s, struct uuid *ret); /* Exactly 36 characters, either case. */
void uuid_format(const struct uuid *, char out[UUID_CHARS + 1]); /* Lower case. */
/* For printf: "%s", UUID_TEXT(&u).  Lives to the end of the enclosing block. */
#define UUID_TEXT(uuid) (uuid_text_(uuid, (char[UUID_CHARS + 1]){ 0 }))
const char *uuid_text_(const struct uuid *, char *);

static inline int
uuid_cmp(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a, b, sizeof *a);
}

static inline bool
uuid_eq(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

bool uuid_is_zero(const struct uuid *);

static inline uint32_t
uuid_hash(const struct uuid *u) /* Clients may choose UUIDs: see hash.h. */
{
    uint64_t w[2];
    memcpy(w, u->b, sizeof w);
    uint64_t h = hash_fold(w[0] ^ hash_keys[0], w[1] ^ hash_keys[1]);
    h = hash_fold(h, hash_keys[2]);
    return (uint32_t) (h ^ h >> 32);
}

#endif /* base/uuid.h */
