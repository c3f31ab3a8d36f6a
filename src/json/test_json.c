/* json/test_json.c: the parser, the printer and the values. */
#include "json/json.h"

#include <stdio.h>

#include "json/test_oracle.h"
#include "test.h"

/* What 'text' prints as once parsed, or the error. */
static char *
round_trip(const char *text, size_t n_bytes, int style)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    /* A copy without a NUL, so that reading on would be seen. */
    CLEANUP(free_drop) char *copy = xmemdup(text, n_bytes ? n_bytes : 1);
    struct json j;
    CLEANUP(err_drop) struct err *e = json_parse(&arena, copy, n_bytes, &j);
    if (e) {
        CLEANUP(buf_done) struct buf b = BUF_INIT;
        buf_str(&b, err_brief(e));
        return buf_take(&b);
    }
    return json_text(&j, style);
}

static const struct text_case {
    const char *in, *want;
} parse_cases[] = {
    /* clang-format off */
    { "null", "null" }, { " true ", "true" }, { "\t\r\nfalse", "false" },
    { "[]", "[]" }, { "{}", "{}" }, { " [ ] ", "[]" }, { "[[],{}]", "[[],{}]" },
    { "{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}",
      "{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}" },
    /* The last value of a name wins. */
    { "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}" },
    { "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,"
      "\"k\":1,\"l\":1,\"m\":1,\"b\":[2],\"\":0}",
      "{\"a\":1,\"b\":[2],\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,"
      "\"k\":1,\"l\":1,\"m\":1,\"\":0}" },
    /* Strings. */
    { "\"\"", "\"\"" },
    { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"" },
    { "\"\\u0001\\u001F\\u007f/\"", "\"\\u0001\\u001f\x7f/\"" },
    { "\"\\u00e9\\u20AC\\ud834\\udd1e\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\"" },
    { "\"\\udd1e\"", "\"\xed\xb4\x9e\"" },
    { "\"\xff\"", "\"\xff\"" },
    /* Integers are what is one exactly. */
    { "0", "0" }, { "-0", "0" }, { "-0.0", "0" }, { "0e9", "0" }, { "1.0", "1" }, { "1e3", "1000" },
    { "30e-1", "3" }, { "-12", "-12" }, { "1.5e1", "15" }, { "123456e-3", "123.456" },
    { "9223372036854775807", "9223372036854775807" },
    { "-9223372036854775808", "-9223372036854775808" },
    { "9223372036854775808", "9223372036854775808" /* A real, but see the next table. */ },
    { "922337203685477580700e-2", "9223372036854775807" },
    { "0.000000000000000000000000000001e30", "1" },
    { "1e18", "1000000000000000000" }, { "1E19", "1e+19" }, { "10000000000000000000000", "1e+22" },
    { "1.00000000000000000000000000000000001", "1" /* Real 1. */ },
    { "0.1", "0.1" }, { "1e-400", "0" }, { "-1e-400", "0" }, { "1e308", "1e+308" },
    { "123456789.123456789", "123456789.12345679" }, { "2.2250738585072014e-308", "2.2250738585072014e-308" },
    { "5.5", "5.5" }, { "1e-7", "1e-07" }, { "3.141592653589793", "3.141592653589793" },
    /* Refused. */
    { "", "syntax: line 1, column 1, byte 0: unexpected end of input" },
    { "[", "syntax: line 1, column 2, byte 1: unexpected end of input" },
    { "[1,\n2,\n]", "syntax: line 3, column 1, byte 7: syntax error parsing value" },
    { "[1 2]", "syntax: line 1, column 4, byte 3: syntax error parsing array expecting ']' or ','" },
    { "[1}", "syntax: line 1, column 3, byte 2: syntax error parsing array expecting ']' or ','" },
    { "{\"a\":1]", "syntax: line 1, column 7, byte 6: syntax error parsing object expecting '}' or ','" },
    { "{\"a\" 1}", "syntax: line 1, column 6, byte 5: syntax error parsing object expecting ':'" },
    { "{1:1}", "syntax: line 1, column 2, byte 1: syntax error parsing object expecting string" },
    { "{\"a\":1,}", "syntax: line 1, column 8, byte 7: syntax error parsing object expecting string" },
    { "[,1]", "syntax: line 1, column 2, byte 1: syntax error parsing value" },
    { "1 2", "syntax: line 1, column 3, byte 2: trailing garbage at end of input" },
    { "nul", "syntax: line 1, column 1, byte 0: invalid keyword" },
    { "NaN", "syntax: line 1, column 1, byte 0: syntax error parsing value" },
    { "+1", "syntax: line 1, column 1, byte 0: syntax error parsing value" },
    { ".5", "syntax: line 1, column 1, byte 0: syntax error parsing value" },
    { "-", "syntax: line 1, column 1, byte 0: a number must start with a digit" },
    { "01", "syntax: line 1, column 1, byte 0: leading zeros not allowed" },
    { "1.", "syntax: line 1, column 1, byte 0: decimal point must be followed by digit" },
    { "1e", "syntax: line 1, column 1, byte 0: exponent must contain at least one digit" },
    { "1e+", "syntax: line 1, column 1, byte 0: exponent must contain at least one digit" },
    { "1e400", "syntax: line 1, column 1, byte 0: number outside valid range" },
    { "5e-324", "syntax: line 1, column 1, byte 0: number outside valid range" },
    { "0e99999999999", "syntax: line 1, column 1, byte 0: exponent outside valid range" },
    { "\"abc", "syntax: line 1, column 5, byte 4: unexpected end of input in quoted string" },
    { "\"\\", "syntax: line 1, column 3, byte 2: unexpected end of input in quoted string" },
    { "\"\\x\"", "syntax: line 1, column 3, byte 2: bad escape" },
    { "\"\\u12", "syntax: line 1, column 4, byte 3: malformed \\u escape" },
    { "\"\\u00g0\"", "syntax: line 1, column 6, byte 5: malformed \\u escape" },
    { "\"\\u0000\"", "syntax: line 1, column 8, byte 7: null bytes not supported in quoted strings" },
    { "\"\n\"", "syntax: line 1, column 2, byte 1: control characters must be escaped in quoted strings" },
    { "\"\\ud834\"", "syntax: line 1, column 8, byte 7: malformed escaped surrogate pair" },
    { "\"\\ud834\\u0041\"", "syntax: line 1, column 14, byte 13: second half of escaped surrogate pair is not trailing surrogate" },
    /* clang-format on */
};

