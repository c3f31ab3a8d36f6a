/* cli/out_text.c: the formats for programs: JSON, JSON lines, CSV, YAML, names.
 *
 * JSON: an array of objects, one a row, members in column order; numbers are numbers.
 * CSV: RFC 4180 with LF; sets and maps in the text form of `set`.  YAML: a list of maps;
 * strings that YAML could take for something else are quoted as JSON strings, which YAML
 * reads. */
#include "cli/out_print_i.h"

#include <ctype.h>

#include "base/str.h"

static void
print_object(const struct out_table *t, const struct out_row *row, struct buf *b)
{
    buf_char(b, '{');
    for (size_t c = 0; c < t->columns.n; c++) {
        const char *name = t->columns.v[c].name;
        buf_str(b, c ? "," : "");
        json_print_string(name, strlen(name), b);
        buf_char(b, ':');
        json_print(&row->cells[c], 0, b);
    }
    buf_char(b, '}');
}

static void
flush(struct buf *b, FILE *file)
{
    if (b->n) {
        fwrite(b->data, 1, b->n, file);
    }
    buf_clear(b);
}

void
out_print_json(const struct out_table *t, const struct out_style *style, FILE *file)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    bool single = style->vertical && t->rows.n == 1;

    buf_str(&b, single ? "" : "[");
    for (size_t r = 0; r < t->rows.n; r++) {
        buf_str(&b, r ? ",\n" : "");
        print_object(t, &t->rows.v[r], &b);
    }
    buf_str(&b, single ? "\n" : "]\n");
    flush(&b, file);
}

void
out_print_jsonl(const struct out_table *t, FILE *file)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    for (size_t r = 0; r < t->rows.n; r++) {
        print_object(t, &t->rows.v[r], &b);
        buf_char(&b, '\n');
    }
    flush(&b, file);
}

static void
csv_field(const char *s, struct buf *b)
{
    if (!strpbrk(s, ",\"\r\n")) {
        buf_str(b, s);
        return;
    }
    buf_char(b, '"');
    for (; *s; s++) {
        if (*s == '"') {
            buf_char(b, '"');
        }
        buf_char(b, *s);
    }
    buf_char(b, '"');
}

static void
csv_cell(const struct json *j, struct buf *b)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    if (j->type == JSON_STRING) {
        csv_field(j->string, b);
    } else if (j->type != JSON_NULL) {
        out_plain_text(j, &text);
        csv_field(buf_cstr(&text), b);
    }
}

void
out_print_csv(const struct out_table *t, const struct out_style *style, FILE *file)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    for (size_t c = 0; c < t->columns.n && !style->no_headers; c++) {
        buf_str(&b, c ? "," : "");
        csv_field(t->columns.v[c].name, &b);
    }
    buf_str(&b, style->no_headers ? "" : "\n");
    for (size_t r = 0; r < t->rows.n; r++) {
        for (size_t c = 0; c < t->columns.n; c++) {
            buf_str(&b, c ? "," : "");
            csv_cell(&t->rows.v[r].cells[c], &b);
        }
        buf_char(&b, '\n');
    }
    flush(&b, file);
}

/* A string that YAML 1.1 and 1.2 read as that very string without quotes. */
static bool
yaml_is_plain(const char *s)
{
    static const char *const words[] = { "true", "false", "yes", "no", "on",
                                         "off",  "null",  "y",   "n" };
    if (!isalpha((unsigned char) s[0]) && s[0] != '/') {
        return false;
    }
    for (const char *p = s; *p; p++) {
        if (!isalnum((unsigned char) *p) && !strchr("._-/+@", *p)) {
            return false;
        }
    }
    for (size_t i = 0; i < N_ELEMS(words); i++) {
        if (strcasecmp(s, words[i]) == 0) {
            return false;
        }
    }
    return true;
}

static void
yaml_string(const char *s, struct buf *b)
{
    if (yaml_is_plain(s)) {
        buf_str(b, s);
    } else {
        json_print_string(s, strlen(s), b);
    }
}

/* Sets and maps in flow style, which keeps a row readable. */
static void
yaml_value(const struct json *j, struct buf *b)
{
    if (j->type == JSON_STRING) {
        yaml_string(j->string, b);
    } else if (j->type == JSON_ARRAY) {
        buf_char(b, '[');
        for (uint32_t i = 0; i < j->n; i++) {
            buf_str(b, i ? ", " : "");
            yaml_value(&j->elems[i], b);
        }
        buf_char(b, ']');
    } else if (j->type == JSON_OBJECT) {
        buf_char(b, '{');
        for (uint32_t i = 0; i < j->n; i++) {
            buf_str(b, i ? ", " : "");
            yaml_string(j->members[i].name, b);
            buf_str(b, ": ");
            yaml_value(&j->members[i].value, b);
        }
        buf_char(b, '}');
    } else {
        json_print(j, 0, b);
    }
}

void
out_print_yaml(const struct out_table *t, const struct out_style *style, FILE *file)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    bool single = style->vertical && t->rows.n == 1;

    if (t->rows.n == 0) {
        buf_str(&b, "[]\n");
    }
    for (size_t r = 0; r < t->rows.n; r++) {
        for (size_t c = 0; c < t->columns.n; c++) {
            buf_str(&b, single ? "" : c ? "  " : "- ");
            yaml_string(t->columns.v[c].name, &b);
            buf_str(&b, ": ");
            yaml_value(&t->rows.v[r].cells[c], &b);
            buf_char(&b, '\n');
        }
    }
    flush(&b, file);
}

void
out_print_names(const struct out_table *t, FILE *file)
{
    for (size_t r = 0; r < t->rows.n; r++) {
        fprintf(file, "%s\n", t->rows.v[r].label);
    }
}
