/* dbserver/config.c: --config-file: databases and remotes from a file, which "ovsdb-server/reload"
 * reads again.
 *
 *     {"remotes": {"punix:db.sock": null,
 *                  "pssl:6640": {"inactivity-probe": 5000, "max-backoff": 8000, "read-only": false,
 *                                "role": "worker", "dscp": 48}},
 *      "databases": {"/var/lib/byre/db/vmmgr.db": {"service-model": "standalone"}}}
 *
 * The file is checked as a whole before anything happens.
 * Source.  ovsdb-server(7), "Configuration File". */
#define LOG_MODULE "dbserver"
#include "base/fs.h"
#include "base/log.h"
#include "dbserver/remotes_i.h"
#include "dbserver/replication_i.h"
#include "json/decode.h"

#define CONFIG_MAX_BYTES ((size_t) MIB)
#define CONFIG_ITEMS_MAX 10000 /* Databases, and remotes. */

struct wanted_remote {
    char *name;
    struct remote_options options;
};

struct wanted_backup {
    char *path, *remotes;
    struct strvec exclude;
    int64_t probe_ms;
};

struct config {
    struct strvec databases;           /* Paths, and "relay:DB:REMOTE,...". */
    VEC(struct wanted_backup) backups; /* Of 'databases'. */
    VEC(struct wanted_remote) remotes;
    int64_t relay_probe_ms;
};

static void
config_done(struct config *c)
{
    strvec_done(&c->databases);
    VEC_FOR_EACH (struct wanted_remote *w, &c->remotes) {
        free(w->name);
        free(w->options.role);
    }
    VEC_FOR_EACH (struct wanted_backup *b, &c->backups) {
        free(b->path);
        free(b->remotes);
        strvec_done(&b->exclude);
    }
    VEC_DONE(&c->backups);
    VEC_DONE(&c->remotes);
}

static MUST_CHECK struct err *
parse_options(const struct json_member *m, struct remote_options *ret)
{
    struct remote_options o = *ret;

    if (m->value.type != JSON_NULL) {
        struct decode d;
        decode_begin(&d, &m->value, "remote %s", m->name);
        o.max_backoff_ms =
            decode_int(&d, "max-backoff", DECODE_OPTIONAL, o.max_backoff_ms, 0, INT32_MAX);
        o.probe_ms =
            decode_int(&d, "inactivity-probe", DECODE_OPTIONAL, o.probe_ms, 0, INT32_MAX);
        o.read_only = decode_bool(&d, "read-only", DECODE_OPTIONAL, false);
        o.dscp = (int) decode_int(&d, "dscp", DECODE_OPTIONAL, o.dscp, 0, 63);
        const char *role = decode_string(&d, "role", DECODE_OPTIONAL, NULL);
        TRY(decode_end(&d));
        o.role = role && *role ? str_dup(role) : NULL;
        o.probe_ms = o.probe_ms > 0 && o.probe_ms < 1000 ? 1000 : o.probe_ms;
    }
    *ret = o;
    return NULL;
}

static MUST_CHECK struct err *
parse_remote(const struct json_member *m, struct config *c)
{
    struct remote_options o = REMOTE_OPTIONS_INIT;

    TRY(parse_options(m, &o));
    *VEC_ADD(&c->remotes) = (struct wanted_remote){ str_dup(m->name), o };
    return NULL;
}

/* {"tcp:10.0.0.1:6642": {"inactivity-probe": 5000} or null, ...} */
static MUST_CHECK struct err *
parse_source(const struct json *source, const char *name, char **ret_remotes,
             int64_t *ret_probe_ms)
{
    CLEANUP(strvec_done) struct strvec remotes = STRVEC_INIT;

    *ret_probe_ms = -1;
    if (!source || source->n == 0 || source->n > CONFIG_ITEMS_MAX) {
        return err_hint(err_new(ERR_SYNTAX, "database %s: no source is named", name),
                        "write \"source\": {\"tcp:HOST:PORT\": null}");
    }
    JSON_FOR_EACH_MEMBER (m, source) {
        struct remote_options o = REMOTE_OPTIONS_INIT;
        TRY(parse_options(m, &o));
        *ret_probe_ms = o.probe_ms;
        free(o.role);
        strvec_add(&remotes, m->name);
    }
    *ret_remotes = strvec_join(&remotes, ",");
    return NULL;
}

