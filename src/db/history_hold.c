/* db/history_hold.c: states that somebody will come back to.
 *
 * A client that does not read is told, once it reads again, what became of the rows since the state
 * it knows.  While it holds that state the history may not forget what came after; but neither may
 * it grow with each transaction.  So where it would drop its oldest entry it folds two entries into
 * one: of a row that both changed only the older values matter.  What is kept then grows with the
 * rows that changed, not with how often; and beyond HISTORY_HELD times the usual bound it is dropped
 * all the same. */
#include "db/history_i.h"

#define HOLDS_MAX 1000 /* Different states. */

struct history_hold {
    struct list node; /* In history's 'holds', by 'seq'. */
    uint64_t seq;
    uint32_t n_refs;
};

/* A row of an entry that has absorbed others. */
struct folded_row {
    struct hmap_node node; /* In past's 'folded'. */
    struct past_row row;
};

struct history_hold *
db_hold(struct db *db, uint64_t seq)
{
    struct history *h = db->history;
    struct history_hold *last =
        list_empty(&h->holds) ? NULL
                              : CONTAINER_OF(h->holds.prev, struct history_hold, node);

    if (last && last->seq == seq) {
        last->n_refs++;
        return last;
    } else if ((last && last->seq > seq) || seq < h->base_seq || h->n_holds >= HOLDS_MAX) {
        return NULL;
    }
    struct history_hold *hold = NEW(struct history_hold);
    *hold = (struct history_hold){ .seq = seq, .n_refs = 1 };
    list_push_back(&h->holds, &hold->node);
    h->n_holds++;
    return hold;
}

void
db_unhold(struct db *db, struct history_hold *hold)
{
    if (hold && --hold->n_refs == 0) {
        list_remove(&hold->node);
        db->history->n_holds--;
        free(hold);
    }
}

bool
history_needs(const struct history *h, const struct past *oldest)
{
    return !list_empty(&h->holds) &&
           CONTAINER_OF(h->holds.next, struct history_hold, node)->seq < oldest->seq;
}

static struct past_row *
find_row(const struct past *p, const struct past_row *r)
{
    HMAP_FOR_EACH_HASH (struct folded_row, f, node, uuid_hash(&r->uuid), &p->folded) {
        if (f->row.table == r->table && uuid_eq(&f->row.uuid, &r->uuid)) {
            return &f->row;
        }
    }
    return NULL;
}

static bool
has_cell(const struct past_row *r, uint32_t field)
{
    for (uint32_t i = 0; i < r->n_cells; i++) {
        if (r->cells[i].field == field) {
            return true;
        }
    }
    return false;
}

/* Takes the content of 'r', which happened to the row after 'old'. */
static void
absorb_into(struct past_row *old, struct past_row *r)
{
    if (!old->inserted && !old->deleted) { /* Else what it was is known already, whole. */
        old->deleted = TAKE(r->deleted);
        for (uint32_t i = 0; i < r->n_cells; i++) {
            if (!has_cell(old, r->cells[i].field)) {
                old->cells =
                    xrealloc_array(old->cells, old->n_cells + 1, sizeof *old->cells);
                old->cells[old->n_cells++] = r->cells[i];
                r->cells[i].old = (struct datum){ 0 };
            }
        }
    }
    past_row_done(r);
}

/* Takes the content of 'r'. */
static void
absorb_row(struct past *p, struct past_row *r)
{
    struct past_row *old = find_row(p, r);
    uint64_t cost = old ? past_row_cost(old) : 0;
    if (old) {
        absorb_into(old, r);
    } else {
        struct folded_row *f = NEW(struct folded_row);
        f->row = *r;
        hmap_insert(&p->folded, &f->node, uuid_hash(&r->uuid));
        old = &f->row;
    }
    p->cost += past_row_cost(old) - cost;
}

/* What one entry's own rows say; 'from' may be 'p'. */
static void
absorb_rows(struct past *p, struct past *from)
{
    for (size_t i = 0; i < from->n_rows; i++) {
        absorb_row(p, &from->rows[i]);
    }
    from->n_rows = 0;
}

static void
absorb_all(struct past *p, struct past *from)
{
    absorb_rows(p, from);
    HMAP_FOR_EACH_SAFE (struct folded_row, f, node, &from->folded) {
        absorb_row(p, &f->row);
        free(f);
    }
    hmap_done(&from->folded);
    from->folded = HMAP_INIT;
}

/* 'p' becomes the way back from the state after 'next' to the one before 'p'. */
static void
fold(struct history *h, struct past *p, struct past *next)
{
    if (p->folded.n == 0) { /* Its own rows, too, must be found. */
        h->cost -= p->cost;
        p->cost = 1;
        absorb_rows(p, p);
        h->cost += p->cost;
    }
    h->cost -= p->cost + next->cost;
    absorb_all(p, next);
    hmap_remove(&h->by_id, &p->node);
    hmap_remove(&h->by_id, &next->node);
    list_remove(&next->in_order);
    p->id = next->id;
    p->seq = next->seq;
    p->is_old = next->is_old;
    hmap_insert(&h->by_id, &p->node, uuid_hash(&p->id));
    h->cost += p->cost;
    free(next);
}

bool
history_fold(struct history *h)
{
    struct list *hold = h->holds.next;
    LIST_FOR_EACH (struct past, p, in_order, &h->entries) {
        if (p->in_order.next == &h->entries) {
            break;
        }
        while (hold != &h->holds &&
               CONTAINER_OF(hold, struct history_hold, node)->seq < p->seq) {
            hold = hold->next;
        }
        if (hold == &h->holds ||
            CONTAINER_OF(hold, struct history_hold, node)->seq != p->seq) {
            fold(h, p, CONTAINER_OF(p->in_order.next, struct past, in_order));
            return true;
        }
    }
    return false;
}

void
folded_done(struct past *p)
{
    HMAP_FOR_EACH_SAFE (struct folded_row, f, node, &p->folded) {
        past_row_done(&f->row);
        free(f);
    }
    hmap_done(&p->folded);
}

void
folded_each(const struct past *p, void (*fn)(void *aux, const struct past_row *), void *aux)
{
    HMAP_FOR_EACH (struct folded_row, f, node, &p->folded) {
        fn(aux, &f->row);
    }
}
