/* db/exec_select.c: select, with "sort" as an extension. */
#include "data/rfc7047.h"
#include "db/cond_i.h"
#include "db/exec_i.h"
#include "db/project_i.h"

struct columns {
    const struct column **v;
    size_t n;
};

static int
row_cmp(const void *a_, const void *b_, void *columns_)
{
    const struct row *a = *(struct row *const *) a_, *b = *(struct row *const *) b_;
    const struct columns *columns = columns_;
    struct datum ra, rb;

    for (size_t i = 0; i < columns->n; i++) {
        const struct column *c = columns->v[i];
        int cmp = datum_cmp(row_get(a, c, &ra), row_get(b, c, &rb), &c->type);
        if (cmp) {
            return cmp;
        }
    }
    return 0;
}

static void
print_row(const struct row *row, const struct columns *columns, struct buf *buf)
{
    struct datum room;
    buf_char(buf, '{');
    for (size_t i = 0; i < columns->n; i++) {
        const struct column *c = columns->v[i];
        buf_str(buf, i ? ",\"" : "\"");
        buf_str(buf, c->name);
        buf_str(buf, "\":");
        datum_print(row_get(row, c, &room), &c->type, buf);
    }
    buf_char(buf, '}');
}

static bool
has_uuid(const struct columns *columns)
{
    for (size_t i = 0; i < columns->n; i++) {
        if (columns->v[i]->index == COLUMN_UUID) {
            return true;
        }
    }
    return false;
}

/* Without _uuid rows may look alike: then only the first one stays. */
static void
drop_duplicates(struct row_vec *found, const struct columns *columns, struct arena *arena)
{
    CLEANUP(view_set_done)
    struct view_set seen = { .columns = columns->v,
                             .n_columns = columns->n,
                             .arena = arena };
    size_t n = 0;
    for (size_t i = 0; i < found->rows.n; i++) {
        if (view_set_add(&seen, found->rows.v[i], NULL)) {
            found->rows.v[n++] = found->rows.v[i];
        }
    }
    found->rows.n = n;
}

/* {"op":"select","table":<id>,"where":[<condition>*],"columns":[...]?,"sort":[...]?}, 5.2.2. */
struct err *
exec_select(struct exec *x, struct decode *op, const struct json *whole)
{
    struct arena *arena = &x->txn->arena;
    struct table *t = exec_table(x, op);
    const struct json *where = decode_member(op, "where", DECODE_ARRAY);
    const struct json *columns_json =
        decode_member(op, "columns", DECODE_ARRAY | DECODE_OPTIONAL);
    const struct json *sort_json =
        decode_member(op, "sort", DECODE_ARRAY | DECODE_OPTIONAL);
    TRY(rfc_decode_end(op, whole));

    CLEANUP(cond_done) struct cond cond = COND_INIT;
    struct columns columns, sort;
    TRY(cond_parse(&cond, arena, t, where, &x->txn->symbols));
    TRY(schema_parse_columns(arena, t->schema, columns_json, &columns.v, &columns.n));
    TRY(schema_parse_columns(arena, t->schema, sort_json, &sort.v, &sort.n));

    CLEANUP(row_vec_done) struct row_vec found = ROW_VEC_INIT;
    query(t, &cond, &found);
    if (!has_uuid(&columns)) {
        drop_duplicates(&found, &columns, arena);
    }
    if (sort_json && found.rows.n > 1) {
        qsort_r(found.rows.v, found.rows.n, sizeof *found.rows.v, row_cmp, &sort);
    }

    buf_str(x->reply, "{\"rows\":[");
    for (size_t i = 0; i < found.rows.n; i++) {
        if (i) {
            buf_char(x->reply, ',');
        }
        print_row(found.rows.v[i], &columns, x->reply);
    }
    buf_str(x->reply, "]}");
    return NULL;
}
