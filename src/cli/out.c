/* cli/out.c: tables of values: building, sorting, and values as people read them.  The
 * formats are in out_table.c (libsmartcols) and out_text.c. */
#include "cli/out_i.h"

#include <math.h>
#include <time.h>

#include "base/str.h"
#include "cli/out_print_i.h"

static const char *const format_names[] = {
    [OUT_TABLE] = "table", [OUT_WIDE] = "wide", [OUT_JSON] = "json", [OUT_JSONL] = "jsonl",
    [OUT_CSV] = "csv",     [OUT_YAML] = "yaml", [OUT_NAME] = "name",
};

bool
out_format_parse(const char *name, enum out_format *ret)
{
    for (size_t i = 0; i < N_ELEMS(format_names); i++) {
        if (str_eq(name, format_names[i])) {
            *ret = (enum out_format) i;
            return true;
        }
    }
    return false;
}

void
out_table_done(struct out_table *t)
{
    VEC_DONE(&t->columns);
    VEC_DONE(&t->rows);
    arena_done(&t->arena);
}

void
out_add_column(struct out_table *t, const char *name, enum out_unit unit, bool is_wide)
{
    ASSERT(t->rows.n == 0);
    *VEC_ADD(&t->columns) =
        (struct out_column){ arena_str(&t->arena, name), unit, is_wide };
}

struct json *
out_add_row(struct out_table *t, const char *label)
{
    struct out_row *row = VEC_ADD(&t->rows);
    row->label = arena_str(&t->arena, label);
    row->cells =
        arena_zalloc(&t->arena, t->columns.n * sizeof *row->cells); /* JSON_NULL is 0. */
    return row->cells;
}

int
out_find_column(const struct out_table *t, const char *name)
{
    for (size_t i = 0; i < t->columns.n; i++) {
        if (str_eq(t->columns.v[i].name, name)) {
            return (int) i;
        }
    }
    return -1;
}

static double
number_of(const struct json *j)
{
    return j->type == JSON_INTEGER ? (double) j->integer : j->real;
}

/* Null, booleans, numbers, strings, the rest by their text. */
static int
cell_rank(const struct json *j)
{
    switch ((enum json_type) j->type) {
    case JSON_NULL: return 0;
    case JSON_FALSE: return 1;
    case JSON_TRUE: return 2;
    case JSON_INTEGER:
    case JSON_REAL: return 3;
    case JSON_STRING: return 4;
    case JSON_ARRAY:
    case JSON_OBJECT: break;
    }
    return 5;
}

static int
cell_cmp(const struct json *a, const struct json *b)
{
    int rank = cell_rank(a);
    if (rank != cell_rank(b)) {
        return rank < cell_rank(b) ? -1 : 1;
    } else if (a->type == JSON_INTEGER && b->type == JSON_INTEGER) {
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    } else if (rank == 3) {
        return number_of(a) < number_of(b) ? -1 : number_of(a) > number_of(b);
    } else if (rank == 4) {
        return strcmp(a->string, b->string);
    } else if (rank == 5) {
        CLEANUP(free_drop) char *text_a = json_text(a, JSON_SORTED);
        CLEANUP(free_drop) char *text_b = json_text(b, JSON_SORTED);
        return strcmp(text_a, text_b);
    }
    return 0;
}

struct sort_key {
    int column;
    int sign;
};

static int
row_cmp(const void *a_, const void *b_, void *key_)
{
    const struct out_row *a = a_;
    const struct out_row *b = b_;
    const struct sort_key *key = key_;

    int cmp = cell_cmp(&a->cells[key->column], &b->cells[key->column]);
    return cmp ? key->sign * cmp : strcmp(a->label, b->label);
}

void
out_sort(struct out_table *t, const char *name)
{
    struct sort_key key = { 0, name[0] == '-' ? -1 : 1 };
    key.column = out_find_column(t, name + (name[0] == '-'));
    ASSERT(key.column >= 0);
    if (t->rows.n) {
        qsort_r(t->rows.v, t->rows.n, sizeof *t->rows.v, row_cmp, &key);
    }
}

/* A word that needs no quotes in the text form. */
static bool
is_bare(const char *s)
{
    if (!s[0]) {
        return false;
    }
    for (const char *p = s; *p; p++) {
        if ((unsigned char) *p <= ' ' || strchr(",=[]{}\"", *p)) {
            return false;
        }
    }
    return true;
}

static void
plain_atom(const struct json *j, struct buf *b)
{
    if (j->type == JSON_STRING && is_bare(j->string)) {
        buf_str(b, j->string);
    } else {
        json_print(j, 0, b);
    }
}

void
out_plain_text(const struct json *j, struct buf *b)
{
    if (j->type == JSON_NULL) {
        buf_str(b, "[]");
    } else if (j->type == JSON_ARRAY) {
        buf_char(b, '[');
        for (uint32_t i = 0; i < j->n; i++) {
            buf_str(b, i ? ", " : "");
            plain_atom(&j->elems[i], b);
        }
        buf_char(b, ']');
    } else if (j->type == JSON_OBJECT) {
        buf_char(b, '{');
        for (uint32_t i = 0; i < j->n; i++) {
            struct json key = json_string_ref(j->members[i].name);
            buf_str(b, i ? ", " : "");
            plain_atom(&key, b);
            buf_char(b, '=');
            plain_atom(&j->members[i].value, b);
        }
        buf_char(b, '}');
    } else {
        plain_atom(j, b);
    }
}

static char *
time_text(int64_t ms)
{
    time_t seconds = (time_t) (ms / 1000);
    struct tm tm;
    char text[32];
    if (ms <= 0 || !localtime_r(&seconds, &tm) ||
        !strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm)) {
        return str_dup("-");
    }
    return str_dup(text);
}

char *
out_cell_text(const struct json *j, enum out_unit unit)
{
    bool is_number = j->type == JSON_INTEGER || j->type == JSON_REAL;

    if (is_number && unit == UNIT_RATIO) {
        return str_dupf("%.0f%%", 100 * number_of(j));
    } else if (j->type == JSON_INTEGER && unit == UNIT_BYTES) {
        return str_from_bytes(j->integer);
    } else if (j->type == JSON_INTEGER && unit == UNIT_MIB && j->integer >= 0 &&
               j->integer <= INT64_MAX / MIB) {
        return str_from_bytes(j->integer * MIB);
    } else if (j->type == JSON_INTEGER && unit == UNIT_TIME_MS) {
        return time_text(j->integer);
    } else if (j->type == JSON_NULL || (j->type >= JSON_STRING && j->n == 0)) {
        return str_dup("-");
    } else if (json_is_bool(j)) {
        return str_dup(j->type == JSON_TRUE ? "yes" : "no");
    } else if (j->type == JSON_STRING) {
        return str_dup(j->string);
    }
    struct buf b = BUF_INIT;
    out_plain_text(j, &b);
    if (j->type == JSON_ARRAY && b.n > 2) { /* "a, b": brackets are noise here. */
        b.n--;
        buf_drop_front(&b, 1);
    }
    return buf_take(&b);
}

void
out_print(const struct out_table *t, const struct out_style *style, FILE *file)
{
    switch (style->format) {
    case OUT_TABLE:
    case OUT_WIDE: out_print_table(t, style, file); return;
    case OUT_JSON: out_print_json(t, style, file); return;
    case OUT_JSONL: out_print_jsonl(t, file); return;
    case OUT_CSV: out_print_csv(t, style, file); return;
    case OUT_YAML: out_print_yaml(t, style, file); return;
    case OUT_NAME: out_print_names(t, file); return;
    }
}
