/* dbserver/commands_sync.c: the commands of ovs-appctl about following other servers: active-backup
 * and relays.
 * Source.  ovsdb-server(1), "Active-Backup Commands" and "Relay Commands"; texts as there. */
#include "base/str.h"
#include "dbserver/commands_i.h"
#include "dbserver/relay_i.h"
#include "dbserver/replication_i.h"

struct err *
do_set_active(struct dbserver *s, const char **argv, size_t argc UNUSED,
              struct buf *out UNUSED)
{
    CLEANUP(free_drop) char *checked = NULL;

    TRY(config_refuse(s));
    TRY(remotes_resolve(argv[0], &checked));
    free(s->sync->from);
    s->sync->from = str_dup(argv[0]);
    return replication_apply_all(s);
}

struct err *
do_get_active(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
              struct buf *out)
{
    buf_str(out, s->sync->from ? s->sync->from : "");
    return NULL;
}

struct err *
do_connect_active(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
                  struct buf *out)
{
    TRY(config_refuse(s));
    if (!s->sync->from) {
        buf_str(out, "Unable to connect: active server is not specified.");
        return NULL;
    }
    s->sync->backup = true;
    return replication_apply_all(s);
}

struct err *
do_disconnect_active(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
                     struct buf *out UNUSED)
{
    TRY(config_refuse(s));
    s->sync->backup = false;
    return replication_apply_all(s);
}

/* True, or 'out' says what is wrong. */
static bool
read_probe(const char *text, int64_t *ret_ms, struct buf *out)
{
    char *end;
    int64_t ms = strtoll(text, &end, 10);

    if (end == text || *end || ms < 0 || ms > INT32_MAX) {
        buf_str(out, "Invalid probe interval, integer value expected");
        return false;
    }
    *ret_ms = ms && ms < 1000 ? 1000 : ms;
    return true;
}

struct err *
do_set_active_probe(struct dbserver *s, const char **argv, size_t argc UNUSED,
                    struct buf *out)
{
    TRY(config_refuse(s));
    if (read_probe(argv[0], &s->sync->probe_ms, out)) {
        MAP_FOR_EACH (entry, &s->dbs) {
            replication_set_probe(entry->value, s->sync->probe_ms);
        }
    }
    return NULL;
}

struct err *
do_set_relay_probe(struct dbserver *s, const char **argv, size_t argc UNUSED,
                   struct buf *out)
{
    TRY(config_refuse(s));
    if (read_probe(argv[0], &s->relay_probe_ms, out)) {
        MAP_FOR_EACH (entry, &s->dbs) {
            const struct served *served = entry->value;
            if (served->relay) {
                relay_set_probe(served->relay, s->relay_probe_ms);
            }
        }
    }
    return NULL;
}

struct err *
sync_parse_exclude(const char *text, struct strvec *ret)
{
    CLEANUP(strvec_done) struct strvec names = STRVEC_INIT;

    strvec_split(&names, text, ",");
    for (size_t i = 0; i < names.n; i++) {
        const char *colon = strchr(names.v[i], ':');
        if (!colon || colon == names.v[i] || !colon[1]) {
            return err_hint(
                err_new(ERR_SYNTAX, "Can't parse excluded table: %s", names.v[i]),
                "write DATABASE:TABLE[,DATABASE:TABLE...]");
        }
        strvec_add(ret, names.v[i]);
    }
    strvec_sort(ret);
    return NULL;
}

struct err *
do_set_exclude(struct dbserver *s, const char **argv, size_t argc UNUSED,
               struct buf *out UNUSED)
{
    CLEANUP(strvec_done) struct strvec tables = STRVEC_INIT;

    TRY(config_refuse(s));
    TRY(sync_parse_exclude(argv[0], &tables));
    strvec_done(&s->sync->exclude);
    s->sync->exclude = tables;
    tables = STRVEC_INIT;
    return replication_apply_all(s);
}

struct err *
do_get_exclude(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
               struct buf *out)
{
    CLEANUP(free_drop) char *text = strvec_join(&s->sync->exclude, ",");
    buf_str(out, text);
    return NULL;
}

/* For the whole server: the databases together, in ovsdb-server 3.1's words.  OVN's scripts take the state
 * from the first line. */
static void
status_of_all(const struct dbserver *s, struct buf *out)
{
    CLEANUP(buf_done) struct buf names = BUF_INIT;
    const struct served *backup = NULL;
    bool replicating = true;

    MAP_FOR_EACH (entry, &s->dbs) {
        const struct served *served = entry->value;
        if (served->backup) {
            backup = served;
            replicating &= replication_is_running(served);
            buf_printf(&names, "%s%s", names.n ? ", " : "", served->name);
        }
    }
    buf_printf(out, "state: %s", backup ? "backup" : "active");
    if (!backup) {
        return;
    }
    buf_printf(out, "\n%s: %s", replicating ? "replicating" : "connecting", s->sync->from);
    if (replicating) {
        CLEANUP(free_drop) char *exclude = strvec_join(&s->sync->exclude, ",");
        buf_printf(out, "\ndatabase: %s%s%s", buf_cstr(&names),
                   *exclude ? "\nexclude: " : "", exclude);
    }
}

/* With a configuration file each database may have a source of its own, or none. */
static void
status_of_each(const struct dbserver *s, struct buf *out)
{
    MAP_FOR_EACH (entry, &s->dbs) {
        const struct served *served = entry->value;
        if (served->journal && (served->backup || served->sync_failed)) {
            buf_str(out, out->n ? "\n\n" : "");
            replication_status(served, out);
        }
    }
    if (out->n == 0) {
        buf_str(out, "state: active");
    }
}

struct err *
do_sync_status(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
               struct buf *out)
{
    if (s->config_file) {
        status_of_each(s, out);
    } else {
        status_of_all(s, out);
    }
    return NULL;
}

struct err *
dbserver_set_sync(struct dbserver *s, const char *from, const char *exclude, bool active)
{
    CLEANUP(free_drop) char *checked = NULL;

    if (exclude) {
        TRY(err_wrap(sync_parse_exclude(exclude, &s->sync->exclude),
                     "--sync-exclude-tables"));
    }
    if (from) {
        TRY(err_wrap(remotes_resolve(from, &checked), "--sync-from"));
        s->sync->from = str_dup(from);
        s->sync->backup = !active;
    }
    return NULL;
}
