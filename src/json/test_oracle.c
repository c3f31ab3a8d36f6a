/* json/test_oracle.c: see test_oracle.h. */
#include "json/test_oracle.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"

static int
name_cmp(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void canonical(json_t *, struct buf *);

static void
canonical_object(json_t *j, struct buf *out)
{
    size_t n = 0;
    const char **names = xcalloc(json_object_size(j) + 1, sizeof *names);
    for (void *i = json_object_iter(j); i; i = json_object_iter_next(j, i)) {
        names[n++] = json_object_iter_key(i);
    }
    qsort(names, n, sizeof *names, name_cmp);
    buf_char(out, '{');
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "<%s>:", names[i]);
        canonical(json_object_get(j, names[i]), out);
    }
    buf_char(out, '}');
    free(names);
}

static void
canonical(json_t *j, struct buf *out)
{
    switch (json_typeof(j)) {
    case JSON_NULL: buf_str(out, "null "); break;
    case JSON_TRUE: buf_str(out, "true "); break;
    case JSON_FALSE: buf_str(out, "false "); break;
    case JSON_REAL: buf_printf(out, "%.17g ", json_real_value(j) + 0.0); break;
    case JSON_INTEGER: buf_printf(out, "%.17g ", (double) json_integer_value(j)); break;
    case JSON_STRING:
        buf_printf(out, "<%zu:%s>", json_string_length(j), json_string_value(j));
        break;
    case JSON_ARRAY:
        buf_char(out, '[');
        for (size_t i = 0; i < json_array_size(j); i++) {
            canonical(json_array_get(j, i), out);
        }
        buf_char(out, ']');
        break;
    case JSON_OBJECT: canonical_object(j, out); break;
    }
}

_Bool
oracle_canonical(const char *text, size_t n_bytes, struct buf *out)
{
    json_error_t why;
    json_t *j = json_loadb(text, n_bytes, JSON_DECODE_ANY, &why);
    if (!j) {
        return 0;
    }
    canonical(j, out);
    json_decref(j);
    return 1;
}
