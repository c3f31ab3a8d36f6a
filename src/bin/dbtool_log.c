/* bin/dbtool_log.c: show-log: what happened in a database, transaction by transaction, in
 * ovsdb-tool's form:
 *
 *     record 0: "T" schema, version="1.2.3", cksum="1 2"
 *
 *     record 1: 2026-11-21 22:54:26.976 "by uid 0 pid 12 unix#3"
 *       table A insert row "web" (1b1e5aad):
 *         i=5
 *
 * A comment is one JSON string in one line, whatever a client put into it. */
#include <stdio.h>

#include "base/str.h"
#include "bin/dbtool_i.h"

void
tool_names_done(struct tool_names *names)
{
    MAP_FOR_EACH (entry, &names->by_uuid) {
        free(entry->value);
    }
    map_done(&names->by_uuid);
}

static void
show_row(const struct table_schema *table, const struct json_member *row,
         struct tool_names *names, const char *table_name, bool is_diff, int more)
{
    const char *old = map_get(&names->by_uuid, row->name);
    const struct json *name =
        row->value.type == JSON_OBJECT ? json_get(&row->value, "name") : NULL;
    CLEANUP(free_drop) char *new = name ? json_text(name, JSON_SORTED) : NULL;

    if (old) {
        printf("  table %s row %s (%.8s)%s:\n", table_name, old, row->name,
               is_diff ? " diff" : "");
    } else if (new) {
        printf("  table %s insert row %s (%.8s):\n", table_name, new, row->name);
    } else {
        printf("  table %s insert row %.8s:\n", table_name, row->name);
    }
    if (row->value.type != JSON_OBJECT) {
        puts("    delete row");
        free(map_remove(&names->by_uuid, row->name));
        return;
    }
    for (uint32_t i = 0; i < row->value.n && more > 1; i++) {
        const struct json_member *cell = &row->value.members[i];
        CLEANUP(free_drop) char *text = tool_value_text(table, cell->name, &cell->value);
        printf("    %s=%s\n", cell->name, text);
    }
    if (!old || new) {
        free(map_put(&names->by_uuid, row->name,
                     new ? TAKE(new) : str_dupf("%.8s", row->name)));
    }
}

void
tool_show_rows(const struct schema *schema, const struct json *record,
               struct tool_names *names, int more)
{
    const struct json *diff = json_get(record, "_is_diff");
    for (uint32_t t = 0; t < record->n; t++) {
        const struct json_member *table = &record->members[t];
        if (table->name[0] == '_' || table->value.type != JSON_OBJECT) {
            continue;
        }
        for (uint32_t r = 0; r < table->value.n; r++) {
            show_row(schema ? schema_find_table(schema, table->name) : NULL,
                     &table->value.members[r], names, table->name, json_is(diff, JSON_TRUE),
                     more);
        }
    }
}

void
tool_show_when(const struct json *record)
{
    const char *comment = json_get_string(record, "_comment");
    int64_t date_ms;

    if (tool_date_of(record, &date_ms)) {
        CLEANUP(free_drop) char *date = tool_date_text(date_ms);
        printf(" %s", date);
    }
    if (comment) {
        CLEANUP(buf_done) struct buf quoted = BUF_INIT;
        json_print_string(comment, strlen(comment), &quoted);
        printf(" %s", buf_cstr(&quoted));
    }
}

static void
show_schema(uint64_t number, const struct schema *schema)
{
    printf("record %" PRIu64 ": \"%s\" schema, version=\"%s\", cksum=\"%s\"\n\n", number,
           schema->name, schema->version, schema->cksum);
}

/* What is not there any more cannot be shown; what is there can. */
static MUST_CHECK struct err *
open_what_is_left(const struct journal *journal, const char *path, struct journal **ret)
{
    unsigned n_gaps = 0;
    struct err *e = journal_open_archive(journal, ret, &n_gaps);

    if (e && err_is(e, ERR_NOT_FOUND)) {
        fprintf(stderr, "byre-dbtool: warning: %s\n", err_text(e));
        err_free(TAKE(e));
    } else if (n_gaps) {
        fprintf(
            stderr,
            "byre-dbtool: warning: the archive of %s is damaged in %u place%s: what was "
            "there is left out\n",
            path, n_gaps, n_gaps == 1 ? "" : "s");
    }
    return e;
}

/* Its length is in the file's first transaction. */
struct err *
tool_open_archive(const char *path, struct journal **ret)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct journal_snapshot snapshot;
    struct json record;
    bool more;

    TRY(journal_open(path, JOURNAL_READ_ONLY, &journal));
    TRY(journal_read(journal, &arena, &record, &more));
    TRY(journal_read(journal, &arena, &record, &more));
    if (more && dbfile_is_snapshot(&record, &snapshot) && snapshot.archive_bytes) {
        journal_set_snapshot(journal, &snapshot);
        return open_what_is_left(journal, path, ret);
    }
    return NULL;
}

/* All records of a journal.  In an archive a schema comes again and again. */
static MUST_CHECK struct err *
show_journal(struct tool *t, struct journal *journal, struct tool_names *names,
             uint64_t *number)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(schema_drop) struct schema *schema = NULL;
    struct json record;
    bool more;

    for (;; ++*number) {
        arena_reset(&arena);
        TRY(journal_read(journal, &arena, &record, &more));
        if (!more) {
            break;
        }
        if (!schema || json_get_string(&record, "name")) {
            schema_drop(&schema);
            TRY(schema_parse(&record, &schema));
            show_schema(*number, schema);
            continue;
        }
        printf("record %" PRIu64 ":", *number);
        tool_show_when(&record);
        putchar('\n');
        if (t->more) {
            tool_show_rows(schema, &record, names, t->more);
            putchar('\n');
        }
    }
    return tool_damage(journal);
}

struct err *
tool_show_log(struct tool *t, const char **args)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(db_close) struct journal *archive = NULL;
    CLEANUP(tool_names_done) struct tool_names names = { MAP_INIT };
    const char *path = tool_db(args[0]);
    uint64_t number = 0;

    if (tool_is_cluster(path)) {
        return tool_show_cluster_log(t, path);
    }
    if (t->archive) {
        TRY(tool_open_archive(path, &archive));
        TRY(archive ? show_journal(t, archive, &names, &number) : NULL);
    }
    TRY(journal_open(path, JOURNAL_READ_ONLY, &journal));
    return show_journal(t, journal, &names, &number);
}
