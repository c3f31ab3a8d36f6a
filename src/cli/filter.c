/* cli/filter.c: conditions on rows, as `--where`, `find` and `wait` take them.
 *
 * The server evaluates what RFC 7047 section 5.1 can say; regular expressions, and
 * everything again for rows that come by a monitor, are evaluated here. */
#include <regex.h>

#include "cli/values_i.h"
#include "data/datum.h"

enum filter_op { OP_NE, OP_LE, OP_GE, OP_EQ, OP_LT, OP_GT, OP_MATCH, N_OPS };
/* Longest first, so that "<=" is not read as "<". */
static const char *const op_texts[N_OPS + 1] = {
    "!=", "<=", ">=", "=", "<", ">", "~", NULL
};

struct test {
    const struct column *column;
    enum filter_op op;
    struct json value;  /* Not for OP_MATCH. */
    struct datum datum; /* The same. */
    regex_t regex;      /* OP_MATCH only. */
};

struct filter {
    VEC(struct test) tests;
};

void
filter_free(struct filter *f)
{
    if (f) {
        VEC_FOR_EACH (struct test *t, &f->tests) {
            if (t->op == OP_MATCH) {
                regfree(&t->regex);
            }
            datum_done(&t->datum, &t->column->type);
        }
        VEC_DONE(&f->tests);
        free(f);
    }
}

void
filter_drop(struct filter **f)
{
    filter_free(*f);
    *f = NULL;
}

static enum filter_op
op_find(const char *text)
{
    enum filter_op op = 0;
    while (op_texts[op] != text) {
        op++;
    }
    return op;
}

static bool
is_ordered(const struct type *type)
{
    return type->n_max == 1 && !type_is_map(type) &&
           (type->key.type == ATOM_INTEGER || type->key.type == ATOM_REAL);
}

static struct err *
add_regex(struct filter *f, const struct column *column, const char *text)
{
    struct test t = { .column = column, .op = OP_MATCH };
    int code = regcomp(&t.regex, text, REG_EXTENDED | REG_NOSUB);
    if (code) {
        char why[128];
        regerror(code, &t.regex, why, sizeof why);
        return err_hint(
            err_new(ERR_SYNTAX, "\"%s\" is no regular expression: %s", text, why),
            "see regex(7)");
    }
    *VEC_ADD(&f->tests) = t;
    return NULL;
}

static struct err *
add_test(struct cli *cli, struct filter *f, const struct table_schema *table,
         const char *text)
{
    CLEANUP(free_drop) char *name = NULL;
    const char *op_text, *value;
    TRY(split_assignment(text, op_texts, &name, &op_text, &value));

    struct test t = { .op = op_find(op_text) };
    TRY(db_column(table, name, &t.column));
    if (t.op == OP_MATCH) {
        return add_regex(f, t.column, value);
    } else if (t.op != OP_EQ && t.op != OP_NE && !is_ordered(&t.column->type)) {
        return err_hint(
            err_new(ERR_SYNTAX, "column %s has no order, so no %s", name, op_text),
            "compare it by =, != or ~REGEX");
    }
    TRY(value_parse(cli, table, t.column, value, &t.value));
    TRY(datum_parse(&t.datum, &t.column->type, &t.value, NULL, DATUM_ANY_SIZE));
    *VEC_ADD(&f->tests) = t;
    return NULL;
}

struct err *
filter_new(struct cli *cli, const struct table_schema *table, char *const *texts, size_t n,
           struct filter **ret)
{
    CLEANUP(filter_drop) struct filter *f = NEW(struct filter);
    for (size_t i = 0; i < n; i++) {
        TRY(err_wrap(add_test(cli, f, table, texts[i]), "condition %s", texts[i]));
    }
    *ret = TAKE(f);
    return NULL;
}

