/* data/test_data.c: values from JSON and text and back, arithmetic, errors word for word. */
#include <stdio.h>

#include "base/str.h"
#include "data/datum.h"
#include "data/rfc7047.h"
#include "data/schema.h"
#include "test.h"

static struct json
parse(struct arena *arena, const char *text)
{
    struct json j;
    CHECK_OK(text, json_parse_str(arena, text, &j));
    return j;
}

/* "tag: details | syntax", or NULL. */
static const char *
error_text(struct arena *arena, struct err *e)
{
    if (!e) {
        return NULL;
    }
    const char *s =
        arena_printf(arena, "! %s: %s%s%s", rfc_tag_name(err_code(e)), err_text(e),
                     err_attached(e) ? " | " : "", err_attached(e) ? err_attached(e) : "");
    err_free(e);
    return s;
}

static void
check_value(const char *type_text, const char *in, const char *want, bool as_text)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct type t;
    struct json j = parse(&arena, type_text);
    CHECK_OK(type_text, type_parse(&t, &j));

    struct datum d;
    struct err *e;
    if (as_text) {
        e = datum_parse_text(&d, &t, in, NULL);
    } else {
        struct json value = parse(&arena, in);
        e = datum_parse(&d, &t, &value, NULL, DATUM_SIZED);
    }
    if (e) {
        CHECK_STR(in, error_text(&arena, e), want);
    } else {
        CLEANUP(buf_done) struct buf buf = BUF_INIT;
        if (as_text) {
            datum_print_text(&d, &t, &buf);
        } else {
            datum_print(&d, &t, &buf);
            struct json tree = datum_json(&arena, &d, &t);
            CLEANUP(free_drop) char *text = json_text(&tree, JSON_15G);
            CHECK_STR("tree and direct form agree", text, buf_cstr(&buf));
        }
        CHECK_STR(in, buf_cstr(&buf), want);
        datum_done(&d, &t);
    }
    type_done(&t);
}

#define SET "{\"key\":\"integer\",\"min\":0,\"max\":\"unlimited\"}"
#define SET2 "{\"key\":\"integer\",\"max\":2}"
#define OPT "{\"key\":\"string\",\"min\":0}"
#define MAP "{\"key\":\"string\",\"value\":\"string\",\"min\":0,\"max\":\"unlimited\"}"
#define ENUM "{\"key\":{\"type\":\"string\",\"enum\":[\"set\",[\"y\",\"x\"]]}}"
#define RANGE "{\"key\":{\"type\":\"integer\",\"minInteger\":1,\"maxInteger\":10}}"
#define LENGTH "{\"key\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}}"

