/* db/watch.c: the shared parts of monitors: making, finding by text, dropping. */
#include "db/monitor_i.h"

#include "base/str.h"

void
watches_init(struct db *db)
{
    db->watches = NEW(struct watch_db);
    for (size_t i = 0; i < db->schema->n_tables; i++) {
        struct watch_table *wt = NEW(struct watch_table);
        list_init(&wt->all);
        list_init(&wt->tried);
        list_init(&wt->snapshots);
        wt->n_probes = xcalloc(db->schema->tables[i].n_columns, sizeof *wt->n_probes);
        db->tables[i].watches = wt;
    }
}

void
watches_done(struct db *db)
{
    ASSERT(db->watches->n_monitors == 0);
    for (size_t i = 0; i < db->schema->n_tables; i++) {
        struct watch_table *wt = db->tables[i].watches;
        snapshots_done(wt);
        hmap_done(&wt->probes);
        map_done(&wt->shapes);
        free(wt->n_probes);
        free(wt);
    }
    map_done(&db->watches->watches);
    map_done(&db->watches->kinds);
    VEC_DONE(&db->watches->hot);
    VEC_DONE(&db->watches->hot_kinds);
    free(db->watches);
}

void
watches_count(const struct db *db, struct db_figures *ret)
{
    ret->n_monitors = db->watches->n_monitors;
    ret->n_monitor_kinds = map_count(&db->watches->kinds);
}

static int
shape_column_cmp(const void *a, const void *b)
{
    uint32_t x = ((const struct shape_column *) a)->column->index;
    uint32_t y = ((const struct shape_column *) b)->column->index;
    return x < y ? -1 : x > y;
}

/* Printing a row copies them. */
static void
print_labels(struct shape *s)
{
    struct buf labels = BUF_INIT;
    for (size_t i = 0; i < s->n_columns; i++) {
        buf_printf(&labels, ",\"%s\":", s->columns[i].column->name);
    }
    s->labels = buf_take(&labels);
    const char *at = s->labels;
    for (size_t i = 0; i < s->n_columns; i++) {
        s->columns[i].label = at;
        s->columns[i].n_label = strlen(s->columns[i].column->name) + strlen(",\"\":");
        at += s->columns[i].n_label;
    }
}

static struct shape *
shape_get(struct watch_request *r, bool v1)
{
    CLEANUP(buf_done) struct buf key = BUF_INIT;
    if (r->columns.n) {
        qsort(r->columns.v, r->columns.n, sizeof *r->columns.v, shape_column_cmp);
    }
    buf_printf(&key, "%d %x", v1, r->select);
    VEC_FOR_EACH (struct shape_column *sc, &r->columns) {
        buf_printf(&key, " %" PRIu32 ":%x", sc->column->index, sc->select);
    }

    struct map *shapes = &r->table->watches->shapes;
    struct shape *s = map_get(shapes, buf_cstr(&key));
    if (s) {
        s->n_refs++;
        return s;
    }
    s = NEW(struct shape);
    *s = (struct shape){ .n_refs = 1, .table = r->table, .v1 = v1, .select = r->select };
    s->columns = xmemdup(r->columns.v, r->columns.n * sizeof *s->columns);
    s->n_columns = r->columns.n;
    print_labels(s);
    s->key = buf_take(&key);
    map_put(shapes, s->key, s);
    return s;
}

static void
shape_unref(struct shape *s)
{
    if (--s->n_refs == 0) {
        map_remove(&s->table->watches->shapes, s->key);
        for (size_t i = 0; i < N_ELEMS(s->cache); i++) {
            buf_done(&s->cache[i]);
        }
        free(s->columns);
        free(s->labels);
        free(s->key);
        free(s);
    }
}

/* An equality that hashing the row's values finds: each row that meets it holds 'arg's one key. */
static bool
is_probe(const struct clause *cl)
{
    const struct type *t = &cl->column->type;
    return cl->arg.n == 1 && !type_is_map(t) &&
           (cl->op == COND_INCLUDES || (cl->op == COND_EQ && t->n_max == 1));
}

/* Or-ed: a literal true makes all others needless, a literal false is needless. */
static struct err *
parse_where(struct watch *w, const struct table *t, const struct json *where)
{
    if (!where || where->n == 0) {
        w->all = true;
        return NULL;
    }
    w->clauses = xcalloc(where->n, sizeof *w->clauses);
    for (uint32_t i = 0; i < where->n; i++) {
        struct clause cl;
        TRY(clause_parse(&cl, t, &where->elems[i], NULL));
        if (cl.op == COND_TRUE) {
            w->all = true;
        } else if (cl.op != COND_FALSE) {
            w->clauses[w->n_clauses++] = cl;
        }
    }
    return NULL;
}

