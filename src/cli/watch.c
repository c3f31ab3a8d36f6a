/* cli/watch.c: what the monitor tells, on the screen as it comes.
 *
 * The server watches with the conditions it can evaluate; the rest is filtered here, so
 * a row that begins or ceases to fit shows as inserted or deleted.  Monitor conditions
 * are or-ed where select's are and-ed: so the server gets them only when there is one. */
#include "cli/watch_i.h"

#include <fnmatch.h>

#include "data/datum.h"
#include "loop/loop.h"

struct watch {
    struct cli *cli;
    const struct list *list;
    const struct filter *filter;
    const struct column **columns;
    size_t n_columns;
    struct out_style style;
    const char *sort;
    struct labels labels;
    struct map shown; /* Rows that fit, by UUID's text; the values say nothing. */
    struct out_table out;
    bool initial, redraw, headers_done;
};

/* Is it one of the names that were given?  They may be patterns; of POOL/NAME the name
 * counts. */
static bool
is_named(const struct watch *w, const struct json *row)
{
    const char *column = names_column(w->list->table);
    const char *name = column ? row_string(row, column) : NULL;
    struct uuid uuid = row_uuid(row);
    for (size_t i = 0; i < w->list->n_names; i++) {
        const char *spec = w->list->names[i];
        const char *slash = strrchr(spec, '/');
        if (str_eq(spec, UUID_TEXT(&uuid)) ||
            (name && fnmatch(slash ? slash + 1 : spec, name, 0) == 0)) {
            return true;
        }
    }
    return w->list->n_names == 0;
}

static bool
fits(const struct watch *w, const struct json *row)
{
    return is_named(w, row) && filter_matches(w->cli, w->filter, row);
}

static struct json
row_json(struct cli *cli, const struct replica_row *row)
{
    struct arena *a = &cli->arena;
    struct json j = json_object();
    json_put(a, &j, "_uuid", q_uuid(a, &row->uuid));
    for (size_t i = 0; i < row->table->n_watched; i++) {
        const struct column *c = row->table->watched[i];
        if (c->index != COLUMN_UUID) {
            json_put(a, &j, c->name, datum_json(a, &row->columns[c->index], &c->type));
        }
    }
    return j;
}

static struct err *
refresh_labels(struct watch *w)
{
    struct json ops = json_array();
    struct json results;
    for (int pass = 0; pass < 2; pass++) {
        size_t next = 0;
        for (size_t i = 0; i < w->n_columns; i++) {
            const struct base_type *key = &w->columns[i]->type.key;
            if (base_type_ref(key) == REF_NONE) {
                continue;
            } else if (pass == 0) {
                labels_ask(w->cli, key->uuid.ref_table, &ops);
            } else {
                labels_read(w->cli, &w->labels, key->uuid.ref_table, &results, &next);
            }
        }
        if (pass == 0 && ops.n == 0) {
            return NULL;
        } else if (pass == 0) {
            TRY(db_transact(w->cli, &ops, &results));
        }
    }
    return NULL;
}

static void
begin_table(struct watch *w)
{
    out_table_done(&w->out);
    w->out = (struct out_table) OUT_TABLE_INIT;
    if (!w->redraw) {
        out_add_column(&w->out, "action", UNIT_NONE, false);
    }
    for (size_t i = 0; i < w->n_columns; i++) {
        const char *name = w->columns[i]->name;
        out_add_column(&w->out, name, unit_of(w->list->table->name, name), false);
    }
}

static void
add_row(struct watch *w, const struct json *row, const char *action)
{
    const char *column = names_column(w->list->table);
    const char *name = column ? row_string(row, column) : NULL;
    struct uuid uuid = row_uuid(row);
    struct json *cells = out_add_row(&w->out, name ? name : UUID_TEXT(&uuid));
    if (!w->redraw) {
        cells[0] = json_string_ref(action);
    }
    list_cells(w->cli, &w->labels, w->columns, w->n_columns, row, cells + !w->redraw);
}

/* Does the change touch a column that is shown? */
static bool
is_visible(const struct watch *w, const struct replica_change *change)
{
    for (size_t i = 0; i < w->n_columns; i++) {
        if (replica_changed(change, w->columns[i]->name)) {
            return true;
        }
    }
    return false;
}

