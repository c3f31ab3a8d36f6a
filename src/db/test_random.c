/* db/test_random.c: random transactions on a small schema with every kind of reference.
 *
 * What must hold, whatever is asked: a transaction that fails, or whose record could not be
 * written, leaves no trace; the records alone make the same content again, and so do the updates of
 * a monitor; a monitor with a condition hears of exactly the rows that meet it. */
#include <stdio.h>

#include "base/map.h"
#include "base/str.h"
#include "db/db.h"
#include "db/monitor.h"
#include "test.h"

enum { N_STEPS = 10000, N_UUIDS = 12, N_SOME = 3 };

static const char schema_text[] =
    "{\"name\":\"D\",\"tables\":{"
    "\"R\":{\"isRoot\":true,\"maxRows\":8,\"indexes\":[[\"k\"]],\"columns\":{"
    "\"k\":{\"type\":\"integer\"},"
    "\"tags\":{\"type\":{\"key\":\"string\",\"min\":0,\"max\":\"unlimited\"}},"
    "\"opts\":{\"type\":{\"key\":\"string\",\"value\":\"integer\",\"min\":0,\"max\":3}},"
    "\"eph\":{\"type\":\"integer\",\"ephemeral\":true},"
    "\"kids\":{\"type\":{\"key\":{\"type\":\"uuid\",\"refTable\":\"C\"},\"min\":0,\"max\":\"unlimited\"}},"
    "\"peer\":{\"type\":{\"key\":{\"type\":\"uuid\",\"refTable\":\"R\",\"refType\":\"weak\"},\"min\":0}},"
    "\"see\":{\"type\":{\"key\":\"string\",\"value\":{\"type\":\"uuid\",\"refTable\":\"C\","
    "\"refType\":\"weak\"},\"min\":0,\"max\":\"unlimited\"}}}},"
    "\"C\":{\"columns\":{\"v\":{\"type\":\"integer\"},"
    "\"next\":{\"type\":{\"key\":{\"type\":\"uuid\",\"refTable\":\"C\"},\"min\":0}},"
    "\"boss\":{\"type\":{\"key\":{\"type\":\"uuid\",\"refTable\":\"R\",\"refType\":\"weak\"},"
    "\"min\":0,\"max\":2}}}}}}";

struct world {
    unsigned random;
    struct schema *schema;
    struct db *db, *copy, *view; /* The copy knows the records, the view the updates. */
    struct monitor *all;
    struct {
        struct monitor *m;
        struct map visible; /* UUIDs. */
    } some[N_SOME];
    char uuids[N_UUIDS][UUID_CHARS + 1];
};

static unsigned
rnd(struct world *w, unsigned n)
{
    w->random = w->random * 1103515245 + 12345;
    return (w->random >> 16) % n;
}

/* Some UUID: most often one that some row has had. */
static void
add_uuid(struct world *w, struct buf *b)
{
    if (rnd(w, 8) == 0) {
        buf_printf(b, "[\"named-uuid\",\"n%u\"]", rnd(w, 3));
    } else {
        buf_printf(b, "[\"uuid\",\"%s\"]", w->uuids[rnd(w, N_UUIDS)]);
    }
}

static void
add_uuids(struct world *w, struct buf *b, unsigned max)
{
    unsigned n = rnd(w, max + 1);
    buf_str(b, "[\"set\",[");
    for (unsigned i = 0; i < n; i++) {
        buf_str(b, i ? "," : "");
        add_uuid(w, b);
    }
    buf_str(b, "]]");
}

