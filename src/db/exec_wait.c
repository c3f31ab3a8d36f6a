/* db/exec_wait.c: wait: a condition on the content, for which a transaction may be parked. */
#include "data/rfc7047.h"
#include "db/cond_i.h"
#include "db/exec_i.h"
#include "db/project_i.h"

static struct err *
check_times(const struct json *timeout, const struct json *until)
{
    if (timeout && timeout->integer < 0) {
        return rfc_syntax(timeout, "timeout must be nonnegative");
    } else if (strcmp(until->string, "==") != 0 && strcmp(until->string, "!=") != 0) {
        return rfc_syntax(until, "\"until\" must be \"==\" or \"!=\"");
    }
    return NULL;
}

/* Is the set of rows that meet 'cond' the set that was sent? */
static struct err *
compare(struct exec *x, struct table *t, const struct cond *cond, struct view_set *expected,
        struct cells *cells, const struct json *rows, bool *ret_equal)
{
    for (uint32_t i = 0; i < rows->n; i++) {
        TRY(cells_parse(&cells[i], &x->txn->arena, t, &rows->elems[i], &x->txn->symbols));
        view_set_add(expected, NULL, &cells[i]);
    }

    CLEANUP(row_vec_done) struct row_vec found = ROW_VEC_INIT;
    CLEANUP(view_set_done)
    struct view_set actual = { .columns = expected->columns,
                               .n_columns = expected->n_columns,
                               .arena = &x->txn->arena };
    query(t, cond, &found);
    bool equal = true;
    for (size_t i = 0; i < found.rows.n && equal; i++) {
        equal = view_set_has(expected, found.rows.v[i]);
        view_set_add(&actual, found.rows.v[i], NULL);
    }
    *ret_equal = equal && view_set_count(&actual) == view_set_count(expected);
    return NULL;
}

static struct err *
give_up(const struct exec *x)
{
    if (x->ctx->elapsed_ms == 0) {
        return rfc_err(RFC_TIMED_OUT, "\"where\" clause test failed");
    }
    return rfc_err(RFC_TIMED_OUT, "\"wait\" timed out after %" PRId64 " ms",
                   x->ctx->elapsed_ms);
}

/* {"op":"wait","table":<id>,"where":[<condition>*],"until":"=="|"!=","rows":[<row>*],
 *  "columns":[...]?,"timeout":ms?}, RFC 7047 5.2.6. */
struct err *
exec_wait(struct exec *x, struct decode *op, const struct json *whole)
{
    struct arena *arena = &x->txn->arena;
    const struct json *timeout =
        decode_member(op, "timeout", DECODE_INTEGER | DECODE_OPTIONAL);
    const struct json *where = decode_member(op, "where", DECODE_ARRAY);
    const struct json *columns =
        decode_member(op, "columns", DECODE_ARRAY | DECODE_OPTIONAL);
    const struct json *until = decode_member(op, "until", DECODE_STRING);
    const struct json *rows = decode_member(op, "rows", DECODE_ARRAY);
    struct table *t = exec_table(x, op);
    TRY(rfc_decode_end(op, whole));

    CLEANUP(cond_done) struct cond cond = COND_INIT;
    CLEANUP(view_set_done) struct view_set expected = { .arena = arena };
    TRY(cond_parse(&cond, arena, t, where, &x->txn->symbols));
    TRY(schema_parse_columns(arena, t->schema, columns, &expected.columns,
                             &expected.n_columns));
    TRY(check_times(timeout, until));

    bool equal = false;
    struct cells *cells = arena_zalloc(arena, (rows->n + 1) * sizeof *cells);
    struct err *e = compare(x, t, &cond, &expected, cells, rows, &equal);
    for (uint32_t i = 0; i < rows->n; i++) {
        cells_done(&cells[i]);
    }
    TRY(e);

    if (equal == (until->string[0] == '=')) {
        buf_str(x->reply, "{}");
    } else if (timeout && x->ctx->elapsed_ms >= timeout->integer) {
        return give_up(x);
    } else {
        x->parked = true;
        x->timeout_ms = timeout ? timeout->integer : -1;
    }
    return NULL;
}
