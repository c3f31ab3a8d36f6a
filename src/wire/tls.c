/* wire/tls.c: what OpenSSL is told once for all connections; see tls.h.  One connection is in
 * tls_stream.c. */
#include "wire/tls_context_i.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

struct err *
tls_error(enum err_kind kind, const char *what)
{
    unsigned long code = ERR_get_error(); /* The oldest is the cause. */
    const char *why = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return err_new(kind, "%s: %s", what, why ? why : "TLS failed");
}

struct tls *
tls_new(void)
{
    return NEW(struct tls);
}

static void
config_done(struct tls *tls)
{
    char **strings[] = { &tls->private_key,  &tls->certificate, &tls->ca_cert,
                         &tls->peer_ca_cert, &tls->protocols,   &tls->ciphers,
                         &tls->ciphersuites };
    for (size_t i = 0; i < N_ELEMS(strings); i++) {
        free(TAKE(*strings[i]));
    }
}

void
tls_free(struct tls *tls)
{
    if (tls) {
        SSL_CTX_free(tls->context);
        config_done(tls);
        free(tls);
    }
}

void
tls_drop(struct tls **tls)
{
    tls_free(TAKE(*tls));
}

bool
tls_is_ready(const struct tls *tls)
{
    return tls && tls->context;
}

static const struct {
    const char *name;
    int version;
} protocols[] = {
    { "TLSv1", TLS1_VERSION },
    { "TLSv1.1", TLS1_1_VERSION },
    { "TLSv1.2", TLS1_2_VERSION },
    { "TLSv1.3", TLS1_3_VERSION },
};

/* "TLSv1.2,TLSv1.3": the lowest and the highest; "TLSv1.2+": and all above. */
static MUST_CHECK struct err *
set_protocols(SSL_CTX *context, const char *text)
{
    CLEANUP(strvec_done) struct strvec names = STRVEC_INIT;
    int min = TLS1_2_VERSION, max = TLS1_3_VERSION;

    strvec_split(&names, text ? text : "", ", \t");
    for (size_t i = 0; i < names.n; i++) {
        size_t n = strlen(names.v[i]);
        bool open = n > 0 && names.v[i][n - 1] == '+';
        int version = 0;
        names.v[i][n - open] = '\0';
        for (size_t k = 0; k < N_ELEMS(protocols); k++) {
            version =
                str_eq(protocols[k].name, names.v[i]) ? protocols[k].version : version;
        }
        if (!version) {
            return err_hint(err_new(ERR_SYNTAX, "%s: no TLS protocol", names.v[i]),
                            "use TLSv1.2, TLSv1.3, or both with a comma between");
        }
        min = i == 0 || version < min ? version : min;
        max = open ? TLS1_3_VERSION : i == 0 || version > max ? version : max;
    }
    SSL_CTX_set_min_proto_version(context, min);
    SSL_CTX_set_max_proto_version(context, max);
    return NULL;
}

/* Sends the CA's certificate along with ours. */
static MUST_CHECK struct err *
add_peer_ca(SSL_CTX *context, const char *path)
{
    X509 *cert = NULL;
    BIO *file = BIO_new_file(path, "r");

    if (file) {
        cert = PEM_read_bio_X509(file, NULL, NULL, NULL);
        BIO_free(file);
    }
    if (!cert || SSL_CTX_add_extra_chain_cert(context, cert) != 1) {
        X509_free(cert);
        return tls_error(ERR_SYNTAX, path);
    }
    return NULL; /* The context owns it. */
}

