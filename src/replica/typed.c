/* replica/typed.c: fills the generated structs from a row's datums, by the table that
 * tools/idlc.py made of the schema. */
#include "replica/typed.h"

#include "replica/replica_i.h"

static enum atom_type
scalar_of(enum typed_kind kind)
{
    switch (kind) {
    case TYPED_STRING:
    case TYPED_OPT_STRING: return ATOM_STRING;
    case TYPED_INT:
    case TYPED_OPT_INT: return ATOM_INTEGER;
    case TYPED_REAL:
    case TYPED_OPT_REAL: return ATOM_REAL;
    case TYPED_BOOL:
    case TYPED_OPT_BOOL: return ATOM_BOOLEAN;
    case TYPED_UUID: return ATOM_UUID;
    case TYPED_SET:
    case TYPED_MAP: break;
    }
    return ATOM_VOID;
}

bool
typed_fits(enum typed_kind kind, const struct type *type)
{
    if (kind == TYPED_MAP || kind == TYPED_SET) {
        return type_is_map(type) == (kind == TYPED_MAP);
    }
    return !type_is_map(type) && type->n_max == 1 && type->key.type == scalar_of(kind);
}

/* 'd' is empty if there is no such column. */
static void
fill_field(char *field, enum typed_kind kind, const struct datum *d)
{
    bool has = d->n > 0;
    switch (kind) {
    case TYPED_STRING: *(const char **) (void *) field = datum_string(d); break;
    case TYPED_OPT_STRING:
        *(const char **) (void *) field = has ? datum_string(d) : NULL;
        break;
    case TYPED_INT: *(int64_t *) (void *) field = datum_int(d); break;
    case TYPED_OPT_INT:
        *(struct typed_int *) (void *) field = (struct typed_int){ has, datum_int(d) };
        break;
    case TYPED_REAL: *(double *) (void *) field = datum_real(d); break;
    case TYPED_OPT_REAL:
        *(struct typed_real *) (void *) field = (struct typed_real){ has, datum_real(d) };
        break;
    case TYPED_BOOL: *(bool *) field = datum_bool(d); break;
    case TYPED_OPT_BOOL:
        *(struct typed_bool *) (void *) field = (struct typed_bool){ has, datum_bool(d) };
        break;
    case TYPED_UUID: *(struct uuid *) (void *) field = datum_uuid(d); break;
    case TYPED_SET:
        *(struct typed_set *) (void *) field =
            (struct typed_set){ d->n, has ? datum_keys(d) : NULL };
        break;
    case TYPED_MAP:
        *(struct typed_map *) (void *) field =
            (struct typed_map){ d->n, has ? datum_keys(d) : NULL,
                                has ? datum_values(d) : NULL };
        break;
    }
}

void
typed_fill(struct replica_row *row)
{
    static const struct datum empty = { .n = 0 };
    const struct replica_table *t = row->table;
    for (size_t i = 0; i < t->class->n_fields; i++) {
        const struct row_field *f = &t->class->fields[i];
        const struct column *column = t->fields[i];
        fill_field((char *) row + f->offset, f->kind,
                   column ? &row->columns[column->index] : &empty);
    }
}

bool
typed_changed(const struct replica_change *c, const struct row_class *class UNUSED,
              int field)
{
    const struct column *column = c->row->table->fields[field];
    return c->kind != REPLICA_MODIFIED || (column && replica_has_changed(c, column));
}

struct replica_row *
typed_first(const struct replica_table *t)
{
    struct hmap_node *node = t ? hmap_first(&t->rows) : NULL;
    return node ? CONTAINER_OF(node, struct replica_row, node) : NULL;
}

struct replica_row *
typed_next(const struct replica_row *row)
{
    struct hmap_node *node = hmap_next(&row->table->rows, &row->node);
    return node ? CONTAINER_OF(node, struct replica_row, node) : NULL;
}

bool
typed_set_has(const struct typed_set *set, const char *s)
{
    for (uint32_t i = 0; i < set->n; i++) {
        if (strcmp(set->v[i].string->s, s) == 0) {
            return true;
        }
    }
    return false;
}

const char *
typed_map_get(const struct typed_map *map, const char *key)
{
    for (uint32_t i = 0; i < map->n; i++) {
        if (strcmp(map->keys[i].string->s, key) == 0) {
            return map->values[i].string->s;
        }
    }
    return NULL;
}