TEST(parse_and_print)
{
    for (const struct text_case *c = parse_cases; c < parse_cases + N_ELEMS(parse_cases);
         c++) {
        CLEANUP(free_drop) char *got = round_trip(c->in, strlen(c->in), 0);
        if (strcmp(c->in, "9223372036854775808") == 0) { /* Shortest that reads back. */
            CHECK_STR(c->in, got, "9.223372036854776e+18");
        } else {
            CHECK_STR(c->in, got, c->want);
        }
    }
}

TEST(number_kinds)
{
    static const struct {
        const char *text;
        enum json_type type;
    } cases[] = {
        { "9223372036854775807", JSON_INTEGER },
        { "9223372036854775808", JSON_REAL },
        { "-9223372036854775808", JSON_INTEGER },
        { "-9223372036854775809", JSON_REAL },
        { "1.0", JSON_INTEGER },
        { "1e-400", JSON_REAL },
        { "0.5", JSON_REAL },
        { "1.00000000000000000000001", JSON_REAL },
        { "0.0e-99", JSON_INTEGER },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        struct json j;
        CHECK_OK(cases[i].text, json_parse_str(&arena, cases[i].text, &j));
        CHECK_INT(cases[i].text, j.type, cases[i].type);
    }
    CHECK_INT("a whole double becomes an integer", json_real(3.0).type, JSON_INTEGER);
    CHECK_INT("2^63 does not", json_real(0x1p63).type, JSON_REAL);
}

