/* db/project.c: sets of rows that are equal if some of their columns are. */
#include "db/project_i.h"

static const struct datum *
view_get(const struct view *v, const struct column *c, struct datum *room)
{
    if (v->row) {
        return row_get(v->row, c, room);
    } else if (v->cells->given[c->index]) {
        return &v->cells->v[c->index];
    } else if (c->index >= N_SPECIAL_COLUMNS) {
        return &v->cells->table->defaults[c->index - N_SPECIAL_COLUMNS];
    }
    *room = (struct datum){ .n = 1 }; /* A UUID of zeros. */
    return room;
}

static uint32_t
view_hash(const struct view_set *s, const struct view *v)
{
    struct datum room;
    uint32_t hash = 0;
    for (size_t i = 0; i < s->n_columns; i++) {
        hash = datum_hash(view_get(v, s->columns[i], &room), &s->columns[i]->type, hash);
    }
    return hash;
}

static bool
has(const struct view_set *s, const struct view *v, uint32_t hash)
{
    HMAP_FOR_EACH_HASH (struct view, old, node, hash, &s->views) {
        bool equal = true;
        for (size_t i = 0; i < s->n_columns && equal; i++) {
            struct datum ra, rb;
            const struct column *c = s->columns[i];
            equal = datum_eq(view_get(old, c, &ra), view_get(v, c, &rb), &c->type);
        }
        if (equal) {
            return true;
        }
    }
    return false;
}

bool
view_set_has(const struct view_set *s, const struct row *row)
{
    struct view v = { .row = row };
    return has(s, &v, view_hash(s, &v));
}

bool
view_set_add(struct view_set *s, const struct row *row, const struct cells *cells)
{
    struct view v = { .row = row, .cells = cells };
    uint32_t hash = view_hash(s, &v);
    if (has(s, &v, hash)) {
        return false;
    }
    struct view *kept = arena_alloc(s->arena, sizeof *kept);
    *kept = v;
    hmap_insert(&s->views, &kept->node, hash);
    return true;
}

void
view_set_done(struct view_set *s)
{
    hmap_done(&s->views);
}
