/* wire/tls_stream.c: one TLS connection over a socket that never blocks.
 *
 * OpenSSL reads and writes the socket through a BIO of ours, because its own would raise SIGPIPE.
 * It reads one record at a time, which fits the caller's buffer: so nothing decrypted is left in
 * here while the socket has nothing to read, and waiting for the socket is enough. */
#include "wire/tls_context_i.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "base/str.h"
#include "loop/loop.h"

#define RECORD_BYTES (16 * 1024) /* The largest payload of one TLS record. */

struct tls_stream {
    struct tls *tls;
    SSL *ssl;
    bool client;
    int wants; /* LOOP_READ or LOOP_WRITE: what the handshake waits for. */
    char *why; /* Of a failure; NULL: errno tells. */
    char *id;  /* The other side's CN; NULL: none. */
};

/* The BIO. */

static int
socket_of(BIO *bio)
{
    return (int) (intptr_t) BIO_get_data(bio);
}

static int
bio_read(BIO *bio, char *bytes, int n_bytes)
{
    ssize_t n = recv(socket_of(bio), bytes, (size_t) n_bytes, 0);
    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_read(bio);
    }
    return (int) n;
}

static int
bio_write(BIO *bio, const char *bytes, int n_bytes)
{
    ssize_t n = send(socket_of(bio), bytes, (size_t) n_bytes, MSG_NOSIGNAL);
    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_write(bio);
    }
    return (int) n;
}

static long
bio_ctrl(BIO *bio UNUSED, int command, long number UNUSED, void *pointer UNUSED)
{
    return command == BIO_CTRL_FLUSH;
}

static BIO *
bio_new(int fd)
{
    static BIO_METHOD *method; /* For the life of the process. */
    if (!method) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "byre socket");
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_ctrl(method, bio_ctrl);
    }
    BIO *bio = BIO_new(method);
    ASSERT(bio);
    BIO_set_data(bio, (void *) (intptr_t) fd);
    BIO_set_init(bio, 1);
    return bio;
}

/* Failures. */

/* -1 with errno, or 0 for an orderly end. */
static ssize_t
failed(struct tls_stream *t, int result)
{
    int saved_errno = errno;
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        t->wants = LOOP_READ;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        t->wants = LOOP_WRITE;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        errno = saved_errno;
        return saved_errno ? -1 : 0;
    default: break;
    }
    long verdict = SSL_get_verify_result(t->ssl);
    CLEANUP(err_drop) struct err *e = tls_error(ERR_IO, "TLS");
    free(t->why);
    t->why = verdict == X509_V_OK
                 ? str_dup(err_text(e))
                 : str_dupf("%s: %s", err_text(e), X509_verify_cert_error_string(verdict));
    errno = EPROTO;
    return -1;
}

static const char *
tls_stream_why(void *state)
{
    return ((struct tls_stream *) state)->why;
}

/* The handshake. */

static char *
common_name(SSL *ssl)
{
    X509 *cert = SSL_get0_peer_certificate(ssl);
    X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;
    int at = name ? X509_NAME_get_index_by_NID(name, NID_commonName, -1) : -1;
    if (at < 0) {
        return NULL;
    }
    unsigned char *utf8 = NULL;
    int n =
        ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    /* One with a NUL in it would pass for another. */
    char *id =
        n > 0 && !memchr(utf8, 0, (size_t) n) ? str_dup_n((char *) utf8, (size_t) n) : NULL;
    OPENSSL_free(utf8);
    return id;
}

/* The server's CA was not known: keeps it.  This connection was not checked, so it ends. */
static int
bootstrap(struct tls_stream *t)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(t->ssl);
    X509 *ca = chain && sk_X509_num(chain) > 0
                   ? sk_X509_value(chain, sk_X509_num(chain) - 1)
                   : NULL;
    CLEANUP(err_drop) struct err *e = NULL;

    if (!ca) {
        e = err_new(ERR_SYNTAX, "the server showed no certificate");
    } else if (X509_NAME_cmp(X509_get_subject_name(ca), X509_get_issuer_name(ca)) != 0) {
        e = err_hint(err_new(ERR_SYNTAX, "the server did not send its CA's certificate"),
                     "let it send that with --peer-ca-cert");
    } else {
        e = tls_keep_ca(t->tls, ca);
    }
    t->why =
        str_dup(e ? err_text(e) : "the CA's certificate was learnt, now connect again");
    errno = EPROTO;
    return -1;
}

