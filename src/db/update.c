/* db/update.c: a row as clients get to read it, serialised straight from memory.
 *
 *              version 1                     version 2
 *     initial  {"new":row}                   {"initial":row}, without defaults
 *     insert   {"new":row}                   {"insert":row}, without defaults
 *     delete   {"old":row}                   {"delete":null}
 *     modify   {"new":row,"old":changed}     {"modify":changed}, sets and maps as deltas */
#include "db/monitor_i.h"

static const struct {
    unsigned select;
    const char *v1, *v2;
} kinds[] = {
    [ROW_INSERT] = { SELECT_INSERT, "new", "insert" },
    [ROW_DELETE] = { SELECT_DELETE, "old", "delete" },
    [ROW_MODIFY] = { SELECT_MODIFY, "new", "modify" },
    [ROW_INITIAL] = { SELECT_INITIAL, "new", "initial" },
};

static bool
cell_changed(const struct row *row, const struct column *c)
{
    return c->index == COLUMN_VERSION ||
           (c->index >= N_SPECIAL_COLUMNS &&
            change_has(row->change, c->index - N_SPECIAL_COLUMNS));
}

/* "name":  with a comma before it, unless it is the first. */
static void
print_label(struct buf *buf, bool *first, const struct shape_column *sc)
{
    buf_add(buf, sc->label + *first, sc->n_label - *first);
    *first = false;
}

/* The row now, or before; 'sparse' leaves out defaults. */
static void
print_whole(const struct shape *s, const struct row *row, unsigned select, bool before,
            bool sparse, struct buf *buf)
{
    struct datum room;
    bool first = true;
    buf_char(buf, '{');
    for (size_t i = 0; i < s->n_columns; i++) {
        const struct column *c = s->columns[i].column;
        if (!(s->columns[i].select & select)) {
            continue;
        }
        const struct datum *d =
            before ? change_old_cell(row->change, c, &room) : row_get(row, c, &room);
        if (!sparse || !datum_is_default(d, &c->type)) {
            print_label(buf, &first, &s->columns[i]);
            datum_print(d, &c->type, buf);
        }
    }
    buf_char(buf, '}');
}

/* The columns that changed: as they were, or how to get from then to now. */
static void
print_changed(const struct shape *s, const struct row *row, bool delta, struct buf *buf)
{
    struct datum room_old, room_new;
    bool first = true;
    buf_char(buf, '{');
    for (size_t i = 0; i < s->n_columns; i++) {
        const struct column *c = s->columns[i].column;
        if (!(s->columns[i].select & SELECT_MODIFY) || !cell_changed(row, c)) {
            continue;
        }
        const struct datum *old = change_old_cell(row->change, c, &room_old);
        const struct datum *new = row_get(row, c, &room_new);
        print_label(buf, &first, &s->columns[i]);
        if (delta && c->type.n_max > 1) {
            struct datum d;
            datum_diff(&d, old, new, &c->type);
            datum_print(&d, &c->type, buf);
            datum_done(&d, &c->type);
        } else {
            datum_print(delta ? new : old, &c->type, buf);
        }
    }
    buf_char(buf, '}');
}

/* A change of columns that the client does not see is none. */
static bool
anything_to_tell(const struct shape *s, const struct row *row)
{
    for (size_t i = 0; i < s->n_columns; i++) {
        if (s->columns[i].select & SELECT_MODIFY &&
            cell_changed(row, s->columns[i].column)) {
            return true;
        }
    }
    return false;
}

static void
print_row(const struct shape *s, const struct row *row, enum row_kind kind, struct buf *buf)
{
    unsigned select = kinds[kind].select;
    char *uuid = buf_reserve(buf, UUID_CHARS + 2);
    uuid[0] = '"';
    uuid_format(&row->uuid, uuid + 1);
    buf->n += UUID_CHARS + 1;
    buf_add(buf, "\":{\"", 4);
    buf_str(buf, s->v1 ? kinds[kind].v1 : kinds[kind].v2);
    buf_str(buf, "\":");
    if (s->v1) {
        print_whole(s, row, select, kind == ROW_DELETE, false, buf);
        if (kind == ROW_MODIFY) {
            buf_str(buf, ",\"old\":");
            print_changed(s, row, false, buf);
        }
    } else if (kind == ROW_DELETE) {
        buf_str(buf, "null");
    } else if (kind == ROW_MODIFY) {
        print_changed(s, row, true, buf);
    } else {
        print_whole(s, row, select, false, true, buf);
    }
    buf_char(buf, '}');
}

bool
update_print_row(struct shape *s, const struct row *row, enum row_kind kind,
                 struct buf *rows)
{
    if (!(s->select & kinds[kind].select) ||
        (kind == ROW_MODIFY && !anything_to_tell(s, row))) {
        return false;
    }
    if (rows->n) {
        buf_char(rows, ',');
    }
    if (kind == ROW_INITIAL || !row->change) {
        print_row(s, row, kind, rows);
        return true;
    }

    /* Watches that differ only in their condition show the same row alike. */
    uint64_t change_no = s->table->db->watches->change_no;
    if (s->cached_no != change_no) {
        s->cached_no = change_no;
        memset(s->is_cached, 0, sizeof s->is_cached);
    }
    struct buf *text = &s->cache[kind];
    if (!s->is_cached[kind]) {
        buf_clear(text);
        print_row(s, row, kind, text);
        s->is_cached[kind] = true;
    }
    buf_add(rows, text->data, text->n);
    return true;
}