TEST(a_zero_byte_is_no_end)
{
    CLEANUP(free_drop) char *got = round_trip("[1]\0", 4, 0);
    CHECK_STR("NUL", got,
              "syntax: line 1, column 4, byte 3: trailing garbage at end of input");
}

TEST(nesting_limit)
{
    for (int depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++) {
        CLEANUP(buf_done) struct buf text = BUF_INIT;
        for (int i = 0; i < depth; i++) {
            buf_str(&text, i % 2 ? "[" : "{\"a\":");
        }
        buf_str(&text, "0");
        for (int i = depth; i-- > 0;) {
            buf_char(&text, i % 2 ? ']' : '}');
        }
        CLEANUP(free_drop) char *got = round_trip(text.data, text.n, 0);
        if (depth == JSON_MAX_DEPTH) {
            CHECK_STR("1000 are fine", got, buf_cstr(&text));
        } else {
            CHECK("1001 are not", strstr(got, "maximum nesting depth 1000"));
        }
    }
}

TEST(styles)
{
    const char *text = "{\"b\":[1,0.1],\"a\":{},\"c\":{\"z\":123456789.123456789}}";
    CLEANUP(free_drop)
    char *sorted = round_trip(text, strlen(text), JSON_SORTED | JSON_15G);
    CHECK_STR("sorted", sorted, "{\"a\":{},\"b\":[1,0.1],\"c\":{\"z\":123456789.123457}}");
    CLEANUP(free_drop) char *pretty = round_trip(text, strlen(text), JSON_PRETTY);
    CHECK_STR("pretty", pretty,
              "{\n  \"b\": [\n    1,\n    0.1\n  ],\n  \"a\": {},\n  \"c\": {\n"
              "    \"z\": 123456789.12345679\n  }\n}");
}

TEST(building)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json array = json_array();
    for (int i = 0; i < 100; i++) {
        json_add(&a, &array, json_int(i));
        CHECK_INT("grows by one", array.n, i + 1);
    }
    for (int i = 0; i < 100; i++) {
        CHECK_INT("keeps its elements", array.elems[i].integer, i);
    }

    struct json object = json_object();
    json_put(&a, &object, "s", json_stringf(&a, "%d-%s", 7, "x"));
    json_put(&a, &object, "p", json_pair(&a, json_string_ref("uuid"), json_bool(true)));
    CLEANUP(free_drop) char *text = json_text(&object, 0);
    CHECK_STR("object", text, "{\"s\":\"7-x\",\"p\":[\"uuid\",true]}");

    struct json parsed;
    CHECK_OK("parse", json_parse_str(&a, "{\"p\":[\"uuid\",true],\"s\":\"7-x\"}", &parsed));
    CHECK("order of members does not count", json_eq(&object, &parsed));
    CHECK_INT("nor for the hash", json_hash(&object, 5), json_hash(&parsed, 5));
    json_put(&a, &parsed, "new", json_null()); /* A parsed object may grow too. */
    CHECK("a member more", !json_eq(&object, &parsed));
    CHECK_INT("three members", parsed.n, 3);
    CHECK_STR("get", json_get_string(&parsed, "s"), "7-x");
    CHECK("absent", !json_get(&parsed, "zzz") && !json_get(&array, "s"));

    CLEANUP(arena_done) struct arena b = ARENA_INIT;
    struct json copy = json_copy(&b, &parsed);
    arena_done(&a);
    CLEANUP(free_drop) char *copied = json_text(&copy, JSON_SORTED);
    CHECK_STR("copy", copied, "{\"new\":null,\"p\":[\"uuid\",true],\"s\":\"7-x\"}");
}

static const char *const stream =
    " {\"a\":\"}\\\"{\\\\\"}[[1],{}]\n{\"u\":\"\\u0041]\"}\t{\"x\":{\"y\":[]}}";
