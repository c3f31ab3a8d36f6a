/* data/datum_text.c: values as people write them, in the notation of ovs-vsctl(8):
 *
 *     5    web    "two words"    [1, 2]    {color=red, "big one"=yes}    1,2    color=red        */
#include "data/datum.h"

#include <ctype.h>

#include "base/str.h"

void
datum_print_text(const struct datum *d, const struct type *t, struct buf *buf)
{
    bool map = type_is_map(t);
    bool bare = !map && d->n == 1 && t->n_max == 1;

    if (!bare) {
        buf_char(buf, map ? '{' : '[');
    }
    for (uint32_t i = 0; i < d->n; i++) {
        buf_str(buf, i ? ", " : "");
        atom_print_text(datum_key(d, i), t->key.type, buf);
        if (map) {
            buf_char(buf, '=');
            atom_print_text(datum_value(d, i), t->value.type, buf);
        }
    }
    if (!bare) {
        buf_char(buf, map ? '}' : ']');
    }
}

static const char *
skip_blanks(const char *s)
{
    while (*s == ' ' || *s == '\t' || *s == '\n') {
        s++;
    }
    return s;
}

static struct err *
parse_element(struct datum *d, const struct type *t, const char **s, struct symtab *symbols)
{
    union atom key, value = { 0 };
    TRY(atom_parse_text(&key, t->key.type, s, false, symbols));
    struct err *e = base_type_check(&t->key, &key);
    if (!e && type_is_map(t)) {
        *s = skip_blanks(*s);
        if (**s != '=') {
            e = err_hint(err_new(ERR_SYNTAX, "'=' is missing after a key of the map"),
                         "write it as key=value");
        } else {
            *s = skip_blanks(*s + 1);
            e = atom_parse_text(&value, t->value.type, s, false, symbols);
            if (!e && (e = base_type_check(&t->value, &value))) {
                atom_done(&value, t->value.type);
            }
        }
    }
    if (e) {
        atom_done(&key, t->key.type);
        return e;
    }
    if (!datum_add(d, t, key, &value, false)) {
        return err_new(ERR_CONSTRAINT, "the same %s is there twice",
                       type_is_map(t) ? "key" : "value");
    }
    return NULL;
}

/* Elements up to 'close' ('\0': to the end of the text). */
static struct err *
parse_elements(struct datum *d, const struct type *t, const char *s, char close,
               struct symtab *symbols)
{
    s = skip_blanks(s);
    while (*s && *s != close) {
        TRY(parse_element(d, t, &s, symbols));
        s = skip_blanks(s);
        if (*s == ',') {
            s = skip_blanks(s + 1);
            if (!*s || *s == close) {
                return err_new(ERR_SYNTAX, "a value is missing after the last comma");
            }
        } else if (*s && *s != close) {
            return err_new(ERR_SYNTAX, "unexpected \"%s\"", s);
        }
    }
    if (close) {
        if (!*s) {
            return err_new(ERR_SYNTAX, "'%c' is missing at the end", close);
        }
        s = skip_blanks(s + 1);
        if (*s) {
            return err_new(ERR_SYNTAX, "unexpected \"%s\" behind the value", s);
        }
    }
    return NULL;
}

static struct err *
parse_one(struct datum *d, const struct type *t, const char *s, struct symtab *symbols)
{
    union atom key;
    TRY(atom_parse_text(&key, t->key.type, &s, true, symbols));
    struct err *e = *s ? err_new(ERR_SYNTAX, "unexpected \"%s\" behind the value", s)
                       : base_type_check(&t->key, &key);
    if (e) {
        atom_done(&key, t->key.type);
        return e;
    }
    datum_add(d, t, key, NULL, false);
    return NULL;
}

struct err *
datum_parse_text(struct datum *ret, const struct type *t, const char *text,
                 struct symtab *symbols)
{
    struct datum d = DATUM_EMPTY;
    struct err *e;

    d.map = type_is_map(t);
    if (type_is_map(t) && *text == '{') {
        e = parse_elements(&d, t, text + 1, '}', symbols);
    } else if (!type_is_map(t) && *text == '[') {
        e = parse_elements(&d, t, text + 1, ']', symbols);
    } else if (!type_is_map(t) && t->n_max == 1) {
        e = parse_one(&d, t, text, symbols);
    } else {
        e = parse_elements(&d, t, text, '\0', symbols);
    }
    if (!e) {
        e = datum_check_size(&d, t);
    }
    if (e) {
        datum_done(&d, t);
        return e;
    }
    *ret = d;
    return NULL;
}