static const struct value_case {
    const char *type, *in, *want;
} json_cases[] = {
    /* clang-format off */
    { "\"integer\"", "5", "5" },
    { "\"integer\"", "1.0", "1" },
    { "\"integer\"", "1.5", "! syntax error: expected integer | 1.5" },
    { "\"real\"", "3", "3" },
    { "\"real\"", "0.1", "0.1" },
    { "\"boolean\"", "true", "true" },
    { "\"boolean\"", "\"true\"", "! syntax error: expected boolean | \"true\"" },
    { "\"string\"", "\"a\\u00e9\"", "\"aé\"" },
    { "\"string\"", "\"\xff\"", "! constraint violation: not a valid UTF-8 string: invalid UTF-8 sequence 0xff" },
    { "\"string\"", "\"a\xe2\x82z\"", "! constraint violation: not a valid UTF-8 string: invalid UTF-8 sequence 0xe2 0x82 0x7a" },
    { "\"uuid\"", "[\"uuid\",\"550E8400-e29b-41d4-a716-446655440000\"]", "[\"uuid\",\"550e8400-e29b-41d4-a716-446655440000\"]" },
    { "\"uuid\"", "[\"uuid\",\"x\"]", "! syntax error: \"x\" is not a valid UUID | [\"uuid\",\"x\"]" },
    { "\"uuid\"", "5", "! syntax error: expected [\"uuid\", <string>] | 5" },
    { "\"integer\"", "[\"set\",[7]]", "7" },
    { "\"integer\"", "[\"set\",[]]", "! syntax error: set must have exactly one member but 0 are present | [\"set\",[]]" },
    { SET, "[\"set\",[3,1,2]]", "[\"set\",[1,2,3]]" },
    { SET, "[\"set\",[3,1,3]]", "! ovsdb error: set contains duplicate" },
    { SET, "4", "4" },
    { SET, "[\"set\",[]]", "[\"set\",[]]" },
    { SET2, "[\"set\",[1,2,3]]", "! syntax error: set must have 1 to 2 members but 3 are present | [\"set\",[1,2,3]]" },
    { OPT, "[\"set\",[]]", "[\"set\",[]]" },
    { OPT, "[\"set\",[\"a\"]]", "\"a\"" },
    { MAP, "[\"map\",[[\"b\",\"2\"],[\"a\",\"1\"]]]", "[\"map\",[[\"a\",\"1\"],[\"b\",\"2\"]]]" },
    { MAP, "[\"map\",[]]", "[\"map\",[]]" },
    { MAP, "[\"map\",[[\"b\",\"2\"],[\"b\",\"1\"]]]", "! ovsdb error: map contains duplicate key" },
    { MAP, "[\"map\",[[\"b\"]]]", "! syntax error: expected 2-element array | [\"b\"]" },
    { MAP, "[\"set\",[]]", "! syntax error: expected [\"map\", <array>] | [\"set\",[]]" },
    { MAP, "{\"b\":1,\"a\":2}", "! syntax error: expected [\"map\", <array>] | {\"a\":2,\"b\":1}" },
    { ENUM, "\"x\"", "\"x\"" },
    { ENUM, "\"z w\"", "! constraint violation: \"z w\" is not one of the allowed values ([x, y])" },
    { RANGE, "11", "! constraint violation: 11 is not in the valid range 1 to 10 (inclusive)" },
    { LENGTH, "\"é\"", "! constraint violation: \"é\" length 1 is less than minimum allowed length 2" },
    { LENGTH, "\"éééé\"", "! constraint violation: \"éééé\" length 4 is greater than maximum allowed length 3" },
    /* clang-format on */
}, text_cases[] = {
    /* clang-format off */
    { "\"integer\"", "5", "5" },
    { "\"integer\"", "x", "! internal error: \"x\" is not an integer" },
    { "\"boolean\"", "yes", "true" },
    { "\"string\"", "a b", "\"a b\"" },
    { "\"string\"", "\"a b\"", "\"a b\"" },
    { "\"string\"", "web-1.x", "web-1.x" },
    { "\"string\"", "a,b=c", "\"a,b=c\"" },
    { "\"string\"", "", "\"\"" },
    { "\"string\"", "\"a", "! internal error: missing quote at the end of \"a" },
    { SET, "3, 1,2", "[1, 2, 3]" },
    { SET, "[]", "[]" },
    { SET, "", "[]" },
    { SET, "[1", "! internal error: ']' is missing at the end" },
    { SET, "1,", "! internal error: a value is missing after the last comma" },
    { SET, "1,1", "! internal error: the same value is there twice" },
    { OPT, "[]", "[]" },
    { OPT, "x", "x" },
    { MAP, "{b=2, \"a a\"=1}", "{\"a a\"=\"1\", b=\"2\"}" },
    { MAP, "b=x", "{b=x}" },
    { MAP, "b", "! internal error: '=' is missing after a key of the map" },
    { RANGE, "11", "! constraint violation: 11 is not in the valid range 1 to 10 (inclusive)" },
    { "\"integer\"", "[]", "! constraint violation: Attempted to store 0 elements in integer." },
    /* clang-format on */
};

TEST(values_from_json)
{
    for (const struct value_case *c = json_cases; c < json_cases + N_ELEMS(json_cases);
         c++) {
        check_value(c->type, c->in, c->want, false);
    }
    CHECK_INT("no string leaked", (int64_t) istring_count(), 0);
}

TEST(values_from_text)
{
    for (const struct value_case *c = text_cases; c < text_cases + N_ELEMS(text_cases);
         c++) {
        check_value(c->type, c->in, c->want, true);
    }
    CHECK_INT("no string leaked", (int64_t) istring_count(), 0);
}

static const struct ops_case {
    const char *type, *a, *b, *sum, *minus, *diff;
} ops_cases[] = {
    /* clang-format off */
    { SET, "1,2,3", "3,4", "[1, 2, 3, 4]", "[1, 2]", "[1, 2, 4]" },
    { SET, "", "1", "[1]", "[]", "[1]" },
    { SET, "1", "", "[1]", "[1]", "[1]" },
    { SET, "1", "1", "[1]", "[]", "[]" },
    { SET, "1,3,5,7,9,11", "2,4,6,8,10,11,12", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]",
      "[1, 3, 5, 7, 9]", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]" },
    { MAP, "a=x,b=y", "b=z,c=w", "{a=x, b=y, c=w}", "{a=x, b=y}", "{a=x, b=z, c=w}" },
    { MAP, "a=x,b=y", "b=y", "{a=x, b=y}", "{a=x}", "{a=x}" },
    { OPT, "x", "y", NULL, NULL, "y" },
    /* clang-format on */
};

