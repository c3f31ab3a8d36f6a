/* db/test_history.c: what a client missed, told at once, leads where the single updates lead. */
#include "base/str.h"
#include "db/db.h"
#include "db/history_i.h"
#include "db/monitor.h"
#include "test.h"

static const char schema_text[] =
    "{\"name\":\"T\",\"tables\":{"
    "\"A\":{\"isRoot\":true,\"columns\":{\"name\":{\"type\":\"string\"},"
    "\"n\":{\"type\":\"integer\"},\"soft\":{\"type\":\"integer\",\"ephemeral\":true},"
    "\"tags\":{\"type\":{\"key\":\"string\",\"min\":0,\"max\":\"unlimited\"}},"
    "\"b\":{\"type\":{\"key\":{\"type\":\"uuid\",\"refTable\":\"B\"},\"min\":0,\"max\":9}}}},"
    "\"B\":{\"columns\":{\"name\":{\"type\":\"string\"}}}}}";

/* Columns that a restart keeps, with a condition and without. */
static const char *const requests[] = {
    "{\"A\":{\"columns\":[\"name\",\"n\",\"tags\",\"b\"]},\"B\":{\"columns\":[\"name\"]}}",
    "{\"A\":{\"columns\":[\"name\",\"tags\"],\"where\":[[\"n\",\"==\",1]]}}",
    "{\"A\":{\"columns\":[\"n\"],\"where\":[[\"n\",\">\",1]]}}",
};

struct world {
    struct arena arena;
    struct db *db;
};

static struct json
parse(struct world *w, const char *text)
{
    struct json j;
    CHECK_OK(text, json_parse_str(&w->arena, text, &j));
    return j;
}

static void
world_init(struct world *w)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    CHECK_OK("schema", schema_parse_text(schema_text, strlen(schema_text), &schema));
    *w = (struct world){ ARENA_INIT, db_new(schema) };
}

static void
world_done(struct world *w)
{
    db_free(w->db);
    arena_done(&w->arena);
}

static void
ignore(void *aux UNUSED, struct monitor *m UNUSED, struct bytes *updates UNUSED)
{
}

static void
transact(struct world *w, const char *ops)
{
    CLEANUP(buf_done) struct buf reply = BUF_INIT;
    CLEANUP(free_drop) char *text = str_dupf("[\"T\",%s]", ops);
    struct json params = parse(w, text);
    struct db_ctx ctx = { 0 };
    struct db_wait wait;
    struct txn *txn;
    enum db_outcome outcome = db_transact(w->db, &params, &ctx, &reply, &txn, &wait);
    CHECK_STR(ops, strstr(buf_cstr(&reply), "\"error\""), NULL);
    if (outcome == DB_PREPARED) {
        db_txn_commit(txn, ignore, NULL);
    }
}

/* {"T":{"<uuid>":{"name":...}}}: what a client knows. */
struct mirror {
    struct map rows; /* "T uuid" to struct map of column to text, owned. */
};

static void
mirror_forget(struct mirror *m, const char *key)
{
    struct map *row = map_remove(&m->rows, key);
    if (row) {
        MAP_FOR_EACH (cell, row) {
            free(cell->value);
        }
        map_done(row);
        free(row);
    }
}

static void
mirror_done(struct mirror *m)
{
    while (m->rows.entries.n) {
        struct map_entry *any =
            CONTAINER_OF(hmap_first(&m->rows.entries), struct map_entry, node);
        CLEANUP(free_drop) char *key = str_dup(any->key);
        mirror_forget(m, key);
    }
    map_done(&m->rows);
}

