/* data/datum_ops.c: sets, maps and deltas.  All walk two sorted sequences side by side. */
#include "data/datum.h"

#include "data/datum_i.h"
#include "data/rfc7047.h"

/* Does 'b' hold element 'i' of 'a', value included? */
static bool
has_element(const struct datum *b, const struct datum *a, uint32_t i, const struct type *t)
{
    int64_t at = datum_find(b, datum_key(a, i), t->key.type);
    return at >= 0 && (!a->map || atom_eq(datum_value(a, i), datum_value(b, (uint32_t) at),
                                          t->value.type));
}

bool
datum_includes_all(const struct datum *a, const struct datum *b, const struct type *t)
{
    if (a->n > b->n) {
        return false;
    }
    for (uint32_t i = 0; i < a->n; i++) {
        if (!has_element(b, a, i, t)) {
            return false;
        }
    }
    return true;
}

bool
datum_excludes_all(const struct datum *a, const struct datum *b, const struct type *t)
{
    for (uint32_t i = 0; i < a->n; i++) {
        if (has_element(b, a, i, t)) {
            return false;
        }
    }
    return true;
}

/* Appends element 'i' of 'from' to 'to', which has room. */
static void
append(struct datum *to, const struct datum *from, uint32_t i, const struct type *t)
{
    datum_keys_w(to)[to->n] = atom_dup(datum_key(from, i), t->key.type);
    if (to->map) {
        datum_values_w(to)[to->n] = atom_dup(datum_value(from, i), t->value.type);
    }
    to->n++;
}

/* Side by side: -1 the next key is a's alone, 1 b's alone, 0 both have it. */
static int
next_side(const struct datum *a, uint32_t i, const struct datum *b, uint32_t j,
          const struct type *t)
{
    if (i >= a->n || j >= b->n) {
        return i < a->n ? -1 : 1;
    }
    return atom_cmp(datum_key(a, i), datum_key(b, j), t->key.type);
}

/* A result must not keep much more memory than it needs: it may live for years. */
static void
tidy(struct datum *d, const struct type *t)
{
    if (!d->block) {
        return;
    } else if (d->n > 1 || (d->n == 1 && d->map)) {
        datum_fit(d, t);
        return;
    }
    struct datum small = DATUM_EMPTY;
    small.map = d->map;
    if (d->n == 1) {
        small.one = atom_dup(datum_key(d, 0), t->key.type);
        small.n = 1;
    }
    datum_done(d, t);
    *d = small;
}

/* All of 'a' and all of 'b'; for common keys a's value counts. */
static void
merge(struct datum *ret, const struct datum *a, const struct datum *b, const struct type *t)
{
    datum_reserve(ret, t, a->n + b->n);
    for (uint32_t i = 0, j = 0; i < a->n || j < b->n;) {
        int side = next_side(a, i, b, j, t);
        if (side <= 0) {
            append(ret, a, i++, t);
            j += side == 0;
        } else {
            append(ret, b, j++, t);
        }
    }
    tidy(ret, t);
}

void
datum_union(struct datum *a, const struct datum *b, const struct type *t)
{
    if (b->n == 0) {
        return;
    } else if (b->n <= 4) { /* A few into many. */
        for (uint32_t i = 0; i < b->n; i++) {
            if (datum_find(a, datum_key(b, i), t->key.type) < 0) {
                union atom value = { 0 };
                if (b->map) {
                    value = atom_dup(datum_value(b, i), t->value.type);
                }
                datum_add(a, t, atom_dup(datum_key(b, i), t->key.type), &value, false);
            }
        }
        return;
    }
    struct datum both;
    merge(&both, a, b, t);
    datum_done(a, t);
    *a = both;
}

/* Is element 'i' of 'b' in 'a' as well, as far as 'pairs' says?  Then *ret_at is where. */
static bool
hits(const struct datum *a, const struct type *t, const struct datum *b, uint32_t i,
     bool pairs, int64_t *ret_at)
{
    *ret_at = datum_find(a, datum_key(b, i), t->key.type);
    return *ret_at >= 0 && (!pairs || atom_eq(datum_value(a, (uint32_t) *ret_at),
                                              datum_value(b, i), t->value.type));
}

void
datum_subtract(struct datum *a, const struct type *a_type, const struct datum *b,
               const struct type *b_type)
{
    bool pairs = type_is_map(a_type) && type_is_map(b_type);
    int64_t at;
    if (b->n <= 4) { /* A few from many. */
        for (uint32_t i = 0; i < b->n && a->n; i++) {
            if (hits(a, a_type, b, i, pairs, &at)) {
                datum_remove_at(a, a_type, (uint32_t) at);
            }
        }
        tidy(a, a_type);
        return;
    }
    struct datum kept;
    datum_reserve(&kept, a_type, a->n);
    for (uint32_t i = 0; i < a->n; i++) {
        at = datum_find(b, datum_key(a, i), a_type->key.type);
        if (at < 0 || (pairs && !atom_eq(datum_value(b, (uint32_t) at), datum_value(a, i),
                                         a_type->value.type))) {
            append(&kept, a, i, a_type);
        }
    }
    datum_done(a, a_type);
    *a = kept;
    tidy(a, a_type);
}

void
datum_diff(struct datum *ret, const struct datum *old, const struct datum *new,
           const struct type *t)
{
    if (t->n_max <= 1) {
        *ret = datum_dup(new, t);
        return;
    }
    datum_reserve(ret, t, old->n + new->n);
    for (uint32_t i = 0, j = 0; i < old->n || j < new->n;) {
        int side = next_side(old, i, new, j, t);
        if (side < 0) {
            append(ret, old, i++, t);
        } else if (side > 0) {
            append(ret, new, j++, t);
        } else {
            if (ret->map &&
                !atom_eq(datum_value(old, i), datum_value(new, j), t->value.type)) {
                append(ret, new, j, t);
            }
            i++;
            j++;
        }
    }
    tidy(ret, t);
}

struct err *
datum_apply(struct datum *ret, const struct datum *old, const struct datum *delta,
            const struct type *t)
{
    if (t->n_max <= 1) {
        *ret = datum_dup(delta, t);
    } else {
        datum_reserve(ret, t, old->n + delta->n);
        for (uint32_t i = 0, j = 0; i < old->n || j < delta->n;) {
            int side = next_side(old, i, delta, j, t);
            if (side < 0) {
                append(ret, old, i++, t);
            } else if (side > 0) {
                append(ret, delta, j++, t);
            } else { /* The same value, or a set: removed.  Another value: replaced. */
                if (ret->map &&
                    !atom_eq(datum_value(old, i), datum_value(delta, j), t->value.type)) {
                    append(ret, delta, j, t);
                }
                i++;
                j++;
            }
        }
        tidy(ret, t);
    }
    if (ret->n < t->n_min || ret->n > t->n_max) {
        datum_done(ret, t);
        return rfc_err(RFC_CONSTRAINT, "Datum crated by diff has size error");
    }
    return NULL;
}
