/* db/monitor.c: reading monitor requests; what a client missed; new conditions. */
#include "db/monitor.h"

#include "data/rfc7047.h"
#include "db/history_i.h"
#include "db/monitor_i.h"
#include "json/decode.h"

struct parse {
    struct db *db;
    bool v1;
    struct watch **watches; /* Array, by table. */
    size_t n;
};

static struct err *
parse_select(const struct table *t, const struct json *j, unsigned *ret)
{
    static const char *const names[] = { "initial", "insert", "delete", "modify" };
    unsigned select = 0;
    struct decode d;
    decode_begin(&d, j, "table %s select", t->schema->name);
    for (size_t i = 0; i < N_ELEMS(names); i++) {
        select |= decode_bool(&d, names[i], DECODE_OPTIONAL, true) ? 1u << i : 0;
    }
    TRY(rfc_decode_end(&d, j));
    *ret = select;
    return NULL;
}

static struct err *
add_column(struct watch_request *r, const struct column *c, unsigned select,
           const struct json *syntax)
{
    VEC_FOR_EACH (struct shape_column *sc, &r->columns) {
        if (sc->column == c) {
            return rfc_syntax(syntax, "column %s mentioned more than once", c->name);
        }
    }
    *VEC_ADD(&r->columns) = (struct shape_column){ c, select };
    return NULL;
}

static struct err *
add_columns(struct watch_request *r, const struct json *columns, unsigned select)
{
    const struct table_schema *ts = r->table->schema;
    for (uint32_t i = COLUMN_VERSION; i < ts->n_columns && !columns; i++) {
        TRY(add_column(r, &ts->columns[i], select, NULL));
    }
    for (uint32_t i = 0; columns && i < columns->n; i++) {
        const struct json *name = &columns->elems[i];
        if (name->type != JSON_STRING) {
            return rfc_syntax(columns, "array of column names expected");
        }
        const struct column *c = schema_find_column(ts, name->string);
        if (!c) {
            return rfc_syntax(columns, "%s is not a valid column name", name->string);
        }
        TRY(add_column(r, c, select, columns));
    }
    return NULL;
}

/* One <monitor-request>. */
static struct err *
add_request(struct watch_request *r, const struct json *j, bool v1, bool first)
{
    struct decode d;
    decode_begin(&d, j, "table %s", r->table->schema->name);
    const struct json *where =
        v1 ? NULL : decode_member(&d, "where", DECODE_ARRAY | DECODE_OPTIONAL);
    const struct json *columns =
        decode_member(&d, "columns", DECODE_ARRAY | DECODE_OPTIONAL);
    const struct json *select_json =
        decode_member(&d, "select", DECODE_OBJECT | DECODE_OPTIONAL);
    TRY(rfc_decode_end(&d, j));

    unsigned select = SELECT_ALL;
    if (select_json) {
        TRY(parse_select(r->table, select_json, &select));
    }
    r->select |= select;
    if (first) { /* Of several requests for a table the first one's condition counts. */
        r->where = where;
    }
    return add_columns(r, columns, select);
}

static struct err *
parse_table(struct parse *p, const struct json_member *m)
{
    struct watch_request r = { .table = db_table(p->db, m->name) };
    if (!r.table) {
        return rfc_err(RFC_SYNTAX, "no table named %s", m->name);
    }
    struct err *e = NULL;
    if (m->value.type == JSON_ARRAY) {
        for (uint32_t i = 0; i < m->value.n && !e; i++) {
            e = add_request(&r, &m->value.elems[i], p->v1, i == 0);
        }
    } else {
        e = add_request(&r, &m->value, p->v1, true);
    }
    if (!e) {
        e = watch_get(p->db, &r, p->v1, &p->watches[p->n]);
        p->n += !e;
    }
    VEC_DONE(&r.columns);
    return e;
}

static int
watch_cmp(const void *a, const void *b)
{
    uint32_t x = (*(struct watch *const *) a)->shape->table->schema->index;
    uint32_t y = (*(struct watch *const *) b)->shape->table->schema->index;
    return x < y ? -1 : x > y;
}

static struct err *
parse_requests(struct parse *p, const struct json *requests)
{
    struct err *e = NULL;
    for (uint32_t i = 0; i < requests->n && !e; i++) {
        e = parse_table(p, &requests->members[i]);
    }
    if (e) {
        while (p->n) {
            watch_unref(p->db, p->watches[--p->n]);
        }
        return e;
    }
    if (p->n) {
        qsort(p->watches, p->n, sizeof *p->watches, watch_cmp);
    }
    return NULL;
}

