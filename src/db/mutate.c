/* db/mutate.c: changing values in place. */
#include "db/mutate_i.h"

#include <float.h>

#include "data/rfc7047.h"

static const char *const mutator_names[] = {
    [MUT_ADD] = "+=", [MUT_SUB] = "-=",        [MUT_MUL] = "*=",        [MUT_DIV] = "/=",
    [MUT_MOD] = "%=", [MUT_INSERT] = "insert", [MUT_DELETE] = "delete",
};

static struct err *
mutator_parse(enum mutator *ret, const char *name)
{
    for (size_t i = 0; i < N_ELEMS(mutator_names); i++) {
        if (strcmp(mutator_names[i], name) == 0) {
            *ret = (enum mutator) i;
            return NULL;
        }
    }
    return rfc_err(RFC_UNKNOWN_MUTATOR, "No mutator named %s.", name);
}

static bool
fits(const struct mutation *m)
{
    const struct type *t = &m->column->type;
    if (m->mutator >= MUT_INSERT) {
        return !type_is_scalar(t);
    }
    return !type_is_map(t) && (t->key.type == ATOM_INTEGER ||
                               (t->key.type == ATOM_REAL && m->mutator != MUT_MOD));
}

static struct err *
parse_arg(struct mutation *m, const struct json *j, struct symtab *symbols)
{
    m->arg_type = m->column->type; /* Shallow. */
    if (m->mutator < MUT_INSERT) {
        type_init_scalar(&m->arg_type, m->column->type.key.type); /* Without constraints. */
        return datum_parse(&m->arg, &m->arg_type, j, symbols, DATUM_SIZED);
    }
    m->arg_type.n_min = 0;
    if (m->mutator == MUT_INSERT) {
        return datum_parse(&m->arg, &m->arg_type, j, symbols, DATUM_SIZED);
    }
    m->arg_type.n_max = TYPE_UNLIMITED;
    struct err *e = datum_parse(&m->arg, &m->arg_type, j, symbols, DATUM_SIZED);
    if (e && type_is_map(&m->arg_type)) { /* Then keys alone. */
        err_free(e);
        base_type_init(&m->arg_type.value, ATOM_VOID);
        e = datum_parse(&m->arg, &m->arg_type, j, symbols, DATUM_SIZED);
    }
    return e;
}

static struct err *
mutation_parse(struct mutation *m, const struct table *t, const struct json *j,
               struct symtab *symbols)
{
    if (j->type != JSON_ARRAY || j->n != 3 || j->elems[0].type != JSON_STRING ||
        j->elems[1].type != JSON_STRING) {
        return rfc_syntax(j, "Parse error in mutation.");
    }
    m->column = schema_find_column(t->schema, j->elems[0].string);
    if (!m->column) {
        return rfc_err_json(RFC_UNKNOWN_COLUMN, j, "No column %s in table %s.",
                            j->elems[0].string, t->schema->name);
    }
    if (!m->column->is_mutable) {
        return rfc_err_json(RFC_CONSTRAINT, j,
                            "Cannot mutate immutable column %s in table %s.",
                            m->column->name, t->schema->name);
    }
    TRY(mutator_parse(&m->mutator, j->elems[1].string));
    if (!fits(m)) {
        CLEANUP(buf_done) struct buf english = BUF_INIT;
        type_print_english(&m->column->type, &english);
        return rfc_syntax(
            j,
            "Type mismatch: \"%s\" operator may not be applied to column %s of "
            "type %s.",
            mutator_names[m->mutator], m->column->name, buf_cstr(&english));
    }
    return parse_arg(m, &j->elems[2], symbols);
}

struct err *
mutations_parse(struct mutations *ret, struct arena *arena, const struct table *t,
                const struct json *j, struct symtab *symbols)
{
    struct mutations ms = { arena_zalloc(arena, (j->n + 1) * sizeof *ms.v), 0 };
    for (uint32_t i = 0; i < j->n; i++) {
        struct err *e = mutation_parse(&ms.v[ms.n], t, &j->elems[i], symbols);
        if (e) {
            mutations_done(&ms);
            return e;
        }
        ms.n++;
    }
    *ret = ms;
    return NULL;
}

void
mutations_done(struct mutations *ms)
{
    for (size_t i = 0; i < ms->n; i++) {
        datum_done(&ms->v[i].arg, &ms->v[i].arg_type);
    }
    *ms = MUTATIONS_INIT;
}

/* As the reference multiplies: of positive numbers, INT64_MAX itself is already out of range. */
static bool
mul_overflows(int64_t x, int64_t y)
{
    int64_t unused;
    return x > 0 && y > 0 ? x >= INT64_MAX / y : __builtin_mul_overflow(x, y, &unused);
}