/* As a client does: the delta of a set is a set of what to turn over. */
static char *
apply_cell(struct world *w, const struct column *c, const char *old, const struct json *j)
{
    struct datum was, delta, now;
    struct json old_json;
    struct buf out = BUF_INIT;
    if (c->type.n_max <= 1) {
        return json_text(j, JSON_SORTED);
    }
    datum_default(&was, &c->type);
    if (old) {
        old_json = parse(w, old);
        datum_done(&was, &c->type);
        CHECK_OK(old, datum_parse(&was, &c->type, &old_json, NULL, DATUM_ANY_SIZE));
    }
    CHECK_OK("delta", datum_parse(&delta, &c->type, j, NULL, DATUM_ANY_SIZE));
    CHECK_OK("apply", datum_apply(&now, &was, &delta, &c->type));
    datum_print(&now, &c->type, &out);
    datum_done(&was, &c->type);
    datum_done(&delta, &c->type);
    datum_done(&now, &c->type);
    return buf_take(&out);
}

static void
apply_row(struct world *w, struct mirror *m, const struct table_schema *ts,
          const struct json_member *r)
{
    CLEANUP(free_drop) char *key = str_dupf("%s %s", ts->name, r->name);
    const char *kind = r->value.members[0].name;
    const struct json *cells = &r->value.members[0].value;
    struct map *row = map_get(&m->rows, key);

    if (str_eq(kind, "delete")) {
        CHECK("a known row is deleted", row != NULL);
        mirror_forget(m, key);
        return;
    }
    CHECK_INT(kind, row != NULL, str_eq(kind, "modify"));
    if (!row) {
        row = NEW(struct map);
        map_put(&m->rows, key, row);
    }
    for (uint32_t i = 0; i < cells->n; i++) {
        const struct json_member *cell = &cells->members[i];
        const struct column *c = schema_find_column(ts, cell->name);
        char *new = apply_cell(w, c, map_get(row, c->name), &cell->value);
        struct json j = parse(w, new);
        struct datum d;
        CHECK_OK(new, datum_parse(&d, &c->type, &j, NULL, DATUM_SIZED));
        if (datum_is_default(&d, &c->type)) { /* As a snapshot shows it: not at all. */
            free(TAKE(new));
        }
        datum_done(&d, &c->type);
        free(new ? map_put(row, c->name, new) : map_remove(row, c->name));
    }
}

static void
apply(struct world *w, struct mirror *m, struct bytes *updates)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    buf_add(&text, updates->data, updates->n);
    struct json j = parse(w, buf_cstr(&text));
    for (uint32_t t = 0; t < j.n; t++) {
        const struct table_schema *ts =
            schema_find_table(db_schema(w->db), j.members[t].name);
        for (uint32_t r = 0; r < j.members[t].value.n; r++) {
            apply_row(w, m, ts, &j.members[t].value.members[r]);
        }
    }
}

static char *
mirror_text(const struct mirror *m)
{
    struct strvec lines = STRVEC_INIT;
    struct buf out = BUF_INIT;
    MAP_FOR_EACH (row, &m->rows) {
        CLEANUP(free_drop) char *name = str_dupf("%s:", row->key);
        strvec_add(&lines, name);
        MAP_FOR_EACH (cell, (struct map *) row->value) {
            CLEANUP(free_drop)
            char *line = str_dupf("%s %s=%s", row->key, cell->key, (char *) cell->value);
            strvec_add(&lines, line);
        }
    }
    strvec_sort(&lines);
    for (size_t i = 0; i < lines.n; i++) {
        buf_printf(&out, "%s\n", lines.v[i]);
    }
    strvec_done(&lines);
    return out.n ? buf_take(&out) : str_dup("");
}

static unsigned seed = 7;

static unsigned
dice(unsigned n)
{
    seed = seed * 1103515245 + 12345;
    return (seed >> 16) % n;
}

