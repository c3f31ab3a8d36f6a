/* bin/dbtool_history.c: history: who changed what and when, from the archive of compactions and the file.
 *
 *     2026-11-21 22:54:26.976  vm demo modified  by uid 0 pid 12 unix#3: byre vm start demo
 *         state: "stopped" -> "running"
 *
 * A row's values are followed from its beginning, so that what was there before can be told.  A difference of a set or
 * map (_is_diff) is told as the difference. */
#include <stdio.h>

#include "base/str.h"
#include "bin/dbtool_i.h"

/* A row as far as the log has told it. */
struct past {
    char *name;        /* Its column "name", or the beginning of its UUID. */
    struct map values; /* Column to text; owned. */
};

struct walk {
    const struct tool *t;
    const char *table, *row; /* Asked for; NULL: all. */
    struct schema *schema;   /* Of the record at hand. */
    struct map rows;         /* By UUID, of struct past. */
    uint64_t n_shown;
};

static void
past_free(struct past *past)
{
    MAP_FOR_EACH (entry, &past->values) {
        free(entry->value);
    }
    map_done(&past->values);
    free(past->name);
    free(past);
}

static void
walk_done(struct walk *w)
{
    MAP_FOR_EACH (entry, &w->rows) {
        past_free(entry->value);
    }
    map_done(&w->rows);
    schema_drop(&w->schema);
}

static struct past *
past_of(struct walk *w, const char *uuid, bool *ret_new)
{
    struct past *past = map_get(&w->rows, uuid);
    *ret_new = !past;
    if (!past) {
        past = NEW(struct past);
        past->name = str_dupf("%.8s", uuid);
        map_put(&w->rows, uuid, past);
    }
    return past;
}

static bool
is_asked_for(const struct walk *w, const char *table, const char *uuid,
             const struct past *past)
{
    return (!w->table || str_eq(w->table, table)) &&
           (!w->row || str_eq(w->row, past->name) ||
            (strlen(w->row) >= 8 && str_starts(uuid, w->row)));
}

static int64_t
date_of(const struct json *record)
{
    int64_t date_ms;
    tool_date_of(record, &date_ms);
    return date_ms;
}

static void
print_head(const struct json *record, const char *table, const struct past *past,
           const char *change)
{
    const char *comment = json_get_string(record, "_comment");
    CLEANUP(free_drop) char *date = tool_date_text(date_of(record));

    printf("%s  %s %s %s", date, table, past->name, change);
    if (comment) {
        CLEANUP(buf_done) struct buf quoted = BUF_INIT;
        json_print_string(comment, strlen(comment),
                          &quoted); /* One line, whatever is in it. */
        printf("  %s", buf_cstr(&quoted));
    }
    putchar('\n');
}

static void
print_json(const struct json *record, const char *table, const char *uuid,
           const struct past *past, const char *change, const struct json *cells,
           bool is_diff)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    struct json out = json_object();
    const char *comment = json_get_string(record, "_comment");

    json_put(&a, &out, "at", json_int(date_of(record)));
    json_put(&a, &out, "comment", comment ? json_string_ref(comment) : json_null());
    json_put(&a, &out, "table", json_string_ref(table));
    json_put(&a, &out, "uuid", json_string_ref(uuid));
    json_put(&a, &out, "name", json_string_ref(past->name));
    json_put(&a, &out, "change", json_string_ref(change));
    json_put(&a, &out, "diff", json_bool(is_diff));
    if (cells->type == JSON_OBJECT) {
        json_put(&a, &out, "columns", *cells);
    }
    json_print(&out, 0, &line);
    puts(buf_cstr(&line));
}

/* Is 'value' but the difference of a set or a map? */
static bool
is_difference(const struct walk *w, const char *table, const char *name, bool is_diff)
{
    const struct table_schema *ts = schema_find_table(w->schema, table);
    const struct column *column = ts ? schema_find_column(ts, name) : NULL;
    return is_diff && column && column->type.n_max > 1;
}

