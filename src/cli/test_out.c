/* cli/test_out.c: each format's very bytes, for a table with every kind of value. */
#include "test.h"

#include "cli/out_i.h"

static void
fill(struct out_table *t)
{
    struct arena *a = &t->arena;
    out_add_column(t, "name", UNIT_NONE, false);
    out_add_column(t, "mem", UNIT_MIB, false);
    out_add_column(t, "capacity", UNIT_BYTES, false);
    out_add_column(t, "roles", UNIT_NONE, false);
    out_add_column(t, "external_ids", UNIT_NONE, true);

    struct json *cells = out_add_row(t, "web");
    cells[0] = json_string(a, "web");
    cells[1] = json_int(2048);
    cells[2] = json_int(10 * GIB);
    cells[3] = json_array();
    json_add(a, &cells[3], json_string(a, "kvm"));
    json_add(a, &cells[3], json_string(a, "x en"));
    cells[4] = json_object();
    json_put(a, &cells[4], "owner", json_string(a, "ann, \"b\""));

    cells = out_add_row(t, "db,1");
    cells[0] = json_string(a, "db,1");
    cells[1] = json_int(512);
    cells[3] = json_array();
    cells[4] = json_object();
}

static char *
printed(struct out_style style, const char *sort)
{
    CLEANUP(out_table_done) struct out_table t = OUT_TABLE_INIT;
    char *text = NULL;
    size_t n;
    FILE *file = open_memstream(&text, &n);
    fill(&t);
    if (sort) {
        out_sort(&t, sort);
    }
    out_print(&t, &style, file);
    fclose(file);
    return text;
}

static const struct {
    const char *why;
    struct out_style style;
    const char *sort;
    const char *want;
} cases[] = {
    /* clang-format off */
    { "a table has human units and no wide columns", { .format = OUT_TABLE }, NULL,
      "NAME         MEM   CAPACITY  ROLES\n"
      "web     2.00 GiB  10.00 GiB  kvm, \"x en\"\n"
      "db,1  512.00 MiB          -  -\n" },
    { "wide shows all", { .format = OUT_WIDE, .no_headers = true }, "name",
      "db,1  512.00 MiB          -  -            -\n"
      "web     2.00 GiB  10.00 GiB  kvm, \"x en\"  {owner=\"ann, \\\"b\\\"\"}\n" },
    { "JSON: numbers are numbers, unset is null", { .format = OUT_JSON }, NULL,
      "[{\"name\":\"web\",\"mem\":2048,\"capacity\":10737418240,\"roles\":[\"kvm\",\"x en\"],"
      "\"external_ids\":{\"owner\":\"ann, \\\"b\\\"\"}},\n"
      "{\"name\":\"db,1\",\"mem\":512,\"capacity\":null,\"roles\":[],\"external_ids\":{}}]\n" },
    { "JSON lines", { .format = OUT_JSONL }, "-name",
      "{\"name\":\"web\",\"mem\":2048,\"capacity\":10737418240,\"roles\":[\"kvm\",\"x en\"],"
      "\"external_ids\":{\"owner\":\"ann, \\\"b\\\"\"}}\n"
      "{\"name\":\"db,1\",\"mem\":512,\"capacity\":null,\"roles\":[],\"external_ids\":{}}\n" },
    { "CSV quotes by RFC 4180", { .format = OUT_CSV }, "mem",
      "name,mem,capacity,roles,external_ids\n"
      "\"db,1\",512,,[],{}\n"
      "web,2048,10737418240,\"[kvm, \"\"x en\"\"]\",\"{owner=\"\"ann, \\\"\"b\\\"\"\"\"}\"\n" },
    { "YAML quotes what it must", { .format = OUT_YAML }, NULL,
      "- name: web\n  mem: 2048\n  capacity: 10737418240\n  roles: [kvm, \"x en\"]\n"
      "  external_ids: {owner: \"ann, \\\"b\\\"\"}\n"
      "- name: \"db,1\"\n  mem: 512\n  capacity: null\n  roles: []\n  external_ids: {}\n" },
    { "names", { .format = OUT_NAME }, NULL, "web\ndb,1\n" },
    { "lines of info", { .format = OUT_TABLE, .vertical = true }, "-capacity",
      "name:         web\nmem:          2.00 GiB\ncapacity:     10.00 GiB\n"
      "roles:        kvm, \"x en\"\nexternal_ids: {owner=\"ann, \\\"b\\\"\"}\n\n"
      "name:         db,1\nmem:          512.00 MiB\ncapacity:     -\nroles:        -\n"
      "external_ids: -\n" },
    /* clang-format on */
};

