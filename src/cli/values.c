/* cli/values.c: values as people write them, into RFC 7047's JSON. */
#include "cli/values_i.h"

#include <float.h>

#include "cli/suggest_i.h"
#include "data/datum.h"

static const struct {
    const char *column;
    enum out_unit unit;
} units[] = {
    { "capacity", UNIT_BYTES },
    { "allocation", UNIT_BYTES },
    { "available", UNIT_BYTES },
    { "physical", UNIT_BYTES },
    { "wanted_capacity", UNIT_BYTES },
    { "wanted_allocation", UNIT_BYTES },
    { "length", UNIT_BYTES },
    { "offset", UNIT_BYTES },
    { "mem", UNIT_MIB },
    { "mem_max", UNIT_MIB },
    { "mem_actual", UNIT_MIB },
    { "mem_free", UNIT_MIB },
    { "total_bytes_sec", UNIT_BYTES },
    { "read_bytes_sec", UNIT_BYTES },
    { "write_bytes_sec", UNIT_BYTES },
    { "vsize", UNIT_MIB },
    { "size", UNIT_MIB },
    { "swap", UNIT_MIB },
    { "overhead", UNIT_MIB },
    { "host_reserve", UNIT_MIB },
    { "min_mem", UNIT_MIB },
    { "min_vsize", UNIT_MIB },
    { "mem_limit", UNIT_MIB },
    { "vsize_limit", UNIT_MIB },
    { "isolimitsize", UNIT_MIB },
    { "progress", UNIT_RATIO },
    { "since", UNIT_TIME_MS },
    { "expires", UNIT_TIME_MS },
};

enum out_unit
unit_of(const char *table, const char *column)
{
    for (size_t i = 0; i < N_ELEMS(units); i++) {
        if (str_eq(column, units[i].column)) {
            return units[i].unit;
        }
    }
    return str_ends(column, "_at") || str_ends(column, "_since") ? UNIT_TIME_MS : UNIT_NONE;
}

static void
describe_choices(const struct base_type *base, struct buf *b)
{
    const union atom *keys = datum_keys(base->choices);
    buf_str(b, "one of ");
    for (uint32_t i = 0; i < base->choices->n; i++) {
        buf_str(b, i ? ", " : "");
        atom_print_text(&keys[i], base->type, b);
    }
}

static void
describe_integer(const struct base_type *base, enum out_unit unit, struct buf *b)
{
    buf_str(b, unit == UNIT_BYTES ? "a size in bytes (or 10G)"
               : unit == UNIT_MIB ? "a size in MiB (or 2G)"
                                  : "an integer");
    if (base->integer.min != INT64_MIN && base->integer.max != INT64_MAX) {
        buf_printf(b, " from %" PRId64 " to %" PRId64, base->integer.min,
                   base->integer.max);
    } else if (base->integer.min != INT64_MIN) {
        buf_printf(b, " from %" PRId64 " up", base->integer.min);
    } else if (base->integer.max != INT64_MAX) {
        buf_printf(b, " up to %" PRId64, base->integer.max);
    }
}

static void
describe_base(const struct base_type *base, enum out_unit unit, struct buf *b)
{
    if (base->choices) {
        describe_choices(base, b);
        return;
    }
    switch (base->type) {
    case ATOM_INTEGER: describe_integer(base, unit, b); break;
    case ATOM_REAL:
        buf_str(b, "a number");
        if (base->real.min != -DBL_MAX && base->real.max != DBL_MAX) {
            buf_printf(b, " from %g to %g", base->real.min, base->real.max);
        }
        break;
    case ATOM_BOOLEAN: buf_str(b, "true or false"); break;
    case ATOM_STRING:
        buf_str(b, "text");
        if (base->string.max_chars != UINT32_MAX) {
            buf_printf(b, " of %u to %u characters", base->string.min_chars,
                       base->string.max_chars);
        }
        break;
    case ATOM_UUID:
        if (base->uuid.ref == REF_NONE) {
            buf_str(b, "a UUID");
        } else {
            buf_printf(b, "the name of a %s", noun_of_table(base->uuid.ref_table_name));
        }
        break;
    case ATOM_VOID:
    case N_ATOM_TYPES: break;
    }
}

char *
type_describe(const struct type *type, enum out_unit unit)
{
    struct buf b = BUF_INIT;
    if (type_is_map(type)) {
        buf_str(&b, "KEY=VALUE, comma separated: KEY is ");
        describe_base(&type->key, UNIT_NONE, &b);
        buf_str(&b, ", VALUE is ");
        describe_base(&type->value, UNIT_NONE, &b);
    } else if (type->n_max > 1) {
        buf_str(&b, "a comma separated list, each ");
        describe_base(&type->key, unit, &b);
    } else {
        describe_base(&type->key, unit, &b);
        buf_str(&b, type->n_min == 0 ? "; or [] for none" : "");
    }
    return buf_take(&b);
}

