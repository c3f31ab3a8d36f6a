/* data/datum.c: the memory of a value, and the order of its elements.
 *
 * Invariant: a block is owned by n_refs datums; only a datum that holds the sole reference may
 * change it (unshare()). */
#include "data/datum.h"

#include "data/datum_i.h"
#include "data/rfc7047.h"

#define WIDE sizeof(union atom) /* A step in blocks that may change. */

static struct datum_block *
block_new(uint32_t cap, size_t element_bytes)
{
    struct datum_block *b = xmalloc(sizeof *b + cap * element_bytes);
    b->n_refs = 1;
    b->cap = cap;
    return b;
}

void
datum_reserve(struct datum *ret, const struct type *t, uint32_t cap)
{
    *ret = DATUM_EMPTY;
    ret->map = type_is_map(t);
    if (cap > 1 || (cap && ret->map)) {
        ret->block = 1;
        ret->many = block_new(cap, WIDE * (ret->map ? 2 : 1));
        ret->key_step = ret->value_step = WIDE;
    }
}

union atom *
datum_keys_w(struct datum *d)
{
    return (union atom *) datum_keys(d);
}

union atom *
datum_values_w(struct datum *d)
{
    return (union atom *) datum_values(d);
}

const union atom *
datum_keys(const struct datum *d)
{
    ASSERT(!d->block || d->key_step == WIDE);
    return datum_key(d, 0);
}

const union atom *
datum_values(const struct datum *d)
{
    ASSERT(!d->block || d->value_step == WIDE);
    return d->block ? datum_value(d, 0) : NULL;
}

static bool
is_wide(const struct datum *d)
{
    return !d->block || (d->key_step == WIDE && (!d->map || d->value_step == WIDE));
}

/* All elements of 'd' into 'to', which has room. */
static void
copy_atoms(struct datum *to, const struct datum *d, const struct type *t)
{
    for (uint32_t i = 0; i < d->n; i++) {
        datum_keys_w(to)[i] = atom_dup(datum_key(d, i), t->key.type);
        if (d->map) {
            datum_values_w(to)[i] = atom_dup(datum_value(d, i), t->value.type);
        }
    }
}

/* 'n' atoms of 'from_step' bytes to places 'to_step' bytes apart, without references of their own. */
static void
move_atoms(char *to, size_t to_step, const char *from, size_t from_step, uint32_t n)
{
    size_t n_bytes = to_step < from_step ? to_step : from_step;
    if (n_bytes == sizeof(uint64_t)) { /* Most are, and the compiler knows how. */
        for (uint32_t i = 0; i < n; i++) {
            memcpy(to + i * to_step, from + i * from_step, sizeof(uint64_t));
        }
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        memcpy(to + i * to_step, from + i * from_step, n_bytes);
    }
}

/* All elements of 'd' into 'to', which has room, with their references. */
static void
move_all(struct datum *to, const struct datum *d)
{
    move_atoms((char *) datum_key(to, 0), to->key_step, (const char *) datum_key(d, 0),
               d->key_step, d->n);
    if (d->map) {
        move_atoms((char *) datum_value(to, 0), to->value_step,
                   (const char *) datum_value(d, 0), d->value_step, d->n);
    }
}

/* A block of its own with room for 'cap' keys. */
static void
reblock(struct datum *d, const struct type *t, uint32_t cap)
{
    struct datum copy;
    datum_reserve(&copy, t, cap);
    if (d->block && copy.block && d->many->n_refs == 1) {
        move_all(&copy, d);
        free(d->many);
        copy.n = d->n;
    } else {
        copy_atoms(&copy, d, t);
        copy.n = d->n;
        datum_done(d, t);
    }
    *d = copy;
}

void
datum_unshare(struct datum *d, const struct type *t)
{
    if (d->block && (d->many->n_refs > 1 || !is_wide(d))) {
        reblock(d, t, d->n ? d->n : 1);
    }
}

void
datum_fit(struct datum *d, const struct type *t)
{
    if (d->block && is_wide(d) && d->many->n_refs == 1 &&
        d->n < d->many->cap - d->many->cap / 4) {
        reblock(d, t, d->n);
    }
}

/* One more reference of each string. */
static void
ref_strings(const struct datum *d, const struct type *t)
{
    for (uint32_t i = 0; i < d->n && t->key.type == ATOM_STRING; i++) {
        istring_ref(datum_key(d, i)->string);
    }
    for (uint32_t i = 0; i < d->n && t->value.type == ATOM_STRING; i++) {
        istring_ref(datum_value(d, i)->string);
    }
}

