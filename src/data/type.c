/* data/type.c: see type.h. */
#include "data/type.h"

#include <float.h>

#include "base/str.h"
#include "data/datum.h"
#include "data/rfc7047.h"

void
base_type_init(struct base_type *b, enum atom_type type)
{
    *b = (struct base_type){ .type = type };
    switch (type) {
    case ATOM_INTEGER:
        b->integer.min = INT64_MIN;
        b->integer.max = INT64_MAX;
        break;
    case ATOM_REAL:
        b->real.min = -DBL_MAX;
        b->real.max = DBL_MAX;
        break;
    case ATOM_STRING: b->string.max_chars = UINT32_MAX; break;
    default: break;
    }
}

/* The type of the "enum" constraint's own value: a set of at least one. */
static struct type
choices_type(enum atom_type type)
{
    struct type t;
    type_init_scalar(&t, type);
    t.n_max = TYPE_UNLIMITED;
    return t;
}

void
base_type_done(struct base_type *b)
{
    if (b->choices) {
        struct type t = choices_type(b->type);
        datum_done(b->choices, &t);
        free(b->choices);
    }
    if (b->type == ATOM_UUID) {
        free(b->uuid.ref_table_name);
    }
    base_type_init(b, ATOM_VOID);
}

void
base_type_copy(struct base_type *ret, const struct base_type *b)
{
    *ret = *b;
    if (b->choices) {
        struct type t = choices_type(b->type);
        ret->choices = NEW(struct datum);
        *ret->choices = datum_dup(b->choices, &t);
    }
    if (b->type == ATOM_UUID) {
        ret->uuid.ref_table_name = str_dup(b->uuid.ref_table_name);
    }
}

static struct err *
atom_type_parse(enum atom_type *ret, const struct json *j)
{
    if (j->type != JSON_STRING) {
        return rfc_syntax(j, "atomic-type expected");
    }
    return atom_type_find(j->string, ret)
               ? NULL
               : rfc_syntax(j, "\"%s\" is not an atomic-type", j->string);
}

static struct err *
parse_length(struct decode *d, const char *name, uint32_t *length)
{
    const struct json *j = decode_member(d, name, DECODE_INTEGER | DECODE_OPTIONAL);
    if (!j) {
        return NULL;
    } else if (j->integer < 0 || j->integer > UINT32_MAX) {
        return rfc_syntax(j, "%s out of valid range 0 to %" PRIu32, name, UINT32_MAX);
    }
    *length = (uint32_t) j->integer;
    return NULL;
}

static struct err *
parse_ref(struct decode *d, struct base_type *b, const struct json *whole)
{
    const struct json *table = decode_member(d, "refTable", DECODE_ID | DECODE_OPTIONAL);
    if (!table) {
        return NULL;
    }
    b->uuid.ref_table_name = str_dup(table->string);
    b->uuid.ref = REF_STRONG;
    const struct json *kind = decode_member(d, "refType", DECODE_ID | DECODE_OPTIONAL);
    if (kind && strcmp(kind->string, "weak") == 0) {
        b->uuid.ref = REF_WEAK;
    } else if (kind && strcmp(kind->string, "strong") != 0) {
        return rfc_syntax(whole, "refType must be \"strong\" or \"weak\" (not \"%s\")",
                          kind->string);
    }
    return NULL;
}

static double
real_of(const struct json *j, double absent)
{
    return !j ? absent : j->type == JSON_INTEGER ? (double) j->integer : j->real;
}