static void
on_changed(void *w_, const struct replica_change *change)
{
    struct watch *w = w_;
    if (change->row->table->schema != w->list->table &&
        !str_eq(change->row->table->schema->name, w->list->table->name)) {
        return;
    }
    struct json row = row_json(w->cli, change->row);
    const char *key = UUID_TEXT(&change->row->uuid);
    bool was = map_has(&w->shown, key);
    bool is = change->kind != REPLICA_DELETED && fits(w, &row);

    if (is) {
        map_put(&w->shown, key, w);
    } else {
        map_remove(&w->shown, key);
    }
    if (w->redraw || (!was && !is) || (was && is && !is_visible(w, change))) {
        return;
    }
    add_row(w, &row,
            w->initial  ? "initial"
            : was && is ? "modify"
            : is        ? "insert"
                        : "delete");
}

/* The whole table anew: the cursor goes home, each line is cleared to its end. */
static void
redraw(struct watch *w)
{
    begin_table(w);
    struct replica_table *table = replica_table(w->cli->replica, w->list->table->name);
    REPLICA_FOR_EACH (row, table) {
        struct json j = row_json(w->cli, row);
        if (fits(w, &j)) {
            add_row(w, &j, NULL);
        }
    }
    if (out_find_column(&w->out, w->sort + (w->sort[0] == '-')) >= 0) {
        out_sort(&w->out, w->sort);
    }
    fputs("\033[H\033[J", stdout);
    out_print(&w->out, &w->style, stdout);
    fflush(stdout);
}

static void
on_batch(void *w_)
{
    struct watch *w = w_;
    if (w->redraw) {
        w->initial = false;
        redraw(w);
        arena_reset(&w->cli->arena);
        return;
    }
    if (w->out.rows.n || !w->headers_done) {
        if (w->initial && out_find_column(&w->out, w->sort + (w->sort[0] == '-')) >= 0) {
            out_sort(&w->out, w->sort);
        }
        struct out_style style = w->style;
        style.no_headers |= w->headers_done;
        out_print(&w->out, &style, stdout);
        fflush(stdout);
        w->headers_done = true;
    }
    w->initial = false;
    begin_table(w);
    arena_reset(&w->cli->arena);
}

static bool
never(void *aux)
{
    return ferror(stdout) != 0; /* Whoever read it is gone. */
}

static void
watch_columns(struct watch *w, const char *columns)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const char *name = names_column(w->list->table);
    buf_printf(&b, "%s%s%s", columns, name ? "," : "", name ? name : "");
    filter_columns(w->filter, &b);

    struct json names = q_columns(&w->cli->arena, buf_cstr(&b));
    const char **list = arena_zalloc(&w->cli->arena, (names.n + 1) * sizeof *list);
    for (uint32_t i = 0; i < names.n; i++) {
        list[i] = names.elems[i].string;
    }
    struct json where = filter_where(w->cli, w->filter);
    replica_watch(w->cli->replica, w->list->table->name, list, where.n == 1 ? &where : NULL,
                  NULL);
}

struct err *
watch_run(struct cli *cli, const struct args *args, const struct list *l,
          const struct filter *filter, const char *columns)
{
    struct watch w = { .cli = cli,
                       .list = l,
                       .filter = filter,
                       .labels = LABELS_INIT,
                       .shown = MAP_INIT,
                       .out = OUT_TABLE_INIT,
                       .initial = true };
    w.style = cli_style(cli, args);
    w.style.format = w.style.format == OUT_JSON ? OUT_JSONL : w.style.format;
    w.redraw = !l->action && cli->tty_out && w.style.format <= OUT_WIDE;
    w.sort = args_get(args, "sort") ? args_get(args, "sort") : "name";
    TRY(list_columns(cli, l->table, columns, &w.columns, &w.n_columns));
    TRY(cli->raw ? NULL : refresh_labels(&w));

    begin_table(&w);
    watch_columns(&w, columns);
    cli->on_changed = on_changed;
    cli->on_batch = on_batch;
    cli->on_aux = &w;

    /* From here on the arena is emptied after each batch, for this may run for weeks. */
    struct arena kept = cli->arena;
    cli->arena = ARENA_INIT;
    struct err *e = replica_wait_ready(cli->replica, CALL_MS);
    if (!e) {
        bool ends = args_has(args, "timeout") && cli->timeout_ms;
        if (w.initial) { /* There was nothing, so no batch. */
            on_batch(&w);
        }
        e = replica_wait_until(cli->replica, never, &w, ends ? cli->timeout_ms : -1);
    }
    arena_done(&cli->arena);
    cli->arena = kept;
    if (err_is(e, ERR_TIMEOUT)) { /* It was asked to stop then. */
        err_free(e);
        e = NULL;
    }
    cli->on_changed = NULL;
    cli->on_batch = NULL;
    out_table_done(&w.out);
    labels_done(&w.labels);
    map_done(&w.shown);
    return e;
}