struct datum_block *
datum_pack(struct datum d, const struct type *t)
{
    uint8_t key_step = atom_n_bytes(t->key.type), value_step = atom_n_bytes(t->value.type);
    if (d.n == 0) {
        datum_done(&d, t);
        return NULL;
    } else if (d.block && d.many->cap == d.n && d.key_step == key_step &&
               (!d.map || d.value_step == value_step)) {
        return d.many;
    }
    struct datum packed = { .n = d.n, .block = 1, .map = d.map, .key_step = key_step };
    packed.value_step = value_step;
    packed.many = block_new(d.n, (size_t) key_step + (d.map ? value_step : 0));
    move_atoms((char *) datum_key(&packed, 0), key_step, (const char *) datum_key(&d, 0),
               d.block ? d.key_step : sizeof(union atom), d.n);
    if (d.map) {
        move_atoms((char *) datum_value(&packed, 0), value_step,
                   (const char *) datum_value(&d, 0), d.value_step, d.n);
    }
    if (d.block && d.many->n_refs > 1) {
        ref_strings(&packed, t);
        d.many->n_refs--;
    } else if (d.block) {
        free(d.many);
    }
    return packed.many;
}

void
datum_default(struct datum *ret, const struct type *t)
{
    datum_reserve(ret, t, t->n_min);
    if (t->n_min) {
        datum_keys_w(ret)[0] = atom_default(t->key.type);
        if (ret->map) {
            datum_values_w(ret)[0] = atom_default(t->value.type);
        }
        ret->n = 1;
    }
}

bool
datum_is_default(const struct datum *d, const struct type *t)
{
    return d->n == t->n_min &&
           (d->n == 0 || (atom_is_default(datum_key(d, 0), t->key.type) &&
                          (!d->map || atom_is_default(datum_value(d, 0), t->value.type))));
}

void
datum_done(struct datum *d, const struct type *t)
{
    if (d->block && --d->many->n_refs > 0) {
        *d = DATUM_EMPTY;
        return;
    }
    if (t->key.type == ATOM_STRING) {
        for (uint32_t i = 0; i < d->n; i++) {
            istring_unref(datum_key(d, i)->string);
        }
    }
    if (t->value.type == ATOM_STRING) {
        for (uint32_t i = 0; i < d->n; i++) {
            istring_unref(datum_value(d, i)->string);
        }
    }
    if (d->block) {
        free(d->many);
    }
    *d = DATUM_EMPTY;
}

struct datum
datum_dup(const struct datum *d, const struct type *t)
{
    if (d->block) {
        d->many->n_refs++;
    } else if (d->n && t->key.type == ATOM_STRING) {
        istring_ref(d->one.string);
    }
    return *d;
}

struct datum
datum_of_int(int64_t integer)
{
    return (struct datum){ .n = 1, .one.integer = integer };
}

struct datum
datum_of_real(double real)
{
    return (struct datum){ .n = 1, .one.real = real };
}

struct datum
datum_of_bool(bool boolean)
{
    return (struct datum){ .n = 1, .one.boolean = boolean };
}

struct datum
datum_of_string(const char *s)
{
    return (struct datum){ .n = 1, .one = atom_of_string(s) };
}

struct datum
datum_of_uuid(const struct uuid *uuid)
{
    return (struct datum){ .n = 1, .one.uuid = *uuid };
}