/* A set "has" a value, a scalar is one. */
static const char *
function_of(const struct test *t)
{
    bool plural = t->column->type.n_max > 1 && t->datum.n > 0;
    switch (t->op) {
    case OP_EQ: return plural ? "includes" : "==";
    case OP_NE: return plural ? "excludes" : "!=";
    case OP_LT: return "<";
    case OP_GT: return ">";
    case OP_LE: return "<=";
    case OP_GE: return ">=";
    case OP_MATCH:
    case N_OPS: break;
    }
    return NULL;
}

struct json
filter_where(struct cli *cli, const struct filter *f)
{
    struct json where = json_array();
    for (size_t i = 0; i < f->tests.n; i++) {
        const struct test *t = &f->tests.v[i];
        if (t->op != OP_MATCH) {
            json_add(&cli->arena, &where,
                     q_clause(&cli->arena, t->column->name, function_of(t), t->value));
        }
    }
    return where;
}

bool
filter_is_partial(const struct filter *f)
{
    for (size_t i = 0; i < f->tests.n; i++) {
        if (f->tests.v[i].op == OP_MATCH) {
            return true;
        }
    }
    return false;
}

/* Does any element's text match? */
static bool
regex_matches(struct cli *cli, const struct test *t, const struct json *value)
{
    struct json plain = q_plain(&cli->arena, value, &t->column->type);
    if (plain.type != JSON_ARRAY) {
        CLEANUP(free_drop)
        char *text = plain.type == JSON_STRING ? str_dup(plain.string)
                     : plain.type == JSON_NULL ? str_dup("")
                                               : json_text(&plain, 0);
        return regexec(&t->regex, text, 0, NULL, 0) == 0;
    }
    for (uint32_t i = 0; i < plain.n; i++) {
        CLEANUP(free_drop)
        char *text = plain.elems[i].type == JSON_STRING ? str_dup(plain.elems[i].string)
                                                        : json_text(&plain.elems[i], 0);
        if (regexec(&t->regex, text, 0, NULL, 0) == 0) {
            return true;
        }
    }
    return false;
}

static bool
test_datum(const struct test *t, const struct datum *d)
{
    const struct type *type = &t->column->type;
    bool plural = type->n_max > 1 && t->datum.n > 0;
    int cmp = d->n && t->datum.n
                  ? atom_cmp(datum_keys(d), datum_keys(&t->datum), type->key.type)
                  : 0;
    bool comparable = d->n && t->datum.n;

    switch (t->op) {
    case OP_EQ:
        return plural ? datum_includes_all(&t->datum, d, type)
                      : datum_eq(d, &t->datum, type);
    case OP_NE:
        return plural ? datum_excludes_all(&t->datum, d, type)
                      : !datum_eq(d, &t->datum, type);
    case OP_LT: return comparable && cmp < 0;
    case OP_GT: return comparable && cmp > 0;
    case OP_LE: return comparable && cmp <= 0;
    case OP_GE: return comparable && cmp >= 0;
    case OP_MATCH:
    case N_OPS: break;
    }
    return false;
}

bool
filter_matches(struct cli *cli, const struct filter *f, const struct json *row)
{
    for (size_t i = 0; i < f->tests.n; i++) {
        const struct test *t = &f->tests.v[i];
        const struct json *value = json_get(row, t->column->name);
        if (!value) {
            return false;
        } else if (t->op == OP_MATCH) {
            if (!regex_matches(cli, t, value)) {
                return false;
            }
            continue;
        }
        struct datum d = DATUM_EMPTY;
        struct err *e = datum_parse(&d, &t->column->type, value, NULL, DATUM_ANY_SIZE);
        bool ok = !e && test_datum(t, &d);
        err_free(e);
        datum_done(&d, &t->column->type);
        if (!ok) {
            return false;
        }
    }
    return true;
}

void
filter_columns(const struct filter *f, struct buf *list)
{
    for (size_t i = 0; i < f->tests.n; i++) {
        buf_printf(list, "%s%s", list->n ? "," : "", f->tests.v[i].column->name);
    }
}
