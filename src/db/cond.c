/* db/cond.c: parsing and testing conditions. */
#include "db/cond_i.h"

#include "data/rfc7047.h"

static const char *const op_names[] = {
    [COND_EQ] = "==",
    [COND_NE] = "!=",
    [COND_LT] = "<",
    [COND_LE] = "<=",
    [COND_GT] = ">",
    [COND_GE] = ">=",
    [COND_INCLUDES] = "includes",
    [COND_EXCLUDES] = "excludes",
};

static struct err *
op_parse(enum cond_op *ret, const char *name)
{
    for (size_t i = 0; i < N_ELEMS(op_names); i++) {
        if (strcmp(op_names[i], name) == 0) {
            *ret = (enum cond_op) i;
            return NULL;
        }
    }
    return rfc_err(RFC_UNKNOWN_FUNCTION, "No function named %s.", name);
}

static bool
is_ordering(enum cond_op op)
{
    return op >= COND_LT && op <= COND_GE;
}

static struct err *
check_ordering(const struct clause *cl, const struct json *j)
{
    const struct type *t = &cl->column->type;
    if ((type_is_scalar(t) || type_is_optional_scalar(t)) &&
        (t->key.type == ATOM_INTEGER || t->key.type == ATOM_REAL)) {
        return NULL;
    }
    CLEANUP(buf_done) struct buf english = BUF_INIT;
    type_print_english(t, &english);
    return rfc_syntax(
        j,
        "Type mismatch: \"%s\" operator may not be applied to column %s of type "
        "%s.",
        op_names[cl->op], cl->column->name, buf_cstr(&english));
}

struct err *
clause_parse(struct clause *ret, const struct table *t, const struct json *j,
             struct symtab *symbols)
{
    if (json_is_bool(j)) {
        *ret = (struct clause){ .op = j->type == JSON_TRUE ? COND_TRUE : COND_FALSE };
        return NULL;
    }
    if (j->type != JSON_ARRAY || j->n != 3 || j->elems[0].type != JSON_STRING ||
        j->elems[1].type != JSON_STRING) {
        return rfc_syntax(j, "Parse error in condition.");
    }

    struct clause cl = { .column = schema_find_column(t->schema, j->elems[0].string) };
    if (!cl.column) {
        return rfc_err_json(RFC_UNKNOWN_COLUMN, j, "No column %s in table %s.",
                            j->elems[0].string, t->schema->name);
    }
    TRY(op_parse(&cl.op, j->elems[1].string));

    struct type type = cl.column->type; /* A shallow copy: only the sizes differ. */
    if (is_ordering(cl.op)) {
        TRY(check_ordering(&cl, j));
        type.n_min = 1;
    } else if (cl.op == COND_INCLUDES && !type_is_scalar(&type)) {
        type.n_min = 0;
    } else if (cl.op == COND_EXCLUDES && !type_is_scalar(&type)) {
        type.n_min = 0;
        type.n_max = TYPE_UNLIMITED;
    }
    TRY(datum_parse(&cl.arg, &type, &j->elems[2], symbols, DATUM_SIZED));
    *ret = cl;
    return NULL;
}

void
clause_done(struct clause *cl)
{
    if (cl->column) {
        datum_done(&cl->arg, &cl->column->type);
    }
}

bool
clause_holds(const struct clause *cl, const struct datum *d)
{
    const struct type *t = &cl->column->type;
    if (is_ordering(cl->op)) {
        if (d->n == 0) {
            return false;
        }
        int cmp = atom_cmp(datum_key(d, 0), datum_key(&cl->arg, 0), t->key.type);
        return cl->op == COND_LT   ? cmp < 0
               : cl->op == COND_LE ? cmp <= 0
               : cl->op == COND_GT ? cmp > 0
                                   : cmp >= 0;
    }
    switch (cl->op) {
    case COND_EQ: return datum_eq(d, &cl->arg, t);
    case COND_NE: return !datum_eq(d, &cl->arg, t);
    case COND_INCLUDES: return datum_includes_all(&cl->arg, d, t);
    case COND_EXCLUDES: return datum_excludes_all(&cl->arg, d, t);
    default: return cl->op == COND_TRUE;
    }
}

struct err *
cond_parse(struct cond *ret, struct arena *arena, const struct table *t,
           const struct json *j, struct symtab *symbols)
{
    struct cond cond = { arena_alloc(arena, (j->n + 1) * sizeof *cond.clauses), 0 };
    for (uint32_t i = 0; i < j->n; i++) {
        struct err *e = clause_parse(&cond.clauses[cond.n], t, &j->elems[i], symbols);
        if (e) {
            cond_done(&cond);
            return e;
        }
        cond.n++;
    }
    *ret = cond;
    return NULL;
}

void
cond_done(struct cond *cond)
{
    for (size_t i = 0; i < cond->n; i++) {
        clause_done(&cond->clauses[i]);
    }
    *cond = COND_INIT; /* The array is in an arena. */
}

bool
cond_holds(const struct cond *cond, const struct row *row)
{
    struct datum room;
    for (size_t i = 0; i < cond->n; i++) {
        const struct clause *cl = &cond->clauses[i];
        if (!(cl->column ? clause_holds(cl, row_get(row, cl->column, &room))
                         : cl->op == COND_TRUE)) {
            return false;
        }
    }
    return true;
}