static struct err *
parse_constraints(struct decode *d, struct base_type *b, const struct json *whole)
{
    const struct json *choices = decode_member(d, "enum", DECODE_ANY | DECODE_OPTIONAL);
    if (choices) {
        struct type t = choices_type(b->type);
        struct datum set;
        TRY(datum_parse(&set, &t, choices, NULL, DATUM_SIZED));
        b->choices = NEW(struct datum);
        *b->choices = set;
        return NULL;
    }
    if (b->type == ATOM_INTEGER) {
        const struct json *min =
            decode_member(d, "minInteger", DECODE_INTEGER | DECODE_OPTIONAL);
        const struct json *max =
            decode_member(d, "maxInteger", DECODE_INTEGER | DECODE_OPTIONAL);
        b->integer.min = min ? min->integer : INT64_MIN;
        b->integer.max = max ? max->integer : INT64_MAX;
        if (b->integer.min > b->integer.max) {
            return rfc_syntax(whole, "minInteger exceeds maxInteger");
        }
    } else if (b->type == ATOM_REAL) {
        b->real.min =
            real_of(decode_member(d, "minReal", DECODE_NUMBER | DECODE_OPTIONAL), -DBL_MAX);
        b->real.max =
            real_of(decode_member(d, "maxReal", DECODE_NUMBER | DECODE_OPTIONAL), DBL_MAX);
        if (b->real.min > b->real.max) {
            return rfc_syntax(whole, "minReal exceeds maxReal");
        }
    } else if (b->type == ATOM_STRING) {
        TRY(parse_length(d, "minLength", &b->string.min_chars));
        TRY(parse_length(d, "maxLength", &b->string.max_chars));
        if (b->string.min_chars > b->string.max_chars) {
            return rfc_syntax(whole, "minLength exceeds maxLength");
        }
    } else if (b->type == ATOM_UUID) {
        return parse_ref(d, b, whole);
    }
    return NULL;
}

struct err *
base_type_parse(struct base_type *ret, const struct json *j)
{
    enum atom_type type;
    if (j->type == JSON_STRING) {
        TRY(atom_type_parse(&type, j));
        base_type_init(ret, type);
        return NULL;
    }

    struct decode d;
    decode_begin(&d, j, "ovsdb type");
    const struct json *name = decode_member(&d, "type", DECODE_STRING);
    if (!name) {
        return rfc_decode_end(&d, j);
    }
    struct err *e = atom_type_parse(&type, name);
    base_type_init(ret, e ? ATOM_VOID : type);
    if (!e) {
        e = parse_constraints(&d, ret, j);
    }
    if (e) { /* It wins over what the decoder found. */
        err_free(decode_end(&d));
    } else {
        e = rfc_decode_end(&d, j);
    }
    if (e) {
        base_type_done(ret);
    }
    return e;
}

static bool
has_constraints(const struct base_type *b)
{
    if (b->choices) {
        return true;
    }
    switch (b->type) {
    case ATOM_INTEGER: return b->integer.min != INT64_MIN || b->integer.max != INT64_MAX;
    case ATOM_REAL: return b->real.min != -DBL_MAX || b->real.max != DBL_MAX;
    case ATOM_STRING: return b->string.min_chars != 0 || b->string.max_chars != UINT32_MAX;
    case ATOM_UUID: return b->uuid.ref_table_name != NULL;
    default: return false;
    }
}

struct json
base_type_json(struct arena *arena, const struct base_type *b)
{
    struct json name = json_string_ref(atom_type_name(b->type));
    if (!has_constraints(b)) {
        return name;
    }
    struct json j = json_object();
    json_put(arena, &j, "type", name);
    if (b->choices) {
        struct type t = choices_type(b->type);
        json_put(arena, &j, "enum", datum_json(arena, b->choices, &t));
    } else if (b->type == ATOM_INTEGER) {
        if (b->integer.min != INT64_MIN) {
            json_put(arena, &j, "minInteger", json_int(b->integer.min));
        }
        if (b->integer.max != INT64_MAX) {
            json_put(arena, &j, "maxInteger", json_int(b->integer.max));
        }
    } else if (b->type == ATOM_REAL) {
        if (b->real.min != -DBL_MAX) {
            json_put(arena, &j, "minReal", json_real(b->real.min));
        }
        if (b->real.max != DBL_MAX) {
            json_put(arena, &j, "maxReal", json_real(b->real.max));
        }
    } else if (b->type == ATOM_STRING) {
        if (b->string.min_chars != 0) {
            json_put(arena, &j, "minLength", json_int(b->string.min_chars));
        }
        if (b->string.max_chars != UINT32_MAX) {
            json_put(arena, &j, "maxLength", json_int(b->string.max_chars));
        }
    } else {
        json_put(arena, &j, "refTable", json_string(arena, b->uuid.ref_table_name));
        if (b->uuid.ref == REF_WEAK) {
            json_put(arena, &j, "refType", json_string_ref("weak"));
        }
    }
    return j;
}

