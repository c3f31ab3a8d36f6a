/* tests/fuzz/fuzz_follow.c: what another server's monitor may tell a relay or a backup.
 *
 * The input is a JSON array of <table-updates>; one in an array of its own is all that there is.
 * What is refused must leave no trace; what is taken must not change when the same content is told
 * as a whole; in the end a snapshot must make the same content again. */
#include "db/monitor.h"
#include "db_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* Fewer indexes than the others' schema: most rows that are made up get in. */
static const char follow_schema[] =
    "{\"name\":\"D\",\"tables\":{"
    "\"R\":{\"isRoot\":true,\"maxRows\":9,\"indexes\":[[\"k\"]],\"columns\":{"
    "\"k\":{\"type\":\"integer\"},\"s\":{\"type\":\"string\"},"
    "\"o\":{\"type\":{\"key\":{\"type\":\"integer\",\"maxInteger\":7},\"min\":0}},"
    "\"n\":{\"type\":{\"key\":\"integer\",\"min\":0,\"max\":4},\"ephemeral\":true},"
    "\"m\":{\"type\":{\"key\":\"string\",\"value\":\"integer\",\"min\":0,\"max\":\"unlimited\"}},"
    "\"f\":{\"type\":\"string\",\"mutable\":false},"
    "\"c\":{\"type\":{\"key\":{\"type\":\"uuid\",\"refTable\":\"C\"},\"min\":0,\"max\":\"unlimited\"}},"
    "\"w\":{\"type\":{\"key\":{\"type\":\"uuid\",\"refTable\":\"R\",\"refType\":\"weak\"},\"min\":0,"
    "\"max\":3}}}},"
    "\"C\":{\"columns\":{\"v\":{\"type\":\"integer\"}}}}}";

static void
deliver(void *aux, struct monitor *m, struct bytes *updates)
{
    *(unsigned *) aux += 1;
    ASSERT(updates->n >= 2);
}

/* Takes what the monitor shows of 'db' as the whole content of another one. */
static void
copy(struct monitor *m, struct db *to)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct db_follow how = { .whole = true };
    struct txn *txn;
    struct json j;
    unsigned n = 0;

    struct bytes *all = monitor_initial(m);
    struct err *e = json_parse(&arena, all->data, all->n, &j);
    ASSERT(!e);
    bytes_unref(all);
    e = db_follow(to, &j, &how, NULL, &txn);
    ASSERT(!e); /* What one database shows another of its schema can hold. */
    if (txn) {
        db_txn_commit(txn, deliver, &n);
    }
}

static void
follow(struct db *db, const struct json *updates)
{
    struct db_follow how = { .whole = updates->type == JSON_ARRAY && updates->n == 1 };
    struct db_ctx ctx = { .author = "fuzz" };
    struct txn *txn;
    unsigned n = 0;
    CLEANUP(free_drop) char *before = content(db);
    CLEANUP(err_drop)
    struct err *e =
        db_follow(db, how.whole ? &updates->elems[0] : updates, &how, &ctx, &txn);

    if (txn) {
        ASSERT(!e);
        db_txn_commit(txn, deliver, &n);
    } else {
        CLEANUP(free_drop) char *after = content(db);
        ASSERT(strcmp(before, after) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(schema_drop) struct schema *schema = NULL;
    struct json input, requests = json_object(), any = json_array();
    struct monitor *m;

    struct err *e = json_parse(&arena, (const char *) data, n_bytes, &input);
    if (e || input.type != JSON_ARRAY) {
        err_free(e);
        return 0;
    }
    e = schema_parse_text(follow_schema, strlen(follow_schema), &schema);
    ASSERT(!e);
    struct db *db = db_new(schema), *other = db_new(schema);
    json_add(&arena, &any, json_object());
    json_put(&arena, &requests, "R", any);
    json_put(&arena, &requests, "C", any);
    e = monitor_new(db, &requests, MONITOR_V2, NULL, &m);
    ASSERT(!e);
    for (uint32_t i = 0; i < input.n; i++) {
        follow(db, &input.elems[i]);
        copy(m, other);
        CLEANUP(free_drop) char *a = content(db);
        CLEANUP(free_drop) char *b = content(other);
        ASSERT(strcmp(a, b) == 0);
    }
    monitor_free(m);
    db_free(db);
    db_free(other);
    return 0;
}
