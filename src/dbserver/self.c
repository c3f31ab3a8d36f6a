/* dbserver/self.c: the database _Server, which tells clients what is served here.  Its one
 * table has a row for each database, itself included; clients can only read it.
 * Source.  ovsdb-server(5), schema version 1.2.0. */
#include "base/clock.h"
#include "dbserver/relay_i.h"

static const char self_schema[] =
    "{\"name\":\"_Server\",\"version\":\"1.2.0\",\"cksum\":\"3009684573 744\",\"tables\":{\"Database\":{"
    "\"columns\":{"
    "\"name\":{\"type\":\"string\"},"
    "\"model\":{\"type\":{\"key\":{\"type\":\"string\",\"enum\":[\"set\",[\"standalone\",\"clustered\","
    "\"relay\"]]}}},"
    "\"connected\":{\"type\":\"boolean\"},"
    "\"leader\":{\"type\":\"boolean\"},"
    "\"schema\":{\"type\":{\"key\":{\"type\":\"string\"},\"min\":0,\"max\":1}},"
    "\"cid\":{\"type\":{\"key\":{\"type\":\"uuid\"},\"min\":0,\"max\":1}},"
    "\"sid\":{\"type\":{\"key\":{\"type\":\"uuid\"},\"min\":0,\"max\":1}},"
    "\"index\":{\"type\":{\"key\":{\"type\":\"integer\"},\"min\":0,\"max\":1}}}}}}";

/* Runs one operation of our own on _Server. */
static void
self_transact(struct dbserver *server, struct arena *arena, struct json op)
{
    struct json params = json_pair(arena, json_string_ref("_Server"), op);
    struct db_ctx ctx = { .wall_ms = clock_wall_ms() };
    CLEANUP(buf_done) struct buf reply = BUF_INIT;
    struct db_wait wait;
    struct txn *txn;
    enum db_outcome outcome =
        db_transact(server->self->db, &params, &ctx, &reply, &txn, &wait);

    ASSERT(outcome != DB_PARKED);
    if (outcome == DB_PREPARED) { /* Else nothing changed. */
        served_commit(server->self, txn, &reply);
        transact_rerun(server->self);
    }
}

static struct json
uuid_json(struct arena *arena, const struct uuid *uuid)
{
    return json_pair(arena, json_string_ref("uuid"), json_string(arena, UUID_TEXT(uuid)));
}

/* [["_uuid","==",the database's row]] */
static struct json
where_row(struct arena *arena, const struct served *served)
{
    struct json where = json_array();
    struct json clause = json_array();

    json_add(arena, &clause, json_string_ref("_uuid"));
    json_add(arena, &clause, json_string_ref("=="));
    json_add(arena, &clause, uuid_json(arena, &served->row));
    json_add(arena, &where, clause);
    return where;
}

struct served *
self_new(struct dbserver *server)
{
    return served_new_builtin(server, self_schema);
}

/* The row as it should be; 'schema' is where its text is made. */
static struct json
describe(struct arena *arena, const struct served *served, struct buf *schema)
{
    const struct relay *relay = served->relay;
    struct json row = json_object();

    json_put(arena, &row, "name", json_string_ref(served->name));
    json_put(arena, &row, "model", json_string_ref(relay ? "relay" : "standalone"));
    json_put(arena, &row, "connected", json_bool(!relay || relay_is_connected(relay)));
    json_put(arena, &row, "leader", json_bool(!relay));
    if (served->db) {
        schema_print(db_schema(served->db), schema);
        json_put(arena, &row, "schema", json_string_ref(buf_cstr(schema)));
    }
    return row;
}

void
self_add(struct dbserver *server, struct served *served)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf schema = BUF_INIT;
    struct json op = json_object();

    uuid_random(&served->row);
    json_put(&arena, &op, "op", json_string_ref("insert"));
    json_put(&arena, &op, "table", json_string_ref("Database"));
    json_put(&arena, &op, "uuid", json_string(&arena, UUID_TEXT(&served->row)));
    json_put(&arena, &op, "row", describe(&arena, served, &schema));
    self_transact(server, &arena, op);
}

void
self_update(struct dbserver *server, struct served *served)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf schema = BUF_INIT;
    struct json op = json_object();

    json_put(&arena, &op, "op", json_string_ref("update"));
    json_put(&arena, &op, "table", json_string_ref("Database"));
    json_put(&arena, &op, "where", where_row(&arena, served));
    json_put(&arena, &op, "row", describe(&arena, served, &schema));
    self_transact(server, &arena, op);
}

void
self_remove(struct dbserver *server, struct served *served)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json op = json_object();

    json_put(&arena, &op, "op", json_string_ref("delete"));
    json_put(&arena, &op, "table", json_string_ref("Database"));
    json_put(&arena, &op, "where", where_row(&arena, served));
    self_transact(server, &arena, op);
}
