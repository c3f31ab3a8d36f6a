/* cli/out_table.c: the formats for people, by libsmartcols: a table, or "name: value"
 * lines.
 *
 * libsmartcols encodes control characters that lie in a value, so a guest's or a
 * stranger's text cannot steer the terminal; for the lines we do the same here. */
#include "cli/out_print_i.h"

#include <ctype.h>
#include <libsmartcols/libsmartcols.h>

#include "base/str.h"

static bool
is_shown(const struct out_column *c, const struct out_style *style)
{
    return !c->is_wide || style->format == OUT_WIDE || style->vertical;
}

/* "observed_at" -> "OBSERVED AT". */
static char *
header_of(const char *name)
{
    char *header = str_dup(name);
    for (char *p = header; *p; p++) {
        *p = *p == '_' && p > header ? ' ' : (char) toupper((unsigned char) *p);
    }
    return header;
}

/* Control bytes as \xNN; everything else, UTF-8 included, stays.  A further line of the
 * value is set below the first, which begins 'indent' columns from the left. */
static void
put_safe(const char *s, size_t indent, FILE *file)
{
    for (; *s; s++) {
        if (*s == '\n') {
            fprintf(file, "\n%*s", (int) indent, "");
        } else if ((unsigned char) *s < ' ' || *s == 0x7f) {
            fprintf(file, "\\x%02x", (unsigned char) *s);
        } else {
            putc(*s, file);
        }
    }
}

static void
print_vertical(const struct out_table *t, FILE *file)
{
    size_t width = 0;
    for (size_t c = 0; c < t->columns.n; c++) {
        width = (size_t) max64((int64_t) width, (int64_t) strlen(t->columns.v[c].name));
    }
    for (size_t r = 0; r < t->rows.n; r++) {
        if (r) {
            putc('\n', file);
        }
        for (size_t c = 0; c < t->columns.n; c++) {
            const struct out_column *column = &t->columns.v[c];
            CLEANUP(free_drop)
            char *text = out_cell_text(&t->rows.v[r].cells[c], column->unit);
            fprintf(file, "%s:%*s", column->name, (int) (width - strlen(column->name) + 1),
                    "");
            put_safe(text, width + 2, file);
            putc('\n', file);
        }
    }
}

static bool
is_numeric(const struct out_table *t, size_t column)
{
    bool seen = false;
    for (size_t r = 0; r < t->rows.n; r++) {
        uint8_t type = t->rows.v[r].cells[column].type;
        if (type != JSON_NULL && type != JSON_INTEGER && type != JSON_REAL) {
            return false;
        }
        seen |= type != JSON_NULL;
    }
    return seen && t->columns.v[column].unit != UNIT_TIME_MS;
}

static void
add_columns(const struct out_table *t, const struct out_style *style,
            struct libscols_table *table)
{
    for (size_t c = 0; c < t->columns.n; c++) {
        if (is_shown(&t->columns.v[c], style)) {
            CLEANUP(free_drop) char *header = header_of(t->columns.v[c].name);
            int flags = is_numeric(t, c) ? SCOLS_FL_RIGHT : c ? SCOLS_FL_TRUNC : 0;
            ASSERT(scols_table_new_column(table, header, 0, flags));
        }
    }
}

/* An error has three lines; a table has one.  Takes 'text'. */
static char *
one_line(char *text)
{
    if (!strchr(text, '\n')) {
        return text;
    }
    struct strvec lines = STRVEC_INIT;
    strvec_split(&lines, text, "\n");
    free(text);
    text = strvec_join(&lines, "; ");
    strvec_done(&lines);
    return text;
}

void
out_print_table(const struct out_table *t, const struct out_style *style, FILE *file)
{
    if (style->vertical) {
        print_vertical(t, file);
        return;
    }
    struct libscols_table *table = scols_new_table();
    ASSERT(table);
    scols_table_set_stream(table, file);
    scols_table_enable_noheadings(table, style->no_headers);
    scols_table_set_column_separator(table, "  ");
    if (!style->is_tty) {
        scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
        scols_table_set_termwidth(table, 0);
    }
    add_columns(t, style, table);
    for (size_t r = 0; r < t->rows.n; r++) {
        struct libscols_line *line = scols_table_new_line(table, NULL);
        ASSERT(line);
        size_t shown = 0;
        for (size_t c = 0; c < t->columns.n; c++) {
            if (is_shown(&t->columns.v[c], style)) {
                char *text =
                    one_line(out_cell_text(&t->rows.v[r].cells[c], t->columns.v[c].unit));
                ASSERT(scols_line_refer_data(line, shown++, text) == 0); /* Takes 'text'. */
            }
        }
    }
    ASSERT(scols_print_table(table) ==
           0); /* Prints nothing, not even headers, without rows. */
    scols_unref_table(table);
}
