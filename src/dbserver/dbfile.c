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

struct replay {
    struct journal *journal;
    struct db *db;
    struct txn *load; /* Of a record that comes in parts. */
    struct journal_snapshot snapshot;
    bool is_snapshot;
};

static struct err *
read_schema(struct journal *journal, struct schema **ret)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json record;
    bool more;
    TRY(journal_read(journal, &arena, &record, &more));
    struct err *e = schema_parse(&record, ret);
    if (!e && (*ret)->name[0] == '_') {
        schema_unref(TAKE(*ret));
        e = err_new(ERR_CONSTRAINT, "names beginning with \"_\" are reserved");
    }
    return err_wrap(e, "%s: the schema", journal_path(journal));
}

/* One that is complete, or the last part of one, which the database did not refuse. */
static void
taken(struct replay *r)
{
    if (r->is_snapshot && journal_n_records(r->journal) == 2) {
        journal_set_snapshot(r->journal, &r->snapshot);
    }
    db_set_last_id(r->db, journal_id(r->journal));
}

static struct err *
apply_whole(struct replay *r, const struct json *record)
{
    r->is_snapshot = dbfile_is_snapshot(record, &r->snapshot);
    struct err *e = db_replay(r->db, record);
    if (!e) {
        taken(r);
    }
    return e;
}

static struct err *
apply_part(struct replay *r, const struct json *record, bool last)
{
    if (!r->load) {
        r->load = db_load_begin(r->db);
        r->is_snapshot = false;
    }
    if (json_get(record, "_comment")) {
        r->is_snapshot = dbfile_is_snapshot(record, &r->snapshot);
    }
    TRY(db_load_part(r->load, record));
    if (last) {
        TRY(db_load_end(TAKE(r->load)));
        taken(r);
    }
    return NULL;
}

/* The next record.  '*ret_e': it makes no sense for the database. */
static struct err *
replay_next(struct replay *r, bool *ret_more, struct err **ret_e)
{
    struct json record;
    enum journal_part part;
    TRY(journal_read_ahead(r->journal, &record, &part, ret_more));
    if (!*ret_more) {
        return NULL;
    } else if (part != JOURNAL_WHOLE) {
        struct err *e = apply_part(r, &record, part == JOURNAL_LAST_PART);
        if (!e) {
            return NULL;
        }
        err_free(e); /* All at once it may fit, or else we want to hear why not. */
        db_load_abort(TAKE(r->load));
        TRY(journal_read_again(r->journal, &record, ret_more));
        if (!*ret_more) {
            return NULL;
        }
    }
    *ret_e = apply_whole(r, &record);
    return NULL;
}

struct err *
dbfile_replay(struct journal *journal, struct db **ret)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    CLEANUP(db_drop) struct db *db = NULL;

    TRY(read_schema(journal, &schema));
    db = db_new(schema);
    db_set_last_id(db, journal_id(journal));
    struct replay r = { .journal = journal, .db = db };
    for (bool more = true; more;) {
        struct err *why = NULL;
        struct err *e = replay_next(&r, &more, &why);
        if (e) {
            db_load_abort(r.load);
            return e;
        } else if (why) {
            journal_reject(journal, err_wrap(why, "%s: this transaction does not fit",
                                             journal_path(journal)));
        }
    }
    db_load_abort(r.load); /* The file ended inside it. */
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

/* [schema|null, txn|null] on top of '*db', which may become another one.  A schema without a
 * transaction is a conversion; with one, the two are all that there is. */
static MUST_CHECK struct err *
apply_entry(const struct json *data, struct db **db)
{
    const struct json *new = &data->elems[0], *txn = &data->elems[1];

    if (new->type != JSON_NULL) {
        CLEANUP(schema_drop) struct schema *schema = NULL;
        CLEANUP(db_drop) struct db *next = NULL;
        TRY(schema_parse(new, &schema));
        if (*db && txn->type == JSON_NULL) {
            TRY(db_convert(*db, schema, &next));
        } else {
            next = db_new(schema);
        }
        db_free(*db);
        *db = TAKE(next);
    }
    if (txn->type == JSON_NULL) {
        return NULL;
    }
    return *db ? db_replay(*db, txn) : err_new(ERR_SYNTAX, "no schema comes before it");
}

struct err *
dbfile_of_cluster(const struct cluster_file *f, struct db **ret)
{
    CLEANUP(db_drop) struct db *db = NULL;
    const struct json *snapshot = cluster_file_snapshot(f);

    *ret = NULL;
    if (snapshot) {
        TRY(err_wrap(apply_entry(snapshot, &db), "%s: the snapshot", f->path));
    }
    for (size_t i = 0; i < f->entries.n; i++) {
        const struct json *data = f->entries.v[i].data;
        TRY(err_wrap(data ? apply_entry(data, &db) : NULL, "%s: entry %" PRId64, f->path,
                     f->prev_index + 1 + (int64_t) i));
    }
    *ret = TAKE(db);
    return NULL;
}
