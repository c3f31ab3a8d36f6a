/* import/pyliteral.c: a recursive-descent reader of Python's literals. */
#include "import/pyliteral.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

#include "base/buf.h"
#include "base/str.h"

struct reader {
    struct arena *arena;
    const char *what;
    const char *p, *end;
    int line, depth;
};

static struct err *value(struct reader *, struct json *ret);

static struct err *
bad(const struct reader *r, const char *why)
{
    return err_wrap(
        err_hint(err_new(ERR_SYNTAX, "line %d: %s", r->line, why),
                 "correct the line; only names and plain values may stand there"),
        "%s", r->what);
}

/* The character at 'i' from here; 0 behind the end. */
static char
peek(const struct reader *r, size_t i)
{
    return i < (size_t) (r->end - r->p) ? r->p[i] : '\0';
}

/* Blanks and comments; line ends only where brackets are open. */
static void
skip(struct reader *r, bool lines)
{
    for (; r->p < r->end; r->p++) {
        if (*r->p == '#') {
            while (r->p + 1 < r->end && r->p[1] != '\n') {
                r->p++;
            }
        } else if (*r->p == '\\' &&
                   (peek(r, 1) == '\n' || (peek(r, 1) == '\r' && peek(r, 2) == '\n'))) {
            r->p += peek(r, 1) == '\r' ? 2 : 1;
            r->line++;
        } else if (*r->p == '\n' && lines) {
            r->line++;
        } else if (*r->p != ' ' && *r->p != '\t' && *r->p != '\r' && *r->p != '\f') {
            return;
        }
    }
}