struct err *
monitor_new(struct db *db, const struct json *requests, enum monitor_version version,
            void *user, struct monitor **ret)
{
    if (requests->type != JSON_OBJECT) {
        return rfc_err(RFC_SYNTAX, "monitor-requests must be object");
    }
    CLEANUP(free_drop) struct watch **watches = xcalloc(requests->n + 1, sizeof *watches);
    struct parse p = { .db = db, .v1 = version == MONITOR_V1, .watches = watches };
    TRY(parse_requests(&p, requests));

    struct monitor *m = NEW(struct monitor);
    *m = (struct monitor){ .db = db, .user = user, .version = version };
    m->kind = kind_get(db, watches, p.n);
    list_push_back(&m->kind->monitors, &m->in_kind);
    db->watches->n_monitors++;
    *ret = m;
    return NULL;
}

void
monitor_free(struct monitor *m)
{
    if (m) {
        kind_leave(m->db, m);
        m->db->watches->n_monitors--;
        free(m);
    }
}

void *
monitor_user(const struct monitor *m)
{
    return m->user;
}

enum monitor_version
monitor_version(const struct monitor *m)
{
    return m->version;
}

/* Appends "T":{rows} unless there is none. */
static void
print_table(struct buf *buf, const struct watch *w, struct buf *rows)
{
    if (rows->n) {
        buf_str(buf, buf->n > 1 ? ",\"" : "\"");
        buf_str(buf, w->shape->table->schema->name);
        buf_str(buf, "\":{");
        buf_add(buf, rows->data, rows->n);
        buf_char(buf, '}');
        buf_clear(rows);
    }
}

/* Does it show, or depend on, what a restart changes? */
static bool
is_volatile(const struct column *c)
{
    return c->index == COLUMN_VERSION || (c->index >= N_SPECIAL_COLUMNS && !c->persistent);
}

static bool
watch_is_volatile(const struct watch *w)
{
    for (size_t i = 0; i < w->shape->n_columns; i++) {
        if (is_volatile(w->shape->columns[i].column)) {
            return true;
        }
    }
    for (size_t i = 0; i < w->n_clauses; i++) {
        if (is_volatile(w->clauses[i].column)) {
            return true;
        }
    }
    return false;
}

static void
print_missed(const struct watch *w, struct missed *list, struct buf *rows)
{
    for (struct missed *m = list; m; m = m->next) {
        struct change *ch = &m->change;
        struct row *row = ch->row;
        if (!row) {
            continue;
        }
        row->change = ch; /* As if it was being committed. */
        row->table->db->watches->change_no++;
        bool before = !ch->inserted && watch_matches(w, row, true);
        bool after = !ch->deleted && watch_matches(w, row, false);
        if (before || after) {
            update_print_row(w->shape, row,
                             !before  ? ROW_INSERT
                             : !after ? ROW_DELETE
                                      : ROW_MODIFY,
                             rows);
        }
        row->change = NULL;
    }
}

static struct bytes *
print_all_missed(const struct kind *k, struct missed **missed)
{
    CLEANUP(buf_done) struct buf rows = BUF_INIT;
    struct buf buf = BUF_INIT;
    buf_char(&buf, '{');
    for (size_t i = 0; i < k->n_links; i++) {
        const struct watch *w = k->links[i].watch;
        print_missed(w, missed[w->shape->table->schema->index], &rows);
        print_table(&buf, w, &rows);
    }
    buf_char(&buf, '}');
    return bytes_take(&buf);
}

struct bytes *
monitor_since(struct monitor *m, const struct uuid *id)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct kind *k = m->kind;
    bool is_old;
    struct missed **missed =
        uuid_is_zero(id) ? NULL : history_since(m->db, id, &arena, &is_old);

    for (size_t i = 0; i < k->n_links && missed && is_old; i++) {
        missed = watch_is_volatile(k->links[i].watch) ? NULL : missed;
    }
    return missed ? print_all_missed(k, missed) : NULL;
}

struct bytes *
monitor_missed(struct monitor *m, uint64_t seq)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct missed **missed = history_since_seq(m->db, seq, &arena);
    return missed ? print_all_missed(m->kind, missed) : NULL;
}