static MUST_CHECK struct err *
parse_backup(const struct json *source, const struct json *exclude,
             const struct json_member *m, const char *path, struct config *c)
{
    CLEANUP(free_drop) char *remotes = NULL;
    int64_t probe_ms;

    TRY(parse_source(source, m->name, &remotes, &probe_ms));
    struct wanted_backup *b = VEC_ADD(&c->backups);
    *b = (struct wanted_backup){ .path = str_dup(path),
                                 .remotes = TAKE(remotes),
                                 .probe_ms =
                                     probe_ms < 0 ? REPLICATION_PROBE_MS : probe_ms };
    for (uint32_t i = 0; exclude && i < exclude->n; i++) {
        if (exclude->elems[i].type != JSON_STRING) {
            return err_new(ERR_SYNTAX, "database %s: exclude-tables are strings", m->name);
        }
        strvec_add(&b->exclude, exclude->elems[i].string);
    }
    return NULL;
}

static MUST_CHECK struct err *
parse_database(const struct json_member *m, const char *dir, struct config *c)
{
    CLEANUP(free_drop)
    char *path = m->name[0] == '/' ? str_dup(m->name) : path_join(dir, m->name);
    CLEANUP(free_drop) char *remotes = NULL;

    if (m->value.type == JSON_NULL) {
        strvec_take(&c->databases, TAKE(path));
        return NULL;
    }
    struct decode d;
    decode_begin(&d, &m->value, "database %s", m->name);
    const char *model = decode_string(&d, "service-model", DECODE_OPTIONAL, "standalone");
    const struct json *source =
        decode_member(&d, "source", DECODE_OBJECT | DECODE_OPTIONAL);
    const struct json *exclude =
        decode_member(&d, "exclude-tables", DECODE_ARRAY | DECODE_OPTIONAL);
    bool is_backup = decode_bool(&d, "backup", DECODE_OPTIONAL, false);
    bool relay = model && str_eq(model, "relay");
    bool backup = model && str_eq(model, "active-backup");
    if (model && !relay && !backup && !str_eq(model, "standalone")) {
        decode_fail(&d, err_hint(err_new(ERR_UNSUPPORTED,
                                         "database %s: service model %s is not supported",
                                         m->name, model),
                                 "write standalone, relay or active-backup; a cluster is "
                                 "ovsdb-server's, with relays of ours before it"));
    }
    TRY(decode_end(&d));
    if (relay) {
        TRY(parse_source(source, m->name, &remotes, &c->relay_probe_ms));
        strvec_take(&c->databases, str_dupf("relay:%s:%s", m->name, remotes));
        return NULL;
    }
    if (backup && is_backup) {
        TRY(parse_backup(source, exclude, m, path, c));
    }
    strvec_take(&c->databases, TAKE(path));
    return NULL;
}

static MUST_CHECK struct err *
parse(const char *path, const struct json *json, struct config *c)
{
    CLEANUP(free_drop) char *own_dir = path_dir(path);
    const char *dir = getenv("OVS_DBDIR");
    struct decode d;

    decode_begin(&d, json, "configuration");
    const struct json *remotes =
        decode_member(&d, "remotes", DECODE_OBJECT | DECODE_OPTIONAL);
    const struct json *databases =
        decode_member(&d, "databases", DECODE_OBJECT | DECODE_OPTIONAL);
    TRY(decode_end(&d));
    if ((remotes && remotes->n > CONFIG_ITEMS_MAX) ||
        (databases && databases->n > CONFIG_ITEMS_MAX)) {
        return err_new(ERR_CONSTRAINT, "more than %d items", CONFIG_ITEMS_MAX);
    }
    for (uint32_t i = 0; databases && i < databases->n; i++) {
        TRY(parse_database(&databases->members[i], dir && *dir ? dir : own_dir, c));
    }
    for (uint32_t i = 0; remotes && i < remotes->n; i++) {
        TRY(parse_remote(&remotes->members[i], c));
    }
    return NULL;
}

