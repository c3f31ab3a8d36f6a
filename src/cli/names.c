/* cli/names.c: rows by the names that people give them.  One transaction of selects
 * answers all names of a command; only a name that is not found costs a second one, for
 * the suggestion. */
#include "cli/names_i.h"

#include <fnmatch.h>

#include "cli/storage_i.h"
#include "cli/suggest_i.h"

#define UUID_PREFIX_MIN 8 /* Hex digits of a UUID that stand for the whole. */

const char *
names_column(const struct table_schema *table)
{
    if (schema_find_column(table, "name")) {
        return "name";
    }
    for (size_t i = 0; i < table->n_indexes; i++) {
        const struct index_schema *index = &table->indexes[i];
        if (index->n_columns == 1 && index->columns[0]->type.key.type == ATOM_STRING) {
            return index->columns[0]->name;
        }
    }
    return NULL;
}

/* A name in the parts that it may have. */
struct spec {
    const char *text;
    char *first, *second; /* "POOL/NAME": pool, name.  "NAME@NODE": node, name.  Owned. */
    struct uuid uuid;
    bool is_uuid, is_glob, is_path;
};

static void
spec_parse(const struct cli *cli, const char *table, const char *text, struct spec *ret)
{
    *ret = (struct spec){ .text = text };
    ret->is_uuid = uuid_parse(text, &ret->uuid);
    ret->is_glob = !cli->exact && is_glob(text);
    const char *slash = strchr(text, '/');
    const char *at = strrchr(text, '@');
    if (str_eq(table, "volume") && text[0] == '/') {
        ret->is_path = true;
    } else if (str_eq(table, "volume") && slash) {
        ret->first = str_dup_n(text, (size_t) (slash - text));
        ret->second = str_dup(slash + 1);
    } else if (str_eq(table, "pool") && at) {
        ret->first = str_dup(at + 1);
        ret->second = str_dup_n(text, (size_t) (at - text));
    }
    if (!ret->second) {
        ret->second = str_dup(text);
    }
}

static void
spec_done(struct spec *s)
{
    free(s->first);
    free(s->second);
}

/* The condition that finds it, as narrow as the server can make it. */
static struct json
spec_where(struct cli *cli, const struct table_schema *table, const struct spec *s)
{
    struct arena *a = &cli->arena;
    const char *column = names_column(table);
    struct json where = json_array();

    if (s->is_uuid) {
        return q_where_uuid(a, &s->uuid);
    } else if (s->is_glob || !column || str_eq(s->text, ".")) {
        return where;
    } else if (s->is_path) {
        json_add(a, &where, q_clause(a, "filepath", "==", json_string(a, s->text)));
    } else {
        json_add(a, &where, q_clause(a, column, "==", json_string(a, s->second)));
    }
    return where;
}

/* The table whose label comes before a row's own name ("POOL/", "@NODE"), by which
 * column. */
static const char *
parent_of(const char *table, const char **ret_column)
{
    if (str_eq(table, "volume")) {
        *ret_column = "pool";
        return "pool";
    } else if (str_eq(table, "pool")) {
        *ret_column = "hostnode";
        return "hostnode";
    }
    return NULL;
}

void
labels_done(struct labels *l)
{
    map_done(&l->by_uuid);
}

const char *
labels_get(const struct labels *l, const char *uuid)
{
    return map_get(&l->by_uuid, uuid);
}

static void
ask_for(struct cli *cli, const char *table, const char *columns, struct json *ops)
{
    json_add(&cli->arena, ops, q_select(&cli->arena, table, json_array(), columns));
}

void
labels_ask(struct cli *cli, const struct table_schema *table, struct json *ops)
{
    const char *column = names_column(table);
    if (str_eq(table->name, "volume")) {
        ask_for(cli, "pool", "_uuid,name", ops);
        ask_for(cli, "volume", "_uuid,name,pool", ops);
    } else if (column) {
        ask_for(cli, table->name, arena_printf(&cli->arena, "_uuid,%s", column), ops);
    }
}

static void
read_rows(struct cli *cli, struct labels *l, const struct json *rows, const char *column)
{
    for (uint32_t i = 0; i < rows->n; i++) {
        const struct json *row = &rows->elems[i];
        struct uuid uuid = row_uuid(row);
        struct uuid pool;
        const char *name = row_string(row, column);
        if (name && row_ref(row, "pool", &pool)) {
            const char *prefix = labels_get(l, UUID_TEXT(&pool));
            name = arena_printf(&cli->arena, "%s/%s", prefix ? prefix : "?", name);
        }
        if (name) {
            map_put(&l->by_uuid, UUID_TEXT(&uuid), (void *) (uintptr_t) name);
        }
    }
}

void
labels_read(struct cli *cli, struct labels *l, const struct table_schema *table,
            const struct json *results, size_t *i)
{
    const char *column = names_column(table);
    if (str_eq(table->name, "volume")) {
        read_rows(cli, l, q_rows(results, (*i)++), "name");
        read_rows(cli, l, q_rows(results, (*i)++), "name");
    } else if (column) {
        read_rows(cli, l, q_rows(results, (*i)++), column);
    }
}