struct until {
    struct cli *cli;
    const struct filter *filter;
    const char *table;
    bool gone;
};

static bool
is_so(void *u_)
{
    struct until *u = u_;
    struct replica_table *table = replica_table(u->cli->replica, u->table);
    size_t n_rows = 0;
    REPLICA_FOR_EACH (row, table) {
        struct json j = row_json(u->cli, row);
        n_rows++;
        if (!u->gone && filter_matches(u->cli, u->filter, &j)) {
            return true;
        }
    }
    return u->gone && n_rows == 0;
}

/* "status=shutoff, error=[]": how the row is now. */
static struct err *
not_so(struct until *u, const char *what)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct replica_table *table = replica_table(u->cli->replica, u->table);
    REPLICA_FOR_EACH (row, table) {
        for (size_t i = 0; i < table->n_watched; i++) {
            const struct column *c = table->watched[i];
            buf_printf(&b, "%s%s=", b.n ? ", " : "", c->name);
            datum_print_text(&row->columns[c->index], &c->type, &b);
        }
    }
    struct err *e = err_new(ERR_TIMEOUT, "not within %" PRId64 " s; it has %s",
                            u->cli->timeout_ms / 1000, b.n ? buf_cstr(&b) : "no row");
    return fail_as(err_wrap(e, "%s", what), EXIT_TIMED_OUT);
}

struct err *
watch_until(struct cli *cli, const struct table_schema *table, const char *spec,
            const struct filter *filter, bool gone)
{
    struct arena *a = &cli->arena;
    struct until u = { cli, filter, table->name, gone };
    struct json where = json_array();
    const char *column = names_column(table);
    struct uuid uuid;
    struct named found;

    struct err *e = names_find(cli, table->name, spec, "_uuid", &found);
    if (!e) {
        where = q_where_uuid(a, &found.uuid);
    } else if (err_is(e, ERR_NOT_FOUND) && gone) {
        err_free(e);
        return NULL;
    } else if (err_is(e, ERR_NOT_FOUND) && uuid_parse(spec, &uuid)) {
        where = q_where_uuid(a, &uuid);
    } else if (err_is(e, ERR_NOT_FOUND) && column && !strchr(spec, '/')) {
        json_add(a, &where, q_clause(a, column, "==", json_string(a, spec)));
    } else {
        return e;
    }
    err_free(e);

    CLEANUP(buf_done) struct buf names = BUF_INIT;
    filter_columns(filter, &names);
    struct json columns = q_columns(a, names.n ? buf_cstr(&names) : "_uuid");
    const char **list = arena_zalloc(a, (columns.n + 1) * sizeof *list);
    for (uint32_t i = 0; i < columns.n; i++) {
        list[i] = columns.elems[i].string;
    }
    replica_watch(cli->replica, table->name, list, &where, NULL);
    TRY(replica_wait_ready(cli->replica, CALL_MS));
    e = replica_wait_until(cli->replica, is_so, &u, cli->timeout_ms ? cli->timeout_ms : -1);
    if (err_is(e, ERR_TIMEOUT)) {
        err_free(e);
        CLEANUP(free_drop) char *what = str_dupf("%s %s", noun_of_table(table->name), spec);
        return not_so(&u, what);
    }
    return e;
}
