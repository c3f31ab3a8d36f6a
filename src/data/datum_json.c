/* data/datum_json.c: values from and to JSON. */
#include "data/datum.h"

#include "data/datum_i.h"
#include "data/rfc7047.h"

struct pair {
    union atom key, value;
};

static int
pair_cmp(const void *a, const void *b, void *key_type)
{
    return atom_cmp(&((const struct pair *) a)->key, &((const struct pair *) b)->key,
                    *(const enum atom_type *) key_type);
}

static void
sort_pairs(struct datum *d, enum atom_type key_type)
{
    union atom *keys = datum_keys_w(d), *values = d->map ? datum_values_w(d) : NULL;
    struct pair *pairs = xrealloc_array(NULL, d->n, sizeof *pairs);
    for (uint32_t i = 0; i < d->n; i++) {
        pairs[i].key = keys[i];
        if (values) {
            pairs[i].value = values[i];
        }
    }
    qsort_r(pairs, d->n, sizeof *pairs, pair_cmp, &key_type);
    for (uint32_t i = 0; i < d->n; i++) {
        keys[i] = pairs[i].key;
        if (values) {
            values[i] = pairs[i].value;
        }
    }
    free(pairs);
}

bool
datum_sort(struct datum *d, const struct type *t)
{
    enum atom_type type = t->key.type;
    const union atom *keys = datum_keys(d);

    bool sorted = true;
    for (uint32_t i = 1; i < d->n && sorted; i++) {
        sorted = atom_cmp(&keys[i - 1], &keys[i], type) < 0;
    }
    if (sorted) { /* What other databases send usually is. */
        return true;
    }
    sort_pairs(d, type);
    for (uint32_t i = 1; i < d->n; i++) {
        if (atom_eq(&keys[i - 1], &keys[i], type)) {
            return false;
        }
    }
    return true;
}

bool
datum_of_keys(struct datum *ret, const struct type *t, const union atom *keys, uint32_t n)
{
    datum_reserve(ret, t, n);
    memcpy(datum_keys_w(ret), keys, n * sizeof *keys);
    ret->n = n;
    if (n > 1 && !datum_sort(ret, t)) {
        datum_done(ret, t);
        return false;
    }
    return true;
}

static struct err *
parse_atom(union atom *ret, const struct base_type *b, const struct json *j,
           struct symtab *symbols)
{
    TRY(atom_parse(ret, b->type, b->unique, j, symbols));
    struct err *e = base_type_check(b, ret);
    if (e) {
        atom_done(ret, b->type);
    }
    return e;
}

/* One element into the datum's next place. */
static struct err *
parse_element(struct datum *d, const struct type *t, const struct json *j,
              struct symtab *symbols)
{
    union atom *key = &datum_keys_w(d)[d->n];
    if (!d->map) {
        TRY(parse_atom(key, &t->key, j, symbols));
        d->n++;
        return NULL;
    }
    if (j->type != JSON_ARRAY || j->n != 2) {
        return rfc_syntax(j, "expected 2-element array");
    }
    TRY(parse_atom(key, &t->key, &j->elems[0], symbols));
    struct err *e = parse_atom(&datum_values_w(d)[d->n], &t->value, &j->elems[1], symbols);
    if (e) {
        atom_done(key, t->key.type);
        return e;
    }
    d->n++;
    return NULL;
}

static struct err *
check_count(const struct json *j, uint32_t n, const struct type *t, const char *class)
{
    if (n >= t->n_min && n <= t->n_max) {
        return NULL;
    } else if (t->n_min == 1 && t->n_max == 1) {
        return rfc_syntax(j, "%s must have exactly one member but %" PRIu32 " are present",
                          class, n);
    }
    return rfc_syntax(
        j, "%s must have %" PRIu32 " to %" PRIu32 " members but %" PRIu32 " are present",
        class, t->n_min, t->n_max, n);
}

static bool
is_set_notation(const struct json *j)
{
    return j->type == JSON_ARRAY && j->n > 0 && j->elems[0].type == JSON_STRING &&
           strcmp(j->elems[0].string, "set") == 0;
}

struct err *
datum_parse(struct datum *ret, const struct type *t, const struct json *j,
            struct symtab *symbols, enum datum_sizes sizes)
{
    bool map = type_is_map(t);
    const struct json *elems = j;
    uint32_t n = 1;

    if (map || is_set_notation(j)) {
        const char *class = map ? "map" : "set";
        if (j->type != JSON_ARRAY || j->n != 2 || j->elems[0].type != JSON_STRING ||
            strcmp(j->elems[0].string, class) != 0 || j->elems[1].type != JSON_ARRAY) {
            return rfc_syntax(j, "expected [\"%s\", <array>]", class);
        }
        n = j->elems[1].n;
        elems = j->elems[1].elems;
        if (sizes == DATUM_SIZED) {
            TRY(check_count(j, n, t, class));
        }
    }

    struct datum d;
    datum_reserve(&d, t, n);
    struct err *e = NULL;
    for (uint32_t i = 0; i < n && !e; i++) {
        e = parse_element(&d, t, &elems[i], symbols);
    }
    if (!e && d.n > 1 && !datum_sort(&d, t)) {
        e = rfc_err(RFC_OVSDB,
                    map ? "map contains duplicate key" : "set contains duplicate");
    }
    if (e) {
        datum_done(&d, t);
        return e;
    }
    *ret = d;
    return NULL;
}

void
datum_print(const struct datum *d, const struct type *t, struct buf *buf)
{
    if (!type_is_map(t)) {
        if (d->n == 1) {
            atom_print(datum_key(d, 0), t->key.type, buf);
            return;
        }
        buf_add(buf, "[\"set\",[", 8);
        for (uint32_t i = 0; i < d->n; i++) {
            if (i) {
                buf_char(buf, ',');
            }
            atom_print(datum_key(d, i), t->key.type, buf);
        }
    } else {
        buf_add(buf, "[\"map\",[", 8);
        for (uint32_t i = 0; i < d->n; i++) {
            buf_str(buf, i ? ",[" : "[");
            atom_print(datum_key(d, i), t->key.type, buf);
            buf_char(buf, ',');
            atom_print(datum_value(d, i), t->value.type, buf);
            buf_char(buf, ']');
        }
    }
    buf_add(buf, "]]", 2);
}

struct json
datum_json(struct arena *arena, const struct datum *d, const struct type *t)
{
    bool map = type_is_map(t);
    if (!map && d->n == 1) {
        return atom_json(arena, datum_key(d, 0), t->key.type);
    }
    struct json elems = json_array();
    for (uint32_t i = 0; i < d->n; i++) {
        struct json key = atom_json(arena, datum_key(d, i), t->key.type);
        json_add(
            arena, &elems,
            map ? json_pair(arena, key, atom_json(arena, datum_value(d, i), t->value.type))
                : key);
    }
    return json_pair(arena, json_string_ref(map ? "map" : "set"), elems);
}
