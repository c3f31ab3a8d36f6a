/* dbserver/served.c: the life of a database: its file is opened and replayed, written to
 * with each commit, compacted now and then. */
#define LOG_MODULE "dbserver"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "dbserver/dbfile.h"
#include "dbserver/relay_i.h"
#include "dbserver/replication_i.h"

/* When to compact unasked, as ovsdb-server: 10 to 20 minutes after the last time, if the
 * file has become large and twice the size of its snapshot; or after a day. */
#define COMPACT_MIN_MS (10 * 60 * 1000)
#define COMPACT_SPREAD_MS (10 * 60 * 1000)
#define COMPACT_RETRY_MS (60 * 1000)
#define COMPACT_DAY_MS (24 * 60 * 60 * 1000)
#define COMPACT_MIN_RECORDS 100
#define COMPACT_MIN_BYTES (10 * MIB)
#define COMPACT_SLOW_MS 1000 /* Worth a line in the log. */

/* A torn tail is a warning, other damage an error. */
static struct err *
judge_damage(struct journal *journal)
{
    const struct journal_damage *d = journal_damage(journal);
    const char *path = journal_path(journal);

    if (!d->why) {
        return NULL;
    } else if (d->torn) {
        log_warn(
            "%s: torn at offset %" PRId64 ": the last %" PRId64
            " bytes are no whole transaction (%s); the first write moves them to %s.cut-%" PRId64,
            path, d->offset, d->n_bytes, err_why(d->why), path, d->offset);
        return NULL;
    }
    return err_hint(
        err_new(ERR_SYNTAX,
                "the file is damaged at offset %" PRId64
                " and good transactions follow: %s",
                d->offset, err_text(d->why)),
        "look with: byre-dbtool check %s; then restore a copy, or keep what is before the "
        "damage with: byre-dbtool compact --cut %s",
        path, path);
}

static void
on_durable(void *served)
{
    struct dbserver *server = ((struct served *) served)->server;

    compact_poll(served);
    server_unblock(server);
}

static void
on_disk_failed(void *served, struct err *e)
{
    struct dbserver *server = ((struct served *) served)->server;
    server->config.stop(server->config.aux, e);
}

static struct served *
served_new(struct dbserver *server, const char *name, struct db *db)
{
    struct served *s = NEW(struct served);

    s->server = server;
    s->db = db;
    s->name = str_dup(name);
    s->compacted_ms = clock_mono_ms();
    s->compact_after_ms = s->compacted_ms + COMPACT_MIN_MS + rand() % COMPACT_SPREAD_MS;
    list_init(&s->parked);
    list_init(&s->forwarded);
    list_init(&s->monitors);
    return s;
}

struct err *
served_open(struct dbserver *server, const char *path, struct served **ret)
{
    struct journal *journal;
    struct db *db = NULL;
    int flags = server->config.no_durable ? JOURNAL_NO_DURABLE : 0;
    int64_t start_ms = clock_mono_ms();

    TRY(journal_open(path, flags, &journal));
    struct err *e = dbfile_replay(journal, &db);
    if (!e) {
        e = judge_damage(journal);
    }
    if (e) {
        db_free(db);
        journal_close(journal);
        return err_hint(e, "look with: byre-dbtool check %s", path);
    }
    struct served *s = served_new(server, db_schema(db)->name, db);
    s->path = str_dup(path);
    s->journal = journal;
    journal_notify(journal, server->loop, on_durable, on_disk_failed, s);
    journal_gather(journal);
    log_info("%s: database %s: %" PRIu64 " transactions, %" PRId64
             " bytes, read in %" PRId64 " ms",
             path, s->name, journal_n_records(journal) - 1, journal_size(journal),
             clock_mono_ms() - start_ms);
    *ret = s;
    return NULL;
}

struct served *
served_new_builtin(struct dbserver *server, const char *text)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    struct err *e = schema_parse_text(text, strlen(text), &schema);

    ASSERT(!e); /* It is ours. */
    return served_new(server, schema->name, db_new(schema));
}