/* Tells a column and takes its value over. */
static void
tell_cell(struct walk *w, const char *table, const struct json_member *cell,
          struct past *past, bool is_diff, bool shown)
{
    char *now =
        tool_value_text(schema_find_table(w->schema, table), cell->name, &cell->value);
    bool difference = is_difference(w, table, cell->name, is_diff);
    const char *then = map_get(&past->values, cell->name);

    if (shown && difference) {
        printf("    %s: differs by %s\n", cell->name, now);
    } else if (shown && then) {
        printf("    %s: %s -> %s\n", cell->name, then, now);
    } else if (shown) {
        printf("    %s: %s\n", cell->name, now);
    }
    if (difference) {
        free(map_remove(&past->values, cell->name)); /* Nobody added it up. */
        free(now);
    } else {
        free(map_put(&past->values, cell->name, now));
    }
}

static void
see_row(struct walk *w, const struct json *record, const char *table,
        const struct json_member *row, bool quiet)
{
    bool is_new, is_diff = json_is(json_get(record, "_is_diff"), JSON_TRUE);
    bool deleted = row->value.type != JSON_OBJECT;
    struct past *past = past_of(w, row->name, &is_new);
    const char *name = deleted ? NULL : json_get_string(&row->value, "name");
    const char *change = deleted ? "deleted" : is_new ? "inserted" : "modified";

    if (name) {
        free(past->name);
        past->name = str_dup(name);
    }
    bool shown = !quiet && is_asked_for(w, table, row->name, past);
    w->n_shown += shown;
    if (shown && w->t->json) {
        print_json(record, table, row->name, past, change, &row->value, is_diff);
    } else if (shown) {
        print_head(record, table, past, change);
    }
    for (uint32_t i = 0; !deleted && i < row->value.n; i++) {
        tell_cell(w, table, &row->value.members[i], past, is_diff, shown && !w->t->json);
    }
    if (deleted) {
        map_remove(&w->rows, row->name);
        past_free(past);
    }
}

/* A snapshot says again what is known: it is followed and not told. */
static void
see_record(struct walk *w, const struct json *record)
{
    struct journal_snapshot snapshot;
    bool quiet = date_of(record) < w->t->since_ms || dbfile_is_snapshot(record, &snapshot);

    for (uint32_t t = 0; t < record->n; t++) {
        const struct json_member *table = &record->members[t];
        if (table->name[0] == '_' || table->value.type != JSON_OBJECT) {
            continue;
        }
        for (uint32_t r = 0; r < table->value.n; r++) {
            see_row(w, record, table->name, &table->value.members[r], quiet);
        }
    }
}

static MUST_CHECK struct err *
see_journal(struct walk *w, struct journal *journal)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json record;
    bool more;

    for (;;) {
        arena_reset(&arena);
        TRY(journal_read(journal, &arena, &record, &more));
        if (!more) {
            break;
        } else if (json_get_string(&record, "name") && json_get(&record, "tables")) {
            schema_drop(&w->schema);
            TRY(schema_parse(&record, &w->schema));
        } else if (w->schema) {
            see_record(w, &record);
        }
    }
    return tool_damage(journal);
}

struct err *
tool_history(struct tool *t, const char **args)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(db_close) struct journal *archive = NULL;
    CLEANUP(walk_done)
    struct walk w = { .t = t, .table = args[1], .row = args[2], .rows = MAP_INIT };
    const char *path = tool_db(args[0]);

    TRY(tool_open_archive(path, &archive));
    TRY(archive ? see_journal(&w, archive) : NULL);
    TRY(journal_open(path, JOURNAL_READ_ONLY, &journal));
    TRY(see_journal(&w, journal));
    if (w.table && !schema_find_table(w.schema, w.table)) {
        return err_hint(err_new(ERR_NOT_FOUND, "the database has no table %s", w.table),
                        "byre-dbtool show-log %s", path);
    } else if (w.n_shown == 0) {
        t->status = TOOL_NO;
    }
    return NULL;
}
