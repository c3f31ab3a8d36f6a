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
        hmap_done(&wt->own);
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
    watch_join(w);
    *ret = w;
    return NULL;
}

void
watch_unref(struct db *db, struct watch *w)
{
    if (--w->n_refs > 0) {
        return;
    }
    map_remove(&db->watches->watches, w->key);
    watch_leave(w);
    watch_free(w);
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
