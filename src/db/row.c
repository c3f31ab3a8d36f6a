/* db/row.c: the memory of rows.
 *
 * The layout is worked out once a table: what takes a byte comes first, behind the 4 bytes of
 * 'n_refs', then the nodes of the indexes, then all that takes 8 bytes or 16.  A new row is a copy of
 * the table's blank one, so defaults cost neither time nor memory of their own. */
#include "db/table_i.h"

static const struct type *
field_type(const struct table *t, size_t field)
{
    return &t->schema->columns[field + N_SPECIAL_COLUMNS].type;
}

static enum cell_form
form_of(const struct type *type)
{
    if (type_is_map(type) || type->n_max > 1) {
        return CELL_BLOCK;
    }
    switch (type->key.type) {
    case ATOM_BOOLEAN: return CELL_BOOLEAN;
    case ATOM_STRING: return CELL_STRING;
    case ATOM_UUID: return CELL_UUID;
    default: return CELL_NUMBER;
    }
}

static uint32_t
n_bytes_of(enum cell_form form)
{
    return form == CELL_BOOLEAN ? 1 : form == CELL_UUID ? sizeof(struct uuid) : 8;
}

void
row_layout_init(struct row_layout *l, const struct table_schema *ts)
{
    size_t n_fields = ts->n_columns - N_SPECIAL_COLUMNS;
    uint32_t at = offsetof(struct row, bytes);

    l->cells = xcalloc(n_fields + 1, sizeof *l->cells);
    for (size_t i = 0; i < n_fields; i++) {
        const struct type *type = &ts->columns[i + N_SPECIAL_COLUMNS].type;
        struct cell_place *p = &l->cells[i];
        p->form = (uint8_t) form_of(type);
        p->optional = type->n_min == 0;
        p->map = type_is_map(type);
        p->key_step = atom_n_bytes(type->key.type);
        p->value_step = atom_n_bytes(type->value.type);
        if (p->form == CELL_BOOLEAN) {
            p->at = at++;
        } else if ((p->form == CELL_NUMBER || p->form == CELL_UUID) && p->optional) {
            p->flag_at = at++;
        }
    }
    at = (at + 7) & ~UINT32_C(7);
    l->index_at = at;
    at += (uint32_t) (ts->n_indexes * sizeof(struct hmap_node));
    for (size_t i = 0; i < n_fields; i++) {
        if (l->cells[i].form != CELL_BOOLEAN) {
            l->cells[i].at = at;
            at += n_bytes_of(l->cells[i].form);
        }
    }
    l->n_bytes = at;
}

void
row_layout_done(struct row_layout *l)
{
    free(l->cells);
}

#define CACHE_LINE_BYTES 64

static inline void *
cell_at(const struct row *row, const struct cell_place *p)
{
    return (char *) row + p->at;
}

static inline uint8_t *
flag_at(const struct row *row, const struct cell_place *p)
{
    return (uint8_t *) row + p->flag_at;
}

void
row_prefetch(const struct row *row, const struct table *t)
{
    const char *end = (const char *) row + t->layout.n_bytes;
    for (const char *line = (const char *) row; line < end; line += CACHE_LINE_BYTES) {
        __builtin_prefetch(line);
    }
}

void
row_prefetch_fields(const struct row *row)
{
    const struct row_layout *l = &row->table->layout;
    for (size_t i = 0; i < row->table->schema->n_columns - N_SPECIAL_COLUMNS; i++) {
        if (l->cells[i].form >= CELL_STRING) {
            void *to;
            memcpy(&to, cell_at(row, &l->cells[i]), sizeof to);
            __builtin_prefetch(to); /* NULL does no harm. */
        }
    }
}

const struct datum *
row_field(const struct row *row, size_t field, struct datum *room)
{
    const struct cell_place *p = &row->table->layout.cells[field];
    const void *at = cell_at(row, p);

    *room = (struct datum){ .n = 1 };
    switch ((enum cell_form) p->form) {
    case CELL_BOOLEAN: {
        uint8_t b = *(const uint8_t *) at;
        room->n = b != CELL_ABSENT;
        room->one.boolean = b == 1;
        break;
    }
    case CELL_NUMBER:
        memcpy(&room->one, at, sizeof room->one.integer);
        room->n = !p->optional || *flag_at(row, p);
        break;
    case CELL_UUID:
        memcpy(&room->one.uuid, at, sizeof room->one.uuid);
        room->n = !p->optional || *flag_at(row, p);
        break;
    case CELL_STRING:
        memcpy(&room->one.string, at, sizeof room->one.string);
        room->n = room->one.string != NULL;
        break;
    case CELL_BLOCK:
        memcpy(&room->many, at, sizeof room->many);
        room->n = room->many ? room->many->cap : 0;
        room->block = room->many != NULL;
        room->map = p->map;
        room->key_step = p->key_step;
        room->value_step = p->value_step;
        break;
    }
    return room;
}