static int
tls_stream_handshake(void *state)
{
    struct tls_stream *t = state;

    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(t->ssl);
    if (result != 1) {
        if (failed(t, result) == 0) {
            errno = ECONNRESET;
        }
        return -1;
    }
    t->id = common_name(t->ssl);
    return t->client && t->tls->bootstrap_now ? bootstrap(t) : 0;
}

static int
tls_stream_wants(void *state)
{
    return ((struct tls_stream *) state)->wants;
}

/* Data. */

static ssize_t
tls_stream_read(int fd UNUSED, void *state, void *bytes, size_t n_bytes)
{
    struct tls_stream *t = state;

    ERR_clear_error();
    errno = 0;
    int n = SSL_read(t->ssl, bytes, (int) min64((int64_t) n_bytes, INT32_MAX));
    return n > 0 ? n : failed(t, n);
}

/* Small blocks go into one record.  Asked again, OpenSSL wants to see the same bytes at the
 * beginning, and it does: blocks are only added behind. */
static ssize_t
tls_stream_write(int fd UNUSED, void *state, const struct iovec *iov, int n_iov)
{
    struct tls_stream *t = state;
    char record[RECORD_BYTES];
    size_t n = 0;

    for (int i = 0; i < n_iov && n < sizeof record; i++) {
        size_t part =
            (size_t) min64((int64_t) iov[i].iov_len, (int64_t) (sizeof record - n));
        memcpy(record + n, iov[i].iov_base, part);
        n += part;
    }
    ERR_clear_error();
    errno = 0;
    int written = SSL_write(t->ssl, record, (int) n);
    if (written > 0) {
        return written;
    } else if (failed(t, written) == 0) {
        errno = EPIPE;
    }
    return -1;
}

static void
tls_stream_free(void *state)
{
    struct tls_stream *t = state;

    ERR_clear_error();
    if (SSL_is_init_finished(t->ssl) && !t->why) {
        SSL_shutdown(t->ssl); /* Says goodbye; best effort. */
        ERR_clear_error();
    }
    SSL_free(t->ssl);
    free(t->why);
    free(t->id);
    free(t);
}

static const char *
tls_stream_id(void *state)
{
    return ((struct tls_stream *) state)->id;
}

const struct stream_class stream_tls_class = {
    .read = tls_stream_read,
    .write = tls_stream_write,
    .free = tls_stream_free,
    .handshake = tls_stream_handshake,
    .wants = tls_stream_wants,
    .why = tls_stream_why,
    .id = tls_stream_id,
};

struct err *
tls_stream_new(struct tls *tls, int fd, bool client, void **ret_state)
{
    if (!tls_is_ready(tls)) {
        return err_hint(
            err_new(ERR_DENIED, "no private key and certificate are configured"),
            "give them with --private-key, --certificate and --ca-cert");
    }
    SSL *ssl = SSL_new(tls->context);
    if (!ssl) {
        return tls_error(ERR_IO, "a new TLS connection");
    }
    BIO *bio = bio_new(fd);
    SSL_set_bio(ssl, bio, bio); /* Takes it. */
    if (client) {
        SSL_set_connect_state(ssl);
        if (tls->bootstrap_now) {
            SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
        }
    } else {
        SSL_set_accept_state(ssl);
    }
    struct tls_stream *t = NEW(struct tls_stream);
    *t = (struct tls_stream){
        .tls = tls, .ssl = ssl, .client = client, .wants = client ? LOOP_WRITE : LOOP_READ
    };
    *ret_state = t;
    return NULL;
}