/* on, off, yes and no are booleans to people; VMmanager writes on and off. */
static const char *
boolean_word(const char *text)
{
    static const char *const yes[] = { "on", "yes", "1" };
    static const char *const no[] = { "off", "no", "0" };
    for (size_t i = 0; i < N_ELEMS(yes); i++) {
        if (strcasecmp(text, yes[i]) == 0) {
            return "true";
        } else if (strcasecmp(text, no[i]) == 0) {
            return "false";
        }
    }
    return text;
}

/* "2G" for a size: the number in the column's unit, as text in the arena; else 'text'
 * itself. */
static struct err *
size_text(struct cli *cli, enum out_unit unit, const char *text, const char **ret)
{
    int64_t bytes;
    *ret = text;
    if ((unit != UNIT_BYTES && unit != UNIT_MIB) || str_to_i64(text, &bytes)) {
        return NULL;
    }
    struct err *e = str_to_bytes(text, &bytes);
    if (e) {
        err_free(e);
        return NULL; /* The datum's parser says what is wrong. */
    } else if (unit == UNIT_MIB && bytes % MIB != 0) {
        return err_new(ERR_SYNTAX, "%s is not a whole number of MiB", text);
    }
    *ret = arena_printf(&cli->arena, "%" PRId64, unit == UNIT_MIB ? bytes / MIB : bytes);
    return NULL;
}

/* Names, comma separated, perhaps in brackets. */
static struct err *
parse_refs(struct cli *cli, const struct type *type, const char *text, struct json *ret)
{
    struct arena *a = &cli->arena;
    struct strvec names = STRVEC_INIT;
    struct named_list found = VEC_INIT;
    strvec_split(&names, text, "[], \t");

    struct err *e = NULL;
    if (names.n < type->n_min || names.n > type->n_max) {
        e = err_new(ERR_SYNTAX, "%zu names, but it takes %s%u", names.n,
                    type->n_min == type->n_max ? "" : "up to ", type->n_max);
    } else if (names.n) {
        e = names_match(cli, type->key.uuid.ref_table_name, names.v, names.n, "_uuid",
                        &found);
    }
    struct json elems = json_array();
    for (size_t i = 0; i < found.n && !e; i++) {
        json_add(a, &elems, q_uuid(a, &found.v[i].uuid));
    }
    if (!e) {
        *ret = elems.n == 1 ? elems.elems[0] : json_pair(a, json_string_ref("set"), elems);
    }
    strvec_done(&names);
    VEC_DONE(&found);
    return e;
}

struct err *
value_parse(struct cli *cli, const struct table_schema *table, const struct column *column,
            const char *text, struct json *ret)
{
    const struct type *type = &column->type;
    enum out_unit unit = unit_of(table->name, column->name);
    CLEANUP(free_drop) char *allowed = type_describe(type, unit);

    if (base_type_ref(&type->key) != REF_NONE && !type_is_map(type)) {
        struct err *e = parse_refs(cli, type, text, ret);
        return err_wrap(e, "%s.%s", table->name, column->name);
    }
    if (type->key.type == ATOM_BOOLEAN) {
        text = boolean_word(text);
    }
    struct err *e = size_text(cli, unit, text, &text);
    struct datum d = DATUM_EMPTY;
    if (!e && !text[0] && type->n_min == 0) {
        datum_default(&d, type); /* "error=": unset. */
    } else if (!e) {
        e = datum_parse_text(&d, type, text, NULL);
    }
    if (!e) {
        *ret = datum_json(&cli->arena, &d, type);
    }
    datum_done(&d, type);
    if (e) {
        err_free(e);
        e = err_new(ERR_SYNTAX, "\"%s\" is not what column %s.%s takes", text, table->name,
                    column->name);
        return err_hint(e, "%s", allowed);
    }
    return NULL;
}

struct err *
split_assignment(const char *text, const char *const *operators, char **ret_column,
                 const char **ret_op, const char **ret_value)
{
    size_t n_name = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                                 "0123456789");
    for (const char *const *op = operators; *op && n_name; op++) {
        if (str_starts(text + n_name, *op)) {
            *ret_column = str_dup_n(text, n_name);
            *ret_op = *op;
            *ret_value = text + n_name + strlen(*op);
            return NULL;
        }
    }
    struct err *e = err_new(ERR_SYNTAX, "\"%s\" is no COLUMN=VALUE", text);
    return err_hint(e, "for example: name=demo");
}