static const char *const stream_parts[] = { " {\"a\":\"}\\\"{\\\\\"}", "[[1],{}]",
                                            "\n{\"u\":\"\\u0041]\"}",
                                            "\t{\"x\":{\"y\":[]}}" };

TEST(framer_finds_the_ends_however_the_stream_is_cut)
{
    for (size_t step = 1; step <= strlen(stream); step++) {
        struct json_framer f = JSON_FRAMER_INIT;
        size_t at = 0, start = 0, n_found = 0;
        while (at < strlen(stream)) {
            size_t left = strlen(stream) - at, used;
            bool complete;
            CHECK_OK("frame", json_frame(&f, stream + at, step < left ? step : left, &used,
                                         &complete));
            CHECK("gets on", used > 0);
            at += used;
            if (complete) {
                CHECK_INT("length", at - start, strlen(stream_parts[n_found]));
                CHECK("bytes",
                      memcmp(stream + start, stream_parts[n_found], at - start) == 0);
                n_found++;
                start = at;
            }
        }
        CHECK_INT("all found", n_found, N_ELEMS(stream_parts));
    }
}

TEST(framer_refuses)
{
    static const char *const bad[] = { "1", " \"x\"", "null", "}", "]", "\xff" };
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        struct json_framer f = JSON_FRAMER_INIT;
        size_t used;
        bool complete;
        CHECK_ERR(bad[i], json_frame(&f, bad[i], strlen(bad[i]), &used, &complete),
                  ERR_SYNTAX);
    }
    struct json_framer f = JSON_FRAMER_INIT;
    struct err *e = NULL;
    for (int i = 1; !e; i++) {
        size_t used;
        bool complete;
        e = json_frame(&f, "[", 1, &used, &complete);
        CHECK("depth is limited", e || i <= JSON_MAX_DEPTH);
    }
    CHECK_ERR("1001 brackets", e, ERR_SYNTAX);
}

/* Random documents, with jansson as the judge. */

static uint32_t seed;

static uint32_t
rnd(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t) (((uint64_t) seed * n) >> 32);
}

static void
random_string(struct buf *out)
{
    static const char *const pieces[] = {
        "a",       "Z",        "\\n", "\\\"", "\\\\",
        "\\u00e9", "\xc3\xa9", "{",   "]",    "\\ud83d\\ude00",
        "\\u001f", "/",        "\\/", " ",    "\x7f"
    };
    buf_char(out, '"');
    for (uint32_t i = rnd(12); i-- > 0;) {
        buf_str(out, pieces[rnd(N_ELEMS(pieces))]);
    }
    buf_char(out, '"');
}

static void
random_value(struct buf *out, int depth)
{
    static const char *const blanks[] = { "", "", "", " ", "\n", "\t " };
    buf_str(out, blanks[rnd(N_ELEMS(blanks))]);
    switch (rnd(depth > 0 ? 8 : 6)) {
    case 0: buf_str(out, "null"); break;
    case 1: buf_str(out, rnd(2) ? "true" : "false"); break;
    case 2: buf_printf(out, "%d", (int) rnd(UINT32_MAX)); break;
    case 3: buf_printf(out, "%u.%u1e%d", rnd(1000), rnd(1000), (int) rnd(40) - 20); break;
    case 4:
    case 5: random_string(out); break;
    case 6:
        buf_char(out, '[');
        for (uint32_t i = 0, n = rnd(5); i < n; i++) {
            buf_str(out, i ? "," : "");
            random_value(out, depth - 1);
        }
        buf_char(out, ']');
        break;
    case 7:
        buf_char(out, '{');
        for (uint32_t i = 0, n = rnd(20); i < n; i++) {
            buf_printf(out, "%s\"k%u\":", i ? "," : "", rnd(30));
            random_value(out, depth - 1);
        }
        buf_char(out, '}');
        break;
    }
    buf_str(out, blanks[rnd(N_ELEMS(blanks))]);
}

