/* base/str.h: strings that are not built: compared, split, read as numbers. */
#ifndef BASE_STR_H
#define BASE_STR_H 1

#include "base/base.h"

static inline bool
str_eq(const char *a, const char *b) /* NULL equals only NULL. */
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static inline bool
str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix);
char *str_dup(const char *);                   /* NULL gives NULL. */
char *str_dup_n(const char *, size_t n_bytes); /* Adds the NUL. */
char *str_dupf(const char *fmt, ...) PRINTF(1, 2);

/* The whole of 's' must be one decimal number in range: no blanks, no '+', no suffix. */
bool str_to_i64(const char *s, int64_t *ret);
bool str_to_u64(const char *s, uint64_t *ret);

/* "4G", "512MiB", "10GB", "4096": libvirt's units (powers of 1024 for K, KiB; of 1000 for KB),
 * case ignored, bytes without a suffix.  ERR_SYNTAX, or ERR_CONSTRAINT above 2^63-1. */
struct err *str_to_bytes(const char *s, int64_t *ret_bytes) MUST_CHECK;
/* "1.00 GiB" */
char *str_from_bytes(int64_t bytes);

/* True if 's' is a name as the data model allows: 1-63 of letters, digits, '.', '_', '-',
 * first a letter or digit. */
bool str_is_name(const char *s);
/* Explains why not, with a hint; NULL if it is one.  'noun' is "vm", "pool" ... */
struct err *str_check_name(const char *noun, const char *s) MUST_CHECK;

bool str_is_utf8(const char *s, size_t n_bytes);

/* A list of strings that owns them; 'v' is NULL-terminated once not NULL. */
struct strvec {
    char **v;
    size_t n, cap;
};
#define STRVEC_INIT ((struct strvec){ NULL, 0, 0 })
void strvec_add(struct strvec *, const char *); /* Copies. */
void strvec_take(struct strvec *, char *);      /* Takes. */
void strvec_addf(struct strvec *, const char *fmt, ...) PRINTF(2, 3);
void strvec_split(struct strvec *, const char *s,
                  const char *separators); /* Skips empties. */
bool strvec_has(const struct strvec *, const char *);
void strvec_sort(struct strvec *);
char *strvec_join(const struct strvec *, const char *between);
void strvec_done(struct strvec *);

#endif /* base/str.h */
