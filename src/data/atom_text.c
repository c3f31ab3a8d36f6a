/* data/atom_text.c: atoms as people write them, in the notation of ovs-vsctl(8). */
#include "data/atom.h"

#include <errno.h>
#include <math.h>

#include "base/str.h"
#include "json/decode.h"

static bool
is_bare_word(const char *s)
{
    struct uuid unused;
    const char *p = s;

    if (!(*p == '_' || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z'))) {
        return false;
    }
    for (; *p; p++) {
        if (!(*p == '_' || *p == '-' || *p == '.' || (*p >= 'A' && *p <= 'Z') ||
              (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9'))) {
            return false;
        }
    }
    return strcmp(s, "true") != 0 && strcmp(s, "false") != 0 && !uuid_parse(s, &unused);
}

void
atom_print_text(const union atom *a, enum atom_type type, struct buf *buf)
{
    if (type == ATOM_STRING && is_bare_word(a->string->s)) {
        buf_add(buf, a->string->s, a->string->n);
    } else if (type == ATOM_UUID) {
        buf_str(buf, UUID_TEXT(&a->uuid));
    } else {
        atom_print(a, type, buf);
    }
}

static struct err *
real_from_word(const char *word, double *ret)
{
    char *end;
    errno = 0;
    double d = strtod(word, &end);
    if (*word == '\0' || *end != '\0' || !isfinite(d)) {
        return err_new(ERR_SYNTAX, "\"%s\" is not a real number", word);
    }
    *ret = d;
    return NULL;
}

static struct err *
bool_from_word(const char *word, bool *ret)
{
    static const char *const yes[] = { "true", "yes", "on", "1" };
    static const char *const no[] = { "false", "no", "off", "0" };
    for (size_t i = 0; i < N_ELEMS(yes); i++) {
        if (strcmp(word, yes[i]) == 0 || strcmp(word, no[i]) == 0) {
            *ret = strcmp(word, yes[i]) == 0;
            return NULL;
        }
    }
    return err_hint(err_new(ERR_SYNTAX, "\"%s\" is not a boolean", word),
                    "write true or false");
}

static struct err *
from_word(union atom *ret, enum atom_type type, const char *word, struct symtab *symbols)
{
    switch (type) {
    case ATOM_INTEGER:
        return str_to_i64(word, &ret->integer)
                   ? NULL
                   : err_new(ERR_SYNTAX, "\"%s\" is not an integer", word);
    case ATOM_REAL: return real_from_word(word, &ret->real);
    case ATOM_BOOLEAN: return bool_from_word(word, &ret->boolean);
    case ATOM_STRING:
        if (!str_is_utf8(word, strlen(word))) {
            return err_new(ERR_SYNTAX, "a string is not valid UTF-8");
        }
        *ret = atom_of_string(word);
        return NULL;
    case ATOM_UUID:
        if (symbols && word[0] == '@' && json_is_id(word + 1)) {
            ret->uuid = symtab_get(symbols, word + 1)->uuid;
            return NULL;
        }
        return uuid_parse(word, &ret->uuid)
                   ? NULL
                   : err_new(ERR_SYNTAX, "\"%s\" is not a UUID", word);
    case ATOM_VOID:
    default: return err_new(ERR_SYNTAX, "no value is allowed here");
    }
}

/* A JSON string at *text. */
static struct err *
quoted(union atom *ret, enum atom_type type, const char **text, struct symtab *symbols)
{
    const char *end = *text + 1;
    while (*end && *end != '"') {
        end += end[0] == '\\' && end[1] ? 2 : 1;
    }
    if (!*end) {
        return err_new(ERR_SYNTAX, "missing quote at the end of %s", *text);
    }
    end++;

    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;
    TRY(err_wrap(json_parse(&arena, *text, (size_t) (end - *text), &j), "%.*s",
                 (int) (end - *text), *text));
    *text = end;
    return from_word(ret, type, j.string, symbols);
}

struct err *
atom_parse_text(union atom *ret, enum atom_type type, const char **text, bool whole,
                struct symtab *symbols)
{
    if (**text == '"') {
        return quoted(ret, type, text, symbols);
    }
    size_t n = whole ? strlen(*text) : strcspn(*text, ",= ]}[{\t\n");
    if (n == 0 && !(whole && type == ATOM_STRING)) {
        return err_new(ERR_SYNTAX,
                       **text ? "a value is missing before \"%s\"" : "a value is missing%s",
                       *text);
    }
    CLEANUP(free_drop) char *word = str_dup_n(*text, n);
    TRY(from_word(ret, type, word, symbols));
    *text += n;
    return NULL;
}
