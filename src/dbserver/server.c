/* dbserver/server.c: the server as a whole: which databases it has, and when output
 * leaves. */
#define LOG_MODULE "dbserver"
#include "dbserver/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "dbserver/linger.h"
#include "dbserver/relay_i.h"
#include "dbserver/replication_i.h"

#define UPKEEP_MS (60 * 1000)

const char *
dbserver_rundir(void)
{
    const char *dir = getenv("BYRE_RUNDIR");

    if (!dir || !*dir) {
        dir = getenv("OVS_RUNDIR");
    }
    return dir && *dir ? dir : "/run/byre";
}

void
server_upkeep(void *server)
{
    struct dbserver *s = server;
    int64_t now_ms = clock_mono_ms();

    MAP_FOR_EACH (entry, &s->dbs) {
        struct served *served = entry->value;
        if (served->db) {
            db_forget_snapshots(served->db);
        }
        served_check_file(served);
        if (served_wants_compaction(served, now_ms)) {
            struct err *e = compact_start(served, "compacting database online");
            if (e) {
                served_compacted(served, e, now_ms, 0);
            }
        } else if (served->relay) {
            relay_trim(served->relay);
        }
    }
    LIST_FOR_EACH_SAFE (struct peer, p, in_server, &s->peers) {
        if (!p->closed && jsonrpc_unfinished_ms(p->conn) > DBSERVER_MESSAGE_MS) {
            peer_close(p, "a message was begun and not ended for two minutes");
        }
    }
    server_flush(s);
}

struct err *
dbserver_new(struct loop *loop, const struct dbserver_config *config, struct dbserver **ret)
{
    struct dbserver *s = NEW(struct dbserver);

    s->loop = loop;
    s->config = *config;
    s->dbs = MAP_INIT;
    s->locks = LOCK_SERVER_INIT;
    s->room.max_bytes = DBSERVER_ROOM_BYTES;
    s->relay_probe_ms = -1;
    s->sync = NEW(struct sync);
    sync_init(s->sync);
    uuid_random(&s->id);
    list_init(&s->remotes);
    dbremotes_init(s);
    secure_init(s);
    list_init(&s->peers);
    list_init(&s->ready);
    list_init(&s->watching);
    list_init(&s->round);
    list_init(&s->blocked);
    list_init(&s->dead);
    s->fan_out = loop_idle_new(loop, output_fan_out, s);
    s->round_later = loop_timer_new(loop, output_round_later, s);
    s->linger = linger_pays() ? linger_new(loop) : NULL;
    s->self = self_new(s);
    map_put(&s->dbs, s->self->name, s->self);
    self_add(s, s->self);
    s->upkeep = loop_timer_new(loop, server_upkeep, s);
    loop_timer_repeat(s->upkeep, UPKEEP_MS);
    *ret = s;
    return NULL;
}

void
dbserver_free(struct dbserver *s)
{
    if (!s) {
        return;
    }
    s->closing = true;
    MAP_FOR_EACH (entry, &s->dbs) { /* So that the last replies go out. */
        struct served *served = entry->value;
        if (served->journal) {
            log_failure(LOG_ERR, LOG_MODULE, journal_sync(served->journal));
        }
    }
    server_unblock(s);
    ctl_free(s->ctl);
    remotes_free(s);
    while (!list_empty(&s->peers)) {
        peer_free(CONTAINER_OF(s->peers.next, struct peer, in_server));
    }
    secure_free(s);
    sync_done(s->sync);
    free(s->sync);
    free(s->config_file);
    lock_server_done(&s->locks);
    MAP_FOR_EACH (entry, &s->dbs) {
        served_free(entry->value);
    }
    map_done(&s->dbs);
    loop_timer_free(s->upkeep);
    loop_idle_free(s->fan_out);
    loop_timer_free(s->round_later);
    linger_free(s->linger);
    monitors_delivered(s);
    if (!s->reap_posted) {
        free(s);
    } /* Else the word under way frees it. */
}

