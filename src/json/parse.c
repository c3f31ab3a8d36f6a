/* json/parse.c: text to values.
 *
 * One pass and no recursion.  Open containers lie on a stack of frames; the children read so
 * far lie on one scratch stack, members with their name, and move to the arena together when
 * their container closes.  Strings are decoded into one block as long as the text: decoded and
 * with its NUL a string is never longer than it was with its quotes.  So a parse makes one
 * allocation for all strings and one a container. */
#include "json/json_i.h"

#include <stdarg.h>

#include "base/hash.h"
#include "base/vec.h"

#define FEW_MEMBERS 12 /* Up to so many, comparing all names beats hashing them. */
#define SCRATCH_FEW 32 /* Children and containers of a small text. */
#define FRAMES_FEW 16

struct frame {
    size_t base;   /* Its first child on the scratch stack. */
    bool is_array; /* Else an object. */
};

struct parser {
    struct arena *arena;
    const char *text, *at, *end;
    char *strings; /* Free part of the block for strings. */
    const char *why;
    VEC(struct json_member) scratch;
    VEC(struct frame) frames;
};

static bool
fail(struct parser *p, const char *why)
{
    if (!p->why) {
        p->why = why;
    }
    return false;
}

static struct err *
error_at(const struct parser *p)
{
    uint32_t line = 1;
    const char *line_start = p->text;
    const char *at = p->at < p->end ? p->at : p->end;
    for (const char *s = p->text; s < at; s++) {
        if (*s == '\n') {
            line++;
            line_start = s + 1;
        }
    }
    return err_new(ERR_SYNTAX, "line %u, column %zu, byte %zu: %s", line,
                   (size_t) (at - line_start) + 1, (size_t) (at - p->text), p->why);
}

