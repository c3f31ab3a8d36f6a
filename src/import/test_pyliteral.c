/* import/test_pyliteral.c: a row is a literal and what it is in JSON, or why it is refused. */
#include "import/pyliteral.h"

#include "base/str.h"
#include "test.h"

static const struct {
    const char *text, *want; /* JSON, or "! line N: why". */
} cases[] = {
    /* clang-format off */
    { "None", "null" },
    { " True ", "true" },
    { "False # no", "false" },
    { "12", "12" },
    { "-7", "-7" },
    { "0x1F", "31" },
    { "0755", "493" },
    { "123L", "123" },
    { "1526000000123L", "1526000000123" },
    { "1234.5", "1234.5" },
    { "-1e3", "-1000" },
    { ".5", "0.5" },
    { "'a'", "\"a\"" },
    { "\"it's\"", "\"it's\"" },
    { "''", "\"\"" },
    { "'a' \"b\"", "\"ab\"" },
    { "u'P\\xf6ol'", "\"P\xc3\xb6ol\"" },
    { "'P\\xf6ol'", "\"P\xc3\xb6ol\"" },
    { "'\\xd0\\x92'", "\"\xd0\x92\"" },
    { "u'\\u0412'", "\"\xd0\x92\"" },
    { "r'\\n'", "\"\\\\n\"" },
    { "'a\\'b\\\\'", "\"a'b\\\\\"" },
    { "'\\q'", "\"\\\\q\"" },
    { "'''two\nlines'''", "\"two\\nlines\"" },
    { "'/path/\n  to/it'", "\"/path/to/it\"" },
    { "['a', 1, [],]", "[\"a\",1,[]]" },
    { "('a', 1)", "[\"a\",1]" },
    { "(1)", "1" },
    { "(1,)", "[1]" },
    { "()", "[]" },
    { "{}", "{}" },
    { "{'a': 1, 2: {'b': None}}", "{\"a\":1,\"2\":{\"b\":null}}" },
    { "{'a': 1, 'a': 2}", "{\"a\":2}" },
    { "{'x', 'y'}", "[\"x\",\"y\"]" },
    { "set(['utility', 'xen'])", "[\"utility\",\"xen\"]" },
    { "set([])", "[]" },
    { "[{'pf':'03:00.0','pkey':['0x2a10']},]", "[{\"pf\":\"03:00.0\",\"pkey\":[\"0x2a10\"]}]" },
    { "", "! line 1: the text ends where a value must stand" },
    { "os.system('x')", "! line 1: a name or a sign where a value must stand" },
    { "__import__('os')", "! line 1: a name or a sign where a value must stand" },
    { "set", "! line 1: a name where a value must stand" },
    { "1 + 1", "! line 1: something follows the value" },
    { "[1 2]", "! line 1: a comma or a closing bracket is missing" },
    { "[1,\n2", "! line 2: a comma or a closing bracket is missing" },
    { "{1: 2, 3}", "! line 1: a colon is missing behind a key" },
    { "'abc", "! line 1: a string has no end" },
    { "'a\\0b'", "! line 1: a string holds a zero byte" },
    { "u'\\ud800'", "! line 1: \\u names no character" },
    { "99999999999999999999999999999999x", "! line 1: a number that is none, or out of range" },
    { "5e-324", "! line 1: a number that is none, or out of range" },
    { "1e999", "! line 1: a number that is none, or out of range" },
    { "0x", "! line 1: a number that is none, or out of range" },
    { "inf", "! line 1: a name or a sign where a value must stand" },
    { "-", "! line 1: a number that is none, or out of range" },
    /* clang-format on */
};

static const char *
shown(struct buf *out, const struct json *json, const struct err *e)
{
    buf_clear(out);
    if (e) {
        buf_printf(out, "! %s", err_why(e));
    } else {
        json_print(json, 0, out);
    }
    return buf_cstr(out);
}

TEST(literals)
{
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        CLEANUP(buf_done) struct buf out = BUF_INIT;
        struct json json;
        CLEANUP(err_drop)
        struct err *e =
            pyliteral_parse(&arena, "test", cases[i].text, strlen(cases[i].text), &json);
        CHECK_STR(cases[i].text, shown(&out, &json, e), cases[i].want);
    }
}