static void
random_txn(struct world *w)
{
    static const char *const forms[] = {
        "{\"op\":\"insert\",\"table\":\"A\",\"row\":{\"name\":\"r%u\",\"n\":%u}}",
        "{\"op\":\"update\",\"table\":\"A\",\"where\":[[\"name\",\"==\",\"r%u\"]],"
        "\"row\":{\"n\":%u}}",
        "{\"op\":\"mutate\",\"table\":\"A\",\"where\":[[\"name\",\"==\",\"r%u\"]],"
        "\"mutations\":[[\"tags\",\"insert\",\"t%u\"]]}",
        "{\"op\":\"mutate\",\"table\":\"A\",\"where\":[[\"name\",\"==\",\"r%u\"]],"
        "\"mutations\":[[\"tags\",\"delete\",\"t%u\"]]}",
        "{\"op\":\"delete\",\"table\":\"A\",\"where\":[[\"name\",\"==\",\"r%u\"],"
        "[\"n\",\"==\",%u]]}",
        "{\"op\":\"insert\",\"table\":\"B\",\"uuid-name\":\"x\",\"row\":{\"name\":\"b%u\"}},"
        "{\"op\":\"update\",\"table\":\"A\",\"where\":[[\"n\",\"==\",%u]],"
        "\"row\":{\"b\":[\"named-uuid\",\"x\"]}}",
        "{\"op\":\"delete\",\"table\":\"A\",\"where\":[[\"name\",\"==\",\"r%u\"]]},"
        "{\"op\":\"insert\",\"table\":\"A\",\"uuid\":\"00000000-0000-4000-8000-00000000000%u\","
        "\"row\":{\"name\":\"again\"}}",
        "{\"op\":\"delete\",\"table\":\"A\",\"where\":[[\"name\",\"==\",\"again\"],[\"n\",\"<\",%u]]},"
        "{\"op\":\"update\",\"table\":\"A\",\"where\":[],\"row\":{\"soft\":%u}}",
    };
    CLEANUP(free_drop) char *ops = NULL;
    unsigned form = dice(N_ELEMS(forms));
    if (form == 6) { /* Its UUID must be free. */
        transact(
            w,
            "{\"op\":\"delete\",\"table\":\"A\",\"where\":[[\"name\",\"==\",\"again\"]]}");
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    ops = str_dupf(forms[form], dice(6), dice(4));
#pragma GCC diagnostic pop
    transact(w, ops);
}

/* What the client has after the state '*last', brought up to date, is what a new one gets. */
static void
catch_up(struct world *w, const char *request, struct mirror *mirror, struct uuid *last)
{
    struct json j = parse(w, request);
    struct monitor *m;
    struct mirror fresh = { MAP_INIT };

    CHECK_OK(request, monitor_new(w->db, &j, MONITOR_V3, NULL, &m));
    CLEANUP(bytes_drop) struct bytes *missed = monitor_since(m, last);
    CHECK(request, missed != NULL);
    if (missed) {
        apply(w, mirror, missed);
    }
    CLEANUP(bytes_drop) struct bytes *now = monitor_initial(m);
    apply(w, &fresh, now);
    CLEANUP(free_drop) char *got = mirror_text(mirror);
    CLEANUP(free_drop) char *want = mirror_text(&fresh);
    CHECK_STR(request, got, want);
    mirror_done(&fresh);
    monitor_free(m);
    *last = *db_last_id(w->db);
}

TEST(catching_up_at_any_time)
{
    struct world w;
    struct mirror mirrors[N_ELEMS(requests)] = { 0 };
    struct uuid last[N_ELEMS(requests)];

    world_init(&w);
    for (size_t i = 0; i < N_ELEMS(last); i++) {
        last[i] = *db_last_id(w.db);
    }
    for (int i = 0; i < 3000; i++) {
        random_txn(&w);
        if (dice(6) == 0) {
            size_t which = dice(N_ELEMS(requests));
            catch_up(&w, requests[which], &mirrors[which], &last[which]);
        }
        arena_reset(&w.arena);
    }
    for (size_t i = 0; i < N_ELEMS(requests); i++) {
        catch_up(&w, requests[i], &mirrors[i], &last[i]);
        mirror_done(&mirrors[i]);
    }
    world_done(&w);
}

static bool
knows(struct world *w, const char *request, const struct uuid *id)
{
    struct json j = parse(w, request);
    struct monitor *m;
    CHECK_OK(request, monitor_new(w->db, &j, MONITOR_V3, NULL, &m));
    struct bytes *missed = monitor_since(m, id);
    bool known = missed != NULL;
    bytes_unref(missed);
    monitor_free(m);
    return known;
}

TEST(what_a_restart_loses)
{
    static const struct {
        const char *request;
        bool known;
    } cases[] = {
        { "{\"A\":{\"columns\":[\"name\"]}}", true },
        { "{\"A\":{}}", false }, /* Has _version. */
        { "{\"A\":{\"columns\":[\"soft\"]}}", false },
        { "{\"A\":{\"columns\":[\"name\"],\"where\":[[\"soft\",\"==\",1]]}}", false },
        { "{\"B\":{\"columns\":[\"name\"]}}", true },
    };
    struct world w;
    struct uuid id = { { 1 } }, none = { { 0 } };

    world_init(&w);
    transact(&w, "{\"op\":\"insert\",\"table\":\"A\",\"row\":{}}");
    struct uuid own = *db_last_id(w.db);
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CHECK(cases[i].request, knows(&w, cases[i].request, &own));
    }
    db_set_last_id(w.db, &id);
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CHECK_INT(cases[i].request, knows(&w, cases[i].request, &id), cases[i].known);
        CHECK(cases[i].request, !knows(&w, cases[i].request, &own));
        CHECK(cases[i].request, !knows(&w, cases[i].request, &none));
    }
    world_done(&w);
}