/* The labels of the rows' parents: pools of volumes, nodes of pools. */
static struct err *
parents_read(struct cli *cli, const char *parent, struct labels *ret)
{
    struct json ops = json_array();
    struct json results;
    ask_for(cli, parent, "_uuid,name", &ops);
    TRY(db_transact(cli, &ops, &results));
    read_rows(cli, ret, q_rows(&results, 0), "name");

    const struct change_op *op;
    for (size_t i = 0; (op = change_inserted(&cli->change, parent, i)); i++) {
        const char *name = row_string(&op->row, "name");
        map_put(&ret->by_uuid, UUID_TEXT(&op->uuid),
                (void *) (uintptr_t) (name ? name : "?"));
    }
    return NULL;
}

struct search {
    struct cli *cli;
    const struct table_schema *table;
    const char *column;        /* That names the rows; or NULL. */
    const char *parent;        /* Table of the part before '/' or after '@'; or NULL. */
    const char *parent_column; /* The reference to it. */
    struct labels parents;
};

/* What people call the row; in the arena. */
static const char *
label_of(const struct search *s, const struct json *row)
{
    struct uuid uuid = row_uuid(row);
    const char *name = s->column ? row_string(row, s->column) : NULL;
    struct uuid parent;
    if (!name) {
        return arena_str(&s->cli->arena, UUID_TEXT(&uuid));
    } else if (str_eq(s->table->name, "volume") && row_ref(row, "pool", &parent)) {
        const char *pool = labels_get(&s->parents, UUID_TEXT(&parent));
        return arena_printf(&s->cli->arena, "%s/%s", pool ? pool : "?", name);
    }
    return name;
}

static bool
text_matches(const struct spec *spec, const char *pattern, const char *text)
{
    return spec->is_glob ? fnmatch(pattern, text, 0) == 0 : str_eq(pattern, text);
}

static bool
row_matches(const struct search *s, const struct spec *spec, const struct json *row)
{
    struct uuid uuid = row_uuid(row);
    struct uuid parent;
    const char *name = s->column ? row_string(row, s->column) : NULL;

    if (spec->is_uuid) {
        return uuid_eq(&uuid, &spec->uuid);
    } else if (str_eq(spec->text, ".") || spec->is_path) {
        return !spec->is_path || str_eq(row_string(row, "filepath"), spec->text);
    } else if (!name) { /* Only a table without names is found by half a UUID. */
        return !s->column && strlen(spec->text) >= UUID_PREFIX_MIN &&
               str_starts(UUID_TEXT(&uuid), spec->text);
    } else if (!text_matches(spec, spec->second, name)) {
        return false;
    } else if (!spec->first) {
        return true;
    }
    const char *label = row_ref(row, s->parent_column, &parent)
                            ? labels_get(&s->parents, UUID_TEXT(&parent))
                            : NULL;
    return label && text_matches(spec, spec->first, label);
}

static void
add_found(struct named_list *list, const struct search *s, const struct json *row)
{
    struct uuid uuid = row_uuid(row);
    for (size_t i = 0; i < list->n; i++) {
        if (uuid_eq(&list->v[i].uuid, &uuid)) {
            return;
        }
    }
    *VEC_ADD(list) = (struct named){ uuid, label_of(s, row), row };
}

/* Rows of 'rows', and of those about to be inserted, that 'spec' means. */
static void
collect(const struct search *s, const struct spec *spec, const struct json *rows,
        struct named_list *list)
{
    for (uint32_t i = 0; i < rows->n; i++) {
        if (row_matches(s, spec, &rows->elems[i])) {
            add_found(list, s, &rows->elems[i]);
        }
    }
    const struct change_op *op;
    for (size_t i = 0; (op = change_inserted(&s->cli->change, s->table->name, i)); i++) {
        if (row_matches(s, spec, &op->row)) {
            add_found(list, s, &op->row);
        }
    }
}

static struct err *
ambiguous(const struct search *s, const struct spec *spec, const struct named_list *found)
{
    const char *noun = noun_of_table(s->table->name);
    struct err *e =
        err_new(ERR_CONSTRAINT, "\"%s\" means %zu %ss", spec->text, found->n, noun);
    if (str_eq(noun, "vol")) {
        return err_hint(e, "say which: %s, %s ...", found->v[0].label, found->v[1].label);
    } else if (str_eq(noun, "pool")) {
        return err_hint(e, "say which: %s@NODE", spec->text);
    }
    return err_hint(e, "give more of it, or its UUID");
}

/* A unique beginning on a terminal; else the failure, with the name that was meant. */
static struct err *
not_found(const struct search *s, const struct spec *spec, const char *columns,
          struct named_list *ret)
{
    struct cli *cli = s->cli;
    struct json ops = json_array();
    struct json results;
    json_add(&cli->arena, &ops,
             q_select(&cli->arena, s->table->name, json_array(), columns));
    TRY(db_transact(cli, &ops, &results));

