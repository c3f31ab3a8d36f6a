/* replica/write.c: building a transaction.
 *
 * What goes out is: the waits that guard it, then per row, in the order of their making, the
 * insert, or update and mutate, or delete, and a comment at the end. */
#include "replica/write_i.h"

#include "base/str.h"
#include "replica/replica.h"
#include "wire/jsonrpc.h"

struct txn *
txn_new(const char *database)
{
    struct txn *txn = NEW(struct txn);
    txn->database = str_dup(database);
    list_init(&txn->rows);
    return txn;
}

void
txn_free(struct txn *txn)
{
    if (txn) {
        VEC_DONE(&txn->guards);
        buf_done(&txn->comment);
        jsonrpc_msg_free(txn->reply);
        arena_done(&txn->arena);
        free(txn->database);
        free(txn);
    }
}

void
txn_drop(struct txn **txn)
{
    txn_free(*txn);
    *txn = NULL;
}

bool
txn_is_empty(const struct txn *txn)
{
    return list_empty(&txn->rows);
}

struct arena *
txn_arena(struct txn *txn)
{
    return &txn->arena;
}

/* Rows. */

static struct txn_row *
row_add(struct txn *txn, enum op_kind kind, const char *table)
{
    struct txn_row *row = ARENA_NEW(&txn->arena, struct txn_row);
    row->txn = txn;
    row->kind = kind;
    row->table = table ? arena_str(&txn->arena, table) : NULL;
    row->columns = json_object();
    row->mutations = json_array();
    list_push_back(&txn->rows, &row->node);
    return row;
}

struct txn_row *
txn_insert(struct txn *txn, const char *table)
{
    struct txn_row *row = row_add(txn, OP_INSERT, table);
    row->name = arena_printf(&txn->arena, "row%u", txn->n_names++);
    return row;
}

static void
guard_exists(struct txn *txn, const char *table, const struct uuid *uuid)
{
    *VEC_ADD(&txn->guards) =
        (struct guard){ .table = arena_str(&txn->arena, table), .uuid = *uuid };
}

struct txn_row *
txn_update(struct txn *txn, const char *table, const struct uuid *uuid)
{
    LIST_FOR_EACH (struct txn_row, row, node, &txn->rows) {
        if (row->kind == OP_UPDATE && uuid_eq(&row->uuid, uuid) &&
            str_eq(row->table, table)) {
            return row;
        }
    }
    struct txn_row *row = row_add(txn, OP_UPDATE, table);
    row->uuid = *uuid;
    guard_exists(txn, table, uuid);
    return row;
}

void
txn_delete(struct txn *txn, const char *table, const struct uuid *uuid)
{
    row_add(txn, OP_DELETE, table)->uuid = *uuid;
    guard_exists(txn, table, uuid);
}

void
txn_op(struct txn *txn, struct json op)
{
    row_add(txn, OP_RAW, NULL)->raw = op;
}

/* Values. */

static struct json
uuid_json(struct arena *arena, const struct uuid *uuid)
{
    return json_pair(arena, json_string_ref("uuid"), json_string(arena, UUID_TEXT(uuid)));
}

static struct json
empty_set(struct arena *arena)
{
    return json_pair(arena, json_string_ref("set"), json_array());
}

void
txn_set(struct txn_row *row, const char *column, struct json value)
{
    ASSERT(row->kind == OP_INSERT || row->kind == OP_UPDATE);
    for (uint32_t i = 0; i < row->columns.n; i++) {
        if (strcmp(row->columns.members[i].name, column) == 0) {
            row->columns.members[i].value = value;
            return;
        }
    }
    struct arena *arena = &row->txn->arena;
    json_put(arena, &row->columns, arena_str(arena, column), value);
}

void
txn_set_string(struct txn_row *row, const char *column, const char *s)
{
    struct arena *arena = &row->txn->arena;
    txn_set(row, column, s ? json_string(arena, s) : empty_set(arena));
}

void
txn_set_int(struct txn_row *row, const char *column, int64_t integer)
{
    txn_set(row, column, json_int(integer));
}

void
txn_set_real(struct txn_row *row, const char *column, double real)
{
    txn_set(row, column, json_real(real));
}

void
txn_set_bool(struct txn_row *row, const char *column, bool b)
{
    txn_set(row, column, json_bool(b));
}

void
txn_set_uuid(struct txn_row *row, const char *column, const struct uuid *uuid)
{
    struct arena *arena = &row->txn->arena;
    txn_set(row, column, uuid ? uuid_json(arena, uuid) : empty_set(arena));
}

void
txn_set_row(struct txn_row *row, const char *column, const struct txn_row *other)
{
    struct arena *arena = &row->txn->arena;
    txn_set(row, column,
            other->kind == OP_INSERT ? json_pair(arena, json_string_ref("named-uuid"),
                                                 json_string_ref(other->name))
                                     : uuid_json(arena, &other->uuid));
}

void
txn_set_datum(struct txn_row *row, const struct column *column, const struct datum *d)
{
    txn_set(row, column->name, datum_json(&row->txn->arena, d, &column->type));
}

void
txn_clear(struct txn_row *row, const char *column)
{
    txn_set(row, column, empty_set(&row->txn->arena));
}