/* Databases that are there and not wanted go; then the new ones come. */
static MUST_CHECK struct err *
apply_databases(struct dbserver *s, const struct config *c)
{
    CLEANUP(strvec_done) struct strvec unwanted = STRVEC_INIT;
    CLEANUP(strvec_done) struct strvec there = STRVEC_INIT;

    MAP_FOR_EACH (entry, &s->dbs) {
        const struct served *served = entry->value;
        if (served->path && strvec_has(&c->databases, served->path)) {
            strvec_add(&there, served->path);
        } else if (served->path) {
            strvec_add(&unwanted, served->name);
        }
    }
    for (size_t i = 0; i < unwanted.n; i++) {
        TRY(dbserver_remove_db(s, unwanted.v[i]));
    }
    for (size_t i = 0; i < c->databases.n; i++) {
        if (!strvec_has(&there, c->databases.v[i])) {
            TRY(dbserver_add_db(s, c->databases.v[i]));
        }
    }
    return NULL;
}

/* What is no backup is active. */
static MUST_CHECK struct err *
apply_backups(struct dbserver *s, const struct config *c)
{
    MAP_FOR_EACH (entry, &s->dbs) {
        struct served *served = entry->value;
        const struct wanted_backup *wanted = NULL;
        VEC_FOR_EACH (const struct wanted_backup *b, &c->backups) {
            wanted = served->path && str_eq(b->path, served->path) ? b : wanted;
        }
        if (wanted) {
            TRY(replication_start(served, wanted->remotes, &wanted->exclude,
                                  wanted->probe_ms, true));
        } else {
            replication_stop(served);
        }
    }
    return NULL;
}

static MUST_CHECK struct err *
apply_remotes(struct dbserver *s, struct config *c)
{
    CLEANUP(strvec_done) struct strvec have = STRVEC_INIT;
    CLEANUP(strvec_done) struct strvec want = STRVEC_INIT;

    VEC_FOR_EACH (struct wanted_remote *w, &c->remotes) {
        strvec_add(&want, w->name);
    }
    remotes_list(s, &have);
    for (size_t i = 0; i < have.n; i++) {
        if (!strvec_has(&want, have.v[i])) {
            TRY(dbserver_remove_remote(s, have.v[i]));
        }
    }
    VEC_FOR_EACH (struct wanted_remote *w, &c->remotes) {
        struct remote_entry *r = remote_find(s, w->name);
        if (str_starts(w->name, "db:")) {
            TRY(dbremotes_add(s, w->name));
        } else if (r) {
            r->from_db = false;
            remote_set_options(r, &w->options);
        } else {
            TRY(remote_add(s, w->name, &w->options, false, &r));
        }
    }
    return NULL;
}

static MUST_CHECK struct err *
load(struct dbserver *s)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    CLEANUP(config_done) struct config c = { .relay_probe_ms = -1 };
    struct json json;

    TRY(fs_read(s->config_file, CONFIG_MAX_BYTES, &text));
    TRY(json_parse(&arena, text.data, text.n, &json));
    TRY(parse(s->config_file, &json, &c));
    s->relay_probe_ms = c.relay_probe_ms;
    TRY(err_wrap(apply_databases(s, &c), "failed to configure databases"));
    TRY(err_wrap(apply_backups(s, &c), "failed to configure databases"));
    return err_wrap(apply_remotes(s, &c), "failed to configure remotes");
}

struct err *
config_reload(struct dbserver *s)
{
    if (!s->config_file) {
        return err_new(ERR_UNSUPPORTED,
                       "Configuration file was not specified on command line");
    }
    return err_wrap(load(s), "configuration file %s", s->config_file);
}

struct err *
config_refuse(const struct dbserver *s)
{
    return s->config_file
               ? err_new(ERR_DENIED, "Update the %s and use ovsdb-server/reload instead",
                         s->config_file)
               : NULL;
}

struct err *
dbserver_set_config_file(struct dbserver *s, const char *path)
{
    s->config_file = path_absolute(path);
    return config_reload(s);
}