/* Which link of 'k' a table's monitor-cond-change requests are for. */
static struct err *
find_link(struct db *db, const struct kind *k, const struct json_member *m, size_t *ret)
{
    const struct table *t = db_table(db, m->name);
    if (!t) {
        return rfc_err(RFC_SYNTAX, "no table named %s", m->name);
    }
    size_t i = 0;
    while (i < k->n_links && k->links[i].watch->shape->table != t) {
        i++;
    }
    if (i == k->n_links) {
        return rfc_err(RFC_SYNTAX, "no table named %s in monitor session", m->name);
    } else if (m->value.type != JSON_ARRAY) {
        return rfc_err(RFC_SYNTAX, "table %s no monitor-cond-change JSON array", m->name);
    }
    *ret = i;
    return NULL;
}

/* One of them: '*watch' becomes what shows the same under its condition. */
static struct err *
change_watch(struct db *db, const char *table, const struct json *j, struct watch **watch)
{
    struct decode d;
    decode_begin(&d, j, "table %s", table);
    const struct json *where = decode_member(&d, "where", DECODE_ARRAY | DECODE_OPTIONAL);
    if (decode_member(&d, "columns", DECODE_ANY | DECODE_OPTIONAL)) {
        err_free(decode_end(&d));
        return rfc_syntax(j, "changing columns is unsupported");
    }
    TRY(rfc_decode_end(&d, j));

    const struct shape *shape = (*watch)->shape;
    struct watch_request r = { .table = shape->table,
                               .select = shape->select,
                               /* RFC 7047's has none, nor gets one. */
                               .where = shape->v1 ? NULL : where };
    for (size_t c = 0; c < shape->n_columns; c++) {
        *VEC_ADD(&r.columns) = shape->columns[c];
    }
    struct watch *new = NULL;
    struct err *e = watch_get(db, &r, shape->v1, &new);
    VEC_DONE(&r.columns);
    TRY(e);
    watch_unref(db, *watch);
    *watch = new;
    return NULL;
}

/* What a client must hear when a table's condition changes. */
static void
print_difference(const struct watch *old, const struct watch *new, struct buf *rows)
{
    if (old == new) {
        return;
    }
    HMAP_FOR_EACH (struct row, row, node, &new->shape->table->rows) {
        bool before = watch_matches(old, row, false),
             after = watch_matches(new, row, false);
        if (before != after) {
            update_print_row(new->shape, row, after ? ROW_INSERT : ROW_DELETE, rows);
        }
    }
}

static struct err *
parse_changes(struct monitor *m, const struct json *requests, struct watch **watches)
{
    struct kind *k = m->kind;
    for (size_t i = 0; i < k->n_links; i++) {
        watches[i] = k->links[i].watch;
        watches[i]->n_refs++;
    }
    for (uint32_t i = 0; i < requests->n; i++) {
        const struct json_member *of_table = &requests->members[i];
        size_t at = 0;
        TRY(find_link(m->db, k, of_table, &at));
        for (uint32_t n = 0; n < of_table->value.n; n++) { /* The last one stays. */
            TRY(change_watch(m->db, of_table->name, &of_table->value.elems[n],
                             &watches[at]));
        }
    }
    return NULL;
}

struct err *
monitor_change(struct monitor *m, const struct json *requests, struct bytes **ret_updates)
{
    if (requests->type != JSON_OBJECT) {
        return rfc_err(RFC_SYNTAX, "monitor-cond-change-requests must be object");
    }
    struct kind *k = m->kind;
    size_t n = k->n_links;
    CLEANUP(free_drop) struct watch **watches = xcalloc(n + 1, sizeof *watches);
    struct err *e = parse_changes(m, requests, watches);
    if (e) {
        for (size_t i = 0; i < n; i++) {
            watch_unref(m->db, watches[i]);
        }
        return e;
    }

    struct buf buf = BUF_INIT;
    CLEANUP(buf_done) struct buf rows = BUF_INIT;
    buf_char(&buf, '{');
    for (size_t i = 0; i < n; i++) {
        print_difference(k->links[i].watch, watches[i], &rows);
        print_table(&buf, watches[i], &rows);
    }
    buf_char(&buf, '}');

    struct kind *new = kind_get(m->db, watches, n);
    if (new != k) {
        kind_leave(m->db, m);
        m->kind = new;
        list_push_back(&new->monitors, &m->in_kind);
    }
    bool any = buf.n > 2;
    *ret_updates = any ? bytes_take(&buf) : NULL;
    buf_done(&buf);
    return NULL;
}
