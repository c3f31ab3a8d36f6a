/* dbserver/dbfile.c: see dbfile.h. */
#include "dbserver/dbfile.h"

#include "base/clock.h"
#include "base/str.h"

/* The last line of a snapshot's comment: "state <uuid>" says which state it is, "archive <n>" how
 * much of the archive belongs to it.  No client can write such a line, because the last one of a
 * transaction's comment names its author. */
#define MARK_STATE "state "
#define MARK_ARCHIVE "archive "

static char *
snapshot_comment(const char *comment, const struct journal_snapshot *s)
{
    struct buf out = BUF_INIT;
    buf_printf(&out, "%s\n", comment);
    if (s->has_id) {
        buf_printf(&out, MARK_STATE "%s ", UUID_TEXT(&s->id));
    }
    buf_printf(&out, MARK_ARCHIVE "%" PRId64, s->archive_bytes);
    return buf_take(&out);
}

bool
dbfile_is_snapshot(const struct json *record, struct journal_snapshot *ret)
{
    const char *comment = json_get_string(record, "_comment");
    const char *at = comment ? strrchr(comment, '\n') : NULL;
    char uuid[UUID_CHARS + 1];

    *ret = (struct journal_snapshot){ .has_id = false };
    if (!at) {
        return false;
    }
    at++;
    if (strncmp(at, MARK_STATE, strlen(MARK_STATE)) == 0) {
        at += strlen(MARK_STATE);
        if (strlen(at) <= UUID_CHARS || at[UUID_CHARS] != ' ') {
            return false;
        }
        memcpy(uuid, at, UUID_CHARS);
        uuid[UUID_CHARS] = '\0';
        ret->has_id = uuid_parse(uuid, &ret->id);
        at += UUID_CHARS + 1;
    }
    char *end;
    if (strncmp(at, MARK_ARCHIVE, strlen(MARK_ARCHIVE)) != 0) {
        return false;
    }
    ret->archive_bytes = strtoll(at + strlen(MARK_ARCHIVE), &end, 10);
    return *end == '\0' && ret->archive_bytes >= 0;
}

struct err *
dbfile_replay(struct journal *journal, struct db **ret)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(schema_drop) struct schema *schema = NULL;
    CLEANUP(db_drop) struct db *db = NULL;
    struct json record;
    bool more;

    TRY(journal_read(journal, &arena, &record, &more));
    struct err *e = schema_parse(&record, &schema);
    if (!e && schema->name[0] == '_') {
        e = err_new(ERR_CONSTRAINT, "names beginning with \"_\" are reserved");
    }
    if (e) {
        return err_wrap(e, "%s: the schema", journal_path(journal));
    }
    db = db_new(schema);
    db_set_last_id(db, journal_id(journal));
    for (;;) {
        arena_reset(&arena);
        TRY(journal_read(journal, &arena, &record, &more));
        if (!more) {
            break;
        }
        struct journal_snapshot snapshot;
        if (journal_n_records(journal) == 2 && dbfile_is_snapshot(&record, &snapshot)) {
            journal_set_snapshot(journal, &snapshot);
        }
        e = db_replay(db, &record);
        if (!e) {
            db_set_last_id(db, journal_id(journal));
        } else {
            journal_reject(journal, err_wrap(e, "%s: this transaction does not fit",
                                             journal_path(journal)));
        }
    }
    *ret = TAKE(db);
    return NULL;
}

struct err *
dbfile_rewrite_fill(struct journal_rewrite *rw, const struct journal *journal,
                    const struct db *db, const char *comment,
                    struct journal_snapshot *snapshot)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    TRY(journal_archive(journal, &snapshot->archive_bytes));
    CLEANUP(free_drop) char *marked = snapshot_comment(comment, snapshot);
    db_snapshot(db, clock_wall_ms(), marked, &text);
    TRY(journal_rewrite_add(rw, text.data, text.n));
    journal_rewrite_set_snapshot(rw, snapshot);
    return NULL;
}

struct err *
dbfile_rewrite_begin(struct journal *journal, const struct db *db,
                     struct journal_rewrite **ret)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    schema_print(db_schema(db), &text);
    return journal_rewrite_begin(journal, buf_cstr(&text), ret);
}

static struct err *
rewrite(struct journal *journal, const struct db *db, const char *comment,
        struct journal_snapshot *snapshot)
{
    struct journal_rewrite *rw;

    TRY(dbfile_rewrite_begin(journal, db, &rw));
    struct err *e = dbfile_rewrite_fill(rw, journal, db, comment, snapshot);
    if (e) {
        journal_rewrite_abort(rw);
        return e;
    }
    return journal_rewrite_commit(journal, rw);
}

struct err *
dbfile_compact(struct journal *journal, const struct db *db, const char *comment)
{
    struct journal_snapshot same = { .has_id = true, .id = *journal_id(journal) };
    return rewrite(journal, db, comment, &same);
}

struct err *
dbfile_replace(struct journal *journal, struct db *db, const char *comment)
{
    struct journal_snapshot another = { .has_id = false };
    TRY(rewrite(journal, db, comment, &another));
    db_set_last_id(db, journal_id(journal));
    return NULL;
}