struct served *
served_new_relay(struct dbserver *server, const char *name, struct relay *relay)
{
    struct served *s = served_new(server, name, NULL);
    s->relay = relay;
    return s;
}

void
served_free(struct served *s)
{
    if (s) {
        ASSERT(list_empty(&s->parked) && list_empty(&s->forwarded));
        ASSERT(list_empty(&s->monitors));
        relay_free(s->relay);
        replication_stop(s);
        compact_cancel(s);
        db_free(s->db);
        journal_close(s->journal);
        strvec_done(&s->logged);
        free(s->name);
        free(s->path);
        free(s);
    }
}

uint64_t
served_seq(const struct served *s)
{
    return s->journal ? journal_seq(s->journal) : 0;
}

bool
served_is_durable(const struct served *s, uint64_t seq)
{
    return !s->journal || journal_durable_seq(s->journal) >= seq;
}

void
served_write_all(struct dbserver *server)
{
    if (server->unwritten) {
        server->unwritten = false;
        MAP_FOR_EACH (entry, &server->dbs) {
            struct served *s = entry->value;
            struct err *e = s->journal ? journal_flush(s->journal) : NULL;
            if (e) {
                on_disk_failed(s, e);
            }
        }
    }
}

void
served_commit(struct served *s, struct txn *txn, struct buf *reply)
{
    const struct buf *record = db_txn_record(txn);
    struct err *e = NULL;
    uint64_t seq;

    if (s->journal && record->n) {
        e = journal_append(s->journal, record->data, record->n, &seq);
        s->server->unwritten = true;
    }
    if (!e) {
        s->write_failed = false;
        if (s->journal && record->n) { /* What is in no file has a name of its own. */
            db_txn_set_id(txn, journal_id(s->journal));
        }
        tlog_write(s, record);
        db_txn_commit(txn, monitors_deliver, NULL);
        monitors_delivered(s->server);
        dbremotes_changed(s->server);
        return;
    }
    db_txn_abort(txn, e, reply);
    if (s->write_failed) {
        err_free(e);
    } else { /* Once, until it works again. */
        s->write_failed = true;
        log_failure(LOG_ERR, LOG_MODULE, err_wrap(e, "a transaction is refused"));
    }
}

void
served_compacted(struct served *s, struct err *e, int64_t start_ms, int64_t before_bytes)
{
    int64_t now_ms = clock_mono_ms();

    if (e) {
        s->compact_after_ms = now_ms + COMPACT_RETRY_MS + rand() % COMPACT_RETRY_MS;
        s->compact_failed = true;
        log_failure(LOG_WARN, LOG_MODULE, err_wrap(e, "database %s", s->name));
        return;
    }
    s->compacted_ms = now_ms;
    s->compact_after_ms = now_ms + COMPACT_MIN_MS + rand() % COMPACT_SPREAD_MS;
    if (now_ms - start_ms > COMPACT_SLOW_MS) {
        log_info("%s: Database compaction took %" PRId64 "ms in the background", s->name,
                 now_ms - start_ms);
    }
    log_dbg("%s: compacted from %" PRId64 " to %" PRId64 " bytes", s->name, before_bytes,
            journal_size(s->journal));
}

void
served_check_file(struct served *s)
{
    struct err *e = s->journal ? journal_check_name(s->journal) : NULL;

    if (e && !s->name_lost) {
        log_failure(LOG_ERR, LOG_MODULE, TAKE(e));
        s->name_lost = true;
    } else if (!e) {
        s->name_lost = false;
    }
    err_free(e);
}

bool
served_wants_compaction(const struct served *s, int64_t now_ms)
{
    if (!s->journal || now_ms < s->compact_after_ms || journal_seq(s->journal) == 0) {
        return false;
    }
    int64_t size = journal_size(s->journal);
    return now_ms - s->compacted_ms >= COMPACT_DAY_MS ||
           (journal_n_records(s->journal) >= COMPACT_MIN_RECORDS &&
            size > COMPACT_MIN_BYTES && size > 2 * journal_base_size(s->journal));
}