static void
check_text(const char *why, struct datum *d, const struct type *t, const char *want)
{
    CLEANUP(buf_done) struct buf buf = BUF_INIT;
    datum_print_text(d, t, &buf);
    CHECK_STR(why, buf_cstr(&buf), want);
    datum_done(d, t);
}

TEST(arithmetic)
{
    for (const struct ops_case *c = ops_cases; c < ops_cases + N_ELEMS(ops_cases); c++) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        struct type t;
        struct json j = parse(&arena, c->type);
        struct datum a, b, r;
        CHECK_OK(c->type, type_parse(&t, &j));
        CHECK_OK(c->a, datum_parse_text(&a, &t, c->a, NULL));
        CHECK_OK(c->b, datum_parse_text(&b, &t, c->b, NULL));
        if (c->sum) {
            r = datum_dup(&a, &t);
            datum_union(&r, &b, &t);
            check_text("union", &r, &t, c->sum);
            r = datum_dup(&a, &t);
            datum_subtract(&r, &t, &b, &t);
            check_text("subtract", &r, &t, c->minus);
        }
        struct datum back;
        datum_diff(&r, &a, &b, &t);
        CHECK_OK(c->a, datum_apply(&back, &a, &r, &t));
        CHECK("a delta leads from old to new", datum_eq(&back, &b, &t));
        CHECK_INT("equal values hash alike", datum_hash(&back, &t, 1),
                  datum_hash(&b, &t, 1));
        datum_done(&back, &t);
        check_text("diff", &r, &t, c->diff);
        datum_done(&a, &t);
        datum_done(&b, &t);
        type_done(&t);
    }
    CHECK_INT("no string leaked", (int64_t) istring_count(), 0);
}

TEST(named_uuids)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(symtab_done) struct symtab symbols = SYMTAB_INIT(&arena);
    struct json j = parse(&arena, "[\"named-uuid\",\"x\"]");
    union atom a, b;
    CHECK_OK("first use", atom_parse(&a, ATOM_UUID, false, &j, &symbols));
    CHECK_OK("second use", atom_parse(&b, ATOM_UUID, false, &j, &symbols));
    CHECK("same name, same row", uuid_eq(&a.uuid, &b.uuid));
    struct json bad = parse(&arena, "[\"named-uuid\",\"x y\"]");
    CHECK_STR(
        "a bad name", error_text(&arena, atom_parse(&a, ATOM_UUID, false, &bad, &symbols)),
        "! syntax error: named-uuid string is not a valid <id> | [\"named-uuid\",\"x y\"]");
    CHECK_STR("no symbols here",
              error_text(&arena, atom_parse(&a, ATOM_UUID, false, &j, NULL)),
              "! syntax error: expected [\"uuid\", <string>] | [\"named-uuid\",\"x\"]");
}

#define T(columns) "{\"name\":\"D\",\"tables\":{\"T\":{\"columns\":{" columns "}}}}"