/* min..max in the words of ovsdb-server; the texts are what the value and the limits print as. */
static struct err *
range_error(const char *value, const char *min, const char *max)
{
    if (min && max) {
        return rfc_err(RFC_CONSTRAINT, "%s is not in the valid range %s to %s (inclusive)",
                       value, min, max);
    } else if (min) {
        return rfc_err(RFC_CONSTRAINT, "%s is less than minimum allowed value %s", value,
                       min);
    }
    return rfc_err(RFC_CONSTRAINT, "%s is greater than maximum allowed value %s", value,
                   max);
}

static struct err *
check_integer(const struct base_type *b, int64_t value)
{
    if (value >= b->integer.min && value <= b->integer.max) {
        return NULL;
    }
    CLEANUP(free_drop) char *text = str_dupf("%" PRId64, value);
    CLEANUP(free_drop) char *min = str_dupf("%" PRId64, b->integer.min);
    CLEANUP(free_drop) char *max = str_dupf("%" PRId64, b->integer.max);
    return range_error(text, b->integer.min != INT64_MIN ? min : NULL,
                       b->integer.max != INT64_MAX ? max : NULL);
}

static struct err *
check_real(const struct base_type *b, double value)
{
    if (value >= b->real.min && value <= b->real.max) {
        return NULL;
    }
    CLEANUP(free_drop) char *text = str_dupf("%.*g", DBL_DIG, value);
    CLEANUP(free_drop) char *min = str_dupf("%.*g", DBL_DIG, b->real.min);
    CLEANUP(free_drop) char *max = str_dupf("%.*g", DBL_DIG, b->real.max);
    return range_error(text, b->real.min != -DBL_MAX ? min : NULL,
                       b->real.max != DBL_MAX ? max : NULL);
}

static struct err *
check_string(const struct base_type *b, const char *s)
{
    if (b->string.min_chars == 0 && b->string.max_chars == UINT32_MAX) {
        return NULL;
    }
    size_t n_chars = 0;
    for (const char *p = s; *p; p++) {
        n_chars += ((uint8_t) *p & 0xc0) != 0x80; /* Not a continuation byte. */
    }
    if (n_chars < b->string.min_chars) {
        return rfc_err(RFC_CONSTRAINT,
                       "\"%s\" length %zu is less than minimum allowed length %" PRIu32, s,
                       n_chars, b->string.min_chars);
    } else if (n_chars > b->string.max_chars) {
        return rfc_err(RFC_CONSTRAINT,
                       "\"%s\" length %zu is greater than maximum allowed length %" PRIu32,
                       s, n_chars, b->string.max_chars);
    }
    return NULL;
}

struct err *
base_type_check(const struct base_type *b, const union atom *a)
{
    if (b->choices) {
        if (datum_find(b->choices, a, b->type) >= 0) {
            return NULL;
        }
        CLEANUP(buf_done) struct buf text = BUF_INIT;
        atom_print_text(a, b->type, &text);
        buf_str(&text, " is not one of the allowed values ([");
        for (uint32_t i = 0; i < b->choices->n; i++) {
            buf_str(&text, i ? ", " : "");
            atom_print_text(datum_key(b->choices, i), b->type, &text);
        }
        return rfc_err(RFC_CONSTRAINT, "%s])", buf_cstr(&text));
    }
    switch (b->type) {
    case ATOM_INTEGER: return check_integer(b, a->integer);
    case ATOM_REAL: return check_real(b, a->real);
    case ATOM_STRING: return check_string(b, a->string->s);
    default: return NULL;
    }
}

void
type_init_scalar(struct type *t, enum atom_type type)
{
    base_type_init(&t->key, type);
    base_type_init(&t->value, ATOM_VOID);
    t->n_min = t->n_max = 1;
}

void
type_done(struct type *t)
{
    base_type_done(&t->key);
    base_type_done(&t->value);
}

