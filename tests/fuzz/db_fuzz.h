/* tests/fuzz/db_fuzz.h: what the targets of the database have in common. */
#ifndef FUZZ_DB_FUZZ_H
#define FUZZ_DB_FUZZ_H 1

#include "db/db.h"

/* Every kind of column, references of both strengths, indexes, limits. */
static const char schema_text[] UNUSED =
    "{\"name\":\"D\",\"tables\":{"
    "\"R\":{\"isRoot\":true,\"maxRows\":9,\"indexes\":[[\"k\"],[\"s\",\"i\"]],\"columns\":{"
    "\"k\":{\"type\":\"integer\"},\"s\":{\"type\":\"string\"},\"i\":{\"type\":\"integer\"},"
    "\"r\":{\"type\":{\"key\":{\"type\":\"real\",\"minReal\":-5}}},\"b\":{\"type\":\"boolean\"},"
    "\"e\":{\"type\":{\"key\":{\"type\":\"string\",\"enum\":[\"set\",[\"\",\"x\",\"y\"]]}}},"
    "\"o\":{\"type\":{\"key\":{\"type\":\"integer\",\"maxInteger\":7},\"min\":0}},"
    "\"n\":{\"type\":{\"key\":\"integer\",\"min\":0,\"max\":4},\"ephemeral\":true},"
    "\"m\":{\"type\":{\"key\":\"string\",\"value\":\"integer\",\"min\":0,\"max\":\"unlimited\"}},"
    "\"f\":{\"type\":{\"key\":{\"type\":\"string\",\"maxLength\":3}},\"mutable\":false},"
    "\"c\":{\"type\":{\"key\":{\"type\":\"uuid\",\"refTable\":\"C\"},\"min\":0,\"max\":\"unlimited\"}},"
    "\"w\":{\"type\":{\"key\":{\"type\":\"uuid\",\"refTable\":\"R\",\"refType\":\"weak\"},\"min\":0,"
    "\"max\":3}}}},"
    "\"C\":{\"columns\":{\"v\":{\"type\":\"integer\"},\"p\":{\"type\":{\"key\":\"string\",\"value\":"
    "{\"type\":\"uuid\",\"refTable\":\"R\",\"refType\":\"weak\"},\"min\":0,\"max\":\"unlimited\"}}}}}}";

/* The whole content as text: what has the same is the same.  The caller frees it. */
static inline char *
content(const struct db *db)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct json j;
    db_snapshot(db, 0, NULL, &text);
    struct err *e = json_parse(&arena, text.data, text.n, &j);
    ASSERT(!e);
    return json_text(&j, JSON_SORTED | JSON_15G);
}

#endif /* fuzz/db_fuzz.h */