static const struct schema_case {
    const char *in, *want; /* NULL: comes out as it went in. */
} schema_cases[] = {
    /* clang-format off */
    { "{\"cksum\":\"1 2\",\"name\":\"D\",\"tables\":{\"T\":{\"columns\":{\"a\":{\"type\":\"integer\"}}}},\"version\":\"1.2.3\"}", NULL },
    { T("\"a\":{\"type\":{\"key\":{\"type\":\"integer\"},\"min\":1,\"max\":1}}"), T("\"a\":{\"type\":\"integer\"}") },
    { T("\"a\":{\"type\":{\"key\":\"integer\",\"max\":\"unlimited\",\"min\":0}}"), NULL },
    { T("\"a\":{\"ephemeral\":true,\"type\":\"string\"},\"b\":{\"mutable\":false,\"type\":\"string\"}"), NULL },
    { "5", "! syntax error: Parsing database schema failed: Object expected." },
    { "{\"name\":\"D\"}", "! syntax error: Parsing database schema failed: Required 'tables' member is missing. | {\"name\":\"D\"}" },
    { "{\"name\":\"D\",\"tables\":{},\"x\":1}", "! syntax error: Parsing database schema failed: Member 'x' is present but not allowed here. | {\"name\":\"D\",\"tables\":{},\"x\":1}" },
    { "{\"name\":\"D\",\"tables\":{},\"version\":\"1.2\"}", "! syntax error: schema version \"1.2\" not in format x.y.z | {\"name\":\"D\",\"tables\":{},\"version\":\"1.2\"}" },
    { "{\"name\":\"D\",\"tables\":{},\"version\":\"\"}", "! syntax error: schema version \"\" not in format x.y.z | {\"name\":\"D\",\"tables\":{},\"version\":\"\"}" },
    { "{\"name\":\"D\",\"tables\":{\"T\":{\"columns\":{}}}}", "! syntax error: table must have at least one column | {\"columns\":{}}" },
    { "{\"name\":\"D\",\"tables\":{\"T\":{\"columns\":{\"a\":{\"type\":\"integer\"}},\"maxRows\":0}}}", "! syntax error: maxRows must be at least 1 | {\"columns\":{\"a\":{\"type\":\"integer\"}},\"maxRows\":0}" },
    { "{\"name\":\"D\",\"tables\":{\"T\":{\"columns\":{\"a\":{\"type\":\"integer\",\"ephemeral\":true}},\"indexes\":[[\"a\"]]}}}", "! syntax error: ephemeral columns (such as a) may not be indexed | {\"columns\":{\"a\":{\"ephemeral\":true,\"type\":\"integer\"}},\"indexes\":[[\"a\"]]}" },
    { "{\"name\":\"D\",\"tables\":{\"T\":{\"columns\":{\"a\":{\"type\":\"integer\"}},\"indexes\":[[\"b\"]]}}}", "! syntax error: b is not a valid column name | [\"b\"]" },
    { "{\"name\":\"D\",\"tables\":{\"T\":{\"columns\":{\"a\":{\"type\":\"integer\"}},\"indexes\":[[]]}}}", "! syntax error: index must have at least one column | {\"columns\":{\"a\":{\"type\":\"integer\"}},\"indexes\":[[]]}" },
    { T("\"a\":{}"), "! syntax error: Parsing schema for column a failed: Required 'type' member is missing. | {}" },
    { T("\"a\":{\"type\":\"int\"}"), "! syntax error: \"int\" is not an atomic-type | \"int\"" },
    { T("\"a\":{\"type\":{\"key\":\"integer\",\"min\":2,\"max\":3}}"), "! syntax error: ovsdb type fails constraint checks | {\"key\":\"integer\",\"max\":3,\"min\":2}" },
    { T("\"a\":{\"type\":{\"key\":{\"type\":\"integer\",\"minInteger\":2,\"maxInteger\":1}}}"), "! syntax error: minInteger exceeds maxInteger | {\"maxInteger\":1,\"minInteger\":2,\"type\":\"integer\"}" },
    { T("\"a\":{\"type\":{\"key\":{\"type\":\"uuid\",\"refTable\":\"X\"}}}"), "! syntax error: column a key refers to undefined table X" },
    { T("\"a\":{\"type\":{\"key\":{\"type\":\"uuid\",\"refTable\":\"T\",\"refType\":\"x\"}}}"), "! syntax error: refType must be \"strong\" or \"weak\" (not \"x\") | {\"refTable\":\"T\",\"refType\":\"x\",\"type\":\"uuid\"}" },
    /* clang-format on */
};

TEST(schemas)
{
    for (const struct schema_case *c = schema_cases;
         c < schema_cases + N_ELEMS(schema_cases); c++) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        CLEANUP(schema_drop) struct schema *s = NULL;
        struct json j = parse(&arena, c->in);
        struct err *e = schema_parse(&j, &s);
        CLEANUP(buf_done) struct buf buf = BUF_INIT;
        if (!e) {
            schema_print(s, &buf);
        }
        CHECK_STR(c->in, e ? error_text(&arena, e) : buf_cstr(&buf),
                  c->want ? c->want : c->in);
    }
}

TEST(errors_on_the_wire)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json fragment = parse(&arena, "{\"b\":1,\"a\":2}");
    CLEANUP(err_drop)
    struct err *e = rfc_err_json(RFC_UNKNOWN_COLUMN, &fragment, "No %s", "x");
    CLEANUP(buf_done) struct buf buf = BUF_INIT;
    rfc_print(e, &buf);
    CHECK_STR("printed", buf_cstr(&buf),
              "{\"details\":\"No x\",\"error\":\"unknown column\","
              "\"syntax\":\"{\\\"a\\\":2,\\\"b\\\":1}\"}");
    struct json back = parse(&arena, buf_cstr(&buf));
    CHECK_BRIEF("read back", rfc_parse(&back), "5: No x (unknown column)");

    buf_clear(&buf);
    CLEANUP(err_drop) struct err *full = err_io(28, "F: write failed");
    rfc_print(full, &buf);
    CHECK_STR("a full disk", buf_cstr(&buf),
              "{\"details\":\"F: write failed\",\"error\":\"I/O error\","
              "\"io-error\":\"No space left on device\"}");
}