TEST(formats)
{
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(free_drop) char *got = printed(cases[i].style, cases[i].sort);
        CHECK_STR(cases[i].why, got, cases[i].want);
    }
}

TEST(format_names)
{
    enum out_format format;
    CHECK("jsonl", out_format_parse("jsonl", &format) && format == OUT_JSONL);
    CHECK("xml is none", !out_format_parse("xml", &format));
}

TEST(cells)
{
    setenv("TZ", "UTC", 1);
    struct json j = json_real(0.25);
    CLEANUP(free_drop) char *ratio = out_cell_text(&j, UNIT_RATIO);
    CHECK_STR("a ratio is per cent", ratio, "25%");

    j = json_int(1793311202123);
    CLEANUP(free_drop) char *when = out_cell_text(&j, UNIT_TIME_MS);
    CHECK_STR("a time is local time", when, "2026-10-29 22:00:02");

    j = json_int(0);
    CLEANUP(free_drop) char *never = out_cell_text(&j, UNIT_TIME_MS);
    CHECK_STR("no time", never, "-");

    j = json_bool(false);
    CLEANUP(free_drop) char *no = out_cell_text(&j, UNIT_NONE);
    CHECK_STR("booleans are words", no, "no");
}

TEST(an_empty_table)
{
    static const struct {
        enum out_format format;
        const char *want;
    } empties[] = {
        { OUT_TABLE, "" },     { OUT_JSON, "[]\n" }, { OUT_JSONL, "" },
        { OUT_CSV, "name\n" }, { OUT_YAML, "[]\n" }, { OUT_NAME, "" },
    };
    for (size_t i = 0; i < N_ELEMS(empties); i++) {
        CLEANUP(out_table_done) struct out_table t = OUT_TABLE_INIT;
        char *text = NULL;
        size_t n;
        FILE *file = open_memstream(&text, &n);
        out_add_column(&t, "name", UNIT_NONE, false);
        out_print(&t, &(struct out_style){ .format = empties[i].format }, file);
        fclose(file);
        CHECK_STR("empty", text, empties[i].want);
        free(text);
    }
}

TEST(errors_have_lines)
{
    CLEANUP(out_table_done) struct out_table t = OUT_TABLE_INIT;
    char *text = NULL;
    size_t n;
    FILE *file = open_memstream(&text, &n);
    out_add_column(&t, "error", UNIT_NONE, false);
    out_add_row(&t, "x")[0] = json_string(&t.arena, "what\nwhy");
    out_print(&t, &(struct out_style){ .format = OUT_TABLE }, file);
    out_print(&t, &(struct out_style){ .format = OUT_TABLE, .vertical = true }, file);
    fclose(file);
    CHECK_STR("both", text, "ERROR\nwhat; why\nerror: what\n       why\n");
    free(text);
}

TEST(control_bytes_do_not_reach_the_terminal)
{
    CLEANUP(out_table_done) struct out_table t = OUT_TABLE_INIT;
    char *text = NULL;
    size_t n;
    FILE *file = open_memstream(&text, &n);
    out_add_column(&t, "name", UNIT_NONE, false);
    out_add_row(&t, "x")[0] = json_string(&t.arena, "a\033[2Jb");
    out_print(&t, &(struct out_style){ .format = OUT_TABLE }, file);
    out_print(&t, &(struct out_style){ .format = OUT_TABLE, .vertical = true }, file);
    fclose(file);
    CHECK("no escape byte", !strchr(text, '\033'));
    free(text);
}
