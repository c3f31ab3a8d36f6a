/* db/project_i.h: rows seen through some of their columns. */
#ifndef DB_PROJECT_I_H
#define DB_PROJECT_I_H 1

#include "db/txn_i.h"

/* Either a row in memory or values that a client wrote. */
struct view {
    struct hmap_node node; /* In view_set. */
    const struct row *row;
    const struct cells *cells;
};

struct view_set {
    struct hmap views;
    const struct column **columns;
    size_t n_columns;
    struct arena *arena;
};
void view_set_done(struct view_set *);
/* False, and no change, if an equal one is there. */
bool view_set_add(struct view_set *, const struct row *, const struct cells *);
bool view_set_has(const struct view_set *, const struct row *);
static inline size_t
view_set_count(const struct view_set *s)
{
    return s->views.n;
}

#endif /* db/project_i.h */
