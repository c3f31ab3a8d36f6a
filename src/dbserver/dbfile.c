/* dbserver/dbfile.c: see dbfile.h. */
#include "dbserver/dbfile.h"

#include "base/clock.h"
#include "base/str.h"

#define SNAPSHOT_MARK "\nstate "

/* A snapshot tells in the last line of its comment which state it is; no client can write such a
 * line, because the last one of a transaction's comment names its author. */
static bool
snapshot_id(const struct json *record, struct uuid *ret)
{
    const char *comment = json_get_string(record, "_comment");
    const char *mark = comment ? strrchr(comment, '\n') : NULL;

    return mark && strncmp(mark, SNAPSHOT_MARK, strlen(SNAPSHOT_MARK)) == 0 &&
           uuid_parse(mark + strlen(SNAPSHOT_MARK), ret);
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
        struct uuid id;
        if (journal_n_records(journal) == 2 && snapshot_id(&record, &id)) {
            journal_set_id(journal, &id);
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

/* 'mark': the state that a snapshot is one of, or NULL. */
static struct err *
rewrite(struct journal *journal, const struct db *db, const char *comment,
        const struct uuid *mark)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    CLEANUP(free_drop)
    char *marked = mark ? str_dupf("%s" SNAPSHOT_MARK "%s", comment, UUID_TEXT(mark))
                        : str_dup(comment);
    struct journal_rewrite *rw;

    schema_print(db_schema(db), &text);
    TRY(journal_rewrite_begin(journal, buf_cstr(&text), &rw));
    buf_clear(&text);
    db_snapshot(db, clock_wall_ms(), marked, &text);
    struct err *e = journal_rewrite_add(rw, text.data, text.n);
    if (e) {
        journal_rewrite_abort(rw);
        return e;
    }
    if (mark) {
        journal_rewrite_set_id(rw, mark);
    }
    return journal_rewrite_commit(journal, rw);
}

struct err *
dbfile_compact(struct journal *journal, const struct db *db, const char *comment)
{
    return rewrite(journal, db, comment, journal_id(journal));
}

struct err *
dbfile_replace(struct journal *journal, struct db *db, const char *comment)
{
    TRY(rewrite(journal, db, comment, NULL));
    db_set_last_id(db, journal_id(journal));
    return NULL;
}
