/* tests/fuzz/fuzz_replay.c: what a database takes from elsewhere: records of a file, and what another
 * server's monitor tells.
 *
 * The input is a JSON array: an object in it is a record, an array holds table updates (with a second
 * element, they are all that there is).  What is refused changes nothing.  A record that is loaded in
 * parts, as a long snapshot is, makes the same content as the whole one; so do updates that are
 * all, whatever was there before them.  In the end a snapshot makes the same content again. */
#include "db_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void
tell_nobody(void *aux, struct monitor *m, struct bytes *updates)
{
}

static void
check_same(const struct db *a, const struct db *b)
{
    CLEANUP(free_drop) char *text_a = content(a);
    CLEANUP(free_drop) char *text_b = content(b);
    ASSERT(strcmp(text_a, text_b) == 0);
}

/* In pieces of at least one byte: one member or row each. */
static bool
load_parts(struct db *db, const char *text, size_t n_bytes)
{
    struct json_split split;
    enum json_split_result result;
    struct txn *load = db_load_begin(db);
    struct err *e = NULL;

    json_split_init(&split, text, n_bytes);
    do {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        struct json part;
        result = json_split_next(&split, 1);
        if (result != JSON_SPLIT_BAD) {
            e = json_parse(&arena, split.piece.data, split.piece.n, &part);
            e = e ? e : db_load_part(load, &part);
        }
    } while (!e && result == JSON_SPLIT_PIECE);
    json_split_done(&split);
    if (e || result == JSON_SPLIT_BAD) {
        db_load_abort(load);
    } else {
        e = db_load_end(load);
    }
    bool loaded = !e && result == JSON_SPLIT_LAST;
    err_free(e);
    return loaded;
}

static void
check_parts(struct schema *schema, const struct json *record)
{
    CLEANUP(free_drop) char *text = json_text(record, 0);
    CLEANUP(db_drop) struct db *parts = db_new(schema);
    CLEANUP(db_drop) struct db *whole = db_new(schema);
    CLEANUP(db_drop) struct db *empty = db_new(schema);
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json again; /* As it is in the file: a real may have lost digits. */
    struct err *e = json_parse_str(&arena, text, &again);
    ASSERT(!e);
    if (load_parts(parts, text, strlen(text))) {
        e = db_replay(whole, &again);
        ASSERT(!e);
        check_same(parts, whole);
    } else {
        check_same(parts, empty);
    }
}

static void
replay(struct db *db, const struct json *record)
{
    CLEANUP(free_drop) char *before = content(db);
    struct err *e = db_replay(db, record);
    if (e) {
        CLEANUP(free_drop) char *after = content(db);
        ASSERT(strcmp(before, after) == 0);
        err_free(e);
    }
}

static bool
follow(struct db *db, const struct json *updates, bool whole)
{
    CLEANUP(free_drop) char *before = content(db);
    struct db_follow how = { .whole = whole };
    struct db_ctx ctx = { .author = "fuzz" };
    struct txn *txn;
    struct err *e = db_follow(db, updates, &how, &ctx, &txn);
    if (!e && txn) {
        db_txn_commit(txn, tell_nobody, NULL);
        return true;
    }
    CLEANUP(free_drop) char *after = content(db);
    ASSERT(strcmp(before, after) == 0);
    bool ok = !e;
    err_free(e);
    return ok;
}

/* All rows, wherever they are told. */
static void
check_whole(struct schema *schema, const struct db *db, const struct json *updates)
{
    CLEANUP(db_drop) struct db *fresh = db_new(schema);
    if (follow(fresh, updates, true)) {
        check_same(db, fresh);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static struct schema *schema;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;
    struct err *e = json_parse(&arena, (const char *) data, n_bytes, &j);
    if (e || j.type != JSON_ARRAY) {
        err_free(e);
        return 0;
    }
    if (!schema) {
        e = schema_parse_text(schema_text, sizeof schema_text - 1, &schema);
        ASSERT(!e);
    }
    CLEANUP(db_drop) struct db *db = db_new(schema);
    JSON_FOR_EACH (element, &j) {
        if (element->type != JSON_ARRAY) {
            replay(db, element);
            check_parts(schema, element);
        } else if (element->n == 1) {
            follow(db, &element->elems[0], false);
        } else if (element->n == 2 && follow(db, &element->elems[0], true)) {
            check_whole(schema, db, &element->elems[0]);
        }
    }

    CLEANUP(buf_done) struct buf snapshot = BUF_INIT;
    CLEANUP(db_drop) struct db *copy = db_new(schema);
    db_snapshot(db, 0, NULL, &snapshot);
    e = json_parse(&arena, snapshot.data, snapshot.n, &j);
    ASSERT(!e);
    e = db_replay(copy, &j);
    ASSERT(!e);
    check_same(db, copy);
    return 0;
}
