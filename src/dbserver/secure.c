/* dbserver/secure.c: the keys of "ssl:" and "pssl:" remotes.
 *
 * Each of the options may say "db:DB,TABLE,COLUMN": then the first string in that column that is
 * not empty counts, whenever it changes.  Files are read again when they change. */
#define LOG_MODULE "dbserver"
#include "base/log.h"
#include "dbserver/rows_i.h"
#include "wire/tls.h"

#define REFRESH_MS 2500

enum {
    PRIVATE_KEY,
    CERTIFICATE,
    CA_CERT,
    PEER_CA_CERT,
    PROTOCOLS,
    CIPHERS,
    CIPHERSUITES,
    N_TEXTS
};

struct secure {
    struct dbserver *server;
    struct tls *tls;
    struct loop_timer *timer;
    char *text[N_TEXTS];              /* As configured; NULL: not given. */
    struct db_column column[N_TEXTS]; /* 'name' NULL: no "db:". */
    char *loaded[N_TEXTS];            /* What was tried last. */
    bool bootstrap;
};

static void
config_texts(const struct tls_config *c, const char *texts[N_TEXTS])
{
    texts[PRIVATE_KEY] = c->private_key;
    texts[CERTIFICATE] = c->certificate;
    texts[CA_CERT] = c->ca_cert;
    texts[PEER_CA_CERT] = c->peer_ca_cert;
    texts[PROTOCOLS] = c->protocols;
    texts[CIPHERS] = c->ciphers;
    texts[CIPHERSUITES] = c->ciphersuites;
}

static MUST_CHECK struct err *
load(struct secure *s)
{
    char **l = s->loaded;
    struct tls_config c = { l[PRIVATE_KEY],  l[CERTIFICATE], l[CA_CERT],
                            l[PEER_CA_CERT], l[PROTOCOLS],   l[CIPHERS],
                            l[CIPHERSUITES], s->bootstrap };
    TRY(err_wrap(tls_load(s->tls, &c), "TLS"));
    log_info("TLS: using certificate %s", c.certificate);
    return NULL;
}

/* Loads what the options and rows say now, if that is new. */
static MUST_CHECK struct err *
update(struct secure *s)
{
    bool changed = false;

    for (int i = 0; i < N_TEXTS; i++) {
        char *now = s->column[i].name ? rows_first_string(s->server, &s->column[i])
                                      : str_dup(s->text[i]);
        changed |= !str_eq(now, s->loaded[i]);
        free(s->loaded[i]);
        s->loaded[i] = now;
    }
    if (!s->loaded[PRIVATE_KEY] || !s->loaded[CERTIFICATE] || !s->loaded[CA_CERT]) {
        return NULL; /* Rows may tell later; until then connections are refused. */
    }
    return changed ? load(s) : err_wrap(tls_refresh(s->tls), "TLS");
}

static void
on_timer(void *secure)
{
    log_failure(LOG_ERR, LOG_MODULE, update(secure));
}

static bool
is_texts(const struct type *type)
{
    return !type_is_map(type) && type->key.type == ATOM_STRING;
}

struct err *
dbserver_set_tls(struct dbserver *server, const struct tls_config *config)
{
    struct secure *s = server->secure;
    const char *texts[N_TEXTS];
    bool any_row = false;

    config_texts(config, texts);
    for (int i = 0; i < N_TEXTS; i++) {
        s->text[i] = str_dup(texts[i]);
        if (texts[i] && str_starts(texts[i], "db:")) {
            TRY(db_column_parse(texts[i], &s->column[i]));
            any_row = true;
        }
    }
    s->bootstrap = config->bootstrap;
    bool any = config->private_key || config->certificate || config->ca_cert;
    if (any && !any_row &&
        !(config->private_key && config->certificate && config->ca_cert)) {
        return err_hint(err_new(ERR_SYNTAX, "TLS needs a key, a certificate and a CA"),
                        "give --private-key, --certificate and --ca-cert");
    }
    if (any) {
        loop_timer_repeat(s->timer, REFRESH_MS);
    }
    struct err *e = update(s);
    if (e && any_row) { /* Rows can be set right while we run. */
        log_failure(LOG_ERR, LOG_MODULE, e);
        return NULL;
    }
    return e;
}

struct err *
dbserver_check_tls(const struct dbserver *server)
{
    for (int i = 0; i < N_TEXTS; i++) {
        const struct db_column *c = &server->secure->column[i];
        const struct column *column;
        struct served *served;
        struct err *e = c->name ? db_column_find(server, c, &served, &column) : NULL;

        if (e && !err_is(e, ERR_BUSY)) {
            return e;
        } else if (c->name && !e && !is_texts(&column->type)) {
            return err_new(
                ERR_SYNTAX,
                "\"%s\": table \"%s\" column \"%s\" is not string or set of strings",
                c->name, c->table, c->column);
        }
        err_free(e);
    }
    return NULL;
}

struct tls *
secure_tls(const struct dbserver *server)
{
    return server->secure->tls;
}

void
secure_init(struct dbserver *server)
{
    struct secure *s = NEW(struct secure);
    s->server = server;
    s->tls = tls_new();
    s->timer = loop_timer_new(server->loop, on_timer, s);
    server->secure = s;
}

void
secure_free(struct dbserver *server)
{
    struct secure *s = TAKE(server->secure);
    for (int i = 0; i < N_TEXTS; i++) {
        free(s->text[i]);
        free(s->loaded[i]);
        db_column_done(&s->column[i]);
    }
    loop_timer_free(s->timer);
    tls_free(s->tls);
    free(s);
}
