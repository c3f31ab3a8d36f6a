/* db/match.c: which rows a watch's condition wants.
 *
 * Most conditions are equalities: a row's values, hashed, find the watches that ask for them
 * (deliver.c), so that a change costs nothing to those who ask for others.  And in a watch with many
 * of them a row's values find the one that it meets: a client may send ten thousand, and change them
 * while there are a million rows. */
#include "db/monitor_i.h"

#define FEW_CLAUSES 8 /* So many are tried one by one. */

/* An equality that hashing the row's values finds: each row that meets it holds 'arg's one key. */
static bool
is_probe(const struct clause *cl)
{
    const struct type *t = &cl->column->type;
    return cl->arg.n == 1 && !type_is_map(t) &&
           (cl->op == COND_INCLUDES || (cl->op == COND_EQ && t->n_max == 1));
}

static uint32_t
own_hash(const struct watch *w, uint32_t hash)
{
    return hash_bytes(&w, sizeof w, hash);
}

void
watch_join(struct watch *w)
{
    struct watch_table *wt = w->shape->table->watches;
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
        uint32_t hash = atom_hash(p->value, cl->column->type.key.type, p->column);
        hmap_insert(&wt->probes, &p->node, hash);
        if (w->n_clauses > FEW_CLAUSES) {
            hmap_insert(&wt->own, &p->own, own_hash(w, hash));
        }
        wt->n_probes[p->column]++;
    }
}

void
watch_leave(struct watch *w)
{
    struct watch_table *wt = w->shape->table->watches;
    list_remove(&w->in_table);
    for (size_t i = 0; i < w->n_clauses && w->probes; i++) {
        hmap_remove(&wt->probes, &w->probes[i].node);
        if (w->n_clauses > FEW_CLAUSES) {
            hmap_remove(&wt->own, &w->probes[i].own);
        }
        wt->n_probes[w->probes[i].column]--;
    }
}

static const struct datum *
cell_of(const struct row *row, const struct column *c, bool before, struct datum *room)
{
    return before ? change_old_cell(row->change, c, room) : row_get(row, c, room);
}

static bool
any_clause_holds(const struct watch *w, const struct row *row, bool before)
{
    for (size_t i = 0; i < w->n_clauses; i++) {
        const struct clause *cl = &w->clauses[i];
        struct datum room;
        if (clause_holds(cl, cell_of(row, cl->column, before, &room))) {
            return true;
        }
    }
    return false;
}

/* Has the watch an equality that an element of the cell meets? */
static bool
has_own_probe(const struct watch *w, const struct column *c, const struct datum *d)
{
    const struct watch_table *wt = w->shape->table->watches;
    for (uint32_t i = 0; i < d->n; i++) {
        const union atom *a = datum_key(d, i);
        uint32_t hash = own_hash(w, atom_hash(a, c->type.key.type, c->index));
        HMAP_FOR_EACH_HASH (struct probe, p, own, hash, &wt->own) {
            if (p->watch == w && p->column == c->index &&
                atom_eq(p->value, a, c->type.key.type)) {
                return true;
            }
        }
    }
    return false;
}

bool
watch_matches(const struct watch *w, const struct row *row, bool before)
{
    const struct table_schema *ts = w->shape->table->schema;
    if (w->all) {
        return true;
    } else if (!w->probes || w->n_clauses <= FEW_CLAUSES) {
        return any_clause_holds(w, row, before);
    }
    for (size_t i = 0; i < ts->n_columns; i++) {
        const struct column *c = &ts->columns[i];
        struct datum room;
        if (w->shape->table->watches->n_probes[i] &&
            has_own_probe(w, c, cell_of(row, c, before, &room))) {
            return true;
        }
    }
    return false;
}