/* The entry that is folded may be the one of the transaction itself, with a row that it deletes. */
TEST(folds_what_just_came)
{
    struct world w;
    world_init(&w);
    w.db->history->n_max = 1;
    struct history_hold *hold = db_hold(w.db, db_seq(w.db));
    transact(&w, "{\"op\":\"insert\",\"table\":\"A\",\"row\":{\"name\":\"x\"}}");
    transact(&w, "{\"op\":\"delete\",\"table\":\"A\",\"where\":[]}");
    CHECK_INT("entries", (int64_t) w.db->history->by_id.n, 1);
    transact(&w, "{\"op\":\"insert\",\"table\":\"A\",\"row\":{\"name\":\"y\"}}");
    CHECK_INT("still", (int64_t) w.db->history->by_id.n, 1);
    db_unhold(w.db, hold);
    world_done(&w);
}

TEST(bounds)
{
    struct world w;
    struct db_figures f;
    static const char request[] = "{\"A\":{\"columns\":[\"name\"]}}";

    world_init(&w);
    transact(&w, "{\"op\":\"insert\",\"table\":\"A\",\"row\":{\"name\":\"first\"}}");
    struct uuid first = *db_last_id(w.db);
    for (int i = 0; i < HISTORY_MAX; i++) {
        CHECK("not yet forgotten", i > HISTORY_MAX / 2 || knows(&w, request, &first));
        CLEANUP(free_drop)
        char *ops = str_dupf(
            "{\"op\":\"update\",\"table\":\"A\",\"where\":[],\"row\":{\"n\":%d}}", i + 1);
        transact(&w, ops);
        arena_reset(&w.arena);
    }
    db_figures(w.db, &f);
    CHECK("transactions", f.n_history <= HISTORY_MAX);
    CHECK("content", f.n_history_atoms <= HISTORY_COST);
    CHECK("the first is forgotten",
          f.n_history == HISTORY_MAX || !knows(&w, request, &first));

    CLEANUP(buf_done) struct buf big = BUF_INIT; /* More than the history may hold. */
    struct uuid before = *db_last_id(w.db);
    for (int i = 0; i < HISTORY_COST + 1; i++) {
        buf_printf(&big, "%s{\"op\":\"insert\",\"table\":\"A\",\"row\":{}}", i ? "," : "");
    }
    transact(&w, buf_cstr(&big));
    CHECK("a flood is not kept", !knows(&w, request, &before));
    struct uuid now = *db_last_id(w.db);
    CHECK("but has a name", knows(&w, request, &now));
    world_done(&w);
}
