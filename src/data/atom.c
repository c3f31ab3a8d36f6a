/* data/atom.c: see atom.h. */
#include "data/atom.h"

#include <errno.h>
#include <float.h>
#include <stdio.h>

#include "base/str.h"
#include "data/rfc7047.h"
#include "json/decode.h"

static const char *const type_names[N_ATOM_TYPES] = {
    [ATOM_VOID] = "void",       [ATOM_INTEGER] = "integer", [ATOM_REAL] = "real",
    [ATOM_BOOLEAN] = "boolean", [ATOM_STRING] = "string",   [ATOM_UUID] = "uuid",
};

void
symtab_done(struct symtab *t)
{
    hmap_done(&t->symbols);
}

struct symbol *
symtab_find(const struct symtab *t, const char *name)
{
    HMAP_FOR_EACH_HASH (struct symbol, s, node, hash_string(name), &t->symbols) {
        if (strcmp(s->name, name) == 0) {
            return s;
        }
    }
    return NULL;
}

struct symbol *
symtab_get(struct symtab *t, const char *name)
{
    struct symbol *s = symtab_find(t, name);
    if (!s) {
        size_t n = strlen(name);
        s = arena_zalloc(t->arena, sizeof *s + n + 1);
        memcpy(s->name, name, n + 1);
        uuid_random(&s->uuid);
        hmap_insert(&t->symbols, &s->node, hash_string(name));
    }
    return s;
}

const char *
atom_type_name(enum atom_type type)
{
    return type < N_ATOM_TYPES ? type_names[type] : "<invalid>";
}

bool
atom_type_find(const char *name, enum atom_type *ret)
{
    for (int i = ATOM_INTEGER; i < N_ATOM_TYPES; i++) {
        if (strcmp(type_names[i], name) == 0) {
            *ret = (enum atom_type) i;
            return true;
        }
    }
    return false;
}

union atom
atom_default(enum atom_type type)
{
    union atom a = { .uuid = { { 0 } } };
    if (type == ATOM_STRING) {
        a.string = istring_new("", 0);
    }
    return a;
}

bool
atom_is_default(const union atom *a, enum atom_type type)
{
    switch (type) {
    case ATOM_INTEGER: return a->integer == 0;
    case ATOM_REAL: return a->real == 0;
    case ATOM_BOOLEAN: return !a->boolean;
    case ATOM_STRING: return a->string->n == 0;
    case ATOM_UUID: return uuid_is_zero(&a->uuid);
    case ATOM_VOID:
    default: return true;
    }
}

union atom
atom_of_string(const char *s)
{
    return (union atom){ .string = istring_new(s, strlen(s)) };
}

int
atom_cmp(const union atom *a, const union atom *b, enum atom_type type)
{
    switch (type) {
    case ATOM_INTEGER: return a->integer < b->integer ? -1 : a->integer > b->integer;
    case ATOM_REAL: return a->real < b->real ? -1 : a->real > b->real;
    case ATOM_BOOLEAN: return (int) a->boolean - (int) b->boolean;
    case ATOM_STRING:
        return a->string == b->string ? 0 : strcmp(a->string->s, b->string->s);
    case ATOM_UUID: return uuid_cmp(&a->uuid, &b->uuid);
    case ATOM_VOID:
    default: return 0;
    }
}

bool
atom_eq(const union atom *a, const union atom *b, enum atom_type type)
{
    switch (type) {
    case ATOM_INTEGER: return a->integer == b->integer;
    case ATOM_REAL: return a->real == b->real;
    case ATOM_BOOLEAN: return a->boolean == b->boolean;
    case ATOM_STRING: return istring_eq(a->string, b->string);
    case ATOM_UUID: return uuid_eq(&a->uuid, &b->uuid);
    case ATOM_VOID:
    default: return true;
    }
}

static uint32_t
mix(uint32_t a, uint32_t b)
{
    uint32_t h = (a ^ b) * UINT32_C(0x9e3779b1);
    return h ^ (h >> 15);
}

uint32_t
atom_hash(const union atom *a, enum atom_type type, uint32_t basis)
{
    switch (type) {
    case ATOM_INTEGER:
        return mix(mix(basis, (uint32_t) a->integer),
                   (uint32_t) ((uint64_t) a->integer >> 32));
    case ATOM_REAL: {
        double real = a->real == 0 ? 0 : a->real; /* 0.0 equals -0.0. */
        return hash_bytes(&real, sizeof real, basis);
    }
    case ATOM_BOOLEAN: return mix(basis, a->boolean);
    case ATOM_STRING: return mix(basis, istring_hash(a->string));
    case ATOM_UUID: return mix(basis, uuid_hash(&a->uuid));
    case ATOM_VOID:
    default: return basis;
    }
}

/* ["uuid", "..."] or ["named-uuid", "..."]: the second element if the first is 'word'. */
static const char *
pair_with(const struct json *j, const char *word)
{
    return json_is(j, JSON_ARRAY) && j->n == 2 && j->elems[0].type == JSON_STRING &&
                   j->elems[1].type == JSON_STRING && strcmp(j->elems[0].string, word) == 0
               ? j->elems[1].string
               : NULL;
}