static enum rfc_tag
mutate_integer(enum mutator op, int64_t *x, int64_t y)
{
    switch (op) {
    case MUT_ADD: return __builtin_add_overflow(*x, y, x) ? RFC_RANGE : RFC_NONE;
    case MUT_SUB: return __builtin_sub_overflow(*x, y, x) ? RFC_RANGE : RFC_NONE;
    case MUT_MUL:
        if (mul_overflows(*x, y)) {
            return RFC_RANGE;
        }
        *x *= y;
        return RFC_NONE;
    default: break;
    }
    if (y == 0) {
        return RFC_DOMAIN;
    } else if (*x == INT64_MIN && y == -1) {
        return RFC_RANGE;
    }
    *x = op == MUT_DIV ? *x / y : *x % y;
    return RFC_NONE;
}

static enum rfc_tag
mutate_real(enum mutator op, double *x, double y)
{
    switch (op) {
    case MUT_ADD: *x += y; break;
    case MUT_SUB: *x -= y; break;
    case MUT_MUL: *x *= y; break;
    default:
        if (y == 0) {
            return RFC_DOMAIN;
        }
        *x /= y;
    }
    return *x >= -DBL_MAX && *x <= DBL_MAX ? RFC_NONE : RFC_RANGE;
}

static struct err *
calculate(const struct mutation *m, union atom *a)
{
    const union atom *arg = datum_key(&m->arg, 0);
    enum rfc_tag tag = m->column->type.key.type == ATOM_INTEGER
                           ? mutate_integer(m->mutator, &a->integer, arg->integer)
                           : mutate_real(m->mutator, &a->real, arg->real);
    if (tag == RFC_DOMAIN) {
        return rfc_err(tag, "Division by zero.");
    }
    return tag == RFC_NONE ? NULL
                           : rfc_err(tag, "Result of \"%s\" operation is out of range.",
                                     mutator_names[m->mutator]);
}

/* Arithmetic on each element of '*d', whose keys are numbers. */
static struct err *
arithmetic(const struct mutation *m, struct datum *d)
{
    const struct type *t = &m->column->type;
    CLEANUP(free_drop) union atom *keys = xmalloc((d->n + 1) * sizeof *keys);
    struct datum result;

    for (uint32_t i = 0; i < d->n; i++) {
        keys[i] = atom_dup(datum_key(d, i), t->key.type); /* Numbers: nothing to own. */
        TRY(calculate(m, &keys[i]));
    }
    for (uint32_t i = 0; i < d->n; i++) {
        TRY(base_type_check(&t->key, &keys[i]));
    }
    if (!datum_of_keys(&result, t, keys, d->n)) {
        return rfc_err(RFC_CONSTRAINT, "Result of \"%s\" operation contains duplicates.",
                       mutator_names[m->mutator]);
    }
    datum_done(d, t);
    *d = result;
    return NULL;
}

static struct err *
mutation_apply(const struct mutation *m, struct datum *d)
{
    const struct type *t = &m->column->type;
    if (m->mutator == MUT_INSERT) {
        datum_union(d, &m->arg, t);
        return datum_check_size(d, t);
    } else if (m->mutator == MUT_DELETE) {
        datum_subtract(d, t, &m->arg, &m->arg_type);
        return datum_check_size(d, t);
    }
    return arithmetic(m, d);
}

/* The row's own value is changed if undoing the transaction does not need it any more; so many small
 * changes of a large set in one transaction do not copy it each time. */
static struct err *
apply_to_row(const struct mutation *m, struct txn *txn, struct row *row)
{
    size_t field = m->column->index - N_SPECIAL_COLUMNS;
    bool own = row->change && (row->change->inserted || change_has(row->change, field));
    struct datum room, d = own ? row_take(row, field)
                               : datum_dup(row_field(row, field, &room), &m->column->type);
    struct err *e = mutation_apply(m, &d);
    if (e && m->mutator >= MUT_INSERT) { /* The row may not hold so many. */
        datum_done(&d, &m->column->type);
    }
    if (own) {
        row_put(row, field, d);
        txn_touch(row, field);
    } else if (e) {
        datum_done(&d, &m->column->type);
    } else {
        txn_set(txn, row, field, d);
    }
    return e;
}

struct err *
mutations_apply(const struct mutations *ms, struct txn *txn, struct row *row)
{
    for (size_t i = 0; i < ms->n; i++) {
        TRY(apply_to_row(&ms->v[i], txn, row));
    }
    return NULL;
}
