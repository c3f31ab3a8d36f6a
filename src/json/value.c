/* json/value.c: making, growing, comparing values. */
#include "json/json.h"

#include <stdio.h>

#include "base/map.h"

struct json
json_null(void)
{
    return (struct json){ .type = JSON_NULL };
}

struct json
json_bool(bool b)
{
    return (struct json){ .type = b ? JSON_TRUE : JSON_FALSE };
}

struct json
json_int(int64_t integer)
{
    return (struct json){ .type = JSON_INTEGER, .integer = integer };
}

struct json
json_string_ref(const char *s)
{
    size_t n = strlen(s);
    ASSERT(n < UINT32_MAX);
    return (struct json){ .type = JSON_STRING, .n = (uint32_t) n, .string = s };
}

struct json
json_string_n(struct arena *arena, const char *s, size_t n_bytes)
{
    ASSERT(n_bytes < UINT32_MAX);
    return (struct json){ .type = JSON_STRING,
                          .n = (uint32_t) n_bytes,
                          .string = arena_dup(arena, s, n_bytes) };
}

struct json
json_string(struct arena *arena, const char *s)
{
    return json_string_n(arena, s, strlen(s));
}

struct json
json_stringf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    buf_vprintf(&text, fmt, args);
    va_end(args);
    return json_string_n(arena, buf_cstr(&text), text.n);
}

struct json
json_array(void)
{
    return (struct json){ .type = JSON_ARRAY, .owned = 1 };
}

struct json
json_object(void)
{
    return (struct json){ .type = JSON_OBJECT, .owned = 1 };
}

/* Where the next child goes.  An owned container has room for the next power of two of its
 * number of children, so the memory is full exactly at a power of two. */
static void *
room_for_one(struct arena *arena, struct json *j, size_t elem_bytes)
{
    bool full = j->n == 0 || (j->n & (j->n - 1)) == 0;
    if (!j->owned || full) {
        ASSERT(j->n < UINT32_MAX / 2);
        size_t cap = 1;
        while (cap <= j->n) {
            cap *= 2;
        }
        void *grown = arena_alloc(arena, cap * elem_bytes);
        if (j->n > 0) {
            memcpy(grown, j->elems, j->n * elem_bytes);
        }
        j->elems = grown; /* The union's members are all one pointer. */
        j->owned = 1;
    }
    return (char *) j->elems + j->n++ * elem_bytes;
}

void
json_add(struct arena *arena, struct json *array, struct json value)
{
    ASSERT(array->type == JSON_ARRAY);
    memcpy(room_for_one(arena, array, sizeof value), &value, sizeof value);
}

void
json_put(struct arena *arena, struct json *object, const char *name, struct json value)
{
    ASSERT(object->type == JSON_OBJECT);
    struct json_member member = { name, value };
    memcpy(room_for_one(arena, object, sizeof member), &member, sizeof member);
}

struct json
json_pair(struct arena *arena, struct json a, struct json b)
{
    struct json *elems = arena_alloc(arena, 2 * sizeof *elems);
    elems[0] = a;
    elems[1] = b;
    return (struct json){ .type = JSON_ARRAY, .owned = 1, .n = 2, .elems = elems };
}

struct json
json_copy(struct arena *arena, const struct json *j)
{
    struct json copy = *j;
    copy.owned = 0;
    if (j->type == JSON_STRING) {
        copy.string = arena_dup(arena, j->string, j->n);
    } else if (j->type == JSON_ARRAY && j->n > 0) {
        copy.elems = arena_alloc(arena, j->n * sizeof *copy.elems);
        for (uint32_t i = 0; i < j->n; i++) {
            copy.elems[i] = json_copy(arena, &j->elems[i]);
        }
    } else if (j->type == JSON_OBJECT && j->n > 0) {
        copy.members = arena_alloc(arena, j->n * sizeof *copy.members);
        for (uint32_t i = 0; i < j->n; i++) {
            copy.members[i].name = arena_str(arena, j->members[i].name);
            copy.members[i].value = json_copy(arena, &j->members[i].value);
        }
    }
    return copy;
}

const struct json *
json_get(const struct json *object, const char *name)
{
    if (!json_is(object, JSON_OBJECT)) {
        return NULL;
    }
    for (uint32_t i = 0; i < object->n; i++) {
        if (strcmp(object->members[i].name, name) == 0) {
            return &object->members[i].value;
        }
    }
    return NULL;
}

const char *
json_get_string(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, name);
    return json_is(value, JSON_STRING) ? value->string : NULL;
}

bool
json_get_int(const struct json *object, const char *name, int64_t *ret)
{
    const struct json *value = json_get(object, name);
    if (!json_is(value, JSON_INTEGER)) {
        return false;
    }
    *ret = value->integer;
    return true;
}

double
json_get_number(const struct json *object, const char *name)
{
    const struct json *value = object ? json_get(object, name) : NULL;
    return !value                        ? 0
           : value->type == JSON_INTEGER ? (double) value->integer
           : value->type == JSON_REAL    ? value->real
                                         : 0;
}

static bool
objects_eq(const struct json *a, const struct json *b)
{
    for (uint32_t i = 0; i < a->n; i++) {
        /* Most often both have the same order. */
        const struct json *other = strcmp(a->members[i].name, b->members[i].name) == 0
                                       ? &b->members[i].value
                                       : json_get(b, a->members[i].name);
        if (!other || !json_eq(&a->members[i].value, other)) {
            return false;
        }
    }
    return true;
}

bool
json_eq(const struct json *a, const struct json *b)
{
    if (a->type != b->type) {
        return false;
    }
    switch ((enum json_type) a->type) {
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE: return true;
    case JSON_INTEGER: return a->integer == b->integer;
    case JSON_REAL: return a->real == b->real;
    case JSON_STRING: return a->n == b->n && memcmp(a->string, b->string, a->n) == 0;
    case JSON_ARRAY:
        if (a->n != b->n) {
            return false;
        }
        for (uint32_t i = 0; i < a->n; i++) {
            if (!json_eq(&a->elems[i], &b->elems[i])) {
                return false;
            }
        }
        return true;
    case JSON_OBJECT: return a->n == b->n && objects_eq(a, b);
    }
    return false;
}

uint32_t
json_hash(const struct json *j, uint32_t basis)
{
    basis = basis * 31 + j->type;
    switch ((enum json_type) j->type) {
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE: return hash_bytes(&j->type, 1, basis);
    case JSON_INTEGER: return hash_bytes(&j->integer, sizeof j->integer, basis);
    case JSON_REAL: return hash_bytes(&j->real, sizeof j->real, basis);
    case JSON_STRING: return hash_bytes(j->string, j->n, basis);
    case JSON_ARRAY:
        for (uint32_t i = 0; i < j->n; i++) {
            basis = json_hash(&j->elems[i], basis);
        }
        return hash_bytes(&j->n, sizeof j->n, basis);
    case JSON_OBJECT: break;
    }
    uint32_t sum = 0; /* Order must not count. */
    for (uint32_t i = 0; i < j->n; i++) {
        sum += json_hash(&j->members[i].value, hash_string(j->members[i].name));
    }
    return hash_bytes(&sum, sizeof sum, basis);
}
