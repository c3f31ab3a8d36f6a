/* tests/fuzz/fuzz_transact.c: requests on a database with every kind of column.
 *
 * The input is a JSON array: an array in it is a transaction's operations, an object a monitor's
 * requests.  Every second prepared transaction is taken back, which must leave the content as it
 * was; in the end a snapshot must make the same content again. */
#include "db/monitor.h"
#include "db_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { MAX_MONITORS = 8 };

struct fuzz {
    struct db *db;
    struct monitor *monitors[MAX_MONITORS];
    size_t n_monitors;
    unsigned n_prepared;
};

static void
check_json(const char *text, size_t n)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;
    struct err *e = json_parse(&arena, text, n, &j);
    ASSERT(!e);
}

static void
check_update(void *aux, struct monitor *m, struct bytes *updates)
{
    check_json(updates->data, updates->n);
}

static void
transact(struct fuzz *f, struct arena *arena, const struct json *ops)
{
    struct json params = json_array();
    json_add(arena, &params, json_string_ref("D"));
    for (uint32_t i = 0; i < ops->n; i++) {
        json_add(arena, &params, ops->elems[i]);
    }

    CLEANUP(buf_done) struct buf reply = BUF_INIT;
    CLEANUP(free_drop) char *before = content(f->db);
    CLEANUP(free_drop) char *after = NULL;
    struct db_ctx ctx = { .author = "fuzz" };
    struct txn *txn;
    struct db_wait wait;
    enum db_outcome outcome = db_transact(f->db, &params, &ctx, &reply, &txn, &wait);
    if (outcome == DB_PARKED) {
        db_wait_done(&wait);
        return;
    } else if (outcome == DB_PREPARED && f->n_prepared++ % 2) {
        CLEANUP(err_drop) struct err *e = err_io(28, "write");
        db_txn_abort(txn, e, &reply);
        outcome = DB_DONE;
    } else if (outcome == DB_PREPARED) {
        db_txn_commit(txn, check_update, NULL);
    }
    check_json(reply.data, reply.n);
    if (outcome == DB_DONE) {
        after = content(f->db);
        ASSERT(strcmp(before, after) == 0);
    }
}

static void
monitor(struct fuzz *f, const struct json *requests)
{
    struct monitor *m;
    if (f->n_monitors == MAX_MONITORS) {
        return;
    }
    struct err *e =
        monitor_new(f->db, requests, f->n_monitors % 2 ? MONITOR_V1 : MONITOR_V2, NULL, &m);
    if (!e) {
        CLEANUP(bytes_drop) struct bytes *initial = monitor_initial(m);
        CLEANUP(bytes_drop) struct bytes *difference = NULL;
        check_json(initial->data, initial->n);
        e = monitor_change(m, requests, &difference);
        f->monitors[f->n_monitors++] = m;
    }
    err_free(e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(schema_drop) struct schema *schema = NULL;
    struct fuzz f = { 0 };
    struct json j;
    struct err *e = json_parse(&arena, (const char *) data, n_bytes, &j);
    if (e || j.type != JSON_ARRAY) {
        err_free(e);
        return 0;
    }
    e = schema_parse_text(schema_text, sizeof schema_text - 1, &schema);
    ASSERT(!e);
    f.db = db_new(schema);
    for (uint32_t i = 0; i < j.n; i++) {
        if (j.elems[i].type == JSON_ARRAY) {
            transact(&f, &arena, &j.elems[i]);
        } else if (j.elems[i].type == JSON_OBJECT) {
            monitor(&f, &j.elems[i]);
        }
    }

    CLEANUP(buf_done) struct buf snapshot = BUF_INIT;
    CLEANUP(db_drop) struct db *copy = db_new(schema);
    db_snapshot(f.db, 0, NULL, &snapshot);
    e = json_parse(&arena, snapshot.data, snapshot.n, &j);
    ASSERT(!e);
    e = db_replay(copy, &j);
    ASSERT(!e);
    CLEANUP(free_drop) char *a = content(f.db);
    CLEANUP(free_drop) char *b = content(copy);
    ASSERT(strcmp(a, b) == 0);

    for (size_t i = 0; i < f.n_monitors; i++) {
        monitor_free(f.monitors[i]);
    }
    db_free(f.db);
    return 0;
}
