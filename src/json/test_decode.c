/* json/test_decode.c: the sticky decoder and its texts. */
#include "json/decode.h"

#include <stdio.h>

#include "test.h"

/* Reads {"op": <id>, "n"?: 1..9, "durable"?: bool, "where"?: array, "x"?: number|null}. */
static struct err *
decode_sample(const char *text, char *ret_seen, size_t n_bytes)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;
    TRY(json_parse_str(&arena, text, &j));
    struct decode d;
    decode_begin(&d, &j, "sample %d of %d", 1, 2);
    const char *op = decode_id(&d, "op");
    int64_t n = decode_int(&d, "n", DECODE_OPTIONAL, 5, 1, 9);
    bool durable = decode_bool(&d, "durable", DECODE_OPTIONAL, true);
    const struct json *where = decode_member(&d, "where", DECODE_ARRAY | DECODE_OPTIONAL);
    const char *name = decode_string(&d, "name", DECODE_OPTIONAL, "none");
    decode_member(&d, "x", DECODE_NUMBER | DECODE_NULL | DECODE_OPTIONAL);
    TRY(decode_end(&d));
    snprintf(ret_seen, n_bytes, "%s %d %d %d %s", op, (int) n, durable,
             where ? (int) where->n : -1, name);
    return NULL;
}

TEST(decode)
{
#define P "syntax: Parsing sample 1 of 2 failed: "
    static const struct {
        const char *in, *want;
    } cases[] = {
        /* clang-format off */
        { "{\"op\":\"a\"}", "a 5 1 -1 none" },
        { "{\"where\":[1,2],\"durable\":false,\"n\":9,\"op\":\"_x9\",\"name\":\"q\",\"x\":null}", "_x9 9 0 2 q" },
        { "{\"op\":\"a\",\"x\":1.5}", "a 5 1 -1 none" },
        { "[]", P "Object expected." },
        { "{}", P "Required 'op' member is missing." },
        { "{\"op\":1}", P "Type mismatch for member 'op'." },
        { "{\"op\":\"9a\"}", P "Type mismatch for member 'op'." },
        { "{\"op\":\"\"}", P "Type mismatch for member 'op'." },
        { "{\"op\":\"a\",\"where\":{}}", P "Type mismatch for member 'where'." },
        { "{\"op\":\"a\",\"x\":true}", P "Type mismatch for member 'x'." },
        { "{\"op\":\"a\",\"n\":10}", P "member 'n' must be 1 to 9" },
        { "{\"op\":\"a\",\"n\":1.5}", P "Type mismatch for member 'n'." },
        { "{\"op\":\"a\",\"wher\":[]}", P "Member 'wher' is present but not allowed here." },
        { "{\"op\":\"a\",\"q\":1,\"r\":2}", P "Member 'q' and 1 other member are present but not allowed here." },
        { "{\"q\":1,\"op\":\"a\",\"r\":2,\"s\":3}", P "Member 'q' and 2 other members are present but not allowed here." },
        { "{\"n\":\"x\",\"q\":1,\"op\":7}", P "Type mismatch for member 'op'." },
        /* clang-format on */
    };
#undef P
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        char seen[200];
        CLEANUP(err_drop) struct err *e = decode_sample(cases[i].in, seen, sizeof seen);
        CHECK_STR(cases[i].in, e ? err_brief(e) : seen, cases[i].want);
    }
}

TEST(decode_keeps_the_callers_first_error)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;
    CHECK_OK("parse", json_parse_str(&arena, "{\"a\":1,\"z\":2}", &j));
    struct decode d;
    decode_begin(&d, &j, "thing");
    decode_fail(&d, err_new(ERR_NOT_FOUND, "no such thing"));
    decode_fail(&d, err_new(ERR_BUG, "second"));
    CHECK("failed", decode_failed(&d));
    CHECK("nulls from now on", !decode_member(&d, "a", DECODE_ANY));
    CHECK_BRIEF("first", decode_end(&d), "not-found: Parsing thing failed: no such thing");
}

TEST(decode_ignores_the_rest_when_told)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;
    CHECK_OK("parse", json_parse_str(&arena, "{\"a\":1,\"z\":2}", &j));
    struct decode d;
    decode_begin(&d, &j, "thing");
    CHECK_INT("a", decode_int(&d, "a", 0, 0, 0, 9), 1);
    decode_ignore_rest(&d);
    CHECK_OK("end", decode_end(&d));
}

TEST(many_members)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j = json_object();
    for (int i = 0; i < 400; i++) {
        json_put(&arena, &j, arena_printf(&arena, "m%d", i), json_int(i));
    }
    struct decode d;
    decode_begin(&d, &j, "thing");
    for (int i = 0; i < 400; i++) {
        if (i != 70) {
            CHECK_INT("m", decode_int(&d, arena_printf(&arena, "m%d", i), 0, 0, 0, 999), i);
        }
    }
    CHECK_BRIEF(
        "the one not asked for", decode_end(&d),
        "syntax: Parsing thing failed: Member 'm70' is present but not allowed here.");
}
