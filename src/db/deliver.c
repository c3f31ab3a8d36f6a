/* db/deliver.c: what a commit means to whom.
 *
 * Each changed row finds its watches and leaves its text with them; each kind that has such a watch
 * puts its tables together, once; each monitor of the kind gets the same bytes. */
#include "db/monitor_i.h"

struct delivery {
    struct db *db;
    const struct change *change; /* The row that looks for its watches. */
};

/* Leaves the row's text with a watch, if its condition says so. */
static void
offer(struct delivery *dl, struct watch *w)
{
    const struct change *ch = dl->change;
    if (w->seen_no == dl->db->watches->change_no || /* Found by two of its equalities. */
        list_empty(&w->links)) {                    /* Kept for its snapshot. */
        return;
    }
    w->seen_no = dl->db->watches->change_no;
    if (w->hot_seq != dl->db->seq) {
        buf_clear(&w->rows);
    }

    bool before = !ch->inserted && watch_matches(w, ch->row, true);
    bool after = !ch->deleted && watch_matches(w, ch->row, false);
    if (!before && !after) {
        return;
    }
    enum row_kind kind = !before ? ROW_INSERT : !after ? ROW_DELETE : ROW_MODIFY;
    bool first = w->hot_seq != dl->db->seq;
    if (update_print_row(w->shape, ch->row, kind, &w->rows) && first) {
        w->hot_seq = dl->db->seq;
        *VEC_ADD(&dl->db->watches->hot) = w;
    }
}

static void
probe(struct delivery *dl, const struct watch_table *wt, const struct column *c,
      const struct datum *d)
{
    for (uint32_t i = 0; i < d->n; i++) {
        const union atom *a = datum_key(d, i);
        uint32_t hash = atom_hash(a, c->type.key.type, c->index);
        HMAP_FOR_EACH_HASH (struct probe, p, node, hash, &wt->probes) {
            if (p->column == c->index && atom_eq(p->value, a, c->type.key.type)) {
                offer(dl, p->watch);
            }
        }
    }
}

static void
find_watches(struct delivery *dl)
{
    const struct change *ch = dl->change;
    const struct table *t = ch->row->table;
    struct watch_table *wt = t->watches;

    LIST_FOR_EACH (struct watch, w, in_table, &wt->all) {
        offer(dl, w);
    }
    LIST_FOR_EACH (struct watch, tried, in_table, &wt->tried) {
        offer(dl, tried);
    }
    for (size_t i = 0; i < t->schema->n_columns && wt->probes.n; i++) {
        const struct column *c = &t->schema->columns[i];
        struct datum room;
        if (!wt->n_probes[i]) {
            continue;
        }
        if (!ch->inserted) {
            probe(dl, wt, c, change_old_cell(ch, c, &room));
        }
        if (!ch->deleted) {
            probe(dl, wt, c, row_get(ch->row, c, &room));
        }
    }
}

/* {"T":{rows},...} of the kind's watches that have rows now. */
static struct bytes *
compose(const struct kind *k, uint64_t seq)
{
    struct buf buf = BUF_INIT;
    buf_char(&buf, '{');
    for (size_t i = 0; i < k->n_links; i++) {
        const struct watch *w = k->links[i].watch;
        if (w->hot_seq != seq) {
            continue;
        }
        buf_str(&buf, buf.n > 1 ? ",\"" : "\"");
        buf_str(&buf, w->shape->table->schema->name);
        buf_str(&buf, "\":{");
        buf_add(&buf, w->rows.data, w->rows.n);
        buf_char(&buf, '}');
    }
    buf_char(&buf, '}');
    return bytes_take(&buf);
}

void
watches_deliver(struct txn *txn, db_deliver_fn *deliver, void *aux)
{
    struct delivery dl = { .db = txn->db };
    struct watch_db *wd = txn->db->watches;

    TXN_FOR_EACH (changed, txn) {
        snapshots_change(changed);
    }
    if (wd->n_monitors == 0) {
        return;
    }
    TXN_FOR_EACH (ch, txn) {
        dl.change = ch;
        wd->change_no++;
        find_watches(&dl);
    }

    VEC_FOR_EACH (struct watch **w, &wd->hot) {
        LIST_FOR_EACH (struct kind_link, link, in_watch, &(*w)->links) {
            if (link->kind->hot_seq != txn->db->seq) {
                link->kind->hot_seq = txn->db->seq;
                *VEC_ADD(&wd->hot_kinds) = link->kind;
            }
        }
    }
    VEC_FOR_EACH (struct kind **k, &wd->hot_kinds) {
        CLEANUP(bytes_drop) struct bytes *updates = compose(*k, txn->db->seq);
        LIST_FOR_EACH (struct monitor, m, in_kind, &(*k)->monitors) {
            deliver(aux, m, updates);
        }
    }
    wd->hot.n = wd->hot_kinds.n = 0;
}