/* Index of the first key that is not less than 'key'. */
static uint32_t
lower_bound(const struct datum *d, const union atom *key, enum atom_type type)
{
    uint32_t low = 0, high = d->n;
    if (high && atom_cmp(datum_key(d, high - 1), key, type) < 0) {
        return high; /* Appending in order is common. */
    }
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (atom_cmp(datum_key(d, mid), key, type) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

int64_t
datum_find(const struct datum *d, const union atom *key, enum atom_type type)
{
    uint32_t i = lower_bound(d, key, type);
    return i < d->n && atom_eq(datum_key(d, i), key, type) ? (int64_t) i : -1;
}

static void
make_room(struct datum *d, const struct type *t)
{
    bool sole = !d->block || (d->many->n_refs == 1 && is_wide(d));
    uint32_t cap = d->block ? d->many->cap : d->map ? 0 : 1;
    if (!sole || d->n >= cap) {
        reblock(d, t, d->n < 4 ? d->n + 1 : d->n + d->n / 2);
    }
}

bool
datum_add(struct datum *d, const struct type *t, union atom key, union atom *value,
          bool replace)
{
    d->map = type_is_map(t);
    uint32_t i = lower_bound(d, &key, t->key.type);
    if (i < d->n && atom_eq(datum_key(d, i), &key, t->key.type)) {
        atom_done(&key, t->key.type);
        if (d->map && replace) {
            datum_unshare(d, t);
            atom_done(&datum_values_w(d)[i], t->value.type);
            datum_values_w(d)[i] = *value;
        } else if (d->map) {
            atom_done(value, t->value.type);
        }
        return false;
    }

    make_room(d, t);
    union atom *keys = datum_keys_w(d);
    memmove(keys + i + 1, keys + i, (d->n - i) * sizeof *keys);
    keys[i] = key;
    if (d->map) {
        union atom *values = datum_values_w(d);
        memmove(values + i + 1, values + i, (d->n - i) * sizeof *values);
        values[i] = *value;
    }
    d->n++;
    return true;
}

bool
datum_remove_at(struct datum *d, const struct type *t, uint32_t i)
{
    if (d->n == 1) {
        datum_done(d, t);
        d->map = type_is_map(t);
        return true;
    }
    datum_unshare(d, t);
    union atom *keys = datum_keys_w(d);
    atom_done(&keys[i], t->key.type);
    memmove(keys + i, keys + i + 1, (d->n - i - 1) * sizeof *keys);
    if (d->map) {
        union atom *values = datum_values_w(d);
        atom_done(&values[i], t->value.type);
        memmove(values + i, values + i + 1, (d->n - i - 1) * sizeof *values);
    }
    d->n--;
    return true;
}

const char *
datum_map_string(const struct datum *d, const char *key)
{
    for (uint32_t i = 0; i < d->n && d->map; i++) {
        if (strcmp(datum_key(d, i)->string->s, key) == 0) {
            return datum_value(d, i)->string->s;
        }
    }
    return NULL;
}

int
datum_cmp(const struct datum *a, const struct datum *b, const struct type *t)
{
    if (a->n != b->n) {
        return a->n < b->n ? -1 : 1;
    } else if (a->block && b->block && a->many == b->many) {
        return 0;
    }
    int cmp = 0;
    for (uint32_t i = 0; i < a->n && !cmp; i++) {
        cmp = atom_cmp(datum_key(a, i), datum_key(b, i), t->key.type);
    }
    for (uint32_t i = 0; i < a->n && !cmp && a->map; i++) {
        cmp = atom_cmp(datum_value(a, i), datum_value(b, i), t->value.type);
    }
    return cmp;
}

bool
datum_eq(const struct datum *a, const struct datum *b, const struct type *t)
{
    if (a->n != b->n) {
        return false;
    } else if (a->block && b->block && a->many == b->many) {
        return true;
    }
    for (uint32_t i = 0; i < a->n; i++) {
        if (!atom_eq(datum_key(a, i), datum_key(b, i), t->key.type) ||
            (a->map && !atom_eq(datum_value(a, i), datum_value(b, i), t->value.type))) {
            return false;
        }
    }
    return true;
}

uint32_t
datum_hash(const struct datum *d, const struct type *t, uint32_t basis)
{
    for (uint32_t i = 0; i < d->n; i++) {
        basis = atom_hash(datum_key(d, i), t->key.type, basis);
        if (d->map) {
            basis = atom_hash(datum_value(d, i), t->value.type, basis);
        }
    }
    return basis + d->n;
}

struct err *
datum_check(const struct datum *d, const struct type *t)
{
    for (uint32_t i = 0; i < d->n; i++) {
        TRY(base_type_check(&t->key, datum_key(d, i)));
        if (d->map) {
            TRY(base_type_check(&t->value, datum_value(d, i)));
        }
    }
    return NULL;
}

struct err *
datum_check_size(const struct datum *d, const struct type *t)
{
    if (d->n >= t->n_min && d->n <= t->n_max) {
        return NULL;
    }
    CLEANUP(buf_done) struct buf english = BUF_INIT;
    type_print_english(t, &english);
    return rfc_err(RFC_CONSTRAINT, "Attempted to store %" PRIu32 " elements in %s.", d->n,
                   buf_cstr(&english));
}