void
txn_mutate(struct txn_row *row, const char *column, const char *mutator, struct json value)
{
    ASSERT(row->kind == OP_UPDATE);
    struct arena *arena = &row->txn->arena;
    struct json mutation = json_array();
    json_add(arena, &mutation, json_string(arena, column));
    json_add(arena, &mutation, json_string(arena, mutator));
    json_add(arena, &mutation, value);
    json_add(arena, &row->mutations, mutation);
}

void
txn_add(struct txn_row *row, const char *column, int64_t integer)
{
    txn_mutate(row, column, "+=", json_int(integer));
}

/* ["map", [[key, value]]] or ["set", [key]] */
static struct json
collection_of(struct arena *arena, const char *kind, struct json element)
{
    struct json elements = json_array();
    json_add(arena, &elements, element);
    return json_pair(arena, json_string_ref(kind), elements);
}

void
txn_map_put(struct txn_row *row, const char *column, const char *key, const char *value)
{
    struct arena *arena = &row->txn->arena;
    struct json pair = json_pair(arena, json_string(arena, key), json_string(arena, value));
    txn_map_remove(row, column, key); /* "insert" keeps the value of a key that is there. */
    txn_mutate(row, column, "insert", collection_of(arena, "map", pair));
}

void
txn_map_remove(struct txn_row *row, const char *column, const char *key)
{
    struct arena *arena = &row->txn->arena;
    txn_mutate(row, column, "delete", collection_of(arena, "set", json_string(arena, key)));
}

void
txn_verify(struct txn *txn, const struct replica_row *row, const char *name)
{
    const struct table_schema *schema = row->table->schema;
    const struct column *column = schema_find_column(schema, name);
    ASSERT(column);
    *VEC_ADD(&txn->guards) = (struct guard){
        .table = arena_str(&txn->arena, schema->name),
        .uuid = row->uuid,
        .column = arena_str(&txn->arena, name),
        .value = datum_json(&txn->arena, &row->columns[column->index], &column->type),
    };
}

void
txn_comment(struct txn *txn, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_str(&txn->comment, txn->comment.n > 0 ? "\n" : "");
    buf_vprintf(&txn->comment, fmt, args);
    va_end(args);
}

/* What goes out. */

static struct json
op_new(struct arena *arena, const char *op, const char *table)
{
    struct json j = json_object();
    json_put(arena, &j, "op", json_string_ref(op));
    if (table) {
        json_put(arena, &j, "table", json_string_ref(table));
    }
    return j;
}

static void
put_where(struct arena *arena, struct json *op, const struct uuid *uuid)
{
    struct json clause = json_array(), where = json_array();
    json_add(arena, &clause, json_string_ref("_uuid"));
    json_add(arena, &clause, json_string_ref("=="));
    json_add(arena, &clause, uuid_json(arena, uuid));
    json_add(arena, &where, clause);
    json_put(arena, op, "where", where);
}

static struct json
guard_op(struct arena *arena, const struct guard *g)
{
    const char *column = g->column ? g->column : "_uuid";
    struct json op = op_new(arena, "wait", g->table);
    struct json columns = json_array(), row = json_object(), rows = json_array();
    put_where(arena, &op, &g->uuid);
    json_add(arena, &columns, json_string_ref(column));
    json_put(arena, &op, "columns", columns);
    json_put(arena, &op, "until", json_string_ref("=="));
    json_put(arena, &row, column, g->column ? g->value : uuid_json(arena, &g->uuid));
    json_add(arena, &rows, row);
    json_put(arena, &op, "rows", rows);
    json_put(arena, &op, "timeout", json_int(0));
    return op;
}

static void
add_row_ops(struct arena *arena, struct json *params, const struct txn_row *row)
{
    struct json op;
    switch (row->kind) {
    case OP_RAW: json_add(arena, params, row->raw); return;
    case OP_DELETE:
        op = op_new(arena, "delete", row->table);
        put_where(arena, &op, &row->uuid);
        json_add(arena, params, op);
        return;
    case OP_INSERT:
        op = op_new(arena, "insert", row->table);
        json_put(arena, &op, "uuid-name", json_string_ref(row->name));
        json_put(arena, &op, "row", row->columns);
        json_add(arena, params, op);
        return;
    case OP_UPDATE:
        if (row->columns.n > 0) {
            op = op_new(arena, "update", row->table);
            put_where(arena, &op, &row->uuid);
            json_put(arena, &op, "row", row->columns);
            json_add(arena, params, op);
        }
        if (row->mutations.n > 0) {
            op = op_new(arena, "mutate", row->table);
            put_where(arena, &op, &row->uuid);
            json_put(arena, &op, "mutations", row->mutations);
            json_add(arena, params, op);
        }
        return;
    }
}

struct json
txn_params(struct txn *txn)
{
    struct arena *arena = &txn->arena;
    struct json params = json_array();
    json_add(arena, &params, json_string_ref(txn->database));
    VEC_FOR_EACH (struct guard *g, &txn->guards) {
        json_add(arena, &params, guard_op(arena, g));
    }
    LIST_FOR_EACH (struct txn_row, row, node, &txn->rows) {
        row->op = params.n - 1;
        add_row_ops(arena, &params, row);
    }
    if (txn->comment.n > 0) {
        struct json op = op_new(arena, "comment", NULL);
        json_put(arena, &op, "comment",
                 json_string_n(arena, txn->comment.data, txn->comment.n));
        json_add(arena, &params, op);
    }
    txn->n_ops = params.n - 1;
    return params;
}