static void
add_row(struct world *w, struct buf *b, bool r)
{
    if (!r) {
        buf_printf(b, "{\"v\":%u", rnd(w, 3));
        if (rnd(w, 4) == 0) {
            buf_str(b, ",\"next\":");
            add_uuids(w, b, 1);
        }
        buf_str(b, ",\"boss\":");
        add_uuids(w, b, 2);
        buf_char(b, '}');
        return;
    }
    buf_printf(b, "{\"k\":%u", rnd(w, 14));
    if (rnd(w, 2)) {
        buf_printf(b, ",\"eph\":%u,\"tags\":[\"set\",[\"t%u\",\"u%u\"]]", rnd(w, 3),
                   rnd(w, 3), rnd(w, 3));
    }
    if (rnd(w, 4) == 0) {
        buf_str(b, ",\"kids\":");
        add_uuids(w, b, 2);
    }
    if (rnd(w, 2)) {
        buf_str(b, ",\"peer\":");
        add_uuids(w, b, 1);
    }
    if (rnd(w, 3) == 0) {
        buf_printf(b, ",\"see\":[\"map\",[[\"s%u\",", rnd(w, 2));
        add_uuid(w, b);
        buf_str(b, "]]]");
    }
    buf_char(b, '}');
}

static void
add_where(struct world *w, struct buf *b, bool r)
{
    switch (rnd(w, 4)) {
    case 0:
        buf_printf(b, "[[\"_uuid\",\"==\",[\"uuid\",\"%s\"]]]", w->uuids[rnd(w, N_UUIDS)]);
        break;
    case 1: buf_printf(b, "[[\"%s\",\"==\",%u]]", r ? "k" : "v", rnd(w, 10)); break;
    case 2: buf_printf(b, "[[\"%s\",\"<\",%u]]", r ? "k" : "v", rnd(w, 10)); break;
    default:
        buf_str(
            b,
            rnd(w, 8)
                ? "[[\"_uuid\",\"!=\",[\"uuid\",\"00000000-0000-0000-0000-000000000000\"]],false]"
                : "[]");
        break;
    }
}

static void
add_mutation(struct world *w, struct buf *b, bool r)
{
    static const char *const ops[] = { "insert", "delete" };
    if (!r) {
        buf_printf(b, "[\"v\",\"+=\",%u]", rnd(w, 2));
    } else if (rnd(w, 2)) {
        buf_printf(b, "[\"kids\",\"%s\",", ops[rnd(w, 2)]);
        add_uuids(w, b, 2);
        buf_char(b, ']');
    } else {
        buf_printf(b, "[\"opts\",\"%s\",[\"map\",[[\"o%u\",%u]]]]", ops[rnd(w, 2)],
                   rnd(w, 5), rnd(w, 2));
    }
}

static void
add_op(struct world *w, struct buf *b)
{
    bool r = rnd(w, 2);
    const char *table = r ? "R" : "C";
    unsigned i = rnd(w, N_UUIDS);
    switch (rnd(w, 9)) {
    case 8: /* A parent and its child. */
        buf_printf(
            b,
            "{\"op\":\"insert\",\"table\":\"C\",\"uuid\":\"%s\",\"row\":{}},"
            "{\"op\":\"insert\",\"table\":\"R\",\"row\":{\"k\":%u,\"kids\":[\"uuid\",\"%s\"]}",
            w->uuids[i], rnd(w, 14), w->uuids[i]);
        break;
    case 0:
    case 1:
    case 2:
        buf_printf(b, "{\"op\":\"insert\",\"table\":\"%s\",\"uuid%s\":\"", table,
                   rnd(w, 2) ? "-name" : "");
        if (b->data[b->n - 4] == 'e') {
            buf_printf(b, "n%u", rnd(w, 3));
        } else {
            buf_str(b, w->uuids[rnd(w, N_UUIDS)]);
        }
        buf_str(b, "\",\"row\":");
        add_row(w, b, r);
        break;
    case 3:
    case 4:
        buf_printf(b, "{\"op\":\"update\",\"table\":\"%s\",\"where\":", table);
        add_where(w, b, r);
        buf_str(b, ",\"row\":");
        add_row(w, b, r);
        break;
    case 5:
        buf_printf(b, "{\"op\":\"delete\",\"table\":\"%s\",\"where\":", table);
        add_where(w, b, r);
        break;
    case 6:
        buf_printf(b, "{\"op\":\"select\",\"table\":\"%s\",\"where\":", table);
        add_where(w, b, r);
        break;
    default:
        buf_printf(b, "{\"op\":\"mutate\",\"table\":\"%s\",\"where\":", table);
        add_where(w, b, r);
        buf_str(b, ",\"mutations\":[");
        add_mutation(w, b, r);
        buf_char(b, ']');
        break;
    }
    buf_char(b, '}');
}