void
type_copy(struct type *ret, const struct type *t)
{
    base_type_copy(&ret->key, &t->key);
    base_type_copy(&ret->value, &t->value);
    ret->n_min = t->n_min;
    ret->n_max = t->n_max;
}

static struct err *
parse_count(const struct json *j, uint32_t *ret)
{
    if (!j) {
        return NULL;
    } else if (j->type == JSON_INTEGER && j->integer >= 0 && j->integer < UINT32_MAX) {
        *ret = (uint32_t) j->integer;
        return NULL;
    }
    return rfc_syntax(j, "bad min or max value");
}

static struct err *
parse_members(struct decode *d, struct type *t)
{
    const struct json *key = decode_member(d, "key", DECODE_STRING | DECODE_OBJECT);
    if (!key) {
        return NULL; /* The decoder remembers. */
    }
    TRY(base_type_parse(&t->key, key));
    const struct json *value =
        decode_member(d, "value", DECODE_STRING | DECODE_OBJECT | DECODE_OPTIONAL);
    if (value) {
        TRY(base_type_parse(&t->value, value));
    }
    TRY(parse_count(decode_member(d, "min", DECODE_INTEGER | DECODE_OPTIONAL), &t->n_min));
    const struct json *max =
        decode_member(d, "max", DECODE_INTEGER | DECODE_STRING | DECODE_OPTIONAL);
    if (json_is(max, JSON_STRING) && strcmp(max->string, "unlimited") == 0) {
        t->n_max = TYPE_UNLIMITED;
        return NULL;
    }
    return parse_count(max, &t->n_max);
}

struct err *
type_parse(struct type *ret, const struct json *j)
{
    type_init_scalar(ret, ATOM_VOID);
    if (j->type == JSON_STRING) {
        return base_type_parse(&ret->key, j);
    } else if (j->type != JSON_OBJECT) {
        return rfc_syntax(j, "ovsdb type expected");
    }

    struct decode d;
    decode_begin(&d, j, "ovsdb type");
    struct err *e = parse_members(&d, ret);
    if (e) {
        err_free(decode_end(&d));
    } else {
        e = rfc_decode_end(&d, j);
    }
    if (!e && (ret->n_min > 1 || ret->n_min > ret->n_max)) {
        e = rfc_syntax(j, "ovsdb type fails constraint checks");
    }
    if (e) {
        type_done(ret);
    }
    return e;
}

struct json
type_json(struct arena *arena, const struct type *t)
{
    struct json key = base_type_json(arena, &t->key);
    if (type_is_scalar(t) && key.type == JSON_STRING) {
        return key;
    }
    struct json j = json_object();
    json_put(arena, &j, "key", key);
    if (type_is_map(t)) {
        json_put(arena, &j, "value", base_type_json(arena, &t->value));
    }
    if (t->n_min != 1) {
        json_put(arena, &j, "min", json_int(t->n_min));
    }
    if (t->n_max == TYPE_UNLIMITED) {
        json_put(arena, &j, "max", json_string_ref("unlimited"));
    } else if (t->n_max != 1) {
        json_put(arena, &j, "max", json_int(t->n_max));
    }
    return j;
}

bool
type_eq(const struct type *a, const struct type *b)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json ja = type_json(&arena, a), jb = type_json(&arena, b);
    return json_eq(&ja, &jb);
}

void
type_print_english(const struct type *t, struct buf *buf)
{
    const char *key = atom_type_name(t->key.type);
    if (type_is_scalar(t)) {
        buf_str(buf, key);
        return;
    }
    buf_str(buf, type_is_map(t) ? "map of" : "set of");
    if (t->n_max == TYPE_UNLIMITED) {
        if (t->n_min) {
            buf_printf(buf, " %" PRIu32 " or more", t->n_min);
        }
    } else if (t->n_min) {
        buf_printf(buf, " %" PRIu32 " to %" PRIu32, t->n_min, t->n_max);
    } else {
        buf_printf(buf, " up to %" PRIu32, t->n_max);
    }
    if (type_is_map(t)) {
        buf_printf(buf, " (%s, %s) pairs", key, atom_type_name(t->value.type));
    } else {
        buf_printf(buf, " %ss", key);
    }
}
