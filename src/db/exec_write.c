/* db/exec_write.c: insert, update, mutate, delete. */
#include "data/rfc7047.h"
#include "db/cond_i.h"
#include "db/exec_i.h"
#include "db/mutate_i.h"
#include "db/rbac_i.h"

static void
print_count(struct exec *x, size_t count)
{
    buf_str(x->reply, "{\"count\":");
    buf_i64(x->reply, (int64_t) count);
    buf_char(x->reply, '}');
}

/* '*uuid' is given by the client, or is chosen here; it may be called 'name' from now on. */
static struct err *
choose_uuid(struct exec *x, bool given, const struct json *name, struct uuid *uuid)
{
    if (name) {
        struct symbol *symbol = symtab_get(&x->txn->symbols, name->string);
        if (symbol->created) {
            return rfc_err_json(RFC_DUP_UUID_NAME, name,
                                "This \"uuid-name\" appeared on an earlier \"insert\" "
                                "operation.");
        }
        symbol->created = true;
        if (given) {
            symbol->uuid = *uuid;
        } else {
            *uuid = symbol->uuid;
        }
    } else if (!given) {
        uuid_random(uuid);
    }
    return NULL;
}

static struct err *
check_uuid(struct table *t, const struct json *json, const struct uuid *uuid)
{
    t->was_read = true;
    struct row *there = table_find_any(t, uuid);
    if (!there || (there->change && there->change->inserted && there->change->deleted)) {
        return NULL;
    }
    return rfc_err_json(RFC_DUP_UUID, json,
                        "This UUID would duplicate a UUID already present within the "
                        "\"%s\" table or deleted from this table within the same "
                        "transaction.",
                        t->schema->name);
}

/* Defaults that break their own column's constraints must have been given a value. */
static struct err *
check_defaults(const struct table *t, const struct cells *cells)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        if (t->default_is_bad[i] && !cells->given[i + N_SPECIAL_COLUMNS]) {
            TRY(datum_check(&t->defaults[i],
                            &t->schema->columns[i + N_SPECIAL_COLUMNS].type));
        }
    }
    return NULL;
}

/* What the row shall be, and what it is called.  Whether the UUID is new is looked up last, because
 * the table is large and far; but that it is not is said before all else. */
static struct err *
read_insert(struct exec *x, struct table *t, const struct json *given,
            const struct json *name, const struct json *row, struct uuid *ret_uuid,
            struct cells *ret_cells)
{
    if (given && !uuid_parse(given->string, ret_uuid)) {
        return rfc_syntax(given, "bad uuid");
    } else if (given) {
        hmap_prefetch_bucket(&t->rows, uuid_hash(ret_uuid));
    }
    struct err *e = choose_uuid(x, given != NULL, name, ret_uuid);
    e = e ? e : cells_parse(ret_cells, &x->txn->arena, t, row, &x->txn->symbols);
    e = e ? e : check_defaults(t, ret_cells);
    struct err *there = given ? check_uuid(t, given, ret_uuid) : NULL;
    if (there) {
        err_free(e);
    }
    return there ? there : e;
}

/* {"op":"insert","table":<id>,"row":<row>,"uuid-name":<id>?,"uuid":string?}, RFC 7047 5.2.1. */
struct err *
exec_insert(struct exec *x, struct decode *op, const struct json *whole)
{
    struct table *t = exec_table(x, op);
    const struct json *uuid_json =
        decode_member(op, "uuid", DECODE_STRING | DECODE_OPTIONAL);
    const struct json *name = decode_member(op, "uuid-name", DECODE_ID | DECODE_OPTIONAL);
    const struct json *row_json = decode_member(op, "row", DECODE_OBJECT);
    TRY(rfc_decode_end(op, whole));

    struct uuid uuid;
    CLEANUP(cells_done) struct cells cells = CELLS_INIT;
    TRY(read_insert(x, t, uuid_json, name, row_json, &uuid, &cells));

    index_prefetch(t, &cells);
    struct row *row = txn_insert(x->txn, t, &uuid);
    for (size_t i = 0; i < t->n_fields; i++) {
        if (cells.given[i + N_SPECIAL_COLUMNS]) {
            row_set(row, i, datum_take(&cells.v[i + N_SPECIAL_COLUMNS]));
        }
    }
    TRY(rbac_check_insert(x->ctx,
                          row)); /* A failed operation undoes the whole transaction. */
    union atom a = { .uuid = uuid };
    buf_str(x->reply, "{\"uuid\":");
    atom_print(&a, ATOM_UUID, x->reply);
    buf_char(x->reply, '}');
    return NULL;
}

static struct err *
check_mutable(const struct table *t, const struct cells *cells, const struct json *whole)
{
    for (size_t i = 0; i < t->schema->n_columns; i++) {
        const struct column *c = &t->schema->columns[i];
        if (cells->given[i] && !c->is_mutable) {
            return rfc_err_json(RFC_CONSTRAINT, whole,
                                "Cannot update immutable column %s in table %s.", c->name,
                                t->schema->name);
        }
    }
    return NULL;
}

