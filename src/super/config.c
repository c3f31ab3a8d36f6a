/* super/config.c: the table of settings, and inih fed line by line so that the number of each
 * line is known (Debian's inih does not tell its callback). */
#include "super/config.h"

#include <ini.h>

struct reader {
    const char *name, *at; /* Of the file; rest of its text. */
    int line;              /* Number of the line handed out last. */
    struct config *config;
    struct err *e; /* The first one. */
};

static const struct setting {
    const char *section, *key;
    size_t offset; /* In struct config: of a char *, or of the one strvec. */
} settings[] = {
    { "dbd", "remotes", offsetof(struct config, dbd_remotes) },
    { "dbd", "private_key", offsetof(struct config, dbd_private_key) },
    { "dbd", "certificate", offsetof(struct config, dbd_certificate) },
    { "dbd", "ca_cert", offsetof(struct config, dbd_ca_cert) },
    { "agent", "libvirt", offsetof(struct config, agent_libvirt) },
    { "agent", "stats", offsetof(struct config, agent_stats) },
    { "web", "listen", offsetof(struct config, web_listen) },
};

static void
set(const struct setting *s, struct config *config, const char *value)
{
    if (s->offset == offsetof(struct config, dbd_remotes)) {
        strvec_split(&config->dbd_remotes, value, " \t,"); /* Lines add up. */
    } else {
        char **field = (char **) ((char *) config + s->offset);
        free(*field);
        *field = str_dup(value);
    }
}

static struct err *
refuse(const struct reader *r, const char *what)
{
    struct err *e = err_new(ERR_SYNTAX, "%s:%d: %s", r->name, r->line, what);
    return err_hint(e, "the settings are [dbd] remotes, private_key, certificate, ca_cert; "
                       "[agent] libvirt, stats; [web] listen");
}

/* inih's fgets(). */
static char *
read_line(char *out, int n_bytes, void *reader)
{
    struct reader *r = reader;
    if (*r->at == '\0' || r->e) {
        return NULL;
    }
    r->line++;
    size_t n = strcspn(r->at, "\n");
    if (n > CONFIG_LINE_MAX || n + 2 > (size_t) n_bytes) {
        r->e = refuse(r, "the line is too long");
        return NULL;
    }
    memcpy(out, r->at, n);
    out[n] = '\0';
    r->at += n + (r->at[n] == '\n');
    return out;
}

static int
take_setting(void *reader, const char *section, const char *key, const char *value)
{
    struct reader *r = reader;
    bool section_known = false;

    for (const struct setting *s = settings; s < settings + N_ELEMS(settings); s++) {
        if (str_eq(s->section, section)) {
            section_known = true;
            if (str_eq(s->key, key)) {
                set(s, r->config, value);
                return 1;
            }
        }
    }
    if (!r->e) {
        CLEANUP(free_drop)
        char *what = section_known ? str_dupf("no setting '%s' in [%s]", key, section)
                     : *section    ? str_dupf("no section [%s]", section)
                                   : str_dupf("'%s' stands before the first section", key);
        r->e = refuse(r, what);
    }
    return 0;
}

struct err *
config_parse(const char *name, const char *text, struct config *ret)
{
    struct config config = CONFIG_INIT;
    struct reader r = { name, text, 0, &config, NULL };

    int bad_line = ini_parse_stream(read_line, &r, take_setting, &r);
    if (bad_line != 0 && (!r.e || bad_line < r.line)) {
        err_free(r.e); /* Something that is no setting at all came first. */
        r.line = bad_line;
        r.e = refuse(&r, "neither [section], nor key = value, nor a comment");
    }
    if (r.e) {
        config_done(&config);
        return r.e;
    }
    *ret = config;
    return NULL;
}

void
config_done(struct config *c)
{
    strvec_done(&c->dbd_remotes);
    free(c->dbd_private_key);
    free(c->dbd_certificate);
    free(c->dbd_ca_cert);
    free(c->agent_libvirt);
    free(c->agent_stats);
    free(c->web_listen);
    *c = CONFIG_INIT;
}