/* A vm.cfg as Oracle VM writes it, with the line breaks of a slide within two strings. */
static const char vm_cfg[] =
    "vif = ['mac=00:21:f6:2a:00:68,bridge=172.24.19.0', '\n"
    "      mac=00:21:f6:2a:01:68,bridge=100bc68c90']\n"
    "OVM_simple_name = 'sv104'  # people's name\n"
    "disk = ['file:/OVS/Repositories/0004fb/VirtualDisks/\n"
    "0004fb0000120000b4aa1d5fea4c543a.img,xvda,w', 'phy:/dev/mapper/36e8,xvdb,w!']\r\n"
    "\n"
    "memory = '16384' \n"
    "vcpus = 4\n"
    "OVM_high_availability = False\n"
    "vcpus = 8\n"
    "OVM_description = 'a = b, \"quoted\"'";

TEST(assignments)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    struct json json;
    CLEANUP(err_drop)
    struct err *e = pyliteral_file(&arena, "vm.cfg", vm_cfg, strlen(vm_cfg), &json);
    CHECK_STR(
        "all of it", shown(&out, &json, e),
        "{\"vif\":[\"mac=00:21:f6:2a:00:68,bridge=172.24.19.0\","
        "\"mac=00:21:f6:2a:01:68,bridge=100bc68c90\"],"
        "\"OVM_simple_name\":\"sv104\",\"disk\":[\"file:/OVS/Repositories/0004fb/VirtualDisks/"
        "0004fb0000120000b4aa1d5fea4c543a.img,xvda,w\",\"phy:/dev/mapper/36e8,xvdb,w!\"],"
        "\"memory\":\"16384\",\"vcpus\":8,"
        "\"OVM_high_availability\":false,\"OVM_description\":\"a = b, \\\"quoted\\\"\"}");
}

TEST(what_would_have_to_be_run)
{
    static const struct {
        const char *text, *want;
    } files[] = {
        { "import os\n", "! line 1: no \"name = value\"" },
        { "a = 1\nos.system('x')\n", "! line 2: no \"name = value\"" },
        { "a = 1\nb = a\n", "! line 2: a name or a sign where a value must stand" },
        { "a = 'x' % 3\n", "! line 1: something follows the value" },
        { "a == 1\n", "! line 1: no \"name = value\"" },
        { "1a = 1\n", "! line 1: no \"name = value\"" },
        { "a = 1 b = 2", "! line 1: something follows the value" },
        { "a = ", "! line 1: the text ends where a value must stand" },
        { "a = 1; b = 2", "{\"a\":1,\"b\":2}" },
        { "a = \\\n 1\n", "{\"a\":1}" },
        { "a = 'x'\n'y'\n", "! line 2: no \"name = value\"" },
        { "# nothing\n\n", "{}" },
    };
    for (size_t i = 0; i < N_ELEMS(files); i++) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        CLEANUP(buf_done) struct buf out = BUF_INIT;
        struct json json;
        CLEANUP(err_drop)
        struct err *e =
            pyliteral_file(&arena, "f", files[i].text, strlen(files[i].text), &json);
        CHECK_STR(files[i].text, shown(&out, &json, e), files[i].want);
    }
}

TEST(limits)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct json json;
    for (int i = 0; i < 100000; i++) {
        buf_char(&text, '[');
    }
    CHECK_ERR("depth", pyliteral_parse(&arena, "t", text.data, text.n, &json), ERR_SYNTAX);
    buf_clear(&text);
    buf_char(&text, '\'');
    for (int i = 0; i < 1000; i++) {
        buf_str(&text, "x\n");
    }
    buf_char(&text, '\'');
    CHECK_ERR("a string over a whole file",
              pyliteral_parse(&arena, "t", text.data, text.n, &json), ERR_SYNTAX);
    buf_clear(&text);
    buf_char(&text, '{');
    for (int i = 0; i < 5000; i++) {
        buf_printf(&text, "%d:0,", i);
    }
    buf_char(&text, '}');
    CHECK_ERR("members", pyliteral_parse(&arena, "t", text.data, text.n, &json),
              ERR_SYNTAX);
    CHECK_ERR("bytes",
              pyliteral_parse(&arena, "t", text.data, PYLITERAL_MAX_BYTES + 1, &json),
              ERR_CONSTRAINT);
}

/* Every beginning of a file ends well or with an error, and nothing else. */
TEST(cut_anywhere)
{
    for (size_t n = 1; n < strlen(vm_cfg); n++) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        CLEANUP(free_drop) char *copy = xmemdup(vm_cfg, n); /* A byte too far shows. */
        struct json json;
        struct err *e = pyliteral_file(&arena, "cut", copy, n, &json);
        CHECK("an error names its line", !e || strstr(err_text(e), "line "));
        err_free(e);
    }
}