static size_t
given_columns(struct arena *arena, const struct cells *cells, const struct column ***ret)
{
    const struct table_schema *ts = cells->table->schema;
    size_t n = 0;
    *ret = arena_alloc(arena, ts->n_columns * sizeof **ret);
    for (size_t i = 0; i < ts->n_columns; i++) {
        if (cells->given[i]) {
            (*ret)[n++] = &ts->columns[i];
        }
    }
    return n;
}

static void
update_row(struct txn *txn, struct row *row, const struct cells *cells)
{
    for (size_t i = 0; i < row->table->n_fields; i++) {
        const struct type *type = &row->table->schema->columns[i + N_SPECIAL_COLUMNS].type;
        const struct datum *new = &cells->v[i + N_SPECIAL_COLUMNS];
        struct datum room;
        if (cells->given[i + N_SPECIAL_COLUMNS] &&
            !datum_eq(row_field(row, i, &room), new, type)) {
            txn_set(txn, row, i, datum_dup(new, type));
        }
    }
}

/* {"op":"update","table":<id>,"where":[<condition>*],"row":<row>}, RFC 7047 5.2.3. */
struct err *
exec_update(struct exec *x, struct decode *op, const struct json *whole)
{
    struct table *t = exec_table(x, op);
    const struct json *where = decode_member(op, "where", DECODE_ARRAY);
    const struct json *row_json = decode_member(op, "row", DECODE_OBJECT);
    TRY(rfc_decode_end(op, whole));

    CLEANUP(cells_done) struct cells cells = CELLS_INIT;
    CLEANUP(cond_done) struct cond cond = COND_INIT;
    TRY(cells_parse(&cells, &x->txn->arena, t, row_json, &x->txn->symbols));
    TRY(check_mutable(t, &cells, whole));
    TRY(cond_parse(&cond, &x->txn->arena, t, where, &x->txn->symbols));

    CLEANUP(row_vec_done) struct row_vec found = ROW_VEC_INIT;
    query(t, &cond, &found);
    const struct column **columns;
    size_t n_columns = given_columns(&x->txn->arena, &cells, &columns);
    TRY(rbac_check_update(x->ctx, t, &found, columns, n_columns));
    VEC_FOR_EACH (struct row **row, &found.rows) {
        update_row(x->txn, *row, &cells);
    }
    print_count(x, found.rows.n);
    return NULL;
}

/* {"op":"mutate","table":<id>,"where":[<condition>*],"mutations":[<mutation>*]}, 5.2.4. */
struct err *
exec_mutate(struct exec *x, struct decode *op, const struct json *whole)
{
    struct table *t = exec_table(x, op);
    const struct json *where = decode_member(op, "where", DECODE_ARRAY);
    const struct json *mutations_json = decode_member(op, "mutations", DECODE_ARRAY);
    TRY(rfc_decode_end(op, whole));

    CLEANUP(mutations_done) struct mutations mutations = MUTATIONS_INIT;
    CLEANUP(cond_done) struct cond cond = COND_INIT;
    TRY(mutations_parse(&mutations, &x->txn->arena, t, mutations_json, &x->txn->symbols));
    TRY(cond_parse(&cond, &x->txn->arena, t, where, &x->txn->symbols));

    CLEANUP(row_vec_done) struct row_vec found = ROW_VEC_INIT;
    query(t, &cond, &found);
    const struct column **columns =
        arena_alloc(&x->txn->arena, (mutations.n + 1) * sizeof *columns);
    for (size_t i = 0; i < mutations.n; i++) {
        columns[i] = mutations.v[i].column;
    }
    TRY(rbac_check_mutate(x->ctx, t, &found, columns, mutations.n));
    for (size_t i = 0; i < found.rows.n && mutations.n; i++) {
        TRY(mutations_apply(&mutations, x->txn, found.rows.v[i]));
    }
    print_count(x, found.rows.n);
    return NULL;
}

/* {"op":"delete","table":<id>,"where":[<condition>*]}, RFC 7047 5.2.5. */
struct err *
exec_delete(struct exec *x, struct decode *op, const struct json *whole)
{
    const struct json *where = decode_member(op, "where", DECODE_ARRAY);
    struct table *t = exec_table(x, op);
    TRY(rfc_decode_end(op, whole));

    CLEANUP(cond_done) struct cond cond = COND_INIT;
    TRY(cond_parse(&cond, &x->txn->arena, t, where, &x->txn->symbols));

    CLEANUP(row_vec_done) struct row_vec found = ROW_VEC_INIT;
    query(t, &cond, &found);
    TRY(rbac_check_delete(x->ctx, t, &found));
    VEC_FOR_EACH (struct row **row, &found.rows) {
        txn_delete(x->txn, *row);
    }
    print_count(x, found.rows.n);
    return NULL;
}