static MUST_CHECK struct err *
add_ca(struct tls *tls, SSL_CTX *context, const struct tls_config *c, bool *ret_bootstrap)
{
    *ret_bootstrap = false;
    if (!c->ca_cert || str_eq(c->ca_cert, "none")) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        return c->ca_cert ? NULL
                          : err_hint(err_new(ERR_SYNTAX, "no CA certificate is given"),
                                     "give one with --ca-cert");
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (c->bootstrap && !fs_exists(c->ca_cert)) {
        *ret_bootstrap = true;
        return NULL;
    }
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(c->ca_cert);
    if (!names || SSL_CTX_load_verify_locations(context, c->ca_cert, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return tls_error(ERR_SYNTAX, c->ca_cert);
    }
    SSL_CTX_set_client_CA_list(context, names); /* Takes it. */
    return NULL;
}

static MUST_CHECK struct err *
fill(struct tls *tls, SSL_CTX *context, const struct tls_config *c, bool *ret_bootstrap)
{
    ERR_clear_error();
    if (!c->private_key || !c->certificate) {
        return err_hint(err_new(ERR_SYNTAX, "a private key and a certificate are needed"),
                        "give them with --private-key and --certificate");
    }
    TRY(set_protocols(context, c->protocols));
    if (SSL_CTX_use_certificate_chain_file(context, c->certificate) != 1) {
        return tls_error(ERR_SYNTAX, c->certificate);
    } else if (SSL_CTX_use_PrivateKey_file(context, c->private_key, SSL_FILETYPE_PEM) !=
               1) {
        return tls_error(ERR_SYNTAX, c->private_key);
    } else if (SSL_CTX_check_private_key(context) != 1) {
        return tls_error(ERR_SYNTAX, "the private key and the certificate");
    } else if (SSL_CTX_set_cipher_list(context, c->ciphers ? c->ciphers : TLS_CIPHERS) !=
               1) {
        return tls_error(ERR_SYNTAX, "the list of ciphers");
    } else if (c->ciphersuites && SSL_CTX_set_ciphersuites(context, c->ciphersuites) != 1) {
        return tls_error(ERR_SYNTAX, "the list of cipher suites");
    }
    TRY(add_ca(tls, context, c, ret_bootstrap));
    return c->peer_ca_cert ? add_peer_ca(context, c->peer_ca_cert) : NULL;
}

/* Changes whenever one of the files does. */
static uint64_t
files_stamp(const struct tls_config *c)
{
    const char *paths[] = { c->private_key, c->certificate, c->ca_cert, c->peer_ca_cert };
    uint64_t stamp = 0;
    struct stat st;

    for (size_t i = 0; i < N_ELEMS(paths); i++) {
        stamp = stamp * 31;
        if (paths[i] && stat(paths[i], &st) == 0) {
            uint64_t parts[] = { (uint64_t) st.st_ino, (uint64_t) st.st_size,
                                 (uint64_t) st.st_mtim.tv_sec,
                                 (uint64_t) st.st_mtim.tv_nsec };
            for (size_t k = 0; k < N_ELEMS(parts); k++) {
                stamp = stamp * UINT64_C(1000003) + parts[k];
            }
        }
    }
    return stamp;
}

static struct tls_config
config_of(const struct tls *tls)
{
    return (struct tls_config){ tls->private_key,  tls->certificate, tls->ca_cert,
                                tls->peer_ca_cert, tls->protocols,   tls->ciphers,
                                tls->ciphersuites, tls->bootstrap };
}

struct err *
tls_load(struct tls *tls, const struct tls_config *c)
{
    uint64_t stamp = files_stamp(c);
    bool bootstrap_now = false;
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    struct err *e = context ? fill(tls, context, c, &bootstrap_now)
                            : tls_error(ERR_IO, "a new TLS context");
    if (e) {
        SSL_CTX_free(context);
        return e;
    }
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                     SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    struct tls new = { .context = context,
                       .private_key = str_dup(c->private_key),
                       .certificate = str_dup(c->certificate),
                       .ca_cert = str_dup(c->ca_cert),
                       .peer_ca_cert = str_dup(c->peer_ca_cert),
                       .protocols = str_dup(c->protocols),
                       .ciphers = str_dup(c->ciphers),
                       .ciphersuites = str_dup(c->ciphersuites),
                       .bootstrap = c->bootstrap,
                       .bootstrap_now = bootstrap_now,
                       .stamp = stamp };
    SSL_CTX_free(tls->context); /* Connections keep it as long as they need it. */
    config_done(tls);
    *tls = new;
    return NULL;
}

struct err *
tls_refresh(struct tls *tls)
{
    struct tls_config c = config_of(tls);
    uint64_t stamp = tls->context ? files_stamp(&c) : 0;

    if (!tls->context || stamp == tls->stamp) {
        return NULL;
    }
    tls->stamp = stamp; /* A failure is told once. */
    CLEANUP(tls_drop) struct tls *new = tls_new();
    TRY(tls_load(new, &c));
    struct tls old = *tls;
    *tls = *new;
    *new = old;
    return NULL;
}

struct err *
tls_keep_ca(struct tls *tls, X509 *ca)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    BIO *memory = BIO_new(BIO_s_mem());
    char *data;

    if (memory && PEM_write_bio_X509(memory, ca) == 1) {
        long n = BIO_get_mem_data(memory, &data);
        buf_add(&text, data, (size_t) n);
    }
    BIO_free(memory);
    if (!text.n) {
        return tls_error(ERR_IO, "the CA's certificate");
    }
    TRY(fs_write_atomic(tls->ca_cert, text.data, text.n, 0444));
    return tls_refresh(tls);
}
