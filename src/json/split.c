/* json/split.c: a long object in pieces, see json.h.  Looks only at quotes, brackets and commas: what it
 * hands out is parsed by whoever gets it, so a text whose pieces all parse is one that parses. */
#include "json/json.h"
#include "json/json_i.h"

static void
skip_space(struct json_split *s)
{
    while (s->at < s->end &&
           (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t')) {
        s->at++;
    }
}

static bool
take_char(struct json_split *s, char c)
{
    skip_space(s);
    if (s->at == s->end || *s->at != c) {
        return false;
    }
    s->at++;
    return true;
}

/* From an opening quote to behind the closing one. */
static bool
skip_string(struct json_split *s)
{
    s->at++;
    while ((s->at = json_plain_end(s->at, s->end)) < s->end) {
        if (*s->at == '"') {
            s->at++;
            return true;
        }
        s->at += *s->at == '\\' && s->end - s->at > 1 ? 2 : 1;
    }
    return false;
}

/* To a comma of this level behind at least 'want' bytes, or the bracket that closes the level. */
static bool
skip_level(struct json_split *s, size_t want)
{
    const char *begin = s->at;
    size_t depth = 0;
    while (s->at < s->end) {
        switch (*s->at) {
        case '"':
            if (!skip_string(s)) {
                return false;
            }
            continue;
        case '{':
        case '[': depth++; break;
        case '}':
        case ']':
            if (depth-- == 0) {
                return true;
            }
            break;
        case ',':
            if (depth == 0 && (size_t) (s->at - begin) >= want) {
                return true;
            }
            break;
        default: break;
        }
        s->at++;
    }
    return false;
}

/* The name of the next member; one that is there twice, or has an escape, is too much for us. */
static bool
open_member(struct json_split *s)
{
    char key[JSON_SPLIT_NAME_MAX + 1];
    skip_space(s);
    const char *name = s->at;
    if (s->at == s->end || *s->at != '"' || !skip_string(s)) {
        return false;
    }
    size_t n = (size_t) (s->at - name);
    if (n > JSON_SPLIT_NAME_MAX || memchr(name, '\\', n) || memchr(name, '\0', n)) {
        return false;
    }
    memcpy(key, name, n);
    key[n] = '\0';
    if (map_has(&s->seen, key)) {
        return false;
    }
    map_put(&s->seen, key, s);
    s->name = name;
    s->n_name = n;
    return take_char(s, ':');
}

/* At the end of an outer member's value. */
static enum json_split_result
close_member(struct json_split *s)
{
    s->inside = false;
    if (take_char(s, ',')) {
        return JSON_SPLIT_PIECE;
    } else if (!take_char(s, '}')) {
        return JSON_SPLIT_BAD;
    }
    skip_space(s);
    return s->at == s->end ? JSON_SPLIT_LAST : JSON_SPLIT_BAD;
}

void
json_split_init(struct json_split *s, const char *text, size_t n_bytes)
{
    *s = (struct json_split){ .at = text, .end = text + n_bytes };
    s->bad = !take_char(s, '{');
}

void
json_split_done(struct json_split *s)
{
    buf_done(&s->piece);
    map_done(&s->seen);
}

enum json_split_result
json_split_next(struct json_split *s, size_t want_bytes)
{
    if (s->bad || (!s->inside && !open_member(s))) {
        return JSON_SPLIT_BAD;
    }
    skip_space(s);
    bool starts = !s->inside;
    s->inside = s->inside || (s->at < s->end && *s->at == '{');
    s->at += starts && s->inside;

    const char *begin = s->at;
    if (!skip_level(s, s->inside ? want_bytes : 0)) {
        return JSON_SPLIT_BAD;
    }
    buf_clear(&s->piece);
    buf_char(&s->piece, '{');
    buf_add(&s->piece, s->name, s->n_name);
    buf_str(&s->piece, s->inside ? ":{" : ":");
    buf_add(&s->piece, begin, (size_t) (s->at - begin));
    buf_str(&s->piece, s->inside ? "}}" : "}");

    if (s->inside && *s->at == ',') {
        s->at++;
        skip_space(s); /* Another member follows: a comma before a bracket is an error. */
        return s->at < s->end && *s->at == '"' ? JSON_SPLIT_PIECE : JSON_SPLIT_BAD;
    }
    return s->inside && !take_char(s, '}') ? JSON_SPLIT_BAD : close_member(s);
}
