/* json/print.c: values to text.  Escapes are ovsdb-server's: only the quote, the backslash and
 * the control characters. */
#include "json/json.h"

#include "json/json_i.h"

#include <stdlib.h>

#define INDENT 2

static const char short_escapes[0x20] = {
    ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
};

void
json_print_string(const char *s, size_t n_bytes, struct buf *out)
{
    const char *end = s + n_bytes;
    buf_reserve(out, n_bytes + 2);
    buf_char(out, '"');
    while (s < end) {
        const char *plain = s;
        s = json_plain_end(s, end);
        buf_add(out, plain, (size_t) (s - plain));
        if (s == end) {
            break;
        }
        unsigned char c = (unsigned char) *s++;
        if (c >= 0x20) {
            buf_char(out, '\\');
            buf_char(out, (char) c);
        } else if (short_escapes[c]) {
            buf_char(out, '\\');
            buf_char(out, short_escapes[c]);
        } else {
            static const char hex[] = "0123456789abcdef";
            buf_add(out, "\\u00", 4);
            buf_char(out, hex[c >> 4]);
            buf_char(out, hex[c & 15]);
        }
    }
    buf_char(out, '"');
}

static int
member_cmp(const void *a, const void *b)
{
    const struct json_member *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void
new_line(int style, int depth, struct buf *out)
{
    if (style & JSON_PRETTY) {
        buf_char(out, '\n');
        for (int i = 0; i < depth * INDENT; i++) {
            buf_char(out, ' ');
        }
    }
}

static void print_value(const struct json *, int style, int depth, struct buf *);

static void
print_member(const struct json_member *m, int style, int depth, struct buf *out)
{
    new_line(style, depth, out);
    json_print_string(m->name, strlen(m->name), out);
    buf_char(out, ':');
    if (style & JSON_PRETTY) {
        buf_char(out, ' ');
    }
    print_value(&m->value, style, depth, out);
}

static void
print_object(const struct json *j, int style, int depth, struct buf *out)
{
    const struct json_member **sorted = NULL;
    if (style & JSON_SORTED && j->n > 1) {
        sorted = xmalloc(j->n * sizeof(*sorted));
        for (uint32_t i = 0; i < j->n; i++) {
            sorted[i] = &j->members[i];
        }
        qsort(sorted, j->n, sizeof(*sorted), member_cmp);
    }
    buf_char(out, '{');
    for (uint32_t i = 0; i < j->n; i++) {
        if (i > 0) {
            buf_char(out, ',');
        }
        print_member(sorted ? sorted[i] : &j->members[i], style, depth + 1, out);
    }
    if (j->n > 0) {
        new_line(style, depth, out);
    }
    buf_char(out, '}');
    free(sorted);
}

static void
print_array(const struct json *j, int style, int depth, struct buf *out)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < j->n; i++) {
        if (i > 0) {
            buf_char(out, ',');
        }
        new_line(style, depth + 1, out);
        print_value(&j->elems[i], style, depth + 1, out);
    }
    if (j->n > 0) {
        new_line(style, depth, out);
    }
    buf_char(out, ']');
}

static void
print_value(const struct json *j, int style, int depth, struct buf *out)
{
    switch ((enum json_type) j->type) {
    case JSON_NULL: buf_add(out, "null", 4); break;
    case JSON_FALSE: buf_add(out, "false", 5); break;
    case JSON_TRUE: buf_add(out, "true", 4); break;
    case JSON_INTEGER: buf_i64(out, j->integer); break;
    case JSON_REAL: json_print_real(j->real, style, out); break;
    case JSON_STRING: json_print_string(j->string, j->n, out); break;
    case JSON_ARRAY: print_array(j, style, depth, out); break;
    case JSON_OBJECT: print_object(j, style, depth, out); break;
    }
}

void
json_print(const struct json *j, int style, struct buf *out)
{
    print_value(j, style, 0, out);
}

char *
json_text(const struct json *j, int style)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    json_print(j, style, &out);
    return buf_take(&out);
}