/* The content without ephemeral columns, members sorted. */
static char *
content(const struct db *db)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct json j;
    db_snapshot(db, 0, NULL, &text);
    CHECK_OK("a snapshot is JSON", json_parse(&arena, text.data, text.n, &j));
    return json_text(&j, JSON_SORTED);
}

/* An update is a record but for one level: {"modify":delta} is delta, {"delete":null} is null. */
static struct json
record_of(struct arena *arena, const struct json *updates)
{
    struct json record = json_object();
    for (uint32_t t = 0; t < updates->n; t++) {
        const struct json *rows = &updates->members[t].value;
        struct json table = json_object();
        for (uint32_t i = 0; i < rows->n; i++) {
            json_put(arena, &table, rows->members[i].name,
                     rows->members[i].value.members[0].value);
        }
        json_put(arena, &record, updates->members[t].name, table);
    }
    json_put(arena, &record, "_is_diff", json_bool(true));
    return record;
}

static void
see(struct map *visible, const struct json *updates)
{
    const struct json *rows = json_get(updates, "R");
    for (uint32_t i = 0; rows && i < rows->n; i++) {
        const char *uuid = rows->members[i].name;
        const char *kind = rows->members[i].value.members[0].name;
        bool there = map_has(visible, uuid);
        CHECK(kind, there == (*kind == 'd' || *kind == 'm'));
        if (*kind == 'd') {
            map_remove(visible, uuid);
        } else {
            map_put(visible, uuid, visible);
        }
    }
}

static void
follow(void *w_, struct monitor *m, struct bytes *updates)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct world *w = w_;
    struct json j;
    CHECK_OK("an update is JSON", json_parse(&arena, updates->data, updates->n, &j));
    if (m == w->all) {
        struct json record = record_of(&arena, &j);
        CHECK_OK("an update fits", db_replay(w->view, &record));
    }
    for (int i = 0; i < N_SOME; i++) {
        if (m == w->some[i].m) {
            see(&w->some[i].visible, &j);
        }
    }
}

/* What a new monitor would show is what the old one has been told. */
static void
check_visible(struct world *w, const char *ops)
{
    for (int i = 0; i < N_SOME; i++) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        CLEANUP(bytes_drop) struct bytes *now = monitor_initial(w->some[i].m);
        struct json j;
        CHECK_OK("an initial is JSON", json_parse(&arena, now->data, now->n, &j));
        const struct json *rows = json_get(&j, "R");
        CHECK_INT(ops, rows ? rows->n : 0, (int64_t) map_count(&w->some[i].visible));
        for (uint32_t k = 0; rows && k < rows->n; k++) {
            CHECK(ops, map_has(&w->some[i].visible, rows->members[k].name));
        }
    }
}

static void
check_same(const char *why, const char *ops, const struct db *a, const char *want)
{
    CLEANUP(free_drop) char *got = content(a);
    if (strcmp(got, want) != 0) {
        CLEANUP(free_drop) char *shown = str_dupf("%s\n%s", why, ops);
        CHECK_STR(shown, got, want);
    }
}

/* The journal's side: the copy knows only the records. */
static void
replay(struct world *w, const struct buf *record, const char *ops)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;
    if (record->n) {
        CHECK_OK("a record is JSON", json_parse(&arena, record->data, record->n, &j));
        CHECK_OK(ops, db_replay(w->copy, &j));
    }
}

