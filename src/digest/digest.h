/* digest/digest.h: SHA-256 as it goes, and as text.
 *
 * Source. FIPS 180-4; the text is what sha256sum(1) prints. */
#ifndef DIGEST_DIGEST_H
#define DIGEST_DIGEST_H 1

#include "base/base.h"

#define DIGEST_CHARS 64 /* Small hexadecimal digits. */

struct digest;
struct digest *digest_new(void);
void digest_add(struct digest *, const void *bytes, size_t n_bytes);
/* Once; nothing may be added after. */
void digest_text(struct digest *, char ret[DIGEST_CHARS + 1]);
void digest_free(struct digest *);  /* NULL is fine. */
void digest_drop(struct digest **); /* For CLEANUP(). */

/* All at once. */
void digest_of(const void *bytes, size_t n_bytes, char ret[DIGEST_CHARS + 1]);
/* Is it 64 small hexadecimal digits? */
bool digest_is_text(const char *);
/* 256 bits that nobody can guess, as 64 digits. */
struct err *digest_random_key(char ret[DIGEST_CHARS + 1]) MUST_CHECK;

#endif /* digest/digest.h */