    const struct json *rows = q_rows(&results, 0);
    struct strvec labels = STRVEC_INIT;
    size_t n_before = ret->n;
    for (uint32_t i = 0; i < rows->n; i++) {
        const char *label = label_of(s, &rows->elems[i]);
        strvec_add(&labels, label);
        if (!cli->exact && cli->tty_in && cli->tty_out && spec->text[0] && !spec->is_glob &&
            str_starts(label, spec->text)) {
            add_found(ret, s, &rows->elems[i]);
        }
    }
    strvec_sort(&labels); /* Of several that are as near, the first. */
    struct err *e = NULL;
    const char *noun = noun_of_table(s->table->name);
    if (ret->n > n_before + 1) {
        e = err_hint(
            err_new(ERR_CONSTRAINT, "\"%s\" begins more than one name", spec->text),
            "give more of it");
    } else if (ret->n == n_before) {
        const char *near = spec->is_glob ? NULL : suggest(spec->text, &labels);
        e = spec->is_glob
                ? err_new(ERR_NOT_FOUND, "no %s matches \"%s\"", noun, spec->text)
                : err_new(ERR_NOT_FOUND, "there is no %s \"%s\"", noun, spec->text);
        e = near ? err_hint(e, "did you mean: %s", near)
                 : err_hint(e, "byre list %s shows what there is", noun);
    }
    strvec_done(&labels);
    return e;
}

/* What every lookup needs besides 'columns'. */
static const char *
with_names(struct cli *cli, const struct search *s, const char *columns)
{
    if (!columns) {
        return NULL;
    }
    return arena_printf(&cli->arena, "_uuid%s%s%s%s%s,%s", s->column ? "," : "",
                        s->column ? s->column : "", s->parent ? "," : "",
                        s->parent ? s->parent_column : "",
                        str_eq(s->table->name, "volume") ? ",filepath" : "", columns);
}

static int
by_label(const void *a, const void *b)
{
    return strcmp(((const struct named *) a)->label, ((const struct named *) b)->label);
}

static struct err *
match_one(struct search *s, const struct spec *spec, const struct json *rows,
          const char *columns, struct named_list *ret)
{
    struct named_list found = VEC_INIT;
    collect(s, spec, rows, &found);
    struct err *e = NULL;
    if (found.n == 0) {
        e = not_found(s, spec, columns, &found);
    } else if (found.n > 1 && !spec->is_glob) {
        e = ambiguous(s, spec, &found);
    }
    if (spec->is_glob && found.n) {
        qsort(found.v, found.n, sizeof *found.v, by_label);
    }
    for (size_t i = 0; i < found.n && !e; i++) {
        add_found(ret, s, found.v[i].row);
    }
    VEC_DONE(&found);
    return e;
}

static struct err *
match_all(struct cli *cli, const char *table_name, char *const *specs, size_t n,
          const char *columns, struct named_list *ret)
{
    TRY(cli_connect(cli));
    struct search s = { .cli = cli, .parents = LABELS_INIT };
    TRY(db_table(cli, table_name, &s.table));
    s.column = names_column(s.table);
    s.parent = parent_of(s.table->name, &s.parent_column);
    columns = with_names(cli, &s, columns);

    struct spec *parsed = xcalloc(n, sizeof *parsed);
    struct json ops = json_array();
    struct json results = json_array();
    for (size_t i = 0; i < n; i++) {
        spec_parse(cli, s.table->name, specs[i], &parsed[i]);
        json_add(&cli->arena, &ops,
                 q_select(&cli->arena, s.table->name, spec_where(cli, s.table, &parsed[i]),
                          columns));
    }
    struct err *e = s.parent ? parents_read(cli, s.parent, &s.parents) : NULL;
    if (!e) {
        e = db_transact(cli, &ops, &results);
    }
    for (size_t i = 0; i < n && !e; i++) {
        e = match_one(&s, &parsed[i], q_rows(&results, i), columns, ret);
    }
    for (size_t i = 0; i < n; i++) {
        spec_done(&parsed[i]);
    }
    free(parsed);
    labels_done(&s.parents);
    return e;
}

struct err *
names_match(struct cli *cli, const char *table_name, char *const *specs, size_t n,
            const char *columns, struct named_list *ret)
{
    size_t n_before = ret->n;
    struct err *e = match_all(cli, table_name, specs, n, columns, ret);
    if (err_is(e, ERR_NOT_FOUND) && str_eq(table_name, "volume") && n == 1 &&
        live_look_up(cli, specs[0])) {
        err_free(e);
        ret->n = n_before;
        return match_all(cli, table_name, specs, n, columns, ret);
    }
    return e;
}

struct err *
names_find(struct cli *cli, const char *table, const char *spec, const char *columns,
           struct named *ret)
{
    struct named_list list = VEC_INIT;
    char *const specs[] = { (char *) (uintptr_t) spec };
    struct err *e = names_match(cli, table, specs, 1, columns, &list);
    if (!e && list.n != 1) {
        e = err_hint(err_new(ERR_CONSTRAINT, "\"%s\" means %zu of them", spec, list.n),
                     "name exactly one");
    } else if (!e) {
        *ret = list.v[0];
    }
    VEC_DONE(&list);
    return e;
}
