/* tests/fuzz/fuzz_json.c: parser, printer and framer.
 *
 * What parses must print, parse again and be the same; the framer must get through any cut of the
 * same bytes, and call a text complete that the parser takes as an object or array. */
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static double
number(const struct json *j)
{
    return j->type == JSON_INTEGER ? (double) j->integer : j->real;
}

static bool
is_number(const struct json *j)
{
    return j->type == JSON_INTEGER || j->type == JSON_REAL;
}

/* A real with a whole value prints as digits and comes back as an integer. */
static bool
same(const struct json *a, const struct json *b)
{
    if (is_number(a) && is_number(b)) {
        return number(a) == number(b);
    } else if (a->type != b->type || a->n != b->n) {
        return false;
    }
    for (uint32_t i = 0; i < a->n && a->type == JSON_ARRAY; i++) {
        if (!same(&a->elems[i], &b->elems[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < a->n && a->type == JSON_OBJECT; i++) {
        if (strcmp(a->members[i].name, b->members[i].name) != 0 ||
            !same(&a->members[i].value, &b->members[i].value)) {
            return false;
        }
    }
    return a->type != JSON_STRING || memcmp(a->string, b->string, a->n) == 0;
}

static void
check_print(struct arena *arena, const struct json *j, int style)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct json again;
    json_print(j, style, &text);
    struct err *e = json_parse(arena, text.data, text.n, &again);
    ASSERT(!e);
    ASSERT(style & JSON_SORTED ? again.type == j->type || is_number(j) : same(j, &again));
}

/* Feeds 'step' bytes at a time; true if a first value is complete exactly at the end. */
static bool
frames(const char *text, size_t n_bytes, size_t step)
{
    struct json_framer f = JSON_FRAMER_INIT;
    for (size_t at = 0; at < n_bytes;) {
        size_t n = n_bytes - at < step ? n_bytes - at : step, used;
        bool complete;
        struct err *e = json_frame(&f, text + at, n, &used, &complete);
        if (e) {
            err_free(e);
            return false;
        }
        ASSERT(used <= n && (used > 0 || n == 0));
        at += used;
        if (complete) {
            return at == n_bytes;
        }
    }
    return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    const char *text = (const char *) data;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;
    struct err *e = json_parse(&arena, text, n_bytes, &j);
    bool framed = frames(text, n_bytes, n_bytes ? n_bytes : 1);
    ASSERT(framed == frames(text, n_bytes, 1));
    if (e) {
        err_free(e);
        return 0;
    }
    if ((j.type == JSON_ARRAY || j.type == JSON_OBJECT) &&
        (text[n_bytes - 1] == ']' || text[n_bytes - 1] == '}')) {
        ASSERT(framed);
    }
    check_print(&arena, &j, 0);
    check_print(&arena, &j, JSON_SORTED | JSON_PRETTY);
    struct json copy = json_copy(&arena, &j);
    ASSERT(json_eq(&j, &copy) && json_hash(&j, 1) == json_hash(&copy, 1));
    return 0;
}