static void
canonical(const struct json *j, struct buf *out)
{
    switch ((enum json_type) j->type) {
    case JSON_NULL: buf_str(out, "null "); break;
    case JSON_TRUE: buf_str(out, "true "); break;
    case JSON_FALSE: buf_str(out, "false "); break;
    case JSON_REAL: buf_printf(out, "%.17g ", j->real); break;
    case JSON_INTEGER: buf_printf(out, "%.17g ", (double) j->integer); break;
    case JSON_STRING: buf_printf(out, "<%u:%s>", j->n, j->string); break;
    case JSON_ARRAY:
        buf_char(out, '[');
        JSON_FOR_EACH (elem, j) {
            canonical(elem, out);
        }
        buf_char(out, ']');
        break;
    case JSON_OBJECT:
        buf_char(out, '{');
        JSON_FOR_EACH_MEMBER (m, j) {
            buf_printf(out, "<%s>:", m->name);
            canonical(&m->value, out);
        }
        buf_char(out, '}');
        break;
    }
}

/* False if jansson refuses what we took; else both must have read the same. */
static bool
same_as_jansson(const struct buf *text, struct arena *arena, const struct json *j)
{
    CLEANUP(buf_done) struct buf want = BUF_INIT;
    CLEANUP(buf_done) struct buf got = BUF_INIT;
    if (!oracle_canonical(text->data, text->n, &want)) {
        return false;
    }
    CLEANUP(free_drop) char *sorted_text = json_text(j, JSON_SORTED);
    struct json sorted;
    CHECK_OK("again", json_parse_str(arena, sorted_text, &sorted));
    CHECK("what is printed reads back", json_eq(j, &sorted));
    canonical(&sorted, &got);
    CHECK_STR("as jansson", buf_cstr(&got), buf_cstr(&want));
    return true;
}

TEST(agrees_with_jansson)
{
    for (seed = 1; seed < 3000; seed += 7) {
        uint32_t this_seed = seed;
        CLEANUP(buf_done) struct buf text = BUF_INIT;
        random_value(&text, 5);
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        struct json j, again;
        CHECK_OK(buf_cstr(&text), json_parse(&arena, text.data, text.n, &j));
        CHECK(buf_cstr(&text), same_as_jansson(&text, &arena, &j));
        CLEANUP(free_drop) char *printed = json_text(&j, (int) rnd(4));
        CHECK_OK(printed, json_parse_str(&arena, printed, &again));
        CHECK(printed, json_eq(&j, &again));
        seed = this_seed;
    }
}

/* Damaged documents: no crash, and what we accept, jansson accepts but for our known
 * differences (it refuses invalid UTF-8, lone surrogates and 2^63; we refuse subnormals). */
TEST(survives_damage)
{
    size_t n_refused = 0;
    for (uint32_t round = 1; round < 4000; round++) {
        seed = round * 2654435761u;
        CLEANUP(buf_done) struct buf text = BUF_INIT;
        buf_char(&text, '[');
        random_value(&text, 3);
        buf_char(&text, ']');
        for (uint32_t i = 1 + rnd(3); i-- > 0;) {
            static const char bytes[] = "{}[],:\"\\0123456789eE+-.tfnu \n\x01\x80\xff";
            text.data[rnd((uint32_t) text.n)] = bytes[rnd(sizeof bytes - 1)];
        }
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        struct json j;
        struct err *e = json_parse(&arena, text.data, text.n, &j);
        struct json_framer f = JSON_FRAMER_INIT;
        size_t used;
        bool complete = false;
        err_free(json_frame(&f, text.data, text.n, &used, &complete));
        CLEANUP(buf_done) struct buf want = BUF_INIT;
        if (e) {
            n_refused++;
            CHECK(buf_cstr(&text), strstr(err_why(e), "number outside valid range") ||
                                       !oracle_canonical(text.data, text.n, &want));
            err_free(e);
        } else {
            same_as_jansson(&text, &arena, &j);
        }
    }
    CHECK("much was refused", n_refused > 500);
}