static struct err *
uuid_from_json(struct uuid *ret, const struct json *j, struct symtab *symbols)
{
    const char *s = pair_with(j, "uuid");
    if (s) {
        return uuid_parse(s, ret) ? NULL : rfc_syntax(j, "\"%s\" is not a valid UUID", s);
    }
    s = symbols ? pair_with(j, "named-uuid") : NULL;
    if (!s) {
        return rfc_syntax(j, "expected [\"uuid\", <string>]");
    } else if (!json_is_id(s)) {
        return rfc_syntax(j, "named-uuid string is not a valid <id>");
    }
    *ret = symtab_get(symbols, s)->uuid;
    return NULL;
}

/* Names the bytes that ovsdb-server would name: the start of the bad sequence up to the first
 * byte that cannot follow. */
static struct err *
utf8_error(const char *s, size_t n)
{
    size_t good = 0; /* The longest valid beginning. */
    while (good < n) {
        size_t step = 1;
        while (step <= 4 && good + step <= n && !str_is_utf8(s + good, step)) {
            step++;
        }
        if (step > 4 || good + step > n) {
            break;
        }
        good += step;
    }

    /* How long could it go on?  As long as some continuation makes it valid. */
    const uint8_t *p = (const uint8_t *) s + good;
    size_t n_bad = 1, n_left = n - good;
    while (n_bad < n_left && n_bad < 4) {
        static const uint8_t fill[] = { 0x80, 0x90, 0xa0 };
        bool possible = false;
        for (size_t f = 0; f < N_ELEMS(fill) && !possible; f++) {
            for (size_t len = n_bad + 1; len <= 4 && !possible; len++) {
                char probe[4];
                memcpy(probe, p, n_bad);
                memset(probe + n_bad, 0x80, 4 - n_bad);
                probe[n_bad] = (char) fill[f];
                possible = str_is_utf8(probe, len);
            }
        }
        if (!possible) {
            break;
        }
        n_bad++;
    }

    CLEANUP(buf_done) struct buf text = BUF_INIT;
    for (size_t i = 0; i < n_bad; i++) {
        buf_printf(&text, " 0x%02x", p[i]);
    }
    return rfc_err(RFC_CONSTRAINT, "not a valid UTF-8 string: invalid UTF-8 sequence%s",
                   buf_cstr(&text));
}

struct err *
atom_parse(union atom *ret, enum atom_type type, bool alone, const struct json *j,
           struct symtab *symbols)
{
    switch (type) {
    case ATOM_INTEGER:
        if (j->type == JSON_INTEGER) {
            ret->integer = j->integer;
            return NULL;
        }
        break;
    case ATOM_REAL:
        if (j->type == JSON_INTEGER || j->type == JSON_REAL) {
            ret->real = j->type == JSON_INTEGER ? (double) j->integer : j->real;
            return NULL;
        }
        break;
    case ATOM_BOOLEAN:
        if (json_is_bool(j)) {
            ret->boolean = j->type == JSON_TRUE;
            return NULL;
        }
        break;
    case ATOM_STRING:
        if (j->type == JSON_STRING) {
            if (UNLIKELY(!str_is_utf8(j->string, j->n))) {
                return utf8_error(j->string, j->n);
            }
            ret->string =
                alone ? istring_new_alone(j->string, j->n) : istring_new(j->string, j->n);
            return NULL;
        }
        break;
    case ATOM_UUID: return uuid_from_json(&ret->uuid, j, symbols);
    case ATOM_VOID:
    default: break;
    }
    return rfc_syntax(j, "expected %s", atom_type_name(type));
}

void
atom_print(const union atom *a, enum atom_type type, struct buf *buf)
{
    switch (type) {
    case ATOM_INTEGER: buf_i64(buf, a->integer); break;
    case ATOM_REAL: json_print_real(a->real, JSON_15G, buf); break;
    case ATOM_BOOLEAN: buf_str(buf, a->boolean ? "true" : "false"); break;
    case ATOM_STRING: json_print_string(a->string->s, a->string->n, buf); break;
    case ATOM_UUID: {
        char *p = buf_reserve(buf, 9 + UUID_CHARS + 3);
        memcpy(p, "[\"uuid\",\"", 9);
        uuid_format(&a->uuid, p + 9);
        memcpy(p + 9 + UUID_CHARS, "\"]", 2);
        buf->n += 9 + UUID_CHARS + 2;
        break;
    }
    case ATOM_VOID:
    default: break;
    }
}

struct json
atom_json(struct arena *arena, const union atom *a, enum atom_type type)
{
    switch (type) {
    case ATOM_INTEGER: return json_int(a->integer);
    case ATOM_REAL: return json_real(a->real);
    case ATOM_BOOLEAN: return json_bool(a->boolean);
    case ATOM_STRING: return json_string_n(arena, a->string->s, a->string->n);
    case ATOM_UUID: {
        char text[UUID_CHARS + 1];
        uuid_format(&a->uuid, text);
        return json_pair(arena, json_string_ref("uuid"), json_string(arena, text));
    }
    case ATOM_VOID:
    default: return json_null();
    }
}
