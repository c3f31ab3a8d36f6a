/* wire/tls.h: TLS for streams: keys and certificates, and whom to believe.
 *
 * Both sides show a certificate and check that the other's was issued by the CA; names in it are
 * not compared with host names.  The name of the other side (its certificate's CN) is what RBAC
 * goes by: stream_peer_id().
 *
 * Files.   Read by tls_load(), and again by tls_refresh() when one of them has changed; if that
 *          fails what was loaded stays in use.
 * Threads. The loop's.
 * Errors.  ERR_NOT_FOUND, ERR_DENIED, ERR_SYNTAX: a file that cannot be read or used.
 * Source.  OpenSSL 3; options and meaning as ovsdb-server(1) has them. */
#ifndef WIRE_TLS_H
#define WIRE_TLS_H 1

#include "base/base.h"

struct tls_config {
    const char *private_key, *certificate; /* PEM files. */
    const char *ca_cert;                   /* PEM file; "none": anybody is believed. */
    const char *peer_ca_cert; /* PEM file that is sent along with ours, or NULL. */
    const char *protocols;    /* "TLSv1.2,TLSv1.3"; NULL: those two. */
    const char *ciphers;      /* OpenSSL's list, up to TLS 1.2; NULL: TLS_CIPHERS. */
    const char *ciphersuites; /* Of TLS 1.3; NULL: OpenSSL's. */
    /* If there is no file 'ca_cert', the first server that we connect to is believed and its CA's
     * certificate is kept there. */
    bool bootstrap;
};
#define TLS_CIPHERS "HIGH:!aNULL:!MD5"

struct tls; /* Must outlive all streams and listeners that use it. */

struct tls *tls_new(void);    /* Without keys: connections are refused. */
void tls_free(struct tls *);  /* NULL is fine. */
void tls_drop(struct tls **); /* For CLEANUP(). */
/* Copies the strings.  On failure what was loaded before stays. */
struct err *tls_load(struct tls *, const struct tls_config *) MUST_CHECK;
struct err *tls_refresh(struct tls *) MUST_CHECK; /* If a file changed. */
bool tls_is_ready(const struct tls *);            /* NULL is not. */

#endif /* wire/tls.h */