static inline void
skip_space(struct parser *p)
{
    while (p->at < p->end &&
           (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t')) {
        p->at++;
    }
}

/* Strings. */

static bool
parse_hex4(struct parser *p, unsigned int *ret)
{
    unsigned int value = 0;
    if (p->end - p->at < 4) {
        return fail(p, "malformed \\u escape");
    }
    for (int i = 0; i < 4; i++) {
        char c = *p->at;
        unsigned int digit = (unsigned char) (c - '0') < 10 ? (unsigned int) (c - '0')
                             : (unsigned char) ((c | 32) - 'a') < 6
                                 ? (unsigned int) (c | 32) - 'a' + 10
                                 : 16;
        if (digit > 15) {
            return fail(p, "malformed \\u escape");
        }
        value = value * 16 + digit;
        p->at++;
    }
    *ret = value;
    return true;
}

static char *
put_utf8(char *out, unsigned int c)
{
    if (c < 0x80) {
        *out++ = (char) c;
    } else if (c < 0x800) {
        *out++ = (char) (0xc0 | c >> 6);
        *out++ = (char) (0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *out++ = (char) (0xe0 | c >> 12);
        *out++ = (char) (0x80 | (c >> 6 & 0x3f));
        *out++ = (char) (0x80 | (c & 0x3f));
    } else {
        *out++ = (char) (0xf0 | c >> 18);
        *out++ = (char) (0x80 | (c >> 12 & 0x3f));
        *out++ = (char) (0x80 | (c >> 6 & 0x3f));
        *out++ = (char) (0x80 | (c & 0x3f));
    }
    return out;
}

/* After "\u".  A lone low surrogate becomes three bytes, as in ovsdb-server. */
static bool
parse_unicode(struct parser *p, char **out)
{
    unsigned int c, low;
    if (!parse_hex4(p, &c)) {
        return false;
    }
    if (c == 0) {
        return fail(p, "null bytes not supported in quoted strings");
    }
    if (c >= 0xd800 && c < 0xdc00) {
        if (p->end - p->at < 2 || p->at[0] != '\\' || p->at[1] != 'u') {
            return fail(p, "malformed escaped surrogate pair");
        }
        p->at += 2;
        if (!parse_hex4(p, &low)) {
            return false;
        }
        if (low < 0xdc00 || low > 0xdfff) {
            return fail(p,
                        "second half of escaped surrogate pair is not trailing surrogate");
        }
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *out = put_utf8(*out, c);
    return true;
}

static bool
parse_escape(struct parser *p, char **out)
{
    if (p->at == p->end) {
        return fail(p, "unexpected end of input in quoted string");
    }
    char c = *p->at++;
    switch (c) {
    case '"':
    case '\\':
    case '/': break;
    case 'b': c = '\b'; break;
    case 'f': c = '\f'; break;
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    case 'u': return parse_unicode(p, out);
    default: p->at--; return fail(p, "bad escape");
    }
    *(*out)++ = c;
    return true;
}

/* At the opening quote.  Leaves the string in the block, NUL-terminated. */
static bool
parse_string(struct parser *p, const char **ret_string, uint32_t *ret_n)
{
    char *out = p->strings;
    p->at++;
    for (;;) {
        const char *plain = p->at;
        p->at = json_plain_end(p->at, p->end);
        memcpy(out, plain, (size_t) (p->at - plain));
        out += p->at - plain;
        if (p->at == p->end) {
            return fail(p, "unexpected end of input in quoted string");
        } else if (*p->at == '"') {
            p->at++;
            break;
        } else if (*p->at != '\\') {
            return fail(p, "control characters must be escaped in quoted strings");
        }
        p->at++;
        if (!parse_escape(p, &out)) {
            return false;
        }
    }
    *out = '\0';
    *ret_string = p->strings;
    *ret_n = (uint32_t) (out - p->strings);
    p->strings = out + 1;
    return true;
}

/* Containers. */

/* The last value of a name wins, in the place of the first.  Returns how many are left. */
static size_t
drop_duplicates_by_hash(struct json_member *m, size_t n)
{
    size_t mask = 1;
    while (mask < 2 * n) {
        mask *= 2;
    }
    uint32_t *slots = xcalloc(mask, sizeof *slots); /* Index + 1, or 0. */
    mask--;
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = hash_secret(m[i].name, strlen(m[i].name)) & mask;
        while (slots[at] && strcmp(m[slots[at] - 1].name, m[i].name) != 0) {
            at = (at + 1) & mask;
        }
        if (slots[at]) {
            m[slots[at] - 1].value = m[i].value;
        } else {
            m[n_kept] = m[i];
            slots[at] = (uint32_t) ++n_kept;
        }
    }
    free(slots);
    return n_kept;
}

static bool
same_name(const char *a, const char *b)
{
    return *a == *b && strcmp(a, b) == 0;
}

static size_t
drop_duplicates(struct json_member *m, size_t n)
{
    if (n > FEW_MEMBERS) {
        return drop_duplicates_by_hash(m, n);
    }
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        size_t same = 0;
        while (same < n_kept && !same_name(m[same].name, m[i].name)) {
            same++;
        }
        m[same].value = m[i].value;
        m[same].name = m[i].name;
        n_kept += same == n_kept;
    }
    return n_kept;
}

static void
close_array(struct parser *p, const struct frame *f, struct json *ret)
{
    size_t n = p->scratch.n - f->base;
    *ret = (struct json){ .type = JSON_ARRAY, .n = (uint32_t) n };
    if (n > 0) {
        ret->elems = arena_alloc(p->arena, n * sizeof *ret->elems);
        for (size_t i = 0; i < n; i++) {
            ret->elems[i] = p->scratch.v[f->base + i].value;
        }
    }
    p->scratch.n = f->base;
}

static void
close_object(struct parser *p, const struct frame *f, struct json *ret)
{
    size_t n = p->scratch.n - f->base;
    *ret = (struct json){ .type = JSON_OBJECT };
    if (n > 0) {
        struct json_member *members = &p->scratch.v[f->base];
        n = drop_duplicates(members, n);
        ret->n = (uint32_t) n;
        ret->members = arena_alloc(p->arena, n * sizeof *ret->members);
        memcpy(ret->members, members, n * sizeof *ret->members);
    }
    p->scratch.n = f->base;
}

static bool
open_container(struct parser *p, bool is_array)
{
    if (p->frames.n >= JSON_MAX_DEPTH) {
        return fail(p, "input exceeds maximum nesting depth " STRINGIFY(JSON_MAX_DEPTH));
    }
    *VEC_ADD(&p->frames) = (struct frame){ p->scratch.n, is_array };
    p->at++;
    return true;
}

/* At the name of a member: reads it and the colon. */
static bool
parse_name(struct parser *p)
{
    uint32_t n;
    if (p->at == p->end || *p->at != '"') {
        return fail(p, p->at == p->end ? "unexpected end of input"
                                       : "syntax error parsing object expecting string");
    }
    struct json_member *m = VEC_ADD(&p->scratch);
    if (!parse_string(p, &m->name, &n)) {
        return false;
    }
    skip_space(p);
    if (p->at == p->end || *p->at != ':') {
        return fail(p, "syntax error parsing object expecting ':'");
    }
    p->at++;
    return true;
}

static bool
parse_word(struct parser *p, const char *word, enum json_type type, struct json *ret)
{
    size_t n = strlen(word);
    if ((size_t) (p->end - p->at) < n || memcmp(p->at, word, n) != 0) {
        return fail(p, "invalid keyword");
    }
    p->at += n;
    *ret = (struct json){ .type = (uint8_t) type };
    return true;
}

/* Anything but a container. */
static bool
parse_scalar(struct parser *p, struct json *ret)
{
    switch (*p->at) {
    case '"':
        *ret = (struct json){ .type = JSON_STRING };
        return parse_string(p, &ret->string, &ret->n);
    case 'n': return parse_word(p, "null", JSON_NULL, ret);
    case 't': return parse_word(p, "true", JSON_TRUE, ret);
    case 'f': return parse_word(p, "false", JSON_FALSE, ret);
    case '-':
    case '0' ... '9': {
        const char *why;
        const char *end = json_number_parse(p->at, p->end, ret, &why);
        if (!end) {
            return fail(p, why);
        }
        p->at = end;
        return true;
    }
    default: return fail(p, "syntax error parsing value");
    }
}

/* Puts a finished value where it belongs: the root, or a child of the innermost container. */
static void
finish_value(struct parser *p, struct json value, struct json *root)
{
    if (p->frames.n == 0) {
        *root = value;
    } else if (p->frames.v[p->frames.n - 1].is_array) {
        VEC_ADD(&p->scratch)->value = value;
    } else {
        p->scratch.v[p->scratch.n - 1].value = value; /* Its name is there already. */
    }
}

/* After a value: closes the containers that end here.  *ret_more: another child follows, and
 * 'at' is at its value. */
static bool
after_value(struct parser *p, struct json *root, bool *ret_more)
{
    while (p->frames.n > 0) {
        struct frame *f = &p->frames.v[p->frames.n - 1];
        skip_space(p);
        if (p->at == p->end) {
            return fail(p, "unexpected end of input");
        } else if (*p->at == ',') {
            p->at++;
            skip_space(p);
            *ret_more = true;
            return f->is_array || parse_name(p);
        } else if (*p->at != (f->is_array ? ']' : '}')) {
            return fail(p, f->is_array
                               ? "syntax error parsing array expecting ']' or ','"
                               : "syntax error parsing object expecting '}' or ','");
        }
        p->at++;
        struct frame closed = *f;
        struct json value;
        (closed.is_array ? close_array : close_object)(p, &closed, &value);
        p->frames.n--;
        finish_value(p, value, root);
    }
    *ret_more = false;
    return true;
}

static bool
parse_all(struct parser *p, struct json *root)
{
    for (bool more = true; more;) {
        skip_space(p);
        if (p->at == p->end) {
            return fail(p, "unexpected end of input");
        }
        if (*p->at == '[' || *p->at == '{') {
            bool is_array = *p->at == '[';
            if (!open_container(p, is_array)) {
                return false;
            }
            skip_space(p);
            if (p->at == p->end || *p->at != (is_array ? ']' : '}')) {
                if (!is_array && !parse_name(p)) {
                    return false;
                }
                continue; /* Its first value. */
            }
        } else {
            struct json value;
            if (!parse_scalar(p, &value)) {
                return false;
            }
            finish_value(p, value, root);
        }
        if (!after_value(p, root, &more)) {
            return false;
        }
    }
    skip_space(p);
    return p->at == p->end || fail(p, "trailing garbage at end of input");
}

struct err *
json_parse(struct arena *arena, const char *text, size_t n_bytes, struct json *ret)
{
    if (n_bytes > UINT32_MAX / 2) {
        return err_new(ERR_SYNTAX, "a JSON text of %zu bytes is too long", n_bytes);
    }
    struct parser p = { .arena = arena, .text = text, .at = text, .end = text + n_bytes };
    p.strings = arena_alloc(arena, n_bytes + 1);
    VEC_RESERVE(&p.scratch, SCRATCH_FEW);
    VEC_RESERVE(&p.frames, FRAMES_FEW);
    bool ok = parse_all(&p, ret);
    struct err *e = ok ? NULL : error_at(&p);
    VEC_DONE(&p.scratch);
    VEC_DONE(&p.frames);
    return e;
}

struct err *
json_parse_str(struct arena *arena, const char *text, struct json *ret)
{
    return json_parse(arena, text, strlen(text), ret);
}
