/* bin/dbtool_rewrite.c: the rows of a database in a new file, perhaps under another schema: in the
 * place of the old file, or elsewhere.  Either way the new file appears whole or not at all. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "bin/dbtool_i.h"

static MUST_CHECK struct err *
fill(const char *path, const struct db *db, const char *comment)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json record;
    uint64_t seq;
    bool more = true;

    schema_print(db_schema(db), &text);
    TRY(journal_create(path, buf_cstr(&text)));
    TRY(journal_open(path, 0, &journal));
    while (more) {
        TRY(journal_read(journal, &arena, &record, &more));
    }
    buf_clear(&text);
    db_snapshot(db, clock_wall_ms(), comment, &text);
    TRY(journal_append(journal, text.data, text.n, &seq));
    return journal_sync(journal);
}

/* Writes beside 'path' and then takes its place. */
struct err *
tool_write_db(const char *path, const struct db *db, const char *comment)
{
    CLEANUP(free_drop) char *new = str_dupf("%s.tmp", path);
    CLEANUP(free_drop) char *dir = path_dir(path);
    CLEANUP(free_drop) char *lock = str_dupf("%s/.%s.~lock~", dir, path_base(new));

    unlink(new); /* Of a run that was killed. */
    struct err *e = fill(new, db, comment);
    if (!e && rename(new, path) < 0) {
        e = err_io(errno, "rename %s to %s", new, path);
    }
    if (e) {
        unlink(new);
    }
    unlink(lock);
    return e ? e : fs_sync_dir(dir);
}

struct err *
tool_compact(struct tool *t, const char **args)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(db_drop) struct db *db = NULL;
    const char *path = tool_db(args[0]);
    const char *comment = "compacted by byre-dbtool " BYRE_VERSION;

    TRY(t->cut ? tool_open(path, 0, &journal, &db)
               : tool_open(path, args[1] ? JOURNAL_READ_ONLY : 0, &journal, &db));
    if (args[1]) {
        const struct journal_damage *d = journal_damage(journal);
        if (d->why && !t->cut) {
            return err_hint(err_new(ERR_SYNTAX, "%s: %s", path, err_text(d->why)),
                            "see: byre-dbtool check %s; --cut copies what is before the "
                            "damage",
                            path);
        }
        return tool_write_db(args[1], db, comment);
    }
    int64_t before = journal_size(journal);
    if (t->cut) {
        journal_allow_cut(journal);
    }
    TRY(dbfile_compact(journal, db, comment));
    if (t->more) {
        printf("%s: %" PRId64 " bytes before, %" PRId64 " after\n", path, before,
               journal_size(journal));
    }
    return NULL;
}

struct err *
tool_convert(struct tool *t UNUSED, const char **args)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(db_drop) struct db *db = NULL;
    CLEANUP(db_drop) struct db *converted = NULL;
    const char *comment = "converted by byre-dbtool " BYRE_VERSION;

    TRY(tool_schema(args[1], &schema));
    TRY(tool_open_good(tool_db(args[0]), args[2] ? JOURNAL_READ_ONLY : 0, &journal, &db));
    TRY(db_convert(db, schema, &converted));
    return args[2] ? tool_write_db(args[2], converted, comment)
                   : dbfile_replace(journal, converted, comment);
}
