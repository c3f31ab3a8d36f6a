/* json/decode.c: see decode.h. */
#include "json/decode.h"

#include <inttypes.h>

#include "base/str.h"

bool
json_is_id(const char *s)
{
    if (!(*s == '_' || (*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z'))) {
        return false;
    }
    while (*s == '_' || (*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z') ||
           (*s >= '0' && *s <= '9')) {
        s++;
    }
    return *s == '\0';
}

static const char *
what(struct decode *d)
{
    if (!d->what) {
        d->what = str_dupf("%s %" PRIu32 " of %" PRIu32, d->nth_what, d->nth, d->nth_of);
    }
    return d->what;
}

static void
take_object(struct decode *d, const struct json *j)
{
    if (json_is(j, JSON_OBJECT)) {
        d->object = j;
    } else {
        d->error = err_new(ERR_SYNTAX, "Parsing %s failed: Object expected.", what(d));
    }
}

void
decode_begin(struct decode *d, const struct json *j, const char *what_fmt, ...)
{
    *d = (struct decode){ 0 };
    va_list args;
    va_start(args, what_fmt);
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    buf_vprintf(&text, what_fmt, args);
    va_end(args);
    d->what = buf_take(&text);

    take_object(d, j);
}

void
decode_begin_nth(struct decode *d, const struct json *j, const char *what, uint32_t i,
                 uint32_t n)
{
    *d = (struct decode){ .nth_what = what, .nth = i, .nth_of = n };
    take_object(d, j);
}

static bool
type_fits(const struct json *j, int types)
{
    static const int of_type[] = {
        [JSON_NULL] = DECODE_NULL,   [JSON_FALSE] = DECODE_BOOL,
        [JSON_TRUE] = DECODE_BOOL,   [JSON_INTEGER] = DECODE_INTEGER,
        [JSON_REAL] = DECODE_REAL,   [JSON_STRING] = DECODE_STRING,
        [JSON_ARRAY] = DECODE_ARRAY, [JSON_OBJECT] = DECODE_OBJECT,
    };
    return (of_type[j->type] & types) ||
           (types & DECODE_ID && j->type == JSON_STRING && json_is_id(j->string));
}

static void
mark_used(struct decode *d, uint32_t i)
{
    uint64_t bit = UINT64_C(1) << (i % 64);
    if (i >= 64 * N_ELEMS(d->used)) {
        d->n_used++;
    } else if (!(d->used[i / 64] & bit)) {
        d->used[i / 64] |= bit;
        d->n_used++;
    }
}

const struct json *
decode_member(struct decode *d, const char *name, int types)
{
    if (!d->object || d->error) {
        return NULL;
    }
    for (uint32_t i = 0; i < d->object->n; i++) {
        const struct json_member *m = &d->object->members[i];
        if (strcmp(m->name, name) != 0) {
            continue;
        }
        mark_used(d, i);
        if (type_fits(&m->value, types)) {
            return &m->value;
        }
        d->error = err_new(ERR_SYNTAX, "Parsing %s failed: Type mismatch for member '%s'.",
                           what(d), name);
        return NULL;
    }
    if (!(types & DECODE_OPTIONAL)) {
        d->error =
            err_new(ERR_SYNTAX, "Parsing %s failed: Required '%s' member is missing.",
                    what(d), name);
    }
    return NULL;
}

const char *
decode_string(struct decode *d, const char *name, int flags, const char *absent)
{
    const struct json *j = decode_member(d, name, DECODE_STRING | flags);
    return j ? j->string : absent;
}

const char *
decode_id(struct decode *d, const char *name)
{
    const struct json *j = decode_member(d, name, DECODE_ID);
    return j ? j->string : NULL;
}

int64_t
decode_int(struct decode *d, const char *name, int flags, int64_t absent, int64_t min,
           int64_t max)
{
    const struct json *j = decode_member(d, name, DECODE_INTEGER | flags);
    if (!j) {
        return absent;
    }
    if (j->integer < min || j->integer > max) {
        decode_fail(d, err_new(ERR_SYNTAX, "member '%s' must be %" PRId64 " to %" PRId64,
                               name, min, max));
        return absent;
    }
    return j->integer;
}

bool
decode_bool(struct decode *d, const char *name, int flags, bool absent)
{
    const struct json *j = decode_member(d, name, DECODE_BOOL | flags);
    return j ? j->type == JSON_TRUE : absent;
}

void
decode_fail(struct decode *d, struct err *e)
{
    if (d->error || !e) {
        err_free(e);
        return;
    }
    d->error = err_wrap(e, "Parsing %s failed", what(d));
}

bool
decode_failed(const struct decode *d)
{
    return d->error != NULL;
}

void
decode_ignore_rest(struct decode *d)
{
    d->n_used = d->object ? d->object->n : 0;
}

static const char *
first_unused(const struct decode *d)
{
    for (uint32_t i = 0; i < d->object->n; i++) {
        if (i >= 64 * N_ELEMS(d->used) || !(d->used[i / 64] & UINT64_C(1) << (i % 64))) {
            return d->object->members[i].name;
        }
    }
    return "";
}

struct err *
decode_end(struct decode *d)
{
    uint32_t n_unused = d->object ? d->object->n - d->n_used : 0;
    if (!d->error && n_unused == 1) {
        d->error = err_new(
            ERR_SYNTAX, "Parsing %s failed: Member '%s' is present but not allowed here.",
            what(d), first_unused(d));
    } else if (!d->error && n_unused > 1) {
        d->error =
            err_new(ERR_SYNTAX,
                    "Parsing %s failed: Member '%s' and %u other member%s are present "
                    "but not allowed here.",
                    what(d), first_unused(d), n_unused - 1, n_unused > 2 ? "s" : "");
    }
    free(TAKE(d->what));
    return TAKE(d->error);
}
