/* dbserver/dbfile.c: see dbfile.h. */
#include "dbserver/dbfile.h"

#include "base/clock.h"

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
    for (;;) {
        arena_reset(&arena);
        TRY(journal_read(journal, &arena, &record, &more));
        if (!more) {
            break;
        }
        e = db_replay(db, &record);
        if (e) {
            journal_reject(journal, err_wrap(e, "%s: this transaction does not fit",
                                             journal_path(journal)));
        }
    }
    *ret = TAKE(db);
    return NULL;
}

struct err *
dbfile_compact(struct journal *journal, const struct db *db, const char *comment)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct journal_rewrite *rw;

    schema_print(db_schema(db), &text);
    TRY(journal_rewrite_begin(journal, buf_cstr(&text), &rw));
    buf_clear(&text);
    db_snapshot(db, clock_wall_ms(), comment, &text);
    struct err *e = journal_rewrite_add(rw, text.data, text.n);
    if (e) {
        journal_rewrite_abort(rw);
        return e;
    }
    return journal_rewrite_commit(journal, rw);
}