struct datum
row_take(struct row *row, size_t field)
{
    struct datum d;
    row_field(row, field, &d);
    const struct cell_place *p = &row->table->layout.cells[field];
    if (p->form == CELL_STRING || p->form == CELL_BLOCK) {
        memset(cell_at(row, p), 0, sizeof(void *));
    }
    return d;
}

void
row_put(struct row *row, size_t field, struct datum d)
{
    const struct cell_place *p = &row->table->layout.cells[field];
    void *at = cell_at(row, p);

    ASSERT(p->form == CELL_BLOCK || (d.n <= 1 && (d.n == 1 || p->optional)));
    switch ((enum cell_form) p->form) {
    case CELL_BOOLEAN:
        *(uint8_t *) at = d.n ? datum_key(&d, 0)->boolean : CELL_ABSENT;
        return;
    case CELL_BLOCK: {
        struct datum_block *b = datum_pack(d, field_type(row->table, field));
        memcpy(at, &b, sizeof b);
        return;
    }
    case CELL_NUMBER:
    case CELL_UUID:
        if (p->optional) {
            *flag_at(row, p) = d.n != 0;
        }
        if (d.n) {
            memcpy(at, datum_key(&d, 0), n_bytes_of(p->form));
        }
        datum_done(&d, field_type(row->table, field)); /* It may have been a block. */
        return;
    case CELL_STRING: {
        struct istring *s = d.n ? istring_ref(datum_key(&d, 0)->string) : NULL;
        memcpy(at, &s, sizeof s);
        datum_done(&d, field_type(row->table, field));
        return;
    }
    }
}

void
row_set(struct row *row, size_t field, struct datum d)
{
    struct datum old = row_take(row, field);
    datum_done(&old, field_type(row->table, field));
    row_put(row, field, d);
}

static struct row *
blank_row(struct table *t)
{
    struct row *row = xcalloc(1, t->layout.n_bytes);
    row->table = t;
    for (size_t i = 0; i < t->n_fields; i++) {
        row_put(row, i, datum_dup(&t->defaults[i], field_type(t, i)));
    }
    return row;
}

struct row *
row_new(struct table *t, const struct uuid *uuid)
{
    if (!t->blank) {
        t->blank = blank_row(t);
    }
    struct row *row = xmemdup(t->blank, t->layout.n_bytes);
    row->uuid = *uuid;
    for (size_t i = 0; i < t->n_fields; i++) {
        struct datum room;
        if (t->layout.cells[i].form >= CELL_STRING) {
            datum_dup(row_field(row, i, &room), field_type(t, i)); /* What it shares. */
        }
    }
    return row;
}

void
row_free(struct row *row)
{
    const struct table *t = row->table;
    for (size_t i = 0; i < t->n_fields; i++) {
        if (t->layout.cells[i].form >= CELL_STRING) {
            struct datum d = row_take(row, i);
            datum_done(&d, field_type(t, i));
        }
    }
    free(row);
}

uint64_t
row_next_version(void)
{
    static uint64_t last;
    return ++last;
}

/* A number that does not repeat in the process, through a mix that no number comes out of twice, with
 * keys of this process: looks as random as other UUIDs, and costs a row 8 bytes. */
struct uuid
row_version_uuid(uint64_t version)
{
    static uint64_t keys[2];
    struct uuid ret;
    if (UNLIKELY(keys[0] == 0)) {
        uuid_random(&ret);
        memcpy(keys, ret.b, sizeof keys);
        keys[0] |= 1;
    }
    uint64_t x[2] = { version ^ keys[0], version + keys[1] };
    for (int i = 0; i < 2; i++) {
        x[i] = (x[i] ^ x[i] >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x[i] = (x[i] ^ x[i] >> 27) * UINT64_C(0x94d049bb133111eb);
        x[i] ^= x[i] >> 31;
    }
    memcpy(ret.b, x, sizeof ret.b);
    ret.b[6] = (uint8_t) ((ret.b[6] & 0x0f) | 0x40);
    ret.b[8] = (uint8_t) ((ret.b[8] & 0x3f) | 0x80);
    return ret;
}
