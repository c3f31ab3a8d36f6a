/* digest/digest.c: over libcrypto.  It fails only without memory, or if SHA-256 was taken out of it. */
#include "digest/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/random.h>

#define DIGEST_BYTES (DIGEST_CHARS / 2)

struct digest {
    EVP_MD_CTX *context;
};

static void
put_hex(const unsigned char bytes[DIGEST_BYTES], char ret[DIGEST_CHARS + 1])
{
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
    }
}

struct digest *
digest_new(void)
{
    struct digest *d = NEW(struct digest);
    d->context = EVP_MD_CTX_new();
    ASSERT(d->context && EVP_DigestInit_ex(d->context, EVP_sha256(), NULL) == 1);
    return d;
}

void
digest_add(struct digest *d, const void *bytes, size_t n_bytes)
{
    ASSERT(EVP_DigestUpdate(d->context, bytes, n_bytes) == 1);
}

void
digest_text(struct digest *d, char ret[DIGEST_CHARS + 1])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    ASSERT(EVP_DigestFinal_ex(d->context, bytes, &n) == 1 && n == DIGEST_BYTES);
    put_hex(bytes, ret);
}

void
digest_free(struct digest *d)
{
    if (d) {
        EVP_MD_CTX_free(d->context);
        free(d);
    }
}

void
digest_drop(struct digest **d)
{
    digest_free(*d);
}

void
digest_of(const void *bytes, size_t n_bytes, char ret[DIGEST_CHARS + 1])
{
    CLEANUP(digest_drop) struct digest *d = digest_new();
    digest_add(d, bytes, n_bytes);
    digest_text(d, ret);
}

bool
digest_is_text(const char *text)
{
    return strlen(text) == DIGEST_CHARS && strspn(text, "0123456789abcdef") == DIGEST_CHARS;
}

struct err *
digest_random_key(char ret[DIGEST_CHARS + 1])
{
    unsigned char bytes[DIGEST_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t) sizeof bytes) {
        return err_io(errno, "getrandom");
    }
    put_hex(bytes, ret);
    return NULL;
}