static void
add_code_point(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_char(out, (char) c);
    } else if (c < 0x800) {
        buf_char(out, (char) (0xc0 | c >> 6));
        buf_char(out, (char) (0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_char(out, (char) (0xe0 | c >> 12));
        buf_char(out, (char) (0x80 | (c >> 6 & 0x3f)));
        buf_char(out, (char) (0x80 | (c & 0x3f)));
    } else {
        buf_char(out, (char) (0xf0 | c >> 18));
        buf_char(out, (char) (0x80 | (c >> 12 & 0x3f)));
        buf_char(out, (char) (0x80 | (c >> 6 & 0x3f)));
        buf_char(out, (char) (0x80 | (c & 0x3f)));
    }
}

/* 'n' hexadecimal digits. */
static bool
hex(struct reader *r, int n, uint32_t *ret)
{
    *ret = 0;
    for (int i = 0; i < n; i++, r->p++) {
        char c = peek(r, 0);
        if (!isxdigit((unsigned char) c)) {
            return false;
        }
        *ret = *ret << 4 | (uint32_t) (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return true;
}

/* Behind a backslash. */
static struct err *
escape(struct reader *r, bool unicode, struct buf *out)
{
    static const char plain[] = "\\'\"abfnrtv", means[] = "\\'\"\a\b\f\n\r\t\v";
    char c = peek(r, 0);
    const char *at = c ? strchr(plain, c) : NULL;
    uint32_t code;

    if (at) {
        r->p++;
        buf_char(out, means[at - plain]);
    } else if (c == '\n') {
        r->p++;
        r->line++;
    } else if (c >= '0' && c <= '7') {
        code = 0;
        for (int i = 0; i < 3 && peek(r, 0) >= '0' && peek(r, 0) <= '7'; i++, r->p++) {
            code = code << 3 | (uint32_t) (*r->p - '0');
        }
        unicode ? add_code_point(out, code) : buf_char(out, (char) code);
    } else if (c == 'x') {
        r->p++;
        if (!hex(r, 2, &code)) {
            return bad(r, "\\x needs two hexadecimal digits");
        }
        unicode ? add_code_point(out, code) : buf_char(out, (char) code);
    } else if (unicode && (c == 'u' || c == 'U')) {
        r->p++;
        if (!hex(r, c == 'u' ? 4 : 8, &code) || code > 0x10ffff ||
            (code >= 0xd800 && code < 0xe000)) {
            return bad(r, "\\u names no character");
        }
        add_code_point(out, code);
    } else {
        buf_char(out, '\\'); /* As Python: an unknown one stays. */
    }
    return NULL;
}

/* A line end in a string that may have none: it was broken by a slide. */
static struct err *
broken(struct reader *r, struct buf *out, int *n_breaks)
{
    if (++*n_breaks > PYLITERAL_MAX_BREAKS) {
        return bad(r, "a string has no end");
    }
    r->line++;
    while (out->n && (out->data[out->n - 1] == ' ' || out->data[out->n - 1] == '\r' ||
                      out->data[out->n - 1] == '\t')) {
        out->n--;
    }
    while (r->p < r->end &&
           (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r')) {
        r->line += *r->p++ == '\n';
    }
    return NULL;
}

/* Behind the opening quote(s), to behind the closing one(s). */
static struct err *
string_body(struct reader *r, char quote, bool triple, bool raw, bool unicode,
            struct buf *out)
{
    int from = r->line, n_breaks = 0;

    while (r->p < r->end) {
        char c = *r->p++;
        if (c == quote && (!triple || (peek(r, 0) == quote && peek(r, 1) == quote))) {
            r->p += triple ? 2 : 0;
            return NULL;
        } else if (c == '\\' && !raw) {
            TRY(escape(r, unicode, out));
        } else if (c == '\n' && !triple) {
            TRY(broken(r, out, &n_breaks));
        } else {
            r->line += c == '\n';
            buf_char(out, c);
        }
    }
    r->line = from;
    return bad(r, "a string has no end");
}

/* Bytes that are no UTF-8 are Latin-1. */
static void
to_utf8(struct buf *b)
{
    if (!str_is_utf8(buf_cstr(b), b->n)) {
        struct buf out = BUF_INIT;
        for (size_t i = 0; i < b->n; i++) {
            add_code_point(&out, (uint8_t) b->data[i]);
        }
        buf_done(b);
        *b = out;
    }
}

/* At an optional prefix and a quote: all adjacent ones. */
static struct err *
string(struct reader *r, struct json *ret)
{
    CLEANUP(buf_done) struct buf all = BUF_INIT;

    for (;;) {
        CLEANUP(buf_done) struct buf one = BUF_INIT;
        bool raw = false, unicode = false;
        for (; isalpha((unsigned char) peek(r, 0)); r->p++) {
            raw |= (*r->p | 32) == 'r';
            unicode |= (*r->p | 32) == 'u';
        }
        char quote = *r->p++;
        bool triple = peek(r, 0) == quote && peek(r, 1) == quote;
        r->p += triple ? 2 : 0;
        TRY(string_body(r, quote, triple, raw, unicode, &one));
        if (memchr(one.data ? one.data : "", '\0', one.n)) {
            return bad(r, "a string holds a zero byte");
        }
        to_utf8(&one);
        buf_add(&all, one.data, one.n);
        skip(r, r->depth > 1); /* Within brackets lines do not end it. */
        if (peek(r, 0) != '\'' && peek(r, 0) != '"') {
            *ret = json_string(r->arena, all.n ? buf_cstr(&all) : "");
            return NULL;
        }
    }
}

static struct err *
number(struct reader *r, struct json *ret)
{
    char text[64];
    size_t n = 0;
    char *end;

    while (n < sizeof text - 1 && (isalnum((unsigned char) peek(r, n)) ||
                                   (peek(r, n) && strchr("+-._", peek(r, n))))) {
        text[n] = peek(r, n);
        n++;
    }
    text[n] = '\0';
    size_t used = n > 1 && (text[n - 1] | 32) == 'l' ? n - 1 : n; /* Python 2: 12L. */
    char last = text[used];
    text[used] = '\0';
    const char *digits = text + (*text == '-' || *text == '+');
    bool is_hex = digits[0] == '0' && (digits[1] | 32) == 'x',
         is_octal = digits[0] == '0' && strspn(digits, "01234567") == strlen(digits);
    errno = 0;
    long long integer = strtoll(text, &end, is_hex ? 16 : is_octal ? 8 : 10);
    if (*end == '\0' && end != text && errno == 0 && isdigit((unsigned char) *digits)) {
        r->p += n;
        *ret = json_int(integer);
        return NULL;
    }
    text[used] = last;
    double real = strtod(text, &end);
    if (*end != '\0' || end == text || !isfinite(real) || is_hex ||
        fpclassify(real) == FP_SUBNORMAL || /* JSON, as OVSDB reads it, has none. */
        (!isdigit((unsigned char) *digits) && *digits != '.')) {
        return bad(r, "a number that is none, or out of range");
    }
    r->p += n;
    *ret = json_real(real);
    return NULL;
}

/* Behind '[', '(' or '{' of a set: elements up to 'close'. */
static struct err *
elements(struct reader *r, char close, struct json *ret)
{
    *ret = json_array();
    for (;;) {
        struct json element;
        skip(r, true);
        if (peek(r, 0) == close) {
            r->p++;
            return NULL;
        }
        TRY(value(r, &element));
        json_add(r->arena, ret, element);
        skip(r, true);
        if (peek(r, 0) == ',') {
            r->p++;
        } else if (peek(r, 0) != close) {
            return bad(r, "a comma or a closing bracket is missing");
        }
    }
}

/* Keys are text in JSON. */
static struct err *
key_of(struct reader *r, const struct json *key, const char **ret)
{
    if (key->type == JSON_STRING) {
        *ret = key->string;
    } else if (key->type == JSON_INTEGER) {
        *ret = arena_printf(r->arena, "%" PRId64, key->integer);
    } else {
        return bad(r, "a key is neither text nor a number");
    }
    return NULL;
}

/* Of two with one name the last one counts.  'name' is in the arena. */
static struct err *
put(struct reader *r, struct json *object, const char *name, struct json member)
{
    struct json *there = (struct json *) json_get(object, name);
    if (there) {
        *there = member;
    } else if (object->n >= PYLITERAL_MAX_MEMBERS) {
        return bad(r, "too many members");
    } else {
        json_put(r->arena, object, name, member);
    }
    return NULL;
}

/* Behind '{': a dict, or a set.  The first one decides. */
static struct err *
braces(struct reader *r, struct json *ret)
{
    struct json first;
    const char *key = NULL;

    skip(r, true);
    *ret = json_object();
    while (peek(r, 0) != '}') {
        TRY(value(r, &first));
        skip(r, true);
        if (peek(r, 0) != ':' && ret->n == 0) {
            struct json rest;
            if (peek(r, 0) == ',') {
                r->p++;
            }
            TRY(elements(r, '}', &rest));
            *ret = json_array();
            json_add(r->arena, ret, first);
            for (uint32_t i = 0; i < rest.n; i++) {
                json_add(r->arena, ret, rest.elems[i]);
            }
            return NULL;
        } else if (peek(r, 0) != ':') {
            return bad(r, "a colon is missing behind a key");
        }
        r->p++;
        TRY(key_of(r, &first, &key));
        skip(r, true);
        TRY(value(r, &first));
        TRY(put(r, ret, key, first));
        skip(r, true);
        if (peek(r, 0) == ',') {
            r->p++;
            skip(r, true);
        } else if (peek(r, 0) != '}') {
            return bad(r, "a comma or a closing brace is missing");
        }
    }
    r->p++;
    return NULL;
}

/* "(1)" is 1; "(1,)" is a tuple. */
static struct err *
parentheses(struct reader *r, struct json *ret)
{
    const char *begin = r->p;
    TRY(elements(r, ')', ret));
    const char *last = r->p - 2;
    while (last > begin && isspace((unsigned char) *last)) {
        last--;
    }
    if (ret->n == 1 && *last != ',') {
        *ret = ret->elems[0];
    }
    return NULL;
}

static bool
word(struct reader *r, const char *text)
{
    size_t n = strlen(text);
    if ((size_t) (r->end - r->p) < n || memcmp(r->p, text, n) != 0 ||
        isalnum((unsigned char) peek(r, n)) || peek(r, n) == '_') {
        return false;
    }
    r->p += n;
    return true;
}

/* set([1, 2]) */
static struct err *
set_call(struct reader *r, struct json *ret)
{
    skip(r, true);
    if (peek(r, 0) != '(') {
        return bad(r, "a name where a value must stand");
    }
    r->p++;
    TRY(parentheses(r, ret));
    if (ret->type != JSON_ARRAY) {
        return bad(r, "set() takes a list");
    }
    return NULL;
}

static bool
begins_string(const struct reader *r)
{
    size_t i = 0;
    while (i < 2 && peek(r, i) && strchr("uUbBrR", peek(r, i))) {
        i++;
    }
    return peek(r, i) == '\'' || peek(r, i) == '"';
}

static struct err *
value_here(struct reader *r, struct json *ret)
{
    char c = peek(r, 0);

    if (begins_string(r)) {
        return string(r, ret);
    } else if (c == '[' || c == '(' || c == '{') {
        r->p++;
        return c == '['   ? elements(r, ']', ret)
               : c == '(' ? parentheses(r, ret)
                          : braces(r, ret);
    } else if (word(r, "None")) {
        *ret = json_null();
        return NULL;
    } else if (word(r, "True")) {
        *ret = json_bool(true);
        return NULL;
    } else if (word(r, "False")) {
        *ret = json_bool(false);
        return NULL;
    } else if (word(r, "set")) {
        return set_call(r, ret);
    } else if (isdigit((unsigned char) c) || c == '-' || c == '+' || c == '.') {
        return number(r, ret);
    }
    return bad(r, c ? "a name or a sign where a value must stand"
                    : "the text ends where a value must stand");
}

static struct err *
value(struct reader *r, struct json *ret)
{
    if (r->depth >= PYLITERAL_MAX_DEPTH) {
        return bad(r, "brackets are too deep");
    }
    r->depth++;
    struct err *e = value_here(r, ret);
    r->depth--;
    return e;
}

static struct err *
reader_begin(struct reader *r, struct arena *arena, const char *what, const char *text,
             size_t n_bytes)
{
    *r = (struct reader){ arena, what, text, text + n_bytes, 1, 0 };
    if (n_bytes > PYLITERAL_MAX_BYTES) {
        return err_wrap(
            err_new(ERR_CONSTRAINT, "more than %" PRId64 " bytes", PYLITERAL_MAX_BYTES),
            "%s", what);
    }
    return NULL;
}

struct err *
pyliteral_parse(struct arena *arena, const char *what, const char *text, size_t n_bytes,
                struct json *ret)
{
    struct reader r;
    TRY(reader_begin(&r, arena, what, text, n_bytes));
    skip(&r, true);
    TRY(value(&r, ret));
    skip(&r, true);
    return r.p < r.end ? bad(&r, "something follows the value") : NULL;
}

/* name = literal */
static struct err *
assignment(struct reader *r, struct json *object)
{
    const char *begin = r->p;
    struct json literal;

    while (isalnum((unsigned char) peek(r, 0)) || peek(r, 0) == '_') {
        r->p++;
    }
    if (r->p == begin || isdigit((unsigned char) *begin)) {
        return bad(r, "no \"name = value\"");
    }
    CLEANUP(free_drop) char *name = str_dup_n(begin, (size_t) (r->p - begin));
    skip(r, false);
    if (peek(r, 0) != '=' || peek(r, 1) == '=') {
        return bad(r, "no \"name = value\"");
    }
    r->p++;
    skip(r, false);
    TRY(value(r, &literal));
    skip(r, false);
    if (peek(r, 0) == ';') {
        r->p++;
    } else if (r->p < r->end && *r->p != '\n') {
        return bad(r, "something follows the value");
    }
    return put(r, object, arena_str(r->arena, name), literal);
}

struct err *
pyliteral_file(struct arena *arena, const char *what, const char *text, size_t n_bytes,
               struct json *ret)
{
    struct reader r;
    TRY(reader_begin(&r, arena, what, text, n_bytes));
    *ret = json_object();
    for (skip(&r, true); r.p < r.end; skip(&r, true)) {
        TRY(assignment(&r, ret));
    }
    return NULL;
}
