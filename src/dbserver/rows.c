/* dbserver/rows.c: see rows_i.h. */
#include "dbserver/rows_i.h"

#include "base/clock.h"
#include "dbserver/peer_i.h"

void
db_column_done(struct db_column *c)
{
    free(TAKE(c->name));
    free(TAKE(c->db));
    free(TAKE(c->table));
    free(TAKE(c->column));
}

struct err *
db_column_parse(const char *name, struct db_column *ret)
{
    CLEANUP(strvec_done) struct strvec parts = STRVEC_INIT;
    strvec_split(&parts, name + strlen("db:"), ",");
    if (parts.n != 3) {
        return err_hint(err_new(ERR_SYNTAX, "\"%s\": invalid syntax", name),
                        "write db:DATABASE,TABLE,COLUMN");
    }
    *ret = (struct db_column){ str_dup(name), str_dup(parts.v[0]), str_dup(parts.v[1]),
                               str_dup(parts.v[2]) };
    return NULL;
}

struct err *
db_column_find(const struct dbserver *s, const struct db_column *c,
               struct served **ret_served, const struct column **ret_column)
{
    struct served *served = map_get(&s->dbs, c->db);
    if (!served) {
        return err_new(ERR_NOT_FOUND, "\"%s\": no database named %s", c->name, c->db);
    } else if (!served->db) { /* A relay; its source will tell. */
        return err_new(ERR_BUSY, "\"%s\": database %s is not there yet", c->name, c->db);
    }
    const struct table_schema *table = schema_find_table(db_schema(served->db), c->table);
    if (!table) {
        return err_new(ERR_NOT_FOUND, "\"%s\": no table named %s", c->name, c->table);
    }
    *ret_column = schema_find_column(table, c->column);
    if (!*ret_column) {
        return err_new(ERR_NOT_FOUND, "\"%s\": table \"%s\" has no column \"%s\"", c->name,
                       c->table, c->column);
    }
    *ret_served = served;
    return NULL;
}

void
rows_run(struct served *served, const struct json *params, bool writes, struct buf *reply)
{
    struct db_ctx ctx = { .read_only = !writes, .wall_ms = clock_wall_ms() };
    struct db_wait wait;
    struct txn *txn;
    enum db_outcome outcome = db_transact(served->db, params, &ctx, reply, &txn, &wait);

    ASSERT(outcome != DB_PARKED);
    if (outcome == DB_PREPARED) {
        served_commit(served, txn, reply);
        transact_rerun(served);
    }
}

struct json
rows_select(struct served *served, struct arena *arena, const char *table)
{
    CLEANUP(buf_done) struct buf reply = BUF_INIT;
    struct json op = json_object();
    struct json result;

    json_put(arena, &op, "op", json_string_ref("select"));
    json_put(arena, &op, "table", json_string_ref(table));
    json_put(arena, &op, "where", json_array());
    struct json params = json_pair(arena, json_string_ref(served->name), op);
    rows_run(served, &params, false, &reply);

    struct err *e = json_parse(arena, reply.data, reply.n, &result);
    const struct json *rows =
        !e && result.n == 1 ? json_get(&result.elems[0], "rows") : NULL;
    err_free(e);
    return rows ? *rows : json_array();
}

const struct json *
value_elements(const struct json *value, uint32_t *ret_n)
{
    if (value->type == JSON_ARRAY && value->n == 2 && value->elems[0].type == JSON_STRING &&
        str_eq(value->elems[0].string, "set")) {
        *ret_n = value->elems[1].n;
        return value->elems[1].elems;
    }
    *ret_n = 1;
    return value;
}

const struct json *
value_first(const struct json *row, const char *name)
{
    const struct json *value = json_get(row, name);
    uint32_t n = 0;
    const struct json *e = value ? value_elements(value, &n) : NULL;
    return n ? e : NULL;
}

const char *
value_of_key(const struct json *row, const char *name, const char *key)
{
    const struct json *map = json_get(row, name);
    if (!map || map->type != JSON_ARRAY || map->n != 2 ||
        map->elems[1].type != JSON_ARRAY) {
        return NULL;
    }
    JSON_FOR_EACH (pair, &map->elems[1]) {
        if (pair->n == 2 && pair->elems[0].type == JSON_STRING &&
            pair->elems[1].type == JSON_STRING && str_eq(pair->elems[0].string, key)) {
            return pair->elems[1].string;
        }
    }
    return NULL;
}

char *
rows_first_string(const struct dbserver *s, const struct db_column *c)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct column *column;
    struct served *served;
    struct err *e = db_column_find(s, c, &served, &column);

    if (e) {
        err_free(e);
        return NULL;
    }
    struct json rows = rows_select(served, &arena, c->table);
    JSON_FOR_EACH (row, &rows) {
        const struct json *value = value_first(row, c->column);
        if (json_is(value, JSON_STRING) && value->n) {
            return str_dup(value->string);
        }
    }
    return NULL;
}