static void
join_table(struct watch *w, struct watch_table *wt)
{
    bool probes = !w->all;
    for (size_t i = 0; i < w->n_clauses && probes; i++) {
        probes = is_probe(&w->clauses[i]);
    }
    list_init(&w->in_table);
    if (!probes) {
        list_push_back(w->all ? &wt->all : &wt->tried, &w->in_table);
        return;
    }
    w->probes = xcalloc(w->n_clauses + 1, sizeof *w->probes);
    for (size_t i = 0; i < w->n_clauses; i++) {
        const struct clause *cl = &w->clauses[i];
        struct probe *p = &w->probes[i];
        *p = (struct probe){ .watch = w,
                             .column = cl->column->index,
                             .value = datum_key(&cl->arg, 0) };
        hmap_insert(&wt->probes, &p->node,
                    atom_hash(p->value, cl->column->type.key.type, p->column));
        wt->n_probes[p->column]++;
    }
}

static void
watch_free(struct watch *w)
{
    for (size_t i = 0; i < w->n_clauses; i++) {
        clause_done(&w->clauses[i]);
    }
    free(w->clauses);
    free(w->probes);
    shape_unref(w->shape);
    buf_done(&w->rows);
    free(w->key);
    free(w);
}

struct err *
watch_get(struct db *db, struct watch_request *r, bool v1, struct watch **ret)
{
    CLEANUP(buf_done) struct buf key = BUF_INIT;
    struct shape *shape = shape_get(r, v1);
    buf_printf(&key, "%" PRIu32 " %s ", r->table->schema->index, shape->key);
    if (r->where && r->where->n) {
        json_print(r->where, JSON_SORTED, &key);
    }
    struct watch *w = map_get(&db->watches->watches, buf_cstr(&key));
    if (w) {
        shape_unref(shape);
        w->n_refs++;
        *ret = w;
        return NULL;
    }

    w = NEW(struct watch);
    *w = (struct watch){ .n_refs = 1, .shape = shape };
    list_init(&w->links);
    struct err *e = parse_where(w, r->table, r->where);
    if (e) {
        watch_free(w);
        return e;
    }
    w->key = buf_take(&key);
    map_put(&db->watches->watches, w->key, w);
    join_table(w, r->table->watches);
    *ret = w;
    return NULL;
}

void
watch_unref(struct db *db, struct watch *w)
{
    if (--w->n_refs > 0) {
        return;
    }
    struct watch_table *wt = w->shape->table->watches;
    map_remove(&db->watches->watches, w->key);
    list_remove(&w->in_table);
    for (size_t i = 0; i < w->n_clauses && w->probes; i++) {
        hmap_remove(&wt->probes, &w->probes[i].node);
        wt->n_probes[w->probes[i].column]--;
    }
    watch_free(w);
}

bool
watch_matches(const struct watch *w, const struct row *row, bool before)
{
    struct datum room;
    if (w->all) {
        return true;
    }
    for (size_t i = 0; i < w->n_clauses; i++) {
        const struct clause *cl = &w->clauses[i];
        const struct datum *d = before ? change_old_cell(row->change, cl->column, &room)
                                       : row_get(row, cl->column, &room);
        if (clause_holds(cl, d)) {
            return true;
        }
    }
    return false;
}

struct kind *
kind_get(struct db *db, struct watch **watches, size_t n)
{
    CLEANUP(buf_done) struct buf key = BUF_INIT;
    for (size_t i = 0; i < n; i++) {
        buf_printf(&key, "%s\n", watches[i]->key);
    }
    struct kind *k = map_get(&db->watches->kinds, buf_cstr(&key));
    if (k) {
        for (size_t i = 0; i < n; i++) {
            watch_unref(db, watches[i]); /* The kind has its own. */
        }
        return k;
    }
    k = NEW(struct kind);
    k->key = str_dup(buf_cstr(&key));
    list_init(&k->monitors);
    k->links = xcalloc(n + 1, sizeof *k->links);
    k->n_links = n;
    for (size_t i = 0; i < n; i++) {
        k->links[i].kind = k;
        k->links[i].watch = watches[i];
        list_push_back(&watches[i]->links, &k->links[i].in_watch);
    }
    map_put(&db->watches->kinds, k->key, k);
    return k;
}

void
kind_leave(struct db *db, struct monitor *m)
{
    struct kind *k = m->kind;
    list_remove(&m->in_kind);
    m->kind = NULL;
    if (!list_empty(&k->monitors)) {
        return;
    }
    map_remove(&db->watches->kinds, k->key);
    for (size_t i = 0; i < k->n_links; i++) {
        list_remove(&k->links[i].in_watch);
        watch_unref(db, k->links[i].watch);
    }
    free(k->links);
    free(k->key);
    free(k);
}