static void
one_step(struct world *w)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf ops = BUF_INIT;
    CLEANUP(buf_done) struct buf reply = BUF_INIT;
    unsigned n = 1 + rnd(w, 1 + rnd(w, 5));
    buf_str(&ops, "[\"D\"");
    for (unsigned i = 0; i < n; i++) {
        buf_char(&ops, ',');
        add_op(w, &ops);
    }
    buf_char(&ops, ']');
    struct json j;
    CHECK_OK(buf_cstr(&ops), json_parse_str(&arena, buf_cstr(&ops), &j));

    CLEANUP(free_drop) char *before = content(w->db);
    struct db_ctx ctx = { .wall_ms = 1 };
    struct txn *txn;
    struct db_wait wait;
    enum db_outcome outcome = db_transact(w->db, &j, &ctx, &reply, &txn, &wait);
    if (outcome == DB_DONE) {
        check_same("what failed left no trace", buf_cstr(&ops), w->db, before);
    } else if (rnd(w, 4) == 0) {
        CLEANUP(err_drop) struct err *e = err_io(28, "write");
        db_txn_abort(txn, e, &reply);
        check_same("what was taken back left no trace", buf_cstr(&ops), w->db, before);
    } else {
        CLEANUP(buf_done) struct buf record = BUF_INIT;
        buf_add(&record, db_txn_record(txn)->data, db_txn_record(txn)->n);
        db_txn_commit(txn, follow, w);
        replay(w, &record, buf_cstr(&ops));
        CLEANUP(free_drop) char *now = content(w->db);
        check_same("the record makes the same content", buf_cstr(&ops), w->copy, now);
        check_same("the updates make the same content", buf_cstr(&ops), w->view, now);
        check_visible(w, buf_cstr(&ops));
    }
    CHECK_OK("the reply is JSON", json_parse(&arena, reply.data, reply.n, &j));
}

static struct db *
snapshot_copy(struct world *w)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct json j;
    struct db *db = db_new(w->schema);
    db_snapshot(w->db, 0, NULL, &text);
    CHECK_OK("a snapshot is JSON", json_parse(&arena, text.data, text.n, &j));
    CHECK_OK("a snapshot can be read", db_replay(db, &j));
    return db;
}

static void
add_monitors(struct world *w)
{
    static const char *const wheres[N_SOME] = {
        "[[\"k\",\"<\",5]]",
        "[[\"k\",\"==\",1],[\"k\",\"==\",2]]",
        "[[\"tags\",\"includes\",\"t1\"],[\"_uuid\",\"==\",[\"uuid\","
        "\"00001eef-1111-4111-8111-000000000001\"]]]",
    };
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;
    CHECK_OK("all", json_parse_str(&arena, "{\"R\":{},\"C\":{}}", &j));
    CHECK_OK("all", monitor_new(w->db, &j, MONITOR_V2, NULL, &w->all));
    for (int i = 0; i < N_SOME; i++) {
        const char *text = arena_printf(&arena, "{\"R\":{\"where\":%s}}", wheres[i]);
        CHECK_OK(text, json_parse_str(&arena, text, &j));
        CHECK_OK(text, monitor_new(w->db, &j, MONITOR_V2, NULL, &w->some[i].m));
    }
}

TEST(random_transactions)
{
    struct world w = { .random = 1 };
    CHECK_OK("schema", schema_parse_text(schema_text, strlen(schema_text), &w.schema));
    w.db = db_new(w.schema);
    w.copy = db_new(w.schema);
    w.view = db_new(w.schema);
    add_monitors(&w);
    for (int i = 0; i < N_UUIDS; i++) {
        snprintf(w.uuids[i], sizeof w.uuids[i], "%08x-1111-4111-8111-%012x", i * 7919, i);
    }

    for (int i = 0; i < N_STEPS; i++) {
        one_step(&w);
        if (i % 500 == 0) { /* As after a restart. */
            db_free(w.copy);
            w.copy = snapshot_copy(&w);
        }
    }
    CHECK("there was much to commit", db_seq(w.db) > N_STEPS / 20);

    monitor_free(w.all);
    for (int i = 0; i < N_SOME; i++) {
        monitor_free(w.some[i].m);
        map_done(&w.some[i].visible);
    }
    db_free(w.db);
    db_free(w.copy);
    db_free(w.view);
    schema_unref(w.schema);
    CHECK_INT("no string leaked", (int64_t) istring_count(), 0);
}