struct served *
server_find_db(struct dbserver *s, const char *name)
{
    return map_get(&s->dbs, name);
}

void
server_drop_unaware(struct dbserver *s, const char *why)
{
    LIST_FOR_EACH_SAFE (struct peer, p, in_server, &s->peers) {
        if (!p->aware) {
            peer_close(p, why);
        }
    }
}

static bool
is_db_name(const char *s)
{
    static const char *const letters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t n = strspn(s, letters);
    size_t more = n + strspn(s + n, "_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
                                    "OPQRSTUVWXYZ");
    return n > 0 && s[more] == '\0';
}

/* "DB:REMOTE,..." */
static MUST_CHECK struct err *
open_relay(struct dbserver *s, const char *spec, struct served **ret)
{
    const char *colon = strchr(spec, ':');
    CLEANUP(free_drop) char *name = str_dup_n(spec, colon ? (size_t) (colon - spec) : 0);

    if (!is_db_name(name)) {
        return err_hint(err_new(ERR_SYNTAX, "no database and remotes to relay are given"),
                        "write relay:DATABASE:REMOTE[,REMOTE...]");
    }
    return relay_new(s, name, colon + 1, s->config.relay_leader_only, ret);
}

static bool
is_open(const struct dbserver *s, const char *path)
{
    CLEANUP(free_drop) char *real = realpath(path, NULL);

    MAP_FOR_EACH (entry, &s->dbs) {
        const struct served *served = entry->value;
        if (real && served->journal && str_eq(journal_path(served->journal), real)) {
            return true;
        }
    }
    return false;
}

struct err *
dbserver_add_db(struct dbserver *s, const char *path)
{
    struct served *served;
    bool relay = str_starts(path, "relay:");

    struct err *e = relay              ? open_relay(s, path + 6, &served)
                    : is_open(s, path) ? err_new(ERR_EXISTS, "%s: already open", path)
                                       : served_open(s, path, &served);
    if (e) {
        return err_wrap(e, "failed to open database %s", path);
    }
    return server_add_served(s, served, path);
}

struct err *
server_add_served(struct dbserver *s, struct served *served, const char *path)
{
    struct err *e;

    if (map_has(&s->dbs, served->name)) {
        e = err_hint(
            err_new(ERR_EXISTS,
                    "failed to open database %s: another file has database %s already",
                    path, served->name),
            "give each database file once");
        served_free(served);
        return e;
    }
    map_put(&s->dbs, served->name, served);
    self_add(s, served);
    server_drop_unaware(s, "a database was added");
    dbremotes_changed(s);
    server_flush(s);
    return replication_apply(served);
}

struct err *
dbserver_remove_db(struct dbserver *s, const char *name)
{
    struct served *served = map_get(&s->dbs, name);

    if (!served) {
        return err_new(ERR_NOT_FOUND, "Failed to find the database.");
    } else if (served == s->self) {
        return err_new(ERR_DENIED, "Cannot remove reserved database.");
    }
    if (served->journal) {
        TRY(journal_sync(served->journal));
    }
    monitors_cancel(served);
    transact_cancel_all(served);
    forward_cancel_all(served);
    self_remove(s, served);
    server_drop_unaware(s, "a database was removed");
    LIST_FOR_EACH (struct peer, p, in_server, &s->peers) {
        peer_forget(p, served);
    }
    map_remove(&s->dbs, name);
    served_free(served);
    dbremotes_changed(s);
    server_flush(s);
    return NULL;
}

static void
reap(void *server)
{
    struct dbserver *s = server;
    struct list *node;

    s->reap_posted = false;
    if (s->closing) {
        free(s);
        return;
    }
    while ((node = list_pop_front(&s->dead)) != NULL) {
        peer_free(CONTAINER_OF(node, struct peer, flow));
    }
    server_flush(s);
}

void
server_reap(struct dbserver *s)
{
    if (!s->reap_posted && !s->closing) {
        s->reap_posted = true;
        loop_post(s->loop, reap, s);
    }
}
