/* wire/tls_context_i.h: what tls.c and tls_stream.c share. */
#ifndef WIRE_TLS_CONTEXT_I_H
#define WIRE_TLS_CONTEXT_I_H 1

#include <openssl/ssl.h>

#include "wire/tls_i.h"

struct tls {
    SSL_CTX *context; /* NULL before the first tls_load(). */
    char *private_key, *certificate, *ca_cert, *peer_ca_cert;
    char *protocols, *ciphers, *ciphersuites;
    bool bootstrap;
    bool bootstrap_now; /* The CA's certificate is still to be learnt. */
    uint64_t stamp;     /* Of the files when they were read. */
};

/* OpenSSL's own reason. */
struct err *tls_error(enum err_kind, const char *what) MUST_CHECK;
/* Keeps the certificate as the CA's and believes it from now on. */
struct err *tls_keep_ca(struct tls *, X509 *ca) MUST_CHECK;

#endif /* wire/tls_context_i.h */
